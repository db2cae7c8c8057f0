//! A session at the destination server: opened with the settings that our promises need.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;

use tiberius::error::Error as Driver;
use tiberius::{Client, ColumnData, FromSqlOwned, Query, QueryItem, QueryStream, Row, TokenRow};
use tokio::time::Instant;
use tokio_util::compat::Compat;

use super::compatible;
use super::failure::{failure, interrupted, is_lost, not_connected, silent};
use super::login::connect;
use super::server::{Server, settings};
use super::url::Address;
use super::values::{Sent, cell, fits_bulk, number, parameter, text};
use super::watch::Watch;
use super::wire::Wire;
use crate::config::OnMisfit;
use crate::dialect::sqlserver::types::Held;
use crate::error::{Error, Result};
use crate::value::Value;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(30);

/// A session that was not used for so long is asked whether it is there still.
const STALE: Duration = Duration::from_secs(5);

/// A connection of the driver's.
pub(super) type Connection = Client<Compat<Wire>>;

/// How long is waited for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a lock that somebody else holds.
    pub(super) locks: Duration,
    /// For an answer, before the server is asked whether there will be one.
    pub(super) answer: Duration,
}

/// An open session.
#[derive(Debug)]
pub(in crate::destination) struct Session {
    db: Connection,
    /// Knows the server's number for it, and since when it has that.
    watch: Watch,
    pub(super) server: Server,
    pub(super) on_misfit: OnMisfit,
    lost: bool,
    used: Instant,
}

/// A temporary table that rows are loaded into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage<'a> {
    /// Its quoted name.
    pub(super) name: &'a str,
    /// What its columns hold, all of which may be NULL.
    pub(super) held: &'a [Held],
    /// The statement that fills in one row by parameters.
    pub(super) filling: &'a str,
}

/// Its number, since when it has that, and what it is at: all that anybody may know of his own session.
const OURSELVES: &str = "SELECT CAST(@@SPID AS int), \
    (SELECT CONVERT(nvarchar(40), s.[login_time], 126) FROM [sys].[dm_exec_sessions] AS s WHERE s.[session_id] = @@SPID)";

impl Session {
    /// Opens it, and sees that the server can keep our promises; one that took changes before (`again`) may soon take
    /// them again.
    pub(super) async fn open(address: &Address, patience: Patience, again: bool) -> Result<Self> {
        in_time(address, async {
            let (mut db, address) = connect(address).await?;
            let server = Server::look(&mut db, &address, again).await?;
            Self::over(db, address, server, patience).await
        })
        .await
    }

    /// Opens it to look, whatever the server is like. None of its transactions is ever committed: were anything written
    /// through it, it would be undone with its end.
    pub(super) async fn open_to_look(address: &Address, patience: Patience) -> Result<Self> {
        in_time(address, async {
            let (mut db, address) = connect(address).await?;
            let server = Server::ask(&mut db).await?;
            let mut session = Self::over(db, address, server, patience).await?;
            // The server has no transactions that only read. A statement that undoes its own begins the next one.
            session.run("SET IMPLICIT_TRANSACTIONS ON").await?;
            Ok(session)
        })
        .await
    }

    async fn over(
        mut db: Connection,
        address: Address,
        server: Server,
        patience: Patience,
    ) -> Result<Self> {
        run_batch(&mut db, &settings(&server, patience.locks))
            .await
            .map_err(|error| failure("the destination server refused our settings", error))?;
        let ours = query(&mut db, OURSELVES, Vec::new()).await.map_err(own)?;
        let ours = ours.first().ok_or_else(|| unexpected("no row"))?;
        let watch = Watch {
            address,
            session: column(ours, 0)?,
            since: column::<Option<String>>(ours, 1)?.unwrap_or_default(),
            timeout: patience.answer,
        };
        Ok(Self {
            db,
            watch,
            server,
            on_misfit: OnMisfit::default(),
            lost: false,
            used: Instant::now(),
        })
    }

    /// Where its server is.
    pub(super) const fn address(&self) -> &Address {
        &self.watch.address
    }

    /// The server's number for it, and since when it has that: together no other session's ever.
    pub(super) fn number(&self) -> (i32, &str) {
        (self.watch.session, &self.watch.since)
    }

    /// Whether the server has gone, or what it says cannot be followed any more.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Asks whether the session is there still, where nothing went through it for a while.
    pub(super) async fn look(&mut self) {
        if self.used.elapsed() > STALE {
            // What it says is noted.
            let _ = self.run_text("SELECT 1").await;
        }
    }

    /// Whether a transaction is open that can be committed; after most errors the server has rolled it back, or will have
    /// it rolled back.
    pub(super) async fn in_transaction(&mut self) -> Result<bool> {
        let rows = self
            .rows("SELECT CAST(XACT_STATE() AS int)", Vec::new())
            .await?;
        let row = rows.first().ok_or_else(|| unexpected("no row"))?;
        Ok(column::<i32>(row, 0)? == 1)
    }

    /// Commits; whether no transaction is open any more then.
    ///
    /// As a batch: a statement with parameters may not end a transaction that it has not begun.
    pub(super) async fn commit(&mut self) -> Result<bool, Driver> {
        let Self {
            db,
            watch,
            lost,
            used,
            ..
        } = self;
        let sql = "COMMIT TRANSACTION; SELECT CAST(@@TRANCOUNT AS int)";
        let work = async { db.simple_query(sql).await?.into_results().await };
        let results = exchange(watch, lost, used, work).await?;
        let depth = results.last().and_then(|rows| i32::read(rows.first()?, 0));
        Ok(depth == Some(0))
    }

    /// Runs statements without parameters.
    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        self.run_text(sql)
            .await
            .map_err(|error| failure("the destination server refused a statement", error))
    }

    /// Runs statements without parameters; the driver's own error.
    ///
    /// As a batch: what begins a transaction, makes a temporary table or sets something would end with a statement that
    /// has parameters.
    pub(super) async fn run_text(&mut self, sql: &str) -> Result<(), Driver> {
        let Self {
            db,
            watch,
            lost,
            used,
            ..
        } = self;
        exchange(watch, lost, used, run_batch(db, sql)).await
    }

    /// The rows of a query of ours.
    pub(super) async fn rows(&mut self, sql: &str, values: Vec<Sent<'_>>) -> Result<Vec<Row>> {
        self.rows_of(sql, values).await.map_err(own)
    }

    /// The rows of a statement's last result; the driver's own error.
    pub(super) async fn rows_of(
        &mut self,
        sql: &str,
        values: Vec<Sent<'_>>,
    ) -> Result<Vec<Row>, Driver> {
        let Self {
            db,
            watch,
            server,
            lost,
            used,
            ..
        } = self;
        let (sql, values) = if server.is_compatible() {
            compatible::without_nulls(sql, values)
        } else {
            (Cow::Borrowed(sql), values)
        };
        exchange(watch, lost, used, query(db, &sql, values)).await
    }

    /// How many rows a statement of ours changed.
    pub(super) async fn change(&mut self, sql: &str, values: Vec<Sent<'_>>) -> Result<u64> {
        self.execute(sql, values).await.map_err(own)
    }

    /// How many rows a statement over data changed; the driver's own error.
    ///
    /// Asked of the server, because what somebody's triggers count is reported before it as if it were the statement's.
    pub(super) async fn execute(
        &mut self,
        sql: &str,
        values: Vec<Sent<'_>>,
    ) -> Result<u64, Driver> {
        let counted = format!("{sql}; SELECT CAST(@@ROWCOUNT AS bigint)");
        let rows = self.rows_of(&counted, values).await?;
        let count = rows.first().and_then(|row| i64::read(row, 0));
        count
            .and_then(|count| u64::try_from(count).ok())
            .ok_or_else(|| Driver::Protocol("the server counts no rows".into()))
    }

    /// Whether rows of such columns can be loaded in bulk.
    pub(super) fn loads(&self, held: &[Held]) -> bool {
        compatible::loads(&self.server, held)
    }

    /// Loads rows into a temporary table: in bulk, except those with a value that is too long for that.
    ///
    /// # Errors
    ///
    /// A value that its column does not hold, and all that a statement can meet. A table that took fewer rows than were
    /// sent is an error as well.
    pub(super) async fn fill(
        &mut self,
        stage: Stage<'_>,
        rows: &[Vec<&Value>],
    ) -> Result<(), Driver> {
        let (bulk, single): (Vec<_>, Vec<_>) = rows.iter().partition(|row| fits_bulk(row));
        if !bulk.is_empty() {
            let taken = self.bulk(stage, &bulk).await?;
            expect(bulk.len(), taken)?;
        }
        for row in single {
            let values = row.iter().map(|value| parameter(value)).collect();
            let taken = self.execute(stage.filling, values).await?;
            expect(1, taken)?;
        }
        Ok(())
    }

    async fn bulk(&mut self, stage: Stage<'_>, rows: &[&Vec<&Value>]) -> Result<u64, Driver> {
        let Self {
            db,
            watch,
            lost,
            used,
            ..
        } = self;
        // Before anything is sent: a load that is broken off leaves a connection of no use.
        let cells = rows.iter().map(|row| {
            let each = stage.held.iter().zip(row.iter());
            each.map(|(held, value)| cell(held, value)).collect()
        });
        let cells: Vec<Vec<ColumnData<'_>>> = cells.collect::<Result<_, Driver>>()?;
        let work = async move {
            let mut load = db.bulk_insert(stage.name).await?;
            for row in cells {
                let mut cells = TokenRow::with_capacity(row.len());
                row.into_iter().for_each(|cell| cells.push(cell));
                load.send(cells).await?;
            }
            Ok(load.finalize().await?.total())
        };
        exchange(watch, lost, used, work).await
    }

    /// Begins to read the rows of a statement without parameters.
    ///
    /// The session is of use again when all of them were read.
    pub(super) async fn read(&mut self, sql: &str) -> Result<Reading<'_>, Driver> {
        let Self {
            db,
            watch,
            lost,
            used,
            ..
        } = self;
        if *lost {
            return Err(interrupted());
        }
        *lost = true;
        let rows = watch.over(db.simple_query(sql)).await;
        *lost = !matches!(&rows, Err(error) if !is_lost(error));
        Ok(Reading {
            rows: rows?,
            watch,
            lost,
            used,
        })
    }

    /// Ends another session, if it is still that one and the user may see it; whether it was there.
    ///
    /// Not within a transaction, where the server does not do it. Its transaction is rolled back then, which may take
    /// as long as it took; whoever wants its rows waits for its locks.
    ///
    /// # Errors
    ///
    /// The user may not end it.
    pub(super) async fn end(&mut self, session: i64, since: &str) -> Result<bool> {
        if i64::from(self.watch.session) == session {
            return Ok(false);
        }
        let sql = "SELECT CAST([session_id] AS int) FROM [sys].[dm_exec_sessions] \
                   WHERE [session_id] = @P1 AND CONVERT(nvarchar(40), [login_time], 126) = @P2";
        let values = vec![number(session), text(since.to_owned())];
        match self.rows(sql, values).await {
            Ok(rows) if !rows.is_empty() => {}
            // Gone, or not ours to see.
            _ => return Ok(false),
        }
        let done = self.run_text(&format!("KILL {session}")).await;
        done.map_err(|error| failure("KILL was refused", error))?;
        Ok(true)
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        // The server notices the end of a connection in any case.
        let _ = self.db.close().await;
    }
}

/// A session, or that it did not stand in time.
async fn in_time(
    address: &Address,
    opening: impl Future<Output = Result<Session>>,
) -> Result<Session> {
    let opened = tokio::time::timeout(CONNECT, opening).await;
    opened.unwrap_or_else(|_| {
        let late = silent("the session did not stand after 30 s");
        Err(failure(not_connected(address), late))
    })
}

/// Rows on their way.
pub(super) struct Reading<'a> {
    rows: QueryStream<'a>,
    watch: &'a Watch,
    lost: &'a mut bool,
    used: &'a mut Instant,
}

impl Reading<'_> {
    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Option<Row>, Driver> {
        loop {
            let rows = &mut self.rows;
            let next = std::future::poll_fn(|cx| Pin::new(&mut *rows).poll_next(cx));
            let next = self.watch.over(async { next.await.transpose() }).await;
            *self.used = Instant::now();
            match next {
                Ok(Some(QueryItem::Row(row))) => return Ok(Some(row)),
                Ok(Some(QueryItem::Metadata(_))) => {}
                Ok(None) => {
                    *self.lost = false;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// One exchange with the server. Until its answer is here the session counts as lost, so that it is if nobody waits for
/// the answer.
async fn exchange<T>(
    watch: &Watch,
    lost: &mut bool,
    used: &mut Instant,
    work: impl Future<Output = Result<T, Driver>>,
) -> Result<T, Driver> {
    if *lost {
        return Err(interrupted());
    }
    *lost = true;
    let done = watch.over(work).await;
    *used = Instant::now();
    *lost = done.as_ref().is_err_and(is_lost);
    done
}

fn expect(sent: usize, taken: u64) -> Result<(), Driver> {
    if u64::try_from(sent).is_ok_and(|sent| sent == taken) {
        return Ok(());
    }
    Err(Driver::Protocol(
        format!("of {sent} rows the server took {taken} into a temporary table").into(),
    ))
}

/// The rows of a statement's last result.
pub(super) async fn query(
    db: &mut Connection,
    sql: &str,
    values: Vec<Sent<'_>>,
) -> Result<Vec<Row>, Driver> {
    let mut query = Query::new(sql);
    for value in values {
        query.bind(value);
    }
    let mut results = query.query(db).await?.into_results().await?;
    Ok(results.pop().unwrap_or_default())
}

async fn run_batch(db: &mut Connection, sql: &str) -> Result<(), Driver> {
    db.simple_query(sql).await?.into_results().await.map(drop)
}

fn own(error: Driver) -> Error {
    failure(
        "could not use the replicator's own tables at the destination",
        error,
    )
}

/// What a column of a row of ours is read as.
pub(super) trait Read: Sized {
    fn read(row: &Row, at: usize) -> Option<Self>;
}

impl<T: FromSqlOwned> Read for Option<T> {
    fn read(row: &Row, at: usize) -> Option<Self> {
        let cell = row.get_column_data(at).ok()?.clone();
        T::from_sql_owned(cell).ok()
    }
}

impl Read for i32 {
    fn read(row: &Row, at: usize) -> Option<Self> {
        i64::read(row, at)?.try_into().ok()
    }
}

impl Read for i64 {
    /// Of whatever width: what a count or a constant has is not the same everywhere.
    fn read(row: &Row, at: usize) -> Option<Self> {
        match row.get_column_data(at).ok()? {
            ColumnData::Bit(truth) => truth.map(Self::from),
            ColumnData::U8(number) => number.map(Self::from),
            ColumnData::I16(number) => number.map(Self::from),
            ColumnData::I32(number) => number.map(Self::from),
            ColumnData::I64(number) => *number,
            _ => None,
        }
    }
}

impl Read for String {
    fn read(row: &Row, at: usize) -> Option<Self> {
        Option::read(row, at).flatten()
    }
}

/// A column of a row of ours.
pub(super) fn column<T: Read>(row: &Row, at: usize) -> Result<T> {
    T::read(row, at)
        .ok_or_else(|| unexpected(format_args!("column {} is not what it should be", at + 1)))
}

fn unexpected(what: impl std::fmt::Display) -> Error {
    Error::person(format!(
        "the destination server's catalog answered otherwise than expected: {what}"
    ))
}
