//! What the source's catalog says: identity, publications, tables and their keys.
//!
//! Asked over a second connection, because the replication connection is busy with the stream.

use std::collections::HashMap;

use walstream::walproto::{Lsn, Oid};
use walstream::{Client, quote_identifier, quote_literal};

use crate::error::{Error, Result};
use crate::names::TableName;
use crate::publication::{self, Plan};
use crate::selection::Selection;
use crate::table::{Column, Table};

/// An SQL session on the source.
#[derive(Debug)]
pub(crate) struct Source {
    client: Client,
    selection: Selection,
}

/// Which publications a run reads, and what they publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// Text that changes whenever a publication, its tables, filters or column lists do.
    pub(crate) fingerprint: String,
    /// Text that changes whenever one of the tables gets a column.
    pub(crate) relnatts: String,
    /// What each table publishes.
    pub(crate) tables: Vec<PublishedTable>,
}

/// A table with what the copy has to respect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedTable {
    /// The table.
    pub(crate) table: Table,
    /// Row filter as SQL; `None` when all rows are published.
    pub(crate) filter: Option<String>,
    /// A partitioned table published under its own name; its rows lie in its partitions.
    pub(crate) partitioned: bool,
}

impl Published {
    /// What it says of a table.
    pub(crate) fn find(&self, oid: Oid) -> Option<&PublishedTable> {
        self.tables.iter().find(|it| it.table.oid == oid)
    }
}

impl Source {
    /// Takes over an SQL session.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            selection: Selection::default(),
        }
    }

    /// Leaves out what the user leaves out of publications that are there.
    pub(crate) fn selecting(mut self, selection: &Selection) -> Self {
        self.selection = selection.clone();
        self
    }

    /// Lets questions about tables fail ([`Error::is_locked_out`]) that would have to wait for somebody's lock.
    ///
    /// The catalog's functions lock the tables they tell of, and who holds a lock may itself be waiting for us: a
    /// commit under synchronous replication, or a statement that our own copy holds back. Long enough for a running
    /// autovacuum to give way, which it does after `deadlock_timeout`.
    pub(crate) async fn do_not_wait_for_locks(&mut self) -> Result<()> {
        Ok(self.client.execute("SET lock_timeout = '3s'").await?)
    }

    /// Another session in the place of one that was lost.
    pub(crate) async fn renew(&mut self, connection: &walstream::Config) -> Result<()> {
        self.client = Client::connect(connection).await?;
        self.do_not_wait_for_locks().await
    }

    /// The session itself.
    pub(crate) const fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// End of the write-ahead log, flushed or not: everything committed by now lies before it.
    pub(crate) async fn insert_lsn(&mut self) -> Result<Lsn> {
        one_lsn(&mut self.client, "SELECT pg_current_wal_insert_lsn()").await
    }

    /// End of what is flushed of the write-ahead log.
    pub(crate) async fn flush_lsn(&mut self) -> Result<Lsn> {
        one_lsn(&mut self.client, "SELECT pg_current_wal_flush_lsn()").await
    }

    /// How much of the write-ahead log is kept for a slot, in words of the server's.
    pub(crate) async fn held_back(&mut self, slot: &str) -> Result<String> {
        let sql = format!(
            "SELECT pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn))
             FROM pg_replication_slots WHERE slot_name = {}",
            quote_literal(slot)
        );
        let rows = self.client.query(&sql).await?;
        let text = rows.first().and_then(|row| row.get(0));
        Ok(text.unwrap_or("nothing").to_owned())
    }

    /// Size of a page and of a segment of the write-ahead log.
    pub(crate) async fn wal_sizes(&mut self) -> Result<(u64, u64)> {
        let sql = "SELECT current_setting('wal_block_size'), setting::bigint * CASE unit WHEN 'B' THEN 1 ELSE 8192 END
                   FROM pg_settings WHERE name = 'wal_segment_size'";
        let rows = self.client.query(sql).await?;
        let row = rows.first().ok_or_else(|| missing_field(0))?;
        let size = |at| row.get(at).ok_or_else(|| missing_field(at)).and_then(parse);
        Ok((size(0)?, size(1)?))
    }

    /// Makes the server flush its log now rather than when it next has a reason to.
    ///
    /// Rows of a transaction that has not ended can lie unflushed for a quarter of a minute, and the stream
    /// reaches only what is flushed.
    pub(crate) async fn flush_wal(&mut self) {
        let flush = "SELECT pg_logical_emit_message(true, 'replicator', '')";
        if let Err(error) = self.client.execute(flush).await {
            tracing::debug!(%error, "the source does not flush on request; its own rhythm decides");
        }
    }

    /// Ends the session that holds a slot, if that may be done.
    pub(crate) async fn terminate(&mut self, pid: i32) -> Result<()> {
        self.client
            .execute(&format!("SELECT pg_terminate_backend({pid})"))
            .await?;
        Ok(())
    }

    /// Names of the publications, out of those given, that do not exist.
    pub(crate) async fn missing(&mut self, publications: &[String]) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT pubname FROM pg_publication WHERE pubname IN ({})",
            literals(publications)
        );
        let rows = self.client.query(&sql).await?;
        let found: Vec<&str> = rows.iter().filter_map(|row| row.get(0)).collect();
        Ok(publications
            .iter()
            .filter(|name| !found.contains(&name.as_str()))
            .cloned()
            .collect())
    }

    /// What the publications publish, as this session (or its snapshot) sees it.
    pub(crate) async fn published(&mut self, publications: &[String]) -> Result<Published> {
        published(&mut self.client, publications, &self.selection).await
    }

    /// Tables that could be replicated and are not, see [`publication::left_out`].
    pub(crate) async fn left_out(&mut self, publications: &[String]) -> Result<Vec<String>> {
        publication::left_out(&mut self.client, publications, &self.selection).await
    }

    /// Whether there is a table of that name.
    pub(crate) async fn has(&mut self, name: &TableName) -> Result<bool> {
        let sql = format!(
            "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p')",
            quote_literal(&name.schema),
            quote_literal(&name.table)
        );
        Ok(!self.client.query(&sql).await?.is_empty())
    }

    /// Those of these tables that are there, and whether they are unlogged: of them nothing is in the stream.
    pub(crate) async fn unlogged(&mut self, oids: &[Oid]) -> Result<HashMap<Oid, bool>> {
        if oids.is_empty() {
            return Ok(HashMap::new());
        }
        let oids: Vec<String> = oids.iter().map(|oid| oid.0.to_string()).collect();
        let sql = format!(
            "SELECT oid, relpersistence = 'u' FROM pg_class WHERE oid IN ({})",
            oids.join(", ")
        );
        let rows = self.client.query(&sql).await?;
        let read = |row: &walstream::Row| -> Result<_> {
            let oid = Oid(parse(row.get(0).ok_or_else(|| missing_field(0))?)?);
            Ok((oid, row.get(1) == Some("t")))
        };
        rows.iter().map(read).collect()
    }

    /// What tells whether publications, tables, filters and column lists are as they were, and whether a table got a
    /// column: [`Published::fingerprint`] and [`Published::relnatts`].
    pub(crate) async fn fingerprint(
        &mut self,
        publications: &[String],
    ) -> Result<(String, String)> {
        for _ in 1..ATTEMPTS {
            match fingerprint(&mut self.client, publications, &self.selection).await {
                Err(error) if is_about_a_gone_table(&error) => {}
                done => return Ok(done?),
            }
        }
        Ok(fingerprint(&mut self.client, publications, &self.selection).await?)
    }
}

/// How often the catalog is read before tables that go meanwhile are an error.
pub(crate) const ATTEMPTS: usize = 5;

/// A name for a temporary slot of this session, beside the slot `of`.
///
/// With the number of the server's own process, which no other session that lives has: a session that was given up may be
/// there for a while, with its slot, and in a container every replicator has the same process number.
pub(crate) async fn temporary_slot(
    client: &mut Client,
    of: &str,
    what: &str,
) -> Result<String, walstream::Error> {
    // Names have 63 bytes at most.
    let of: String = of.chars().take(40).collect();
    let rows = client.query("SELECT pg_backend_pid()").await?;
    let process = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
    Ok(format!("{of}_{what}_{process}"))
}

/// Whether a table was dropped while the catalog was being read: still in the snapshot, no longer to be opened.
pub(crate) fn is_about_a_gone_table(error: &walstream::Error) -> bool {
    matches!(error.sqlstate(), Some("XX000" | "42P01"))
}

/// What the publications publish, as `client`'s transaction sees it.
pub(crate) async fn published(
    client: &mut Client,
    publications: &[String],
    selection: &Selection,
) -> Result<Published> {
    let (fingerprint, relnatts) = fingerprint(client, publications, selection).await?;
    let version = client.server_version().major();
    // Before 15 there are neither column lists nor row filters. Generated columns are published from 18 on, and
    // only there does the view leave out those that are not.
    let (lists, generated) = match version {
        ..15 => (
            "NULL::name[] AS attnames, NULL::text AS rowfilter",
            "AND a.attgenerated = ''",
        ),
        15..18 => ("p.attnames, p.rowfilter", "AND a.attgenerated = ''"),
        18.. => ("p.attnames, p.rowfilter", ""),
    };
    let listed = format!(
        "SELECT format('%I.%I', p.schemaname, p.tablename)::regclass::oid AS oid, {lists}
         FROM pg_publication_tables p WHERE p.pubname IN ({}) AND NOT {}",
        literals(publications),
        selection.leaves_out_sql("p.schemaname", "p.tablename"),
    );
    let columns = format!("{generated} AND (t.attnames IS NULL OR a.attname = ANY (t.attnames))");
    let tables = tables(client, &listed, &columns).await?;
    Ok(Published {
        fingerprint,
        relnatts,
        tables,
    })
}

/// What a publication would publish that is only planned.
pub(crate) async fn planned(client: &mut Client, plan: &Plan) -> Result<Vec<PublishedTable>> {
    // Where columns are not listed, those that are made from others are not among them.
    let columns =
        "AND (t.attnames IS NULL AND a.attgenerated = '' OR a.attname = ANY (t.attnames))";
    tables(client, &plan.listed(), columns).await
}

/// Tables with their columns and keys; `listed` is a query for them, `columns` a condition that theirs meet.
async fn tables(client: &mut Client, listed: &str, columns: &str) -> Result<Vec<PublishedTable>> {
    // The file's number is read from the catalog's rows: `pg_relation_filenode` would tell the present one, whatever
    // snapshot the session has.
    let sql = format!(
        "WITH RECURSIVE listed AS (
           {listed}
         ), tables AS (
           SELECT oid, count(DISTINCT attnames::text) > 1 AS differing, min(attnames::text)::name[] AS attnames,
                  CASE WHEN bool_or(rowfilter IS NULL) THEN NULL
                       ELSE string_agg(DISTINCT format('(%s)', rowfilter), ' OR ') END AS rowfilter
           FROM listed GROUP BY oid
         ), base(type, oid) AS (
           SELECT DISTINCT a.atttypid, a.atttypid FROM pg_attribute a JOIN tables t ON a.attrelid = t.oid
           UNION
           SELECT b.type, y.typbasetype FROM base b JOIN pg_type y ON y.oid = b.oid WHERE y.typtype = 'd'
         ), identity AS (
           SELECT t.oid, i.indkey[0:i.indnkeyatts - 1]::int2[] AS key, i.indisreplident, i.indisprimary
           FROM tables t JOIN pg_class c ON c.oid = t.oid JOIN pg_index i ON i.indrelid = t.oid
           WHERE i.indimmediate AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
             AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
         ), part(root, oid) AS (
           SELECT t.oid, t.oid FROM tables t JOIN pg_class c ON c.oid = t.oid WHERE c.relkind = 'p'
           UNION ALL
           SELECT p.root, i.inhrelid FROM part p JOIN pg_inherits i ON i.inhparent = p.oid
         ), file(root, number) AS (
           SELECT p.root, hashtext(string_agg(concat_ws(' ', c.oid, c.relfilenode), ',' ORDER BY c.oid))::int8
           FROM part p JOIN pg_class c ON c.oid = p.oid GROUP BY p.root
         )
         SELECT t.oid, n.nspname, c.relname, c.relreplident, c.relkind,
                coalesce((SELECT number & 4294967295 FROM file WHERE root = t.oid), c.relfilenode::int8), t.rowfilter,
                t.differing, a.attname, a.atttypid, a.atttypmod, b.oid AS base,
                array_position(i.key, a.attnum) AS key_position, array_length(i.key, 1) AS key_length, a.attnum
         FROM tables t
         JOIN pg_class c ON c.oid = t.oid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped {columns}
         LEFT JOIN base b ON b.type = a.atttypid
           AND EXISTS (SELECT FROM pg_type y WHERE y.oid = b.oid AND y.typtype <> 'd')
         LEFT JOIN identity i ON i.oid = t.oid
         ORDER BY n.nspname, c.relname, a.attnum"
    );
    let rows = client.query(&sql).await?;
    let mut tables: Vec<PublishedTable> = Vec::new();
    let mut keys: Vec<(Vec<(usize, usize)>, usize)> = Vec::new();
    for row in &rows {
        let field = |at: usize| row.get(at).ok_or_else(|| missing_field(at));
        let oid = Oid(parse(field(0)?)?);
        if tables.last().is_none_or(|last| last.table.oid != oid) {
            if field(7)? == "t" {
                let (schema, name) = (field(1)?, field(2)?);
                return Err(Error::person(format!("table {schema}.{name} has different column lists in different publications"))
                    .with_hint("PostgreSQL refuses to decode such a table; give it one column list, or read one publication"));
            }
            tables.push(PublishedTable {
                table: Table {
                    oid,
                    schema: field(1)?.to_owned(),
                    name: field(2)?.to_owned(),
                    destination: String::new(),
                    columns: Vec::new(),
                    key: Vec::new(),
                    identity: field(3)?.chars().next().unwrap_or('d'),
                    relfilenode: row.get(5).map(parse).transpose()?.unwrap_or(0),
                },
                filter: row.get(6).map(str::to_owned),
                partitioned: field(4)? == "p",
            });
            keys.push((Vec::new(), row.get(13).map(parse).transpose()?.unwrap_or(0)));
        }
        let (Some(published), Some((key, _))) = (tables.last_mut(), keys.last_mut()) else {
            continue;
        };
        // A table without columns has one row here, without a column.
        let Some(name) = row.get(8) else { continue };
        if let Some(position) = row.get(12) {
            key.push((parse(position)?, published.table.columns.len()));
        }
        let (type_oid, base) = (Oid(parse(field(9)?)?), Oid(parse(field(11)?)?));
        let column = Column::new(name, type_oid, parse(field(10)?)?, base);
        let column = column.with_attnum(Some(parse(field(14)?)?));
        published.table.columns.push(column);
    }
    for (published, (mut key, length)) in tables.iter_mut().zip(keys) {
        key.sort_unstable();
        // A key of which a column is not published identifies nothing.
        if key.len() == length {
            published.table.key = key.into_iter().map(|(_, column)| column).collect();
        }
    }
    Ok(tables)
}

/// Object identifiers and row versions of everything that decides what is published, as readable lines.
///
/// Tables that the user leaves out do not count: they may come, change and go.
async fn fingerprint(
    client: &mut Client,
    publications: &[String],
    selection: &Selection,
) -> Result<(String, String), walstream::Error> {
    let version = client.server_version().major();
    let names = literals(publications);
    let listed = selection.leaves_out_sql("n.nspname", "c.relname");
    let published = selection.leaves_out_sql("t.schemaname", "t.tablename");
    let (lists, schemas) = if version < 15 {
        ("", String::new())
    } else {
        (
            ", r.prattrs::text, pg_get_expr(r.prqual, r.prrelid)",
            format!(
                " UNION ALL SELECT concat_ws(' ', 'schema', s.oid, s.xmin, s.pnnspid), NULL
                 FROM pg_publication_namespace s JOIN pg_publication p ON p.oid = s.pnpubid
                 WHERE p.pubname IN ({names})"
            ),
        )
    };
    let sql = format!(
        "SELECT line, relnatts FROM (
           SELECT concat_ws(' ', 'publication', p.oid, p.xmin, p.pubname) AS line, NULL::int2 AS relnatts
           FROM pg_publication p WHERE p.pubname IN ({names})
           UNION ALL
           SELECT concat_ws(' ', 'table', r.oid, r.xmin, r.prrelid{lists}), NULL
           FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
           JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE p.pubname IN ({names}) AND NOT {listed}
           {schemas}
           UNION
           SELECT concat_ws(' ', 'publishes', c.oid, t.schemaname, t.tablename), c.relnatts
           FROM pg_publication_tables t
           JOIN pg_namespace n ON n.nspname = t.schemaname
           JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename WHERE t.pubname IN ({names}) AND NOT {published}
         ) AS lines ORDER BY line COLLATE \"C\""
    );
    let rows = client.query(&sql).await?;
    let lines = rows.iter().filter_map(|row| row.get(0)).map(str::to_owned);
    // Without this a table that is not left out any more could not be told from one that was published since.
    let left_out = selection.without_tables.iter();
    let mut lines: Vec<String> = left_out
        .map(|pattern| format!("except {pattern}"))
        .chain(lines)
        .collect();
    lines.sort_unstable();
    // One that goes is counted for ever, so that one that comes in its place is one more.
    let relnatts: Vec<&str> = rows.iter().filter_map(|row| row.get(1)).collect();
    Ok((lines.join("\n"), relnatts.join(" ")))
}

/// The query that reads a table's published rows and columns, in the order of [`Table::columns`].
pub(crate) fn copy_query(published: &PublishedTable) -> String {
    let PublishedTable {
        table, partitioned, ..
    } = published;
    // The rows of a table's heirs are published under their own names; those of partitions under the root's.
    let only = if *partitioned { "" } else { "ONLY " };
    let name = format!(
        "{only}{}.{}",
        quote_identifier(&table.schema),
        quote_identifier(&table.name)
    );
    part_query(published, &name, None)
}

/// As [`copy_query`], from one of the places that hold the rows, and only those for which `range` is true.
pub(crate) fn part_query(published: &PublishedTable, from: &str, range: Option<&str>) -> String {
    let columns: Vec<String> = published
        .table
        .columns
        .iter()
        .map(|column| quote_identifier(&column.name))
        .collect();
    let filter = published
        .filter
        .as_ref()
        .map(|filter| format!("({filter})"));
    let conditions: Vec<&str> = filter.as_deref().into_iter().chain(range).collect();
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    format!(
        "COPY (SELECT {} FROM {from}{conditions}) TO STDOUT",
        columns.join(", ")
    )
}

async fn one_lsn(client: &mut Client, sql: &str) -> Result<Lsn> {
    let rows = client.query(sql).await?;
    let text = rows
        .first()
        .and_then(|row| row.get(0))
        .ok_or_else(|| missing_field(0))?;
    text.parse().map_err(|_| missing_field(0))
}

pub(crate) fn literals(names: &[String]) -> String {
    names
        .iter()
        .map(|name| quote_literal(name))
        .collect::<Vec<_>>()
        .join(", ")
}

pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        Error::person(format!(
            "the source's catalog said {text:?} where a number was expected"
        ))
    })
}

pub(crate) fn missing_field(at: usize) -> Error {
    Error::person(format!("the source's catalog answered without field {at}"))
}
