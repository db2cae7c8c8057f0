//! MySQL's and MariaDB's SQL.
//!
//! * Columns get the types of [`types`]; texts compare byte by byte and are not padded. Tables are InnoDB's, in
//!   utf8mb4, with their columns and their key and nothing else.
//! * Inserts are plain and carry any number of rows: no `ON DUPLICATE KEY`, `REPLACE` or `IGNORE`, so that a row which
//!   is there already is noticed. Updates and deletes of more than one row go through a temporary table whose columns
//!   have the types of the table's own, so that nothing is converted on the way.
//! * A row without a key is found by all of its columns and `LIMIT 1`, so that of several equal rows exactly one is
//!   touched; `<=>` compares NULLs, and what calls different values equal is compared as text or bytes.
//! * There is one schema: `public` is the database that the URL names, and another schema becomes a prefix.

pub(crate) mod existing;
#[cfg(test)]
mod matrix;
pub(crate) mod types;

use std::collections::HashMap;

use super::{ANOTHER_NAME, Dialect, Shape};
use crate::alteration::Words;
use crate::config::OnMisfit;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::table::Table;
use types::{Flavour, Held};

/// The dialect of MySQL and of MariaDB.
#[derive(Clone, Copy, Debug)]
pub struct Mysql {
    flavour: Flavour,
    on_misfit: OnMisfit,
    /// Whether upper and lower case are one in names of tables.
    folds: bool,
    /// Whether a `DOUBLE` tells negative zero from zero.
    signed_zero: bool,
}

/// In characters, of tables and of columns.
const LONGEST_NAME: usize = 64;

/// Of an InnoDB table.
const MOST_COLUMNS: usize = 1017;

/// Prefix of our own tables, at every destination.
const OURS: &str = "_replicator_";

impl Mysql {
    /// As MySQL 8 and later have it.
    pub const fn new() -> Self {
        Self::of(Flavour::MySql)
    }

    /// As MariaDB has it.
    pub const fn mariadb() -> Self {
        Self::of(Flavour::MariaDb)
    }

    pub(crate) const fn of(flavour: Flavour) -> Self {
        Self {
            flavour,
            on_misfit: OnMisfit::Fail,
            folds: false,
            signed_zero: true,
        }
    }

    /// What becomes of values that a type does not hold decides the type.
    #[must_use]
    pub const fn on_misfit(mut self, policy: OnMisfit) -> Self {
        self.on_misfit = policy;
        self
    }

    /// For a server with `lower_case_table_names` other than 0.
    #[must_use]
    pub const fn folds(mut self, folds: bool) -> Self {
        self.folds = folds;
        self
    }

    /// Whether the server's `DOUBLE` tells negative zero from zero.
    #[must_use]
    pub(crate) const fn signed_zero(mut self, signed: bool) -> Self {
        self.signed_zero = signed;
        self
    }

    pub(crate) const fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// What each column of a table holds.
    ///
    /// # Errors
    ///
    /// A key that cannot be one here.
    pub(crate) fn held(&self, table: &Table) -> Result<Vec<Held>> {
        let mut held = Held::all(table, self.on_misfit)?;
        if !self.signed_zero {
            for held in &mut held {
                *held = held.without_signed_zero();
            }
        }
        Ok(held)
    }
}

impl Default for Mysql {
    fn default() -> Self {
        Self::new()
    }
}

impl Dialect for Mysql {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        let mut taken: HashMap<String, String> = HashMap::new();
        for table in tables {
            let (schema, its) = names.of(table);
            table.destination = match schema {
                "public" => its.to_owned(),
                schema => format!("{schema}__{its}"),
            };
            self.check(table)?;
            let name = &table.destination;
            let key = if self.folds {
                name.to_lowercase()
            } else {
                name.clone()
            };
            if let Some(other) = taken.insert(key, table.to_string()) {
                let why = if self.folds {
                    ", where upper and lower case are one"
                } else {
                    ""
                };
                return Err(Error::usage(format!(
                    "tables {other} and {table} would both be {name:?} at the destination{why}"
                ))
                .with_hint(ANOTHER_NAME));
            }
        }
        Ok(())
    }

    fn identifier(&self, out: &mut String, name: &str) {
        out.push('`');
        out.push_str(&name.replace('`', "``"));
        out.push('`');
    }

    fn create_table(&self, table: &Table) -> String {
        let held = self.held(table).unwrap_or_default();
        let mut sql = format!("CREATE TABLE {} (", quoted(&table.destination));
        for (at, (column, held)) in table.columns.iter().zip(&held).enumerate() {
            separate(&mut sql, at, ", ");
            self.identifier(&mut sql, &column.name);
            sql.push(' ');
            sql.push_str(&held.sql(self.flavour));
            if table.key.contains(&at) {
                sql.push_str(" NOT NULL");
            }
        }
        if !table.key.is_empty() {
            let key = table.key.iter().map(|at| quoted(&table.columns[*at].name));
            sql += &format!(", PRIMARY KEY ({})", list(key));
        }
        sql += &format!(
            ") ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {}",
            self.flavour.collation()
        );
        sql
    }

    fn statement(&self, table: &Table, shape: &Shape) -> String {
        let held = self.held(table).unwrap_or_default();
        Target::new(table, held, self.flavour).statement(shape, 1)
    }
}

impl Words for Mysql {
    fn table(&self, table: &Table) -> String {
        quoted(&table.destination)
    }

    fn quoted(&self, name: &str) -> String {
        quoted(name)
    }

    fn add(&self, table: &Table, at: usize) -> String {
        self.declare(table, at, "ADD")
    }

    fn retype(&self, table: &Table, at: usize) -> Option<String> {
        Some(self.declare(table, at, "MODIFY"))
    }
}

impl Mysql {
    fn declare(&self, table: &Table, at: usize, verb: &str) -> String {
        let held = self.held(table).unwrap_or_default();
        let held = held.get(at).map(|held| held.sql(self.flavour));
        let (name, column) = (&table.destination, &table.columns[at].name);
        let (name, column) = (quoted(name), quoted(column));
        let null = if table.key.contains(&at) {
            " NOT NULL"
        } else {
            " NULL"
        };
        let held = held.unwrap_or_default();
        format!("ALTER TABLE {name} {verb} COLUMN {column} {held}{null}")
    }

    /// Sets a column to one value in every row.
    pub(crate) fn fill(table: &Table, at: usize, is_null: bool) -> String {
        let (name, column) = (&table.destination, &table.columns[at].name);
        let (name, column) = (quoted(name), quoted(column));
        if is_null {
            format!("UPDATE {name} SET {column} = NULL WHERE {column} IS NOT NULL")
        } else {
            format!("UPDATE {name} SET {column} = ?")
        }
    }

    /// Whether a table can be at the destination under the name that it has got.
    pub(crate) fn check(&self, table: &Table) -> Result<()> {
        let refuse = |why: String| {
            Err(Error::usage(why).with_hint("leave the table out of the publication"))
        };
        let refuse_name = |why: String| Err(Error::usage(why).with_hint(ANOTHER_NAME));
        let name = &table.destination;
        if name.to_ascii_lowercase().starts_with(OURS) {
            return refuse_name(format!(
                "table {table}: names that begin with {OURS} are reserved at the destination"
            ));
        }
        if let Some(why) = misnamed(name) {
            return refuse_name(format!("table {table}: the name {name:?} {why}"));
        }
        if let Some((column, why)) = table
            .columns
            .iter()
            .find_map(|column| Some((&column.name, misnamed(&column.name)?)))
        {
            return refuse(format!("table {table}: the column name {column:?} {why}"));
        }
        match table.columns.len() {
            0 => {
                return refuse(format!(
                    "table {table} publishes no column, and MySQL has no tables without columns"
                ));
            }
            1..=MOST_COLUMNS => {}
            count => {
                return refuse(format!(
                    "table {table} has {count} columns; InnoDB holds {MOST_COLUMNS}"
                ));
            }
        }
        let mut names = HashMap::new();
        for column in &table.columns {
            if let Some(other) = names.insert(column.name.to_lowercase(), &column.name) {
                let name = &column.name;
                return refuse(format!(
                    "table {table} has columns {other:?} and {name:?}, which are one for MySQL, where upper and lower case are the same"
                ));
            }
        }
        let held = self.held(table)?;
        let bytes: usize = held.iter().map(Held::inside).sum();
        if bytes > types::PAGE {
            let long = held.iter().filter(|held| held.is_unbounded()).count();
            return refuse(format!(
                "table {table}: a row of its {} columns needs {bytes} bytes of a page, 40 for each of {long} that may be long, and InnoDB gives it {}",
                table.columns.len(),
                types::PAGE
            ));
        }
        Ok(())
    }
}

/// Why nothing can have this name.
fn misnamed(name: &str) -> Option<String> {
    let characters = name.chars().count();
    if characters > LONGEST_NAME {
        return Some(format!(
            "has {characters} characters; MySQL holds {LONGEST_NAME} characters"
        ));
    }
    if name.ends_with(' ') {
        return Some("ends with a space, and no name of MySQL's can end with a space".to_owned());
    }
    let odd = name.chars().find(|letter| u32::from(*letter) > 0xFFFF)?;
    Some(format!(
        "has U+{:X}; names of MySQL's end at U+FFFF",
        u32::from(odd)
    ))
}

/// A destination table as statements need it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Quoted.
    name: String,
    /// Quoted names in the order of [`Table::columns`].
    columns: Vec<String>,
    held: Vec<Held>,
    /// As [`Table::key`].
    key: Vec<usize>,
    flavour: Flavour,
}

impl Target {
    /// `held` has what each of the table's columns holds.
    pub(crate) fn new(table: &Table, held: Vec<Held>, flavour: Flavour) -> Self {
        Self {
            name: quoted(&table.destination),
            columns: table
                .columns
                .iter()
                .map(|column| quoted(&column.name))
                .collect(),
            held,
            key: table.key.clone(),
            flavour,
        }
    }

    pub(crate) fn held(&self) -> &[Held] {
        &self.held
    }

    /// How many parameters a row of a shape has.
    pub(crate) fn width(&self, shape: &Shape) -> usize {
        let matched = if self.key.is_empty() {
            self.columns.len()
        } else {
            self.key.len()
        };
        match shape {
            Shape::Insert => self.columns.len(),
            Shape::Update(set) => set.len() + matched,
            Shape::Delete => matched,
            Shape::Truncate => 0,
        }
    }

    /// The statement for so many rows of one shape; for an update only for one.
    pub(crate) fn statement(&self, shape: &Shape, rows: usize) -> String {
        let name = &self.name;
        match shape {
            Shape::Insert => {
                let row = format!("({})", list(self.columns.iter().map(|_| "?")));
                let columns = self.columns.join(", ");
                format!(
                    "INSERT INTO {name} ({columns}) VALUES {}",
                    repeated(&row, rows, ", ")
                )
            }
            Shape::Update(set) => {
                format!("UPDATE {name} SET {} WHERE {}", self.set(set), self.found())
            }
            Shape::Delete if rows > 1 && self.key.len() == 1 => {
                let at = self.key[0];
                let each = self.held[at].compared("?");
                format!(
                    "DELETE FROM {name} WHERE {} IN ({})",
                    self.columns[at],
                    repeated(&each, rows, ", ")
                )
            }
            Shape::Delete => format!("DELETE FROM {name} WHERE {}", self.found()),
            // TRUNCATE would end the transaction.
            Shape::Truncate => format!("DELETE FROM {name}"),
        }
    }

    /// `LOAD DATA` of lines in COPY's text format, bytes in hexadecimal.
    ///
    /// Separators are spelled as numbers: in which texts a backslash means something is a setting.
    pub(crate) fn load(&self) -> String {
        let each = || self.columns.iter().zip(&self.held).enumerate();
        let read = each().map(|(at, (name, held))| match held.is_bytes() {
            true => format!("@b{at}"),
            false => name.clone(),
        });
        let set = each().filter(|(_, (_, held))| held.is_bytes());
        let set = list(set.map(|(at, (name, _))| format!("{name} = UNHEX(@b{at})")));
        let name = &self.name;
        format!(
            "LOAD DATA LOCAL INFILE 'rows' INTO TABLE {name} CHARACTER SET utf8mb4 \
             FIELDS TERMINATED BY X'09' ENCLOSED BY '' ESCAPED BY X'5C' LINES STARTING BY '' TERMINATED BY X'0A' \
             ({}){}{set}",
            list(read),
            if set.is_empty() { "" } else { " SET " }
        )
    }

    /// Whether rows of this shape go through a temporary table when there are many.
    pub(crate) fn is_staged(&self, shape: &Shape) -> bool {
        match shape {
            Shape::Update(_) => !self.key.is_empty(),
            // Rows of several columns in an IN are not looked up in the key by every server.
            Shape::Delete => self.key.len() > 1,
            Shape::Insert | Shape::Truncate => false,
        }
    }

    /// Statements for many rows of a shape by way of the temporary table `number`.
    pub(crate) fn staged(&self, shape: &Shape, number: usize) -> Staged {
        let stage = quoted(&format!("{OURS}stage_{number}"));
        let set: &[usize] = match shape {
            Shape::Update(set) => set,
            _ => &[],
        };
        let declared =
            |(count, at): (usize, &usize)| format!("c{count} {}", self.held[*at].sql(self.flavour));
        let all = || set.iter().chain(&self.key);
        let columns = list(all().enumerate().map(declared));
        let matching = self
            .key
            .iter()
            .enumerate()
            .map(|(count, at)| format!("t.{} = v.c{}", self.columns[*at], set.len() + count));
        let matching = matching.collect::<Vec<_>>().join(" AND ");
        let name = &self.name;
        let apply = if matches!(shape, Shape::Delete) {
            format!("DELETE t FROM {stage} AS v STRAIGHT_JOIN {name} AS t ON {matching}")
        } else {
            let set = if set.is_empty() {
                // Nothing to set, and still the row must be there.
                let same = self.key.first().map(|at| &self.columns[*at]);
                same.map(|same| format!("t.{same} = t.{same}"))
                    .unwrap_or_default()
            } else {
                let each = set.iter().enumerate();
                list(each.map(|(count, at)| format!("t.{} = v.c{count}", self.columns[*at])))
            };
            format!("UPDATE {stage} AS v STRAIGHT_JOIN {name} AS t ON {matching} SET {set}")
        };
        Staged {
            create: format!(
                "CREATE TEMPORARY TABLE {stage} ({columns}) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {}",
                self.flavour.collation()
            ),
            row: format!("({})", list(all().map(|_| "?"))),
            fill: format!("INSERT INTO {stage} VALUES "),
            apply,
            empty: format!("DELETE FROM {stage}"),
        }
    }

    /// All rows, the columns in their order.
    pub(crate) fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.columns.join(", "), self.name)
    }

    fn set(&self, set: &[usize]) -> String {
        if set.is_empty() {
            let same = self.matched().next().map(|at| &self.columns[at]);
            return same
                .map(|same| format!("{same} = {same}"))
                .unwrap_or_default();
        }
        list(set.iter().map(|at| format!("{} = ?", self.columns[*at])))
    }

    /// The condition for exactly the row that is meant.
    fn found(&self) -> String {
        if self.key.is_empty() {
            let same = self
                .columns
                .iter()
                .zip(&self.held)
                .map(|(name, held)| held.same(name, "?"));
            return format!("{} LIMIT 1", same.collect::<Vec<_>>().join(" AND "));
        }
        let equal = self
            .key
            .iter()
            .map(|at| format!("{} = {}", self.columns[*at], self.held[*at].compared("?")));
        equal.collect::<Vec<_>>().join(" AND ")
    }

    fn matched(&self) -> impl Iterator<Item = usize> {
        let all = if self.key.is_empty() {
            self.columns.len()
        } else {
            0
        };
        self.key.iter().copied().chain(0..all)
    }
}

/// What carries out many rows at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    /// Makes the temporary table, once in a session.
    pub(crate) create: String,
    /// Fills it, together with as many `row`s as there are rows.
    pub(crate) fill: String,
    pub(crate) row: String,
    /// Applies all of it; must touch as many rows as were filled in.
    pub(crate) apply: String,
    /// Empties it.
    pub(crate) empty: String,
}

impl Staged {
    /// The statement that fills in so many rows.
    pub(crate) fn filling(&self, rows: usize) -> String {
        format!("{}{}", self.fill, repeated(&self.row, rows, ", "))
    }
}

/// A quoted name.
pub(crate) fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    Mysql::new().identifier(&mut out, name);
    out
}

fn list<T: AsRef<str>>(parts: impl Iterator<Item = T>) -> String {
    let mut out = String::new();
    for (count, part) in parts.enumerate() {
        separate(&mut out, count, ", ");
        out.push_str(part.as_ref());
    }
    out
}

fn repeated(part: &str, count: usize, separator: &str) -> String {
    let mut out = String::with_capacity(count * (part.len() + separator.len()));
    for at in 0..count {
        separate(&mut out, at, separator);
        out.push_str(part);
    }
    out
}

fn separate(sql: &mut String, count: usize, separator: &str) {
    if count > 0 {
        sql.push_str(separator);
    }
}

#[cfg(test)]
mod tests;
