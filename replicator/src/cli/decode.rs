//! Options of `decode`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::ColorArg;
use crate::anonymise::{AnonymiseConfig, anonymise};
use crate::decode::{DecodeConfig, decode};
use crate::error::Result;
use crate::show::{ColorChoice, Form};

/// Options of `decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// Capture files in the order in which they were recorded, compressed or not; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// JSON objects, one a line, for programs
    #[arg(long, env = "REPLICATOR_JSON")]
    pub json: bool,
    /// Count what happened to each table
    #[arg(long, env = "REPLICATOR_SUMMARY")]
    pub summary: bool,
    /// Also show relations, types, stream blocks and keepalives
    #[arg(long, env = "REPLICATOR_ALL", conflicts_with = "summary")]
    pub all: bool,
    /// When to colour lines; NO_COLOR is respected by auto
    #[arg(
        long,
        env = "REPLICATOR_COLOR",
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub color: ColorArg,
    /// Show nothing; write a copy with values replaced by others of their kind; booleans, zeros and times stay
    #[arg(
        long,
        alias = "anonymize",
        env = "REPLICATOR_ANONYMISE",
        value_name = "OUT",
        conflicts_with_all = ["json", "summary", "all"]
    )]
    pub anonymise: Option<PathBuf>,
    /// Replace names too: of schemas, tables, columns, publications, origins, prepared transactions
    #[arg(long, env = "REPLICATOR_NAMES", requires = "anonymise")]
    pub names: bool,
}

impl DecodeArgs {
    /// Does what was asked for.
    ///
    /// # Errors
    ///
    /// As [`decode`] and [`anonymise`].
    pub fn run(self, out: impl Write) -> Result<()> {
        match self.anonymise {
            Some(output) => {
                let mut config = AnonymiseConfig::new(self.files, output);
                config.names = self.names;
                anonymise(&config)
            }
            None => decode(&self.into(), out),
        }
    }
}

impl From<DecodeArgs> for DecodeConfig {
    fn from(args: DecodeArgs) -> Self {
        let mut config = Self::new(args.files);
        config.form = match (args.summary, args.json) {
            (true, false) => Form::Summary,
            (true, true) => Form::JsonSummary,
            (false, true) => Form::Json,
            (false, false) => Form::Lines {
                color: ColorChoice::from(args.color).on_stdout(),
            },
        };
        config.everything = args.all;
        config
    }
}
