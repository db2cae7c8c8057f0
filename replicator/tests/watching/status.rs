//! `status`: every cause that it names is made on a real server, and nothing is changed by asking.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use testdata::{Client, Server, Version};

use crate::causes::a_slot_in_danger_and_one_that_waits_for_a_standby;
use crate::common::{Outcome, PATIENCE, Running, Site, program, until};
use crate::site;

/// What it says of this site, as JSON, and how it ended.
pub(crate) fn ask(site: &Site, destination: Option<&str>) -> (Value, Outcome) {
    let mut command = program();
    command.args(["status", "--json", "--slot", &site.slot]);
    command.args(["--source", &site.source()]);
    command.args(
        destination
            .into_iter()
            .flat_map(|url| ["--destination", url]),
    );
    let outcome = Running::start(&mut command).wait(PATIENCE);
    let value: Value = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    assert_eq!(value["exit_code"].as_i64(), outcome.code.map(i64::from));
    (value, outcome)
}

pub(crate) fn status(site: &Site) -> (Value, Outcome) {
    ask(site, Some(&site.destination()))
}

pub(crate) fn kinds(value: &Value) -> Vec<&str> {
    let causes = value["causes"].as_array().expect("causes");
    causes
        .iter()
        .filter_map(|cause| cause["kind"].as_str())
        .collect()
}

/// The sentence about this, and what to do.
pub(crate) fn cause(value: &Value, kind: &str) -> Option<(String, String)> {
    let mut causes = value["causes"].as_array().expect("causes").iter();
    let cause = causes.find(|cause| cause["kind"] == kind)?;
    let text = |name: &str| cause[name].as_str().unwrap_or_default().to_owned();
    Some((text("text"), text("remedy")))
}

/// Asks until it names this.
pub(crate) fn names(site: &Site, destination: Option<&str>, kind: &str) -> (String, String) {
    let mut last = None;
    until(&format!("status names {kind}"), || {
        let (value, _) = ask(site, destination);
        last = cause(&value, kind);
        last.is_some()
    });
    last.expect("a cause")
}

/// Names of all members, with those of members.
pub(crate) fn members(value: &Value) -> BTreeSet<String> {
    let Value::Object(object) = value else {
        return BTreeSet::new();
    };
    let mut names: BTreeSet<String> = object.keys().cloned().collect();
    for (name, value) in object {
        let first = value.as_array().and_then(|list| list.first());
        let below = members(first.unwrap_or(value));
        names.extend(below.iter().map(|it| format!("{name}.{it}")));
    }
    names
}

/// Scripts depend on these: add, and never remove or rename.
pub(crate) const MEMBERS: &str = "bytes_per_second bytes_per_second.confirmed bytes_per_second.stored bytes_per_second.written \
    causes causes.kind causes.needs_person causes.remedy causes.text \
    destination destination.position destination.position.epoch destination.position.holder destination.position.lsn \
    destination.position.source_time destination.position.state destination.position.timeline destination.tables destination.tables.destination \
    destination.tables.reason destination.tables.schema destination.tables.state destination.tables.sync_lsn \
    destination.tables.table exit_code kind lag_bytes lag_seconds_at_most slot source source.slot \
    source.slot.active_pid source.slot.answered_seconds source.slot.confirmed_flush_lsn source.slot.database \
    source.slot.flush_lag_seconds source.slot.holder source.slot.inactive_seconds source.slot.invalidation_reason \
    source.slot.plugin source.slot.restart_lsn source.slot.retained_bytes source.slot.safe_wal_size \
    source.slot.sent_lsn source.slot.two_phase source.slot.unconfirmed_bytes source.slot.wait_event \
    source.slot.wal_status source.version source.wal_lsn";

/// Files beside the destination, and what is in them.
fn files(site: &Site) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(site.folder.path()).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), fs::read(&path).expect("a file"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_run_that_does_well_and_one_that_was_killed() {
    let site = site();
    let mut running = site.streaming(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running.until("the row is there", || site.t().len() == 3);
    running.until("nothing is behind", || {
        let (value, outcome) = status(&site);
        outcome.done();
        kinds(&value).is_empty() && value["lag_bytes"] == 0
    });
    let (value, _) = status(&site);
    assert_eq!(value["source"]["slot"]["wal_status"], "reserved");
    assert!(value["source"]["slot"]["active_pid"].is_number());
    assert_eq!(value["destination"]["tables"][0]["state"], "streaming");
    assert_eq!(value["destination"]["position"]["state"], "streaming");
    let (alone, outcome) = ask(&site, None);
    outcome.done();
    assert_eq!(alone["destination"], Value::Null);

    // Again and again, until it is told to end.
    let mut command = site.command("status");
    command.args(["--json", "--watch", "--interval", "100ms"]);
    let out = tempfile::NamedTempFile::new().expect("a file");
    command.stdout(out.reopen().expect("the file"));
    let mut watching = command.spawn().expect("a process");
    until("it was shown three times", || {
        fs::read_to_string(out.path())
            .expect("text")
            .lines()
            .count()
            >= 3
    });
    let interrupt = ["-INT".to_owned(), watching.id().to_string()];
    assert!(
        Command::new("kill")
            .args(interrupt)
            .status()
            .expect("kill")
            .success()
    );
    assert_eq!(watching.wait().expect("an end").code(), Some(0));

    running.kill();
    let (text, remedy) = names(&site, Some(&site.destination()), "nobody_connected");
    assert!(text.contains("nobody has read the slot for "), "{text}");
    assert!(
        text.contains("the last to write the destination was process "),
        "{text}"
    );
    assert!(remedy.contains("replicator run"), "{remedy}");
    let (value, outcome) = status(&site);
    outcome.done();
    let members = members(&value);
    let promised: BTreeSet<String> = MEMBERS.split_whitespace().map(str::to_owned).collect();
    let missing: Vec<_> = promised.difference(&members).collect();
    assert!(missing.is_empty(), "gone from the JSON: {missing:?}");
    let new: Vec<_> = members.difference(&promised).collect();
    assert!(new.is_empty(), "not promised yet: {new:?}");

    // A file that nobody has open stays as it is, with nothing beside it.
    site.caught_up(&[]);
    let (before, position) = (files(&site), site.confirmed());
    let before_lsn = site.slot_column("restart_lsn");
    let (value, _) = status(&site);
    assert_eq!(value["destination"]["tables"][0]["table"], "t");
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    let after = files(&site);
    assert_eq!(names(&after), names(&before));
    assert!(after == before, "the file is another one");
    assert_eq!(
        (site.confirmed(), site.slot_column("restart_lsn")),
        (position, before_lsn)
    );

    // What people read.
    let people = Running::start(&mut site.command("status")).wait(PATIENCE);
    let stdout = people.done().stdout.clone();
    for words in [
        "in use by      nobody, for ",
        "public.t  streaming",
        "wal_status reserved",
        "  - nobody has read",
    ] {
        assert!(stdout.contains(words), "no {words:?} in\n{stdout}");
    }
}

#[test]
fn old_and_prepared_transactions_are_named() {
    let site = site();
    let running = site.streaming(&[]);
    let mut open = site.client();
    open.batch("BEGIN; INSERT INTO t VALUES (100, 'open')")
        .expect("a transaction");
    let pid = open.value("SELECT pg_backend_pid()").expect("a pid");
    let gid = format!("gid of {}", site.database);
    site.sql(&format!(
        "BEGIN; INSERT INTO t VALUES (101, 'p'); PREPARE TRANSACTION '{gid}'"
    ));
    let (text, remedy) = names(&site, None, "prepared_transaction");
    assert!(text.contains(&gid) && text.contains(", for "), "{text}");
    assert!(
        remedy.contains(&format!("COMMIT PREPARED '{gid}'")),
        "{remedy}"
    );
    let (text, remedy) = names(&site, Some(&site.destination()), "old_transaction");
    let of_ours = |value: &Value| {
        let causes = value["causes"].as_array().expect("causes");
        causes.iter().any(|it| {
            it["kind"] == "old_transaction"
                && it["text"]
                    .as_str()
                    .is_some_and(|text| text.contains(&format!("process {pid} ")))
        })
    };
    assert!(
        text.contains("idle in transaction") && text.contains(", for "),
        "{text}"
    );
    assert!(remedy.contains("pg_terminate_backend("), "{remedy}");
    assert!(of_ours(&status(&site).0), "process {pid} is not named");
    open.batch("ROLLBACK").expect("an end");
    site.sql(&format!("ROLLBACK PREPARED '{gid}'"));
    let (value, outcome) = status(&site);
    outcome.done();
    assert!(!of_ours(&value), "{value}");
    running.terminate().done();
}

#[test]
fn a_frozen_replicator_a_held_destination_and_a_stopped_table_are_told_apart() {
    let site = site();
    let mut command = program();
    let separator = if site.source().contains('?') {
        '&'
    } else {
        '?'
    };
    command.args([
        "run",
        "--slot",
        &site.slot,
        "--destination",
        &site.destination(),
    ]);
    // So that the server does not cut it off before the test has looked.
    command.args([
        "--source",
        &format!("{}{separator}wal_sender_timeout=120s", site.source()),
    ]);
    let mut running = Running::start(&mut command);
    running.until_it_says(" streaming ");
    let holder = site.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let (text, remedy) = names(&site, Some(&site.destination()), "destination_slow");
    assert!(text.contains("the replicator answers"), "{text}");
    assert!(remedy.contains("locked"), "{remedy}");
    let (value, _) = status(&site);
    assert!(!kinds(&value).contains(&"replicator_silent"), "{value}");
    assert!(value["lag_bytes"].as_u64() > Some(0));
    assert!(value["lag_seconds_at_most"].as_f64() > Some(0.0), "{value}");
    holder.execute_batch("ROLLBACK").expect("no lock");
    running.until("the row is there", || site.t().len() == 3);

    running.signal("STOP");
    site.sql("INSERT INTO t VALUES (4, 'four')");
    let (text, _) = names(&site, Some(&site.destination()), "replicator_silent");
    assert!(text.contains("has not answered for "), "{text}");
    running.signal("CONT");
    running.until("the row is there", || site.t().len() == 4);

    site.sql("ALTER PUBLICATION replicator DROP TABLE t");
    let (text, remedy) = names(&site, Some(&site.destination()), "table_stopped");
    assert!(text.contains("table public.t is stopped: "), "{text}");
    assert!(
        remedy.contains("replicator resync --table public.t"),
        "{remedy}"
    );
    assert_eq!(status(&site).1.code, Some(3));
    running.terminate().done();
}

#[cfg(feature = "postgres")]
#[test]
fn a_destination_that_does_not_answer_is_told() {
    let site = site();
    let destination = Server::start(Version::V14);
    let url = destination.url("postgres");
    let mut command = program();
    command.args(["run", "--slot", &site.slot, "--source", &site.source()]);
    let mut running = Running::start(command.args(["--destination", &url]));
    running.until_it_says(" streaming ");
    let (value, outcome) = ask(&site, Some(&url));
    outcome.done();
    assert_eq!(value["destination"]["tables"][0]["state"], "streaming");
    // Asked with 14 as a source too, which knows less of slots.
    let mut other = program();
    other.args(["status", "--json", "--source", &url, "--slot", "nosuch"]);
    let other = Running::start(&mut other).wait(PATIENCE);
    assert_eq!(other.code, Some(2), "{other:?}");
    assert!(
        other.stdout.contains("there is no replication slot"),
        "{other:?}"
    );

    let all = processes(&destination);
    let signal = |name: &str| {
        for pid in &all {
            // One of them may have ended by itself.
            let _ = Command::new("kill").args([name, &pid.to_string()]).status();
        }
    };
    signal("-STOP");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let (value, outcome) = ask(&site, Some(&url));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let (text, _) = cause(&value, "destination_unreachable").expect("a cause");
    assert!(
        text.contains("the destination has not answered for "),
        "{text}"
    );
    assert!(
        value["source"]["slot"]["active_pid"].is_number(),
        "the source was asked"
    );
    signal("-CONT");
    let count = || {
        let mut client = Client::connect(&destination, "postgres").expect("a connection");
        client.value("SELECT count(*) FROM t").expect("a count")
    };
    running.until("the row is there", || count() == "3");
    running.terminate().done();
}

/// The server and its processes.
fn processes(server: &Server) -> Vec<u32> {
    let own = server.process_id();
    let mut all = vec![own];
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        if parent == Some(&own.to_string()) {
            all.push(pid);
        }
    }
    all
}

#[test]
fn a_slot_that_is_lost_or_gone_needs_a_person() {
    let server = Server::builder(Version::NEWEST)
        .setting("max_slot_wal_keep_size", "1MB")
        .setting("max_wal_size", "32MB")
        .setting("min_wal_size", "32MB")
        .start();
    let site = Site::own(server);
    a_slot_in_danger_and_one_that_waits_for_a_standby(&site);
    site.forget(&[]).done();
    site.edit("DROP TABLE t");
    site.caught_up(&[]);
    until("the slot is lost", || {
        site.sql("CREATE TABLE IF NOT EXISTS filler (v text); TRUNCATE filler");
        site.sql("INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
        site.sql("SELECT pg_switch_wal()");
        site.sql("CHECKPOINT");
        site.slot_column("wal_status").as_deref() == Some("lost")
    });
    let (value, outcome) = status(&site);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let (text, remedy) = cause(&value, "slot_lost").expect("a cause");
    assert!(
        text.contains("(wal_removed)") && text.contains("max_slot_wal_keep_size"),
        "{text}"
    );
    assert!(remedy.contains("replicator drop"), "{remedy}");
    assert_eq!(
        value["source"]["slot"]["invalidation_reason"],
        "wal_removed"
    );
    assert_eq!(value["source"]["slot"]["wal_status"], "lost");

    site.sql(&format!("SELECT pg_drop_replication_slot('{}')", site.slot));
    let (value, outcome) = status(&site);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(
        cause(&value, "slot_missing")
            .expect("a cause")
            .0
            .contains("the destination is at ")
    );

    // And with a source that is gone, what the destination remembers is told all the same.
    let mut site = site;
    let url = site.source();
    site.server_mut().stop_immediate();
    let mut command = program();
    command.args(["status", "--json", "--slot", &site.slot, "--source", &url]);
    let outcome =
        Running::start(command.args(["--destination", &site.destination()])).wait(PATIENCE);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let value: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert!(cause(&value, "source_unreachable").is_some(), "{value}");
    assert_eq!(value["destination"]["tables"][0]["table"], "t");
}
