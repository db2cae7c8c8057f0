//! Servers that restart, crash, end sessions, and hang.

use std::process::Command;
use std::time::Duration;

use testdata::{Server, Version};
use walstream::SlotOptions;
use walstream::walproto::Lsn;

use crate::flow::{Reader, Writer};
use crate::{at, connect, prepare};

async fn site(version: Version) -> (Server, Writer, Reader) {
    let server = Server::builder(version)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    prepare(&server, &SlotOptions::default()).await;
    let stream = connect(&at(server.port()), Lsn::ZERO)
        .await
        .expect("a stream");
    let writer = Writer::start(&server);
    (server, writer, Reader::new(stream))
}

#[tokio::test]
async fn restarts_and_crashes_of_the_server_lose_and_double_nothing() {
    for version in Version::ALL {
        let (mut server, writer, mut reader) = site(version).await;
        for round in 0..6 {
            reader.go_on(15).await;
            let mut moved = server;
            server = reader
                .meanwhile(move || {
                    match round % 3 {
                        0 => moved.stop(),
                        1 => moved.stop_immediate(),
                        _ => moved.kill(),
                    }
                    moved.start_again();
                    moved
                })
                .await;
        }
        reader.go_on(20).await;
        assert!(reader.reconnected >= 6, "{}", reader.reconnected);
        reader.finish(writer, &server).await;
    }
}

#[tokio::test]
async fn a_wal_sender_that_is_ended_is_replaced() {
    let (server, writer, mut reader) = site(Version::V15).await;
    for times in 1..=5 {
        reader.go_on(10).await;
        let ended = testdata::Client::connect(&server, "postgres")
            .and_then(|mut sql| {
                sql.value("SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE active")
            })
            .expect("an answer");
        assert_eq!(ended, "1");
        reader.reconnect(times).await;
    }
    reader.finish(writer, &server).await;
}

#[tokio::test]
async fn a_wal_sender_that_hangs_is_given_up_and_waited_for_until_it_lets_go_of_the_slot() {
    let (server, writer, mut reader) = site(Version::V18).await;
    reader.go_on(20).await;
    let mut sql = testdata::Client::connect(&server, "postgres").expect("a connection");
    let pid = sql
        .value("SELECT active_pid FROM pg_replication_slots WHERE slot_name = 's'")
        .expect("a process");
    signal("STOP", &pid);
    // Its socket is open and its slot is held. Twice the timeout later we have given it up, and the slot is in use.
    let waiting = tokio::time::timeout(Duration::from_secs(7), async {
        loop {
            reader.step().await.expect("the stream waits");
        }
    });
    assert!(waiting.await.is_err());
    assert_eq!(reader.reconnected, 0);
    signal("CONT", &pid);
    reader.reconnect(1).await;
    reader.go_on(20).await;
    reader.finish(writer, &server).await;
}

fn signal(name: &str, pid: &str) {
    let done = Command::new("kill")
        .args(["-s", name, pid])
        .status()
        .expect("kill can be run");
    assert!(done.success());
}

#[tokio::test]
async fn a_stream_of_which_nothing_is_confirmed_comes_once_all_the_same() {
    let (server, writer, mut reader) = site(Version::V17).await;
    // Every token is held: the server sends all of it again each time.
    reader.hold();
    for times in 1..=4 {
        reader.go_on(20).await;
        testdata::Client::connect(&server, "postgres")
            .and_then(|mut sql| {
                sql.batch("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
            })
            .expect("an answer");
        reader.reconnect(times).await;
    }
    assert_eq!(reader.stream.progress().durable(), Lsn::ZERO);
    reader.finish(writer, &server).await;
}

#[tokio::test]
async fn an_end_that_is_asked_for_while_the_server_is_away_does_not_wait() {
    let (mut server, writer, mut reader) = site(Version::V16).await;
    reader.go_on(5).await;
    writer.stop();
    server.stop_immediate();
    // Until the loss has been noticed.
    let _ = tokio::time::timeout(Duration::from_millis(500), reader.step()).await;
    let began = std::time::Instant::now();
    let error = reader.stream.finish().await.expect_err("nobody was told");
    assert!(error.is_transient(), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
