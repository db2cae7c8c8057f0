//! Memory is bounded by configuration, not by the size of a transaction.
//!
//! `REPLICATOR_TEST_ROWS` sets the number of rows. Without it a share of the two million that the promise speaks of
//! keeps the tests short; what is kept per row would show there as well, as the bound is the same.

#[path = "faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::time::{Duration, Instant};

use common::Site;

/// Of resident memory, in kB.
const BOUND: u64 = 100_000;

fn rows() -> u64 {
    let rows = std::env::var("REPLICATOR_TEST_ROWS").ok();
    rows.map_or(300_000, |rows| {
        rows.parse().expect("REPLICATOR_TEST_ROWS is a number")
    })
}

/// Replicates one transaction of many rows, and expects memory to stay flat and the rows to arrive.
fn stays_flat(arguments: &[&str]) {
    let rows = rows();
    let site = Site::new();
    let mut running = site.streaming(arguments);
    let before = running.memory("VmHWM");
    let start = Instant::now();
    // About 200 bytes each: in memory they would be several times the bound.
    site.sql(&format!(
        "INSERT INTO t SELECT g, repeat('x', 160) || g FROM generate_series(3, {}) g",
        rows + 2
    ));
    let made = start.elapsed();
    let all = [(rows + 2).to_string()];
    let deadline = Instant::now() + Duration::from_secs(600);
    while site.rows("SELECT count(*) FROM t") != all {
        assert!(running.is_running(), "{}", running.stderr());
        assert!(Instant::now() < deadline, "it does not arrive");
        std::thread::sleep(Duration::from_millis(500));
    }
    let most = running.memory("VmHWM");
    println!(
        "{rows} rows {arguments:?}: {most} kB at most, {before} kB before; {made:?} to make, {:?} in all",
        start.elapsed()
    );
    assert_eq!(
        site.rows("SELECT count(*), count(DISTINCT id) FROM t"),
        [format!("{0}|{0}", rows + 2)]
    );
    running.terminate().done();
    assert!(most < BOUND, "{most} kB resident for {rows} rows");
}

#[test]
fn a_large_transaction_sent_whole() {
    stays_flat(&["--protocol", "1"]);
}

#[test]
fn a_large_transaction_sent_before_it_commits() {
    stays_flat(&["--streaming", "parallel"]);
}

#[test]
fn a_large_first_copy() {
    let rows = rows();
    let site = Site::new();
    site.sql(&format!(
        "INSERT INTO t SELECT g, repeat('x', 160) || g FROM generate_series(3, {}) g",
        rows + 2
    ));
    let mut running = site.run(&[]);
    let mut most = 0;
    running.until("the copy is complete", || {
        site.path().exists() && site.slot_column("active").as_deref() == Some("true")
    });
    let all = (rows + 2).to_string();
    while site.rows("SELECT count(*) FROM t") != [all.as_str()] {
        assert!(running.is_running(), "{}", running.stderr());
        std::thread::sleep(Duration::from_millis(200));
        most = most.max(running.memory("VmHWM"));
    }
    most = most.max(running.memory("VmHWM"));
    running.terminate().done();
    assert!(most < BOUND, "{most} kB resident for a copy of {rows} rows");
}
