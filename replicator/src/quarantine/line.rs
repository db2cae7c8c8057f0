//! A change that was left out, as a JSON line. Pure but for the time of day.

use std::time::SystemTime;

use walstream::walproto::{Column, Lsn, OldRow, ReplicaIdentity, Timestamp, Tuple, Xid};
use walstream::{Change, Relation, Transaction};

use crate::error::{Error, Result};
use crate::plan::{Action, Operation};
use crate::show::Iso;
use crate::show::json::{begin, comma, member, name, number, plain, string, tagged, text};
use crate::table::Table;
use crate::value::Value;

/// The transaction that a change belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    slot: &'a str,
    commit_lsn: Lsn,
    xid: Xid,
    commit_time: Timestamp,
}

impl<'a> Origin<'a> {
    pub(crate) const fn new(slot: &'a str, transaction: &Transaction) -> Self {
        Self {
            slot,
            commit_lsn: transaction.commit_lsn(),
            xid: transaction.xid(),
            commit_time: transaction.commit_time(),
        }
    }
}

/// What left it out.
#[derive(Clone, Copy, Debug)]
pub(super) enum By<'a> {
    /// The destination, for this reason.
    Quarantine(&'a str),
    /// The user.
    Skip,
}

/// Adds the line of an operation.
pub(super) fn operation(
    out: &mut Vec<u8>,
    of: &Origin<'_>,
    lsn: Lsn,
    operation: &Operation,
    by: By<'_>,
) -> Result<()> {
    let table = &*operation.table;
    let start = out.len();
    let values = (|| match &operation.action {
        Action::Insert { values } => {
            head(out, "insert", of, lsn);
            place(out, &table.schema, &table.name);
            if !table.key.is_empty() {
                row(out, "key", table, |at| {
                    values.get(at).filter(|_| table.key.contains(&at))
                })?;
            }
            row(out, "new", table, |at| values.get(at))
        }
        Action::Update { set, matched } => {
            head(out, "update", of, lsn);
            place(out, &table.schema, &table.name);
            let old = |at| before(table, matched, at);
            row(out, old_name(table), table, old)?;
            // A key that stays is not set. Without one all columns are set that were sent.
            let new = |at| {
                let set = set.iter().find(|(place, _)| *place == at);
                let kept = || old(at).filter(|_| !table.key.is_empty());
                set.map(|(_, value)| value).or_else(kept)
            };
            row(out, "new", table, new)?;
            let unchanged = (0..table.columns.len()).filter(|at| new(*at).is_none());
            names(
                out,
                unchanged.filter_map(|at| Some(&*table.columns.get(at)?.name)),
            );
            Ok(())
        }
        Action::Delete { matched } => {
            head(out, "delete", of, lsn);
            place(out, &table.schema, &table.name);
            row(out, old_name(table), table, |at| before(table, matched, at))
        }
        Action::Truncate => {
            head(out, "truncate", of, lsn);
            tables(out, [(&*table.schema, &*table.name)]);
            Ok(())
        }
    })();
    if values.is_err() {
        out.truncate(start);
    } else {
        tail(out, of, by);
    }
    values
}

/// Adds the line of a change as the stream has it; `false`, and nothing is added, where it changes no row.
pub(super) fn change(
    out: &mut Vec<u8>,
    of: &Origin<'_>,
    lsn: Lsn,
    change: &Change<'_>,
    by: By<'_>,
) -> bool {
    match change {
        Change::Insert { relation, new } => {
            head(out, "insert", of, lsn);
            place(out, &relation.namespace, &relation.name);
            key_of(out, relation, *new);
            sent(out, "new", relation, *new, false);
        }
        Change::Update { relation, old, new } => {
            head(out, "update", of, lsn);
            place(out, &relation.namespace, &relation.name);
            match old {
                Some(old) => sent_old(out, relation, *old),
                None => key_of(out, relation, *new),
            }
            sent(out, "new", relation, *new, false);
            let unchanged = relation.columns.iter().zip(new.columns());
            let unchanged = unchanged.filter(|(_, value)| *value == Column::Unchanged);
            names(out, unchanged.map(|(column, _)| &*column.name));
        }
        Change::Delete { relation, old } => {
            head(out, "delete", of, lsn);
            place(out, &relation.namespace, &relation.name);
            sent_old(out, relation, *old);
        }
        Change::Truncate {
            relations,
            cascade,
            restart_identity,
        } => {
            head(out, "truncate", of, lsn);
            let names = relations.iter();
            tables(out, names.map(|it| (&*it.namespace, &*it.name)));
            number(out, "cascade", cascade);
            number(out, "restart_identity", restart_identity);
        }
        Change::Message(message) => {
            head(out, "message", of, lsn);
            number(out, "transactional", message.transactional);
            member(out, "prefix", message.prefix);
            name(out, "content");
            text(out, message.content);
        }
        _ => return false,
    }
    tail(out, of, by);
    true
}

fn head(out: &mut Vec<u8>, kind: &str, of: &Origin<'_>, lsn: Lsn) {
    begin(out, kind);
    plain(out, "lsn", lsn);
    number(out, "xid", of.xid);
    plain(out, "commit_time", Iso(of.commit_time));
}

fn tail(out: &mut Vec<u8>, of: &Origin<'_>, by: By<'_>) {
    let (by, reason) = match by {
        By::Quarantine(reason) => ("quarantine", reason),
        By::Skip => ("skip", "its transaction was to be skipped"),
    };
    plain(out, "time", Iso(now()));
    member(out, "slot", of.slot);
    plain(out, "commit_lsn", of.commit_lsn);
    plain(out, "by", by);
    member(out, "reason", reason);
    out.extend_from_slice(b"}\n");
}

fn place(out: &mut Vec<u8>, schema: &str, table: &str) {
    member(out, "schema", schema);
    member(out, "table", table);
}

fn tables<'a>(out: &mut Vec<u8>, all: impl IntoIterator<Item = (&'a str, &'a str)>) {
    name(out, "tables");
    out.push(b'[');
    for (schema, table) in all {
        comma(out);
        out.push(b'{');
        place(out, schema, table);
        out.push(b'}');
    }
    out.push(b']');
}

/// Columns whose values were not sent, if there are any.
fn names<'a>(out: &mut Vec<u8>, columns: impl Iterator<Item = &'a str>) {
    let mut columns = columns.peekable();
    if columns.peek().is_none() {
        return;
    }
    name(out, "unchanged");
    out.push(b'[');
    for column in columns {
        comma(out);
        string(out, column);
    }
    out.push(b']');
}

const fn old_name(table: &Table) -> &'static str {
    if table.key.is_empty() { "old" } else { "key" }
}

/// What a matched column held.
fn before<'v>(table: &Table, matched: &'v [Value], at: usize) -> Option<&'v Value> {
    let place = table.matched().position(|place| place == at)?;
    matched.get(place)
}

/// The columns of which there is a value, as PostgreSQL prints them.
fn row<'v>(
    out: &mut Vec<u8>,
    key: &str,
    table: &Table,
    value: impl Fn(usize) -> Option<&'v Value>,
) -> Result<()> {
    name(out, key);
    out.push(b'{');
    for (at, column) in table.columns.iter().enumerate() {
        let Some(value) = value(at) else { continue };
        name(out, &column.name);
        let printed = match value {
            Value::Text(text) => {
                string(out, text);
                continue;
            }
            other => other.to_text(column.kind),
        };
        let printed = printed.map_err(|error| {
            let column = &column.name;
            Error::person(format!("table {table}, column {column}: {error}"))
        })?;
        match printed {
            Some(printed) => string(out, &printed),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    Ok(())
}

fn sent_old(out: &mut Vec<u8>, relation: &Relation, old: OldRow<'_>) {
    match old {
        OldRow::Key(row) => sent(out, "key", relation, row, true),
        OldRow::Full(row) => sent(out, "old", relation, row, false),
    }
}

/// The key of a row that has it unchanged; where the whole row identifies, there is none.
fn key_of(out: &mut Vec<u8>, relation: &Relation, new: Tuple<'_>) {
    let keyed = matches!(
        relation.identity,
        ReplicaIdentity::Default | ReplicaIdentity::Index
    );
    if keyed && relation.columns.iter().any(|column| column.key) {
        sent(out, "key", relation, new, true);
    }
}

fn sent(out: &mut Vec<u8>, key: &str, relation: &Relation, row: Tuple<'_>, key_only: bool) {
    name(out, key);
    out.push(b'{');
    for (column, value) in relation.columns.iter().zip(row.columns()) {
        if value == Column::Unchanged || key_only && !column.key {
            continue;
        }
        name(out, &column.name);
        match value {
            Column::Text(bytes) => text(out, bytes),
            Column::Binary(bytes) => tagged(out, "binary", bytes),
            Column::Null | Column::Unchanged => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros())
        .ok()
        .and_then(Timestamp::from_unix_micros)
        .unwrap_or_default()
}
