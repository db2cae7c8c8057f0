//! The types of [`value`](crate::value) as fields.
//!
//! Each asks for a newtype struct of a name that only our deserializer knows, and gets the bytes in the form they came
//! in: text as a string, the binary form as bytes. Any other format is asked for a string in the server's text form.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::value::{
    Array, BitString, Bytea, Char, Cidr, Composite, Date, FromColumn, Inet, Interval, Json,
    LocalTimestamp, MacAddr, MacAddr8, Multirange, Numeric, Quoted, Range, Time, TimeTz, Uuid,
    Xid8,
};
use crate::{Lsn, Oid, Timestamp, Xid};

/// What the names begin with.
pub(super) const PREFIX: &str = "$walproto::value::";

/// Reads what can be lent.
struct Lent<T>(PhantomData<T>);

impl<'de, T: FromColumn<'de>> Visitor<'de> for Lent<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of type {}", T::EXPECTED)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T, E> {
        T::from_text(text.as_bytes()).map_err(E::custom)
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<T, E> {
        T::from_binary(bytes).map_err(E::custom)
    }
}

/// Reads what borrows nothing.
struct Owned<T>(PhantomData<T>);

impl<'de, T: for<'a> FromColumn<'a>> Visitor<'de> for Owned<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of type {}", T::EXPECTED)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text.as_bytes()).map_err(E::custom)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
        T::from_binary(bytes).map_err(E::custom)
    }
}

macro_rules! lent {
    ($($name:ident)*) => {$(
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = concat!("$walproto::value::", stringify!($name));
                deserializer.deserialize_newtype_struct(name, Lent(PhantomData))
            }
        }
    )*};
}

macro_rules! owned {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = concat!("$walproto::value::", stringify!($name));
                deserializer.deserialize_newtype_struct(name, Owned(PhantomData))
            }
        }
    )*};
}

lent! { Array BitString Bytea Composite Json Multirange Numeric Quoted }
owned! {
    Char Cidr Date Inet Interval LocalTimestamp Lsn MacAddr MacAddr8 Time TimeTz Timestamp Uuid
}

impl<'de, T: FromColumn<'de>> Deserialize<'de> for Range<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct("$walproto::value::Range", Lent(PhantomData))
    }
}

/// Numbers that identify things: numbers in every format.
macro_rules! number {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Deserialize::deserialize(deserializer).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }
    )*};
}

number! { Oid Xid Xid8 }

/// As the server writes them.
macro_rules! text {
    ($($name:ty)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

text! {
    BitString<'_> Bytea<'_> Cidr Date Inet Interval Json<'_> LocalTimestamp Lsn MacAddr MacAddr8 Numeric<'_> Time TimeTz Timestamp Uuid
}
