//! What two looks and more tell of how it moves. Pure; the time is handed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use walstream::walproto::Lsn;

/// How long the slot has to stand still, with something sent that is not durable, before that means something: positions of
/// a stream without changes are stored every 10 s.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);

/// Looks that are remembered.
const MOST: usize = 60;

/// How far both sides are at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// End of the source's WAL.
    pub(super) wal: Lsn,
    /// What was sent of it, if it is being sent.
    pub(super) sent: Option<Lsn>,
    pub(super) confirmed: Lsn,
    /// What the destination says.
    pub(super) stored: Option<Lsn>,
}

#[derive(Debug, Default)]
pub(super) struct Motion {
    looks: VecDeque<(Place, Instant)>,
    /// Since when what was sent is not durable, and nothing more of it becomes so.
    held: Option<(Lsn, Instant)>,
}

/// Bytes of WAL in a second, between the last two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    /// Written at the source.
    pub(crate) written: Option<u64>,
    /// Confirmed to it.
    pub(crate) confirmed: Option<u64>,
    /// Durable at the destination, by its own row.
    pub(crate) stored: Option<u64>,
}

impl Motion {
    pub(super) fn look(&mut self, place: Place, now: Instant) {
        // What lies before the slot's position was sent and is durable, and what is ahead of it may be.
        let waits = place.sent.is_some_and(|sent| sent > place.confirmed);
        self.held = match self.held {
            _ if !waits => None,
            Some((at, since)) if at == place.confirmed => Some((at, since)),
            _ => Some((place.confirmed, now)),
        };
        self.looks.push_back((place, now));
        if self.looks.len() > MOST {
            self.looks.pop_front();
        }
    }

    /// How long the slot has stood still although more was sent; once that means something.
    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        let (_, since) = self.held?;
        let held = now.saturating_duration_since(since);
        (held >= PATIENCE).then_some(held)
    }

    /// Whether it stands still, and not for long enough to mean something.
    pub(super) fn is_unsettled(&self, now: Instant) -> bool {
        self.held.is_some() && self.held_for(now).is_none()
    }

    /// How long ago the source's WAL ended at or before what is durable now: as it was then, the destination is.
    pub(super) fn lag(&self, durable: Lsn, now: Instant) -> Option<Duration> {
        let mut looks = self.looks.iter().rev();
        let (last, _) = looks.clone().next()?;
        if durable >= last.wal {
            return Some(Duration::ZERO);
        }
        let (_, then) = looks.find(|(place, _)| place.wal <= durable)?;
        Some(now.saturating_duration_since(*then))
    }

    pub(super) fn rates(&self) -> Rates {
        let mut looks = self.looks.iter().rev();
        let (Some((now, at)), Some((before, then))) = (looks.next(), looks.next()) else {
            return Rates::default();
        };
        let millis = at.saturating_duration_since(*then).as_millis().max(1);
        let rate = |now: Lsn, before: Lsn| {
            let bytes = u128::from(now.0.saturating_sub(before.0));
            u64::try_from(bytes * 1000 / millis).unwrap_or(u64::MAX)
        };
        Rates {
            written: Some(rate(now.wal, before.wal)),
            confirmed: Some(rate(now.confirmed, before.confirmed)),
            stored: now
                .stored
                .zip(before.stored)
                .map(|(now, before)| rate(now, before)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn place(wal: u64, sent: u64, confirmed: u64) -> Place {
        Place {
            wal: Lsn(wal),
            sent: Some(Lsn(sent)),
            confirmed: Lsn(confirmed),
            stored: None,
        }
    }

    #[test]
    fn a_slot_that_waits_for_its_idle_position_is_not_held() {
        let start = Instant::now();
        let mut motion = Motion::default();
        for second in 0..11 {
            motion.look(place(200, 200, 100), start + second * SECOND);
        }
        assert!(motion.is_unsettled(start + 11 * SECOND));
        motion.look(place(200, 200, 200), start + 11 * SECOND);
        assert!(!motion.is_unsettled(start + 11 * SECOND));
        assert_eq!(motion.held_for(start + 60 * SECOND), None);
        // One that moves, if not far, is not either.
        for second in 12..60 {
            let moved = 200 + u64::from(second);
            motion.look(place(1000, 1000, moved), start + second * SECOND);
        }
        assert_eq!(motion.held_for(start + 60 * SECOND), None);
    }

    #[test]
    fn a_slot_that_stands_still_with_more_sent_is_held() {
        let start = Instant::now();
        let mut motion = Motion::default();
        motion.look(place(200, 200, 100), start);
        motion.look(place(300, 300, 100), start + 12 * SECOND);
        assert_eq!(motion.held_for(start + 12 * SECOND), Some(12 * SECOND));
        assert!(!motion.is_unsettled(start + 12 * SECOND));
    }

    #[test]
    fn rates_are_of_the_last_two_looks_and_lag_of_all() {
        let start = Instant::now();
        let mut motion = Motion::default();
        assert_eq!(motion.rates(), Rates::default());
        assert_eq!(motion.lag(Lsn(1), start), None);
        motion.look(place(1000, 1000, 1000), start);
        motion.look(place(2000, 2000, 1000), start + SECOND);
        motion.look(place(5000, 2000, 2000), start + 3 * SECOND);
        let rates = motion.rates();
        assert_eq!((rates.written, rates.confirmed), (Some(1500), Some(500)));
        let now = start + 3 * SECOND;
        assert_eq!(motion.lag(Lsn(5000), now), Some(Duration::ZERO));
        assert_eq!(motion.lag(Lsn(2500), now), Some(2 * SECOND));
        assert_eq!(motion.lag(Lsn(1999), now), Some(3 * SECOND));
        assert_eq!(motion.lag(Lsn(999), now), None);
    }
}
