//! Options of every command.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::log;

/// What the help is divided into, here and for the others.
const GENERAL: &str = "General";

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct GeneralArgs {
    /// File with options as name = value, in TOML; variables and options count more
    #[arg(long, global = true, help_heading = GENERAL, env = "REPLICATOR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How log lines look
    #[arg(
        long, global = true, help_heading = GENERAL,
        env = "REPLICATOR_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    pub log_format: LogFormatArg,
    /// What is logged: error, warn, info, debug, or filters such as info,walstream=debug
    #[arg(
        long, global = true, help_heading = GENERAL,
        env = "REPLICATOR_LOG",
        value_name = "LEVEL",
        value_parser = log::level
    )]
    pub log: Option<String>,
}

/// `--log-format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    /// A line for people
    Text,
    /// A JSON object in each line, for programs
    Json,
}

impl From<LogFormatArg> for log::Format {
    fn from(format: LogFormatArg) -> Self {
        match format {
            LogFormatArg::Text => Self::Text,
            LogFormatArg::Json => Self::Json,
        }
    }
}
