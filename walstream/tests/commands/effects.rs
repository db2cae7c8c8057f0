//! What the options of START_REPLICATION do: seen in the messages that come, on every version.

use std::time::Duration;

use bytes::Bytes;
use testdata::{Client, Server, Version};
use walstream::walproto::Lsn;
use walstream::{Config, RawStream, SlotOptions, StreamOptions, Streaming};

use crate::{config, replication, sql};

/// A server, and an SQL session on it, with a table and its publication.
fn site(version: Version) -> (Server, Client) {
    // Other transactions would come too, as empty ones from 14.
    let server = Server::builder(version)
        .setting("autovacuum", "off")
        .start();
    let mut admin = Client::connect(&server, "postgres").unwrap();
    admin
        .batch("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t")
        .unwrap();
    (server, admin)
}

/// The messages that come for what `change` does, up to the first whose type is in `last`.
async fn messages(
    server: &Server,
    options: &StreamOptions,
    last: &[u8],
    change: impl FnOnce(),
) -> Vec<Bytes> {
    messages_over(config(server), server, options, last, change).await
}

async fn messages_over(
    config: Config,
    server: &Server,
    options: &StreamOptions,
    last: &[u8],
    change: impl FnOnce(),
) -> Vec<Bytes> {
    let mut maker = replication(server).await;
    maker
        .create_slot(&options.slot, &SlotOptions::default())
        .await
        .unwrap();
    if options.two_phase {
        // It is the first start that changes the slot; what is prepared after it comes early.
        let client = replication(server).await;
        let first = RawStream::start(client, options, Lsn::ZERO, 1 << 20);
        first.await.unwrap().finish().await.unwrap();
    }
    change();
    let client = walstream::Client::connect_replication(&config)
        .await
        .unwrap();
    let mut stream = RawStream::start(client, options, Lsn::ZERO, 32 << 20)
        .await
        .unwrap();
    let mut messages = Vec::new();
    let ended = |messages: &Vec<Bytes>| {
        messages
            .last()
            .is_some_and(|message: &Bytes| last.contains(&message[0]))
    };
    while !ended(&messages) {
        let frame = tokio::time::timeout(Duration::from_secs(60), stream.next())
            .await
            .unwrap_or_else(|_| panic!("only {:?} came", tags(&messages)));
        let frame = frame.unwrap().unwrap();
        if frame.bytes()[0] == b'w' {
            messages.push(frame.to_bytes().slice(25..));
        }
    }
    stream.finish().await.unwrap();
    maker.drop_slot(&options.slot, true).await.unwrap();
    messages
}

fn tags(messages: &[Bytes]) -> String {
    messages
        .iter()
        .map(|message| char::from(message[0]))
        .collect()
}

fn options() -> StreamOptions {
    StreamOptions::new("effects", ["p"])
}

/// The first message of this type.
fn first(messages: &[Bytes], tag: u8) -> &[u8] {
    let found = messages.iter().find(|message| message[0] == tag);
    found.unwrap_or_else(|| panic!("no '{}' in {}", char::from(tag), tags(messages)))
}

#[tokio::test]
async fn binary_brings_binary_columns_on_every_version() {
    for version in Version::ALL {
        let (server, mut admin) = site(version);
        for binary in [false, true] {
            let options = StreamOptions {
                binary,
                ..options()
            };
            let messages = messages(&server, &options, b"C", || {
                admin
                    .batch("INSERT INTO t VALUES (7, 'x'); DELETE FROM t")
                    .unwrap();
            })
            .await;
            // 'I', relation, 'N', two columns, then kind, length and value of the first.
            let insert = first(&messages, b'I');
            let column: &[u8] = if binary {
                &[b'b', 0, 0, 0, 4, 0, 0, 0, 7]
            } else {
                &[b't', 0, 0, 0, 1, b'7']
            };
            assert!(
                insert[8..].starts_with(column),
                "binary {binary} on {version}: {insert:?}"
            );
        }
    }
}

#[tokio::test]
async fn messages_come_only_where_asked_for_on_every_version() {
    for version in Version::ALL {
        let (server, mut admin) = site(version);
        for wanted in [false, true] {
            let options = StreamOptions {
                messages: wanted,
                ..options()
            };
            let messages = messages(&server, &options, b"C", || {
                admin
                    .batch(
                        "SELECT pg_logical_emit_message(true, 'prefix', 'content');
                         INSERT INTO t VALUES (1, 'x'); DELETE FROM t",
                    )
                    .unwrap();
            })
            .await;
            let expected = if wanted { "BMRIDC" } else { "BRIDC" };
            assert_eq!(tags(&messages), expected, "{version}");
        }
    }
}

#[tokio::test]
async fn origin_none_leaves_out_what_came_by_replication_from_16_on() {
    for version in Version::ALL {
        let (server, mut admin) = site(version);
        admin
            .batch("SELECT pg_replication_origin_create('elsewhere')")
            .unwrap();
        for none in [false, true] {
            if none && version.major() < 16 {
                continue;
            }
            let options = StreamOptions {
                origin_none: none,
                ..options()
            };
            let messages = messages(&server, &options, b"D", || {
                let mut applier = Client::connect(&server, "postgres").unwrap();
                applier
                    .batch("SELECT pg_replication_origin_session_setup('elsewhere')")
                    .unwrap();
                applier.batch("INSERT INTO t VALUES (1, 'theirs')").unwrap();
                admin.batch("INSERT INTO t VALUES (2, 'ours')").unwrap();
                admin.batch("DELETE FROM t").unwrap();
            })
            .await;
            let inserts = tags(&messages).matches('I').count();
            assert_eq!(
                inserts,
                if none { 1 } else { 2 },
                "none {none} on {version}"
            );
            assert_eq!(tags(&messages).contains('O'), !none, "{version}");
            let ours = first(&messages, b'I').ends_with(b"ours");
            assert_eq!(ours, none, "{version}");
        }
    }
}

#[tokio::test]
async fn two_phase_brings_prepared_transactions_when_they_are_prepared_from_15_on() {
    for version in Version::ALL {
        let (server, mut admin) = site(version);
        for two_phase in [false, true] {
            if two_phase && version.major() < 15 {
                continue;
            }
            let options = StreamOptions {
                two_phase,
                ..options()
            };
            let mut changed = false;
            let messages = messages(&server, &options, b"D", || {
                for sql in [
                    "BEGIN; INSERT INTO t VALUES (1, 'x'); PREPARE TRANSACTION 'kept'",
                    "BEGIN; INSERT INTO t VALUES (2, 'x'); PREPARE TRANSACTION 'dropped'",
                    "ROLLBACK PREPARED 'dropped'",
                    "COMMIT PREPARED 'kept'",
                    "DELETE FROM t",
                ] {
                    admin.batch(sql).unwrap();
                }
                let slot = "SELECT two_phase FROM pg_replication_slots WHERE slot_name = 'effects'";
                changed = admin.value(slot).unwrap() == "t";
            })
            .await;
            let tags = tags(&messages).replace('R', "");
            let expected = if two_phase { "bIPbIPrKBD" } else { "BICBD" };
            assert_eq!(tags, expected, "two_phase {two_phase} on {version}");
            assert_eq!(changed, two_phase, "{version}");
        }
    }
}

#[tokio::test]
async fn a_slot_shows_that_a_start_with_two_phase_changed_it() {
    for version in [Version::V15, Version::V16, Version::V17, Version::V18] {
        let (server, _admin) = site(version);
        let mut looking = sql(&server).await;
        replication(&server)
            .await
            .create_slot("effects", &SlotOptions::default())
            .await
            .unwrap();
        let before = looking.slot("effects").await.unwrap().unwrap();
        assert!(!before.two_phase && before.two_phase_at.is_none());
        let options = StreamOptions {
            two_phase: true,
            ..options()
        };
        let client = replication(&server).await;
        let stream = RawStream::start(client, &options, Lsn::ZERO, 1 << 20)
            .await
            .unwrap();
        let after = looking.slot("effects").await.unwrap().unwrap();
        assert!(after.two_phase, "{version}");
        assert_eq!(after.two_phase_at.is_some(), version.major() >= 18);
        stream.finish().await.unwrap();
    }
}

/// With the least memory that a server can be given, a transaction of a few hundred kilobytes is large.
#[tokio::test]
async fn streaming_brings_blocks_and_parallel_brings_long_aborts() {
    for version in Version::ALL {
        let (server, mut admin) = site(version);
        for streaming in [Streaming::Off, Streaming::On, Streaming::Parallel] {
            if streaming == Streaming::Parallel && version.major() < 16 {
                continue;
            }
            let options = StreamOptions {
                streaming,
                ..options()
            };
            let config = config(&server).with_options("-c logical_decoding_work_mem=64kB");
            let messages = messages_over(config, &server, &options, b"Cc", || {
                let rows = "SELECT i, repeat('x', 100) FROM generate_series";
                admin
                    .batch(&format!(
                        "BEGIN; INSERT INTO t {rows}(1, 2000) i; SAVEPOINT s; INSERT INTO t {rows}(2001, 4000) i;
                         ROLLBACK TO s; DELETE FROM t; COMMIT"
                    ))
                    .unwrap();
            })
            .await;
            let tags = tags(&messages);
            let blocks = tags.matches('S').count();
            let what = format!("{streaming:?} on {version}");
            if streaming == Streaming::Off {
                assert_eq!((blocks, tags.matches('B').count()), (0, 1), "{what}");
                continue;
            }
            assert!(blocks > 1 && blocks == tags.matches('E').count(), "{what}");
            assert!(tags.ends_with('c') && !tags.contains('B'), "{what}");
            // 'A', two transaction ids, and under parallel the position and time of the abort.
            let abort = first(&messages, b'A');
            let parallel = streaming == Streaming::Parallel;
            assert_eq!(abort.len(), if parallel { 25 } else { 9 }, "{what}");
        }
    }
}
