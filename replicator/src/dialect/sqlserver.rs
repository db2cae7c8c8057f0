//! SQL Server's SQL, of 2016 and later.
//!
//! * Columns get the types of [`types`]; texts of a key compare by their units. A table has its columns and its key and
//!   nothing else; the key is clustered as long as an index in the table's own order takes it.
//! * Inserts are plain, updates and deletes name their row: no `MERGE`, so that a row which is there already, or is not,
//!   is noticed. Many rows go through a temporary table of the session's own whose columns have the types of the table's
//!   own, so that nothing is converted on the way: one joined statement with one count.
//! * Every parameter is converted to the column's type where it stands, texts of dates and times with their style:
//!   nothing depends on what a server converts by itself, or on a session's language.
//! * A row without a key is found by all of its columns and `TOP (1)`, so that of several equal rows exactly one is
//!   touched; what calls different values equal is compared as bytes, or with its length.
//! * A name at the destination is `schema.table`, its parts in brackets where they are not plain words. `public` is
//!   `dbo`.

pub(crate) mod catalog;
pub(crate) mod existing;
#[cfg(test)]
mod golden;
pub(crate) mod ledger;
#[cfg(test)]
mod matrix;
#[cfg(test)]
pub(crate) mod parsed;
pub(crate) mod target;
pub(crate) mod typed;
pub(crate) mod types;

use std::collections::HashMap;

use super::{ANOTHER_NAME, Dialect, Shape};
use crate::alteration::Words;
use crate::config::OnMisfit;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::table::Table;
pub(crate) use target::{Staged, Target};
use types::{BYTES, CLUSTERED_KEY, Held, OUTSIDE, ROW};

/// The dialect of SQL Server 2016 and later.
#[derive(Clone, Copy, Debug)]
pub struct SqlServer {
    on_misfit: OnMisfit,
    /// Whether upper and lower case are one in names.
    folds: bool,
    /// Whether the server is none of Microsoft's: what Babelfish does not know is left out.
    compatible: bool,
}

/// In UTF-16 units, of schemas, tables and columns.
const LONGEST_NAME: usize = 128;

/// In bytes, as PostgreSQL has them.
const LONGEST_OF_OTHERS: usize = 63;

/// Of a table.
const MOST_COLUMNS: usize = 1024;

/// Prefix of our own tables, at every destination.
const OURS: &str = "_replicator_";

/// Where `public` and our own tables are.
pub(crate) const SCHEMA: &str = "dbo";

impl SqlServer {
    /// For a database whose collation does not tell upper from lower case, as almost all are.
    pub const fn new() -> Self {
        Self {
            on_misfit: OnMisfit::Fail,
            folds: true,
            compatible: false,
        }
    }

    /// What becomes of values that a type does not hold decides the type.
    #[must_use]
    pub const fn on_misfit(mut self, policy: OnMisfit) -> Self {
        self.on_misfit = policy;
        self
    }

    /// Whether names that differ in case only are one in the database.
    #[must_use]
    pub const fn folds(mut self, folds: bool) -> Self {
        self.folds = folds;
        self
    }

    /// Whether the server only speaks this language. Babelfish's `ALTER COLUMN` keeps a column's nullability and
    /// collation, and refuses to hear of them; its names hold no `]`, and no more bytes than PostgreSQL's.
    #[must_use]
    pub(crate) const fn compatible(mut self, compatible: bool) -> Self {
        self.compatible = compatible;
        self
    }
}

impl Default for SqlServer {
    fn default() -> Self {
        Self::new()
    }
}

impl Dialect for SqlServer {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        let mut taken: HashMap<String, String> = HashMap::new();
        for table in tables {
            let (schema, name) = names.of(table);
            let schema = match schema {
                "public" => SCHEMA,
                schema => schema,
            };
            let destination = format!("{}.{}", plain(schema), plain(name));
            self.check(table, schema, name)?;
            let key = (self.folded(schema), self.folded(name));
            table.destination = destination;
            if let Some(other) = taken.insert(format!("{key:?}"), table.to_string()) {
                let name = &table.destination;
                let why = if self.folds {
                    ", where upper and lower case are one"
                } else {
                    ""
                };
                return Err(Error::usage(format!(
                    "tables {other} and {table} would both be {name} at the destination{why}"
                ))
                .with_hint(ANOTHER_NAME));
            }
        }
        Ok(())
    }

    fn identifier(&self, out: &mut String, name: &str) {
        out.push('[');
        out.push_str(&name.replace(']', "]]"));
        out.push(']');
    }

    fn create_table(&self, table: &Table) -> String {
        let held = Held::all(table, self.on_misfit).unwrap_or_default();
        let columns = table.columns.iter().zip(&held).enumerate();
        let columns = columns.map(|(at, (column, held))| {
            let null = match (table.key.contains(&at), held.is_text()) {
                (true, true) => format!(" COLLATE {BYTES} NOT NULL"),
                (true, false) => " NOT NULL".to_owned(),
                (false, _) => " NULL".to_owned(),
            };
            format!("{} {}{null}", quoted(&column.name), held.sql())
        });
        let mut sql = format!(
            "CREATE TABLE {} ({}",
            qualified(&table.destination),
            target::list(columns)
        );
        if !table.key.is_empty() {
            let key = table.key.iter().map(|at| quoted(&table.columns[*at].name));
            let bytes = table.key.iter().filter_map(|at| held.get(*at)?.bytes());
            let order = if bytes.sum::<usize>() <= CLUSTERED_KEY {
                "CLUSTERED"
            } else {
                "NONCLUSTERED"
            };
            sql += &format!(", PRIMARY KEY {order} ({})", target::list(key));
        }
        sql.push(')');
        sql
    }

    fn statement(&self, table: &Table, shape: &Shape) -> String {
        let held = Held::all(table, self.on_misfit).unwrap_or_default();
        Target::new(table, held).statement(shape, 1)
    }
}

impl Words for SqlServer {
    fn table(&self, table: &Table) -> String {
        qualified(&table.destination)
    }

    fn quoted(&self, name: &str) -> String {
        quoted(name)
    }

    fn rename(&self, table: &Table, was: &str, is: &str) -> String {
        let was = format!("{}.{}", qualified(&table.destination), quoted(was));
        format!(
            "EXEC sp_rename {}, {}, N'COLUMN'",
            literal(&was),
            // As it is to be: brackets would become part of it.
            literal(is)
        )
    }

    fn add(&self, table: &Table, at: usize) -> String {
        self.declare(table, at, "ADD", true)
    }

    fn retype(&self, table: &Table, at: usize) -> Option<String> {
        Some(self.declare(table, at, "ALTER COLUMN", !self.compatible))
    }
}

impl SqlServer {
    fn declare(&self, table: &Table, at: usize, verb: &str, all: bool) -> String {
        let held = Held::all(table, self.on_misfit).unwrap_or_default();
        let declared = held.get(at).map(Held::sql).unwrap_or_default();
        let is_text = held.get(at).is_some_and(Held::is_text);
        let null = match (table.key.contains(&at), is_text) {
            _ if !all => String::new(),
            (true, true) => format!(" COLLATE {BYTES} NOT NULL"),
            (true, false) => " NOT NULL".to_owned(),
            (false, _) => " NULL".to_owned(),
        };
        let (name, column) = (
            qualified(&table.destination),
            quoted(&table.columns[at].name),
        );
        format!("ALTER TABLE {name} {verb} {column} {declared}{null}")
    }

    /// A name as the database compares it.
    fn folded(&self, name: &str) -> String {
        // Blanks at the end do not count there.
        let name = name.trim_end_matches(' ');
        if self.folds {
            name.to_lowercase()
        } else {
            name.to_owned()
        }
    }

    /// Why a server that is none of Microsoft's has no such name.
    fn unknown_there(&self, name: &str) -> Option<String> {
        if !self.compatible {
            return None;
        }
        let bytes = name.len();
        if bytes > LONGEST_OF_OTHERS {
            return Some(format!(
                "the name {name:?} has {bytes} bytes; the destination server holds {LONGEST_OF_OTHERS}"
            ));
        }
        let closes = name.contains(']');
        closes.then(|| {
            format!("the name {name:?} has a \"]\", which the destination server does not read")
        })
    }

    /// Whether a table can be this one at the destination.
    pub(crate) fn check(&self, table: &Table, schema: &str, name: &str) -> Result<()> {
        let refuse = |why: String| {
            Err(Error::usage(why).with_hint("leave the table out of the publication"))
        };
        let refuse_name = |why: String| Err(Error::usage(why).with_hint(ANOTHER_NAME));
        if name.to_ascii_lowercase().starts_with(OURS) {
            return refuse_name(format!(
                "table {table}: names that begin with {OURS} are reserved at the destination"
            ));
        }
        if name.starts_with('#') {
            return refuse_name(format!(
                "table {table}: {name:?} would be a temporary table at the destination"
            ));
        }
        if ["sys", "information_schema"].contains(&&*schema.to_ascii_lowercase()) {
            return refuse_name(format!(
                "table {table}: the schema {schema} is the server's own at the destination"
            ));
        }
        let unfit = |name| too_long(name).or_else(|| self.unknown_there(name));
        if let Some(why) = [schema, name].into_iter().find_map(unfit) {
            return refuse_name(format!("table {table}: {why}"));
        }
        let mut columns = table.columns.iter();
        if let Some(why) = columns.find_map(|column| unfit(&column.name)) {
            return refuse(format!("table {table}: {why}"));
        }
        match table.columns.len() {
            0 => {
                return refuse(format!(
                    "table {table} publishes no column, and SQL Server has no tables without columns"
                ));
            }
            1..=MOST_COLUMNS => {}
            count => {
                return refuse(format!(
                    "table {table} has {count} columns; SQL Server holds {MOST_COLUMNS}"
                ));
            }
        }
        let mut names = HashMap::new();
        for column in &table.columns {
            if let Some(other) = names.insert(self.folded(&column.name), &column.name) {
                let name = &column.name;
                return refuse(format!(
                    "table {table} has columns {other:?} and {name:?}, which are one in the destination database"
                ));
            }
        }
        let held = Held::all(table, self.on_misfit)?;
        let bytes = in_row(table, &held);
        if bytes > ROW {
            let long = held.iter().filter(|held| held.bytes().is_none()).count();
            return refuse(format!(
                "table {table}: a row of its {} columns needs {bytes} bytes of a page, {} for each of {long} that may be long, and SQL Server gives it {ROW}",
                table.columns.len(),
                OUTSIDE + 2
            ));
        }
        Ok(())
    }
}

/// What a row takes of its page, if every value is as long as it may be.
fn in_row(table: &Table, held: &[Held]) -> usize {
    /// Its kind, where its fixed part ends, how many columns it has, and how many of them vary in length.
    const HEAD: usize = 8;
    let inside = held.iter().enumerate();
    let inside: usize = inside
        .map(|(at, held)| held.inside(table.key.contains(&at)))
        .sum();
    // Eight bits share a byte.
    let bits = held.iter().filter(|held| held.is_bit()).count();
    let nulls = held.len().div_ceil(8);
    HEAD + nulls + inside - bits + bits.div_ceil(8)
}

fn too_long(name: &str) -> Option<String> {
    let units = name.encode_utf16().count();
    (units > LONGEST_NAME).then(|| {
        format!("the name {name:?} has {units} UTF-16 units; SQL Server holds {LONGEST_NAME}")
    })
}

/// The statement that makes a schema, which must stand alone.
pub(crate) fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA {}", quoted(schema))
}

/// A quoted name.
pub(crate) fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    SqlServer::new().identifier(&mut out, name);
    out
}

/// A text as a constant.
pub(crate) fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// Schema and table of a name at the destination, both quoted.
pub(crate) fn qualified(destination: &str) -> String {
    let (schema, name) = parts(destination);
    format!("{}.{}", quoted(&schema), quoted(&name))
}

/// Schema and table of a name at the destination; without a schema it is in `dbo`.
pub(crate) fn parts(destination: &str) -> (String, String) {
    let mut parts = vec![String::new()];
    let mut within = false;
    let mut letters = destination.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ']' if within && letters.peek() == Some(&']') => {
                letters.next();
                push(&mut parts, ']');
            }
            '[' if !within => within = true,
            ']' if within => within = false,
            '.' if !within => parts.push(String::new()),
            other => push(&mut parts, other),
        }
    }
    let name = parts.pop().unwrap_or_default();
    let schema = parts.pop().unwrap_or_else(|| SCHEMA.to_owned());
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
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
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

#[cfg(test)]
mod tests;
