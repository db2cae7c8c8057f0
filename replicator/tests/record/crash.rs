//! kill -9 under load: every committed row is in the files once, and the slot is never ahead of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::*;

/// Ends the load, also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Inserts transactions of a few rows until told to stop.
fn load(studio: &Studio, stop: &AtomicBool) {
    let mut client = studio.site.client();
    let mut id = 1;
    while !stop.load(Ordering::Relaxed) {
        let rows = id % 7 + 1;
        client
            .batch(&format!(
                "INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series({id}, {}) i",
                id + rows - 1
            ))
            .unwrap();
        id += rows;
        // Now and then one that is rolled back in part.
        if id % 50 == 0 {
            client
                .batch(&format!(
                    "BEGIN; INSERT INTO t VALUES ({id}, 'y'); SAVEPOINT a; INSERT INTO t VALUES ({}, 'z'); \
                     ROLLBACK TO a; COMMIT",
                    id + 1
                ))
                .unwrap();
            id += 1;
        }
    }
}

#[test]
fn nothing_is_lost_or_twice_however_often_it_is_killed() {
    const ROUNDS: u64 = 12;
    let studio = Studio::new();
    studio.begin();
    let stop = AtomicBool::new(false);
    let mut torn = 0;
    let mut moved = 0;
    thread::scope(|scope| {
        let worker = scope.spawn(|| load(&studio, &stop));
        let end = Stop(&stop);
        let mut before = studio.confirmed();
        for round in 0..ROUNDS {
            let mut running =
                Running::start(&mut studio.command(&["--rotate-size", "1", "--compress"]));
            running.until("it records", || studio.confirmed() > before);
            thread::sleep(Duration::from_millis(37 * (round % 5)));
            running.kill();
            let confirmed = studio.confirmed();
            let tape = studio.tape();
            assert!(
                tape.reached >= confirmed,
                "round {round}: the server was told {confirmed:X}, and the files reach {:X}",
                tape.reached
            );
            torn += usize::from(tape.torn.is_some());
            moved += usize::from(confirmed > before);
            before = confirmed;
        }
        drop(end);
        worker.join().unwrap();
    });
    studio.catch_up(&["--rotate-size", "1", "--compress"]);
    let tape = studio.tape();
    assert_eq!(tape.ids(), studio.rows());
    assert!(tape.sessions > usize::try_from(ROUNDS).unwrap());
    assert!(moved > 0, "no round met a slot that moved");
    println!(
        "{} rows, {} files, torn in {torn} rounds",
        tape.ids().len(),
        tape.files
    );
}

/// Rows of a transaction that has not ended stand for the keepalive before them: it has to be in the file too.
#[test]
fn a_keepalive_that_data_stands_for_is_in_the_file() {
    let server = Server::builder(Version::NEWEST)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    let studio = Studio::at(Site::own(server));
    studio.begin();
    studio.site.sql("CREATE TABLE noise (v text)");
    let mut running = Running::start(&mut studio.command(&[]));
    running.until("it records", || {
        studio.site.slot_column("active").as_deref() == Some("true")
    });
    // Too little to be streamed: of a transaction without published changes nothing is sent then.
    studio.site.sql("INSERT INTO noise VALUES ('x')");
    let end = studio.site.wal_end();
    // The server says how far it is.
    thread::sleep(Duration::from_secs(1));
    let mut long = studio.site.client();
    long.batch("BEGIN").unwrap();
    long.batch("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 500) i")
        .unwrap();
    running.until("the slot moves", || studio.confirmed() >= end);
    running.kill();
    assert!(studio.tape().reached >= studio.confirmed());
    long.batch("COMMIT").unwrap();
    studio.catch_up(&[]);
    assert_eq!(studio.tape().ids(), studio.rows());
}

/// Each place in the order of events at which a crash leaves something different.
#[cfg(feature = "failpoints")]
#[test]
fn a_crash_at_each_place_is_gone_on_from() {
    for place in [
        "record-slot-made",
        "record-written",
        "record-synced",
        "record-confirmed",
        "record-renamed",
        "record-begun",
    ] {
        let studio = Studio::new();
        let log = studio.site.folder.path().join("places");
        if place != "record-slot-made" {
            studio.begin();
        }
        let stop = AtomicBool::new(false);
        let visits: &[u32] = match place {
            "record-slot-made" => &[1],
            "record-renamed" | "record-begun" => &[1, 2],
            _ => &[1, 2, 7],
        };
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                while studio.site.slot_column("slot_name").is_none()
                    && !stop.load(Ordering::Relaxed)
                {
                    thread::sleep(Duration::from_millis(20));
                }
                load(&studio, &stop);
            });
            let end = Stop(&stop);
            for visit in visits {
                let mut command = studio.command(&["--create-slot", "--rotate-size", "1"]);
                command
                    .env("REPLICATOR_FAILPOINT", format!("{place}:{visit}"))
                    .env("REPLICATOR_FAILPOINT_LOG", &log);
                let outcome = Running::start(&mut command).wait(PATIENCE);
                assert_eq!(outcome.code, None, "{place}: {}", outcome.stderr);
                if place != "record-slot-made" {
                    assert!(studio.tape().reached >= studio.confirmed(), "{place}");
                }
            }
            drop(end);
            worker.join().unwrap();
        });
        studio.catch_up(&["--rotate-size", "1"]);
        assert_eq!(studio.tape().ids(), studio.rows(), "{place}");
        let met = std::fs::read_to_string(log).unwrap();
        assert_eq!(met.lines().count(), visits.len(), "{place}");
    }
}

#[test]
fn the_records_are_durable_before_the_source_hears_of_them() {
    let studio = Studio::new();
    studio.begin();
    let trace = studio.site.folder.path().join("trace");
    let mut command = strace::traced(&trace, &studio.command(&[]));
    let mut running = Running::start(&mut command);
    running.until("it records", || {
        studio.site.slot_column("active").as_deref() == Some("true")
    });
    for id in 1..=20 {
        let before = studio.confirmed();
        studio.insert(id, id);
        running.until("the row is confirmed", || studio.confirmed() > before);
    }
    running.terminate().done();
    let read = || std::fs::read_to_string(&trace).unwrap_or_default();
    common::until("the trace is complete", || {
        read().trim_end().ends_with("+++")
    });
    let as_number = |lsn: u64| lsn.to_be_bytes().to_vec();
    strace::assert_durable_before_confirmed(&read(), ".capture", as_number, 20);
    assert_eq!(studio.tape().ids(), (1..=20).collect::<Vec<_>>());
}
