//! The publication we make: lists its tables, is marked as ours, and keeps the source application working.

mod columns;
mod unfit;

use walstream::{Client, quote_identifier, quote_literal};

use crate::config::Keyless;
use crate::error::{Error, Result};
use crate::names::TableName;
use crate::selection::Selection;
use crate::source::{ATTEMPTS, is_about_a_gone_table, literals, missing_field};
use columns::Publishes;
pub(crate) use unfit::{Remedy, Unfit, Why, check as check_fit, find as find_unfit, listed};

/// Comment that marks a publication as ours, so that `drop` and a later start know it.
const MARK: &str = "made by replicator";

/// A table of the source that could be published.
#[derive(Debug)]
struct Candidate {
    schema: String,
    name: String,
    /// Updates and deletes of a published table without one fail at the source.
    identified: bool,
    /// The columns to publish, if not all.
    columns: Option<Vec<String>>,
}

impl Candidate {
    fn quoted(&self) -> String {
        format!(
            "{}.{}",
            quote_identifier(&self.schema),
            quote_identifier(&self.name)
        )
    }

    /// The table as `CREATE PUBLICATION` takes it.
    fn listed(&self) -> String {
        let columns = self.columns.iter().flatten();
        let columns: Vec<String> = columns.map(|name| quote_identifier(name)).collect();
        if columns.is_empty() {
            self.quoted()
        } else {
            format!("{} ({})", self.quoted(), columns.join(", "))
        }
    }

    fn is(&self, name: &TableName) -> bool {
        self.schema == name.schema && self.name == name.table
    }

    fn plain(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    fn name(&self) -> TableName {
        TableName::new(&*self.schema, &*self.name)
    }
}

/// What was published and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Tables in the publication.
    pub(crate) published: Vec<String>,
    /// Tables without a usable key, left out.
    pub(crate) skipped: Vec<String>,
}

/// Name of the publication for tables of which only inserts and truncates are followed.
pub(crate) fn insert_only_name(publication: &str) -> String {
    format!("{publication}_insert_only")
}

/// The publication that a first start makes.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What makes it, between BEGIN and COMMIT.
    pub(crate) script: Vec<String>,
    pub(crate) made: Made,
    published: Vec<Candidate>,
    insert_only: Vec<Candidate>,
}

impl Plan {
    /// Makes it, in one transaction.
    async fn make(self, client: &mut Client) -> Result<Made> {
        let begin = ["BEGIN".to_owned()];
        let end = ["COMMIT".to_owned()];
        for statement in begin.iter().chain(&self.script).chain(&end) {
            if let Err(error) = client.execute(statement).await {
                // The transaction goes with it; what counts is the first error.
                let _ = client.execute("ROLLBACK").await;
                return Err(error.into());
            }
        }
        Ok(self.made)
    }

    /// The query for the numbers of its tables, with `attnames` and `rowfilter` as the server would publish them.
    pub(crate) fn listed(&self) -> String {
        let tables = self.published.iter().chain(&self.insert_only);
        let tables = tables.map(|table| {
            let columns = table.columns.as_ref().map_or_else(
                || "NULL".to_owned(),
                |columns| format!("ARRAY[{}]", literals(columns)),
            );
            let (schema, name) = (quote_literal(&table.schema), quote_literal(&table.name));
            format!("({schema}, {name}, {columns}::name[])")
        });
        format!(
            "SELECT c.oid, v.attnames, NULL::text AS rowfilter FROM (VALUES {}) AS v(schemaname, tablename, attnames)
             JOIN pg_namespace n ON n.nspname = v.schemaname
             JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = v.tablename",
            tables.collect::<Vec<_>>().join(", ")
        )
    }
}

/// Makes the publication `name` of the tables and columns that are chosen, in one transaction.
pub(crate) async fn create(
    client: &mut Client,
    name: &str,
    selection: &Selection,
    keyless: Keyless,
) -> Result<Made> {
    plan(client, name, selection, keyless)
        .await?
        .make(client)
        .await
}

/// What [`create`] would make; nothing is made.
pub(crate) async fn plan(
    client: &mut Client,
    name: &str,
    selection: &Selection,
    keyless: Keyless,
) -> Result<Plan> {
    unfit::check_named(client, selection, &[]).await?;
    let mut chosen = candidates(client).await?;
    selection.check(&chosen.iter().map(Candidate::name).collect::<Vec<_>>())?;
    let some = !chosen.is_empty();
    chosen.retain(|table| selection.selects(&table.schema, &table.name));
    let (mut published, unidentified): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|table| table.identified);
    let mut made = Made::default();
    let mut script = Vec::new();
    let mut insert_only = Vec::new();
    match keyless {
        Keyless::Skip => made.skipped = unidentified.iter().map(Candidate::plain).collect(),
        Keyless::InsertOnly => insert_only = unidentified,
        Keyless::Full => {
            for table in &unidentified {
                script.push(format!(
                    "ALTER TABLE {} REPLICA IDENTITY FULL",
                    table.quoted()
                ));
            }
            published.extend(unidentified);
        }
    }
    if published.is_empty() && insert_only.is_empty() {
        let skipped = made.skipped.join(", ");
        return Err(if skipped.is_empty() && some {
            Error::usage("--tables and --exclude-tables leave no table to replicate")
                .with_hint("name more with --tables, or fewer with --exclude-tables")
        } else if skipped.is_empty() {
            Error::usage("the source database has no table to replicate")
                .with_hint("see that --source names the right database; unlogged, temporary and foreign tables are never decoded")
        } else {
            Error::usage(format!("no table can be replicated: {skipped} have no usable key"))
                .with_hint("give them a primary key, or say what to do with --keyless insert-only or --keyless full")
        });
    }
    for table in columns::of_chosen(client, selection).await? {
        for (tables, publishes) in [
            (&mut published, Publishes::Everything),
            (&mut insert_only, Publishes::Inserts),
        ] {
            if let Some(candidate) = tables.iter_mut().find(|it| it.is(&table.table)) {
                let list = table.list(selection, publishes)?;
                candidate.columns = Some(list.into_iter().map(str::to_owned).collect());
            }
        }
    }
    script.extend(statements(
        name,
        &published,
        "publish_via_partition_root = true",
    ));
    if !insert_only.is_empty() {
        let with = "publish = 'insert, truncate', publish_via_partition_root = true";
        script.extend(statements(&insert_only_name(name), &insert_only, with));
    }
    made.published = published
        .iter()
        .chain(&insert_only)
        .map(Candidate::plain)
        .collect();
    Ok(Plan {
        script,
        made,
        published,
        insert_only,
    })
}

fn statements(name: &str, tables: &[Candidate], with: &str) -> [String; 2] {
    let name = quote_identifier(name);
    let list = tables
        .iter()
        .map(Candidate::listed)
        .collect::<Vec<_>>()
        .join(", ");
    let tables = if list.is_empty() {
        String::new()
    } else {
        format!(" FOR TABLE {list}")
    };
    [
        format!("CREATE PUBLICATION {name}{tables} WITH ({with})"),
        format!("COMMENT ON PUBLICATION {name} IS {}", quote_literal(MARK)),
    ]
}

/// Drops the publication and its companion for inserts, if they carry our mark; says which it dropped.
pub(crate) async fn drop_ours(client: &mut Client, name: &str) -> Result<Vec<String>> {
    let mut dropped = Vec::new();
    for name in [name.to_owned(), insert_only_name(name)] {
        if is_ours(client, &name).await? {
            client
                .execute(&format!("DROP PUBLICATION {}", quote_identifier(&name)))
                .await?;
            dropped.push(name);
        }
    }
    Ok(dropped)
}

/// Whether the publication exists and carries our mark.
pub(crate) async fn is_ours(client: &mut Client, name: &str) -> Result<bool> {
    let sql = format!(
        "SELECT FROM pg_publication WHERE pubname = {} AND obj_description(oid, 'pg_publication') = {}",
        quote_literal(name),
        quote_literal(MARK)
    );
    Ok(!client.query(&sql).await?.is_empty())
}

/// Tables that could be replicated and are in none of the publications, when one of these is ours; those that the user
/// leaves out by name are no surprise.
///
/// In somebody else's publication it is not for us to say what should be in it.
pub(crate) async fn left_out(
    client: &mut Client,
    publications: &[String],
    selection: &Selection,
) -> Result<Vec<String>> {
    if !any_is_ours(client, publications).await? {
        return Ok(Vec::new());
    }
    let published = published_names(client, publications).await?;
    let all = candidates(client).await?;
    let left = all.iter().filter(|table| {
        let by_name = selection.leaves_out(&table.schema, &table.name);
        !by_name && !published.iter().any(|name| table.is(name))
    });
    Ok(left.map(Candidate::plain).collect())
}

/// Sees that a publication which is there already can be what the user chooses.
///
/// # Errors
///
/// A name without a table, or a table of `--tables` that is not published. One without a key is not, in ours.
pub(crate) async fn check_selection(
    client: &mut Client,
    publications: &[String],
    selection: &Selection,
) -> Result<()> {
    if selection.tables.is_empty() && selection.without_tables.is_empty() {
        return Ok(());
    }
    let published = published_names(client, publications).await?;
    unfit::check_named(client, selection, &published).await?;
    let candidates = candidates(client).await?;
    let mut known: Vec<TableName> = candidates.iter().map(Candidate::name).collect();
    known.extend(published.iter().cloned());
    selection.check(&known)?;
    let ours = any_is_ours(client, publications).await?;
    let left_out = |name: &TableName| {
        let mut candidates = candidates.iter();
        ours && candidates.any(|table| table.is(name) && !table.identified)
    };
    let mut missing = selection.named().filter(|name| !published.contains(name));
    match missing.find(|name| !left_out(name)) {
        None => Ok(()),
        Some(name) => {
            let publications = publications.join(", ");
            Err(Error::usage(format!(
                "--tables names {name}, which publication {publications} is there without"
            ))
            .with_hint("--tables limits a publication that we make; add the table to the one that is there, or do not name it"))
        }
    }
}

async fn any_is_ours(client: &mut Client, publications: &[String]) -> Result<bool> {
    for name in publications {
        if is_ours(client, name).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Names under which tables are published.
async fn published_names(client: &mut Client, publications: &[String]) -> Result<Vec<TableName>> {
    let sql = format!(
        "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname IN ({})",
        literals(publications)
    );
    let mut attempt = 1;
    let rows = loop {
        match client.query(&sql).await {
            Err(error) if attempt < ATTEMPTS && is_about_a_gone_table(&error) => attempt += 1,
            done => break done?,
        }
    };
    let field = |row: &walstream::Row, at| {
        row.get(at)
            .map(str::to_owned)
            .ok_or_else(|| missing_field(at))
    };
    rows.iter()
        .map(|row| Ok(TableName::new(field(row, 0)?, field(row, 1)?)))
        .collect()
}

/// Permanent tables of the database: plain ones and partitioned roots, but no partitions and none of our own.
async fn candidates(client: &mut Client) -> Result<Vec<Candidate>> {
    let sql = r"SELECT n.nspname, c.relname, c.relreplident = 'f' OR EXISTS (
                  SELECT FROM pg_index i
                  WHERE i.indrelid = c.oid AND i.indimmediate AND i.indisvalid
                    AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
                  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
                  AND c.relname !~ '^_replicator_'
                ORDER BY 1, 2";
    let rows = client.query(sql).await?;
    let text = |value: Option<&str>, at| value.map(str::to_owned).ok_or_else(|| missing_field(at));
    rows.iter()
        .map(|row| {
            Ok(Candidate {
                schema: text(row.get(0), 0)?,
                name: text(row.get(1), 1)?,
                identified: row.get(2) == Some("t"),
                columns: None,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, name: &str) -> Candidate {
        Candidate {
            schema: schema.to_owned(),
            name: name.to_owned(),
            identified: true,
            columns: None,
        }
    }

    #[test]
    fn columns_are_listed_where_they_are_chosen() {
        let some = Candidate {
            columns: Some(vec!["id".to_owned(), "a\"b".to_owned()]),
            ..table("s", "t")
        };
        let [create, _] = statements("p", &[some, table("s", "u")], "x");
        assert_eq!(
            create,
            r#"CREATE PUBLICATION "p" FOR TABLE "s"."t" ("id", "a""b"), "s"."u" WITH (x)"#
        );
    }

    #[test]
    fn hostile_names_stay_names() {
        let [create, comment] = statements(
            "p\"; DROP",
            &[table("s", "x\"; DROP TABLE y; --")],
            "publish = 'insert'",
        );
        assert_eq!(
            create,
            r#"CREATE PUBLICATION "p""; DROP" FOR TABLE "s"."x""; DROP TABLE y; --" WITH (publish = 'insert')"#
        );
        assert_eq!(
            comment,
            r#"COMMENT ON PUBLICATION "p""; DROP" IS 'made by replicator'"#
        );
    }
}
