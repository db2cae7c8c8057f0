//! What the server wraps around messages.

use walproto::Frame;

use crate::decode::Session;

/// The content of one CopyData message, and the message in it.
pub fn frames(data: &[u8]) {
    let sound = match data.first() {
        Some(b'w') => data.len() >= 25,
        Some(b'k') => data.len() == 18,
        _ => false,
    };
    match Frame::parse(data) {
        Ok(Frame::WalData(wal)) => {
            assert!(sound);
            assert_eq!(wal.data, &data[25..]);
            assert_eq!(wal.start.0.to_be_bytes(), data[1..9]);
            assert_eq!(wal.end.0.to_be_bytes(), data[9..17]);
            assert_eq!(wal.sent_at.0.to_be_bytes(), data[17..25]);
            Session::new(false, false).message(wal.data);
        }
        Ok(Frame::Keepalive(keepalive)) => {
            assert!(sound);
            assert_eq!(keepalive.wal_end.0.to_be_bytes(), data[1..9]);
            assert_eq!(keepalive.sent_at.0.to_be_bytes(), data[9..17]);
            assert_eq!(keepalive.reply_requested, data[17] != 0);
        }
        Ok(other) => panic!("a frame this test does not know: {other:?}"),
        Err(error) => {
            assert!(!sound, "{error}");
            assert!(error.offset as usize <= data.len(), "{error}");
        }
    }
}
