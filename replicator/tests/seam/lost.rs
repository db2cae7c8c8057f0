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
