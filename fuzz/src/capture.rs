//! Capture files.

use walproto::Frame;
use walproto::capture::{Body, FORMAT, MAGIC, Reader, write_frame, write_head};

use crate::decode::Session;

/// A capture file, and the messages in it.
///
/// What can be read is written as it was. The same bytes are read again with their checksums mended, since a fuzzer
/// does not guess those.
pub fn capture(data: &[u8]) {
    read(data);
    let mended = mended(data);
    if mended != data {
        read(&mended);
    }
}

fn read(data: &[u8]) {
    let reader = match Reader::new(data) {
        Ok(reader) => reader,
        Err(error) => {
            assert!(error.offset <= data.len() as u64, "{error}");
            assert!(!error.is_torn() || data.len() < 10, "{error}");
            return;
        }
    };
    let mut written = Vec::new();
    write_head(&mut written);
    let mut messages: Option<Session> = None;
    for record in reader.clone() {
        let at = written.len();
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                assert!(error.offset <= data.len() as u64, "{error}");
                assert!(error.offset >= at as u64, "{error}");
                assert!(!error.to_string().is_empty());
                assert!(!error.is_torn() || error.offset == at as u64, "{error}");
                break;
            }
        };
        assert_eq!(record.offset, at as u64);
        match record.body {
            Body::Session { session, fields } => {
                // The pairs may stand in any order, so these bytes are not compared.
                let known = fields.count() - fields.unknown().count();
                assert!(known >= 8);
                let more: Vec<_> = fields.unknown().collect();
                let mut alone = Vec::new();
                write_head(&mut alone);
                session
                    .write(record.time, &more, &mut alone)
                    .expect("it came from a file");
                let again = Reader::new(&alone).expect("a head").next();
                let again = again.expect("a record").expect("a sound one");
                let Body::Session {
                    session: read,
                    fields: pairs,
                } = again.body
                else {
                    panic!("a session, not {again:?}");
                };
                assert_eq!((read, again.time), (session, record.time));
                assert_eq!(pairs.unknown().collect::<Vec<_>>(), more);
                written.extend_from_slice(&data[at..at + record_len(&data[at..])]);
                let parallel = session.streaming == walproto::capture::Streaming::Parallel;
                messages = Some(Session::new(parallel, session.binary));
            }
            Body::Frame(frame) => {
                write_frame(record.time, frame, &mut written).expect("it came from a file");
                assert_eq!(written[at..], data[at..written.len()]);
                let messages = messages.as_mut().expect("a session comes first");
                if let Ok(Frame::WalData(wal)) = Frame::parse(frame) {
                    messages.message(wal.data);
                }
            }
            _ => written.extend_from_slice(&data[at..at + record_len(&data[at..])]),
        }
        // From here on it can be read as well.
        let rest = Reader::at(&data[written.len()..], written.len() as u64);
        assert_eq!(rest.offset(), written.len() as u64);
    }
}

/// Kind, length, time, checksum, body and checksum.
fn record_len(record: &[u8]) -> usize {
    let len = record[1..5].try_into().expect("four bytes");
    17 + u32::from_be_bytes(len) as usize + 4
}

/// The same records with right checksums, as far as their lengths go.
fn mended(data: &[u8]) -> Vec<u8> {
    let mut mended = data.to_vec();
    let head = [&MAGIC[..], &FORMAT.to_be_bytes()].concat();
    let Some(place) = mended.get_mut(..head.len()) else {
        return mended;
    };
    place.copy_from_slice(&head);
    let mut at = head.len();
    while mended.len() - at >= 17 {
        // Lengths that a fuzzer makes up are mostly far too large.
        mended[at + 1] = 0;
        let len = record_len(&mended[at..]);
        let sum = crc32c(&mended[at..at + 13]);
        mended[at + 13..at + 17].copy_from_slice(&sum);
        if mended.len() - at < len {
            break;
        }
        let body = &mended[at + 17..at + len - 4];
        let sum = crc32c(&[&mended[at..at + 13], body].concat());
        mended[at + len - 4..at + len].copy_from_slice(&sum);
        at += len;
    }
    mended
}

/// Bit by bit, to share nothing with the reader.
fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let mut crc = !0_u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0x82F6_3B78;
            }
        }
    }
    (!crc).to_be_bytes()
}
