//! Two-phase commit on a slot that has it on: small, large, rolled back, empty.

use testdata::Version;

use super::{Kind, PAD, PADDING, Played, Scenario};
use crate::scene::{Leg, Scene};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "prepared",
    setup,
    backlog: Vec::new,
    publications: "capture",
    play,
    checks,
    must_show,
    kind: Kind::Prepared,
};

fn setup(_: Version) -> String {
    format!(
        "{PADDING}
        CREATE TABLE t (id int PRIMARY KEY, v text);
        CREATE PUBLICATION capture FOR TABLE t;"
    )
}

fn play(scene: &mut Scene) -> Played {
    scene.sql("BEGIN; INSERT INTO t VALUES (1, 'one'); PREPARE TRANSACTION 'small'")?;
    scene.settle()?;
    scene.sql("INSERT INTO t VALUES (2, 'between')")?;
    scene.sql("COMMIT PREPARED 'small'")?;
    // The name is free again.
    scene.sql("BEGIN; INSERT INTO t VALUES (3, 'three'); PREPARE TRANSACTION 'small'")?;
    scene.settle()?;
    scene.sql("ROLLBACK PREPARED 'small'")?;
    scene.sql(r#"BEGIN; INSERT INTO t VALUES (4, 'four'); PREPARE TRANSACTION 'it''s "ü" \n'"#)?;
    scene.sql(r#"COMMIT PREPARED 'it''s "ü" \n'"#)?;
    // The longest name, and a transaction with a definition and no row.
    let long = "g".repeat(199);
    scene.sql(&format!(
        "BEGIN; CREATE TABLE ddl (); PREPARE TRANSACTION '{long}'"
    ))?;
    scene.settle()?;
    scene.sql(&format!("COMMIT PREPARED '{long}'"))?;

    for (id, end) in [(10, "COMMIT"), (20, "ROLLBACK")] {
        scene.sql(&format!(
            "BEGIN; INSERT INTO t VALUES ({id}, 'large'); {PAD}"
        ))?;
        scene.settle()?;
        scene.sql(&format!(
            "SAVEPOINT s; INSERT INTO t VALUES ({}, 'undone'); {PAD}",
            id + 1
        ))?;
        scene.settle()?;
        scene.sql(&format!(
            "ROLLBACK TO s; INSERT INTO t VALUES ({}, 'last'); PREPARE TRANSACTION 'large'",
            id + 2
        ))?;
        scene.settle()?;
        scene.sql(&format!("{end} PREPARED 'large'"))?;
    }
    scene.sql("BEGIN; UPDATE t SET v = 'changed' WHERE id = 10; DELETE FROM t WHERE id = 1; PREPARE TRANSACTION 'p'")?;
    scene.sql("COMMIT PREPARED 'p'")
}

fn checks(_: Version) -> Vec<(&'static str, &'static str)> {
    vec![("t", "true")]
}

fn must_show(_: Leg) -> &'static [&'static str] {
    &[
        "BeginPrepare",
        "Prepare",
        "CommitPrepared",
        "RollbackPrepared",
        "StreamPrepare",
        "StreamAbort",
        "Begin",
        "Commit",
    ]
}
