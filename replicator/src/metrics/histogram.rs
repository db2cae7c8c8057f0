//! Counts in buckets, that a batch adds to at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// The most buckets that one of ours has, the last of which holds all that is larger.
const MOST: usize = 24;

/// How often values fell between bounds. One of ours and not the library's, which takes a lock for each value: a batch of
/// ten thousand transactions is counted on its own first, and adds a number to each bucket then.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [u64],
    /// What a value is divided by to be shown in its unit.
    scale: f64,
    counts: [AtomicU64; MOST],
    sum: AtomicU64,
}

/// What is added together.
#[derive(Debug)]
pub(super) struct Tally {
    counts: [u64; MOST],
    sum: u64,
}

impl Histogram {
    /// Upper bounds in rising order, at most 23; values are shown divided by `scale`.
    pub(super) const fn new(bounds: &'static [u64], scale: f64) -> Self {
        assert!(bounds.len() < MOST);
        Self {
            bounds,
            scale,
            counts: [const { AtomicU64::new(0) }; MOST],
            sum: AtomicU64::new(0),
        }
    }

    pub(super) fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts values on the side.
    pub(super) fn tally(&self, values: impl Iterator<Item = u64>) -> Tally {
        let mut tally = Tally {
            counts: [0; MOST],
            sum: 0,
        };
        for value in values {
            tally.counts[self.bounds.partition_point(|bound| *bound < value)] += 1;
            tally.sum = tally.sum.saturating_add(value);
        }
        tally
    }

    pub(super) fn add(&self, tally: &Tally) {
        for (count, more) in self.counts.iter().zip(tally.counts) {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
        self.sum.fetch_add(tally.sum, Ordering::Relaxed);
    }

    /// Sum, number, and how many are in each bucket, by its upper bound.
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of a century and bytes of a petabyte are still whole numbers"
    )]
    pub(super) fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let buckets: Vec<(f64, u64)> = self
            .bounds
            .iter()
            .map(|bound| *bound as f64 / self.scale)
            .chain([f64::INFINITY])
            .zip(&self.counts)
            .map(|(bound, count)| (bound, count.load(Ordering::Relaxed)))
            .collect();
        let number = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.sum.load(Ordering::Relaxed) as f64 / self.scale;
        (sum, number, buckets)
    }
}

/// Microseconds, from a millisecond to an hour.
pub(super) const MICROS: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    3_600_000_000,
];

/// How many there are.
pub(super) const COUNT: &[u64] = &[
    1, 2, 5, 10, 25, 100, 250, 1_000, 2_500, 10_000, 100_000, 1_000_000,
];

/// Bytes, from a kilobyte to a gigabyte.
pub(super) const BYTES: &[u64] = &[
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
    256 << 20,
    1 << 30,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_a_bound_is_within_it() {
        let one = Histogram::new(&[10, 20], 10.0);
        for value in [0, 10, 11, 20, 21, 500] {
            one.observe(value);
        }
        let (sum, number, buckets) = one.read();
        assert_eq!(buckets, [(1.0, 2), (2.0, 2), (f64::INFINITY, 2)]);
        assert_eq!(number, 6);
        assert!((sum - 56.2).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn what_is_added_together_is_what_was_observed_singly() {
        let (one, other) = (Histogram::new(MICROS, 1e6), Histogram::new(MICROS, 1e6));
        let values = [
            0,
            999,
            1_000,
            1_001,
            70_000_000,
            4_000_000_000,
            4_000_000_000,
        ];
        for value in values {
            one.observe(value);
        }
        other.add(&other.tally(values.into_iter()));
        assert_eq!(one.read(), other.read());
    }
}
