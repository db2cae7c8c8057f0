//! The router on real servers: typed rows, the order of calls, and what is confirmed when.

mod ends;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use testdata::{Server, Version};
use walstream::walproto::{Lsn, Sent};
use walstream::{
    Change, Client, Config, Error, Router, RowChange, SlotOptions, Stream, Transaction,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

fn config(server: &Server) -> Config {
    Config::parse(&server.socket_url("postgres")).unwrap()
}

/// A server with these tables, all published, and a slot.
async fn server(version: Version, tables: &str) -> Server {
    let server = Server::start(version);
    sql(&server).batch(tables).unwrap();
    sql(&server)
        .batch("CREATE PUBLICATION p FOR ALL TABLES")
        .unwrap();
    let mut client = Client::connect_replication(&config(&server)).await.unwrap();
    client
        .create_slot("s", &SlotOptions::default())
        .await
        .unwrap();
    server
}

const USERS: &str = "CREATE TABLE users (id int PRIMARY KEY, name text, bio text)";

/// A stream that ends once everything that is committed by now is confirmed.
async fn stream_to_here(server: &Server) -> Stream {
    let mut sql = sql(server);
    let here = sql.value("SELECT pg_current_wal_insert_lsn()").unwrap();
    // WAL behind it, so that the server says that it has come that far.
    sql.batch("SELECT pg_logical_emit_message(true, 'mark', '')")
        .unwrap();
    Stream::connect(config(server))
        .slot("s")
        .publication("p")
        .stop_when(durable_beyond(server, here.parse().unwrap()))
        .start()
        .await
        .unwrap()
}

/// Ready once the slot is confirmed past a position.
fn durable_beyond(server: &Server, lsn: Lsn) -> impl Future<Output = ()> + Send + 'static {
    let config = config(server);
    async move {
        let mut observer = Client::connect(&config).await.unwrap();
        loop {
            let slot = observer.slot("s").await.unwrap();
            if slot.unwrap().confirmed_flush.unwrap() >= lsn {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn confirmed(server: &Server) -> Lsn {
    let query = "SELECT confirmed_flush_lsn FROM pg_replication_slots";
    sql(server).value(query).unwrap().parse().unwrap()
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct User {
    id: i32,
    name: Option<String>,
    bio: Sent<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
struct Key {
    id: i32,
}

fn user(id: i32, name: &str, bio: Sent<String>) -> User {
    User {
        id,
        name: Some(name.to_owned()),
        bio,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_typed_with_what_was_not_sent() {
    use RowChange::{Delete, Insert, Truncate, Update};
    for version in [Version::V14, Version::NEWEST] {
        let tables = format!(
            "{USERS}; ALTER TABLE users ALTER bio SET STORAGE EXTERNAL;
             CREATE TABLE whole (LIKE users INCLUDING ALL); ALTER TABLE whole REPLICA IDENTITY FULL"
        );
        let server = server(version, &tables).await;
        let bio = "x".repeat(9000);
        for table in ["users", "whole"] {
            sql(&server)
                .batch(&format!(
                    "INSERT INTO {table} VALUES (1, 'Ada', '{bio}');
                     UPDATE {table} SET name = 'Lovelace';
                     UPDATE {table} SET id = 2;
                     DELETE FROM {table};
                     TRUNCATE {table}"
                ))
                .unwrap();
        }
        let mut stream = stream_to_here(&server).await;
        let mut seen: (Vec<RowChange<User, Key>>, Vec<RowChange<User>>) = Default::default();
        Router::new()
            .on(
                "public",
                "users",
                async |seen: &mut (Vec<_>, Vec<_>), change| {
                    seen.0.push(change);
                },
            )
            .on("public", "whole", async |seen, change| {
                seen.1.push(change);
            })
            .run(&mut stream, &mut seen)
            .await
            .unwrap();
        let text = Sent::Value(bio);
        let by_key = [
            Insert(user(1, "Ada", text.clone())),
            Update {
                old: None,
                new: user(1, "Lovelace", Sent::Unchanged),
            },
            Update {
                old: Some(Key { id: 1 }),
                new: user(2, "Lovelace", Sent::Unchanged),
            },
            Delete(Key { id: 2 }),
            Truncate,
        ];
        assert!(seen.0 == by_key, "{version:?}: {:?}", seen.0);
        let whole = [
            Insert(user(1, "Ada", text.clone())),
            Update {
                old: Some(user(1, "Ada", text.clone())),
                new: user(1, "Lovelace", text.clone()),
            },
            Update {
                old: Some(user(1, "Lovelace", text.clone())),
                new: user(2, "Lovelace", text.clone()),
            },
            Delete(user(2, "Lovelace", text)),
            Truncate,
        ];
        assert!(seen.1 == whole, "{version:?}: {:?}", seen.1);
    }
}

/// One type for whole rows and for keys, where its other fields say that they may not be sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_type_with_sent_fields_takes_old_rows_of_which_only_the_key_is_known() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        id: i32,
        name: Sent<Option<String>>,
    }
    let row = |id, name| Row { id, name };
    let server = server(Version::NEWEST, USERS).await;
    sql(&server)
        .batch("INSERT INTO users VALUES (1); DELETE FROM users")
        .unwrap();
    let mut stream = stream_to_here(&server).await;
    let mut seen: Vec<RowChange<Row>> = Vec::new();
    Router::new()
        .on("public", "users", async |seen: &mut Vec<_>, change| {
            seen.push(change);
        })
        .run(&mut stream, &mut seen)
        .await
        .unwrap();
    assert_eq!(
        seen,
        [
            RowChange::Insert(row(1, Sent::Value(None))),
            RowChange::Delete(row(1, Sent::NotSent)),
        ]
    );
    let rows: Vec<_> = seen.iter().flat_map(RowChange::rows).collect();
    assert_eq!(rows.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_matched_exactly_and_every_handler_that_fits_is_called() {
    let tables = r#"CREATE SCHEMA other; CREATE SCHEMA "Public"; CREATE TABLE users (id int PRIMARY KEY);
        CREATE TABLE other.users (id int PRIMARY KEY); CREATE TABLE "Users" (id int PRIMARY KEY);
        CREATE TABLE "Public".users (id int PRIMARY KEY)"#;
    let server = server(Version::NEWEST, tables).await;
    sql(&server)
        .batch(
            r#"BEGIN; INSERT INTO users VALUES (1); INSERT INTO other.users VALUES (2); INSERT INTO "Users" VALUES (3);
            INSERT INTO "Public".users VALUES (4); TRUNCATE users, other.users, "Users"; COMMIT"#,
        )
        .unwrap();
    type Seen = Vec<(&'static str, Option<i32>)>;
    let id = |change: RowChange<Key>| change.rows().next().map(|key| key.id);
    let mut seen = Seen::new();
    let mut stream = stream_to_here(&server).await;
    Router::new()
        .on("public", "users", async |seen: &mut Seen, change| {
            seen.push(("public", id(change)));
        })
        .on("other", "users", async |seen, change| {
            seen.push(("other", id(change)));
        })
        .otherwise(async |seen, lsn, change| {
            assert!(lsn > Lsn::ZERO);
            match change {
                Change::Insert { .. } => seen.push(("rest", Some(0))),
                Change::Truncate { relations, .. } => {
                    assert_eq!(relations.len(), 1);
                    seen.push(("rest", None));
                }
                other => panic!("{other:?}"),
            }
        })
        .on("public", "users", async |seen, change| {
            seen.push(("again", id(change)));
        })
        .run(&mut stream, &mut seen)
        .await
        .unwrap();
    let expected = [
        ("public", Some(1)),
        ("again", Some(1)),
        ("other", Some(2)),
        ("rest", Some(0)),
        ("rest", Some(0)),
        ("public", None),
        ("again", None),
        ("other", None),
        ("rest", None),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn begin_and_commit_surround_the_changes_and_the_position_follows_the_commit() {
    let server = server(Version::NEWEST, USERS).await;
    let before = confirmed(&server);
    sql(&server)
        .batch("BEGIN; INSERT INTO users VALUES (1); INSERT INTO users VALUES (2); COMMIT")
        .unwrap();
    sql(&server).batch("INSERT INTO users VALUES (3)").unwrap();
    let mut stream = stream_to_here(&server).await;
    let progress = Arc::clone(stream.progress());
    let mut calls = Vec::new();
    type Calls = Vec<String>;
    async fn began(calls: &mut Calls, transaction: &Transaction) {
        if !transaction.is_empty() {
            calls.push(format!("begin {}", transaction.end_lsn()));
        }
    }
    Router::new()
        .at_begin(began)
        .at_commit(async |calls: &mut Calls, transaction| {
            assert!(progress.durable() < transaction.end_lsn(), "not yet");
            if !transaction.is_empty() {
                calls.push(format!("commit {}", transaction.end_lsn()));
            }
            Ok::<_, Error>(())
        })
        .on("public", "users", async |calls, change: RowChange<Key>| {
            tokio::task::yield_now().await;
            calls.push(format!("{:?}", change.rows().next()));
        })
        .run(&mut stream, &mut calls)
        .await
        .unwrap();
    let order: Vec<_> = calls
        .iter()
        .map(|call| &call[..call.len().min(14)])
        .collect();
    assert_eq!(order.len(), 7, "{calls:?}");
    for (call, expected) in calls.iter().zip([
        "begin ",
        "Some(Key { id: 1 })",
        "Some(Key { id: 2 })",
        "commit ",
        "begin ",
        "Some(Key { id: 3 })",
        "commit ",
    ]) {
        assert!(call.starts_with(expected), "{calls:?}");
    }
    let (begin, commit) = (&calls[0][6..], &calls[3][7..]);
    assert_eq!(begin, commit, "the same transaction");
    assert!(commit.parse::<Lsn>().unwrap() > before);
    assert!(confirmed(&server) >= calls[6][7..].parse().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_runs_as_a_task() {
    let server = server(Version::NEWEST, USERS).await;
    sql(&server).batch("INSERT INTO users VALUES (1)").unwrap();
    let mut stream = stream_to_here(&server).await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let task = tokio::spawn(async move {
        let mut count = 0_usize;
        Router::new()
            .on(
                "public",
                "users",
                async move |count: &mut usize, change: RowChange<Key>| {
                    *count += 1;
                    if let RowChange::Insert(key) = change {
                        sender.send(key.id).await?;
                    }
                    Ok::<_, tokio::sync::mpsc::error::SendError<i32>>(())
                },
            )
            .otherwise(async |_, _, _| {})
            .at_commit(async |_, _| {})
            .run(&mut stream, &mut count)
            .await
            .map(|()| count)
    });
    assert_eq!(receiver.recv().await, Some(1));
    assert_eq!(task.await.unwrap().unwrap(), 1);
}
