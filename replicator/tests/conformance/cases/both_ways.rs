//! What a copy brings of a row is what the stream brings of the same row: copied, removed, and written again.

use testdata::Version;

use super::BOTH;
use crate::place::Place;
use crate::stage::Stage;

/// Where publications have neither filters nor lists, where they got them, and the newest.
const ALL: [Version; 3] = [Version::V14, Version::V15, Version::V18];

/// With filters and lists.
const SINCE: [Version; 2] = [Version::V15, Version::V18];

/// `tables` are made, `rows` written and copied, then removed and written once more; a blank line ends a transaction.
fn play<P: Place>(version: Version, tables: &str, publication: &str, rows: &str, remove: &str) {
    let mut stage = Stage::<P>::new(version).following("mine");
    stage.play(tables);
    stage.play(rows);
    stage.play(&format!("CREATE PUBLICATION mine {publication}"));
    stage.follow();
    let copied = stage.held();
    assert!(
        copied.iter().all(|(_, rows)| !rows.is_empty()),
        "nothing to compare: {copied:?}"
    );
    stage.follow_through(remove);
    assert!(stage.held().iter().all(|(_, rows)| rows.is_empty()));
    stage.follow_through(rows);
    assert_eq!(stage.held(), copied, "{version:?} {publication}");
}

pub(crate) fn row_filters<P: Place>() {
    for version in SINCE {
        play::<P>(
            version,
            "CREATE TABLE kept (secret text, id int, region text, v text, PRIMARY KEY (region, id));
             CREATE TABLE wholly (id int, n numeric, v text); ALTER TABLE wholly REPLICA IDENTITY FULL",
            "FOR TABLE kept (v, region, id) WHERE (region = 'here' OR region IS NULL), wholly WHERE (n > 1.5 AND v IS NOT NULL)",
            "INSERT INTO kept SELECT 's', i, (ARRAY['here', 'there'])[1 + i % 2], nullif(i, 6) FROM generate_series(1, 20) i;
             INSERT INTO wholly SELECT i, i / 4.0, nullif(i % 5, 0) FROM generate_series(1, 20) i; INSERT INTO wholly VALUES (7, NULL, 'x'), (8, 'NaN', 'x')",
            "DELETE FROM kept; TRUNCATE wholly",
        );
    }
}

/// A list in another order than the table's changes nothing about the rows.
pub(crate) fn column_lists<P: Place>() {
    for version in SINCE {
        play::<P>(
            version,
            "CREATE TABLE listed (secret text, b text, gone int, id int PRIMARY KEY, a text, more text); ALTER TABLE listed DROP gone;
             CREATE TABLE only_key (secret text, k2 int, k1 text, PRIMARY KEY (k1, k2))",
            "FOR TABLE listed (a, id, b), only_key (k2, k1)",
            "INSERT INTO listed SELECT 's', 'b' || i, i, 'a' || i, 'm' FROM generate_series(1, 9) i; INSERT INTO listed (id) VALUES (10);
             INSERT INTO only_key SELECT 's', i, 'k' FROM generate_series(1, 5) i",
            "DELETE FROM listed; DELETE FROM only_key",
        );
    }
}

/// Partitions with columns in an order of their own and dropped ones in between, under both names.
pub(crate) fn partitions<P: Place>() {
    for version in ALL {
        for with in ["", "WITH (publish_via_partition_root = true)"] {
            play::<P>(
                version,
                "CREATE TABLE parted (gone text, id int, region text, v text, n numeric, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
                 ALTER TABLE parted DROP gone;
                 CREATE TABLE north PARTITION OF parted FOR VALUES IN ('north');
                 CREATE TABLE south (n numeric, gone int, v text, lost int, region text NOT NULL, id int NOT NULL);
                 ALTER TABLE south DROP gone, DROP lost; ALTER TABLE parted ATTACH PARTITION south FOR VALUES IN ('south');
                 CREATE TABLE others PARTITION OF parted DEFAULT PARTITION BY RANGE (id);
                 CREATE TABLE low (v text, n numeric, id int NOT NULL, region text NOT NULL);
                 ALTER TABLE others ATTACH PARTITION low FOR VALUES FROM (0) TO (100)",
                &format!("FOR TABLE parted {with}"),
                "INSERT INTO parted SELECT i, (ARRAY['north', 'south', 'east'])[1 + i % 3], nullif('v' || i, 'v4'), i / 4.0 FROM generate_series(1, 30) i;
                 INSERT INTO south (id, region, v) VALUES (70, 'south', 'into the leaf')",
                "TRUNCATE parted",
            );
        }
    }
    for version in SINCE {
        play::<P>(
            version,
            "CREATE TABLE parted (id int, region text, v text, n int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
             CREATE TABLE south (n int, v text, region text NOT NULL, id int NOT NULL);
             ALTER TABLE parted ATTACH PARTITION south FOR VALUES IN ('south');
             CREATE TABLE others PARTITION OF parted DEFAULT",
            "FOR TABLE parted (v, region, id) WHERE (id > 3) WITH (publish_via_partition_root = true)",
            "INSERT INTO parted SELECT i, (ARRAY['north', 'south'])[1 + i % 2], 'v' || i, i FROM generate_series(1, 9) i",
            "DELETE FROM parted",
        );
    }
}

pub(crate) fn generated_columns<P: Place>() {
    let tables = "CREATE TABLE t (id int PRIMARY KEY, twice text GENERATED ALWAYS AS (v || v) STORED, gone int, v text, w text); ALTER TABLE t DROP gone";
    let rows = "INSERT INTO t (id, v, w) VALUES (1, 'a', 'w'), (2, NULL, NULL), (3, '', 'x')";
    for version in ALL {
        play::<P>(version, tables, "FOR TABLE t", rows, "DELETE FROM t");
    }
    for publication in [
        "FOR TABLE t WITH (publish_generated_columns = stored)",
        "FOR TABLE t (twice, id)",
        "FOR ALL TABLES WITH (publish_generated_columns = stored)",
    ] {
        play::<P>(Version::V18, tables, publication, rows, "DELETE FROM t");
    }
}

/// Parents and children have rows of their own, under their own names.
pub(crate) fn inheritance<P: Place>() {
    let tables = "CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (more text, PRIMARY KEY (id)) INHERITS (parent);
                  CREATE TABLE grandchild (deeper int, PRIMARY KEY (id)) INHERITS (child)";
    let rows = "INSERT INTO parent VALUES (1, 'p'), (2, NULL); INSERT INTO child VALUES (1, 'c', 'm'), (3, 'c', NULL); INSERT INTO grandchild VALUES (1, 'g', 'm', 5)";
    for version in ALL {
        for publication in ["FOR TABLE parent", "FOR TABLE ONLY parent, child"] {
            play::<P>(version, tables, publication, rows, "DELETE FROM parent");
        }
    }
}

/// Also without any key, and with one that is not the primary.
pub(crate) fn replica_identities<P: Place>() {
    for version in ALL {
        play::<P>(
            version,
            "CREATE TABLE wholly (gone int, v text, n numeric); ALTER TABLE wholly DROP gone; ALTER TABLE wholly REPLICA IDENTITY FULL;
             CREATE TABLE wholly_keyed (v text, id int PRIMARY KEY); ALTER TABLE wholly_keyed REPLICA IDENTITY FULL;
             CREATE TABLE nothing (id int PRIMARY KEY, v text); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
             CREATE TABLE by_index (id int PRIMARY KEY, gone int, b text NOT NULL, a int NOT NULL, v text); ALTER TABLE by_index DROP gone;
             CREATE UNIQUE INDEX its_key ON by_index (a, b); ALTER TABLE by_index REPLICA IDENTITY USING INDEX its_key;
             CREATE TABLE keyless (v text)",
            "FOR TABLE wholly, wholly_keyed, nothing, by_index, keyless WITH (publish_via_partition_root = true)",
            "INSERT INTO wholly VALUES ('x', 1.50), ('x', 1.50), (NULL, NULL); INSERT INTO wholly_keyed VALUES ('v', 1), (NULL, 2);
             INSERT INTO nothing VALUES (1, 'n'); INSERT INTO by_index VALUES (1, 'b', 2, 'v'), (2, 'b', 3, NULL); INSERT INTO keyless VALUES ('k'), ('k')",
            "TRUNCATE wholly, wholly_keyed, nothing, by_index, keyless",
        );
    }
}

/// Rows of no columns are only counted; a place where a table cannot be without columns says so by name.
pub(crate) fn no_columns<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::told(version, &["--keyless", "full"]);
        stage.play(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE bare (gone int); ALTER TABLE bare DROP gone;
             INSERT INTO t VALUES (1); INSERT INTO bare DEFAULT VALUES; INSERT INTO bare DEFAULT VALUES",
        );
        if !stage.has(P::LIMITS.no_columns) {
            continue;
        }
        stage.follow();
        let count = format!(
            "SELECT count(*) FROM {}",
            stage.place.name("public", "bare")
        );
        assert_eq!(stage.place.reader()(&count), [[Some("2".to_owned())]]);
        stage.follow_through("INSERT INTO bare DEFAULT VALUES");
        assert_eq!(stage.place.reader()(&count), [[Some("3".to_owned())]]);
    }
}
