//! What cannot be written, and what is said about it: one test per rule.

use std::fmt;

use walproto::{
    Begin, BeginPrepare, Column, ColumnDef, ColumnDefs, CommitPrepared, Decoder, EncodeError,
    EncodeErrorKind, Encoder, Field, Frame, Insert, Logical, Lsn, Message, Oid, Origin, Prepare,
    Relation, RelationOids, ReplicaIdentity, RollbackPrepared, StreamAbort, StreamPrepare,
    StreamStart, Timestamp, Truncate, Tuple, TupleWriter, Type, WalData, Xid,
};

const TEXT: Encoder = Encoder::new();
const IN_BLOCK: Encoder = Encoder::new().inside_block(true);

const BEGIN: Message<'_> = Message::Begin(Begin {
    final_lsn: Lsn(1),
    commit_time: Timestamp(2),
    xid: Xid(3),
});
const ABORT: Message<'_> = Message::StreamAbort(StreamAbort {
    xid: Xid(1),
    subxid: Xid(2),
    abort: None,
});
const ABORT_WITH_POSITION: Message<'_> = Message::StreamAbort(StreamAbort {
    xid: Xid(1),
    subxid: Xid(2),
    abort: Some((Lsn(3), Timestamp(4))),
});

/// The encoder refuses the message for this reason and is left as it was.
#[track_caller]
fn refused(
    encoder: Encoder,
    xid: Option<Xid>,
    message: &Message<'_>,
    kind: EncodeErrorKind,
    field: Field,
) -> EncodeError {
    let mut after = encoder;
    let error = after
        .encode(xid, message, &mut [0; 1024])
        .expect_err("must be refused");
    assert_eq!((error.kind, error.field), (kind, field), "{error}");
    assert_eq!(after, encoder, "an error must not move the encoder");
    assert_eq!(encoder.encoded_len(xid, message), Err(error));
    // However small the buffer is, the reason is the same.
    assert_eq!(after.encode(xid, message, &mut []), Err(error));
    let mut out = vec![7];
    assert_eq!(after.append(xid, message, &mut out), Err(error));
    assert_eq!(out, [7]);
    error
}

#[test]
fn a_small_buffer_says_what_it_lacks() {
    let error = TEXT
        .clone()
        .encode(None, &BEGIN, &mut [0; 20])
        .expect_err("too small");
    assert_eq!(error.needed(), Some(21));
    assert_eq!(
        error.to_string(),
        "buffer too small, 21 bytes are needed, for Begin ('B')"
    );
    let row = [Column::Text(b"42"), Column::Null];
    let error = Tuple::write(row, &mut [0; 7]).expect_err("too small");
    assert_eq!(error.needed(), Some(8));
    assert_eq!(error.to_string(), "buffer too small, 8 bytes are needed");
    let oids = [Oid(1), Oid(2)];
    let error = RelationOids::write(oids, &mut [0; 7]).expect_err("too small");
    assert_eq!(error.needed(), Some(8));
}

#[test]
fn a_zero_byte_in_a_name_is_refused_wherever_a_name_stands() {
    let columns = ColumnDefs::write([], &mut []).expect("none").0;
    let relation = |namespace, name| {
        Message::Relation(Relation {
            oid: Oid(1),
            namespace,
            name,
            identity: ReplicaIdentity::Default,
            columns,
        })
    };
    let r#type = |namespace, name| {
        Message::Type(Type {
            oid: Oid(1),
            namespace,
            name,
        })
    };
    for (message, field) in [
        (relation("a\0", "b"), Field::Namespace),
        (relation("a", "\0b"), Field::RelationName),
        (r#type("\0", "b"), Field::Namespace),
        (r#type("a", "b\0c"), Field::TypeName),
        (
            Message::Origin(Origin {
                commit_lsn: Lsn(1),
                name: "\0",
            }),
            Field::OriginName,
        ),
        (
            Message::Logical(Logical {
                transactional: true,
                lsn: Lsn(1),
                prefix: "p\0",
                content: b"\0 is fine here",
            }),
            Field::MessagePrefix,
        ),
        (prepared(1, "g\0")[0], Field::Gid),
    ] {
        refused(TEXT, None, &message, EncodeErrorKind::ZeroByte, field);
    }
    let column = ColumnDef {
        key: true,
        name: "a\0",
        type_oid: Oid(23),
        typmod: -1,
    };
    let error = ColumnDefs::write([column], &mut [0; 64]).expect_err("must be refused");
    assert_eq!(
        (error.kind, error.field),
        (EncodeErrorKind::ZeroByte, Field::ColumnName)
    );
    assert_eq!(error.to_string(), "zero byte in text, in column name");
}

#[test]
fn a_zero_byte_in_a_columns_text_is_refused_and_in_its_binary_form_not() {
    let error = Tuple::write([Column::Text(b"a\0b")], &mut [0; 64]).expect_err("must be refused");
    assert_eq!(
        (error.kind, error.field),
        (EncodeErrorKind::ZeroByte, Field::ColumnData)
    );
    let error = TupleWriter::new(&mut [0; 64])
        .text("a\0b")
        .finish()
        .expect_err("must be refused");
    assert_eq!(error.kind, EncodeErrorKind::ZeroByte);
    assert!(Tuple::write([Column::Binary(b"a\0b")], &mut [0; 64]).is_ok());
}

/// Every message that carries a global identifier.
fn prepared(lsn: u64, gid: &str) -> [Message<'_>; 5] {
    let (lsn, time, xid) = (Lsn(lsn), Timestamp(0), Xid(1));
    [
        Message::BeginPrepare(BeginPrepare {
            prepare_lsn: lsn,
            end_lsn: lsn,
            prepare_time: time,
            xid,
            gid,
        }),
        Message::Prepare(Prepare {
            prepare_lsn: lsn,
            end_lsn: lsn,
            prepare_time: time,
            xid,
            gid,
        }),
        Message::CommitPrepared(CommitPrepared {
            commit_lsn: lsn,
            end_lsn: lsn,
            commit_time: time,
            xid,
            gid,
        }),
        Message::RollbackPrepared(RollbackPrepared {
            prepare_end_lsn: lsn,
            rollback_end_lsn: lsn,
            prepare_time: time,
            rollback_time: time,
            xid,
            gid,
        }),
        Message::StreamPrepare(StreamPrepare {
            prepare_lsn: lsn,
            end_lsn: lsn,
            prepare_time: time,
            xid,
            gid,
        }),
    ]
}

#[test]
fn a_global_identifier_has_at_most_199_characters() {
    let mut buffer = [0; 1024];
    for longest in ["g".repeat(199), "é".repeat(199)] {
        for message in prepared(1, &longest) {
            let len = TEXT
                .clone()
                .encode(None, &message, &mut buffer)
                .expect("as long as a server allows");
            assert!(Decoder::new().decode(&buffer[..len]).is_ok());
        }
        for message in prepared(1, &(longest.clone() + "g")) {
            refused(TEXT, None, &message, EncodeErrorKind::TooLong, Field::Gid);
        }
    }
}

#[test]
fn a_position_that_must_be_set_is_refused_when_it_is_zero() {
    for (message, field) in prepared(0, "g").into_iter().zip([
        Field::PrepareLsn,
        Field::PrepareLsn,
        Field::CommitLsn,
        Field::PrepareEndLsn,
        Field::PrepareLsn,
    ]) {
        refused(TEXT, None, &message, EncodeErrorKind::ZeroLsn, field);
    }
    let begin = Message::Begin(Begin {
        final_lsn: Lsn::ZERO,
        commit_time: Timestamp(0),
        xid: Xid(1),
    });
    let error = refused(
        TEXT,
        None,
        &begin,
        EncodeErrorKind::ZeroLsn,
        Field::FinalLsn,
    );
    assert_eq!(
        error.to_string(),
        "position is 0/0, in final position of Begin ('B')"
    );
}

#[test]
fn a_row_has_at_most_65535_columns() {
    let mut buffer = vec![0; 70_000];
    let columns = std::iter::repeat_n(Column::Null, 65_535);
    let (row, _) = Tuple::write(columns, &mut buffer).expect("as many as 16 bits can say");
    assert_eq!(row.len(), 65_535);
    // One more, and without end.
    for columns in [65_536, usize::MAX] {
        let columns = std::iter::repeat_n(Column::Null, columns);
        let error = Tuple::write(columns, &mut buffer).expect_err("must be refused");
        assert_eq!(
            (error.kind, error.field),
            (EncodeErrorKind::TooMany, Field::ColumnCount)
        );
    }
}

#[test]
fn a_relation_has_at_most_65535_columns() {
    let column = ColumnDef {
        key: false,
        name: "",
        type_oid: Oid(23),
        typmod: -1,
    };
    let mut buffer = vec![0; 10 * 65_536];
    let columns = std::iter::repeat_n(column, 65_535);
    assert!(ColumnDefs::write(columns, &mut buffer).is_ok());
    let columns = std::iter::repeat(column);
    let error = ColumnDefs::write(columns, &mut buffer).expect_err("must be refused");
    assert_eq!(
        (error.kind, error.field),
        (EncodeErrorKind::TooMany, Field::ColumnCount)
    );
}

/// Zeros that the system never has to make real, because nothing reads or writes them.
fn two_gigabytes() -> Vec<u8> {
    vec![0; 1 << 31]
}

#[test]
fn a_value_of_two_gigabytes_is_refused() {
    let long = two_gigabytes();
    let error = Tuple::write([Column::Binary(&long)], &mut []).expect_err("must be refused");
    assert_eq!(
        (error.kind, error.field),
        (EncodeErrorKind::TooLong, Field::ColumnLength)
    );
    let longest = &long[..i32::MAX as usize];
    let error = Tuple::write([Column::Binary(longest)], &mut []).expect_err("no room");
    assert_eq!(error.needed(), Some(5 + i32::MAX as usize));
    let logical = Message::Logical(Logical {
        transactional: true,
        lsn: Lsn(1),
        prefix: "",
        content: &long,
    });
    let kind = EncodeErrorKind::TooLong;
    refused(TEXT, None, &logical, kind, Field::MessageLength);
    let frame = |data| {
        Frame::WalData(WalData {
            start: Lsn(1),
            end: Lsn(1),
            sent_at: Timestamp(0),
            data,
        })
    };
    let error = frame(longest).encoded_len().expect_err("must be refused");
    assert_eq!((error.kind, error.field), (kind, Field::MessageContent));
    // The length of CopyData counts itself.
    let longest = i32::MAX as usize - 4;
    assert_eq!(frame(&long[..longest - 25]).encoded_len(), Ok(longest));
    assert!(frame(&long[..longest - 24]).encoded_len().is_err());
}

#[test]
fn blocks_decide_where_a_message_may_stand_and_who_says_its_transaction() {
    let xid = Some(Xid(7));
    let truncate = Message::Truncate(Truncate {
        cascade: false,
        restart_identity: false,
        relations: RelationOids::write([], &mut []).expect("none").0,
    });
    let kind = EncodeErrorKind::MissingXid;
    let error = refused(IN_BLOCK, None, &truncate, kind, Field::Xid);
    assert_eq!(
        error.to_string(),
        "no transaction although inside a stream block, in transaction id of Truncate ('T')"
    );
    let kind = EncodeErrorKind::UnexpectedXid;
    refused(TEXT, xid, &truncate, kind, Field::Xid);
    refused(TEXT, xid, &BEGIN, kind, Field::Xid);
    refused(IN_BLOCK, xid, &Message::StreamStop, kind, Field::Xid);
    let kind = EncodeErrorKind::InsideBlock;
    refused(IN_BLOCK, None, &BEGIN, kind, Field::Tag);
    refused(IN_BLOCK, None, &ABORT, kind, Field::Tag);
    let kind = EncodeErrorKind::OutsideBlock;
    refused(TEXT, None, &Message::StreamStop, kind, Field::Tag);

    let mut encoder = TEXT;
    let mut buffer = [0; 64];
    let start = Message::StreamStart(StreamStart {
        xid: Xid(7),
        first_segment: true,
    });
    for (xid, message, in_block) in [
        (None, start, true),
        (xid, truncate, true),
        (None, Message::StreamStop, false),
        (None, truncate, false),
    ] {
        assert!(encoder.encode(xid, &message, &mut buffer).is_ok());
        assert_eq!(encoder.in_block(), in_block);
    }
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let mut buffer = [0; 64];
    let (new, _) = Tuple::write([Column::Null, Column::Binary(&[1])], &mut buffer).expect("a row");
    let insert = Message::Insert(Insert {
        relation: Oid(1),
        new,
    });
    let kind = EncodeErrorKind::BinaryNotAsked;
    refused(TEXT, None, &insert, kind, Field::ColumnKind);
    assert_eq!(TEXT.binary(true).encoded_len(None, &insert), Ok(15));

    let parallel = TEXT.parallel(true);
    let kind = EncodeErrorKind::AbortWithoutPosition;
    refused(parallel, None, &ABORT, kind, Field::AbortLsn);
    let kind = EncodeErrorKind::AbortWithPosition;
    refused(TEXT, None, &ABORT_WITH_POSITION, kind, Field::AbortLsn);
    assert_eq!(TEXT.encoded_len(None, &ABORT), Ok(9));
    assert_eq!(parallel.encoded_len(None, &ABORT_WITH_POSITION), Ok(25));
}

#[test]
fn what_cannot_be_displayed_is_refused() {
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }
    let error = TupleWriter::new(&mut [0; 64])
        .text(Broken)
        .finish()
        .expect_err("must be refused");
    assert_eq!(
        (error.kind, error.field),
        (EncodeErrorKind::NotDisplayed, Field::ColumnData)
    );
}

#[test]
fn formatted_text_says_how_long_it_is_whether_or_not_it_fits() {
    let mut buffer = [0xAA; 16];
    let (row, rest) = TupleWriter::new(&mut buffer)
        .text(format_args!("{}-{}", 4, 2))
        .column(Column::Null)
        .finish()
        .expect("a row");
    assert_eq!(
        row.columns().collect::<Vec<_>>(),
        [Column::Text(b"4-2"), Column::Null]
    );
    assert_eq!(rest, [0xAA; 7]);
    for len in 0..9 {
        let error = TupleWriter::new(&mut buffer[..len])
            .text(format_args!("{}-{}", 4, 2))
            .column(Column::Null)
            .finish()
            .expect_err("must be too small");
        assert_eq!(error.needed(), Some(9));
    }
}
