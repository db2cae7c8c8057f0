//! A seeded workload of several sessions: its model, the source and the destination agree, at every protocol version.
//!
//! `WORKLOAD_SEED=n` repeats a run, `WORKLOAD_STEPS=n` makes it longer (6000 without it).

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{
    Job, Running, connect, destination_rows, differences, published, quiet, source_rows, streamed,
};
use testdata::workload::Workload;
use testdata::{Client, Server, Version};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

fn seed() -> u64 {
    number("WORKLOAD_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        // Short, because somebody may have to type it.
        u64::from(now.subsec_nanos()) % 1_000_000
    })
}

/// The model is the judge of both sides.
fn compare(workload: &Workload, job: &Job, source: &mut Client) {
    let model = workload.model();
    let tables = published(source, "replicator");
    assert_eq!(tables.len(), model.len());
    let file = job.sqlite();
    for table in tables {
        let expected = &model[table.name.as_str()];
        for (found, side) in [
            (source_rows(source, &table), "source"),
            (destination_rows(&file, &table), "destination"),
        ] {
            let differ = differences(expected, &found, "model", side);
            let shown: Vec<&String> = differ.iter().take(5).collect();
            let name = &table.name;
            assert!(
                differ.is_empty(),
                "{name}: {} rows differ: {shown:#?}",
                differ.len()
            );
        }
    }
}

fn steps(workload: &mut Workload, count: u64) {
    for _ in 0..count {
        workload.step().unwrap();
    }
}

/// Goes on working until the replicator streams: making the slot waits for transactions that only we can end.
fn work_until_it_streams(workload: &mut Workload, running: &mut Running) {
    let start = Instant::now();
    while !running.log().contains("streaming") {
        assert!(start.elapsed().as_secs() < 60, "{}", running.log());
        assert!(
            running.wait_until(Instant::now()).is_none(),
            "{}",
            running.log()
        );
        steps(workload, 5);
    }
}

fn ends_well(running: Running, seed: u64) {
    let finished = running.terminate();
    assert_eq!(finished.code, Some(0), "seed {seed}: {}", finished.log);
}

fn agrees(version: Version, protocol: u8, streaming: &str) {
    let builder = quiet(version).setting("logical_decoding_work_mem", "64kB");
    let seed = seed();
    // Captured by the harness, and shown when the test fails.
    println!(
        "PostgreSQL {version}, protocol {protocol}, streaming {streaming}: WORKLOAD_SEED={seed}"
    );
    common::on_a_server_that_stays(&builder, |server| play(server, seed, protocol, streaming));
}

fn play(server: &Server, seed: u64, protocol: u8, streaming: &str) {
    let mut workload = Workload::new(server, "postgres", seed, 4).unwrap();
    let mut source = connect(server, "postgres");
    let protocol = protocol.to_string();
    let options = ["--protocol", &protocol, "--streaming", streaming];
    let job = Job::new(server, "postgres").options(&options);
    let length = number("WORKLOAD_STEPS").unwrap_or(6000);

    // Rows to copy, and transactions that are open while the slot is made.
    steps(&mut workload, length / 10);
    let mut running = job.start(&[]);
    work_until_it_streams(&mut workload, &mut running);
    steps(&mut workload, length * 4 / 10);
    ends_well(running, seed);
    workload.finish().unwrap();
    job.run_to_current();
    compare(&workload, &job, &mut source);

    // A backlog, and more while it is worked off.
    steps(&mut workload, length / 4);
    let running = job.start(&[]);
    steps(&mut workload, length / 4);
    let mut more = 0;
    while !workload.never_met().is_empty() && more < 4 * length {
        steps(&mut workload, 100);
        more += 100;
    }
    workload.finish().unwrap();
    ends_well(running, seed);
    job.run_to_current();
    compare(&workload, &job, &mut source);

    assert_eq!(workload.never_met(), [""; 0], "seed {seed}");
    let streamed = streamed(&mut source, "replicator");
    assert_eq!(
        streamed > 0,
        streaming != "off",
        "{streamed} streamed, seed {seed}"
    );
    println!(
        "{:?}, {streamed} transactions sent before their end",
        workload.met()
    );
}

#[test]
fn model_source_and_destination_agree_at_protocol_1() {
    agrees(Version::V18, 1, "off");
}

#[test]
fn model_source_and_destination_agree_at_protocol_2() {
    agrees(Version::V18, 2, "on");
}

#[test]
fn model_source_and_destination_agree_at_protocol_3() {
    agrees(Version::V18, 3, "on");
}

#[test]
fn model_source_and_destination_agree_at_protocol_4() {
    agrees(Version::V18, 4, "parallel");
}

#[test]
fn model_source_and_destination_agree_at_protocol_4_without_streaming() {
    agrees(Version::V18, 4, "off");
}

#[test]
fn model_source_and_destination_agree_on_14() {
    agrees(Version::V14, 2, "on");
}

#[test]
fn model_source_and_destination_agree_on_15() {
    agrees(Version::V15, 3, "on");
}

#[test]
fn model_source_and_destination_agree_on_16() {
    agrees(Version::V16, 4, "parallel");
}

#[test]
fn model_source_and_destination_agree_on_17() {
    agrees(Version::V17, 4, "on");
}

/// The copy reads a table as it is, not as it was in the snapshot, once somebody has emptied it in between; and who
/// empties tables must not be held back by a copy that waits for them.
#[test]
fn tables_emptied_while_the_copy_begins_are_copied_right_and_nobody_waits_for_ever() {
    common::on_a_server_that_stays(&quiet(Version::V18), copies_among_truncates);
}

fn copies_among_truncates(server: &Server) {
    let mut source = connect(server, "postgres");
    source
        .batch("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY)")
        .unwrap();
    let stop = AtomicBool::new(false);
    let mut jobs = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = connect(server, "postgres");
            while !stop.load(Ordering::Relaxed) {
                // Changes before the emptying, which a copy from after it would not know. The transaction lasts, so
                // that it can be open both when the snapshot is taken and when the copy looks at the tables.
                for statements in [
                    "BEGIN; UPDATE c SET id = id + 5; TRUNCATE a, b, c",
                    "INSERT INTO a VALUES (1); INSERT INTO c VALUES (1), (2); COMMIT",
                    "DELETE FROM a; INSERT INTO b VALUES (3); UPDATE c SET id = id + 5",
                    "UPDATE c SET id = id + 5; UPDATE b SET id = id + 1",
                ] {
                    client.batch(statements).unwrap();
                    thread::sleep(Duration::from_millis(8));
                }
                // Sooner or later a snapshot has to fit in between.
                thread::sleep(Duration::from_millis(250));
            }
        });
        let stopper = common::OnDrop(|| stop.store(true, Ordering::Relaxed));
        let mut anew = 0;
        // As many as it takes until a copy has met an emptying: how long a copy begins is up to the machine.
        for round in 0.. {
            if round >= 8 && anew > 0 {
                break;
            }
            assert!(round < 80, "no table was emptied at the right moment");
            let job = Job::new(server, "postgres").slot(&format!("round_{round}"));
            let finished = job.run(&["--until", "current"]);
            anew += finished
                .log
                .matches("it is copied with another one")
                .count();
            // One snapshot after another may be overtaken, but not all for minutes.
            assert_eq!(finished.code, Some(0), "{}", finished.log);
            jobs.push(job);
        }
        drop(stopper);
    });
    for job in jobs {
        job.run_to_current();
        common::assert_equal(&job, &mut source);
    }
}
