//! `cut-over`: options, and telling what was done.

use std::io::Write;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::FollowedArgs;
use super::metrics::duration;
use crate::cut_over::{CutOverConfig, Missing, cut_over};
use crate::error::{Error, Result};

/// Options of `cut-over`.
#[derive(Debug, Args)]
pub struct CutOverArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap takes it as a heading")]
    pub followed: FollowedArgs,
    /// PostgreSQL that the application will write to (a URL as for `run`)
    #[arg(
        long,
        env = "REPLICATOR_DESTINATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub destination: String,
    /// How long to wait for open transactions at the source, and for a run that is behind
    #[arg(long, env = "REPLICATOR_CUT_OVER_WAIT", default_value = "60s", value_name = "DURATION", value_parser = duration)]
    pub wait: Duration,
    /// Print the SQL for the destination, and what stands against a cut-over now; change nothing
    #[arg(long, env = "REPLICATOR_CUT_OVER_DRY_RUN")]
    pub dry_run: bool,
    /// What to do about a column that has a sequence at the source and none at the destination
    #[arg(
        long,
        env = "REPLICATOR_CUT_OVER_MISSING",
        default_value = "refuse",
        value_name = "POLICY"
    )]
    pub missing: MissingArg,
    /// Also set sequences that have gone further at the destination than at the source
    #[arg(long, env = "REPLICATOR_CUT_OVER_SET_BACK")]
    pub set_back: bool,
    /// Cut over although tables are stopped, whose rows are old
    #[arg(long, env = "REPLICATOR_CUT_OVER_LEAVE_STOPPED")]
    pub leave_stopped: bool,
    /// A JSON object, one a line, for programs
    #[arg(long, env = "REPLICATOR_JSON")]
    pub json: bool,
}

/// `--missing`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MissingArg {
    /// Name it with the statement that makes one, and set nothing
    Refuse,
    /// Make one
    Make,
    /// Name it, and set the others
    Leave,
}

impl From<MissingArg> for Missing {
    fn from(arg: MissingArg) -> Self {
        match arg {
            MissingArg::Refuse => Self::Refuse,
            MissingArg::Make => Self::Make,
            MissingArg::Leave => Self::Leave,
        }
    }
}

impl CutOverArgs {
    /// Cuts over, and says what was done and what comes next.
    ///
    /// # Errors
    ///
    /// As [`cut_over`]; and the output cannot be written.
    pub async fn run(self, mut out: impl Write) -> Result<()> {
        let config = CutOverConfig::new(&self.followed.source, &self.destination)
            .slot(&self.followed.slot)
            .wait(self.wait)
            .missing(self.missing.into())
            .set_back(self.set_back)
            .leave_stopped(self.leave_stopped)
            .dry_run(self.dry_run);
        let done = cut_over(&config).await?;
        let text = match (self.json, self.dry_run) {
            (true, _) => done.json(),
            (false, true) => done.sql(),
            (false, false) => done.lines(),
        };
        out.write_all(text.as_bytes())
            .map_err(|error| Error::retry("cannot write to standard output").caused_by(error))
    }
}
