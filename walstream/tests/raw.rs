//! Raw frames against real servers: what the server's slot says after each gap in the order of events.

use std::time::{Duration, Instant};

use testdata::{Server, Version};
use walstream::walproto::{Decoder, Frame, Lsn, Message};
use walstream::{
    Client, Config, ErrorKind, RawStream, RawToken, SlotOptions, StreamOptions, Streaming,
};

const SLOT: &str = "s";
const MEMORY: u64 = 1 << 20;

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

fn config(server: &Server) -> Config {
    Config::parse(&server.socket_url("postgres")).unwrap()
}

/// A server with a published table `t`, an unpublished `u`, and a slot.
async fn server(version: Version, slot: SlotOptions) -> Server {
    let server = Server::builder(version)
        .setting("logical_decoding_work_mem", "64kB")
        .setting("max_prepared_transactions", 5)
        .start();
    sql(&server)
        .batch(
            "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (v text); CREATE PUBLICATION p FOR TABLE t",
        )
        .unwrap();
    let mut wire = Client::connect_replication(&config(&server)).await.unwrap();
    wire.create_slot(SLOT, &slot).await.unwrap();
    server
}

async fn stream_from(server: &Server, start: Lsn, options: &StreamOptions) -> RawStream {
    // After a lost connection the server needs a moment to let go of the slot.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let client = Client::connect_replication(&config(server)).await.unwrap();
        match RawStream::start(client, options, start, MEMORY).await {
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

async fn stream(server: &Server) -> RawStream {
    stream_from(server, Lsn::ZERO, &StreamOptions::new(SLOT, ["p"])).await
}

/// A frame that was kept.
struct Kept {
    bytes: Vec<u8>,
    token: RawToken,
}

async fn frame(stream: &mut RawStream) -> Kept {
    let next = tokio::time::timeout(Duration::from_secs(60), stream.next());
    let frame = next.await.expect("a frame in time").unwrap();
    let frame = frame.expect("the stream goes on");
    Kept {
        bytes: frame.bytes().to_vec(),
        token: frame.token(),
    }
}

/// The tag of the message in a frame, or `k`.
fn tag(frame: &Kept) -> char {
    match Frame::parse(&frame.bytes).unwrap() {
        Frame::WalData(wal) => char::from(wal.data[0]),
        _ => 'k',
    }
}

/// Frames up to the next with this tag; what they say, keepalives left out, and the last of them.
async fn until(stream: &mut RawStream, last: char) -> (String, Kept) {
    let mut said = String::new();
    loop {
        let frame = frame(stream).await;
        let tag = tag(&frame);
        if tag != 'k' {
            said.push(tag);
        }
        if tag == last {
            return (said, frame);
        }
    }
}

/// The next commit's end, out of its message.
fn end_lsn(frame: &Kept) -> Lsn {
    let Frame::WalData(wal) = Frame::parse(&frame.bytes).unwrap() else {
        panic!("a keepalive")
    };
    match Decoder::new().decode(wal.data).unwrap().message {
        Message::Commit(commit) => commit.end_lsn,
        Message::StreamCommit(commit) => commit.end_lsn,
        Message::Prepare(prepare) => prepare.end_lsn,
        other => panic!("{other:?}"),
    }
}

fn confirmed(server: &Server) -> Lsn {
    let query =
        format!("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{SLOT}'");
    sql(server).value(&query).unwrap().parse().unwrap()
}

/// Waits until the server's slot is at this position exactly.
async fn wait_for_slot(server: &Server, lsn: Lsn) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while confirmed(server) != lsn {
        assert!(
            Instant::now() < deadline,
            "the slot is at {}, not at {lsn}",
            confirmed(server)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn insert(server: &Server, id: i32) {
    sql(server)
        .batch(&format!("INSERT INTO t VALUES ({id}, 'x')"))
        .unwrap();
}

/// Steps 1 to 3 of the order of events: received, written, durable, and nothing handed back.
#[tokio::test]
async fn what_was_not_handed_back_comes_again_after_a_crash() {
    for version in Version::ALL {
        let server = server(version, SlotOptions::default()).await;
        let begin = confirmed(&server);
        insert(&server, 1);
        let mut first = stream(&server).await;
        let (said, commit) = until(&mut first, 'C').await;
        assert_eq!(said, "BRIC", "{version:?}");
        drop(first);
        assert_eq!(confirmed(&server), begin, "{version:?}");

        // Step 4 without step 5: on this one thread the task has no turn between the two.
        let mut second = stream(&server).await;
        let (said, again) = until(&mut second, 'C').await;
        assert_eq!(
            (said.as_str(), again.bytes.len()),
            ("BRIC", commit.bytes.len())
        );
        again.token.confirm();
        drop(second);
        assert_eq!(confirmed(&server), begin, "{version:?}");

        // Who knows what is durable starts there, and nothing comes twice.
        insert(&server, 2);
        let start = again.token.lsn();
        let mut third = stream_from(&server, start, &StreamOptions::new(SLOT, ["p"])).await;
        let (said, commit) = until(&mut third, 'C').await;
        assert_eq!(said, "BRIC");
        assert!(end_lsn(&commit) > start);
        commit.token.confirm();
        wait_for_slot(&server, end_lsn(&commit)).await;
        drop(third);
        assert_eq!(confirmed(&server), end_lsn(&commit), "{version:?}");
    }
}

/// Step 5, and a crash of the server: it may forget, and the consumer does not.
#[tokio::test]
async fn a_server_that_forgot_sends_nothing_twice_to_who_remembers() {
    let mut server = server(Version::NEWEST, SlotOptions::default()).await;
    insert(&server, 1);
    sql(&server).batch("CHECKPOINT").unwrap();
    let begin = confirmed(&server);
    let mut first = stream(&server).await;
    let (_, commit) = until(&mut first, 'C').await;
    commit.token.confirm();
    wait_for_slot(&server, end_lsn(&commit)).await;
    server.kill();
    server.start_again();
    assert_eq!(
        confirmed(&server),
        begin,
        "a server that forgets nothing needs no test"
    );
    drop(first);

    insert(&server, 2);
    let options = StreamOptions::new(SLOT, ["p"]);
    let mut second = stream_from(&server, commit.token.lsn(), &options).await;
    let (said, next) = until(&mut second, 'C').await;
    assert_eq!(said, "BRIC");
    assert!(end_lsn(&next) > end_lsn(&commit));
}

#[tokio::test]
async fn the_slot_moves_to_what_is_handed_back_and_not_further() {
    for version in Version::ALL {
        let server = server(version, SlotOptions::default()).await;
        (1..=3).for_each(|id| insert(&server, id));
        let mut stream = stream(&server).await;
        let (_, first) = until(&mut stream, 'C').await;
        let (_, second) = until(&mut stream, 'C').await;
        let (_, begun) = until(&mut stream, 'B').await;
        let (_, third) = until(&mut stream, 'C').await;
        // The beginning of the third stands for the end of the second, or a keepalive between.
        assert!(begun.token.lsn() >= end_lsn(&second) && begun.token.lsn() < end_lsn(&third));
        second.token.confirm();
        wait_for_slot(&server, end_lsn(&second)).await;
        first.token.confirm();
        stream.ping();
        until(&mut stream, 'k').await;
        assert_eq!(confirmed(&server), end_lsn(&second), "{version:?}");
        third.token.confirm();
        stream.finish().await.unwrap();
        assert_eq!(confirmed(&server), end_lsn(&third), "{version:?}");
    }
}

#[tokio::test]
async fn an_idle_slot_moves_with_keepalives() {
    for version in Version::ALL {
        let server = server(version, SlotOptions::default()).await;
        let mut stream = stream(&server).await;
        sql(&server)
            .batch("INSERT INTO u SELECT repeat('x', 100) FROM generate_series(1, 1000)")
            .unwrap();
        let target: Lsn = sql(&server)
            .value("SELECT pg_current_wal_flush_lsn()")
            .unwrap()
            .parse()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while confirmed(&server) < target {
            stream.ping();
            frame(&mut stream).await.token.confirm();
            assert!(Instant::now() < deadline, "{version:?}");
        }
    }
}

#[tokio::test]
async fn an_open_streamed_transaction_holds_nothing_back_and_comes_again() {
    for version in Version::ALL {
        let server = server(version, SlotOptions::default()).await;
        let mut stream = stream(&server).await;
        let mut long = sql(&server);
        long.batch("BEGIN").unwrap();
        long.batch("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 500) i")
            .unwrap();
        until(&mut stream, 'E').await;
        insert(&server, 5000);
        let (_, short) = until(&mut stream, 'C').await;
        short.token.confirm();
        wait_for_slot(&server, end_lsn(&short)).await;
        stream.finish().await.unwrap();
        long.batch("COMMIT").unwrap();

        let mut stream = self::stream(&server).await;
        let mut said = String::new();
        let commit = loop {
            let frame = frame(&mut stream).await;
            match tag(&frame) {
                'C' | 'c' => break frame,
                tag => said.push(tag),
            }
        };
        let rows = said.chars().filter(|&tag| tag == 'I').count();
        assert_eq!(rows, 500, "{version:?}: {said}");
        commit.token.confirm();
        stream.finish().await.unwrap();
        assert_eq!(confirmed(&server), end_lsn(&commit), "{version:?}");
    }
}

#[tokio::test]
async fn a_prepared_transaction_holds_until_its_content_is_durable() {
    for version in Version::ALL
        .into_iter()
        .filter(|version| version.max_protocol() >= 3)
    {
        let slot = SlotOptions {
            two_phase: true,
            ..SlotOptions::default()
        };
        let server = server(version, slot).await;
        let begin = confirmed(&server);
        let options = StreamOptions {
            two_phase: true,
            streaming: Streaming::Off,
            ..StreamOptions::new(SLOT, ["p"])
        };
        sql(&server)
            .batch("BEGIN; INSERT INTO t VALUES (1, 'x'); PREPARE TRANSACTION 'g'")
            .unwrap();
        let mut stream = stream_from(&server, Lsn::ZERO, &options).await;
        let (_, row) = until(&mut stream, 'I').await;
        let (_, prepare) = until(&mut stream, 'P').await;
        // Everything up to its row is durable, and that is nothing.
        row.token.confirm();
        stream.ping();
        until(&mut stream, 'k').await;
        assert!(row.token.lsn() <= end_lsn(&prepare));
        assert!(confirmed(&server) < end_lsn(&prepare), "{version:?}");
        drop(stream);

        let mut stream = stream_from(&server, Lsn::ZERO, &options).await;
        let (said, prepare) = until(&mut stream, 'P').await;
        assert_eq!(said, "bRIP", "{version:?}: it comes again");
        prepare.token.confirm();
        wait_for_slot(&server, end_lsn(&prepare)).await;
        drop(stream);

        // From there on only its end comes.
        sql(&server).batch("COMMIT PREPARED 'g'").unwrap();
        let mut stream = stream_from(&server, Lsn::ZERO, &options).await;
        let (said, commit) = until(&mut stream, 'K').await;
        assert_eq!(said, "K", "{version:?}");
        commit.token.confirm();
        stream.finish().await.unwrap();
        assert!(confirmed(&server) > end_lsn(&prepare) && confirmed(&server) > begin);
    }
}

#[tokio::test]
async fn a_consumer_that_takes_nothing_keeps_its_connection() {
    let server = server(Version::NEWEST, SlotOptions::default()).await;
    let url = format!("{}&wal_sender_timeout=2s", server.socket_url("postgres"));
    let config = Config::parse(&url).unwrap();
    let client = Client::connect_replication(&config).await.unwrap();
    let options = StreamOptions::new(SLOT, ["p"]);
    let mut stream = RawStream::start(client, &options, Lsn::ZERO, 64 << 10)
        .await
        .unwrap();
    // Far more than fits into what waits and into the socket.
    sql(&server)
        .batch("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i")
        .unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut rows = 0;
    loop {
        match tag(&frame(&mut stream).await) {
            'I' => rows += 1,
            'c' | 'C' => break,
            _ => {}
        }
    }
    assert_eq!(rows, 20_000);
    stream.finish().await.unwrap();
}
