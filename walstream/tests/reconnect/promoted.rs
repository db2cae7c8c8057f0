//! Standbys: one that takes over, and one that is read from.

use std::thread;
use std::time::{Duration, Instant};

use testdata::{Proxy, Server, Version};
use walstream::walproto::Lsn;
use walstream::{
    Client, Endpoint, ErrorKind, Failover, Reconnect, SlotOptions, Stream, TargetSessionAttrs,
};

use crate::flow::{Reader, Writer};
use crate::{SLOT, at, connect, options, prepare, soon};

/// A primary and a standby that keeps its failover slots in step.
async fn pair(version: Version) -> (Server, Server) {
    let mut primary = Server::builder(version)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    let standby = Server::standby_of(&mut primary);
    primary.set("synchronized_standby_slots", standby.slot_on_primary());
    primary.reload();
    prepare(
        &primary,
        &SlotOptions {
            failover: true,
            ..SlotOptions::default()
        },
    )
    .await;
    (primary, standby)
}

/// Reads on until the standby has the slot, as good as one of its own. It has it once the stream has passed a place
/// where the primary said which transactions run.
async fn synchronise(reader: &mut Reader, primary: Server, standby: Server) -> (Server, Server) {
    reader
        .meanwhile(move || {
            let open = |server| testdata::Client::connect(server, "postgres").expect("a connection");
            let (mut here, mut there) = (open(&primary), open(&standby));
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                here.batch("SELECT pg_log_standby_snapshot()")
                    .expect("a snapshot");
                standby.catch_up_with(&primary);
                there
                    .batch("SELECT pg_sync_replication_slots()")
                    .expect("an attempt to synchronise");
                let synced = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 's' AND synced AND NOT temporary";
                if there.value(synced).expect("a count") == "1" {
                    break;
                }
                assert!(Instant::now() < deadline, "no slot: {}", standby.log());
                thread::sleep(Duration::from_millis(50));
            }
            (primary, standby)
        })
        .await
}

#[tokio::test]
async fn a_promoted_standby_with_the_slot_takes_over_without_loss() {
    for version in [Version::V17, Version::V18] {
        let (primary, standby) = pair(version).await;
        let proxy = Proxy::to(primary.port());
        let stream = connect(&at(proxy.port()), Lsn::ZERO)
            .await
            .expect("a stream");
        let mut reader = Reader::new(stream);
        let writer = Writer::start(&primary);
        reader.go_on(40).await;
        // The standby's own transactions run ahead of the slot for as long as somebody writes.
        writer.stop();
        let (mut primary, standby) = synchronise(&mut reader, primary, standby).await;
        // The slot over there stays behind what is handed out and confirmed here.
        let writer = Writer::start(&primary);
        reader.go_on(40).await;
        let last = writer.stop();
        reader.reach(last).await;
        standby.catch_up_with(&primary);
        primary.stop_immediate();
        standby.promote();
        proxy.lead_to(standby.port());
        let writer = Writer::start(&standby);
        reader.reconnect(1).await;
        reader.go_on(40).await;
        reader.finish(writer, &standby).await;
    }
}

/// Nobody leads anything elsewhere: the string names both.
#[tokio::test]
async fn of_several_hosts_the_one_that_is_the_primary_now_goes_on() {
    let (primary, standby) = pair(Version::V18).await;
    let config = at(standby.port())
        .with_endpoints(
            [standby.port(), primary.port()].map(|port| Endpoint::new("127.0.0.1", port)),
        )
        .with_target_session_attrs(TargetSessionAttrs::Primary);
    let stream = connect(&config, Lsn::ZERO).await.expect("a stream");
    let mut reader = Reader::new(stream);
    let writer = Writer::start(&primary);
    reader.go_on(20).await;
    writer.stop();
    let (mut primary, standby) = synchronise(&mut reader, primary, standby).await;
    let writer = Writer::start(&primary);
    reader.go_on(20).await;
    let last = writer.stop();
    reader.reach(last).await;
    standby.catch_up_with(&primary);
    primary.stop_immediate();
    // While there is no primary, there is nobody to go on with.
    let waiting = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            reader.step().await.expect("the stream waits");
        }
    });
    assert!(waiting.await.is_err());
    assert_eq!(reader.reconnected, 0);
    standby.promote();
    let writer = Writer::start(&standby);
    reader.reconnect(1).await;
    reader.go_on(20).await;
    reader.finish(writer, &standby).await;
}

#[tokio::test]
async fn a_promoted_standby_ends_the_stream_where_that_is_the_policy() {
    let (primary, standby) = pair(Version::V17).await;
    let proxy = Proxy::to(primary.port());
    let policy = Reconnect {
        failover: Failover::Stop,
        ..soon()
    };
    let stream = Stream::connect(at(proxy.port()))
        .options(options())
        .reconnect(policy)
        .start()
        .await
        .expect("a stream");
    let mut reader = Reader::new(stream);
    let (mut primary, standby) = synchronise(&mut reader, primary, standby).await;
    primary.stop_immediate();
    standby.promote();
    proxy.lead_to(standby.port());
    let error = loop {
        if let Err(error) = reader.step().await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Promoted, "{error:?}");
    assert!(error.needs_person());
}

#[tokio::test]
async fn a_standby_is_read_from_and_may_be_promoted_meanwhile() {
    for version in [Version::V16, Version::V17, Version::V18] {
        let mut primary = Server::builder(version)
            .setting("logical_decoding_work_mem", "64kB")
            .start();
        let standby = Server::standby_of(&mut primary);
        testdata::Client::connect(&primary, "postgres")
            .and_then(|mut sql| {
                sql.batch(
                    "CREATE TABLE t (tx int, line int, v text, PRIMARY KEY (tx, line));
                     CREATE PUBLICATION p FOR TABLE t",
                )
            })
            .expect("a table");
        standby.catch_up_with(&primary);
        // A slot on a standby begins when the primary says which transactions run.
        let mut wire = Client::connect_replication(&at(standby.port()))
            .await
            .expect("a connection");
        let creation = async move { wire.create_slot(SLOT, &SlotOptions::default()).await };
        let creation = tokio::spawn(creation);
        while !creation.is_finished() {
            testdata::Client::connect(&primary, "postgres")
                .and_then(|mut sql| sql.batch("SELECT pg_log_standby_snapshot()"))
                .expect("a snapshot");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        creation.await.expect("no panic").expect("a slot");

        let stream = connect(&at(standby.port()), Lsn::ZERO)
            .await
            .expect("a stream");
        let mut reader = Reader::new(stream);
        let writer = Writer::start(&primary);
        reader.go_on(40).await;
        let last = writer.stop();
        reader.reach(last).await;
        primary.stop();
        standby.promote();
        let writer = Writer::start(&standby);
        reader.go_on(40).await;
        reader.finish(writer, &standby).await;
    }
}
