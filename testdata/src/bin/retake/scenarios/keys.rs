//! Replica identities, key changes and values that are not sent because they did not change.

use testdata::Version;

use super::{Kind, Played, Scenario};
use crate::scene::{Leg, Scene};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "keys",
    setup,
    backlog: Vec::new,
    publications: "capture",
    play,
    checks,
    must_show,
    kind: Kind::Plain,
};

fn setup(_: Version) -> String {
    // EXTERNAL: stored out of line without compression, so that a short value of one letter will do.
    "
    CREATE TABLE keyed (id int PRIMARY KEY, note text, big text);
    ALTER TABLE keyed ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE pairs (a int, b text, c int, d text, PRIMARY KEY (d, a));
    CREATE TABLE indexed (a int NOT NULL, b text NOT NULL, c int, UNIQUE (b) INCLUDE (c));
    ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_b_c_key;
    CREATE TABLE whole (a int, b text, big text);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    ALTER TABLE whole ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE whole_keyed (id int PRIMARY KEY, b text);
    ALTER TABLE whole_keyed REPLICA IDENTITY FULL;
    CREATE TABLE nothing (a int, b text);
    ALTER TABLE nothing REPLICA IDENTITY NOTHING;
    CREATE TABLE keyless (a int);
    CREATE TABLE long_key (k text PRIMARY KEY, n int);
    ALTER TABLE long_key ALTER k SET STORAGE EXTERNAL;
    CREATE PUBLICATION capture FOR TABLE keyed, pairs, indexed, whole, whole_keyed, nothing, keyless, long_key;
    "
    .into()
}

fn play(scene: &mut Scene) -> Played {
    scene.sql("INSERT INTO keyed VALUES (1, 'one', repeat('a', 2100)), (2, 'two', 'short'), (3, NULL, NULL)")?;
    scene.sql("UPDATE keyed SET note = 'uno' WHERE id = 1")?;
    scene.sql("UPDATE keyed SET id = 10, note = 'ten' WHERE id = 1")?;
    scene.sql("UPDATE keyed SET big = repeat('b', 2100) WHERE id = 10")?;
    scene.sql("UPDATE keyed SET big = NULL WHERE id = 10")?;
    // A chain in one transaction, and a row that takes a key just given up.
    scene.sql(
        "BEGIN; UPDATE keyed SET id = 20 WHERE id = 2; UPDATE keyed SET id = 21 WHERE id = 20;
        INSERT INTO keyed VALUES (2, 'new two', NULL); UPDATE keyed SET note = note WHERE id = 21; COMMIT",
    )?;
    scene.sql("DELETE FROM keyed WHERE id = 3")?;
    scene.sql("INSERT INTO pairs VALUES (1, 'x', 1, 'k'), (2, 'y', 2, 'k')")?;
    scene.sql("UPDATE pairs SET c = 5 WHERE a = 1; UPDATE pairs SET d = 'l' WHERE a = 1; DELETE FROM pairs WHERE a = 2")?;
    scene.sql("INSERT INTO indexed VALUES (1, 'p', 1), (2, 'q', NULL), (3, 'r', 3)")?;
    scene.sql("UPDATE indexed SET c = 9 WHERE a = 1; UPDATE indexed SET b = 'z' WHERE a = 2; DELETE FROM indexed WHERE a = 3")?;
    scene.sql(
        "INSERT INTO whole VALUES (1, 'same', NULL), (1, 'same', NULL), (1, 'same', NULL),
        (2, NULL, repeat('c', 2100)), (NULL, NULL, NULL)",
    )?;
    scene.sql("UPDATE whole SET b = 'other' WHERE ctid = (SELECT min(ctid) FROM whole)")?;
    scene.sql("DELETE FROM whole WHERE ctid = (SELECT min(ctid) FROM whole WHERE b = 'same')")?;
    scene.sql(
        "UPDATE whole SET b = 'big stays' WHERE a = 2; UPDATE whole SET b = 'null' WHERE a IS NULL",
    )?;
    scene.sql("INSERT INTO whole_keyed VALUES (1, 'x'), (2, 'y')")?;
    scene
        .sql("UPDATE whole_keyed SET id = 3 WHERE id = 1; DELETE FROM whole_keyed WHERE id = 2")?;
    scene.sql(
        "INSERT INTO nothing VALUES (1, 'x'), (1, 'x'); INSERT INTO keyless VALUES (1), (NULL)",
    )?;
    // Too long to stay in the row: its value is in the old key and not in the new row.
    scene.sql("INSERT INTO long_key VALUES (repeat('k', 2200), 1), ('short', 2)")?;
    scene.sql("UPDATE long_key SET n = 3 WHERE n = 1")?;
    scene.sql("UPDATE long_key SET k = repeat('l', 2200) WHERE n = 3")?;
    scene.sql("UPDATE long_key SET n = 4 WHERE n = 2; DELETE FROM long_key WHERE n = 3")
}

fn checks(_: Version) -> Vec<(&'static str, &'static str)> {
    let names = [
        "keyed",
        "pairs",
        "indexed",
        "whole",
        "whole_keyed",
        "nothing",
        "keyless",
        "long_key",
    ];
    names.map(|name| (name, "true")).into()
}

fn must_show(_: Leg) -> &'static [&'static str] {
    &["Relation", "Insert", "Update", "Delete"]
}
