//! What stands between rows: truncates, logical messages, origins, empty and prepared transactions.

use testdata::Version;

use super::{Kind, PADDING, Played, Scenario};
use crate::scene::{Leg, Scene};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "transactions",
    setup,
    backlog: Vec::new,
    publications: "capture",
    play,
    checks,
    must_show,
    kind: Kind::PlainParallel,
};

fn setup(_: Version) -> String {
    format!(
        "{PADDING}
        CREATE TABLE a (id serial PRIMARY KEY, t text);
        CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
        CREATE TABLE c (id int PRIMARY KEY);
        CREATE PUBLICATION capture FOR TABLE a, b, c;
        SELECT pg_replication_origin_create('far \"node\"') WHERE NOT EXISTS
            (SELECT FROM pg_replication_origin WHERE roname = 'far \"node\"');"
    )
}

fn play(scene: &mut Scene) -> Played {
    scene.sql("BEGIN; INSERT INTO a (t) VALUES ('x'), ('y'); INSERT INTO b VALUES (1, 1); INSERT INTO c VALUES (1); COMMIT")?;
    // Nothing in it is published: 14 sends an empty transaction, later versions none.
    scene.sql("INSERT INTO padding VALUES ('unpublished')")?;
    scene.sql("BEGIN; SAVEPOINT s; INSERT INTO c VALUES (2); ROLLBACK TO s; COMMIT")?;
    scene.sql("BEGIN; INSERT INTO c VALUES (3); ROLLBACK")?;
    scene.sql(
        "BEGIN; INSERT INTO c VALUES (4); SAVEPOINT s; INSERT INTO c VALUES (5); SAVEPOINT t; DELETE FROM c WHERE id = 1;
        ROLLBACK TO t; RELEASE s; INSERT INTO c VALUES (6); COMMIT",
    )?;
    scene.sql("TRUNCATE c")?;
    scene.sql("TRUNCATE a, c RESTART IDENTITY CASCADE")?;
    scene.sql("BEGIN; INSERT INTO a (t) VALUES ('after'); TRUNCATE a, b RESTART IDENTITY; INSERT INTO a (t) VALUES ('later'); COMMIT")?;

    scene.message(false, "alone", b"not transactional", true)?;
    scene.message(true, "in a transaction of its own", b"", true)?;
    scene.sql("BEGIN; INSERT INTO c VALUES (7)")?;
    scene.message(true, "", b"\x00\xff\n\"", true)?;
    scene.message(false, "p", b"sent before its transaction", true)?;
    scene.sql("SAVEPOINT s")?;
    scene.message(true, "in a savepoint", b"undone", false)?;
    scene.sql("INSERT INTO c VALUES (8); ROLLBACK TO s; SAVEPOINT t")?;
    scene.message(true, "in a savepoint", b"kept", true)?;
    scene.sql("INSERT INTO c VALUES (9); COMMIT")?;
    scene.sql("BEGIN")?;
    scene.message(false, "outlives", b"a rollback", true)?;
    scene.sql("ROLLBACK")?;

    scene.sql(
        "SELECT pg_replication_origin_session_setup('far \"node\"');
        BEGIN; SELECT pg_replication_origin_xact_setup('16/B374D848', '2001-02-03 04:05:06.789012+00');
        INSERT INTO c VALUES (10); COMMIT; BEGIN; INSERT INTO c VALUES (11); COMMIT;
        SELECT pg_replication_origin_session_reset()",
    )?;
    scene.sql("BEGIN; INSERT INTO c VALUES (12); PREPARE TRANSACTION 'plain'")?;
    scene.sql("INSERT INTO c VALUES (13)")?;
    scene.settle()?;
    scene.sql("COMMIT PREPARED 'plain'")?;
    scene.sql("BEGIN; INSERT INTO c VALUES (14); PREPARE TRANSACTION 'plain'")?;
    scene.settle()?;
    scene.sql("ROLLBACK PREPARED 'plain'")
}

fn checks(_: Version) -> Vec<(&'static str, &'static str)> {
    ["a", "b", "c"].map(|name| (name, "true")).into()
}

fn must_show(leg: Leg) -> &'static [&'static str] {
    if leg.protocol == 1 {
        &[
            "Begin", "Commit", "Origin", "Relation", "Insert", "Truncate", "Logical",
        ]
    } else {
        &[
            "StreamStart",
            "StreamStop",
            "StreamCommit",
            "Origin",
            "Relation",
            "Insert",
            "Truncate",
            "Logical",
        ]
    }
}
