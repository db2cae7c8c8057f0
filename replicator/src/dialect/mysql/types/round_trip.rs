//! Values of a real PostgreSQL through a real MariaDB: they come back as the text that the source prints, or are refused
//! at the door, and never anything else.

use walproto::Oid;

use testdata::{Client, MariaDb, MariaDbClient, Server, Version};

use super::*;
use crate::dialect::corpus::{TYPES, fill};
use crate::dialect::mysql::Mysql;

/// Random values of each type.
const RANDOM: usize = 150;

/// A value as SQL that no setting of a session reads differently.
pub(in crate::dialect::mysql) fn literal(value: &Value) -> String {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:e}"),
        Value::Text(text) if text.is_empty() => "_utf8mb4''".to_owned(),
        Value::Text(text) => format!("_utf8mb4 x'{}'", hex(text.as_bytes())),
        Value::Blob(bytes) => format!("x'{}'", hex(bytes)),
    }
}

pub(in crate::dialect::mysql) fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// What `fail` and `clamp` may refuse.
pub(in crate::dialect::mysql) fn has_no_place(text: &str, signed_zero: bool) -> bool {
    let year = text.split('-').next().unwrap_or_default();
    matches!(
        text,
        "NaN" | "Infinity" | "-Infinity" | "infinity" | "-infinity"
    ) || text == "-0" && !signed_zero
        || text.ends_with(" BC")
        || year.len() > 4
}

/// Whether the server's `DOUBLE` tells negative zero from zero, as a destination asks it.
pub(in crate::dialect::mysql) fn tells_zeroes_apart(db: &mut MariaDbClient) -> bool {
    db.value(SIGNED_ZERO).unwrap() == "1"
}

/// Stores what fits of a column, as a key or not, and reads it again; gives back what was refused.
fn round_trip(
    db: &mut MariaDbClient,
    column: &Column,
    texts: &[String],
    in_key: bool,
    dialect: Mysql,
) -> Vec<String> {
    let table = Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "t".to_owned(),
        columns: vec![column.clone()],
        key: if in_key { vec![0] } else { Vec::new() },
        identity: 'd',
        relfilenode: 1,
    };
    let held = dialect.held(&table).unwrap()[0];
    let sql = held.sql(Flavour::MariaDb);
    let what = format!("{sql}, oid {}, {dialect:?}", column.base_oid);
    let key = if in_key { ", PRIMARY KEY (c)" } else { "" };
    db.batch(&format!(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (n int, c {sql}{key}) ENGINE = InnoDB"
    ))
    .unwrap_or_else(|error| panic!("{what}: {error}"));
    let (mut refused, mut rows, mut same) = (Vec::new(), Vec::new(), Vec::new());
    for (at, text) in texts.iter().enumerate() {
        let value = Value::from_text(column.kind, text.as_bytes()).unwrap();
        match held.value(&value) {
            Err(_) => refused.push(text.clone()),
            Ok(value) => {
                let value = literal(&value);
                same.push(format!("c = {}", held.compared(&value)));
                rows.push(format!("({at}, {value})"));
            }
        }
    }
    assert!(!rows.is_empty(), "{what}");
    // Numbers that are equal are one key at the source too; all else is told apart.
    let insert = if in_key && column.kind != Kind::Text {
        "INSERT IGNORE"
    } else {
        "INSERT"
    };
    db.batch(&format!("{insert} INTO t VALUES {}", rows.join(", ")))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let warnings = db.query("SHOW WARNINGS").unwrap();
    let duplicates = warnings.iter().all(|row| row[1].as_deref() == Some("1062"));
    assert!(duplicates, "{what}: {warnings:?}");
    let read = db
        .query("SELECT n, HEX(CAST(c AS CHAR CHARACTER SET utf8mb4)), HEX(c) FROM t")
        .unwrap();
    assert!(read.len() + 1 >= rows.len(), "{what}");
    for row in read {
        let at: usize = row[0].as_deref().unwrap().parse().unwrap();
        // Bytes are not text to be converted.
        let bytes = matches!(held.form, Form::Bytes(_));
        let printed = unhex(row[if bytes { 2 } else { 1 }].as_deref().unwrap());
        let value = held
            .back(Some(&printed))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            value.to_text(column.kind).unwrap().as_ref(),
            Some(&texts[at]),
            "{what}"
        );
    }
    if in_key {
        for condition in same {
            let found = db
                .value(&format!("SELECT COUNT(*) FROM t WHERE {condition}"))
                .unwrap();
            assert_eq!(found, "1", "{what}: {condition}");
        }
    }
    refused
}

#[test]
fn every_value_comes_back_or_is_refused() {
    let server = Server::start(Version::NEWEST);
    let mut client = Client::connect(&server, "postgres").unwrap();
    client
        .batch("SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SELECT setseed(0.42)")
        .unwrap();
    let place = MariaDb::start();
    place
        .connect("")
        .unwrap()
        .batch("CREATE DATABASE d")
        .unwrap();
    let mut db = place.connect("d").unwrap();
    db.batch("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'")
        .unwrap();
    let signed_zero = tells_zeroes_apart(&mut db);
    let dialect = Mysql::mariadb().signed_zero(signed_zero);
    let mut misfits = 0;
    for (sql_type, edges, random) in TYPES {
        let (column, texts) = fill(&mut client, sql_type, edges, random, RANDOM);
        for in_key in [false, true] {
            let refused = round_trip(&mut db, &column, &texts, in_key, dialect);
            misfits += refused.len();
            for text in refused {
                // A key has a bound that nothing else has.
                let long = in_key && text.chars().count() > 768;
                assert!(
                    long || has_no_place(&text, signed_zero),
                    "{sql_type} holds {text:?}"
                );
            }
            let text = dialect.on_misfit(OnMisfit::Text);
            let refused = round_trip(&mut db, &column, &texts, in_key, text);
            assert!(in_key || refused.is_empty(), "{sql_type}: {refused:?}");
            assert!(
                refused.iter().all(|text| text.len() > 768),
                "{sql_type}: {refused:?}"
            );
        }
    }
    assert!(misfits > 40, "{misfits}");
}
