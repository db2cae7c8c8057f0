//! The session's end and its feedback against real servers: who waits for whom, and for how long.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use testdata::{Server, Version};
use walstream::walproto::Lsn;
use walstream::{
    Change, Client, Config, Event, Limits, SlotOptions, Stream, StreamOptions, Transaction,
};

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

fn config(server: &Server) -> Config {
    Config::parse(&server.socket_url("postgres")).unwrap()
}

/// A published table and a slot; transactions of more than 64 kB are streamed.
async fn prepare(server: &Server) {
    sql(server)
        .batch("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t")
        .unwrap();
    let mut client = Client::connect_replication(&config(server)).await.unwrap();
    client
        .create_slot("s", &SlotOptions::default())
        .await
        .unwrap();
}

async fn start(config: &Config, limits: Limits) -> Stream {
    let client = Client::connect_replication(config).await.unwrap();
    let options = StreamOptions::new("s", ["p"]);
    let stream = Stream::start(client, &options, Lsn::ZERO, limits).await;
    stream.unwrap()
}

fn confirmed(server: &Server) -> Lsn {
    let query = "SELECT confirmed_flush_lsn FROM pg_replication_slots";
    sql(server).value(query).unwrap().parse().unwrap()
}

/// The next transaction; positions before it are confirmed.
async fn transaction(stream: &mut Stream) -> Transaction {
    loop {
        match stream.next_event().await.unwrap() {
            Some(Event::Transaction(transaction)) => return transaction,
            Some(Event::Idle(idle)) => idle.confirm(),
            other => panic!("{other:?}"),
        }
    }
}

/// Confirms whatever comes until the stream ends.
async fn confirm_all(mut stream: Stream) {
    while let Ok(Some(event)) = stream.next_event().await {
        match event {
            Event::Transaction(transaction) => transaction.confirm(),
            Event::Idle(idle) => idle.confirm(),
            other => panic!("{other:?}"),
        }
    }
}

/// Each commit waits for us. If updates left by time alone, a hundred of them would take a thousand seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_us_returns_with_our_confirmation() {
    for version in [Version::V14, Version::NEWEST] {
        let server = Server::start(version);
        prepare(&server).await;
        let config = config(&server)
            .with_application_name("standby")
            .with_wal_sender_timeout(Duration::from_secs(600));
        let consumer = tokio::spawn(confirm_all(start(&config, Limits::default()).await));
        let mut client = sql(&server);
        client
            .batch("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            .unwrap();
        server.reload();
        let state = "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'standby'";
        while client.value(state).unwrap() != "sync" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (done, committed) = mpsc::channel();
        std::thread::spawn(move || {
            for id in 0..100 {
                let insert = format!("INSERT INTO t VALUES ({id}, 'x')");
                client.batch(&insert).unwrap();
            }
            let _ = done.send(client.value("SELECT count(*) FROM t").unwrap());
        });
        let count =
            tokio::task::spawn_blocking(move || committed.recv_timeout(Duration::from_secs(120)));
        let count = count.await.unwrap();
        assert_eq!(count.as_deref(), Ok("100"), "{version:?}");
        consumer.abort();
    }
}

/// A server stops when it has been told of everything it sent, and waits for that as long as it takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_who_does_not_confirm_and_ends_with_his_connection() {
    for version in [Version::V14, Version::NEWEST] {
        let mut server = Server::start(version);
        prepare(&server).await;
        let mut stream = start(&config(&server), Limits::default()).await;
        // Of who never confirmed anything the server takes what he has received for what is durable.
        sql(&server).batch("INSERT INTO t VALUES (1, '')").unwrap();
        transaction(&mut stream).await.confirm();
        sql(&server).batch("INSERT INTO t VALUES (2, '')").unwrap();
        let held = transaction(&mut stream).await;
        let durable = stream.progress().durable();
        let (done, stopped) = mpsc::channel();
        std::thread::spawn(move || {
            server.stop();
            let _ = done.send(());
        });
        // It asks again and again; each question is answered with a position that is true and does not suffice.
        let mut asked = 0;
        while asked < 3 {
            match stream.next_event().await.unwrap() {
                Some(Event::Idle(idle)) => {
                    asked += u32::from(idle.reply_requested());
                    idle.confirm();
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(stopped.try_recv(), Err(mpsc::TryRecvError::Empty));
        assert_eq!(stream.progress().durable(), durable);
        drop((held, stream));
        let stopped =
            tokio::task::spawn_blocking(move || stopped.recv_timeout(Duration::from_secs(60)));
        assert_eq!(stopped.await.unwrap(), Ok::<_, RecvTimeoutError>(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_inside_a_transaction_leaves_it_for_the_next_time() {
    const ROWS: usize = 50_000;
    for version in Version::ALL {
        let server = Server::start(version);
        prepare(&server).await;
        sql(&server).batch("INSERT INTO t VALUES (0, '')").unwrap();
        let insert =
            format!("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, {ROWS}) i");
        sql(&server).batch(&insert).unwrap();
        // So little room that the reading waits behind the first: the second is under way for as long as that.
        let limits = Limits {
            memory: 1,
            ..Limits::default()
        };
        let mut stream = start(&config(&server), limits).await;
        let first = transaction(&mut stream).await;
        let end = first.end_lsn();
        first.confirm();
        stream.finish().await.unwrap();
        assert_eq!(confirmed(&server), end, "{version:?}");

        let mut stream = start(&config(&server), Limits::default()).await;
        let mut rows = 0;
        while rows == 0 {
            // 14 sends those without published changes too.
            let mut transaction = transaction(&mut stream).await;
            let mut changes = transaction.changes().unwrap();
            while let Some((_, change)) = changes.next().unwrap() {
                rows += usize::from(matches!(change, Change::Insert { .. }));
            }
        }
        assert_eq!(rows, ROWS, "{version:?}");
    }
}
