//! Capture files: what a server sent, byte by byte, when it came, and what had been asked for.
//!
//! A file is a head and then records, each with checksums. The first record is a [`Session`]; a file can hold several,
//! one for each time that the stream was started. After a session come the frames that were received in it: the body
//! of every CopyData message as it was, so positions and send times are where [`Frame`](crate::Frame) finds them and
//! are not kept twice.
//!
//! All numbers are big-endian, and times are [`Timestamp`](crate::Timestamp)s.
//!
//! | bytes | the file |
//! |---|---|
//! | 8 | magic, [`MAGIC`] |
//! | 2 | version of the format, [`FORMAT`] |
//! | to the end | records |
//!
//! | bytes | a record |
//! |---|---|
//! | 1 | kind: `S` a session, `F` a frame; a reader passes over others |
//! | 4 | length of the body |
//! | 8 | when it was received, by the recorder's clock |
//! | 4 | CRC-32C of the 13 bytes before |
//! | n | body |
//! | 4 | CRC-32C of those 13 bytes and the body |
//!
//! The body of a session is pairs of key and value, each as 4 bytes of length and UTF-8 text:
//!
//! | key | value |
//! |---|---|
//! | `server_version_num` | such as `180004` |
//! | `system_identifier`, `timeline` | decimal, as IDENTIFY_SYSTEM has them |
//! | `start` | the position in START_REPLICATION, such as `16/B374D848` |
//! | `protocol`, `binary`, `streaming` | 1 to 4; `on`, `off`; `off`, `on`, `parallel` |
//! | `options` | what stood between the parentheses of START_REPLICATION, exactly |
//! | `continued` | `on` where the stream was not started anew: the file before holds its beginning; may be left out |
//!
//! A recorder may add keys of its own, and a reader must not mind those that it does not know.
//!
//! The length has its own checksum, so that a file which was cut in its last record, as a crash does it, is told apart
//! from one that was damaged: see [`CaptureError::is_torn`].
//!
//! ```
//! use walproto::capture::{Body, Reader, Session, write_frame, write_head};
//! use walproto::{Frame, Timestamp};
//!
//! let mut file = Vec::new();
//! write_head(&mut file);
//! let mut session = Session::default();
//! session.server_version_num = 180_004;
//! session.options = "proto_version '1', publication_names 'p'";
//! session.write(Timestamp(0), &[("slot", "s")], &mut file)?;
//! write_frame(Timestamp(7), b"k\0\0\0\0\x01\x7D\x61\0\0\0\0\0\0\0\0\0\0", &mut file)?;
//!
//! for record in Reader::new(&file)? {
//!     let record = record?;
//!     match record.body {
//!         Body::Session { session, .. } => println!("{}", session.options),
//!         Body::Frame(bytes) => println!("{:?} {:?}", record.time, Frame::parse(bytes)?),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checksum;
mod error;
mod reader;
mod session;
mod writer;

pub use error::{CaptureError, CaptureErrorKind};
pub use reader::{Body, Reader, Record};
pub use session::{Fields, Session, Streaming};
pub use writer::{Envelope, Sink, TooLong, write_frame, write_head};

/// The first bytes of every capture file; the line ends would not survive a transfer as text.
pub const MAGIC: [u8; 8] = *b"\x89PGCAP\r\n";

/// The version of the format that is read and written here.
pub const FORMAT: u16 = 2;

const SESSION: u8 = b'S';
const FRAME: u8 = b'F';

/// Kind, length and time, which have a checksum of their own.
const PLAIN: usize = 1 + 4 + 8;
