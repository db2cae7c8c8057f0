//! Change events in serde's formats; the shape is in the docs of [`ChangeEvent`].

mod read;

use alloc::vec::Vec;
use core::fmt;

use serde::ser::{SerializeMap, SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::{Change, ChangeEvent, OwnedOldRow, Table, TableColumn};
use crate::{Column, Lsn, OldRow, ReplicaIdentity, Tuple};

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Insert,
    Update,
    Delete,
    Truncate,
    Message,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ReplicaIdentity", rename_all = "lowercase")]
pub(super) enum Identity {
    Default,
    Nothing,
    Full,
    Index,
}

/// All that any kind of event has: what a format without names reads one after the other.
#[derive(Default)]
struct Fields<'a> {
    table: Option<&'a Table>,
    key: Option<Named<'a>>,
    old: Option<Named<'a>>,
    new: Option<Named<'a>>,
    tables: Option<Vec<&'a Table>>,
    cascade: Option<bool>,
    restart_identity: Option<bool>,
    transactional: Option<bool>,
    lsn: Option<Lsn>,
    prefix: Option<&'a str>,
    content: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    fn of(change: &'a Change) -> (Kind, Self) {
        let mut fields = Self::default();
        let kind = match change {
            Change::Insert { table, new } => {
                fields.table = Some(table);
                fields.new = Some(Named::new(table, new.tuple()));
                Kind::Insert
            }
            Change::Update { table, old, new } => {
                fields.table = Some(table);
                fields.old_row(table, old.as_ref());
                fields.new = Some(Named::new(table, new.tuple()));
                Kind::Update
            }
            Change::Delete { table, old } => {
                fields.table = Some(table);
                fields.old_row(table, Some(old));
                Kind::Delete
            }
            Change::Truncate {
                tables,
                cascade,
                restart_identity,
            } => {
                fields.tables = Some(tables.iter().map(|table| &**table).collect());
                fields.cascade = Some(*cascade);
                fields.restart_identity = Some(*restart_identity);
                Kind::Truncate
            }
            Change::Message {
                transactional,
                lsn,
                prefix,
                content,
            } => {
                fields.transactional = Some(*transactional);
                fields.lsn = Some(*lsn);
                fields.prefix = Some(prefix);
                fields.content = Some(Value(Column::Text(content)));
                Kind::Message
            }
        };
        (kind, fields)
    }

    fn old_row(&mut self, table: &'a Table, old: Option<&'a OwnedOldRow>) {
        match old.map(OwnedOldRow::row) {
            Some(OldRow::Key(tuple)) => {
                self.key = Some(Named {
                    only_key: true,
                    ..Named::new(table, tuple)
                });
            }
            Some(OldRow::Full(tuple)) => self.old = Some(Named::new(table, tuple)),
            None => {}
        }
    }
}

impl Serialize for ChangeEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, fields) = Fields::of(&self.change);
        // Where fields have no names, none can be left out.
        let all = !serializer.is_human_readable();
        let mut count = 1;
        macro_rules! count {
            ($($field:expr),*) => { $( count += usize::from(all || $field.is_some()); )* };
        }
        macro_rules! write {
            ($to:ident: $($name:literal $field:expr),* $(,)?) => {{
                $(
                    if all || $field.is_some() {
                        $to.serialize_field($name, &$field)?;
                    } else {
                        $to.skip_field($name)?;
                    }
                )*
            }};
        }
        count!(
            self.xid,
            fields.table,
            fields.key,
            fields.old,
            fields.new,
            fields.tables
        );
        count!(fields.cascade, fields.restart_identity);
        count!(
            fields.transactional,
            fields.lsn,
            fields.prefix,
            fields.content
        );
        let mut out = serializer.serialize_struct("ChangeEvent", count)?;
        out.serialize_field("kind", &kind)?;
        write!(out:
            "xid" self.xid,
            "table" fields.table,
            "key" fields.key,
            "old" fields.old,
            "new" fields.new,
            "tables" fields.tables,
            "cascade" fields.cascade,
            "restart_identity" fields.restart_identity,
            "transactional" fields.transactional,
            "lsn" fields.lsn,
            "prefix" fields.prefix,
            "content" fields.content,
        );
        out.end()
    }
}

/// A row as a map from names to values; columns that were not sent are left out.
struct Named<'a> {
    table: &'a Table,
    tuple: Tuple<'a>,
    only_key: bool,
}

impl<'a> Named<'a> {
    const fn new(table: &'a Table, tuple: Tuple<'a>) -> Self {
        Self {
            table,
            tuple,
            only_key: false,
        }
    }
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sent = |def: &TableColumn| !self.only_key || def.key;
        let columns = &self.table.columns;
        let count = columns.iter().filter(|def| sent(def)).count();
        let mut map = serializer.serialize_map(Some(count))?;
        for (def, column) in columns.iter().zip(self.tuple.columns()) {
            if sent(def) {
                map.serialize_entry(&*def.name, &Value(column))?;
            }
        }
        map.end()
    }
}

/// A value in a format for people.
struct Value<'a>(Column<'a>);

/// The same for machines.
#[derive(Serialize, Deserialize)]
enum Plain<T> {
    Null,
    Unchanged,
    Text(T),
    Binary(T),
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return match self.0 {
                Column::Null => Plain::Null,
                Column::Unchanged => Plain::Unchanged,
                Column::Text(text) => Plain::Text(Raw(text)),
                Column::Binary(bytes) => Plain::Binary(Raw(bytes)),
            }
            .serialize(serializer);
        }
        let (key, bytes) = match self.0 {
            Column::Null => return serializer.serialize_unit(),
            Column::Unchanged => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("unchanged", &true)?;
                return map.end();
            }
            Column::Text(bytes) => match core::str::from_utf8(bytes) {
                Ok(text) => return serializer.serialize_str(text),
                Err(_) => ("not_utf8", bytes),
            },
            Column::Binary(bytes) => ("binary", bytes),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, &Hex(bytes))?;
        map.end()
    }
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct Hex<'a>(&'a [u8]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
