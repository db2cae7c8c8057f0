//! SQLite's SQL.
//!
//! * Integers and booleans are `INTEGER`, bytes are `BLOB`, text is `TEXT`. Floats have no declared type, because a
//!   `REAL` column would turn `-0` into `0.0`. Exact numbers are text, because no number of SQLite's holds them.
//! * Inserts are plain: no `OR REPLACE`, no `ON CONFLICT`, so that a row which is there already is noticed.
//! * A row without a key is found by its rowid, so that of several equal rows exactly one is touched. Rows are
//!   compared with `(…) IS (…)`, which knows NULL and is no deeper with 1600 columns than with one.

#[cfg(test)]
mod matrix;
pub(crate) mod parking;

use std::collections::HashMap;

use super::{ANOTHER_NAME, Dialect, Shape};
use crate::alteration::Words;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::table::Table;
use crate::value::Kind;

/// The dialect of SQLite 3.35 and later.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sqlite;

/// `SQLITE_MAX_COLUMN` as SQLite is built everywhere.
const MOST_COLUMNS: usize = 2000;

/// Prefix of our own tables, at every destination.
const OURS: &str = "_replicator_";

impl Dialect for Sqlite {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        let mut taken: HashMap<String, String> = HashMap::new();
        for table in tables {
            let (schema, its) = names.of(table);
            table.destination = name(schema, its);
            check(table)?;
            let key = table.destination.to_ascii_lowercase();
            if let Some(other) = taken.insert(key, table.to_string()) {
                let name = &table.destination;
                return Err(Error::usage(format!(
                    "tables {other} and {table} would both be {name:?} at the destination, where upper and lower case are one"
                ))
                .with_hint(ANOTHER_NAME));
            }
        }
        Ok(())
    }

    fn identifier(&self, out: &mut String, name: &str) {
        out.push('"');
        out.push_str(&name.replace('"', "\"\""));
        out.push('"');
    }

    fn create_table(&self, table: &Table) -> String {
        let mut sql = "CREATE TABLE ".to_owned();
        self.identifier(&mut sql, &table.destination);
        sql.push_str(" (");
        for (at, column) in table.columns.iter().enumerate() {
            comma(&mut sql, at);
            self.identifier(&mut sql, &column.name);
            sql.push_str(declared_type(column.kind));
            // SQLite allows NULL in a primary key unless told otherwise.
            if table.key.contains(&at) {
                sql.push_str(" NOT NULL");
            }
        }
        if !table.key.is_empty() {
            sql.push_str(", PRIMARY KEY (");
            self.columns(&mut sql, table, table.key.iter().copied());
            sql.push(')');
        }
        sql.push(')');
        sql
    }

    fn statement(&self, table: &Table, shape: &Shape) -> String {
        let mut sql = String::new();
        match shape {
            Shape::Insert => {
                sql.push_str("INSERT INTO ");
                self.identifier(&mut sql, &table.destination);
                sql.push_str(" (");
                self.columns(&mut sql, table, 0..table.columns.len());
                sql.push_str(") VALUES (");
                parameters(&mut sql, table.columns.len());
                sql.push(')');
            }
            Shape::Update(set) => {
                sql.push_str("UPDATE ");
                self.identifier(&mut sql, &table.destination);
                sql.push_str(" SET ");
                for (count, at) in set.iter().enumerate() {
                    comma(&mut sql, count);
                    self.column(&mut sql, table, *at);
                    sql.push_str(" = ?");
                }
                if set.is_empty() {
                    // Nothing to set, and still the row must be there.
                    let same = table.matched().next().unwrap_or(0);
                    self.column(&mut sql, table, same);
                    sql.push_str(" = ");
                    self.column(&mut sql, table, same);
                }
                self.matching(&mut sql, table);
            }
            Shape::Delete => {
                sql.push_str("DELETE FROM ");
                self.identifier(&mut sql, &table.destination);
                self.matching(&mut sql, table);
            }
            Shape::Truncate => {
                sql.push_str("DELETE FROM ");
                self.identifier(&mut sql, &table.destination);
            }
        }
        sql
    }
}

impl Words for Sqlite {
    fn table(&self, table: &Table) -> String {
        self.quoted(&table.destination)
    }

    fn quoted(&self, name: &str) -> String {
        let mut quoted = String::new();
        self.identifier(&mut quoted, name);
        quoted
    }

    fn add(&self, table: &Table, at: usize) -> String {
        let column = &table.columns[at];
        format!(
            "ALTER TABLE {} ADD COLUMN {}{}",
            self.quoted(&table.destination),
            self.quoted(&column.name),
            declared_type(column.kind)
        )
    }

    fn retype(&self, _: &Table, _: usize) -> Option<String> {
        // A column's type never changes.
        None
    }
}

impl Sqlite {
    /// Sets a column to one value where it holds another; both parameters are that value.
    pub(crate) fn fill(&self, table: &Table, at: usize) -> String {
        let (name, column) = (&table.destination, &table.columns[at].name);
        let (name, column) = (self.quoted(name), self.quoted(column));
        format!("UPDATE {name} SET {column} = ? WHERE {column} IS NOT ?")
    }

    /// All rows of a table, the columns in its order.
    pub fn select(&self, table: &Table) -> String {
        let mut sql = "SELECT ".to_owned();
        self.columns(&mut sql, table, 0..table.columns.len());
        sql.push_str(" FROM ");
        self.identifier(&mut sql, &table.destination);
        sql
    }

    /// The condition for exactly the row that is meant.
    fn matching(&self, sql: &mut String, table: &Table) {
        sql.push_str(" WHERE ");
        if !table.key.is_empty() {
            for (count, at) in table.key.iter().enumerate() {
                if count > 0 {
                    sql.push_str(" AND ");
                }
                self.column(sql, table, *at);
                sql.push_str(" = ?");
            }
            return;
        }
        let rowid = rowid(table).unwrap_or("rowid");
        sql.push_str(rowid);
        sql.push_str(" = (SELECT ");
        sql.push_str(rowid);
        sql.push_str(" FROM ");
        self.identifier(sql, &table.destination);
        sql.push_str(" WHERE (");
        self.columns(sql, table, 0..table.columns.len());
        sql.push_str(") IS (");
        parameters(sql, table.columns.len());
        sql.push_str(") LIMIT 1)");
    }

    fn columns(&self, sql: &mut String, table: &Table, places: impl Iterator<Item = usize>) {
        for (count, at) in places.enumerate() {
            comma(sql, count);
            self.column(sql, table, at);
        }
    }

    fn column(&self, sql: &mut String, table: &Table, at: usize) {
        self.identifier(sql, &table.columns[at].name);
    }
}

fn comma(sql: &mut String, count: usize) {
    if count > 0 {
        sql.push_str(", ");
    }
}

fn parameters(sql: &mut String, count: usize) {
    for at in 0..count {
        sql.push_str(if at == 0 { "?" } else { ", ?" });
    }
}

/// `public` is SQLite's only schema; the others become a prefix.
fn name(schema: &str, name: &str) -> String {
    match schema {
        "public" => name.to_owned(),
        schema => format!("{schema}__{name}"),
    }
}

/// Whether a table can be at the destination under the name that it has got.
pub(crate) fn check(table: &Table) -> Result<()> {
    let refuse =
        |why: String| Err(Error::usage(why).with_hint("leave the table out of the publication"));
    let lower = table.destination.to_ascii_lowercase();
    if let Some(prefix) = [OURS, "sqlite_"]
        .into_iter()
        .find(|prefix| lower.starts_with(prefix))
    {
        let why = format!(
            "table {table}: names that begin with {prefix} are reserved at the destination"
        );
        return Err(Error::usage(why).with_hint(ANOTHER_NAME));
    }
    match table.columns.len() {
        0 => {
            return refuse(format!(
                "table {table} publishes no column, and SQLite has no tables without columns"
            ));
        }
        1..=MOST_COLUMNS => {}
        count => {
            return refuse(format!(
                "table {table} has {count} columns; SQLite holds {MOST_COLUMNS}"
            ));
        }
    }
    let mut names = HashMap::new();
    for column in &table.columns {
        if let Some(other) = names.insert(column.name.to_ascii_lowercase(), &column.name) {
            let name = &column.name;
            return refuse(format!(
                "table {table} has columns {other:?} and {name:?}, which are one for SQLite, where upper and lower case are the same"
            ));
        }
    }
    if table.key.is_empty() && rowid(table).is_none() {
        return refuse(format!(
            "table {table} has no key, and columns named rowid, _rowid_ and oid: SQLite has no name left by which to find one of its rows"
        ));
    }
    Ok(())
}

/// The name of SQLite's own row number that no column hides.
fn rowid(table: &Table) -> Option<&'static str> {
    let hidden = |name: &str| {
        table
            .columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(name))
    };
    ["rowid", "_rowid_", "oid"]
        .into_iter()
        .find(|name| !hidden(name))
}

const fn declared_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool | Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid => " INTEGER",
        Kind::Float4 | Kind::Float8 => "",
        Kind::Bytea => " BLOB",
        Kind::Text => " TEXT",
    }
}

/// Whether a column that somebody else declared gives back what we store in it.
///
/// SQLite converts on the way in what the declared type seems to ask for: `1.50` becomes `1.5` in a `NUMERIC` column. A
/// `STRICT` table refuses what cannot be converted, and knows a type that converts nothing.
pub(crate) fn keeps(kind: Kind, declared: &str, strict: bool) -> bool {
    // https://www.sqlite.org/datatype3.html, "Determination Of Column Affinity", in its order.
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    let numbers = matches!(
        kind,
        Kind::Bool | Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid
    );
    match kind {
        _ if strict && declared == "ANY" => true,
        // No affinity touches bytes.
        Kind::Bytea => !strict || declared == "BLOB",
        _ if has(&["INT"]) => numbers,
        _ if has(&["CHAR", "CLOB", "TEXT"]) => kind == Kind::Text,
        _ if declared.is_empty() || has(&["BLOB"]) => !strict,
        _ if has(&["REAL", "FLOA", "DOUB"]) => false,
        _ => numbers,
    }
}

/// Whether a collation calls no two texts equal that differ.
pub(crate) fn tells_apart(collation: &str) -> bool {
    collation.eq_ignore_ascii_case("BINARY")
}

#[cfg(test)]
mod tests;
