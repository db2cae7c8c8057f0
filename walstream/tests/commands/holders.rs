//! A slot that another session uses is waited for, and then reported with who that is.

use std::time::{Duration, Instant};

use testdata::{Server, Version};
use walstream::walproto::Lsn;
use walstream::{Client, ErrorKind, RawStream, SlotOptions, StreamOptions};

use crate::{config, replication, sql};

fn options(wait: Option<Duration>) -> StreamOptions {
    StreamOptions {
        slot_wait: wait,
        ..StreamOptions::new("held", ["p"])
    }
}

/// A server with a slot, and the session that holds it.
async fn held(version: Version) -> (Server, RawStream, i32) {
    let server = Server::start(version);
    sql(&server)
        .await
        .execute("CREATE PUBLICATION p")
        .await
        .unwrap();
    replication(&server)
        .await
        .create_slot("held", &SlotOptions::default())
        .await
        .unwrap();
    let config = config(&server).with_application_name("the holder");
    let holder = Client::connect_replication(&config).await.unwrap();
    let pid = holder.process_id();
    let stream = RawStream::start(holder, &options(None), Lsn::ZERO, 1 << 20)
        .await
        .unwrap();
    (server, stream, pid)
}

#[tokio::test]
async fn a_holder_that_leaves_in_time_is_no_error_on_any_version() {
    for version in Version::ALL {
        let (server, holder, pid) = held(version).await;
        let newcomer = replication(&server).await;
        let successor = newcomer.process_id();
        let options = options(Some(Duration::from_secs(60)));
        let start = RawStream::start(newcomer, &options, Lsn::ZERO, 1 << 20);
        tokio::pin!(start);
        // It does not give up while the slot is held,
        let early = tokio::time::timeout(Duration::from_millis(1500), &mut start).await;
        assert!(early.is_err(), "{version}: {early:?}");
        let mut looking = sql(&server).await;
        let slot = looking.slot("held").await.unwrap().unwrap();
        assert_eq!(slot.active_pid, Some(pid));
        // and has it once it is free, over the same session.
        holder.finish().await.unwrap();
        let stream = tokio::time::timeout(Duration::from_secs(60), start)
            .await
            .unwrap()
            .unwrap();
        let slot = looking.slot("held").await.unwrap().unwrap();
        assert_eq!(slot.active_pid, Some(successor), "{version}");
        stream.finish().await.unwrap();
        // Waiting is not trying: the log would fill.
        let refusals = server.log().matches("ERROR:").count();
        assert_eq!(refusals, 1, "{version}:\n{}", server.log());
    }
}

#[tokio::test]
async fn a_holder_that_stays_is_named_on_every_version() {
    for version in Version::ALL {
        let (server, holder, pid) = held(version).await;
        let mut looking = sql(&server).await;
        let known = looking.slot_holder("held").await.unwrap().unwrap();
        assert_eq!((known.pid, known.user.as_deref()), (pid, Some("postgres")));
        assert_eq!(known.application_name.as_deref(), Some("the holder"));
        assert_eq!(known.client_address.as_deref(), Some("127.0.0.1"));
        assert!(known.since.is_some());

        let wait = Duration::from_millis(700);
        for wait in [Duration::ZERO, wait] {
            let began = Instant::now();
            let newcomer = replication(&server).await;
            let error = RawStream::start(newcomer, &options(Some(wait)), Lsn::ZERO, 1 << 20)
                .await
                .map(|_| ())
                .unwrap_err();
            assert!(began.elapsed() >= wait, "it did not wait");
            assert_eq!(error.kind(), ErrorKind::SlotInUse { pid: Some(pid) });
            let text = error.to_string();
            assert_eq!(
                text,
                format!("replication slot \"held\" is in use by {known}")
            );
            for part in ["\"the holder\"", "127.0.0.1", "since 20", "\"postgres\""] {
                assert!(text.contains(part), "{part} is not in {text}");
            }
            assert!(error.is_transient() && error.sqlstate() == Some("55006"));
            let hint = error.hint().unwrap();
            assert!(hint.contains(&format!("pg_terminate_backend({pid})")));
        }
        holder.finish().await.unwrap();
        assert_eq!(looking.slot_holder("absent").await.unwrap(), None);
    }
}

#[tokio::test]
async fn without_a_word_the_wait_is_the_sessions_own_timeout_and_a_second() {
    let (server, holder, pid) = held(Version::NEWEST).await;
    let config = config(&server).with_wal_sender_timeout(Duration::from_secs(1));
    let newcomer = Client::connect_replication(&config).await.unwrap();
    let began = Instant::now();
    let error = RawStream::start(newcomer, &options(None), Lsn::ZERO, 1 << 20)
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlotInUse { pid: Some(pid) });
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_secs(2) && waited < Duration::from_secs(12),
        "{waited:?}"
    );
    holder.finish().await.unwrap();
}

#[tokio::test]
async fn a_slot_that_goes_while_it_is_waited_for_is_missing() {
    let server = Server::start(Version::NEWEST);
    sql(&server)
        .await
        .execute("CREATE PUBLICATION p")
        .await
        .unwrap();
    // Gone at the moment when it is free.
    let mut holder = replication(&server).await;
    let temporary = SlotOptions {
        temporary: true,
        ..SlotOptions::default()
    };
    holder.create_slot("held", &temporary).await.unwrap();
    let newcomer = replication(&server).await;
    let options = options(Some(Duration::from_secs(60)));
    let start = RawStream::start(newcomer, &options, Lsn::ZERO, 1 << 20);
    tokio::pin!(start);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut start).await;
    assert!(early.is_err(), "{early:?}");
    holder.close().await.unwrap();
    let error = start.await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlotMissing, "{error:?}");
}

/// A role that may not see the sessions of others still learns who.
#[tokio::test]
async fn a_holder_is_named_as_far_as_the_role_may_see_it() {
    let (server, holder, pid) = held(Version::V16).await;
    sql(&server)
        .await
        .execute("CREATE ROLE other LOGIN REPLICATION")
        .await
        .unwrap();
    let url = server.url("postgres").replace("postgres@", "other@");
    let newcomer = Client::connect_replication(&url.parse().unwrap())
        .await
        .unwrap();
    let error = RawStream::start(newcomer, &options(Some(Duration::ZERO)), Lsn::ZERO, 1 << 20)
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "replication slot \"held\" is in use by server process {pid} (application \"the holder\", role \"postgres\")"
        )
    );
    holder.finish().await.unwrap();
}
