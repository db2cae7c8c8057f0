//! Slots that are gone, lost, held, older than they should be, or not of our kind.

use std::time::{Duration, Instant};

use testdata::{Client, Server, Version};

use crate::assert_nothing_left;
use crate::common::{self, PATIENCE, Running, Site};

#[test]
fn a_dropped_slot_is_a_gap() {
    let site = Site::new();
    site.caught_up(&[]);
    site.sql(&format!("SELECT pg_drop_replication_slot('{}')", site.slot));
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let outcome = site.catch_up(&[]);
    outcome
        .failed(3, &[&site.slot, "does not exist"])
        .hinted(&["drop", "run"]);
    assert_eq!(
        site.slot_column("slot_name"),
        None,
        "a slot was made without a copy"
    );
    site.start_anew(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

/// The server says this in other words, with other codes and at other moments in each version.
#[test]
fn an_invalidated_slot_is_lost() {
    for version in [
        Version::V14,
        Version::V15,
        Version::V16,
        Version::V17,
        Version::V18,
    ] {
        let server = Server::builder(version)
            .setting("max_slot_wal_keep_size", "1MB")
            .setting("min_wal_size", "32MB")
            .setting("max_wal_size", "32MB");
        let site = Site::own(server.start());
        site.caught_up(&[]);
        for _ in 0..4 {
            site.sql("INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t");
            site.sql("SELECT pg_switch_wal()");
        }
        site.sql("CHECKPOINT");
        assert_eq!(
            site.slot_column("wal_status").as_deref(),
            Some("lost"),
            "on {version}"
        );

        let outcome = site.catch_up(&[]);
        outcome.failed(3, &[&site.slot, "lost"]).hinted(&[]);
        assert_eq!(site.t(), ["1|one", "2|two"]);
        site.start_anew(&[]);
        assert_eq!(site.t().len(), 6, "on {version}");
    }
}

#[test]
fn a_slot_in_use_is_waited_for_and_then_told_with_its_holder() {
    let site = Site::new();
    site.caught_up(&[]);
    let mut holder = hold(&site);
    let began = Instant::now();
    let outcome = site.catch_up(&["--takeover", "2"]);
    outcome
        .failed(1, &[&site.slot, "in use", &holder.process_id().to_string()])
        .hinted(&["stop"]);
    assert!(began.elapsed() >= Duration::from_secs(2), "it did not wait");

    // A holder that leaves in time is no error at all.
    let mut waiting = site.run(&["--takeover", "60", "--until", "current"]);
    waiting.until("it waits", || true);
    std::thread::sleep(Duration::from_secs(2));
    assert!(waiting.is_running(), "it did not wait");
    holder.end_replication().expect("the end of the stream");
    drop(holder);
    waiting.wait(PATIENCE).done();
}

#[test]
fn a_slot_that_somebody_reads_is_not_dropped() {
    let site = Site::new();
    site.caught_up(&[]);
    let holder = hold(&site);
    let stored = site.stored();
    site.forget(&[])
        .failed(1, &[&site.slot, "in use", &holder.process_id().to_string()])
        .hinted(&["stop"]);
    assert_eq!(site.stored(), stored, "the position is gone");
    drop(holder);
    common::until("the slot is free", || {
        site.slot_column("active").as_deref() == Some("false")
    });
    site.forget(&[]).done();
    assert_eq!(site.slot_column("slot_name"), None);
}

#[test]
fn a_slot_that_is_not_ours_is_neither_used_nor_dropped() {
    let site = Site::new();
    site.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
        site.slot
    ));
    let made = site.slot_column("confirmed_flush_lsn");
    site.catch_up(&[])
        .failed(3, &[&site.slot, "no position"])
        .hinted(&["--copy no", "--slot"]);
    assert_eq!(site.slot_column("confirmed_flush_lsn"), made);
    assert_eq!(site.publications(), [""; 0], "a publication is left");
    assert_eq!(site.tables(), [""; 0]);

    // The remedies: another slot,
    let mut command = common::program();
    command.args([
        "run",
        "--until",
        "current",
        "--slot",
        &format!("{}_other", site.slot),
    ]);
    command.args([
        "--source",
        &site.source(),
        "--destination",
        &site.destination(),
    ]);
    Running::start(&mut command).wait(PATIENCE).done();
    assert_eq!(site.t(), ["1|one", "2|two"]);
    // or removing this one.
    site.forget(&[]).done();
    assert_eq!(site.slot_column("slot_name"), None);
}

#[test]
fn copy_no_takes_over_a_slot_and_its_tables() {
    let site = Site::new();
    site.sql("CREATE PUBLICATION replicator FOR TABLE t");
    site.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
        site.slot
    ));
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.edit("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two')");
    site.caught_up(&["--copy", "no"]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn an_orphan_of_ours_is_cleaned_and_an_older_slot_is_not() {
    let site = Site::new();
    site.caught_up(&[]);
    // As if the first start had been killed in the middle of its copy.
    site.edit("UPDATE _replicator_position SET state = 'intent', lsn = '0/1'");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);

    // An intent younger than the slot: whoever made the slot, it was not that start.
    let position = site.ask("SELECT pg_current_wal_insert_lsn()");
    let slot = site.slot_column("restart_lsn");
    site.edit(&format!(
        "UPDATE _replicator_position SET state = 'intent', lsn = '{position}'"
    ));
    site.catch_up(&[])
        .failed(3, &[&site.slot, "older"])
        .hinted(&["--slot"]);
    assert_eq!(
        site.slot_column("restart_lsn"),
        slot,
        "the slot was touched"
    );
    assert_eq!(
        site.t(),
        ["1|one", "2|two", "3|three"],
        "the tables were touched"
    );
}

#[test]
fn a_slot_with_two_phase_is_refused() {
    let site = Site::new();
    site.sql("CREATE PUBLICATION replicator FOR TABLE t");
    site.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput', false, true)",
        site.slot
    ));
    site.catch_up(&["--copy", "no"])
        .failed(3, &[&site.slot, "two_phase"])
        .hinted(&["without two_phase"]);
    assert_eq!(site.tables(), [""; 0]);

    // Switched on later, by somebody who read the slot with another program: from 18 on there is a command for it.
    let site = Site::new();
    site.caught_up(&[]);
    let mut admin = Client::replication(&site.server, &site.database).expect("a connection");
    admin
        .batch(&format!(
            "ALTER_REPLICATION_SLOT {} (TWO_PHASE true)",
            site.slot
        ))
        .expect("the change");
    site.catch_up(&[]).failed(3, &[&site.slot, "two_phase"]);
}

#[test]
fn a_slot_of_another_kind_or_database_is_refused() {
    let site = Site::new();
    site.sql("CREATE PUBLICATION replicator FOR TABLE t");
    site.sql(&format!(
        "SELECT pg_create_physical_replication_slot('{}')",
        site.slot
    ));
    site.catch_up(&["--copy", "no"])
        .failed(3, &[&site.slot, "logical"])
        .hinted(&["--slot"]);

    let (site, other) = (Site::new(), Site::new());
    site.sql("CREATE PUBLICATION replicator FOR TABLE t");
    other.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
        site.slot
    ));
    site.catch_up(&["--copy", "no"])
        .failed(3, &[&site.slot, &other.database])
        .hinted(&["--slot", "--source"]);
}

#[test]
fn no_slot_to_spare_leaves_nothing_behind() {
    let site = Site::own(
        Server::builder(Version::NEWEST)
            .setting("max_replication_slots", 1)
            .start(),
    );
    site.sql("SELECT pg_create_physical_replication_slot('taken')");
    site.catch_up(&[])
        .failed(3, &["slot to spare"])
        .hinted(&["max_replication_slots"]);
    assert_nothing_left(&site);
    site.sql("SELECT pg_drop_replication_slot('taken')");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

/// Reads the slot as another program would.
fn hold(site: &Site) -> Client {
    let mut holder = Client::replication(&site.server, &site.database).expect("a connection");
    let command = format!(
        "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '1', publication_names 'replicator')",
        site.slot
    );
    holder.start_replication(&command).expect("a stream");
    holder
}

#[test]
fn a_slot_that_must_wait_says_for_whom_and_can_be_given_up() {
    let site = Site::own(Server::start(Version::NEWEST));
    site.sql("CREATE TABLE other (id int PRIMARY KEY)");
    let mut open = site.client();
    open.batch("BEGIN; INSERT INTO other VALUES (1)")
        .expect("a transaction");
    let holder = format!("process {} ", open.process_id());
    let mut running = site.run(&[]);
    running.until("it waits", || site.slot_column("active").is_some());
    std::thread::sleep(Duration::from_secs(8));
    let said = running.stderr();
    assert_eq!(said.matches(&holder).count(), 1, "not said once: {said}");
    // Nobody else waits for us meanwhile.
    site.sql("ALTER TABLE t ADD COLUMN more int; ALTER TABLE t DROP COLUMN more");
    running.terminate().done();
    common::until("the slot is gone", || {
        site.slot_column("slot_name").is_none()
    });
    assert_eq!(site.tables(), [""; 0], "a table is left");
    // And from the beginning.
    let mut running = site.run(&["--until", "current"]);
    running.until("it waits", || site.slot_column("active").is_some());
    open.batch("COMMIT").expect("the commit");
    running.wait(PATIENCE).done();
    assert_eq!(site.rows("SELECT id FROM other"), ["1"]);
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

#[test]
fn a_takeover_that_was_refused_or_cut_short_can_be_done_again() {
    let site = Site::new();
    site.sql("CREATE PUBLICATION replicator FOR TABLE t");
    site.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
        site.slot
    ));
    let begin = site.slot_column("confirmed_flush_lsn");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    // REAL would change what the texts look like.
    site.edit("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v REAL)");
    for _ in 0..2 {
        site.catch_up(&["--copy", "no"])
            .failed(3, &["\"t\"", "v"])
            .hinted(&["drop"]);
        assert_eq!(
            site.slot_column("confirmed_flush_lsn"),
            begin,
            "the slot was touched"
        );
    }
    site.edit("DROP TABLE t; CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v TEXT)");
    site.edit("INSERT INTO t VALUES (1, 'one'), (2, 'two')");
    site.caught_up(&["--copy", "no"]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);

    // As if it had been killed in the middle, when the intent stood.
    let position = site.ask("SELECT pg_current_wal_insert_lsn()");
    site.edit(&format!(
        "UPDATE _replicator_position SET state = 'intent', lsn = '{position}'"
    ));
    site.catch_up(&[])
        .failed(3, &["older"])
        .hinted(&["--copy no"]);
    site.sql("INSERT INTO t VALUES (4, 'four')");
    site.caught_up(&["--copy", "no"]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three", "4|four"]);
}

/// Whoever has lost the file drops what is at the source without it.
#[test]
fn a_file_that_is_not_there_is_not_made_by_drop() {
    let site = Site::new();
    site.caught_up(&[]);
    std::fs::remove_file(site.path()).expect("a file");
    site.forget(&[])
        .failed(2, &["there is no file"])
        .hinted(&["nothing was removed", "without --destination"]);
    assert!(!site.path().exists(), "drop has made a file");
    assert!(
        site.slot_column("active").is_some(),
        "drop has dropped a slot"
    );
}
