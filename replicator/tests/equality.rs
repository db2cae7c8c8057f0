//! Every type, every statement, every identity, on every server: SQLite holds what the source holds.

mod common;

use common::{Job, Table, all_differences, assert_equal, connect, published, server};
use testdata::{Client, Version};

/// Statements that a blank line separates from others commit together.
fn run(client: &mut Client, script: &str) {
    for paragraph in script.split("\n\n") {
        let statements = paragraph.trim();
        if statements.lines().all(|line| line.starts_with("--")) {
            continue;
        }
        if let Err(error) = client.batch(statements) {
            panic!("{error} in:\n{statements}");
        }
    }
}

const SCHEMA: &str = include_str!("equality/schema.sql");
const BEFORE: &str = include_str!("equality/before.sql");
const TYPES: &str = include_str!("equality/types.sql");
const STATEMENTS: &str = include_str!("equality/statements.sql");
const TRUNCATE: &str = include_str!("equality/truncate.sql");

fn everything_arrives(version: Version) {
    let server = server(version);
    let mut source = connect(&server, "postgres");
    run(&mut source, SCHEMA);
    run(&mut source, BEFORE);
    let job = Job::new(&server, "postgres").options(&["--keyless", "full"]);

    // Copied.
    job.run_to_current();
    assert_equal(&job, &mut source);
    let tables = published(&mut source, "replicator");
    assert_eq!(
        tables.len(),
        53,
        "{:?}",
        tables.iter().map(Table::destination).collect::<Vec<_>>()
    );
    // Again, with nothing to do.
    job.run_to_current();
    assert_equal(&job, &mut source);

    // Streamed after the fact, and again with the same rows once more.
    run(&mut source, TYPES);
    job.run_to_current();
    assert_equal(&job, &mut source);

    // Streamed while it happens, then ended as a service is.
    let mut running = job.start(&[]);
    running.wait_for("streaming");
    run(&mut source, STATEMENTS);
    let finished = running.terminate();
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    job.run_to_current();
    assert_equal(&job, &mut source);

    run(&mut source, TRUNCATE);
    job.run_to_current();
    assert_equal(&job, &mut source);

    three_planted_faults_are_found(&job, &mut source);
}

/// The comparison itself: a cell, a missing row, an extra row.
fn three_planted_faults_are_found(job: &Job, source: &mut Client) {
    let file = job.sqlite();
    let faults = [
        (
            "UPDATE every_type SET c_int8 = c_int8 - 1 WHERE id = 5101",
            "UPDATE every_type SET c_int8 = c_int8 + 1 WHERE id = 5101",
            2,
        ),
        (
            "UPDATE swaps SET v = v || ' ' WHERE id = 2",
            "UPDATE swaps SET v = rtrim(v) WHERE id = 2",
            2,
        ),
        (
            "UPDATE key_float SET k = 0.0 WHERE k = '-0'",
            "UPDATE key_float SET k = '-0' WHERE k = 0.0",
            2,
        ),
        (
            "CREATE TABLE kept AS SELECT * FROM full_without_key LIMIT 1; DELETE FROM full_without_key WHERE rowid = (SELECT max(rowid) FROM full_without_key)",
            "INSERT INTO full_without_key SELECT * FROM kept; DROP TABLE kept",
            1,
        ),
        (
            "INSERT INTO other__T VALUES (99, 'extra')",
            "DELETE FROM other__T WHERE id = 99",
            1,
        ),
    ];
    for (plant, mend, count) in faults {
        file.execute_batch(plant).unwrap();
        let found = all_differences(job, source, "replicator");
        assert_eq!(found.len(), count, "{plant}: {found:?}");
        file.execute_batch(mend).unwrap();
    }
    assert_equal(job, source);
}

#[test]
fn everything_arrives_from_14() {
    everything_arrives(Version::V14);
}

#[test]
fn everything_arrives_from_15() {
    everything_arrives(Version::V15);
}

#[test]
fn everything_arrives_from_16() {
    everything_arrives(Version::V16);
}

#[test]
fn everything_arrives_from_17() {
    everything_arrives(Version::V17);
}

#[test]
fn everything_arrives_from_18() {
    everything_arrives(Version::V18);
}
