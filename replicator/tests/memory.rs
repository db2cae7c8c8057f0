//! Memory is bounded by configuration, not by the size of a transaction.
//!
//! Two million rows are several times the bound, so anything kept per row would show.

#[path = "faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::time::{Duration, Instant};

use common::{Running, Site};

/// Of resident memory, in kB.
const BOUND: u64 = 100_000;

const ROWS: u64 = 2_000_000;

/// Longer than the slowest machine needs for the rows.
const PATIENCE: Duration = Duration::from_secs(600);

/// Replicates one transaction of many rows, and expects memory to stay flat and the rows to arrive.
fn stays_flat(arguments: &[&str]) {
    let site = Site::new();
    let mut running = site.streaming(arguments);
    let before = running.memory("VmHWM");
    let start = Instant::now();
    // About 200 bytes each: in memory they would be several times the bound.
    site.sql(&format!(
        "INSERT INTO t SELECT g, repeat('x', 160) || g FROM generate_series(3, {}) g",
        ROWS + 2
    ));
    let made = start.elapsed();
    arrives(&site, &mut running, ROWS + 2);
    let most = running.memory("VmHWM");
    println!(
        "{ROWS} rows {arguments:?}: {most} kB at most, {before} kB before; {made:?} to make, {:?} in all",
        start.elapsed()
    );
    assert_eq!(
        site.rows("SELECT count(*), count(DISTINCT id) FROM t"),
        [format!("{0}|{0}", ROWS + 2)]
    );
    running.terminate().done();
    assert!(most < BOUND, "{most} kB resident for {ROWS} rows");
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
    copy_stays_flat(ROWS / 2, 160);
}

/// So few that they would all travel together, if only their number counted.
#[test]
fn a_first_copy_of_large_rows() {
    copy_stays_flat(1900, 150_000);
}

fn copy_stays_flat(rows: u64, width: u64) {
    let site = Site::new();
    site.sql(&format!(
        "INSERT INTO t SELECT g, repeat('x', {width}) || g FROM generate_series(3, {}) g",
        rows + 2
    ));
    let mut running = site.run(&[]);
    let deadline = Instant::now() + PATIENCE;
    while site.tables() != ["t"] {
        assert!(running.is_running(), "{}", running.stderr());
        assert!(Instant::now() < deadline, "the table is not made");
        std::thread::sleep(Duration::from_millis(50));
    }
    arrives(&site, &mut running, rows + 2);
    let most = running.memory("VmHWM");
    println!("a copy of {rows} rows of {width} bytes: {most} kB at most");
    running.terminate().done();
    assert!(most < BOUND, "{most} kB resident for a copy of {rows} rows");
}

/// Waits until the destination has that many rows.
fn arrives(site: &Site, running: &mut Running, rows: u64) {
    let deadline = Instant::now() + PATIENCE;
    while site.rows("SELECT count(*) FROM t") != [rows.to_string()] {
        assert!(running.is_running(), "{}", running.stderr());
        assert!(Instant::now() < deadline, "it does not arrive");
        std::thread::sleep(Duration::from_millis(500));
    }
}
