//! PostgreSQL's SQL.
//!
//! * Columns keep the types that every server has, with their modifiers ([`types`]); what only the source has is
//!   `text`. Key columns of text compare byte by byte.
//! * A statement carries any number of rows of one shape, each column of them as one array parameter. Numbers,
//!   booleans and bytes travel in binary form into columns of their own type; all else travels as the text that the
//!   source printed, and the server's own input function reads it.
//! * Inserts are plain: no `ON CONFLICT`, so that a row which is there already is noticed. Where no index keeps two
//!   rows from having the same key, updates and deletes tell which of their rows met exactly one row.
//! * A row without a key is found by its place, so that of several equal rows exactly one is touched. What has no
//!   equality, or calls different texts equal, is compared as text.
//! * A name at the destination is `schema.table`, its parts in quotes where they are not plain lower-case words.

#[cfg(test)]
mod matrix;
pub(crate) mod parking;
pub(crate) mod types;
pub(crate) mod wide;

use std::collections::HashMap;
use std::fmt::Write;

use super::{ANOTHER_NAME, Dialect, Shape};
use walstream::quote_literal;

use crate::alteration::Words;
use crate::dialect::text::own_typmod;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::table::{Column, Table};
use crate::value::Kind;
use types::BuiltIn;

/// The dialect of PostgreSQL 14 and later.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postgres;

/// `NAMEDATALEN` less its zero byte, as PostgreSQL is built everywhere.
const LONGEST_NAME: usize = 63;

/// `MaxHeapAttributeNumber`.
const MOST_COLUMNS: usize = 1600;

/// Prefix of our own tables, at every destination.
const OURS: &str = "_replicator_";

impl Dialect for Postgres {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        let mut taken: HashMap<String, String> = HashMap::new();
        for table in tables {
            let (schema, name) = names.of(table);
            let destination = format!("{}.{}", plain(schema), plain(name));
            check(table, schema, name)?;
            table.destination = destination;
            if let Some(other) = taken.insert(table.destination.clone(), table.to_string()) {
                let name = &table.destination;
                return Err(Error::usage(format!(
                    "tables {other} and {table} would both be {name} at the destination"
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
        create_table(table, BuiltIn::held)
    }

    fn statement(&self, table: &Table, shape: &Shape) -> String {
        Target::made(table).statement(shape)
    }
}

/// The statement that makes a table of these types.
pub(crate) fn create_table(table: &Table, held: impl Fn(&Column) -> BuiltIn) -> String {
    let mut sql = format!("CREATE TABLE {} (", qualified(&table.destination));
    for (at, column) in table.columns.iter().enumerate() {
        let held = held(column);
        separate(&mut sql, at, ", ");
        sql += &quoted(&column.name);
        sql.push(' ');
        sql.push_str(&held.declared(own_typmod(column)));
        if table.key.contains(&at) {
            if held.is_collatable() {
                sql.push_str(BYTES);
            }
            sql.push_str(" NOT NULL");
        }
    }
    if !table.key.is_empty() {
        sql.push_str(", PRIMARY KEY (");
        for (count, at) in table.key.iter().enumerate() {
            separate(&mut sql, count, ", ");
            sql += &quoted(&table.columns[*at].name);
        }
        sql.push(')');
    }
    sql.push(')');
    sql
}

/// The statements' words, with the types that columns get.
pub(crate) struct Altering<F>(pub(crate) F);

impl<F: Fn(&Column) -> BuiltIn> Altering<F> {
    fn declared(&self, column: &Column) -> String {
        (self.0)(column).declared(own_typmod(column))
    }

    /// Adds a column that holds a value in every row that is there, and has no default after that: no row is written for
    /// it.
    pub(crate) fn add_with(&self, table: &Table, at: usize, value: &str) -> String {
        let (name, column) = (
            qualified(&table.destination),
            quoted(&table.columns[at].name),
        );
        let declared = self.declared(&table.columns[at]);
        let value = quote_literal(value);
        format!(
            "ALTER TABLE {name} ADD COLUMN {column} {declared} DEFAULT ({value}::{declared}); \
             ALTER TABLE {name} ALTER COLUMN {column} DROP DEFAULT"
        )
    }

    /// Sets a column that is there to one value.
    pub(crate) fn fill(&self, table: &Table, at: usize, value: Option<&str>) -> String {
        let (name, column) = (
            qualified(&table.destination),
            quoted(&table.columns[at].name),
        );
        match value {
            None => {
                format!("UPDATE {name} SET {column} = NULL WHERE {column} IS DISTINCT FROM NULL")
            }
            Some(value) => format!("UPDATE {name} SET {column} = {}", quote_literal(value)),
        }
    }
}

impl<F: Fn(&Column) -> BuiltIn> Words for Altering<F> {
    fn table(&self, table: &Table) -> String {
        qualified(&table.destination)
    }

    fn quoted(&self, name: &str) -> String {
        quoted(name)
    }

    fn add(&self, table: &Table, at: usize) -> String {
        let column = &table.columns[at];
        format!(
            "ALTER TABLE {} ADD COLUMN {} {}",
            qualified(&table.destination),
            quoted(&column.name),
            self.declared(column)
        )
    }

    fn retype(&self, table: &Table, at: usize) -> Option<String> {
        let column = &table.columns[at];
        let (name, declared) = (quoted(&column.name), self.declared(column));
        let table = qualified(&table.destination);
        Some(format!(
            "ALTER TABLE {table} ALTER COLUMN {name} TYPE {declared} USING {name}::{declared}"
        ))
    }
}

/// The collation in which a text equals itself alone.
const BYTES: &str = " COLLATE pg_catalog.\"C\"";

/// A destination table as statements need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Schema and name, quoted.
    pub(crate) name: String,
    /// In the order of [`Table::columns`].
    pub(crate) columns: Vec<TargetColumn>,
    /// As [`Table::key`].
    pub(crate) key: Vec<usize>,
    /// Whether an index lets no two rows have the same key.
    pub(crate) unique: bool,
}

/// A column of a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetColumn {
    /// Quoted.
    pub(crate) name: String,
    /// Its type in SQL, without a modifier: a cast to it cuts nothing.
    pub(crate) cast: String,
    /// Values of this kind travel in its binary form; [`Kind::Text`] for all that travels as text.
    pub(crate) kind: Kind,
    /// The column's collation in SQL, if it has one: an index can only be used with its own.
    pub(crate) collation: Option<String>,
    /// Whether values that are equal have the same text.
    pub(crate) exact: bool,
}

impl TargetColumn {
    /// A parameter's type: what an array of the column's values is made of.
    fn parameter(&self) -> &'static str {
        match self.kind {
            Kind::Bool => "pg_catalog.\"bool\"",
            Kind::Int2 => "pg_catalog.\"int2\"",
            Kind::Int4 => "pg_catalog.\"int4\"",
            Kind::Int8 => "pg_catalog.\"int8\"",
            Kind::Oid => "pg_catalog.\"oid\"",
            Kind::Float4 => "pg_catalog.\"float4\"",
            Kind::Float8 => "pg_catalog.\"float8\"",
            Kind::Bytea => "pg_catalog.\"bytea\"",
            Kind::Text => "pg_catalog.\"text\"",
        }
    }

    /// A parameter's value as the column's type.
    fn value(&self, parameter: &str) -> String {
        if self.kind == Kind::Text {
            format!("{parameter}::{}", self.cast)
        } else {
            parameter.to_owned()
        }
    }

    /// The condition under which the column holds the value.
    fn equals(&self, alias: &str, parameter: &str) -> String {
        let collation = self
            .collation
            .as_deref()
            .map(|name| format!(" COLLATE {name}"))
            .unwrap_or_default();
        format!(
            "{alias}.{} = ({}){collation}",
            self.name,
            self.value(parameter)
        )
    }

    /// The same, NULL being equal to itself, and different texts never.
    fn is(&self, alias: &str, parameter: &str) -> String {
        let (name, value) = (&self.name, self.value(parameter));
        if self.exact {
            let bytes = if self.collation.is_some() { BYTES } else { "" };
            format!("({alias}.{name}{bytes} IS NOT DISTINCT FROM ({value}){bytes})")
        } else {
            // Both through the same cast, which need not be the type's output function.
            format!(
                "(({alias}.{name})::pg_catalog.\"text\"{BYTES} IS NOT DISTINCT FROM ({value})::pg_catalog.\"text\"{BYTES})"
            )
        }
    }
}

impl Target {
    /// The table as [`create_table`](Dialect::create_table) makes it.
    pub(crate) fn made(table: &Table) -> Self {
        let columns = table.columns.iter().enumerate().map(|(at, column)| {
            let held = BuiltIn::held(column);
            let collation = match (held.is_collatable(), table.key.contains(&at)) {
                (false, _) => None,
                (true, true) => Some("pg_catalog.\"C\"".to_owned()),
                (true, false) => Some("pg_catalog.\"default\"".to_owned()),
            };
            TargetColumn {
                name: quoted(&column.name),
                cast: held.sql(),
                kind: held.kind(),
                collation,
                exact: held.is_exact(),
            }
        });
        Self {
            name: qualified(&table.destination),
            columns: columns.collect(),
            key: table.key.clone(),
            unique: !table.key.is_empty(),
        }
    }

    /// Whether the statement gives back two numbers, besides how many rows it touched.
    pub(crate) fn counts(&self, shape: &Shape) -> bool {
        !self.unique && matches!(shape, Shape::Update(_) | Shape::Delete)
    }

    /// The statement for any number of rows of one shape.
    ///
    /// Parameters are arrays, one for each column of an insert; for each column that an update sets, then for each
    /// that is matched; for each that a delete matches. An update or a delete gives back two numbers: how many rows
    /// it touched, and how many rows of the parameters did that. Both must be the number of those. Without a key
    /// there must be only one row, and the one number is how many it touched.
    pub(crate) fn statement(&self, shape: &Shape) -> String {
        let name = &self.name;
        match shape {
            Shape::Insert => self.insert(),
            Shape::Truncate => format!("DELETE FROM {name}"),
            Shape::Update(set) if self.key.is_empty() => {
                let at = set.len();
                self.alone(
                    &format!("UPDATE {name} AS t SET {}", self.alone_set(set)),
                    at,
                )
            }
            Shape::Delete if self.key.is_empty() => {
                self.alone(&format!("DELETE FROM {name} AS t"), 0)
            }
            Shape::Update(set) => {
                let parameters = set.iter().chain(&self.key).copied();
                let rows = self.rows(parameters, !self.unique);
                let set_list = if set.is_empty() {
                    // Nothing to set, and still the row must be there.
                    let same = self.matched().next().map(|at| &self.columns[at].name);
                    same.map(|name| format!("{name} = t.{name}"))
                        .unwrap_or_default()
                } else {
                    self.list(set.iter().enumerate(), |count, column| {
                        format!(
                            "{} = {}",
                            column.name,
                            column.value(&format!("v.c{}", count + 1))
                        )
                    })
                };
                let matching = self.matching(set.len());
                self.counted(format!(
                    "UPDATE {name} AS t SET {set_list} FROM {rows} WHERE {matching}"
                ))
            }
            Shape::Delete => {
                let rows = self.rows(self.key.iter().copied(), !self.unique);
                let matching = self.matching(0);
                self.counted(format!(
                    "DELETE FROM {name} AS t USING {rows} WHERE {matching}"
                ))
            }
        }
    }

    fn counted(&self, statement: String) -> String {
        if self.unique {
            statement
        } else {
            format!("WITH done AS ({statement} RETURNING v.n) {COUNTED}")
        }
    }

    fn insert(&self) -> String {
        let name = &self.name;
        if self.columns.is_empty() {
            return format!("INSERT INTO {name} DEFAULT VALUES");
        }
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let columns = self.list(all.iter().enumerate(), |_, column| column.name.clone());
        let values = self.list(all.iter().enumerate(), |count, column| {
            column.value(&format!("v.c{}", count + 1))
        });
        let rows = self.rows(all.iter().copied(), false);
        // A column that a table of somebody else's fills by itself is to hold what the source has.
        format!(
            "INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {rows}"
        )
    }

    /// `unnest($1::"int4"[], $2::"text"[]) AS v(c1, c2)`
    fn rows(&self, parameters: impl Iterator<Item = usize>, numbered: bool) -> String {
        let (mut arrays, mut names) = (String::new(), String::new());
        for (count, at) in parameters.enumerate() {
            separate(&mut arrays, count, ", ");
            separate(&mut names, count, ", ");
            let number = count + 1;
            let parameter = self.columns[at].parameter();
            let _ = write!(arrays, "${number}::{parameter}[]");
            let _ = write!(names, "c{number}");
        }
        if numbered {
            format!("unnest({arrays}) WITH ORDINALITY AS v({names}, n)")
        } else {
            format!("unnest({arrays}) AS v({names})")
        }
    }

    /// The key's columns equal the parameters behind the first `before`.
    fn matching(&self, before: usize) -> String {
        let mut sql = String::new();
        for (count, at) in self.key.iter().enumerate() {
            separate(&mut sql, count, " AND ");
            sql += &self.columns[*at].equals("t", &format!("v.c{}", before + count + 1));
        }
        sql
    }

    /// The one value of a parameter.
    fn only(&self, at: usize, number: usize) -> String {
        format!("(${number}::{}[])[1]", self.columns[at].parameter())
    }

    fn alone_set(&self, set: &[usize]) -> String {
        if set.is_empty() {
            // A table without columns has no update.
            let same = self.columns.first().map(|column| &column.name);
            return same
                .map(|name| format!("{name} = t.{name}"))
                .unwrap_or_default();
        }
        self.list(set.iter().enumerate(), |count, column| {
            let value = column.value(&self.only(set[count], count + 1));
            format!("{} = {value}", column.name)
        })
    }

    /// A statement for one row without a key, found by its place; partitions count their places each for itself.
    fn alone(&self, statement: &str, before: usize) -> String {
        let mut same = String::new();
        for (at, column) in self.columns.iter().enumerate() {
            separate(&mut same, at, " AND ");
            same += &column.is("s", &self.only(at, before + at + 1));
        }
        let filter = if same.is_empty() {
            same
        } else {
            format!(" WHERE {same}")
        };
        format!(
            "WITH done AS ({statement} WHERE (t.tableoid, t.ctid) = (SELECT s.tableoid, s.ctid FROM {} AS s{filter} LIMIT 1) \
             RETURNING 1 AS n) {COUNTED}",
            self.name
        )
    }

    fn list<'a>(
        &self,
        places: impl Iterator<Item = (usize, &'a usize)>,
        each: impl Fn(usize, &TargetColumn) -> String,
    ) -> String {
        let each = places.map(|(count, at)| each(count, &self.columns[*at]));
        each.collect::<Vec<_>>().join(", ")
    }

    fn matched(&self) -> impl Iterator<Item = usize> {
        self.key.iter().copied()
    }

    /// Takes all columns of rows from the client, in their order.
    pub(crate) fn copy_in(&self) -> String {
        format!("COPY {}{} FROM STDIN", self.name, self.copied())
    }

    /// All rows of the table, the columns in their order, as the types' output functions print them.
    pub(crate) fn copy_out(&self) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
        let columns = columns.join(", ");
        format!("COPY (SELECT {columns} FROM {}) TO STDOUT", self.name)
    }

    fn copied(&self) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
        if columns.is_empty() {
            String::new()
        } else {
            format!(" ({})", columns.join(", "))
        }
    }
}

/// How many rows were touched, and by how many.
const COUNTED: &str = "SELECT pg_catalog.count(*), pg_catalog.count(DISTINCT n) FROM done";

/// A quoted name.
pub(crate) fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    Postgres.identifier(&mut out, name);
    out
}

/// Schema and table of a name at the destination, both quoted.
pub(crate) fn qualified(destination: &str) -> String {
    let (schema, name) = parts(destination);
    format!("{}.{}", quoted(&schema), quoted(&name))
}

/// Schema and table of a name at the destination; without a schema it is in `public`.
pub(crate) fn parts(destination: &str) -> (String, String) {
    let mut parts = vec![String::new()];
    let mut within = false;
    let mut letters = destination.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if within && letters.peek() == Some(&'"') => {
                letters.next();
                push(&mut parts, '"');
            }
            '"' => within = !within,
            '.' if !within => parts.push(String::new()),
            other => push(&mut parts, other),
        }
    }
    let name = parts.pop().unwrap_or_default();
    let schema = parts.pop().unwrap_or_else(|| "public".to_owned());
    (schema, name)
}

fn push(parts: &mut [String], letter: char) {
    if let Some(last) = parts.last_mut() {
        last.push(letter);
    }
}

/// A part of a name as people write it.
fn plain(name: &str) -> String {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let rest = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if first && rest {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn separate(sql: &mut String, count: usize, separator: &str) {
    if count > 0 {
        sql.push_str(separator);
    }
}

/// Whether a table can be this one at the destination.
fn check(table: &Table, schema: &str, name: &str) -> Result<()> {
    let refuse =
        |why: String| Err(Error::usage(why).with_hint("leave the table out of the publication"));
    let refuse_name = |why: String| Err(Error::usage(why).with_hint(ANOTHER_NAME));
    if name.starts_with(OURS) {
        return refuse_name(format!(
            "table {table}: names that begin with {OURS} are reserved at the destination"
        ));
    }
    if schema.starts_with("pg_") || schema == "information_schema" {
        return refuse_name(format!(
            "table {table}: the schema {schema} is the server's own at the destination"
        ));
    }
    // The server would cut it, and two names could become one.
    let long = |name: &str| {
        let bytes = name.len();
        format!(
            "table {table}: the name {name:?} has {bytes} bytes; PostgreSQL holds {LONGEST_NAME}"
        )
    };
    if let Some(name) = [schema, name]
        .into_iter()
        .find(|name| name.len() > LONGEST_NAME)
    {
        return refuse_name(long(name));
    }
    let mut columns = table.columns.iter();
    if let Some(column) = columns.find(|column| column.name.len() > LONGEST_NAME) {
        return refuse(long(&column.name));
    }
    if table.columns.len() > MOST_COLUMNS {
        return refuse(format!(
            "table {table} has {} columns; PostgreSQL holds {MOST_COLUMNS}",
            table.columns.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
