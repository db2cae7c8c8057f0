//! A session at the destination server: opened with the settings that our promises need, and its errors in words.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{Conn, InfileData, LocalInfileError, Params, Row, Value};
use tokio::time::Instant;

use super::product::Way;
use super::server::Server;
use super::survey;
use super::url::Address;
use crate::check::Finding;
use crate::config::OnMisfit;
use crate::error::{Error, Result};

pub(super) use super::failure::failure;
use super::failure::is_lost;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(30);

/// A session that was not used for so long is asked whether it is there still.
const STALE: Duration = Duration::from_secs(5);

/// Bytes of a message with rows to load.
const PIECE: usize = 256 << 10;

/// An open session.
#[derive(Debug)]
pub(in crate::destination) struct Session {
    db: Conn,
    /// The server's number for it, given to no other as long as the server runs.
    pub(super) id: i64,
    pub(super) server: Server,
    pub(super) on_misfit: OnMisfit,
    lost: bool,
    used: Instant,
}

/// What a statement over data did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    /// Rows that it met, changed or not.
    pub(super) rows: u64,
    pub(super) warnings: u16,
}

impl Session {
    /// Opens it, and sees that the server can keep our promises; one that took changes before (`again`) may soon take
    /// them again.
    pub(super) async fn open(way: &Way, lock_wait: Duration, again: bool) -> Result<Self> {
        let mut db = Self::reach(way).await?;
        let server = Server::look(&mut db, again).await?;
        let mut session = Self::over(way, db, server);
        for setting in session.server.settings(lock_wait) {
            session.run(&setting).await?;
        }
        Ok(session)
    }

    /// Opens it to look, so that nothing can be written; with what keeps a run from it.
    pub(super) async fn open_to_look(way: &Way) -> Result<(Self, Vec<Finding>)> {
        let mut db = Self::reach(way).await?;
        let server = Server::ask(&mut db).await?;
        let mut found = vec![Finding::ok(
            "destination.reachable",
            format!("the server {}", way.address.place()),
        )];
        found.extend(survey::faults(&server));
        let mut session = Self::over(way, db, server);
        for setting in session.server.settings(Duration::from_secs(3)) {
            session.run(&setting).await?;
        }
        session.run("SET SESSION TRANSACTION READ ONLY").await?;
        Ok((session, found))
    }

    async fn reach(way: &Way) -> Result<Conn> {
        let address = &way.address;
        let failed = |error| {
            let what = format!(
                "could not connect to the destination server {}",
                address.place()
            );
            failure(what, error)
        };
        let connected = match connect(address, false).await {
            Err(mysql_async::Error::Driver(
                mysql_async::DriverError::NoClientSslFlagFromServer,
            )) if address.takes_plain() => connect(address, true).await,
            connected => connected,
        };
        connected.map_err(failed)
    }

    fn over(way: &Way, db: Conn, server: Server) -> Self {
        Self {
            id: i64::from(db.id()),
            db,
            server,
            on_misfit: way.on_misfit,
            lost: false,
            used: Instant::now(),
        }
    }

    /// Whether the server has gone, or what it says cannot be followed any more.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Asks whether the session is there still, where nothing went through it for a while.
    pub(super) async fn look(&mut self) {
        if self.used.elapsed() > STALE {
            let done = self.db.ping().await;
            let _ = self.notice(done);
        }
    }

    /// Whether a transaction is open, as the server said with its last answer.
    pub(super) fn in_transaction(&self) -> bool {
        let last = self.db.last_ok_packet();
        last.is_some_and(|last| {
            last.status_flags()
                .contains(StatusFlags::SERVER_STATUS_IN_TRANS)
        })
    }

    /// Runs a statement without parameters.
    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        self.run_text(sql)
            .await
            .map(drop)
            .map_err(|error| failure("the destination server refused a statement", error))
    }

    /// Runs statements without parameters; the driver's own error.
    pub(super) async fn run_text(&mut self, sql: &str) -> Result<Done, mysql_async::Error> {
        let done = async {
            let mut result = self.db.query_iter(sql).await?;
            while !result.is_empty() {
                result.for_each(drop).await?;
            }
            Ok(Done {
                rows: result.affected_rows(),
                warnings: result.warnings(),
            })
        };
        let done = done.await;
        self.notice(done)
    }

    /// Runs a `LOAD DATA LOCAL` that reads these lines; the driver's own error.
    pub(super) async fn load(
        &mut self,
        sql: &str,
        lines: Bytes,
    ) -> Result<Done, mysql_async::Error> {
        let pieces = Pieces {
            rest: lines,
            most: PIECE.min(self.server.packet / 2).max(1),
        };
        let file = async move { Ok(Box::pin(pieces) as InfileData) };
        self.db.set_infile_handler(file);
        let done = self.run_text(sql).await;
        if done.is_err() {
            // A server that did not ask for them is not to have them later.
            let nothing = async { Err(LocalInfileError::NoHandler.into()) };
            self.db.set_infile_handler(nothing);
        }
        done
    }

    /// The rows of a query of ours.
    pub(super) async fn rows(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>> {
        let done = self.db.exec(sql, parameters(values)).await;
        self.notice(done).map_err(own)
    }

    /// The rows of a query of ours without parameters, some of which no prepared statement can be.
    pub(super) async fn shown(&mut self, sql: &str) -> Result<Vec<Row>> {
        let done = self.db.query(sql).await;
        self.notice(done).map_err(own)
    }

    /// The rows of a query over a table of somebody else's; `what` could not be done if it is refused.
    pub(super) async fn rows_of(&mut self, sql: &str, what: &str) -> Result<Vec<Row>> {
        let done = self.db.exec(sql, Params::Empty).await;
        self.notice(done).map_err(|error| failure(what, error))
    }

    /// How many rows a statement of ours met.
    pub(super) async fn change(&mut self, sql: &str, values: Vec<Value>) -> Result<u64> {
        let done = self.execute(sql, values).await.map_err(own)?;
        Ok(done.rows)
    }

    /// What a statement over data did; the driver's own error.
    pub(super) async fn execute(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Done, mysql_async::Error> {
        let done = async {
            let result = self.db.exec_iter(sql, parameters(values)).await?;
            let done = Done {
                rows: result.affected_rows(),
                warnings: result.warnings(),
            };
            result.drop_result().await?;
            Ok(done)
        };
        let done = done.await;
        self.notice(done)
    }

    /// What the last statement's warnings say, the first of them.
    pub(super) async fn warnings(&mut self) -> Result<String> {
        let rows = self.shown("SHOW WARNINGS LIMIT 3").await?;
        let texts = rows.iter().map(|row| {
            let (code, text): (i64, String) = (column(row, 1)?, column(row, 2)?);
            Ok(format!("{text} [{code}]"))
        });
        Ok(texts.collect::<Result<Vec<_>>>()?.join("; "))
    }

    /// The connection itself, for reading a table.
    pub(super) const fn connection(&mut self) -> &mut Conn {
        &mut self.db
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        // The server notices the end of a connection in any case.
        let _ = self.db.disconnect().await;
    }

    fn notice<T>(&mut self, done: Result<T, mysql_async::Error>) -> Result<T, mysql_async::Error> {
        self.used = Instant::now();
        if let Err(error) = &done {
            self.lost |= is_lost(error);
        }
        done
    }
}

/// What the server reads as a file, in messages.
struct Pieces {
    rest: Bytes,
    most: usize,
}

impl Stream for Pieces {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let length = self.most.min(self.rest.len());
        let piece = (length > 0).then(|| Ok(self.rest.split_to(length)));
        Poll::Ready(piece)
    }
}

async fn connect(address: &Address, plain: bool) -> Result<Conn, mysql_async::Error> {
    let connected = tokio::time::timeout(CONNECT, Conn::new(address.options(plain))).await;
    connected.unwrap_or_else(|_| {
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        Err(mysql_async::Error::Io(mysql_async::IoError::Io(late)))
    })
}

fn parameters(values: Vec<Value>) -> Params {
    if values.is_empty() {
        Params::Empty
    } else {
        Params::Positional(values)
    }
}

fn own(error: mysql_async::Error) -> Error {
    failure(
        "could not use the replicator's own tables at the destination",
        error,
    )
}

/// A column of a row of ours.
pub(super) fn column<T: FromValue>(row: &Row, at: usize) -> Result<T> {
    match row.get_opt(at) {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) => Err(unexpected(format_args!(
            "column {} has another type",
            at + 1
        ))),
        None => Err(unexpected(format_args!("no column {}", at + 1))),
    }
}

fn unexpected(what: impl std::fmt::Display) -> Error {
    Error::person(format!(
        "the destination server's catalog answered otherwise than expected: {what}"
    ))
}
