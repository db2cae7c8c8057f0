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
//! agreement, and the slot at or behind them.
//!
//! Below is the order of events, what a crash after each step leaves behind, and what the next start does about it.
//! `tests/crash` kills the program at each place named in the last column, many times and under load, and
//! compares every row at the end; a run in which a place was never met fails.
//!
//! ## First start
//!
//! There is no position row for the slot's name, and no slot of that name.
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. the publication is made, if it is ours to make | a publication with our mark | uses it | at random |
//! | 2. an intent row is committed: system, database, WAL position | the intent | cleans, begins again | `intent-written` |
//! | 3. the slot is made; its snapshot is held by the same session | also a slot, not older than the intent | cleans, begins again | `slot-made` |
//! | 4. per table: ledger row (`copying`) and table | also tables that the ledger says we made, empty | cleans, begins again | `table-made` |
//! | 5. the intent becomes the position row, at the slot's consistent point | slot and position that agree, tables that wait for their rows | is a later start, and copies them | `activated` |
//!
//! *Cleaning* goes in this order, so that a crash within it is cleaned again: the orphaned slot's holder is ended, the
//! slot dropped, the tables that we made dropped, the intent removed. A slot older than the intent is somebody
//! else's and never dropped; a slot with neither intent nor position is refused, unless the user vouches for it with
//! `--copy no`.
//!
//! From step 5 on nothing is cleaned any more. It goes on as a later start, within the same process; the session of step
//! 3 lives on, so that the copy sees its snapshot.
//!
//! ## Later start
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. `START_REPLICATION` at 0/0: who does not own the slot changes nothing | nothing | the same | at random |
//! | 2. one destination transaction raises the epoch and reads the row | a higher epoch | raises it again | at random |
//! | 3. the row is compared with slot, system, timeline, end of WAL and publications | nothing | the same | at random |
//! | 4. what committed before the stored position is skipped and confirmed | a slot that moved up to the position | the same | at random |
//!
//! ## Copy
//!
//! At the end of every start, for every table that the ledger has as `copying`. The slot is ours and the stream waits,
//! unread: what changes meanwhile stays in the source's WAL. Nothing else writes the destination.
//!
//! A snapshot sees what committed before its *consistent point*, and nothing else. It is the one of step 3 of the first
//! start, or, after a crash and for what changed since, one of now that comes with a temporary slot of its own. Its point
//! is written down with each table that is copied in it (the table's *sync position*), and of the stream a table gets what
//! commits at that position or later: neither gap nor overlap, whenever each table was copied.
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. the table is locked (`ACCESS SHARE`) and compared with what the snapshot says of it; one that was rewritten, emptied or altered since is left to another snapshot | nothing | the same, with a snapshot of now | at random |
//! | 2. the copy is begun: table emptied, sync position and state `copying` written, chunks forgotten, in one transaction where the destination has such | an empty table | begins again | `copy-begun` |
//! | 3. per chunk: its rows and its number, in one transaction | a part of the rows | empties the table, begins again | `copy-middle`, `chunk-before-commit` |
//! | 4. every part was read to its end, every chunk is in | all rows, in state `copying` | empties the table, begins again | `copied` |
//! | 5. the table becomes `streaming`, its chunks are forgotten | a table that is complete as of its sync position | leaves it alone, copies the others | `copy-finished` |
//!
//! Each of these transactions looks, under a shared lock, whether the position row still has our epoch: who took over has
//! raised it, and nothing of ours is written after that. So a chunk that is still on its way when its process dies is in
//! before the next start begins the copy anew, or never.
//!
//! A stop (a signal, or an error that a person must mend) leaves what a crash leaves, and says so: slot and complete tables
//! stay, the next start goes on, and until then the slot holds back WAL. `replicator drop` is the way out.
//!
//! ## Batch
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. BEGIN; the position row moves from the value we read, with our epoch | nothing: the destination rolls back | gets the batch again | `batch-begun` |
//! | 2. every change is applied, its row count checked | nothing | gets the batch again | `batch-middle`, `batch-before-commit` |
//! | 3. COMMIT, durable | data and position; the slot behind them | skips what lies below the position | `batch-after-commit` |
//! | 4. the tokens are confirmed, the server is told | the same, until the server has written it down | skips | `committed` |
//!
//! An error at or after COMMIT leaves its outcome unknown: the row is read before anything is replayed. An idle
//! position is a batch of nothing, written before it is confirmed (`idle-written`). Changes in the spool are no reason
//! to confirm anything; their file has no name and goes with the process (killed there too).
//!
//! ## While a batch is written
//!
//! A task of its own writes the destination, batches and idle positions one after the other, and begins one only when
//! the outcome of the last is known. What it writes next is read meanwhile: from transactions to operations, in parcels
//! of bounded size, of a transaction's changes never more than a few megabytes at a time. All that waits behind one
//! another is written as one batch, within bounds that follow from how long the last ones took.
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. transactions are taken from the stream, read, and sent to the task | nothing of them: they are memory, and not confirmed | gets them again | `parcel-sent` |
//! | 2. the task takes them for its next batch: BEGIN moves the row from what the last commit left | as of a batch | as of a batch | as of a batch |
//! | 3. a call fails, or a transaction cannot be read: what was built of the batch is thrown away, and the rest of its transactions comes unread | nothing, or data and position if it was COMMIT | gets the batch again, or skips it | `batch-lost` |
//! | 4. its transactions are read again from their beginning, now by the task, and written by themselves | as of a batch | as of a batch | as of a batch |
//! | 5. what was built behind them follows, from the position that they left | as of a batch | as of a batch | as of a batch |
//!
//! Tokens are confirmed by the task, after the commit that they belong to is known; transactions are kept until then. At
//! the end a batch that is begun is finished, and what waits behind it is left to the next start, with every idle
//! position behind that.
//!
//! ## A column that is added
//!
//! A relation of the stream that has more columns at its end than the ledger's table means, at its place, that they were
//! added. Any other difference is waited for until somebody has changed the destination table too; then only the ledger
//! changes, as here. With [`OnTableError::Isolate`] the table is stopped instead, and so is always one that has another
//! name; a table of which another copy is asked for meanwhile joins as one that is new. Names alone do not say which
//! column one is: numbers do, which the ledger has of each and the catalog of now. A column of a kept name with another
//! number is waited for too, and only another copy will do; where all else is as before, the stream says nothing, and the
//! table is stopped ("Tables that come and go").
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. the batch comes to the place; it is rolled back, and what came before it in whole transactions is committed | as a batch | gets the transaction again | `batch-begun` |
//! | 2. the source's catalog tells what rows that were there hold; where it cannot, the destination is waited for | the same | asks again | at random |
//! | 3. MySQL, whose statement commits by itself: the columns are added, and hold NULL | columns that the ledger does not know; they are in nobody's way | finds them there | `column-prepared` |
//! | 4. the transaction again: BEGIN, and its changes up to the place, with the table as it was | the same | the same | `batch-begun` |
//! | 5. elsewhere the columns are added; they are filled, and the ledger has the table as it is now | the same: all of it goes with the batch | the same | `column-added` |
//! | 6. its other changes, with the table as it is now; COMMIT | data, definition and position that agree | skips what lies below the position | `batch-before-commit`, `batch-after-commit` |
//!
//! No intent is written before step 3: what step 5 puts into the columns is what every row of the source held at that
//! place, whoever made them. What was built ahead with the table as it was is thrown away and read by the task that
//! writes, and so is everything about the table up to where that task has come; then the new definition is built with.
//!
//! ## What the destination refuses
//!
//! A row that the destination refuses, or a conflict, ends the run ([`Error::refused_lsn`]): the batch is rolled back and
//! carried out in parts until the transaction at fault is alone, so that those before it are in. With
//! [`Config::quarantine`] the change is left out instead, and with [`Config::skip`] a whole transaction is:
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. BEGIN as ever; every change is tried, one that is refused becomes a line for the file | nothing, or lines in it | gets the batch again, writes them again | `quarantine-written` |
//! | 2. the file is on disk (`fsync`) | lines in the file | the same | `quarantine-synced`, `batch-before-commit` |
//! | 3. COMMIT, durable | lines, data and position that agree | skips what lies below the position | `batch-after-commit` |
//!
//! So a change may be in the file twice, and is never in neither place. A transaction that is skipped goes to the file
//! first, and BEGIN comes after step 2: there is nothing else to carry out. A last line that a crash cut off is removed
//! at the next start; its change comes again. Where the destination is lost and the run goes on, lines of an attempt are
//! taken back once the position row has told that nothing came of it.
//!
//! With [`OnTableError::Isolate`] the table at fault is stopped and the others go on:
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. the transaction is tried again by itself, the changes of one table after the other, and rolled back: so the table is known | nothing | the same | at random |
//! | 2. the ledger has the table as stopped, with the reason | a position before the transaction, a table that gets nothing more | applies the transaction without the table | `table-isolated` |
//! | 3. the transaction is applied without the table, as a batch | data and position that agree | skips | `committed` |
//!
//! ## Tables that come and go
//!
//! At the end of a later start's checks, and whenever a look at the publications finds another fingerprint or that a table
//! got a column, the ledger is compared with what is published, by the source's object numbers:
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. tables that were dropped, renamed, taken out (and put back), made unlogged, made again under their name (or a column of theirs was), or that are published in another way are stopped, with the reason | some of them stopped | stops the others | at random |
//! | 2. per new table: ledger row (`copying`) and table | tables that wait for their rows | copies them | `table-joins` |
//! | 3. the position row gets the new fingerprint | a ledger that has all that follows from it | goes on | at random |
//!
//! The fingerprint comes last, and what the ledger has already is no news, so every step may be repeated. A publication
//! that is another one, or publishes other kinds of changes, ends the run: that is about all tables. A stopped table comes
//! back only by being copied anew, which [`resync()`] asks for: it sets the state `copying`, and that is all it does. One
//! that was made again at the source takes the row, and the place at the destination, of the old one only then.
//!
//! While the stream goes on, tables in state `copying` are copied by a task of its own, which hands what is to be
//! written to the task that writes the destination; that does it between two batches. Changes of such a table are not
//! applied but kept, up to 64 MiB of all such tables; beyond it the stream waits for the copies.
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. changes of the table are kept from here on; the position moves past them | the state `copying` | copies the table anew | `set-aside` |
//! | 2. a temporary slot is made, and its snapshot: newer than all that was received before step 1. The copy is begun, and what was kept and committed before the snapshot is forgotten | an empty table | the same | `copy-begun` |
//! | 3. chunks | a part of the rows | the same | `copy-middle`, `copied` |
//! | 4. what was kept is applied, in one transaction that leaves the position as it is | the table as of the position, in state `copying` | the same | `catching-up`, `caught-up` |
//! | 5. the table becomes `streaming`, with the position as its sync position; its changes are applied with all others again | a table like all others | goes on | `joined` |
//!
//! So there is no second stream to bring to where the first one is, and no moment at which anybody waits for anybody: what
//! is kept ends exactly where the position is. A commit of step 4 whose answer is lost needs no second look, because
//! the table is copied anew after any error there.
//!
//! The stream may speak of such a table as it was long before the snapshot, or as it is since: each change is compared with
//! the definition in the snapshot, and one that differs is not kept. If it committed before the snapshot, the copy has it;
//! if not, the table does not join but is copied anew.
//!
//! ## A lost source
//!
//! A run goes on by itself when the source was lost, for as long as [`Config::reconnect`] says; what the stream checks
//! first stands in `walstream`'s documentation. Its position row and epoch stay as they are: who took the slot meanwhile
//! has raised the epoch, and our next batch changes nothing and ends the run.
//!
//! | step | a crash after it leaves | killed at |
//! |---|---|---|
//! | 1. the stream is lost; what it had handed out is applied and waits to be confirmed | data and position; the slot behind them | at random |
//! | 2. it starts again, at the slot's own position; what was handed out is left out | the same | at random |
//! | 3. the publications are looked at over a new session | the same | at random |
//! | 4. the next batch carries the timeline that the server is on now | as a batch | as a batch |
//!
//! ## Standby
//!
//! With [`Config::standby`] a run begins by waiting, without anything at either side but a session that asks the source's
//! catalog who has the slot. When it is nobody's a later start follows, whose steps are those above:
//!
//! | what the one at work does | the standby | killed or stopped at |
//! |---|---|---|
//! | dies | gets the slot as soon as its connection has ended | at random |
//! | hangs, in the middle of a batch or not | gets the slot after `wal_sender_timeout`, raises the epoch, and ends the session that holds the position row | `batch-middle` |
//! | comes back | has the epoch: the other one's batch finds no row, and ends that run, or makes it the standby | after it was stopped there |
//! | is in its first start, between intent and position | finds an intent, and lets it alone for five minutes | `slot-made` |
//!
//! ## Another source
//!
//! [`adopt()`] is the only way in which a position row gets another system. Its steps are: the slot at the new source, where
//! there is none; the epoch, so that whoever follows the old one is out; and one destination transaction in which position
//! row and ledger get the new source's numbers. A crash before the last leaves a destination that follows the old source,
//! and a slot that nobody reads, which the next attempt finds.
//!
//! ## A destination that is too far behind
//!
//! A bound of [`Config::max_lag_bytes`] that is exceeded is said, and that is all, unless [`OnMaxLag::DropSlot`] was chosen.
//! Then the run ends as by a crash, the slot is dropped if nobody else has it by now, and the ledger has the tables as
//! stopped, with the reason, for the next start to tell. The slot goes first: a destination that cannot be reached may be
//! why it is behind. A crash before that leaves everything as it was, and one after it (`slot-given-up`) a position without
//! a slot, which every start refuses.
//!
//! ## Cutting over
//!
//! `cut_over()` sees that nobody writes at the source and that everything is at a PostgreSQL destination, and sets the
//! sequences there. It neither follows the slot nor writes position row and ledger, so a run may go on beside it.
//!
//! | step | a crash after it leaves | the next attempt | killed at |
//! |---|---|---|---|
//! | 1. a temporary slot is made that sees whoever commits from here on; the position is waited for | nothing | begins again | at random |
//! | 2. sequences that are behind are set, each for good at once; what is missing is made in one transaction | some of them set | sets the others: none goes back | `sequence-set` |
//! | 3. the source's sequences, open transactions and the temporary slot are looked at again | all of it done | finds it done | at random |
//!
//! ## A lost destination
//!
//! A run goes on by itself when the destination was lost, down, full, read-only or in a deadlock, for as long as
//! [`Config::destination_retry`] says; the stream lives on meanwhile, and nothing is confirmed. Only errors of the
//! destination's that may pass ([`ErrorKind::Retry`]) are tried again, never one of the source's or of the spool's.
//!
//! | step | a crash after it leaves | the next start | killed at |
//! |---|---|---|---|
//! | 1. a call fails, or its answer does not come; the batch is open nowhere, or it is in: only COMMIT can tell | nothing, or data and position | gets the batch again, or skips it | `destination-lost` |
//! | 2. what is open is rolled back, and the position row is read; until it can be read, that is all that is tried | the same | the same | at random |
//! | 3. the row is as the batch would have left it: the batch is in and is confirmed | data and position; the slot behind them | skips | `batch-after-commit` leaves the same |
//! | 4. or it is as it was before: a pause, then the same transactions are written again | nothing | gets the batch again | `destination-back` |
//!
//! A row that is neither ends the run: somebody else moved it. What was read in step 2 may be overtaken by a commit of
//! ours that a server had not finished yet; then the compare-and-set at the beginning of the next attempt finds no row,
//! and step 2 comes again, and finds the batch. A first connection is not tried again.
//!
//! ## End
//!
//! Finish the batch, write the idle position, confirm it, CopyDone. Nothing of it is needed for safety; it lets the
//! next start find the slot where the destination is.

mod adopt;
mod alteration;
mod anonymise;
mod apply;
mod changes;
pub mod check;
mod chunk;
pub mod cli;
pub mod compare;
mod config;
mod copy;
#[cfg(feature = "postgres")]
mod cut_over;
mod decode;
mod definition;
#[cfg(feature = "sqlite")]
pub mod demo;
mod destination;
mod dialect;
mod error;
mod failpoint;
mod follow;
mod guard;
mod ledger;
pub mod log;
mod metrics;
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
mod misfit;
mod names;
mod plan;
mod position;
mod publication;
mod pulse;
mod quarantine;
mod raw;
pub mod record;
mod resync;
mod run;
mod selection;
pub mod show;
mod shutdown;
mod source;
mod standby;
mod start;
pub mod status;
mod table;
pub mod tail;
mod value;

pub use adopt::{Adopted, adopt};
pub use alteration::Alteration;
pub use anonymise::{AnonymiseConfig, anonymise};
pub use apply::Summary;
pub use chunk::Chunk;
pub use config::{
    Compression, Config, Copy, ExistingRows, Keyless, OnConflict, OnMaxLag, OnMisfit, OnTableError,
    Streaming, Until,
};
pub use copy::{CopyEvent, CopyHandle, CopyPlan, CopyProgress, CopyTable};
#[cfg(feature = "postgres")]
pub use cut_over::{CutOver, CutOverConfig, Missing, Step, cut_over};
pub use decode::{DecodeConfig, decode};
#[cfg(feature = "mysql")]
pub use destination::mysql::{MysqlDestination, MysqlOptions};
#[cfg(feature = "postgres")]
pub use destination::postgres::{PostgresDestination, PostgresOptions};
#[cfg(feature = "sqlite")]
pub use destination::sqlite::{SqliteDestination, SqliteOptions};
#[cfg(feature = "sqlserver")]
pub use destination::sqlserver::{SqlServerDestination, SqlServerOptions};
pub use destination::{Destination, Existing, Outcome, Refused, Rows};
#[cfg(feature = "mysql")]
pub use dialect::mysql::Mysql;
#[cfg(feature = "postgres")]
pub use dialect::postgres::Postgres;
#[cfg(feature = "sqlite")]
pub use dialect::sqlite::Sqlite;
#[cfg(feature = "sqlserver")]
pub use dialect::sqlserver::SqlServer;
pub use dialect::{Dialect, Shape};
pub use error::{Error, ErrorKind, Result};
pub(crate) use failpoint::fail_point;
pub use ledger::Ledger;
pub use metrics::{Figures, Metrics, MetricsServer, Phase, Readiness, SlotFigures};
pub use names::{ColumnName, Names, TableName, TablePattern};
pub use plan::{Action, Operation};
pub use position::{PositionRow, State, TableRow, TableState};
pub use pulse::{Pulse, Stage};
pub use record::{RecordConfig, Recorded, record};
pub use resync::resync;
pub use run::{Removed, remove, run, run_into};
pub use shutdown::{Shutdown, ShutdownHandle};
pub use table::{Column, Table};
pub use tail::{TailConfig, tail};
pub use value::{Kind, Value, ValueError};
