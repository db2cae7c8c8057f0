//! What our own tables hold, as sessions take and give it.

use crate::error::{Error, Result};

/// A parameter or a column of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Truth(bool),
    Number(i64),
    Text(String),
}

impl From<bool> for Cell {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row of the ledger.
#[derive(Debug)]
pub(crate) struct Row(pub(crate) Vec<Cell>);

impl Row {
    pub(super) fn get(&self, at: usize) -> &Cell {
        self.0.get(at).unwrap_or(&Cell::Null)
    }

    pub(super) fn text(&self, at: usize) -> Result<String> {
        self.text_or_null(at)?.ok_or_else(|| foreign("no text"))
    }

    pub(super) fn text_or_null(&self, at: usize) -> Result<Option<String>> {
        match self.get(at) {
            Cell::Text(text) => Ok(Some(text.clone())),
            Cell::Null => Ok(None),
            other => Err(foreign(format_args!("{other:?} for a text"))),
        }
    }

    pub(super) fn number(&self, at: usize) -> Result<i64> {
        match self.get(at) {
            Cell::Number(number) => Ok(*number),
            other => Err(foreign(format_args!("{other:?} for a number"))),
        }
    }

    /// An oid, a timeline and the like.
    pub(super) fn small(&self, at: usize) -> Result<u32> {
        let number = self.number(at)?;
        u32::try_from(number).map_err(|_| foreign(number))
    }

    /// Some products have numbers for it.
    pub(super) fn truth(&self, at: usize) -> Result<bool> {
        match self.get(at) {
            Cell::Truth(truth) => Ok(*truth),
            Cell::Number(number) => Ok(*number != 0),
            other => Err(foreign(format_args!("{other:?} for a truth"))),
        }
    }
}

#[cold]
pub(super) fn foreign(what: impl std::fmt::Display) -> Error {
    Error::person(format!(
        "the replicator's own tables at the destination hold what no replicator wrote: {what}"
    ))
    .with_hint(
        "somebody has changed them by hand: restore the destination, or copy everything again",
    )
}
