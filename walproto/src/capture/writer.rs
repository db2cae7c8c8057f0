//! From records to the bytes of a file.

use core::fmt;

use super::checksum::Checksum;
use super::{FORMAT, FRAME, MAGIC, PLAIN};
use crate::Timestamp;

/// Where bytes are put: a `Vec<u8>`, or anything else that can be extended by them.
pub trait Sink {
    /// Takes these bytes too.
    fn put(&mut self, bytes: &[u8]);
}

impl<T: for<'a> Extend<&'a u8>> Sink for T {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend(bytes);
    }
}

/// More than the 4 GiB that a record or a text in it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more than the 4 GiB that a record of a capture file can hold")
    }
}

impl core::error::Error for TooLong {}

/// Writes the head of a file; a session comes next.
pub fn write_head(out: &mut impl Sink) {
    out.put(&MAGIC);
    out.put(&FORMAT.to_be_bytes());
}

/// Writes the record of one CopyData message, `frame`, which was received at `time`.
///
/// # Errors
///
/// A frame of more than 4 GiB, which no server can send; nothing is written.
#[inline]
pub fn write_frame(time: Timestamp, frame: &[u8], out: &mut impl Sink) -> Result<(), TooLong> {
    let envelope = Envelope::frame(time, frame)?;
    out.put(envelope.head());
    out.put(frame);
    out.put(&envelope.tail());
    Ok(())
}

/// What stands before and behind a frame in the file, for who writes it from where it is.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    head: [u8; PLAIN + 4],
    sum: Checksum,
}

impl Envelope {
    /// For one CopyData message that was received at `time`: write [`head`](Self::head), the message,
    /// [`tail`](Self::tail).
    ///
    /// # Errors
    ///
    /// A frame of more than 4 GiB, which no server can send.
    #[inline]
    pub fn frame(time: Timestamp, frame: &[u8]) -> Result<Self, TooLong> {
        let mut envelope = Self::begin(FRAME, time, frame.len())?;
        envelope.update(frame);
        Ok(envelope)
    }

    pub(super) fn begin(kind: u8, time: Timestamp, len: usize) -> Result<Self, TooLong> {
        let [a, b, c, d] = u32::try_from(len).map_err(|_| TooLong)?.to_be_bytes();
        let [e, f, g, h, i, j, k, l] = time.0.to_be_bytes();
        let plain: [u8; PLAIN] = [kind, a, b, c, d, e, f, g, h, i, j, k, l];
        let sum = Checksum::new().update(&plain);
        let [m, n, o, p] = sum.finish().to_be_bytes();
        Ok(Self {
            head: [kind, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p],
            sum,
        })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sum = self.sum.update(bytes);
    }

    /// What stands before the message.
    pub const fn head(&self) -> &[u8; 17] {
        &self.head
    }

    /// What stands behind the message.
    pub const fn tail(&self) -> [u8; 4] {
        self.sum.finish().to_be_bytes()
    }
}

/// A length and a text, into the envelope's checksum too.
pub(super) fn put(envelope: &mut Envelope, text: &str, out: &mut impl Sink) -> Result<(), TooLong> {
    let len = u32::try_from(text.len())
        .map_err(|_| TooLong)?
        .to_be_bytes();
    for bytes in [&len, text.as_bytes()] {
        envelope.update(bytes);
        out.put(bytes);
    }
    Ok(())
}
