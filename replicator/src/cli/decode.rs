//! Options of `decode`.

use std::path::PathBuf;

use clap::Args;

use super::ColorArg;
use crate::decode::DecodeConfig;
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
