//! Whether it is ready, and why not: every reason is made to be so, seen, and mended.

use std::process::Command;

use testdata::{Client, Server, Version};

use crate::common::{Running, Site};
use crate::scrape::{Scrape, address, connect, get, until};
use crate::site;

const METRICS: [&str; 2] = ["--metrics", "127.0.0.1:0"];

/// It says so within a few seconds, and why.
fn not_ready(running: &mut Running, address: &str, why: &str) {
    let what = format!("it is not ready for this: {why}");
    running.until(&what, || {
        let answer = get(address, "/readyz");
        answer.status == 503 && answer.body.contains(why)
    });
}

#[test]
fn a_first_copy_and_a_stopped_table_are_reasons_and_a_frozen_process_is_not_alive() {
    let site = site();
    site.sql("CREATE TABLE slow (id int PRIMARY KEY, v text)");
    site.sql("INSERT INTO slow SELECT i, 'xxxxxxxxxx' FROM generate_series(1, 20000) i");
    site.sql("ANALYZE");
    let mut running = site.run(&[&METRICS[..], &["--copy-rate", "100kB"]].concat());
    let address = address(&mut running);
    not_ready(&mut running, &address, "the first copy is not complete: ");
    assert_eq!(get(&address, "/livez").status, 200);
    // A pause is one too, in the copy as in the stream.
    let paused = || Scrape::of(&address).value("replicator_paused") > 0.0;
    assert!(!paused());
    running.signal("USR1");
    not_ready(&mut running, &address, "it is paused: ");
    assert!(paused());
    running.signal("USR2");
    let ready = until(&mut running, &address, "/readyz", 200);
    assert_eq!(ready.body, "ready\n");
    running.signal("USR1");
    not_ready(&mut running, &address, "it is paused: ");
    assert_eq!(get(&address, "/livez").status, 200);
    assert!(paused());
    running.signal("USR2");
    until(&mut running, &address, "/readyz", 200);
    assert!(!paused());

    // Nobody answers for a process that does nothing.
    running.signal("STOP");
    let mut stream = connect(&address);
    stream
        .set_read_timeout(Some(std::time::Duration::from_millis(500)))
        .expect("a timeout");
    let request = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).expect("a request");
    let read = std::io::Read::read(&mut stream, &mut [0; 100]);
    assert!(read.is_err(), "{read:?}");
    running.signal("CONT");
    assert_eq!(until(&mut running, &address, "/livez", 200).body, "alive\n");
    until(&mut running, &address, "/readyz", 200);

    site.sql("DROP TABLE slow");
    not_ready(&mut running, &address, "table public.slow is stopped: ");
    running.terminate().done();
}

#[test]
fn a_source_that_is_silent_or_gone_is_a_reason() {
    let mut site = Site::own(Server::start(Version::NEWEST));
    let mut command = site.command("run");
    command.args(METRICS);
    // The last of two is the one that counts.
    let separator = if site.source().contains('?') {
        '&'
    } else {
        '?'
    };
    let source = format!("{}{separator}wal_sender_timeout=4s", site.source());
    command.env("REPLICATOR_LOG", "info");
    let mut arguments: Vec<String> = command
        .get_args()
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let plain = site.source();
    for argument in &mut arguments {
        if *argument == plain {
            argument.clone_from(&source);
        }
    }
    let mut running = Running::start(crate::common::program().args(arguments));
    let address = address(&mut running);
    until(&mut running, &address, "/readyz", 200);

    let pid = site.slot_column("active_pid").expect("a slot");
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.expect("kill").success());
    };
    signal("-STOP");
    not_ready(&mut running, &address, "the source has been silent for ");
    signal("-CONT");
    until(&mut running, &address, "/readyz", 200);

    site.server_mut().stop_immediate();
    not_ready(&mut running, &address, "the source is not connected");
    let scrape = Scrape::of(&address);
    assert!(scrape.value("replicator_source_connected") < 1.0);
    site.server_mut().start_again();
    until(&mut running, &address, "/readyz", 200);
    let scrape = Scrape::of(&address);
    assert!(scrape.value("replicator_errors_total{kind=\"source_lost\"}") > 0.0);
    running.terminate().done();
}

#[cfg(feature = "postgres")]
#[test]
fn a_destination_that_is_gone_is_a_reason() {
    let site = site();
    let mut destination = Server::start(Version::V14);
    let mut command = crate::common::program();
    command.args(["run", "--slot", &site.slot, "--source", &site.source()]);
    command.args(["--destination", &destination.url("postgres")]);
    let mut running = Running::start(command.args(METRICS));
    let address = address(&mut running);
    until(&mut running, &address, "/readyz", 200);
    destination.stop_immediate();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    not_ready(
        &mut running,
        &address,
        "the destination has not taken changes for ",
    );
    let scrape = Scrape::of(&address);
    assert!(scrape.value("replicator_destination_connected") < 1.0);
    assert!(scrape.value("replicator_errors_total{kind=\"destination_retry\"}") > 0.0);
    destination.start_again();
    until(&mut running, &address, "/readyz", 200);
    let count = |server: &Server| {
        let mut client = Client::connect(server, "postgres").expect("a connection");
        client.value("SELECT count(*) FROM t").expect("a count")
    };
    running.until("the row is there", || count(&destination) == "3");
    let scrape = Scrape::of(&address);
    assert!(scrape.value("replicator_destination_lost_seconds") <= 0.0);
    running.terminate().done();
}

#[test]
fn lag_above_the_guard_is_said_and_changes_nothing() {
    let site = site();
    let arguments = ["--max-lag", "100kB,3s"];
    let mut running = site.run(&[&METRICS[..], &arguments].concat());
    let address = address(&mut running);
    until(&mut running, &address, "/readyz", 200);

    // Somebody keeps the destination from being written.
    let holder = site.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    site.sql("INSERT INTO t SELECT i, repeat(md5(i::text), 10) FROM generate_series(11, 3000) i");
    not_ready(&mut running, &address, " behind, above --max-lag of 100 kB");
    not_ready(&mut running, &address, " behind, above --max-lag of 3 s");
    running.until_it_says("above --max-lag of 100 kB");
    let scrape = Scrape::of(&address);
    assert!(scrape.value("replicator_lag_exceeded") > 0.0);
    assert!(scrape.value("replicator_lag_bytes") > 100_000.0);
    assert!(scrape.value("replicator_lag_seconds") > 3.0);
    assert!(scrape.value("replicator_batch_running_seconds") > 0.0);
    assert_eq!(site.slot_column("active").as_deref(), Some("true"));

    holder.execute_batch("ROLLBACK").expect("no lock");
    until(&mut running, &address, "/readyz", 200);
    running.until_it_says("within --max-lag again");
    assert_eq!(site.rows("SELECT count(*) FROM t"), ["2992"]);
    // The commit of the rows was that long ago, which the histogram has.
    let scrape = Scrape::of(&address);
    assert!(scrape.value("replicator_latency_seconds_sum") > 3.0);
    running.terminate().done();
}
