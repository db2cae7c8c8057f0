//! PostgreSQL logical replication client for tokio: whole transactions, positions that never lie.
//!
//! ```no_run
//! use walstream::Stream;
//!
//! # async fn print() -> Result<(), walstream::Error> {
//! let mut stream = Stream::connect("postgres://app@localhost/shop")
//!     .slot("my_slot")
//!     .publication("my_publication")
//!     .start()
//!     .await?;
//! while let Some(mut transaction) = stream.next().await? {
//!     let mut changes = transaction.changes()?;
//!     while let Some((lsn, change)) = changes.next()? {
//!         println!("{lsn} {change:?}");
//!     }
//!     transaction.confirm(); // only once it is durable wherever you put it
//! }
//! stream.finish().await
//! # }
//! ```
//!
//! # Three levels
//!
//! | what | for whom |
//! |---|---|
//! | `Router`, with the feature `serde` | rows in types of your own, handed to async functions by schema and table, and confirmed behind them |
//! | [`Stream`] | transactions, whole and in commit order; a `futures` stream, too |
//! | [`RawStream`] | frames as the server sent them |
//!
//! A stream ends when it is dropped, [finished](Stream::finish), or by a future given to
//! [`stop_when`](StreamBuilder::stop_when), such as that of a cancellation token. The repository's examples print
//! changes, keep a table in memory, wake who waits for a row, write files, and stand in as a synchronous standby.
//!
//! # Positions
//!
//! The server deletes WAL up to the position it is told, unchecked. So there is one way to tell it: each event comes
//! with a [`Token`], and the position moves over the longest row of tokens from the beginning that were handed back.
//! A token that is dropped holds it. In this order:
//!
//! | step | a crash after it | comes again |
//! |---|---|---|
//! | 1. a transaction arrives whole, a token is issued | nothing was told | yes |
//! | 2. the consumer makes it durable, with its [`end_lsn`](Transaction::end_lsn) beside it | nothing was told | yes: skip what has `commit_lsn` below the stored position |
//! | 3. the token is handed back | nothing was told | yes, skipped |
//! | 4. a status update carries the position | the server may forget it again in a crash of its own | perhaps, skipped |
//!
//! [`Event::Idle`] is the same for positions without changes: store it, then confirm it. Otherwise WAL piles up at a
//! server whose published tables are quiet.
//!
//! # Raw frames
//!
//! [`RawStream`] is the level below: each frame as the server sent it, in its own bytes, for who keeps or passes on
//! what was said rather than what it means. Its tokens ([`RawToken`]) are cumulative: one stands for its frame and all
//! before it. The position in it is the last one that says what has come: the end of a commit (`C`, `c`), of a
//! prepare (`P`, `p`), of the end of a prepared transaction (`K`, `r`), or a keepalive. So the last token of a batch
//! is the only one to hand back, in this order:
//!
//! | step | a crash after it | comes again |
//! |---|---|---|
//! | 1. a frame arrives, with a token | nothing was told | yes |
//! | 2. the consumer writes it, and all before it | nothing was told; what it wrote may be there or torn | yes |
//! | 3. the consumer makes it durable (`fsync`) | nothing was told | yes, unless it starts at the last token's position |
//! | 4. the last token is handed back | nothing was told | the same |
//! | 5. a status update carries the position | the server may forget it again in a crash of its own | perhaps; the same |
//!
//! What comes again comes in whole transactions, whose `C` or `c` end behind the position; a transaction that was
//! being streamed comes from its first block. A position behind a prepare means that its content is durable: it does
//! not come again before COMMIT PREPARED. After step 3 the consumer may start at that position instead of 0/0, and
//! nothing comes twice.
//!
//! Frames are lent out of the buffer that the socket was read into: no copy, and no allocation for a frame or a read
//! once the stream is under way. To keep one, [`RawFrame::to_bytes`] copies it where it is small beside that buffer.
//! [`RawStream::next_lot`] hands out at once what was read at once.
//!
//! # TLS
//!
//! As in libpq, [`SslMode::Prefer`] is where one begins: TLS where the server has it, and nobody is checked. What keeps
//! others out is [`SslMode::VerifyFull`] with the root certificates that vouch for the server. A login by SCRAM over TLS
//! is bound to the server's certificate where both sides can. TLS is that of rustls with ring, 1.2 and 1.3, whatever
//! provider the process has as its default.
//!
//! Stricter than libpq: a file that is named has to be there and of use. Not done: keys of Ed448, P-521, DSA, RSA-PSS (as the
//! key's own kind) and RSA below 2048 bits, and client keys encrypted in the form of OpenSSL before PKCS #8, for which the error has the command that
//! converts them.
//!
//! # Feedback
//!
//! One task owns the socket. It sends status updates when a third of the server's timeout has passed, at once when
//! the server asks, and as soon as a position became durable; in the middle of a message and of a transaction, and
//! while nobody takes events. When more waits than [`Limits`] allows it stops reading, and goes on with that.
//!
//! # Memory and disk
//!
//! What is received and not done with lies in memory up to [`Limits::memory`], and past it in files up to
//! [`Limits::spool`]; [`Stream::held`] says how much that is.
//!
//! | what | goes to disk | at the cap |
//! |---|---|---|
//! | transactions that have not ended | the largest first, each into a file of its own | an error once nothing complete is left: what was sent of it could be kept nowhere, and its commit never seen |
//! | what comes behind complete transactions that nobody takes | as it came, in order, into one row of files that shrinks as the consumer catches up | reading waits, feedback goes on |
//!
//! So memory does not depend on how large transactions are, how many are open and how many wait: two times the bound at
//! worst, as buffers are half full on average, and the largest single message. A transaction that was handed out counts
//! until it is dropped.
//!
//! The files have no name: nobody else can open them, and the kernel removes them with the process, also one that was
//! killed. (On file systems that cannot make such files, NFS above all, they have a name for the moment between being
//! made and being removed.) Everything in them has a checksum, so a damaged block is an error and never another row. They
//! are no reason to confirm anything: after a crash all of it comes again, and so it does over the next connection.
//! A full disk is an error that names the folder, as is, at the start, a folder that is missing or cannot be written to.
//!
//! A server that shuts down sends what is left and then waits until it is told that all of it is durable, as long as
//! that takes: keep confirming, idle positions too ([`Idle::reply_requested`] says that it asks), or drop the stream.
//! Of a stream on which nothing was ever confirmed it takes what was received for enough. Where all is confirmed that can
//! be, and a prepared transaction that waits here holds the position, the stream lets go of the connection by itself.
//!
//! # Lost connections
//!
//! A stream made by [`Stream::connect`] outlives its connections: a server that restarts, crashes or is replaced by its
//! standby, a network that breaks or falls silent, a WAL sender that somebody ended. [`Stream::start`] has the one
//! connection it was given. In this order:
//!
//! | step | why |
//! |---|---|
//! | 1. what was not handed out is thrown away, in one step with noting how far it was | it comes again, and only once |
//! | 2. after a pause ([`Backoff`]) another connection is made; the system must be the same, its timeline the same or one that left ours behind what was handed out, its log no shorter than that | a restored or wrongly promoted server would repeat positions with other content |
//! | 3. `START_REPLICATION` at 0/0 | who does not own the slot knows nothing about it |
//! | 4. the slot must not be confirmed past what was handed out | somebody else read it or made it anew: a gap |
//! | 5. what commits before the place of step 1 is left out | the slot is behind it whenever something was not confirmed |
//!
//! Tokens know nothing of connections: what was handed out over a lost one is confirmed over the next. A consumer that
//! crashes at any point is as after any crash: it starts from the position that it stored.
//!
//! What another connection cannot mend ends the stream at once, and what is tried for too long ends it with the last
//! error: see [`Reconnect`] and [`ErrorKind`].
//!
//! # Transactions
//!
//! Those that are sent whole and those that are streamed before they commit come out the same, in commit order:
//! every change that survived, none of a subtransaction that was rolled back. What is large waits in files without a
//! name, which vanish with the process and are never a reason to confirm anything.
//!
//! Prepared transactions arrive at COMMIT PREPARED: from a slot without `two_phase` the server sends them then, from one
//! that has it they wait here. [`PreparedDelivery`] hands them over at their prepare instead, [`StreamedDelivery`] those
//! that the server streams in the pieces that come, and [`StreamBuilder::until`] ends at a position.

// On docs.rs, which builds with nightly: what is behind a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth;
mod backoff;
mod blocker;
mod changes;
mod channel;
mod client;
mod command;
mod config;
mod connect;
mod conninfo;
mod delivery;
mod driver;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod holder;
mod limits;
mod progress;
mod publication;
mod raw;
mod reconnect;
mod relations;
#[cfg(feature = "serde")]
mod router;
mod row;
#[cfg(test)]
mod scripted;
mod server_error;
mod session;
#[cfg(test)]
mod simulation;
mod slot;
mod spool;
mod stream;
mod system;
mod tls;
mod transaction;
mod transactions;
mod version;
mod vitals;

pub use walproto;

pub use backoff::{Attempts, Backoff};
pub use blocker::Blocker;
pub use changes::{Change, Changes};
pub use client::{Client, CopyOut};
pub use command::{
    AlterSlot, SlotOptions, Snapshot, StreamOptions, Streaming, check_slot_name, quote_identifier,
    quote_literal,
};
pub use config::{
    AuthMethod, ChannelBinding, Config, Endpoint, Environment, Host, LoadBalanceHosts,
    RootCertificates, SslCertMode, SslMode, SslNegotiation, TargetSessionAttrs, TlsVersion,
};
pub use delivery::{PreparedDelivery, StreamedDelivery};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    CommitPrepared, Event, Idle, LogicalMessage, Prepared, PreparedId, RollbackPrepared,
    StreamAbort, StreamChunk, StreamCommit, StreamPrepare,
};
pub use holder::Holder;
pub use limits::{Compression, Held, Limits};
pub use progress::{Progress, RawToken, Token};
pub use publication::{Publication, PublicationTable, PublishedName};
pub use raw::{RawFrame, RawFrames, RawLot, RawStream, reached};
pub use reconnect::{Failover, Reconnect, Reconnected};
pub use relations::{Relation, RelationColumn};
#[cfg(feature = "serde")]
pub use router::{Router, RowChange};
pub use row::Row;
pub use server_error::ServerError;
pub use slot::{CreatedSlot, Slot, SlotState, WalStatus};
pub use stream::{Stream, StreamBuilder};
pub use system::{SystemIdentity, TimelineSwitch};
pub use transaction::Transaction;
pub use transactions::Origin;
pub use version::ServerVersion;
pub use vitals::Vitals;

/// What a [`Router`] is made of: types that are inferred, and seldom written.
#[cfg(feature = "serde")]
pub mod routing {
    pub use crate::router::{AtBegin, AtCommit, Handle, Otherwise, Outcome, Route};
}

/// Pages that are read rather than called.
pub mod manual {
    #[doc = include_str!("../docs/source.md")]
    pub mod source {}

    #[doc = include_str!("../docs/options.md")]
    pub mod options {}
}

#[cfg(all(doctest, feature = "serde"))]
#[doc = include_str!("../README.md")]
struct Readme;
