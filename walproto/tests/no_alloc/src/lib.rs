//! Uses every part of walproto where there is neither `std` nor an allocator.

#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "every")]
mod capture;
#[cfg(feature = "every")]
mod encode;
#[cfg(feature = "every")]
mod rows;
#[cfg(feature = "every")]
#[path = "../../../examples/no_std_schemas/schemas.rs"]
mod schemas;
mod values;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use walproto::{
    Column, Decoder, Error, Feedback, Frame, HotStandbyFeedback, Lsn, Message, StatusUpdate,
    Timestamp, Tuple,
};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Reads one CopyData message from the server; the answer is what it held, or the byte at which it is broken.
///
/// # Safety
///
/// `data` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn read_frame(data: *const u8, len: usize) -> usize {
    // SAFETY: the caller promised it.
    let bytes = unsafe { core::slice::from_raw_parts(data, len) };
    let mut decoder = Decoder::new().binary(true).parallel(true);
    match frame(&mut decoder, bytes) {
        Ok(held) => held,
        Err(error) => {
            let mut text = Counter(0);
            let _ = write!(text, "{error} {error:?}");
            text.0 + error.offset as usize
        }
    }
}

fn frame(decoder: &mut Decoder, bytes: &[u8]) -> Result<usize, Error> {
    match Frame::parse(bytes)? {
        Frame::WalData(wal) => {
            let decoded = decoder.decode(wal.data)?;
            let mut text = Counter(0);
            let _ = write!(text, "{decoded:?}");
            Ok(text.0 + visit(&decoded.message))
        }
        Frame::Keepalive(keepalive) => {
            let update = StatusUpdate {
                written: keepalive.wal_end,
                flushed: "16/B374D848".parse().unwrap_or(Lsn::ZERO),
                sent_at: Timestamp::from_unix_micros(0).unwrap_or_default(),
                ..StatusUpdate::default()
            };
            Feedback::parse(&update.encode())?;
            Ok(update.encode().len() + HotStandbyFeedback::default().encode().len())
        }
        _ => Ok(0),
    }
}

/// Reads a capture file; the answer is how long a copy is, or the byte at which it is broken.
///
/// # Safety
///
/// `data` points to `len` bytes.
#[cfg(feature = "every")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn read_capture(data: *const u8, len: usize) -> usize {
    // SAFETY: the caller promised it.
    let bytes = unsafe { core::slice::from_raw_parts(data, len) };
    capture::copy(bytes)
}

/// Reads a relation and an insert into it.
///
/// # Safety
///
/// `relation` points to `relation_len` bytes, and `insert` to `insert_len`.
#[cfg(feature = "every")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn read_row(
    relation: *const u8,
    relation_len: usize,
    insert: *const u8,
    insert_len: usize,
) -> usize {
    // SAFETY: the caller promised it.
    let relation = unsafe { core::slice::from_raw_parts(relation, relation_len) };
    // SAFETY: and this.
    let insert = unsafe { core::slice::from_raw_parts(insert, insert_len) };
    let mut decoder = Decoder::new();
    let relation = decoder.decode(relation).map(|decoded| decoded.message);
    let insert = decoder.decode(insert).map(|decoded| decoded.message);
    match (relation, insert) {
        (Ok(Message::Relation(relation)), Ok(Message::Insert(insert))) => {
            rows::account(insert.new, &relation)
        }
        _ => 0,
    }
}

fn visit(message: &Message<'_>) -> usize {
    #[cfg(feature = "every")]
    encode::again(message);
    match message {
        Message::Insert(insert) => row(insert.new),
        Message::Update(update) => row(update.new) + update.old.map_or(0, |old| row(old.tuple())),
        Message::Delete(delete) => row(delete.old.tuple()),
        #[cfg(feature = "every")]
        Message::Relation(relation) => {
            let mut schemas: schemas::Schemas<4, 1024> = schemas::Schemas::new();
            let _ = schemas.keep(relation);
            let known = schemas.find(relation.oid);
            schemas.len() + known.map_or(0, |relation| relation.columns.len())
        }
        #[cfg(not(feature = "every"))]
        Message::Relation(relation) => relation.columns.map(|column| column.name.len()).sum(),
        Message::Truncate(truncate) => truncate.relations.len(),
        _ => 0,
    }
}

fn row(tuple: Tuple<'_>) -> usize {
    tuple
        .columns()
        .map(|column| match column {
            Column::Binary(_) => values::read(column),
            Column::Text(_) => column.as_str().map_or(0, |text| text.map_or(0, str::len)),
            _ => column.as_bytes().map_or(0, <[u8]>::len),
        })
        .sum()
}

/// Text that is only counted.
struct Counter(usize);

impl Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}
