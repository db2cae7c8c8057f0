//! The only place that writes raw bytes: into a buffer, and past its end, where they are only counted.

use core::fmt;

use super::error::{EncodeError, EncodeErrorKind};
use crate::error::Field;
use crate::{Lsn, Oid, Timestamp, Xid};

/// A cursor over a buffer. What is wrong is kept, the first time, for the end.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    /// How many bytes were written or would have been.
    len: usize,
    tag: u8,
    refused: Option<(EncodeErrorKind, Field)>,
}

impl<'b> Writer<'b> {
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            len: 0,
            tag: 0,
            refused: None,
        }
    }

    /// What was written and what is left of the buffer.
    #[inline]
    pub(crate) fn finish(self) -> Result<(&'b mut [u8], &'b mut [u8]), EncodeError> {
        let len = self.len()?;
        match self.buffer.split_at_mut_checked(len) {
            Some(parts) => Ok(parts),
            None => Err(EncodeError {
                kind: EncodeErrorKind::BufferTooSmall { needed: len },
                field: Field::End,
                tag: self.tag,
            }),
        }
    }

    /// How many bytes that takes, whether or not the buffer had them.
    #[inline]
    pub(crate) fn len(&self) -> Result<usize, EncodeError> {
        match self.refused {
            None => Ok(self.len),
            Some((kind, field)) => Err(EncodeError {
                kind,
                field,
                tag: self.tag,
            }),
        }
    }

    pub(crate) const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    #[cold]
    pub(crate) fn refuse(&mut self, kind: EncodeErrorKind, field: Field) {
        self.refused.get_or_insert((kind, field));
    }

    #[inline]
    fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        let rest = self.buffer.get_mut(self.len..).unwrap_or_default();
        if let Some(place) = rest.first_chunk_mut() {
            *place = bytes;
        }
        self.len = self.len.saturating_add(N);
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let rest = self.buffer.get_mut(self.len..).unwrap_or_default();
        if let Some(place) = rest.get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.len = self.len.saturating_add(bytes.len());
    }

    pub(crate) fn tag(&mut self, tag: u8) {
        self.tag = tag;
        self.u8(tag);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.array([value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.array(value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.array(value.to_be_bytes());
    }

    pub(crate) fn oid(&mut self, oid: Oid) {
        self.array(oid.0.to_be_bytes());
    }

    pub(crate) fn xid(&mut self, xid: Xid) {
        self.array(xid.0.to_be_bytes());
    }

    pub(crate) fn lsn(&mut self, lsn: Lsn) {
        self.array(lsn.0.to_be_bytes());
    }

    /// A position that PostgreSQL's own reader refuses when it is 0/0.
    pub(crate) fn set_lsn(&mut self, lsn: Lsn, field: Field) {
        if lsn.is_zero() {
            self.refuse(EncodeErrorKind::ZeroLsn, field);
        }
        self.lsn(lsn);
    }

    pub(crate) fn timestamp(&mut self, time: Timestamp) {
        self.array(time.0.to_be_bytes());
    }

    /// Flags of which no bit has a meaning yet.
    pub(crate) fn zero_flags(&mut self) {
        self.u8(0);
    }

    /// A string and its closing zero byte.
    pub(crate) fn name(&mut self, name: &str, field: Field) {
        self.check_text(name.as_bytes(), field);
        self.bytes(name.as_bytes());
        self.u8(0);
    }

    /// A global transaction identifier, at most 199 characters.
    pub(crate) fn gid(&mut self, gid: &str) {
        if gid.len() > 199 && gid.chars().count() > 199 {
            self.refuse(EncodeErrorKind::TooLong, Field::Gid);
        }
        self.name(gid, Field::Gid);
    }

    /// A length of 32 bits and as many bytes.
    #[inline]
    pub(crate) fn counted(&mut self, bytes: &[u8], field: Field) {
        let len = self.length(bytes.len(), EncodeErrorKind::TooLong, field);
        self.i32(len);
        self.bytes(bytes);
    }

    /// A length or count as the protocol has it.
    #[inline]
    pub(crate) fn length(&mut self, len: usize, kind: EncodeErrorKind, field: Field) -> i32 {
        i32::try_from(len).unwrap_or_else(|_| {
            self.refuse(kind, field);
            0
        })
    }

    pub(crate) fn check_text(&mut self, text: &[u8], field: Field) {
        if text.contains(&0) {
            self.refuse(EncodeErrorKind::ZeroByte, field);
        }
    }

    /// Text of unknown length, behind a length of 32 bits.
    pub(crate) fn display(&mut self, value: &dyn fmt::Display, field: Field) {
        let length_at = self.len;
        self.i32(0);
        let start = self.len;
        let written = fmt::write(&mut Text { w: self, field }, format_args!("{value}"));
        if written.is_err() {
            self.refuse(EncodeErrorKind::NotDisplayed, field);
        }
        let len = self.len.saturating_sub(start);
        let len = self.length(len, EncodeErrorKind::TooLong, field);
        let place = self.buffer.get_mut(length_at..).unwrap_or_default();
        if let Some(place) = place.first_chunk_mut() {
            *place = len.to_be_bytes();
        }
    }
}

/// The text form of a column, as it is being formatted.
struct Text<'w, 'b> {
    w: &'w mut Writer<'b>,
    field: Field,
}

impl fmt::Write for Text<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.w.check_text(text.as_bytes(), self.field);
        self.w.bytes(text.as_bytes());
        Ok(())
    }
}
