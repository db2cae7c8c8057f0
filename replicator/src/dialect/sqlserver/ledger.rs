//! Statements over our own tables, in schema `dbo`.
//!
//! Positions are read and moved under locks that hold whatever the database's `READ_COMMITTED_SNAPSHOT` says:
//!
//! * [`UPDLOCK`](POSITION_SETTLED) reads the row as it is now and not a version of it, waits for who has written it, and
//!   keeps everybody else from it until the transaction ends. `READCOMMITTEDLOCK` beside it is ignored, and `HOLDLOCK`
//!   would only add the place where no row is, which the primary key keeps.
//! * [`REPEATABLEREAD`](POSITION_SHARED) takes a shared lock, also where reading usually takes none, and keeps it.
//!
//! Parameters are `bigint` and `nvarchar`; none is NULL.

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

/// Which of our tables are there, as three numbers: position, tables, chunks.
pub(crate) const THERE: &str = "SELECT
    CASE WHEN OBJECT_ID(N'[dbo].[_replicator_position]', N'U') IS NULL THEN 0 ELSE 1 END,
    CASE WHEN OBJECT_ID(N'[dbo].[_replicator_tables]', N'U') IS NULL THEN 0 ELSE 1 END,
    CASE WHEN OBJECT_ID(N'[dbo].[_replicator_chunks]', N'U') IS NULL THEN 0 ELSE 1 END";

/// The newest layout that a row was written in, NULL where there is no row.
pub(crate) const VERSION: &str = "SELECT MAX(r.[version]) FROM (
    SELECT [version] FROM [dbo].[_replicator_position] UNION ALL SELECT [version] FROM [dbo].[_replicator_tables]) AS r";

macro_rules! position {
    ($hint:literal) => {
        concat!(
            "SELECT [state], [system_id], [timeline], [database], [publications], [lsn], [epoch], [holder], [fingerprint] \
             FROM [dbo].[_replicator_position]",
            $hint,
            " WHERE [slot] = @P1"
        )
    };
}

/// The row of slot `@P1`: state, system_id, timeline, database, publications, lsn, epoch, holder, fingerprint.
pub(crate) const POSITION: &str = position!("");

/// The same once nobody is about to change it, and nobody changes it until the transaction ends.
pub(crate) const POSITION_SETTLED: &str = position!(" WITH (UPDLOCK)");

/// The same, while others may do so too: nobody changes it until the transaction ends.
pub(crate) const POSITION_SHARED: &str = position!(" WITH (REPEATABLEREAD)");

/// The session that wrote the row of slot `@P1` last, and when that had begun.
pub(crate) const HOLDER: &str =
    "SELECT [session], [session_start] FROM [dbo].[_replicator_position] WHERE [slot] = @P1";

/// A new row: slot, version, state, system_id, timeline, database, publications, lsn, epoch, holder, fingerprint,
/// session, session_start.
pub(crate) const PUT_POSITION: &str = "INSERT INTO [dbo].[_replicator_position] \
     ([slot], [version], [state], [system_id], [timeline], [database], [publications], [lsn], [epoch], [holder], \
     [fingerprint], [session], [session_start]) \
     VALUES (@P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9, @P10, @P11, @P12, @P13)";

pub(crate) const DELETE_POSITION: &str =
    "DELETE FROM [dbo].[_replicator_position] WHERE [slot] = @P1";

/// Moves the row: state, timeline, publications, lsn, fingerprint, session, session_start as they are to be, then slot,
/// state, lsn and epoch as they must be. One row, or the row is another one.
///
/// An update takes the row as it is now and locks it for itself. The hint says that it does so from the look at it on,
/// whatever the plan: who comes second waits, and then finds another position.
pub(crate) const COMPARE_AND_SET: &str = "UPDATE [dbo].[_replicator_position] WITH (UPDLOCK) \
     SET [state] = @P1, [timeline] = @P2, [publications] = @P3, [lsn] = @P4, [fingerprint] = @P5, [session] = @P6, \
     [session_start] = @P7 WHERE [slot] = @P8 AND [state] = @P9 AND [lsn] = @P10 AND [epoch] = @P11";

/// holder, session, session_start, slot.
pub(crate) const RAISE_EPOCH: &str = "UPDATE [dbo].[_replicator_position] WITH (UPDLOCK) \
     SET [epoch] = [epoch] + 1, [holder] = @P1, [session] = @P2, [session_start] = @P3 WHERE [slot] = @P4";

macro_rules! tables {
    ($rest:literal) => {
        concat!(
            "SELECT [oid], [relfilenode], [schema], [name], [identity], [destination], [columns], [key], [made_by_us], \
             [state], [reason], [sync_position] FROM [dbo].[_replicator_tables] WHERE [slot] = @P1",
            $rest
        )
    };
}

/// The tables of slot `@P1`: oid, relfilenode, schema, name, identity, destination, columns, key, made_by_us, state,
/// reason, sync_position.
pub(crate) const TABLES: &str = tables!(" ORDER BY [schema], [name]");

/// The one with oid `@P2`.
pub(crate) const TABLE: &str = tables!(" AND [oid] = @P2");

/// slot, oid, version, relfilenode, schema, name, identity, destination, columns, key, made_by_us, state.
pub(crate) const PUT_TABLE: &str = "INSERT INTO [dbo].[_replicator_tables] \
     ([slot], [oid], [version], [relfilenode], [schema], [name], [identity], [destination], [columns], [key], \
     [made_by_us], [state]) VALUES (@P1, @P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9, @P10, @P11, @P12)";

/// slot, oid.
pub(crate) const DELETE_TABLE: &str =
    "DELETE FROM [dbo].[_replicator_tables] WHERE [slot] = @P1 AND [oid] = @P2";

/// slot.
pub(crate) const DELETE_TABLES: &str = "DELETE FROM [dbo].[_replicator_tables] WHERE [slot] = @P1";

/// columns, key, identity, slot, oid.
pub(crate) const SET_DEFINITION: &str = "UPDATE [dbo].[_replicator_tables] \
     SET [columns] = @P1, [key] = @P2, [identity] = @P3 WHERE [slot] = @P4 AND [oid] = @P5";

/// The slot whose table has destination `@P1`.
pub(crate) const MAKER: &str =
    "SELECT TOP (1) [slot] FROM [dbo].[_replicator_tables] WHERE [destination] = @P1";

/// state, sync_position, slot, oid.
pub(crate) const SET_STATE: &str = "UPDATE [dbo].[_replicator_tables] \
     SET [state] = @P1, [reason] = NULL, [sync_position] = @P2 WHERE [slot] = @P3 AND [oid] = @P4";

/// state, reason, slot, oid.
pub(crate) const STOP_TABLE: &str = "UPDATE [dbo].[_replicator_tables] \
     SET [state] = @P1, [reason] = @P2 WHERE [slot] = @P3 AND [oid] = @P4";

/// The number that the source has now, state, slot, oid.
pub(crate) const ASK_COPY: &str = "UPDATE [dbo].[_replicator_tables] \
     SET [oid] = @P1, [state] = @P2, [reason] = NULL WHERE [slot] = @P3 AND [oid] = @P4";

/// The number that the source has now, slot, oid, the part that is kept.
pub(crate) const KEEP_CHUNK: &str = "UPDATE [dbo].[_replicator_chunks] \
     SET [oid] = @P1 WHERE [slot] = @P2 AND [oid] = @P3 AND [part] = @P4";

/// slot, oid, part.
pub(crate) const LAST_CHUNK: &str = "SELECT [number] FROM [dbo].[_replicator_chunks] \
     WHERE [slot] = @P1 AND [oid] = @P2 AND [part] = @P3";

/// number, slot, oid, part; as [`NEXT_CHUNK`].
pub(crate) const FIRST_CHUNK: &str = "INSERT INTO [dbo].[_replicator_chunks] \
     ([number], [slot], [oid], [part]) VALUES (@P1, @P2, @P3, @P4)";

pub(crate) const NEXT_CHUNK: &str = "UPDATE [dbo].[_replicator_chunks] \
     SET [number] = @P1 WHERE [slot] = @P2 AND [oid] = @P3 AND [part] = @P4";

/// slot, oid, the part that is kept.
pub(crate) const DELETE_CHUNKS: &str = "DELETE FROM [dbo].[_replicator_chunks] \
     WHERE [slot] = @P1 AND [oid] = @P2 AND [part] <> @P3";

/// slot.
pub(crate) const DELETE_ALL_CHUNKS: &str =
    "DELETE FROM [dbo].[_replicator_chunks] WHERE [slot] = @P1";

/// All of them, with how many parameters each has.
#[cfg(test)]
pub(super) const ALL: &[(&str, usize)] = &[
    (CREATE[0], 0),
    (CREATE[1], 0),
    (CREATE[2], 0),
    (THERE, 0),
    (VERSION, 0),
    (POSITION, 1),
    (POSITION_SETTLED, 1),
    (POSITION_SHARED, 1),
    (HOLDER, 1),
    (PUT_POSITION, 13),
    (DELETE_POSITION, 1),
    (COMPARE_AND_SET, 11),
    (RAISE_EPOCH, 4),
    (TABLES, 1),
    (TABLE, 2),
    (PUT_TABLE, 12),
    (DELETE_TABLE, 2),
    (DELETE_TABLES, 1),
    (SET_DEFINITION, 5),
    (MAKER, 1),
    (SET_STATE, 4),
    (STOP_TABLE, 4),
    (ASK_COPY, 4),
    (KEEP_CHUNK, 4),
    (LAST_CHUNK, 3),
    (FIRST_CHUNK, 4),
    (NEXT_CHUNK, 4),
    (DELETE_CHUNKS, 3),
    (DELETE_ALL_CHUNKS, 1),
];
