//! Names as options have them: `schema.table`, a part in double quotes where it holds what separates.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A table as options name it: `schema.table`, or `table` alone for one in `public`.
///
/// The first dot ends the schema, so that `s.a.b` is the table `a.b` of `s`. A part may stand in double quotes, which
/// are doubled within, as `"a.b".c`; letters mean themselves, big or small, with and without quotes.
///
/// ```
/// use replicator::TableName;
///
/// let name: TableName = r#""my.schema".orders"#.parse()?;
/// assert_eq!((&*name.schema, &*name.table), ("my.schema", "orders"));
/// assert_eq!("orders".parse::<TableName>()?.to_string(), "public.orders");
/// # Ok::<(), replicator::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The schema; `public` is the destination's own where that has no schemas.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl TableName {
    /// This table of this schema.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (schema, table) = split(text, '.').unwrap_or(("public", text));
        Ok(Self::new(part(schema, text)?, part(table, text)?))
    }
}

impl fmt::Display for TableName {
    /// As it can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", Part(&self.schema), Part(&self.table))
    }
}

/// A part of a name, in quotes where it could not be read without.
pub(crate) struct Part<'a>(pub(crate) &'a str);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |letter: char| !matches!(letter, '.' | ',' | '=' | '*' | '"');
        let trimmed = self.0.trim() == self.0;
        if !self.0.is_empty() && trimmed && self.0.chars().all(plain) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// One part of a name, without the quotes that it may stand in; `whole` is what to show if it is none.
pub(crate) fn part(text: &str, whole: &str) -> Result<String> {
    let refuse = || {
        Err(Error::usage(format!("{whole:?} is not a name"))
            .with_hint("a table is named as schema.table, a part in double quotes if it holds a dot, a comma or an equals sign"))
    };
    let text = text.trim();
    let Some(quoted) = text.strip_prefix('"') else {
        return if text.is_empty() {
            refuse()
        } else {
            Ok(text.to_owned())
        };
    };
    let Some(within) = quoted.strip_suffix('"') else {
        return refuse();
    };
    let name = within.replace("\"\"", "\"");
    // Each quote within is one of a pair.
    let paired = within.split("\"\"").all(|text| !text.contains('"'));
    if name.is_empty() || !paired {
        return refuse();
    }
    Ok(name)
}

/// What stands before and behind the first such letter that is not in quotes.
pub(crate) fn split(text: &str, at: char) -> Option<(&str, &str)> {
    let mut place = Place::Start;
    for (index, letter) in text.char_indices() {
        place = match (place, letter) {
            (Place::Quoted, '"') => Place::Closed,
            (Place::Quoted, _) => Place::Quoted,
            (_, letter) if letter == at => {
                return Some((&text[..index], &text[index + at.len_utf8()..]));
            }
            // Behind a closing quote it is the second of a pair. Elsewhere it is a letter like others.
            (Place::Start | Place::Closed, '"') => Place::Quoted,
            (_, '.' | ',' | '=') => Place::Start,
            (Place::Start, letter) if letter.is_whitespace() => Place::Start,
            _ => Place::Plain,
        };
    }
    None
}

/// Where in a part of a name a letter stands.
#[derive(Clone, Copy)]
enum Place {
    Start,
    Plain,
    Quoted,
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String) {
        let name: TableName = text.parse().unwrap();
        (name.schema, name.table)
    }

    #[test]
    fn a_name_has_two_parts() {
        for (text, schema, table) in [
            ("t", "public", "t"),
            ("s.t", "s", "t"),
            ("S.T", "S", "T"),
            ("s.a.b", "s", "a.b"),
            (" s . t ", "s", "t"),
            (r#""s.t""#, "public", "s.t"),
            (r#""a.b"."c,d""#, "a.b", "c,d"),
            (r#""x""; DROP".t"#, "x\"; DROP", "t"),
            (r#"s."""""#, "s", "\""),
            (r#"s.5" pipes"#, "s", "5\" pipes"),
        ] {
            assert_eq!(read(text), (schema.to_owned(), table.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            ".",
            "s.",
            ".t",
            r#""""#,
            r#""a"#,
            r#""a"b"#,
            r#""a"b"c""#,
        ] {
            let error = text.parse::<TableName>().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for schema in [
            "s", "a.b", "\"", "a\"\"b", " ", "x,y", "a=b", "*", "é", "\".",
        ] {
            for table in ["t", "a.b", "\"", "\"\"", "=", "t ", "*", "A"] {
                let name = TableName::new(schema, table);
                assert_eq!(name.to_string().parse::<TableName>().unwrap(), name);
            }
        }
    }
}
