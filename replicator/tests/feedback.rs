//! What the source is told, and when: never more than is true, in time although the destination stands still, and
//! also when there is nothing to replicate.

#[path = "faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

#[path = "feedback/strace.rs"]
mod strace;

use std::thread;
use std::time::{Duration, Instant};

use common::{Running, Site, lsn, until};
use testdata::{Server, Version};

/// How often an idle position is written; and what the server and a busy machine may add.
const IDLE: Duration = Duration::from_secs(10 + 10);

/// A site where a table that is not replicated makes WAL.
fn with_noise(site: Site) -> Site {
    site.sql("CREATE TABLE noise (id serial PRIMARY KEY, v text)");
    site
}

const ONLY_T: [&str; 2] = ["--tables", "public.t"];

fn noise(site: &Site) -> u64 {
    site.sql("INSERT INTO noise (v) SELECT repeat('x', 100) FROM generate_series(1, 1000)");
    lsn(&site.ask("SELECT pg_current_wal_flush_lsn()"))
}

/// What the server knows of our connection.
fn sender(site: &Site, column: &str) -> String {
    site.ask(&format!(
        "SELECT coalesce({column}::text, '0/0') FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
         WHERE s.slot_name = '{}'",
        site.slot
    ))
}

/// Holds the destination's write lock, as a program does that writes for a long time.
struct Blocked(rusqlite::Connection);

impl Blocked {
    fn new(site: &Site) -> Self {
        let sqlite = site.sqlite();
        sqlite
            .execute_batch("BEGIN IMMEDIATE")
            .expect("the write lock");
        Self(sqlite)
    }

    fn release(self) {
        self.0.execute_batch("ROLLBACK").expect("the end");
    }
}

fn with_timeout(site: &Site, timeout: &str, arguments: &[&str]) -> Running {
    let mut command = common::program();
    command.args([
        "run",
        "--slot",
        &site.slot,
        "--destination",
        &site.destination(),
    ]);
    command
        .arg("--source")
        .arg(format!("{}?wal_sender_timeout={timeout}", site.source()))
        .args(arguments);
    let mut running = Running::start(&mut command);
    running.until_it_says(" streaming ");
    running
}

#[test]
fn an_idle_slot_moves_past_what_others_write() {
    idle_slot_moves(Version::NEWEST);
}

/// This one sends the transactions, without what is in them.
#[test]
fn an_idle_slot_moves_on_14() {
    idle_slot_moves(Version::V14);
}

fn idle_slot_moves(version: Version) {
    let site = with_noise(Site::on(version));
    let mut running = site.streaming(&ONLY_T);
    for _ in 0..2 {
        let (target, start) = (noise(&site), Instant::now());
        running.until("the slot moves", || site.confirmed() >= target);
        assert!(start.elapsed() < IDLE, "it took {:?}", start.elapsed());
        assert!(
            site.stored() >= site.confirmed(),
            "confirmed before it was stored"
        );
    }
    // Neither a crash nor a clean end makes the next start see a gap.
    running.kill();
    site.caught_up(&[]);
    noise(&site);
    site.streaming(&[]).terminate().done();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn a_clean_end_stores_the_idle_position_and_confirms_it() {
    let site = with_noise(Site::new());
    let mut running = site.streaming(&ONLY_T);
    // Unless the idle interval passes in this very moment, the server does not know yet what we have heard.
    let target = (0..5).find_map(|_| {
        let target = noise(&site);
        running.until("the server has gone past it", || {
            lsn(&sender(&site, "sent_lsn")) >= target
        });
        thread::sleep(Duration::from_millis(500));
        (site.confirmed() < target).then_some(target)
    });
    let target = target.expect("an idle position that is not confirmed");
    let start = Instant::now();
    running.terminate().done();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "it took {:?}",
        start.elapsed()
    );
    assert!(site.stored() >= target, "the idle position is not stored");
    assert_eq!(site.confirmed(), site.stored());
    assert_eq!(
        site.slot_column("active").as_deref(),
        Some("false"),
        "the slot is still held"
    );
    site.caught_up(&[]);
}

#[test]
fn the_first_signal_ends_properly_and_the_second_at_once() {
    let site = Site::new();
    let running = site.streaming(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running.signal("INT");
    running.wait(common::PATIENCE).done();
    assert_eq!(site.confirmed(), site.stored());

    let mut running = site.streaming(&["--takeover", "600"]);
    let blocked = Blocked::new(&site);
    site.sql("INSERT INTO t VALUES (4, 'four')");
    running.until("it waits", || sender(&site, "write_lsn") != "0/0");
    running.signal("TERM");
    thread::sleep(Duration::from_secs(1));
    assert!(running.is_running(), "it ended in the middle of a batch");
    let start = Instant::now();
    assert_eq!(running.terminate().code, Some(1));
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        start.elapsed()
    );
    blocked.release();
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three", "4|four"]);
}

#[test]
fn a_server_that_crashed_may_send_again_what_was_confirmed() {
    let mut site = Site::own(Server::start(Version::NEWEST));
    let mut running = site.streaming(&["--reconnect", "0"]);
    for id in 3..20 {
        site.sql(&format!("INSERT INTO t VALUES ({id}, 'x')"));
    }
    running.until("everything is confirmed", || {
        site.t().len() == 19 && site.confirmed() == site.stored()
    });
    let confirmed = site.confirmed();
    site.server_mut().kill();
    running.wait(common::PATIENCE).failed(1, &[]);
    site.server_mut().start_again();
    assert!(
        site.confirmed() < confirmed,
        "the server had written the confirmation down, so this shows nothing"
    );
    site.sql("INSERT INTO t VALUES (0, 'after')");
    site.caught_up(&[]);
    assert_eq!(site.t().len(), 20);
    assert_eq!(site.confirmed(), site.stored());
}

#[test]
fn until_current_stores_and_confirms_too() {
    let site = with_noise(Site::new());
    site.caught_up(&ONLY_T);
    let target = noise(&site);
    site.caught_up(&[]);
    assert!(site.stored() >= target);
    assert_eq!(site.confirmed(), site.stored());
}

#[test]
fn until_a_position_ends_there() {
    let site = Site::new();
    site.caught_up(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let position = site.ask("SELECT pg_current_wal_lsn()");
    site.sql("INSERT INTO t VALUES (4, 'four')");
    let mut command = site.command("run");
    Running::start(command.args(["--until", &position]))
        .wait(common::PATIENCE)
        .done();
    assert!(site.stored() >= lsn(&position));
    assert!(site.t().contains(&"3|three".to_owned()));
    site.caught_up(&[]);
    assert_eq!(site.t().len(), 4);
}

#[test]
fn a_fast_shutdown_of_the_server_is_not_held_up() {
    for version in Version::ALL {
        let mut site = with_noise(Site::own(Server::start(version)));
        let mut running = site.streaming(&[ONLY_T[0], ONLY_T[1], "--reconnect", "0"]);
        running.until("the server sends", || site.is_sending());
        site.sql("INSERT INTO t SELECT g, 'more' FROM generate_series(3, 5000) g");
        // What the server sends last is a position that no row carries, and it waits for us to confirm that.
        noise(&site);
        let start = Instant::now();
        site.server_mut().stop();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(30), "{version} took {took:?}");
        running.wait(Duration::from_secs(20)).failed(1, &[]);
        let rows = site.rows("SELECT count(*) FROM t");
        assert_eq!(rows, ["5000"], "{version} waited, but not for the rows");
        site.server_mut().start_again();
        site.sql("INSERT INTO t VALUES (0, 'after')");
        site.caught_up(&[]);
        assert_eq!(site.rows("SELECT count(*) FROM t"), ["5001"], "{version}");
    }
}

#[test]
fn a_keepalive_ahead_of_an_unapplied_transaction_is_not_confirmed() {
    let site = with_noise(Site::new());
    let arguments = ONLY_T;
    let mut running = with_timeout(&site, "2s", &arguments);
    running.until("it is idle", || site.is_copied());
    let before = lsn(&site.ask("SELECT pg_current_wal_insert_lsn()"));
    let blocked = Blocked::new(&site);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let commit = lsn(&site.ask("SELECT pg_current_wal_flush_lsn()"));
    let target = noise(&site);
    // What it reports as written is what it has received, keepalives included.
    running.until("the keepalive", || {
        lsn(&sender(&site, "write_lsn")) >= target
    });
    thread::sleep(Duration::from_secs(3));
    assert!(lsn(&sender(&site, "write_lsn")) >= target);
    assert!(
        commit > before && site.confirmed() < commit,
        "the source was told more than is true"
    );
    running.kill();
    blocked.release();
    assert!(
        site.stored() < commit,
        "the test did not hold the destination"
    );
    until("the slot is free", || {
        site.slot_column("active").as_deref() == Some("false")
    });
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn a_destination_that_stands_still_does_not_cost_the_connection() {
    let site = Site::new();
    // Also when each single attempt to get the lock is given up sooner.
    let mut running = with_timeout(&site, "2s", &["--takeover", "1"]);
    running.until("it is idle", || site.is_copied());
    let process = sender(&site, "pid");
    let blocked = Blocked::new(&site);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(7) {
        assert_eq!(sender(&site, "pid"), process, "another connection");
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(site.t().len(), 2, "the test did not hold the destination");
    blocked.release();
    running.until("the row arrives", || site.t().len() == 3);
    assert_eq!(sender(&site, "pid"), process, "another connection");
    running.terminate().done();
}

#[test]
fn an_end_is_possible_while_the_destination_stands_still() {
    let site = Site::new();
    let mut running = with_timeout(&site, "2s", &["--takeover", "1"]);
    running.until("it is idle", || site.is_copied());
    let blocked = Blocked::new(&site);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running.until("it waits", || sender(&site, "write_lsn") != "0/0");
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    running
        .terminate()
        .failed(1, &["locked"])
        .hinted(&["start again"]);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "it took {:?}",
        start.elapsed()
    );
    blocked.release();
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn a_full_queue_does_not_cost_the_connection_either() {
    let site = Site::new();
    let mut running = with_timeout(
        &site,
        "2s",
        &["--memory", "1", "--spool-limit", "4", "--streaming", "off"],
    );
    running.until("it is idle", || site.is_copied());
    let process = sender(&site, "pid");
    let blocked = Blocked::new(&site);
    // Far more than may wait in memory, in the spool and in the socket's buffers.
    let mut client = site.client();
    for batch in 0..40 {
        let first = 3 + batch * 1000;
        let rows = format!(
            "SELECT g, repeat('x', 1000) FROM generate_series({first}, {}) g",
            first + 999
        );
        client
            .batch(&format!("INSERT INTO t {rows}"))
            .expect("rows");
    }
    let end = lsn(&site.ask("SELECT pg_current_wal_flush_lsn()"));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(7) {
        assert_eq!(sender(&site, "pid"), process, "another connection");
        thread::sleep(Duration::from_millis(500));
    }
    assert!(
        lsn(&sender(&site, "write_lsn")) < end,
        "the reading went on: the queue was not full"
    );
    blocked.release();
    running.until("the rows arrive", || {
        site.rows("SELECT count(*) FROM t") == ["40002"]
    });
    assert_eq!(sender(&site, "pid"), process, "another connection");
    running.terminate().done();
    assert_eq!(site.confirmed(), site.stored());
}

#[test]
fn a_transaction_that_takes_longer_than_the_timeout_does_not_cost_the_connection() {
    let site = Site::new();
    // Slow by itself: each row runs a trigger at the destination.
    let mut running = with_timeout(&site, "1s", &[]);
    running.until("it is idle", || site.is_copied());
    let process = sender(&site, "pid");
    site.edit(
        "CREATE TRIGGER slow AFTER INSERT ON t BEGIN
           SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                                 SELECT i FROM n);
         END",
    );
    let start = Instant::now();
    site.sql("INSERT INTO t SELECT g, 'slow' FROM generate_series(3, 4000) g");
    running.until("the rows arrive", || {
        site.rows("SELECT count(*) FROM t") == ["4000"]
    });
    assert!(
        start.elapsed() > Duration::from_secs(3),
        "it took only {:?}: this shows nothing",
        start.elapsed()
    );
    assert_eq!(sender(&site, "pid"), process, "another connection");
    running.terminate().done();
}

#[test]
fn the_destination_is_durable_before_the_source_hears_of_it() {
    let site = Site::new();
    site.caught_up(&[]);
    let trace = site.folder.path().join("trace");
    let mut command = strace::traced(&trace, &site.command("run"));
    let mut running = Running::start(&mut command);
    running.until("it streams", || {
        site.slot_column("active").as_deref() == Some("true")
    });
    for id in 3..23 {
        site.sql(&format!("INSERT INTO t VALUES ({id}, 'x')"));
        running.until("the row is confirmed", || {
            site.t().len() == id && site.confirmed() == site.stored()
        });
    }
    running.terminate().done();
    let read = || std::fs::read_to_string(&trace).unwrap_or_default();
    until("the trace is complete", || {
        read().trim_end().ends_with("+++")
    });
    strace::assert_durable_before_confirmed(&read(), ".db-wal", strace::as_text, 20);
}
