//! A column that may not fit its field.

use serde::de::{Deserialize, Deserializer, Error};

use super::error::RowError;

/// A column's value, or why it is none: one column that does not fit is then no error of the whole row.
///
/// The error has no column and no type, which whoever knows the field knows; its kind is always
/// [`Message`](crate::RowErrorKind::Message). A row with such an error takes twice as long to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried<T>(pub Result<T, RowError>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tried<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match T::deserialize(deserializer) {
            Ok(value) => Ok(Self(Ok(value))),
            // It cannot say why; the row is read again with errors that can.
            Err(error) if size_of::<D::Error>() == 0 => Err(error),
            Err(error) => Ok(Self(Err(RowError::custom(error)))),
        }
    }
}
