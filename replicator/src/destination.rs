//! Where rows go: what every product's destination promises.

mod any;
mod conflict;
mod fold;
pub(crate) mod look;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(any(feature = "sqlite", feature = "postgres", test))]
mod parking;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod reader;
mod refusal;
mod row_key;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
mod runs;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
mod server;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(feature = "sqlserver")]
pub(crate) mod sqlserver;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
mod tls;
pub(crate) mod url;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use walproto::{Lsn, Oid};

use crate::alteration::Alteration;
use crate::chunk::Chunk;
use crate::dialect::ANOTHER_NAME;
use crate::error::{Error, Result, START_ANEW};
use crate::names::{Names, TableName};
use crate::plan::Operation;
use crate::position::{PositionRow, TableRow};
use crate::table::Table;
use crate::value::Value;
#[cfg(feature = "postgres")]
pub(crate) use any::{Any as AnyDestination, takes_sequences};
pub(crate) use any::{open, open_existing};
pub(crate) use reader::Reader;

#[cfg(not(any(
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "sqlserver"
)))]
compile_error!(
    "a replicator needs a destination: turn on the feature \"sqlite\", \"postgres\", \"mysql\" or \"sqlserver\""
);

/// A database that takes rows and remembers, in the same transaction, how far it is.
///
/// One task owns it. A batch is [`begin`](Self::begin), any number of [`execute`](Self::execute), and
/// [`commit`](Self::commit) or [`rollback`](Self::rollback); all else is a transaction of its own and must not come
/// in the middle of a batch.
///
/// Databases of other kinds can be destinations as well: what has to be remembered, and by which rules, is for a
/// [`Ledger`](crate::Ledger) to know; `examples/own_destination.rs` is one.
///
/// After an error of kind [`Retry`](crate::ErrorKind::Retry) in a batch a run goes on by itself: it calls `rollback` and
/// `position`, waits, and comes with the same batch again. So a session that was lost is opened anew by the next call, an
/// error that may pass is of that kind (a lost connection, a full disk, a deadlock, a server that is read-only for a
/// while), and one that will not is not. No call may wait for an answer for ever.
///
/// *Cancel safety*: a call whose future is dropped may still be carried out. Call `rollback`, and read the position
/// row again, before anything else is based on it.
pub trait Destination: Send {
    /// Gives tables their names here, those that the user chose before their own, and refuses what cannot be here.
    ///
    /// # Errors
    ///
    /// Names the table and the reason.
    ///
    /// Where this is not there, a table is `schema.table`, as options write it.
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        let mut taken = HashMap::new();
        for table in tables {
            let (schema, name) = names.of(table);
            let name = TableName::new(schema, name).to_string();
            if let Some(other) = taken.insert(name.clone(), table.to_string()) {
                let why =
                    format!("tables {other} and {table} would both be {name} at the destination");
                return Err(Error::usage(why).with_hint(ANOTHER_NAME));
            }
            table.destination = name;
        }
        Ok(())
    }

    /// The position row of a slot, if there is one.
    fn position(&mut self, slot: &str) -> impl Future<Output = Result<Option<PositionRow>>> + Send;

    /// The ledger's tables of a slot, in the order of their source names.
    fn tables(&mut self, slot: &str) -> impl Future<Output = Result<Vec<TableRow>>> + Send;

    /// Writes down, before the slot is made, that it is about to be; an intent that is there already is replaced.
    ///
    /// Gives back the row with the epoch that it got. `state` and `epoch` of the row handed in do not matter.
    ///
    /// # Errors
    ///
    /// A position row that is followed already is never overwritten.
    fn write_intent(
        &mut self,
        row: &PositionRow,
    ) -> impl Future<Output = Result<PositionRow>> + Send;

    /// Takes the intent back, because the server refused to make the slot. Without an intent it does nothing.
    fn remove_intent(&mut self, slot: &str) -> impl Future<Output = Result<()>> + Send;

    /// Writes a table into the ledger, in state `copying`, and makes it.
    ///
    /// # Errors
    ///
    /// A table of that name that is here already is refused, unless `existing` accepts its rows and its columns can hold
    /// what we store; then it is not ours. If its rows are to stay, that is written down too.
    fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Drops the tables that the ledger says we made for this slot, and forgets all of its tables.
    ///
    /// Gives back the names of those that were dropped. Only before anything was copied into them.
    fn drop_made_tables(&mut self, slot: &str) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Turns the intent into a position: slot and tables stand, and the stream begins at `row.lsn`.
    ///
    /// Tables keep their states. Gives back the row as it is now.
    ///
    /// # Errors
    ///
    /// The intent must still be the one that [`write_intent`](Self::write_intent) gave back last; else somebody took
    /// over.
    fn activate(&mut self, row: &PositionRow) -> impl Future<Output = Result<PositionRow>> + Send;

    /// Takes over: raises the epoch and reads the row, in one transaction. Only for who owns the slot.
    fn raise_epoch(
        &mut self,
        slot: &str,
        holder: &str,
    ) -> impl Future<Output = Result<PositionRow>> + Send;

    /// Begins the copy of a table, for the first time or anew: the table is made again if `table` has other columns or
    /// another key than the ledger's, else emptied (unless [its rows stay](Existing::keeps)); the ledger has it as it is now, in state `copying`, with `at` as its sync position and no chunks.
    ///
    /// # Errors
    ///
    /// The position row must still have the epoch of `held`; else somebody took over, and nothing is changed. A table that
    /// somebody else made must be able to hold the columns. One whose rows stay is copied into only once: which rows a
    /// copy left that was broken off, nothing tells.
    fn begin_copy(
        &mut self,
        held: &PositionRow,
        table: &Arc<Table>,
        at: Lsn,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Adds the rows of a chunk and writes down its number, in one transaction.
    ///
    /// A chunk that is in already is left alone, so that after an error of kind [`Retry`](crate::ErrorKind::Retry), even
    /// of a commit, the same one can be handed in again.
    ///
    /// # Errors
    ///
    /// Chunks of a part come in their order, and within a copy that [`begin_copy`](Self::begin_copy) has begun. The epoch
    /// as there.
    fn copy(&mut self, held: &PositionRow, chunk: Chunk)
    -> impl Future<Output = Result<()>> + Send;

    /// Ends the copy of a table: its state is [`TableState::copied`](crate::TableState::copied) from now on, by the position
    /// in `held`; its chunks are forgotten.
    ///
    /// A table that is not copied because its rows are here already is told so too, with `at`.
    ///
    /// # Errors
    ///
    /// The epoch as in [`begin_copy`](Self::begin_copy).
    fn finish_copy(
        &mut self,
        held: &PositionRow,
        oid: Oid,
        at: Lsn,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Another session of the same destination, for chunks that are written at the same time; `None` where that makes
    /// nothing faster.
    fn another(&mut self) -> impl Future<Output = Result<Option<Self>>> + Send
    where
        Self: Sized,
    {
        async { Ok(None) }
    }

    /// Begins a batch by moving the position row from `expected` to `next`, and holds its lock from then on.
    ///
    /// What may differ in `next` is position, timeline, publications and fingerprint.
    ///
    /// # Errors
    ///
    /// When position or epoch are not as expected, nothing is begun: another replicator took over.
    fn begin(
        &mut self,
        expected: &PositionRow,
        next: &PositionRow,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Carries out operations in their order.
    ///
    /// A row whose key is taken may wait for it until the end of its source transaction
    /// ([`Operation::lsn`](crate::Operation::lsn)): there the source may compare keys only when it commits.
    ///
    /// # Errors
    ///
    /// An operation that does not touch exactly one row is a conflict, named by table, key and position. After any
    /// error the batch is rolled back.
    fn execute(&mut self, operations: Vec<Operation>) -> impl Future<Output = Result<()>> + Send;

    /// Makes ready for an [`alter_table`](Self::alter_table) what a batch cannot take back with it, where there is such;
    /// called before the batch. Doing it again does nothing.
    ///
    /// # Errors
    ///
    /// The epoch as in [`begin_copy`](Self::begin_copy).
    fn prepare_alter(
        &mut self,
        held: &PositionRow,
        alteration: &Alteration,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (held, alteration);
        async { Ok(()) }
    }

    /// In a batch, at its place among the operations: adds columns and gives the rows that are there their values; what
    /// the ledger says of the table changes with the batch.
    ///
    /// A column of that name which is there already is taken if it can hold the values.
    ///
    /// # Errors
    ///
    /// Where this is not there, a definition that changes ends the run.
    fn alter_table(
        &mut self,
        slot: &str,
        alteration: &Alteration,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = slot;
        let error = Error::person(format!(
            "the definition of table {} changed at the source, and this destination cannot follow that",
            alteration.was
        ))
        .with_hint(START_ANEW);
        async { Err(error) }
    }

    /// Why the destination table does not fit what the table is from here on, with what to run there; `None` if it does.
    ///
    /// Asked every few seconds, outside of batches, while a run waits for somebody to change the table.
    fn fits(
        &mut self,
        alteration: &Alteration,
    ) -> impl Future<Output = Result<Option<String>>> + Send {
        let _ = alteration;
        async { Ok(None) }
    }

    /// As [`execute`](Self::execute), but leaves out what the destination refuses, and hands it back with the reason; the
    /// batch goes on.
    ///
    /// Where this is not there, a change that is refused ends a run that was to leave it out. Everything else that goes
    /// wrong (the connection, the schema, the position) is an error here as it is there.
    fn attempt(
        &mut self,
        operations: Vec<Operation>,
    ) -> impl Future<Output = Result<Vec<Refused>>> + Send {
        async move { self.execute(operations).await.map(|()| Vec::new()) }
    }

    /// Makes the batch durable; an empty batch writes only the position.
    ///
    /// # Errors
    ///
    /// A row that waited for its key in vain is a conflict, and the batch is rolled back. When even reading the
    /// position row again does not tell whether the batch is in, nothing may be confirmed or replayed before it has
    /// been read.
    fn commit(&mut self) -> impl Future<Output = Result<Outcome>> + Send;

    /// Goes on with another source: position row and ledger say so from here on, in one transaction.
    ///
    /// All of `next` but slot and epoch may differ from `held`. `tables` are all of the ledger's, each by the number that
    /// it had; states and what is kept of their own rows go with them. No batch is open.
    ///
    /// # Errors
    ///
    /// Position and epoch must be those of `held`. Where this is not there, another source needs another destination.
    fn adopt(
        &mut self,
        held: &PositionRow,
        next: &PositionRow,
        tables: &[(Oid, TableRow)],
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (held, next, tables);
        let error =
            Error::usage("this destination cannot go on with another source").with_hint(START_ANEW);
        async { Err(error) }
    }

    /// Undoes the batch that is open, if one is.
    fn rollback(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Forgets the slot: its position row and its tables in the ledger. The tables themselves stay.
    fn forget(&mut self, slot: &str) -> impl Future<Output = Result<()>> + Send;

    /// Marks a table that is `catching up` as `streaming`; one in another state stays in it.
    ///
    /// For people who look at the ledger: nothing else depends on it, and what is left out is made up for by the next start.
    fn caught_up(&mut self, slot: &str, oid: Oid) -> impl Future<Output = Result<()>> + Send {
        let _ = (slot, oid);
        async { Ok(()) }
    }

    /// Marks a table as not followed any more.
    fn stop_table(
        &mut self,
        slot: &str,
        oid: Oid,
        reason: &str,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (slot, oid, reason);
        async { Err(Error::person("this destination cannot stop a table")) }
    }

    /// Marks a table to be copied anew by whoever follows the slot; its rows stay until that begins.
    ///
    /// `now` is the number of the source's table from then on: another one where a table was made again under its name.
    /// What else the ledger says of it stays, so that [`begin_copy`](Self::begin_copy) sees the difference.
    fn ask_copy(
        &mut self,
        slot: &str,
        oid: Oid,
        now: Oid,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (slot, oid, now);
        async { Err(Error::person("this destination cannot copy a table anew")) }
    }

    /// All rows of a table in chunks, for comparing; no batch may be open meanwhile. A run does not ask for it.
    fn read(&mut self, table: &Arc<Table>) -> impl Future<Output = Result<Rows>> + Send {
        let _ = table;
        async { Err(Error::usage("this destination cannot be read back")) }
    }

    /// Closes it in order; what is open is rolled back.
    fn close(self) -> impl Future<Output = Result<()>> + Send
    where
        Self: Sized,
    {
        drop(self);
        async { Ok(()) }
    }
}

/// A change that the destination refuses, and was left out.
#[derive(Debug)]
pub struct Refused {
    /// Its place among those that were to be carried out.
    pub at: usize,
    /// The change.
    pub operation: Operation,
    /// Why.
    pub error: Error,
}

/// What became of a batch.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// It is durable, and this is the position row now.
    Committed(PositionRow),
    /// It is not here, for this reason; the position row is as it was before.
    NotCommitted(Error),
}

/// What to do about a destination table that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Take over one without rows, and stop at one with rows: somebody else's must not be mixed with ours.
    #[default]
    Refuse,
    /// Take it over as it is, and never drop it (`--copy no`).
    Accept,
    /// As `Accept`, and one that is not there is refused ([`Error::needs_table`]): making tables is somebody else's
    /// (`--copy no --auto-create no`).
    Expect,
    /// As `Expect`, for one that is to be copied into: it must be empty (`--auto-create no`).
    Fill,
    /// Take it over, whatever rows it has; its copy begins with emptying it (`--existing truncate`).
    Empty {
        /// Whether one that is not there is made.
        makes: bool,
    },
    /// Take it over; its rows stay when it is copied into (`--existing keep`).
    Keep {
        /// Whether one that is not there is made.
        makes: bool,
    },
}

impl Existing {
    /// Whether a table that is not there is made.
    pub const fn makes(self) -> bool {
        match self {
            Self::Refuse | Self::Accept => true,
            Self::Expect | Self::Fill => false,
            Self::Empty { makes } | Self::Keep { makes } => makes,
        }
    }

    /// Whether one that holds rows is refused.
    pub const fn wants_empty(self) -> bool {
        matches!(self, Self::Refuse | Self::Fill)
    }

    /// Whether its rows stay when it is copied into.
    pub const fn keeps(self) -> bool {
        matches!(self, Self::Keep { .. })
    }
}

/// What to do about something of somebody else's that is no table.
const OTHERS: &str = "drop or rename it, or give the table another name with --map-table";

/// The refusal of a table that must be empty and holds rows.
fn not_empty(table: &Table) -> Error {
    Error::person(format!(
        "the destination's table {} holds rows, and those of table {table} are to be copied into it",
        table.destination
    ))
    .about_rows()
    .with_hint(
        "empty it; or use --existing truncate to have that done, --existing keep to let them stay beside ours, or \
         --copy no if they are the source's rows already",
    )
}

/// A table that is there no more, and is not ours to make again.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
fn gone(table: &Table) -> Error {
    let name = &table.destination;
    Error::person(format!("the destination's table {name} is gone"))
        .with_hint("restore it, or drop the slot and copy everything again")
}

/// The refusal of a second copy into a table whose own rows stay.
pub(crate) fn rows_are_mixed(table: &Table) -> Error {
    Error::person(format!(
        "a copy of table {table} was begun beside the rows that the destination's table {} had (--existing keep), and \
         nothing tells any more which rows are whose",
        table.destination
    ))
    .with_hint(format!(
        "nothing was deleted: take out of it what the copy brought, or all of it; then {START_ANEW}"
    ))
}

/// Rows of a table on their way out.
#[derive(Debug)]
pub struct Rows(pub(crate) tokio::sync::mpsc::Receiver<Result<Vec<Vec<Value>>>>);

impl Rows {
    /// The next rows, never none; `None` after the last.
    ///
    /// *Cancel safety*: nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Vec<Vec<Value>>>> {
        self.0.recv().await.transpose()
    }
}
