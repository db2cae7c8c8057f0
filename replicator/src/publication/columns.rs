//! The columns of a table in the publication that we make, where the user chose them.

use walstream::{Client, quote_literal};

use crate::error::{Error, Result};
use crate::names::{Part, TableName, nearest};
use crate::selection::Selection;
use crate::source::missing_field;

/// A table's columns as the source has them.
#[derive(Debug)]
pub(super) struct SourceColumns {
    pub(super) table: TableName,
    columns: Vec<SourceColumn>,
    /// `REPLICA IDENTITY FULL`.
    full: bool,
}

#[derive(Debug)]
struct SourceColumn {
    name: String,
    /// Made from other columns.
    generated: bool,
    /// One of those that identify a row.
    identifies: bool,
}

/// What the source publishes of a table's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishes {
    Everything,
    /// Inserts and truncates, which need no key.
    Inserts,
}

/// Columns of the tables of which the user chose some.
pub(super) async fn of_chosen(
    client: &mut Client,
    selection: &Selection,
) -> Result<Vec<SourceColumns>> {
    let names = selection.with_columns();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let version = client.server_version();
    if version.major() < 15 {
        return Err(Error::usage(format!(
            "the source has version {version}, and publications can leave out columns from 15 on"
        ))
        .with_hint("leave out --columns and --exclude-columns"));
    }
    let wanted = names.iter().map(|name| {
        let (schema, table) = (quote_literal(&name.schema), quote_literal(&name.table));
        format!("({schema}, {table})")
    });
    let sql = format!(
        "SELECT n.nspname, c.relname, a.attname, a.attgenerated <> '', c.relreplident = 'f', EXISTS (
           SELECT FROM pg_index i
           WHERE i.indrelid = c.oid AND i.indimmediate AND i.indisvalid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
             AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE (n.nspname, c.relname) IN ({})
         ORDER BY 1, 2, a.attnum",
        wanted.collect::<Vec<_>>().join(", ")
    );
    let mut tables: Vec<SourceColumns> = Vec::new();
    for row in &client.query(&sql).await? {
        let field = |at: usize| row.get(at).ok_or_else(|| missing_field(at));
        let table = TableName::new(field(0)?, field(1)?);
        if tables.last().is_none_or(|last| last.table != table) {
            tables.push(SourceColumns {
                table,
                columns: Vec::new(),
                full: field(4)? == "t",
            });
        }
        if let Some(last) = tables.last_mut() {
            last.columns.push(SourceColumn {
                name: field(2)?.to_owned(),
                generated: field(3)? == "t",
                identifies: field(5)? == "t",
            });
        }
    }
    Ok(tables)
}

impl SourceColumns {
    /// The columns to publish, in the table's order.
    ///
    /// # Errors
    ///
    /// A column that is not there, none left, or one left out that updates and deletes need: these would fail at the
    /// source.
    pub(super) fn list(&self, selection: &Selection, publishes: Publishes) -> Result<Vec<&str>> {
        let table = &self.table;
        for name in selection.named_columns(table) {
            let columns = || self.columns.iter().map(|column| &*column.name);
            if !columns().any(|column| column == name.column) {
                let error = Error::usage(format!(
                    "table {table} has no column {}",
                    Part(&name.column)
                ));
                return Err(match nearest(&name.column, columns()) {
                    Some(near) => error.with_hint(format!("it has {}", Part(near))),
                    None => error,
                });
            }
        }
        let chosen = |column: &&SourceColumn| {
            selection.selects_column(table, &column.name, column.generated)
        };
        if publishes == Publishes::Everything {
            if self.full {
                return Err(Error::usage(format!(
                    "columns of {table} are chosen, and its replica identity is FULL: updates and deletes would fail at the source"
                ))
                .with_hint("give it a key, or leave out --columns and --exclude-columns for it"));
            }
            let mut needed = self.columns.iter().filter(|column| column.identifies);
            if let Some(missing) = needed.find(|column| !chosen(column)) {
                return Err(Error::usage(format!(
                    "column {} of {table} is left out, and is part of what identifies a row: updates and deletes would fail at the source",
                    Part(&missing.name)
                ))
                .with_hint("leave it in"));
            }
        }
        let list: Vec<&str> = self
            .columns
            .iter()
            .filter(chosen)
            .map(|column| &*column.name)
            .collect();
        if list.is_empty() {
            return Err(Error::usage(format!("no column of {table} is left"))
                .with_hint("leave out the table with --exclude-tables"));
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(full: bool) -> SourceColumns {
        let column = |name: &str, generated, identifies| SourceColumn {
            name: name.to_owned(),
            generated,
            identifies,
        };
        SourceColumns {
            table: TableName::new("hr", "people"),
            columns: vec![
                column("id", false, true),
                column("name", false, false),
                column("salary", false, false),
                column("initial", true, false),
            ],
            full,
        }
    }

    fn only(columns: &[&str]) -> Selection {
        Selection {
            columns: columns.iter().map(|it| it.parse().unwrap()).collect(),
            ..Selection::default()
        }
    }

    fn without(columns: &[&str]) -> Selection {
        Selection {
            without_columns: columns.iter().map(|it| it.parse().unwrap()).collect(),
            ..Selection::default()
        }
    }

    #[test]
    fn columns_come_in_the_tables_order() {
        let (people, all) = (people(false), Publishes::Everything);
        let list = |of: Selection| people.list(&of, all).unwrap().join(" ");
        assert_eq!(list(without(&["hr.people.salary"])), "id name");
        let named = ["hr.people.initial", "hr.people.name", "hr.people.id"];
        assert_eq!(list(only(&named)), "id name initial");
    }

    #[test]
    fn what_would_break_the_source_is_refused() {
        let refusal = |full, of: Selection, publishes| {
            let error = people(full).list(&of, publishes).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            format!("{error} {}", error.hint().unwrap_or_default())
        };
        use Publishes::{Everything, Inserts};
        for (full, of, words) in [
            (
                false,
                without(&["hr.people.id"]),
                "column id of hr.people is left out",
            ),
            (
                false,
                only(&["hr.people.name"]),
                "column id of hr.people is left out",
            ),
            (
                true,
                without(&["hr.people.salary"]),
                "replica identity is FULL",
            ),
            (
                false,
                without(&["hr.people.salry"]),
                "no column salry it has salary",
            ),
        ] {
            let message = refusal(full, of, Everything);
            assert!(message.contains(words), "{message}");
        }
        let none = ["id", "name", "salary"].map(|name| format!("hr.people.{name}"));
        let none: Vec<&str> = none.iter().map(|name| &**name).collect();
        let message = refusal(false, without(&none), Inserts);
        assert!(
            message.contains("no column of hr.people is left"),
            "{message}"
        );
        let kept = people(true);
        let kept = kept.list(&without(&["hr.people.id"]), Inserts).unwrap();
        assert_eq!(kept, ["name", "salary"]);
    }
}
