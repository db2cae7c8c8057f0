//! Tables as options choose them: one by its name, or all of a schema.

use std::fmt;
use std::str::FromStr;

use super::written::{Part, TableName, part, split};
use crate::error::{Error, Result};

/// One table by its name (`schema.table`), or all of a schema (`schema.*`).
///
/// Names are read as those of [`TableName`]; a table that is really called `*` is `"*"` in double quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TablePattern {
    /// All tables of this schema.
    Schema(String),
    /// This table.
    Table(TableName),
}

impl TablePattern {
    /// Whether the table is meant.
    pub fn is(&self, schema: &str, table: &str) -> bool {
        match self {
            Self::Schema(ours) => ours == schema,
            Self::Table(name) => name.schema == schema && name.table == table,
        }
    }
}

impl From<TableName> for TablePattern {
    fn from(name: TableName) -> Self {
        Self::Table(name)
    }
}

impl FromStr for TablePattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (schema, table) = split(text, '.').unwrap_or(("public", text));
        if table.trim() == "*" {
            Ok(Self::Schema(part(schema, text)?))
        } else {
            Ok(Self::Table(text.parse()?))
        }
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(schema) => write!(f, "{}.*", Part(schema)),
            Self::Table(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_means_all_of_a_schema() {
        let read = |text: &str| text.parse::<TablePattern>().unwrap();
        assert_eq!(read("s.*"), TablePattern::Schema("s".to_owned()));
        assert_eq!(read("*"), TablePattern::Schema("public".to_owned()));
        assert_eq!(read(r#""a.b".*"#), TablePattern::Schema("a.b".to_owned()));
        assert_eq!(read(r#"s."*""#), TableName::new("s", "*").into());
        assert_eq!(read("s.a*"), TableName::new("s", "a*").into());
        assert!(read("s.*").is("s", "t") && !read("s.*").is("t", "t"));
        assert!(read("s.t").is("s", "t") && !read("s.t").is("s", "u"));
        for text in ["s.*", "\"*\".*", "s.\"*\""] {
            assert_eq!(read(text).to_string(), text);
        }
    }
}
