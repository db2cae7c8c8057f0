//! What a run counts and knows of itself, for who watches it: as text for Prometheus, over HTTP, or as figures.
//!
//! What happens in a batch is a handful of additions for all of it ([`histogram`]). What is known otherwise is asked of
//! the source by a task of its own ([`observer`]), never by the one that streams.

mod figures;
mod health;
mod histogram;
mod lag;
mod observer;
mod registry;
mod server;
mod state;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use walstream::walproto::{Lsn, Oid};
use walstream::{Transaction, Vitals};

use crate::config::Config;
use crate::copy::CopyEvent;
use crate::error::Error;
use crate::position::{TableRow, TableState};
use crate::table::Table;
pub use figures::{Figures, SlotFigures};
pub use health::Readiness;
use histogram::{BYTES, COUNT, Histogram, MICROS};
pub(crate) use observer::{clock_and_wal, observe};
pub use server::MetricsServer;
pub use state::Phase;
use state::{Link, State};

/// What a run counts and knows of itself; clones are the same. Hand it to
/// [`Config::metrics`](crate::Config::metrics), and keep a clone.
///
/// ```
/// use replicator::{Config, Metrics};
///
/// let metrics = Metrics::new();
/// let config = Config::new("postgres://app@db.example/shop", "sqlite:shop.db").metrics(&metrics);
/// assert!(!metrics.readiness().is_ready(), "it does not run yet");
/// assert_eq!(metrics.figures().transactions, 0);
/// # let _ = config;
/// ```
///
/// One is for one run at a time. What is counted goes on over several, one after the other.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    transactions: AtomicU64,
    changes: AtomicU64,
    left_out: AtomicU64,
    heartbeats: AtomicU64,
    /// By [`Fault`].
    errors: [AtomicU64; Fault::ALL.len()],
    batch_transactions: Histogram,
    batch_changes: Histogram,
    batch_bytes: Histogram,
    batch_time: Histogram,
    latency: Histogram,
    heartbeat_time: Histogram,
    /// Everything before it is at the destination.
    stored: AtomicU64,
    /// And everything before this that is for the destination: the source has nothing else so far.
    caught_up: AtomicU64,
    /// When the last transaction that was written committed, in microseconds since 1970; 0 before there is one.
    committed: AtomicU64,
    /// When the batch began that is being written, in milliseconds from `began` and one; 0 while there is none.
    batch_begun: AtomicU64,
    /// Where the heartbeat lies that was sent last and has not come back; 0 when it has.
    heartbeat: AtomicU64,
    /// When the source was about to be asked last, in milliseconds from `began`.
    beat: AtomicU64,
    state: Mutex<State>,
}

/// What errors are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The stream's connection was lost, and made again or not.
    SourceLost,
    /// The source did not answer when it was asked how it is.
    SourceUnanswered,
    /// The destination failed, and was tried again.
    DestinationRetry,
    /// A table was stopped.
    TableStopped,
    /// A run ended with an error.
    RunFailed,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::SourceLost,
        Self::SourceUnanswered,
        Self::DestinationRetry,
        Self::TableStopped,
        Self::RunFailed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::SourceLost => "source_lost",
            Self::SourceUnanswered => "source_unanswered",
            Self::DestinationRetry => "destination_retry",
            Self::TableStopped => "table_stopped",
            Self::RunFailed => "run_failed",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            transactions: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            heartbeats: AtomicU64::new(0),
            errors: Default::default(),
            batch_transactions: Histogram::new(COUNT, 1.0),
            batch_changes: Histogram::new(COUNT, 1.0),
            batch_bytes: Histogram::new(BYTES, 1.0),
            batch_time: Histogram::new(MICROS, 1e6),
            latency: Histogram::new(MICROS, 1e6),
            heartbeat_time: Histogram::new(MICROS, 1e6),
            stored: AtomicU64::new(0),
            caught_up: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            batch_begun: AtomicU64::new(0),
            heartbeat: AtomicU64::new(0),
            beat: AtomicU64::new(0),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is a single step, so a panic elsewhere leaves it sound.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fault(&self, fault: Fault) {
        let at = Fault::ALL.iter().position(|it| *it == fault);
        if let Some(count) = at.and_then(|at| self.0.errors.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A run begins.
    pub(crate) fn begin(&self, config: &Config) {
        for place in [
            &self.0.stored,
            &self.0.caught_up,
            &self.0.committed,
            &self.0.batch_begun,
            &self.0.heartbeat,
        ] {
            place.store(0, Ordering::Relaxed);
        }
        self.beats();
        self.state().begin(config);
    }

    /// The slot is ours, and its stream waits or runs.
    pub(crate) fn streams(&self, vitals: Vitals) {
        self.state().stream(vitals);
    }

    /// All that was there is copied, and the stream begins at `stored`.
    pub(crate) fn streaming(&self, stored: Lsn) {
        self.0.stored.store(stored.0, Ordering::Relaxed);
        self.state().phase = Phase::Streaming;
    }

    /// The run is over.
    pub(crate) fn ended(&self, error: Option<&Error>) {
        if error.is_some() {
            self.fault(Fault::RunFailed);
        }
        self.0.batch_begun.store(0, Ordering::Relaxed);
        let mut state = self.state();
        state.phase = Phase::Ended(error.map(ToString::to_string));
        state.destination = Link::None;
    }

    /// What a copy tells of itself.
    pub(crate) fn copy(&self, event: &CopyEvent) {
        self.state().copy(event);
    }

    /// The ledger as it is.
    pub(crate) fn tables(&self, rows: &[TableRow]) {
        let is_new = self.state().tables(rows);
        (0..is_new).for_each(|_| self.fault(Fault::TableStopped));
    }

    /// One of its tables.
    pub(crate) fn table(&self, table: &Table, state: &TableState) {
        if self.state().table(table, state) {
            self.fault(Fault::TableStopped);
        }
    }

    /// The same of one that is known already.
    pub(crate) fn table_state(&self, oid: Oid, state: &TableState) {
        if self.state().table_state(oid, state) {
            self.fault(Fault::TableStopped);
        }
    }

    /// The destination answered.
    pub(crate) fn destination_is_there(&self) {
        self.state().destination = Link::Up;
    }

    /// It did not, and is tried again.
    pub(crate) fn destination_is_lost(&self, error: &Error) {
        self.fault(Fault::DestinationRetry);
        self.state()
            .lose_destination(error.to_string(), Instant::now());
    }

    /// A batch begins at the destination.
    pub(crate) fn batch_begins(&self) {
        let millis = self.0.began.elapsed().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX - 1);
        self.0.batch_begun.store(millis + 1, Ordering::Relaxed);
    }

    /// What was open is in, or undone.
    pub(crate) fn batch_ends(&self) {
        self.0.batch_begun.store(0, Ordering::Relaxed);
    }

    /// Transactions are durable at the destination, written as one batch that began then.
    pub(crate) fn applied(&self, transactions: &[Transaction], changes: u64, begun: Instant) {
        let inner = &*self.0;
        let count = transactions.len() as u64;
        inner.transactions.fetch_add(count, Ordering::Relaxed);
        inner.changes.fetch_add(changes, Ordering::Relaxed);
        inner.batch_transactions.observe(count);
        inner.batch_changes.observe(changes);
        let bytes = transactions.iter().map(Transaction::size).sum();
        inner.batch_bytes.observe(bytes);
        inner.batch_time.observe(micros(begun));
        // By the source's clock where it is known: that of this machine may be another.
        let now = self.state().source_clock().or_else(clock);
        let mut commits = transactions
            .iter()
            .filter_map(|it| it.commit_time().unix_micros());
        if let Some(now) = now {
            let ages = commits.clone();
            let ages = ages.map(|commit| u64::try_from(now.saturating_sub(commit)).unwrap_or(0));
            inner.latency.add(&inner.latency.tally(ages));
        }
        let last = commits
            .next_back()
            .and_then(|last| u64::try_from(last).ok());
        if let Some(last) = last {
            inner.committed.store(last, Ordering::Relaxed);
        }
    }

    /// Changes were left out.
    pub(crate) fn left_out(&self, changes: u64) {
        self.0.left_out.fetch_add(changes, Ordering::Relaxed);
    }

    /// Everything before it is durable at the destination.
    pub(crate) fn stored(&self, lsn: Lsn) {
        self.0.stored.store(lsn.0, Ordering::Relaxed);
        let beat = self.0.heartbeat.load(Ordering::Relaxed);
        if beat > 0
            && lsn.0 >= beat
            && self.0.heartbeat.swap(0, Ordering::Relaxed) == beat
            && let Some(sent) = self.state().heartbeat.take()
        {
            self.0.heartbeat_time.observe(micros(sent));
        }
    }

    /// The source has nothing for the destination before it.
    pub(crate) fn caught_up(&self, lsn: Lsn) {
        self.0.caught_up.fetch_max(lsn.0, Ordering::Relaxed);
    }

    /// A heartbeat was asked for at `sent`, and ends there in the source's WAL.
    fn heartbeat_sent(&self, lsn: Lsn, sent: Instant) {
        self.0.heartbeats.fetch_add(1, Ordering::Relaxed);
        self.state().heartbeat = Some(sent);
        self.0.heartbeat.store(lsn.0, Ordering::Relaxed);
        // It may have come back before its answer did.
        self.stored(Lsn(self.0.stored.load(Ordering::Relaxed)));
    }

    /// Whether the last one is still on its way.
    fn heartbeat_is_out(&self) -> bool {
        self.0.heartbeat.load(Ordering::Relaxed) > 0
    }

    /// Up to where the destination has all that there is for it.
    fn reached(&self) -> Lsn {
        let stored = self.0.stored.load(Ordering::Relaxed);
        Lsn(stored.max(self.0.caught_up.load(Ordering::Relaxed)))
    }

    /// When the last transaction committed that the destination has, in microseconds since 1970.
    fn committed(&self) -> Option<i64> {
        let committed = self.0.committed.load(Ordering::Relaxed);
        i64::try_from(committed).ok().filter(|&it| it > 0)
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// This machine's, in microseconds since 1970.
fn clock() -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(now.as_micros()).ok()
}
