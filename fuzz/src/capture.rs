//! Capture files.

use testdata::capture::{Capture, Streaming};

use crate::decode::Session;

/// A capture file, and the messages in it.
///
/// What can be read is written as it was.
pub fn capture(data: &[u8]) {
    let capture = match Capture::from_bytes(data) {
        Ok(capture) => capture,
        Err(error) => {
            assert!(error.offset <= data.len(), "{error}");
            return;
        }
    };
    assert_eq!(
        Capture::from_bytes(&capture.to_bytes()).as_ref(),
        Ok(&capture)
    );
    let parallel = capture.header.streaming == Streaming::Parallel;
    let mut session = Session::new(parallel, capture.header.binary);
    for bytes in capture.messages() {
        session.message(bytes);
    }
}
