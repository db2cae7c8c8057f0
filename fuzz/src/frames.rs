//! What the server wraps around messages, and what a client answers.

use walproto::{Feedback, Frame};

use crate::decode::Session;

/// The content of one CopyData message from either side, and the message in it.
pub fn frames(data: &[u8]) {
    feedback(data);
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

/// What is read is written as it was, but for the byte that asks for an answer, which need not be 1.
fn feedback(data: &[u8]) {
    let (written, sound) = match data.first() {
        Some(b'r') => (33, data.len() == 34),
        Some(b'h') => (25, data.len() == 25),
        _ => (0, false),
    };
    match Feedback::parse(data) {
        Ok(Feedback::StatusUpdate(update)) => {
            assert!(sound);
            assert_eq!(update.encode()[..written], data[..written]);
            assert_eq!(update.reply_requested, data[33] != 0);
        }
        Ok(Feedback::HotStandby(feedback)) => {
            assert!(sound);
            assert_eq!(feedback.encode()[..], data[..written]);
        }
        Ok(other) => panic!("feedback this test does not know: {other:?}"),
        Err(error) => {
            assert!(!sound, "{error}");
            assert!(error.offset as usize <= data.len(), "{error}");
        }
    }
}
