//! What is known of a run beside its counts: what changes seldom, or is asked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use walstream::walproto::Oid;
use walstream::{Slot, Vitals};

use super::lag::{Lag, Look};
use crate::config::{Config, Guard};
use crate::copy::{CopyEvent, CopyHandle, CopyTable};
use crate::position::{TableRow, TableState};
use crate::table::Table;

/// What a run is at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Not begun.
    #[default]
    Waiting,
    /// Looking at both sides, making slot and tables, or waiting for who holds them.
    Starting,
    /// The rows that are there are copied first.
    Copying,
    /// Changes are applied.
    Streaming,
    /// Over, and why if that was an error.
    Ended(Option<String>),
}

impl Phase {
    /// As metrics have it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Copying => "copying",
            Self::Streaming => "streaming",
            Self::Ended(_) => "ended",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) slot: String,
    pub(super) phase: Phase,
    pub(super) guard: Guard,
    /// Pauses the run.
    pub(super) handle: CopyHandle,
    pub(super) vitals: Option<Vitals>,
    /// Connections that streams before this one lost.
    pub(super) losses: u64,
    pub(super) destination: Link,
    pub(super) tables: BTreeMap<u32, OneTable>,
    pub(super) copy: CopyState,
    pub(super) lag: Lag,
    pub(super) seen: Option<Seen>,
    pub(super) heartbeat: Option<Instant>,
}

/// Whether the destination is there.
#[derive(Clone, Debug, Default)]
pub(super) enum Link {
    #[default]
    None,
    Up,
    Lost {
        since: Instant,
        why: String,
    },
}

/// A table of the ledger.
#[derive(Clone, Debug)]
pub(super) struct OneTable {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) state: TableState,
}

/// How far copies are: the one that runs, or the last.
#[derive(Clone, Debug, Default)]
pub(super) struct CopyState {
    pub(super) tables: usize,
    pub(super) tables_done: usize,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) fraction: f64,
    pub(super) remaining: Option<Duration>,
    pub(super) paused: bool,
    pub(super) running: Vec<CopyTable>,
}

/// The source when it was asked last.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// End of its WAL.
    pub(super) wal: u64,
    pub(super) slot: Option<Slot>,
    /// How long the slot has not been used, by the source's clock.
    pub(super) inactive: Option<Duration>,
}

impl State {
    pub(super) fn begin(&mut self, config: &Config) {
        let losses = self.losses + self.vitals.as_ref().map_or(0, Vitals::losses);
        *self = Self {
            slot: config.slot.clone(),
            phase: Phase::Starting,
            guard: config.watching.guard,
            handle: config.copy_handle.clone(),
            losses,
            ..Self::default()
        };
        self.lag.clear();
    }

    /// Whether rows and changes are held back; the end of a run is no pause.
    pub(super) fn is_paused(&self) -> bool {
        !matches!(self.phase, Phase::Waiting | Phase::Ended(_)) && self.handle.is_paused()
    }

    pub(super) fn stream(&mut self, vitals: Vitals) {
        self.losses += self.vitals.as_ref().map_or(0, Vitals::losses);
        self.vitals = Some(vitals);
    }

    pub(super) fn copy(&mut self, event: &CopyEvent) {
        match event {
            CopyEvent::Begun(plan) => {
                if self.phase == Phase::Starting {
                    self.phase = Phase::Copying;
                }
                self.copy = CopyState {
                    tables: plan.tables,
                    ..CopyState::default()
                };
            }
            CopyEvent::TableBegun(table) => {
                self.copy.leave(table);
                self.copy.running.push(table.clone());
            }
            CopyEvent::TableDone(table) => {
                self.copy.leave(table);
                self.copy.tables_done += 1;
            }
            CopyEvent::Progress(it) | CopyEvent::Done(it) => {
                self.copy = CopyState {
                    tables: it.tables,
                    tables_done: it.tables_done,
                    rows: it.rows,
                    bytes: it.bytes,
                    fraction: it.fraction,
                    remaining: it.remaining,
                    paused: it.paused,
                    running: it.running.clone(),
                };
            }
        }
    }

    /// Takes over the ledger; how many tables are stopped in it that were not, or not known.
    pub(super) fn tables(&mut self, rows: &[TableRow]) -> usize {
        let known = std::mem::take(&mut self.tables);
        let mut stopped = 0;
        for row in rows {
            let before = known.get(&row.table.oid.0);
            stopped +=
                usize::from(is_stopped(&row.state) && !before.is_some_and(OneTable::is_stopped));
            self.table(&row.table, &row.state);
        }
        stopped
    }

    /// Whether a table is stopped that was not before.
    pub(super) fn table(&mut self, table: &Table, state: &TableState) -> bool {
        let now = OneTable {
            schema: table.schema.clone(),
            name: table.name.clone(),
            state: state.clone(),
        };
        let before = self.tables.insert(table.oid.0, now);
        is_stopped(state) && !before.as_ref().is_some_and(OneTable::is_stopped)
    }

    /// The same of one that is known.
    pub(super) fn table_state(&mut self, oid: Oid, state: &TableState) -> bool {
        let Some(table) = self.tables.get_mut(&oid.0) else {
            return false;
        };
        let before = table.is_stopped();
        table.state = state.clone();
        is_stopped(state) && !before
    }

    pub(super) fn lose_destination(&mut self, why: String, now: Instant) {
        let since = match self.destination {
            Link::Lost { since, .. } => since,
            _ => now,
        };
        self.destination = Link::Lost { since, why };
    }

    /// What the source said of itself.
    pub(super) fn see(&mut self, look: Look, slot: Option<Slot>) {
        let since = slot.as_ref().and_then(|slot| slot.inactive_since);
        let since = since.and_then(|since| since.unix_micros());
        let inactive =
            since.map(|since| u64::try_from(look.time.saturating_sub(since)).unwrap_or(0));
        self.lag.look(look);
        self.seen = Some(Seen {
            at: look.at,
            wal: look.wal.0,
            slot,
            inactive: inactive.map(Duration::from_micros),
        });
    }

    /// The source's clock now, in microseconds since 1970.
    pub(super) fn source_clock(&self) -> Option<i64> {
        let (time, at) = self.lag.clock()?;
        let since = i64::try_from(at.elapsed().as_micros()).ok()?;
        time.checked_add(since)
    }
}

impl CopyState {
    fn leave(&mut self, table: &CopyTable) {
        self.running
            .retain(|it| (&it.schema, &it.table) != (&table.schema, &table.table));
    }
}

impl OneTable {
    pub(super) fn is_stopped(&self) -> bool {
        is_stopped(&self.state)
    }
}

const fn is_stopped(state: &TableState) -> bool {
    matches!(state, TableState::Stopped(_))
}
