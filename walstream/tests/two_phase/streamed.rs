//! Prepared transactions that are large enough to be streamed before.

use walstream::PreparedDelivery::{AtCommit, AtPrepare};
use walstream::StreamedDelivery;

use super::*;

/// Prepares a transaction of a hundred rows, beginning with this one, with a hundred between that are rolled back.
fn prepare_large(server: &Server, gid: &str, first: i32) {
    let rows = |from: i32| {
        format!(
            "INSERT INTO t SELECT i, repeat('x', 2000) FROM generate_series({from}, {}) i",
            from + 99
        )
    };
    run(
        server,
        &[
            "BEGIN",
            &rows(first),
            "SAVEPOINT s",
            &rows(first + 1000),
            "ROLLBACK TO s",
            &format!("PREPARE TRANSACTION '{gid}'"),
        ],
    );
}

fn hundred(first: i32) -> String {
    (first..first + 100).map(|id| format!(" {id}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_whole_at_their_commit() {
    for version in versions() {
        let server = server(version, true).await;
        let builder = || builder(&server, AtCommit).options(streaming());
        let mut reader = Reader::start(builder()).await;
        prepare_large(&server, "a", 0);
        prepare_large(&server, "b", 5000);
        // The table is as it was for others, though the server described it within the prepared ones.
        insert(&server, 100_000);
        reader.expect(&["plain: 100000"]).await;
        let stored = reader.last;
        reader.finish(&server).await;
        commit(&server, "b");
        free(&server).await;
        let mut reader = Reader::start(builder().position(stored)).await;
        reader.expect(&[&format!("b:{}", hundred(5000))]).await;
        commit(&server, "a");
        reader.expect(&[&format!("a:{}", hundred(0))]).await;
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_whole_at_their_prepare() {
    for version in versions() {
        let server = server(version, true).await;
        let builder = || builder(&server, AtPrepare).options(streaming());
        let mut reader = Reader::start(builder()).await;
        prepare_large(&server, "a", 0);
        reader
            .expect(&[&format!("prepared a:{}", hundred(0))])
            .await;
        reader.hold();
        prepare_large(&server, "b", 5000);
        reader
            .expect(&[&format!("prepared b:{}", hundred(5000))])
            .await;
        reader.vanish(&server).await;
        let mut reader = Reader::start(builder()).await;
        reader
            .expect(&[&format!("prepared b:{}", hundred(5000))])
            .await;
        commit(&server, "a");
        roll_back(&server, "b");
        reader.expect(&["committed a", "rolled back b"]).await;
        reader.finish(&server).await;
    }
}

/// What is left when everything is applied as it comes, and what the events after the pieces were.
async fn apply(reader: &mut Reader, last: &str) -> (Vec<i32>, Vec<String>) {
    let mut applied: Vec<i32> = Vec::new();
    let mut savepoint = None;
    let mut others = Vec::new();
    loop {
        let text = reader.next().await.unwrap();
        if let Some(changes) = text.strip_prefix("chunk:") {
            for word in changes.split_whitespace() {
                match word.parse() {
                    Ok(id) => applied.push(id),
                    Err(_) => savepoint = Some(applied.len()),
                }
            }
        } else if text == "abort part" {
            applied.truncate(savepoint.take().expect("a savepoint"));
        } else {
            if text == "abort all" {
                applied.clear();
            }
            others.push(text);
            if others.last().is_some_and(|it| it == last) {
                return (applied, others);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_pieces_they_are_prepared_when_all_of_them_has_come() {
    for version in versions() {
        let server = server(version, true).await;
        let builder = builder(&server, AtPrepare)
            .options(streaming())
            .streamed(StreamedDelivery::AsReceived);
        let mut reader = Reader::start(builder).await;
        prepare_large(&server, "a", 0);
        let (applied, others) = apply(&mut reader, "stream prepare a").await;
        assert_eq!(applied, (0..100).collect::<Vec<_>>(), "{version:?}");
        assert_eq!(others, ["stream prepare a"]);
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;
        // Not confirmed, and the connection is lost: the pieces come again in vain.
        reader.hold();
        prepare_large(&server, "b", 5000);
        let (applied, _) = apply(&mut reader, "stream prepare b").await;
        assert_eq!(applied, (5000..5100).collect::<Vec<_>>());
        terminate(&server);
        commit(&server, "a");
        let (applied, others) = apply(&mut reader, "committed a").await;
        assert_eq!(applied, [0; 0], "{version:?}");
        assert_eq!(others, ["abort all", "committed a"]);
        commit(&server, "b");
        reader.expect(&["committed b"]).await;
        reader.confirm();
        reader.finish(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_pieces_they_stay_open_until_their_end() {
    for version in versions() {
        let server = server(version, true).await;
        let builder = builder(&server, AtCommit)
            .options(streaming())
            .streamed(StreamedDelivery::AsReceived);
        let mut reader = Reader::start(builder).await;
        prepare_large(&server, "a", 0);
        insert(&server, 100_000);
        let (applied, _) = apply(&mut reader, "plain: 100000").await;
        assert_eq!(applied, (0..100).collect::<Vec<_>>());
        let ended = reader.last;
        assert!(confirmed(&server) < ended);
        commit(&server, "a");
        reader.expect(&["stream commit a"]).await;
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;

        // The open one is undone, and comes again.
        reader.hold();
        prepare_large(&server, "c", 200);
        insert(&server, 100_001);
        apply(&mut reader, "plain: 100001").await;
        terminate(&server);
        insert(&server, 100_002);
        let (applied, others) = apply(&mut reader, "plain: 100002").await;
        assert_eq!(others, ["abort all", "plain: 100002"], "{version:?}");
        assert_eq!(applied, (200..300).collect::<Vec<_>>(), "{version:?}");
        commit(&server, "c");
        reader.expect(&["stream commit c"]).await;
        reader.confirm();
        let ended = reader.last;
        reader.until_slot(&server, |lsn| lsn >= ended).await;

        prepare_large(&server, "b", 5000);
        roll_back(&server, "b");
        let (applied, _) = apply(&mut reader, "abort all").await;
        assert_eq!(applied, [0; 0]);
        reader.expect_no_more(&server).await;
        reader.finish(&server).await;
    }
}
