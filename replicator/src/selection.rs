//! Which tables and columns are replicated, as far as the user says so.
//!
//! `--tables`, `--columns` and `--exclude-columns` shape a publication while it is made; one that is there must agree
//! with them. `--exclude-tables` does that too, and of a publication that is there it leaves out tables here: what
//! comes of them is skipped, and they are no part of the fingerprint.

use walstream::quote_literal;

use crate::error::{Error, Result, START_ANEW};
use crate::names::{ColumnName, Part, TableName, TablePattern, nearest};
use crate::table::Table;

/// What the user chose; everything by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Only these, if there are any.
    pub(crate) tables: Vec<TablePattern>,
    /// Not these.
    pub(crate) without_tables: Vec<TablePattern>,
    /// Of their tables only these.
    pub(crate) columns: Vec<ColumnName>,
    /// Of their tables not these.
    pub(crate) without_columns: Vec<ColumnName>,
}

impl Selection {
    /// Whether a table is wanted.
    pub(crate) fn selects(&self, schema: &str, table: &str) -> bool {
        let listed = self.tables.is_empty() || any(&self.tables, schema, table);
        listed && !self.leaves_out(schema, table)
    }

    /// Whether a table is left out by name.
    pub(crate) fn leaves_out(&self, schema: &str, table: &str) -> bool {
        any(&self.without_tables, schema, table)
    }

    /// The condition under which a table is left out by name; the arguments are expressions of SQL.
    pub(crate) fn leaves_out_sql(&self, schema: &str, table: &str) -> String {
        let conditions = self.without_tables.iter().map(|pattern| match pattern {
            TablePattern::Schema(name) => format!("{schema} = {}", quote_literal(name)),
            TablePattern::Table(name) => format!(
                "({schema} = {} AND {table} = {})",
                quote_literal(&name.schema),
                quote_literal(&name.table)
            ),
        });
        let conditions: Vec<String> = conditions.collect();
        if conditions.is_empty() {
            return "false".to_owned();
        }
        format!("({})", conditions.join(" OR "))
    }

    /// Tables that `--tables` names one by one.
    pub(crate) fn named(&self) -> impl Iterator<Item = &TableName> {
        let tables = self.tables.iter();
        tables.filter_map(|pattern| match pattern {
            TablePattern::Table(name) if !self.leaves_out(&name.schema, &name.table) => Some(name),
            _ => None,
        })
    }

    /// Tables of which the user chose columns.
    pub(crate) fn with_columns(&self) -> Vec<&TableName> {
        let mut tables = Vec::new();
        for ColumnName { table, .. } in self.columns.iter().chain(&self.without_columns) {
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        tables
    }

    /// Whether a column is wanted; one that is made from others only if it is named.
    pub(crate) fn selects_column(&self, table: &TableName, column: &str, generated: bool) -> bool {
        let of = |names: &[ColumnName]| names.iter().any(|name| name.table == *table);
        let is = |names: &[ColumnName]| {
            let mut names = names.iter();
            names.any(|name| name.table == *table && name.column == column)
        };
        let listed = if of(&self.columns) {
            is(&self.columns)
        } else {
            !generated
        };
        listed && !is(&self.without_columns)
    }

    /// Columns of a table that the user named.
    pub(crate) fn named_columns<'a>(
        &'a self,
        table: &'a TableName,
    ) -> impl Iterator<Item = &'a ColumnName> {
        let all = self.columns.iter().chain(&self.without_columns);
        all.filter(move |name| name.table == *table)
    }

    /// Sees that what is named is there, among all tables that may be replicated.
    ///
    /// # Errors
    ///
    /// Says what is not, and what may have been meant: a table that was to be left out and is not would be a leak.
    pub(crate) fn check(&self, known: &[TableName]) -> Result<()> {
        let options = [
            ("--tables", &self.tables),
            ("--exclude-tables", &self.without_tables),
        ];
        for (option, patterns) in options {
            for pattern in patterns {
                if known
                    .iter()
                    .any(|name| pattern.is(&name.schema, &name.table))
                {
                    continue;
                }
                let shown = match pattern {
                    TablePattern::Schema(_) => known
                        .iter()
                        .map(|name| TablePattern::Schema(name.schema.clone()).to_string())
                        .collect(),
                    TablePattern::Table(_) => known.iter().map(ToString::to_string).collect(),
                };
                let shown: Vec<String> = shown;
                let near = nearest(&pattern.to_string(), shown.iter().map(|name| &**name));
                let near = near
                    .map(|near| format!("{near} is one; "))
                    .unwrap_or_default();
                return Err(Error::usage(format!(
                    "{option} names {pattern}, and the source has no such table that can be replicated"
                ))
                .with_hint(format!(
                    "{near}unlogged, temporary and foreign tables are never decoded, and partitions go with their table"
                )));
            }
        }
        Ok(())
    }

    /// Sees that tables and columns which are published already, or followed already, are those that are chosen.
    ///
    /// # Errors
    ///
    /// Names the first that is not, and both ways out.
    pub(crate) fn agrees<'a>(
        &self,
        tables: impl Iterator<Item = &'a Table> + Clone,
        where_from: WhereFrom,
    ) -> Result<()> {
        for table in tables.clone() {
            if self.leaves_out(&table.schema, &table.name) {
                return Err(
                    where_from.refuse(&format!("{table}, which --exclude-tables leaves out"))
                );
            }
            if !self.selects(&table.schema, &table.name) {
                return Err(where_from.refuse(&format!("{table}, which --tables does not name")));
            }
        }
        for name in self.with_columns() {
            let of = |table: &&Table| table.schema == name.schema && table.name == name.table;
            let Some(table) = tables.clone().find(of) else {
                return Err(Error::usage(format!(
                    "columns of {name} are chosen, but the table is not replicated"
                ))
                .with_hint(
                    "leave out --columns and --exclude-columns for it, or have the table published",
                ));
            };
            let there = |column: &str| table.columns.iter().any(|there| there.name == column);
            let mut columns = table.columns.iter();
            if let Some(more) = columns.find(|it| !self.selects_column(name, &it.name, false)) {
                let column = Part(&more.name);
                return Err(where_from.refuse(&format!(
                    "column {column} of {name}, which the options leave out"
                )));
            }
            let mut named = self.columns.iter().filter(|it| it.table == *name);
            if let Some(missing) =
                named.find(|it| self.selects_column(name, &it.column, true) && !there(&it.column))
            {
                return Err(where_from.refuse(&format!(
                    "{name} without the column {}, which --columns names",
                    Part(&missing.column)
                )));
            }
        }
        Ok(())
    }
}

/// Where tables come from that must agree with what is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhereFrom {
    /// Publications that are there.
    Publication,
    /// What an earlier run filled.
    Ledger,
}

impl WhereFrom {
    fn refuse(self, what: &str) -> Error {
        match self {
            Self::Publication => Error::usage(format!("the publication, which is there already, publishes {what}")).with_hint(
                "--tables, --columns and --exclude-columns shape a publication while it is made; --exclude-tables leaves out \
                 tables of one that is there, and ALTER PUBLICATION changes it",
            ),
            Self::Ledger => Error::usage(format!("the destination follows {what}")).with_hint(format!(
                "to go on, give --tables, --exclude-tables, --columns and --exclude-columns as when it was filled; {START_ANEW}"
            )),
        }
    }
}

fn any(patterns: &[TablePattern], schema: &str, table: &str) -> bool {
    patterns.iter().any(|pattern| pattern.is(schema, table))
}

#[cfg(test)]
mod tests;
