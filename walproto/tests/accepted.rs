//! What the parser must accept although it looks odd: one test per rule, on bytes laid out by hand.
//!
//! Relations of tables that nothing refers to, an abort of a transaction never seen, a transaction without changes and
//! the like need no test of their own: the parser keeps nothing that could tell them from others.

use walproto::{
    Column, Decoder, Delete, Frame, Insert, Lsn, Message, Oid, OldRow, Timestamp, Update, Xid,
};

/// The message in `bytes`, read outside blocks.
#[track_caller]
fn accepted(bytes: &[u8]) -> Message<'_> {
    let decoded = Decoder::new().decode(bytes).expect("must be accepted");
    assert_eq!(decoded.xid, None);
    decoded.message
}

#[test]
fn unknown_bits_in_column_flags_are_ignored() {
    for (flags, key) in [(0xFE, false), (0xFF, true), (0x80, false), (0x03, true)] {
        let bytes = [
            b'R', //
            0, 0, 0x40, 1, // oid
            0, // namespace: pg_catalog
            b't', 0,    // name
            b'd', // replica identity
            0, 1, // one column
            flags, b'c', 0, 0, 0, 0, 23, 0xFF, 0xFF, 0xFF,
            0xFF, // flags, name, type, modifier
        ];
        let Message::Relation(mut relation) = accepted(&bytes) else {
            panic!("not a relation")
        };
        assert_eq!(relation.columns.next().map(|column| column.key), Some(key));
    }
}

#[test]
fn unknown_bits_in_message_flags_are_ignored() {
    for (flags, transactional) in [(0xFE, false), (0xFF, true)] {
        let bytes = [
            b'M', flags, //
            0, 0, 0, 0, 1, 0, 0, 0, // position
            0, // prefix: empty
            0, 0, 0, 0, // length
        ];
        let Message::Logical(message) = accepted(&bytes) else {
            panic!("not a message")
        };
        assert_eq!(message.transactional, transactional);
        assert_eq!((message.prefix, message.content), ("", &[][..]));
    }
}

#[test]
fn unknown_bits_in_truncate_flags_are_ignored() {
    for (flags, cascade, restart_identity) in [
        (0xFC, false, false),
        (0xFD, true, false),
        (0xFE, false, true),
        (0xFF, true, true),
    ] {
        // No relations: never sent, and harmless.
        let bytes = [b'T', 0, 0, 0, 0, flags];
        let Message::Truncate(truncate) = accepted(&bytes) else {
            panic!("not a truncate")
        };
        assert_eq!(
            (truncate.cascade, truncate.restart_identity),
            (cascade, restart_identity)
        );
        assert_eq!(truncate.relations.len(), 0);
    }
}

#[test]
fn a_relation_without_columns_and_its_rows_are_accepted() {
    let bytes = [b'R', 0, 0, 0x40, 1, b's', 0, b't', 0, b'n', 0, 0];
    let Message::Relation(relation) = accepted(&bytes) else {
        panic!("not a relation")
    };
    assert!(relation.columns.is_empty());

    let bytes = [b'I', 0, 0, 0x40, 1, b'N', 0, 0];
    let Message::Insert(Insert { new, .. }) = accepted(&bytes) else {
        panic!("not an insert")
    };
    assert!(new.is_empty());
    assert_eq!(new.columns().next(), None);
}

#[test]
fn an_empty_block_is_accepted() {
    let mut decoder = Decoder::new();
    decoder.decode(&[b'S', 0, 0, 2, 0xEE, 0]).unwrap();
    assert!(decoder.in_block());
    let stop = decoder.decode(b"E").unwrap();
    assert_eq!((stop.xid, stop.message), (None, Message::StreamStop));
    assert!(!decoder.in_block());
}

#[test]
fn names_may_hold_any_character() {
    let name = "\u{1}\" '\\\n\u{7F}é中🦀";
    let bytes = [
        &[b'Y', 0, 0, 0x40, 1],
        name.as_bytes(),
        &[0],
        name.as_bytes(),
        &[0],
    ]
    .concat();
    let Message::Type(ty) = accepted(&bytes) else {
        panic!("not a type")
    };
    assert_eq!((ty.namespace, ty.name), (name, name));
}

#[test]
fn an_empty_and_a_long_global_identifier_are_accepted() {
    // The last is 199 bytes in a LATIN1 database, and 398 on the way to us.
    for gid in ["", &"g".repeat(199), &"é".repeat(199)] {
        let bytes = [
            &[b'b'][..],
            &[0, 0, 0, 0, 0, 0, 0, 1], // prepare position
            &[0, 0, 0, 0, 0, 0, 0, 2], // end position
            &[0, 0, 0, 0, 0, 0, 0, 3], // prepare time
            &[0, 0, 0, 4],             // transaction
            gid.as_bytes(),
            &[0],
        ]
        .concat();
        let Message::BeginPrepare(begin) = accepted(&bytes) else {
            panic!("not a begin prepare")
        };
        assert_eq!(begin.gid, gid);
    }
}

#[test]
fn version_3_messages_are_known_whatever_was_asked() {
    // A slot made with two_phase sends them to a client of version 1.
    let bytes = [
        b'K', //
        0,    // flags
        0, 0, 0, 0, 0, 0, 0, 1, // commit position
        0, 0, 0, 0, 0, 0, 0, 2, // end position
        0, 0, 0, 0, 0, 0, 0, 3, // commit time
        0, 0, 0, 4, // transaction
        b'g', 0,
    ];
    assert!(matches!(accepted(&bytes), Message::CommitPrepared(_)));
}

#[test]
fn positions_times_and_transactions_have_their_full_range() {
    let bytes = [
        b'B', //
        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, // final position
        0x80, 0, 0, 0, 0, 0, 0, 0, // commit time: the earliest
        0xFF, 0xFF, 0xFF, 0xFF, // transaction
    ];
    let Message::Begin(begin) = accepted(&bytes) else {
        panic!("not a begin")
    };
    assert_eq!(begin.final_lsn, Lsn(u64::MAX));
    assert_eq!(begin.commit_time, Timestamp(i64::MIN));
    assert_eq!(begin.xid, Xid(u32::MAX));
}

#[test]
fn a_commit_position_of_zero_is_accepted_where_postgresql_accepts_it() {
    let mut bytes = [0; 26];
    bytes[0] = b'C';
    assert!(matches!(accepted(&bytes), Message::Commit(_)));
    let mut bytes = [0; 30];
    bytes[0] = b'c';
    assert!(matches!(accepted(&bytes), Message::StreamCommit(_)));
    // In a stream block the origin has no position.
    let bytes = [b'O', 0, 0, 0, 0, 0, 0, 0, 0, b'n', 0];
    assert!(matches!(accepted(&bytes), Message::Origin(_)));
}

#[test]
fn oids_and_type_modifiers_have_their_full_range() {
    for typmod in [i32::MIN, -1, 14, i32::MAX] {
        let bytes = [
            &[b'R', 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, b'f', 0, 1, 1, 0][..],
            &[0xFF, 0xFF, 0xFF, 0xFE], // a type that was never announced
            &typmod.to_be_bytes(),
        ]
        .concat();
        let Message::Relation(mut relation) = accepted(&bytes) else {
            panic!("not a relation")
        };
        assert_eq!(relation.oid, Oid(u32::MAX));
        let column = relation.columns.next().unwrap();
        assert_eq!(
            (column.type_oid, column.typmod),
            (Oid(u32::MAX - 1), typmod)
        );
    }
}

#[test]
fn a_row_of_1600_columns_is_accepted() {
    let mut bytes = vec![b'I', 0, 0, 0x40, 1, b'N', 0x06, 0x40];
    for _ in 0..800 {
        bytes.extend([b'n', b't', 0, 0, 0, 1, b'x']);
    }
    let Message::Insert(insert) = accepted(&bytes) else {
        panic!("not an insert")
    };
    assert_eq!(insert.new.len(), 1600);
    let texts = insert.new.columns().filter(|c| *c == Column::Text(b"x"));
    assert_eq!(texts.count(), 800);
}

#[test]
fn text_that_is_not_utf8_reaches_the_caller_as_it_came() {
    // From a database whose encoding is SQL_ASCII.
    let bytes = [b'I', 0, 0, 0x40, 1, b'N', 0, 1, b't', 0, 0, 0, 1, 0xFF];
    let Message::Insert(insert) = accepted(&bytes) else {
        panic!("not an insert")
    };
    let column = insert.new.columns().next().unwrap();
    assert_eq!(column.as_bytes(), Some(&[0xFF][..]));
    assert!(column.as_str().unwrap().is_err());
}

#[test]
fn an_unchanged_value_in_an_insert_is_accepted() {
    // A row filter makes such an insert out of an update.
    let bytes = [b'I', 0, 0, 0x40, 1, b'N', 0, 1, b'u'];
    let Message::Insert(insert) = accepted(&bytes) else {
        panic!("not an insert")
    };
    assert_eq!(insert.new.columns().next(), Some(Column::Unchanged));
}

#[test]
fn old_keys_and_old_rows_are_told_apart() {
    for (mark, full) in [(b'K', false), (b'O', true)] {
        let bytes = [b'U', 0, 0, 0x40, 1, mark, 0, 1, b'n', b'N', 0, 1, b'u'];
        let Message::Update(Update { old: Some(old), .. }) = accepted(&bytes) else {
            panic!("not an update with an old row")
        };
        assert_eq!(matches!(old, OldRow::Full(_)), full);

        let bytes = [b'D', 0, 0, 0x40, 1, mark, 0, 1, b'n'];
        let Message::Delete(Delete { old, .. }) = accepted(&bytes) else {
            panic!("not a delete")
        };
        assert_eq!(matches!(old, OldRow::Full(_)), full);
        assert_eq!(old.tuple().len(), 1);
    }
}

#[test]
fn inside_a_block_the_transaction_comes_first() {
    let mut decoder = Decoder::new().inside_block(true);
    let bytes = [
        b'T', //
        0, 0, 2, 0xEF, // transaction
        0, 0, 0, 1, // one relation
        0, // flags
        0, 0, 0x40, 1, // its oid
    ];
    let decoded = decoder.decode(&bytes).unwrap();
    assert_eq!(decoded.xid, Some(Xid(0x2EF)));
    let Message::Truncate(truncate) = decoded.message else {
        panic!("not a truncate")
    };
    assert!(truncate.relations.eq([Oid(0x4001)]));
}

#[test]
fn a_frame_without_a_message_is_left_to_the_decoder() {
    let mut bytes = [0; 25];
    bytes[0] = b'w';
    let Ok(Frame::WalData(wal)) = Frame::parse(&bytes) else {
        panic!("not WAL data")
    };
    assert_eq!((wal.start, wal.end, wal.data), (Lsn(0), Lsn(0), &[][..]));
}

#[test]
fn a_keepalive_says_whether_a_reply_is_wanted() {
    for (byte, wanted) in [(0, false), (1, true)] {
        let mut bytes = [0; 18];
        bytes[0] = b'k';
        bytes[8] = 7;
        bytes[17] = byte;
        let Ok(Frame::Keepalive(keepalive)) = Frame::parse(&bytes) else {
            panic!("not a keepalive")
        };
        assert_eq!(keepalive.wal_end, Lsn(7));
        assert_eq!(keepalive.reply_requested, wanted);
    }
}
