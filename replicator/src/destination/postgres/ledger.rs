//! Our own two tables at a PostgreSQL server, in schema `public`.

use sqlx::postgres::PgRow;
use walproto::{Lsn, Oid};

use super::session::{Session, column};
use crate::chunk::KEPT;
use crate::error::{Error, Result};
use crate::position::{PositionRow, SCHEMA_VERSION, State, TableRow, TableState, unknown_table};
use crate::table::Table;

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS public._replicator_position (
    slot text COLLATE \"C\" PRIMARY KEY,
    version bigint NOT NULL,
    state text NOT NULL,
    system_id text NOT NULL,
    timeline bigint NOT NULL,
    \"database\" text NOT NULL,
    publications text NOT NULL,
    lsn text NOT NULL,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    fingerprint text NOT NULL,
    backend integer NOT NULL,
    backend_start text NOT NULL
);
CREATE TABLE IF NOT EXISTS public._replicator_tables (
    slot text COLLATE \"C\" NOT NULL,
    oid bigint NOT NULL,
    version bigint NOT NULL,
    relfilenode bigint NOT NULL,
    \"schema\" text NOT NULL,
    name text NOT NULL,
    identity text NOT NULL,
    destination text COLLATE \"C\" NOT NULL,
    columns text NOT NULL,
    \"key\" text NOT NULL,
    made_by_us boolean NOT NULL,
    state text NOT NULL,
    reason text,
    sync_position text,
    PRIMARY KEY (slot, oid)
)";

const CREATE_CHUNKS: &str = "
CREATE TABLE IF NOT EXISTS public._replicator_chunks (
    slot text COLLATE \"C\" NOT NULL,
    oid bigint NOT NULL,
    part bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (slot, oid, part)
)";

const CHUNKS: &str = "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = 'public' AND c.relname = '_replicator_chunks'";

/// Makes the table of chunks where it is missing.
pub(super) async fn create_chunks(db: &mut Session) -> Result<()> {
    if db.change(sqlx::query(CHUNKS)).await? > 0 {
        return Ok(());
    }
    db.run("SELECT pg_advisory_xact_lock(hashtext('_replicator_position'))")
        .await?;
    db.run(CREATE_CHUNKS).await
}

/// Makes our tables where they are missing.
pub(super) async fn create(db: &mut Session) -> Result<()> {
    // Asked first: the statement wants the right to make tables even where there is nothing to make.
    if exists(db).await? {
        return Ok(());
    }
    // Of two that make them at once the second waits.
    db.run("SELECT pg_advisory_xact_lock(hashtext('_replicator_position'))")
        .await?;
    db.run(CREATE).await
}

/// Whether our tables are there; an error if their layout is one that we do not know.
pub(super) async fn exists(db: &mut Session) -> Result<bool> {
    let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relname IN ('_replicator_position', '_replicator_tables')";
    match number(db, sql).await? {
        Some(0) => return Ok(false),
        // Both are made in one transaction, so somebody took one away.
        Some(1) => {
            return Err(Error::person(
                "of the destination's tables _replicator_position and _replicator_tables one is missing",
            )
            .with_hint("restore the destination, or drop the other one too and copy everything again"));
        }
        _ => {}
    }
    let sql = "SELECT max(version) FROM (SELECT version FROM public._replicator_position
               UNION ALL SELECT version FROM public._replicator_tables) AS rows";
    match number(db, sql).await? {
        Some(version) if version > SCHEMA_VERSION => Err(Error::person(format!(
            "the destination was written by a newer replicator (layout {version} of its own tables; this one knows {SCHEMA_VERSION})"
        ))
        .with_hint("use the newer replicator")),
        Some(version) if version < 1 => Err(Error::person(format!(
            "the destination's own tables have the unknown layout {version}"
        ))),
        _ => Ok(true),
    }
}

async fn number(db: &mut Session, sql: &'static str) -> Result<Option<i64>> {
    let rows = db.rows(sqlx::query(sql)).await?;
    rows.first().map_or(Ok(None), |row| column(row, 0))
}

const POSITION: &str =
    "SELECT state, system_id, timeline, \"database\", publications, lsn, epoch, holder, fingerprint
                        FROM public._replicator_position WHERE slot = $1";

pub(super) async fn position(db: &mut Session, slot: &str) -> Result<Option<PositionRow>> {
    let rows = db.rows(sqlx::query(POSITION).bind(slot)).await?;
    rows.first().map(|row| read_position(slot, row)).transpose()
}

/// Reads the row once nobody is about to change it.
pub(super) async fn settled(db: &mut Session, slot: &str) -> Result<Option<PositionRow>> {
    let sql = format!("{POSITION} FOR UPDATE");
    let rows = db
        .rows(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(slot))
        .await?;
    rows.first().map(|row| read_position(slot, row)).transpose()
}

/// What sessions that share the row of slot `$1` hold besides, so that they can be found: of a row only those who wait
/// are known.
const SHARED: &str = "hashtextextended('_replicator_position ' || $1, 0)";

/// The row, which nobody changes until the end of the transaction: others may copy at the same time.
pub(super) async fn shared(db: &mut Session, slot: &str) -> Result<Option<PositionRow>> {
    let sql =
        format!("{POSITION} AND pg_advisory_xact_lock_shared({SHARED}) IS NOT NULL FOR SHARE");
    let rows = db
        .rows(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(slot))
        .await?;
    rows.first().map(|row| read_position(slot, row)).transpose()
}

/// The sessions that share the row now, as far as they are the role's own.
pub(super) async fn sharers(db: &mut Session, slot: &str) -> Result<Vec<(i32, String)>> {
    let sql = format!(
        "SELECT a.pid, a.backend_start::text FROM pg_locks l JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.backend_start IS NOT NULL
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (l.classid::bigint << 32 | l.objid::bigint) = {SHARED}"
    );
    let rows = db
        .rows(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(slot))
        .await?;
    rows.iter()
        .map(|row| Ok((column(row, 0)?, column(row, 1)?)))
        .collect()
}

fn read_position(slot: &str, row: &PgRow) -> Result<PositionRow> {
    let timeline: i64 = column(row, 2)?;
    Ok(PositionRow {
        slot: slot.to_owned(),
        state: text(row, 0)?.parse()?,
        system_id: text(row, 1)?,
        timeline: u32::try_from(timeline).map_err(|_| foreign(format!("timeline {timeline}")))?,
        database: text(row, 3)?,
        publications: serde_json::from_str(&text(row, 4)?).map_err(foreign)?,
        lsn: lsn(&text(row, 5)?)?,
        epoch: column(row, 6)?,
        holder: text(row, 7)?,
        fingerprint: text(row, 8)?,
    })
}

/// The session that wrote the row last, and since when it is there.
pub(super) async fn backend(db: &mut Session, slot: &str) -> Result<Option<(i32, String)>> {
    let sql = "SELECT backend, backend_start FROM public._replicator_position WHERE slot = $1";
    let rows = db.rows(sqlx::query(sql).bind(slot)).await?;
    let read = |row| Ok((column(row, 0)?, text(row, 1)?));
    rows.first().map(read).transpose()
}

/// Writes an intent, over an older one.
pub(super) async fn put_intent(db: &mut Session, row: &PositionRow) -> Result<()> {
    delete_position(db, &row.slot).await?;
    let sql = "INSERT INTO public._replicator_position
               (slot, version, state, system_id, timeline, \"database\", publications, lsn, epoch, holder, fingerprint,
                backend, backend_start)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let (backend, since) = db.backend();
    let since = since.to_owned();
    let query = sqlx::query(sql)
        .bind(&row.slot)
        .bind(SCHEMA_VERSION)
        .bind(State::Intent.name())
        .bind(&row.system_id)
        .bind(i64::from(row.timeline))
        .bind(&row.database)
        .bind(json(&row.publications)?)
        .bind(row.lsn.to_string())
        .bind(row.epoch)
        .bind(&row.holder)
        .bind(&row.fingerprint)
        .bind(backend)
        .bind(since);
    db.change(query).await.map(drop)
}

/// Moves the row from `expected` to `next`; false when it is not as expected.
pub(super) async fn compare_and_set(
    db: &mut Session,
    expected: &PositionRow,
    next: &PositionRow,
) -> Result<bool> {
    let sql = "UPDATE public._replicator_position
               SET state = $1, timeline = $2, publications = $3, lsn = $4, fingerprint = $5, backend = $6,
                   backend_start = $7
               WHERE slot = $8 AND state = $9 AND lsn = $10 AND epoch = $11";
    let (backend, since) = db.backend();
    let since = since.to_owned();
    let query = sqlx::query(sql)
        .bind(next.state.name())
        .bind(i64::from(next.timeline))
        .bind(json(&next.publications)?)
        .bind(next.lsn.to_string())
        .bind(&next.fingerprint)
        .bind(backend)
        .bind(since)
        .bind(&expected.slot)
        .bind(expected.state.name())
        .bind(expected.lsn.to_string())
        .bind(expected.epoch);
    db.change(query).await.map(|rows| rows == 1)
}

pub(super) async fn raise_epoch(db: &mut Session, slot: &str, holder: &str) -> Result<bool> {
    let sql = "UPDATE public._replicator_position SET epoch = epoch + 1, holder = $1, backend = $2, backend_start = $3
               WHERE slot = $4";
    let (backend, since) = db.backend();
    let since = since.to_owned();
    let query = sqlx::query(sql)
        .bind(holder)
        .bind(backend)
        .bind(since)
        .bind(slot);
    db.change(query).await.map(|rows| rows == 1)
}

pub(super) async fn delete_position(db: &mut Session, slot: &str) -> Result<()> {
    let sql = "DELETE FROM public._replicator_position WHERE slot = $1";
    db.change(sqlx::query(sql).bind(slot)).await.map(drop)
}

const TABLES: &str = "SELECT oid, relfilenode, \"schema\", name, identity, destination, columns, \"key\", made_by_us,
                      state, reason, sync_position FROM public._replicator_tables WHERE slot = $1";

pub(super) async fn tables(db: &mut Session, slot: &str) -> Result<Vec<TableRow>> {
    let sql = format!("{TABLES} ORDER BY \"schema\" COLLATE \"C\", name COLLATE \"C\"");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(slot);
    let rows = db.rows(query).await?;
    rows.iter().map(read_table).collect()
}

/// One of them.
pub(super) async fn table(db: &mut Session, slot: &str, oid: Oid) -> Result<TableRow> {
    let sql = format!("{TABLES} AND oid = $2");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(slot)
        .bind(i64::from(oid.0));
    let rows = db.rows(query).await?;
    let row = rows.first().ok_or_else(|| unknown_table(slot, oid))?;
    read_table(row)
}

fn read_table(row: &PgRow) -> Result<TableRow> {
    let columns: Vec<_> = serde_json::from_str(&text(row, 6)?).map_err(foreign)?;
    let key: Vec<usize> = serde_json::from_str(&text(row, 7)?).map_err(foreign)?;
    if key.iter().any(|at| *at >= columns.len()) {
        return Err(foreign("a key outside the columns"));
    }
    let number = |at| -> Result<u32> {
        let number: i64 = column(row, at)?;
        u32::try_from(number).map_err(|_| foreign(number))
    };
    let sync: Option<String> = column(row, 11)?;
    Ok(TableRow {
        table: Table {
            oid: Oid(number(0)?),
            schema: text(row, 2)?,
            name: text(row, 3)?,
            destination: text(row, 5)?,
            columns,
            key,
            identity: text(row, 4)?
                .chars()
                .next()
                .ok_or_else(|| foreign("no replica identity"))?,
            relfilenode: number(1)?,
        },
        made_by_us: column(row, 8)?,
        state: TableState::read(&text(row, 9)?, column(row, 10)?)?,
        sync_position: sync.as_deref().map(lsn).transpose()?,
    })
}

pub(super) async fn put_table(
    db: &mut Session,
    slot: &str,
    table: &Table,
    made_by_us: bool,
    state: &TableState,
) -> Result<()> {
    let sql = "DELETE FROM public._replicator_tables WHERE slot = $1 AND oid = $2";
    let oid = i64::from(table.oid.0);
    db.change(sqlx::query(sql).bind(slot).bind(oid)).await?;
    let sql = "INSERT INTO public._replicator_tables
               (slot, oid, version, relfilenode, \"schema\", name, identity, destination, columns, \"key\", made_by_us,
                state)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let query = sqlx::query(sql)
        .bind(slot)
        .bind(oid)
        .bind(SCHEMA_VERSION)
        .bind(i64::from(table.relfilenode))
        .bind(&table.schema)
        .bind(&table.name)
        .bind(table.identity.to_string())
        .bind(&table.destination)
        .bind(json(&table.columns)?)
        .bind(json(&table.key)?)
        .bind(made_by_us)
        .bind(state.name());
    db.change(query).await.map(drop)
}

/// Writes down what a table is from here on; `false` if there is no such table.
pub(super) async fn set_definition(db: &mut Session, slot: &str, table: &Table) -> Result<bool> {
    let sql = "UPDATE public._replicator_tables SET columns = $1, \"key\" = $2, identity = $3
               WHERE slot = $4 AND oid = $5";
    let query = sqlx::query(sql)
        .bind(json(&table.columns)?)
        .bind(json(&table.key)?)
        .bind(table.identity.to_string())
        .bind(slot)
        .bind(i64::from(table.oid.0));
    db.change(query).await.map(|rows| rows == 1)
}

/// Who made the table of this name, if our ledger knows it.
pub(super) async fn maker(db: &mut Session, destination: &str) -> Result<Option<String>> {
    let sql = "SELECT slot FROM public._replicator_tables WHERE destination = $1 LIMIT 1";
    let rows = db.rows(sqlx::query(sql).bind(destination)).await?;
    rows.first().map(|row| text(row, 0)).transpose()
}

/// Sets state and sync position; `false` if there is no such table.
pub(super) async fn set_state(
    db: &mut Session,
    slot: &str,
    oid: Oid,
    state: &TableState,
    sync: Lsn,
) -> Result<bool> {
    let sql = "UPDATE public._replicator_tables SET state = $1, reason = NULL, sync_position = $2
               WHERE slot = $3 AND oid = $4";
    let query = sqlx::query(sql)
        .bind(state.name())
        .bind(sync.to_string())
        .bind(slot)
        .bind(i64::from(oid.0));
    db.change(query).await.map(|rows| rows == 1)
}

/// The last chunk of a part; 0 before the first.
pub(super) async fn last_chunk(db: &mut Session, slot: &str, oid: Oid, part: u32) -> Result<u64> {
    let sql =
        "SELECT number FROM public._replicator_chunks WHERE slot = $1 AND oid = $2 AND part = $3";
    let query = sqlx::query(sql)
        .bind(slot)
        .bind(i64::from(oid.0))
        .bind(i64::from(part));
    let rows = db.rows(query).await?;
    let number: Option<i64> = rows.first().map_or(Ok(None), |row| column(row, 0))?;
    u64::try_from(number.unwrap_or(0)).map_err(foreign)
}

pub(super) async fn put_chunk(
    db: &mut Session,
    slot: &str,
    oid: Oid,
    part: u32,
    number: u64,
) -> Result<()> {
    let number = i64::try_from(number).map_err(foreign)?;
    // A part has one writer, so this is no race.
    let sql = if number == 1 {
        "INSERT INTO public._replicator_chunks (slot, oid, part, number) VALUES ($1, $2, $3, $4)"
    } else {
        "UPDATE public._replicator_chunks SET number = $4 WHERE slot = $1 AND oid = $2 AND part = $3"
    };
    let query = sqlx::query(sql)
        .bind(slot)
        .bind(i64::from(oid.0))
        .bind(i64::from(part))
        .bind(number);
    db.change(query).await.map(drop)
}

pub(super) async fn delete_chunks(db: &mut Session, slot: &str, oid: Oid) -> Result<()> {
    let sql = "DELETE FROM public._replicator_chunks WHERE slot = $1 AND oid = $2 AND part <> $3";
    let query = sqlx::query(sql)
        .bind(slot)
        .bind(i64::from(oid.0))
        .bind(i64::from(KEPT));
    db.change(query).await.map(drop)
}

pub(super) async fn stop_table(db: &mut Session, slot: &str, oid: Oid, reason: &str) -> Result<()> {
    let sql =
        "UPDATE public._replicator_tables SET state = $1, reason = $2 WHERE slot = $3 AND oid = $4";
    let query = sqlx::query(sql)
        .bind(TableState::Stopped(String::new()).name())
        .bind(reason)
        .bind(slot)
        .bind(i64::from(oid.0));
    db.change(query).await.map(drop)
}

/// `false` if there is no such table.
pub(super) async fn ask_copy(db: &mut Session, slot: &str, oid: Oid, now: Oid) -> Result<bool> {
    // Its own rows stay, whatever number the source's table has.
    if db.change(sqlx::query(CHUNKS)).await? > 0 {
        let sql = "UPDATE public._replicator_chunks SET oid = $1 WHERE slot = $2 AND oid = $3 AND part = $4";
        let query = sqlx::query(sql)
            .bind(i64::from(now.0))
            .bind(slot)
            .bind(i64::from(oid.0))
            .bind(i64::from(KEPT));
        db.change(query).await?;
    }
    let sql = "UPDATE public._replicator_tables SET oid = $1, state = $2, reason = NULL WHERE slot = $3 AND oid = $4";
    let query = sqlx::query(sql)
        .bind(i64::from(now.0))
        .bind(TableState::Copying.name())
        .bind(slot)
        .bind(i64::from(oid.0));
    db.change(query).await.map(|rows| rows == 1)
}

pub(super) async fn delete_tables(db: &mut Session, slot: &str) -> Result<()> {
    if db.change(sqlx::query(CHUNKS)).await? > 0 {
        let sql = "DELETE FROM public._replicator_chunks WHERE slot = $1";
        db.change(sqlx::query(sql).bind(slot)).await?;
    }
    let sql = "DELETE FROM public._replicator_tables WHERE slot = $1";
    db.change(sqlx::query(sql).bind(slot)).await.map(drop)
}

fn text(row: &PgRow, at: usize) -> Result<String> {
    column(row, at)
}

fn lsn(text: &str) -> Result<Lsn> {
    text.parse()
        .map_err(|_| foreign(format!("the position {text:?}")))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::person("could not write the ledger").caused_by(error))
}

fn foreign(what: impl std::fmt::Display) -> Error {
    Error::person(format!(
        "the replicator's own tables at the destination hold what no replicator wrote: {what}"
    ))
}
