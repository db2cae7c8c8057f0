//! COPY's text format.

use crate::error::{Error, Result};
use crate::table::Table;
use crate::value::Value;
use walstream::walproto::Lsn;

/// One line of COPY's text format: values separated by tabs, `\N` for NULL, backslash escapes.
pub(crate) fn row(line: &[u8], table: &Table, lsn: Lsn) -> Result<Vec<Value>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut values = Vec::with_capacity(table.columns.len());
    // An empty line: one empty text, or nothing at all.
    if table.columns.is_empty() && line.is_empty() {
        return Ok(values);
    }
    let mut fields = line.split(|&byte| byte == b'\t');
    let mut text = Vec::new();
    for column in &table.columns {
        let field = fields.next().ok_or_else(|| misshapen(table))?;
        values.push(if field == b"\\N" {
            Value::Null
        } else {
            text.clear();
            unescape(field, &mut text);
            Value::from_text(column.kind, &text).map_err(|error| error.at(table, column, lsn))?
        });
    }
    if fields.next().is_some() {
        return Err(misshapen(table));
    }
    Ok(values)
}

fn misshapen(table: &Table) -> Error {
    Error::person(format!(
        "COPY of {}.{} sent a row that does not have {} columns",
        table.schema,
        table.name,
        table.columns.len()
    ))
}

/// What COPY escapes on its way out: backslash, and the control characters that have a letter.
pub(crate) fn unescape(field: &[u8], out: &mut Vec<u8>) {
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 0x08,
                Some(b'f') => 0x0C,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 0x0B,
                Some(&other) => other,
                None => b'\\',
            },
            byte => byte,
        });
    }
}
