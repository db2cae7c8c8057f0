//! A side that is lost in the middle of a copy: the run goes on by itself.

use std::thread;
use std::time::{Duration, Instant};

use testdata::{Client, Version};

use crate::common::{Job, Running, connect, quiet, server, server_differences};
use crate::{PATIENCE, work};

/// So slow that there is a middle.
const RATE: &[&str] = &["--until", "current", "--copy-rate", "1000000"];

fn start(job: &Job) -> Running {
    let mut command = job.command(RATE);
    command.env("REPLICATOR_PART_BYTES", "100000");
    job.start_command(command)
}

/// Waits until a part of a table is there.
fn in_the_middle(running: &mut Running, into: &mut Client) {
    let deadline = Instant::now() + PATIENCE;
    let begun = "SELECT count(*) > 0 FROM _replicator_chunks";
    while into.value(begun).ok().as_deref() != Some("t") {
        assert!(
            Instant::now() < deadline,
            "no copy begins: {}",
            running.log()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn goes_on(running: Running, source: &mut Client, into: &mut Client, said: &str) {
    let finished = running.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    assert!(finished.log.contains(said), "{}", finished.log);
    let differ = server_differences(source, into);
    assert!(
        differ.is_empty(),
        "{:#?}\n{}",
        &differ[..differ.len().min(5)],
        finished.log
    );
}

#[test]
fn sessions_at_the_source() {
    let from = quiet(Version::V18).start();
    let into = server(Version::V18);
    let mut source = connect(&from, "postgres");
    work::set_up(&mut source);
    let job = Job::new(&from, "postgres").into(into.url("postgres"));
    let mut running = start(&job);
    let mut destination = connect(&into, "postgres");
    in_the_middle(&mut running, &mut destination);
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(700));
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT%'";
        source.batch(ended).unwrap();
    }
    goes_on(
        running,
        &mut source,
        &mut destination,
        "the source was lost",
    );
}

#[test]
fn the_destination() {
    let from = quiet(Version::V18).start();
    let mut into = server(Version::V18);
    let mut source = connect(&from, "postgres");
    work::set_up(&mut source);
    let job = Job::new(&from, "postgres").into(into.url("postgres"));
    let mut running = start(&job);
    in_the_middle(&mut running, &mut connect(&into, "postgres"));
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(700));
        into.kill();
        into.start_again();
    }
    let mut destination = connect(&into, "postgres");
    goes_on(
        running,
        &mut source,
        &mut destination,
        "the destination does not take",
    );
}

/// Whoever was cut off from the source, and does not know it, writes nothing once another one has taken over.
#[test]
fn the_copy_itself_to_somebody_who_takes_over() {
    let from = quiet(Version::V18).start();
    let into = server(Version::V18);
    let mut source = connect(&from, "postgres");
    work::set_up(&mut source);
    let job = Job::new(&from, "postgres").into(into.url("postgres"));
    let mut first = start(&job);
    let mut destination = connect(&into, "postgres");
    in_the_middle(&mut first, &mut destination);
    first.signal("STOP");
    source
        .batch("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND NOT temporary")
        .unwrap();
    let finished = job.run(&["--until", "current", "--takeover", "20"]);
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    let differ = server_differences(&mut source, &mut destination);
    assert_eq!(differ, [""; 0], "{}", finished.log);
    let ledger = "SELECT string_agg(concat_ws(' ', name, state, sync_position), ',' ORDER BY name) FROM _replicator_tables";
    let left = destination.value(ledger).unwrap();
    first.signal("CONT");
    let first = first.wait();
    assert_ne!(first.code, Some(0), "{}", first.log);
    assert_eq!(destination.value(ledger).unwrap(), left, "{}", first.log);
    let differ = server_differences(&mut source, &mut destination);
    assert_eq!(differ, [""; 0], "{}", first.log);
}
