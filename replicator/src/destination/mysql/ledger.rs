//! Our own two tables, in the database that the URL names.

use mysql_async::{Row, Value};
use walproto::{Lsn, Oid};

use super::session::{Session, column};
use crate::chunk::KEPT;
use crate::error::{Error, Result};
use crate::position::{PositionRow, SCHEMA_VERSION, State, TableRow, TableState, unknown_table};
use crate::table::Table;

/// The tables' ledger first: without it there is no position.
const CREATE: [&str; 3] = [
    CHUNKS,
    "CREATE TABLE IF NOT EXISTS `_replicator_tables` (
    `slot` VARCHAR(64) NOT NULL,
    `oid` BIGINT NOT NULL,
    `version` BIGINT NOT NULL,
    `relfilenode` BIGINT NOT NULL,
    `schema` VARCHAR(64) NOT NULL,
    `name` VARCHAR(64) NOT NULL,
    `identity` VARCHAR(1) NOT NULL,
    `destination` VARCHAR(200) NOT NULL,
    `columns` LONGTEXT NOT NULL,
    `key` LONGTEXT NOT NULL,
    `made_by_us` BOOLEAN NOT NULL,
    `state` VARCHAR(32) NOT NULL,
    `reason` LONGTEXT,
    `sync_position` VARCHAR(32),
    PRIMARY KEY (`slot`, `oid`)
)",
    "CREATE TABLE IF NOT EXISTS `_replicator_position` (
    `slot` VARCHAR(64) NOT NULL PRIMARY KEY,
    `version` BIGINT NOT NULL,
    `state` VARCHAR(32) NOT NULL,
    `system_id` VARCHAR(64) NOT NULL,
    `timeline` BIGINT NOT NULL,
    `database` VARCHAR(64) NOT NULL,
    `publications` LONGTEXT NOT NULL,
    `lsn` VARCHAR(32) NOT NULL,
    `epoch` BIGINT NOT NULL,
    `holder` LONGTEXT NOT NULL,
    `fingerprint` LONGTEXT NOT NULL,
    `connection` BIGINT NOT NULL,
    `server_started` BIGINT NOT NULL
)",
];

const CHUNKS: &str = "CREATE TABLE IF NOT EXISTS `_replicator_chunks` (
    `slot` VARCHAR(64) NOT NULL,
    `oid` BIGINT NOT NULL,
    `part` BIGINT NOT NULL,
    `number` BIGINT NOT NULL,
    PRIMARY KEY (`slot`, `oid`, `part`)
)";

/// Makes the table of chunks where it is missing. It commits what is open.
pub(super) async fn create_chunks(db: &mut Session) -> Result<()> {
    if has_chunks(db).await? {
        return Ok(());
    }
    make(db, CHUNKS).await
}

async fn has_chunks(db: &mut Session) -> Result<bool> {
    let sql = "SELECT 1 FROM information_schema.`tables`
               WHERE `table_schema` = DATABASE() AND `table_name` = '_replicator_chunks'";
    Ok(!db.rows(sql, vec![]).await?.is_empty())
}

async fn make(db: &mut Session, sql: &str) -> Result<()> {
    let collation = db.server.flavour.collation();
    let sql = format!(
        "{sql} ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"
    );
    db.run(&sql).await
}

/// Makes our tables where they are missing. It commits what is open.
pub(super) async fn create(db: &mut Session) -> Result<()> {
    // Asked first: the statement wants the right to make tables even where there is nothing to make.
    if exists(db).await? {
        return Ok(());
    }
    for sql in CREATE {
        make(db, sql).await?;
    }
    Ok(())
}

/// Whether our tables are there; an error if their layout is one that we do not know.
pub(super) async fn exists(db: &mut Session) -> Result<bool> {
    let sql = "SELECT CAST(SUM(`table_name` = '_replicator_position') AS SIGNED), COUNT(*)
               FROM information_schema.`tables`
               WHERE `table_schema` = DATABASE() AND `table_name` IN ('_replicator_position', '_replicator_tables')";
    let rows = db.rows(sql, vec![]).await?;
    let row = rows.first().ok_or_else(|| foreign("no count"))?;
    let (position, both): (Option<i64>, i64) = (column(row, 0)?, column(row, 1)?);
    match (position.unwrap_or(0), both) {
        (_, 0) => return Ok(false),
        // They are made one after the other; what stands in the first was written when the other was there.
        (0, 1)
            if db
                .rows("SELECT 1 FROM `_replicator_tables` LIMIT 1", vec![])
                .await?
                .is_empty() =>
        {
            return Ok(false);
        }
        (_, 1) => {
            return Err(Error::person(
                "of the destination's tables _replicator_position and _replicator_tables one is missing",
            )
            .with_hint("restore the destination, or drop the other one too and copy everything again"));
        }
        _ => {}
    }
    let sql = "SELECT MAX(`version`) FROM (SELECT `version` FROM `_replicator_position`
               UNION ALL SELECT `version` FROM `_replicator_tables`) AS `rows`";
    let rows = db.rows(sql, vec![]).await?;
    let version: Option<i64> = rows.first().map_or(Ok(None), |row| column(row, 0))?;
    match version {
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

const POSITION: &str =
    "SELECT `state`, `system_id`, `timeline`, `database`, `publications`, `lsn`, `epoch`, `holder`,
                        `fingerprint` FROM `_replicator_position` WHERE `slot` = ?";

pub(super) async fn position(db: &mut Session, slot: &str) -> Result<Option<PositionRow>> {
    let rows = db.rows(POSITION, vec![slot.into()]).await?;
    rows.first().map(|row| read_position(slot, row)).transpose()
}

/// Reads the row once nobody is about to change it.
pub(super) async fn settled(db: &mut Session, slot: &str) -> Result<Option<PositionRow>> {
    let sql = format!("{POSITION} FOR UPDATE");
    let rows = db.rows(&sql, vec![slot.into()]).await?;
    rows.first().map(|row| read_position(slot, row)).transpose()
}

fn read_position(slot: &str, row: &Row) -> Result<PositionRow> {
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

/// The session that wrote the row last, and when its server had been started.
pub(super) async fn connection(db: &mut Session, slot: &str) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT `connection`, `server_started` FROM `_replicator_position` WHERE `slot` = ?";
    let rows = db.rows(sql, vec![slot.into()]).await?;
    let read = |row| Ok((column(row, 0)?, column(row, 1)?));
    rows.first().map(read).transpose()
}

/// Writes an intent, over an older one.
pub(super) async fn put_intent(db: &mut Session, row: &PositionRow) -> Result<()> {
    delete_position(db, &row.slot).await?;
    let sql = "INSERT INTO `_replicator_position`
               (`slot`, `version`, `state`, `system_id`, `timeline`, `database`, `publications`, `lsn`, `epoch`, `holder`,
                `fingerprint`, `connection`, `server_started`)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = vec![
        (&row.slot).into(),
        SCHEMA_VERSION.into(),
        State::Intent.name().into(),
        (&row.system_id).into(),
        row.timeline.into(),
        (&row.database).into(),
        json(&row.publications)?.into(),
        row.lsn.to_string().into(),
        row.epoch.into(),
        (&row.holder).into(),
        (&row.fingerprint).into(),
        db.id.into(),
        db.server.started.into(),
    ];
    db.change(sql, values).await.map(drop)
}

/// Moves the row from `expected` to `next`; false when it is not as expected.
pub(super) async fn compare_and_set(
    db: &mut Session,
    expected: &PositionRow,
    next: &PositionRow,
) -> Result<bool> {
    let sql = "UPDATE `_replicator_position`
               SET `state` = ?, `timeline` = ?, `publications` = ?, `lsn` = ?, `fingerprint` = ?, `connection` = ?,
                   `server_started` = ?
               WHERE `slot` = ? AND `state` = ? AND `lsn` = ? AND `epoch` = ?";
    let values: Vec<Value> = vec![
        next.state.name().into(),
        next.timeline.into(),
        json(&next.publications)?.into(),
        next.lsn.to_string().into(),
        (&next.fingerprint).into(),
        db.id.into(),
        db.server.started.into(),
        (&expected.slot).into(),
        expected.state.name().into(),
        expected.lsn.to_string().into(),
        expected.epoch.into(),
    ];
    db.change(sql, values).await.map(|rows| rows == 1)
}

pub(super) async fn raise_epoch(db: &mut Session, slot: &str, holder: &str) -> Result<bool> {
    let sql = "UPDATE `_replicator_position`
               SET `epoch` = `epoch` + 1, `holder` = ?, `connection` = ?, `server_started` = ? WHERE `slot` = ?";
    let values = vec![
        holder.into(),
        db.id.into(),
        db.server.started.into(),
        slot.into(),
    ];
    db.change(sql, values).await.map(|rows| rows == 1)
}

pub(super) async fn delete_position(db: &mut Session, slot: &str) -> Result<()> {
    let sql = "DELETE FROM `_replicator_position` WHERE `slot` = ?";
    db.change(sql, vec![slot.into()]).await.map(drop)
}

const TABLES: &str = "SELECT `oid`, `relfilenode`, `schema`, `name`, `identity`, `destination`, `columns`, `key`,
                      `made_by_us`, `state`, `reason`, `sync_position` FROM `_replicator_tables` WHERE `slot` = ?";

pub(super) async fn tables(db: &mut Session, slot: &str) -> Result<Vec<TableRow>> {
    let sql = format!("{TABLES} ORDER BY `schema`, `name`");
    let rows = db.rows(&sql, vec![slot.into()]).await?;
    rows.iter().map(read_table).collect()
}

/// One of them.
pub(super) async fn table(db: &mut Session, slot: &str, oid: Oid) -> Result<TableRow> {
    let sql = format!("{TABLES} AND `oid` = ?");
    let rows = db.rows(&sql, vec![slot.into(), oid.0.into()]).await?;
    let row = rows.first().ok_or_else(|| unknown_table(slot, oid))?;
    read_table(row)
}

fn read_table(row: &Row) -> Result<TableRow> {
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
    delete_table(db, slot, table).await?;
    let sql = "INSERT INTO `_replicator_tables`
               (`slot`, `oid`, `version`, `relfilenode`, `schema`, `name`, `identity`, `destination`, `columns`, `key`,
                `made_by_us`, `state`)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = vec![
        slot.into(),
        table.oid.0.into(),
        SCHEMA_VERSION.into(),
        table.relfilenode.into(),
        (&table.schema).into(),
        (&table.name).into(),
        table.identity.to_string().into(),
        (&table.destination).into(),
        json(&table.columns)?.into(),
        json(&table.key)?.into(),
        made_by_us.into(),
        state.name().into(),
    ];
    db.change(sql, values).await.map(drop)
}

pub(super) async fn delete_table(db: &mut Session, slot: &str, table: &Table) -> Result<()> {
    let sql = "DELETE FROM `_replicator_tables` WHERE `slot` = ? AND `oid` = ?";
    db.change(sql, vec![slot.into(), table.oid.0.into()])
        .await
        .map(drop)
}

/// Writes down what a table is from here on.
pub(super) async fn set_definition(db: &mut Session, slot: &str, table: &Table) -> Result<()> {
    let sql = "UPDATE `_replicator_tables` SET `columns` = ?, `key` = ?, `identity` = ?
               WHERE `slot` = ? AND `oid` = ?";
    let values = vec![
        json(&table.columns)?.into(),
        json(&table.key)?.into(),
        table.identity.to_string().into(),
        slot.into(),
        table.oid.0.into(),
    ];
    db.change(sql, values).await.map(drop)
}

/// Whose the table of this name is, if our ledger knows it.
pub(super) async fn maker(db: &mut Session, destination: &str) -> Result<Option<String>> {
    let sql = "SELECT `slot` FROM `_replicator_tables` WHERE `destination` = ? LIMIT 1";
    let rows = db.rows(sql, vec![destination.into()]).await?;
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
    let sql = "UPDATE `_replicator_tables` SET `state` = ?, `reason` = NULL, `sync_position` = ?
               WHERE `slot` = ? AND `oid` = ?";
    let values = vec![
        state.name().into(),
        sync.to_string().into(),
        slot.into(),
        oid.0.into(),
    ];
    db.change(sql, values).await.map(|rows| rows == 1)
}

/// The row, which nobody changes until the end of the transaction: others may copy at the same time.
pub(super) async fn shared(db: &mut Session, slot: &str) -> Result<Option<PositionRow>> {
    let sql = format!("{POSITION} LOCK IN SHARE MODE");
    let rows = db.rows(&sql, vec![slot.into()]).await?;
    rows.first().map(|row| read_position(slot, row)).transpose()
}

/// The last chunk of a part; 0 before the first.
pub(super) async fn last_chunk(db: &mut Session, slot: &str, oid: Oid, part: u32) -> Result<u64> {
    let sql =
        "SELECT `number` FROM `_replicator_chunks` WHERE `slot` = ? AND `oid` = ? AND `part` = ?";
    let values = vec![slot.into(), oid.0.into(), part.into()];
    let rows = db.rows(sql, values).await?;
    rows.first().map_or(Ok(0), |row| column(row, 0))
}

pub(super) async fn put_chunk(
    db: &mut Session,
    slot: &str,
    oid: Oid,
    part: u32,
    number: u64,
) -> Result<()> {
    // A part has one writer, so this is no race.
    let sql = if number == 1 {
        "INSERT INTO `_replicator_chunks` (`number`, `slot`, `oid`, `part`) VALUES (?, ?, ?, ?)"
    } else {
        "UPDATE `_replicator_chunks` SET `number` = ? WHERE `slot` = ? AND `oid` = ? AND `part` = ?"
    };
    let values = vec![number.into(), slot.into(), oid.0.into(), part.into()];
    db.change(sql, values).await.map(drop)
}

pub(super) async fn delete_chunks(db: &mut Session, slot: &str, oid: Oid) -> Result<()> {
    let sql = "DELETE FROM `_replicator_chunks` WHERE `slot` = ? AND `oid` = ? AND `part` <> ?";
    db.change(sql, vec![slot.into(), oid.0.into(), KEPT.into()])
        .await
        .map(drop)
}

pub(super) async fn stop_table(db: &mut Session, slot: &str, oid: Oid, reason: &str) -> Result<()> {
    let sql =
        "UPDATE `_replicator_tables` SET `state` = ?, `reason` = ? WHERE `slot` = ? AND `oid` = ?";
    let stopped = TableState::Stopped(String::new());
    let values = vec![
        stopped.name().into(),
        reason.into(),
        slot.into(),
        oid.0.into(),
    ];
    db.change(sql, values).await.map(drop)
}

/// `false` if there is no such table.
pub(super) async fn ask_copy(db: &mut Session, slot: &str, oid: Oid, now: Oid) -> Result<bool> {
    // Its own rows stay, whatever number the source's table has.
    if has_chunks(db).await? {
        let sql = "UPDATE `_replicator_chunks` SET `oid` = ? WHERE `slot` = ? AND `oid` = ? AND `part` = ?";
        let values = vec![now.0.into(), slot.into(), oid.0.into(), KEPT.into()];
        db.change(sql, values).await?;
    }
    let sql = "UPDATE `_replicator_tables` SET `oid` = ?, `state` = ?, `reason` = NULL WHERE `slot` = ? AND `oid` = ?";
    let values = vec![
        now.0.into(),
        TableState::Copying.name().into(),
        slot.into(),
        oid.0.into(),
    ];
    db.change(sql, values).await.map(|rows| rows == 1)
}

pub(super) async fn delete_tables(db: &mut Session, slot: &str) -> Result<()> {
    if has_chunks(db).await? {
        let sql = "DELETE FROM `_replicator_chunks` WHERE `slot` = ?";
        db.change(sql, vec![slot.into()]).await?;
    }
    let sql = "DELETE FROM `_replicator_tables` WHERE `slot` = ?";
    db.change(sql, vec![slot.into()]).await.map(drop)
}

fn text(row: &Row, at: usize) -> Result<String> {
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
