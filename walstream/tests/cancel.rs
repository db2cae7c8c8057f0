//! Every async function, dropped after each number of polls: what its documentation promises holds, and the next call
//! works.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use testdata::{Server, Version};
use walstream::walproto::{Column, Lsn};
use walstream::{
    AlterSlot, Change, Client, Config, Error, ErrorKind, Event, Limits, RawStream, SlotOptions,
    Stream, StreamOptions, Transaction,
};

/// Polls a future so many times and then drops it, unless it was done before.
async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Numbers without a pattern, from a seed that a failing test prints.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let seed = u64::from(since.subsec_nanos()) | 1;
        eprintln!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

/// Over TCP, where connecting takes more than one poll.
fn config(server: &Server) -> Config {
    Config::parse(&server.url("postgres")).unwrap()
}

async fn connect(server: &Server) -> Client {
    Client::connect_replication(&config(server)).await.unwrap()
}

async fn value(client: &mut Client, query: &str) -> String {
    let rows = client.query(query).await.unwrap();
    rows[0].get(0).unwrap().to_owned()
}

/// A published table `t` and a slot `s`.
async fn prepared() -> Server {
    let server = Server::start(Version::NEWEST);
    sql(&server)
        .batch("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t")
        .unwrap();
    let mut client = connect(&server).await;
    client
        .create_slot("s", &SlotOptions::default())
        .await
        .unwrap();
    server
}

/// Waits until the server has no session of ours.
async fn nobody_is_left(server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut sql = sql(server);
    let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'walstream'";
    while sql.value(query).unwrap() != "0" {
        assert!(Instant::now() < deadline, "a session is left behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_dropped_connect_leaves_no_session() {
    let server = Server::start(Version::NEWEST);
    let config = config(&server);
    for replication in [false, true] {
        let mut dropped = 0;
        loop {
            let connected = if replication {
                polled(dropped, Client::connect_replication(&config)).await
            } else {
                polled(dropped, Client::connect(&config)).await
            };
            if let Some(client) = connected {
                drop(client.unwrap());
                nobody_is_left(&server).await;
                break;
            }
            nobody_is_left(&server).await;
            dropped += 1;
        }
        assert!(dropped > 3, "{dropped}");
    }
}

#[tokio::test]
async fn a_dropped_close_closes() {
    let server = Server::start(Version::NEWEST);
    for polls in 0..3 {
        let client = connect(&server).await;
        let _ = polled(polls, client.close()).await;
        nobody_is_left(&server).await;
    }
}

/// A call that was dropped after so many polls, on a client that goes on; `true` when it came to its end.
macro_rules! until_done {
    ($client:ident, $after:ident, $call:expr) => {{
        let mut dropped = 0;
        while polled(dropped, $call).await.is_none() {
            assert_eq!(value(&mut $client, "SELECT 'on'").await, "on", "{dropped}");
            dropped += 1;
            $after(dropped);
        }
        assert!(dropped >= 2, "dropped at {dropped} places only");
    }};
}

#[tokio::test]
async fn a_client_goes_on_after_any_call_that_was_dropped() {
    let server = prepared().await;
    let mut client = connect(&server).await;
    let any = |_| {};
    // Answers of many reads.
    let rows = "SELECT repeat('x', 1000) FROM generate_series(1, 2000)";
    until_done!(client, any, client.query(rows));
    until_done!(client, any, client.execute(rows));
    until_done!(
        client,
        any,
        client.copy_out("COPY (SELECT pg_sleep(0.05)) TO STDOUT")
    );
    until_done!(client, any, client.slot("s"));
    let names = ["p".to_owned(), "q".to_owned()];
    until_done!(client, any, client.missing_publications(&names));
    until_done!(client, any, client.identify_system());
    until_done!(client, any, client.timeline_history(2));
    until_done!(client, any, client.publications());
    until_done!(client, any, client.publication("p"));
    until_done!(client, any, client.show("wal_level"));
    until_done!(client, any, client.slot_holder("s"));
    until_done!(client, any, client.blockers(1));
    let changes = AlterSlot {
        failover: Some(true),
        ..AlterSlot::default()
    };
    until_done!(client, any, client.alter_slot("s", &changes));
    let slot = client.slot("s").await.unwrap().unwrap();
    assert_eq!(slot.failover, Some(true));
    // An error is of the call that made it, and not of the next.
    until_done!(client, any, client.query("SELECT pg_sleep(0.05), 1 / 0"));
    until_done!(client, any, client.query("no statement"));
}

#[tokio::test]
async fn a_statement_that_was_dropped_runs_once_or_not_at_all() {
    let server = prepared().await;
    let mut client = connect(&server).await;
    let mut counted = 0;
    for round in 0..200 {
        let polls = round % 4;
        let insert = format!("INSERT INTO public.t VALUES ({round}, '')");
        let done = polled(polls, client.execute(&insert)).await;
        let count: u32 = value(&mut client, "SELECT count(*) FROM public.t")
            .await
            .parse()
            .unwrap();
        assert!(count - counted <= 1, "round {round}");
        assert!(polls > 0 || count == counted, "it was never polled");
        assert!(
            done.is_none() || count == counted + 1,
            "it said it was done"
        );
        counted = count;
    }
    assert!(counted > 0);
}

#[tokio::test]
async fn a_copy_loses_no_piece_and_gives_way_to_the_next_call() {
    const ROWS: usize = 20_000;
    let server = prepared().await;
    let mut client = connect(&server).await;
    let mut random = Random::new();
    let copy = format!("COPY (SELECT i FROM generate_series(1, {ROWS}) i) TO STDOUT");
    for round in 0..5 {
        let mut out = client.copy_out(&copy).await.unwrap();
        let mut next = 1;
        let stop = if round == 4 {
            ROWS
        } else {
            usize::try_from(random.below(ROWS as u64)).unwrap()
        };
        while next <= stop {
            let polls = usize::try_from(random.below(3)).unwrap();
            if let Some(piece) = polled(polls, out.next()).await {
                let piece = piece.unwrap().expect("a row");
                assert_eq!(piece, format!("{next}\n").as_bytes());
                next += 1;
            }
        }
        if round == 4 {
            assert!(out.next().await.unwrap().is_none());
        }
        assert_eq!(value(&mut client, "SELECT 'on'").await, "on");
    }
}

#[tokio::test]
async fn a_slot_is_made_and_dropped_whole_or_not_at_all() {
    let server = Server::start(Version::NEWEST);
    let mut client = connect(&server).await;
    let options = SlotOptions::default();
    let (mut made, mut polls) = (false, 0);
    while !made {
        made = polled(polls, client.create_slot("made", &options))
            .await
            .is_some();
        // The next call waits for the end of the one that was dropped.
        let slot = client.slot("made").await.unwrap();
        assert!(polls > 0 || slot.is_none(), "it was never polled");
        if let Some(slot) = slot {
            assert!(slot.confirmed_flush.is_some(), "it is usable");
            client.drop_slot("made", false).await.unwrap();
        }
        polls += 1;
    }
    assert!(polls > 2);
    let (mut gone, mut polls) = (false, 0);
    while !gone {
        if client.slot("made").await.unwrap().is_none() {
            client.create_slot("made", &options).await.unwrap();
        }
        gone = polled(polls, client.drop_slot("made", true))
            .await
            .is_some();
        let slot = client.slot("made").await.unwrap();
        assert!(polls > 0 || slot.is_some(), "it was never polled");
        assert!(!gone || slot.is_none(), "it said it was done");
        polls += 1;
    }
    assert!(polls > 2);
}

/// The server does not look at its client while it waits, so the attempt outlives both.
#[tokio::test]
async fn an_attempt_to_make_a_slot_that_was_dropped_ends_with_what_it_waits_for() {
    let server = Server::start(Version::NEWEST);
    let mut open = sql(&server);
    open.batch("BEGIN").unwrap();
    open.batch("SELECT pg_current_xact_id()").unwrap();
    let mut client = connect(&server).await;
    let options = SlotOptions::default();
    assert!(
        polled(1, client.create_slot("half", &options))
            .await
            .is_none()
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut other = sql(&server);
    let begun = "SELECT count(*) FROM pg_replication_slots";
    while other.value(begun).unwrap() != "1" {
        assert!(Instant::now() < deadline, "it was never begun");
        // What is to be sent is sent by whoever polls next.
        let _ = tokio::time::timeout(Duration::from_millis(5), client.query("SELECT 1")).await;
    }
    let slot = connect(&server).await.slot("half").await.unwrap();
    assert_eq!(slot.unwrap().confirmed_flush, None, "it is being made");
    drop(client);
    open.batch("COMMIT").unwrap();
    nobody_is_left(&server).await;
    let slot = connect(&server).await.slot("half").await.unwrap();
    assert!(slot.is_none_or(|slot| slot.confirmed_flush.is_some() && slot.active_pid.is_none()));
}

#[tokio::test]
async fn who_observes_goes_on_when_a_slot_is_no_longer_made() {
    let server = Server::start(Version::NEWEST);
    let (mut client, mut observer) = (connect(&server).await, connect(&server).await);
    let options = SlotOptions::default();
    let (mut made, mut polls) = (false, 0);
    while !made {
        let making = client.create_slot_reporting("made", &options, &mut observer, |_| {});
        made = polled(polls, making).await.is_some();
        assert_eq!(value(&mut observer, "SELECT 'on'").await, "on");
        if client.slot("made").await.unwrap().is_some() {
            client.drop_slot("made", false).await.unwrap();
        }
        polls += 1;
    }
    assert!(polls > 2);
}

async fn start(client: Client) -> Result<Stream, Error> {
    let options = StreamOptions::new("s", ["p"]);
    Stream::start(client, &options, Lsn::ZERO, Limits::default()).await
}

async fn start_raw(client: Client) -> Result<RawStream, Error> {
    let options = StreamOptions::new("s", ["p"]);
    RawStream::start(client, &options, Lsn::ZERO, 1 << 20).await
}

/// Starts when the server has let go of the slot.
async fn started(server: &Server) -> Stream {
    loop {
        match start(connect(server).await).await {
            Ok(stream) => return stream,
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::SlotInUse { .. }),
                "{error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_dropped_start_leaves_no_session_and_the_slot_where_it_was() {
    let server = prepared().await;
    let slot = "SELECT confirmed_flush_lsn FROM pg_replication_slots";
    let before = sql(&server).value(slot).unwrap();
    let mut polls = 0;
    loop {
        let (one, other) = (connect(&server).await, connect(&server).await);
        let done = polled(polls, start(one)).await.is_some();
        nobody_but(&server, 1).await;
        let done = polled(polls, start_raw(other)).await.is_some() && done;
        nobody_is_left(&server).await;
        assert_eq!(sql(&server).value(slot).unwrap(), before);
        if done {
            break;
        }
        polls += 1;
    }
    assert!(polls > 2, "{polls}");
}

#[tokio::test]
async fn a_dropped_connect_of_a_stream_leaves_no_session_and_the_slot_where_it_was() {
    let server = prepared().await;
    let slot = "SELECT confirmed_flush_lsn FROM pg_replication_slots";
    let before = sql(&server).value(slot).unwrap();
    let (config, options) = (config(&server), StreamOptions::new("s", ["p"]));
    let mut polls = 0;
    loop {
        let connecting = Stream::connect(&config).options(options.clone()).start();
        let done = polled(polls, connecting).await.is_some();
        nobody_is_left(&server).await;
        assert_eq!(sql(&server).value(slot).unwrap(), before);
        if done {
            break;
        }
        polls += 1;
    }
    assert!(polls > 4, "{polls}");
}

/// Waits until the server has so many sessions of ours.
async fn nobody_but(server: &Server, sessions: u32) {
    let query = format!(
        "SELECT count(*) = {sessions} FROM pg_stat_activity WHERE application_name = 'walstream'"
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    while sql(server).value(&query).unwrap() != "t" {
        assert!(Instant::now() < deadline, "a session is left behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn ids(transaction: &mut Transaction) -> Vec<i32> {
    let mut changes = transaction.changes().unwrap();
    let mut ids = Vec::new();
    while let Some((_, change)) = changes.next().unwrap() {
        if let Change::Insert { new, .. } = change {
            let Some(Column::Text(id)) = new.columns().next() else {
                panic!("{new:?}")
            };
            ids.push(std::str::from_utf8(id).unwrap().parse().unwrap());
        }
    }
    ids
}

/// Transactions of one to several hundred rows, `ROWS` in all, while the test reads.
fn writer(server: &Server) -> std::thread::JoinHandle<()> {
    let mut client = sql(server);
    std::thread::spawn(move || {
        let mut id = 0;
        for lot in [1, 1, 1, 500, 1, 7, 300, 1, 1].into_iter().cycle() {
            let last = ROWS.min(id + lot);
            let insert = format!(
                "INSERT INTO t SELECT i, repeat('x', i % 3000) FROM generate_series({}, {last}) i",
                id + 1
            );
            client.batch(&insert).unwrap();
            id = last;
            if id == ROWS {
                return;
            }
        }
    })
}

const ROWS: i32 = 6000;

#[tokio::test(flavor = "multi_thread")]
async fn each_transaction_comes_once_however_often_next_is_dropped() {
    let server = prepared().await;
    let mut stream = started(&server).await;
    let writer = writer(&server);
    let mut random = Random::new();
    let (mut come, mut dropped, mut last) = (Vec::new(), 0, Lsn::ZERO);
    while come.len() < usize::try_from(ROWS).unwrap() {
        let polls = usize::try_from(random.below(3)).unwrap();
        match polled(polls, stream.next_event()).await {
            None => {
                dropped += 1;
                tokio::task::yield_now().await;
            }
            Some(event) => match event.unwrap().expect("the stream goes on") {
                Event::Transaction(mut transaction) => {
                    assert!(transaction.end_lsn() > last);
                    last = transaction.end_lsn();
                    come.extend(ids(&mut transaction));
                    transaction.confirm();
                }
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            },
        }
    }
    writer.join().unwrap();
    assert_eq!(come, (1..=ROWS).collect::<Vec<_>>());
    assert!(dropped > 10, "{dropped}");
    stream.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_frame_comes_once_however_often_next_is_dropped() {
    let server = prepared().await;
    let mut stream = start_raw(connect(&server).await).await.unwrap();
    let writer = writer(&server);
    let mut random = Random::new();
    let (mut come, mut dropped) = (Vec::new(), 0);
    while come.len() < usize::try_from(ROWS).unwrap() {
        let polls = usize::try_from(random.below(3)).unwrap();
        match polled(polls, stream.next()).await {
            None => {
                dropped += 1;
                tokio::task::yield_now().await;
            }
            Some(frame) => {
                let frame = frame.unwrap().expect("the stream goes on");
                // An insert: its mark, its table, 'N', two columns, 't', the length of the number, the number.
                let bytes = &frame.bytes()[25.min(frame.bytes().len())..];
                if bytes.first() == Some(&b'I') {
                    let length = usize::from(bytes[12]);
                    let id = std::str::from_utf8(&bytes[13..13 + length]).unwrap();
                    come.push(id.parse::<i32>().unwrap());
                }
                frame.token().confirm();
            }
        }
    }
    writer.join().unwrap();
    assert_eq!(come, (1..=ROWS).collect::<Vec<_>>());
    assert!(dropped > 10, "{dropped}");
    stream.finish().await.unwrap();
}

#[tokio::test]
async fn a_dropped_finish_closes_and_what_was_not_told_comes_again() {
    let server = prepared().await;
    let mut id = 0;
    let (mut polls, mut finished) = (0, [false; 2]);
    while finished != [true; 2] {
        id += 1;
        let insert = format!("INSERT INTO t VALUES ({id}, '')");
        sql(&server).batch(&insert).unwrap();
        let mut stream = started(&server).await;
        let mut transaction = loop {
            match stream.next_event().await.unwrap().unwrap() {
                Event::Transaction(transaction) => break transaction,
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(ids(&mut transaction), [id]);
        let end = transaction.end_lsn();
        transaction.confirm();
        finished[0] = polled(polls, stream.finish())
            .await
            .map(Result::unwrap)
            .is_some();
        nobody_is_left(&server).await;
        let at = sql(&server)
            .value("SELECT confirmed_flush_lsn FROM pg_replication_slots")
            .unwrap();
        let at: Lsn = at.parse().unwrap();
        assert!(!finished[0] || at >= end, "it said it was done");

        let raw = start_raw(connect(&server).await).await.unwrap();
        finished[1] = polled(polls, raw.finish()).await.is_some();
        nobody_is_left(&server).await;
        polls += 1;
        // Behind what may have been left over.
        let written = sql(&server).value("SELECT pg_current_wal_lsn()").unwrap();
        let written: Lsn = written.parse().unwrap();
        let mut stream = started(&server).await;
        while stream.progress().durable() < written {
            stream.ping();
            match stream.next_event().await.unwrap().unwrap() {
                Event::Transaction(transaction) => transaction.confirm(),
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            }
        }
        stream.finish().await.unwrap();
        nobody_is_left(&server).await;
    }
    assert!(polls > 1, "{polls}");
}
