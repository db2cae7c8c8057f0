//! Both sides of a replication, row by row and value by value, with PostgreSQL's text as the measure.
//!
//! The source is read in one snapshot through the same COPY as the first copy, so row filters and column lists of
//! the publications apply. What the destination holds is turned back into PostgreSQL's text. Rows are compared as a
//! multiset: their order does not matter, how often each is there does.
//!
//! Both sides must be at rest and the destination at the source's position; see [`Until::Current`](crate::Until). Of
//! a table that agrees only fingerprints of rows are kept, about 50 bytes each; rows are read a second time, and
//! kept, where some differ. That is right for a few million rows a table.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use walstream::Client;

use crate::copy;
use crate::destination::{self, Destination};
use crate::error::{Error, Result};
use crate::selection::Selection;
use crate::source::{self, PublishedTable};
use crate::table::Table;
use crate::value::Value;

/// How long to wait for a replicator that is about to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Differing rows of one table that are described, on each side; the rest are counted.
const DESCRIBED: usize = 10_000;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Every table that the destination follows, in the order of their names.
    pub tables: Vec<TableReport>,
}

/// What a comparison found in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// Schema and name at the source.
    pub name: String,
    /// Its name at the destination.
    pub destination: String,
    /// Rows that the source publishes.
    pub rows_source: u64,
    /// Rows at the destination.
    pub rows_destination: u64,
    /// What differs.
    pub differences: Vec<Difference>,
    /// Differing rows that are in none of `differences`, because there are too many.
    pub undescribed: u64,
}

/// A place where the sides differ.
///
/// Rows are named by their key, or by all of their values where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A row is at both sides, and one of its values is another. `None` is NULL.
    Value {
        /// Schema and name at the source.
        table: String,
        /// Which row.
        row: String,
        /// Which column.
        column: String,
        /// PostgreSQL's text at the source.
        source: Option<String>,
        /// What the destination holds, as PostgreSQL's text.
        destination: Option<String>,
    },
    /// A row of the source is not at the destination.
    Missing {
        /// Schema and name at the source.
        table: String,
        /// Which row.
        row: String,
    },
    /// A row of the destination is not at the source.
    Extra {
        /// Schema and name at the source.
        table: String,
        /// Which row.
        row: String,
    },
}

impl Report {
    /// Whether every row of both sides has its equal at the other.
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(TableReport::is_equal)
    }

    /// Everything that differs.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.tables.iter().flat_map(|table| &table.differences)
    }
}

impl TableReport {
    /// Whether every row of both sides has its equal at the other.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.undescribed == 0
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value {
                table,
                row,
                column,
                source,
                destination,
            } => write!(
                f,
                "table {table}, row {row}, column {column}: {} at the source, {} at the destination",
                Quoted(source.as_deref()),
                Quoted(destination.as_deref())
            ),
            Self::Missing { table, row } => {
                write!(f, "table {table}: row {row} is missing at the destination")
            }
            Self::Extra { table, row } => {
                write!(f, "table {table}: row {row} is only at the destination")
            }
        }
    }
}

/// Compares everything that the destination follows through `slot` with the source.
///
/// # Errors
///
/// A side that cannot be read, a destination that knows nothing of the slot, a table that is not published any more.
/// Differences are no error.
///
/// # Cancel safety
///
/// Nothing is changed at either side; the destination may stay open for a moment.
pub async fn compare(source: &str, destination: &str, slot: &str) -> Result<Report> {
    // Opening it as a writer also keeps a replicator from writing meanwhile.
    let mut there = destination::open_existing(destination, slot, PATIENCE).await?;
    let Some(position) = there.position(slot).await? else {
        return Err(Error::usage(format!(
            "the destination holds nothing that came through slot {slot:?}"
        )));
    };
    let mut client = Client::connect(&walstream::Config::parse(source)?).await?;
    client
        .execute("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
        .await?;
    let published =
        source::published(&mut client, &position.publications, &Selection::default()).await?;
    let mut report = Report::default();
    for row in there.tables(slot).await? {
        let Some(found) = published
            .tables
            .iter()
            .find(|found| found.table.oid == row.table.oid)
        else {
            return Err(Error::person(format!(
                "table {} is not published any more",
                row.table
            )));
        };
        let mut sides = Sides {
            client: &mut client,
            destination: &mut there,
            // As the rows came: the columns that the destination has, in its order.
            published: PublishedTable {
                table: row.table.clone(),
                ..found.clone()
            },
            table: Arc::new(row.table),
        };
        report.tables.push(sides.compare().await?);
    }
    client.close().await?;
    there.close().await?;
    Ok(report)
}

/// Values as PostgreSQL's text.
type Row = Vec<Option<String>>;

/// One table at both sides.
struct Sides<'a, D> {
    client: &'a mut Client,
    destination: &'a mut D,
    published: PublishedTable,
    table: Arc<Table>,
}

impl<D: Destination> Sides<'_, D> {
    async fn compare(&mut self) -> Result<TableReport> {
        let mut counts = Counts::default();
        let mut report = TableReport {
            name: self.table.to_string(),
            destination: self.table.destination.clone(),
            rows_source: 0,
            rows_destination: 0,
            differences: Vec::new(),
            undescribed: 0,
        };
        self.source_rows(|row| {
            report.rows_source += 1;
            counts.add(&row, 1);
        })
        .await?;
        self.destination_rows(|row| {
            report.rows_destination += 1;
            counts.add(&row, -1);
        })
        .await?;
        if !counts.is_even() {
            let mut missing = Kept::default();
            let mut extra = Kept::default();
            let mut left = counts.clone();
            self.source_rows(|row| missing.keep(left.take(&row, 1), row))
                .await?;
            self.destination_rows(|row| extra.keep(counts.take(&row, -1), row))
                .await?;
            report.undescribed = missing.more + extra.more;
            report.differences = describe(&self.table, missing.rows, extra.rows);
        }
        Ok(report)
    }

    async fn source_rows(&mut self, mut take: impl FnMut(Row)) -> Result<()> {
        let mut lines = self
            .client
            .copy_out(&source::copy_query(&self.published))
            .await?;
        while let Some(line) = lines.next().await? {
            take(read(&line, &self.table)?);
        }
        Ok(())
    }

    async fn destination_rows(&mut self, mut take: impl FnMut(Row)) -> Result<()> {
        let mut rows = self.destination.read(&self.table).await?;
        while let Some(chunk) = rows.next().await? {
            for row in chunk {
                take(text(&row, &self.table));
            }
        }
        Ok(())
    }
}

/// A line of COPY as values.
fn read(line: &[u8], table: &Table) -> Result<Row> {
    let unreadable = |what: &str| Error::person(format!("table {table} has a row {what}"));
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let row = line
        .split(|&byte| byte == b'\t')
        .map(|field| {
            if field == b"\\N" {
                return Ok(None);
            }
            let mut text = Vec::with_capacity(field.len());
            copy::unescape(field, &mut text);
            String::from_utf8(text)
                .map(Some)
                .map_err(|_| unreadable("that is not UTF-8"))
        })
        .collect::<Result<Row>>()?;
    if row.len() == table.columns.len() {
        Ok(row)
    } else {
        Err(unreadable("with another number of columns"))
    }
}

/// A row of the destination as PostgreSQL's text.
fn text(row: &[Value], table: &Table) -> Row {
    let columns = table.columns.iter();
    // What is not how we store this type gets a zero byte, which makes it differ from every text of PostgreSQL's.
    let text = |(value, kind): (&Value, _)| {
        value
            .to_text(kind)
            .unwrap_or_else(|error| Some(format!("{FOREIGN}{error}")))
    };
    row.iter()
        .zip(columns.map(|column| column.kind))
        .map(text)
        .collect()
}

const FOREIGN: char = '\0';

/// How often each row is at the source and not at the destination; negative the other way round.
#[derive(Clone, Default)]
struct Counts {
    // Two keyed hashes of 64 bits: rows that differ and agree in both are not to be feared.
    hashes: [RandomState; 2],
    rows: HashMap<[u64; 2], i64>,
}

impl Counts {
    fn add(&mut self, row: &Row, count: i64) {
        match self
            .rows
            .entry(self.hashes.each_ref().map(|hash| hash.hash_one(row)))
        {
            Entry::Vacant(vacant) => {
                vacant.insert(count);
            }
            Entry::Occupied(mut occupied) => {
                *occupied.get_mut() += count;
                if *occupied.get() == 0 {
                    occupied.remove();
                }
            }
        }
    }

    fn is_even(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether `row` is one too many on the side that counts in steps of `one`; it is not any more afterwards.
    fn take(&mut self, row: &Row, one: i64) -> bool {
        let hash = self.hashes.each_ref().map(|hash| hash.hash_one(row));
        match self.rows.get_mut(&hash) {
            Some(count) if count.signum() == one => {
                *count -= one;
                true
            }
            _ => false,
        }
    }
}

/// Rows that the other side does not have, as many as are described.
#[derive(Default)]
struct Kept {
    rows: Vec<Row>,
    more: u64,
}

impl Kept {
    fn keep(&mut self, differs: bool, row: Row) {
        if differs && self.rows.len() < DESCRIBED {
            self.rows.push(row);
        } else if differs {
            self.more += 1;
        }
    }
}

/// Pairs the rows of both sides by their key.
fn describe(table: &Table, missing: Vec<Row>, extra: Vec<Row>) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut by_key: HashMap<Vec<Option<String>>, Vec<Row>> = HashMap::new();
    for row in extra {
        by_key.entry(key(table, &row)).or_default().push(row);
    }
    for row in missing {
        let name = name(table, &row);
        match by_key.get_mut(&key(table, &row)).and_then(Vec::pop) {
            Some(other) => {
                for ((column, source), destination) in table.columns.iter().zip(row).zip(other) {
                    if source != destination {
                        differences.push(Difference::Value {
                            table: table.to_string(),
                            row: name.clone(),
                            column: column.name.clone(),
                            source,
                            destination: destination
                                .map(|text| text.trim_start_matches(FOREIGN).to_owned()),
                        });
                    }
                }
            }
            None => differences.push(Difference::Missing {
                table: table.to_string(),
                row: name,
            }),
        }
    }
    let mut rest: Vec<Row> = by_key.into_values().flatten().collect();
    rest.sort();
    differences.extend(rest.iter().map(|row| Difference::Extra {
        table: table.to_string(),
        row: name(table, row),
    }));
    differences
}

fn key(table: &Table, row: &Row) -> Row {
    table
        .matched()
        .map(|at| row.get(at).cloned().flatten())
        .collect()
}

/// `number=7, line=2`
fn name(table: &Table, row: &Row) -> String {
    let value = |at: usize| Quoted(row.get(at).and_then(Option::as_deref));
    let named = table
        .matched()
        .map(|at| format!("{}={}", table.columns[at].name, value(at)));
    named.collect::<Vec<_>>().join(", ")
}

/// A value in a message: quoted, on one line, cut where it is long.
struct Quoted<'a>(Option<&'a str>);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 60;
        let Some(text) = self.0 else {
            return f.write_str("NULL");
        };
        let end = text
            .char_indices()
            .nth(LONGEST)
            .map_or(text.len(), |(end, _)| end);
        let more = if end < text.len() { "…" } else { "" };
        write!(f, "'{}{more}'", text[..end].escape_debug())
    }
}

#[cfg(test)]
mod tests;
