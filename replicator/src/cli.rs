//! The command line: what can be asked for, and how it becomes a [`Config`](crate::Config).

mod aliases;
mod bars;
mod check;
mod decode;
mod list;
mod metrics;
mod rate;
mod record;
mod run;
mod status;
mod tail;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::error::Error;
use crate::names::TableName;

pub use aliases::Aliases;
pub use bars::{Bars, Log};
pub use check::CheckArgs;
pub use decode::DecodeArgs;
pub use list::List;
pub use metrics::{MostLag, WatchArgs};
pub use record::RecordArgs;
pub use run::{
    AutoCreateArg, CompressionArg, CopyArg, ExistingArg, KeylessArg, OnConflictArg, OnMisfitArg,
    OnTableErrorArg, RunArgs, StreamingArg,
};
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
}

impl Cli {
    /// Reads a command line, with what the environment says to `pg2any` where nothing else says it.
    ///
    /// # Errors
    ///
    /// As the parser's: help and version are among them.
    pub fn read(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Result<Aliases, Error>), clap::Error> {
        let mut aliases = Aliases::read(environment);
        let mut command = Self::command()
            .mut_subcommand("run", |run| aliases.put(run))
            .mut_subcommand("check", |check| aliases.put(check));
        let matches = command.try_get_matches_from_mut(arguments)?;
        let cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let settled = match matches.subcommand() {
            Some(("run" | "check", run)) => aliases.settle(run).map(|()| aliases),
            _ => Ok(Aliases::default()),
        };
        Ok((cli, settled))
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
    /// Remove slot, publication (only if ours) and our tables' rows at the destination
    Drop(DropArgs),
    /// Show changes as they are committed, without moving or making anything lasting
    Tail(TailArgs),
    /// Write what the source sends into a capture file
    Record(RecordArgs),
    /// Show a capture file as readable lines, as JSON, or summed up
    Decode(DecodeArgs),
    /// Show the whole thing on a throwaway PostgreSQL and a SQLite file
    #[cfg(feature = "sqlite")]
    Demo(DemoArgs),
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
    /// PostgreSQL that is read from, as postgres://user@host:port/database
    #[arg(
        long,
        env = "REPLICATOR_SOURCE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub source: String,
    /// Where it is written to (a URL as for `run`)
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
    /// Tables to copy anew, as schema.table,…
    #[arg(long, required = true, value_name = "TABLES", value_parser = list::names)]
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
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Seconds of workload
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
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
