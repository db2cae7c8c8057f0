//! Slots on a standby: what keeps one from being made or read there, and how it is lost. And lost to idleness.

use std::time::Duration;

use testdata::{Server, Version};
use walstream::walproto::Lsn;
use walstream::{
    AlterSlot, Client, ErrorKind, Limits, SlotOptions, SlotState, Stream, StreamOptions, WalStatus,
};

use crate::{refused, replication, sql};

fn admin(server: &Server, text: &str) {
    testdata::Client::connect(server, "postgres")
        .and_then(|mut client| client.batch(text))
        .unwrap();
}

fn p(slot: &str) -> StreamOptions {
    StreamOptions::new(slot, ["p"])
}

/// A primary with a publication, and a standby of it.
fn pair(builder: testdata::Builder) -> (Server, Server) {
    let mut primary = builder.setting("autovacuum", "off").start();
    admin(&primary, "CREATE PUBLICATION p");
    let standby = Server::standby_of(&mut primary);
    standby.catch_up_with(&primary);
    (primary, standby)
}

/// Makes a slot on the standby.
async fn make(primary: &Server, standby: &Server, name: &str) {
    let (mut maker, mut observer) = (replication(standby).await, sql(standby).await);
    maker
        .create_slot_reporting(name, &SlotOptions::default(), &mut observer, |_| {
            admin(primary, "SELECT pg_log_standby_snapshot()");
        })
        .await
        .unwrap();
}

/// Waits until the server has given up the slot, with `nudge` before each look, and says why it has.
async fn lost(server: &Server, name: &str, mut nudge: impl FnMut()) -> String {
    let mut client = sql(server).await;
    for _ in 0..600 {
        nudge();
        let slot = client.slot(name).await.unwrap().unwrap();
        if let SlotState::Lost { reason } = slot.state {
            return reason;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the slot is not lost:\n{}", server.log());
}

#[tokio::test]
async fn before_16_a_standby_sends_to_its_primary_also_in_german() {
    let german = || Server::distribution().locale("de_DE.UTF-8");
    for builder in [Server::builder(Version::V14), german()] {
        let (_primary, standby) = pair(builder);
        if standby.version() >= Version::V16 {
            continue;
        }
        let mut client = replication(&standby).await;
        let error = client
            .create_slot("s", &SlotOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert_eq!(error.sqlstate(), Some("0A000"));
        assert!(error.hint().unwrap().contains("primary") && error.needs_person());
        // The WAL sender that refused it is as good as before.
        assert!(client.identify_system().await.is_ok());
    }
}

#[tokio::test]
async fn a_slot_on_a_standby_is_lost_with_the_level_of_its_primary_from_16_on() {
    for version in [Version::V16, Version::V17, Version::V18] {
        let (mut primary, standby) = pair(Server::builder(version));
        make(&primary, &standby, "s").await;
        let mut client = sql(&standby).await;
        let slot = client.slot("s").await.unwrap().unwrap();
        assert_eq!(
            (slot.conflicting, slot.state),
            (Some(false), SlotState::Usable)
        );
        primary.set("wal_level", "replica");
        primary.restart();
        let expected = if version == Version::V16 {
            "conflicting"
        } else {
            "wal_level_insufficient"
        };
        assert_eq!(lost(&standby, "s", || ()).await, expected, "{version}");
        let slot = client.slot("s").await.unwrap().unwrap();
        assert_eq!(slot.conflicting, Some(true), "{version}");

        let error = refused(&standby, &p("s")).await;
        assert_eq!(error.kind(), ErrorKind::SlotLost);
        assert!(error.to_string().ends_with(&format!("is lost: {expected}")));
        assert!(error.hint().unwrap().contains("wal_level"), "{error:?}");
        assert!(error.needs_person());

        // A new one cannot be made, though the standby's own setting is what it should be.
        let mut maker = replication(&standby).await;
        let error = maker
            .create_slot("t", &SlotOptions::default())
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.sqlstate()),
            (ErrorKind::WalLevel, Some("55000")),
            "{error:?}"
        );
        assert!(
            error.hint().unwrap().contains("on the primary"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_slot_on_a_standby_is_lost_with_the_rows_that_it_needs_from_16_on() {
    for version in [Version::V16, Version::V17, Version::V18] {
        let (primary, standby) = pair(Server::builder(version));
        make(&primary, &standby, "s").await;
        standby.set("hot_standby_feedback", "off");
        standby.reload();
        let expected = if version == Version::V16 {
            "conflicting"
        } else {
            "rows_removed"
        };
        let reason = lost(&standby, "s", || {
            for text in [
                "CREATE TABLE x (id int)",
                "DROP TABLE x",
                "VACUUM pg_catalog.pg_class",
            ] {
                admin(&primary, text);
            }
        });
        assert_eq!(reason.await, expected, "{version}");
        let error = refused(&standby, &p("s")).await;
        assert_eq!(error.kind(), ErrorKind::SlotLost);
        assert!(
            error.hint().unwrap().contains("hot_standby_feedback"),
            "{error:?}"
        );
        assert!(error.needs_person());
    }
}

#[tokio::test]
async fn a_slot_that_nobody_reads_is_lost_to_idleness_from_18_on() {
    let server = Server::builder(Version::V18)
        .setting("idle_replication_slot_timeout", "1s")
        .start();
    admin(&server, "CREATE PUBLICATION p");
    replication(&server)
        .await
        .create_slot("s", &SlotOptions::default())
        .await
        .unwrap();
    // Looked at by checkpoints only.
    let reason = lost(&server, "s", || {
        admin(
            &server,
            "SELECT pg_logical_emit_message(false, 'x', 'y'); CHECKPOINT",
        );
    });
    assert_eq!(reason.await, "idle_timeout");
    let error = refused(&server, &p("s")).await;
    assert_eq!(error.kind(), ErrorKind::SlotLost);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("idle_replication_slot_timeout"),
        "{error:?}"
    );
    let slot = sql(&server).await.slot("s").await.unwrap().unwrap();
    assert!(slot.inactive_since.is_some() && slot.conflicting == Some(false));
}

#[tokio::test]
async fn a_copy_of_the_primarys_slot_can_be_read_after_a_promotion_from_17_on() {
    for version in [Version::V17, Version::V18] {
        let (primary, standby) = pair(Server::builder(version));
        let mut client = replication(&primary).await;
        let options = SlotOptions {
            failover: true,
            ..SlotOptions::default()
        };
        client.create_slot("kept", &options).await.unwrap();
        let mut there = sql(&standby).await;
        let mut attempts = 0;
        loop {
            // The primary's slot has to be past the point where the standby can begin.
            admin(
                &primary,
                "SELECT pg_log_standby_snapshot(); SELECT pg_replication_slot_advance('kept', pg_current_wal_lsn())",
            );
            standby.catch_up_with(&primary);
            there
                .execute("SELECT pg_sync_replication_slots()")
                .await
                .unwrap();
            let copy = there.slot("kept").await.unwrap();
            if copy.is_some_and(|copy| !copy.temporary) {
                break;
            }
            attempts += 1;
            assert!(attempts < 300, "{version}: {}", standby.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let copy = there.slot("kept").await.unwrap().unwrap();
        assert_eq!((copy.failover, copy.synced), (Some(true), Some(true)));
        let original = client.slot("kept").await.unwrap().unwrap();
        assert_eq!(
            (original.failover, original.synced),
            (Some(true), Some(false))
        );
        assert_eq!(original.wal_status, Some(WalStatus::Reserved));

        let error = refused(&standby, &p("kept")).await;
        assert_eq!(error.kind(), ErrorKind::SlotSynced, "{version}: {error:?}");
        assert!(error.needs_person() && error.hint().unwrap().contains("pg_promote()"));

        // Its own slots are its own, and cannot be made to fail over.
        make(&primary, &standby, "own").await;
        let changes = AlterSlot {
            failover: Some(true),
            ..AlterSlot::default()
        };
        let error = replication(&standby)
            .await
            .alter_slot("own", &changes)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert!(error.hint().unwrap().contains("primary"));

        standby.promote();
        let client = Client::connect_replication(&crate::config(&standby)).await;
        let options = p("kept");
        let stream = Stream::start(client.unwrap(), &options, Lsn::ZERO, Limits::default());
        stream.await.unwrap().finish().await.unwrap();
        let identity = replication(&standby).await.identify_system().await.unwrap();
        assert_eq!(identity.timeline, 2);
        let history = replication(&standby)
            .await
            .timeline_history(2)
            .await
            .unwrap();
        assert_eq!(history.len(), 1);
    }
}
