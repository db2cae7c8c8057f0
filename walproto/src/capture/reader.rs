//! From the bytes of a file to its records.

use core::iter::FusedIterator;

use super::checksum::Checksum;
use super::error::{CaptureError, CaptureErrorKind};
use super::session::{Fields, Session};
use super::{FORMAT, FRAME, MAGIC, PLAIN, SESSION};
use crate::Timestamp;

/// The records of a capture file, which lend from its bytes.
///
/// After an error it ends.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: u64,
    in_session: bool,
}

/// One record of a capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// Where it begins in the file.
    pub offset: u64,
    /// When it was received, by the recorder's clock.
    pub time: Timestamp,
    /// What it holds.
    pub body: Body<'a>,
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// The stream was started: what follows is read with a new decoder, [`Session::decoder`], and without the
    /// relations of before, unless it is [`continued`](Session::continued).
    Session {
        /// What was asked for, and of which server.
        session: Session<'a>,
        /// Every key and value, those included that the recorder added.
        fields: Fields<'a>,
    },
    /// The body of one CopyData message, for [`Frame::parse`](crate::Frame::parse).
    Frame(&'a [u8]),
    /// A record of a kind that is not known here.
    Other(u8, &'a [u8]),
}

impl<'a> Reader<'a> {
    /// Reads the head of a file.
    ///
    /// # Errors
    ///
    /// [`NotACapture`](CaptureErrorKind::NotACapture), [`Format`](CaptureErrorKind::Format), or
    /// [`Torn`](CaptureErrorKind::Torn) where the file is shorter than its head, empty included.
    pub fn new(bytes: &'a [u8]) -> Result<Self, CaptureError> {
        let error = |kind, offset| CaptureError { kind, offset };
        let Some((magic, rest)) = bytes.split_first_chunk() else {
            return Err(if MAGIC.starts_with(bytes) {
                error(CaptureErrorKind::Torn, 0)
            } else {
                error(CaptureErrorKind::NotACapture, 0)
            });
        };
        if *magic != MAGIC {
            return Err(error(CaptureErrorKind::NotACapture, 0));
        }
        let Some((format, rest)) = rest.split_first_chunk() else {
            return Err(error(CaptureErrorKind::Torn, 0));
        };
        let format = u16::from_be_bytes(*format);
        if format != FORMAT {
            return Err(error(CaptureErrorKind::Format(format), MAGIC.len() as u64));
        }
        Ok(Self {
            rest,
            offset: (bytes.len() - rest.len()) as u64,
            in_session: false,
        })
    }

    /// Goes on in the middle of a file, at the beginning of a record, inside a session.
    ///
    /// So a file larger than memory is read in parts: where a part ends, the error
    /// [is torn](CaptureError::is_torn) and its offset is where the next part has to begin.
    pub const fn at(bytes: &'a [u8], offset: u64) -> Self {
        Self {
            rest: bytes,
            offset,
            in_session: true,
        }
    }

    /// Where the next record begins in the file.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    fn record(&mut self) -> Result<Record<'a>, CaptureError> {
        let bytes = self.rest;
        let offset = self.offset;
        let error = |kind, rest: &[u8]| CaptureError {
            kind,
            offset: offset + (bytes.len() - rest.len()) as u64,
        };
        let torn = error(CaptureErrorKind::Torn, bytes);

        let Some((plain, rest)) = bytes.split_first_chunk::<PLAIN>() else {
            return Err(torn);
        };
        let sum = Checksum::new().update(plain);
        let Some((stored, after)) = rest.split_first_chunk() else {
            return Err(torn);
        };
        if *stored != sum.finish().to_be_bytes() {
            if self.is_unwritten(after) {
                return Err(torn);
            }
            return Err(error(CaptureErrorKind::Checksum, rest));
        }
        let [kind, a, b, c, d, time @ ..] = *plain;
        let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| torn)?;
        let time = Timestamp(i64::from_be_bytes(time));
        let Some((body, rest)) = after.split_at_checked(len) else {
            return Err(torn);
        };
        let Some((stored, left)) = rest.split_first_chunk() else {
            return Err(torn);
        };
        if *stored != sum.update(body).finish().to_be_bytes() {
            if self.is_unwritten(left) {
                return Err(torn);
            }
            return Err(error(CaptureErrorKind::Checksum, rest));
        }
        let body_offset = offset + (bytes.len() - after.len()) as u64;
        let body = match kind {
            SESSION => Body::Session {
                session: Session::read(body, body_offset)?,
                fields: Fields(body),
            },
            _ if !self.in_session => return Err(error(CaptureErrorKind::NoSession, bytes)),
            FRAME => Body::Frame(body),
            _ => Body::Other(kind, body),
        };
        self.in_session = true;
        self.rest = left;
        self.offset = offset + (bytes.len() - left.len()) as u64;
        Ok(Record { offset, time, body })
    }

    /// Whether a record with a wrong checksum, which ends where `left` begins, is one whose last bytes never reached the
    /// disk: a file can have grown before its content did, and is then zero from the end of the write before, which is
    /// the end of a record, or from a sector on.
    #[cold]
    fn is_unwritten(&self, left: &[u8]) -> bool {
        const SECTOR: u64 = 512;
        let bytes = self.rest;
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let zeros_at = self.offset + (bytes.len() - zeros) as u64;
        let end = self.offset + (bytes.len() - left.len()) as u64;
        zeros == bytes.len() || zeros_at.next_multiple_of(SECTOR) < end
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Record<'a>, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

impl FusedIterator for Reader<'_> {}
