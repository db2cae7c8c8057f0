//! Options of `record`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::StreamingArg;
use crate::config::Until;
use crate::record::{DEFAULT_SLOT, RecordConfig};

/// Options of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// PostgreSQL to read from, as postgres://user@host:port/database
    #[arg(
        long,
        env = "REPLICATOR_SOURCE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub source: String,
    /// Capture file to write; one that exists is continued
    #[arg(long, env = "REPLICATOR_OUTPUT", value_name = "FILE")]
    pub output: PathBuf,
    /// Replication slot; it belongs to this recording alone, and is told what is on disk
    // Neither REPLICATOR_SLOT nor its default: that is a replication's, and what we confirm is lost to it.
    #[arg(
        long,
        env = "REPLICATOR_RECORD_SLOT",
        default_value = DEFAULT_SLOT,
        value_name = "NAME"
    )]
    pub slot: String,
    /// Make the slot if it is missing and nothing was recorded yet
    #[arg(long, env = "REPLICATOR_CREATE_SLOT")]
    pub create_slot: bool,
    /// Publication to read, which must exist; can be given more than once. `replicator` without this
    #[arg(
        long,
        env = "REPLICATOR_PUBLICATION",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub publication: Vec<String>,
    /// Stop when everything committed before the start (`current`), or up to a position, is on disk
    #[arg(long, env = "REPLICATOR_UNTIL", value_name = "current|LSN")]
    pub until: Option<Until>,
    /// Protocol version; the highest that the server speaks without this
    #[arg(long, env = "REPLICATOR_PROTOCOL", value_name = "1..4", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub protocol: Option<u8>,
    /// Whether large transactions are sent before they commit; as far as the protocol allows without this
    #[arg(long, env = "REPLICATOR_STREAMING", value_enum)]
    pub streaming: Option<StreamingArg>,
    /// Columns in binary form, for types that have one
    #[arg(long, env = "REPLICATOR_BINARY")]
    pub binary: bool,
    /// Messages of pg_logical_emit_message too
    #[arg(long, env = "REPLICATOR_MESSAGES")]
    pub messages: bool,
    /// Size in MiB at which the file is renamed to FILE.000001 and so on and a new one begins, between transactions
    #[arg(long, env = "REPLICATOR_ROTATE_SIZE", value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub rotate_size: Option<u64>,
    /// Compress finished files to FILE.000001.gz and so on
    #[arg(long, env = "REPLICATOR_COMPRESS", requires = "rotate_size")]
    pub compress: bool,
    /// How long a source that was lost is tried to be reached again; 0 ends the recording at once
    #[arg(
        long,
        env = "REPLICATOR_RECONNECT",
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(..=31_536_000)
    )]
    pub reconnect: u64,
}

impl From<RecordArgs> for RecordConfig {
    fn from(args: RecordArgs) -> Self {
        let mut config = Self::new(args.source, args.output)
            .slot(args.slot)
            .create_slot(args.create_slot)
            .binary(args.binary)
            .messages(args.messages)
            .compress(args.compress)
            .reconnect(Duration::from_secs(args.reconnect));
        for name in args.publication {
            config = config.publication(name);
        }
        if let Some(version) = args.protocol {
            config = config.protocol(version);
        }
        if let Some(streaming) = args.streaming {
            config = config.streaming(streaming.into());
        }
        if let Some(until) = args.until {
            config = config.until(until);
        }
        if let Some(size) = args.rotate_size {
            config = config.rotate_size(size.saturating_mul(1 << 20));
        }
        config
    }
}
