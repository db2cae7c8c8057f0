//! What no connection can mend: each ends the stream with its own error, and nothing more is handed out.

use std::time::Duration;

use testdata::{Proxy, Server, Version};
use walstream::walproto::Lsn;
use walstream::{Backoff, Client, Error, ErrorKind, Event, Reconnect, SlotOptions, Stream};

use crate::flow::{Reader, Writer};
use crate::{SLOT, at, connect, options, prepare, soon};

async fn site() -> (Server, Proxy, Reader) {
    let server = Server::start(Version::V18);
    prepare(&server, &SlotOptions::default()).await;
    let proxy = Proxy::to(server.port());
    let writer = Writer::start(&server);
    let stream = connect(&at(proxy.port()), Lsn::ZERO)
        .await
        .expect("a stream");
    let mut reader = Reader::new(stream);
    reader.go_on(10).await;
    let last = writer.stop();
    reader.reach(last).await;
    (server, proxy, reader)
}

fn sql(server: &Server, text: &str) {
    testdata::Client::connect(server, "postgres")
        .and_then(|mut client| client.batch(text))
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// The error that ends the stream.
async fn end(reader: &mut Reader) -> Error {
    let reading = async {
        loop {
            if let Err(error) = reader.step().await {
                return error;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading)
        .await
        .expect("an end in time")
}

#[tokio::test]
async fn another_cluster_behind_the_same_name_is_refused() {
    let (_server, proxy, mut reader) = site().await;
    let other = Server::start(Version::V18);
    prepare(&other, &SlotOptions::default()).await;
    proxy.lead_to(other.port());
    proxy.cut();
    let error = end(&mut reader).await;
    assert_eq!(error.kind(), ErrorKind::OtherSystem, "{error:?}");
    assert!(error.needs_person() && error.hint().is_some());
    assert_eq!(reader.reconnected, 0);
}

#[tokio::test]
async fn a_slot_that_somebody_moved_meanwhile_is_a_gap() {
    let (server, proxy, mut reader) = site().await;
    proxy.refuse(true);
    proxy.cut();
    sql(&server, "INSERT INTO t VALUES (999, 1, 'lost')");
    let mut wire = Client::connect_replication(&at(server.port()))
        .await
        .expect("a connection");
    while wire
        .slot(SLOT)
        .await
        .expect("a slot")
        .expect("a slot")
        .active_pid
        .is_some()
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sql(
        &server,
        "SELECT pg_replication_slot_advance('s', pg_current_wal_lsn())",
    );
    proxy.refuse(false);
    let error = end(&mut reader).await;
    assert_eq!(error.kind(), ErrorKind::SlotAhead, "{error:?}");
    assert!(error.needs_person());
}

#[tokio::test]
async fn a_slot_that_was_dropped_or_made_anew_is_refused() {
    for again in [false, true] {
        let (server, proxy, mut reader) = site().await;
        proxy.refuse(true);
        proxy.cut();
        let mut wire = Client::connect_replication(&at(server.port()))
            .await
            .expect("a connection");
        wire.drop_slot(SLOT, true).await.expect("dropped");
        if again {
            sql(&server, "INSERT INTO t VALUES (999, 1, 'lost')");
            wire.create_slot(SLOT, &SlotOptions::default())
                .await
                .expect("a slot");
        }
        proxy.refuse(false);
        let error = end(&mut reader).await;
        let expected = if again {
            ErrorKind::SlotAhead
        } else {
            ErrorKind::SlotMissing
        };
        assert_eq!(error.kind(), expected, "{error:?}");
    }
}

#[tokio::test]
async fn a_server_restored_from_an_older_state_is_refused() {
    let server = Server::start(Version::V18);
    prepare(&server, &SlotOptions::default()).await;
    let mut server = server;
    // A copy of now; what comes after it is what it lacks.
    let mut copy = Server::standby_of(&mut server);
    copy.stop();
    let proxy = Proxy::to(server.port());
    let stream = connect(&at(proxy.port()), Lsn::ZERO)
        .await
        .expect("a stream");
    let mut reader = Reader::new(stream);
    let writer = Writer::start(&server);
    reader.go_on(30).await;
    let last = writer.stop();
    reader.reach(last).await;
    server.stop_immediate();
    proxy.lead_to(copy.port());
    copy.start_again();
    sql(&copy, "SELECT pg_promote(true, 60)");
    let mut wire = Client::connect_replication(&at(copy.port()))
        .await
        .expect("a connection");
    // Its log has grown past where the reader is: only the history tells that it is another.
    sql(
        &copy,
        "INSERT INTO t SELECT -1, i, repeat('x', 1000) FROM generate_series(1, 5000) i",
    );
    // As early as its slot could be.
    wire.create_slot(SLOT, &SlotOptions::default())
        .await
        .expect("a slot");
    drop(wire);
    proxy.cut();
    let error = end(&mut reader).await;
    assert_eq!(error.kind(), ErrorKind::Diverged, "{error:?}");
}

#[tokio::test]
async fn a_position_that_does_not_fit_the_server_is_refused_at_once() {
    let (server, _proxy, reader) = site().await;
    let durable = reader.end;
    reader.stream.finish().await.expect("a proper end");
    let error = connect(&at(server.port()), Lsn(1))
        .await
        .expect_err("a gap");
    assert_eq!(error.kind(), ErrorKind::SlotAhead, "{error:?}");
    let error = connect(&at(server.port()), Lsn(u64::MAX))
        .await
        .expect_err("a future");
    assert_eq!(error.kind(), ErrorKind::Diverged, "{error:?}");
    let stream = connect(&at(server.port()), durable)
        .await
        .expect("a stream");
    stream.finish().await.expect("a proper end");
}

#[tokio::test]
async fn a_name_that_leads_to_two_servers_is_no_place_to_stream_from() {
    let servers = [Server::start(Version::V18), Server::start(Version::V18)];
    for server in &servers {
        prepare(server, &SlotOptions::default()).await;
    }
    let proxy = Proxy::to(servers[0].port());
    proxy.lead_in_turn(servers.each_ref().map(Server::port));
    let error = connect(&at(proxy.port()), Lsn::ZERO)
        .await
        .expect_err("two servers");
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert!(error.to_string().contains("second connection"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("primary")));
    proxy.lead_to(servers[0].port());
    let stream = loop {
        match connect(&at(proxy.port()), Lsn::ZERO).await {
            Ok(stream) => break stream,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    };
    let system = stream.system().expect("it connected by itself");
    let expected = testdata::Client::connect(&servers[0], "postgres")
        .and_then(|mut sql| sql.value("SELECT system_identifier FROM pg_control_system()"))
        .expect("an identity");
    assert_eq!((&*system.system_id, system.timeline), (&*expected, 1));
    stream.finish().await.expect("a proper end");
}

#[tokio::test]
async fn without_another_attempt_what_was_received_is_handed_out_first() {
    let server = Server::start(Version::V18);
    prepare(&server, &SlotOptions::default()).await;
    let proxy = Proxy::to(server.port());
    let stream = Stream::connect(at(proxy.port()))
        .options(options())
        .reconnect(Reconnect::never())
        .start()
        .await
        .expect("a stream");
    sql(&server, "INSERT INTO t VALUES (1, 1, 'a')");
    sql(&server, "INSERT INTO t VALUES (2, 1, 'b')");
    let mut admin = testdata::Client::connect(&server, "postgres").expect("a connection");
    let end: Lsn = admin
        .value("SELECT pg_current_wal_lsn()")
        .expect("a position")
        .parse()
        .expect("a position");
    // Both wait for us before the connection goes.
    while stream.progress().received() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut stream = stream;
    let mut transactions = 0;
    let error = loop {
        match stream.next_event().await {
            Ok(Some(Event::Transaction(transaction))) => {
                transactions += usize::from(!transaction.is_empty());
            }
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.is_disconnect(), "{error:?}");
    assert_eq!(transactions, 2);
}

#[tokio::test]
async fn attempts_end_when_the_policy_says_so_with_what_happened_last() {
    let (server, proxy, reader) = site().await;
    reader.stream.finish().await.expect("a proper end");
    for (backoff, attempts) in [
        (
            Backoff {
                attempts: Some(3),
                ..soon().backoff
            },
            3,
        ),
        (Backoff::never(), 0),
    ] {
        proxy.refuse(false);
        let reconnect = Reconnect {
            backoff,
            ..Reconnect::default()
        };
        let stream = loop {
            let starting = Stream::connect(at(proxy.port()))
                .options(options())
                .reconnect(reconnect.clone())
                .start();
            match starting.await {
                Ok(stream) => break stream,
                Err(error) if matches!(error.kind(), ErrorKind::SlotInUse { .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        };
        let before = proxy.accepted();
        proxy.refuse(true);
        proxy.cut();
        let mut stream = stream;
        let error = loop {
            if let Err(error) = stream.next_event().await {
                break error;
            }
        };
        assert!(error.is_transient(), "{error:?}");
        assert_eq!(proxy.accepted(), before);
        assert_eq!(
            error.kind(),
            ErrorKind::ConnectionClosed,
            "{attempts}: {error:?}"
        );
        assert!(stream.next_event().await.expect("told once").is_none());
    }
    drop(server);
}
