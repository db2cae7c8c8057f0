//! What the source's catalog says of the size of what is to be copied.

use walstream::walproto::Oid;

use super::figures::Estimate;
use crate::error::Result;
use crate::position::TableRow;
use crate::source::Source;

/// Rows and bytes of tables, in their order.
///
/// Rows are counted as the planner counts them: those of a page when the table was last analysed, times its pages now.
pub(super) async fn tables(source: &mut Source, tables: &[&TableRow]) -> Result<Vec<Estimate>> {
    let oids: Vec<Oid> = tables.iter().map(|row| row.table.oid).collect();
    let sql = |exact| sizes(&oids, exact);
    let client = source.client();
    let rows = match client.query(&sql(true)).await {
        // A lock is in the way of the functions that look at files.
        Err(error) if error.sqlstate() == Some("55P03") => client.query(&sql(false)).await?,
        rows => rows?,
    };
    let estimate = |row: &&TableRow| {
        let oid = row.table.oid;
        let found = rows
            .iter()
            .find(|found| found.get(0).and_then(|it| it.parse().ok()) == Some(oid.0));
        let number = |at| found?.get(at)?.parse().ok();
        Estimate {
            oid,
            schema: row.table.schema.clone(),
            name: row.table.name.clone(),
            rows: number(1),
            bytes: number(2).unwrap_or(0),
        }
    };
    Ok(tables.iter().map(estimate).collect())
}

/// Bytes of all of these tables.
pub(crate) async fn bytes(source: &mut Source, oids: &[Oid]) -> Result<u64> {
    if oids.is_empty() {
        return Ok(0);
    }
    let client = source.client();
    let rows = match client.query(&sizes(oids, true)).await {
        Err(error) if error.sqlstate() == Some("55P03") => {
            client.query(&sizes(oids, false)).await?
        }
        rows => rows?,
    };
    let number = |row: &walstream::Row| row.get(2)?.parse::<u64>().ok();
    Ok(rows.iter().filter_map(number).sum())
}

/// How much WAL the source keeps for slots, if that is limited.
pub(crate) async fn wal_kept(source: &mut Source) -> Result<Option<u64>> {
    let sql = "SELECT setting::bigint * 1048576 FROM pg_settings WHERE name = 'max_slot_wal_keep_size' AND setting::bigint >= 0";
    let rows = source.client().query(sql).await?;
    Ok(rows.first().and_then(|row| row.get(0)?.parse().ok()))
}

/// Of partitioned tables that of their partitions; `exact` looks at files, else it is as of the last VACUUM or ANALYZE.
fn sizes(oids: &[Oid], exact: bool) -> String {
    let oids: Vec<String> = oids.iter().map(|oid| oid.0.to_string()).collect();
    let page = "current_setting('block_size')::bigint";
    let (heap, all) = if exact {
        (
            "pg_relation_size(c.oid)".to_owned(),
            "pg_table_size(c.oid)".to_owned(),
        )
    } else {
        (
            format!("c.relpages * {page}"),
            format!("(c.relpages + coalesce(x.relpages, 0)) * {page}"),
        )
    };
    format!(
        "WITH RECURSIVE part(root, oid) AS (
           SELECT oid, oid FROM pg_class WHERE oid IN ({})
           UNION ALL
           SELECT p.root, i.inhrelid FROM part p
           JOIN pg_class c ON c.oid = p.oid AND c.relkind = 'p' JOIN pg_inherits i ON i.inhparent = p.oid
         ), size AS (
           SELECT p.root, c.relkind, c.relpages, c.reltuples, {heap} AS heap, {all} AS bytes
           FROM part p JOIN pg_class c ON c.oid = p.oid LEFT JOIN pg_class x ON x.oid = c.reltoastrelid
         ), counted AS (
           SELECT root, bytes, CASE WHEN relkind = 'p' OR heap = 0 THEN 0
                                    WHEN relpages > 0 AND reltuples >= 0 THEN reltuples * (heap / {page}) / relpages END AS rows
           FROM size
         )
         SELECT root, CASE WHEN count(*) = count(rows) THEN sum(rows)::bigint END, coalesce(sum(bytes), 0)::bigint
         FROM counted GROUP BY root",
        oids.join(", ")
    )
}
