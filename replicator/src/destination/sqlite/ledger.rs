//! Our own two tables in a SQLite file.

use rusqlite::{Connection, OptionalExtension, Row, params};
use walproto::{Lsn, Oid};

use super::file::failure;
use crate::chunk::KEPT;
use crate::error::{Error, Result};
use crate::position::{
    PositionRow, SCHEMA_VERSION, State, TableRow, TableState, read_time, unknown_table,
    written_time,
};
use crate::table::Table;

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS _replicator_position (
    slot TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    system_id TEXT NOT NULL,
    timeline INTEGER NOT NULL,
    \"database\" TEXT NOT NULL,
    publications TEXT NOT NULL,
    lsn TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    holder TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    source_time TEXT
);
CREATE TABLE IF NOT EXISTS _replicator_tables (
    slot TEXT NOT NULL,
    oid INTEGER NOT NULL,
    version INTEGER NOT NULL,
    relfilenode INTEGER NOT NULL,
    \"schema\" TEXT NOT NULL,
    name TEXT NOT NULL,
    identity TEXT NOT NULL,
    destination TEXT NOT NULL,
    columns TEXT NOT NULL,
    \"key\" TEXT NOT NULL,
    made_by_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    sync_position TEXT,
    PRIMARY KEY (slot, oid)
);
CREATE TABLE IF NOT EXISTS _replicator_chunks (
    slot TEXT NOT NULL,
    oid INTEGER NOT NULL,
    part INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (slot, oid, part)
);";

/// Makes our tables where they are missing, and brings those that are there to this layout.
pub(super) fn create(db: &Connection) -> Result<()> {
    db.execute_batch(CREATE).map_err(broken)?;
    migrate(db)
}

/// Brings our tables, which are there, to this layout: before anything of it is written, and in its transaction.
pub(super) fn migrate(db: &Connection) -> Result<()> {
    if has_time(db)? {
        return Ok(());
    }
    let sql = "ALTER TABLE _replicator_position ADD COLUMN source_time TEXT";
    db.execute_batch(sql).map_err(broken)
}

fn has_time(db: &Connection) -> Result<bool> {
    let sql =
        "SELECT count(*) FROM pragma_table_info('_replicator_position') WHERE name = 'source_time'";
    let asked = db.prepare_cached(sql);
    asked
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .map(|count: i64| count == 1)
        .map_err(broken)
}

/// Whether our tables are there; an error if their layout is one that we do not know.
pub(super) fn exists(db: &Connection) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'
               AND name IN ('_replicator_position', '_replicator_tables')";
    let count: i64 = db.query_row(sql, [], |row| row.get(0)).map_err(broken)?;
    match count {
        0 => return Ok(false),
        // Both are made in one transaction, so somebody took one away.
        1 => {
            return Err(Error::person(
                "of the destination's tables _replicator_position and _replicator_tables one is missing",
            )
            .with_hint("restore the destination, or drop the other one too and copy everything again"));
        }
        _ => {}
    }
    let sql = "SELECT max(version) FROM (SELECT version FROM _replicator_position
               UNION ALL SELECT version FROM _replicator_tables)";
    let version: Option<i64> = db.query_row(sql, [], |row| row.get(0)).map_err(broken)?;
    match version {
        Some(version) if version > SCHEMA_VERSION => Err(Error::person(format!(
            "the destination was written by a newer replicator (layout {version} of its own tables; this one knows {SCHEMA_VERSION})"
        ))
        .with_hint("use the newer replicator")),
        Some(version) if version < 1 => Err(Error::person(format!(
            "the destination's own tables have the unknown layout {version}"
        ))
            .with_hint("use the replicator that wrote them, or restore the destination")),
        _ => Ok(true),
    }
}

pub(super) fn position(db: &Connection, slot: &str) -> Result<Option<PositionRow>> {
    // Who only looks meets older layouts too.
    let time = if has_time(db)? { "source_time" } else { "NULL" };
    let sql = format!(
        "SELECT state, system_id, timeline, \"database\", publications, lsn, epoch, holder, fingerprint, {time}
         FROM _replicator_position WHERE slot = ?"
    );
    let found = db
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement
                .query_row([slot], |row| Ok(read_position(slot, row)))
                .optional()
        })
        .map_err(broken)?;
    found.transpose()
}

fn read_position(slot: &str, row: &Row<'_>) -> Result<PositionRow> {
    Ok(PositionRow {
        slot: slot.to_owned(),
        state: text(row, 0)?.parse()?,
        system_id: text(row, 1)?,
        timeline: row.get(2).map_err(broken)?,
        database: text(row, 3)?,
        publications: serde_json::from_str(&text(row, 4)?).map_err(foreign)?,
        lsn: lsn(&text(row, 5)?)?,
        epoch: row.get(6).map_err(broken)?,
        holder: text(row, 7)?,
        fingerprint: text(row, 8)?,
        source_time: read_time(row.get::<_, Option<String>>(9).map_err(broken)?.as_deref())
            .map_err(|text| foreign(format!("the time {text:?}")))?,
    })
}

/// Writes an intent, over an older one.
pub(super) fn put_intent(db: &Connection, row: &PositionRow) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO _replicator_position
               (slot, version, state, system_id, timeline, \"database\", publications, lsn, epoch, holder, fingerprint,
                source_time)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let PositionRow {
        slot,
        system_id,
        timeline,
        database,
        epoch,
        holder,
        fingerprint,
        ..
    } = row;
    let (publications, lsn) = (json(&row.publications)?, row.lsn.to_string());
    let state = State::Intent.name();
    let values = params![
        slot,
        SCHEMA_VERSION,
        state,
        system_id,
        timeline,
        database,
        publications,
        lsn,
        epoch,
        holder,
        fingerprint,
        written_time(row.source_time)
    ];
    db.execute(sql, values).map(drop).map_err(broken)
}

/// Moves the row from `expected` to `next`; false when it is not as expected.
pub(super) fn compare_and_set(
    db: &Connection,
    expected: &PositionRow,
    next: &PositionRow,
) -> Result<bool> {
    let sql = "UPDATE _replicator_position
               SET state = ?, timeline = ?, publications = ?, lsn = ?, fingerprint = ?, source_time = ?
               WHERE slot = ? AND state = ? AND lsn = ? AND epoch = ?";
    let values = params![
        next.state.name(),
        next.timeline,
        json(&next.publications)?,
        next.lsn.to_string(),
        next.fingerprint,
        written_time(next.source_time),
        expected.slot,
        expected.state.name(),
        expected.lsn.to_string(),
        expected.epoch,
    ];
    let rows = db
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values));
    rows.map(|rows| rows == 1).map_err(broken)
}

/// The same for a row that is to be another source's.
pub(super) fn change_source(
    db: &Connection,
    expected: &PositionRow,
    next: &PositionRow,
) -> Result<bool> {
    if !compare_and_set(db, expected, next)? {
        return Ok(false);
    }
    let sql = "UPDATE _replicator_position SET system_id = ?, \"database\" = ? WHERE slot = ?";
    db.execute(sql, [&next.system_id, &next.database, &expected.slot])
        .map(|rows| rows == 1)
        .map_err(broken)
}

pub(super) fn raise_epoch(db: &Connection, slot: &str, holder: &str) -> Result<bool> {
    let sql =
        "UPDATE _replicator_position SET epoch = epoch + 1, version = ?, holder = ? WHERE slot = ?";
    db.execute(sql, params![SCHEMA_VERSION, holder, slot])
        .map(|rows| rows == 1)
        .map_err(broken)
}

pub(super) fn delete_position(db: &Connection, slot: &str) -> Result<()> {
    let sql = "DELETE FROM _replicator_position WHERE slot = ?";
    db.execute(sql, [slot]).map(drop).map_err(broken)
}

const TABLES: &str = "SELECT oid, relfilenode, \"schema\", name, identity, destination, columns, \"key\", made_by_us,
                      state, reason, sync_position FROM _replicator_tables WHERE slot = ?";

/// One of the ledger's tables.
pub(super) fn table(db: &Connection, slot: &str, oid: Oid) -> Result<TableRow> {
    let sql = format!("{TABLES} AND oid = ?");
    let found = db.prepare_cached(&sql).and_then(|mut select| {
        let row = select.query_row(params![slot, oid.0], |row| Ok(read_table(row)));
        row.optional()
    });
    found
        .map_err(broken)?
        .unwrap_or_else(|| Err(unknown_table(slot, oid)))
}

pub(super) fn tables(db: &Connection, slot: &str) -> Result<Vec<TableRow>> {
    let sql = format!("{TABLES} ORDER BY \"schema\", name");
    let mut statement = db.prepare_cached(&sql).map_err(broken)?;
    let rows = statement
        .query_map([slot], |row| Ok(read_table(row)))
        .map_err(broken)?;
    rows.map(|row| row.map_err(broken)?).collect()
}

fn read_table(row: &Row<'_>) -> Result<TableRow> {
    let columns: Vec<_> = serde_json::from_str(&text(row, 6)?).map_err(foreign)?;
    let key: Vec<usize> = serde_json::from_str(&text(row, 7)?).map_err(foreign)?;
    if key.iter().any(|at| *at >= columns.len()) {
        return Err(foreign("a key outside the columns"));
    }
    let reason: Option<String> = row.get(10).map_err(broken)?;
    let sync: Option<String> = row.get(11).map_err(broken)?;
    Ok(TableRow {
        table: Table {
            oid: Oid(row.get(0).map_err(broken)?),
            schema: text(row, 2)?,
            name: text(row, 3)?,
            destination: text(row, 5)?,
            columns,
            key,
            identity: text(row, 4)?
                .chars()
                .next()
                .ok_or_else(|| foreign("no replica identity"))?,
            relfilenode: row.get(1).map_err(broken)?,
        },
        made_by_us: row.get(8).map_err(broken)?,
        state: TableState::read(&text(row, 9)?, reason)?,
        sync_position: sync.as_deref().map(lsn).transpose()?,
    })
}

pub(super) fn put_table(
    db: &Connection,
    slot: &str,
    table: &Table,
    made_by_us: bool,
    state: &TableState,
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO _replicator_tables
               (slot, oid, version, relfilenode, \"schema\", name, identity, destination, columns, \"key\", made_by_us, state)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        slot,
        table.oid.0,
        SCHEMA_VERSION,
        table.relfilenode,
        table.schema,
        table.name,
        table.identity.to_string(),
        table.destination,
        json(&table.columns)?,
        json(&table.key)?,
        made_by_us,
        state.name(),
    ];
    db.execute(sql, values).map(drop).map_err(broken)
}

/// Writes down what a table is from here on; `false` if there is no such table.
pub(super) fn set_definition(db: &Connection, slot: &str, table: &Table) -> Result<bool> {
    let sql = "UPDATE _replicator_tables SET columns = ?, \"key\" = ?, identity = ? WHERE slot = ? AND oid = ?";
    let values = params![
        json(&table.columns)?,
        json(&table.key)?,
        table.identity.to_string(),
        slot,
        table.oid.0,
    ];
    db.execute(sql, values)
        .map(|rows| rows == 1)
        .map_err(broken)
}

/// Who made the table of this name, if our ledger knows it.
pub(super) fn maker(db: &Connection, destination: &str) -> Result<Option<String>> {
    let sql = "SELECT slot FROM _replicator_tables WHERE destination = ? COLLATE NOCASE";
    db.query_row(sql, [destination], |row| row.get(0))
        .optional()
        .map_err(broken)
}

/// Sets state and sync position; `false` if there is no such table.
pub(super) fn set_state(
    db: &Connection,
    slot: &str,
    oid: Oid,
    state: &TableState,
    sync: Lsn,
) -> Result<bool> {
    let sql = "UPDATE _replicator_tables SET state = ?, reason = NULL, sync_position = ? WHERE slot = ? AND oid = ?";
    let values = params![state.name(), sync.to_string(), slot, oid.0];
    db.execute(sql, values)
        .map(|rows| rows == 1)
        .map_err(broken)
}

/// The last chunk of a part; 0 before the first.
pub(super) fn last_chunk(db: &Connection, slot: &str, oid: Oid, part: u32) -> Result<u64> {
    let sql = "SELECT number FROM _replicator_chunks WHERE slot = ? AND oid = ? AND part = ?";
    let found = db.prepare_cached(sql).and_then(|mut select| {
        let number = select.query_row(params![slot, oid.0, part], |row| row.get(0));
        number.optional()
    });
    let number: Option<i64> = found.map_err(broken)?;
    u64::try_from(number.unwrap_or(0)).map_err(foreign)
}

pub(super) fn put_chunk(
    db: &Connection,
    slot: &str,
    oid: Oid,
    part: u32,
    number: u64,
) -> Result<()> {
    let sql =
        "INSERT OR REPLACE INTO _replicator_chunks (slot, oid, part, number) VALUES (?, ?, ?, ?)";
    let number = i64::try_from(number).map_err(foreign)?;
    let put = db
        .prepare_cached(sql)
        .and_then(|mut insert| insert.execute(params![slot, oid.0, part, number]));
    put.map(drop).map_err(broken)
}

pub(super) fn delete_chunks(db: &Connection, slot: &str, oid: Oid) -> Result<()> {
    let sql = "DELETE FROM _replicator_chunks WHERE slot = ? AND oid = ? AND part <> ?";
    db.execute(sql, params![slot, oid.0, KEPT])
        .map(drop)
        .map_err(broken)
}

pub(super) fn caught_up(db: &Connection, slot: &str, oid: Oid) -> Result<()> {
    let sql = "UPDATE _replicator_tables SET state = ? WHERE slot = ? AND oid = ? AND state = ?";
    let (is, was) = (TableState::Streaming, TableState::CatchingUp);
    db.execute(sql, params![is.name(), slot, oid.0, was.name()])
        .map(drop)
        .map_err(broken)
}

pub(super) fn stop_table(db: &Connection, slot: &str, oid: Oid, reason: &str) -> Result<()> {
    let sql = "UPDATE _replicator_tables SET state = ?, reason = ? WHERE slot = ? AND oid = ?";
    let state = TableState::Stopped(String::new());
    db.execute(sql, params![state.name(), reason, slot, oid.0])
        .map(drop)
        .map_err(broken)
}

/// `false` if there is no such table.
pub(super) fn ask_copy(db: &Connection, slot: &str, oid: Oid, now: Oid) -> Result<bool> {
    create(db)?;
    // Its own rows stay, whatever number the source's table has.
    let sql = "UPDATE _replicator_chunks SET oid = ? WHERE slot = ? AND oid = ? AND part = ?";
    db.execute(sql, params![now.0, slot, oid.0, KEPT])
        .map_err(broken)?;
    let sql = "UPDATE _replicator_tables SET oid = ?, state = ?, reason = NULL WHERE slot = ? AND oid = ?";
    let values = params![now.0, TableState::Copying.name(), slot, oid.0];
    db.execute(sql, values)
        .map(|rows| rows == 1)
        .map_err(broken)
}

pub(super) fn delete_tables(db: &Connection, slot: &str) -> Result<()> {
    for sql in [
        "DELETE FROM _replicator_tables WHERE slot = ?",
        "DELETE FROM _replicator_chunks WHERE slot = ?",
    ] {
        db.execute(sql, [slot]).map_err(broken)?;
    }
    Ok(())
}

fn text(row: &Row<'_>, at: usize) -> Result<String> {
    row.get(at).map_err(broken)
}

fn lsn(text: &str) -> Result<Lsn> {
    text.parse()
        .map_err(|_| foreign(format!("the position {text:?}")))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::person("could not write the ledger").caused_by(error))
}

pub(super) fn broken(error: rusqlite::Error) -> Error {
    failure(
        "could not use the replicator's own tables at the destination",
        error,
    )
}

fn foreign(what: impl std::fmt::Display) -> Error {
    Error::person(format!(
        "the replicator's own tables at the destination hold what no replicator wrote: {what}"
    ))
    .with_hint(
        "somebody has changed them by hand: restore the destination, or copy everything again",
    )
}
