//! The stream against real servers: whole transactions, positions, feedback, and an end in order.

use std::time::{Duration, Instant};

use testdata::{Server, Version};
use walstream::walproto::{Column, Lsn};
use walstream::{
    Change, Client, Config, ErrorKind, Event, Limits, SlotOptions, Stream, StreamOptions,
    Streaming, Transaction,
};

const SLOT: &str = "s";

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

/// A server with a published table `t (id int primary key, v text)`, an unpublished `u`, and a slot.
async fn server(version: Version) -> Server {
    let server = Server::builder(version)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    sql(&server)
        .batch(
            "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (v text); CREATE PUBLICATION p FOR TABLE t",
        )
        .unwrap();
    let mut wire = Client::connect_replication(&config(&server)).await.unwrap();
    wire.create_slot(SLOT, &SlotOptions::default())
        .await
        .unwrap();
    server
}

fn config(server: &Server) -> Config {
    Config::parse(&server.socket_url("postgres")).unwrap()
}

async fn stream_with(
    config: &Config,
    limits: Limits,
    change: impl FnOnce(&mut StreamOptions),
) -> Stream {
    // After a lost connection the server needs a moment to let go of the slot.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut options = StreamOptions::new(SLOT, ["p"]);
    change(&mut options);
    loop {
        let client = Client::connect_replication(config).await.unwrap();
        match Stream::start(client, &options, Lsn::ZERO, limits.clone()).await {
            Ok(stream) => return stream,
            Err(error)
                if matches!(error.kind(), ErrorKind::SlotInUse { .. })
                    && Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn stream(server: &Server) -> Stream {
    stream_with(&config(server), Limits::default(), |_| {}).await
}

/// The next transaction with changes; idle positions on the way are confirmed, empty transactions too.
async fn transaction(stream: &mut Stream) -> Transaction {
    let wait = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            match stream
                .next_event()
                .await
                .unwrap()
                .expect("the stream goes on")
            {
                Event::Transaction(transaction) if transaction.is_empty() => transaction.confirm(),
                Event::Transaction(transaction) => return transaction,
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            }
        }
    });
    wait.await.expect("a transaction in time")
}

/// First columns of the inserted rows.
fn inserted(transaction: &mut Transaction) -> Vec<i32> {
    let mut changes = transaction.changes().unwrap();
    let mut ids = Vec::new();
    while let Some((_, change)) = changes.next().unwrap() {
        if let Change::Insert { relation, new } = change {
            assert_eq!(relation.name, "t");
            let Some(Column::Text(id)) = new.columns().next() else {
                panic!("{new:?}")
            };
            ids.push(std::str::from_utf8(id).unwrap().parse().unwrap());
        }
    }
    ids
}

fn confirmed(server: &Server) -> Lsn {
    let sql_text =
        format!("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{SLOT}'");
    sql(server).value(&sql_text).unwrap().parse().unwrap()
}

/// Ends the stream in order: the slot is where the last confirmation was, not a byte before or behind.
async fn finish(stream: Stream, server: &Server) {
    let (durable, before) = (stream.progress().durable(), confirmed(server));
    assert!(
        before <= durable || durable.is_zero(),
        "the slot is at {before}, and only {durable} was confirmed"
    );
    stream.finish().await.unwrap();
    assert_eq!(confirmed(server), durable.max(before));
}

/// Waits until the server's slot is there.
fn wait_for_slot(server: &Server, what: impl Fn(Lsn) -> bool) -> Lsn {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let lsn = confirmed(server);
        if what(lsn) {
            return lsn;
        }
        assert!(Instant::now() < deadline, "the slot stays at {lsn}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every protocol version with the streaming it allows.
fn protocols(version: Version) -> Vec<(u8, Streaming)> {
    let mut all = vec![(1, Streaming::Off), (2, Streaming::Off), (2, Streaming::On)];
    if version.max_protocol() >= 3 {
        all.push((3, Streaming::On));
    }
    if version.max_protocol() >= 4 {
        all.extend([(4, Streaming::On), (4, Streaming::Parallel)]);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_transactions_at_every_version_and_protocol() {
    for version in Version::ALL {
        let server = server(version).await;
        let mut base = 0;
        for (protocol, streaming) in protocols(version) {
            let mut stream = stream_with(&config(&server), Limits::default(), |options| {
                options.protocol = Some(protocol);
                options.streaming = streaming;
            })
            .await;
            // 500 rows, 500 that are rolled back, 5 rows; large enough to be streamed. Another one in between.
            let mut long = sql(&server);
            let insert = |from: i32, to: i32| {
                format!(
                    "INSERT INTO t SELECT {base} + i, repeat('x', 500) FROM generate_series({from}, {to}) i"
                )
            };
            long.batch("BEGIN").unwrap();
            long.batch(&insert(1, 500)).unwrap();
            long.batch("SAVEPOINT a").unwrap();
            long.batch(&insert(501, 1000)).unwrap();
            sql(&server).batch(&insert(5001, 5001)).unwrap();
            long.batch("ROLLBACK TO a").unwrap();
            long.batch(&insert(1001, 1005)).unwrap();
            long.batch("COMMIT").unwrap();

            let mut short = transaction(&mut stream).await;
            assert_eq!(
                inserted(&mut short),
                [base + 5001],
                "{version:?} v{protocol} {streaming:?}"
            );
            let mut large = transaction(&mut stream).await;
            let expected: Vec<i32> = (1..=500).chain(1001..=1005).map(|id| base + id).collect();
            assert_eq!(
                inserted(&mut large),
                expected,
                "{version:?} v{protocol} {streaming:?}"
            );
            assert!(large.commit_lsn() > short.commit_lsn());
            let end = large.end_lsn();
            short.confirm();
            large.confirm();
            finish(stream, &server).await;
            assert!(
                confirmed(&server) >= end,
                "{version:?}: the end of the stream tells the last position"
            );
            base += 10_000;
        }
    }
}

/// More rows than the stream takes from its buffer between two looks at the clock, many times over.
#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_lost_however_many_come_at_once() {
    const ROWS: i32 = 200_000;
    let server = server(Version::NEWEST).await;
    for (round, protocol) in [1, 2, 4].into_iter().enumerate() {
        let base = i32::try_from(round).unwrap() * ROWS;
        sql(&server)
            .batch(&format!(
                "INSERT INTO t SELECT {base} + i, '' FROM generate_series(1, {ROWS}) i"
            ))
            .unwrap();
        let mut stream = stream_with(&config(&server), Limits::default(), |options| {
            options.protocol = Some(protocol);
            options.streaming = if protocol > 1 {
                Streaming::On
            } else {
                Streaming::Off
            };
        })
        .await;
        let mut large = transaction(&mut stream).await;
        let ids = inserted(&mut large);
        assert_eq!(
            ids.len(),
            usize::try_from(ROWS).unwrap(),
            "protocol {protocol}"
        );
        assert!(
            ids.iter()
                .zip(base + 1..)
                .all(|(&id, expected)| id == expected)
        );
        large.confirm();
        finish(stream, &server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_confirmed_moves_the_slot() {
    let server = server(Version::NEWEST).await;
    let mut client = sql(&server);
    let mut stream = stream(&server).await;
    for id in 1..=3 {
        client
            .batch(&format!("INSERT INTO t VALUES ({id}, '')"))
            .unwrap();
    }
    let first = transaction(&mut stream).await;
    let second = transaction(&mut stream).await;
    let third = transaction(&mut stream).await;
    let (first_end, second_end, third_end) = (first.end_lsn(), second.end_lsn(), third.end_lsn());

    third.confirm();
    first.confirm();
    let at = wait_for_slot(&server, |lsn| lsn >= first_end);
    assert_eq!(at, first_end, "the second holds what comes behind it");
    // Keepalives come and go; none of them may confirm what is open.
    stream.ping();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stream.progress().durable(), first_end);
    drop(second);
    finish(stream, &server).await;
    assert_eq!(confirmed(&server), first_end);

    // What was not confirmed comes again.
    let mut stream = self::stream(&server).await;
    let mut again = transaction(&mut stream).await;
    assert_eq!(
        (inserted(&mut again), again.end_lsn()),
        (vec![2], second_end)
    );
    let mut last = transaction(&mut stream).await;
    assert_eq!((inserted(&mut last), last.end_lsn()), (vec![3], third_end));
    again.confirm();
    last.confirm();
    finish(stream, &server).await;
    assert!(confirmed(&server) >= third_end);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_moves_the_slot_by_what_others_write() {
    for version in Version::ALL {
        let server = server(version).await;
        let before = confirmed(&server);
        let mut stream = stream(&server).await;
        let mut client = sql(&server);
        client
            .batch("INSERT INTO u SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
            .unwrap();
        let written: Lsn = client
            .value("SELECT pg_current_wal_lsn()")
            .unwrap()
            .parse()
            .unwrap();
        let mut reached = Lsn::ZERO;
        while reached < written {
            stream.ping();
            match stream.next_event().await.unwrap() {
                Some(Event::Idle(idle)) => {
                    reached = idle.lsn();
                    idle.confirm();
                }
                Some(Event::Transaction(transaction)) if transaction.is_empty() => {
                    reached = transaction.end_lsn();
                    transaction.confirm();
                }
                other => panic!("{other:?}"),
            }
        }
        let after = wait_for_slot(&server, |lsn| lsn >= written);
        assert!(after > before);
        finish(stream, &server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unconfirmed_idle_position_is_not_told() {
    let server = server(Version::NEWEST).await;
    let mut stream = stream(&server).await;
    let before = confirmed(&server);
    sql(&server).batch("INSERT INTO u VALUES ('x')").unwrap();
    stream.ping();
    let Some(Event::Idle(idle)) = stream.next_event().await.unwrap() else {
        panic!("no idle position")
    };
    assert!(idle.lsn() >= before);
    drop(idle);
    stream.ping();
    tokio::time::sleep(Duration::from_millis(300)).await;
    finish(stream, &server).await;
    assert_eq!(confirmed(&server), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_consumer_does_not_cost_the_connection() {
    let server = server(Version::NEWEST).await;
    let url = format!("{}&wal_sender_timeout=2s", server.socket_url("postgres"));
    let url = if url.contains('?') {
        url
    } else {
        url.replacen('&', "?", 1)
    };
    // Little room, so that the queue is full and the server blocks in the middle of sending.
    let limits = Limits {
        memory: 100_000,
        ..Limits::default()
    };
    let mut stream = stream_with(&Config::parse(&url).unwrap(), limits, |_| {}).await;
    let mut client = sql(&server);
    for round in 0..40 {
        let from = round * 1000;
        client
            .batch(&format!(
                "INSERT INTO t SELECT {from} + i, repeat('x', 1000) FROM generate_series(1, 1000) i"
            ))
            .unwrap();
    }
    let sender = "SELECT pid FROM pg_stat_replication";
    let pid = client.value(sender).unwrap();
    // Three timeouts without taking anything.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut rows = 0;
    while rows < 40_000 {
        let mut transaction = transaction(&mut stream).await;
        rows += inserted(&mut transaction).len();
        transaction.confirm();
    }
    assert_eq!(client.value(sender).unwrap(), pid, "the same connection");
    finish(stream, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn next_can_be_dropped_at_any_point() {
    let server = server(Version::NEWEST).await;
    let mut stream = stream(&server).await;
    let mut client = sql(&server);
    let writer = std::thread::spawn(move || {
        for id in 1..=200 {
            client
                .batch(&format!("INSERT INTO t VALUES ({id}, repeat('x', 5000))"))
                .unwrap();
        }
    });
    let mut ids = Vec::new();
    while ids.len() < 200 {
        // Often too short, so the future is dropped while it waits.
        match tokio::time::timeout(Duration::from_micros(200), stream.next_event()).await {
            Err(_) => {}
            Ok(Ok(Some(Event::Transaction(mut transaction)))) => {
                ids.extend(inserted(&mut transaction));
                transaction.confirm();
            }
            Ok(Ok(Some(Event::Idle(idle)))) => idle.confirm(),
            Ok(other) => panic!("{other:?}"),
        }
    }
    writer.join().unwrap();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    finish(stream, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_of_the_server_waits_for_us_and_ends_the_stream() {
    let mut server = server(Version::NEWEST).await;
    let mut stream = stream(&server).await;
    let mut sql = sql(&server);
    // Between the answer to START_REPLICATION and its first look at the log a walsender that is to end does so at once.
    let sends = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    let patience = Instant::now() + Duration::from_secs(60);
    while sql.value(sends).unwrap() != "1" {
        assert!(Instant::now() < patience, "the server does not stream");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sql.batch("INSERT INTO t VALUES (1, '')").unwrap();
    let consumer = tokio::spawn(async move {
        let mut ids = Vec::new();
        loop {
            match stream.next_event().await {
                Ok(Some(Event::Transaction(mut transaction))) => {
                    ids.extend(inserted(&mut transaction));
                    transaction.confirm();
                }
                Ok(Some(Event::Idle(idle))) => idle.confirm(),
                Ok(Some(other)) => panic!("{other:?}"),
                Ok(None) => return ids,
                Err(error) => {
                    assert!(error.is_transient(), "{error}");
                    return ids;
                }
            }
        }
    });
    let start = Instant::now();
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    stopped.await.unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "the server did not wait for a confirmation that never came"
    );
    assert_eq!(consumer.await.unwrap(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_an_error_worth_retrying() {
    let mut server = server(Version::NEWEST).await;
    let mut stream = stream(&server).await;
    server.kill();
    let error = loop {
        match stream.next_event().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if in order"),
            Err(error) => break error,
        }
    };
    assert!(error.is_transient(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_past_its_bound_stops_with_the_option_to_raise() {
    let server = server(Version::NEWEST).await;
    let limits = Limits {
        memory: 100_000,
        spool: 1_000_000,
        ..Limits::default()
    };
    let mut stream = stream_with(&config(&server), limits, |_| {}).await;
    sql(&server)
        .batch("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i")
        .unwrap();
    let error = loop {
        match stream.next_event().await {
            Ok(Some(Event::Idle(idle))) => idle.confirm(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.hint().is_some(), "{error}");
}
