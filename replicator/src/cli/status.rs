//! `status`: options, and showing it once or again and again.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;

use super::FollowedArgs;
use super::metrics::duration;
use crate::error::{Error, Result};
use crate::status::{Status, StatusConfig, Watcher, status};

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap takes it as a heading")]
    pub followed: FollowedArgs,
    /// Also look at what is remembered there (a URL as for `run`)
    #[arg(
        long,
        env = "REPLICATOR_DESTINATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub destination: Option<String>,
    /// A JSON object, one a line, for programs
    #[arg(long, env = "REPLICATOR_JSON")]
    pub json: bool,
    /// Show it again and again, until interrupted
    #[arg(long, env = "REPLICATOR_WATCH")]
    pub watch: bool,
    /// How long to wait in between
    #[arg(long, env = "REPLICATOR_INTERVAL", default_value = "2s", value_name = "DURATION", requires = "watch", value_parser = duration)]
    pub interval: Duration,
}

impl StatusArgs {
    /// Shows it; the exit code says what a script has to know.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written to.
    pub async fn run(self) -> Result<u8> {
        let mut config = StatusConfig::new(&self.followed.source).slot(&self.followed.slot);
        if let Some(url) = &self.destination {
            config = config.destination(url);
        }
        if !self.watch {
            let status = status(&config).await;
            self.show(&status, false)?;
            return Ok(status.exit_code());
        }
        let mut watcher = Watcher::new(&config);
        let clear = !self.json && io::stdout().is_terminal();
        loop {
            let status = watcher.look().await;
            match self.show(&status, clear) {
                // Who has seen enough closes the pipe.
                Err(error) if is_closed(&error) => return Ok(status.exit_code()),
                shown => shown?,
            }
            // What is wrong with the command line will be so the next time.
            if status.source.as_ref().is_err_and(is_usage) {
                return Ok(status.exit_code());
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                _ = tokio::signal::ctrl_c() => return Ok(status.exit_code()),
            }
        }
    }

    fn show(&self, status: &Status, clear: bool) -> Result<()> {
        let text = match (self.json, self.watch && !clear) {
            (true, _) => status.json(),
            (false, true) => status.lines() + "\n",
            (false, false) => status.lines(),
        };
        let mut out = io::stdout().lock();
        // Home, then what is left of the last one behind each line and below.
        let text = if clear {
            format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
        } else {
            text
        };
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Error::retry("cannot write to standard output").caused_by(error))
    }
}

fn is_usage(error: &Error) -> bool {
    error.kind() == crate::ErrorKind::Usage
}

fn is_closed(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|it| it.downcast_ref::<io::Error>())
        .is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}
