//! Whole sessions through one decoder, which keeps its state from message to message.

use testdata::capture::Streaming;
use testdata::expected;
#[cfg(feature = "encode")]
use walproto::{Decoded, Encoder};
use walproto::{Decoder, Error, ErrorKind, Field, Message, Tuple};

/// Messages one after the other through one decoder, each behind a 16-bit length; the first byte is what was asked for.
pub fn decode(data: &[u8]) {
    let Some((&asked, mut rest)) = data.split_first() else {
        return;
    };
    let mut session = Session::new(asked & 1 != 0, asked & 2 != 0);
    while let Some((len, tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes(*len)).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        session.message(bytes);
        rest = tail;
    }
}

/// An input for [`decode`]; messages too long for it are left out.
pub fn session<'a>(
    parallel: bool,
    binary: bool,
    messages: impl Iterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut input = vec![u8::from(parallel) | u8::from(binary) << 1];
    for message in messages {
        if let Ok(len) = u16::try_from(message.len()) {
            input.extend(len.to_be_bytes());
            input.extend_from_slice(message);
        }
    }
    input
}

/// walproto beside the plain decoder of `testdata`.
pub(crate) struct Session {
    decoder: Decoder,
    #[cfg(feature = "encode")]
    encoder: Encoder,
    plain: expected::Decoder,
}

impl Session {
    pub(crate) fn new(parallel: bool, binary: bool) -> Self {
        let streaming = if parallel {
            Streaming::Parallel
        } else {
            Streaming::On
        };
        Self {
            decoder: Decoder::new().parallel(parallel).binary(binary),
            #[cfg(feature = "encode")]
            encoder: Encoder::new().parallel(parallel).binary(binary),
            plain: expected::Decoder::new(streaming),
        }
    }

    /// A message that is read is read from all of its bytes and no others; one that is refused changes nothing.
    pub(crate) fn message(&mut self, bytes: &[u8]) {
        let before = self.decoder;
        let mut plain = self.plain;
        let plainly = plain.decode(bytes);
        match self.decoder.decode(bytes) {
            Ok(decoded) => {
                let (xid, _) = plainly.expect("walproto is the stricter one");
                self.plain = plain;
                assert_eq!(decoded.xid.map(|xid| xid.0), xid);
                assert_eq!(
                    self.decoder.in_block(),
                    bytes[0] == b'S' || (bytes[0] != b'E' && before.in_block())
                );
                visit(&decoded.message);
                cut_and_go_on(before, bytes);
                #[cfg(feature = "encode")]
                self.write_again(before, &decoded, bytes);
            }
            Err(error) => {
                assert_eq!(self.decoder, before, "an error must not move the decoder");
                assert_eq!(error.tag, bytes.first().copied().unwrap_or(0));
                assert!(error.offset as usize <= bytes.len(), "{error}");
                assert!(!error.to_string().is_empty());
                if let Ok((_, message)) = plainly {
                    stricter(error, &message);
                }
            }
        }
    }

    /// A message that was read is written as it was.
    #[cfg(feature = "encode")]
    fn write_again(&self, before: Decoder, decoded: &Decoded<'_>, bytes: &[u8]) {
        let mut encoder = self.encoder.inside_block(before.in_block());
        let mut written = vec![0; bytes.len()];
        let len = encoder
            .encode(decoded.xid, &decoded.message, &mut written)
            .expect("what was read can be written");
        assert_eq!(encoder.in_block(), self.decoder.in_block());
        assert_eq!(len, bytes.len());
        if has_unknown_flags(decoded, bytes) {
            let again = before.clone().decode(&written).expect("it was written");
            assert_eq!(again, *decoded);
        } else {
            assert_eq!(written, bytes);
        }
    }
}

/// Flags without a meaning yet are read as none, and so are not written again.
#[cfg(feature = "encode")]
fn has_unknown_flags(decoded: &Decoded<'_>, bytes: &[u8]) -> bool {
    let at = 1 + if decoded.xid.is_some() { 4 } else { 0 };
    match decoded.message {
        Message::Logical(_) => bytes[at] & !1 != 0,
        Message::Truncate(_) => bytes[at + 4] & !3 != 0,
        _ => false,
    }
}

/// What the plain decoder lets through and walproto must not.
fn stricter(error: Error, message: &expected::Message) {
    let right = match error.kind {
        ErrorKind::InsideBlock
        | ErrorKind::OutsideBlock
        | ErrorKind::BinaryNotAsked
        | ErrorKind::ZeroLsn
        | ErrorKind::AbortWithoutPosition => true,
        ErrorKind::UnexpectedByte => {
            error.field == Field::ReplicaIdentity || error.field == Field::FirstSegment
        }
        // The plain decoder takes a negative count of relations for none.
        ErrorKind::Negative => error.field == Field::RelationCount,
        ErrorKind::TooLong => gid(message).is_some_and(|gid| gid.chars().count() > 199),
        _ => false,
    };
    assert!(right, "{error}, although it says {message:?}");
}

fn gid(message: &expected::Message) -> Option<&str> {
    match message {
        expected::Message::BeginPrepare { gid, .. }
        | expected::Message::Prepare { gid, .. }
        | expected::Message::CommitPrepared { gid, .. }
        | expected::Message::RollbackPrepared { gid, .. }
        | expected::Message::StreamPrepare { gid, .. } => Some(gid),
        _ => None,
    }
}

/// A sound message with a byte less and with a byte more is none.
fn cut_and_go_on(before: Decoder, bytes: &[u8]) {
    let shorter = &bytes[..bytes.len() - 1];
    let error = before
        .clone()
        .decode(shorter)
        .expect_err("a byte is missing");
    assert!(error.offset as usize <= shorter.len(), "{error}");
    let longer = [bytes, &[0]].concat();
    let error = before.clone().decode(&longer).expect_err("a byte too many");
    assert_eq!(error.kind, ErrorKind::TrailingBytes);
    assert_eq!(error.offset as usize, bytes.len());
}

/// Walks over everything that a message lends out.
fn visit(message: &Message<'_>) {
    match message {
        Message::Insert(insert) => row(insert.new),
        Message::Update(update) => {
            if let Some(old) = update.old {
                row(old.tuple());
            }
            row(update.new);
        }
        Message::Delete(delete) => row(delete.old.tuple()),
        Message::Relation(relation) => {
            assert_eq!(relation.columns.count(), relation.columns.len());
        }
        Message::Truncate(truncate) => {
            assert_eq!(truncate.relations.count(), truncate.relations.len());
        }
        _ => {}
    }
    assert!(!format!("{message:?}").is_empty());
}

fn row(tuple: Tuple<'_>) {
    assert_eq!(tuple.columns().count(), tuple.len());
    for column in tuple.columns() {
        if let Some(Ok(text)) = column.as_str() {
            assert_eq!(Some(text.as_bytes()), column.as_bytes());
        }
    }
}
