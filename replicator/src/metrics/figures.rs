//! The same figures for who runs the library, without text and HTTP.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use walstream::walproto::Lsn;
use walstream::{Slot, Vitals};

use super::state::{Link, Phase, State};
use super::{Fault, Metrics};

/// What a run counts and knows of itself at a moment. Where something is not known it is `None`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// What it is at.
    pub phase: Phase,
    /// Whether it is paused: no rows are copied, and no changes applied.
    pub paused: bool,
    /// Source transactions that are durable at the destination.
    pub transactions: u64,
    /// Changes of rows, and truncated tables, among them.
    pub changes: u64,
    /// Changes that were left out.
    pub left_out: u64,
    /// Heartbeats that were sent.
    pub heartbeats: u64,
    /// Connections to the source that were lost.
    pub source_losses: u64,
    /// Attempts at the destination that failed and were repeated.
    pub destination_retries: u64,
    /// Whether the stream is connected.
    pub source_connected: bool,
    /// Since when nothing was heard of the source.
    pub source_silent: Option<Duration>,
    /// Whether the destination takes changes.
    pub destination_connected: bool,
    /// Since when it does not.
    pub destination_lost: Option<Duration>,
    /// Everything before it is durable at the destination.
    pub position: Lsn,
    /// End of what was received.
    pub received: Lsn,
    /// Bytes of the source's WAL that the destination does not have yet, as far as any of it is for the destination.
    pub lag_bytes: Option<u64>,
    /// How old what the destination has is, by the source's clock; none when it has everything.
    pub lag: Option<Duration>,
    /// For how long a batch has been written now.
    pub batch_running: Option<Duration>,
    /// Received changes in memory, in bytes.
    pub memory: u64,
    /// Received changes in files, in bytes.
    pub spool: u64,
    /// The slot, as the source told it last.
    pub slot: Option<SlotFigures>,
    /// How long ago that was.
    pub observed: Option<Duration>,
    /// Where the source's WAL ended then.
    pub source_position: Option<Lsn>,
}

/// A slot in the source's own figures.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotFigures {
    /// The slot.
    pub slot: Slot,
    /// Bytes of WAL that it keeps from being removed.
    pub retained: Option<u64>,
    /// Bytes of WAL that were not confirmed.
    pub unconfirmed: Option<u64>,
    /// How long nobody has used it.
    pub inactive: Option<Duration>,
}

impl Metrics {
    /// All of it, as of now.
    pub fn figures(&self) -> Figures {
        let now = Instant::now();
        let count = |it: &std::sync::atomic::AtomicU64| it.load(Ordering::Relaxed);
        let inner = &*self.0;
        let reached = self.reached();
        let begun = count(&inner.batch_begun);
        let batch_running = (begun > 0).then(|| {
            let begun = Duration::from_millis(begun - 1);
            now.saturating_duration_since(inner.began)
                .saturating_sub(begun)
        });
        let retried = Fault::ALL
            .iter()
            .position(|it| *it == Fault::DestinationRetry);
        let mut state = self.state();
        state.lag.reached(reached, self.committed());
        let state = &*state;
        let vitals = state.vitals.as_ref();
        let held = vitals.map(Vitals::held);
        Figures {
            phase: state.phase.clone(),
            paused: state.is_paused(),
            transactions: count(&inner.transactions),
            changes: count(&inner.changes),
            left_out: count(&inner.left_out),
            heartbeats: count(&inner.heartbeats),
            source_losses: state.losses + vitals.map_or(0, Vitals::losses),
            destination_retries: retried.map_or(0, |at| count(&inner.errors[at])),
            source_connected: vitals.is_some_and(Vitals::is_connected),
            source_silent: vitals.map(|it| it.silent_for(now)),
            destination_connected: matches!(state.destination, Link::Up),
            destination_lost: match state.destination {
                Link::Lost { since, .. } => Some(now.saturating_duration_since(since)),
                Link::None | Link::Up => None,
            },
            position: Lsn(count(&inner.stored)),
            received: vitals.map_or(Lsn::ZERO, Vitals::received),
            // Before the position is known, nothing is.
            lag_bytes: state.lag.bytes(reached).filter(|_| !reached.is_zero()),
            lag: state.lag.time(now).filter(|_| !reached.is_zero()),
            batch_running,
            memory: held.map_or(0, |held| held.memory),
            spool: held.map_or(0, |held| held.disk),
            slot: state.slot_figures(),
            observed: state
                .seen
                .as_ref()
                .map(|seen| now.saturating_duration_since(seen.at)),
            source_position: state.seen.as_ref().map(|seen| Lsn(seen.wal)),
        }
    }
}

impl State {
    fn slot_figures(&self) -> Option<SlotFigures> {
        let seen = self.seen.as_ref()?;
        let slot = seen.slot.clone()?;
        let behind = |lsn: Option<Lsn>| lsn.map(|lsn| seen.wal.saturating_sub(lsn.0));
        Some(SlotFigures {
            retained: behind(slot.restart_lsn),
            unconfirmed: behind(slot.confirmed_flush),
            inactive: seen.inactive,
            slot,
        })
    }
}
