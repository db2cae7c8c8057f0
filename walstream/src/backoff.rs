//! How long to wait before the next attempt, as a function of time and of a number drawn elsewhere.

use std::time::{Duration, Instant};

/// How often and how fast something that failed is tried again.
///
/// The pause before each attempt is drawn between half of a delay and the whole of it, so that many clients of one
/// server do not come back all at once. The delay begins with [`first_delay`](Self::first_delay) and is multiplied
/// after each attempt until it is [`largest_delay`](Self::largest_delay).
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// Attempts before giving up; `None` for no limit of their number.
    pub attempts: Option<u32>,
    /// The first delay; 250 ms by default.
    pub first_delay: Duration,
    /// The largest delay; 30 s by default.
    pub largest_delay: Duration,
    /// By what the delay grows from one attempt to the next; 2 by default. Less than 1 counts as 1.
    pub multiplier: f64,
    /// Time from the first failure after which nothing is tried any more; `None` for no limit, 5 minutes by default.
    pub total_time: Option<Duration>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            attempts: None,
            first_delay: Duration::from_millis(250),
            largest_delay: Duration::from_secs(30),
            multiplier: 2.0,
            total_time: Some(Duration::from_secs(300)),
        }
    }
}

impl Backoff {
    /// Nothing is ever tried again.
    pub fn never() -> Self {
        Self {
            attempts: Some(0),
            ..Self::default()
        }
    }

    /// A series of attempts that begins with a failure now.
    pub fn begin(&self, now: Instant) -> Attempts {
        Attempts {
            policy: self.clone(),
            began: now,
            made: 0,
            delay: self.first_delay.min(self.largest_delay),
        }
    }
}

/// A series of attempts after a failure.
#[derive(Clone, Debug)]
pub struct Attempts {
    policy: Backoff,
    began: Instant,
    made: u32,
    delay: Duration,
}

impl Attempts {
    /// The pause before the next attempt, or `None` when there is to be none.
    ///
    /// `drawn` shapes the pause: 0 for the shortest, [`u64::MAX`] for the longest. A pause never reaches past the total
    /// time, so that the last attempt is made at its end.
    pub fn pause(&mut self, now: Instant, drawn: u64) -> Option<Duration> {
        if self.policy.attempts.is_some_and(|most| self.made >= most) {
            return None;
        }
        let mut longest = Duration::MAX;
        if let Some(total) = self.policy.total_time {
            longest = total.saturating_sub(now.saturating_duration_since(self.began));
            if longest.is_zero() {
                return None;
            }
        }
        self.made += 1;
        let half = self.delay / 2;
        #[expect(
            clippy::cast_precision_loss,
            reason = "the chance of a pause needs no 64 bits"
        )]
        let pause = half.saturating_add(half.mul_f64(drawn as f64 / u64::MAX as f64));
        let factor = self.policy.multiplier.max(1.0);
        self.delay = Duration::try_from_secs_f64(self.delay.as_secs_f64() * factor)
            .unwrap_or(Duration::MAX)
            .min(self.policy.largest_delay);
        Some(pause.min(longest))
    }

    /// How many attempts were granted.
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// When the failure was that began the series.
    pub const fn began(&self) -> Instant {
        self.began
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> Backoff {
        Backoff {
            attempts: None,
            first_delay: SECOND,
            largest_delay: 10 * SECOND,
            multiplier: 3.0,
            total_time: None,
        }
    }

    #[test]
    fn delays_grow_to_the_largest_and_stay_there() {
        let start = Instant::now();
        let mut attempts = policy().begin(start);
        let longest: Vec<_> = (0..5)
            .map(|_| attempts.pause(start, u64::MAX).unwrap().as_secs())
            .collect();
        assert_eq!(longest, [1, 3, 9, 10, 10]);
        let mut attempts = policy().begin(start);
        let shortest: Vec<_> = (0..4)
            .map(|_| attempts.pause(start, 0).unwrap().as_millis())
            .collect();
        assert_eq!(shortest, [500, 1500, 4500, 5000]);
        assert_eq!(attempts.made(), 4);
    }

    #[test]
    fn the_number_of_attempts_ends_a_series() {
        let start = Instant::now();
        let few = Backoff {
            attempts: Some(2),
            ..policy()
        };
        let mut attempts = few.begin(start);
        assert!(attempts.pause(start, 0).is_some() && attempts.pause(start, 0).is_some());
        assert_eq!(attempts.pause(start, 0), None);
        assert_eq!(Backoff::never().begin(start).pause(start, 0), None);
    }

    #[test]
    fn the_last_attempt_is_made_when_the_time_is_over_and_none_after_it() {
        let start = Instant::now();
        let short = Backoff {
            total_time: Some(4 * SECOND),
            ..policy()
        };
        let mut attempts = short.begin(start);
        let mut now = start;
        let mut pauses = Vec::new();
        while let Some(pause) = attempts.pause(now, u64::MAX) {
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [1, 3]);
        assert_eq!(now - start, 4 * SECOND);
    }

    #[test]
    fn no_policy_overflows() {
        let start = Instant::now();
        let wild = Backoff {
            largest_delay: Duration::MAX,
            multiplier: f64::INFINITY,
            ..policy()
        };
        let mut attempts = wild.begin(start);
        for _ in 0..100 {
            assert!(attempts.pause(start, u64::MAX).is_some());
        }
        for multiplier in [f64::NAN, -1.0, 0.0] {
            let mut attempts = Backoff {
                multiplier,
                ..policy()
            }
            .begin(start);
            attempts.pause(start, 0);
            assert_eq!(attempts.pause(start, u64::MAX), Some(SECOND));
        }
    }
}
