//! A Microsoft SQL Server, an Azure SQL database, or a server that speaks their protocol and language: tiberius, one
//! session, one statement for many rows by way of a temporary table.
//!
//! tiberius speaks TDS; the connection under it is ours ([`wire`]), so that TLS is the one of the whole build. Settings
//! that shape values or bound waiting are our session's own, whatever login and database say. An exchange that was
//! interrupted or not answered leaves a session of no use, and it says so; the next one is opened anew. A database that
//! may lose what it has committed is refused. Triggers and foreign keys of tables that somebody else made work as ever:
//! statement by statement, in the source's order for such tables. The row with the position decides who may write, and
//! holds the session that wrote last, so that who takes over can end it.

mod compatible;
mod failure;
mod ledger;
mod login;
mod lookup;
mod product;
mod room;
mod server;
mod session;
mod statements;
mod survey;
mod trust;
mod url;
mod values;
mod watch;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::server::{Server, Writer};
use crate::check::Finding;
use crate::config::{OnConflict, OnMisfit};
use crate::dialect::{Dialect, sqlserver::SqlServer};
use crate::error::Result;
use crate::names::Names;
use crate::table::Table;
use product::Way;
use session::Session;
use url::Address;

/// How to reach a SQL Server.
#[derive(Clone)]
pub struct SqlServerOptions {
    url: String,
    wait: Duration,
    timeout: Duration,
    on_conflict: OnConflict,
    on_misfit: OnMisfit,
}

impl std::fmt::Debug for SqlServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("SqlServerOptions")
            .field("wait", &self.wait)
            .field("timeout", &self.timeout)
            .field("on_conflict", &self.on_conflict)
            .field("on_misfit", &self.on_misfit)
            .finish_non_exhaustive()
    }
}

impl SqlServerOptions {
    /// The database at `url`: `sqlserver://user:password@host:1433/database?sslmode=…`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            wait: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
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

    /// How long the server may leave a call unanswered before it is asked over another connection whether it is still
    /// at work, 30 s without this. What really is at work is waited for.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// A SQL Server as a [`Destination`](crate::Destination).
#[derive(Debug)]
pub struct SqlServerDestination {
    writer: Arc<Mutex<Writer<Session>>>,
    dialect: SqlServer,
}

impl SqlServerDestination {
    /// Connects, and sees that the server can keep our promises.
    ///
    /// # Errors
    ///
    /// One sentence each: no URL, no connection or login, a version before SQL Server 2016 or a compatibility level below
    /// 130, a database that takes no changes or may lose what it has committed.
    ///
    /// *Cancel safety*: the connection is closed.
    pub async fn open(options: SqlServerOptions) -> Result<Self> {
        let SqlServerOptions {
            url,
            wait,
            timeout,
            on_conflict,
            on_misfit,
        } = options;
        let way = Way {
            address: Address::read(&url)?,
            answer: timeout,
            on_misfit,
        };
        let mut writer = Writer::<Session>::open(way, wait, on_conflict).await?;
        let dialect = writer.db().await?.dialect();
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            dialect,
        })
    }

    /// Connects to look, and asks nothing that writes; what keeps a run from it is the error of [`open`](Self::open).
    pub(super) async fn look(options: SqlServerOptions) -> Result<(Self, Vec<Finding>)> {
        let way = Way {
            address: Address::read(&options.url)?,
            answer: options.timeout,
            on_misfit: options.on_misfit,
        };
        let (mut writer, found) = Writer::<Session>::look(way).await?;
        let dialect = writer.db().await?.dialect();
        let writer = Arc::new(Mutex::new(writer));
        Ok((Self { writer, dialect }, found))
    }
}

impl Server for SqlServerDestination {
    type Session = Session;

    fn writer(&self) -> &Arc<Mutex<Writer<Session>>> {
        &self.writer
    }

    fn over(&self, writer: Writer<Session>) -> Self {
        Self {
            dialect: self.dialect,
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    fn names<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        self.dialect.name_tables(names, tables)
    }
}
