//! Asking for a table to be copied anew.

use std::time::Duration;

use walstream::Client;

use crate::destination::{self, Destination};
use crate::error::{Error, ErrorKind, Result};
use crate::names::{TableName, nearest};
use crate::position::{State, TableRow, TableState};
use crate::source::Source;

/// Marks tables at the destination to be copied anew: by the run that follows the slot, or by the next one that does.
///
/// Until the copy begins a table stays as it is. One that was dropped and made again at the source is replaced by the one
/// that has its name now.
///
/// # Errors
///
/// The destination does not follow such a table, or the source does not have it. A SQLite file that a run is writing cannot
/// be asked.
///
/// # Cancel safety
///
/// Tables that were marked stay marked; call it again.
pub async fn resync(
    source: &str,
    destination: &str,
    slot: &str,
    tables: &[TableName],
) -> Result<()> {
    let url = destination;
    let client = Client::connect(&walstream::Config::parse(source)?).await?;
    let mut source = Source::new(client);
    let opened = destination::open_existing(url, slot, Duration::from_secs(1)).await;
    let mut destination = opened.map_err(|error| {
        if error.kind() == ErrorKind::Retry && url.starts_with("sqlite:") {
            error.with_hint(
                "stop the run that writes it, ask again, and start it again: it copies the table first",
            )
        } else {
            error
        }
    })?;
    let position = destination.position(slot).await?;
    if position.is_none_or(|row| row.state == State::Intent) {
        return Err(
            Error::usage(format!("the destination does not follow slot {slot:?}"))
                .with_hint("give the --slot and --destination that the run was given"),
        );
    }
    let rows = destination.tables(slot).await?;
    // All of them before the first is marked.
    let mut found = Vec::new();
    for name in tables {
        let row = find(&rows, name)?;
        if !source.has(name).await? {
            return Err(Error::person(format!("the source has no table {name}"))
                .with_hint("its rows at the destination stay as they are"));
        }
        found.push(row);
    }
    for row in found {
        let oid = row.table.oid;
        if row.state != TableState::Copying {
            destination.ask_copy(slot, oid, oid).await?;
        }
    }
    destination.close().await
}

fn find<'a>(rows: &'a [TableRow], name: &TableName) -> Result<&'a TableRow> {
    let of = |row: &TableRow| TableName::new(&*row.table.schema, &*row.table.name);
    if let Some(row) = rows.iter().find(|row| of(row) == *name) {
        return Ok(row);
    }
    let known: Vec<String> = rows.iter().map(|row| of(row).to_string()).collect();
    let error = Error::usage(format!("the destination does not follow a table {name}"));
    Err(
        match nearest(&name.to_string(), known.iter().map(|name| &**name)) {
            Some(near) => error.with_hint(format!("{near} is one")),
            None => error.with_hint(
                "a table joins by itself once it is published: ALTER PUBLICATION … ADD TABLE",
            ),
        },
    )
}
