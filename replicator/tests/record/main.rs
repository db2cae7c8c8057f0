//! `record`: what happened is in the files, whatever is killed, and the server is told only of what is on disk.

#[path = "../faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
#[path = "../feedback/strace.rs"]
mod strace;

mod crash;
mod files;
mod refused;
mod tape;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Outcome, PATIENCE, Running, Site, lsn};
use tape::Tape;
use testdata::{Server, Version};

/// A database with an empty table `t`, published, and a file to record into.
struct Studio {
    site: Site,
}

impl Studio {
    fn new() -> Self {
        Self::at(Site::new())
    }

    fn at(site: Site) -> Self {
        site.sql("TRUNCATE t; CREATE PUBLICATION p FOR TABLE t");
        Self { site }
    }

    fn file(&self) -> PathBuf {
        self.site.folder.path().join("shop.capture")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut program = common::program();
        program
            .args(["record", "--slot", &self.site.slot, "--publication", "p"])
            .args(["--source", &self.site.source()])
            .arg("--output")
            .arg(self.file())
            .args(arguments);
        program
    }

    fn record(&self, arguments: &[&str]) -> Outcome {
        Running::start(&mut self.command(arguments)).wait(PATIENCE)
    }

    /// Makes the slot, and an empty recording.
    fn begin(&self) {
        self.record(&["--create-slot", "--until", "current"]).done();
    }

    /// Everything that is committed now.
    fn catch_up(&self, arguments: &[&str]) {
        let mut all = vec!["--until", "current"];
        all.extend(arguments);
        self.record(&all).done();
    }

    fn tape(&self) -> Tape {
        Tape::read(&self.file())
    }

    fn insert(&self, from: i32, to: i32) {
        self.site.sql(&format!(
            "INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series({from}, {to}) i"
        ));
    }

    fn confirmed(&self) -> u64 {
        self.site.confirmed()
    }

    /// Every row of the table, in order.
    fn rows(&self) -> Vec<i32> {
        let rows = self.site.client().query("SELECT id FROM t ORDER BY id");
        rows.unwrap()
            .into_iter()
            .flatten()
            .flatten()
            .map(|id| id.parse().unwrap())
            .collect()
    }
}

#[test]
fn what_happened_is_in_the_file_at_every_version_and_protocol() {
    for version in Version::ALL {
        let server = Server::builder(version)
            .setting("logical_decoding_work_mem", "64kB")
            .start();
        let studio = Studio::at(Site::own(server));
        studio.begin();
        let mut expected = Vec::new();
        let mut base = 0;
        for protocol in 1..=version.max_protocol() {
            for binary in [false, true] {
                // Streamed where the protocol can: rolled back in part, with another one in between.
                let mut long = studio.site.client();
                let insert = |from: i32, to: i32| {
                    format!(
                        "INSERT INTO t SELECT {base} + i, repeat('x', 500) FROM generate_series({from}, {to}) i"
                    )
                };
                for sql in [
                    "BEGIN".to_owned(),
                    insert(1, 400),
                    "SAVEPOINT a".to_owned(),
                    insert(401, 800),
                ] {
                    long.batch(&sql).unwrap();
                }
                studio.insert(base + 5000, base + 5000);
                long.batch("ROLLBACK TO a").unwrap();
                long.batch(&insert(801, 803)).unwrap();
                long.batch("COMMIT").unwrap();
                let protocol = protocol.to_string();
                let mut arguments = vec!["--protocol", &protocol];
                if binary {
                    arguments.push("--binary");
                }
                studio.catch_up(&arguments);
                expected.push(vec![base + 5000]);
                expected.push((1..=400).chain(801..=803).map(|id| base + id).collect());
                base += 10_000;
            }
        }
        let tape = studio.tape();
        let found: Vec<Vec<i32>> = tape.transactions().map(|it| it.ids.clone()).collect();
        assert_eq!(found, expected, "{version:?}");
        assert_eq!(tape.sessions, 1 + 2 * usize::from(version.max_protocol()));
        assert!(tape.reached >= studio.confirmed(), "{version:?}");
        assert!(tape.binary > 0 && tape.text > 0);
    }
}

#[test]
fn an_idle_slot_moves_and_a_restart_finds_file_and_slot_in_agreement() {
    let studio = Studio::new();
    studio.begin();
    studio.site.sql("CREATE TABLE noise (v text)");
    studio
        .site
        .sql("INSERT INTO noise SELECT repeat('x', 100) FROM generate_series(1, 10000)");
    let end = studio.site.wal_end();
    let mut running = Running::start(&mut studio.command(&[]));
    running.until("the slot moves", || studio.confirmed() >= end);
    running.kill();
    assert!(studio.tape().reached >= studio.confirmed());
    studio.insert(1, 2);
    studio.catch_up(&[]);
    assert_eq!(studio.tape().ids(), [1, 2]);
}

#[test]
fn a_signal_ends_it_with_everything_on_disk() {
    let studio = Studio::new();
    studio.begin();
    for (id, signal) in [(1, "TERM"), (2, "INT")] {
        let mut running = Running::start(&mut studio.command(&[]));
        studio.insert(id, id);
        running.until("the row is there", || studio.tape().ids().contains(&id));
        running.signal(signal);
        running.wait(PATIENCE).done();
    }
    assert_eq!(studio.tape().ids(), [1, 2]);
    assert_eq!(
        studio.tape().reached,
        studio.confirmed(),
        "the server knows the last position"
    );
}

#[test]
fn until_a_position_stops_there() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 1);
    let between = studio.site.ask("SELECT pg_current_wal_insert_lsn()");
    studio.insert(2, 2);
    studio.record(&["--until", &between]).done();
    assert!(studio.tape().reached >= lsn(&between));
    assert!(studio.tape().ids().contains(&1));
    studio.catch_up(&[]);
    assert_eq!(studio.tape().ids(), [1, 2]);
}

#[test]
fn messages_are_recorded_on_request() {
    let studio = Studio::new();
    studio.begin();
    let emit = "SELECT pg_logical_emit_message(false, 'test', 'content')";
    studio.site.sql(emit);
    studio.catch_up(&[]);
    assert_eq!(studio.tape().messages, 0);
    studio.site.sql(emit);
    studio.catch_up(&["--messages"]);
    assert!(studio.tape().messages >= 1);
}

/// A server that shuts down waits until we have everything, and must not wait for long.
#[test]
fn a_server_that_shuts_down_is_not_held_up() {
    for version in [Version::ALL[0], Version::NEWEST] {
        let mut studio = Studio::at(Site::own(Server::start(version)));
        studio.begin();
        let mut running = Running::start(&mut studio.command(&["--reconnect", "0"]));
        running.until("it records", || studio.site.is_sending());
        studio.insert(1, 100);
        let start = Instant::now();
        studio.site.server_mut().stop();
        assert!(start.elapsed() < Duration::from_secs(20), "{version:?}");
        let outcome = running.wait(PATIENCE);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert_eq!(studio.tape().ids().len(), 100);
        studio.site.server_mut().start_again();
        studio.insert(101, 101);
        studio.catch_up(&[]);
        assert_eq!(studio.tape().ids().len(), 101);
    }
}

/// Over restarts and crashes of the server one recording, in one file, and its end is the one that was asked for.
#[test]
fn a_recording_goes_on_when_the_server_comes_back() {
    let mut studio = Studio::at(Site::own(Server::start(Version::NEWEST)));
    studio.begin();
    let mut running = Running::start(&mut studio.command(&[]));
    for round in 0..4 {
        running.until("it records", || {
            studio.site.slot_column("active").as_deref() == Some("true")
        });
        studio.insert(1 + 50 * round, 50 * (round + 1));
        if round % 2 == 0 {
            studio.site.server_mut().stop();
        } else {
            studio.site.server_mut().kill();
        }
        studio.site.server_mut().start_again();
    }
    studio.insert(201, 250);
    running.until("the last row is confirmed", || {
        studio.tape().ids().len() == 250
    });
    running.terminate().done();
    studio.insert(251, 251);
    studio.catch_up(&[]);
    assert_eq!(studio.tape().ids().len(), 251);
}

/// What waits and what is written together is bounded, whatever the size of a transaction.
#[test]
fn memory_does_not_depend_on_the_size_of_a_transaction() {
    let studio = Studio::new();
    studio.begin();
    studio
        .site
        .sql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 150000) i");
    let end = studio.site.wal_end();
    let mut running = Running::start(&mut studio.command(&[]));
    running.until("it is recorded", || studio.confirmed() >= end);
    let peak = running.memory("VmHWM");
    running.terminate().done();
    assert!(studio.file().metadata().unwrap().len() > 150 << 20);
    assert!(peak < 120 << 10, "{peak} kB for 150 MB");
}
