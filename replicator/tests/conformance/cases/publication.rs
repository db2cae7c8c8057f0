//! Publications that publish a part of a table, or more than what is stored.

use testdata::Version;

use crate::place::Place;
use crate::stage::Stage;

/// Lists and filters are known from here on.
const SINCE: [Version; 2] = [Version::V15, Version::V18];

pub(crate) fn column_lists<P: Place>() {
    for version in SINCE {
        let mut stage = Stage::<P>::new(version).following("mine");
        stage.follow_through(
            "CREATE TABLE listed (secret text, id text, v text, more text, PRIMARY KEY (id));
             CREATE TABLE only_key (id int PRIMARY KEY, secret text);
             ALTER TABLE listed ALTER secret SET STORAGE EXTERNAL;
             INSERT INTO listed SELECT repeat('secret', 2000), i, 'v', 'm' FROM generate_series(1, 6) i; INSERT INTO only_key VALUES (1, 'secret');
             CREATE PUBLICATION mine FOR TABLE listed (v, id), only_key (id)",
        );
        stage.follow_through(
            "UPDATE listed SET v = 'changed' WHERE id = '1'; UPDATE listed SET id = 'x' WHERE id = '2'; UPDATE listed SET secret = 'changed';
             UPDATE listed SET id = 'y', more = NULL WHERE id = '4'; DELETE FROM listed WHERE id = '3'; INSERT INTO listed VALUES ('s', '9');
             UPDATE only_key SET secret = 'changed'; UPDATE only_key SET id = 2; INSERT INTO only_key VALUES (3, 'secret')",
        );
        stage.follow_through(
            "TRUNCATE listed; INSERT INTO listed VALUES ('1', '2', '3', '4'); DELETE FROM only_key",
        );
    }
}

pub(crate) fn row_filters<P: Place>() {
    for version in SINCE {
        let mut stage = Stage::<P>::new(version).following("mine");
        stage.follow_through(
            "CREATE TABLE kept (id int, region text, v text, PRIMARY KEY (region, id));
             CREATE TABLE wholly (secret text, id int PRIMARY KEY, n int, v text); ALTER TABLE wholly REPLICA IDENTITY FULL;
             INSERT INTO kept SELECT i, (ARRAY['here', 'there'])[1 + i % 2], 'v' FROM generate_series(1, 20) i;
             INSERT INTO wholly SELECT 's', i, i % 4, 'v' FROM generate_series(1, 20) i;
             CREATE PUBLICATION mine FOR TABLE kept WHERE (region = 'here'), wholly WHERE (n > 1 AND id < 100)",
        );
        // Out, in, within, outside.
        stage.follow_through(
            "UPDATE kept SET region = 'there' WHERE id IN (2, 4); UPDATE kept SET region = 'here', v = 'came' WHERE id IN (1, 3);
             UPDATE kept SET v = 'changed'; UPDATE kept SET id = id + 100 WHERE id IN (7, 8); DELETE FROM kept WHERE id IN (9, 10);
             INSERT INTO kept VALUES (50, 'here'), (51, 'there');
             UPDATE wholly SET n = 0 WHERE id IN (2, 3); UPDATE wholly SET n = 9 WHERE id IN (4, 5); UPDATE wholly SET v = NULL; UPDATE wholly SET id = id + 90 WHERE id > 8",
        );
        stage.follow_through("UPDATE kept SET region = CASE region WHEN 'here' THEN 'there' ELSE 'here' END; DELETE FROM wholly WHERE n = 2");
        stage.follow_through(
            "TRUNCATE kept; INSERT INTO kept VALUES (1, 'here', 'x'), (2, 'there', 'x')",
        );
    }
}

/// An update that brings a row into the filter arrives as an insert; a value that lies out of line and did not change
/// is not in it, and the place never had it.
pub(crate) fn a_filter_that_makes_an_insert_without_a_value<P: Place>() {
    for version in SINCE {
        let mut stage = Stage::<P>::new(version).following("mine");
        stage.follow_through(
            "CREATE TABLE kept (id int, region text, v text, big text, PRIMARY KEY (region, id));
             ALTER TABLE kept ALTER big SET STORAGE EXTERNAL;
             INSERT INTO kept VALUES (1, 'here', 'v', repeat('x', 10000)), (2, 'there', 'v', repeat('y', 10000));
             CREATE PUBLICATION mine FOR TABLE kept WHERE (region = 'here')",
        );
        stage.play("UPDATE kept SET v = 'before' WHERE id = 1\n\nUPDATE kept SET v = 'lost' WHERE id = 1; UPDATE kept SET region = 'here' WHERE id = 2");
        let finished = stage.stops(&[
            "public.kept",
            "column big",
            "unchanged TOAST",
            "REPLICA IDENTITY FULL",
        ]);
        let name = stage.place.name("public", "kept");
        let held = stage.place.reader()(&format!("SELECT id, v, length(big) FROM {name}"));
        let expected = [["1", "before", "10000"].map(|text| Some(text.to_owned()))];
        assert_eq!(held, expected, "{}", finished.log);
    }
}

pub(crate) fn generated_columns<P: Place>() {
    let changes = "INSERT INTO t (id, v, w) VALUES (3, 'c', NULL); UPDATE t SET v = 'b', id = 11 WHERE id = 1;
                   UPDATE t SET w = 'x'; DELETE FROM t WHERE id = 2; UPDATE t SET v = NULL WHERE id = 3";
    for (version, list, with, columns) in [
        (Version::V14, "", "", 3),
        (Version::V18, "", "", 3),
        (
            Version::V18,
            "",
            "WITH (publish_generated_columns = stored)",
            4,
        ),
        (Version::V18, "(twice, id)", "", 2),
    ] {
        let mut stage = Stage::<P>::new(version).following("mine");
        stage.follow_through(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, twice text GENERATED ALWAYS AS (v || v) STORED, v text, w text);
             INSERT INTO t (id, v, w) VALUES (1, 'a', 'w'), (2, NULL, NULL);
             CREATE PUBLICATION mine FOR TABLE t {list} {with}"
        ));
        assert_eq!(stage.columns(), columns, "{list} {with}");
        stage.follow_through(changes);
    }
    // In the key, and virtual ones, which lie nowhere.
    let mut stage = Stage::<P>::new(Version::V18).following("mine");
    stage.follow_through(
        "CREATE TABLE t (id int, v text, k text GENERATED ALWAYS AS ('k' || id) STORED PRIMARY KEY, seen int GENERATED ALWAYS AS (id * 2) VIRTUAL);
         INSERT INTO t VALUES (1, 'a'), (2, 'b');
         CREATE PUBLICATION mine FOR TABLE t WITH (publish_generated_columns = stored)",
    );
    assert_eq!(stage.columns(), 3);
    stage.follow_through("UPDATE t SET v = 'x' WHERE id = 1; UPDATE t SET id = 7 WHERE id = 2; INSERT INTO t VALUES (3, 'c'); DELETE FROM t WHERE id = 1");
}
