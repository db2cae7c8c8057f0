//! Change events read back.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Kind, Plain};
use crate::event::{Change, ChangeEvent, OwnedOldRow, OwnedTuple, Table};
use crate::{Lsn, Xid};

/// What [`Fields`](super::Fields) becomes on the other side.
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
