//! What a product's session can do: all that a server has to bring for the [`Writer`](super::Writer).

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::cell::{Cell, Row};
use crate::alteration::Alteration;
use crate::check::Finding;
use crate::chunk::Chunk;
use crate::config::OnConflict;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Operation;
use crate::table::Table;
use crate::value::Value;

/// How long a transaction of ours may lie open without a statement: a process that was stopped keeps its row locked
/// no longer. Sessions are to say so to their server.
pub(crate) const IDLE: Duration = Duration::from_secs(20);

/// A session as others find it: its number at the server, and what tells it from another one of that number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) number: i64,
    pub(crate) since: Cell,
}

/// What is made together of our own tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// `_replicator_position` and `_replicator_tables`.
    Ledger,
    /// `_replicator_chunks`.
    Chunks,
    /// The column `source_time` of a position's table of an older layout.
    Time,
}

/// What keeps a statement from bringing our tables to this layout, with what may help: only their owner may.
pub(crate) fn migrated_by(error: Error, sql: &str) -> Error {
    if error.kind() == ErrorKind::Retry {
        return error;
    }
    error.with_hint(format!(
        "the replicator's own tables are of an older version; let their owner run this at the destination, and start \
         again: {sql}"
    ))
}

/// How the position row is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// As it is.
    Free,
    /// So that nobody changes it until the end of the transaction; others may read it so at the same time.
    Shared,
    /// When nobody is about to change it any more.
    Settled,
}

/// Why a table was not made.
#[derive(Debug)]
pub(crate) struct Unmade {
    pub(crate) error: Error,
    /// There is one of that name already.
    pub(crate) is_there: bool,
}

/// An open session at a product's server, whose settings are its own.
///
/// Statements of the ledger are written once for every product, with names in `"` and parameters as `$1`; a product
/// turns them into its own words in [`ask`](Self::ask) and [`put`](Self::put).
pub(crate) trait Session: Sized + Debug + Send + 'static {
    /// How sessions are opened, and what outlives them.
    type Way: Debug + Send + 'static;
    type Found: Found;
    type Statements: Statements<Self>;

    /// Whether a statement that makes or drops a table belongs to its transaction. Elsewhere it commits by itself: what
    /// the ledger says of a table is durable before the table is there.
    const WHOLE: bool;
    /// The statement that begins a transaction.
    const BEGIN: &'static str;
    /// The statement that undoes one that is open.
    const ROLLBACK: &'static str = "ROLLBACK";
    /// Where the position row has the session that wrote it last, as [`Holder`] has it.
    const HOLDER: [&'static str; 2];
    /// Gives the names of those of our own tables that are there, and `source_time` where the position's has that column.
    const OURS: &'static str;

    /// Opens one, and sees that the server can keep our promises; one that took changes before (`again`) may soon take
    /// them again.
    fn open(
        way: &Self::Way,
        lock_wait: Duration,
        again: bool,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Opens one to look: nothing can be written through it. What keeps a run from opening one that writes is found, and
    /// no error.
    ///
    /// Where this is not there, what a run would be refused for is the error of [`open`](Self::open), one at a time.
    fn open_to_look(way: &Self::Way) -> impl Future<Output = Result<(Self, Vec<Finding>)>> + Send {
        let open = Self::open(way, Duration::from_secs(1), false);
        async { Ok((open.await?, Vec::new())) }
    }

    /// What the server says of itself (what outlasts its failures, how it stores texts, what our sessions set for
    /// themselves), and whether we have the rights to make tables, to write those that are there, and to our own, which
    /// are there or not.
    ///
    /// # Errors
    ///
    /// The session was lost; what the server only refuses to tell is a finding.
    fn survey(
        &mut self,
        made: &[Table],
        taken: &[Table],
        has_ledger: bool,
    ) -> impl Future<Output = Result<Vec<Finding>>> + Send {
        let _ = (made, taken, has_ledger);
        async { Ok(Vec::new()) }
    }

    /// Bytes that its database has room for, if that can be known.
    fn room(&mut self) -> impl Future<Output = Option<u64>> + Send {
        async { None }
    }

    /// The way of another session beside those there are.
    fn another(way: &mut Self::Way) -> Self::Way;

    /// What is to be known of tables.
    fn statements(way: &Self::Way) -> Self::Statements;

    /// Says goodbye.
    fn close(self, way: &Self::Way) -> impl Future<Output = ()> + Send;

    /// Whether the server has gone, or what it says cannot be followed any more.
    fn is_lost(&self) -> bool;

    /// Finds out whether it is there still, outside of transactions, where that is not noticed in time otherwise.
    fn look(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Who this is.
    fn holder(&self) -> Holder;

    /// Ends another session, if it is still that one; whether it was there.
    ///
    /// # Errors
    ///
    /// That may not be done: it has to be waited for.
    fn terminate(&mut self, holder: &Holder) -> impl Future<Output = Result<bool>> + Send;

    /// Those that have read a slot's row as [`Shared`](Lock::Shared), where that holds them together for longer than
    /// [`IDLE`].
    fn sharers(&mut self, slot: &str) -> impl Future<Output = Result<Vec<Holder>>> + Send {
        let _ = slot;
        async { Ok(Vec::new()) }
    }

    /// Within a transaction: waits for locks only a moment, until its end or until [`wait`](Self::wait).
    fn hurry(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Waits for locks as long as this again, where a transaction's end does not see to that.
    fn wait(&mut self, lock_wait: Duration) -> impl Future<Output = Result<()>> + Send {
        let _ = lock_wait;
        async { Ok(()) }
    }

    /// Before it writes: sees that what it writes is marked as replicated, where there is such.
    fn mark(&mut self, way: &mut Self::Way) -> impl Future<Output = ()> + Send {
        let _ = way;
        async {}
    }

    /// Takes away what there is of a slot besides the ledger.
    fn forget(&mut self, way: &mut Self::Way, slot: &str) -> impl Future<Output = ()> + Send {
        let _ = (way, slot);
        async {}
    }

    /// Carries out a statement; `what` could not be done if it is refused.
    fn run_for(&mut self, sql: &str, what: &str) -> impl Future<Output = Result<()>> + Send;

    /// Marks a place within the transaction.
    fn save(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send {
        savepoint(self, "SAVEPOINT", name)
    }

    /// Forgets it, and keeps what was done since.
    fn release(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send {
        savepoint(self, "RELEASE SAVEPOINT", name)
    }

    /// Undoes what was done since.
    fn back_to(&mut self, name: &str) -> impl Future<Output = Result<()>> + Send {
        savepoint(self, "ROLLBACK TO SAVEPOINT", name)
    }

    /// Whether the transaction is still there behind a statement that was refused.
    fn stands(&mut self) -> impl Future<Output = Result<bool>> + Send {
        async { Ok(true) }
    }

    /// Commits a transaction that is open; an error where the server has given it up.
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// The rows of a query over the ledger.
    fn ask(&mut self, sql: &str, values: &[Cell]) -> impl Future<Output = Result<Vec<Row>>> + Send;

    /// How many rows of the ledger a statement met.
    fn put(&mut self, sql: &str, values: &[Cell]) -> impl Future<Output = Result<u64>> + Send;

    /// Within a transaction, before a query reads a slot's position row so: holds it, where no words of a query do that.
    fn hold(&mut self, slot: &str, lock: Lock) -> impl Future<Output = Result<()>> + Send {
        let _ = (slot, lock);
        async { Ok(()) }
    }

    /// What makes a query read the position row so: behind the table's name, and at the end. `$1` is the slot.
    fn lock(lock: Lock) -> [&'static str; 2];

    /// Makes tables of ours that are not there.
    fn create(&mut self, ours: Ours) -> impl Future<Output = Result<()>> + Send;

    /// What has the name of a table at the destination, if anything.
    fn find(
        &mut self,
        destination: &str,
    ) -> impl Future<Output = Result<Option<Self::Found>>> + Send;

    /// Whether it can hold our rows.
    ///
    /// # Errors
    ///
    /// Names what cannot.
    fn check(&self, found: &Self::Found, table: &Table) -> Result<()>;

    /// Whether a table has no rows.
    fn is_empty(&mut self, table: &Table) -> impl Future<Output = Result<bool>> + Send;

    /// A table's name in statements.
    fn name(table: &Table) -> String;

    /// The statement that takes all rows out of a table within a transaction.
    fn emptying(table: &Table) -> String;

    /// The statement that makes a table.
    fn making(&self, table: &Table) -> String;

    /// The same for who has nothing yet of what the table is in.
    fn making_by_hand(&self, table: &Table) -> String {
        self.making(table)
    }

    /// Makes a table, and what it is in.
    fn make(&mut self, table: &Table) -> impl Future<Output = Result<(), Unmade>> + Send;

    /// Where statements over tables commit by themselves: adds the columns that are not there, which hold NULL until
    /// [`Statements::alter`] fills them.
    fn prepare_alter(
        &mut self,
        alteration: &Alteration,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = alteration;
        async { Ok(()) }
    }

    /// What makes a destination table fit that was changed at the source.
    fn to_fit(&self, alteration: &Alteration) -> Vec<String>;
}

async fn savepoint(db: &mut impl Session, verb: &str, name: &str) -> Result<()> {
    let what = "the destination server ended the transaction";
    db.run_for(&format!("{verb} {name}"), what).await
}

/// A table that is there.
pub(crate) trait Found: Debug + Send + Sync {
    /// In words, for a refusal: `table` if it is one.
    fn kind(&self) -> &'static str;

    /// Whether it has a column of this name.
    fn has(&self, name: &str) -> bool;

    /// The columns of each unique index.
    fn unique(&self) -> &[Vec<String>];
}

/// What is known of the destination tables, and changes of their rows on the way through statements.
pub(crate) trait Statements<S>: Debug + Send + 'static {
    /// Whether [`execute`](Self::execute) changes what it is handed: values that are made to fit.
    const REWRITES: bool;

    /// Forgets the tables: another session, or other tables.
    fn clear(&mut self);

    /// A batch begins, with this policy about a change that meets another destination than it expects.
    fn begin(&mut self, policy: OnConflict);

    /// Carries out operations, in an order that means the same; each must touch exactly one row.
    ///
    /// With `left_out` those that are refused are put there, by their place, and the others go on.
    fn execute(
        &mut self,
        db: &mut S,
        operations: &mut [Operation],
        left_out: Option<&mut Vec<(usize, Error)>>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Before a commit: lets nothing wait any longer.
    fn leave(&mut self, db: &mut S) -> impl Future<Output = Result<()>> + Send {
        let _ = db;
        async { Ok(()) }
    }

    /// Adds the rows of a copy's chunk.
    fn copy(&mut self, db: &mut S, chunk: &Chunk) -> impl Future<Output = Result<()>> + Send;

    /// Reads all rows of a table, as of one moment.
    fn read(
        &mut self,
        db: &mut S,
        table: &Arc<Table>,
        to: &mut Outgoing<'_>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Adds the columns that are not there, fills them, and sees that they hold what they are to hold.
    fn alter(
        &mut self,
        db: &mut S,
        alteration: &Alteration,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Rows of a table on their way out.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    to: &'a Sender<Result<Vec<Vec<Value>>>>,
    chunk: Vec<Vec<Value>>,
}

impl<'a> Outgoing<'a> {
    /// Rows that leave together.
    const CHUNK: usize = 1000;

    pub(super) const fn new(to: &'a Sender<Result<Vec<Vec<Value>>>>) -> Self {
        let chunk = Vec::new();
        Self { to, chunk }
    }

    /// The next one.
    ///
    /// # Errors
    ///
    /// Nobody waits for it any more.
    pub(crate) async fn push(&mut self, row: Vec<Value>) -> Result<()> {
        if self.chunk.capacity() == 0 {
            self.chunk.reserve_exact(Self::CHUNK);
        }
        self.chunk.push(row);
        if self.chunk.len() < Self::CHUNK {
            return Ok(());
        }
        let sent = self.to.send(Ok(std::mem::take(&mut self.chunk))).await;
        sent.map_err(|_| Error::retry("nobody waits for the rows any more"))
    }

    /// There are no more.
    pub(super) async fn finish(self) {
        if !self.chunk.is_empty() {
            let _ = self.to.send(Ok(self.chunk)).await;
        }
    }
}
