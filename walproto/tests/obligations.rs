//! What the parser must refuse: one test per rule, on bytes laid out by hand.
//!
//! What needs memory is not here, because the parser has none: an oid without a Relation, a row with another number of
//! columns than its Relation, equal column names, and messages in an order that the protocol does not have. `walstream`
//! checks those. Cuts at every byte are in `truncation.rs`, what must be accepted in `accepted.rs`.

mod sound;

use sound::{
    BEGIN, BEGIN_PREPARE, COMMIT, DELETE, INSERT, LOGICAL, ORIGIN, PARALLEL_ABORT, PREPARE,
    RELATION, ROLLBACK_PREPARED, STREAM_ABORT, STREAM_COMMIT, STREAM_START, TRUNCATE, TYPE, UPDATE,
};
use walproto::{Decoder, Error, ErrorKind, Field, Frame};

const TEXT: Decoder = Decoder::new();
const BINARY: Decoder = Decoder::new().binary(true);
const PARALLEL: Decoder = Decoder::new().parallel(true);
const IN_BLOCK: Decoder = Decoder::new().inside_block(true);

/// The decoder refuses the bytes for this reason, names the message, and is left as it was.
#[track_caller]
fn refused(decoder: Decoder, bytes: &[u8], kind: ErrorKind, field: Field, offset: u32) -> Error {
    let mut after = decoder;
    let error = after.decode(bytes).expect_err("must be refused");
    assert_eq!(
        (error.kind, error.field, error.offset),
        (kind, field, offset),
        "{error}"
    );
    assert_eq!(error.tag, bytes.first().copied().unwrap_or(0));
    assert_eq!(after, decoder, "an error must not move the decoder");
    error
}

/// The bytes, with `patch` laid over them at `at`.
fn patched(bytes: &[u8], at: usize, patch: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + patch.len()].copy_from_slice(patch);
    bytes
}

#[test]
fn the_messages_are_sound_before_they_are_broken() {
    for bytes in [
        BEGIN,
        COMMIT,
        STREAM_COMMIT,
        BEGIN_PREPARE,
        PREPARE,
        &patched(PREPARE, 0, b"K"),
        &patched(PREPARE, 0, b"p"),
        ROLLBACK_PREPARED,
        RELATION,
        TYPE,
        ORIGIN,
        LOGICAL,
        INSERT,
        UPDATE,
        DELETE,
        TRUNCATE,
        STREAM_START,
        STREAM_ABORT,
    ] {
        assert_eq!(TEXT.clone().decode(bytes).err(), None, "{bytes:?}");
    }
    assert_eq!(PARALLEL.clone().decode(PARALLEL_ABORT).err(), None);
}

// Obligation 1: whole messages.

#[test]
fn an_empty_message_is_refused() {
    let error = refused(TEXT, &[], ErrorKind::Empty, Field::Tag, 0);
    assert_eq!(error.to_string(), "empty message");
}

#[test]
fn a_type_byte_outside_the_protocol_is_refused() {
    let known = b"BCORYIUDTMSEcAbPKrp";
    let mut unknown = 0;
    for tag in (0..=u8::MAX).filter(|tag| !known.contains(tag)) {
        let error = refused(TEXT, &[tag], ErrorKind::UnknownTag, Field::Tag, 0);
        assert!(error.to_string().starts_with("unknown message type"));
        refused(
            IN_BLOCK,
            &[tag, 0, 0, 2, 0xEE],
            ErrorKind::UnknownTag,
            Field::Tag,
            0,
        );
        unknown += 1;
    }
    assert_eq!(unknown, 256 - 19);
}

#[test]
fn bytes_behind_a_complete_message_are_refused() {
    let error = refused(
        TEXT,
        &[COMMIT, &[0]].concat(),
        ErrorKind::TrailingBytes,
        Field::End,
        26,
    );
    assert_eq!(
        error.to_string(),
        "bytes left over after the message, in Commit ('C') at byte 26"
    );
}

// Obligation 2: strings.

#[test]
fn a_string_without_its_zero_byte_is_refused_where_it_begins() {
    for (message, field, offset) in [
        (ORIGIN, Field::OriginName, 9),
        (TYPE, Field::TypeName, 7),
        (BEGIN_PREPARE, Field::Gid, 29),
        (PREPARE, Field::Gid, 30),
        (ROLLBACK_PREPARED, Field::Gid, 38),
    ] {
        let (_zero, open) = message.split_last().unwrap();
        refused(TEXT, open, ErrorKind::Unterminated, field, offset);
    }
    for (message, cut, field, offset) in [
        (TYPE, 6, Field::Namespace, 5),
        (RELATION, 6, Field::Namespace, 5),
        (RELATION, 8, Field::RelationName, 7),
        (RELATION, 15, Field::ColumnName, 13),
        (LOGICAL, 11, Field::MessagePrefix, 10),
    ] {
        refused(
            TEXT,
            &message[..cut],
            ErrorKind::Unterminated,
            field,
            offset,
        );
    }
}

#[test]
fn a_name_that_is_not_utf8_is_refused_and_never_mended() {
    for (message, at, field) in [
        (ORIGIN, 9, Field::OriginName),
        (TYPE, 5, Field::Namespace),
        (TYPE, 7, Field::TypeName),
        (RELATION, 5, Field::Namespace),
        (RELATION, 7, Field::RelationName),
        (RELATION, 13, Field::ColumnName),
        (LOGICAL, 10, Field::MessagePrefix),
        (BEGIN_PREPARE, 29, Field::Gid),
        (PREPARE, 30, Field::Gid),
        (ROLLBACK_PREPARED, 38, Field::Gid),
    ] {
        let broken = patched(message, at, &[0xFF]);
        let offset = u32::try_from(at).unwrap();
        refused(TEXT, &broken, ErrorKind::NotUtf8, field, offset);
    }
}

#[test]
fn a_global_identifier_of_200_characters_is_refused() {
    // PostgreSQL's own reader cuts it off.
    for (message, offset) in [(BEGIN_PREPARE, 29), (PREPARE, 30), (ROLLBACK_PREPARED, 38)] {
        let long = [&message[..offset], &[b'g'; 200], &[0]].concat();
        let offset = u32::try_from(offset).unwrap();
        refused(TEXT, &long, ErrorKind::TooLong, Field::Gid, offset);
    }
}

// Obligation 3: rows.

#[test]
fn a_column_of_an_unknown_kind_is_refused() {
    for kind in (0..=u8::MAX).filter(|kind| !b"nutb".contains(kind)) {
        let broken = patched(INSERT, 8, &[kind]);
        refused(
            BINARY,
            &broken,
            ErrorKind::UnexpectedByte,
            Field::ColumnKind,
            8,
        );
    }
}

#[test]
fn a_negative_column_length_is_refused() {
    for length in [-1, i32::MIN] {
        let broken = patched(INSERT, 9, &length.to_be_bytes());
        refused(TEXT, &broken, ErrorKind::Negative, Field::ColumnLength, 9);
    }
}

#[test]
fn a_column_length_past_the_end_is_refused() {
    for length in [3, i32::MAX] {
        let broken = patched(INSERT, 9, &length.to_be_bytes());
        let error = refused(TEXT, &broken, ErrorKind::PastEnd, Field::ColumnLength, 9);
        assert_eq!(
            error.to_string(),
            "length or count past the end of the message, in column length of Insert ('I') at byte 9"
        );
    }
}

#[test]
fn more_columns_than_bytes_are_refused_at_the_count() {
    // Each column takes a byte or more, and 7 bytes follow the count.
    for count in [8_u16, 0x7FFF, 0x8000, 0xFFFF] {
        let broken = patched(INSERT, 6, &count.to_be_bytes());
        refused(TEXT, &broken, ErrorKind::PastEnd, Field::ColumnCount, 6);
    }
}

#[test]
fn a_binary_column_that_nobody_asked_for_is_refused() {
    let binary = patched(INSERT, 8, b"b");
    assert_eq!(BINARY.clone().decode(&binary).err(), None);
    refused(
        TEXT,
        &binary,
        ErrorKind::BinaryNotAsked,
        Field::ColumnKind,
        8,
    );
}

// Obligation 4: marks before rows.

#[test]
fn an_update_begins_with_old_key_old_row_or_new_row() {
    for mark in (0..=u8::MAX).filter(|mark| !b"KON".contains(mark)) {
        let broken = patched(UPDATE, 5, &[mark]);
        refused(TEXT, &broken, ErrorKind::UnexpectedByte, Field::TupleTag, 5);
    }
}

#[test]
fn an_old_row_is_followed_by_the_new_one() {
    for mark in (0..=u8::MAX).filter(|mark| *mark != b'N') {
        let broken = patched(UPDATE, 9, &[mark]);
        refused(TEXT, &broken, ErrorKind::UnexpectedByte, Field::TupleTag, 9);
    }
    refused(TEXT, &UPDATE[..9], ErrorKind::Truncated, Field::TupleTag, 9);
}

#[test]
fn a_delete_has_an_old_row_and_never_a_new_one() {
    for mark in (0..=u8::MAX).filter(|mark| !b"KO".contains(mark)) {
        let broken = patched(DELETE, 5, &[mark]);
        refused(TEXT, &broken, ErrorKind::UnexpectedByte, Field::TupleTag, 5);
    }
}

#[test]
fn an_insert_has_a_new_row_and_nothing_else() {
    for mark in (0..=u8::MAX).filter(|mark| *mark != b'N') {
        let broken = patched(INSERT, 5, &[mark]);
        refused(TEXT, &broken, ErrorKind::UnexpectedByte, Field::TupleTag, 5);
    }
}

#[test]
fn a_change_that_ends_before_its_row_ends_too_early() {
    for change in [INSERT, UPDATE, DELETE] {
        refused(TEXT, &change[..5], ErrorKind::Truncated, Field::TupleTag, 5);
    }
}

// Obligation 5: counts and lengths outside rows.

#[test]
fn a_negative_count_of_truncated_relations_is_refused() {
    let broken = patched(TRUNCATE, 1, &(-1_i32).to_be_bytes());
    refused(TEXT, &broken, ErrorKind::Negative, Field::RelationCount, 1);
}

#[test]
fn more_truncated_relations_than_bytes_are_refused_at_the_count() {
    // Four times the third is 0 in 32 bits, four times the last overflows them.
    for count in [2, 0x1000_0000, 0x4000_0000, i32::MAX] {
        let broken = patched(TRUNCATE, 1, &count.to_be_bytes());
        refused(TEXT, &broken, ErrorKind::PastEnd, Field::RelationCount, 1);
    }
}

#[test]
fn message_content_has_a_length_that_fits() {
    let broken = patched(LOGICAL, 12, &(-1_i32).to_be_bytes());
    refused(TEXT, &broken, ErrorKind::Negative, Field::MessageLength, 12);
    for length in [3, i32::MAX] {
        let broken = patched(LOGICAL, 12, &length.to_be_bytes());
        refused(TEXT, &broken, ErrorKind::PastEnd, Field::MessageLength, 12);
    }
}

#[test]
fn more_relation_columns_than_bytes_are_refused_at_the_count() {
    // 12 bytes follow the count.
    for count in [13_u16, 0x7FFF, 0x8000, 0xFFFF] {
        let broken = patched(RELATION, 10, &count.to_be_bytes());
        refused(TEXT, &broken, ErrorKind::PastEnd, Field::ColumnCount, 10);
    }
}

#[test]
fn a_replica_identity_outside_d_n_f_i_is_refused() {
    for identity in (0..=u8::MAX).filter(|identity| !b"dnfi".contains(identity)) {
        let broken = patched(RELATION, 9, &[identity]);
        refused(
            TEXT,
            &broken,
            ErrorKind::UnexpectedByte,
            Field::ReplicaIdentity,
            9,
        );
    }
}

// Obligation 6: flags and positions.

#[test]
fn flags_without_a_meaning_must_be_zero() {
    for (message, at) in [
        (COMMIT, 1),
        (STREAM_COMMIT, 5),
        (PREPARE, 1),
        (&patched(PREPARE, 0, b"K"), 1),
        (&patched(PREPARE, 0, b"p"), 1),
        (ROLLBACK_PREPARED, 1),
    ] {
        for flags in [1, 0x80, 0xFF] {
            let broken = patched(message, at, &[flags]);
            let offset = u32::try_from(at).unwrap();
            refused(TEXT, &broken, ErrorKind::NonZeroFlags, Field::Flags, offset);
        }
    }
}

#[test]
fn a_position_that_postgresql_refuses_at_zero_is_refused_at_zero() {
    for (message, at, field) in [
        (BEGIN, 1, Field::FinalLsn),
        (BEGIN_PREPARE, 1, Field::PrepareLsn),
        (BEGIN_PREPARE, 9, Field::EndLsn),
        (PREPARE, 2, Field::PrepareLsn),
        (PREPARE, 10, Field::EndLsn),
        (&patched(PREPARE, 0, b"p"), 2, Field::PrepareLsn),
        (&patched(PREPARE, 0, b"p"), 10, Field::EndLsn),
        (&patched(PREPARE, 0, b"K"), 2, Field::CommitLsn),
        (&patched(PREPARE, 0, b"K"), 10, Field::EndLsn),
        (ROLLBACK_PREPARED, 2, Field::PrepareEndLsn),
        (ROLLBACK_PREPARED, 10, Field::RollbackEndLsn),
    ] {
        let broken = patched(message, at, &[0; 8]);
        let offset = u32::try_from(at).unwrap();
        refused(TEXT, &broken, ErrorKind::ZeroLsn, field, offset);
    }
}

// Obligation 7, as far as blocks go, which change how a message is read.

#[test]
fn what_stands_outside_blocks_is_refused_inside_one() {
    for message in [
        BEGIN,
        COMMIT,
        STREAM_START,
        STREAM_COMMIT,
        STREAM_ABORT,
        BEGIN_PREPARE,
        PREPARE,
        &patched(PREPARE, 0, b"K"),
        &patched(PREPARE, 0, b"p"),
        ROLLBACK_PREPARED,
    ] {
        refused(IN_BLOCK, message, ErrorKind::InsideBlock, Field::Tag, 0);
    }
}

#[test]
fn a_stream_stop_without_a_start_is_refused() {
    refused(TEXT, b"E", ErrorKind::OutsideBlock, Field::Tag, 0);
    let mut decoder = TEXT;
    decoder.decode(STREAM_START).unwrap();
    decoder.decode(b"E").unwrap();
    refused(decoder, b"E", ErrorKind::OutsideBlock, Field::Tag, 0);
}

#[test]
fn a_first_segment_mark_is_0_or_1() {
    for mark in 2..=u8::MAX {
        let broken = patched(STREAM_START, 5, &[mark]);
        refused(
            TEXT,
            &broken,
            ErrorKind::UnexpectedByte,
            Field::FirstSegment,
            5,
        );
    }
}

// Obligation 8: frames.

#[track_caller]
fn refused_frame(bytes: &[u8], kind: ErrorKind, field: Field, offset: u32) {
    let error = Frame::parse(bytes).expect_err("must be refused");
    assert_eq!(
        (error.kind, error.field, error.offset),
        (kind, field, offset)
    );
}

#[test]
fn wal_data_shorter_than_25_bytes_is_refused() {
    let frame: Vec<u8> = [b'w'].into_iter().chain([0; 24]).collect();
    assert_eq!(frame.len(), 25);
    assert!(Frame::parse(&frame).is_ok());
    refused_frame(&frame[..24], ErrorKind::Truncated, Field::SendTime, 17);
    refused_frame(&frame[..16], ErrorKind::Truncated, Field::WalEnd, 9);
    refused_frame(&frame[..8], ErrorKind::Truncated, Field::WalStart, 1);
}

#[test]
fn a_keepalive_has_18_bytes_neither_less_nor_more() {
    let frame: Vec<u8> = [b'k'].into_iter().chain([0; 18]).collect();
    assert!(Frame::parse(&frame[..18]).is_ok());
    refused_frame(
        &frame[..17],
        ErrorKind::Truncated,
        Field::ReplyRequested,
        17,
    );
    refused_frame(&frame, ErrorKind::TrailingBytes, Field::End, 18);
}

#[test]
fn a_frame_that_nobody_asked_for_is_refused() {
    refused_frame(&[], ErrorKind::Empty, Field::Tag, 0);
    // Server 19 answers 'p' with a primary status 's' of 33 bytes; we never send 'p'.
    let status: Vec<u8> = [b's'].into_iter().chain([0; 32]).collect();
    refused_frame(&status, ErrorKind::UnknownTag, Field::Tag, 0);
    for tag in (0..=u8::MAX).filter(|tag| !b"wk".contains(tag)) {
        refused_frame(&[tag; 25], ErrorKind::UnknownTag, Field::Tag, 0);
    }
}

// Obligation 9: the two forms of Stream Abort.

#[test]
fn a_stream_abort_has_the_form_that_was_asked_for() {
    refused(
        PARALLEL,
        STREAM_ABORT,
        ErrorKind::AbortWithoutPosition,
        Field::AbortLsn,
        9,
    );
    refused(
        TEXT,
        PARALLEL_ABORT,
        ErrorKind::AbortWithPosition,
        Field::AbortLsn,
        9,
    );
}
