//! Whether what a run replicates arrives, in words.

use std::fmt;
use std::time::Instant;

use walstream::{SlotState, Vitals};

use super::Metrics;
use super::figures::Figures;
use super::state::{CopyState, Link, Phase};
use crate::config::Guard;
use crate::show::people::{size, span};

/// Whether what is replicated arrives, and if not, why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    reasons: Vec<String>,
}

impl Readiness {
    /// Whether nothing stands against it.
    pub const fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }

    /// What does, one sentence each, without full stop.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ready() {
            return f.write_str("ready");
        }
        f.write_str(&self.reasons.join("\n"))
    }
}

impl Metrics {
    /// Whether what is replicated arrives.
    ///
    /// It does not before the first copy is complete and after the run has ended; while it is paused; while the source is not connected, or
    /// is silent for longer than its `wal_sender_timeout`; while the destination does not take changes; while the slot is
    /// lost, a table is stopped, or the lag is above [`Config::max_lag_bytes`](crate::Config::max_lag_bytes) or
    /// [`max_lag_time`](crate::Config::max_lag_time). A table that is copied while others stream does not count.
    pub fn readiness(&self) -> Readiness {
        let figures = self.figures();
        let state = self.state();
        let mut reasons = Vec::new();
        let mut not = |why: String| reasons.push(why);
        match &figures.phase {
            Phase::Waiting => not("the run has not begun".to_owned()),
            Phase::Starting => not(
                "the run is starting, or waits for another replicator: it does not stream yet"
                    .to_owned(),
            ),
            Phase::Copying => not(copying(&state.copy)),
            Phase::Ended(None) => not("the run has ended".to_owned()),
            Phase::Ended(Some(error)) => not(format!("the run has ended: {error}")),
            Phase::Streaming => {}
        }
        if figures.paused {
            reasons.push("it is paused: nothing is copied or applied until SIGUSR2".to_owned());
        }
        if let Some(vitals) = &state.vitals
            && !matches!(figures.phase, Phase::Ended(_))
        {
            reasons.extend(source(vitals));
        }
        if let Link::Lost { since, why } = &state.destination {
            let time = span(since.elapsed());
            reasons.push(format!(
                "the destination has not taken changes for {time}, and is tried again: {why}"
            ));
        }
        if let Some(seen) = &state.seen {
            match &seen.slot {
                Some(slot) => {
                    if let SlotState::Lost { reason } = &slot.state {
                        let slot = &slot.name;
                        reasons.push(format!("replication slot {slot:?} is lost: {reason}"));
                    }
                }
                None if figures.phase == Phase::Streaming => {
                    reasons.push(format!(
                        "replication slot {:?} does not exist any more",
                        state.slot
                    ));
                }
                None => {}
            }
        }
        for table in state.tables.values() {
            if let crate::TableState::Stopped(why) = &table.state {
                let name = format!("{}.{}", table.schema, table.name);
                reasons.push(format!("table {name} is stopped: {why}"));
            }
        }
        reasons.extend(exceeded(&figures, state.guard));
        Readiness { reasons }
    }
}

fn copying(copy: &CopyState) -> String {
    format!(
        "the first copy is not complete: {} of {} tables, {:.0} %",
        copy.tables_done,
        copy.tables,
        (copy.fraction * 100.0).floor()
    )
}

fn source(vitals: &Vitals) -> Option<String> {
    if !vitals.is_connected() {
        return Some("the source is not connected".to_owned());
    }
    let silent = vitals.silent_for(Instant::now());
    let patience = vitals.patience();
    // It is asked then, and has to answer.
    (silent > patience + patience / 4).then(|| {
        format!(
            "the source has been silent for {}, and should have answered after {}",
            span(silent),
            span(patience)
        )
    })
}

/// What of the guard is exceeded.
pub(super) fn exceeded(figures: &Figures, guard: Guard) -> Vec<String> {
    let mut reasons = Vec::new();
    if let (Some(lag), Some(most)) = (figures.lag_bytes, guard.bytes)
        && lag > most
    {
        let (lag, most) = (size(lag), size(most));
        reasons.push(format!(
            "the destination is {lag} behind, above --max-lag of {most}"
        ));
    }
    if let (Some(lag), Some(most)) = (figures.lag, guard.time)
        && lag > most
    {
        let (lag, most) = (span(lag), span(most));
        reasons.push(format!(
            "the destination is {lag} behind, above --max-lag of {most}"
        ));
    }
    reasons
}
