//! Options of `run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use walstream::walproto::Lsn;

use super::list::{self, List};
use super::rate::rate;
use super::signals::SHUTDOWN_TIMEOUT;
use super::{SourceArgs, WatchArgs};
use crate::config::{
    Compression, Config, Copy, ExistingRows, Keyless, OnConflict, OnMisfit, OnTableError, PATIENCE,
    Streaming, Until,
};
use crate::names::{ColumnName, TableName, TablePattern};

// What the help is divided into.
const WHAT_IS_REPLICATED: &str = "What is replicated";
const NAMES_AT_THE_DESTINATION: &str = "Names at the destination";
const BEGINNING_AND_END: &str = "Beginning and end";
const COPY: &str = "Copy";
const WHAT_DOES_NOT_FIT: &str = "What does not fit";
const STREAM: &str = "Stream";
const MEMORY_DISK_AND_BATCHES: &str = "Memory, disk and batches";
const WAITING_AND_TRYING_AGAIN: &str = "Waiting and trying again";

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap takes it as a heading")]
    pub source: SourceArgs,
    /// Where to write: sqlite:PATH, or postgres, mysql or sqlserver://user:password@host/database
    #[arg(
        long, help_heading = super::SOURCE_AND_DESTINATION,
        env = "REPLICATOR_DESTINATION",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub destination: String,
    /// Limit a publication that we make to these tables, as schema.table,schema.*,…
    #[arg(
        long, help_heading = WHAT_IS_REPLICATED,
        env = "REPLICATOR_TABLES",
        value_name = "TABLES",
        value_parser = list::patterns
    )]
    pub tables: Vec<List<TablePattern>>,
    /// Leave out these tables, as schema.table,schema.*,…
    #[arg(
        long, help_heading = WHAT_IS_REPLICATED,
        env = "REPLICATOR_EXCLUDE_TABLES",
        value_name = "TABLES",
        value_parser = list::patterns
    )]
    pub exclude_tables: Vec<List<TablePattern>>,
    /// Of their tables publish only these columns, as schema.table.column,…
    #[arg(
        long, help_heading = WHAT_IS_REPLICATED,
        env = "REPLICATOR_COLUMNS",
        value_name = "COLUMNS",
        value_parser = list::columns
    )]
    pub columns: Vec<List<ColumnName>>,
    /// Leave these columns out of a publication that we make, as schema.table.column,…
    #[arg(
        long, help_heading = WHAT_IS_REPLICATED,
        env = "REPLICATOR_EXCLUDE_COLUMNS",
        value_name = "COLUMNS",
        value_parser = list::columns
    )]
    pub exclude_columns: Vec<List<ColumnName>>,
    /// Name of a schema at the destination (its prefix where there are no schemas), as schema=name,…
    #[arg(
        long, help_heading = NAMES_AT_THE_DESTINATION,
        env = "REPLICATOR_MAP_SCHEMA",
        value_name = "SCHEMA=NAME",
        value_parser = list::schemas
    )]
    pub map_schema: Vec<List<(String, String)>>,
    /// Name of a table at the destination, as schema.table=schema.table,…
    #[arg(
        long, help_heading = NAMES_AT_THE_DESTINATION,
        env = "REPLICATOR_MAP_TABLE",
        value_name = "TABLE=NAME",
        value_parser = list::tables
    )]
    pub map_table: Vec<List<(TableName, TableName)>>,
    /// What a publication that we make does with tables without a usable key
    #[arg(long, help_heading = WHAT_IS_REPLICATED, env = "REPLICATOR_KEYLESS", value_enum, default_value = "skip")]
    pub keyless: KeylessArg,
    /// Whether rows that are there are copied first; `no` also accepts existing tables and slots
    #[arg(long, help_heading = BEGINNING_AND_END, env = "REPLICATOR_COPY", value_enum, default_value = "yes")]
    pub copy: CopyArg,
    /// How many tables, or parts of one, are copied at a time
    #[arg(
        long, help_heading = COPY,
        env = "REPLICATOR_COPY_WORKERS",
        value_name = "COUNT",
        default_value_t = 2,
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    pub copy_workers: u8,
    /// Most that is copied in a second by all of them, as 20MB or 512KiB; no limit without this
    #[arg(
        long, help_heading = COPY,
        env = "REPLICATOR_COPY_RATE",
        value_name = "BYTES/S",
        value_parser = rate
    )]
    pub copy_rate: Option<u64>,
    /// Progress of a copy as JSON objects on standard output, one a line, for programs
    #[arg(long, help_heading = COPY, env = "REPLICATOR_JSON")]
    pub json: bool,
    /// Whether tables are made there; with `no` they must be there
    #[arg(
        long, help_heading = BEGINNING_AND_END,
        env = "REPLICATOR_AUTO_CREATE",
        value_enum,
        default_value = "yes"
    )]
    pub auto_create: AutoCreateArg,
    /// What becomes of rows in a table that is there already, before rows are copied into it
    #[arg(long, help_heading = BEGINNING_AND_END, env = "REPLICATOR_EXISTING", value_enum, default_value = "fail")]
    pub existing: ExistingArg,
    /// What to do when the destination does not have the row that a change expects
    #[arg(
        long, help_heading = WHAT_DOES_NOT_FIT,
        env = "REPLICATOR_ON_CONFLICT",
        value_enum,
        default_value = "stop"
    )]
    pub on_conflict: OnConflictArg,
    /// What to do about values that the destination's type cannot hold exactly
    #[arg(long, help_heading = WHAT_DOES_NOT_FIT, env = "REPLICATOR_ON_MISFIT", value_enum, default_value = "fail")]
    pub on_misfit: OnMisfitArg,
    /// What to do when changes of one table cannot be applied
    #[arg(
        long, help_heading = WHAT_DOES_NOT_FIT,
        env = "REPLICATOR_ON_TABLE_ERROR",
        value_enum,
        default_value = "stop"
    )]
    pub on_table_error: OnTableErrorArg,
    /// Leave out what the destination refuses, and write it whole to this file
    #[arg(long, help_heading = WHAT_DOES_NOT_FIT, env = "REPLICATOR_QUARANTINE", value_name = "FILE")]
    pub quarantine: Option<PathBuf>,
    /// Leave out the transaction that commits there, and write it whole to that file; repeatable
    #[arg(
        long, help_heading = WHAT_DOES_NOT_FIT,
        env = "REPLICATOR_SKIP",
        value_name = "LSN",
        value_delimiter = ',',
        requires = "quarantine",
        value_parser = position
    )]
    pub skip: Vec<Lsn>,
    /// Stop when everything committed before the start (`current`), or up to a position, is durable
    #[arg(long, help_heading = BEGINNING_AND_END, env = "REPLICATOR_UNTIL", value_name = "current|LSN")]
    pub until: Option<Until>,
    /// Protocol version; the highest that the server speaks without this
    #[arg(long, help_heading = STREAM, env = "REPLICATOR_PROTOCOL", value_name = "1..4", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub protocol: Option<u8>,
    /// Whether large transactions are sent before they commit; as far as the protocol allows without this
    #[arg(long, help_heading = STREAM, env = "REPLICATOR_STREAMING", value_enum)]
    pub streaming: Option<StreamingArg>,
    /// Folder for transactions that do not fit into memory
    #[arg(long, help_heading = MEMORY_DISK_AND_BATCHES, env = "REPLICATOR_SPOOL", value_name = "FOLDER")]
    pub spool: Option<PathBuf>,
    /// Largest size of what lies in that folder, in MiB
    #[arg(long, help_heading = MEMORY_DISK_AND_BATCHES, env = "REPLICATOR_SPOOL_LIMIT", value_name = "MIB", default_value_t = 16 << 10)]
    pub spool_limit: u64,
    /// Whether what lies there is compressed
    #[arg(
        long, help_heading = MEMORY_DISK_AND_BATCHES,
        env = "REPLICATOR_SPOOL_COMPRESSION",
        value_enum,
        default_value = "none"
    )]
    pub spool_compression: CompressionArg,
    /// Received changes kept in memory, in MiB
    #[arg(
        long, help_heading = MEMORY_DISK_AND_BATCHES,
        env = "REPLICATOR_MEMORY",
        value_name = "MIB",
        default_value_t = 32
    )]
    pub memory: u64,
    /// Source transactions that one destination transaction may hold, in MiB
    #[arg(
        long, help_heading = MEMORY_DISK_AND_BATCHES,
        env = "REPLICATOR_BATCH_SIZE",
        value_name = "MIB",
        default_value_t = 8,
        value_parser = clap::value_parser!(u64).range(1..=1 << 20)
    )]
    pub batch_size: u64,
    /// And their number; 1 for each by itself
    #[arg(
        long, help_heading = MEMORY_DISK_AND_BATCHES,
        env = "REPLICATOR_BATCH_TRANSACTIONS",
        value_name = "COUNT",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub batch_transactions: u32,
    /// How long a connection to the source may take, 0 for ever; as its URL says, or 30, without this
    #[arg(
        long, help_heading = WAITING_AND_TRYING_AGAIN,
        env = "REPLICATOR_CONNECT_TIMEOUT",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(..=86_400)
    )]
    pub connect_timeout: Option<u64>,
    /// How long to wait for a slot or a destination that another process holds
    #[arg(
        long, help_heading = WAITING_AND_TRYING_AGAIN,
        env = "REPLICATOR_TAKEOVER",
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(..=86_400)
    )]
    pub takeover: u64,
    /// Stand by while another process has the slot, and take over when it is gone
    #[arg(long, help_heading = WAITING_AND_TRYING_AGAIN, env = "REPLICATOR_STANDBY")]
    pub standby: bool,
    /// How long a source that was lost is tried to be reached again; 0 ends the run at once
    #[arg(
        long, help_heading = WAITING_AND_TRYING_AGAIN,
        env = "REPLICATOR_RECONNECT",
        value_name = "SECONDS",
        default_value_t = PATIENCE.as_secs(),
        value_parser = clap::value_parser!(u64).range(..=31_536_000)
    )]
    pub reconnect: u64,
    /// How long a destination that is lost, down, full or read-only is tried again; 0 ends the run at once
    #[arg(
        long, help_heading = WAITING_AND_TRYING_AGAIN,
        env = "REPLICATOR_DESTINATION_RETRY",
        value_name = "SECONDS",
        default_value_t = PATIENCE.as_secs(),
        value_parser = clap::value_parser!(u64).range(..=31_536_000)
    )]
    pub destination_retry: u64,
    /// How long a PostgreSQL destination may leave us without an answer before it is asked what it does
    #[arg(
        long, help_heading = WAITING_AND_TRYING_AGAIN,
        env = "REPLICATOR_DESTINATION_TIMEOUT",
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub destination_timeout: u64,
    /// How long an end that was asked for may take: to finish what is begun at the destination
    #[arg(
        long, help_heading = WAITING_AND_TRYING_AGAIN,
        env = "REPLICATOR_SHUTDOWN_TIMEOUT",
        value_name = "SECONDS",
        default_value_t = SHUTDOWN_TIMEOUT,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub shutdown_timeout: u64,
    /// First pause before what was lost is tried again; it doubles from one attempt to the next
    #[arg(
        long, help_heading = WAITING_AND_TRYING_AGAIN,
        env = "REPLICATOR_RETRY_DELAY",
        value_name = "MILLISECONDS",
        default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(1..=86_400_000)
    )]
    pub retry_delay: u64,
    /// Largest such pause
    #[arg(
        long, help_heading = WAITING_AND_TRYING_AGAIN,
        env = "REPLICATOR_RETRY_MAX_DELAY",
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub retry_max_delay: u64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap takes it as a heading")]
    pub watch: WatchArgs,
}

/// `--spool-compression`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CompressionArg {
    /// As received
    None,
    /// In blocks of LZ4, for disks that are small or slow
    Lz4,
}

fn position(text: &str) -> Result<Lsn, String> {
    text.parse()
        .map_err(|_| "not a WAL position such as 16/B374D848".to_owned())
}

/// `--keyless`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum KeylessArg {
    /// Leave them out and name them
    Skip,
    /// Follow inserts and truncates only
    InsertOnly,
    /// Set REPLICA IDENTITY FULL on them at the source
    Full,
}

/// `--copy`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CopyArg {
    /// Copy them once, into tables that we make
    Yes,
    /// The destination has them already
    No,
    /// Copy them and stop; a later run streams from there
    Only,
}

/// `--auto-create`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AutoCreateArg {
    /// Make those that are not there
    Yes,
    /// Name those that are not there, with the statements that make them, and stop
    No,
}

/// `--existing`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ExistingArg {
    /// A table with rows is refused; an empty one is filled
    Fail,
    /// Delete them when the copy of the table begins
    Truncate,
    /// Let them stay beside ours; a copy that is interrupted then needs a person
    Keep,
}

/// `--on-conflict`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnConflictArg {
    /// Stop, naming table and key
    Stop,
    /// Make the row what the source has, and log it
    Apply,
}

/// `--on-misfit`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnMisfitArg {
    /// Stop, naming table, column, row and value
    Fail,
    /// Make such columns text, which holds everything
    Text,
    /// Store the nearest value that the column holds, and log it
    Clamp,
}

/// `--on-table-error`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnTableErrorArg {
    /// End the run
    Stop,
    /// Stop that table, and go on with the others
    Isolate,
}

/// `--streaming`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StreamingArg {
    /// Never
    Off,
    /// From protocol 2 on
    On,
    /// From protocol 4 on
    Parallel,
}

impl From<RunArgs> for Config {
    fn from(args: RunArgs) -> Self {
        let mut config = Self::new(args.source.source, args.destination)
            .slot(args.source.slot)
            .tables(List::all(args.tables))
            .exclude_tables(List::all(args.exclude_tables))
            .columns(List::all(args.columns))
            .exclude_columns(List::all(args.exclude_columns))
            .keyless(match args.keyless {
                KeylessArg::Skip => Keyless::Skip,
                KeylessArg::InsertOnly => Keyless::InsertOnly,
                KeylessArg::Full => Keyless::Full,
            })
            .copy(match args.copy {
                CopyArg::Yes => Copy::Yes,
                CopyArg::No => Copy::No,
                CopyArg::Only => Copy::Only,
            })
            .copy_workers(usize::from(args.copy_workers))
            .auto_create(args.auto_create == AutoCreateArg::Yes)
            .existing(match args.existing {
                ExistingArg::Fail => ExistingRows::Fail,
                ExistingArg::Truncate => ExistingRows::Truncate,
                ExistingArg::Keep => ExistingRows::Keep,
            })
            .on_conflict(match args.on_conflict {
                OnConflictArg::Stop => OnConflict::Stop,
                OnConflictArg::Apply => OnConflict::Apply,
            })
            .on_misfit(match args.on_misfit {
                OnMisfitArg::Fail => OnMisfit::Fail,
                OnMisfitArg::Text => OnMisfit::Text,
                OnMisfitArg::Clamp => OnMisfit::Clamp,
            })
            .on_table_error(match args.on_table_error {
                OnTableErrorArg::Stop => OnTableError::Stop,
                OnTableErrorArg::Isolate => OnTableError::Isolate,
            })
            .memory(args.memory.saturating_mul(1 << 20))
            .takeover(Duration::from_secs(args.takeover))
            .standby(args.standby)
            .batch(
                args.batch_size << 20,
                usize::try_from(args.batch_transactions).unwrap_or(usize::MAX),
            )
            .reconnect(Duration::from_secs(args.reconnect))
            .destination_retry(Duration::from_secs(args.destination_retry))
            .destination_timeout(Duration::from_secs(args.destination_timeout))
            .retry_delays(
                Duration::from_millis(args.retry_delay),
                Duration::from_secs(args.retry_max_delay),
            )
            .spool_compression(match args.spool_compression {
                CompressionArg::None => Compression::None,
                CompressionArg::Lz4 => Compression::Lz4,
            })
            .spool(
                args.spool.unwrap_or_else(std::env::temp_dir),
                args.spool_limit.saturating_mul(1 << 20),
            );
        for (from, to) in List::all(args.map_schema) {
            config = config.map_schema(from, to);
        }
        for (from, to) in List::all(args.map_table) {
            config = config.map_table(from, to);
        }
        config.copy_rate = args.copy_rate;
        config.quarantine = args.quarantine;
        config.skip = args.skip;
        if let Some(seconds) = args.connect_timeout {
            config = config.connect_timeout(Duration::from_secs(seconds));
        }
        config.publications = args.source.publication;
        config.until = args.until;
        config.protocol = args.protocol;
        config.streaming = args.streaming.map(Streaming::from);
        args.watch.apply(config)
    }
}

impl From<StreamingArg> for Streaming {
    fn from(streaming: StreamingArg) -> Self {
        match streaming {
            StreamingArg::Off => Self::Off,
            StreamingArg::On => Self::On,
            StreamingArg::Parallel => Self::Parallel,
        }
    }
}
