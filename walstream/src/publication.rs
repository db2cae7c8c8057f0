//! Publications as the catalog shows them: what they name, and what therefore comes.

use crate::client::Client;
use crate::command::quote_literal;
use crate::error::{Error, Result};
use crate::row::Row;
use crate::system::{flag, missing};
use crate::version::ServerVersion;

/// A publication, and what it publishes now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publication {
    /// Its name.
    pub name: String,
    /// The role that owns it.
    pub owner: String,
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// Whether it brings inserts.
    pub insert: bool,
    /// Whether it brings updates.
    pub update: bool,
    /// Whether it brings deletes.
    pub delete: bool,
    /// Whether it brings truncates.
    pub truncate: bool,
    /// `publish_via_partition_root`: changes of partitions come under the name of the partitioned table.
    pub via_root: bool,
    /// Whether stored generated columns come where no column list says otherwise; `None` before 18, where they never
    /// do.
    pub generated_columns: Option<bool>,
    /// The tables that were added to it by name, by schema and name.
    pub tables: Vec<PublicationTable>,
    /// The schemas that were added to it, of which all tables come (from 15 on), by name.
    pub schemas: Vec<String>,
    /// The tables whose changes come in the end, by schema and name: those that are in it for whatever reason,
    /// partitions or their roots as [`via_root`](Self::via_root) says.
    pub published: Vec<PublishedName>,
}

/// A table that was added to a publication by name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublicationTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns that come, in the order of the table (from 15 on); `None` where none are listed, so that all come.
    pub columns: Option<Vec<String>>,
    /// The condition, as SQL, that a row must meet to come (from 15 on); `None` where all come.
    pub filter: Option<String>,
}

/// Schema and name of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PublishedName {
    /// The schema.
    pub schema: String,
    /// The name.
    pub name: String,
}

impl Publication {
    /// Whether no change of any table can come: it holds no table, or publishes none of the four operations.
    ///
    /// No server says so, and a stream of such publications is silent without an error.
    pub fn brings_nothing(&self) -> bool {
        let nothing_done = !(self.insert || self.update || self.delete || self.truncate);
        nothing_done || self.published.is_empty()
    }
}

impl Client {
    /// All publications of the database, by name; on either kind of connection.
    ///
    /// Waits for whoever has locked one of their tables for a change of its definition.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query); `XX000` or `42P01` where a table is dropped while they are read: ask again.
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn publications(&mut self) -> Result<Vec<Publication>> {
        self.inspect_publications(None).await
    }

    /// One publication of the database; `None` where there is none of that name. On either kind of connection.
    ///
    /// Waits and fails as [`publications`](Self::publications) does.
    ///
    /// # Errors
    ///
    /// As [`publications`](Self::publications).
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn publication(&mut self, name: &str) -> Result<Option<Publication>> {
        Ok(self.inspect_publications(Some(name)).await?.pop())
    }

    async fn inspect_publications(&mut self, name: Option<&str>) -> Result<Vec<Publication>> {
        let rows = self.query(&text(name, self.server_version())).await?;
        let mut publications: Vec<Publication> = Vec::new();
        for row in &rows {
            let kind = row.by_name("kind").ok_or_else(|| missing("kind"))?;
            match (kind, publications.last_mut()) {
                ("1", _) => publications.push(Publication::read(row)?),
                (_, Some(publication)) => publication.add(kind, row)?,
                (_, None) => return Err(missing("publication")),
            }
        }
        Ok(publications)
    }
}

/// One statement, so that what it shows is of one moment. Each row says of what kind it is: the publication itself,
/// then its tables and their listed columns, its schemas, and what comes in the end.
fn text(name: Option<&str>, version: ServerVersion) -> String {
    let of = |column: &str| {
        name.map_or_else(String::new, |name| {
            format!(" WHERE {column} = {}", quote_literal(name))
        })
    };
    let (generated, filter) = match version.major() {
        ..15 => ("NULL::bool", "NULL::text"),
        15..18 => ("NULL::bool", "pg_catalog.pg_get_expr(r.prqual, r.prrelid)"),
        18.. => (
            "p.pubgencols <> 'n'",
            "pg_catalog.pg_get_expr(r.prqual, r.prrelid)",
        ),
    };
    let flags =
        "NULL::bool, NULL::bool, NULL::bool, NULL::bool, NULL::bool, NULL::bool, NULL::bool";
    let tables = "pg_catalog.pg_publication p
           JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
           JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";
    let since_15 = if version.major() < 15 {
        String::new()
    } else {
        format!(
            "UNION ALL
         SELECT 3, p.pubname::text, n.nspname::text, c.relname::text, a.attname::text, a.attnum::int, {flags}
         FROM {tables}
           JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (r.prattrs::int2[]){}
         UNION ALL
         SELECT 4, p.pubname::text, n.nspname::text, NULL, NULL, 0, {flags}
         FROM pg_catalog.pg_publication p
           JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = p.oid
           JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid{}",
            of("p.pubname"),
            of("p.pubname")
        )
    };
    format!(
        "SELECT * FROM (
         SELECT 1 AS kind, p.pubname::text AS publication, pg_catalog.pg_get_userbyid(p.pubowner)::text AS first,
                NULL::text AS second, NULL::text AS third, 0 AS place, p.puballtables AS all_tables,
                p.pubinsert AS insert, p.pubupdate AS update, p.pubdelete AS delete, p.pubtruncate AS truncate,
                p.pubviaroot AS via_root, {generated} AS generated
         FROM pg_catalog.pg_publication p{}
         UNION ALL
         SELECT 2, p.pubname::text, n.nspname::text, c.relname::text, {filter}, 0, {flags} FROM {tables}{}
         {since_15}
         UNION ALL
         SELECT 5, t.pubname::text, t.schemaname::text, t.tablename::text, NULL, 0, {flags}
         FROM pg_catalog.pg_publication_tables t{}
         ) AS row ORDER BY publication COLLATE \"C\", kind, first COLLATE \"C\", second COLLATE \"C\", place",
        of("p.pubname"),
        of("p.pubname"),
        of("t.pubname")
    )
}

impl Publication {
    fn read(row: &Row) -> Result<Self> {
        let text = |name| row.by_name(name).ok_or_else(|| missing(name));
        let needed = |name| flag(row, name).ok_or_else(|| missing(name));
        Ok(Self {
            name: text("publication")?.to_owned(),
            owner: text("first")?.to_owned(),
            all_tables: needed("all_tables")?,
            insert: needed("insert")?,
            update: needed("update")?,
            delete: needed("delete")?,
            truncate: needed("truncate")?,
            via_root: needed("via_root")?,
            generated_columns: flag(row, "generated"),
            tables: Vec::new(),
            schemas: Vec::new(),
            published: Vec::new(),
        })
    }

    /// Takes one of the rows that follow its own.
    fn add(&mut self, kind: &str, row: &Row) -> Result<()> {
        let text = |name| {
            let text = row.by_name(name).ok_or_else(|| missing(name))?;
            Ok::<_, Error>(text.to_owned())
        };
        match kind {
            "2" => self.tables.push(PublicationTable {
                schema: text("first")?,
                name: text("second")?,
                columns: None,
                filter: row.by_name("third").map(str::to_owned),
            }),
            "3" => {
                let (schema, name) = (text("first")?, text("second")?);
                let table = self
                    .tables
                    .iter_mut()
                    .find(|table| table.schema == schema && table.name == name);
                let table = table.ok_or_else(|| missing("table"))?;
                table.columns.get_or_insert_default().push(text("third")?);
            }
            "4" => self.schemas.push(text("first")?),
            "5" => self.published.push(PublishedName {
                schema: text("first")?,
                name: text("second")?,
            }),
            _ => return Err(missing("kind")),
        }
        Ok(())
    }
}
