//! What a run is at, for who looks on from the same process: a service manager's watchdog, a line of its status.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};
use walstream::walproto::Lsn;

use crate::config::Config;

/// Follows a run; see [`Config::pulse`]. Clones follow the same one.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// How often it beats where all is well, at least.
    period: Duration,
    /// The last beat, in milliseconds since it began.
    last: AtomicU64,
    /// The destination has been asked for something.
    asked: AtomicBool,
    /// The destination does not take changes.
    lost: AtomicBool,
    phase: AtomicU8,
    position: AtomicU64,
    copied: Mutex<String>,
}

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Stage {
    /// Looks at both sides, waits for the slot.
    Starting,
    /// Waits for its turn beside another process, or begins it.
    StandingBy,
    /// Copies what is there.
    Copying,
    /// Applies changes.
    Streaming,
}

impl Pulse {
    /// One that beats at least once in `period` while the run goes on.
    pub fn new(period: Duration) -> Self {
        Self(Arc::new(Shared {
            began: Instant::now(),
            period,
            last: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            phase: AtomicU8::new(Stage::Starting as u8),
            position: AtomicU64::new(0),
            copied: Mutex::default(),
        }))
    }

    /// What the run is at.
    pub fn phase(&self) -> Stage {
        match self.0.phase.load(Ordering::Relaxed) {
            0 => Stage::Starting,
            1 => Stage::StandingBy,
            2 => Stage::Copying,
            _ => Stage::Streaming,
        }
    }

    /// Whether it has got on within this time, or waits for an answer of the destination's: how long that may take is not
    /// for who looks on to decide.
    pub fn turns(&self, within: Duration) -> bool {
        let last = Duration::from_millis(self.0.last.load(Ordering::Relaxed));
        self.0.asked.load(Ordering::Relaxed) || self.0.began.elapsed().saturating_sub(last) < within
    }

    /// Whether the destination does not take changes, and is tried again.
    pub fn is_destination_lost(&self) -> bool {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Gets on.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(now, Ordering::Relaxed);
    }

    /// When to beat although nothing happens.
    pub(crate) fn ticks(&self) -> Interval {
        let mut ticks = tokio::time::interval(self.0.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Beats until the future is dropped, while something goes on that has limits of its own.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn beats<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut ticks = self.ticks();
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => self.beat(),
            }
        }
    }

    /// Asks the destination for something, or has its answer.
    pub(crate) fn asks(&self, asked: bool) {
        self.beat();
        self.0.asked.store(asked, Ordering::Relaxed);
    }

    /// Does what is not the destination's while something is asked of it.
    ///
    /// # Cancel safety
    ///
    /// As that of `work`.
    pub(crate) async fn rests<T>(&self, work: impl Future<Output = T>) -> T {
        self.asks(false);
        let done = work.await;
        self.asks(true);
        done
    }

    pub(crate) fn lost(&self, lost: bool) {
        self.0.lost.store(lost, Ordering::Relaxed);
    }

    /// Is not, or not any more, at work itself.
    pub(crate) fn stands_by(&self) {
        self.0
            .phase
            .store(Stage::StandingBy as u8, Ordering::Relaxed);
    }

    pub(crate) fn enters(&self, phase: Stage) {
        self.beat();
        self.0.phase.fetch_max(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn stands_at(&self, position: Lsn) {
        self.0.position.store(position.0, Ordering::Relaxed);
    }

    pub(crate) fn copied(&self, figures: String) {
        let copied = self.0.copied.lock();
        *copied.unwrap_or_else(PoisonError::into_inner) = figures;
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new(Duration::from_secs(10))
    }
}

impl fmt::Display for Pulse {
    /// A line for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase() {
            _ if self.is_destination_lost() => f.write_str(
                "the destination does not take changes; they wait, and it is tried again",
            ),
            Stage::Starting => f.write_str("starting"),
            Stage::StandingBy => {
                f.write_str("standing by, for as long as another process has the slot")
            }
            Stage::Copying => {
                let copied = self.0.copied.lock();
                let copied = copied.unwrap_or_else(PoisonError::into_inner);
                write!(f, "copying{copied}")
            }
            Stage::Streaming => {
                let position = Lsn(self.0.position.load(Ordering::Relaxed));
                write!(
                    f,
                    "streaming; everything up to {position} is durable at the destination"
                )
            }
        }
    }
}

impl Config {
    /// What follows the run.
    #[must_use]
    pub fn pulse(mut self, pulse: &Pulse) -> Self {
        self.pulse = pulse.clone();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_gets_on_beats_and_who_does_not_is_noticed() {
        let pulse = Pulse::new(SECOND);
        assert!(pulse.turns(2 * SECOND));
        tokio::time::advance(3 * SECOND).await;
        assert!(!pulse.turns(2 * SECOND));
        let work = tokio::time::sleep(60 * SECOND);
        pulse.beats(work).await;
        assert!(pulse.turns(2 * SECOND));
        // The destination may take its time.
        pulse.asks(true);
        tokio::time::advance(3600 * SECOND).await;
        assert!(pulse.turns(2 * SECOND));
        pulse.asks(false);
        tokio::time::advance(2 * SECOND).await;
        assert!(!pulse.turns(2 * SECOND));
    }

    #[tokio::test]
    async fn its_words_follow_the_run() {
        let pulse = Pulse::default();
        assert_eq!(pulse.to_string(), "starting");
        pulse.enters(Stage::Streaming);
        pulse.enters(Stage::Copying);
        pulse.stands_at(Lsn(0x16_B374_D848));
        assert_eq!(
            pulse.to_string(),
            "streaming; everything up to 16/B374D848 is durable at the destination"
        );
        pulse.lost(true);
        assert!(pulse.to_string().contains("tried again"));
    }
}
