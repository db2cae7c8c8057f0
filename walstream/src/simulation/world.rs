//! The scripted server's slot and WAL, and what all sides know of them.
//!
//! What the slot is told is held against what the consumer has made durable, each time.

use std::collections::BTreeSet;
use std::sync::Arc;

use testdata::random::Random;
use testdata::story::Wal;
use testdata::walsender::{Frame, Options, frames};
use tokio::sync::Notify;

use super::case::{Case, Loss};
use super::counts::Counts;
use super::expected::{Due, What, dues};

/// What the server, the consumer and the judge know.
pub(super) struct World {
    pub(super) wal: Arc<Wal>,
    pub(super) options: Options,
    /// All that is due.
    pub(super) dues: Vec<Due>,
    pub(super) counts: Counts,
    /// What happened, line by line, if somebody wants to read it.
    pub(super) log: Option<Vec<String>>,
    /// The first thing that went wrong.
    pub(super) wrong: Option<String>,
    /// Up to where the slot is confirmed, and was at any time.
    pub(super) slot: u64,
    slots: Vec<u64>,
    /// The slot when everything began.
    pub(super) begun: u64,
    /// What of it the consumer made durable.
    pub(super) durable: BTreeSet<usize>,
    /// Positions that it confirmed since it began; `None` when it leaves that to the stream.
    pub(super) confirmed: Option<BTreeSet<u64>>,
    /// Records whose end was sent on any connection.
    pub(super) sent: BTreeSet<usize>,
    /// What is due before this place was found to be durable when the slot passed them.
    checked: usize,
    pub(super) connections: u64,
    pub(super) losses: Vec<Loss>,
    seed: u64,
    /// The stream is to end somewhere.
    pub(super) ends: bool,
    /// Where the log ended when it all began.
    pub(super) written: u64,
    /// A connection has sent everything.
    pub(super) at_end: bool,
    /// Rings when the slot is at the end.
    pub(super) finished: Arc<Notify>,
}

impl World {
    pub(super) fn new(case: &Case, wal: Arc<Wal>) -> Self {
        let records = wal.records.len() as u64;
        let first = usize::try_from(case.begun * records / 65536).expect("an index");
        let begun = wal.records.get(first).map_or(wal.end, |it| it.start);
        let options = Options {
            two_phase_at: case.two_phase.then_some(begun),
            ..case.options
        };
        Self {
            options,
            dues: dues(&wal, &options, case.prepared),
            counts: Counts::default(),
            log: case.traced.then(Vec::new),
            wrong: None,
            slot: begun,
            slots: vec![begun],
            begun,
            durable: BTreeSet::new(),
            confirmed: None,
            sent: BTreeSet::new(),
            checked: 0,
            connections: 0,
            losses: case.losses.clone(),
            seed: case.seed,
            ends: case.until.is_some(),
            written: Case::place(&wal, case.written, 0),
            at_end: false,
            finished: Arc::default(),
            wal,
        }
    }

    /// Each connection makes other decisions.
    pub(super) fn salt(&self, connection: u64) -> u64 {
        self.seed.wrapping_mul(1000).wrapping_add(connection * 64)
    }

    /// What a connection that begins now has to send.
    pub(super) fn frames(&self, connection: u64) -> Vec<Frame> {
        frames(&self.wal, self.options, self.slot, self.salt(connection))
    }

    pub(super) fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    pub(super) fn log(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(line());
        }
    }

    /// A status update came.
    pub(super) fn hear(&mut self, flushed: u64, before: u64) {
        self.log(|| format!("    the server hears of {flushed:X}"));
        if flushed == 0 {
            return;
        }
        if flushed < before || flushed < self.slot {
            let slot = self.slot;
            self.wrong(format!(
                "{flushed:X} was told after {before:X}, to a slot at {slot:X}"
            ));
        }
        if let Some(confirmed) = &self.confirmed
            && !confirmed.contains(&flushed)
        {
            self.wrong(format!("{flushed:X} was told and never confirmed"));
        }
        while let Some(due) = self.dues.get(self.checked).copied() {
            let start = self.wal.records[due.record].start;
            if start >= flushed {
                break;
            }
            if start >= self.begun && !self.is_durable(self.checked, due) {
                let what = due.what;
                self.wrong(format!(
                    "{flushed:X} was told, and {what:?} at {start:X} is not durable"
                ));
            }
            self.checked += 1;
        }
        if flushed > self.slot {
            self.slot = flushed;
            self.slots.push(flushed);
            self.counts.met("told: a position");
        }
        if flushed == self.wal.end {
            self.finished.notify_one();
        }
    }

    fn is_durable(&self, at: usize, due: Due) -> bool {
        match due.what {
            What::Hold(transaction) => match self.wal.transactions[&transaction].end {
                Some((_, true)) => {
                    let mut dues = self.dues.iter();
                    let end = dues.position(|due| due.what == What::Commit(transaction));
                    end.is_some_and(|end| !self.dues[end].needed || self.durable.contains(&end))
                }
                Some((end, false)) => self.sent.contains(&end),
                None => false,
            },
            _ => !due.needed || self.durable.contains(&at),
        }
    }

    /// The server crashed, and its slot is as it was some time ago.
    pub(super) fn forget(&mut self, random: &mut Random) {
        let older = random.pick(&self.slots);
        if older < self.slot {
            self.counts.met("slot: back at an older position");
            self.slot = older;
            self.slots.retain(|slot| *slot <= older);
        }
    }
}
