//! Zero-copy parser of PostgreSQL's logical replication protocol: `pgoutput`, versions 1 to 4.
//!
//! Bytes in, borrowed messages out. No allocation, no `std`, no `unsafe`, no socket, clock, cache or log; hand it what
//! the server sent inside CopyData, and it says what that means or what is wrong with it, at which byte.
//!
//! ```
//! use walproto::{Decoder, Frame, Message};
//!
//! /// Counts the rows inserted in the CopyData messages of one session.
//! fn inserts<'a>(copy_data: impl Iterator<Item = &'a [u8]>) -> Result<usize, walproto::Error> {
//!     let mut decoder = Decoder::new();
//!     let mut count = 0;
//!     for bytes in copy_data {
//!         if let Frame::WalData(wal) = Frame::parse(bytes)? {
//!             if let Message::Insert(insert) = decoder.decode(wal.data)?.message {
//!                 count += 1;
//!                 for column in insert.new.columns() {
//!                     println!("{column:?}");
//!                 }
//!             }
//!         }
//!     }
//!     Ok(count)
//! }
//! # assert_eq!(inserts(std::iter::empty()), Ok(0));
//! ```
//!
//! # What the caller must keep
//!
//! What needs memory stays outside: which [`Relation`] an oid stands for, whether a row has as many columns as its
//! relation, duplicate column names, and which sequences of messages are legal. The crate `walstream` does that. With the
//! feature `alloc`, `Tables` keeps relations; the example `no_std_schemas` does where there is no allocator.
//!
//! # Features
//!
//! None is on by default. Without `alloc` and `bytes` nothing here needs an allocator.
//!
//! | feature | what it adds |
//! |---|---|
//! | `encode` | the way back: every message and frame written into a caller's buffer |
//! | `capture` | capture files: what a server sent, kept byte for byte |
//! | `serde` | a row into a user's type by column name |
//! | `bytes` | messages that keep the `Bytes` they were read from |
//! | `alloc` | change events that own their names and values |
//!
#![doc = include_str!("protocol.md")]
#![no_std]
// On docs.rs, which builds with nightly: what is behind a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::cast_possible_truncation
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "capture")]
pub mod capture;
mod decoder;
#[cfg(feature = "serde")]
mod deserialize;
#[cfg(feature = "encode")]
mod encode;
mod error;
#[cfg(feature = "alloc")]
mod event;
mod feedback;
mod frame;
mod ids;
mod lsn;
mod message;
#[cfg(feature = "bytes")]
mod owned;
mod reader;
mod short;
mod timestamp;
mod tuple;
pub mod value;

pub use decoder::{Decoded, Decoder};
#[cfg(feature = "serde")]
pub use deserialize::{RowError, RowErrorKind, Sent, Tried};
#[cfg(feature = "encode")]
pub use encode::{EncodeError, EncodeErrorKind, Encoder, TupleWriter};
pub use error::{Error, ErrorKind, Field, Result};
#[cfg(feature = "alloc")]
pub use event::{
    Change, ChangeEvent, NamedRow, OwnedOldRow, OwnedTuple, Table, TableColumn, TableError, Tables,
};
pub use feedback::{Feedback, HotStandbyFeedback, StatusUpdate};
pub use frame::{Frame, Keepalive, WalData};
pub use ids::{Oid, Xid};
pub use lsn::{Lsn, ParseLsnError};
pub use message::Message;
pub use message::logical::Logical;
pub use message::prepared::{
    BeginPrepare, CommitPrepared, Prepare, RollbackPrepared, StreamPrepare,
};
pub use message::row::{Delete, Insert, OldRow, Update};
pub use message::schema::{ColumnDef, ColumnDefs, Relation, ReplicaIdentity, Type};
pub use message::stream::{StreamAbort, StreamCommit, StreamStart};
pub use message::transaction::{Begin, Commit, Origin};
pub use message::truncate::{RelationOids, Truncate};
#[cfg(feature = "bytes")]
pub use owned::OwnedMessage;
pub use timestamp::Timestamp;
pub use tuple::{Column, Columns, TextColumn, TextColumns, Tuple};

// So that the README's example is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
