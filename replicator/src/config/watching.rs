//! How a run is watched.

use std::time::Duration;

use super::{Config, OnMaxLag};
use crate::error::{Error, Result};
use crate::metrics::Metrics;

/// What watches a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watching {
    /// Whether somebody looks: otherwise the source is not asked for more than a run needs.
    pub(crate) on: bool,
    pub(crate) metrics: Metrics,
    pub(crate) guard: Guard,
    pub(crate) heartbeat: Option<Duration>,
}

/// The lag that is too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) bytes: Option<u64>,
    pub(crate) time: Option<Duration>,
    pub(crate) act: OnMaxLag,
}

impl Guard {
    /// Refuses to drop a slot by what is no bound of its WAL.
    pub(crate) fn check(self) -> Result<()> {
        if self.act == OnMaxLag::DropSlot && self.bytes.is_none() {
            return Err(Error::usage(
                "--on-max-lag drop-slot needs --max-lag in bytes, such as 50GB: a slot fills a disk by those",
            )
            .with_hint("add the bytes, or leave --on-max-lag out"));
        }
        Ok(())
    }
}

impl Config {
    /// Where a run writes down how it is. It then asks the source every few seconds how that and the slot are, over a
    /// connection of its own.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.watching.metrics = metrics.clone();
        self.watching.on = true;
        self
    }

    /// A lag in bytes of WAL above which a run warns, and is [not ready](Metrics::readiness). It goes on all the same,
    /// and keeps the slot unless [`on_max_lag`](Self::on_max_lag) says otherwise.
    #[must_use]
    pub const fn max_lag_bytes(mut self, bytes: u64) -> Self {
        self.watching.guard.bytes = Some(bytes);
        self.watching.on = true;
        self
    }

    /// The same in time, by the source's clock. It is known to within a few seconds.
    #[must_use]
    pub const fn max_lag_time(mut self, time: Duration) -> Self {
        self.watching.guard.time = Some(time);
        self.watching.on = true;
        self
    }

    /// What a run does beyond the bound in bytes, besides warning.
    #[must_use]
    pub const fn on_max_lag(mut self, act: OnMaxLag) -> Self {
        self.watching.guard.act = act;
        self
    }

    /// Writes a transaction of one logical message (`pg_logical_emit_message`, prefix `replicator`) to the source
    /// whenever nothing was applied for so long, and measures how long it takes to the destination and back. It needs no
    /// table. Messages of others are then received too, and passed over.
    ///
    /// An idle slot moves without it. A source that is a standby cannot be written to, and says so.
    #[must_use]
    pub const fn heartbeat(mut self, interval: Duration) -> Self {
        self.watching.heartbeat = Some(interval);
        self.watching.on = true;
        self
    }
}
