//! How fast copies go, all workers together, and whether they go at all.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Pauses a run, and lets it go on; see [`Config::copy_handle`](crate::Config::copy_handle).
///
/// What was read is written still, so the pause begins within a moment. The stream keeps its connection, its slot and
/// what that holds back at the source; no more of it is applied, and no more rows are copied.
#[derive(Clone, Debug)]
pub struct CopyHandle(watch::Sender<bool>);

impl CopyHandle {
    /// One that lets it go.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets no further rows and changes through. Asking again changes nothing.
    pub fn pause(&self) {
        self.0.send_replace(true);
    }

    /// Lets them through again.
    pub fn resume(&self) {
        self.0.send_replace(false);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    async fn going(&self) {
        // The sender is our own, so it cannot be gone.
        let _ = self.watch().wait_for(|&paused| !paused).await;
    }
}

impl Default for CopyHandle {
    fn default() -> Self {
        Self::new()
    }
}

/// What lets rows through.
#[derive(Debug)]
pub(crate) struct Pace {
    bucket: Option<Mutex<Bucket>>,
    handle: CopyHandle,
}

impl Pace {
    /// So many bytes in a second, or as many as there are.
    pub(crate) fn new(rate: Option<u64>, handle: CopyHandle) -> Self {
        let bucket = rate.map(|rate| Mutex::new(Bucket::new(rate, Instant::now())));
        Self { bucket, handle }
    }

    /// Whether it is paused, from now on.
    pub(super) fn pauses(&self) -> watch::Receiver<bool> {
        self.handle.watch()
    }

    /// Waits until so many bytes more may go.
    ///
    /// # Cancel safety
    ///
    /// What was asked for counts as gone.
    pub(crate) async fn take(&self, bytes: usize) {
        self.handle.going().await;
        if let Some(bucket) = &self.bucket {
            let at = bucket
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(bytes as u64, Instant::now());
            tokio::time::sleep_until(at).await;
            self.handle.going().await;
        }
    }
}

/// Tokens that come at a steady rate. Who takes more than there are is let through once those before are paid for, and
/// leaves the debt to the next, so that nothing is too large.
#[derive(Debug)]
struct Bucket {
    rate: u64,
    /// When all that was taken is paid for.
    paid: Instant,
}

impl Bucket {
    /// How long of doing nothing is made up for: rows come in bursts, and the rate is to be met on average.
    const CREDIT: Duration = Duration::from_secs(1);

    const fn new(rate: u64, now: Instant) -> Self {
        Self { rate, paid: now }
    }

    /// When so many may go.
    fn take(&mut self, bytes: u64, now: Instant) -> Instant {
        let earliest = now.checked_sub(Self::CREDIT).unwrap_or(now);
        let at = self.paid.max(earliest);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.max(1));
        // A slow rate and a large row could reach beyond what a clock can tell.
        let nanos = nanos.min(Duration::from_secs(86_400 * 365).as_nanos());
        self.paid = at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        at.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_debt_is_left_to_the_next() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000, start);
        assert_eq!(bucket.take(5000, start), start);
        assert_eq!(bucket.take(1, start), start + 5 * SECOND);
        let later = start + 5 * SECOND + SECOND / 1000;
        assert_eq!(bucket.take(1000, later), later);
        assert_eq!(bucket.take(1000, later), later + SECOND);
    }

    #[test]
    fn no_more_than_a_second_is_made_up_for() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000, start);
        let now = start + 3600 * SECOND;
        // One second's worth that was saved, and one on credit.
        assert_eq!(bucket.take(1000, now), now);
        assert_eq!(bucket.take(1000, now), now);
        assert_eq!(bucket.take(1000, now), now + SECOND);
    }

    #[test]
    fn no_amount_is_beyond_the_clock() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1, start);
        bucket.take(u64::MAX, start);
        assert!(bucket.take(1, start) > start + 86_400 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn workers_share_one_rate() {
        let pace = Pace::new(Some(1_000_000), CopyHandle::new());
        let start = Instant::now();
        let worker = async || {
            for _ in 0..50 {
                pace.take(100_000).await;
            }
        };
        tokio::join!(worker(), worker());
        // 10 MB, of which the last waits only for those before it.
        let took = start.elapsed();
        assert!(took > 9 * SECOND && took <= 10 * SECOND, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let pace = Pace::new(None, CopyHandle::new());
        let start = Instant::now();
        pace.take(usize::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_until_it_is_over() {
        for rate in [None, Some(1_000_000)] {
            let handle = CopyHandle::new();
            let pace = Pace::new(rate, handle.clone());
            pace.take(2_000_000).await;
            handle.pause();
            let hour = tokio::time::timeout(3600 * SECOND, pace.take(1)).await;
            assert!(hour.is_err(), "{rate:?} went on");
            handle.resume();
            let soon = tokio::time::timeout(3 * SECOND, pace.take(1)).await;
            assert!(soon.is_ok(), "{rate:?} does not go on");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_rate_waits_for_a_pause_too() {
        let handle = CopyHandle::new();
        let pace = Pace::new(Some(1000), handle.clone());
        pace.take(2000).await;
        let waits = async {
            pace.take(1).await;
            Instant::now()
        };
        let pause = async {
            tokio::time::sleep(SECOND).await;
            handle.pause();
            tokio::time::sleep(10 * SECOND).await;
            handle.resume();
        };
        let start = Instant::now();
        let (went, ()) = tokio::join!(waits, pause);
        assert_eq!(went - start, 11 * SECOND);
    }
}
