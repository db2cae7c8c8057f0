//! A MySQL or MariaDB server: mysql_async, one session, one statement for many rows.
//!
//! Tables are InnoDB's, and a server that does not flush its log at each commit is refused: a commit is durable when it
//! is reported. What shapes values or bounds waiting is our session's own, whatever the server says; a warning over data
//! is an error. What would commit by itself stands outside of batches, with a row in the ledger before it. Triggers and
//! foreign keys of tables that somebody else made work as ever: statement by statement, in the source's order for such
//! tables. The row with the position decides who may write, and holds the session that wrote last, so that who takes
//! over can end it.

mod failure;
mod ledger;
mod lookup;
mod server;
mod session;
mod statements;
pub(super) mod url;
mod values;
mod writer;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use walproto::{Lsn, Oid};

use super::{Destination, Existing, Outcome, Refused, Rows};
use crate::alteration::Alteration;
use crate::chunk::Chunk;
use crate::config::{OnConflict, OnMisfit};
use crate::dialect::{Dialect, mysql::Mysql};
use crate::error::{Error, Result};
use crate::names::Names;
use crate::plan::Operation;
use crate::position::{PositionRow, TableRow};
use crate::table::Table;
use url::Address;
use writer::Writer;

/// How to reach a MySQL or MariaDB server.
#[derive(Clone)]
pub struct MysqlOptions {
    url: String,
    wait: Duration,
    on_conflict: OnConflict,
    on_misfit: OnMisfit,
}

impl std::fmt::Debug for MysqlOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("MysqlOptions")
            .field("wait", &self.wait)
            .field("on_conflict", &self.on_conflict)
            .field("on_misfit", &self.on_misfit)
            .finish_non_exhaustive()
    }
}

impl MysqlOptions {
    /// The database at `url`: `mysql://user:password@host:3306/database?ssl-mode=…`, or `mariadb://…`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            wait: Duration::from_secs(10),
            on_conflict: OnConflict::default(),
            on_misfit: OnMisfit::default(),
        }
    }

    /// What to do about values that a column cannot hold exactly.
    #[must_use]
    pub const fn on_misfit(mut self, policy: OnMisfit) -> Self {
        self.on_misfit = policy;
        self
    }

    /// What to do about streamed changes that meet another destination than they expect.
    #[must_use]
    pub const fn on_conflict(mut self, policy: OnConflict) -> Self {
        self.on_conflict = policy;
        self
    }

    /// How long to wait for locks that somebody else holds, 10 s without this and a second at least.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// A MySQL or MariaDB server as a [`Destination`].
#[derive(Debug)]
pub struct MysqlDestination {
    writer: Arc<Mutex<Writer>>,
    dialect: Mysql,
}

impl MysqlDestination {
    /// Connects, and sees that the server can keep our promises.
    ///
    /// # Errors
    ///
    /// One sentence each: no URL, no connection or login, a version before MySQL 8.0 or MariaDB 10.6, a server that takes
    /// no changes or does not flush its log when it commits.
    ///
    /// *Cancel safety*: the connection is closed.
    pub async fn open(options: MysqlOptions) -> Result<Self> {
        let MysqlOptions {
            url,
            wait,
            on_conflict,
            on_misfit,
        } = options;
        let mut writer = Writer::open(Address::read(&url)?, wait, on_conflict, on_misfit).await?;
        let server = &writer.db().await?.server;
        let dialect = Mysql::of(server.flavour)
            .on_misfit(on_misfit)
            .folds(server.folds);
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            dialect,
        })
    }

    /// Carries a task out to its end, also when nobody waits for the answer: half an exchange would leave a session
    /// of no use.
    async fn call<T, F>(
        &self,
        task: impl FnOnce(tokio::sync::OwnedMutexGuard<Writer>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        tokio::spawn(task(writer)).await.unwrap_or_else(|error| {
            Err(
                Error::retry("the task that writes the destination has ended unexpectedly")
                    .caused_by(error),
            )
        })
    }
}

impl Destination for MysqlDestination {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        self.dialect.name_tables(names, tables)
    }

    async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        let slot = slot.to_owned();
        self.call(|mut writer| async move { writer.position(&slot).await })
            .await
    }

    async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        let slot = slot.to_owned();
        self.call(|mut writer| async move { writer.tables(&slot).await })
            .await
    }

    async fn write_intent(&mut self, row: &PositionRow) -> Result<PositionRow> {
        let row = row.clone();
        self.call(|mut writer| async move { writer.write_intent(row).await })
            .await
    }

    async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        let slot = slot.to_owned();
        self.call(|mut writer| async move { writer.remove_intent(&slot).await })
            .await
    }

    async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        let (slot, table) = (slot.to_owned(), Arc::clone(table));
        self.call(|mut writer| async move { writer.create_table(&slot, &table, existing).await })
            .await
    }

    async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        let slot = slot.to_owned();
        self.call(|mut writer| async move { writer.drop_made_tables(&slot).await })
            .await
    }

    async fn activate(&mut self, row: &PositionRow) -> Result<PositionRow> {
        let row = row.clone();
        self.call(|mut writer| async move { writer.activate(row).await })
            .await
    }

    async fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        let (slot, holder) = (slot.to_owned(), holder.to_owned());
        self.call(|mut writer| async move { writer.raise_epoch(&slot, &holder).await })
            .await
    }

    async fn begin_copy(&mut self, held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        let (held, table) = (held.clone(), Arc::clone(table));
        self.call(|mut writer| async move { writer.begin_copy(&held, &table, at).await })
            .await
    }

    async fn copy(&mut self, held: &PositionRow, chunk: Chunk) -> Result<()> {
        let held = held.clone();
        self.call(|mut writer| async move { writer.copy(&held, &chunk).await })
            .await
    }

    async fn finish_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        let held = held.clone();
        self.call(|mut writer| async move { writer.finish_copy(&held, oid, at).await })
            .await
    }

    async fn another(&mut self) -> Result<Option<Self>> {
        let writer = self
            .call(|writer| async move { writer.another().await })
            .await?;
        Ok(Some(Self {
            dialect: self.dialect,
            writer: Arc::new(Mutex::new(writer)),
        }))
    }

    async fn begin(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        let (expected, next) = (expected.clone(), next.clone());
        self.call(|mut writer| async move { writer.begin(expected, next).await })
            .await
    }

    async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        self.call(|mut writer| async move { writer.execute(operations).await })
            .await
    }

    async fn prepare_alter(&mut self, held: &PositionRow, alteration: &Alteration) -> Result<()> {
        let (held, alteration) = (held.clone(), alteration.clone());
        self.call(|mut writer| async move { writer.prepare_alter(&held, &alteration).await })
            .await
    }

    async fn alter_table(&mut self, slot: &str, alteration: &Alteration) -> Result<()> {
        let (slot, alteration) = (slot.to_owned(), alteration.clone());
        self.call(|mut writer| async move { writer.alter_table(&slot, &alteration).await })
            .await
    }

    async fn fits(&mut self, alteration: &Alteration) -> Result<Option<String>> {
        let alteration = alteration.clone();
        self.call(|mut writer| async move { writer.fits(&alteration).await })
            .await
    }

    async fn attempt(&mut self, operations: Vec<Operation>) -> Result<Vec<Refused>> {
        self.call(|mut writer| async move { writer.attempt(operations).await })
            .await
    }

    async fn commit(&mut self) -> Result<Outcome> {
        self.call(|mut writer| async move { writer.commit().await })
            .await
    }

    async fn rollback(&mut self) -> Result<()> {
        self.call(|mut writer| async move { writer.rollback().await })
            .await
    }

    async fn forget(&mut self, slot: &str) -> Result<()> {
        let slot = slot.to_owned();
        self.call(|mut writer| async move { writer.forget(&slot).await })
            .await
    }

    async fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        let (slot, reason) = (slot.to_owned(), reason.to_owned());
        self.call(|mut writer| async move { writer.stop_table(&slot, oid, &reason).await })
            .await
    }

    async fn ask_copy(&mut self, slot: &str, oid: Oid, now: Oid) -> Result<()> {
        let slot = slot.to_owned();
        self.call(|mut writer| async move { writer.ask_copy(&slot, oid, now).await })
            .await
    }

    async fn read(&mut self, table: &Arc<Table>) -> Result<Rows> {
        let table = Arc::clone(table);
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let (rows, receiver) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move { writer.read(&table, &rows).await });
        Ok(Rows(receiver))
    }

    async fn close(self) -> Result<()> {
        self.call(|mut writer| async move {
            writer.close().await;
            Ok(())
        })
        .await
    }
}
