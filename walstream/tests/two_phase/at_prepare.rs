//! Prepared transactions that the consumer keeps.

use std::collections::HashSet;

use walstream::{ErrorKind, PreparedDelivery::AtPrepare};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_content_comes_at_the_prepare_and_its_end_alone() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        prepare(&server, "a", 1);
        prepare(&server, "b", 2);
        insert(&server, 3);
        reader
            .expect(&["prepared a: 1", "prepared b: 2", "plain: 3"])
            .await;
        let ended = reader.last;
        // Open as they are, they hold nothing: the consumer has them.
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        commit(&server, "b");
        roll_back(&server, "a");
        reader.expect(&["committed b", "rolled back a"]).await;
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_only_transactions_is_told_and_loses_nothing() {
    let server = server(Version::NEWEST, true).await;
    let mut reader = Reader::start(builder(&server, AtPrepare)).await;
    prepare(&server, "a", 1);
    for _ in 0..2 {
        let next = tokio::time::timeout(Duration::from_secs(60), reader.stream.next());
        let error = next.await.expect("an answer in time").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint().unwrap().contains("next_event"));
    }
    reader.expect(&["prepared a: 1"]).await;
    reader.finish(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_ones_come_too() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        run(
            &server,
            &["BEGIN; CREATE TABLE other (id int); PREPARE TRANSACTION 'a'"],
        );
        reader.expect(&["prepared a:"]).await;
        commit(&server, "a");
        reader.expect(&["committed a"]).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_came_from_elsewhere_says_so() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        run(
            &server,
            &["SELECT pg_replication_origin_create('elsewhere')"],
        );
        let mut client = sql(&server);
        for statement in [
            "SELECT pg_replication_origin_session_setup('elsewhere')",
            "BEGIN",
            "SELECT pg_replication_origin_xact_setup('0/ABC', now())",
            "INSERT INTO t VALUES (1, '')",
            "PREPARE TRANSACTION 'a'",
        ] {
            client.batch(statement).unwrap();
        }
        loop {
            match reader.stream.next_event().await.unwrap().unwrap() {
                Event::Prepared(it) => {
                    assert_eq!(it.origin().unwrap().name, "elsewhere");
                    it.confirm();
                    break;
                }
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            }
        }
        commit(&server, "a");
        reader.expect(&["committed a"]).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_used_again_has_another_id() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        let mut ids = HashSet::new();
        for id in 1..=3 {
            prepare(&server, "a", id);
            if id == 2 {
                commit(&server, "a");
            } else {
                roll_back(&server, "a");
            }
        }
        let mut open = None;
        let mut ends = 0;
        while ends < 3 {
            match reader.stream.next_event().await.unwrap().unwrap() {
                Event::Prepared(it) => {
                    assert!(ids.insert(it.id().clone()));
                    assert!(it.prepare_lsn() < it.end_lsn());
                    open = Some(it.id().clone());
                    it.confirm();
                }
                Event::RollbackPrepared(it) => {
                    assert_eq!(Some(it.id()), open.as_ref(), "{version:?}");
                    ends += 1;
                    it.confirm();
                }
                Event::CommitPrepared(it) => {
                    let open = open.as_ref().unwrap();
                    assert_eq!((it.gid(), it.xid()), (open.gid.as_str(), open.xid));
                    assert!(it.commit_lsn() >= open.end_lsn);
                    ends += 1;
                    it.confirm();
                }
                Event::Idle(idle) => idle.confirm(),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ids.len(), 3);
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_consumer_repeats_what_was_not_confirmed() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        prepare(&server, "a", 1);
        prepare(&server, "b", 2);
        reader.expect(&["prepared a: 1", "prepared b: 2"]).await;
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        reader.hold();
        prepare(&server, "c", 3);
        prepare(&server, "d", 4);
        commit(&server, "a");
        roll_back(&server, "b");
        let unconfirmed = [
            "prepared c: 3",
            "prepared d: 4",
            "committed a",
            "rolled back b",
        ];
        reader.expect(&unconfirmed).await;
        reader.vanish(&server).await;
        commit(&server, "c");
        roll_back(&server, "d");

        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        reader.hold();
        reader.expect(&unconfirmed).await;
        let stored = reader.last;
        reader.expect(&["committed c", "rolled back d"]).await;
        reader.vanish(&server).await;

        // The same for one that goes by a position of its own: what lies before it is left out.
        let mut reader = Reader::start(builder(&server, AtPrepare).position(stored)).await;
        reader.expect(&["committed c", "rolled back d"]).await;
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_repeats_nothing() {
    for version in versions() {
        let server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        let before = confirmed(&server);
        reader.hold();
        prepare(&server, "a", 1);
        prepare(&server, "b", 2);
        prepare(&server, "c", 3);
        prepare(&server, "d", 4);
        commit(&server, "a");
        roll_back(&server, "c");
        reader
            .expect(&[
                "prepared a: 1",
                "prepared b: 2",
                "prepared c: 3",
                "prepared d: 4",
                "committed a",
                "rolled back c",
            ])
            .await;
        terminate(&server);
        prepare(&server, "a", 5);
        commit(&server, "b");
        roll_back(&server, "d");
        commit(&server, "a");
        reader
            .expect(&[
                "prepared a: 5",
                "committed b",
                "rolled back d",
                "committed a",
            ])
            .await;
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
async fn nothing_comes_twice_after_a_restart_or_a_crash_of_the_server() {
    for version in versions() {
        let mut server = server(version, true).await;
        let mut reader = Reader::start(builder(&server, AtPrepare)).await;
        for (round, kill) in [false, true].into_iter().enumerate() {
            let id = 10 * i32::try_from(round).unwrap();
            prepare(&server, "a", id + 1);
            prepare(&server, "b", id + 2);
            reader
                .expect(&[
                    &format!("prepared a: {}", id + 1),
                    &format!("prepared b: {}", id + 2),
                ])
                .await;
            let restart = tokio::task::spawn_blocking(move || {
                if kill {
                    server.kill();
                    server.start_again();
                } else {
                    server.restart();
                }
                commit(&server, "b");
                roll_back(&server, "a");
                server
            });
            reader.expect(&["committed b", "rolled back a"]).await;
            server = restart.await.unwrap();
            assert_eq!(reader.reconnected, round + 1);
        }
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}
