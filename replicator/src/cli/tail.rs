//! Options of `tail`.

use clap::Args;

use super::ColorArg;
use crate::config::Until;
use crate::show::{ColorChoice, Form};
use crate::tail::TailConfig;

/// Options of `tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// PostgreSQL to read from, as postgres://user@host:port/database
    #[arg(
        long,
        env = "REPLICATOR_SOURCE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub source: String,
    /// Replication slot that exists, from where it is and without moving it; a temporary one from now on without this
    // Not REPLICATOR_SLOT: that is a replication's, which would be kept from it.
    #[arg(long, env = "REPLICATOR_TAIL_SLOT", value_name = "NAME")]
    pub slot: Option<String>,
    /// Move the named slot over what was written: it then comes only once, and is lost if the output is
    #[arg(long, env = "REPLICATOR_ADVANCE", requires = "slot")]
    pub advance: bool,
    /// Publication to read, which must exist; can be given more than once. `replicator` without this
    #[arg(
        long,
        env = "REPLICATOR_PUBLICATION",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub publication: Vec<String>,
    /// JSON objects, one a line, for programs
    #[arg(long, env = "REPLICATOR_JSON")]
    pub json: bool,
    /// When to colour lines; NO_COLOR is respected by auto
    #[arg(
        long,
        env = "REPLICATOR_COLOR",
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub color: ColorArg,
    /// Stop when everything committed before the start (`current`), or up to a position, was shown
    #[arg(long, env = "REPLICATOR_UNTIL", value_name = "current|LSN")]
    pub until: Option<Until>,
    /// Stop after so many changes
    #[arg(long, env = "REPLICATOR_COUNT", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Protocol version; the highest that the server speaks without this
    #[arg(long, env = "REPLICATOR_PROTOCOL", value_name = "1..4", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub protocol: Option<u8>,
    /// Messages of pg_logical_emit_message too
    #[arg(long, env = "REPLICATOR_MESSAGES")]
    pub messages: bool,
}

impl From<TailArgs> for TailConfig {
    fn from(args: TailArgs) -> Self {
        let form = if args.json {
            Form::Json
        } else {
            Form::Lines {
                color: ColorChoice::from(args.color).on_stdout(),
            }
        };
        let mut config = Self::new(args.source, form)
            .advance(args.advance)
            .messages(args.messages);
        for name in args.publication {
            config = config.publication(name);
        }
        if let Some(name) = args.slot {
            config = config.slot(name);
        }
        if let Some(version) = args.protocol {
            config = config.protocol(version);
        }
        if let Some(until) = args.until {
            config = config.until(until);
        }
        if let Some(changes) = args.count {
            config = config.count(changes);
        }
        config
    }
}
