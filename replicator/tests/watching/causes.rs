//! Causes that need a run in a state of its own, and `status` over sources and destinations of other kinds.

use serde_json::Value;
use testdata::{Server, Version};

use crate::common::{PATIENCE, Running, Site, program, until};
use crate::site;
use crate::status::{MEMBERS, ask, cause, kinds, members, names, status};

#[test]
fn a_copy_that_runs_is_named_with_its_table() {
    let site = site();
    site.sql("CREATE TABLE slow (id int PRIMARY KEY, v text)");
    site.sql("INSERT INTO slow SELECT i, 'xxxxxxxxxx' FROM generate_series(1, 20000) i");
    let mut running = site.run(&["--copy-rate", "20kB"]);
    running.until("there is a destination", || site.path().exists());
    let (text, _) = names(&site, Some(&site.destination()), "copying");
    assert!(
        text.starts_with("table public.slow") && text.contains(" being copied; the slot stays "),
        "{text}"
    );
    running.kill();
}

#[test]
fn a_destination_that_knows_nothing_of_the_slot_is_told() {
    let site = site();
    site.caught_up(&[]);
    let other = site.folder.path().join("other.db");
    let sqlite = rusqlite::Connection::open(&other).expect("a file");
    sqlite
        .execute_batch("CREATE TABLE theirs (a int)")
        .expect("a table");
    drop(sqlite);
    let url = format!("sqlite:{}", other.display());
    let (value, outcome) = ask(&site, Some(&url));
    outcome.done();
    let (text, remedy) = cause(&value, "position_missing").expect("a cause");
    assert!(text.contains(&format!("{:?}", site.slot)), "{text}");
    assert!(
        remedy.contains("check --destination and --slot"),
        "{remedy}"
    );
    assert_eq!(value["destination"]["position"], Value::Null);
    // The slot's own position tells how far it is.
    assert!(value["lag_bytes"].is_number(), "{value}");
}

/// As of a `site` on a server that keeps next to no WAL for slots.
pub(crate) fn a_slot_in_danger_and_one_that_waits_for_a_standby(site: &Site) {
    site.sql("SELECT pg_create_physical_replication_slot('lagging', true)");
    site.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput', failover => true)",
        site.slot
    ));
    site.sql("CREATE PUBLICATION own FOR TABLE t");
    let mut running = site.streaming(&["--copy", "no", "--publication", "own"]);
    let (text, remedy) = names(site, None, "slot_in_danger");
    assert!(
        text.contains("in danger of being lost after another"),
        "{text}"
    );
    assert!(remedy.contains("max_slot_wal_keep_size"), "{remedy}");
    assert!(!kinds(&status(site).0).contains(&"standby_slow"));

    site.server.set("synchronized_standby_slots", "lagging");
    site.server.reload();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let (text, remedy) = names(site, Some(&site.destination()), "standby_slow");
    assert!(text.contains("synchronized_standby_slots"), "{text}");
    assert!(remedy.contains("those standbys"), "{remedy}");

    site.server.set("synchronized_standby_slots", "");
    site.server.reload();
    running.until("the row is there", || site.t() == ["3|three"]);
    until("nothing waits for the standby", || {
        !kinds(&status(site).0).contains(&"standby_slow")
    });
    running.terminate().done();
    site.sql("SELECT pg_drop_replication_slot('lagging')");
}

#[test]
fn every_version_of_the_source_tells_what_it_knows() {
    let promised: std::collections::BTreeSet<String> =
        MEMBERS.split_whitespace().map(str::to_owned).collect();
    for version in [Version::V14, Version::V15, Version::V16, Version::V17] {
        let site = Site::own(Server::start(version));
        let mut running = site.streaming(&[]);
        site.sql("INSERT INTO t VALUES (3, 'three')");
        running.until("the row is there", || site.t().len() == 3);
        let (value, outcome) = status(&site);
        outcome.done();
        let slot = &value["source"]["slot"];
        assert!(slot["active_pid"].is_number(), "{version:?}: {value}");
        assert_eq!(slot["wal_status"], "reserved", "{version:?}");
        assert_eq!(slot["inactive_seconds"], Value::Null, "{version:?}");
        assert!(value["lag_seconds_at_most"].is_number(), "{version:?}");
        running.kill();
        let (text, _) = names(&site, Some(&site.destination()), "nobody_connected");
        let (value, _) = status(&site);
        // Since 17 it is written down since when.
        let knows = version >= Version::V17;
        let slot = &value["source"]["slot"];
        assert_eq!(slot["inactive_seconds"].is_number(), knows, "{version:?}");
        assert_eq!(
            text.contains("nobody has read the slot for "),
            knows,
            "{version:?}: {text}"
        );
        let has = |name: &String| members(&value).contains(name);
        let missing: Vec<_> = promised.iter().filter(|name| !has(name)).collect();
        assert!(missing.is_empty(), "{version:?}: {missing:?}");

        // Lost for a reason that 16 has no word for and later ones name.
        site.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
        site.sql("SELECT pg_reload_conf()");
        until("the slot is lost", || {
            site.sql("CREATE TABLE IF NOT EXISTS filler (v text); TRUNCATE filler");
            site.sql("INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
            site.sql("SELECT pg_switch_wal()");
            site.sql("CHECKPOINT");
            site.slot_column("wal_status").as_deref() == Some("lost")
        });
        let (value, outcome) = status(&site);
        assert_eq!(outcome.code, Some(3), "{version:?}: {outcome:?}");
        let (text, _) = cause(&value, "slot_lost").expect("a cause");
        assert!(text.contains("(wal_removed)"), "{version:?}: {text}");
    }
}

#[test]
fn lag_is_told_in_seconds_without_a_runs_metrics() {
    let site = site();
    let clock = || -> f64 {
        site.ask("SELECT extract(epoch FROM clock_timestamp())")
            .parse()
            .expect("a number")
    };
    let lag = || {
        let (value, _) = status(&site);
        value["lag_seconds_at_most"].as_f64().unwrap_or_else(|| {
            panic!("{value}");
        })
    };
    // Before the first transaction there is what the clock said before the slot was made.
    let before = clock();
    site.run(&["--copy", "only"]).wait(PATIENCE).done();
    site.sql("SELECT pg_logical_emit_message(false, 'others', 'write')");
    let after = clock();
    assert!(lag() <= clock() - before);

    // What waits is no older than the last that does not.
    let mut running = site.streaming(&[]);
    let first = clock();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let second = clock();
    running.until("the row is there", || site.t().len() == 3);
    running.kill();
    assert!(first >= after);
    site.sql("INSERT INTO t VALUES (4, 'four')");
    let (earliest, lag_now, latest) = (clock(), lag(), clock());
    assert!(
        lag_now >= earliest - second && lag_now <= latest - first,
        "{lag_now} at {earliest} to {latest}, committed at {first} to {second}"
    );
    let (value, _) = status(&site);
    let time = value["destination"]["position"]["source_time"]
        .as_str()
        .expect("a time");
    let micros = format!("SELECT extract(epoch FROM '{time}'::timestamptz)");
    let committed: f64 = site.ask(&micros).parse().expect("a number");
    assert!(committed >= first && committed <= second, "{time}");

    // Whoever follows a source on which only others write is behind by what was looked, and not since the last change.
    site.caught_up(&[]);
    site.edit("UPDATE _replicator_position SET source_time = '2026-01-01 00:00:00+00'");
    let running = site.streaming(&[]);
    site.sql("CREATE TABLE others (id int); INSERT INTO others SELECT generate_series(1, 1000)");
    until("the looks tell how little it is behind", || lag() < 600.0);
    running.terminate().done();
}

#[cfg(feature = "mysql")]
#[test]
fn a_mariadb_is_asked_like_any_other_destination() {
    use testdata::MariaDb;

    let site = site();
    let destination = MariaDb::start();
    let mut admin = destination.connect("").expect("a connection");
    admin.batch("CREATE DATABASE shop").expect("a database");
    let url = destination.url("shop");
    let mut command = program();
    command.args(["run", "--slot", &site.slot, "--source", &site.source()]);
    let mut running = Running::start(command.args(["--destination", &url]));
    running.until_it_says(" streaming ");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    until("nothing is behind", || {
        let (value, outcome) = ask(&site, Some(&url));
        outcome.done();
        kinds(&value).is_empty()
            && value["lag_bytes"] == 0
            && value["lag_seconds_at_most"] == 0.0
            && value["destination"]["position"]["source_time"].is_string()
    });
    let (value, _) = ask(&site, Some(&url));
    assert_eq!(value["destination"]["tables"][0]["state"], "streaming");

    // It waits for whoever holds the table, and is asked all the same.
    let mut holder = destination.connect("shop").expect("a connection");
    holder
        .batch("BEGIN; SELECT * FROM t FOR UPDATE")
        .expect("locks");
    site.sql("UPDATE t SET v = 'drei' WHERE id = 3");
    let (text, _) = names(&site, Some(&url), "destination_slow");
    assert!(text.contains("the replicator answers"), "{text}");
    holder.batch("ROLLBACK").expect("no locks");
    running.until("the change is there", || {
        let value = holder.value("SELECT v FROM t WHERE id = 3");
        value.expect("a value") == "drei"
    });

    // As an older version left it: read, and left as it is.
    running.kill();
    let older = "ALTER TABLE _replicator_position DROP COLUMN source_time; UPDATE _replicator_position SET version = 2";
    holder.batch(older).expect("an older layout");
    let (value, _) = ask(&site, Some(&url));
    let position = &value["destination"]["position"];
    assert_eq!(position["source_time"], Value::Null);
    assert!(position["lsn"].is_string(), "{value}");
    let version = holder.value("SELECT version FROM _replicator_position");
    assert_eq!(version.expect("a version"), "2");
}
