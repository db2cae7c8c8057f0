//! A PostgreSQL server: sqlx, one session, one statement for many rows, COPY for many new ones.
//!
//! `synchronous_commit` is on: a commit is durable when it is reported. Settings that shape or bound what we do are
//! our session's own, whatever role and database say. `session_replication_role` stays as it is, so triggers of
//! tables that somebody else made fire, and their foreign keys are checked: statement by statement, in the source's
//! order for such tables. Nothing keeps another replicator from connecting; the row with the position decides who
//! may write, and holds the session that wrote last, so that who takes over can end it.

mod ledger;
mod lookup;
mod origin;
mod parking;
mod product;
mod sequences;
mod session;
mod statements;
mod survey;
mod url;
mod values;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::server::{Server, Writer};
use crate::check::Finding;
use crate::config::{OnConflict, OnMisfit};
use crate::dialect::{Dialect, postgres::Postgres};
use crate::error::Result;
use crate::names::Names;
use crate::table::Table;
use product::Way;
use session::Session;

/// How to reach a PostgreSQL server.
#[derive(Clone)]
pub struct PostgresOptions {
    url: String,
    slot: String,
    wait: Duration,
    timeout: Duration,
    on_conflict: OnConflict,
    on_misfit: OnMisfit,
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("PostgresOptions")
            .field("slot", &self.slot)
            .field("wait", &self.wait)
            .field("timeout", &self.timeout)
            .field("on_conflict", &self.on_conflict)
            .field("on_misfit", &self.on_misfit)
            .finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// The database at `url` (`postgres://user@host/database?sslmode=…`), to be written for `slot`.
    pub fn new(url: impl Into<String>, slot: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            slot: slot.into(),
            wait: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            on_conflict: OnConflict::default(),
            on_misfit: OnMisfit::default(),
        }
    }

    /// What to do about streamed changes that meet another destination than they expect.
    #[must_use]
    pub const fn on_conflict(mut self, policy: OnConflict) -> Self {
        self.on_conflict = policy;
        self
    }

    /// What becomes of values that a server before 17 does not read: with [`OnMisfit::Text`] the columns of tables that
    /// are made are `text`, else such a value is refused.
    #[must_use]
    pub const fn on_misfit(mut self, policy: OnMisfit) -> Self {
        self.on_misfit = policy;
        self
    }

    /// How long to wait for locks that somebody else holds, 10 s without this and a second at least.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long the server may leave a call unanswered before it is asked over another connection whether it is still
    /// at work, 30 s without this. What really is at work is waited for.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl PostgresOptions {
    fn way(self) -> Result<Way> {
        let connection = url::read(&self.url, |name| std::env::var(name).ok())?;
        Ok(Way::new(
            connection,
            self.slot,
            self.timeout,
            self.on_misfit,
        ))
    }
}

/// A PostgreSQL server as a [`Destination`](crate::Destination).
#[derive(Debug)]
pub struct PostgresDestination {
    writer: Arc<Mutex<Writer<Session>>>,
}

impl PostgresDestination {
    /// Connects, and sees that the server can keep our promises.
    ///
    /// # Errors
    ///
    /// One sentence each: no URL, no connection or login, a standby, a version before 14.
    ///
    /// *Cancel safety*: the connection is closed.
    pub async fn open(options: PostgresOptions) -> Result<Self> {
        let (wait, on_conflict) = (options.wait, options.on_conflict);
        let writer = Writer::open(options.way()?, wait, on_conflict).await?;
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
        })
    }

    /// Connects to look, so that nothing can be written; with what keeps a run from it.
    pub(super) async fn look(options: PostgresOptions) -> Result<(Self, Vec<Finding>)> {
        let (writer, found) = Writer::look(options.way()?).await?;
        let writer = Arc::new(Mutex::new(writer));
        Ok((Self { writer }, found))
    }
}

impl Server for PostgresDestination {
    type Session = Session;

    fn writer(&self) -> &Arc<Mutex<Writer<Session>>> {
        &self.writer
    }

    fn over(&self, writer: Writer<Session>) -> Self {
        Self {
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    fn names<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        Postgres.name_tables(names, tables)
    }
}
