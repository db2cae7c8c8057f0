//! How much is committed together: enough that the commit itself costs little, and not so much that it takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// What a batch of a backlog is to take at the destination before it is committed. The commit is not counted: where it
/// is slow, by a standby far away perhaps, larger batches are what helps.
const TARGET: Duration = Duration::from_secs(1);

/// No batch is made smaller than this because of the time that it takes.
const LEAST_BYTES: u64 = 64 << 10;
const LEAST_TRANSACTIONS: usize = 16;

/// Bounds of what is gathered behind a transaction, from what the last batches took.
///
/// They matter in a backlog only: what is there is committed at once, however little it is.
#[derive(Clone)]
pub(super) struct Measure(Arc<Bounds>);

struct Bounds {
    bytes: AtomicU64,
    transactions: AtomicUsize,
    most_bytes: u64,
    most_transactions: usize,
}

impl Measure {
    /// Begins with the largest batches.
    pub(super) fn new(most_bytes: u64, most_transactions: usize) -> Self {
        Self(Arc::new(Bounds {
            bytes: AtomicU64::new(most_bytes),
            transactions: AtomicUsize::new(most_transactions),
            most_bytes,
            most_transactions,
        }))
    }

    pub(super) fn most_bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn most_transactions(&self) -> usize {
        self.0.transactions.load(Ordering::Relaxed)
    }

    /// A batch of these took so long to be ready for its commit.
    pub(super) fn took(&self, bytes: u64, transactions: usize, time: Duration) {
        let (now_bytes, now_transactions) = (self.most_bytes(), self.most_transactions());
        let bounds = &self.0;
        if time > TARGET {
            // What did not bound the batch is not what has to change; of what did, half at least is left: one slow batch
            // is no rule.
            if bytes >= now_bytes / 2 {
                let fewer = share(now_bytes, time).max(LEAST_BYTES);
                let fewer = fewer.min(bounds.most_bytes);
                bounds.bytes.store(fewer, Ordering::Relaxed);
            }
            if transactions >= now_transactions / 2 {
                let fewer = share(now_transactions as u64, time);
                let fewer = usize::try_from(fewer).unwrap_or(now_transactions);
                let fewer = fewer.max(LEAST_TRANSACTIONS).min(bounds.most_transactions);
                bounds.transactions.store(fewer, Ordering::Relaxed);
            }
        } else if time < TARGET / 2 {
            let more = now_bytes.saturating_mul(2).min(bounds.most_bytes);
            bounds.bytes.store(more, Ordering::Relaxed);
            let more = now_transactions.saturating_mul(2);
            let more = more.min(bounds.most_transactions);
            bounds.transactions.store(more, Ordering::Relaxed);
        }
    }
}

/// As much of it as would have been in time, and half at least.
fn share(bound: u64, time: Duration) -> u64 {
    let thousandths = TARGET.as_millis() * 1000 / time.as_millis().max(1);
    let thousandths = u64::try_from(thousandths).unwrap_or(1000).clamp(500, 1000);
    (u128::from(bound) * u128::from(thousandths) / 1000)
        .try_into()
        .unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_destination_gets_batches_of_about_the_target() {
        let measure = Measure::new(8 << 20, 10_000);
        // A millisecond for each transaction.
        let mut took = Duration::ZERO;
        for _ in 0..20 {
            let transactions = measure.most_transactions();
            took = Duration::from_millis(transactions as u64);
            measure.took(transactions as u64 * 100, transactions, took);
        }
        assert!(took <= TARGET && took >= TARGET / 4, "{took:?}");
    }

    #[test]
    fn a_fast_destination_gets_the_largest_again() {
        let measure = Measure::new(8 << 20, 10_000);
        for _ in 0..30 {
            let (bytes, transactions) = (measure.most_bytes(), measure.most_transactions());
            measure.took(bytes, transactions, Duration::from_secs(60));
        }
        assert_eq!(measure.most_transactions(), LEAST_TRANSACTIONS);
        assert_eq!(measure.most_bytes(), LEAST_BYTES);
        for _ in 0..30 {
            measure.took(100, 1, Duration::from_millis(1));
        }
        assert_eq!(measure.most_transactions(), 10_000);
        assert_eq!(measure.most_bytes(), 8 << 20);
    }

    #[test]
    fn a_large_transaction_says_nothing_about_small_ones() {
        let measure = Measure::new(8 << 20, 10_000);
        measure.took(1 << 30, 1, Duration::from_secs(60));
        assert_eq!(measure.most_transactions(), 10_000);
    }

    #[test]
    fn what_the_user_wants_is_never_exceeded() {
        let measure = Measure::new(1000, 2);
        for time in [Duration::from_secs(60), Duration::ZERO] {
            for _ in 0..10 {
                measure.took(1 << 30, 1_000_000, time);
                assert!(measure.most_bytes() <= 1000 && measure.most_transactions() <= 2);
            }
        }
    }
}
