//! A delivered transaction beside the one of the story.

use testdata::story::{Cell, Change as Told, Kind, Record, Table, Wal};
use walproto::{Column, Lsn, OldRow, Timestamp, Tuple, Xid};

use super::expected::is_message;
use super::world::World;
use crate::changes::{Change, Changes};
use crate::event::PreparedId;
use crate::relations::Relation;
use crate::transactions::Origin;

/// Whether a commit is that of the transaction.
pub(super) fn commit(
    wal: &Wal,
    number: u32,
    xid: Xid,
    gid: Option<&str>,
    (commit, end, time): (Lsn, Lsn, Timestamp),
) -> Result<(), String> {
    let model = &wal.transactions[&number];
    let (record, _) = model.end.ok_or("it has not ended")?;
    let record = &wal.records[record];
    let prepare = model.prepare.as_ref().filter(|_| gid.is_some());
    let name = prepare.map(|prepare| &*prepare.1);
    let expected = (model.xid, record.start, record.end, model.time, name);
    let found = (xid.0, commit.0, end.0, time.0, gid);
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "xid, ends, time and name are {found:X?}, and should be {expected:X?}"
    ))
}

/// Whether the origin is that of the transaction.
pub(super) fn origin(wal: &Wal, number: u32, origin: Option<&Origin>) -> Result<(), String> {
    let model = &wal.transactions[&number];
    let name = origin.map(|origin| &*origin.name);
    if name == model.origin.as_deref() {
        return Ok(());
    }
    Err(format!(
        "the origin of {} is {name:?}, and should be {:?}",
        model.xid, model.origin
    ))
}

/// What tells a prepared transaction from others.
pub(super) fn id(wal: &Wal, number: u32) -> Option<PreparedId> {
    let model = &wal.transactions[&number];
    let (record, gid) = model.prepare.as_ref()?;
    Some(PreparedId {
        gid: gid.clone(),
        xid: Xid(model.xid),
        end_lsn: Lsn(wal.records[*record].end),
    })
}

/// Whether the changes are those that were not undone, with their tables as they were at each.
pub(super) fn changes(world: &World, changes: &mut Changes<'_>, number: u32) -> Result<(), String> {
    let wal = &world.wal;
    let model = &wal.transactions[&number];
    let doomed = matches!(model.end, Some((_, false)));
    let mut expected = wal
        .surviving(number)
        .filter(|record| world.options.messages || !is_message(record));
    while let Some((lsn, change)) = changes.next().map_err(|error| error.to_string())? {
        match &change {
            Change::Relation(_) | Change::Type(_) => continue,
            Change::Message(message) => {
                // One of a subtransaction that was undone has nothing about it that says so.
                let undone = model.changes.iter().map(|at| &wal.records[*at]).any(|it| {
                    let Kind::Change(row) = &it.kind else {
                        return false;
                    };
                    it.end == message.lsn.0 && model.undone.contains(&row.xid)
                });
                if undone {
                    continue;
                }
            }
            _ => {}
        }
        // Of one that is rolled back in the end, parts may be missing: it may have been seen to be while it was sent.
        let message = matches!(change, Change::Message(_));
        let next = expected
            .find(|record| !doomed || place(record) == lsn.0 && is_message(record) == message);
        let Some(record) = next else {
            return Err(format!("{change:?} at {lsn} is more than there is"));
        };
        same(record, lsn.0, &change).map_err(|what| {
            format!(
                "{what}: {change:?} at {lsn} in place of {:?} at {:X}",
                record.kind, record.start
            )
        })?;
    }
    match expected.next().filter(|_| !doomed) {
        Some(record) => Err(format!(
            "{:?} at {:X} is missing at the end",
            record.kind, record.start
        )),
        None => Ok(()),
    }
}

pub(super) fn same(record: &Record, lsn: u64, change: &Change<'_>) -> Result<(), &'static str> {
    let Kind::Change(row) = &record.kind else {
        return Err("no change");
    };
    if lsn != place(record) {
        return Err("the position");
    }
    let right = match (&row.change, change) {
        (Told::Insert(table, told), Change::Insert { relation, new }) => {
            is_table(table, relation) && is_row(told, *new)
        }
        (Told::Update(table, before, told), Change::Update { relation, old, new }) => {
            let before = before.as_ref().map(|(tag, row)| (*tag, &row[..]));
            is_table(table, relation) && is_old(before, *old) && is_row(told, *new)
        }
        (Told::Delete(table, tag, told), Change::Delete { relation, old }) => {
            is_table(table, relation) && is_old(Some((*tag, told)), Some(*old))
        }
        (
            Told::Truncate(tables, flags),
            Change::Truncate {
                relations,
                cascade,
                restart_identity,
            },
        ) => {
            *flags == u8::from(*cascade) | u8::from(*restart_identity) << 1
                && tables.len() == relations.len()
                && tables
                    .iter()
                    .zip(relations)
                    .all(|(table, relation)| is_table(table, relation))
        }
        (Told::Message, Change::Message(message)) => {
            message.prefix == "in" && message.content == record.text().as_bytes()
        }
        _ => return Err("another kind"),
    };
    if right { Ok(()) } else { Err("the content") }
}

/// Where a server says that it is: messages, at their end.
pub(super) fn place(record: &Record) -> u64 {
    if is_message(record) {
        record.end
    } else {
        record.start
    }
}

fn is_table(table: &Table, relation: &Relation) -> bool {
    let namespace = match table.namespace {
        "" => "pg_catalog",
        namespace => namespace,
    };
    relation.oid.0 == table.oid
        && relation.namespace == namespace
        && relation.name == table.name
        && identity(relation) == table.identity
        && relation.columns.len() == table.columns.len()
        && relation
            .columns
            .iter()
            .zip(&table.columns)
            .all(|(is, was)| {
                is.name == was.name
                    && is.type_oid.0 == was.type_oid
                    && is.typmod == was.typmod
                    && is.key == table.is_sent_as_key(was)
            })
}

fn identity(relation: &Relation) -> u8 {
    use walproto::ReplicaIdentity;
    match relation.identity {
        ReplicaIdentity::Default => b'd',
        ReplicaIdentity::Nothing => b'n',
        ReplicaIdentity::Full => b'f',
        ReplicaIdentity::Index => b'i',
    }
}

fn is_old(told: Option<(u8, &[Cell])>, old: Option<OldRow<'_>>) -> bool {
    match (told, old) {
        (None, None) => true,
        (Some((b'K', row)), Some(OldRow::Key(tuple)))
        | (Some((b'O', row)), Some(OldRow::Full(tuple))) => is_row(row, tuple),
        _ => false,
    }
}

fn is_row(told: &[Cell], row: Tuple<'_>) -> bool {
    told.len() == row.len()
        && told
            .iter()
            .zip(row.columns())
            .all(|(told, column)| match (told, column) {
                (Cell::Null, Column::Null) | (Cell::Unchanged, Column::Unchanged) => true,
                (Cell::Text(told), Column::Text(text)) => told.as_bytes() == text,
                _ => false,
            })
}
