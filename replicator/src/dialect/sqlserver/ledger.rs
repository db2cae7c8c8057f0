//! What is said of our own tables in schema `dbo` and no other product says so; the rest is the same for all servers.
//!
//! Positions are read and moved under locks that hold whatever the database's `READ_COMMITTED_SNAPSHOT` says:
//!
//! * [`UPDLOCK`](SETTLED) reads the row as it is now and not a version of it, waits for who has written it, and keeps
//!   everybody else from it until the transaction ends. `READCOMMITTEDLOCK` beside it is ignored, and `HOLDLOCK` would
//!   only add the place where no row is, which the primary key keeps.
//! * [`REPEATABLEREAD`](SHARED) takes a shared lock, also where reading usually takes none, and keeps it.
//!
//! Parameters are `bigint` and `nvarchar`; only a time that is not known is NULL.

/// In the order in which they are made: without the tables' ledger there is no position. Each is one statement, and does
/// nothing where the table is there.
pub(crate) const CREATE: [&str; 3] = [
    CREATE_CHUNKS,
    "IF OBJECT_ID(N'[dbo].[_replicator_tables]', N'U') IS NULL CREATE TABLE [dbo].[_replicator_tables] (
    [slot] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [oid] bigint NOT NULL,
    [version] bigint NOT NULL,
    [relfilenode] bigint NOT NULL,
    [schema] nvarchar(128) NOT NULL,
    [name] nvarchar(128) NOT NULL,
    [identity] nvarchar(1) NOT NULL,
    [destination] nvarchar(600) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [columns] nvarchar(max) NOT NULL,
    [key] nvarchar(max) NOT NULL,
    [made_by_us] bit NOT NULL,
    [state] nvarchar(32) NOT NULL,
    [reason] nvarchar(max) NULL,
    [sync_position] nvarchar(32) NULL,
    PRIMARY KEY CLUSTERED ([slot], [oid])
)",
    "IF OBJECT_ID(N'[dbo].[_replicator_position]', N'U') IS NULL CREATE TABLE [dbo].[_replicator_position] (
    [slot] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [version] bigint NOT NULL,
    [state] nvarchar(32) NOT NULL,
    [system_id] nvarchar(64) NOT NULL,
    [timeline] bigint NOT NULL,
    [database] nvarchar(128) NOT NULL,
    [publications] nvarchar(max) NOT NULL,
    [lsn] nvarchar(32) NOT NULL,
    [epoch] bigint NOT NULL,
    [holder] nvarchar(max) NOT NULL,
    [fingerprint] nvarchar(max) NOT NULL,
    [session] bigint NOT NULL,
    [session_start] nvarchar(64) NOT NULL,
    [source_time] nvarchar(64) NULL,
    PRIMARY KEY CLUSTERED ([slot])
)",
];

/// Makes the table of chunks where it is missing.
pub(crate) const CREATE_CHUNKS: &str = "IF OBJECT_ID(N'[dbo].[_replicator_chunks]', N'U') IS NULL CREATE TABLE [dbo].[_replicator_chunks] (
    [slot] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [oid] bigint NOT NULL,
    [part] bigint NOT NULL,
    [number] bigint NOT NULL,
    PRIMARY KEY CLUSTERED ([slot], [oid], [part])
)";

/// Brings the position's table of an older layout to this one.
pub(crate) const ADD_TIME: &str = "IF COL_LENGTH(N'dbo._replicator_position', N'source_time') IS NULL ALTER TABLE [dbo].[_replicator_position] ADD [source_time] nvarchar(64) NULL";

/// Those of our tables that are there.
pub(crate) const OURS: &str = "SELECT t.[name] FROM sys.tables AS t WHERE t.[schema_id] = SCHEMA_ID(N'dbo') \
     AND t.[name] IN (N'_replicator_position', N'_replicator_tables', N'_replicator_chunks') \
     UNION ALL SELECT c.[name] FROM sys.columns AS c \
     WHERE c.[object_id] = OBJECT_ID(N'[dbo].[_replicator_position]', N'U') AND c.[name] = N'source_time'";

/// Behind the name of the position's table: the row once nobody is about to change it, and nobody changes it until the
/// transaction ends.
pub(crate) const SETTLED: &str = " WITH (UPDLOCK)";

/// The same, while others may do so too.
pub(crate) const SHARED: &str = " WITH (REPEATABLEREAD)";

/// Sessions that have the row of slot `@P1` so, each with its beginning. `%%lockres%%` is what the row's lock is called.
pub(crate) const SHARERS: &str = "SELECT CAST(s.[session_id] AS bigint), CONVERT(nvarchar(40), s.[login_time], 126) \
     FROM sys.dm_tran_locks AS l \
     INNER JOIN sys.dm_exec_sessions AS s ON s.[session_id] = l.[request_session_id] \
     INNER JOIN sys.partitions AS p ON p.[hobt_id] = l.[resource_associated_entity_id] \
     WHERE l.[resource_database_id] = DB_ID() AND l.[resource_type] = N'KEY' AND l.[request_mode] = N'S' \
     AND l.[request_status] = N'GRANT' AND p.[object_id] = OBJECT_ID(N'[dbo].[_replicator_position]') \
     AND s.[session_id] <> @@SPID AND l.[resource_description] = \
     (SELECT %%lockres%% FROM [dbo].[_replicator_position] WITH (NOLOCK) WHERE [slot] = @P1)";

/// All of them, with how many parameters each has.
#[cfg(test)]
pub(super) const ALL: &[(&str, usize)] = &[
    (CREATE[0], 0),
    (CREATE[1], 0),
    (CREATE[2], 0),
    (ADD_TIME, 0),
    (OURS, 0),
    (SHARERS, 1),
];
