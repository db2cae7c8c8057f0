//! A column that is called wide enough is asked, at a real MariaDB: every value comes back as it was printed.

use testdata::{Client, MariaDb, Server, Version};

use super::*;
use crate::config::OnMisfit;
use crate::dialect::corpus::{TYPES, fill};
use crate::dialect::mysql::types::round_trip::{has_no_place, literal, tells_zeroes_apart, unhex};
use crate::value::Value;

/// Declarations of columns that somebody may have. Not MariaDB's JSON: it is LONGTEXT with a CHECK, and what somebody's
/// own checks refuse is said when it comes.
const DECLARED: &[&str] = &[
    "tinyint(1)",
    "tinyint unsigned",
    "smallint",
    "smallint unsigned",
    "mediumint",
    "int",
    "int unsigned",
    "bigint",
    "bigint unsigned",
    "decimal(5,0)",
    "decimal(10,0)",
    "decimal(10,2)",
    "decimal(12,2) unsigned",
    "decimal(12,2)",
    "decimal(19,0)",
    "decimal(65,0)",
    "decimal(65,30)",
    "decimal(5,5)",
    "float",
    "double",
    "double unsigned",
    "double(10,2)",
    "bit(1)",
    "year",
    "date",
    "time",
    "time(3)",
    "time(6)",
    "datetime",
    "datetime(3)",
    "datetime(6)",
    "timestamp(6) null",
    "char(1) character set latin1",
    "char(10) character set utf8mb4",
    "char(36) character set ascii",
    "char(255) character set utf8mb4",
    "varchar(1) character set ascii",
    "varchar(6) character set latin1",
    "varchar(20) character set utf8mb3",
    "varchar(10) character set utf8mb4",
    "varchar(20) character set utf8mb4",
    "varchar(36) character set utf8mb4",
    "varchar(100) character set latin1",
    "varchar(1003) character set utf8mb4",
    "tinytext character set latin1",
    "text character set utf8mb4",
    "mediumtext character set utf8mb4",
    "longtext character set latin1",
    "longtext character set ascii",
    "longtext character set utf8mb3",
    "longtext character set utf8mb4",
    "blob",
    "longblob",
    "binary(16)",
    "varbinary(100)",
    "uuid",
    "inet6",
    "enum('t','f')",
];

const COLUMN: &str = "
    SELECT data_type, column_type, character_maximum_length, numeric_precision, numeric_scale, datetime_precision,
           character_set_name, collation_name
    FROM information_schema.columns WHERE table_schema = 'd' AND table_name = 't' AND column_name = 'c'";

#[test]
fn what_is_called_wide_enough_gives_every_value_back() {
    let server = Server::start(Version::NEWEST);
    let mut client = Client::connect(&server, "postgres").unwrap();
    client
        .batch("SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SELECT setseed(0.7)")
        .unwrap();
    let place = MariaDb::start();
    let create = "CREATE DATABASE d";
    place.connect("").unwrap().batch(create).unwrap();
    let mut db = place.connect("d").unwrap();
    let signed_zero = tells_zeroes_apart(&mut db);
    db.batch("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'")
        .unwrap();
    let types: Vec<(Column, Vec<String>)> = TYPES
        .iter()
        .map(|(sql_type, edges, random)| fill(&mut client, sql_type, edges, random, 20))
        .collect();
    let mut accepted = vec![0; types.len()];
    for declared in DECLARED {
        db.batch(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (n int, c {declared}) ENGINE = InnoDB"
        ))
        .unwrap();
        let row = db.query(COLUMN).unwrap().remove(0);
        let number = |at: usize| row[at].as_ref().map(|text| text.parse().unwrap());
        let there = ExistingColumn {
            name: "c".to_owned(),
            data_type: row[0].clone().unwrap(),
            column_type: row[1].clone().unwrap(),
            length: number(2),
            precision: number(3),
            scale: number(4),
            digits: number(5),
            charset: row[6].clone(),
            collation: row[7].clone(),
            ..ExistingColumn::default()
        };
        for (at, (column, texts)) in types.iter().enumerate() {
            let made = Held::of(column, OnMisfit::Fail);
            let made = if signed_zero {
                made
            } else {
                made.without_signed_zero()
            };
            let Some(held) = there.keeps(column, made) else {
                continue;
            };
            accepted[at] += 1;
            let what = format!("{} in {declared}", TYPES[at].0);
            let mut rows = Vec::new();
            for (n, text) in texts.iter().enumerate() {
                let value = Value::from_text(column.kind, text.as_bytes()).unwrap();
                match held.value(&value) {
                    Ok(value) => rows.push(format!("({n}, {})", literal(&value))),
                    // Only what our own column refuses too.
                    Err(misfit) => assert!(
                        has_no_place(text, signed_zero) && made.value(&value).is_err(),
                        "{what}: {text}: {misfit}"
                    ),
                }
            }
            db.batch(&format!(
                "TRUNCATE t; INSERT INTO t VALUES {}",
                rows.join(", ")
            ))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
            let read = db
                .query("SELECT n, HEX(CAST(c AS CHAR CHARACTER SET utf8mb4)), HEX(c) FROM t")
                .unwrap();
            assert_eq!(read.len(), rows.len(), "{what}");
            for row in read {
                let n: usize = row[0].as_deref().unwrap().parse().unwrap();
                let bytes = matches!(held.form, Form::Bytes(_));
                let printed = unhex(row[if bytes { 2 } else { 1 }].as_deref().unwrap());
                let value = held.back(Some(&printed));
                let value = value.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(
                    value.to_text(column.kind).unwrap().as_ref(),
                    Some(&texts[n]),
                    "{what}"
                );
            }
        }
    }
    for ((sql_type, ..), accepted) in TYPES.iter().zip(accepted) {
        assert!(accepted > 0, "nothing holds {sql_type}");
    }
}
