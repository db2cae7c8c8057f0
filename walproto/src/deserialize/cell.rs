//! One value: a column's, or an element's of an array.

use core::marker::PhantomData;

use serde::de::Visitor;
use serde::de::value::SeqDeserializer;

use super::error::{Fault, RowErrorKind};
use super::nested::{visit_array, visit_composite};
use super::types::{self, Kind};
use super::written::{Float, unescaped, written};
use crate::value::{
    BitString, BoxArray, Bytea, Char, Cidr, Composite, Date, Element, FromColumn, Inet, Interval,
    LocalTimestamp, MacAddr, MacAddr8, Numeric, Quoted, Range, Time, TimeTz, Uuid, ValueError,
    Xid8,
};
use crate::{Lsn, Oid, Timestamp};

/// What the message holds of a value; first as a [`Column`](crate::Column), in its order, so that the one is made of the
/// other without a look at which it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held<'de> {
    Null,
    Unchanged,
    Text(&'de [u8]),
    Binary(&'de [u8]),
    /// Text inside an array or a composite that may have escapes in it.
    Quoted(Quoted<'de>),
    NotSent,
}

impl<'de> From<Element<'de>> for Held<'de> {
    #[inline]
    fn from(element: Element<'de>) -> Self {
        match element {
            Element::Null => Self::Null,
            Element::Text(text) => Self::Text(text),
            Element::Quoted(text) => match text.as_plain() {
                Some(text) => Self::Text(text),
                None => Self::Quoted(text),
            },
            Element::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// One value, and the type that says how to read its binary form.
pub(super) struct Cell<'de, E> {
    pub(super) held: Held<'de>,
    /// 0 when it is not known, as for the elements of an enum's array in text form.
    pub(super) type_oid: Oid,
    fault: PhantomData<E>,
}

#[cold]
pub(super) fn mismatch<E: Fault>(asked: &'static str) -> E {
    E::new(RowErrorKind::Mismatch, asked)
}

impl<'de, E: Fault> Cell<'de, E> {
    #[inline]
    pub(super) const fn new(held: Held<'de>, type_oid: Oid) -> Self {
        Self {
            held,
            type_oid,
            fault: PhantomData,
        }
    }

    #[inline]
    pub(super) const fn kind(&self) -> Kind {
        Kind::of(self.type_oid)
    }

    /// Reads the value by one of our own readers.
    #[inline]
    pub(super) fn read<T: FromColumn<'de>>(&self, asked: &'static str) -> Result<T, E> {
        let read = match self.held {
            Held::Text(text) => T::from_text(text),
            Held::Quoted(text) => T::from_quoted(text),
            Held::Binary(bytes) => T::from_binary(bytes),
            Held::Null | Held::Unchanged | Held::NotSent => return Err(self.absent(asked)),
        };
        read.map_err(|error| refused(error, asked))
    }

    #[cold]
    pub(super) fn absent(&self, asked: &'static str) -> E {
        let kind = match self.held {
            Held::NotSent => RowErrorKind::NotSent,
            Held::Unchanged => RowErrorKind::Unchanged,
            Held::Null => RowErrorKind::Null,
            Held::Text(_) | Held::Quoted(_) | Held::Binary(_) => RowErrorKind::Mismatch,
        };
        E::new(kind, asked)
    }

    /// The same as text, where the binary form is the text.
    fn as_text(&self) -> Option<Self> {
        match self.held {
            Held::Binary(bytes) if matches!(self.kind(), Kind::Text) => {
                Some(Self::new(Held::Text(bytes), self.type_oid))
            }
            _ => None,
        }
    }

    #[inline]
    pub(super) fn bool(&self) -> Result<bool, E> {
        match self.held {
            Held::Binary(_) if !matches!(self.kind(), Kind::Bool | Kind::User) => {
                let text = self.as_text().ok_or_else(|| mismatch("bool"))?;
                text.read("bool")
            }
            _ => self.read("bool"),
        }
    }

    /// A whole number of at most 64 bits.
    #[inline]
    pub(super) fn integer(&self, asked: &'static str) -> Result<i64, E> {
        let read = match self.held {
            Held::Text(text) => match i64::from_text(text) {
                Err(error) => return self.odd_integer(error, asked),
                read => read,
            },
            Held::Binary(bytes) => match (self.kind(), bytes.len()) {
                (Kind::Int4, _) | (Kind::User, 4) => i32::from_binary(bytes).map(i64::from),
                (Kind::Int8, _) | (Kind::User, 8) => i64::from_binary(bytes),
                (Kind::Int2, _) | (Kind::User, 2) => i16::from_binary(bytes).map(i64::from),
                (Kind::Oid, _) => Oid::from_binary(bytes).map(|oid| i64::from(oid.0)),
                (Kind::Numeric | Kind::Unsigned8, _) => return narrow(self.wide(asked)?, asked),
                _ => {
                    let text = self.as_text().ok_or_else(|| mismatch(asked))?;
                    return text.integer(asked);
                }
            },
            _ => return Err(self.absent(asked)),
        };
        read.map_err(|error| refused(error, asked))
    }

    /// A numeric may be whole and yet have digits behind its point.
    #[cold]
    fn odd_integer(&self, error: ValueError, asked: &'static str) -> Result<i64, E> {
        match self.kind() {
            Kind::Numeric => narrow(self.wide(asked)?, asked),
            _ => Err(refused(error, asked)),
        }
    }

    /// A whole number of more than 64 bits, or of 64 without a sign.
    pub(super) fn wide(&self, asked: &'static str) -> Result<i128, E> {
        match (self.held, self.kind()) {
            (Held::Text(_) | Held::Binary(_), Kind::Numeric) => {
                let number = self.read::<Numeric<'_>>(asked)?.to_i128();
                number.ok_or_else(|| E::new(RowErrorKind::OutOfRange, asked))
            }
            (Held::Text(_), _) | (Held::Binary(_), Kind::Unsigned8) => {
                if let Ok(number) = self.read::<i64>(asked) {
                    return Ok(number.into());
                }
                self.read::<Xid8>(asked).map(|number| number.0.into())
            }
            (Held::Binary(_), Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid | Kind::User) => {
                self.integer(asked).map(i128::from)
            }
            (Held::Binary(_), _) => {
                let text = self.as_text().ok_or_else(|| mismatch(asked))?;
                text.wide(asked)
            }
            _ => Err(self.absent(asked)),
        }
    }

    pub(super) fn f64(&self) -> Result<f64, E> {
        let asked = "f64";
        match (self.held, self.kind()) {
            // So that both forms give the same number.
            (Held::Text(_) | Held::Binary(_), Kind::Float4) => {
                self.read::<f32>(asked).map(f64::from)
            }
            (Held::Binary(bytes), Kind::User) if bytes.len() == 4 => {
                self.read::<f32>(asked).map(f64::from)
            }
            (Held::Text(_) | Held::Binary(_), Kind::Numeric) => {
                let number = self.read::<Numeric<'_>>(asked)?;
                match number.to_f64() {
                    nearest if nearest.is_infinite() && number.is_finite() => {
                        Err(E::new(RowErrorKind::OutOfRange, asked))
                    }
                    nearest => Ok(nearest),
                }
            }
            (Held::Text(_), _) | (Held::Binary(_), Kind::Float8 | Kind::User) => self.read(asked),
            (Held::Binary(_), Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid) => {
                self.integer(asked).map(|number| number as f64)
            }
            (Held::Binary(_), Kind::Unsigned8) => self.wide(asked).map(|number| number as f64),
            (Held::Binary(_), _) => {
                let text = self.as_text().ok_or_else(|| mismatch(asked))?;
                text.f64()
            }
            _ => Err(self.absent(asked)),
        }
    }

    /// Text that can be lent: the text form, and binary forms that are text.
    #[inline]
    pub(super) fn lent(&self, asked: &'static str) -> Result<Option<&'de str>, E> {
        let bytes = match self.held {
            Held::Text(text) => text,
            Held::Binary(bytes) => match (self.kind(), bytes) {
                (Kind::Text, text) => text,
                // Text never has a zero byte, which most other binary forms of an enum's or domain's size do.
                (Kind::User, text) if !text.contains(&0) => text,
                (Kind::Jsonb, [1, text @ ..]) => text,
                (Kind::Bool, [0]) => b"f",
                (Kind::Bool, [1]) => b"t",
                (Kind::Char, [0]) => b"",
                (Kind::Char, text) if text.is_ascii() => text,
                _ => return Ok(None),
            },
            Held::Quoted(_) => return Ok(None),
            _ => return Err(self.absent(asked)),
        };
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(E::new(RowErrorKind::NotUtf8, asked)),
        }
    }

    /// Hands over text, lent if possible.
    #[inline]
    pub(super) fn visit_str<V: Visitor<'de>>(
        &self,
        asked: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        match self.lent(asked)? {
            Some(text) => visitor.visit_borrowed_str(text),
            None => self.visit_written(asked, visitor),
        }
    }

    /// Hands over text that is not in the message as it is: without its escapes, or what the server would have written.
    #[cold]
    fn visit_written<V: Visitor<'de>>(
        &self,
        asked: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        let visit = |text: &str| visitor.visit_str(text);
        if let Held::Quoted(text) = self.held {
            return unescaped(text, asked, visit);
        }
        match self.kind() {
            Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid | Kind::Unsigned8 => {
                written(self.wide(asked)?, visit)
            }
            Kind::Float4 => {
                let number = self.read::<f32>(asked)?;
                written(
                    Float {
                        number,
                        exponent_from: 6,
                    },
                    visit,
                )
            }
            Kind::Float8 => {
                let number = self.read::<f64>(asked)?;
                written(
                    Float {
                        number,
                        exponent_from: 15,
                    },
                    visit,
                )
            }
            Kind::Char => {
                let byte = self.read::<Char>(asked)?.0;
                written(format_args!("\\{byte:03o}"), visit)
            }
            Kind::Numeric => written(self.read::<Numeric<'_>>(asked)?, visit),
            Kind::Bytea => written(self.read::<Bytea<'_>>(asked)?, visit),
            Kind::Uuid => written(self.read::<Uuid>(asked)?, visit),
            Kind::Inet => written(self.read::<Inet>(asked)?, visit),
            Kind::Cidr => written(self.read::<Cidr>(asked)?, visit),
            Kind::MacAddr => written(self.read::<MacAddr>(asked)?, visit),
            Kind::MacAddr8 => written(self.read::<MacAddr8>(asked)?, visit),
            Kind::Bit => written(self.read::<BitString<'_>>(asked)?, visit),
            Kind::Lsn => written(self.read::<Lsn>(asked)?, visit),
            Kind::Date => written(self.read::<Date>(asked)?, visit),
            Kind::Time => written(self.read::<Time>(asked)?, visit),
            Kind::TimeTz => written(self.read::<TimeTz>(asked)?, visit),
            Kind::Timestamp => written(self.read::<LocalTimestamp>(asked)?, visit),
            Kind::TimestampTz => written(self.read::<Timestamp>(asked)?, visit),
            Kind::Interval => written(self.read::<Interval>(asked)?, visit),
            Kind::Range4 => written(self.read::<Range<i32>>(asked)?, visit),
            Kind::Range8 => written(self.read::<Range<i64>>(asked)?, visit),
            Kind::RangeNumeric => written(self.read::<Range<Numeric<'_>>>(asked)?, visit),
            Kind::RangeDate => written(self.read::<Range<Date>>(asked)?, visit),
            Kind::RangeTimestamp => written(self.read::<Range<LocalTimestamp>>(asked)?, visit),
            Kind::RangeTimestampTz => written(self.read::<Range<Timestamp>>(asked)?, visit),
            _ => Err(mismatch(asked)),
        }
    }

    /// Hands over the bytes of a bytea, and of anything else those that came.
    #[inline]
    pub(super) fn visit_bytes<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, E> {
        match self.held {
            Held::Binary(bytes) => visitor.visit_borrowed_bytes(bytes),
            Held::Text(_) | Held::Quoted(_) if self.type_oid == types::BYTEA => {
                self.visit_decoded(visitor)
            }
            Held::Text(bytes) => visitor.visit_borrowed_bytes(bytes),
            Held::Quoted(_) => Err(mismatch("bytes")),
            _ => Err(self.absent("bytes")),
        }
    }

    /// Hands over the bytes that a bytea's text stands for.
    #[cold]
    fn visit_decoded<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, E> {
        let bytea = self.read::<Bytea<'_>>("bytes")?;
        #[cfg(feature = "alloc")]
        return visitor.visit_byte_buf(bytea.bytes().collect());
        #[cfg(not(feature = "alloc"))]
        return visitor.visit_seq(SeqDeserializer::new(bytea.bytes()));
    }

    /// Hands over the bytes of a bytea or uuid one by one, the elements of an array, or the fields of a composite.
    pub(super) fn visit_seq<V: Visitor<'de>>(
        &self,
        asked: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        if matches!(self.held, Held::Null | Held::Unchanged | Held::NotSent) {
            return Err(self.absent(asked));
        }
        match self.kind() {
            Kind::Bytea => {
                let bytes = self.read::<Bytea<'_>>(asked)?.bytes();
                visit_all(SeqDeserializer::new(bytes), visitor)
            }
            Kind::Uuid => {
                let Uuid(bytes) = self.read(asked)?;
                visit_all(SeqDeserializer::new(bytes.into_iter()), visitor)
            }
            Kind::Array(element) => self.visit_array(element, asked, visitor),
            Kind::User => match self.held {
                Held::Text([b'(', ..]) => visit_composite(&self.read(asked)?, visitor),
                Held::Quoted(text) if matches!(text.split_first(), Some((b'(', _))) => {
                    visit_composite(&self.read(asked)?, visitor)
                }
                Held::Binary(bytes) => match Composite::from_binary(bytes) {
                    Ok(composite) => visit_composite(&composite, visitor),
                    Err(_) => self.visit_array(Oid(0), asked, visitor),
                },
                _ => self.visit_array(Oid(0), asked, visitor),
            },
            _ => Err(mismatch(asked)),
        }
    }

    fn visit_array<V: Visitor<'de>>(
        &self,
        element: Oid,
        asked: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        let array = match (self.held, element) {
            (Held::Text(_) | Held::Quoted(_), types::BOX) => self.read::<BoxArray<'_>>(asked)?.0,
            _ => self.read(asked)?,
        };
        visit_array(&array, element, visitor)
    }

    /// Hands over what the value is, whatever was hoped for.
    pub(super) fn visit_any<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, E> {
        let asked = "a value of any kind";
        match (self.held, self.kind()) {
            (Held::Null, _) => visitor.visit_unit(),
            (Held::Unchanged | Held::NotSent, _) => Err(self.absent(asked)),
            (_, Kind::Bool) => visitor.visit_bool(self.bool()?),
            (_, Kind::Int2 | Kind::Int4 | Kind::Int8) => visitor.visit_i64(self.integer(asked)?),
            (_, Kind::Oid | Kind::Unsigned8) => {
                let number = u64::try_from(self.wide(asked)?);
                visitor.visit_u64(number.map_err(|_| mismatch(asked))?)
            }
            (_, Kind::Float4) => visitor.visit_f32(self.read(asked)?),
            (_, Kind::Float8) => visitor.visit_f64(self.read(asked)?),
            (_, Kind::Bytea) => self.visit_bytes(visitor),
            (_, Kind::Array(element)) => self.visit_array(element, asked, visitor),
            (Held::Binary(bytes), Kind::User | Kind::Other) => match self.lent(asked) {
                Ok(Some(text)) => visitor.visit_borrowed_str(text),
                _ => visitor.visit_borrowed_bytes(bytes),
            },
            (Held::Text(bytes), _) => match core::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => visitor.visit_borrowed_bytes(bytes),
            },
            _ => self.visit_str(asked, visitor),
        }
    }
}

#[cold]
fn refused<E: Fault>(error: ValueError, asked: &'static str) -> E {
    E::new(RowErrorKind::Value(error), asked)
}

/// All bytes must be taken.
fn visit_all<'de, V: Visitor<'de>, E: Fault>(
    mut bytes: SeqDeserializer<impl Iterator<Item = u8>, E>,
    visitor: V,
) -> Result<V::Value, E> {
    let value = visitor.visit_seq(&mut bytes)?;
    bytes.end().map(|()| value)
}

fn narrow<E: Fault>(number: i128, asked: &'static str) -> Result<i64, E> {
    i64::try_from(number).map_err(|_| E::new(RowErrorKind::OutOfRange, asked))
}
