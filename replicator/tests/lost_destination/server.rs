//! A PostgreSQL destination that goes down, deadlocks, takes no changes for a while, or does not answer any more.

#[path = "../common/mod.rs"]
mod servers;

use std::thread;
use std::time::{Duration, Instant};

use replicator::Config;
use servers::{OnDrop, connect, server};
use testdata::{Client, Proxy, Server, Version};

use crate::common::Site;
use crate::{Within, sender};

const VERSIONS: [Version; 2] = [Version::V14, Version::V18];

fn config(site: &Site, url: String) -> Config {
    Config::new(site.source(), url)
        .slot(&site.slot)
        .takeover(Duration::from_secs(5))
}

fn count(server: &Server, sql: &str) -> Option<String> {
    // Between its end and its next start there is nobody to ask.
    let mut client = Client::connect(server, "postgres").ok()?;
    client.value(sql).ok()
}

/// Starts it, and waits until a change has gone all the way.
fn streaming(config: Config, site: &Site, destination: &Server) -> Within {
    let mut run = Within::start(|shutdown| replicator::run(config, shutdown));
    site.sql("UPDATE t SET v = 'changed' WHERE id = 1");
    // Before the copy it would be in that.
    run.until("the stream", || {
        site.slot_column("active").as_deref() == Some("true")
    });
    site.sql("UPDATE t SET v = 'changed' WHERE id = 2");
    run.until("a change", || {
        count(destination, "SELECT count(*) FROM t WHERE v = 'changed'").as_deref() == Some("2")
    });
    run
}

fn has(server: &Server, rows: usize) -> bool {
    let expected = format!("{rows}|{rows}");
    count(
        server,
        "SELECT count(*) || '|' || count(DISTINCT id) FROM t",
    ) == Some(expected)
}

/// kill -9 under load, again and again, and also where it is in the middle of a commit.
#[test]
fn a_server_that_is_killed_is_waited_for() {
    for version in VERSIONS {
        let site = Site::new();
        let mut destination = server(version);
        let mut run = streaming(
            config(&site, destination.url("postgres")),
            &site,
            &destination,
        );
        let process = sender(&site);
        let stop = std::sync::atomic::AtomicBool::new(false);
        let rows = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut client = site.client();
                let mut id = 2;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    id += 1;
                    client
                        .batch(&format!("INSERT INTO t VALUES ({id}, 'x')"))
                        .unwrap();
                }
                id
            });
            let stopper = OnDrop(|| stop.store(true, std::sync::atomic::Ordering::Relaxed));
            for pause in [300, 50, 500, 120] {
                thread::sleep(Duration::from_millis(pause));
                destination.kill();
                thread::sleep(Duration::from_millis(pause));
                destination.start_again();
            }
            thread::sleep(Duration::from_millis(300));
            drop(stopper);
            writer.join().unwrap()
        });
        run.until("every row", || has(&destination, rows));
        assert_eq!(sender(&site), process, "the source lost its connection");
        run.end().unwrap();
        assert!(has(&destination, rows));
    }
}

#[test]
fn an_end_is_possible_while_the_server_is_down() {
    let site = Site::new();
    let mut destination = server(Version::NEWEST);
    let url = destination.url("postgres");
    let run = streaming(config(&site, url.clone()), &site, &destination);
    destination.kill();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    // By now the pauses are many seconds.
    thread::sleep(Duration::from_secs(8));
    let start_of_end = Instant::now();
    let error = run.end().unwrap_err();
    assert!(start_of_end.elapsed() < Duration::from_secs(4));
    assert_eq!(error.exit_code(), 1);
    // A start does not wait for a server that is not there.
    let (begun, again) = (Instant::now(), config(&site, url.clone()));
    let error = Within::start(|shutdown| replicator::run(again, shutdown))
        .wait()
        .unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(begun.elapsed() < Duration::from_secs(20));
    destination.start_again();
    let again = config(&site, url);
    let mut run = Within::start(|shutdown| replicator::run(again, shutdown));
    run.until("the row", || has(&destination, 3));
    run.end().unwrap();
}

#[test]
fn the_victim_of_a_deadlock_writes_again() {
    for version in VERSIONS {
        let site = Site::new();
        site.sql("CREATE TABLE u (id int PRIMARY KEY, v text); INSERT INTO u VALUES (1, 'one')");
        let destination = server(version);
        let mut run = streaming(
            config(&site, destination.url("postgres")),
            &site,
            &destination,
        );
        let mut other = connect(&destination, "postgres");
        // Ours looks after a second, and this one never.
        other
            .batch("SET deadlock_timeout = '1h'; BEGIN; UPDATE u SET v = 'other' WHERE id = 1")
            .unwrap();
        site.sql("BEGIN; UPDATE t SET v = 'ours' WHERE id = 1; UPDATE u SET v = 'ours'; COMMIT");
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        run.until("it waits", || {
            count(&destination, waits).as_deref() == Some("1")
        });
        other
            .batch("UPDATE t SET v = 'other' WHERE id = 1")
            .unwrap();
        assert!(destination.log().contains("deadlock detected"));
        thread::sleep(Duration::from_millis(500));
        other.batch("COMMIT").unwrap();
        let all = "SELECT string_agg(v, ',') FROM (SELECT v FROM t WHERE id = 1 UNION ALL SELECT v FROM u) AS all_of_them";
        run.until("both rows", || {
            count(&destination, all).as_deref() == Some("ours,ours")
        });
        run.end().unwrap();
    }
}

#[test]
fn a_server_that_takes_no_changes_for_a_while_is_waited_for() {
    for version in VERSIONS {
        let site = Site::new();
        let destination = server(version);
        let mut run = streaming(
            config(&site, destination.url("postgres")),
            &site,
            &destination,
        );
        destination.set("default_transaction_read_only", "on");
        destination.reload();
        let refused = "cannot execute UPDATE in a read-only transaction";
        site.sql("INSERT INTO t VALUES (3, 'three')");
        run.until("it is refused", || destination.log().contains(refused));
        // Also over a new session, as after a failover that was no good.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'replicator'";
        count(&destination, end).unwrap();
        thread::sleep(Duration::from_secs(2));
        assert!(has(&destination, 2));
        destination.set("default_transaction_read_only", "off");
        destination.reload();
        run.until("the row", || has(&destination, 3));
        run.end().unwrap();
    }
}

fn through(proxy: &Proxy) -> String {
    format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port())
}

#[test]
fn a_network_that_swallows_everything_is_given_up_and_tried_again() {
    let site = Site::new();
    let destination = server(Version::NEWEST);
    let proxy = Proxy::to(destination.port());
    let config = config(&site, through(&proxy)).destination_timeout(Duration::from_secs(1));
    let mut run = streaming(config, &site, &destination);
    let process = sender(&site);
    let before = proxy.accepted();
    proxy.freeze();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    // One to ask, and one to go on.
    run.until("other connections", || proxy.accepted() >= before + 2);
    assert!(has(&destination, 2));
    // What was swallowed may arrive after all, and must not be written beside what is written again.
    proxy.thaw();
    run.until("the row", || has(&destination, 3));
    site.sql("INSERT INTO t VALUES (4, 'four')");
    run.until("the next row", || has(&destination, 4));
    assert_eq!(sender(&site), process, "the source lost its connection");
    run.end().unwrap();
}

#[test]
fn a_server_that_stands_still_is_waited_for() {
    let site = Site::new();
    let destination = server(Version::NEWEST);
    let config =
        config(&site, destination.url("postgres")).destination_timeout(Duration::from_secs(1));
    let mut run = streaming(config, &site, &destination);
    let backend: String = count(
        &destination,
        "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'replicator'",
    )
    .unwrap();
    let signal = |name: &str, process: &str| {
        let done = std::process::Command::new("kill")
            .args([name, process])
            .status();
        assert!(done.unwrap().success());
    };
    // Only our session: a new one says that it is idle, whatever it was told.
    signal("-STOP", &backend);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    thread::sleep(Duration::from_secs(4));
    signal("-CONT", &backend);
    run.until("the row", || has(&destination, 3));
    run.end().unwrap();
}

/// The bound is for silence, not for work: what takes longer is not ended.
#[test]
fn a_statement_that_is_at_work_is_not_given_up() {
    let site = Site::new();
    let destination = server(Version::NEWEST);
    let proxy = Proxy::to(destination.port());
    let config = config(&site, through(&proxy)).destination_timeout(Duration::from_millis(500));
    let mut run = streaming(config, &site, &destination);
    connect(&destination, "postgres")
        .batch(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN PERFORM pg_sleep(4); RETURN NULL; END';
             CREATE TRIGGER slow AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .unwrap();
    let mut ours = connect(&destination, "postgres");
    let sessions = "SELECT string_agg(pid::text, ',') FROM pg_stat_activity
                    WHERE application_name = 'replicator' AND backend_start < now() - interval '4 s'";
    let before = proxy.accepted();
    let begun = Instant::now();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    run.until("the row", || has(&destination, 3));
    assert!(begun.elapsed() > Duration::from_secs(4));
    assert!(
        proxy.accepted() > before + 1,
        "nobody asked, so this shows nothing"
    );
    assert_ne!(
        ours.value(sessions).ok(),
        None,
        "the session is another one"
    );
    assert!(!destination.log().contains("terminating connection"));
    run.end().unwrap();
}
