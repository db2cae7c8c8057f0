//! What a router does when something fails, or when it is dropped: nothing is confirmed that was not handled.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use testdata::Version;
use walstream::walproto::{Lsn, RowError};
use walstream::{Change, ErrorKind, Router, RowChange, Stream, Transaction};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_does_not_fit_names_table_column_and_position_and_confirms_nothing() {
    #[derive(Debug, Deserialize)]
    struct Strict {
        #[expect(dead_code, reason = "reading it is the point")]
        name: String,
    }
    let tables = format!("{USERS}; ALTER TABLE users ALTER name SET STORAGE EXTERNAL");
    for (statement, column, hint) in [
        (
            "UPDATE users SET bio = 'y'",
            "name",
            "REPLICA IDENTITY FULL",
        ),
        ("DELETE FROM users", "name", "key alone"),
        ("INSERT INTO users VALUES (2)", "name", "Option"),
    ] {
        let server = server(Version::NEWEST, &tables).await;
        sql(&server)
            .batch("INSERT INTO users VALUES (1, repeat('x', 9000))")
            .unwrap();
        let before = sql(&server)
            .value("SELECT pg_current_wal_insert_lsn()")
            .unwrap();
        let before: Lsn = before.parse().unwrap();
        sql(&server).batch(statement).unwrap();
        for _ in 0..2 {
            let mut stream = stream_to_here(&server).await;
            let mut router = Router::new().on(
                "public",
                "users",
                async |(): &mut (), _: RowChange<Strict>| {},
            );
            let error = router.run(&mut stream, &mut ()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Row, "{error}");
            assert!(!error.is_transient());
            let text = error.to_string();
            assert!(text.contains("public.users"), "{text}");
            let row: &RowError = error.source().unwrap().downcast_ref().unwrap();
            assert_eq!(row.column(), Some(column), "{statement}");
            assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
            let at = text.split("at ").find_map(|rest| {
                let lsn = rest.split_whitespace().next()?;
                lsn.parse::<Lsn>().ok()
            });
            assert!(at.unwrap() >= before, "{text}");
            stream.finish().await.unwrap();
            // The transaction comes again.
            assert!(confirmed(&server) <= at.unwrap(), "{statement}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_handler_had_comes_again_from_its_first_change() {
    #[derive(Debug, thiserror::Error)]
    #[error("the cache is full")]
    struct Full;

    let server = server(Version::NEWEST, USERS).await;
    for insert in ["(1), (2), (3)", "(4), (5)"] {
        sql(&server)
            .batch(&format!("INSERT INTO users VALUES {insert}"))
            .unwrap();
    }
    let mut ids = Vec::new();
    for fails_at in [5, 5, 2, 0] {
        let mut stream = stream_to_here(&server).await;
        let mut router = Router::new().on(
            "public",
            "users",
            async |ids: &mut Vec<i32>, change: RowChange<Key>| {
                let id = change.rows().next().map_or(0, |key| key.id);
                ids.push(id);
                if id == fails_at { Err(Full) } else { Ok(()) }
            },
        );
        let end = router.run(&mut stream, &mut ids).await;
        // The first time the first transaction is confirmed, so the later ones begin with the second.
        if fails_at == 5 {
            let error = end.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Handler, "{error}");
            assert!(error.source().unwrap().is::<Full>());
            let text = error.to_string();
            assert!(
                text.contains("the handler of public.users failed at "),
                "{text}"
            );
        } else {
            end.unwrap();
        }
        stream.finish().await.unwrap();
    }
    assert_eq!(ids, [1, 2, 3, 4, 5, 4, 5, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_asked_for_needs_somebody_who_takes_it() {
    let server = server(Version::NEWEST, USERS).await;
    sql(&server)
        .batch("SELECT pg_logical_emit_message(true, 'greeting', 'hello')")
        .unwrap();
    let start = async || {
        let stream = Stream::connect(config(&server)).slot("s").publication("p");
        let stream = stream.messages(true).start();
        stream.await.unwrap()
    };
    let mut stream = start().await;
    let mut router = Router::new();
    let mut nothing = ();
    let run = tokio::time::timeout(PATIENCE, router.run(&mut stream, &mut nothing));
    let error = run.await.expect("in time").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.hint().unwrap().contains("otherwise"));
    drop(stream);

    let mut stream = start().await;
    let mut seen = Vec::new();
    let mut router = Router::new().otherwise(async |seen: &mut Vec<_>, _, change| {
        let Change::Message(message) = change else {
            panic!("{change:?}")
        };
        seen.push(message.content.to_vec());
        Err("enough")
    });
    let run = tokio::time::timeout(PATIENCE, router.run(&mut stream, &mut seen));
    let error = run.await.expect("in time").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handler);
    assert_eq!(error.source().unwrap().to_string(), "enough");
    assert_eq!(seen, [b"hello"]);
}

/// Dropped in the middle of a handler, and between transactions.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_holds_the_slot_before_the_transaction_in_hand_and_no_other() {
    let server = server(Version::NEWEST, USERS).await;
    sql(&server).batch("INSERT INTO users VALUES (1)").unwrap();
    let mut stream = Stream::connect(config(&server))
        .slot("s")
        .publication("p")
        .start()
        .await
        .unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut router = Router::new().on(
        "public",
        "users",
        async |seen: &mut Arc<Mutex<Vec<i32>>>, change: RowChange<Key>| {
            let id = change.rows().next().unwrap().id;
            seen.lock().unwrap().push(id);
            if id == 3 {
                std::future::pending().await
            }
        },
    );
    let mut state = Arc::clone(&seen);
    let short = Duration::from_millis(200);
    for id in [2, 3] {
        // Again and again, until there is something; between transactions nothing is lost.
        let deadline = Instant::now() + Duration::from_secs(30);
        while seen.lock().unwrap().last() != Some(&(id - 1)) {
            assert!(Instant::now() < deadline);
            let run = router.run(&mut stream, &mut state);
            assert!(tokio::time::timeout(short, run).await.is_err());
        }
        sql(&server)
            .batch(&format!("INSERT INTO users VALUES ({id})"))
            .unwrap();
    }
    let run = router.run(&mut stream, &mut state);
    assert!(tokio::time::timeout(short * 5, run).await.is_err());
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3]);
    // The stream goes on behind it, and the position does not.
    sql(&server).batch("INSERT INTO users VALUES (4)").unwrap();
    let run = router.run(&mut stream, &mut state);
    assert!(tokio::time::timeout(short * 5, run).await.is_err());
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3, 4]);
    stream.finish().await.unwrap();

    let mut stream = stream_to_here(&server).await;
    let mut again = Vec::new();
    Router::new()
        .on(
            "public",
            "users",
            async |again: &mut Vec<i32>, change: RowChange<Key>| {
                again.extend(change.rows().map(|key| key.id));
            },
        )
        .run(&mut stream, &mut again)
        .await
        .unwrap();
    assert_eq!(again, [3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_confirms_nothing() {
    let server = server(Version::NEWEST, USERS).await;
    sql(&server).batch("INSERT INTO users VALUES (1)").unwrap();
    let mut keys = Vec::new();
    for fails in [true, true, false] {
        let mut stream = stream_to_here(&server).await;
        let mut router = Router::new()
            .on(
                "public",
                "users",
                async |keys: &mut Vec<Key>, change: RowChange<Key>| {
                    keys.extend(change.rows().copied());
                },
            )
            .at_commit(async |_, transaction: &Transaction| {
                if fails && !transaction.is_empty() {
                    return Err("the disk is full");
                }
                Ok(())
            });
        let end = router.run(&mut stream, &mut keys).await;
        stream.finish().await.unwrap();
        if !fails {
            end.unwrap();
            continue;
        }
        let error = end.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handler, "{error}");
        let text = error.to_string();
        assert!(
            text.contains("the handler of the commit failed at "),
            "{text}"
        );
    }
    assert_eq!(keys, [Key { id: 1 }; 3]);
}
