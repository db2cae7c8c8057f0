//! Trying a destination again that was lost: how often, for how long, and what is said about it.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;
use walstream::{Attempts, Backoff};

use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Metrics;
use crate::pulse::Pulse;
use crate::shutdown::Shutdown;

/// How often it is said that the destination is still lost.
const SAID: Duration = Duration::from_secs(30);

/// Attempts after an error of the destination's, until one succeeds.
pub(crate) struct Retry {
    policy: Backoff,
    series: Option<Series>,
    metrics: Option<Metrics>,
    pulse: Option<Pulse>,
}

struct Series {
    attempts: Attempts,
    began: Instant,
    said: Option<Instant>,
}

impl Retry {
    pub(crate) const fn new(policy: Backoff) -> Self {
        Self {
            policy,
            series: None,
            metrics: None,
            pulse: None,
        }
    }

    /// Also writes down there whether the destination is lost.
    pub(crate) fn told(mut self, metrics: &Metrics) -> Self {
        self.metrics = Some(metrics.clone());
        self
    }

    /// Lets who looks on know.
    pub(crate) fn telling(mut self, pulse: &Pulse) -> Self {
        self.pulse = Some(pulse.clone());
        self
    }

    /// Waits before the next attempt; gives the error back when there is to be none.
    pub(crate) async fn pause(&mut self, error: Error, shutdown: &mut Shutdown) -> Result<()> {
        if error.kind() != ErrorKind::Retry || shutdown.is_asked() {
            return Err(error);
        }
        if let Some(metrics) = &self.metrics {
            metrics.destination_is_lost(&error);
        }
        let now = Instant::now();
        let series = self.series.get_or_insert_with(|| Series {
            attempts: self.policy.begin(now.into_std()),
            began: now,
            said: None,
        });
        let drawn = RandomState::new().hash_one(());
        let Some(pause) = series.attempts.pause(now.into_std(), drawn) else {
            return Err(error);
        };
        if let Some(pulse) = &self.pulse {
            pulse.lost(true);
        }
        if series.said.is_none_or(|said| said.elapsed() >= SAID) {
            series.said = Some(now);
            tracing::warn!(
                %error,
                cause = cause(&error),
                lost_for = ?rounded(series.began.elapsed()),
                next_try_in = ?rounded(pause),
                "the destination does not take changes; they wait, and it is tried again"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = shutdown.asked() => Err(error),
        }
    }

    /// Whether the last attempt failed.
    pub(crate) const fn is_on(&self) -> bool {
        self.series.is_some()
    }

    /// An attempt succeeded.
    pub(crate) fn over(&mut self) {
        if let Some(series) = self.series.take() {
            if let Some(metrics) = &self.metrics {
                metrics.destination_is_there();
            }
            if let Some(pulse) = &self.pulse {
                pulse.lost(false);
            }
            let lost_for = rounded(series.began.elapsed());
            tracing::info!(?lost_for, "the destination takes changes again");
        }
    }
}

/// The first error underneath, which says more than ours where a connection was lost.
fn cause(error: &Error) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

fn rounded(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::backoff;
    use crate::shutdown::ShutdownHandle;

    const MINUTE: Duration = Duration::from_secs(60);

    fn lost() -> Error {
        Error::retry("lost")
    }

    #[tokio::test(start_paused = true)]
    async fn a_series_ends_with_its_time_and_the_next_begins_anew() {
        let (_handle, mut shutdown) = ShutdownHandle::new();
        let mut retry = Retry::new(backoff(MINUTE));
        for _ in 0..2 {
            let start = Instant::now();
            let mut attempts = 0;
            while retry.pause(lost(), &mut shutdown).await.is_ok() {
                attempts += 1;
            }
            assert_eq!(start.elapsed(), MINUTE);
            assert!((5..20).contains(&attempts), "{attempts} attempts");
            retry.over();
            assert!(!retry.is_on());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_again_where_that_is_not_wanted_or_of_no_use() {
        let (_handle, mut shutdown) = ShutdownHandle::new();
        let mut never = Retry::new(backoff(Duration::ZERO));
        assert!(never.pause(lost(), &mut shutdown).await.is_err());
        let mut retry = Retry::new(backoff(MINUTE));
        let person = retry.pause(Error::person("a conflict"), &mut shutdown);
        assert_eq!(person.await.unwrap_err().kind(), ErrorKind::Person);
        assert!(!retry.is_on());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_not_waited_for() {
        let (handle, mut shutdown) = ShutdownHandle::new();
        let mut retry = Retry::new(backoff(MINUTE));
        while retry
            .series
            .as_ref()
            .is_none_or(|it| it.attempts.made() < 8)
        {
            retry.pause(lost(), &mut shutdown).await.unwrap();
        }
        let start = Instant::now();
        let asked = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            handle.shut_down();
        };
        let (paused, ()) = tokio::join!(retry.pause(lost(), &mut shutdown), asked);
        assert!(paused.is_err());
        assert_eq!(start.elapsed(), Duration::from_millis(1));
        assert!(retry.pause(lost(), &mut shutdown).await.is_err());
    }
}
