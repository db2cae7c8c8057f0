//! A table that is taken over is asked: every value comes back as it was stored.

use rusqlite::types::{ToSqlOutput, ValueRef};
use testdata::{Client, Server, Version};
use walproto::Oid;

use super::*;
use crate::dialect::corpus::{TYPES, fill};
use crate::value::Value;

const DECLARED: &[&str] = &[
    "",
    "INTEGER",
    "int",
    "BIGINT",
    "boolean",
    "NUMERIC",
    "decimal(10,2)",
    "REAL",
    "double",
    "float",
    "TEXT",
    "CLOB",
    "varchar(3)",
    "char(2)",
    "BLOB",
    "bytea",
    "date",
    "timestamp",
    "json",
    "uuid",
    "ANY",
    "string",
];

/// What a strict table may have.
const STRICT: &[&str] = &["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"];

fn sql(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Real(number) => ValueRef::Real(*number),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
    })
}

fn back(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_owned()).unwrap()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
    }
}

#[test]
fn what_is_taken_over_gives_every_value_back() {
    let server = Server::start(Version::NEWEST);
    let mut client = Client::connect(&server, "postgres").unwrap();
    client
        .batch("SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SELECT setseed(0.7)")
        .unwrap();
    let db = Connection::open_in_memory().unwrap();
    let plain = DECLARED.iter().map(|declared| (*declared, ""));
    let strict = STRICT.iter().map(|declared| (*declared, " STRICT"));
    let declared: Vec<(&str, &str)> = plain.chain(strict).collect();
    let mut accepted = 0;
    for (sql_type, edges, random) in TYPES {
        let (column, texts) = fill(&mut client, sql_type, edges, random, 20);
        let table = Table {
            oid: Oid(1),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "t".to_owned(),
            columns: vec![column.clone()],
            key: Vec::new(),
            identity: 'f',
            relfilenode: 1,
        };
        for (declared, options) in &declared {
            db.execute_batch(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (c {declared}){options}"
            ))
            .unwrap();
            if check(&db, &table).is_err() {
                continue;
            }
            accepted += 1;
            for text in &texts {
                let value = Value::from_text(column.kind, text.as_bytes()).unwrap();
                let what = format!("{sql_type} in {declared}{options}: {text}");
                db.execute("DELETE FROM t", []).unwrap();
                db.execute("INSERT INTO t VALUES (?)", [sql(&value)])
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                let there = db.query_row("SELECT c FROM t", [], |row| Ok(back(row.get_ref(0)?)));
                assert_eq!(there.unwrap(), value, "{what}");
            }
        }
    }
    assert!(accepted > 5 * TYPES.len(), "{accepted}");
}
