//! A message that keeps its bytes.

use bytes::Bytes;

use crate::{Decoded, Decoder, Message, Result, Xid};

/// A message with the [`Bytes`] it was read from: it can be kept, cloned without a copy, and sent to another thread.
///
/// The bytes were checked when it was made, so lending the message never fails. It is read anew each time, which takes
/// some nanoseconds: ask once, and keep what was lent while you need it. As long as it lives, so does the buffer that
/// the bytes are a slice of; [`compact`](Self::compact) lets go of that.
///
/// ```
/// use bytes::Bytes;
/// use walproto::{Decoder, Message};
///
/// let bytes = Bytes::from_static(b"O\0\0\0\0\0\0\0\x28node\0");
/// let owned = Decoder::new().decode_owned(bytes)?;
/// let name = std::thread::spawn(move || match owned.message() {
///     Message::Origin(origin) => origin.name.len(),
///     _ => 0,
/// });
/// assert_eq!(name.join().unwrap(), 4);
/// # Ok::<(), walproto::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedMessage {
    bytes: Bytes,
    /// As it was before the message.
    decoder: Decoder,
}

impl OwnedMessage {
    /// The message, and the transaction it belongs to where the message says so.
    #[inline]
    pub fn decoded(&self) -> Decoded<'_> {
        let mut decoder = self.decoder;
        decoder
            .decode(&self.bytes)
            .expect("the same decoder read the same bytes when this was made")
    }

    /// The message.
    #[inline]
    pub fn message(&self) -> Message<'_> {
        self.decoded().message
    }

    /// The transaction it belongs to; only inside a stream block, see [`Decoded::xid`].
    #[inline]
    pub fn xid(&self) -> Option<Xid> {
        self.decoded().xid
    }

    /// The bytes, of which parts that were lent can be kept alone with [`Bytes::slice_ref`].
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Copies the bytes, so that a short message does not keep a large buffer alive.
    #[must_use]
    pub fn compact(&self) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(&self.bytes),
            decoder: self.decoder,
        }
    }
}

impl Decoder {
    /// Reads one message and keeps its bytes; see [`decode`](Self::decode).
    ///
    /// # Errors
    ///
    /// As for `decode`: anything the protocol does not allow. The state is then as before.
    pub fn decode_owned(&mut self, bytes: Bytes) -> Result<OwnedMessage> {
        let decoder = *self;
        self.decode(&bytes)?;
        Ok(OwnedMessage { bytes, decoder })
    }
}
