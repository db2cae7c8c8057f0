//! Prepared transactions that wait on our side and come at their commit.

use walstream::walproto::Lsn;
use walstream::{ErrorKind, PreparedDelivery::AtCommit, PreparedDelivery::AtPrepare};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn they_come_at_their_commit_and_hold_the_position_until_then_whatever_was_asked() {
    for version in versions() {
        let server = server(version, true).await;
        let mut base = 0;
        for protocol in 1..=version.max_protocol() {
            let options = StreamOptions {
                protocol: Some(protocol),
                ..options()
            };
            let mut reader = Reader::start(builder(&server, AtCommit).options(options)).await;
            let row = |id: i32| base + id;
            prepare(&server, "a", row(1));
            insert(&server, row(2));
            insert(&server, row(3));
            let [one, two, three] = [1, 2, 3].map(|id| format!("{}", row(id)));
            reader
                .expect(&[&format!("plain: {two}"), &format!("plain: {three}")])
                .await;
            let ended = reader.last;
            // Both are confirmed, and the place of the prepare stands before them.
            reader.stream.ping();
            tokio::time::sleep(Duration::from_millis(200)).await;
            let held = confirmed(&server);
            assert!(held < ended, "{version:?}: {held} is behind the prepare");
            commit(&server, "a");
            reader.expect(&[&format!("a: {one}")]).await;
            let ended = reader.last;
            reader.until_slot(&server, |lsn| lsn >= ended).await;
            reader.finish(&server).await;
            base += 10;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_are_rolled_back_vanish_and_let_the_position_go() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        prepare(&server, "a", 1);
        insert(&server, 2);
        reader.expect(&["plain: 2"]).await;
        let ended = reader.last;
        roll_back(&server, "a");
        reader.until_slot(&server, |lsn| lsn > ended).await;
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_can_be_used_again() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        for (id, commits) in [(1, true), (2, false), (3, false), (4, true)] {
            prepare(&server, "a", id);
            if commits {
                commit(&server, "a");
            } else {
                roll_back(&server, "a");
            }
        }
        reader.expect(&["a: 1", "a: 4"]).await;
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_wait_beside_each_other_and_come_in_the_order_of_their_commits() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        for (gid, id) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            prepare(&server, gid, id);
        }
        commit(&server, "c");
        roll_back(&server, "b");
        insert(&server, 5);
        commit(&server, "a");
        reader.expect(&["c: 3", "plain: 5", "a: 1"]).await;
        let (held, ended) = (confirmed(&server), reader.last);
        assert!(held < ended, "the last holds it");
        commit(&server, "d");
        reader.expect(&["d: 4"]).await;
        reader.until_slot(&server, |lsn| lsn > ended).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_without_published_changes_is_an_empty_transaction() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        run(
            &server,
            &["BEGIN; CREATE TABLE other (id int); PREPARE TRANSACTION 'a'"],
        );
        commit(&server, "a");
        reader.expect(&["a:"]).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_come_again_to_a_consumer_that_starts_between_prepare_and_commit() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        prepare(&server, "a", 1);
        prepare(&server, "b", 2);
        prepare(&server, "c", 3);
        insert(&server, 4);
        reader.expect(&["plain: 4"]).await;
        let stored = reader.last;
        reader.finish(&server).await;
        // Without a consumer.
        roll_back(&server, "b");
        commit(&server, "c");
        free(&server).await;

        // One that goes by the slot gets again what was confirmed behind the prepare; one that stores its position not.
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        reader.hold();
        reader.expect(&["plain: 4", "c: 3"]).await;
        reader.vanish(&server).await;
        let mut reader = Reader::start(builder(&server, AtCommit).position(stored)).await;
        reader.expect(&["c: 3"]).await;
        let stored = reader.last;
        reader.finish(&server).await;
        assert!(confirmed(&server) < stored, "the first is open");
        free(&server).await;

        let mut reader = Reader::start(builder(&server, AtCommit).position(stored)).await;
        commit(&server, "a");
        reader.expect(&["a: 1"]).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_can_be_restarted_while_one_waits() {
    for version in versions() {
        let mut server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        insert(&server, 1);
        prepare(&server, "a", 2);
        prepare(&server, "b", 3);
        insert(&server, 4);
        reader.expect(&["plain: 1", "plain: 4"]).await;
        // It waits until everything is durable, which it cannot be.
        let restart = tokio::task::spawn_blocking(move || {
            server.restart();
            roll_back(&server, "a");
            commit(&server, "b");
            server
        });
        reader.expect(&["b: 3"]).await;
        assert!(reader.reconnected > 0);
        let server = restart.await.unwrap();
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_twice_after_a_crash_of_the_server() {
    for version in versions() {
        let mut server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        prepare(&server, "a", 1);
        prepare(&server, "b", 2);
        prepare(&server, "c", 3);
        commit(&server, "a");
        roll_back(&server, "c");
        reader.expect(&["a: 1"]).await;
        // What it was told of the position may not have reached its disk.
        server.kill();
        server.start_again();
        commit(&server, "b");
        reader.expect(&["b: 2"]).await;
        let ended = reader.last;
        assert_eq!(reader.reconnected, 1);
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_repeats_no_commit_that_was_not_confirmed_yet() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        let before = confirmed(&server);
        reader.hold();
        prepare(&server, "a", 1);
        prepare(&server, "b", 2);
        commit(&server, "a");
        reader.expect(&["a: 1"]).await;
        terminate(&server);
        prepare(&server, "c", 3);
        commit(&server, "b");
        commit(&server, "c");
        reader.expect(&["b: 2", "c: 3"]).await;
        assert_eq!(reader.reconnected, 1);
        assert_eq!(confirmed(&server), before);
        reader.confirm();
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_content_went_to_another_consumer_is_an_error() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        prepare(&server, "a", 1);
        prepare(&server, "b", 2);
        reader.expect(&["prepared a: 1", "prepared b: 2"]).await;
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        reader.finish(&server).await;
        // The rollback needs nothing.
        roll_back(&server, "b");
        insert(&server, 3);
        commit(&server, "a");
        free(&server).await;

        let mut reader = Reader::start(builder(&server, AtCommit)).await;
        reader.expect(&["plain: 3"]).await;
        let error = reader.next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TwoPhase);
        assert!(error.needs_person());
        assert!(error.to_string().contains("\"a\""), "{error}");
        reader.vanish(&server).await;

        // Who stored a position behind the commit has it all.
        let stored: Lsn = sql(&server)
            .value("SELECT pg_current_wal_lsn()")
            .unwrap()
            .parse()
            .unwrap();
        let mut reader = Reader::start(builder(&server, AtCommit).position(stored)).await;
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}
