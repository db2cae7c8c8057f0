//! What identifies a row, and rows that nothing tells apart.

use testdata::Version;

use super::BOTH;
use crate::place::Place;
use crate::stage::Stage;

/// To people, to a collation or to a padded column they are the same.
pub(crate) fn text_keys_that_look_alike<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.follow_through(
            r"CREATE TABLE looks (k text PRIMARY KEY, v text);
              CREATE TABLE pairs (a varchar(20), b text, v text, PRIMARY KEY (b, a));
              CREATE TABLE whole (k text, v text); ALTER TABLE whole REPLICA IDENTITY FULL;
              INSERT INTO looks SELECT k, 'copied' FROM unnest(ARRAY['', ' ', '  ', 'a', 'A', 'a ', 'a  ', ' a', E'a\t', E'a\n',
                'ä', 'Ä', U&'a\0308', 'ae', 'e', 'é', U&'e\0301', 'ss', 'ß', 'ẞ', 'i', 'I', 'ı', 'İ', '1', '1.0', '01', '１', '+1', '1e0',
                'NULL', 'null', U&'a\200B', U&'a\00AD', U&'\FEFFa', 'а', U&'\+01F600', U&'\+01F601', 't', 'f', '\', '\\', '''']) k;
              INSERT INTO pairs SELECT k, k, v FROM looks; INSERT INTO pairs SELECT k, 'a', v FROM looks WHERE k <> 'a';
              INSERT INTO whole SELECT k, 'same' FROM looks",
        );
        stage.follow_through(
            "INSERT INTO looks SELECT k || 'x', 'streamed' FROM looks;
             INSERT INTO pairs SELECT a, b || 'x', 'streamed' FROM pairs;
             INSERT INTO whole SELECT k || 'x', 'same' FROM whole",
        );
        // Each row gets a value that no other has.
        stage.follow_through(
            "UPDATE looks SET v = 'of ' || k; UPDATE pairs SET v = a || ' and ' || b; UPDATE whole SET v = 'of ' || k",
        );
        stage.follow_through(
            "DELETE FROM looks WHERE k IN ('A', 'a ', ' ', 'ä', 'ß', 'I', '1.0', 'ax', 'Ax');
             DELETE FROM pairs WHERE a IN ('A', 'a ', ' ', 'ä', 'ß', 'I', '1.0');
             DELETE FROM whole WHERE k IN ('A', 'a ', ' ', 'ä', 'ß', 'I', '1.0')",
        );
        // From one to its like.
        stage.follow_through(
            "UPDATE looks SET k = 'A' WHERE k = 'a'; UPDATE looks SET k = 'a ' WHERE k = 'a  '; UPDATE looks SET k = ' ' WHERE k = '';
             UPDATE pairs SET b = 'A' WHERE b = 'a'; UPDATE whole SET k = 'A' WHERE k = 'a'",
        );
    }
}

pub(crate) fn every_identity<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::told(version, &["--keyless", "insert-only"]);
        let tables = ["by_key", "by_index", "whole_with_key", "whole"];
        stage.play(
            "CREATE TABLE by_key (n int, code text, v text, PRIMARY KEY (code, n));
             CREATE TABLE by_index (n int NOT NULL, code text NOT NULL, v text, id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY);
             CREATE UNIQUE INDEX by_index_key ON by_index (code, n); ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_key;
             CREATE TABLE whole_with_key (n int, code text, v text, PRIMARY KEY (n)); ALTER TABLE whole_with_key REPLICA IDENTITY FULL;
             CREATE TABLE whole (n int, code text, v text); ALTER TABLE whole REPLICA IDENTITY FULL;
             CREATE TABLE nothing (n int PRIMARY KEY, code text, v text); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
             INSERT INTO nothing VALUES (1, 'a', 'one'), (2, NULL, NULL)",
        );
        for table in tables {
            stage.play(&format!(
                "INSERT INTO {table} (n, code, v) VALUES (1, 'a', 'one'), (2, 'b', NULL), (3, 'c', ''), (4, 'd', 'x')"
            ));
        }
        stage.follow();
        assert_eq!(stage.names().len(), 5);
        for table in tables {
            stage.follow_through(&format!(
                "INSERT INTO {table} (n, code, v) VALUES (5, 'e', NULL), (6, 'f', 'six');
                 UPDATE {table} SET v = 'changed' WHERE n = 1;
                 UPDATE {table} SET n = 20 WHERE n = 2;
                 UPDATE {table} SET n = 60, code = 'F', v = NULL WHERE n = 6;
                 UPDATE {table} SET v = v;
                 UPDATE {table} SET code = code || code WHERE n = 4;
                 DELETE FROM {table} WHERE n IN (3, 5)"
            ));
        }
        stage.follow_through(
            "INSERT INTO nothing VALUES (3, 'c', ''); INSERT INTO nothing VALUES (4, 'd', 'x')",
        );
        stage.follow_through("TRUNCATE nothing; INSERT INTO nothing VALUES (1, 'again', NULL)");
    }
}

/// A unique index takes any number of them, and `=` finds none.
pub(crate) fn nulls_in_keys_of_whole_rows<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.follow_through(
        "CREATE TABLE t (a int, b text, v text, UNIQUE (a, b)); ALTER TABLE t REPLICA IDENTITY FULL;
         INSERT INTO t VALUES (1, NULL, 'x'), (1, NULL, 'x'), (NULL, 'b', 'x'), (NULL, NULL, NULL), (NULL, NULL, NULL), (1, 'b', NULL)",
    );
    stage
        .follow_through("INSERT INTO t VALUES (NULL, NULL, NULL), (2, NULL, NULL), (NULL, '', '')");
    let first = "ctid = (SELECT min(ctid) FROM t WHERE";
    stage.follow_through(&format!(
        "UPDATE t SET v = 'changed' WHERE {first} a = 1 AND b IS NULL)"
    ));
    stage.follow_through(&format!(
        "DELETE FROM t WHERE {first} a IS NULL AND b IS NULL AND v IS NULL)"
    ));
    stage.follow_through(&format!(
        "UPDATE t SET a = 7 WHERE {first} a IS NULL AND b IS NULL)"
    ));
    stage.follow_through("UPDATE t SET b = NULL, v = '' WHERE b = 'b'; UPDATE t SET a = NULL; DELETE FROM t WHERE v IS NULL");
}

/// Among them values of types that have no `=` in PostgreSQL, and those that `=` calls the same.
pub(crate) fn of_equal_rows_exactly_one<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::told(version, P::EXACT);
        stage.follow_through(
            "CREATE TABLE t (n int, v text, f float8, x numeric, j json, p point, o xml, b bytea, big text);
             ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
             INSERT INTO t SELECT r.* FROM (VALUES
               (1, 'a', 'NaN'::float8, 1.0, '{\"a\": 1}'::json, '(0,1)'::point, '<a/>'::xml, '\\x00'::bytea, repeat('x', 9000)),
               (1, 'a', 'NaN', 1.00, '{\"a\": 1}', '(0,1)', '<a/>', '\\x00', repeat('x', 9000)),
               (1, 'a', '0', 1.0, '{\"a\":1}', '(0,1)', '<a/>', '\\x00', repeat('x', 9000)),
               (1, 'a', '-0', 1.0, '{\"a\":1}', '(-0,1)', '<a></a>', '\\x', repeat('x', 9000)),
               (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) AS r, generate_series(1, 3)",
        );
        // One of each kind, whatever `=` says.
        let of_each =
            |having: &str| format!("ctid IN (SELECT min(ctid) FROM t GROUP BY t.*::text {having})");
        let first = of_each("");
        for change in [
            format!("DELETE FROM t WHERE {first}"),
            format!(
                "UPDATE t SET v = 'changed' WHERE {}",
                of_each("HAVING count(*) > 1")
            ),
            "INSERT INTO t SELECT t.* FROM t, generate_series(1, 2)".to_owned(),
            format!("UPDATE t SET n = 7, x = x * 10, big = 'short' WHERE {first}"),
            format!("DELETE FROM t WHERE {first}"),
        ] {
            let twins = "SELECT count(*) FROM (SELECT FROM t GROUP BY t.*::text HAVING count(*) > 1) AS twins";
            let count = stage.source.value(twins).unwrap();
            let tells = count != "0" || change.starts_with("INSERT");
            assert!(tells, "all rows differ before {change}");
            stage.follow_through(&change);
        }
    }
}
