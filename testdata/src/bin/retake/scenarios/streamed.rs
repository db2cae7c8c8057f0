//! Large transactions: in blocks, interleaved, with aborted parts and aborted as a whole.

use testdata::Version;

use super::{Kind, PAD, PADDING, Played, Scenario};
use crate::scene::{Leg, Scene};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "streamed",
    setup,
    backlog,
    publications: "capture",
    play,
    checks,
    must_show,
    kind: Kind::Streamed,
};

fn setup(_: Version) -> String {
    format!(
        "{PADDING}
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE big (id int PRIMARY KEY, note text, m mood);
        CREATE TABLE side (id int PRIMARY KEY);
        CREATE TABLE emptied (id int PRIMARY KEY);
        INSERT INTO emptied VALUES (1);
        CREATE PUBLICATION capture FOR TABLE big, side, emptied;"
    )
}

fn backlog() -> Vec<String> {
    let small = PAD;
    let large = PAD.replace("100", "1000");
    // Aborted as a whole, after a part of it was: 18 sees that there is nothing to send, and sends the
    // abort of the part all the same, of a transaction that it never began to stream.
    vec![
        format!(
            "BEGIN; {} SAVEPOINT s; {} {large} ROLLBACK TO s; ROLLBACK",
            rows(1000, 1001),
            rows(1002, 1003)
        ),
        format!(
            "BEGIN; SAVEPOINT s; {} {large} ROLLBACK TO s; {} {small} ROLLBACK",
            rows(1100, 1101),
            rows(1102, 1103)
        ),
        format!(
            "BEGIN; SAVEPOINT s; {} {small} SAVEPOINT t; {} {small} ROLLBACK TO s; {} COMMIT",
            rows(1200, 1201),
            rows(1202, 1203),
            rows(1204, 1204)
        ),
    ]
}

fn rows(from: u32, to: u32) -> String {
    format!("INSERT INTO big SELECT i, 'n' || i, 'ok' FROM generate_series({from}, {to}) i;")
}

fn play(scene: &mut Scene) -> Played {
    // Rows, a savepoint, rows, back to it, rows: the small form of 500, 500, 5.
    scene.sql(&format!("BEGIN; {} {PAD}", rows(1, 5)))?;
    scene.settle()?;
    scene.sql(&format!("SAVEPOINT s; {} {PAD}", rows(6, 10)))?;
    scene.settle()?;
    scene.sql(&format!("ROLLBACK TO s; {}", rows(11, 12)))?;
    scene.settle()?;
    // A part that is kept, inside it one that is not, and a part that sends nothing before it is aborted.
    scene.sql(&format!(
        "SAVEPOINT t; {} SAVEPOINT u; {} {PAD}",
        rows(13, 13),
        rows(14, 14)
    ))?;
    scene.settle()?;
    scene.sql("ROLLBACK TO u; RELEASE t; SAVEPOINT v; INSERT INTO padding VALUES ('x'); ROLLBACK TO v; COMMIT")?;
    scene.settle()?;

    // Two at once, with a small transaction and a message between their blocks.
    scene.sql(&format!("BEGIN; {} {PAD}", rows(100, 102)))?;
    scene.in_session(1, &format!("BEGIN; {} {PAD}", rows(200, 202)))?;
    scene.settle()?;
    scene.in_session(
        2,
        "INSERT INTO side VALUES (1); UPDATE big SET note = 'changed' WHERE id = 1",
    )?;
    scene.message(false, "between", b"blocks", true)?;
    scene.in_session(
        1,
        &format!(
            "UPDATE big SET note = NULL WHERE id = 200; DELETE FROM big WHERE id = 201; {PAD}"
        ),
    )?;
    scene.message(true, "inside", b"a block", true)?;
    scene.sql(&format!("SAVEPOINT s; {} {PAD}", rows(103, 104)))?;
    scene.settle()?;
    scene.in_session(1, "UPDATE big SET id = 300 WHERE id = 202")?;
    scene.sql("RELEASE s; TRUNCATE emptied")?;
    scene.in_session(1, "COMMIT")?;
    scene.settle()?;
    scene.sql("COMMIT")?;
    scene.settle()?;

    // All for nothing: once with everything sent, once with a part undone before.
    scene.sql(&format!("BEGIN; {} {PAD}", rows(400, 402)))?;
    scene.settle()?;
    scene.sql("ROLLBACK")?;
    scene.settle()?;
    scene.sql(&format!("BEGIN; SAVEPOINT s; {} {PAD}", rows(500, 501)))?;
    scene.settle()?;
    scene.sql(&format!("ROLLBACK TO s; {} {PAD}", rows(502, 503)))?;
    scene.settle()?;
    scene.sql("ROLLBACK")?;
    // Aborted before the server looks at it, which 18 notices.
    scene.sql(&format!(
        "BEGIN; {} {PAD} SAVEPOINT s; {} {PAD} ROLLBACK TO s; ROLLBACK",
        rows(600, 601),
        rows(602, 603)
    ))?;
    scene.settle()?;

    // A definition that changes inside a streamed transaction.
    scene.sql(&format!("BEGIN; {} ALTER TABLE big ADD COLUMN more int; UPDATE big SET more = 1 WHERE id = 700; {PAD}", rows(700, 701)))?;
    scene.settle()?;
    scene.sql(&format!("SAVEPOINT s; ALTER TABLE big ADD COLUMN undone int; UPDATE big SET undone = 2 WHERE id = 701; {PAD}"))?;
    scene.settle()?;
    scene.sql("ROLLBACK TO s; UPDATE big SET more = 3 WHERE id = 701; COMMIT")?;
    scene.sql("DELETE FROM big WHERE id = 700")
}

fn checks(_: Version) -> Vec<(&'static str, &'static str)> {
    ["big", "side", "emptied"].map(|name| (name, "true")).into()
}

fn must_show(_: Leg) -> &'static [&'static str] {
    &[
        "StreamStart",
        "StreamStop",
        "StreamCommit",
        "StreamAbort",
        "Begin",
        "Commit",
        "Type",
        "Truncate",
        "Logical",
    ]
}
