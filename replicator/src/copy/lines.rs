//! A copy's progress in the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::event::{CopyEvent, CopyPlan, CopyProgress, CopyTable};
use super::figures::rate;
use crate::show::people::{grouped, size, span};

/// Writes what happens, and now and then how far it is.
#[derive(Debug)]
pub(crate) struct Lines {
    /// When how far it is was written last; `None` leaves it to others.
    last: Option<Mutex<Instant>>,
}

/// How often it is written how far a copy is.
const INTERVAL: Duration = Duration::from_secs(10);

impl Lines {
    pub(crate) fn new(progress: bool, now: Instant) -> Self {
        Self {
            last: progress.then(|| Mutex::new(now)),
        }
    }

    pub(crate) fn write(&self, event: &CopyEvent, now: Instant) {
        match event {
            CopyEvent::Begun(plan) => begun(plan),
            CopyEvent::TableBegun(it) => tracing::info!(
                table = format!("{}.{}", it.schema, it.table),
                rows = about(it.estimated_rows),
                size = size(it.estimated_bytes),
                "copying"
            ),
            CopyEvent::Progress(it) if self.is_due(now) && !it.paused => progress(it),
            CopyEvent::Progress(_) => {}
            CopyEvent::TableDone(it) => table_done(it),
            CopyEvent::Done(it) => tracing::info!(
                tables = it.tables_done,
                rows = it.rows,
                bytes = it.bytes,
                time = span(it.elapsed),
                rate = per_second(it.bytes_per_second),
                "copy complete"
            ),
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let Some(last) = &self.last else { return false };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.duration_since(*last) >= INTERVAL;
        if due {
            *last = now;
        }
        due
    }
}

/// What a copy means for the source, said before it does.
fn begun(plan: &CopyPlan) {
    tracing::info!(
        tables = plan.tables,
        rows = about(plan.estimated_rows),
        size = size(plan.estimated_bytes),
        workers = plan.workers,
        rate = plan.rate.map(per_second),
        "copying what is there; Ctrl-C stops it: tables that are complete stay, and the next run copies the others"
    );
    tracing::info!(
        "what changes meanwhile waits in the source's WAL, where it is safe and needs no second disk: pg_wal grows by what \
         is written during the copy"
    );
    let Some(kept) = plan.wal_kept else { return };
    let keeps = size(kept);
    if kept < plan.estimated_bytes {
        tracing::warn!(
            max_slot_wal_keep_size = keeps,
            "the source keeps less WAL than there is to copy: if more is written before the copy is complete, the slot is \
             lost and all has to be copied again; ALTER SYSTEM SET max_slot_wal_keep_size = -1 and SELECT pg_reload_conf() \
             lift the limit"
        );
    } else {
        tracing::info!(
            max_slot_wal_keep_size = keeps,
            "if more WAL than this is written before the copy is complete, the slot is lost and all has to be copied again"
        );
    }
}

fn progress(it: &CopyProgress) {
    tracing::info!(
        tables = format!("{} of {}", it.tables_done, it.tables),
        rows = it.rows,
        bytes = it.bytes,
        rate = per_second(it.bytes_per_second),
        rows_per_second = it.rows_per_second,
        remaining = it.remaining.map_or_else(|| "unknown".to_owned(), span),
        "copying"
    );
}

fn table_done(it: &CopyTable) {
    tracing::info!(
        table = format!("{}.{}", it.schema, it.table),
        rows = it.rows,
        bytes = it.bytes,
        time = span(it.elapsed),
        rate = per_second(rate(it.bytes, it.elapsed)),
        "copied"
    );
}

fn about(rows: Option<u64>) -> String {
    rows.map_or_else(
        || "unknown".to_owned(),
        |rows| format!("about {}", grouped(rows)),
    )
}

fn per_second(bytes: u64) -> String {
    format!("{}/s", size(bytes))
}
