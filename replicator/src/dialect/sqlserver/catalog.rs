//! What the catalog is asked: about a table, by its quoted name with schema as `@P1`, and about database and user.

/// What has the name, if anything: `sys.objects.type_desc`; 1 where its rows outlive the server; 1 where the server
/// keeps its history.
pub(crate) const OBJECT: &str = "SELECT o.[type_desc], \
     CASE WHEN t.[durability] = 1 THEN 0 ELSE 1 END, CASE WHEN t.[temporal_type] = 2 THEN 1 ELSE 0 END \
     FROM sys.objects AS o LEFT JOIN sys.tables AS t ON t.[object_id] = o.[object_id] \
     WHERE o.[object_id] = OBJECT_ID(@P1)";

/// The fields of an [`ExistingColumn`](super::existing::ExistingColumn), in their order; types of somebody's own as what
/// they are made of.
pub(crate) const COLUMNS: &str = "SELECT c.[name], COALESCE(y.[name], N'clr'), CONVERT(int, c.[max_length]), \
     CONVERT(int, c.[precision]), CONVERT(int, c.[scale]), c.[collation_name], \
     CASE WHEN c.[is_nullable] = 0 AND c.[default_object_id] = 0 AND c.[is_identity] = 0 AND c.[is_computed] = 0 \
     AND c.[generated_always_type] = 0 AND COALESCE(y.[name], N'clr') <> N'timestamp' THEN 1 ELSE 0 END, \
     CASE WHEN c.[is_identity] = 1 OR c.[is_computed] = 1 OR c.[generated_always_type] <> 0 \
     OR y.[name] = N'timestamp' THEN 1 ELSE 0 END \
     FROM sys.columns AS c LEFT JOIN sys.types AS y ON y.[user_type_id] = c.[system_type_id] \
     WHERE c.[object_id] = OBJECT_ID(@P1) ORDER BY c.[column_id]";

/// The columns of its unique indexes, an index after the other: its number, the column, and 1 where it counts only some
/// rows.
pub(crate) const UNIQUE: &str = "SELECT i.[index_id], c.[name], CASE WHEN i.[has_filter] = 1 THEN 1 ELSE 0 END \
     FROM sys.indexes AS i \
     INNER JOIN sys.index_columns AS x ON x.[object_id] = i.[object_id] AND x.[index_id] = i.[index_id] \
     INNER JOIN sys.columns AS c ON c.[object_id] = x.[object_id] AND c.[column_id] = x.[column_id] \
     WHERE i.[object_id] = OBJECT_ID(@P1) AND i.[is_unique] = 1 AND i.[is_disabled] = 0 AND x.[key_ordinal] > 0 \
     ORDER BY i.[index_id], x.[key_ordinal]";

/// How many triggers and foreign keys look at other rows, or other tables, when one is changed.
pub(crate) const BOUND: &str = "SELECT \
     (SELECT COUNT(*) FROM sys.triggers AS g WHERE g.[parent_id] = OBJECT_ID(@P1) AND g.[is_disabled] = 0) \
     + (SELECT COUNT(*) FROM sys.foreign_keys AS f \
     WHERE f.[parent_object_id] = OBJECT_ID(@P1) OR f.[referenced_object_id] = OBJECT_ID(@P1))";

/// Whether a schema of the name is there: not NULL.
pub(crate) const SCHEMA: &str = "SELECT SCHEMA_ID(@P1)";

/// The user, the login, and 1 where what is read is as it was when its statement began.
pub(crate) const WHO: &str = "SELECT USER_NAME(), SUSER_SNAME(), CONVERT(int, d.[is_read_committed_snapshot_on]) \
     FROM sys.databases AS d WHERE d.[database_id] = DB_ID()";

/// Which rights there are to what `@P1` names, of the class `@P2`: 1 or 0, and NULL where it is not known there.
pub(crate) const RIGHTS: &str = "SELECT r.[name], HAS_PERMS_BY_NAME(@P1, @P2, r.[name]) \
     FROM (VALUES (N'SELECT'), (N'INSERT'), (N'UPDATE'), (N'DELETE'), (N'ALTER')) AS r ([name])";

/// The same of the database.
pub(crate) const DATABASE_RIGHTS: &str = "SELECT r.[name], HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', r.[name]) \
     FROM (VALUES (N'CREATE TABLE'), (N'CREATE SCHEMA'), (N'VIEW DATABASE STATE'), (N'KILL DATABASE CONNECTION')) \
     AS r ([name])";

/// The same of the server.
pub(crate) const SERVER_RIGHTS: &str = "SELECT r.[name], HAS_PERMS_BY_NAME(NULL, NULL, r.[name]) \
     FROM (VALUES (N'VIEW SERVER STATE'), (N'ALTER ANY CONNECTION')) AS r ([name])";

/// Of each file for rows, in pages: how much it takes, how much of that is in use, how much it may take (-1 where there
/// is no bound), and 0 where it does not grow.
pub(crate) const FILES: &str = "SELECT CONVERT(bigint, f.[size]), CONVERT(bigint, FILEPROPERTY(f.[name], N'SpaceUsed')), \
     CONVERT(bigint, f.[max_size]), CONVERT(bigint, f.[growth]) FROM sys.database_files AS f WHERE f.[type] = 0";

/// The bytes that are free on each disk that they are on.
pub(crate) const DISKS: &str = "SELECT v.[volume_mount_point], CONVERT(bigint, MAX(v.[available_bytes])) \
     FROM sys.database_files AS f CROSS APPLY sys.dm_os_volume_stats(DB_ID(), f.[file_id]) AS v \
     WHERE f.[type] = 0 GROUP BY v.[volume_mount_point]";

/// The bytes that a database of Azure's may take, NULL elsewhere.
pub(crate) const BOUGHT: &str =
    "SELECT CONVERT(bigint, DATABASEPROPERTYEX(DB_NAME(), N'MaxSizeInBytes'))";

/// All of them, with how many parameters each has.
#[cfg(test)]
pub(super) const ALL: &[(&str, usize)] = &[
    (OBJECT, 1),
    (COLUMNS, 1),
    (UNIQUE, 1),
    (BOUND, 1),
    (SCHEMA, 1),
    (WHO, 0),
    (RIGHTS, 2),
    (DATABASE_RIGHTS, 0),
    (SERVER_RIGHTS, 0),
    (FILES, 0),
    (DISKS, 0),
    (BOUGHT, 0),
];
