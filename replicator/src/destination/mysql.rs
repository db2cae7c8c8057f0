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
mod product;
mod server;
mod session;
mod statements;
mod survey;
pub(super) mod url;
mod values;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::server::{Server, Writer};
use crate::check::Finding;
use crate::config::{OnConflict, OnMisfit};
use crate::dialect::{Dialect, mysql::Mysql};
use crate::error::Result;
use crate::names::Names;
use crate::table::Table;
use product::Way;
use session::Session;
use url::Address;

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

/// A MySQL or MariaDB server as a [`Destination`](crate::Destination).
#[derive(Debug)]
pub struct MysqlDestination {
    writer: Arc<Mutex<Writer<Session>>>,
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
        let address = Address::read(&url)?;
        let way = Way { address, on_misfit };
        let mut writer = Writer::<Session>::open(way, wait, on_conflict).await?;
        let dialect = writer.db().await?.dialect();
        Ok(Self {
            writer: Arc::new(Mutex::new(writer)),
            dialect,
        })
    }

    /// Connects to look, so that nothing can be written; with what keeps a run from it.
    pub(super) async fn look(options: MysqlOptions) -> Result<(Self, Vec<Finding>)> {
        let address = Address::read(&options.url)?;
        let on_misfit = options.on_misfit;
        let way = Way { address, on_misfit };
        let (mut writer, found) = Writer::<Session>::look(way).await?;
        let dialect = writer.db().await?.dialect();
        let writer = Arc::new(Mutex::new(writer));
        Ok((Self { writer, dialect }, found))
    }
}

impl Server for MysqlDestination {
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
