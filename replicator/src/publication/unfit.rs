//! Tables of which a copy or the stream would leave rows out, found before anything is made.

use walstream::{Client, quote_identifier, quote_literal};

use crate::error::{Error, Result};
use crate::names::TableName;
use crate::selection::Selection;
use crate::source::{ATTEMPTS, is_about_a_gone_table, literals, missing_field};

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) why: Why,
    /// The table that is published, also where it is about a partition of it.
    pub(crate) table: TableName,
    pub(crate) what: String,
    pub(crate) remedy: Remedy,
}

/// Why a table is unfit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Foreign,
    Unlogged,
    Schema,
    Select,
    RowSecurity,
}

/// What mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// A statement for the source.
    Sql(String),
    /// What no statement does.
    Words(String),
}

impl Remedy {
    fn text(&self) -> &str {
        match self {
            Self::Sql(text) | Self::Words(text) => text,
        }
    }
}

/// All of them in one line, each once.
fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join("; ")
}

/// Sees that the stream shows every change of what is published and, if it is copied, that the session's role sees all
/// of its rows.
///
/// The server publishes a partitioned table although partitions of it are unlogged or foreign: a copy would bring their
/// rows, and the stream nothing that happens to them. Policies of row security that apply to us would leave rows out of
/// a copy, and none out of the stream.
///
/// # Errors
///
/// Names all such tables, with what mends them.
pub(crate) async fn check(
    client: &mut Client,
    publications: &[String],
    selection: &Selection,
    copied: bool,
) -> Result<()> {
    let listed = listed(publications, selection);
    let found = find(client, &listed, copied).await?;
    if found.is_empty() {
        return Ok(());
    }
    let what = joined(found.iter().map(|it| &*it.what));
    let remedies = joined(found.iter().map(|it| it.remedy.text()));
    Err(Error::person(format!(
        "not everything that is published can be replicated: {what}"
    ))
    .with_hint(format!(
        "{remedies}; or leave out such a table, with --exclude-tables"
    )))
}

/// The query for the numbers of the tables that publications publish, but for those that the user leaves out.
pub(crate) fn listed(publications: &[String], selection: &Selection) -> String {
    // By names rather than `regclass`, which wants the right to the schema that may be missing.
    format!(
        "SELECT DISTINCT c.oid FROM pg_publication_tables p
         JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
         WHERE p.pubname IN ({}) AND NOT {}",
        literals(publications),
        selection.leaves_out_sql("p.schemaname", "p.tablename"),
    )
}

/// All that is wrong with tables; `listed` is a query for their numbers.
pub(crate) async fn find(client: &mut Client, listed: &str, copied: bool) -> Result<Vec<Unfit>> {
    let sql = format!(
        "WITH RECURSIVE listed AS (
           {listed}
         ), part(root, oid) AS (
           SELECT oid, oid FROM listed
           UNION ALL
           SELECT p.root, i.inhrelid FROM part p JOIN pg_class c ON c.oid = p.oid JOIN pg_inherits i ON i.inhparent = p.oid
           WHERE c.relkind = 'p'
         )
         SELECT rn.nspname, r.relname, n.nspname, c.relname, c.relkind, c.relpersistence, c.oid = r.oid, current_user,
                has_schema_privilege(rn.oid, 'USAGE'), has_table_privilege(r.oid, 'SELECT'), row_security_active(r.oid)
         FROM part p JOIN pg_class r ON r.oid = p.root JOIN pg_namespace rn ON rn.oid = r.relnamespace
         JOIN pg_class c ON c.oid = p.oid JOIN pg_namespace n ON n.oid = c.relnamespace
         ORDER BY 1, 2, 3, 4"
    );
    let mut attempt = 1;
    let rows = loop {
        match client.query(&sql).await {
            Err(error) if attempt < ATTEMPTS && is_about_a_gone_table(&error) => attempt += 1,
            done => break done?,
        }
    };
    let mut found = Vec::new();
    for row in &rows {
        let field = |at: usize| row.get(at).ok_or_else(|| missing_field(at));
        let root = TableName::new(field(0)?, field(1)?);
        let leaf = TableName::new(field(2)?, field(3)?);
        let (kind, persistence, role) = (field(4)?, field(5)?, quote_identifier(field(7)?));
        let itself = field(6)? == "t";
        let whose = if itself {
            format!("table {root}")
        } else {
            format!("partition {leaf} of table {root}")
        };
        let mut add = |why, what, remedy| {
            let table = root.clone();
            found.push(Unfit {
                why,
                table,
                what,
                remedy,
            });
        };
        if kind == "f" {
            add(
                Why::Foreign,
                format!(
                    "{whose} is foreign: its changes happen elsewhere and are not in the stream"
                ),
                Remedy::Words(format!(
                    "replicate {leaf} from where its rows lie, and detach it here"
                )),
            );
        } else if persistence != "p" {
            add(
                Why::Unlogged,
                format!("{whose} is unlogged: its changes are not in the stream"),
                Remedy::Sql(format!("ALTER TABLE {} SET LOGGED", quoted(&leaf))),
            );
        }
        if !copied || !itself {
            continue;
        }
        if field(8)? != "t" {
            add(
                Why::Schema,
                format!("role {role} must not use the schema of table {root}"),
                Remedy::Sql(format!(
                    "GRANT USAGE ON SCHEMA {} TO {role}",
                    quote_identifier(&root.schema)
                )),
            );
        }
        // Rights to columns do not do: the table is locked, so that nobody rewrites it under the copy.
        if field(9)? != "t" {
            add(
                Why::Select,
                format!("role {role} must not read table {root}"),
                Remedy::Sql(format!("GRANT SELECT ON {} TO {role}", quoted(&root))),
            );
        }
        if field(10)? == "t" {
            add(
                Why::RowSecurity,
                format!(
                    "row security of table {root} applies to role {role}, and would leave rows out of the copy"
                ),
                Remedy::Sql(format!("ALTER ROLE {role} BYPASSRLS")),
            );
        }
    }
    Ok(found)
}

/// Sees that what `--tables` names one by one is of a kind that the server publishes, or published already.
///
/// # Errors
///
/// Names all that are not, with the reason. A name that nothing has is for [`Selection::check`] to tell.
pub(super) async fn check_named(
    client: &mut Client,
    selection: &Selection,
    published: &[TableName],
) -> Result<()> {
    let named = selection.named().filter(|name| !published.contains(name));
    let named: Vec<String> = named
        .map(|name| {
            let (schema, table) = (quote_literal(&name.schema), quote_literal(&name.table));
            format!("({schema}, {table})")
        })
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT n.nspname, c.relname, c.relkind, c.relpersistence, c.relispartition, p.nspname, r.relname
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_class r ON c.relispartition AND r.oid = (SELECT a.relid FROM pg_partition_ancestors(c.oid) AS a(relid)
           JOIN pg_class t ON t.oid = a.relid WHERE NOT t.relispartition)
         LEFT JOIN pg_namespace p ON p.oid = r.relnamespace
         WHERE (n.nspname, c.relname) IN ({})
         ORDER BY 1, 2",
        named.join(", ")
    );
    let mut found: Vec<(String, String)> = Vec::new();
    for row in &client.query(&sql).await? {
        let field = |at: usize| row.get(at).ok_or_else(|| missing_field(at));
        let name = TableName::new(field(0)?, field(1)?);
        let (what, remedy) = match (field(2)?, field(3)?, field(4)?) {
            ("r" | "p", "u", _) => (
                "is unlogged: its changes are not written where the stream is read from",
                format!("ALTER TABLE {} SET LOGGED", quoted(&name)),
            ),
            ("r" | "p", "t", _) => (
                "is temporary: nobody else sees its rows",
                "name permanent tables".to_owned(),
            ),
            ("r" | "p", _, "t") => {
                let root = TableName::new(field(5)?, field(6)?);
                (
                    "is a partition, and goes with its table",
                    format!("name {root} in its place"),
                )
            }
            ("r" | "p", ..) => continue,
            ("f", ..) => (
                "is foreign: its rows lie elsewhere",
                "replicate it from where they lie".to_owned(),
            ),
            ("v", ..) => ("is a view", "name the tables under it".to_owned()),
            ("m", ..) => (
                "is a materialized view",
                "name the tables under it".to_owned(),
            ),
            _ => ("is no table", "name tables".to_owned()),
        };
        found.push((format!("{name} {what}"), remedy));
    }
    if found.is_empty() {
        return Ok(());
    }
    let what = joined(found.iter().map(|(what, _)| &**what));
    let remedies = joined(found.iter().map(|(_, remedy)| &**remedy));
    Err(
        Error::usage(format!("--tables names what cannot be replicated: {what}"))
            .with_hint(remedies),
    )
}

fn quoted(name: &TableName) -> String {
    format!(
        "{}.{}",
        quote_identifier(&name.schema),
        quote_identifier(&name.table)
    )
}
