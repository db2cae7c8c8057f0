//! `cut-over`: options, and telling what was done.

use std::io::Write;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::metrics::duration;
use crate::cut_over::{CutOver, CutOverConfig, Missing, cut_over};
use crate::error::{Error, Result};

/// Options of `cut-over`.
#[derive(Debug, Args)]
pub struct CutOverArgs {
    /// PostgreSQL that is read from, and that nobody writes to any more, as postgres://user@host:port/database
    #[arg(
        long,
        env = "REPLICATOR_SOURCE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub source: String,
    /// PostgreSQL that the application will write to (a URL as for `run`)
    #[arg(
        long,
        env = "REPLICATOR_DESTINATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub destination: String,
    /// Replication slot of the run
    #[arg(
        long,
        env = "REPLICATOR_SLOT",
        default_value = "replicator",
        value_name = "NAME"
    )]
    pub slot: String,
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
        let config = CutOverConfig::new(&self.source, &self.destination)
            .slot(&self.slot)
            .wait(self.wait)
            .missing(self.missing.into())
            .set_back(self.set_back)
            .leave_stopped(self.leave_stopped)
            .dry_run(self.dry_run);
        let done = cut_over(&config).await?;
        let text = if self.dry_run {
            sql(&done)
        } else {
            told(&done)
        };
        out.write_all(text.as_bytes())
            .map_err(|error| Error::retry("cannot write to standard output").caused_by(error))
    }
}

/// What was done, line by line.
fn told(done: &CutOver) -> String {
    let CutOver {
        position,
        tables,
        steps,
        notes,
        ..
    } = done;
    let mut text = format!(
        "destination: at {position}, which is all of the source's {tables} tables; nobody wrote there meanwhile\n"
    );
    for step in steps {
        text += &format!("{step}\n");
    }
    let set = steps.iter().filter(|it| !it.statements.is_empty()).count();
    text += &format!(
        "sequences: {set} changed, {} as they were\n",
        steps.len() - set
    );
    for note in notes {
        text += &format!("note: {note}\n");
    }
    text += "next: point the application to the destination; once it works there, stop the run and remove what is left: \
             replicator drop with the same --source, --destination and --slot\n";
    text
}

/// What would be done, for psql.
fn sql(done: &CutOver) -> String {
    let comment = |text: &str| format!("-- {}\n", text.replace('\n', "\n-- "));
    let mut text = comment("as of now; whoever writes at the source moves these numbers");
    for what in &done.not_yet {
        text += &comment(&format!("not yet: {what}"));
    }
    for note in &done.notes {
        text += &comment(&format!("note: {note}"));
    }
    for step in &done.steps {
        text += &comment(&step.to_string());
        for statement in &step.statements {
            text += &format!("{statement};\n");
        }
    }
    text
}
