//! Schemas, tables and columns with names that SQL, a shell or a person would trip over.

use testdata::Version;

use super::BOTH;
use crate::common::quoted;
use crate::place::{Place, Room};
use crate::stage::Stage;

const HOSTILE: &[&str] = &[
    "x\"; DROP TABLE y; --",
    "select",
    "a.b",
    "two words",
    "'",
    "it''s",
    "`[]`",
    "\"\"",
    "日本",
    "-- x",
    "/*",
    "?1",
    ":a",
    "$1",
    "@v",
    "#",
    "\u{10FFFF}",
    "\\",
    "\\N",
    "%s",
    "new\nline",
    "tab\there",
    " spaces ",
    "rowid",
    "NULL",
    "{}",
];

pub(crate) fn hostile_names_are_only_names<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        let mut change = String::new();
        let odd = || P::LIMITS.odd_names.iter().chain(P::LIMITS.odd_tables);
        let place = &stage.place;
        let fits = |name: &&&str| odd().all(|(odd, _)| odd != *name) && place.takes(name);
        let hostile: Vec<&str> = HOSTILE.iter().filter(fits).copied().collect();
        for name in hostile.iter().map(|name| quoted(name)) {
            stage.play(&format!("CREATE SCHEMA {name}"));
            for table in [name.clone(), format!("{name}.{name}")] {
                stage
                    .source
                    .batch(&format!(
                        "CREATE TABLE {table} ({name} int PRIMARY KEY, v text);
                         INSERT INTO {table} VALUES (1, 'one'), (2, 'two'), (3, '''; DROP TABLE y; --')"
                    ))
                    .unwrap();
                change += &format!(
                    "INSERT INTO {table} VALUES (4, '\"; DROP TABLE y; --');
                     UPDATE {table} SET v = 'changed' WHERE {name} = 1;
                     UPDATE {table} SET {name} = 20 WHERE {name} = 2;
                     DELETE FROM {table} WHERE {name} = 3;\n"
                );
            }
        }
        // All in one row, which is found by all of them.
        let columns: Vec<String> = hostile
            .iter()
            .map(|name| format!("{} text", quoted(name)))
            .collect();
        let first = quoted(hostile[0]);
        stage
            .source
            .batch(&format!(
                "CREATE TABLE wide ({}); ALTER TABLE wide REPLICA IDENTITY FULL;
                 INSERT INTO wide ({first}) VALUES ('one'), ('two'), (NULL)",
                columns.join(", ")
            ))
            .unwrap();
        change += &format!(
            "UPDATE wide SET {first} = 'changed' WHERE {first} = 'one'; DELETE FROM wide WHERE {first} IS NULL"
        );
        stage.follow();
        stage.source.batch(&change).unwrap();
        stage.follow();
        assert_eq!(stage.names().len(), 2 * hostile.len() + 1);
    }
}

/// As a table, also in a schema, and as a column.
pub(crate) fn names_without_room<P: Place>() {
    let odd = P::LIMITS.odd_names.iter().map(|odd| (odd, 3));
    let odd_tables = P::LIMITS.odd_tables.iter().map(|odd| (odd, 2));
    for ((name, words), ways) in odd.chain(odd_tables) {
        assert!(HOSTILE.contains(name));
        let name = quoted(name);
        let tables = [
            format!("CREATE TABLE {name} (id int PRIMARY KEY)"),
            format!("CREATE SCHEMA s; CREATE TABLE s.{name} (id int PRIMARY KEY)"),
            format!("CREATE TABLE t (id int PRIMARY KEY, {name} text)"),
        ];
        for table in tables.iter().take(ways) {
            let mut stage = Stage::<P>::new(Version::NEWEST);
            stage.play(table);
            assert!(!stage.has(Room::Refused(words)));
        }
    }
}

/// Two of each, the same up to the last byte.
pub(crate) fn the_longest_names<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    let long = |last: char| format!("{}{last}", "é".repeat(31));
    let mut change = String::new();
    for schema in ['s', 't'].map(long) {
        stage.play(&format!("CREATE SCHEMA {schema}"));
        for table in ['u', 'v'].map(long) {
            let [key, value] = ['k', 'v'].map(long);
            stage.play(&format!(
                "CREATE TABLE {schema}.{table} ({key} int PRIMARY KEY, {value} text);
                 INSERT INTO {schema}.{table} VALUES (1, '{table}'), (2, '{schema}')"
            ));
            change += &format!(
                "UPDATE {schema}.{table} SET {value} = 'changed' WHERE {key} = 1;
                 DELETE FROM {schema}.{table} WHERE {key} = 2;\n"
            );
        }
    }
    if stage.has(P::LIMITS.long_names) {
        stage.follow();
        stage.follow_through(&change);
    }
}

pub(crate) fn tables_that_differ_in_case<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.play(
        "CREATE TABLE twin (id int PRIMARY KEY, v text);
         CREATE TABLE \"Twin\" (id int PRIMARY KEY, v text);
         INSERT INTO twin VALUES (1, 'lower'); INSERT INTO \"Twin\" VALUES (1, 'upper')",
    );
    if stage.has(P::LIMITS.twin_tables) {
        stage.follow();
        stage.follow_through("UPDATE twin SET v = v || '!'; DELETE FROM \"Twin\"");
    }
}

pub(crate) fn columns_that_differ_in_case<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.play(
        "CREATE TABLE t (id int PRIMARY KEY, v text, \"V\" text);
         INSERT INTO t VALUES (1, 'lower', 'upper'), (2, 'l', 'u')",
    );
    if stage.has(P::LIMITS.twin_columns) {
        stage.follow();
        stage.follow_through(
            "UPDATE t SET v = 'l' WHERE id = 1; UPDATE t SET \"V\" = NULL WHERE id = 2",
        );
    }
}

pub(crate) fn tables_of_two_schemas_that_would_share_a_name<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.play(
        "CREATE SCHEMA a;
         CREATE TABLE a.b (id int PRIMARY KEY, v text); CREATE TABLE a__b (id int PRIMARY KEY, v text);
         INSERT INTO a.b VALUES (1, 'in a'); INSERT INTO a__b VALUES (1, 'in public')",
    );
    if stage.has(P::LIMITS.prefixed_tables) {
        stage.follow();
        stage.follow_through("UPDATE a.b SET v = v || '!'; DELETE FROM a__b");
    }
}
