//! The server's clock readings.

/// Microseconds from 2000-01-01 00:00 UTC to 1970-01-01 00:00 UTC, with the sign turned.
const UNIX_OFFSET: i64 = 946_684_800_000_000;

/// Microseconds since 2000-01-01 00:00 UTC; negative before.
///
/// A commit time is the time at the transaction's origin, so it may run backwards from one transaction to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From microseconds since 1970-01-01 00:00 UTC; `None` where that does not fit.
    pub const fn from_unix_micros(micros: i64) -> Option<Self> {
        match micros.checked_sub(UNIX_OFFSET) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// Microseconds since 1970-01-01 00:00 UTC; `None` where that does not fit, and for infinity.
    pub const fn unix_micros(self) -> Option<i64> {
        if self.is_finite() {
            self.0.checked_add(UNIX_OFFSET)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epochs_are_thirty_years_apart() {
        // date -u -d '2000-01-01' +%s
        assert_eq!(Timestamp(0).unix_micros(), Some(946_684_800 * 1_000_000));
        assert_eq!(
            Timestamp::from_unix_micros(0),
            Some(Timestamp(-946_684_800_000_000))
        );
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(Timestamp(i64::MAX - 1).unix_micros(), None);
        assert_eq!(Timestamp::INFINITY.unix_micros(), None);
        assert_eq!(Timestamp::NEG_INFINITY.unix_micros(), None);
        assert_eq!(Timestamp::from_unix_micros(i64::MIN), None);
    }
}
