//! A capture file, read and written.

use walproto::capture::{Body, CaptureError, Reader, Session, TooLong, write_frame, write_head};
use walproto::{Frame, Timestamp};

/// Reads the file, and writes what it holds again; gives the number of bytes.
pub(crate) fn copy(file: &[u8]) -> usize {
    let mut out = Length(0);
    match records(file, &mut out) {
        Ok(()) => out.0,
        Err(error) => error.offset as usize,
    }
}

fn records(file: &[u8], out: &mut Length) -> Result<(), CaptureError> {
    write_head(out);
    for record in Reader::new(file)? {
        let record = record?;
        let written = match record.body {
            Body::Session { session, fields } => again(session, record.time, fields.count(), out),
            Body::Frame(frame) => {
                let _ = Frame::parse(frame);
                write_frame(record.time, frame, out)
            }
            _ => Ok(()),
        };
        if written.is_err() {
            break;
        }
    }
    Ok(())
}

fn again(
    session: Session<'_>,
    time: Timestamp,
    fields: usize,
    out: &mut Length,
) -> Result<(), TooLong> {
    out.0 += fields;
    session.write(time, &[("key", "value")], out)
}

/// Bytes that are only counted.
struct Length(usize);

impl<'a> Extend<&'a u8> for Length {
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, bytes: T) {
        self.0 += bytes.into_iter().count();
    }
}
