//! Whether a table of somebody else's can hold our rows.

use rusqlite::Connection;

use super::file::failure;
use crate::dialect::sqlite::{keeps, tells_apart};
use crate::error::{Error, Result};
use crate::table::Table;

/// A column that is there, as `PRAGMA table_xinfo` has it.
struct Found {
    name: String,
    declared: String,
    /// An insert that leaves it out is refused.
    required: bool,
    /// 2 and 3 for generated columns.
    hidden: u8,
}

/// Refuses a table that would change our values or merge our rows.
///
/// # Errors
///
/// Names the column.
pub(super) fn check(db: &Connection, table: &Table) -> Result<()> {
    let name = &table.destination;
    let unread = |error| failure(format!("could not read the columns of {name:?}"), error);
    let (strict, without_rowid): (bool, bool) = db
        .query_row(
            "SELECT strict, wr FROM pragma_table_list(?) WHERE schema = 'main'",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(unread)?;
    let columns: Vec<Found> = db
        .prepare(
            "SELECT name, type, \"notnull\" AND dflt_value IS NULL AND NOT pk, hidden FROM pragma_table_xinfo(?)",
        )
        .and_then(|mut statement| {
            let found = statement.query_map([name], |row| {
                Ok(Found {
                    name: row.get(0)?,
                    declared: row.get(1)?,
                    required: row.get(2)?,
                    hidden: row.get(3)?,
                })
            })?;
            found.collect()
        })
        .map_err(unread)?;
    for (at, ours) in table.columns.iter().enumerate() {
        let column = &ours.name;
        let mut there = columns.iter();
        let Some(found) = there.find(|found| found.name.eq_ignore_ascii_case(column)) else {
            return Err(Error::person(format!(
                "the destination's table {name:?} has no column {column}"
            ))
            .with_hint("add it, or drop the table and let us make it"));
        };
        if found.hidden > 1 {
            return Err(Error::person(format!(
                "column {column} of the destination's table {name:?} is generated there, and takes no values"
            ))
            .with_hint("make it an ordinary column, or leave it out of the publication"));
        }
        if !keeps(ours.kind, &found.declared, strict) {
            let (declared, kind) = (&found.declared, ours.kind.name());
            let verb = if strict { "refuses" } else { "changes" };
            let without = if strict { "as ANY" } else { "without a type" };
            return Err(Error::person(format!(
                "column {column} of the destination's table {name:?} is declared {declared}, which {verb} values of type {kind}"
            ))
            .with_hint(format!("declare it {without}, or drop the table and let us make it")));
        }
        if table.key.is_empty() || table.key.contains(&at) {
            let (_, collation, ..) = db
                .column_metadata(None, &**name, &*found.name)
                .map_err(unread)?;
            let collation = collation.map(|collation| collation.to_string_lossy());
            if let Some(collation) = collation.filter(|collation| !tells_apart(collation)) {
                return Err(Error::person(format!(
                    "rows of the destination's table {name:?} are found by column {column}, whose collation {collation} calls different texts equal"
                ))
                .with_hint("declare it without a collation, or drop the table and let us make it"));
            }
        }
    }
    let ours = |name: &str| {
        let mut columns = table.columns.iter();
        columns.any(|column| column.name.eq_ignore_ascii_case(name))
    };
    let more = columns
        .iter()
        .find(|found| found.required && !ours(&found.name));
    if let Some(more) = more {
        return Err(Error::person(format!(
            "column {} of the destination's table {name:?} must not be NULL, and the source has no value for it",
            more.name
        ))
        .with_hint("give it a default, or allow NULL"));
    }
    if table.key.is_empty() && without_rowid {
        return Err(Error::person(format!(
            "table {table} has no key, and the destination's table {name:?} is WITHOUT ROWID: nothing there tells equal rows apart"
        ))
        .with_hint("give it a rowid, or drop the table and let us make it"));
    }
    Ok(())
}

#[cfg(test)]
mod round_trip;
