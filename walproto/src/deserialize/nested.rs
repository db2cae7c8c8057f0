//! Arrays and composites as serde's sequences.

use core::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::cell::Cell;
use super::error::Fault;
use crate::Oid;
use crate::value::{Array, Composite, Dimension, Element, Elements, FieldTypes, Fields};

/// Hands the elements of an array to a visitor: a sequence of sequences where there are several dimensions.
pub(super) fn visit_array<'de, V: Visitor<'de>, E: Fault>(
    array: &Array<'de>,
    type_oid: Oid,
    visitor: V,
) -> Result<V::Value, E> {
    let level = Level {
        elements: &mut array.elements(),
        dims: array.dims(),
        type_oid: array.element_type().unwrap_or(type_oid),
        fault: PhantomData,
    };
    level.deserialize_any(visitor)
}

/// Hands the fields of a composite to a visitor.
pub(super) fn visit_composite<'de, V: Visitor<'de>, E: Fault>(
    composite: &Composite<'de>,
    visitor: V,
) -> Result<V::Value, E> {
    let mut sequence = Composed {
        fields: composite.fields(),
        types: composite.types(),
        fault: PhantomData,
    };
    let value = visitor.visit_seq(&mut sequence)?;
    match sequence.fields.len() {
        0 => Ok(value),
        _ => Err(E::invalid_length(composite.len(), &"fewer fields")),
    }
}

/// One level of an array's braces.
struct Level<'s, 'de, E> {
    /// All that are left, on this level and those around it.
    elements: &'s mut Elements<'de>,
    dims: &'s [Dimension],
    type_oid: Oid,
    fault: PhantomData<E>,
}

impl<'de, E: Fault> Deserializer<'de> for Level<'_, 'de, E> {
    type Error = E;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        let (len, inner) = match self.dims.split_first() {
            Some((dim, inner)) => (dim.len, inner),
            None => (0, self.dims),
        };
        let mut walk = Walk {
            left: len,
            inner,
            level: self,
        };
        let value = visitor.visit_seq(&mut walk)?;
        match walk.left {
            0 => Ok(value),
            _ => Err(E::invalid_length(len as usize, &"fewer elements")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

struct Walk<'s, 'de, E> {
    left: u32,
    inner: &'s [Dimension],
    level: Level<'s, 'de, E>,
}

impl<'de, E: Fault> SeqAccess<'de> for Walk<'_, 'de, E> {
    type Error = E;

    #[inline]
    fn next_element_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<Option<V::Value>, E> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let type_oid = self.level.type_oid;
        if self.inner.is_empty() {
            let element = self.level.elements.next();
            let held = element.unwrap_or(Element::Null).into();
            return seed.deserialize(&Cell::new(held, type_oid)).map(Some);
        }
        let inner = Level {
            elements: self.level.elements,
            dims: self.inner,
            type_oid,
            fault: PhantomData,
        };
        seed.deserialize(inner).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left as usize)
    }
}

struct Composed<'de, E> {
    fields: Fields<'de>,
    types: Option<FieldTypes<'de>>,
    fault: PhantomData<E>,
}

impl<'de, E: Fault> SeqAccess<'de> for Composed<'de, E> {
    type Error = E;

    fn next_element_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<Option<V::Value>, E> {
        let Some(field) = self.fields.next() else {
            return Ok(None);
        };
        let type_oid = self.types.as_mut().and_then(Iterator::next);
        seed.deserialize(&Cell::new(field.into(), type_oid.unwrap_or_default()))
            .map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}
