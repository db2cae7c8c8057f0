//! Every type, every statement, every identity: a PostgreSQL destination holds what the source holds.

use testdata::{Client, Version};

use crate::common::{Job, connect, server, server_differences};

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

const SCHEMA: &str = include_str!("../equality/schema.sql");
const BEFORE: &str = include_str!("../equality/before.sql");
const TYPES: &str = include_str!("../equality/types.sql");
const STATEMENTS: &str = include_str!("../equality/statements.sql");
const TRUNCATE: &str = include_str!("../equality/truncate.sql");

fn assert_equal(source: &mut Client, destination: &mut Client) {
    let all = server_differences(source, destination);
    let shown: Vec<&String> = all.iter().take(20).collect();
    assert!(all.is_empty(), "{} rows differ: {shown:#?}", all.len());
}

fn everything_arrives(from: Version, into: Version) {
    let (server, other) = (server(from), server(into));
    let mut source = connect(&server, "postgres");
    let mut destination = connect(&other, "postgres");
    run(&mut source, SCHEMA);
    run(&mut source, BEFORE);
    let job = Job::new(&server, "postgres")
        .into(other.url("postgres"))
        .options(&["--keyless", "full"]);

    // Copied.
    job.run_to_current();
    assert_equal(&mut source, &mut destination);
    // Again, with nothing to do.
    job.run_to_current();

    // Streamed after the fact.
    run(&mut source, TYPES);
    job.run_to_current();
    assert_equal(&mut source, &mut destination);

    // Streamed while it happens, then ended as a service is.
    let mut running = job.start(&[]);
    running.wait_for("streaming");
    run(&mut source, STATEMENTS);
    let finished = running.terminate();
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    job.run_to_current();
    assert_equal(&mut source, &mut destination);

    run(&mut source, TRUNCATE);
    job.run_to_current();
    assert_equal(&mut source, &mut destination);

    planted_faults_are_found(&mut source, &mut destination);
}

/// The comparison itself: a cell, a missing row, an extra row.
fn planted_faults_are_found(source: &mut Client, destination: &mut Client) {
    for (plant, count) in [
        (
            "UPDATE every_type SET c_int8 = c_int8 - 1 WHERE id = 5101",
            2,
        ),
        (
            "DELETE FROM full_without_key WHERE ctid = (SELECT max(ctid) FROM full_without_key)",
            1,
        ),
        ("INSERT INTO other.\"T\" VALUES (99, 'extra')", 1),
    ] {
        destination.batch("BEGIN").unwrap();
        destination.batch(plant).unwrap();
        let found = server_differences(source, destination);
        assert_eq!(found.len(), count, "{plant}: {found:?}");
        destination.batch("ROLLBACK").unwrap();
    }
}

#[test]
fn everything_arrives_from_14_in_18() {
    everything_arrives(Version::V14, Version::V18);
}

#[test]
fn everything_arrives_from_18_in_14() {
    everything_arrives(Version::V18, Version::V14);
}
