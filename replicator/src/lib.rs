//! PostgreSQL changes into other databases, exactly once.
//!
//! The program `replicator` is a thin shell around this library; who wants a replication within a process of their own
//! calls [`run()`] with a [`Config`]:
//!
//! ```no_run
//! # async fn doc() -> replicator::Result<()> {
//! use replicator::{Config, ShutdownHandle};
//!
//! let (handle, shutdown) = ShutdownHandle::new();
//! let config = Config::new("postgres://app@localhost/shop", "sqlite:shop.db");
//! let summary = replicator::run(config, shutdown).await?; // until `handle.shut_down()`
//! println!("{} transactions", summary.transactions);
//! # drop(handle);
//! # Ok(())
//! # }
//! ```
//!
//! # How nothing is lost and nothing is applied twice
//!
//! The position is a row at the destination, and moves in the transaction that brings the data. The server is told of
//! a position after that transaction is durable. Whatever is killed, the next run finds data and position in
//! agreement, and the slot at or behind them. The modules `start` and `apply` write down the order of events, and what
//! a crash between any two of them leaves behind; in short:
//!
//! *First start*: publication, intent row, slot, copy in the slot's own snapshot, position row. Killed before the
//! position row is there, the next start drops the slot (it is not older than the intent, so it is ours) and the tables
//! that the ledger says we made, and begins again.
//!
//! *Later start*: own the slot; raise the epoch and read the row in one destination transaction; compare with slot,
//! system, timeline, end of WAL and publications; skip what committed below the position.
//!
//! *Batch*: BEGIN, move the position row from what we read with our epoch, apply, COMMIT, confirm. An error at or after
//! COMMIT is resolved by reading the row before anything is replayed. An idle position is a batch of nothing.
//!
//! *End*: finish the batch, write the idle position, confirm it, CopyDone.

mod apply;
pub mod cli;
pub mod compare;
mod config;
mod copy;
pub mod demo;
mod destination;
mod dialect;
mod error;
mod failpoint;
mod follow;
mod plan;
mod position;
mod publication;
mod run;
mod shutdown;
mod source;
mod start;
mod table;
mod value;

pub use apply::Summary;
pub use config::{Config, Copy, Keyless, OnConflict, Streaming, Until};
#[cfg(feature = "sqlite")]
pub use destination::sqlite::{SqliteDestination, SqliteOptions};
pub use destination::{Destination, Existing, Outcome, Rows};
pub use dialect::{Dialect, Shape, sqlite::Sqlite};
pub use error::{Error, ErrorKind, Result};
pub(crate) use failpoint::fail_point;
pub use plan::{Action, Operation};
pub use position::{PositionRow, State, TableRow, TableState};
pub use run::{Removed, remove, run};
pub use shutdown::{Shutdown, ShutdownHandle};
pub use table::{Column, Table};
pub use value::{Kind, Value, ValueError};
