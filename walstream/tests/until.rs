//! Streams that end at a position, with the transaction that crosses it whole.

use std::time::Duration;

use testdata::{Server, Version};
use walstream::walproto::{Column, Lsn};
use walstream::{
    Change, Changes, Client, Config, Event, PreparedDelivery, SlotOptions, Stream, StreamBuilder,
    StreamOptions, StreamedDelivery, Streaming, Transaction,
};

const SLOT: &str = "s";

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

async fn server(version: Version, two_phase: bool) -> Server {
    let server = Server::builder(version)
        .setting("logical_decoding_work_mem", "64kB")
        .setting("max_prepared_transactions", 10)
        .start();
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (v text); \
                  CREATE PUBLICATION p FOR TABLE t";
    sql(&server).batch(tables).unwrap();
    let mut wire = Client::connect_replication(&config(&server)).await.unwrap();
    let options = SlotOptions {
        two_phase,
        ..SlotOptions::default()
    };
    wire.create_slot(SLOT, &options).await.unwrap();
    server
}

fn config(server: &Server) -> Config {
    let config: Config = server.socket_url("postgres").parse().unwrap();
    config.with_wal_sender_timeout(Duration::from_secs(5))
}

fn until(server: &Server, position: Lsn) -> StreamBuilder {
    Stream::connect(config(server))
        .options(StreamOptions {
            streaming: Streaming::Off,
            ..StreamOptions::new(SLOT, ["p"])
        })
        .until(position)
}

fn lsn(server: &Server, what: &str) -> Lsn {
    let mut client = sql(server);
    client
        .value(&format!("SELECT {what}"))
        .unwrap()
        .parse()
        .unwrap()
}

fn here(server: &Server) -> Lsn {
    lsn(server, "pg_current_wal_insert_lsn()")
}

fn confirmed(server: &Server) -> Lsn {
    lsn(
        server,
        "confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'",
    )
}

async fn next(stream: &mut Stream) -> Option<Transaction> {
    tokio::time::timeout(Duration::from_secs(60), stream.next())
        .await
        .expect("an answer in time")
        .unwrap()
}

async fn event(stream: &mut Stream) -> Option<Event> {
    tokio::time::timeout(Duration::from_secs(60), stream.next_event())
        .await
        .expect("an answer in time")
        .unwrap()
}

fn rows(mut changes: Changes<'_>) -> Vec<i32> {
    let mut rows = Vec::new();
    while let Some((_, change)) = changes.next().unwrap() {
        if let Change::Insert { new, .. } = change {
            let Some(Column::Text(id)) = new.columns().next() else {
                panic!("{new:?}")
            };
            rows.push(std::str::from_utf8(id).unwrap().parse().unwrap());
        }
    }
    rows
}

/// Transactions up to the end, all confirmed, with the stream at its end.
async fn all(stream: &mut Stream) -> Vec<Vec<i32>> {
    let mut all = Vec::new();
    while let Some(mut transaction) = next(stream).await {
        if !transaction.is_empty() {
            all.push(rows(transaction.changes().unwrap()));
        }
        transaction.confirm();
    }
    all
}

/// Ends in order: the slot is where the last confirmation was.
async fn finish(stream: Stream, server: &Server) -> Lsn {
    let (durable, before) = (stream.progress().durable(), confirmed(server));
    assert!(before <= durable || durable.is_zero());
    stream.finish().await.unwrap();
    assert_eq!(confirmed(server), durable.max(before));
    durable
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transaction_that_crosses_the_end_comes_whole_and_nothing_behind_it() {
    for version in Version::ALL {
        let server = server(version, false).await;
        let mut long = sql(&server);
        let mut short = sql(&server);
        long.batch("BEGIN").unwrap();
        long.batch("INSERT INTO t VALUES (1, '')").unwrap();
        short.batch("INSERT INTO t VALUES (2, '')").unwrap();
        short.batch("INSERT INTO t VALUES (3, '')").unwrap();
        let position = here(&server);
        long.batch("INSERT INTO t VALUES (4, '')").unwrap();
        long.batch("COMMIT").unwrap();
        let crossed = here(&server);
        short.batch("INSERT INTO t VALUES (5, '')").unwrap();

        let mut stream = until(&server, position).start().await.unwrap();
        assert_eq!(all(&mut stream).await, [vec![2], vec![3], vec![1, 4]]);
        assert!(event(&mut stream).await.is_none(), "it stays at its end");
        let end = finish(stream, &server).await;
        assert!(end > position && end <= crossed, "{version:?}");

        // The next start goes on there.
        let mut stream = until(&server, here(&server)).start().await.unwrap();
        assert_eq!(all(&mut stream).await, [[5]]);
        finish(stream, &server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_at_each_border_of_a_transaction() {
    for version in Version::ALL {
        let server = server(version, false).await;
        let mut client = sql(&server);
        client.batch("INSERT INTO t VALUES (1, '')").unwrap();
        let before = here(&server);
        client.batch("INSERT INTO t VALUES (2, '')").unwrap();
        let behind = here(&server);
        client.batch("INSERT INTO t VALUES (3, '')").unwrap();

        // What is not confirmed comes to the next stream again.
        let mut stream = until(&server, behind).start().await.unwrap();
        let (commit, end) = loop {
            let mut transaction = next(&mut stream).await.expect("the second comes");
            if rows(transaction.changes().unwrap()) == [2] {
                break (transaction.commit_lsn(), transaction.end_lsn());
            }
        };
        assert!(next(&mut stream).await.is_none());
        stream.finish().await.unwrap();
        let two = [vec![1], vec![2]];
        for (position, expected) in [
            (before, &two[..1]),
            (Lsn(before.0 + 1), &two[..]),
            (commit, &two[..]),
            (Lsn(commit.0 + 1), &two[..]),
            (end, &two[..]),
        ] {
            let mut stream = until(&server, position).start().await.unwrap();
            let mut found = Vec::new();
            while let Some(mut transaction) = next(&mut stream).await {
                if !transaction.is_empty() {
                    found.push(rows(transaction.changes().unwrap()));
                }
            }
            assert_eq!(
                found, expected,
                "{version:?}: {position} of {before}, {commit}, {end}"
            );
            stream.finish().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_is_asked() {
    for version in Version::ALL {
        let server = server(version, false).await;
        let mut client = sql(&server);
        client
            .batch("INSERT INTO u SELECT repeat('x', 100) FROM generate_series(1, 1000)")
            .unwrap();
        let position = here(&server);
        let mut stream = until(&server, position).start().await.unwrap();
        assert!(all(&mut stream).await.is_empty());
        // The position without changes was confirmed on the way.
        assert!(finish(stream, &server).await >= position);

        // An end that the slot has behind it is one from the beginning.
        let mut stream = until(&server, position).start().await.unwrap();
        assert!(all(&mut stream).await.is_empty());
        finish(stream, &server).await;

        // One that the server has not come to is waited for.
        let position = Lsn(here(&server).0 + 100_000);
        let mut stream = until(&server, position).start().await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(1500), stream.next()).await;
        assert!(early.is_err(), "{early:?}");
        client.batch("INSERT INTO t VALUES (1, '')").unwrap();
        client
            .batch("INSERT INTO u SELECT repeat('x', 100) FROM generate_series(1, 5000)")
            .unwrap();
        assert_eq!(all(&mut stream).await, [[1]]);
        finish(stream, &server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stays_open_is_not_waited_for() {
    for version in Version::ALL {
        let server = server(version, false).await;
        let mut long = sql(&server);
        long.batch("BEGIN").unwrap();
        long.batch("INSERT INTO t VALUES (1, '')").unwrap();
        sql(&server).batch("INSERT INTO t VALUES (2, '')").unwrap();
        let position = here(&server);
        let mut stream = until(&server, position).start().await.unwrap();
        assert_eq!(all(&mut stream).await, [[2]]);
        finish(stream, &server).await;
        long.batch("COMMIT").unwrap();
        let mut stream = until(&server, here(&server)).start().await.unwrap();
        assert_eq!(all(&mut stream).await, [[1]]);
        finish(stream, &server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_are_told_after_the_end_for_as_long_as_it_takes() {
    let server = server(Version::NEWEST, false).await;
    sql(&server).batch("INSERT INTO t VALUES (1, '')").unwrap();
    let position = here(&server);
    sql(&server).batch("INSERT INTO t VALUES (2, '')").unwrap();
    let mut stream = until(&server, position).start().await.unwrap();
    let mut last = None;
    while let Some(transaction) = next(&mut stream).await {
        last = Some(transaction);
    }
    let last = last.expect("a transaction");
    let end = last.end_lsn();
    // Longer than the server waits for a sign of life.
    tokio::time::sleep(Duration::from_secs(6)).await;
    // Not even a lost connection says anything any more.
    let terminated = "SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots";
    assert_eq!(sql(&server).value(terminated).unwrap(), "1");
    last.confirm();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while confirmed(&server) < end {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(event(&mut stream).await.is_none());
    finish(stream, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_pieces_is_undone_where_it_is_open_at_the_end() {
    for version in Version::ALL {
        let server = server(version, false).await;
        let mut long = sql(&server);
        long.batch("BEGIN").unwrap();
        long.batch("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 500) i")
            .unwrap();
        let position = here(&server);
        // Something that is flushed, and with it what is before.
        sql(&server).batch("INSERT INTO u VALUES ('')").unwrap();
        let mut stream = until(&server, position)
            .options(StreamOptions::new(SLOT, ["p"]))
            .streamed(StreamedDelivery::AsReceived)
            .start()
            .await
            .unwrap();
        let mut open = Vec::new();
        let mut pieces = 0;
        while let Some(event) = event(&mut stream).await {
            match event {
                Event::StreamChunk(chunk) => {
                    pieces += 1;
                    assert_eq!(chunk.is_first(), open.is_empty());
                    open = vec![chunk.xid()];
                }
                Event::StreamAbort(abort) => {
                    assert_eq!(abort.savepoint, None);
                    open.retain(|xid| *xid != abort.xid);
                }
                Event::Transaction(transaction) => transaction.confirm(),
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            }
        }
        assert!(pieces > 0 && open.is_empty(), "{version:?}");
        finish(stream, &server).await;
        long.batch("COMMIT").unwrap();
        let mut stream = until(&server, here(&server)).start().await.unwrap();
        assert_eq!(all(&mut stream).await, [(1..=500).collect::<Vec<_>>()]);
        finish(stream, &server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_ones_end_it_where_they_are_handed_over() {
    for version in Version::ALL.into_iter().filter(|it| it.major() >= 15) {
        let server = server(version, true).await;
        let mut client = sql(&server);
        let prepare = |gid: &str, id: i32| {
            format!("BEGIN; INSERT INTO t VALUES ({id}, ''); PREPARE TRANSACTION '{gid}'")
        };
        client.batch(&prepare("a", 1)).unwrap();
        let position = here(&server);
        client.batch("COMMIT PREPARED 'a'").unwrap();
        client.batch(&prepare("b", 2)).unwrap();
        client.batch("COMMIT PREPARED 'b'").unwrap();

        let mut stream = until(&server, position)
            .prepared(PreparedDelivery::AtPrepare)
            .start()
            .await
            .unwrap();
        let mut found = Vec::new();
        while let Some(event) = event(&mut stream).await {
            match event {
                Event::Prepared(prepared) => found.push(format!("prepared {}", prepared.gid())),
                Event::CommitPrepared(it) => found.push(format!("committed {}", it.gid())),
                Event::Idle(_) | Event::Transaction(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(found, ["prepared a"], "{version:?}");
        stream.finish().await.unwrap();
        // As a transaction of its own it crosses the end: prepared before, committed behind.
        let mut stream = until(&server, position).start().await.unwrap();
        assert_eq!(all(&mut stream).await, [[1]], "{version:?}");
        finish(stream, &server).await;
    }
}
