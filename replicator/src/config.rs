//! Everything a run can be told, with defaults.

mod choice;
mod watching;

use std::path::PathBuf;
use std::time::Duration;

use walstream::walproto::Lsn;
use walstream::{Backoff, Reconnect};

use crate::copy::{CopyEvent, CopyHandle, OnCopy};
use crate::destination::Existing;
use crate::error::Result;
use crate::log::redact::Url;
use crate::names::{ColumnName, Names, TableName, TablePattern};
use crate::pulse::Pulse;
use crate::selection::Selection;
pub use choice::{
    Compression, Copy, ExistingRows, Keyless, OnConflict, OnMaxLag, OnMisfit, OnTableError,
    Streaming, Until,
};
pub(crate) use watching::{Guard, Watching};

/// The publication that is read, and made, when none is named.
pub(crate) const DEFAULT_PUBLICATION: &str = "replicator";

/// What to replicate, from where to where, and how.
///
/// ```
/// use replicator::Config;
///
/// let config = Config::new("postgres://app@db.example/shop", "sqlite:shop.db").slot("shop").publication("shop");
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) source: Url,
    pub(crate) destination: Url,
    pub(crate) slot: String,
    pub(crate) publications: Vec<String>,
    pub(crate) selection: Selection,
    pub(crate) names: Names,
    pub(crate) keyless: Keyless,
    pub(crate) copy: Copy,
    pub(crate) copy_workers: usize,
    pub(crate) copy_rate: Option<u64>,
    pub(crate) copy_handle: CopyHandle,
    pub(crate) on_copy: Option<OnCopy>,
    pub(crate) pulse: Pulse,
    pub(crate) auto_create: bool,
    pub(crate) existing: ExistingRows,
    pub(crate) on_conflict: OnConflict,
    pub(crate) on_misfit: OnMisfit,
    pub(crate) on_table_error: OnTableError,
    pub(crate) quarantine: Option<PathBuf>,
    pub(crate) skip: Vec<Lsn>,
    pub(crate) until: Option<Until>,
    pub(crate) protocol: Option<u8>,
    pub(crate) streaming: Option<Streaming>,
    pub(crate) spool: PathBuf,
    pub(crate) spool_limit: u64,
    pub(crate) spool_compression: Compression,
    pub(crate) memory: u64,
    pub(crate) batch_bytes: u64,
    pub(crate) batch_transactions: usize,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) takeover: Duration,
    pub(crate) standby: bool,
    /// Whether a first start that is not complete may be another process's.
    pub(crate) spares_first_start: bool,
    pub(crate) reconnect: Duration,
    pub(crate) retry_delay: Duration,
    pub(crate) retry_max_delay: Duration,
    pub(crate) destination_retry: Duration,
    pub(crate) destination_timeout: Duration,
    pub(crate) idle_interval: Duration,
    pub(crate) watching: Watching,
}

impl Config {
    /// From a source URL to a destination URL, everything else as the command line has it.
    pub fn new(source: impl Into<String>, destination: impl Into<String>) -> Self {
        Self {
            source: Url(source.into()),
            destination: Url(destination.into()),
            slot: "replicator".to_owned(),
            publications: Vec::new(),
            selection: Selection::default(),
            names: Names::new(),
            keyless: Keyless::default(),
            copy: Copy::default(),
            copy_workers: 2,
            copy_rate: None,
            copy_handle: CopyHandle::new(),
            on_copy: None,
            pulse: Pulse::default(),
            auto_create: true,
            existing: ExistingRows::default(),
            on_conflict: OnConflict::default(),
            on_misfit: OnMisfit::default(),
            on_table_error: OnTableError::default(),
            quarantine: None,
            skip: Vec::new(),
            until: None,
            protocol: None,
            streaming: None,
            spool: std::env::temp_dir(),
            spool_limit: 16 << 30,
            spool_compression: Compression::default(),
            memory: 32 << 20,
            batch_bytes: 8 << 20,
            batch_transactions: 10_000,
            connect_timeout: None,
            takeover: Duration::from_secs(30),
            standby: false,
            spares_first_start: false,
            reconnect: PATIENCE,
            retry_delay: Duration::from_millis(250),
            retry_max_delay: Duration::from_secs(30),
            destination_retry: PATIENCE,
            destination_timeout: Duration::from_secs(30),
            idle_interval: Duration::from_secs(10),
            watching: Watching::default(),
        }
    }

    /// What to do when changes of one table cannot be applied.
    #[must_use]
    pub const fn on_table_error(mut self, policy: OnTableError) -> Self {
        self.on_table_error = policy;
        self
    }

    /// The replication slot, `replicator` without this; also the name of the position row.
    #[must_use]
    pub fn slot(mut self, name: impl Into<String>) -> Self {
        self.slot = name.into();
        self
    }

    /// Adds a publication to read. Without any it is `replicator`, made when it does not exist.
    #[must_use]
    pub fn publication(mut self, name: impl Into<String>) -> Self {
        self.publications.push(name.into());
        self
    }

    /// Limits a publication that we make to these tables; one that is there already must agree.
    #[must_use]
    pub fn tables(mut self, tables: impl IntoIterator<Item = TablePattern>) -> Self {
        self.selection.tables = tables.into_iter().collect();
        self
    }

    /// Leaves out these tables: of a publication that we make, or here, where one is there already.
    ///
    /// What is left out of a publication here is received all the same, and skipped. The destination remembers which
    /// tables it follows: a later run that would leave out others is refused.
    #[must_use]
    pub fn exclude_tables(mut self, tables: impl IntoIterator<Item = TablePattern>) -> Self {
        self.selection.without_tables = tables.into_iter().collect();
        self
    }

    /// Limits the tables of these columns to them, in a publication that we make (from 15 on); one that is there
    /// already must agree. What identifies a row must be among them.
    #[must_use]
    pub fn columns(mut self, columns: impl IntoIterator<Item = ColumnName>) -> Self {
        self.selection.columns = columns.into_iter().collect();
        self
    }

    /// Leaves out these columns of a publication that we make (from 15 on); one that is there already must agree.
    #[must_use]
    pub fn exclude_columns(mut self, columns: impl IntoIterator<Item = ColumnName>) -> Self {
        self.selection.without_columns = columns.into_iter().collect();
        self
    }

    /// Tables of the source's schema `from` are in schema `to` at the destination, or carry it as their prefix where
    /// there are no schemas; `public` is the destination's own.
    #[must_use]
    pub fn map_schema(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.names = self.names.schema(from, to);
        self
    }

    /// The source's table `from` is `to` at the destination, whatever becomes of its schema.
    ///
    /// The destination remembers names: a later run that would give other ones is refused.
    #[must_use]
    pub fn map_table(mut self, from: TableName, to: TableName) -> Self {
        self.names = self.names.table(from, to);
        self
    }

    /// What a publication that we make does with tables that have no usable key.
    #[must_use]
    pub const fn keyless(mut self, keyless: Keyless) -> Self {
        self.keyless = keyless;
        self
    }

    /// Whether rows that exist already are copied first.
    #[must_use]
    pub const fn copy(mut self, copy: Copy) -> Self {
        self.copy = copy;
        self
    }

    /// How many tables, or parts of one, are copied at a time; 2 without this. Each is a connection to the source and one
    /// to the destination; SQLite has one writer.
    #[must_use]
    pub const fn copy_workers(mut self, workers: usize) -> Self {
        self.copy_workers = if workers == 0 { 1 } else { workers };
        self
    }

    /// Bytes that are copied in a second at most, by all workers together; as many as there are without this.
    #[must_use]
    pub const fn copy_rate(mut self, bytes_per_second: u64) -> Self {
        self.copy_rate = Some(bytes_per_second);
        self
    }

    /// What pauses copies and the stream and lets them go on, from anywhere and at any time.
    #[must_use]
    pub fn copy_handle(mut self, handle: &CopyHandle) -> Self {
        self.copy_handle = handle.clone();
        self
    }

    /// Tells how far copies are.
    ///
    /// It is called within the run, which waits for it: hand on what takes long. What begins and ends is logged all the
    /// same, but no lines of how far it is.
    #[must_use]
    pub fn on_copy(mut self, told: impl Fn(&CopyEvent) + Send + Sync + 'static) -> Self {
        self.on_copy = Some(OnCopy::new(told));
        self
    }

    /// Whether tables that are not at the destination are made there, as they are without this.
    ///
    /// With `false` all must be there. One that is there must be able to hold what it is to hold; what becomes of rows in
    /// it says [`existing`](Self::existing). Nobody else may write tables until their first copy is complete: when it
    /// has to start over, it empties them. The refusal of one that is not there says what would make it.
    #[must_use]
    pub const fn auto_create(mut self, yes: bool) -> Self {
        self.auto_create = yes;
        self
    }

    /// What becomes of the rows of tables that are at the destination already and are to be copied into.
    #[must_use]
    pub const fn existing(mut self, rows: ExistingRows) -> Self {
        self.existing = rows;
        self
    }

    /// What happens when the destination does not have the row that a change expects.
    #[must_use]
    pub const fn on_conflict(mut self, policy: OnConflict) -> Self {
        self.on_conflict = policy;
        self
    }

    /// What happens to values that a destination column cannot hold exactly.
    #[must_use]
    pub const fn on_misfit(mut self, policy: OnMisfit) -> Self {
        self.on_misfit = policy;
        self
    }

    /// Leaves out a change that the destination refuses, and writes it whole to this file; without this it ends the run.
    ///
    /// That is a row which the destination does not take for what it holds or meets there (a constraint, a trigger, a value
    /// that is too long or out of range) or a conflict. The rest of its transaction is applied. A later change of a row
    /// that was left out does not find it, is a conflict then, and lands in the file as well. What says nothing about a
    /// row ends the run as ever: a lost connection, a missing table or right, a position that somebody moved, a changed
    /// definition, a value that cannot be read; left out one by one, all rows would end in the file. So does what is
    /// found out only when the transaction ends (a deferred constraint, a row that waited for its key): nothing says
    /// which row it is, and [`skip`](Self::skip) remains.
    ///
    /// Lines are appended, in the form of `decode --json`; each is on disk before the destination moves past its change.
    #[must_use]
    pub fn quarantine(mut self, file: impl Into<PathBuf>) -> Self {
        self.quarantine = Some(file.into());
        self
    }

    /// Leaves out the transaction that commits there, as errors name it, and writes it whole to the file of
    /// [`quarantine`](Self::quarantine), which must be given.
    ///
    /// A position at which no transaction commits, or that the destination is past already, is said in the log.
    #[must_use]
    pub fn skip(mut self, commit_lsn: Lsn) -> Self {
        self.skip.push(commit_lsn);
        self
    }

    /// Where to end; without this a run ends when it is told to.
    #[must_use]
    pub const fn until(mut self, until: Until) -> Self {
        self.until = Some(until);
        self
    }

    /// Protocol version, 1 to 4; without this the highest that the server speaks.
    #[must_use]
    pub const fn protocol(mut self, version: u8) -> Self {
        self.protocol = Some(version);
        self
    }

    /// Whether the server may send large transactions before they commit; without this as far as the protocol can.
    #[must_use]
    pub const fn streaming(mut self, streaming: Streaming) -> Self {
        self.streaming = Some(streaming);
        self
    }

    /// Folder and largest size in bytes of what does not fit into memory; the system's temporary folder and 16 GiB.
    #[must_use]
    pub fn spool(mut self, folder: impl Into<PathBuf>, limit: u64) -> Self {
        self.spool = folder.into();
        self.spool_limit = limit;
        self
    }

    /// How the files of the spool are stored; as received without this.
    #[must_use]
    pub const fn spool_compression(mut self, compression: Compression) -> Self {
        self.spool_compression = compression;
        self
    }

    /// What one destination transaction may hold of several source transactions, whichever comes first: 8 MiB and
    /// 10,000 transactions without this. A larger source transaction is one by itself.
    #[must_use]
    pub const fn batch(mut self, bytes: u64, transactions: usize) -> Self {
        self.batch_bytes = bytes;
        self.batch_transactions = transactions;
        self
    }

    /// How long a connection to the source may take to stand, its login included; zero for no limit. Without this it is
    /// as the source's URL says, or 30 s. For the destination it is [`destination_timeout`](Self::destination_timeout).
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// The first and the largest pause before what was lost is tried again, 250 ms and 30 s without this; the pause
    /// doubles from one attempt to the next.
    #[must_use]
    pub const fn retry_delays(mut self, first: Duration, largest: Duration) -> Self {
        self.retry_delay = first;
        self.retry_max_delay = largest;
        self
    }

    /// Bytes of received changes kept in memory, 32 MiB without this.
    #[must_use]
    pub const fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// How long to wait for a slot or destination that another process holds, 30 s without this.
    #[must_use]
    pub const fn takeover(mut self, wait: Duration) -> Self {
        self.takeover = wait;
        self
    }

    /// Waits, holding nothing, while another replicator has the slot, and takes over when that one is gone.
    #[must_use]
    pub const fn standby(mut self, standby: bool) -> Self {
        self.standby = standby;
        self.spares_first_start = standby;
        self
    }

    /// How long a source that was lost is tried to be reached again, a day without this; zero for not at all. The
    /// first connection of a run is not tried again.
    #[must_use]
    pub const fn reconnect(mut self, time: Duration) -> Self {
        self.reconnect = time;
        self
    }

    /// How long a destination that does not take changes any more (lost, down, full, read-only, a deadlock) is tried
    /// again, a day without this; zero for not at all. The stream lives on meanwhile. The first connection of a
    /// run is not tried again.
    #[must_use]
    pub const fn destination_retry(mut self, time: Duration) -> Self {
        self.destination_retry = time;
        self
    }

    /// How long a destination of PostgreSQL may leave a call unanswered before it is asked over another connection
    /// whether it is still at work, 30 s without this. What really is at work is waited for.
    #[must_use]
    pub const fn destination_timeout(mut self, time: Duration) -> Self {
        self.destination_timeout = time;
        self
    }

    /// How often the position of an idle stream is written to the destination, 10 s without this.
    #[must_use]
    pub const fn idle_interval(mut self, interval: Duration) -> Self {
        self.idle_interval = interval;
        self
    }

    /// What is done about a destination table that is there already.
    pub(crate) const fn existing_tables(&self) -> Existing {
        match self.copy {
            Copy::No if self.auto_create => Existing::Accept,
            Copy::No => Existing::Expect,
            Copy::Yes | Copy::Only => self.existing_to_copy(),
        }
    }

    /// The same of one that is copied into.
    pub(crate) const fn existing_to_copy(&self) -> Existing {
        let makes = self.auto_create;
        match self.existing {
            ExistingRows::Fail if makes => Existing::Refuse,
            ExistingRows::Fail => Existing::Fill,
            ExistingRows::Truncate => Existing::Empty { makes },
            ExistingRows::Keep => Existing::Keep { makes },
        }
    }

    /// What becomes of a lost connection.
    pub(crate) fn policy(&self) -> Reconnect {
        Reconnect {
            backoff: Backoff {
                first_delay: self.retry_delay,
                largest_delay: self.retry_max_delay,
                ..backoff(self.reconnect)
            },
            ..Reconnect::default()
        }
    }

    /// How a destination that was lost is tried again.
    pub(crate) fn destination_policy(&self) -> Backoff {
        Backoff {
            first_delay: self.retry_delay,
            largest_delay: self.retry_max_delay,
            ..backoff(self.destination_retry)
        }
    }

    /// How the source is reached.
    pub(crate) fn connection(&self) -> Result<walstream::Config> {
        let connection = walstream::Config::parse(&self.source)?;
        Ok(match self.connect_timeout {
            Some(timeout) => connection.with_connect_timeout(timeout),
            None => connection,
        })
    }

    /// The publications to read.
    pub(crate) fn publications(&self) -> Vec<String> {
        if self.publications.is_empty() {
            vec![DEFAULT_PUBLICATION.to_owned()]
        } else {
            self.publications.clone()
        }
    }
}

/// How long a side that was lost is tried again unless the user says otherwise: over a night, and until somebody who was
/// told has come. Nothing is lost by waiting, but that the source keeps its WAL.
pub(crate) const PATIENCE: Duration = Duration::from_secs(86_400);

/// How what was lost is tried again, for so long.
pub(crate) fn backoff(time: Duration) -> Backoff {
    if time.is_zero() {
        return Backoff::never();
    }
    Backoff {
        total_time: Some(time),
        ..Backoff::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_source_that_is_away_for_an_hour_is_waited_for() {
        let policy = Config::new("", "").policy().backoff;
        let start = Instant::now();
        let mut attempts = policy.begin(start);
        let mut now = start;
        while now < start + Duration::from_secs(3600) {
            now += attempts.pause(now, u64::MAX).expect("another attempt");
        }
        assert!(
            attempts.made() > 100,
            "looked for often: {}",
            attempts.made()
        );

        let policy = Config::new("", "").reconnect(Duration::ZERO).policy();
        assert_eq!(policy.backoff.begin(start).pause(start, 0), None);
    }
}
