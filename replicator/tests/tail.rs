//! `tail`: changes appear as they are committed, and nothing lasting changes at the source.

#[path = "faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Outcome, PATIENCE, Running, Site};
use testdata::{Server, Version};

fn published(site: Site) -> Site {
    site.sql("CREATE PUBLICATION p FOR TABLE t");
    site
}

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut program = common::program();
    program
        .args(["tail", "--publication", "p", "--source", &site.source()])
        .args(arguments);
    program
}

fn tail(site: &Site, arguments: &[&str]) -> Outcome {
    Running::start(&mut command(site, arguments)).wait(PATIENCE)
}

/// Temporary slots and others in this database.
fn slots(site: &Site) -> Vec<String> {
    let sql =
        "SELECT slot_name FROM pg_replication_slots WHERE database = current_database() ORDER BY 1";
    let rows = site.client().query(sql).unwrap();
    rows.into_iter().flatten().flatten().collect()
}

fn is_watching(site: &Site) -> bool {
    let sql = "SELECT count(*) FROM pg_replication_slots
               WHERE database = current_database() AND active AND confirmed_flush_lsn IS NOT NULL";
    site.ask(sql) == "1"
}

fn watching(site: &Site, arguments: &[&str]) -> Running {
    let mut running = Running::start(&mut command(site, arguments));
    running.until("it watches", || is_watching(site));
    running
}

fn make_slot(site: &Site) {
    site.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
        site.slot
    ));
}

#[test]
fn changes_appear_and_the_temporary_slot_is_gone_after() {
    for version in Version::ALL {
        let site = published(Site::on(version));
        let running = watching(&site, &["--count", "3"]);
        let temporary = slots(&site);
        assert!(
            temporary[0].starts_with("replicator_tail_"),
            "{temporary:?}"
        );
        site.sql("INSERT INTO t VALUES (3, 'three')");
        site.sql("UPDATE t SET v = 'THREE' WHERE id = 3; DELETE FROM t WHERE id = 1");
        let outcome = running.wait(PATIENCE);
        outcome.done();
        for word in ["three", "THREE", "public.t"] {
            assert!(
                outcome.stdout.contains(word),
                "{version:?}: {}",
                outcome.stdout
            );
        }
        assert_eq!(outcome.stderr, "");
        common::until("the slot is gone", || slots(&site).is_empty());
        assert_eq!(site.publications(), ["p"]);
    }
}

#[test]
fn json_is_an_object_a_line() {
    let site = published(Site::new());
    let running = watching(&site, &["--json", "--count", "1"]);
    site.sql("INSERT INTO t VALUES (3, E'a\\nb\"c')");
    let outcome = running.wait(PATIENCE);
    outcome.done();
    let lines: Vec<serde_json::Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    let insert = lines.iter().find(|line| line["kind"] == "insert").unwrap();
    assert_eq!(insert["table"], "t");
    assert_eq!(insert["new"]["v"], "a\nb\"c");
}

/// Only what was committed, whole, and in the order of commits, however large it is.
#[test]
fn a_large_transaction_appears_at_its_commit() {
    let server = Server::builder(Version::NEWEST)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    let site = published(Site::own(server));
    let running = watching(&site, &["--json", "--count", "1001"]);
    let mut long = site.client();
    long.batch("BEGIN").unwrap();
    long.batch("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(10, 1009) i")
        .unwrap();
    long.batch("SAVEPOINT a").unwrap();
    long.batch("INSERT INTO t SELECT i, 'rolled back' FROM generate_series(2000, 2999) i")
        .unwrap();
    site.sql("INSERT INTO t VALUES (5, 'short')");
    long.batch("ROLLBACK TO a").unwrap();
    long.batch("COMMIT").unwrap();
    let outcome = running.wait(PATIENCE);
    outcome.done();
    let inserts: Vec<&str> = outcome
        .stdout
        .lines()
        .filter(|line| line.contains("\"insert\""))
        .collect();
    assert_eq!(inserts.len(), 1001);
    assert!(inserts[0].contains("short"));
    assert!(!outcome.stdout.contains("rolled back"));
}

#[test]
fn a_named_slot_stays_where_it_is() {
    let site = published(Site::new());
    make_slot(&site);
    let before = site.confirmed();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    for _ in 0..2 {
        let outcome = tail(&site, &["--slot", &site.slot, "--until", "current"]);
        outcome.done();
        assert!(outcome.stdout.contains("three"), "{}", outcome.stdout);
        assert_eq!(site.confirmed(), before);
    }
    // Nor does a longer look move it, with keepalives and transactions on the way.
    let mut running = watching(&site, &["--slot", &site.slot]);
    site.sql("INSERT INTO t VALUES (4, 'four')");
    thread::sleep(Duration::from_secs(2));
    running.until("it goes on", || site.confirmed() == before);
    running.terminate().done();
    assert_eq!(site.confirmed(), before);
}

#[test]
fn a_named_slot_is_advanced_on_request() {
    let site = published(Site::new());
    make_slot(&site);
    let arguments = ["--slot", &site.slot, "--advance", "--until", "current"];
    for id in 3..6 {
        site.sql(&format!("INSERT INTO t VALUES ({id}, 'row {id}')"));
        let end = site.wal_end();
        let outcome = tail(&site, &arguments);
        outcome.done();
        let rows = outcome.stdout.matches("row ").count();
        assert_eq!(rows, 1, "{}", outcome.stdout);
        assert!(outcome.stdout.contains(&format!("row {id}")));
        assert!(site.confirmed() >= end);
    }
}

/// A transaction that was shown in part comes again: its commit was not shown.
#[test]
fn a_count_within_a_transaction_does_not_confirm_it() {
    let site = published(Site::new());
    make_slot(&site);
    site.sql("INSERT INTO t SELECT i, 'row' FROM generate_series(11, 20) i");
    for _ in 0..2 {
        let arguments = ["--slot", &site.slot, "--advance", "--count", "4"];
        let outcome = tail(&site, &arguments);
        outcome.done();
        assert_eq!(
            outcome.stdout.matches("row").count(),
            4,
            "{}",
            outcome.stdout
        );
    }
}

#[test]
fn whoever_reads_may_go_away() {
    let site = published(Site::new());
    let mut child = command(&site, &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    common::until("it watches", || is_watching(&site));
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(!line.is_empty());
    drop(reader);
    site.sql("INSERT INTO t VALUES (4, 'four')");
    site.sql("INSERT INTO t VALUES (5, 'five')");
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    common::until("the slot is gone", || slots(&site).is_empty());
}

/// What is shown is shown now, not when a buffer is full.
#[test]
fn a_signal_ends_it_well() {
    let site = published(Site::new());
    for (id, signal) in [(3, "INT"), (4, "TERM")] {
        let mut child = command(&site, &[]).stdout(Stdio::piped()).spawn().unwrap();
        common::until("it watches", || is_watching(&site));
        site.sql(&format!("INSERT INTO t VALUES ({id}, 'now')"));
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut shown = String::new();
        while !shown.contains("now") {
            assert!(reader.read_line(&mut shown).unwrap() > 0, "{shown}");
        }
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let site = Site::new();
    let outcome = tail(&site, &["--count", "1"]);
    outcome.failed(3, &["publication \"p\" does not exist"]);
    assert!(
        outcome
            .stderr
            .contains("CREATE PUBLICATION \"p\" FOR TABLE"),
        "{}",
        outcome.stderr
    );
    assert!(slots(&site).is_empty());
    let site = published(site);
    let outcome = tail(&site, &["--slot", "nowhere", "--count", "1"]);
    outcome.failed(3, &["no replication slot named \"nowhere\""]);
    assert!(slots(&site).is_empty());
    assert_eq!(tail(&site, &["--advance"]).code, Some(2), "advance what?");
    assert!(slots(&site).is_empty());
    make_slot(&site);
    let running = watching(&site, &["--slot", &site.slot]);
    tail(&site, &["--slot", &site.slot, "--count", "1"]).failed(1, &["in use"]);
    running.terminate().done();
}

#[test]
fn messages_are_shown_on_request() {
    let site = published(Site::new());
    let running = watching(&site, &["--messages", "--count", "1"]);
    site.sql("SELECT pg_logical_emit_message(false, 'greeting', 'hello')");
    let outcome = running.wait(PATIENCE);
    outcome.done();
    assert!(outcome.stdout.contains("hello"), "{}", outcome.stdout);
}

/// A server that shuts down waits for who reads a slot, also for one that confirms nothing.
#[test]
fn a_server_that_shuts_down_is_not_held_up() {
    let mut site = published(Site::own(Server::start(Version::NEWEST)));
    make_slot(&site);
    for named in [false, true] {
        let slot = site.slot.clone();
        let arguments: &[&str] = if named { &["--slot", &slot] } else { &[] };
        let running = watching(&site, arguments);
        site.sql("UPDATE t SET v = 'x'");
        let start = Instant::now();
        site.server_mut().stop();
        assert!(start.elapsed() < Duration::from_secs(20), "{named}");
        assert_eq!(running.wait(PATIENCE).code, Some(1));
        site.server_mut().start_again();
    }
}

/// Who looks at what was shown does not take anything meanwhile; the server hears from us all the same.
#[test]
fn a_reader_that_stands_still_does_not_cost_the_connection() {
    const ROWS: usize = 5000;
    let site = published(Site::new());
    let mut program = common::program();
    program
        .args(["tail", "--publication", "p", "--count", "5000", "--source"])
        .arg(format!("{}?wal_sender_timeout=2s", site.source()));
    let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
    common::until("it watches", || is_watching(&site));
    site.sql(&format!(
        "INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(11, {}) i",
        ROWS + 10
    ));
    let process =
        site.ask("SELECT active_pid FROM pg_replication_slots WHERE database = current_database()");
    thread::sleep(Duration::from_secs(6));
    assert!(is_watching(&site));
    assert_eq!(
        site.ask("SELECT active_pid FROM pg_replication_slots WHERE database = current_database()"),
        process
    );
    let mut shown = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut shown)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let rows = shown.lines().filter(|line| line.contains("xxx")).count();
    assert_eq!(rows, ROWS);
}
