//! The first copy: rows that existed when the slot was made, read in the slot's own snapshot.
//!
//! One connection makes the slot and reads the rows, in one transaction: what it sees is exactly what committed
//! before the slot's consistent point, and the stream begins there. Neither gap nor overlap.

use std::sync::Arc;

use walstream::walproto::Lsn;
use walstream::{Client, quote_identifier};

use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::fail_point;
use crate::source::{self, PublishedTable, Source};
use crate::table::Table;
use crate::value::Value;

/// Rows that travel to the destination together.
const ROWS: usize = 2000;
/// And their bytes, so that large rows do not pile up.
const BYTES: usize = 1 << 20;

/// Locks the tables against rewriting, and compares what the snapshot says of them with what they are now.
///
/// A table that was rewritten or truncated between the snapshot and the lock would be read as it is now, not as it
/// was; `false` asks for a new snapshot.
pub(crate) async fn lock(
    client: &mut Client,
    now: &mut Source,
    tables: &[PublishedTable],
    names: &[String],
) -> Result<bool> {
    // Only now: while the slot was being made we must not hold locks, and waiting here blocks only ourselves.
    client.execute("SET LOCAL lock_timeout = '10s'").await?;
    for PublishedTable { table, .. } in tables {
        let name = format!(
            "{}.{}",
            quote_identifier(&table.schema),
            quote_identifier(&table.name)
        );
        match client
            .execute(&format!("LOCK TABLE {name} IN ACCESS SHARE MODE"))
            .await
        {
            Ok(()) => {}
            // Renamed or dropped since the snapshot.
            Err(error) if matches!(error.sqlstate(), Some("42P01" | "3F000")) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    let current = match now.published(names).await {
        Ok(current) => current,
        // Somebody waits for a lock that conflicts with ours, and the catalog's functions queue up behind: if we
        // waited too, nobody would ever go on. The new snapshot will be after what they do.
        Err(error) if error.is_locked_out() => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(tables.iter().all(|was| current.tables.contains(was)))
}

/// Copies one table's published rows; the destination table stands and is empty.
pub(crate) async fn table(
    client: &mut Client,
    destination: &mut impl Destination,
    published: &PublishedTable,
    table: &Arc<Table>,
    consistent_point: Lsn,
) -> Result<u64> {
    let mut copied = 0;
    let mut rows = Vec::with_capacity(ROWS);
    let mut bytes = 0;
    let mut stream = client.copy_out(&source::copy_query(published)).await?;
    while let Some(line) = stream.next().await? {
        rows.push(row(&line, table, consistent_point)?);
        bytes += line.len();
        if rows.len() == ROWS || bytes >= BYTES {
            copied += rows.len() as u64;
            bytes = 0;
            fail_point!("copy-middle");
            destination
                .copy(
                    table,
                    std::mem::replace(&mut rows, Vec::with_capacity(ROWS)),
                )
                .await?;
        }
    }
    copied += rows.len() as u64;
    if !rows.is_empty() {
        destination.copy(table, rows).await?;
    }
    Ok(copied)
}

/// One line of COPY's text format: values separated by tabs, `\N` for NULL, backslash escapes.
pub(crate) fn row(line: &[u8], table: &Table, lsn: Lsn) -> Result<Vec<Value>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut values = Vec::with_capacity(table.columns.len());
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
