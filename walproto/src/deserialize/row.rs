//! A row as serde sees it: a map from column names to values, or a sequence of values.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::cell::{Cell, Held};
use super::error::{RowError, RowErrorKind};
use crate::tuple::{Columns, Tuple};
use crate::{Column, ColumnDef};

/// The columns of a row beside their definitions, as many of the one as of the other.
#[derive(Debug)]
pub(super) struct Row<'de, D> {
    defs: D,
    columns: Columns<'de>,
    /// The old row, from which values that the new one leaves out are taken.
    old: Option<Columns<'de>>,
    /// Whether columns outside the key were not sent.
    only_key: bool,
}

impl<'de, D: ExactSizeIterator<Item = ColumnDef<'de>>> Row<'de, D> {
    /// A row on its own.
    pub(super) fn new(tuple: Tuple<'de>, only_key: bool, defs: D) -> Result<Self, RowError> {
        if tuple.len() != defs.len() {
            let count = |len| u16::try_from(len).unwrap_or(u16::MAX);
            let kind = RowErrorKind::ColumnCount {
                row: count(tuple.len()),
                relation: count(defs.len()),
            };
            return Err(RowError::new(kind, ""));
        }
        Ok(Self {
            defs,
            columns: tuple.columns(),
            old: None,
            only_key,
        })
    }

    /// Takes values that were not sent because they did not change from the old row, where it has them.
    pub(super) fn over(self, old: Option<Tuple<'de>>) -> Self {
        Self {
            old: old.map(|old| old.columns()),
            ..self
        }
    }

    /// The next column, with its name.
    #[inline]
    fn next(&mut self) -> Option<(&'de str, Cell<'de>)> {
        let def = self.defs.next()?;
        let mut held = Held::from(self.columns.next()?);
        if let Some(old) = &mut self.old {
            // A key-only row has no other values than the key's.
            let old = old.next();
            if let (Held::Unchanged, Some(old @ (Column::Text(_) | Column::Binary(_)))) =
                (held, old)
            {
                held = old.into();
            }
        }
        if self.only_key && !def.key && matches!(held, Held::Null) {
            held = Held::NotSent;
        }
        let type_oid = def.type_oid;
        Some((def.name, Cell { held, type_oid }))
    }
}

impl<'de, D: ExactSizeIterator<Item = ColumnDef<'de>>> Deserializer<'de> for Row<'de, D> {
    type Error = RowError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_map(Map {
            row: self,
            current: None,
        })
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_some(self)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_unit()
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, RowError> {
        let count = self.columns.len();
        let value = visitor.visit_seq(&mut self)?;
        if self.columns.len() > 0 {
            return Err(RowError::invalid_length(count, &"fewer columns"));
        }
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        self.deserialize_seq(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf map enum identifier
    }
}

/// The columns by name, in the order of the relation.
struct Map<'de, D> {
    row: Row<'de, D>,
    /// The column whose name was handed out last.
    current: Option<(&'de str, Cell<'de>)>,
}

impl<'de, D: ExactSizeIterator<Item = ColumnDef<'de>>> MapAccess<'de> for Map<'de, D> {
    type Error = RowError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, RowError> {
        self.current = self.row.next();
        let Some((name, cell)) = self.current else {
            return Ok(None);
        };
        match seed.deserialize(BorrowedStrDeserializer::new(name)) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(RowError::at(error, name, cell.type_oid)),
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, RowError> {
        let Some((name, cell)) = self.current else {
            return Err(RowError::custom("a value is asked for before its key"));
        };
        seed.deserialize(cell)
            .map_err(|error| error.at(name, cell.type_oid))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.row.columns.len())
    }
}

/// The columns by position.
impl<'de, D: ExactSizeIterator<Item = ColumnDef<'de>>> SeqAccess<'de> for Row<'de, D> {
    type Error = RowError;

    #[inline]
    fn next_element_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<Option<V::Value>, RowError> {
        let Some((name, cell)) = self.next() else {
            return Ok(None);
        };
        match seed.deserialize(cell) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.at(name, cell.type_oid)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.columns.len())
    }
}
