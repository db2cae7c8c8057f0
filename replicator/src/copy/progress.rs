//! A copy's progress: what workers count, and who hears of it.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use walstream::walproto::Oid;
use walstream::{Client, quote_literal};

use super::estimate;
use super::event::{CopyEvent, CopyPlan, CopyProgress};
use super::figures::Figures;
use super::lines::Lines;
use super::pace::Pace;
use crate::config::Config;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::position::TableRow;
use crate::pulse::{Pulse, Stage};
use crate::show::people::{grouped, size};
use crate::source::Source;

/// Told of every [`CopyEvent`], and how they are logged.
#[derive(Clone)]
pub(crate) struct OnCopy {
    told: Arc<dyn Fn(&CopyEvent) + Send + Sync>,
    lines: Arc<Lines>,
}

impl OnCopy {
    pub(crate) fn new(told: impl Fn(&CopyEvent) + Send + Sync + 'static) -> Self {
        Self::logging(Lines::new(false, Instant::now()), told)
    }

    pub(crate) fn logging(lines: Lines, told: impl Fn(&CopyEvent) + Send + Sync + 'static) -> Self {
        Self {
            told: Arc::new(told),
            lines: Arc::new(lines),
        }
    }

    fn event(&self, event: &CopyEvent) {
        self.lines.write(event, Instant::now());
        (self.told)(event);
    }
}

/// The log alone.
impl Default for OnCopy {
    fn default() -> Self {
        Self::logging(Lines::new(true, Instant::now()), |_| {})
    }
}

impl fmt::Debug for OnCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnCopy")
    }
}

/// Shared by all who copy.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    figures: Mutex<Figures>,
    pace: Pace,
    told: OnCopy,
    metrics: Metrics,
    pulse: Pulse,
}

/// How often it is told how far a copy is.
const TICK: Duration = Duration::from_secs(1);

/// How often a pause is said.
const REMINDER: Duration = Duration::from_secs(60);

impl Progress {
    /// Looks at what is to be copied, and says what that means, before the first row.
    pub(crate) async fn begin(
        config: &Config,
        source: &mut Source,
        tables: &[&TableRow],
    ) -> Result<Self> {
        let figures = Figures::new(estimate::tables(source, tables).await?, Instant::now());
        let plan = CopyPlan {
            tables: tables.len(),
            estimated_rows: figures.estimated_rows(),
            estimated_bytes: figures.estimated_bytes(),
            workers: config.copy_workers,
            rate: config.copy_rate,
            wal_kept: estimate::wal_kept(source).await?,
        };
        let progress = Self(Arc::new(Shared {
            figures: Mutex::new(figures),
            pace: Pace::new(config.copy_rate, config.copy_handle.clone()),
            told: config.on_copy.clone().unwrap_or_default(),
            metrics: config.watching.metrics.clone(),
            pulse: config.pulse.clone(),
        }));
        config.pulse.enters(Stage::Copying);
        progress.tell(&CopyEvent::Begun(plan));
        Ok(progress)
    }

    /// How large a table was when all began.
    pub(crate) fn estimated_bytes(&self, oid: Oid) -> u64 {
        self.figures().estimated_bytes_of(oid)
    }

    /// Waits until rows of so many bytes may go on to the destination: `--copy-rate`, and a pause.
    ///
    /// # Cancel safety
    ///
    /// What was asked for counts as gone.
    pub(crate) async fn take(&self, bytes: usize) {
        self.0.pace.take(bytes).await;
    }

    /// A table's rows are about to be read, from the first one on, also when that was tried before.
    pub(crate) fn table_begun(&self, oid: Oid) {
        let begun = self.figures().begin(oid, Instant::now());
        if let Some(table) = begun {
            self.tell(&CopyEvent::TableBegun(table));
        }
    }

    /// Rows are in at the destination.
    pub(crate) fn add(&self, oid: Oid, rows: u64, bytes: usize) {
        self.figures().add(oid, rows, bytes as u64);
    }

    /// All rows of a table are.
    pub(crate) fn table_done(&self, oid: Oid) {
        let done = self.figures().done(oid, Instant::now());
        if let Some(table) = done {
            self.tell(&CopyEvent::TableDone(table));
        }
    }

    /// A table is not copied after all.
    pub(crate) fn table_left(&self, oid: Oid) {
        self.figures().leave(oid);
    }

    /// Every table is complete, or left.
    pub(crate) fn done(&self) {
        let total = self.figures().total(Instant::now());
        self.tell(&CopyEvent::Done(total));
    }

    /// Tells how far it is, until the future is dropped; what a pause of the copy into `slot` holds back as well.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped, and it can be made again.
    pub(crate) async fn watch(&self, connection: &walstream::Config, slot: &str) -> Infallible {
        let mut paused = self.0.pace.pauses();
        let mut reminder: Option<Instant> = None;
        loop {
            // One that changed is told at once.
            let _ = tokio::time::timeout(TICK, paused.changed()).await;
            let is_paused = *paused.borrow_and_update();
            let now = Instant::now();
            let progress = {
                let mut figures = self.figures();
                let progress = figures.progress(now, is_paused);
                figures.sample(now);
                progress
            };
            self.0.pulse.copied(in_words(&progress));
            self.tell(&CopyEvent::Progress(progress));
            if is_paused && reminder.is_none_or(|at| now >= at) {
                reminder = Some(now + REMINDER);
                say_paused(connection, slot).await;
            } else if !is_paused && reminder.take().is_some() {
                tracing::info!("the copy goes on");
            }
        }
    }

    fn tell(&self, event: &CopyEvent) {
        self.0.metrics.copy(event);
        self.0.told.event(event);
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.0
            .figures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a line that has begun.
fn in_words(it: &CopyProgress) -> String {
    let (rows, bytes) = (grouped(it.rows), size(it.bytes));
    let paused = if it.paused { "; paused" } else { "" };
    format!(
        ": {} of {} tables are complete, {rows} rows and {bytes} are in{paused}",
        it.tables_done, it.tables
    )
}

/// What a slot holds back, and how far it is from being lost where that is known. Over a session of its own, as all others
/// are in the middle of something.
pub(crate) async fn held_back(
    connection: &walstream::Config,
    slot: &str,
) -> (String, Option<String>) {
    let asked = async {
        let mut client = Client::connect(connection).await?;
        let sql = format!(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::bigint, safe_wal_size
             FROM pg_replication_slots WHERE slot_name = {}",
            quote_literal(slot)
        );
        let rows = client.query(&sql).await?;
        let number = |at| -> Option<u64> { rows.first()?.get(at)?.parse().ok() };
        let held = (number(0), number(1));
        client.close().await?;
        Ok::<_, walstream::Error>(held)
    };
    // Silence would be worse than not knowing.
    let (held, safe) = match tokio::time::timeout(REMINDER, asked).await {
        Ok(Ok(held)) => held,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the slot cannot be looked at");
            (None, None)
        }
        Err(_) => (None, None),
    };
    let held = held.map_or_else(|| "unknown".to_owned(), size);
    let left = safe.map(|safe| format!("the slot is lost after another {}", size(safe)));
    (held, left)
}

/// Says what a pause costs.
async fn say_paused(connection: &walstream::Config, slot: &str) {
    let (held, left) = held_back(connection, slot).await;
    tracing::warn!(
        wal_held_back = held,
        danger = left,
        "the copy is paused; meanwhile the slot holds back WAL and the snapshot keeps the source's VACUUM from removing rows"
    );
}
