//! Rows on their way from a copy at the source into the destination.

use std::sync::Arc;

use memchr::memchr_iter;
use walproto::Lsn;

use crate::copy;
use crate::error::{Error, Result};
use crate::table::Table;
use crate::value::Value;

/// A part that no copy has. That it is written down says that the rows stay which a table had before its copy.
pub(crate) const KEPT: u32 = u32::MAX;

/// Rows of a table's copy that are written together.
///
/// They are held as the source sent them, because a destination may be able to take them so.
#[derive(Clone, Debug)]
pub struct Chunk {
    table: Arc<Table>,
    lsn: Lsn,
    part: u32,
    number: u64,
    /// Shared, because a chunk is kept until it is known to be in.
    lines: Arc<Vec<u8>>,
    count: u64,
}

impl Chunk {
    /// An empty one: the `number`th, from 1, of a part of the table's rows as of `lsn`.
    pub fn new(table: Arc<Table>, lsn: Lsn, part: u32, number: u64) -> Self {
        Self {
            table,
            lsn,
            part,
            number,
            lines: Arc::default(),
            count: 0,
        }
    }

    /// Adds a row: a line of COPY's text format, with its newline.
    pub fn push(&mut self, line: &[u8]) {
        Arc::make_mut(&mut self.lines).extend_from_slice(line);
        self.count += 1;
    }

    /// Where the rows belong.
    pub const fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// As of which source position the rows are.
    pub const fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Which of the parts that the table is read in, each in an order of its own.
    pub const fn part(&self) -> u32 {
        self.part
    }

    /// Its place in the part, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// How many rows there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether it is the next one where `last` was the last of its part; `false` if it is in already.
    ///
    /// # Errors
    ///
    /// One is missing between.
    pub(crate) fn comes_after(&self, last: u64) -> Result<bool> {
        let Self {
            table,
            part,
            number,
            ..
        } = self;
        if *number > last + 1 {
            return Err(Error::person(format!(
                "table {table}, copy: chunk {number} of part {part} came after {last}"
            )));
        }
        Ok(*number == last + 1)
    }

    /// The rows in COPY's text format: every column in the table's order, a newline behind each row.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The rows as values, every column in the table's order.
    ///
    /// # Errors
    ///
    /// A value that PostgreSQL does not print so, named by table and column.
    pub fn rows(&self) -> impl Iterator<Item = Result<Vec<Value>>> {
        self.each()
            .map(|line| copy::row(line, &self.table, self.lsn))
    }

    /// The lines, each with its newline.
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u8]> {
        // A newline within a value is written as a backslash and a letter.
        let ends = memchr_iter(b'\n', &self.lines).map(|at| at + 1);
        ends.scan(0, |start, end| {
            let line = &self.lines[*start..end];
            *start = end;
            Some(line)
        })
    }
}
