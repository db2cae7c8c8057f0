//! Columns as options name them.

use std::fmt;
use std::str::FromStr;

use super::written::{Part, TableName, part, split};
use crate::error::{Error, Result};

/// A column as options name it: `schema.table.column`, or `table.column` of a table in `public`.
///
/// Parts stand in double quotes where they hold what separates, as those of a [`TableName`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnName {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: String,
}

impl FromStr for ColumnName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::usage(format!("{text:?} is not the name of a column"))
                .with_hint("a column is named as schema.table.column, a part in double quotes if it holds a dot, a comma or an equals sign")
        };
        let (first, rest) = split(text, '.').ok_or_else(refuse)?;
        let (schema, table, column) = match split(rest, '.') {
            Some((table, column)) => (first, table, column),
            None => ("public", first, rest),
        };
        // Which of four parts belong together is anybody's guess.
        if split(column, '.').is_some() {
            return Err(refuse());
        }
        Ok(Self {
            table: TableName::new(part(schema, text)?, part(table, text)?),
            column: part(column, text)?,
        })
    }
}

impl fmt::Display for ColumnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, Part(&self.column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_two_or_three_parts() {
        for (text, shown) in [
            ("t.c", "public.t.c"),
            ("s.t.c", "s.t.c"),
            (r#"s."a.b".c"#, r#"s."a.b".c"#),
            (r#""a.b"."c.d""#, r#"public."a.b"."c.d""#),
        ] {
            assert_eq!(text.parse::<ColumnName>().unwrap().to_string(), shown);
        }
        for text in ["", "c", "a.b.c.d", "t.", "s.t.", r#"s.t."c"#] {
            assert_eq!(
                text.parse::<ColumnName>().unwrap_err().exit_code(),
                2,
                "{text}"
            );
        }
    }
}
