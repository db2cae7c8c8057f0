//! Where rows go: what every product's destination promises.

mod conflict;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::future::Future;
use std::sync::Arc;
#[cfg(feature = "sqlite")]
use std::time::Duration;

use walproto::Oid;

use crate::config::OnConflict;
use crate::error::{Error, Result};
use crate::plan::Operation;
use crate::position::{PositionRow, TableRow};
use crate::table::Table;
use crate::value::Value;
#[cfg(feature = "sqlite")]
use sqlite::{SqliteDestination, SqliteOptions};

#[cfg(not(feature = "sqlite"))]
compile_error!("a replicator needs a destination: turn on the feature \"sqlite\"");

/// Opens the destination that a URL names, for writing by `slot`; a file that is not there is made.
///
/// Waits so long for another process that writes it.
#[cfg(feature = "sqlite")]
pub(crate) async fn open(
    url: &str,
    slot: &str,
    wait: Duration,
    on_conflict: OnConflict,
) -> Result<SqliteDestination> {
    let options = SqliteOptions::new(path(url)?, slot).wait(wait);
    SqliteDestination::open(options.on_conflict(on_conflict)).await
}

/// As [`open`], but a file that is not there is an error: for commands that only look or clean up.
#[cfg(feature = "sqlite")]
pub(crate) async fn open_existing(
    url: &str,
    slot: &str,
    wait: Duration,
) -> Result<SqliteDestination> {
    let options = SqliteOptions::new(path(url)?, slot).create(false);
    SqliteDestination::open(options.wait(wait)).await
}

/// The file in `sqlite:PATH`; `sqlite://PATH` is the same, as other tools write it.
#[cfg(feature = "sqlite")]
fn path(url: &str) -> Result<&str> {
    let known = "a destination is sqlite:PATH, such as sqlite:shop.db";
    let Some(path) = url.strip_prefix("sqlite:") else {
        // What follows the scheme may hold a password.
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        return Err(match scheme {
            "postgres" | "postgresql" | "mysql" | "sqlserver" | "duckdb" | "kafka" | "stdout"
            | "file" => Error::usage(format!("destinations of kind {scheme} are not there yet"))
                .with_hint(known),
            _ => Error::usage("the destination is not a URL that we know").with_hint(known),
        });
    };
    match path.strip_prefix("//").unwrap_or(path) {
        "" => Err(Error::usage("the destination names no file").with_hint(known)),
        path => Ok(path),
    }
}

/// A database that takes rows and remembers, in the same transaction, how far it is.
///
/// One task owns it. A batch is [`begin`](Self::begin), any number of [`execute`](Self::execute), and
/// [`commit`](Self::commit) or [`rollback`](Self::rollback); all else is a transaction of its own and must not come
/// in the middle of a batch.
///
/// *Cancel safety*: a call whose future is dropped may still be carried out. Call `rollback`, and read the position
/// row again, before anything else is based on it.
pub trait Destination: Send {
    /// Gives tables their names here, and refuses those that cannot be here.
    ///
    /// # Errors
    ///
    /// Names the table and the reason.
    fn name_tables<'a>(&self, tables: impl IntoIterator<Item = &'a mut Table>) -> Result<()>;

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
    /// A table of that name that is here already is refused, unless `existing` accepts it and its columns can hold
    /// what we store.
    fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Drops the tables that the ledger says we made for this slot, and forgets all of its tables.
    ///
    /// Gives back the names of those that were dropped. Only for a first copy that starts over.
    fn drop_made_tables(&mut self, slot: &str) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Adds rows of the first copy, every column in the table's order, and makes them durable.
    ///
    /// # Errors
    ///
    /// The intent must still be the one that [`write_intent`](Self::write_intent) or
    /// [`raise_epoch`](Self::raise_epoch) gave back last; else somebody took over.
    fn copy(
        &mut self,
        table: &Arc<Table>,
        rows: Vec<Vec<Value>>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Turns the intent into a position: the first copy is complete, and the stream begins at `row.lsn`.
    ///
    /// All tables become `streaming`. Gives back the row as it is now.
    fn activate(&mut self, row: &PositionRow) -> impl Future<Output = Result<PositionRow>> + Send;

    /// Takes over: raises the epoch and reads the row, in one transaction. Only for who owns the slot.
    fn raise_epoch(
        &mut self,
        slot: &str,
        holder: &str,
    ) -> impl Future<Output = Result<PositionRow>> + Send;

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

    /// Makes the batch durable; an empty batch writes only the position.
    ///
    /// # Errors
    ///
    /// A row that waited for its key in vain is a conflict, and the batch is rolled back. When even reading the
    /// position row again does not tell whether the batch is in, nothing may be confirmed or replayed before it has
    /// been read.
    fn commit(&mut self) -> impl Future<Output = Result<Outcome>> + Send;

    /// Undoes the batch that is open, if one is.
    fn rollback(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Forgets the slot: its position row and its tables in the ledger. The tables themselves stay.
    fn forget(&mut self, slot: &str) -> impl Future<Output = Result<()>> + Send;

    /// Marks a table as not followed any more.
    fn stop_table(
        &mut self,
        slot: &str,
        oid: Oid,
        reason: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    /// All rows of a table in chunks, for comparing; no batch may be open meanwhile.
    fn read(&mut self, table: &Arc<Table>) -> impl Future<Output = Result<Rows>> + Send;

    /// Closes it in order; what is open is rolled back.
    fn close(self) -> impl Future<Output = Result<()>> + Send;
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
    /// Stop: somebody else's rows must not be mixed with ours.
    #[default]
    Refuse,
    /// Take it over as it is, and never drop it (`--copy no`).
    Accept,
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

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file() {
        for (url, file) in [
            ("sqlite:shop.db", "shop.db"),
            ("sqlite:/var/shop.db", "/var/shop.db"),
            ("sqlite:///var/shop.db", "/var/shop.db"),
            ("sqlite://shop.db", "shop.db"),
        ] {
            assert_eq!(path(url).unwrap(), file);
        }
    }

    #[test]
    fn other_urls_end_in_one_sentence_without_secrets() {
        for url in [
            "",
            "shop.db",
            "sqlite:",
            "sqlite://",
            "mysql://u:secret@h/d",
            "bogus://u:secret@h/d",
        ] {
            let error = path(url).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(
            path("mysql://h/d")
                .unwrap_err()
                .to_string()
                .contains("mysql")
        );
    }
}
