//! A row as serde sees it: a map from column names to values, or a sequence of values.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::cell::{Cell, Held};
use super::error::{Failed, Fault, RowError, RowErrorKind};
use crate::tuple::{Columns, Tuple};
use crate::{Column, ColumnDef, Oid};

/// What the message holds of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'de> {
    pub(super) tuple: Tuple<'de>,
    /// The old row, from which values that the new one leaves out are taken.
    pub(super) old: Option<Tuple<'de>>,
    /// Whether columns outside the key were not sent.
    pub(super) only_key: bool,
}

/// Reads a row into `T`.
#[inline]
pub(super) fn read<'de, T, D>(source: &Source<'de>, defs: D) -> Result<T, RowError>
where
    T: Deserialize<'de>,
    D: ExactSizeIterator<Item = ColumnDef<'de>> + Clone,
{
    let (row, relation) = (source.tuple.len(), defs.len());
    if row != relation {
        return Err(miscounted(row, relation));
    }
    match T::deserialize(Row::<_, Failed>::new(source, defs.clone())) {
        Ok(value) => Ok(value),
        Err(Failed) => explain(source, defs),
    }
}

#[cold]
fn miscounted(row: usize, relation: usize) -> RowError {
    let count = |len| u16::try_from(len).unwrap_or(u16::MAX);
    let kind = RowErrorKind::ColumnCount {
        row: count(row),
        relation: count(relation),
    };
    RowError::new(kind, "")
}

/// Reads the row again, now with errors that say what is wrong.
#[cold]
#[inline(never)]
fn explain<'de, T, D>(source: &Source<'de>, defs: D) -> Result<T, RowError>
where
    T: Deserialize<'de>,
    D: ExactSizeIterator<Item = ColumnDef<'de>>,
{
    T::deserialize(Row::new(source, defs))
}

/// The columns of a row beside their definitions, as many of the one as of the other.
struct Row<'s, 'de, D, E> {
    source: &'s Source<'de>,
    columns: Columns<'de>,
    defs: D,
    /// Name of the column that is at hand.
    name: &'de str,
    cell: Cell<'de, E>,
}

impl<'s, 'de, D: ExactSizeIterator<Item = ColumnDef<'de>>, E: Fault> Row<'s, 'de, D, E> {
    #[inline]
    const fn new(source: &'s Source<'de>, defs: D) -> Self {
        Self {
            source,
            columns: source.tuple.columns(),
            defs,
            name: "",
            cell: Cell::new(Held::NotSent, Oid(0)),
        }
    }

    /// Goes to the next column, if there is one.
    #[inline(always)]
    fn advance(&mut self) -> bool {
        let (Some(def), Some(column)) = (self.defs.next(), self.columns.next()) else {
            return false;
        };
        self.name = def.name;
        self.cell.type_oid = def.type_oid;
        self.cell.held = match column {
            Column::Text(text) => Held::Text(text),
            Column::Binary(bytes) => Held::Binary(bytes),
            Column::Null | Column::Unchanged => self.absent(column, def.key),
        };
        true
    }

    /// Reads the column that is at hand.
    #[inline(always)]
    fn value<V: DeserializeSeed<'de>>(&self, seed: V) -> Result<V::Value, E> {
        match seed.deserialize(&self.cell) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.at(error)),
        }
    }

    #[cold]
    fn at(&self, error: E) -> E {
        error.at(self.name, self.cell.type_oid)
    }

    /// NULL, or a value that was not sent.
    #[inline(never)]
    fn absent(&self, column: Column<'de>, key: bool) -> Held<'de> {
        match column {
            Column::Null if self.source.only_key && !key => Held::NotSent,
            Column::Null => Held::Null,
            _ => self.unchanged(),
        }
    }

    /// What the old row has for the column before the next.
    #[cold]
    fn unchanged(&self) -> Held<'de> {
        let at = self.source.tuple.len() - self.columns.len() - 1;
        let old = self.source.old.and_then(|old| old.columns().nth(at));
        match old {
            Some(Column::Text(text)) => Held::Text(text),
            Some(Column::Binary(bytes)) => Held::Binary(bytes),
            // Only the key was sent, and this is not part of it.
            _ => Held::Unchanged,
        }
    }
}

impl<'de, D: ExactSizeIterator<Item = ColumnDef<'de>>, E: Fault> Deserializer<'de>
    for Row<'_, 'de, D, E>
{
    type Error = E;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_map(self)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, E> {
        let count = self.columns.len();
        let value = visitor.visit_seq(&mut self)?;
        if self.columns.len() > 0 {
            return Err(E::invalid_length(count, &"fewer columns"));
        }
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, E> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, E> {
        self.deserialize_seq(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf map enum identifier
    }
}

/// The columns by name, in the order of the relation.
impl<'de, D: ExactSizeIterator<Item = ColumnDef<'de>>, E: Fault> MapAccess<'de>
    for Row<'_, 'de, D, E>
{
    type Error = E;

    #[inline(always)]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, E> {
        if !self.advance() {
            return Ok(None);
        }
        match seed.deserialize(BorrowedStrDeserializer::new(self.name)) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(self.at(error)),
        }
    }

    #[inline(always)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, E> {
        self.value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.columns.len())
    }
}

/// The columns by position.
impl<'de, D: ExactSizeIterator<Item = ColumnDef<'de>>, E: Fault> SeqAccess<'de>
    for Row<'_, 'de, D, E>
{
    type Error = E;

    #[inline]
    fn next_element_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<Option<V::Value>, E> {
        if !self.advance() {
            return Ok(None);
        }
        self.value(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.columns.len())
    }
}
