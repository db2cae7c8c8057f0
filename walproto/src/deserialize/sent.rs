//! A column that may be missing from the row.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A column's value, where the message may not hold it.
///
/// NULL is a value: write `Sent<Option<T>>` for a column that can be NULL. A field of this type takes what a plain
/// field refuses: an unchanged TOASTed value, and a column outside the key in an old row. With `#[serde(default)]`
/// it also takes a column that the relation does not have, as [`NotSent`](Self::NotSent).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sent<T> {
    /// The value.
    Value(T),
    /// A TOASTed value that the update did not touch; the destination still has it.
    Unchanged,
    /// Outside the key in an old row of which only the key was sent.
    #[default]
    NotSent,
}

impl<T> Sent<T> {
    /// The value, if it was sent.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unchanged | Self::NotSent => None,
        }
    }

    /// The same for a reference.
    pub const fn as_ref(&self) -> Sent<&T> {
        match self {
            Self::Value(value) => Sent::Value(value),
            Self::Unchanged => Sent::Unchanged,
            Self::NotSent => Sent::NotSent,
        }
    }

    /// Whether the value was sent.
    pub const fn is_sent(&self) -> bool {
        matches!(self, Self::Value(_))
    }
}

/// What [`Sent`] calls itself, so that our deserializer knows that it is asked for one.
pub(super) const NAME: &str = "$walproto::Sent";
pub(super) const UNCHANGED: &str = "$walproto::Sent::Unchanged";
pub(super) const NOT_SENT: &str = "$walproto::Sent::NotSent";

/// From any other format, it is always a [`Value`](Self::Value).
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sent<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Answer<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Answer<T> {
            type Value = Sent<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column's value, or that it was not sent")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Sent<T>, D::Error> {
                T::deserialize(deserializer).map(Sent::Value)
            }

            fn visit_str<E: Error>(self, marker: &str) -> Result<Sent<T>, E> {
                match marker {
                    UNCHANGED => Ok(Sent::Unchanged),
                    NOT_SENT => Ok(Sent::NotSent),
                    _ => Err(E::custom("not from a row")),
                }
            }
        }

        deserializer.deserialize_newtype_struct(NAME, Answer(PhantomData))
    }
}
