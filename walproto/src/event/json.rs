//! Change events in serde's formats; the shape is in the docs of [`ChangeEvent`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::{Change, ChangeEvent, OwnedOldRow, OwnedTuple, Table, TableColumn};
use crate::{Column, Lsn, OldRow, ReplicaIdentity, Tuple, Xid};

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

/// What [`Fields`] becomes on the other side.
#[derive(Deserialize)]
struct Read {
    kind: Kind,
    #[serde(default)]
    xid: Option<Xid>,
    #[serde(default)]
    table: Option<Table>,
    #[serde(default)]
    key: Option<Values>,
    #[serde(default)]
    old: Option<Values>,
    #[serde(default)]
    new: Option<Values>,
    #[serde(default)]
    tables: Option<Vec<Table>>,
    #[serde(default)]
    cascade: Option<bool>,
    #[serde(default)]
    restart_identity: Option<bool>,
    #[serde(default)]
    transactional: Option<bool>,
    #[serde(default)]
    lsn: Option<Lsn>,
    #[serde(default)]
    prefix: Option<Box<str>>,
    #[serde(default)]
    content: Option<OwnedValue>,
}

impl<'de> Deserialize<'de> for ChangeEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn needed<T, E: de::Error>(field: Option<T>, name: &'static str) -> Result<T, E> {
            field.ok_or_else(|| E::missing_field(name))
        }

        let read = Read::deserialize(deserializer)?;
        let old = |table: &Table, key: Option<Values>, old: Option<Values>| match (key, old) {
            (Some(key), None) => key.tuple(table, true).map(OwnedOldRow::Key).map(Some),
            (None, Some(old)) => old.tuple(table, false).map(OwnedOldRow::Full).map(Some),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(de::Error::custom("both `key` and `old`")),
        };
        let change = match read.kind {
            Kind::Insert => {
                let table = needed(read.table, "table")?;
                let new = needed(read.new, "new")?.tuple(&table, false)?;
                let table = Arc::new(table);
                Change::Insert { table, new }
            }
            Kind::Update => {
                let table = needed(read.table, "table")?;
                let old = old(&table, read.key, read.old)?;
                let new = needed(read.new, "new")?.tuple(&table, false)?;
                let table = Arc::new(table);
                Change::Update { table, old, new }
            }
            Kind::Delete => {
                let table = needed(read.table, "table")?;
                let old = needed(old(&table, read.key, read.old)?, "key")?;
                let table = Arc::new(table);
                Change::Delete { table, old }
            }
            Kind::Truncate => Change::Truncate {
                tables: needed(read.tables, "tables")?
                    .into_iter()
                    .map(Arc::new)
                    .collect(),
                cascade: needed(read.cascade, "cascade")?,
                restart_identity: needed(read.restart_identity, "restart_identity")?,
            },
            Kind::Message => Change::Message {
                transactional: needed(read.transactional, "transactional")?,
                lsn: needed(read.lsn, "lsn")?,
                prefix: needed(read.prefix, "prefix")?,
                content: match needed(read.content, "content")? {
                    OwnedValue(Plain::Text(bytes)) => bytes.0.into(),
                    _ => return Err(de::Error::custom("`content` is no text")),
                },
            },
        };
        Ok(Self {
            xid: read.xid,
            change,
        })
    }
}

/// A row by names.
struct Values(Vec<(String, OwnedValue)>);

impl Values {
    /// The row in the order of its table.
    fn tuple<E: de::Error>(mut self, table: &Table, only_key: bool) -> Result<OwnedTuple, E> {
        let mut columns = Vec::new();
        for def in &table.columns {
            let at = self.0.iter().position(|(name, _)| **name == *def.name);
            let value = match at {
                Some(at) => self.0.remove(at).1.0,
                None if only_key && !def.key => Plain::Null,
                None => {
                    return Err(E::custom(format_args!(
                        "no value for column {:?}",
                        def.name
                    )));
                }
            };
            let (kind, bytes) = match value {
                Plain::Null => (b'n', None),
                Plain::Unchanged => (b'u', None),
                Plain::Text(bytes) => (b't', Some(bytes.0)),
                Plain::Binary(bytes) => (b'b', Some(bytes.0)),
            };
            columns.push(kind);
            if let Some(bytes) = bytes {
                let Ok(len) = i32::try_from(bytes.len()) else {
                    return Err(E::custom("a value of more than two gigabytes"));
                };
                columns.extend_from_slice(&len.to_be_bytes());
                columns.extend_from_slice(&bytes);
            }
        }
        if let Some((name, _)) = self.0.first() {
            return Err(E::custom(format_args!(
                "no column {name:?} in the table, or two values for it"
            )));
        }
        let Ok(count) = u16::try_from(table.columns.len()) else {
            return Err(E::custom("too many columns"));
        };
        Ok(OwnedTuple {
            count,
            columns: columns.into(),
        })
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from column names to values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    values.push(entry);
                }
                Ok(Values(values))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

struct OwnedValue(Plain<Bytes>);

impl<'de> Deserialize<'de> for OwnedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Human;

        impl<'de> Visitor<'de> for Human {
            type Value = Plain<Bytes>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, null, or a map of one of unchanged, binary and not_utf8")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Plain<Bytes>, E> {
                Ok(Plain::Null)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Plain<Bytes>, E> {
                Ok(Plain::Text(Bytes(text.as_bytes().into())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Plain<Bytes>, E> {
                Ok(Plain::Text(Bytes(text.into_bytes())))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain<Bytes>, A::Error> {
                #[derive(Deserialize)]
                #[serde(rename_all = "snake_case")]
                enum Key {
                    Unchanged,
                    Binary,
                    NotUtf8,
                }

                let value = match map.next_key()? {
                    Some(Key::Unchanged) => {
                        if !map.next_value::<bool>()? {
                            return Err(de::Error::custom("unchanged is false"));
                        }
                        Plain::Unchanged
                    }
                    Some(Key::Binary) => Plain::Binary(unhex(map.next_value()?)?),
                    Some(Key::NotUtf8) => Plain::Text(unhex(map.next_value()?)?),
                    None => return Err(de::Error::invalid_length(0, &self)),
                };
                match map.next_key::<Key>()? {
                    None => Ok(value),
                    Some(_) => Err(de::Error::invalid_length(2, &self)),
                }
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Human).map(Self)
        } else {
            Plain::deserialize(deserializer).map(Self)
        }
    }
}

fn unhex<E: de::Error>(digits: String) -> Result<Bytes, E> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, odd) = digits.as_bytes().as_chunks();
    let bytes = pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    match bytes.collect::<Option<_>>() {
        Some(bytes) if odd.is_empty() => Ok(Bytes(bytes)),
        _ => Err(E::custom("not an even number of hexadecimal digits")),
    }
}

struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.into()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Bytes, A::Error> {
                let mut all = Vec::new();
                while let Some(byte) = bytes.next_element()? {
                    all.push(byte);
                }
                Ok(Bytes(all))
            }
        }

        deserializer.deserialize_byte_buf(Collect)
    }
}
