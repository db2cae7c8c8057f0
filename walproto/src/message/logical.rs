//! Messages an application wrote into the log itself.

use crate::Lsn;
use crate::error::{Field, Result};
use crate::reader::Reader;

/// From `pg_logical_emit_message`; sent when the option `messages` was asked for.
///
/// Layout: `M`, inside a stream block the transaction (4), flags (1), position (8), prefix (string), length (4), and as
/// many bytes. Written by `logicalrep_write_message` of `proto.c`. Bit 0 of the flags marks a transactional one; the
/// others have no meaning yet and are ignored. A negative length, or one past the end of the message, is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logical<'a> {
    /// Part of the surrounding transaction; otherwise it stands alone, is sent when it is decoded, and may come
    /// again after a restart.
    ///
    /// A transactional message from a subtransaction that was rolled back is sent all the same.
    pub transactional: bool,
    /// Its position: the end of its record.
    pub lsn: Lsn,
    /// What kind of message it is, as the application chose.
    pub prefix: &'a str,
    /// The content, any bytes.
    pub content: &'a [u8],
}

impl<'a> Logical<'a> {
    // proto.c: logicalrep_write_message
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        // Bits without a meaning yet are let through.
        let transactional = r.u8(Field::Flags)? & 1 != 0;
        let lsn = r.lsn(Field::MessageLsn)?;
        let prefix = r.name(Field::MessagePrefix)?;
        let at = r.rest();
        let len = r.length(Field::MessageLength)?;
        let content = r.bytes(len, at, Field::MessageLength)?;
        Ok(Self {
            transactional,
            lsn,
            prefix,
            content,
        })
    }
}
