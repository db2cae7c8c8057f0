//! The command line: what can be asked for, and how it becomes a [`Config`](crate::Config).

mod aliases;
mod bars;
mod check;
#[cfg(feature = "postgres")]
mod cut_over;
mod decode;
mod effective;
mod file;
mod general;
mod given;
mod list;
mod metrics;
mod notify;
mod pages;
mod rate;
mod record;
mod refused;
mod run;
mod secret;
mod signals;
mod status;
mod tail;
mod unknown;

use std::ffi::OsString;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::error::Error;
use crate::log::redact;
use crate::names::TableName;

pub use aliases::Aliases;
pub use bars::{Bars, Log};
pub use check::CheckArgs;
#[cfg(feature = "postgres")]
pub use cut_over::{CutOverArgs, MissingArg};
pub use decode::DecodeArgs;
pub use effective::ConfigArgs;
pub use general::{GeneralArgs, LogFormatArg};
pub use list::List;
pub use metrics::{MostLag, OnMaxLagArg, WatchArgs};
pub use notify::Notify;
pub use pages::{CompletionsArgs, ManArgs};
pub use record::RecordArgs;
pub use refused::Refused;
pub use run::{
    AutoCreateArg, CompressionArg, CopyArg, ExistingArg, KeylessArg, OnConflictArg, OnMisfitArg,
    OnTableErrorArg, RunArgs, StreamingArg,
};
pub(crate) use secret::password;
pub use signals::Signals;
pub use status::StatusArgs;
pub use tail::TailArgs;

/// PostgreSQL changes into other databases, exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "replicator",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap takes it as a heading")]
    pub general: GeneralArgs,
}

/// A command line, with what there is to say about it once there is a log.
#[derive(Debug)]
pub struct Called {
    /// What to do.
    pub cli: Cli,
    aliases: Result<Aliases, Error>,
    warnings: Vec<String>,
}

impl Called {
    /// Writes into the log what was noticed.
    ///
    /// # Errors
    ///
    /// What the environment says to `pg2any` is what would count, and cannot be used.
    pub fn say(&mut self) -> Result<(), Error> {
        for warning in self.warnings.drain(..) {
            tracing::warn!("{warning}");
        }
        std::mem::replace(&mut self.aliases, Ok(Aliases::default()))?.say();
        Ok(())
    }
}

impl Cli {
    /// Every command and option there is, as the parser has them.
    pub fn definition() -> clap::Command {
        secret::offer(Self::command())
    }

    /// Reads a command line, with what the environment, and the file that one of them names, say where it does not, and
    /// what the environment says to `pg2any` where nothing else says it.
    ///
    /// # Errors
    ///
    /// As the parser's: help and version are among them. And those of the file and of passwords that are not there.
    pub fn read(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Called, Refused> {
        let environment: Vec<(OsString, OsString)> = environment.into_iter().collect();
        let names: Vec<OsString> = environment.iter().map(|(name, _)| name.clone()).collect();
        let mut aliases = Aliases::read(environment);
        let command = given::command(&aliases);
        let unknown = unknown::variables(&command, names);
        let mut given = given::read(command, arguments.into_iter().collect(), false)?;
        let mut cli = Self::from_arg_matches(&given.matches)
            .map_err(|error| error.format(&mut given.command))?;
        let settled = match given.subcommand() {
            Some(("run" | "check", run)) => aliases.settle(run).map(|()| aliases),
            _ => Ok(Aliases::default()),
        };
        let mut warnings = std::mem::take(&mut given.warnings);
        warnings.extend(unknown);
        for url in ["source", "destination"] {
            let password = given.text(url).and_then(|url| password(&url));
            password.iter().for_each(|password| redact::learn(password));
        }
        let said = |id: &str| Some((given.text(id)?, given.weight(id)?));
        let mut urls = Vec::new();
        let put = |id: &str, url: String| urls.push((id.to_owned(), url));
        secret::resolve(said, put, &mut warnings)?;
        for (id, url) in urls {
            let (source, destination) = cli.command.urls();
            let place = if id == "source" { source } else { destination };
            if let Some(place) = place {
                *place = url;
            }
        }
        Ok(Called {
            cli,
            aliases: settled,
            warnings,
        })
    }
}

impl Command {
    /// Where source and destination stand, for those that have them.
    fn urls(&mut self) -> (Option<&mut String>, Option<&mut String>) {
        match self {
            Self::Run(it) => (Some(&mut it.source.source), Some(&mut it.destination)),
            Self::Check(it) => (
                Some(&mut it.run.source.source),
                Some(&mut it.run.destination),
            ),
            Self::Status(it) => (Some(&mut it.followed.source), it.destination.as_mut()),
            Self::Resync(it) => (Some(&mut it.followed.source), Some(&mut it.destination)),
            Self::Adopt(it) => (Some(&mut it.source.source), Some(&mut it.destination)),
            #[cfg(feature = "postgres")]
            Self::CutOver(it) => (Some(&mut it.followed.source), Some(&mut it.destination)),
            Self::Drop(it) => (Some(&mut it.source.source), it.destination.as_mut()),
            Self::Tail(it) => (Some(&mut it.source), None),
            Self::Record(it) => (Some(&mut it.source), None),
            Self::Decode(_) | Self::Config(_) | Self::Completions(_) | Self::Man(_) => (None, None),
            #[cfg(feature = "sqlite")]
            Self::Demo(_) => (None, None),
        }
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look whether a run with the same options would work, and say what mends what is wrong; nothing is changed
    Check(CheckArgs),
    /// Copy what is there, then stream changes until stopped
    Run(RunArgs),
    /// Show lag, slot and tables, and in words why the slot does not move
    Status(StatusArgs),
    /// Copy tables anew, by the run that goes on or by the next one
    Resync(ResyncArgs),
    /// Go on with another source after an upgrade or failover, when its tables hold what the destination holds
    Adopt(AdoptArgs),
    /// See that everything is at a PostgreSQL destination, and set its sequences, before the application writes there
    #[cfg(feature = "postgres")]
    CutOver(CutOverArgs),
    /// Remove slot, publication (only if ours) and our tables' rows at the destination
    Drop(DropArgs),
    /// Show changes as they are committed, without moving or making anything lasting
    Tail(TailArgs),
    /// Write what the source sends into a capture file
    Record(RecordArgs),
    /// Show a capture file as readable lines, as JSON, or summed up
    Decode(DecodeArgs),
    /// Print what a command would be told by file, environment and command line, and by which of them
    Config(ConfigArgs),
    /// Show the whole thing on a throwaway PostgreSQL and a SQLite file
    #[cfg(feature = "sqlite")]
    Demo(DemoArgs),
    /// Print what lets a shell complete commands and options
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command
    Man(ManArgs),
}

/// What the help is divided into, here and for `run`.
const SOURCE_AND_DESTINATION: &str = "Source and destination";

/// Source, slot and publications.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// PostgreSQL to read from, as postgres://user@host:port/database
    #[arg(
        long, help_heading = SOURCE_AND_DESTINATION,
        env = "REPLICATOR_SOURCE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub source: String,
    /// Replication slot; also names the position at the destination
    #[arg(
        long, help_heading = SOURCE_AND_DESTINATION,
        env = "REPLICATOR_SLOT",
        default_value = "replicator",
        value_name = "NAME"
    )]
    pub slot: String,
    /// Publication to read; can be given more than once. `replicator` is made when it does not exist
    #[arg(
        long, help_heading = SOURCE_AND_DESTINATION,
        env = "REPLICATOR_PUBLICATION",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub publication: Vec<String>,
}

/// Source and slot of a run that there is.
#[derive(Debug, Args)]
pub struct FollowedArgs {
    /// PostgreSQL that is read from, as postgres://user@host:port/database
    #[arg(
        long,
        env = "REPLICATOR_SOURCE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub source: String,
    /// Replication slot of the run
    #[arg(
        long,
        env = "REPLICATOR_SLOT",
        default_value = "replicator",
        value_name = "NAME"
    )]
    pub slot: String,
}

/// Options of `drop`.
#[derive(Debug, Args)]
pub struct DropArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap takes it as a heading")]
    pub source: SourceArgs,
    /// Also forget the position there (a URL as for `run`); the tables stay
    #[arg(
        long,
        env = "REPLICATOR_DESTINATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub destination: Option<String>,
}

/// Options of `resync`.
#[derive(Debug, Args)]
pub struct ResyncArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap takes it as a heading")]
    pub followed: FollowedArgs,
    /// Where it is written to (a URL as for `run`)
    #[arg(
        long,
        env = "REPLICATOR_DESTINATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub destination: String,
    /// Tables to copy anew, as schema.table,…
    // Not REPLICATOR_TABLES, which are many, nor anything that a run might have beside it.
    #[arg(
        long,
        env = "REPLICATOR_RESYNC_TABLE",
        required = true,
        value_name = "TABLES",
        value_parser = list::names
    )]
    pub table: Vec<List<TableName>>,
}

impl ResyncArgs {
    /// The tables.
    pub fn tables(&self) -> Vec<TableName> {
        List::all(self.table.clone()).collect()
    }
}

/// Options of `adopt`.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap takes it as a heading")]
    pub source: SourceArgs,
    /// Where it is written to (a URL as for `run`)
    #[arg(
        long,
        env = "REPLICATOR_DESTINATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub destination: String,
}

/// Options of `demo`.
#[cfg(feature = "sqlite")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder with initdb and postgres; looked for in the usual places without this
    #[arg(long, env = "REPLICATOR_DEMO_POSTGRES", value_name = "FOLDER")]
    pub postgres: Option<PathBuf>,
    /// The SQLite file to write; a temporary one that is removed without this
    #[arg(long, env = "REPLICATOR_DEMO_OUTPUT", value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Seconds of workload
    #[arg(long, env = "REPLICATOR_DEMO_SECONDS", default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Change a value in the file before the comparison, so that a test sees it fail
    #[arg(long, hide = true)]
    pub tamper: bool,
}

/// `--color`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ColorArg {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<ColorArg> for crate::show::ColorChoice {
    fn from(color: ColorArg) -> Self {
        match color {
            ColorArg::Auto => Self::Auto,
            ColorArg::Always => Self::Always,
            ColorArg::Never => Self::Never,
        }
    }
}
