//! The only place that touches raw bytes and offsets.

use core::ffi::CStr;

use crate::error::{Error, ErrorKind, Field, Result};
use crate::{Lsn, Oid, Timestamp, Xid};

/// A cursor over one message; each call names the field it reads.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Length of the whole message, so that `len - rest.len()` is the offset.
    len: usize,
    tag: u8,
}

impl<'a> Reader<'a> {
    /// Takes the tag off; an empty message is an error.
    #[inline]
    pub(crate) fn new(message: &'a [u8]) -> Result<Self> {
        match message.split_first() {
            Some((&tag, rest)) => Ok(Self {
                rest,
                len: message.len(),
                tag,
            }),
            None => Err(Error {
                kind: ErrorKind::Empty,
                field: Field::Tag,
                tag: 0,
                offset: 0,
            }),
        }
    }

    /// A cursor over a part of a message.
    #[cfg(test)]
    pub(crate) const fn over(checked: &'a [u8]) -> Self {
        Self {
            rest: checked,
            len: checked.len(),
            tag: 0,
        }
    }

    #[inline]
    pub(crate) const fn tag(&self) -> u8 {
        self.tag
    }

    #[inline]
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Goes on behind what the caller read from [`rest`](Self::rest) itself.
    #[inline]
    pub(crate) const fn continue_at(&mut self, rest: &'a [u8]) {
        self.rest = rest;
    }

    #[inline]
    pub(crate) fn error(&self, kind: ErrorKind, field: Field) -> Error {
        self.error_at(self.rest, kind, field)
    }

    /// An error at the first byte of `rest`, which must be a tail of the message.
    // The cold part takes values: a reference to the reader would keep it in memory instead of registers.
    #[inline]
    pub(crate) fn error_at(&self, rest: &[u8], kind: ErrorKind, field: Field) -> Error {
        error(self.len, rest.len(), self.tag, kind, field)
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: Field) -> Result<[u8; N]> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(self.error(ErrorKind::Truncated, field));
        };
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: Field) -> Result<u8> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: Field) -> Result<u16> {
        self.array(field).map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: Field) -> Result<u32> {
        self.array(field).map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn i32(&mut self, field: Field) -> Result<i32> {
        self.array(field).map(i32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn oid(&mut self, field: Field) -> Result<Oid> {
        self.u32(field).map(Oid)
    }

    #[inline]
    pub(crate) fn xid(&mut self, field: Field) -> Result<Xid> {
        self.u32(field).map(Xid)
    }

    #[inline]
    pub(crate) fn lsn(&mut self, field: Field) -> Result<Lsn> {
        self.array(field).map(u64::from_be_bytes).map(Lsn)
    }

    /// A position that PostgreSQL's own reader refuses when it is 0/0.
    #[inline]
    pub(crate) fn set_lsn(&mut self, field: Field) -> Result<Lsn> {
        let at = self.rest;
        match self.lsn(field)? {
            Lsn::ZERO => Err(self.error_at(at, ErrorKind::ZeroLsn, field)),
            lsn => Ok(lsn),
        }
    }

    #[inline]
    pub(crate) fn timestamp(&mut self, field: Field) -> Result<Timestamp> {
        self.array(field).map(i64::from_be_bytes).map(Timestamp)
    }

    /// Flags of which no bit has a meaning yet.
    #[inline]
    pub(crate) fn zero_flags(&mut self) -> Result<()> {
        let at = self.rest;
        match self.u8(Field::Flags)? {
            0 => Ok(()),
            _ => Err(self.error_at(at, ErrorKind::NonZeroFlags, Field::Flags)),
        }
    }

    /// A length or count that must not be negative.
    #[inline]
    pub(crate) fn length(&mut self, field: Field) -> Result<usize> {
        let at = self.rest;
        usize::try_from(self.i32(field)?).map_err(|_| self.error_at(at, ErrorKind::Negative, field))
    }

    /// A string with its closing zero byte.
    pub(crate) fn name(&mut self, field: Field) -> Result<&'a str> {
        let Ok(name) = CStr::from_bytes_until_nul(self.rest) else {
            return Err(self.error(ErrorKind::Unterminated, field));
        };
        let Ok(text) = name.to_str() else {
            return Err(self.error(ErrorKind::NotUtf8, field));
        };
        self.rest = self.rest.get(name.count_bytes() + 1..).unwrap_or_default();
        Ok(text)
    }

    /// A global transaction identifier, at most 199 characters.
    ///
    /// The server's limit (`GIDSIZE` less the zero byte) counts bytes in the encoding of the database; 150 letters `é`
    /// from a LATIN1 database arrive as 300 bytes (seen with 15.18).
    pub(crate) fn gid(&mut self) -> Result<&'a str> {
        let at = self.rest;
        let gid = self.name(Field::Gid)?;
        if gid.len() > 199 && gid.chars().count() > 199 {
            return Err(self.error_at(at, ErrorKind::TooLong, Field::Gid));
        }
        Ok(gid)
    }

    /// `len` bytes; `length_at` is where the length stood, for the error.
    #[inline]
    pub(crate) fn bytes(&mut self, len: usize, length_at: &[u8], field: Field) -> Result<&'a [u8]> {
        let Some((bytes, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.error_at(length_at, ErrorKind::PastEnd, field));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// The message must end here.
    #[inline]
    pub(crate) fn finish(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error(ErrorKind::TrailingBytes, Field::End))
    }
}

#[cold]
#[inline(never)]
fn error(len: usize, rest: usize, tag: u8, kind: ErrorKind, field: Field) -> Error {
    Error {
        kind,
        field,
        tag,
        offset: u32::try_from(len.saturating_sub(rest)).unwrap_or(u32::MAX),
    }
}
