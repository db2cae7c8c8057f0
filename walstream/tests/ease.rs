//! The short way through a stream on real servers: transactions only, an end on request, combinators, a plain drop.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use testdata::{Server, Version};
use tokio_util::sync::CancellationToken;
use walstream::walproto::Lsn;
use walstream::{
    Change, Client, Config, Error, ErrorKind, Event, Reconnect, SlotOptions, Stream, StreamBuilder,
    Transaction,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Longer than a server takes to say how far it is when it has nothing to send.
const QUIET: Duration = Duration::from_millis(1500);

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

fn config(server: &Server) -> Config {
    Config::parse(&server.socket_url("postgres")).unwrap()
}

/// A server with a published table `t`, an unpublished `u`, and a slot.
async fn server() -> Server {
    let server = Server::start(Version::NEWEST);
    sql(&server)
        .batch(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (v text); CREATE PUBLICATION p FOR TABLE t",
        )
        .unwrap();
    let mut client = Client::connect_replication(&config(&server)).await.unwrap();
    client
        .create_slot("s", &SlotOptions::default())
        .await
        .unwrap();
    server
}

fn builder(server: &Server) -> StreamBuilder {
    // A string, as most will have one; what connects is the same.
    Stream::connect(&*server.socket_url("postgres"))
        .slot("s")
        .publication("p")
}

async fn start(server: &Server) -> Stream {
    builder(server).start().await.unwrap()
}

fn insert(server: &Server, id: i32) {
    let insert = format!("INSERT INTO t VALUES ({id})");
    sql(server).batch(&insert).unwrap();
}

/// Writes what is not published, and returns where that ends.
fn write_elsewhere(server: &Server) -> Lsn {
    let mut sql = sql(server);
    sql.batch("INSERT INTO u SELECT 'x' FROM generate_series(1, 100)")
        .unwrap();
    let end = sql.value("SELECT pg_current_wal_flush_lsn()").unwrap();
    end.parse().unwrap()
}

fn confirmed(server: &Server) -> Lsn {
    let query = "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'";
    sql(server).value(query).unwrap().parse().unwrap()
}

async fn wait_for_slot(server: &Server, what: impl Fn(Lsn) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what(confirmed(server)) {
        let at = confirmed(server);
        assert!(Instant::now() < deadline, "the slot stays at {at}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn ids(transaction: &mut Transaction) -> Vec<String> {
    let mut changes = transaction.changes().unwrap();
    let mut ids = Vec::new();
    while let Some((_, change)) = changes.next().unwrap() {
        if let Change::Insert { new, .. } = change {
            let column = new.columns().next().unwrap();
            ids.push(column.as_str().unwrap().unwrap().to_owned());
        }
    }
    ids
}

async fn next(stream: &mut Stream) -> Transaction {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await;
    next.expect("in time").unwrap().expect("the stream goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_of_a_quiet_publication_moves_while_only_transactions_are_taken() {
    let server = server().await;
    let mut stream = start(&server).await;
    let taking = tokio::spawn(async move {
        let mut transaction = next(&mut stream).await;
        (ids(&mut transaction), transaction, stream)
    });
    for _ in 0..3 {
        let end = write_elsewhere(&server);
        wait_for_slot(&server, |at| at >= end).await;
    }
    insert(&server, 1);
    let (ids, transaction, mut stream) = taking.await.unwrap();
    assert_eq!(ids, ["1"]);
    // What is in hand holds it.
    let end = write_elsewhere(&server);
    let more = tokio::time::timeout(QUIET, stream.next()).await;
    assert!(more.is_err(), "{more:?}");
    assert!(confirmed(&server) <= transaction.commit_lsn());
    transaction.confirm();
    let more = tokio::time::timeout(QUIET, stream.next());
    let (more, ()) = tokio::join!(more, wait_for_slot(&server, |at| at >= end));
    assert!(more.is_err(), "{more:?}");
}

/// Who stores positions must hear of one before the slot moves there.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_stored_position_the_slot_waits_for_transactions_and_nothing_holds_it() {
    let server = server().await;
    insert(&server, 1);
    let mut stream = start(&server).await;
    let transaction = next(&mut stream).await;
    let stored = transaction.end_lsn();
    transaction.confirm();
    stream.finish().await.unwrap();
    assert!(
        confirmed(&server) <= stored,
        "a stored position is refused otherwise"
    );

    let mut stream = builder(&server).position(stored).start().await.unwrap();
    let elsewhere = write_elsewhere(&server);
    let deadline = Instant::now() + PATIENCE;
    while stream.progress().received() < elsewhere {
        let none = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
        assert!(none.is_err(), "{none:?}");
        assert!(Instant::now() < deadline);
    }
    let none = tokio::time::timeout(QUIET, stream.next()).await;
    assert!(none.is_err(), "{none:?}");
    assert_eq!(stream.progress().durable(), Lsn::ZERO);
    assert!(confirmed(&server) <= stored);
    insert(&server, 2);
    let mut transaction = next(&mut stream).await;
    assert_eq!(ids(&mut transaction), ["2"]);
    let end = transaction.end_lsn();
    transaction.confirm();
    wait_for_slot(&server, |at| at == end).await;

    // As events, the same positions are there to be stored.
    let elsewhere = write_elsewhere(&server);
    loop {
        let event = tokio::time::timeout(PATIENCE, stream.next_event()).await;
        match event.expect("in time").unwrap().unwrap() {
            Event::Idle(idle) if idle.lsn() >= elsewhere => break idle.confirm(),
            Event::Idle(idle) => idle.confirm(),
            other => panic!("{other:?}"),
        }
    }
    wait_for_slot(&server, |at| at >= elsewhere).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_between_transactions_waits_for_who_takes_events() {
    let server = server().await;
    let mut stream = builder(&server).messages(true).start().await.unwrap();
    insert(&server, 1);
    sql(&server)
        .batch("SELECT pg_logical_emit_message(false, 'between', 'content')")
        .unwrap();
    insert(&server, 2);
    let mut first = next(&mut stream).await;
    assert_eq!(ids(&mut first), ["1"]);
    for _ in 0..2 {
        let next = tokio::time::timeout(PATIENCE, stream.next()).await;
        let error = next.expect("in time").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.hint().unwrap().contains("next_event"));
    }
    let Some(Event::Message(message)) = stream.next_event().await.unwrap() else {
        panic!("no message")
    };
    assert_eq!(
        (message.prefix(), message.content()),
        ("between", &b"content"[..])
    );
    message.confirm();
    let mut second = next(&mut stream).await;
    assert_eq!(ids(&mut second), ["2"]);
    let end = second.end_lsn();
    first.confirm();
    second.confirm();
    wait_for_slot(&server, |at| at >= end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_token_ends_a_stream_that_waits_and_one_that_has_more() {
    let server = server().await;
    let token = CancellationToken::new();
    let mut stream = builder(&server)
        .stop_when(token.clone().cancelled_owned())
        .start()
        .await
        .unwrap();
    // It sleeps when the token is cancelled.
    let waiting = tokio::spawn(async move { (stream.next().await.unwrap().is_none(), stream) });
    tokio::time::sleep(QUIET).await;
    assert!(!waiting.is_finished());
    token.cancel();
    let ended = tokio::time::timeout(PATIENCE, waiting).await;
    let (ended, mut stream) = ended.expect("the token wakes it").unwrap();
    assert!(ended);
    insert(&server, 1);
    assert!(
        stream.next().await.unwrap().is_none(),
        "it stays at its end"
    );
    assert!(stream.next_event().await.unwrap().is_none());
    assert!(stream.try_transaction().is_none());
    stream.finish().await.unwrap();

    // A plain future, ready before the first transaction is taken.
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let mut stream = builder(&server)
        .stop_when(async { drop(receiver.await) })
        .start()
        .await
        .unwrap();
    let mut transaction = next(&mut stream).await;
    assert_eq!(ids(&mut transaction), ["1"]);
    let end = transaction.end_lsn();
    transaction.confirm();
    insert(&server, 2);
    insert(&server, 3);
    drop(sender);
    assert!(stream.next().await.unwrap().is_none());
    stream.finish().await.unwrap();
    assert_eq!(confirmed(&server), end, "the end told the last position");

    let mut stream = start(&server).await;
    for id in ["2", "3"] {
        assert_eq!(ids(&mut next(&mut stream).await), [id], "it came again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn combinators_take_the_stream_as_any_other() {
    let server = server().await;
    for id in 1..=9 {
        insert(&server, id);
    }
    let mut stream = start(&server).await;
    // By reference, so that the stream goes on.
    let first: Vec<Transaction> = (&mut stream).take(2).try_collect().await.unwrap();
    let seen: Vec<_> = first
        .into_iter()
        .map(|mut it| {
            let ids = ids(&mut it);
            it.confirm();
            ids
        })
        .collect();
    assert_eq!(seen, [["1"], ["2"]]);

    // Batches of what is there.
    let mut batches = pin!((&mut stream).try_ready_chunks(3).take(1));
    let batch = batches.next().await.unwrap().unwrap();
    assert!((1..=3).contains(&batch.len()));
    let mut last = 2;
    for mut transaction in batch {
        last += 1;
        assert_eq!(ids(&mut transaction), [last.to_string()]);
        transaction.confirm();
    }

    // Beside another stream, and until a token says so.
    let token = CancellationToken::new();
    let ticks = stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((None, ()))
    });
    let transactions = (&mut stream).map(|it: Result<Transaction, Error>| Some(it.unwrap()));
    let both = stream::select(transactions, Box::pin(ticks));
    let mut both = pin!(both.take_until(token.cancelled()));
    let mut ticked = 0;
    while let Some(item) = both.next().await {
        match item {
            Some(mut transaction) => {
                last += 1;
                assert_eq!(ids(&mut transaction), [last.to_string()]);
                transaction.confirm();
            }
            None => ticked += 1,
        }
        if last == 9 && ticked > 3 {
            token.cancel();
        }
    }
    assert_eq!(last, 9);

    // An error ends it, and is told once.
    sql(&server)
        .batch("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
        .unwrap();
    drop(stream);
    let once = builder(&server).reconnect(Reconnect::never());
    let mut stream = once.start().await.unwrap();
    sql(&server)
        .batch("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
        .unwrap();
    let rest: Vec<_> = (&mut stream).collect().await;
    let [Err(error)] = &*rest else {
        panic!("{rest:?}")
    };
    assert!(error.is_disconnect(), "{error}");
    assert!(StreamExt::next(&mut stream).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_drop_closes_the_connection_and_leaves_the_slot_where_it_was() {
    let server = server().await;
    let before = confirmed(&server);
    insert(&server, 1);
    let mut stream = start(&server).await;
    let mut transaction = next(&mut stream).await;
    drop(stream);
    let deadline = Instant::now() + PATIENCE;
    let active = "SELECT active FROM pg_replication_slots";
    while sql(&server).value(active).unwrap() == "t" {
        assert!(Instant::now() < deadline, "the connection is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What was handed out is whole, and confirming it tells nobody any more.
    assert_eq!(ids(&mut transaction), ["1"]);
    let commit = transaction.commit_lsn();
    transaction.confirm();
    assert!((before..=commit).contains(&confirmed(&server)));
    let mut stream = start(&server).await;
    assert_eq!(ids(&mut next(&mut stream).await), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_on_a_connection_that_made_a_temporary_slot_leaves_nothing_behind() {
    let server = server().await;
    let connect = async || Client::connect_replication(&config(&server)).await.unwrap();
    let temporary = SlotOptions {
        temporary: true,
        ..SlotOptions::default()
    };
    let token = CancellationToken::new();
    let mut client = connect().await;
    client.create_slot("brief", &temporary).await.unwrap();
    let mut stream = Stream::on(client)
        .slot("brief")
        .publication("p")
        .stop_when(token.clone().cancelled_owned())
        .start()
        .await
        .unwrap();
    insert(&server, 1);
    assert_eq!(ids(&mut next(&mut stream).await), ["1"]);
    token.cancel();
    assert!(stream.next().await.unwrap().is_none());
    stream.finish().await.unwrap();
    let slots = "SELECT string_agg(slot_name, ',') FROM pg_replication_slots";
    let deadline = Instant::now() + PATIENCE;
    while sql(&server).value(slots).unwrap() != "s" {
        assert!(Instant::now() < deadline);
    }

    let refused = Stream::on(connect().await)
        .slot("s")
        .publication("p")
        .position(Lsn(1));
    let error = refused.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.hint().unwrap().contains("Stream::connect"));
}

/// One that began before the position and had committed when the stream began is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_on_a_connection_ends_at_a_position_with_what_crosses_it() {
    let server = server().await;
    let mut crossing = sql(&server);
    crossing.batch("BEGIN").unwrap();
    crossing.batch("INSERT INTO t VALUES (1)").unwrap();
    insert(&server, 2);
    let until = sql(&server).value("SELECT pg_current_wal_insert_lsn()");
    crossing.batch("COMMIT").unwrap();
    insert(&server, 3);
    let client = Client::connect_replication(&config(&server)).await.unwrap();
    let mut stream = Stream::on(client)
        .slot("s")
        .publication("p")
        .until(until.unwrap().parse().unwrap())
        .start()
        .await
        .unwrap();
    let mut seen = Vec::new();
    while let Some(mut transaction) = tokio::time::timeout(PATIENCE, stream.next())
        .await
        .expect("in time")
        .unwrap()
    {
        seen.extend(ids(&mut transaction));
        transaction.confirm();
    }
    assert_eq!(seen, ["2", "1"]);
    stream.finish().await.unwrap();
}

#[tokio::test]
async fn a_connection_string_that_cannot_be_read_is_told_at_the_start() {
    let error = Stream::connect("postgres://h/?sslmode=maybe")
        .slot("s")
        .publication("p")
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}
