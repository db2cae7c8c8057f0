//! Our own tables at a server: the same rows, read and written by the same statements, whatever product it is.

use walproto::{Lsn, Oid};

use super::cell::{Cell, Row, foreign};
use super::session::{Holder, Lock, Ours, Session};
use crate::chunk::KEPT;
use crate::error::{Error, Result};
use crate::position::{
    PositionRow, SCHEMA_VERSION, State, TableRow, TableState, read_time, unknown_table,
    written_time,
};
use crate::table::Table;

const POSITION: &str = "_replicator_position";
const TABLES: &str = "_replicator_tables";
const CHUNKS: &str = "_replicator_chunks";
/// The column that the position's table has from layout 3 on.
const TIME: &str = "source_time";

/// Makes the table of chunks where it is missing.
pub(super) async fn create_chunks(db: &mut impl Session) -> Result<()> {
    if has_chunks(db).await? {
        return Ok(());
    }
    db.create(Ours::Chunks).await
}

/// Makes our tables where they are missing.
pub(super) async fn create(db: &mut impl Session) -> Result<()> {
    // Asked first: the statement wants the right to make tables even where there is nothing to make.
    if exists(db).await? {
        return migrate(db).await;
    }
    db.create(Ours::Ledger).await
}

/// Brings our tables, which are there, to this layout: before anything of it is written.
pub(super) async fn migrate<S: Session>(db: &mut S) -> Result<()> {
    if has_time(db).await? {
        return Ok(());
    }
    match db.create(Ours::Time).await {
        // Of two that see it missing one comes second; where that is told, nothing of ours is open.
        Err(_) if !S::WHOLE && has_time(db).await? => Ok(()),
        done => done,
    }
}

async fn has_time(db: &mut impl Session) -> Result<bool> {
    Ok(ours(db).await?.iter().any(|name| name == TIME))
}

async fn ours<S: Session>(db: &mut S) -> Result<Vec<String>> {
    let rows = db.ask(S::OURS, &[]).await?;
    rows.iter().map(|row| row.text(0)).collect()
}

pub(super) async fn has_chunks(db: &mut impl Session) -> Result<bool> {
    Ok(ours(db).await?.iter().any(|name| name == CHUNKS))
}

/// Whether our tables are there; an error if their layout is one that we do not know.
pub(super) async fn exists<S: Session>(db: &mut S) -> Result<bool> {
    let ours = ours(db).await?;
    let has = |name| ours.iter().any(|ours| ours == name);
    match (has(POSITION), has(TABLES)) {
        (false, false) => return Ok(false),
        (true, true) => {}
        // Made one after the other; what stands in the first was written when the other was there.
        (false, true)
            if !S::WHOLE
                && db
                    .ask(r#"SELECT 1 FROM "_replicator_tables""#, &[])
                    .await?
                    .is_empty() =>
        {
            return Ok(false);
        }
        // Somebody took one away.
        _ => {
            return Err(Error::person(
                "of the destination's tables _replicator_position and _replicator_tables one is missing",
            )
            .with_hint("restore the destination, or drop the other one too and copy everything again"));
        }
    }
    let sql = r#"SELECT MAX("version") FROM (SELECT "version" FROM "_replicator_position"
                 UNION ALL SELECT "version" FROM "_replicator_tables") AS "rows""#;
    match db.ask(sql, &[]).await?.first().map(|row| row.get(0)) {
        Some(Cell::Number(version)) if *version > SCHEMA_VERSION => Err(Error::person(format!(
            "the destination was written by a newer replicator (layout {version} of its own tables; this one knows {SCHEMA_VERSION})"
        ))
        .with_hint("use the newer replicator")),
        Some(Cell::Number(version)) if *version < 1 => Err(Error::person(format!(
            "the destination's own tables have the unknown layout {version}"
        ))
            .with_hint("use the replicator that wrote them, or restore the destination")),
        _ => Ok(true),
    }
}

/// The row of a slot.
pub(super) async fn position<S: Session>(
    db: &mut S,
    slot: &str,
    lock: Lock,
) -> Result<Option<PositionRow>> {
    position_with(db, slot, lock, r#", "source_time""#).await
}

/// The same where nothing has brought our tables to this layout yet: without a time where there is no column for it.
pub(super) async fn found<S: Session>(
    db: &mut S,
    slot: &str,
    lock: Lock,
) -> Result<Option<PositionRow>> {
    if has_time(db).await? {
        return position(db, slot, lock).await;
    }
    position_with(db, slot, lock, "").await
}

async fn position_with<S: Session>(
    db: &mut S,
    slot: &str,
    lock: Lock,
    time: &str,
) -> Result<Option<PositionRow>> {
    db.hold(slot, lock).await?;
    let [behind, end] = S::lock(lock);
    let sql = format!(
        r#"SELECT "state", "system_id", "timeline", "database", "publications", "lsn", "epoch", "holder", "fingerprint"{time}
           FROM "_replicator_position"{behind} WHERE "slot" = $1{end}"#
    );
    let rows = db.ask(&sql, &[slot.into()]).await?;
    rows.first().map(|row| read_position(slot, row)).transpose()
}

fn read_position(slot: &str, row: &Row) -> Result<PositionRow> {
    Ok(PositionRow {
        slot: slot.to_owned(),
        state: row.text(0)?.parse()?,
        system_id: row.text(1)?,
        timeline: row.small(2)?,
        database: row.text(3)?,
        publications: serde_json::from_str(&row.text(4)?).map_err(foreign)?,
        lsn: lsn(&row.text(5)?)?,
        epoch: row.number(6)?,
        holder: row.text(7)?,
        fingerprint: row.text(8)?,
        source_time: read_time(row.text_or_null(9)?.as_deref())
            .map_err(|text| foreign(format_args!("the time {text:?}")))?,
    })
}

/// The session that wrote the row last.
pub(super) async fn holder<S: Session>(db: &mut S, slot: &str) -> Result<Option<Holder>> {
    let [number, since] = S::HOLDER;
    let sql =
        format!(r#"SELECT "{number}", "{since}" FROM "_replicator_position" WHERE "slot" = $1"#);
    let rows = db.ask(&sql, &[slot.into()]).await?;
    let read = |row: &Row| {
        Ok(Holder {
            number: row.number(0)?,
            since: row.get(1).clone(),
        })
    };
    rows.first().map(read).transpose()
}

/// Writes an intent, over an older one.
pub(super) async fn put_intent<S: Session>(db: &mut S, row: &PositionRow) -> Result<()> {
    delete_position(db, &row.slot).await?;
    let [number, since] = S::HOLDER;
    let sql = format!(
        r#"INSERT INTO "_replicator_position"
           ("slot", "version", "state", "system_id", "timeline", "database", "publications", "lsn", "epoch", "holder",
            "fingerprint", "{number}", "{since}", "source_time")
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"#
    );
    let holder = db.holder();
    let values = [
        (&row.slot).into(),
        SCHEMA_VERSION.into(),
        State::Intent.name().into(),
        (&row.system_id).into(),
        row.timeline.into(),
        (&row.database).into(),
        json(&row.publications)?,
        row.lsn.to_string().into(),
        row.epoch.into(),
        (&row.holder).into(),
        (&row.fingerprint).into(),
        holder.number.into(),
        holder.since,
        written_time(row.source_time).into(),
    ];
    db.put(&sql, &values).await.map(drop)
}

/// Moves the row from `expected` to `next`; false when it is not as expected.
pub(super) async fn compare_and_set<S: Session>(
    db: &mut S,
    expected: &PositionRow,
    next: &PositionRow,
) -> Result<bool> {
    let [number, since] = S::HOLDER;
    let sql = format!(
        r#"UPDATE "_replicator_position"
           SET "state" = $1, "timeline" = $2, "publications" = $3, "lsn" = $4, "fingerprint" = $5, "{number}" = $6,
               "{since}" = $7, "source_time" = $8
           WHERE "slot" = $9 AND "state" = $10 AND "lsn" = $11 AND "epoch" = $12"#
    );
    let holder = db.holder();
    let values = [
        next.state.name().into(),
        next.timeline.into(),
        json(&next.publications)?,
        next.lsn.to_string().into(),
        (&next.fingerprint).into(),
        holder.number.into(),
        holder.since,
        written_time(next.source_time).into(),
        (&expected.slot).into(),
        expected.state.name().into(),
        expected.lsn.to_string().into(),
        expected.epoch.into(),
    ];
    db.put(&sql, &values).await.map(|rows| rows == 1)
}

/// The same for a row that is to be another source's.
pub(super) async fn change_source<S: Session>(
    db: &mut S,
    expected: &PositionRow,
    next: &PositionRow,
) -> Result<bool> {
    if !compare_and_set(db, expected, next).await? {
        return Ok(false);
    }
    let sql =
        r#"UPDATE "_replicator_position" SET "system_id" = $1, "database" = $2 WHERE "slot" = $3"#;
    let values = [
        (&next.system_id).into(),
        (&next.database).into(),
        (&expected.slot).into(),
    ];
    db.put(sql, &values).await.map(|rows| rows == 1)
}

pub(super) async fn raise_epoch<S: Session>(db: &mut S, slot: &str, holder: &str) -> Result<bool> {
    let [number, since] = S::HOLDER;
    let sql = format!(
        r#"UPDATE "_replicator_position"
           SET "epoch" = "epoch" + 1, "version" = {SCHEMA_VERSION}, "holder" = $1, "{number}" = $2, "{since}" = $3
           WHERE "slot" = $4"#
    );
    let us = db.holder();
    let values = [holder.into(), us.number.into(), us.since, slot.into()];
    db.put(&sql, &values).await.map(|rows| rows == 1)
}

pub(super) async fn delete_position(db: &mut impl Session, slot: &str) -> Result<()> {
    let sql = r#"DELETE FROM "_replicator_position" WHERE "slot" = $1"#;
    db.put(sql, &[slot.into()]).await.map(drop)
}

const OF_SLOT: &str = r#"SELECT "oid", "relfilenode", "schema", "name", "identity", "destination", "columns", "key",
                         "made_by_us", "state", "reason", "sync_position" FROM "_replicator_tables" WHERE "slot" = $1"#;

pub(super) async fn tables(db: &mut impl Session, slot: &str) -> Result<Vec<TableRow>> {
    let rows = db.ask(OF_SLOT, &[slot.into()]).await?;
    let mut tables: Vec<TableRow> = rows.iter().map(read_table).collect::<Result<_>>()?;
    // Not as some collation has it.
    tables.sort_by(|a, b| {
        let (a, b) = (&a.table, &b.table);
        (&a.schema, &a.name).cmp(&(&b.schema, &b.name))
    });
    Ok(tables)
}

/// One of them.
pub(super) async fn table(db: &mut impl Session, slot: &str, oid: Oid) -> Result<TableRow> {
    let sql = format!(r#"{OF_SLOT} AND "oid" = $2"#);
    let rows = db.ask(&sql, &[slot.into(), oid.0.into()]).await?;
    let row = rows.first().ok_or_else(|| unknown_table(slot, oid))?;
    read_table(row)
}

fn read_table(row: &Row) -> Result<TableRow> {
    let columns: Vec<_> = serde_json::from_str(&row.text(6)?).map_err(foreign)?;
    let key: Vec<usize> = serde_json::from_str(&row.text(7)?).map_err(foreign)?;
    if key.iter().any(|at| *at >= columns.len()) {
        return Err(foreign("a key outside the columns"));
    }
    let identity = row.text(4)?;
    Ok(TableRow {
        table: Table {
            oid: Oid(row.small(0)?),
            schema: row.text(2)?,
            name: row.text(3)?,
            destination: row.text(5)?,
            columns,
            key,
            identity: identity
                .chars()
                .next()
                .ok_or_else(|| foreign("no replica identity"))?,
            relfilenode: row.small(1)?,
        },
        made_by_us: row.truth(8)?,
        state: TableState::read(&row.text(9)?, row.text_or_null(10)?)?,
        sync_position: row.text_or_null(11)?.as_deref().map(lsn).transpose()?,
    })
}

pub(super) async fn put_table(
    db: &mut impl Session,
    slot: &str,
    table: &Table,
    made_by_us: bool,
    state: &TableState,
) -> Result<()> {
    delete_table(db, slot, table).await?;
    let sql = r#"INSERT INTO "_replicator_tables"
                 ("slot", "oid", "version", "relfilenode", "schema", "name", "identity", "destination", "columns", "key",
                  "made_by_us", "state")
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"#;
    let values = [
        slot.into(),
        table.oid.0.into(),
        SCHEMA_VERSION.into(),
        table.relfilenode.into(),
        (&table.schema).into(),
        (&table.name).into(),
        table.identity.to_string().into(),
        (&table.destination).into(),
        json(&table.columns)?,
        json(&table.key)?,
        made_by_us.into(),
        state.name().into(),
    ];
    db.put(sql, &values).await.map(drop)
}

pub(super) async fn delete_table(db: &mut impl Session, slot: &str, table: &Table) -> Result<()> {
    let sql = r#"DELETE FROM "_replicator_tables" WHERE "slot" = $1 AND "oid" = $2"#;
    let values = [slot.into(), table.oid.0.into()];
    db.put(sql, &values).await.map(drop)
}

/// Writes down what a table is from here on.
pub(super) async fn set_definition(db: &mut impl Session, slot: &str, table: &Table) -> Result<()> {
    let sql = r#"UPDATE "_replicator_tables" SET "columns" = $1, "key" = $2, "identity" = $3
                 WHERE "slot" = $4 AND "oid" = $5"#;
    let values = [
        json(&table.columns)?,
        json(&table.key)?,
        table.identity.to_string().into(),
        slot.into(),
        table.oid.0.into(),
    ];
    match db.put(sql, &values).await? {
        1 => Ok(()),
        _ => Err(unknown_table(slot, table.oid)),
    }
}

/// Whose the table of this name is, if our ledger knows it.
pub(super) async fn maker(db: &mut impl Session, destination: &str) -> Result<Option<String>> {
    let sql = r#"SELECT "slot" FROM "_replicator_tables" WHERE "destination" = $1"#;
    let rows = db.ask(sql, &[destination.into()]).await?;
    rows.first().map(|row| row.text(0)).transpose()
}

/// Sets state and sync position.
pub(super) async fn set_state(
    db: &mut impl Session,
    slot: &str,
    oid: Oid,
    state: &TableState,
    sync: Lsn,
) -> Result<()> {
    let sql = r#"UPDATE "_replicator_tables" SET "state" = $1, "reason" = NULL, "sync_position" = $2
                 WHERE "slot" = $3 AND "oid" = $4"#;
    let values = [
        state.name().into(),
        sync.to_string().into(),
        slot.into(),
        oid.0.into(),
    ];
    match db.put(sql, &values).await? {
        1 => Ok(()),
        _ => Err(unknown_table(slot, oid)),
    }
}

/// The last chunk of a part; 0 before the first.
pub(super) async fn last_chunk(
    db: &mut impl Session,
    slot: &str,
    oid: Oid,
    part: u32,
) -> Result<u64> {
    let sql = r#"SELECT "number" FROM "_replicator_chunks" WHERE "slot" = $1 AND "oid" = $2 AND "part" = $3"#;
    let values = [slot.into(), oid.0.into(), part.into()];
    let rows = db.ask(sql, &values).await?;
    let number = rows.first().map_or(Ok(0), |row| row.number(0))?;
    u64::try_from(number).map_err(foreign)
}

pub(super) async fn put_chunk(
    db: &mut impl Session,
    slot: &str,
    oid: Oid,
    part: u32,
    number: u64,
) -> Result<()> {
    // A part has one writer, so this is no race.
    let sql = if number == 1 {
        r#"INSERT INTO "_replicator_chunks" ("slot", "oid", "part", "number") VALUES ($1, $2, $3, $4)"#
    } else {
        r#"UPDATE "_replicator_chunks" SET "number" = $4 WHERE "slot" = $1 AND "oid" = $2 AND "part" = $3"#
    };
    let number = i64::try_from(number).map_err(foreign)?;
    let values = [slot.into(), oid.0.into(), part.into(), number.into()];
    db.put(sql, &values).await.map(drop)
}

pub(super) async fn delete_chunks(db: &mut impl Session, slot: &str, oid: Oid) -> Result<()> {
    let sql =
        r#"DELETE FROM "_replicator_chunks" WHERE "slot" = $1 AND "oid" = $2 AND "part" <> $3"#;
    let values = [slot.into(), oid.0.into(), KEPT.into()];
    db.put(sql, &values).await.map(drop)
}

pub(super) async fn caught_up(db: &mut impl Session, slot: &str, oid: Oid) -> Result<()> {
    let sql = r#"UPDATE "_replicator_tables" SET "state" = $1 WHERE "slot" = $2 AND "oid" = $3 AND "state" = $4"#;
    let (is, was) = (TableState::Streaming, TableState::CatchingUp);
    let values = [
        is.name().into(),
        slot.into(),
        oid.0.into(),
        was.name().into(),
    ];
    db.put(sql, &values).await.map(drop)
}

pub(super) async fn stop_table(
    db: &mut impl Session,
    slot: &str,
    oid: Oid,
    reason: &str,
) -> Result<()> {
    let sql = r#"UPDATE "_replicator_tables" SET "state" = $1, "reason" = $2 WHERE "slot" = $3 AND "oid" = $4"#;
    let stopped = TableState::Stopped(String::new());
    let values = [
        stopped.name().into(),
        reason.into(),
        slot.into(),
        oid.0.into(),
    ];
    db.put(sql, &values).await.map(drop)
}

pub(super) async fn ask_copy(db: &mut impl Session, slot: &str, oid: Oid, now: Oid) -> Result<()> {
    // Its own rows stay, whatever number the source's table has.
    if has_chunks(db).await? {
        let sql = r#"UPDATE "_replicator_chunks" SET "oid" = $1 WHERE "slot" = $2 AND "oid" = $3 AND "part" = $4"#;
        let values = [now.0.into(), slot.into(), oid.0.into(), KEPT.into()];
        db.put(sql, &values).await?;
    }
    let sql = r#"UPDATE "_replicator_tables" SET "oid" = $1, "state" = $2, "reason" = NULL
                 WHERE "slot" = $3 AND "oid" = $4"#;
    let copying = TableState::Copying.name();
    let values = [now.0.into(), copying.into(), slot.into(), oid.0.into()];
    match db.put(sql, &values).await? {
        1 => Ok(()),
        _ => Err(unknown_table(slot, oid)),
    }
}

pub(super) async fn delete_tables(db: &mut impl Session, slot: &str) -> Result<()> {
    if has_chunks(db).await? {
        let sql = r#"DELETE FROM "_replicator_chunks" WHERE "slot" = $1"#;
        db.put(sql, &[slot.into()]).await?;
    }
    let sql = r#"DELETE FROM "_replicator_tables" WHERE "slot" = $1"#;
    db.put(sql, &[slot.into()]).await.map(drop)
}

fn lsn(text: &str) -> Result<Lsn> {
    text.parse()
        .map_err(|_| foreign(format!("the position {text:?}")))
}

fn json(value: &impl serde::Serialize) -> Result<Cell> {
    serde_json::to_string(value)
        .map(Cell::Text)
        .map_err(|error| Error::person("could not write the ledger").caused_by(error))
}
