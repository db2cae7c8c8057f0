//! Which names tables have at the destination, as far as the user says so.

mod column;
mod nearest;
mod pattern;
mod written;

use crate::error::{Error, Result};
use crate::table::Table;
pub use column::ColumnName;
pub(crate) use nearest::nearest;
pub use pattern::TablePattern;
pub use written::TableName;
pub(crate) use written::{Part, part, split};

/// The user's names for schemas and tables at the destination; whatever is not named keeps its own.
///
/// ```
/// use replicator::Names;
///
/// let names = Names::new()
///     .schema("sales", "crm")
///     .table("sales.orders".parse()?, "archive.orders_2026".parse()?);
/// # let _ = names;
/// # Ok::<(), replicator::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    schemas: Vec<(String, String)>,
    tables: Vec<(TableName, TableName)>,
}

impl Names {
    /// Every name as at the source.
    pub const fn new() -> Self {
        Self {
            schemas: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Tables of schema `from` are in `to` at the destination. `public` is its own schema, or none where it has none.
    #[must_use]
    pub fn schema(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.schemas.push((from.into(), to.into()));
        self
    }

    /// The table `from` is `to` at the destination, whatever becomes of its schema.
    #[must_use]
    pub fn table(mut self, from: TableName, to: TableName) -> Self {
        self.tables.push((from, to));
        self
    }

    /// Schema and name of a table at the destination. How they become one name is for the [`Dialect`] to say.
    ///
    /// [`Dialect`]: crate::Dialect
    pub fn of<'a>(&'a self, table: &'a Table) -> (&'a str, &'a str) {
        let mut tables = self.tables.iter();
        if let Some((_, to)) = tables.find(|(from, _)| is(from, table)) {
            return (&to.schema, &to.table);
        }
        let mut schemas = self.schemas.iter();
        let schema = match schemas.find(|(from, _)| *from == table.schema) {
            Some((_, to)) => to,
            None => &table.schema,
        };
        (schema, &table.name)
    }

    /// Sees that everything that has a name here is published, and has one only.
    ///
    /// # Errors
    ///
    /// Names what is not, and what may have been meant.
    pub(crate) fn check(&self, tables: &[Table]) -> Result<()> {
        for (at, (from, to)) in self.schemas.iter().enumerate() {
            let again = self.schemas[..at]
                .iter()
                .find(|(other, before)| other == from && before != to);
            if let Some((_, before)) = again {
                return Err(twice("schema", &Part(from), &Part(before), &Part(to)));
            }
            let schemas = || tables.iter().map(|table| &*table.schema);
            if !schemas().any(|schema| schema == from) {
                let near = nearest(from, schemas()).map(|name| Part(name).to_string());
                let option = format!("--map-schema {}={}", Part(from), Part(to));
                return Err(nothing(
                    &option,
                    &format!("no table of schema {} is", Part(from)),
                    near,
                ));
            }
        }
        for (at, (from, to)) in self.tables.iter().enumerate() {
            let again = self.tables[..at]
                .iter()
                .find(|(other, before)| other == from && before != to);
            if let Some((_, before)) = again {
                return Err(twice("table", from, before, to));
            }
            if !tables.iter().any(|table| is(from, table)) {
                let names: Vec<String> = tables.iter().map(name_of).collect();
                let near = nearest(&from.to_string(), names.iter().map(|name| &**name));
                let option = format!("--map-table {from}={to}");
                return Err(nothing(
                    &option,
                    &format!("{from} is not"),
                    near.map(str::to_owned),
                ));
            }
        }
        Ok(())
    }
}

fn is(name: &TableName, table: &Table) -> bool {
    name.schema == table.schema && name.table == table.name
}

fn name_of(table: &Table) -> String {
    format!("{}.{}", Part(&table.schema), Part(&table.name))
}

fn twice(
    what: &str,
    from: &dyn std::fmt::Display,
    one: &dyn std::fmt::Display,
    other: &dyn std::fmt::Display,
) -> Error {
    Error::usage(format!(
        "{what} {from} is to be both {one} and {other} at the destination"
    ))
    .with_hint("give it one name with --map-table or --map-schema")
}

fn nothing(option: &str, what: &str, near: Option<String>) -> Error {
    let error = Error::usage(format!(
        "{option} names nothing: {what} among the published tables"
    ));
    match near {
        Some(near) => error.with_hint(format!("{near} is")),
        None => error.with_hint("leave it out, or have such a table published"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use walproto::Oid;

    fn table(schema: &str, name: &str) -> Table {
        Table {
            oid: Oid(1),
            schema: schema.to_owned(),
            name: name.to_owned(),
            destination: String::new(),
            columns: Vec::new(),
            key: Vec::new(),
            identity: 'd',
            relfilenode: 1,
        }
    }

    fn tables() -> Vec<Table> {
        [("public", "orders"), ("sales", "orders"), ("Sales", "a.b")]
            .map(|(schema, name)| table(schema, name))
            .into()
    }

    fn name(text: &str) -> TableName {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_named_keeps_its_name() {
        for table in tables() {
            assert_eq!(Names::new().of(&table), (&*table.schema, &*table.name));
        }
    }

    #[test]
    fn a_table_counts_more_than_its_schema() {
        let names = Names::new()
            .schema("sales", "crm")
            .schema("public", "shop")
            .table(name("sales.orders"), name("x"));
        assert_eq!(names.of(&table("sales", "orders")), ("public", "x"));
        assert_eq!(names.of(&table("sales", "items")), ("crm", "items"));
        assert_eq!(names.of(&table("public", "orders")), ("shop", "orders"));
        assert_eq!(names.of(&table("Sales", "orders")), ("Sales", "orders"));
    }

    #[test]
    fn names_do_not_follow_each_other() {
        let names = Names::new().schema("a", "b").schema("b", "a");
        assert_eq!(names.of(&table("a", "t")).0, "b");
        assert_eq!(names.of(&table("b", "t")).0, "a");
    }

    #[test]
    fn what_is_not_published_has_no_name() {
        let refusal = |names: Names| {
            let error = names.check(&tables()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            format!("{error} ({})", error.hint().unwrap_or_default())
        };
        assert_eq!(
            refusal(Names::new().schema("sale", "x")),
            "--map-schema sale=x names nothing: no table of schema sale is among the published tables (sales is)"
        );
        assert_eq!(
            refusal(Names::new().table(name("Sales.a.c"), name("y"))),
            "--map-table Sales.\"a.c\"=public.y names nothing: Sales.\"a.c\" is not among the published tables (Sales.\"a.b\" is)"
        );
        assert_eq!(
            refusal(Names::new().schema("warehouse", "x")),
            "--map-schema warehouse=x names nothing: no table of schema warehouse is among the published tables \
             (leave it out, or have such a table published)"
        );
    }

    #[test]
    fn one_thing_has_one_name() {
        let twice = Names::new().schema("sales", "x").schema("sales", "y");
        let message = twice.check(&tables()).unwrap_err().to_string();
        assert_eq!(
            message,
            "schema sales is to be both x and y at the destination"
        );
        let again = Names::new()
            .table(name("orders"), name("x"))
            .table(name("public.orders"), name("public.x"));
        assert!(again.check(&tables()).is_ok());
        let twice = again.table(name("orders"), name("x.x"));
        let message = twice.check(&tables()).unwrap_err().to_string();
        assert_eq!(
            message,
            "table public.orders is to be both public.x and x.x at the destination"
        );
    }
}
