//! A column that is called wide enough is asked, at a real server: every value comes back as it was printed.

use testdata::{Client, Server, Version};

use super::*;
use crate::dialect::corpus::{TYPES, fill};
use crate::value::{Kind, Value};

/// Declarations beside those of the values themselves.
const DECLARED: &[&str] = &[
    "numeric(4,0)",
    "numeric(5,0)",
    "numeric(10,0)",
    "numeric(12,2)",
    "numeric(19,0)",
    "numeric(1000,500)",
    "varchar",
    "varchar(1)",
    "varchar(6)",
    "varchar(11)",
    "varchar(15)",
    "varchar(24)",
    "varchar(36)",
    "varchar(50)",
    "varchar(1003)",
    "char(36)",
    "bit(6)",
    "varbit",
    "varbit(4)",
    "time(6)",
    "timestamp(3)",
    "timestamptz(0)",
    "numeric[]",
    "bigint[]",
    "varchar(5)[]",
    "xml",
    "jsonpath",
    "mood",
];

/// Of the source's own.
const MOOD: (&str, &[&str], &str) = ("mood", &["sad", "it''s ok"], "'sad'");

fn lines(copied: &[u8]) -> impl Iterator<Item = &[u8]> {
    copied.split(|byte| *byte == b'\n')
}

#[test]
fn what_is_called_wide_enough_gives_every_value_back() {
    let server = Server::start(Version::NEWEST);
    let mut client = Client::connect(&server, "postgres").unwrap();
    client
        .batch(
            "SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SELECT setseed(0.7); CREATE TYPE mood AS ENUM ('sad', 'it''s ok')",
        )
        .unwrap();
    let declared = TYPES.iter().map(|(sql_type, ..)| *sql_type);
    let declared: Vec<&str> = declared.chain(DECLARED.iter().copied()).collect();
    for (at, name) in declared.iter().enumerate() {
        client
            .batch(&format!("CREATE TABLE d{at} (c {name})"))
            .unwrap();
    }
    let there: Vec<(Oid, i32)> = (0..declared.len())
        .map(|at| {
            let sql = format!(
                "SELECT atttypid::text, atttypmod::text FROM pg_attribute WHERE attrelid = 'd{at}'::regclass AND attname = 'c'"
            );
            let row = client.query(&sql).unwrap().remove(0);
            let number = |at: usize| row[at].as_deref().unwrap();
            (Oid(number(0).parse().unwrap()), number(1).parse().unwrap())
        })
        .collect();
    let mut accepted = 0;
    for (sql_type, edges, random) in TYPES.iter().chain([&MOOD]) {
        let (column, _) = fill(&mut client, sql_type, edges, random, 20);
        let printed = client.copy_out("COPY (SELECT c FROM t) TO STDOUT").unwrap();
        for (at, (oid, typmod)) in there.iter().enumerate() {
            if !keeps(&column, *oid, *typmod) {
                continue;
            }
            accepted += 1;
            let what = format!("{sql_type} in {}", declared[at]);
            client
                .copy_in(&format!("COPY d{at} FROM STDIN"), &printed)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let copy = format!("COPY (SELECT c FROM d{at}) TO STDOUT");
            let there = client.copy_out(&copy).unwrap();
            for (here, there) in lines(&printed).zip(lines(&there)) {
                // A wider float prints more digits before it counts in powers.
                let value = |text: &[u8]| match column.kind {
                    Kind::Float4 => Value::from_text(Kind::Float4, text).unwrap(),
                    _ => Value::Text(String::from_utf8(text.to_owned()).unwrap()),
                };
                if !here.is_empty() || !there.is_empty() {
                    assert_eq!(value(here), value(there), "{what}");
                }
            }
            assert_eq!(lines(&there).count(), lines(&printed).count(), "{what}");
            client.batch(&format!("TRUNCATE d{at}")).unwrap();
        }
    }
    assert!(accepted > 3 * TYPES.len(), "{accepted}");
}
