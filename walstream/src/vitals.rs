//! Whether the server is there, and what of it waits here: for who watches a stream from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use walproto::Lsn;

use crate::limits::Held;
use crate::progress::Progress;
use crate::spool::Usage;

/// What the socket task notes of its connections.
#[derive(Debug)]
pub(crate) struct Pulse {
    began: Instant,
    /// How long a server may be silent, which is then asked.
    patience: Duration,
    connected: AtomicBool,
    /// Milliseconds from the beginning.
    heard: AtomicU64,
    losses: AtomicU64,
}

impl Pulse {
    /// On a connection that stands.
    pub(crate) fn new(patience: Duration, now: Instant) -> Self {
        Self {
            began: now,
            patience,
            connected: AtomicBool::new(true),
            heard: AtomicU64::new(0),
            losses: AtomicU64::new(0),
        }
    }

    /// Bytes came, or none are being read because what is there waits for the consumer.
    pub(crate) fn heard(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.began).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.heard.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) {
        self.connected.store(false, Ordering::Relaxed);
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn back(&self, now: Instant) {
        self.heard(now);
        self.connected.store(true, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self) {
        self.connected.store(false, Ordering::Relaxed);
    }
}

/// How a [`Stream`](crate::Stream) is; cheap to read, from any thread, and a moment old. Outlives the stream.
#[derive(Clone, Debug)]
pub struct Vitals {
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) usage: Arc<Usage>,
}

impl Vitals {
    /// Whether there is a connection. One whose other end has gone silent counts until it is given up, twice
    /// [`patience`](Self::patience) later: see [`silent_for`](Self::silent_for).
    pub fn is_connected(&self) -> bool {
        self.pulse.connected.load(Ordering::Relaxed)
    }

    /// Since when nothing was heard of the server. One without news is asked after [`patience`](Self::patience), so
    /// that much is nothing to worry about.
    pub fn silent_for(&self, now: Instant) -> Duration {
        let heard = Duration::from_millis(self.pulse.heard.load(Ordering::Relaxed));
        now.saturating_duration_since(self.pulse.began)
            .saturating_sub(heard)
    }

    /// How long the server may be silent before it is asked whether it is there: its `wal_sender_timeout`.
    pub fn patience(&self) -> Duration {
        self.pulse.patience
    }

    /// How many connections were lost so far.
    pub fn losses(&self) -> u64 {
        self.pulse.losses.load(Ordering::Relaxed)
    }

    /// As [`Progress::received`].
    pub fn received(&self) -> Lsn {
        self.progress.received()
    }

    /// As [`Stream::held`](crate::Stream::held).
    pub fn held(&self) -> Held {
        Held {
            memory: self.usage.memory(),
            disk: self.usage.disk(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_from_what_was_heard_last() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let vitals = Vitals {
            pulse: Arc::new(Pulse::new(15 * second, start)),
            progress: Arc::default(),
            usage: Arc::default(),
        };
        assert_eq!(vitals.silent_for(start + 3 * second), 3 * second);
        vitals.pulse.heard(start + 2 * second);
        assert_eq!(vitals.silent_for(start + 3 * second), second);
        // Asked with a time that was taken before.
        assert_eq!(vitals.silent_for(start + second), Duration::ZERO);
        vitals.pulse.lost();
        assert!(!vitals.is_connected());
        vitals.pulse.back(start + 9 * second);
        assert!(vitals.is_connected());
        assert_eq!(vitals.losses(), 1);
        assert_eq!(vitals.silent_for(start + 10 * second), second);
        vitals.pulse.ended();
        assert!(!vitals.is_connected());
        assert_eq!(vitals.losses(), 1, "an end is no loss");
    }
}
