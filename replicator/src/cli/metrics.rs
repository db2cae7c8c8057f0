//! How a run is watched: metrics, heartbeats and the lag that is too much.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::rate::rate;
use crate::config::{Config, OnMaxLag};
use crate::error::Result;
use crate::metrics::{Metrics, MetricsServer};

const WATCHING: &str = "Watching";

/// Options of `run` for who watches it.
#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// Answer /metrics (Prometheus), /livez and /readyz there, such as at 127.0.0.1:9187
    #[arg(long, help_heading = WATCHING, env = "REPLICATOR_METRICS", value_name = "HOST:PORT")]
    pub metrics: Option<String>,
    /// Warn, and be not ready, when the destination is further behind: 500MB, 30s or both
    #[arg(
        long, help_heading = WATCHING,
        env = "REPLICATOR_MAX_LAG",
        value_name = "BYTES|DURATION",
        value_delimiter = ',',
        value_parser = most
    )]
    pub max_lag: Vec<MostLag>,
    /// What to do beyond the bytes of --max-lag
    #[arg(
        long, help_heading = WATCHING,
        env = "REPLICATOR_ON_MAX_LAG",
        default_value = "warn",
        value_name = "POLICY"
    )]
    pub on_max_lag: OnMaxLagArg,
    /// Write a message to an idle source this often, such as 10s, to measure the way
    #[arg(long, help_heading = WATCHING, env = "REPLICATOR_HEARTBEAT", value_name = "DURATION", value_parser = interval)]
    pub heartbeat: Option<Duration>,
}

/// `--on-max-lag`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnMaxLagArg {
    /// Warn, and keep the slot
    Warn,
    /// Drop the slot, and end with exit code 3; the destination has to be filled anew
    DropSlot,
}

impl From<OnMaxLagArg> for OnMaxLag {
    fn from(arg: OnMaxLagArg) -> Self {
        match arg {
            OnMaxLagArg::Warn => Self::Warn,
            OnMaxLagArg::DropSlot => Self::DropSlot,
        }
    }
}

/// One value of `--max-lag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MostLag {
    /// Of WAL.
    Bytes(u64),
    /// By the source's clock.
    Time(Duration),
}

impl WatchArgs {
    /// Tells the configuration.
    #[must_use]
    pub fn apply(&self, mut config: Config) -> Config {
        for most in &self.max_lag {
            config = match most {
                MostLag::Bytes(bytes) => config.max_lag_bytes(*bytes),
                MostLag::Time(time) => config.max_lag_time(*time),
            };
        }
        config = config.on_max_lag(self.on_max_lag.into());
        match self.heartbeat {
            Some(interval) => config.heartbeat(interval),
            None => config,
        }
    }

    /// Answers for as long as what is given back lives; an address that cannot be listened at ends the program.
    ///
    /// # Errors
    ///
    /// As [`Metrics::listen`].
    pub async fn listen(&self, metrics: &Metrics) -> Result<Option<MetricsServer>> {
        let Some(address) = &self.metrics else {
            return Ok(None);
        };
        let server = metrics.listen(address).await?;
        tracing::info!(address = %server.address(), "metrics: /metrics, /livez and /readyz");
        Ok(Some(server))
    }
}

fn most(text: &str) -> Result<MostLag, String> {
    duration(text).map(MostLag::Time).or_else(|_| {
        rate(text)
            .ok()
            .filter(|_| !text.ends_with("/s"))
            .map(MostLag::Bytes)
            .ok_or_else(|| "neither bytes such as 500MB nor a time such as 30s or 5min".to_owned())
    })
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(100) {
        return Err("100ms is the shortest".to_owned());
    }
    Ok(interval)
}

/// `500ms`, `30s`, `5min`, `2h` or `1d`; never none at all, and never a bare number.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time such as 500ms, 30s, 5min or 2h, above 0".to_owned();
    let text = text.trim();
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
    // More than some decades is a slip, and more than clocks can add up.
    number
        .checked_mul(millis)
        .filter(|&it| it > 0 && it <= 3_000_000_000_000)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_in_bytes_or_in_time() {
        let seconds = Duration::from_secs;
        for (text, lag) in [
            ("500MB", MostLag::Bytes(500_000_000)),
            ("1GiB", MostLag::Bytes(1 << 30)),
            ("4096", MostLag::Bytes(4096)),
            ("30s", MostLag::Time(seconds(30))),
            ("5min", MostLag::Time(seconds(300))),
            ("2 h", MostLag::Time(seconds(7200))),
            ("1d", MostLag::Time(seconds(86_400))),
            ("1500ms", MostLag::Time(Duration::from_millis(1500))),
        ] {
            assert_eq!(most(text), Ok(lag), "{text}");
        }
        for text in [
            "",
            "0",
            "0s",
            "fast",
            "-1s",
            "1.5s",
            "20MB/s",
            "s",
            "9999999999999999d",
            "é",
        ] {
            assert!(most(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_heartbeat_has_a_unit_and_leaves_time_between() {
        assert_eq!(interval("100ms"), Ok(Duration::from_millis(100)));
        for text in ["10", "99ms", "0s"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
