//! A database on a MariaDB server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use testdata::{MariaDbClient, Row};

use super::{Limits, Place, Room};
use crate::common::{Rows, Table, printed};

/// A database of its own, on a server that others share unless it may be killed.
#[derive(Debug)]
pub(crate) struct MariaDb {
    server: Arc<testdata::MariaDb>,
    database: String,
}

impl Place for MariaDb {
    const LIMITS: Limits = LIMITS;
    const EXACT: &[&str] = EXACT;
    const REPLACED: &[(&str, &str)] = REPLACED;
    const MISFITS: &[(&str, &str)] = MISFITS;

    fn fresh() -> Self {
        static SHARED: Mutex<Option<Arc<testdata::MariaDb>>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.get_or_insert_with(|| Arc::new(start()));
        Self::on(Arc::clone(server))
    }

    fn url(&self) -> String {
        self.server.url(&self.database)
    }

    fn name(&self, schema: &str, table: &str) -> String {
        name(schema, table)
    }

    fn sql(&self, sql: &str) {
        let done = self.connect().batch(sql);
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn rows(&self, table: &Table) -> Rows {
        rows(&mut self.connect(), table)
    }

    fn tables(&self) -> Vec<String> {
        let names = tables(&mut self.connect());
        names.iter().map(|name| quoted(name)).collect()
    }

    fn reader(&self) -> impl FnMut(&str) -> Vec<Row> + Send {
        let mut session = self.connect();
        move |sql| session.query(sql).unwrap()
    }
}

impl super::Server for MariaDb {
    fn mortal() -> Self {
        Self::on(Arc::new(start()))
    }

    fn crash(&mut self) {
        let server = Arc::get_mut(&mut self.server).expect("a server that may be killed");
        server.kill();
        server.start_again();
    }
}

impl MariaDb {
    fn on(server: Arc<testdata::MariaDb>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("place_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {database}");
        server.connect("").unwrap().batch(&create).unwrap();
        Self { server, database }
    }

    fn connect(&self) -> MariaDbClient {
        self.server.connect(&self.database).unwrap()
    }
}

// What MySQL has no room for either.
pub(super) const LIMITS: Limits = Limits {
    twin_tables: Room::Enough,
    twin_columns: Room::Refused(&["\"v\"", "\"V\"", "upper and lower case are the same"]),
    prefixed_tables: Room::Refused(&["a.b", "a__b", "would both be"]),
    // Of 64 characters, which a schema and a table share.
    long_names: Room::Refused(&["64 characters"]),
    odd_names: &[
        (" spaces ", &["end with a space"]),
        ("\u{10FFFF}", &["U+10FFFF"]),
    ],
    odd_tables: &[],
    columns: Room::Refused(&["1600 columns"]),
    no_columns: Room::Refused(&["bare"]),
    texts: Room::Refused(&["400"]),
    values: Room::Enough,
    keys: Room::RefusedWithItsRow(&["public.t", "k", "characters"]),
};

pub(super) const EXACT: &[&str] = &["--on-misfit", "text"];

pub(super) const REPLACED: &[(&str, &str)] = &[
    ("\" spaces \"", "\" spaces\""),
    ("🎉", "☃"),
    // A row takes 8 kB of its page, 40 bytes of it for each text.
    (
        "generate_series(1, 400)",
        "unnest('{1,200,300,399,400}'::int[])",
    ),
    // A key takes 3072 bytes, and a character four of them.
    ("2600", "700"),
];

pub(super) const MISFITS: &[(&str, &str)] = &[
    ("float8", "NaN"),
    ("float8", "Infinity"),
    ("float8", "-Infinity"),
    ("float4", "NaN"),
    ("numeric(20, 5)", "NaN"),
    ("date", "infinity"),
    ("date", "0044-03-15 BC"),
    ("date", "10000-01-01"),
    ("timestamp", "-infinity"),
    ("timestamp", "0001-12-31 23:59:59 BC"),
    ("timestamptz", "infinity"),
    ("timestamptz", "294276-12-31 23:59:59.999999+00"),
];

/// A server whose settings are as unlike ours as they can be: what a session needs, it has to ask for.
fn start() -> testdata::MariaDb {
    testdata::MariaDb::builder()
        .setting("sql_mode", "")
        .setting("default_time_zone", "+05:45")
        .setting("character_set_server", "latin1")
        .setting("collation_server", "latin1_swedish_ci")
        .setting("max_connections", 400)
        .start()
}

pub(super) fn name(schema: &str, table: &str) -> String {
    match schema {
        "public" => quoted(table),
        schema => quoted(&format!("{schema}__{table}")),
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text that no setting of a session changes.
fn literal(text: &str) -> String {
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

/// Names of the tables of a session's database, without the replicator's own.
pub(super) fn tables(session: &mut MariaDbClient) -> Vec<String> {
    let sql = r"SELECT table_name FROM information_schema.tables
                WHERE table_schema = database() AND table_name NOT LIKE '\_replicator\_%'";
    let names = session.query(sql).unwrap().into_iter();
    names.flatten().flatten().collect()
}

pub(super) fn rows(session: &mut MariaDbClient, table: &Table) -> Rows {
    let name = table.destination();
    let sql = format!(
        "SELECT column_name, data_type FROM information_schema.columns
         WHERE table_schema = database() AND CAST(table_name AS BINARY) = {}",
        literal(&name)
    );
    let found = session.query(&sql).unwrap().into_iter().map(|row| {
        let [column, held] = row.try_into().unwrap();
        (column.unwrap(), held.unwrap())
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
    let sql = format!("SELECT {cells} FROM {}", quoted(&name));
    let mut rows = session.query(&sql).unwrap();
    for row in &mut rows {
        row.truncate(found.len());
        for ((value, (_, held)), (_, kind)) in row.iter_mut().zip(&found).zip(&table.columns) {
            *value = value.take().map(|value| text(kind, held, value));
        }
    }
    printed(rows, table)
}

/// A column as text that loses nothing.
fn cell(name: &str, held: &str) -> String {
    let name = quoted(name);
    match held {
        "longblob" | "varbinary" => format!("LOWER(HEX({name}))"),
        // Six digits are shown of a FLOAT, unless it is made a DOUBLE.
        "float" => format!("{name} + 0e0"),
        _ => name,
    }
}

/// The text that a value must have had. A value of the wrong class gets one that no source has.
fn text(kind: &str, held: &str, value: String) -> String {
    match (kind, held) {
        ("bool", "tinyint") => match &*value {
            "0" => "f".into(),
            "1" => "t".into(),
            _ => format!("no bool: {value}"),
        },
        ("int2", "smallint") | ("int4", "int") | ("int8" | "oid", "bigint") => value,
        ("float4" | "float8", "double") | ("numeric", "decimal") | ("date", "date") => value,
        ("bytea", "longblob" | "varbinary") => format!("\\x{value}"),
        ("time", "time") | ("timestamp", "datetime") => without_zeros(&value).to_owned(),
        ("timestamptz", "datetime") => format!("{}+00", without_zeros(&value)),
        ("bool" | "int2" | "int4" | "int8" | "oid" | "bytea", _) => {
            format!("of the wrong class for {kind}: {held} {value}")
        }
        (_, "longtext" | "varchar") => value,
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
