//! What the catalog is asked about a table, by its quoted name with schema as `@P1`.

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

/// All of them, with how many parameters each has.
#[cfg(test)]
pub(super) const ALL: &[(&str, usize)] = &[
    (OBJECT, 1),
    (COLUMNS, 1),
    (UNIQUE, 1),
    (BOUND, 1),
    (SCHEMA, 1),
];
