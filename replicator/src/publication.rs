//! The publication we make: lists its tables, is marked as ours, and keeps the source application working.

use walstream::{Client, quote_identifier, quote_literal};

use crate::config::Keyless;
use crate::error::{Error, Result};
use crate::source::{ATTEMPTS, is_about_a_gone_table, literals, missing_field};

/// Comment that marks a publication as ours, so that `drop` and a later start know it.
const MARK: &str = "made by replicator";

/// A table of the source that could be published.
#[derive(Debug)]
struct Candidate {
    schema: String,
    name: String,
    /// Updates and deletes of a published table without one fail at the source.
    identified: bool,
}

impl Candidate {
    fn quoted(&self) -> String {
        format!(
            "{}.{}",
            quote_identifier(&self.schema),
            quote_identifier(&self.name)
        )
    }

    fn plain(&self) -> String {
        format!("{}.{}", self.schema, self.name)
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

/// Makes the publication `name`, in one transaction; `only` limits it to these tables (`schema.table`).
pub(crate) async fn create(
    client: &mut Client,
    name: &str,
    only: &[String],
    keyless: Keyless,
) -> Result<Made> {
    let all = candidates(client).await?;
    let chosen = choose(all, only)?;
    let (mut published, unidentified): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|table| table.identified);
    let mut made = Made::default();
    let mut script = vec!["BEGIN".to_owned()];
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
        return Err(if skipped.is_empty() {
            Error::usage("the source database has no table to replicate")
        } else {
            Error::usage(format!("no table can be replicated: {skipped} have no usable key"))
                .with_hint("give them a primary key, or say what to do with --keyless insert-only or --keyless full")
        });
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
    script.push("COMMIT".to_owned());
    for statement in &script {
        if let Err(error) = client.execute(statement).await {
            // The transaction goes with it; what counts is the first error.
            let _ = client.execute("ROLLBACK").await;
            return Err(error.into());
        }
    }
    Ok(made)
}

fn statements(name: &str, tables: &[Candidate], with: &str) -> [String; 2] {
    let name = quote_identifier(name);
    let list = tables
        .iter()
        .map(Candidate::quoted)
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

/// Tables that could be replicated and are in none of the publications, when one of these is ours.
///
/// In somebody else's publication it is not for us to say what should be in it.
pub(crate) async fn left_out(client: &mut Client, publications: &[String]) -> Result<Vec<String>> {
    let mut ours = false;
    for name in publications {
        ours = ours || is_ours(client, name).await?;
    }
    if !ours {
        return Ok(Vec::new());
    }
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
    let published: Vec<_> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let all = candidates(client).await?;
    let left = all
        .iter()
        .filter(|table| !published.contains(&(Some(&*table.schema), Some(&*table.name))));
    Ok(left.map(Candidate::plain).collect())
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
            })
        })
        .collect()
}

/// The candidates that `only` names, all without it; a name that is no candidate is an error.
fn choose(all: Vec<Candidate>, only: &[String]) -> Result<Vec<Candidate>> {
    if only.is_empty() {
        return Ok(all);
    }
    // As in `--tables`: a name without a schema means `public`.
    let wanted: Vec<String> = only
        .iter()
        .map(|name| {
            if name.contains('.') {
                name.clone()
            } else {
                format!("public.{name}")
            }
        })
        .collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !all.iter().any(|table| table.plain() == **name))
    {
        return Err(Error::usage(format!("the source has no table {unknown} that can be replicated"))
            .with_hint("--tables takes names as in schema.table; unlogged, temporary and foreign tables are never decoded"));
    }
    Ok(all
        .into_iter()
        .filter(|table| wanted.contains(&table.plain()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, name: &str) -> Candidate {
        Candidate {
            schema: schema.to_owned(),
            name: name.to_owned(),
            identified: true,
        }
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

    #[test]
    fn a_table_asked_for_by_name_must_exist() {
        let all = || vec![table("public", "a"), table("s", "b")];
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            choose(all(), &only)
                .map(|tables| tables.iter().map(Candidate::plain).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["public.a", "s.b"]);
        assert_eq!(names(&["a"]).unwrap(), ["public.a"]);
        assert_eq!(names(&["s.b"]).unwrap(), ["s.b"]);
        assert!(names(&["b"]).unwrap_err().to_string().contains("public.b"));
    }
}
