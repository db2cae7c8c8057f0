//! Answers of simple queries, as text.

use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::error::{Error, Result};

/// A row of an answer. NULL and the empty string are different things.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Option<String>>,
}

impl Row {
    /// The value of a column counted from 0; `None` for NULL, and where there is no such column.
    pub fn get(&self, column: usize) -> Option<&str> {
        self.values.get(column)?.as_deref()
    }

    /// The value of the first column of this name; `None` for NULL, and where there is no such column.
    pub fn by_name(&self, name: &str) -> Option<&str> {
        self.get(self.columns.iter().position(|column| column == name)?)
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Reads a DataRow.
    pub(crate) fn read(columns: &Arc<[String]>, mut body: Bytes) -> Result<Self> {
        let count = body.try_get_u16().map_err(|_| malformed())?;
        if usize::from(count) != columns.len() {
            return Err(malformed());
        }
        let mut values = Vec::with_capacity(columns.len());
        for _ in 0..count {
            let value = match body.try_get_i32().map_err(|_| malformed())? {
                -1 => None,
                length => {
                    let length = usize::try_from(length)
                        .ok()
                        .filter(|length| *length <= body.len())
                        .ok_or_else(malformed)?;
                    let text = String::from_utf8(body.split_to(length).into());
                    Some(text.map_err(|error| not_utf8().with_source(error.utf8_error()))?)
                }
            };
            values.push(value);
        }
        if body.is_empty() {
            Ok(Self {
                columns: Arc::clone(columns),
                values,
            })
        } else {
            Err(malformed())
        }
    }
}

/// Reads the names out of a RowDescription.
pub(crate) fn columns(mut body: Bytes) -> Result<Arc<[String]>> {
    // Table, attribute, type, its length, its modifier, format.
    const REST: usize = 4 + 2 + 4 + 2 + 4 + 2;
    let count = body.try_get_u16().map_err(|_| malformed())?;
    let mut names = Vec::with_capacity(count.into());
    for _ in 0..count {
        let end = body
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(malformed)?;
        let name = String::from_utf8(body.split_to(end).into());
        names.push(name.map_err(|error| not_utf8().with_source(error.utf8_error()))?);
        if body.len() < 1 + REST {
            return Err(malformed());
        }
        body.advance(1 + REST);
    }
    if body.is_empty() {
        Ok(names.into())
    } else {
        Err(malformed())
    }
}

fn malformed() -> Error {
    Error::protocol("the server sent a row that cannot be read")
}

/// A database in SQL_ASCII can hold and send anything, whatever the client encoding.
fn not_utf8() -> Error {
    Error::protocol(
        "the server sent text that is not UTF-8, as it can from a database in SQL_ASCII",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Arc<[String]> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const ROW: &[u8] = &[
        0, 3, // columns
        0, 0, 0, 1, b'x', // a
        0xFF, 0xFF, 0xFF, 0xFF, // b is NULL
        0, 0, 0, 0, // c is empty
    ];

    #[test]
    fn null_is_not_the_empty_string() {
        let row = Row::read(&names(&["a", "b", "c"]), Bytes::from_static(ROW)).unwrap();
        assert_eq!(
            (row.get(0), row.get(1), row.get(2), row.get(3)),
            (Some("x"), None, Some(""), None)
        );
        assert_eq!((row.by_name("c"), row.by_name("d")), (Some(""), None));
    }

    #[test]
    fn a_row_cut_anywhere_or_too_long_is_an_error() {
        let names = names(&["a", "b", "c"]);
        for end in 0..ROW.len() {
            assert!(
                Row::read(&names, Bytes::copy_from_slice(&ROW[..end])).is_err(),
                "{end}"
            );
        }
        let mut long = ROW.to_vec();
        long.push(0);
        assert!(Row::read(&names, long.into()).is_err());
        assert!(Row::read(&names[..2].into(), Bytes::from_static(ROW)).is_err());
    }

    #[test]
    fn a_description_cut_anywhere_is_an_error() {
        let mut body = vec![0, 2];
        for name in [&b"slot\0"[..], b"\0"] {
            body.extend_from_slice(name);
            body.extend_from_slice(&[0; 18]);
        }
        assert_eq!(&*columns(body.clone().into()).unwrap(), ["slot", ""]);
        for end in 0..body.len() {
            assert!(
                columns(Bytes::copy_from_slice(&body[..end])).is_err(),
                "{end}"
            );
        }
    }
}
