//! A database on a SQL Server, which somebody has to name: no package that is everywhere brings one.

use testdata::{Row, SqlServerClient, SqlServerDatabase};

use super::{Limits, Place, Room};
use crate::common::{Rows, Table, printed};

/// A database of its own, dropped with it.
#[derive(Debug)]
pub(crate) struct SqlServer(SqlServerDatabase);

impl Place for SqlServer {
    const LIMITS: Limits = Limits {
        twin_tables: Room::Refused(&["would both be", "upper and lower case are one"]),
        twin_columns: Room::Refused(&["\"v\"", "\"V\"", "are one in the destination database"]),
        prefixed_tables: Room::Enough,
        long_names: Room::Enough,
        odd_names: &[],
        odd_tables: &[("#", &["temporary table"])],
        no_columns: Room::Refused(&["bare"]),
        texts: Room::Refused(&["400 columns"]),
        columns: Room::Refused(&["1600 columns"]),
        values: Room::Enough,
        keys: Room::RefusedWithItsRow(&["public.t", "k", "UTF-16 units"]),
    };
    const EXACT: &[&str] = &["--on-misfit", "text"];
    const REPLACED: &[(&str, &str)] = &[
        // A row has 8060 bytes of its page, 26 of them for each text.
        (
            "generate_series(1, 400)",
            "unnest('{1,200,300,399,400}'::int[])",
        ),
        // A key takes 1700 bytes, and a unit two of them.
        ("2600", "700"),
    ];
    const MISFITS: &[(&str, &str)] = &[
        ("float8", "NaN"),
        ("float8", "Infinity"),
        ("float8", "-Infinity"),
        ("float8", "5e-324"),
        ("float4", "NaN"),
        ("numeric(20, 5)", "NaN"),
        ("date", "infinity"),
        ("date", "0044-03-15 BC"),
        ("date", "10000-01-01"),
        ("time", "24:00:00"),
        ("timestamp", "-infinity"),
        ("timestamp", "0001-12-31 23:59:59 BC"),
        ("timestamptz", "infinity"),
        ("timestamptz", "294276-12-31 23:59:59.999999+00"),
    ];

    fn fresh() -> Self {
        Self(SqlServerDatabase::create())
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn takes(&self, name: &str) -> bool {
        self.0.is_microsofts() || !name.contains(']')
    }

    fn name(&self, schema: &str, table: &str) -> String {
        let schema = match schema {
            "public" => "dbo",
            schema => schema,
        };
        format!("{}.{}", quoted(schema), quoted(table))
    }

    fn sql(&self, sql: &str) {
        let done = self.connect().batch(sql);
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn rows(&self, table: &Table) -> Rows {
        let mut session = self.connect();
        let name = self.name(&table.schema, &table.name);
        let sql = format!(
            "SELECT c.name, y.name FROM sys.columns AS c JOIN sys.types AS y ON y.user_type_id = c.system_type_id
             WHERE c.object_id = OBJECT_ID({})",
            literal(&name)
        );
        // Another make tells names in lower case, and finds them in any.
        let as_told = |name: &str| {
            let mut columns = table.columns.iter().map(|(name, _)| name);
            let ours = columns.find(|ours| ours.to_lowercase() == name);
            ours.filter(|_| !self.0.is_microsofts())
                .map_or_else(|| name.to_owned(), String::clone)
        };
        let found = session.query(&sql).unwrap().into_iter().map(|row| {
            let [column, held] = row.try_into().unwrap();
            (as_told(&column.unwrap()), held.unwrap())
        });
        let mut found: Vec<(String, String)> = found.collect();
        let mut names: Vec<&String> = found.iter().map(|(name, _)| name).collect();
        let mut wanted: Vec<&String> = table.columns.iter().map(|(name, _)| name).collect();
        names.sort();
        wanted.sort();
        assert_eq!(names, wanted, "columns of {name}");

        let order = |name: &str| table.columns.iter().position(|(column, _)| column == name);
        found.sort_by_key(|(name, _)| order(name));
        let cells: Vec<String> = found.iter().map(|(name, held)| cell(name, held)).collect();
        let cells = if cells.is_empty() {
            "1".into()
        } else {
            cells.join(", ")
        };
        let mut rows = session
            .query(&format!("SELECT {cells} FROM {name}"))
            .unwrap();
        for row in &mut rows {
            row.truncate(found.len());
            for ((value, (_, held)), (_, kind)) in row.iter_mut().zip(&found).zip(&table.columns) {
                *value = value.take().map(|value| text(kind, held, value));
            }
        }
        printed(rows, table)
    }

    fn tables(&self) -> Vec<String> {
        let sql = "SELECT s.name, t.name FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id
                   WHERE LEFT(t.name, 12) <> '_replicator_'";
        let names = self.connect().query(sql).unwrap().into_iter();
        let name = |row: Row| {
            let [schema, table] = row.try_into().unwrap();
            self.name(&schema.unwrap(), &table.unwrap())
        };
        names.map(name).collect()
    }

    fn reader(&self) -> impl FnMut(&str) -> Vec<Row> + Send {
        let mut session = self.connect();
        move |sql| session.query(sql).unwrap()
    }
}

impl SqlServer {
    fn connect(&self) -> SqlServerClient {
        self.0.connect().unwrap()
    }
}

fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// A column as text that loses nothing; all but texts and bytes in a style whose form no setting changes.
fn cell(name: &str, held: &str) -> String {
    let name = quoted(name);
    match held {
        "nvarchar" | "varbinary" => name,
        "float" => format!("RTRIM(CONVERT(nvarchar(41), {name}, 3))"),
        "date" => format!("CONVERT(nvarchar(41), {name}, 23)"),
        "time" | "datetime2" | "datetimeoffset" => format!("CONVERT(nvarchar(41), {name}, 121)"),
        "uniqueidentifier" => format!("LOWER(CONVERT(nvarchar(41), {name}))"),
        _ => format!("CONVERT(nvarchar(41), {name})"),
    }
}

/// The text that a value must have had. A value of the wrong class gets one that no source has.
fn text(kind: &str, held: &str, value: String) -> String {
    match (kind, held) {
        ("bool", "bit") => match &*value {
            "0" => "f".into(),
            "1" => "t".into(),
            _ => format!("no bool: {value}"),
        },
        ("int2", "smallint") | ("int4", "int") | ("int8" | "oid", "bigint") => value,
        ("float4" | "float8", "float")
            if value
                .trim_start_matches('-')
                .starts_with("0.0000000000000000e") =>
        {
            // Its sign is all that a zero has.
            if value.starts_with('-') { "-0" } else { "0" }.into()
        }
        ("float4" | "float8", "float") | ("numeric", "decimal") => value,
        ("date", "date") | ("uuid", "uniqueidentifier") => value,
        ("bytea", "varbinary") => format!("\\x{value}"),
        ("time", "time") | ("timestamp", "datetime2") => without_zeros(&value).to_owned(),
        ("timestamptz", "datetimeoffset") => match value.strip_suffix(" +00:00") {
            Some(plain) => format!("{}+00", without_zeros(plain)),
            None => format!("in another zone: {value}"),
        },
        ("bool" | "int2" | "int4" | "int8" | "oid" | "bytea", _) => {
            format!("of the wrong class for {kind}: {held} {value}")
        }
        (_, "nvarchar") => value,
        _ => format!("of the wrong class for {kind}: {held} {value}"),
    }
}

/// PostgreSQL shows no more of a second than there is.
fn without_zeros(moment: &str) -> &str {
    match moment.contains('.') {
        true => moment.trim_end_matches('0').trim_end_matches('.'),
        false => moment,
    }
}
