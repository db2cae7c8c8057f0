//! Shapes of tables and how they change: columns, names, partitions, filters.

use testdata::Version;

use super::{Kind, Played, Scenario};
use crate::scene::{Leg, Scene};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "schema",
    setup,
    backlog: Vec::new,
    publications: "capture,roots,computed",
    play,
    checks,
    must_show,
    kind: Kind::Plain,
};

fn setup(version: Version) -> String {
    let mut sql = String::from(
        r#"
        CREATE TABLE moving (id int PRIMARY KEY, a text, b int);
        CREATE TABLE empty ();
        CREATE SCHEMA "A";
        CREATE SCHEMA "a.b";
        CREATE TABLE "A"."x""; DROP TABLE y; --" ("ID" int PRIMARY KEY, "a ""b""" text, "select" int, "ü
n" int, "'" int);
        CREATE TABLE "a.b"."c.d" (id int PRIMARY KEY);
        CREATE TABLE "ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜx" (id int PRIMARY KEY);
        CREATE TABLE measured (id int, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
        CREATE TABLE measured_1 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE measured_2 (v text, day date NOT NULL, id int NOT NULL);
        ALTER TABLE measured ATTACH PARTITION measured_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        CREATE TABLE leaves (id int PRIMARY KEY) PARTITION BY HASH (id);
        CREATE TABLE leaves_1 PARTITION OF leaves FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE leaves_2 PARTITION OF leaves FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, n int);
        DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE wide (id int PRIMARY KEY, '
            || string_agg('c' || i || CASE WHEN i % 2 = 0 THEN ' int' ELSE ' text' END, ', ') || ')'
            FROM generate_series(1, 199) i); END $$;
        CREATE PUBLICATION capture FOR TABLE moving, empty, "A"."x""; DROP TABLE y; --", "a.b"."c.d",
            "ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜx", leaves, wide;
        CREATE PUBLICATION roots FOR TABLE measured WITH (publish_via_partition_root = true);
        "#,
    );
    sql += if version >= Version::V18 {
        "CREATE PUBLICATION computed FOR TABLE computed WITH (publish_generated_columns = stored);"
    } else {
        "CREATE PUBLICATION computed FOR TABLE computed;"
    };
    if version >= Version::V15 {
        sql += "
        CREATE TABLE filtered (id int PRIMARY KEY, hidden text, shown text);
        ALTER PUBLICATION capture ADD TABLE filtered (id, shown) WHERE (id > 10);
        CREATE SCHEMA everything;
        CREATE TABLE everything.t (id int PRIMARY KEY);
        CREATE PUBLICATION all_of_it FOR TABLES IN SCHEMA everything;
        ";
    }
    sql
}

fn play(scene: &mut Scene) -> Played {
    scene.sql("INSERT INTO moving VALUES (1, 'x', 1)")?;
    scene.sql("ALTER TABLE moving ADD COLUMN c bool NOT NULL DEFAULT false")?;
    scene.sql("INSERT INTO moving VALUES (2, 'y', 2, true)")?;
    scene.sql("UPDATE moving SET b = 10 WHERE id = 1")?;
    scene.sql("ALTER TABLE moving DROP COLUMN a; ALTER TABLE moving RENAME COLUMN b TO bb")?;
    scene.sql("INSERT INTO moving VALUES (3, 3, false)")?;
    scene.sql("ANALYZE moving; INSERT INTO moving VALUES (4, 4, false)")?;
    // A definition within a transaction counts from there, and not at all when it is rolled back.
    scene.sql(
        "BEGIN; INSERT INTO moving VALUES (5, 5, false); ALTER TABLE moving ADD COLUMN d varchar(7);
        INSERT INTO moving VALUES (6, 6, false, 'six'); SAVEPOINT s; ALTER TABLE moving RENAME TO gone;
        INSERT INTO gone VALUES (7, 7, false, NULL); ROLLBACK TO s; INSERT INTO moving VALUES (8, 8, false, NULL); COMMIT",
    )?;
    scene.sql("ALTER TABLE moving RENAME TO moved; INSERT INTO moved VALUES (9, 9, true, '9')")?;
    scene.sql("ALTER TABLE moved REPLICA IDENTITY FULL; DELETE FROM moved WHERE id = 9")?;
    scene.sql("INSERT INTO empty DEFAULT VALUES; INSERT INTO empty DEFAULT VALUES")?;
    scene.sql(r#"INSERT INTO "A"."x""; DROP TABLE y; --" VALUES (1, '"', 2, 3, 4)"#)?;
    scene.sql(r#"INSERT INTO "a.b"."c.d" VALUES (1); INSERT INTO "ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜx" VALUES (1)"#)?;
    scene.sql(
        "INSERT INTO measured VALUES (1, '2026-01-05', 'jan'), (2, '2026-02-05', 'feb'), (3, '2026-01-06', 'moves');
        UPDATE measured SET day = '2026-02-06' WHERE id = 3; UPDATE measured SET v = 'JAN' WHERE id = 1;
        DELETE FROM measured WHERE id = 2",
    )?;
    scene
        .sql("INSERT INTO leaves SELECT generate_series(1, 4); DELETE FROM leaves WHERE id = 3")?;
    scene.sql("INSERT INTO computed (id, n) VALUES (1, 1), (2, 2); UPDATE computed SET n = 3 WHERE id = 1")?;
    scene.sql("INSERT INTO wide (id, c1, c2, c199) VALUES (1, 'first', 2, 'last')")?;
    if scene.version() >= Version::V15 {
        // Into the filter by an update, out of it by an update, and never in it.
        scene.sql(
            "INSERT INTO filtered VALUES (5, 'h', 'in by update'), (15, 'h', 's'), (16, 'h', 'out'), (6, 'h', 'never');
            UPDATE filtered SET id = 25 WHERE id = 5; UPDATE filtered SET id = 7 WHERE id = 16;
            UPDATE filtered SET shown = 't' WHERE id = 15; UPDATE filtered SET shown = 'n' WHERE id = 6",
        )?;
    }
    Ok(())
}

fn checks(version: Version) -> Vec<(&'static str, &'static str)> {
    let mut checks = vec![
        ("moved", "true"),
        ("empty", "true"),
        (r#"A.x"; DROP TABLE y; --"#, "true"),
        ("a.b.c.d", "true"),
        ("ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜx", "true"),
        ("measured", "true"),
        ("leaves_1", "true"),
        ("leaves_2", "true"),
        ("computed", "true"),
        ("wide", "true"),
    ];
    if version >= Version::V15 {
        checks.push(("filtered", "id > 10"));
    }
    checks
}

fn must_show(_: Leg) -> &'static [&'static str] {
    &["Relation", "Insert", "Update", "Delete"]
}
