//! Destinations that cannot be opened, or that another process is writing.

use std::fs;

use crate::assert_nothing_left;
use crate::common::{self, PATIENCE, Running, Site};

fn run(site: &Site, destination: &str) -> common::Outcome {
    let mut command = common::program();
    command.args([
        "run",
        "--until",
        "current",
        "--slot",
        &site.slot,
        "--takeover",
        "2",
    ]);
    command.args(["--source", &site.source(), "--destination", destination]);
    Running::start(&mut command).wait(PATIENCE)
}

#[test]
fn a_second_run_on_the_same_destination_names_the_first() {
    let site = Site::new();
    let running = site.streaming(&[]);
    let process = running.id().to_string();
    site.catch_up(&["--takeover", "2"]).failed(1, &[&process]);
    // Neither with a slot of its own,
    let mut command = common::program();
    command.args([
        "run",
        "--until",
        "current",
        "--takeover",
        "2",
        "--slot",
        &format!("{}_other", site.slot),
    ]);
    command.args([
        "--source",
        &site.source(),
        "--destination",
        &site.destination(),
    ]);
    Running::start(&mut command)
        .wait(PATIENCE)
        .failed(1, &[&process]);
    let slots = site.ask(&format!(
        "SELECT count(*) FROM pg_replication_slots WHERE slot_name ~ '^{}_'",
        site.slot
    ));
    assert_eq!(slots, "0", "a slot is left");
    // nor is anything dropped under it.
    site.forget(&[]).failed(1, &[&process]);

    site.sql("INSERT INTO t VALUES (3, 'three')");
    common::until("the first goes on", || site.t().len() == 3);
    running.terminate().done();
    site.caught_up(&[]);
}

#[test]
fn a_file_that_is_no_database() {
    let site = Site::new();
    let path = site.folder.path().join("letter");
    fs::write(&path, "Dear Sir or Madam, ".repeat(500)).expect("a file");
    run(&site, &format!("sqlite:{}", path.display())).failed(2, &["letter"]);
    assert_eq!(
        fs::read_to_string(&path).expect("a file"),
        "Dear Sir or Madam, ".repeat(500)
    );
    assert_nothing_left(&site);
}

#[test]
fn a_folder_that_does_not_exist() {
    let site = Site::new();
    let path = site.folder.path().join("absent/destination.db");
    run(&site, &format!("sqlite:{}", path.display())).failed(2, &["absent"]);
    assert_nothing_left(&site);
}

#[test]
fn a_folder_in_the_place_of_the_file() {
    let site = Site::new();
    run(&site, &format!("sqlite:{}", site.folder.path().display())).failed(2, &["directory"]);
    assert_nothing_left(&site);
}

#[test]
fn a_file_that_cannot_be_written() {
    // Even root cannot write there.
    let site = Site::new();
    run(&site, "sqlite:/proc/replicator.db").failed(2, &["/proc/replicator.db"]);
    assert_nothing_left(&site);
}

#[test]
fn destinations_that_are_not_there_yet_are_said_to_be_unknown() {
    let site = Site::new();
    for destination in [
        "kafka://127.0.0.1:9092/shop",
        "sqlite:",
        "",
        "destination.db",
        "sqlite::memory:",
    ] {
        run(&site, destination).failed(2, &[]).hinted(&["sqlite:"]);
    }
    assert_nothing_left(&site);
}

#[test]
fn a_spool_that_cannot_be_written_is_told_before_it_is_needed() {
    let site = Site::new();
    let absent = site.folder.path().join("absent");
    let absent = absent.to_str().expect("a name");
    site.catch_up(&["--spool", absent])
        .failed(2, &[absent])
        .hinted(&["--spool"]);
    assert_nothing_left(&site);
}

#[test]
fn a_drop_makes_no_file_where_there_is_none() {
    let site = Site::new();
    site.forget(&[]).failed(2, &["destination.db"]);
    assert!(!site.path().exists(), "drop made a file");
}
