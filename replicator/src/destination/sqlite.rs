//! A SQLite file: rusqlite on a thread of its own, behind a channel.
//!
//! WAL mode with `synchronous=FULL`: a commit is durable when it is reported. Readers see whole batches while we
//! write. One process writes at a time: a lock on `PATH-replicator.lock` makes a newcomer wait, and the epoch in the
//! position row stops a process that lost the slot.

mod existing;
mod file;
mod ledger;
mod lock;
mod look;
mod parking;
mod statements;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use walproto::{Lsn, Oid};

use super::{Destination, Existing, Outcome, Refused, Rows};
use crate::alteration::Alteration;
use crate::chunk::Chunk;
use crate::config::OnConflict;
use crate::dialect::{Dialect, sqlite::Sqlite};
use crate::error::{Error, Result};
use crate::names::Names;
use crate::plan::Operation;
use crate::position::{PositionRow, TableRow};
use crate::table::Table;
pub(crate) use look::SqliteLook;
use writer::Writer;

/// How to open a SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) slot: String,
    pub(crate) create: bool,
    pub(crate) wait: Duration,
    pub(crate) on_conflict: OnConflict,
}

impl SqliteOptions {
    /// The file at `path`, made if it is not there, to be written for `slot`.
    pub fn new(path: impl Into<PathBuf>, slot: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            slot: slot.into(),
            create: true,
            wait: Duration::from_secs(10),
            on_conflict: OnConflict::default(),
        }
    }

    /// Whether a file that is not there is made; an error otherwise.
    #[must_use]
    pub const fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// What to do about streamed changes that meet another destination than they expect.
    #[must_use]
    pub const fn on_conflict(mut self, policy: OnConflict) -> Self {
        self.on_conflict = policy;
        self
    }

    /// How long to wait for another process that writes this file, 10 s without this.
    ///
    /// Another program's transaction is waited for at least a second.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// What the file remembers of a slot, beside whoever writes it: a reader in WAL mode, which waits for nobody.
pub(crate) async fn look(
    path: PathBuf,
    slot: String,
) -> Result<(Option<PositionRow>, Vec<TableRow>)> {
    let looked = tokio::task::spawn_blocking(move || {
        let path = file::resolve(&SqliteOptions::new(path, &*slot).create(false))?;
        if !file::has_wal(&path) {
            let read = read(&path, &slot, true);
            // Nobody opened it meanwhile, or the answer means nothing.
            if !file::has_wal(&path) {
                return read;
            }
        }
        read(&path, &slot, false)
    });
    looked.await.unwrap_or_else(|error| {
        Err(Error::retry("the thread that reads the file has ended unexpectedly").caused_by(error))
    })
}

fn read(path: &Path, slot: &str, quiet: bool) -> Result<(Option<PositionRow>, Vec<TableRow>)> {
    let db = file::look(path, quiet)?;
    if !ledger::exists(&db)? {
        return Ok((None, Vec::new()));
    }
    // As of one moment.
    db.execute_batch("BEGIN").map_err(ledger::broken)?;
    Ok((ledger::position(&db, slot)?, ledger::tables(&db, slot)?))
}

/// What the writing thread is asked to do.
type Task = Box<dyn for<'db> FnOnce(&mut Writer<'db>) + Send>;

/// A SQLite file as a [`Destination`].
#[derive(Debug)]
pub struct SqliteDestination {
    path: PathBuf,
    /// `None` once the thread is asked to end.
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteDestination {
    /// Waits for the file to be ours, opens it and sees that it can keep our promises.
    ///
    /// # Errors
    ///
    /// One sentence each: another process writes it, a folder that is not there, a file that is no database, that
    /// cannot be written, or that WAL mode is not possible on.
    ///
    /// *Cancel safety*: the file is closed and free again, if not at once.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let path = file::resolve(&options)?;
        let lock = lock::take(&path, &options.slot, options.wait).await?;
        let (tasks, inbox) = mpsc::channel::<Task>();
        let (opened, answer) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn({
                let path = path.clone();
                move || {
                    // Declared first, so given back last: when the file is closed.
                    let _lock = lock;
                    let db = match file::open(&path, options.create, options.wait) {
                        Ok(db) => db,
                        Err(error) => {
                            let _ = opened.send(Err(error));
                            return;
                        }
                    };
                    if opened.send(Ok(())).is_err() {
                        return;
                    }
                    let mut writer = Writer::new(&db);
                    writer.on_conflict(options.on_conflict);
                    while let Ok(task) = inbox.recv() {
                        task(&mut writer);
                    }
                }
            });
        let thread = thread
            .map_err(|error| Error::retry("could not start the SQLite thread").caused_by(error))?;
        let mut destination = Self {
            path,
            tasks: Some(tasks),
            thread: Some(thread),
        };
        match answer.await {
            Ok(Ok(())) => Ok(destination),
            Ok(Err(error)) => {
                destination.join();
                Err(error)
            }
            Err(_) => Err(destination.gone()),
        }
    }

    /// The file, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn call<T: Send + 'static>(
        &mut self,
        task: impl for<'db> FnOnce(&mut Writer<'db>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(move |writer| {
            // Whoever asked may have gone; the work is done all the same.
            let _ = reply.send(task(writer));
        }))?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn send(&self, task: Task) -> Result<()> {
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(task));
        if matches!(sent, Some(Ok(()))) {
            Ok(())
        } else {
            Err(self.gone())
        }
    }

    fn gone(&self) -> Error {
        Error::retry(format!(
            "the thread that writes {} has ended unexpectedly",
            self.path.display()
        ))
    }

    fn join(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // It panicked: whoever waited for an answer has been told.
            let _ = thread.join();
        }
    }
}

impl Drop for SqliteDestination {
    /// Waits for what the thread is doing, then for the file to be closed.
    fn drop(&mut self) {
        self.join();
    }
}

impl Destination for SqliteDestination {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        Sqlite.name_tables(names, tables)
    }

    async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        let slot = slot.to_owned();
        self.call(move |writer| writer.position(&slot)).await
    }

    async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        let slot = slot.to_owned();
        self.call(move |writer| writer.tables(&slot)).await
    }

    async fn write_intent(&mut self, row: &PositionRow) -> Result<PositionRow> {
        let row = row.clone();
        self.call(move |writer| writer.write_intent(row)).await
    }

    async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        let slot = slot.to_owned();
        self.call(move |writer| writer.remove_intent(&slot)).await
    }

    async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        let (slot, table) = (slot.to_owned(), Arc::clone(table));
        self.call(move |writer| writer.create_table(&slot, &table, existing))
            .await
    }

    async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        let slot = slot.to_owned();
        self.call(move |writer| writer.drop_made_tables(&slot))
            .await
    }

    async fn activate(&mut self, row: &PositionRow) -> Result<PositionRow> {
        let row = row.clone();
        self.call(move |writer| writer.activate(row)).await
    }

    async fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        let (slot, holder) = (slot.to_owned(), holder.to_owned());
        self.call(move |writer| writer.raise_epoch(&slot, &holder))
            .await
    }

    async fn begin_copy(&mut self, held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        let (held, table) = (held.clone(), Arc::clone(table));
        self.call(move |writer| writer.begin_copy(&held, &table, at))
            .await
    }

    async fn copy(&mut self, held: &PositionRow, chunk: Chunk) -> Result<()> {
        let held = held.clone();
        self.call(move |writer| writer.copy(&held, &chunk)).await
    }

    async fn finish_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        let held = held.clone();
        self.call(move |writer| writer.finish_copy(&held, oid, at))
            .await
    }

    async fn begin(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        let (expected, next) = (expected.clone(), next.clone());
        self.call(move |writer| writer.begin(expected, next)).await
    }

    async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        self.call(move |writer| writer.execute(operations)).await
    }

    async fn alter_table(&mut self, slot: &str, alteration: &Alteration) -> Result<()> {
        let (slot, alteration) = (slot.to_owned(), alteration.clone());
        self.call(move |writer| writer.alter_table(&slot, &alteration))
            .await
    }

    async fn fits(&mut self, alteration: &Alteration) -> Result<Option<String>> {
        let alteration = alteration.clone();
        self.call(move |writer| writer.fits(&alteration)).await
    }

    async fn attempt(&mut self, operations: Vec<Operation>) -> Result<Vec<Refused>> {
        self.call(move |writer| writer.attempt(operations)).await
    }

    async fn commit(&mut self) -> Result<Outcome> {
        self.call(|writer| writer.commit()).await
    }

    async fn rollback(&mut self) -> Result<()> {
        self.call(|writer| writer.rollback()).await
    }

    async fn forget(&mut self, slot: &str) -> Result<()> {
        let slot = slot.to_owned();
        self.call(move |writer| writer.forget(&slot)).await
    }

    async fn caught_up(&mut self, slot: &str, oid: Oid) -> Result<()> {
        let slot = slot.to_owned();
        self.call(move |writer| writer.caught_up(&slot, oid)).await
    }

    async fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        let (slot, reason) = (slot.to_owned(), reason.to_owned());
        self.call(move |writer| writer.stop_table(&slot, oid, &reason))
            .await
    }

    async fn adopt(
        &mut self,
        held: &PositionRow,
        next: &PositionRow,
        tables: &[(Oid, TableRow)],
    ) -> Result<()> {
        let (held, next, tables) = (held.clone(), next.clone(), tables.to_vec());
        self.call(move |writer| writer.adopt(&held, &next, &tables))
            .await
    }

    async fn ask_copy(&mut self, slot: &str, oid: Oid, now: Oid) -> Result<()> {
        let slot = slot.to_owned();
        self.call(move |writer| writer.ask_copy(&slot, oid, now))
            .await
    }

    async fn read(&mut self, table: &Arc<Table>) -> Result<Rows> {
        let table = Arc::clone(table);
        let (rows, receiver) = tokio::sync::mpsc::channel(4);
        self.send(Box::new(move |writer| writer.read(&table, &rows)))?;
        Ok(Rows(receiver))
    }

    async fn close(mut self) -> Result<()> {
        self.call(|writer| writer.rollback()).await?;
        self.tasks = None;
        let thread = self.thread.take();
        // The last connection to a file in WAL mode tidies up when it closes, which may take a moment.
        tokio::task::spawn_blocking(move || thread.map(JoinHandle::join))
            .await
            .ok()
            .flatten()
            .map_or_else(|| Err(self.gone()), |ended| ended.map_err(|_| self.gone()))
    }
}
