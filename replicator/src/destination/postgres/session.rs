//! A session at the destination server: opened with the settings that our promises need, and its errors in words.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgDatabaseError, PgRow, PgSeverity};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Postgres, Row};

use super::product::Way;
use super::watch::Watch;
use crate::check::{Finding, Mend};
use crate::config::OnMisfit;
use crate::destination::conflict::describe;
use crate::destination::server::IDLE;
use crate::error::codes::{Course, Product};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Operation;

/// Statements kept ready; updates that leave out different TOASTed columns each have their own.
const KEPT: usize = 256;

/// An open session.
#[derive(Debug)]
pub(in crate::destination) struct Session {
    db: PgConnection,
    /// Knows its server process.
    watch: Watch,
    pub(super) major: i32,
    pub(super) on_misfit: OnMisfit,
    /// Whether it was told to mark what it writes as replicated.
    pub(super) marks: bool,
    lost: bool,
}

impl Session {
    /// Opens it, and sees that the server can be written; one that could be before (`again`) may soon be again.
    pub(super) async fn open(way: &Way, lock_timeout: Duration, again: bool) -> Result<Self> {
        let (session, read_only) = Self::begin(way, lock_timeout).await?;
        if read_only {
            return Err(takes_no_changes(again));
        }
        new_enough(session.major)?;
        Ok(session)
    }

    /// Opens it to look, so that nothing can be written; with what keeps a run from it.
    pub(super) async fn open_to_look(way: &Way) -> Result<(Self, Vec<Finding>)> {
        let (mut session, read_only) = Self::begin(way, Duration::from_secs(3)).await?;
        session
            .run("SET default_transaction_read_only = on")
            .await?;
        let options = &way.options;
        let (host, port) = (options.get_host(), options.get_port());
        let mut found = vec![Finding::ok(
            "destination.reachable",
            format!(
                "the server {host}:{port}, as user {:?}",
                options.get_username()
            ),
        )];
        if read_only {
            let mend = Mend::option("--destination with the primary");
            let refused = Finding::of("destination.writable", &takes_no_changes(false));
            found.push(refused.mended_by([mend]));
        }
        if let Err(error) = new_enough(session.major) {
            found.push(Finding::of("destination.version", &error));
        }
        Ok((session, found))
    }

    /// Opens it with our settings; and whether it can only read.
    async fn begin(way: &Way, lock_timeout: Duration) -> Result<(Self, bool)> {
        // Values belong into no log.
        let options = way
            .options
            .clone()
            .statement_cache_capacity(KEPT)
            .disable_statement_logging();
        let what = || {
            let (host, port) = (options.get_host(), options.get_port());
            format!("could not connect to the destination server {host}:{port}")
        };
        let watch = Watch::new(options.clone(), way.timeout);
        let db = watch.connect().await;
        let db = db.map_err(|error| failure(what(), error))?;
        let mut session = Self {
            db,
            watch,
            major: 0,
            on_misfit: way.on_misfit,
            marks: false,
            lost: false,
        };
        session.run(&settings(lock_timeout)).await?;
        let rows = session
            .rows(sqlx::query(
                "SELECT pid, backend_start::text, current_setting('server_version_num')::int4 / 10000,
                   current_setting('transaction_read_only') = 'on'
                 FROM pg_stat_get_activity(pg_backend_pid())",
            ))
            .await?;
        let row = rows.first().ok_or_else(|| unexpected("no row"))?;
        session.watch.backend = column(row, 0)?;
        session.watch.since = column(row, 1)?;
        session.major = column(row, 2)?;
        let read_only = column(row, 3)?;
        Ok((session, read_only))
    }

    /// Its server process, and since when that is.
    pub(super) fn backend(&self) -> (i32, &str) {
        (self.watch.backend, &self.watch.since)
    }

    /// Whether the server has gone, or what it says cannot be followed any more.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Runs statements without parameters.
    pub(super) async fn run(&mut self, sql: &str) -> Result<()> {
        self.run_text(sql)
            .await
            .map_err(|error| failure("the destination server refused a statement", error))
    }

    /// Runs statements without parameters; the driver's own error.
    pub(super) async fn run_text(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let work = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.db);
        let done = self.watch.over(work).await;
        self.notice(done).map(drop)
    }

    /// The rows of a query of ours.
    pub(super) async fn rows(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>> {
        let done = self.watch.over(query.fetch_all(&mut self.db)).await;
        self.notice(done).map_err(|error| {
            failure(
                "could not use the replicator's own tables at the destination",
                error,
            )
        })
    }

    /// The rows of a query over a table of somebody else's; `what` could not be done if it is refused.
    pub(super) async fn rows_of(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
        what: &str,
    ) -> Result<Vec<PgRow>> {
        let done = self.watch.over(query.fetch_all(&mut self.db)).await;
        self.notice(done).map_err(|error| failure(what, error))
    }

    /// Calls a function of the server's; the driver's own error.
    pub(super) async fn call(
        &mut self,
        sql: &'static str,
        argument: &str,
    ) -> Result<(), sqlx::Error> {
        let work = sqlx::query(sql).bind(argument).fetch_all(&mut self.db);
        let done = self.watch.over(work).await;
        self.notice(done).map(drop)
    }

    /// How many rows a statement of ours changed.
    pub(super) async fn change(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<u64> {
        let done = self.watch.over(query.execute(&mut self.db)).await;
        self.notice(done)
            .map(|done| done.rows_affected())
            .map_err(|error| {
                failure(
                    "could not use the replicator's own tables at the destination",
                    error,
                )
            })
    }

    /// How many rows a statement over data changed; the driver's own error.
    pub(super) async fn changed(
        &mut self,
        sql: &Arc<str>,
        arguments: PgArguments,
    ) -> Result<u64, sqlx::Error> {
        let work =
            sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), arguments).execute(&mut self.db);
        let done = self.watch.over(work).await;
        self.notice(done).map(|done| done.rows_affected())
    }

    /// The two numbers that a statement over data gives back; the driver's own error.
    pub(super) async fn counted(
        &mut self,
        sql: &Arc<str>,
        arguments: PgArguments,
    ) -> Result<(u64, u64), sqlx::Error> {
        let work =
            sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), arguments).fetch_one(&mut self.db);
        let done = self.watch.over(work).await;
        let row = self.notice(done)?;
        let number = |at| row.try_get::<i64, _>(at).map(i64::cast_unsigned);
        Ok((number(0)?, number(1)?))
    }

    /// Sends lines of COPY's text format.
    pub(super) async fn copy_in(&mut self, sql: &str, lines: &[u8]) -> Result<u64, sqlx::Error> {
        /// Below what the server takes as one message, and not so small that the frames count.
        const MESSAGE: usize = 1 << 20;
        let copied = async {
            let mut copy = self.db.copy_in_raw(sql).await?;
            for part in lines.chunks(MESSAGE) {
                copy.send(part).await?;
            }
            copy.finish().await
        };
        let copied = self.watch.over(copied).await;
        self.notice(copied)
    }

    /// The few lines of COPY's text format that a query gives.
    pub(super) async fn copy_out(&mut self, sql: &str) -> Result<Vec<u8>, sqlx::Error> {
        let copied = async {
            let mut copy = self.db.copy_out_raw(sql).await?;
            let mut lines = Vec::new();
            while let Some(line) = std::future::poll_fn(|cx| copy.as_mut().poll_next(cx)).await {
                lines.extend_from_slice(&line?);
            }
            Ok(lines)
        };
        let copied = copied.await;
        self.notice(copied)
    }

    /// The connection itself, for reading a table.
    pub(super) const fn connection(&mut self) -> &mut PgConnection {
        &mut self.db
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        // The server notices the end of a connection in any case.
        let _ = self.db.close().await;
    }

    fn notice<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if let Err(error) = &done {
            self.lost |= is_lost(error);
        }
        done
    }
}

fn takes_no_changes(again: bool) -> Error {
    let make = if again { Error::retry } else { Error::usage };
    make("the destination server takes no changes: it is a standby, or default_transaction_read_only is on".to_owned())
        .with_hint("name the primary as --destination")
}

fn new_enough(major: i32) -> Result<()> {
    if major < 14 {
        return Err(Error::usage(format!(
            "the destination server has version {major}; 14 and later will do"
        ))
        .with_hint("name a newer server as --destination"));
    }
    Ok(())
}

/// Rows are found by their keys, and what changes is mostly in memory: with the server's own estimate it would read a
/// table of a million rows from its beginning to its end for ten thousand of them, in two to three times the time.
/// Small instead of forbidden: without an index that is still the right way.
const RANDOM_PAGE: f64 = 0.1;

/// What shapes values, what bounds waiting, and what makes a commit durable; whatever role and database say.
fn settings(lock_timeout: Duration) -> String {
    let (locks, idle) = (lock_timeout.as_millis(), IDLE.as_millis());
    format!(
        "SET client_encoding = 'UTF8';
         SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';
         SET bytea_output = 'hex'; SET extra_float_digits = 1; SET xmloption = 'content'; SET xmlbinary = 'base64';
         SET search_path = ''; SET standard_conforming_strings = on;
         SET synchronous_commit = 'on'; SET default_transaction_isolation = 'read committed';
         SET default_transaction_deferrable = off; SET row_security = off;
         SET statement_timeout = 0; SET lock_timeout = {locks}; SET idle_in_transaction_session_timeout = {idle};
         SET plan_cache_mode = 'force_custom_plan'; SET random_page_cost = {RANDOM_PAGE}; SET jit = off"
    )
}

/// A column of a row of ours.
pub(super) fn column<'r, T>(row: &'r PgRow, at: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(at)
        .map_err(|error| unexpected(error.to_string()))
}

fn unexpected(what: impl std::fmt::Display) -> Error {
    Error::person(format!(
        "the destination server's catalog answered otherwise than expected: {what}"
    ))
}

/// Whether the connection is of no use any more.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => report(error).is_none_or(|report| {
            matches!(report.severity(), PgSeverity::Fatal | PgSeverity::Panic)
        }),
        _ => true,
    }
}

/// The server's own report.
pub(super) fn report(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
}

/// Whether a row is there already.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    report(error).is_some_and(|report| report.code() == "23505")
}

/// What the server or the driver reports, in our words: whether another try may help, and what to do.
pub(super) fn failure(what: impl Into<String>, error: sqlx::Error) -> Error {
    let what = what.into();
    let Some(report) = report(&error) else {
        return match error {
            sqlx::Error::Configuration(_) => Error::usage(what).caused_by(error),
            sqlx::Error::Tls(_) => encryption(what).caused_by(error),
            // As rustls says that a certificate is not the one that was asked for.
            sqlx::Error::Io(ref io) if io.kind() == std::io::ErrorKind::InvalidData => {
                encryption(what).caused_by(error)
            }
            _ => Error::retry(what).caused_by(error),
        };
    };
    let code = report.code();
    // Only some reports name a column; others a constraint, which is what a person looks for then.
    let column = match (report.column(), report.constraint()) {
        (Some(column), _) => format!(", column {column}"),
        (None, Some(constraint)) => format!(", constraint {constraint}"),
        (None, None) => String::new(),
    };
    let text = format!("{what}{column}: {}", words(report));
    let course = Course::of_postgres(code);
    let ours = course.error(Product::Postgres, text);
    match (report.hint(), course) {
        (None, _) => ours,
        (Some(theirs), Course::Again | Course::Definition) => {
            let hint = ours.hint().map(|hint| format!("{theirs}; {hint}"));
            ours.with_hint(hint.unwrap_or_else(|| theirs.to_owned()))
        }
        (Some(theirs), _) if ours.hint().is_none() => ours.with_hint(theirs.to_owned()),
        (Some(_), _) => ours,
    }
}

/// A connection that is not encrypted as it is to be.
fn encryption(what: String) -> Error {
    Course::Encryption.error(Product::Postgres, what)
}

/// What the server says of a row that it has already.
pub(super) fn said(error: &sqlx::Error) -> String {
    report(error).map_or_else(|| error.to_string(), words)
}

fn words(report: &PgDatabaseError) -> String {
    let detail = report
        .detail()
        .map(|detail| format!(" ({detail})"))
        .unwrap_or_default();
    let (message, code) = (report.message(), report.code());
    format!("{message}{detail} [SQLSTATE {code}]")
}

/// What the server reports of one change: a refusal where it is about what the change holds or meets.
pub(super) fn refusal(operation: &Operation, error: sqlx::Error) -> Error {
    let row = operation.row();
    let what = format!(
        "{}: the destination refuses the row with {row}",
        describe(operation)
    );
    let of_the_row =
        report(&error).is_some_and(|report| Course::of_postgres(report.code()).is_of_the_row());
    let error = failure(what, error);
    if of_the_row && error.kind() == ErrorKind::Person {
        error.refused_at(operation.lsn)
    } else {
        error
    }
}
