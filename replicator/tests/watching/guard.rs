//! A lag that is too much, where its user has the slot dropped for it.

use crate::common::PATIENCE;
#[cfg(feature = "failpoints")]
use crate::common::{Running, until};
use crate::site;

/// The file's lock is waited for a second instead of half a minute.
const ACTS: [&str; 6] = [
    "--max-lag",
    "100kB",
    "--takeover",
    "1",
    "--on-max-lag",
    "drop-slot",
];

const MUCH: &str =
    "INSERT INTO t SELECT i, repeat(md5(i::text), 10) FROM generate_series(11, 3000) i";

#[test]
fn a_slot_is_given_up_only_where_that_was_chosen() {
    let site = site();
    for wrong in [
        &["--on-max-lag", "drop-slot"][..],
        &["--max-lag", "5min", "--on-max-lag", "drop-slot"],
    ] {
        let refused = site.catch_up(wrong);
        refused.failed(2, &["in bytes"]);
    }
    assert!(!site.path().exists(), "something was made");

    // By default nothing is, however far behind.
    let mut running = site.streaming(&ACTS[..4]);
    let holder = site.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    site.sql(MUCH);
    running.until_it_says("above --max-lag of 100 kB");
    assert_eq!(site.slot_column("active").as_deref(), Some("true"));
    holder.execute_batch("ROLLBACK").expect("no lock");
    running.until_it_says("within --max-lag again");
    running.terminate().done();

    // Chosen, and within the bound.
    let mut running = site.streaming(&ACTS);
    site.sql("INSERT INTO t VALUES (10, 'ten')");
    running.until("it arrives", || {
        site.rows("SELECT count(*) FROM t WHERE id = 10") == ["1"]
    });
    assert_eq!(site.slot_column("active").as_deref(), Some("true"));
    holder.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    site.sql("UPDATE t SET v = v || 'x' WHERE id > 10");
    running.until("the slot is dropped", || {
        site.slot_column("active").is_none()
    });
    holder.execute_batch("ROLLBACK").expect("no lock");
    let ended = running.wait(PATIENCE);
    ended
        .failed(3, &["dropped by --on-max-lag drop-slot"])
        .hinted(&["replicator drop"]);

    // The next one says what happened, and what begins again does.
    let refused = site.catch_up(&[]);
    refused
        .failed(
            3,
            &[
                "dropped by --on-max-lag drop-slot",
                "above --max-lag of 100 kB",
            ],
        )
        .hinted(&["replicator drop"]);
    site.start_anew(&[]);
    assert_eq!(
        site.rows("SELECT count(*) FROM t WHERE v LIKE '%x'"),
        ["2990"]
    );
}

/// Between the slot and what is written down of it.
#[cfg(feature = "failpoints")]
#[test]
fn a_crash_as_soon_as_the_slot_is_dropped_leaves_a_position_that_every_start_refuses() {
    let site = site();
    let mut command = site.command("run");
    command
        .args(ACTS)
        .env("REPLICATOR_FAILPOINT", "slot-given-up:1");
    let mut running = Running::start(&mut command);
    running.until_it_says(" streaming ");
    let holder = site.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    site.sql(MUCH);
    until("the slot is dropped", || {
        site.slot_column("active").is_none()
    });
    let died = running.wait(PATIENCE);
    assert_eq!(died.code, None, "{}", died.stderr);
    holder.execute_batch("ROLLBACK").expect("no lock");
    assert_eq!(site.t().len(), 2, "what was rolled back is there");

    for _ in 0..2 {
        let refused = site.catch_up(&[]);
        refused
            .failed(3, &["does not exist any more", "cannot be read"])
            .hinted(&["replicator drop"]);
        assert_eq!(site.slot_column("active"), None, "a slot was made");
    }
    site.start_anew(&[]);
    assert_eq!(site.t().len(), 2992);
}
