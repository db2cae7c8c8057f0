//! A position and a slot that do not fit each other: a gap is refused, and so is a future.

use testdata::{Server, Version};

use crate::common::{self, Site};

#[test]
fn a_slot_ahead_of_the_destination_is_a_gap() {
    let site = Site::new();
    site.caught_up(&[]);
    site.sql("INSERT INTO t VALUES (3, 'lost')");
    site.sql(&format!(
        "SELECT pg_replication_slot_advance('{}', pg_current_wal_lsn())",
        site.slot
    ));
    site.sql("INSERT INTO t VALUES (4, 'not applied over a gap')");

    for _ in 0..2 {
        let outcome = site.catch_up(&[]);
        outcome
            .failed(3, &[&site.slot, "lost"])
            .hinted(&["drop", "run"]);
        assert_eq!(
            site.t(),
            ["1|one", "2|two"],
            "changes were applied over a gap"
        );
    }
    site.start_anew(&[]);
    assert_eq!(
        site.t(),
        ["1|one", "2|two", "3|lost", "4|not applied over a gap"]
    );
}

#[test]
fn a_slot_behind_the_destination_is_normal() {
    let site = Site::new();
    site.caught_up(&[]);
    let running = site.streaming(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    common::until("the row arrives", || site.t().len() == 3);
    running.kill();
    // As after a crash between commit and confirmation, or of a server that had not written down the confirmation.
    let row = site.stored();
    site.caught_up(&[]);
    assert!(site.stored() >= row);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn a_destination_ahead_of_the_source_is_a_future() {
    let site = Site::new();
    site.caught_up(&[]);
    site.edit("UPDATE _replicator_position SET lsn = 'FF/0'");
    let confirmed = site.confirmed();
    let outcome = site.catch_up(&[]);
    outcome
        .failed(3, &["FF/0", "ahead"])
        .hinted(&["drop", "run"]);
    assert_eq!(
        site.confirmed(),
        confirmed,
        "the source was told a position that it never reached"
    );
    site.start_anew(&[]);
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

#[test]
fn another_cluster_is_told_by_its_system_identifier() {
    let site = Site::new();
    site.caught_up(&[]);
    let other = Site::own(Server::start(Version::NEWEST));
    let run = |slot: &str| {
        let mut command = common::program();
        command.args(["run", "--until", "current", "--slot", slot]);
        command.args([
            "--source",
            &other.source(),
            "--destination",
            &site.destination(),
        ]);
        common::Running::start(&mut command).wait(common::PATIENCE)
    };
    let system = other.ask("SELECT system_identifier FROM pg_control_system()");
    // Neither where the other cluster has no such slot, nor where it has one.
    run(&site.slot).failed(3, &["system", &system]);
    assert_eq!(other.slot_column("slot_name"), None);
    assert_eq!(other.publications(), [""; 0], "a publication is left");
    other.sql("CREATE PUBLICATION replicator FOR TABLE t");
    other.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
        site.slot
    ));
    run(&site.slot).failed(3, &["system", &system]);
    assert_eq!(site.t(), ["1|one", "2|two"]);
    site.caught_up(&[]);

    // What helps if the other one is meant.
    let ended = |command: &str, arguments: &[&str]| {
        let mut program = common::program();
        program.args([command, "--slot", &site.slot, "--source", &other.source()]);
        program
            .args(["--destination", &site.destination()])
            .args(arguments);
        common::Running::start(&mut program)
            .wait(common::PATIENCE)
            .done();
    };
    other.sql("INSERT INTO t VALUES (9, 'other')");
    ended("drop", &[]);
    site.edit("DROP TABLE t");
    ended("run", &["--until", "current"]);
    assert_eq!(site.t(), ["1|one", "2|two", "9|other"]);
}

#[test]
fn another_database_of_the_same_cluster_is_another_source() {
    let site = Site::new();
    site.caught_up(&[]);
    let other = Site::new();
    let mut command = common::program();
    command.args(["run", "--until", "current", "--slot", &site.slot]);
    command.args([
        "--source",
        &other.source(),
        "--destination",
        &site.destination(),
    ]);
    let outcome = common::Running::start(&mut command).wait(common::PATIENCE);
    outcome.failed(3, &[&site.database, &other.database]);
    assert_eq!(other.publications(), [""; 0], "a publication is left");
    site.caught_up(&[]);
}

#[test]
fn a_destination_that_was_restored_is_a_gap() {
    let site = Site::new();
    site.caught_up(&[]);
    let backup = site.folder.path().join("backup");
    std::fs::copy(site.path(), &backup).expect("a backup");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.caught_up(&[]);
    std::fs::copy(&backup, site.path()).expect("the backup is back");
    site.catch_up(&[])
        .failed(3, &[&site.slot, "lost"])
        .hinted(&["restored", "drop", "run"]);
    assert_eq!(site.t(), ["1|one", "2|two"]);
    site.start_anew(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn a_new_timeline_is_followed_from_before_its_beginning_only() {
    let mut site = Site::own(Server::start(Version::NEWEST));
    site.caught_up(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    // Recovery up to the end of the log and a promotion, as after a failover.
    let server = site.server_mut();
    server.stop();
    let signal = server.data().join("standby.signal");
    std::fs::write(&signal, "").expect("a signal file");
    server.start_again();
    site.ask("SELECT pg_promote()");
    common::until("it is promoted", || {
        site.ask("SELECT pg_is_in_recovery()") == "f"
    });
    assert_eq!(
        site.ask("SELECT timeline_id FROM pg_control_checkpoint()"),
        "2"
    );
    site.sql("INSERT INTO t VALUES (4, 'four')");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three", "4|four"]);
    let timeline = site.rows("SELECT timeline FROM _replicator_position");
    assert_eq!(timeline, ["2"], "the row does not follow the server");

    // Had the destination been fed from timeline 1 for longer than timeline 2 remembers, it would hold what never
    // happened.
    let position = site.stored();
    site.edit("UPDATE _replicator_position SET timeline = 1");
    site.catch_up(&[])
        .failed(3, &["timeline 1", "never reached"])
        .hinted(&["drop", "run"]);
    assert_eq!(site.stored(), position);
    site.edit("UPDATE _replicator_position SET timeline = 3");
    site.catch_up(&[])
        .failed(3, &["timeline 3", "never reached"]);
    site.start_anew(&[]);
    assert_eq!(site.t().len(), 4);
}
