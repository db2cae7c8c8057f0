//! What a copy tells of itself while it runs.

use std::time::Duration;

/// A step of a copy; see [`Config::on_copy`](crate::Config::on_copy).
///
/// Rows and bytes are those that are in at the destination, bytes as PostgreSQL's COPY counts them. What is estimated is
/// what the source's statistics say of whole tables, without row filters; its bytes are those of the source's disk.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CopyEvent {
    /// The tables are known, and no row was read yet.
    Begun(CopyPlan),
    /// A table's rows are about to be read, from the first one on, also when that was tried before.
    TableBegun(CopyTable),
    /// Once a second, and whenever a pause begins or ends.
    Progress(CopyProgress),
    /// A table is complete.
    TableDone(CopyTable),
    /// All are.
    Done(CopyProgress),
}

/// What is to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyPlan {
    /// How many tables.
    pub tables: usize,
    /// Rows in them, unless one was never analysed.
    pub estimated_rows: Option<u64>,
    /// Their size on the source's disk, without indexes.
    pub estimated_bytes: u64,
    /// How many are copied at a time, or parts of one.
    pub workers: usize,
    /// Largest number of bytes in a second, if there is one.
    pub rate: Option<u64>,
    /// Bytes of WAL that the source keeps for a slot (`max_slot_wal_keep_size`), if that is limited: a copy during which
    /// more is written loses its slot.
    pub wal_kept: Option<u64>,
}

/// How far one table is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CopyTable {
    /// Its schema at the source.
    pub schema: String,
    /// Its name there.
    pub table: String,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Rows in all, unless it was never analysed.
    pub estimated_rows: Option<u64>,
    /// Size on the source's disk, without indexes.
    pub estimated_bytes: u64,
    /// How much of it is copied, from 0 to 1, as far as estimates tell; 1 only when it is complete.
    pub fraction: f64,
    /// Since it began.
    pub elapsed: Duration,
}

/// How far all of them are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CopyProgress {
    /// Tables that are complete.
    pub tables_done: usize,
    /// And all.
    pub tables: usize,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Rows in all, unless a table was never analysed.
    pub estimated_rows: Option<u64>,
    /// Size on the source's disk, without indexes.
    pub estimated_bytes: u64,
    /// How much is copied, from 0 to 1, as far as estimates tell.
    pub fraction: f64,
    /// In a second, of the last half minute; at the end over all.
    pub rows_per_second: u64,
    /// In a second, of the last half minute; at the end over all.
    pub bytes_per_second: u64,
    /// Until all are complete, at the rate of the last half minute; unknown at first and while nothing goes on.
    pub remaining: Option<Duration>,
    /// Since the beginning.
    pub elapsed: Duration,
    /// Whether a [`CopyHandle`](crate::CopyHandle) holds it.
    pub paused: bool,
    /// The tables that are under way.
    pub running: Vec<CopyTable>,
}
