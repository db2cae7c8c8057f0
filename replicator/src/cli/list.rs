//! Several things in one value, as an environment variable has them.

use crate::error::{Error, Result};
use crate::names::{ColumnName, TableName, TablePattern, part, split};

/// What stood between commas; a comma in double quotes separates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub(super) Vec<T>);

impl<T> List<T> {
    /// The things of all values of an option.
    pub(super) fn all(lists: Vec<Self>) -> impl Iterator<Item = T> {
        lists.into_iter().flat_map(|list| list.0)
    }

    fn read(text: &str, each: impl Fn(&str) -> Result<T>) -> Result<Self> {
        let mut all = Vec::new();
        // Set to nothing is as good as not set.
        let mut rest = Some(text).filter(|text| !text.trim().is_empty());
        while let Some(text) = rest {
            let (one, others) = match split(text, ',') {
                Some((one, others)) => (one, Some(others)),
                None => (text, None),
            };
            all.push(each(one)?);
            rest = others;
        }
        Ok(Self(all))
    }
}

/// `s.t,s.*,…`
pub(super) fn patterns(text: &str) -> Result<List<TablePattern>> {
    List::read(text, str::parse)
}

/// `s.t,…`
pub(super) fn names(text: &str) -> Result<List<TableName>> {
    List::read(text, str::parse)
}

/// `s.t.c,…`
pub(super) fn columns(text: &str) -> Result<List<ColumnName>> {
    List::read(text, str::parse)
}

/// `s=x,…`
pub(super) fn schemas(text: &str) -> Result<List<(String, String)>> {
    List::read(text, |text| {
        let (from, to) = mapping(text, "schema=schema")?;
        Ok((part(from, text)?, part(to, text)?))
    })
}

/// `s.t=x.y,…`
pub(super) fn tables(text: &str) -> Result<List<(TableName, TableName)>> {
    List::read(text, |text| {
        let (from, to) = mapping(text, "schema.table=schema.table")?;
        Ok((from.parse()?, to.parse()?))
    })
}

fn mapping<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str)> {
    split(text, '=')
        .ok_or_else(|| Error::usage(format!("{text:?} says no name at the destination: {form}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_separate_nothing() {
        let schemas = |text| schemas(text).unwrap().0;
        let own = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            schemas(r#"a=b, "x,=y"="2" ,c="""""#),
            [own("a", "b"), own("x,=y", "2"), own("c", "\"")]
        );
        assert_eq!(schemas(" "), []);
        assert_eq!(schemas("a.b=c"), [own("a.b", "c")]);
    }

    #[test]
    fn tables_have_names_on_both_sides() {
        let List(read) = tables(r#"s.t=x.y,orders=o,"a.=b"=c"#).unwrap();
        let read: Vec<String> = read
            .iter()
            .map(|(from, to)| format!("{from} -> {to}"))
            .collect();
        assert_eq!(
            read,
            [
                "s.t -> x.y",
                "public.orders -> public.o",
                "public.\"a.=b\" -> public.c"
            ]
        );
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for text in ["a", "a=", "=a", "a=b,", ",", "a.b"] {
            assert_eq!(schemas(text).unwrap_err().exit_code(), 2, "{text}");
            assert_eq!(tables(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }
}
