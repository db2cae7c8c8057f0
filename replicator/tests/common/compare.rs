//! Row by row, value by value: what PostgreSQL prints against what lies in the SQLite file.
//!
//! Written apart from the product. The tables come from the publication, the types from the source's catalog, and
//! how a type must look at the destination stands here again.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use testdata::{Client, Row};

use super::Job;

/// The rows of a table, sorted.
pub type Rows = Vec<Row>;

/// A published table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Schema and name at the source.
    pub schema: String,
    pub name: String,
    /// Its published columns, each with its type, domains resolved.
    pub columns: Vec<(String, String)>,
    /// Which of its rows are published; all without it.
    filter: Option<String>,
    /// Its partitions' rows are its own; an heir's are not.
    partitioned: bool,
}

impl Table {
    /// Where it must lie.
    pub fn destination(&self) -> String {
        if self.schema == "public" {
            self.name.clone()
        } else {
            format!("{}__{}", self.schema, self.name)
        }
    }

    /// Its quoted name at the source.
    pub fn source(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// A name as PostgreSQL and SQLite quote it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables that the publication publishes, as the catalog has them now.
pub fn published(source: &mut Client, publication: &str) -> Vec<Table> {
    let version: u32 = source
        .value("SHOW server_version_num")
        .unwrap()
        .parse()
        .unwrap();
    // Lists and filters are known from 15 on. Generated columns can be published from 18 on, and are listed then.
    let (listed, filter) = match version / 10_000 {
        ..15 => ("a.attgenerated = ''", "NULL"),
        15..18 => (
            "a.attgenerated = '' AND a.attname = ANY (t.attnames)",
            "t.rowfilter",
        ),
        18.. => ("a.attname = ANY (t.attnames)", "t.rowfilter"),
    };
    // Once, or a table of 1600 columns would have them listed for each of these.
    let sql = format!(
        "WITH RECURSIVE t AS MATERIALIZED (SELECT * FROM pg_publication_tables WHERE pubname LIKE '{publication}%'),
         up(type, oid) AS (
           SELECT oid, oid FROM pg_type
           UNION ALL
           SELECT up.type, y.typbasetype FROM up JOIN pg_type y ON y.oid = up.oid WHERE y.typtype = 'd')
         SELECT t.schemaname, t.tablename, a.attname, y.typname, c.relkind, {filter}
         FROM t
         JOIN pg_class c ON c.oid = format('%I.%I', t.schemaname, t.tablename)::regclass
         JOIN pg_attribute a ON a.attrelid = c.oid
         JOIN up ON up.type = a.atttypid
         JOIN pg_type y ON y.oid = up.oid AND y.typtype <> 'd'
         WHERE a.attnum > 0 AND NOT a.attisdropped AND {listed}
         ORDER BY 1, 2, a.attnum"
    );
    let mut tables: Vec<Table> = Vec::new();
    for row in source.query(&sql).unwrap() {
        let [schema, name, column, kind, relkind, filter] = row.try_into().unwrap();
        let (schema, name) = (schema.unwrap(), name.unwrap());
        if tables
            .last()
            .is_none_or(|last| (&last.schema, &last.name) != (&schema, &name))
        {
            tables.push(Table {
                schema,
                name,
                columns: Vec::new(),
                filter,
                partitioned: relkind.as_deref() == Some("p"),
            });
        }
        let last = tables.last_mut().unwrap();
        last.columns.push((column.unwrap(), kind.unwrap()));
    }
    assert!(!tables.is_empty(), "nothing is published");
    tables
}

/// What the source says.
pub fn source_rows(source: &mut Client, table: &Table) -> Rows {
    let columns: Vec<String> = table.columns.iter().map(|(name, _)| quoted(name)).collect();
    let only = if table.partitioned { "" } else { "ONLY " };
    let filter = table.filter.as_deref().unwrap_or("true");
    let sql = format!(
        "SELECT {} FROM {only}{} WHERE {filter}",
        columns.join(", "),
        table.source()
    );
    printed(source.query(&sql).unwrap(), table)
}

/// Rows as PostgreSQL prints them, made comparable and sorted.
pub fn printed(mut rows: Rows, table: &Table) -> Rows {
    for row in &mut rows {
        for (cell, (_, kind)) in row.iter_mut().zip(&table.columns) {
            *cell = cell.take().map(|text| number(kind, &text).unwrap_or(text));
        }
    }
    rows.sort();
    rows
}

/// What a destination that is a PostgreSQL server holds, under the same names.
pub fn server_rows(destination: &mut Client, table: &Table) -> Rows {
    let whole = Table {
        partitioned: true,
        ..table.clone()
    };
    source_rows(destination, &whole)
}

/// All published tables of a source and of a destination that is a PostgreSQL server.
pub fn server_differences(source: &mut Client, destination: &mut Client) -> Vec<String> {
    let mut all = Vec::new();
    for table in published(source, "replicator") {
        let (left, right) = (
            source_rows(source, &table),
            server_rows(destination, &table),
        );
        let found = differences(&left, &right, "source", "destination");
        all.extend(
            found
                .into_iter()
                .map(|what| format!("{}: {what}", table.source())),
        );
    }
    all
}

/// What the destination holds, in the source's words.
pub fn destination_rows(file: &rusqlite::Connection, table: &Table) -> Rows {
    let name = quoted(&table.destination());
    let mut found: Vec<String> = file
        .prepare(&format!(
            "SELECT name FROM pragma_table_info({})",
            literal(&table.destination())
        ))
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .unwrap();
    let mut wanted: Vec<String> = table.columns.iter().map(|(name, _)| name.clone()).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "columns of {name}");

    let columns: Vec<String> = table.columns.iter().map(|(name, _)| quoted(name)).collect();
    let columns = if columns.is_empty() {
        "1".into()
    } else {
        columns.join(", ")
    };
    let mut query = file
        .prepare(&format!("SELECT {columns} FROM {name}"))
        .unwrap();
    let mut rows = query.query([]).unwrap();
    let mut all = Rows::new();
    while let Some(row) = rows.next().unwrap() {
        let cell =
            |(at, (_, kind)): (usize, &(String, String))| text(kind, row.get_ref(at).unwrap());
        all.push(table.columns.iter().enumerate().map(cell).collect());
    }
    all.sort();
    all
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Floating point numbers are compared as numbers, so that we need not print them as PostgreSQL does; what is no
/// finite number, and negative zero, stays text.
fn number(kind: &str, text: &str) -> Option<String> {
    let finite = !matches!(text, "NaN" | "Infinity" | "-Infinity" | "-0");
    match kind {
        "float8" if finite => Some(format!("{:e}", text.parse::<f64>().unwrap())),
        "float4" if finite => Some(format!("{:e}", text.parse::<f32>().unwrap())),
        _ => None,
    }
}

/// The text that a value must have had. A value of the wrong class gets one that no source has.
fn text(kind: &str, value: ValueRef<'_>) -> Option<String> {
    let text = match (kind, value) {
        (_, ValueRef::Null) => return None,
        ("bool", ValueRef::Integer(0)) => "f".into(),
        ("bool", ValueRef::Integer(1)) => "t".into(),
        ("int2" | "int4" | "int8" | "oid", ValueRef::Integer(number)) => number.to_string(),
        ("float8", ValueRef::Real(number)) => format!("{number:e}"),
        ("float4", ValueRef::Real(number)) => format!("{:e}", number as f32),
        ("bytea", ValueRef::Blob(bytes)) => {
            let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap();
            let digits = bytes
                .iter()
                .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
            "\\x".chars().chain(digits).collect()
        }
        ("bool" | "int2" | "int4" | "int8" | "oid" | "bytea", other) => {
            format!("of the wrong class for {kind}: {other:?}")
        }
        (_, ValueRef::Text(bytes)) => std::str::from_utf8(bytes).unwrap().into(),
        (_, other) => format!("of the wrong class for {kind}: {other:?}"),
    };
    Some(text)
}

/// Rows that only one side has, as sentences.
pub fn differences(left: &Rows, right: &Rows, left_name: &str, right_name: &str) -> Vec<String> {
    let mut counts: BTreeMap<&Row, i64> = BTreeMap::new();
    for row in left {
        *counts.entry(row).or_default() += 1;
    }
    for row in right {
        *counts.entry(row).or_default() -= 1;
    }
    let sentence = |(row, count): (&Row, i64)| {
        let name = if count > 0 { left_name } else { right_name };
        let mut cells = format!("{row:?}");
        if cells.len() > 2000 {
            cells = cells.chars().take(2000).chain("…".chars()).collect();
        }
        format!("{} more at the {name}: {cells}", count.abs())
    };
    counts
        .into_iter()
        .filter(|(_, count)| *count != 0)
        .map(sentence)
        .collect()
}

/// All published tables of both sides.
pub fn all_differences(job: &Job, source: &mut Client, publication: &str) -> Vec<String> {
    let file = job.sqlite();
    let mut all = Vec::new();
    for table in published(source, publication) {
        let found = differences(
            &source_rows(source, &table),
            &destination_rows(&file, &table),
            "source",
            "destination",
        );
        all.extend(
            found
                .into_iter()
                .map(|what| format!("{}: {what}", table.source())),
        );
    }
    all
}

/// Fails unless every published table is the same on both sides.
pub fn assert_equal(job: &Job, source: &mut Client) {
    let all = all_differences(job, source, "replicator");
    let shown: Vec<&String> = all.iter().take(20).collect();
    assert!(all.is_empty(), "{} rows differ: {shown:#?}", all.len());
}
