//! How far the destination is behind the source: in bytes of WAL, and in time by the source's own clock. Pure; the time
//! is handed in.
//!
//! Now and then the source says what time it is and where its WAL ends. Once the destination is past such a place, it is
//! as the source was then, or later: so lag is known for a source on which nothing is published too, and none of it
//! depends on our clock. Between two such looks the commit time of the last transaction is the better mark.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use walstream::walproto::Lsn;

/// Looks that are remembered: an hour of them at first; the longer the lag, the wider they are apart.
const MOST: usize = 1200;

/// What is known of both sides.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// Looks at places that the destination has not reached, the oldest first.
    ahead: VecDeque<Look>,
    last: Option<Look>,
    /// Of so many looks one is remembered: all of them, until they are too many.
    step: usize,
    /// Looks since one was.
    since: usize,
    reached: Lsn,
    /// The destination is as the source was at this time, in microseconds since 1970.
    as_of: Option<i64>,
    /// No older than this: the first look, when nothing else is known.
    first: Option<i64>,
}

/// The source at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Its clock, in microseconds since 1970.
    pub(super) time: i64,
    /// Where its WAL ends.
    pub(super) wal: Lsn,
    /// When that was, by our clock, which only counts on from there.
    pub(super) at: Instant,
}

impl Lag {
    /// Forgets both sides: another run.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The source as it is now.
    pub(super) fn look(&mut self, look: Look) {
        self.first.get_or_insert(look.time);
        // After a failover, or when its clock was set back, what was seen before means nothing any more.
        if self
            .last
            .is_some_and(|last| look.wal < last.wal || look.time < last.time)
        {
            self.ahead.clear();
        }
        self.last = Some(look);
        if self.ahead.is_empty() {
            (self.step, self.since) = (1, 0);
        }
        self.since += 1;
        if self.since < self.step {
            return;
        }
        self.since = 0;
        self.ahead.push_back(look);
        if self.ahead.len() > MOST {
            // Evenly, so that a long lag is told as exactly as its length allows.
            let mut every_other = false;
            self.ahead.retain(|_| {
                every_other = !every_other;
                every_other
            });
            self.step *= 2;
        }
    }

    /// The destination has everything up to `reached`; the last transaction in it committed at `commit`.
    pub(super) fn reached(&mut self, reached: Lsn, commit: Option<i64>) {
        let mut as_of = self.as_of.max(commit);
        while let Some(look) = self.ahead.pop_front_if(|look| look.wal <= reached) {
            as_of = as_of.max(Some(look.time));
        }
        self.as_of = as_of;
        self.reached = reached;
    }

    /// Bytes of WAL behind `reached`; unknown before the source was looked at.
    pub(super) fn bytes(&self, reached: Lsn) -> Option<u64> {
        Some(self.last?.wal.0.saturating_sub(reached.0))
    }

    /// How old what the destination has is; none when it had everything at the last look. A lower bound where the run
    /// began far behind and has not written anything yet.
    pub(super) fn time(&self, now: Instant) -> Option<Duration> {
        let last = self.last?;
        if last.wal <= self.reached {
            return Some(Duration::ZERO);
        }
        let since = now.saturating_duration_since(last.at).as_micros();
        let source = last
            .time
            .saturating_add(i64::try_from(since).unwrap_or(i64::MAX));
        let micros = source.saturating_sub(self.as_of.or(self.first)?);
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    /// The source's clock at a moment of ours, once it is known.
    pub(super) fn clock(&self) -> Option<(i64, Instant)> {
        self.last.map(|last| (last.time, last.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    struct Clock(Instant);

    impl Clock {
        fn look(&self, second: u64, wal: u64) -> Look {
            Look {
                time: i64::try_from(second).unwrap() * SECOND,
                wal: Lsn(wal),
                at: self.0 + seconds(second),
            }
        }
    }

    #[test]
    fn a_destination_that_is_past_the_last_look_has_no_lag() {
        let clock = Clock(Instant::now());
        let mut lag = Lag::default();
        assert_eq!((lag.bytes(Lsn(0)), lag.time(clock.0)), (None, None));
        lag.look(clock.look(10, 100));
        lag.reached(Lsn(100), None);
        assert_eq!(lag.bytes(Lsn(100)), Some(0));
        assert_eq!(lag.time(clock.0 + seconds(12)), Some(Duration::ZERO));
    }

    #[test]
    fn lag_is_the_age_of_what_the_destination_has() {
        let clock = Clock(Instant::now());
        let mut lag = Lag::default();
        for second in 1..=20 {
            lag.look(clock.look(second, second * 100));
        }
        // As of the fifth second, and no transaction tells more.
        lag.reached(Lsn(550), None);
        assert_eq!(lag.bytes(Lsn(550)), Some(1450));
        assert_eq!(lag.time(clock.0 + seconds(20)), Some(seconds(15)));
        // Nobody looks any more, and time goes on.
        assert_eq!(lag.time(clock.0 + seconds(30)), Some(seconds(25)));
        // The commit between two looks does.
        lag.reached(Lsn(560), Some(5_600_000));
        assert_eq!(
            lag.time(clock.0 + seconds(20)),
            Some(Duration::from_millis(14_400))
        );
    }

    #[test]
    fn a_run_that_begins_far_behind_is_behind_by_what_was_seen_of_it_at_least() {
        let clock = Clock(Instant::now());
        let mut lag = Lag::default();
        lag.look(clock.look(100, 1000));
        lag.look(clock.look(107, 2000));
        lag.reached(Lsn(1), None);
        assert_eq!(lag.time(clock.0 + seconds(107)), Some(seconds(7)));
        lag.reached(Lsn(2), Some(40 * SECOND));
        assert_eq!(lag.time(clock.0 + seconds(107)), Some(seconds(67)));
    }

    #[test]
    fn a_night_of_lag_is_remembered_within_bounds() {
        let clock = Clock(Instant::now());
        let mut lag = Lag::default();
        for second in 1..=40_000 {
            lag.look(clock.look(second, second));
        }
        assert!(lag.ahead.len() <= MOST, "{}", lag.ahead.len());
        lag.reached(Lsn(20_000), None);
        let time = lag.time(clock.0 + seconds(40_000)).unwrap();
        assert!(
            time >= seconds(20_000) && time < seconds(20_200),
            "{time:?}"
        );
    }

    #[test]
    fn a_source_that_went_back_begins_anew() {
        let clock = Clock(Instant::now());
        let mut lag = Lag::default();
        lag.look(clock.look(1, 1000));
        lag.look(clock.look(2, 500));
        lag.reached(Lsn(500), None);
        assert_eq!(lag.time(clock.0 + seconds(3)), Some(Duration::ZERO));
    }
}
