//! Slots that got `two_phase` when transactions were prepared already.

use walstream::PreparedDelivery::{AtCommit, AtPrepare};
use walstream::{AlterSlot, ErrorKind};

use super::*;

fn two_phase() -> StreamOptions {
    StreamOptions {
        protocol: Some(3),
        two_phase: true,
        ..options()
    }
}

/// A slot without `two_phase`, confirmed behind the prepares of `a` and `b`.
async fn confirmed_behind(version: Version) -> Server {
    let server = server(version, false).await;
    prepare(&server, "a", 1);
    prepare(&server, "b", 2);
    let mut reader = Reader::start(builder(&server, AtCommit)).await;
    insert(&server, 3);
    reader.expect(&["plain: 3"]).await;
    let ended = reader.last;
    reader.until_slot(&server, |lsn| lsn >= ended).await;
    reader.finish(&server).await;
    free(&server).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_prepares_come_directly_before_their_commits() {
    for version in versions() {
        let server = confirmed_behind(version).await;
        let acknowledged = confirmed(&server);
        let mut reader = Reader::start(builder(&server, AtPrepare).options(two_phase())).await;
        reader.hold();
        insert(&server, 4);
        reader.expect(&["plain: 4"]).await;
        commit(&server, "a");
        reader.expect(&["prepared a: 1"]).await;
        assert!(reader.last < acknowledged, "{version:?}");
        reader.expect(&["committed a"]).await;
        // A repeat of both is left out whole.
        terminate(&server);
        insert(&server, 5);
        reader.expect(&["plain: 5"]).await;
        assert_eq!(reader.reconnected, 1);
        roll_back(&server, "b");
        reader.expect(&["rolled back b"]).await;
        reader.vanish(&server).await;

        // Nothing was confirmed: a new consumer gets both again.
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        reader
            .expect(&[
                "plain: 4",
                "prepared a: 1",
                "committed a",
                "plain: 5",
                "rolled back b",
            ])
            .await;
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        assert!(confirmed(&server) >= ended);
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_prepares_are_whole_transactions_at_their_commits() {
    for version in versions() {
        let server = confirmed_behind(version).await;
        let mut reader = Reader::start(builder(&server, AtCommit).options(two_phase())).await;
        prepare(&server, "c", 4);
        commit(&server, "a");
        reader.expect(&["a: 1"]).await;
        roll_back(&server, "b");
        commit(&server, "c");
        reader.expect(&["c: 4"]).await;
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_slot_sends_them_at_their_commit_as_any_other() {
    for version in Version::ALL {
        let server = server(version, false).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        prepare(&server, "a", 1);
        insert(&server, 2);
        reader.expect(&["plain: 2"]).await;
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        commit(&server, "a");
        reader.expect(&["plain: 1"]).await;
        reader.finish(&server).await;
    }
}

/// Versions from 18 on then know of no position from where prepared transactions are sent at their prepare, and take all
/// for sent. START_REPLICATION with `two_phase` sets it.
#[tokio::test(flavor = "multi_thread")]
async fn earlier_prepares_are_lost_where_it_is_switched_on_by_alter() {
    let server = confirmed_behind(Version::NEWEST).await;
    let mut wire = Client::connect_replication(&config(&server)).await.unwrap();
    let changes = AlterSlot {
        two_phase: Some(true),
        ..AlterSlot::default()
    };
    wire.alter_slot(SLOT, &changes).await.unwrap();
    drop(wire);
    let mut reader = Reader::start(builder(&server, AtCommit)).await;
    prepare(&server, "c", 4);
    commit(&server, "c");
    reader.expect(&["c: 4"]).await;
    commit(&server, "a");
    let error = reader.next().await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::TwoPhase,
        "not passed over: {error}"
    );
    reader.vanish(&server).await;
    let mut reader = Reader::start(builder(&server, AtPrepare)).await;
    reader.expect(&["committed a"]).await;
    roll_back(&server, "b");
    reader.expect(&["rolled back b"]).await;
    reader.finish(&server).await;
}
