//! Statements over the rows of one table.

use super::types::{BYTES, Held};
use super::{OURS, quoted};
use crate::dialect::Shape;
use crate::table::Table;

/// Parameters of a request: 2,100, of which `sp_executesql` takes two for itself.
pub(crate) const MOST_PARAMETERS: usize = 2098;

/// Rows of a `VALUES`.
pub(crate) const MOST_ROWS: usize = 1000;

/// A destination table as statements need it.
///
/// Parameters are numbered: `@P1` and so on, those of a [`Shape`] in its order, row after row. A NULL travels as an
/// `nvarchar`, from which every type is converted; texts as `nvarchar`, bytes as `varbinary`.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Schema and table, quoted.
    name: String,
    /// Quoted names in the order of [`Table::columns`].
    columns: Vec<String>,
    held: Vec<Held>,
    /// The collation of each column that has one, where it is not [`BYTES`].
    collations: Vec<Option<String>>,
    /// As [`Table::key`].
    key: Vec<usize>,
}

impl Target {
    /// `held` has what each of the table's columns holds.
    pub(crate) fn new(table: &Table, held: Vec<Held>) -> Self {
        Self {
            name: super::qualified(&table.destination),
            columns: table
                .columns
                .iter()
                .map(|column| quoted(&column.name))
                .collect(),
            collations: vec![None; held.len()],
            held,
            key: table.key.clone(),
        }
    }

    /// With the collations of a table that was there.
    pub(super) fn collated(self, collations: Vec<Option<String>>) -> Self {
        Self { collations, ..self }
    }

    pub(crate) fn held(&self) -> &[Held] {
        &self.held
    }

    /// How many parameters a row of a shape has.
    pub(crate) fn width(&self, shape: &Shape) -> usize {
        match shape {
            Shape::Insert => self.columns.len(),
            Shape::Update(set) => set.len() + self.matched().count(),
            Shape::Delete => self.matched().count(),
            Shape::Truncate => 0,
        }
    }

    /// How many rows of a shape a statement takes.
    pub(crate) fn most_rows(&self, shape: &Shape) -> usize {
        match shape {
            Shape::Insert => most_rows(self.width(shape)),
            _ => 1,
        }
    }

    /// The statement for so many rows of one shape; only an insert has more than one. It must touch as many rows as it
    /// has, a truncate any number.
    pub(crate) fn statement(&self, shape: &Shape, rows: usize) -> String {
        let name = &self.name;
        match shape {
            Shape::Insert => format!(
                "INSERT INTO {name} ({}) VALUES {}",
                self.columns.join(", "),
                values(&self.held, rows)
            ),
            Shape::Update(set) if self.key.is_empty() => format!(
                "UPDATE TOP (1) t SET {} FROM {name} AS t WHERE {}",
                self.set(set),
                self.same(set.len())
            ),
            Shape::Update(set) => format!(
                "UPDATE {name} SET {} WHERE {}",
                self.set(set),
                self.found(set.len())
            ),
            Shape::Delete if self.key.is_empty() => {
                format!("DELETE TOP (1) t FROM {name} AS t WHERE {}", self.same(0))
            }
            Shape::Delete => format!("DELETE FROM {name} WHERE {}", self.found(0)),
            // TRUNCATE wants the right to alter the table, and takes it from everybody who reads.
            Shape::Truncate => format!("DELETE FROM {name}"),
        }
    }

    /// Whether rows of this shape go through a temporary table when there are many: those of a key, and new ones.
    pub(crate) fn is_staged(&self, shape: &Shape) -> bool {
        match shape {
            Shape::Insert => true,
            Shape::Update(_) | Shape::Delete => !self.key.is_empty(),
            Shape::Truncate => false,
        }
    }

    /// Statements for many rows of a shape by way of the temporary table `number`.
    pub(crate) fn staged(&self, shape: &Shape, number: usize) -> Staged {
        let stage = format!("#{OURS}stage_{number}");
        let all: Vec<usize> = match shape {
            Shape::Insert => (0..self.columns.len()).collect(),
            Shape::Update(set) => set.iter().chain(&self.key).copied().collect(),
            Shape::Delete | Shape::Truncate => self.key.clone(),
        };
        let columns = all.iter().enumerate().map(|(count, at)| {
            let held = &self.held[*at];
            // Without it the text would have the collation of tempdb, and no comparison with ours.
            let collation = match (&self.collations[*at], held.is_text()) {
                (_, false) => String::new(),
                (None, true) => format!(" COLLATE {BYTES}"),
                (Some(other), true) => format!(" COLLATE {other}"),
            };
            format!("[c{count}] {}{collation} NULL", held.sql())
        });
        let name = &self.name;
        let apply = match shape {
            Shape::Insert => {
                let from = (0..all.len()).map(|count| format!("v.[c{count}]"));
                let columns = self.columns.join(", ");
                format!(
                    "INSERT INTO {name} ({columns}) SELECT {} FROM {stage} AS v",
                    list(from)
                )
            }
            Shape::Update(set) => format!(
                "UPDATE t SET {} FROM {name} AS t INNER JOIN {stage} AS v ON {}",
                self.set_by(set, "t.", |count, _| format!("v.[c{count}]")),
                self.joined(set.len())
            ),
            Shape::Delete | Shape::Truncate => format!(
                "DELETE t FROM {name} AS t INNER JOIN {stage} AS v ON {}",
                self.joined(0)
            ),
        };
        Staged {
            ready: format!(
                "IF OBJECT_ID(N'tempdb..{stage}') IS NULL CREATE TABLE {stage} ({}) ELSE TRUNCATE TABLE {stage}",
                list(columns)
            ),
            apply,
            held: all.iter().map(|at| self.held[*at]).collect(),
            name: stage,
        }
    }

    /// All rows as of one moment, the columns in their order, as [`Held::back`] takes them.
    pub(crate) fn select(&self) -> String {
        let columns = self.columns.iter().zip(&self.held);
        let columns = list(columns.map(|(name, held)| held.printed(name)));
        // A lock on each row as it is read would find one that moves twice, or never.
        format!("SELECT {columns} FROM {} WITH (TABLOCK)", self.name)
    }

    /// Gives a column one value in every row; `@P1` where it is not NULL.
    pub(crate) fn fill(&self, at: usize, is_null: bool) -> String {
        let (name, column) = (&self.name, &self.columns[at]);
        if is_null {
            format!("UPDATE {name} SET {column} = NULL WHERE {column} IS NOT NULL")
        } else {
            format!(
                "UPDATE {name} SET {column} = {}",
                self.held[at].stored("@P1")
            )
        }
    }

    fn set(&self, set: &[usize]) -> String {
        self.set_by(set, "", |count, at| self.held[at].stored(&parameter(count)))
    }

    fn set_by(&self, set: &[usize], alias: &str, value: impl Fn(usize, usize) -> String) -> String {
        if set.is_empty() {
            // Nothing to set, and still the row must be there.
            let same = self.matched().next().map(|at| &self.columns[at]);
            return same
                .map(|same| format!("{same} = {alias}{same}"))
                .unwrap_or_default();
        }
        let each = set.iter().enumerate();
        list(each.map(|(count, at)| format!("{} = {}", self.columns[*at], value(count, *at))))
    }

    /// The condition for the row with the key that stands behind the first `before` parameters.
    fn found(&self, before: usize) -> String {
        let each = self.key.iter().enumerate();
        let equal = each.map(|(count, at)| {
            self.held[*at].equals(&self.columns[*at], &parameter(before + count))
        });
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// The condition for a row that is the same in all columns: for INTERSECT one NULL is as another.
    fn same(&self, before: usize) -> String {
        let columns = self.columns.iter().zip(&self.held);
        let ours = list(columns.map(|(name, held)| held.identity(&format!("t.{name}"))));
        let each = self.held.iter().enumerate();
        let theirs = list(each.map(|(count, held)| held.identity_of(&parameter(before + count))));
        format!("EXISTS (SELECT {ours} INTERSECT SELECT {theirs})")
    }

    /// The condition under which a row and one of the temporary table have the same key.
    fn joined(&self, before: usize) -> String {
        let each = self.key.iter().enumerate();
        let equal = each.map(|(count, at)| {
            let (ours, theirs) = (
                format!("t.{}", self.columns[*at]),
                format!("v.[c{}]", before + count),
            );
            if self.held[*at].is_padded() {
                format!("{ours} = {theirs} AND DATALENGTH({ours}) = DATALENGTH({theirs})")
            } else {
                format!("{ours} = {theirs}")
            }
        });
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
    /// The temporary table, quoted; of this session alone.
    pub(crate) name: String,
    /// Makes it, or empties it: whatever undid statements of this session may have undone either.
    pub(crate) ready: String,
    /// What each of its columns holds, for who loads it in bulk.
    pub(crate) held: Vec<Held>,
    /// Applies all of it; must touch as many rows as were filled in.
    pub(crate) apply: String,
}

impl Staged {
    /// The statement that fills in so many rows; parameters as of a row of the shape, row after row.
    pub(crate) fn filling(&self, rows: usize) -> String {
        format!(
            "INSERT INTO {} VALUES {}",
            self.name,
            values(&self.held, rows)
        )
    }

    /// How many rows a statement fills in.
    pub(crate) fn most_rows(&self) -> usize {
        most_rows(self.held.len())
    }
}

const fn most_rows(width: usize) -> usize {
    let rows = MOST_PARAMETERS / if width == 0 { 1 } else { width };
    match rows {
        0 => 1,
        MOST_ROWS.. => MOST_ROWS,
        rows => rows,
    }
}

/// `(CONVERT(int, @P1), …), (…)`
fn values(held: &[Held], rows: usize) -> String {
    let mut out = String::new();
    for row in 0..rows {
        super::separate(&mut out, row, ", ");
        let first = row * held.len();
        let each = held.iter().enumerate();
        let row = list(each.map(|(at, held)| held.stored(&parameter(first + at))));
        out += &format!("({row})");
    }
    out
}

fn parameter(at: usize) -> String {
    format!("@P{}", at + 1)
}

pub(super) fn list<T: AsRef<str>>(parts: impl Iterator<Item = T>) -> String {
    let mut out = String::new();
    for (count, part) in parts.enumerate() {
        super::separate(&mut out, count, ", ");
        out.push_str(part.as_ref());
    }
    out
}
