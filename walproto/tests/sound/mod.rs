//! Sound messages, laid out by hand; a number in a comment is the offset of its field.

pub(crate) const BEGIN: &[u8] = &[
    b'B', //
    0, 0, 0, 0, 1, 0, 0, 0, // 1: final position
    0, 2, 0, 0, 0, 0, 0, 0, // 9: commit time
    0, 0, 2, 0xEE, // 17: transaction
];

pub(crate) const COMMIT: &[u8] = &[
    b'C', //
    0,    // 1: flags
    0, 0, 0, 0, 1, 0, 0, 0, // 2: commit position
    0, 0, 0, 0, 1, 0, 0, 48, // 10: end position
    0, 2, 0, 0, 0, 0, 0, 0, // 18: commit time
];

pub(crate) const STREAM_COMMIT: &[u8] = &[
    b'c', //
    0, 0, 2, 0xEE, // 1: transaction
    0,    // 5: flags
    0, 0, 0, 0, 1, 0, 0, 0, // 6: commit position
    0, 0, 0, 0, 1, 0, 0, 48, // 14: end position
    0, 2, 0, 0, 0, 0, 0, 0, // 22: commit time
];

pub(crate) const BEGIN_PREPARE: &[u8] = &[
    b'b', //
    0, 0, 0, 0, 1, 0, 0, 0, // 1: prepare position
    0, 0, 0, 0, 1, 0, 0, 48, // 9: end position
    0, 2, 0, 0, 0, 0, 0, 0, // 17: prepare time
    0, 0, 2, 0xEE, // 25: transaction
    b'g', 0, // 29: global identifier
];

/// The same for Prepare, Commit Prepared and Stream Prepare, but for the first byte.
pub(crate) const PREPARE: &[u8] = &[
    b'P', //
    0,    // 1: flags
    0, 0, 0, 0, 1, 0, 0, 0, // 2: prepare (commit) position
    0, 0, 0, 0, 1, 0, 0, 48, // 10: end position
    0, 2, 0, 0, 0, 0, 0, 0, // 18: prepare (commit) time
    0, 0, 2, 0xEE, // 26: transaction
    b'g', 0, // 30: global identifier
];

pub(crate) const ROLLBACK_PREPARED: &[u8] = &[
    b'r', //
    0,    // 1: flags
    0, 0, 0, 0, 1, 0, 0, 48, // 2: end position of the prepare
    0, 0, 0, 0, 1, 0, 0, 96, // 10: end position of the rollback
    0, 2, 0, 0, 0, 0, 0, 0, // 18: prepare time
    0, 2, 0, 0, 0, 0, 0, 1, // 26: rollback time
    0, 0, 2, 0xEE, // 34: transaction
    b'g', 0, // 38: global identifier
];

pub(crate) const RELATION: &[u8] = &[
    b'R', //
    0, 0, 0x40, 1, // 1: oid
    b's', 0, // 5: namespace
    b't', 0,    // 7: name
    b'd', // 9: replica identity
    0, 1, // 10: one column
    1, // 12: part of the key
    b'i', b'd', 0, // 13: its name
    0, 0, 0, 23, // 16: its type
    0xFF, 0xFF, 0xFF, 0xFF, // 20: no type modifier
];

pub(crate) const TYPE: &[u8] = &[
    b'Y', //
    0, 0, 0x40, 2, // 1: oid
    b's', 0, // 5: namespace
    b'm', 0, // 7: name
];

pub(crate) const ORIGIN: &[u8] = &[
    b'O', //
    0, 0, 0, 0, 0, 0, 0x30, 0x39, // 1: commit position over there
    b'n', 0, // 9: name
];

pub(crate) const LOGICAL: &[u8] = &[
    b'M', //
    1,    // 1: flags: transactional
    0, 0, 0, 0, 1, 0, 0, 0, // 2: position
    b'p', 0, // 10: prefix
    0, 0, 0, 2, // 12: length
    b'h', b'i', // 16: content
];

pub(crate) const INSERT: &[u8] = &[
    b'I', //
    0, 0, 0x40, 1,    // 1: relation
    b'N', // 5: new row
    0, 1, // 6: one column
    b't', 0, 0, 0, 2, b'4', b'2', // 8: its kind, 9: its length, 13: its text
];

pub(crate) const UPDATE: &[u8] = &[
    b'U', //
    0, 0, 0x40, 1,    // 1: relation
    b'K', // 5: old key
    0, 1, b'n', // 6: one column, 8: NULL
    b'N', // 9: new row
    0, 1, b'n', // 10: one column, 12: NULL
];

pub(crate) const DELETE: &[u8] = &[
    b'D', //
    0, 0, 0x40, 1,    // 1: relation
    b'K', // 5: old key
    0, 1, b'n', // 6: one column, 8: NULL
];

pub(crate) const TRUNCATE: &[u8] = &[
    b'T', //
    0, 0, 0, 1, // 1: one relation
    0, // 5: flags
    0, 0, 0x40, 1, // 6: its oid
];

pub(crate) const STREAM_START: &[u8] = &[
    b'S', //
    0, 0, 2, 0xEE, // 1: transaction
    1,    // 5: first segment
];

pub(crate) const STREAM_ABORT: &[u8] = &[
    b'A', //
    0, 0, 2, 0xEE, // 1: transaction
    0, 0, 2, 0xEF, // 5: subtransaction
];

pub(crate) const PARALLEL_ABORT: &[u8] = &[
    b'A', //
    0, 0, 2, 0xEE, // 1: transaction
    0, 0, 2, 0xEF, // 5: subtransaction
    0, 0, 0, 0, 1, 0, 0, 0, // 9: abort position
    0, 2, 0, 0, 0, 0, 0, 0, // 17: abort time
];
