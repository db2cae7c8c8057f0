//! Streamed transactions that are applied as they come, in a database of their own: what is left there is what the
//! source has.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use testdata::workload::Random;
use testdata::{Server, Version};
use walstream::walproto::{Column, Lsn, Xid};
use walstream::{
    Backoff, Change, Changes, Client, Config, Event, Reconnect, SlotOptions, Stream, StreamOptions,
    StreamedDelivery, Streaming,
};

const SLOT: &str = "s";

fn sql(server: &Server, database: &str) -> testdata::Client {
    testdata::Client::connect(server, database).unwrap()
}

async fn server(version: Version) -> Server {
    let server = Server::builder(version)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    let mut client = sql(&server, "postgres");
    client
        .batch("CREATE TABLE t (tx int, row int, v text); CREATE PUBLICATION p FOR TABLE t")
        .unwrap();
    client.batch("CREATE DATABASE destination").unwrap();
    sql(&server, "destination")
        .batch("CREATE TABLE t (tx int, row int)")
        .unwrap();
    let mut wire = Client::connect_replication(&config(&server)).await.unwrap();
    wire.create_slot(SLOT, &SlotOptions::default())
        .await
        .unwrap();
    server
}

fn config(server: &Server) -> Config {
    let config: Config = server.url("postgres").parse().unwrap();
    config.with_wal_sender_timeout(Duration::from_secs(5))
}

async fn start(server: &Server, streaming: Streaming, position: Lsn) -> Stream {
    Stream::connect(config(server))
        .options(StreamOptions {
            streaming,
            ..StreamOptions::new(SLOT, ["p"])
        })
        .streamed(StreamedDelivery::AsReceived)
        .position(position)
        .reconnect(Reconnect {
            backoff: Backoff {
                first_delay: Duration::from_millis(20),
                total_time: Some(Duration::from_secs(60)),
                ..Backoff::default()
            },
            ..Reconnect::default()
        })
        .start()
        .await
        .unwrap()
}

/// Applies what comes to the other database, each transaction in pieces over a connection of its own.
struct Destination<'a> {
    server: &'a Server,
    /// Absent only between a crash and the next start.
    stream: Option<Stream>,
    streaming: Streaming,
    open: HashMap<Xid, testdata::Client>,
    whole: testdata::Client,
    /// What would be stored beside the changes.
    position: Lsn,
    met: BTreeMap<&'static str, usize>,
    confirming: bool,
}

impl<'a> Destination<'a> {
    async fn new(server: &'a Server, streaming: Streaming) -> Self {
        Self {
            server,
            stream: Some(start(server, streaming, Lsn::ZERO).await),
            streaming,
            open: HashMap::new(),
            whole: sql(server, "destination"),
            position: Lsn::ZERO,
            met: BTreeMap::new(),
            confirming: true,
        }
    }

    fn met(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    /// Takes what comes until this is applied.
    async fn reach(&mut self, position: Lsn) {
        while self.position < position {
            let stream = self.stream.as_mut().expect("it runs");
            stream.ping();
            let event = tokio::time::timeout(Duration::from_secs(60), stream.next_event());
            let event = event.await.expect("an event in time").unwrap();
            self.take(event.expect("the stream goes on"));
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::StreamChunk(mut chunk) => {
                self.met("chunk");
                let xid = chunk.xid();
                if chunk.is_first() {
                    let mut client = sql(self.server, "destination");
                    client.batch("BEGIN").unwrap();
                    let before = self.open.insert(xid, client);
                    assert!(before.is_none(), "{xid} began twice");
                }
                let client = self.open.get_mut(&xid).expect("it began");
                let marks = apply(client, chunk.changes().unwrap());
                *self.met.entry("savepoint").or_default() += marks;
            }
            Event::StreamAbort(abort) => match abort.savepoint {
                Some(subxid) => {
                    self.met("back to a savepoint");
                    let client = self.open.get_mut(&abort.xid).expect("it began");
                    client
                        .batch(&format!("ROLLBACK TO s{subxid}; RELEASE s{subxid}"))
                        .unwrap();
                }
                None => {
                    self.met("rolled back");
                    let mut client = self.open.remove(&abort.xid).expect("it began");
                    client.batch("ROLLBACK").unwrap();
                }
            },
            Event::StreamCommit(commit) => {
                self.met("committed in pieces");
                assert!(self.position <= commit.commit_lsn());
                self.position = commit.end_lsn();
                if let Some(mut client) = self.open.remove(&commit.xid()) {
                    client.batch("COMMIT").unwrap();
                }
                if self.confirming {
                    commit.confirm();
                }
            }
            Event::Transaction(mut transaction) => {
                self.met("whole");
                assert!(self.position <= transaction.commit_lsn());
                self.position = transaction.end_lsn();
                apply(&mut self.whole, transaction.changes().unwrap());
                if self.confirming {
                    transaction.confirm();
                }
            }
            Event::Idle(idle) => {
                self.position = self.position.max(idle.lsn());
                if self.confirming {
                    idle.confirm();
                }
            }
            Event::Reconnected(_) => {
                self.met("reconnected");
                assert!(self.open.is_empty(), "all were undone before");
            }
            other => panic!("{other:?}"),
        }
    }

    /// A crash: what is open is rolled back by its database, and nothing that is not confirmed is told.
    async fn restart(&mut self) {
        self.met("restarted");
        if !self.open.is_empty() {
            self.met("restarted with some open");
        }
        self.open.clear();
        self.stream = None;
        let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 's'";
        while sql(self.server, "postgres").value(active).unwrap() != "f" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stream = Some(start(self.server, self.streaming, self.position).await);
    }

    /// Ends in order: the slot is where the last confirmation was.
    async fn finish(self) {
        let stream = self.stream.expect("it runs");
        let durable = stream.progress().durable();
        stream.finish().await.unwrap();
        let confirmed =
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'";
        let confirmed = sql(self.server, "postgres").value(confirmed).unwrap();
        assert_eq!(confirmed, durable.to_string());
    }

    fn compare(&mut self, seed: u64) {
        let all = "SELECT coalesce(string_agg(format('%s.%s', tx, row), ' ' ORDER BY tx, row), '') FROM t";
        let source = sql(self.server, "postgres").value(all).unwrap();
        let here = self.whole.value(all).unwrap();
        assert!(
            source == here,
            "seed {seed}: the source has {} bytes and the destination {}",
            source.len(),
            here.len()
        );
    }
}

/// Applies changes; says how many savepoints were set.
fn apply(client: &mut testdata::Client, mut changes: Changes<'_>) -> usize {
    let mut rows = Vec::new();
    let mut savepoints = 0;
    while let Some((_, change)) = changes.next().unwrap() {
        match change {
            Change::Insert { new, .. } => {
                let mut columns = new.columns().take(2).map(|column| match column {
                    Column::Text(text) => std::str::from_utf8(text).unwrap().to_owned(),
                    other => panic!("{other:?}"),
                });
                let (tx, row) = (columns.next().unwrap(), columns.next().unwrap());
                rows.push(format!("({tx}, {row})"));
            }
            Change::Savepoint(subxid) => {
                savepoints += 1;
                insert(client, &mut rows);
                client.batch(&format!("SAVEPOINT s{subxid}")).unwrap();
            }
            _ => {}
        }
    }
    insert(client, &mut rows);
    savepoints
}

fn insert(client: &mut testdata::Client, rows: &mut Vec<String>) {
    if !rows.is_empty() {
        client
            .batch(&format!("INSERT INTO t VALUES {}", rows.join(", ")))
            .unwrap();
        rows.clear();
    }
}

/// Ends the WAL sender, as an administrator may.
fn terminate(server: &Server) {
    sql(server, "postgres")
        .value("SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE slot_name = 's'")
        .unwrap();
}

/// A session at the source that does one thing after the other.
struct Session {
    client: testdata::Client,
    tx: i32,
    row: i32,
    /// Names of savepoints that stand; absent when no transaction is open.
    savepoints: Option<Vec<usize>>,
    names: usize,
}

impl Session {
    fn step(&mut self, random: &mut Random, next: &mut i32) {
        let Some(savepoints) = &mut self.savepoints else {
            *next += 1;
            (self.tx, self.savepoints) = (*next, Some(Vec::new()));
            return self.run("BEGIN");
        };
        match random.below(20) {
            0..=8 => {
                // A few rows, or enough for a block of their own.
                let count = if random.once_in(3) { 60 } else { 3 };
                let sql = format!(
                    "INSERT INTO t SELECT {}, i, repeat('x', 1000) FROM generate_series({}, {}) i",
                    self.tx,
                    self.row + 1,
                    self.row + count
                );
                self.row += count;
                self.run(&sql);
            }
            9..=12 => {
                self.names += 1;
                let name = self.names;
                savepoints.push(name);
                self.run(&format!("SAVEPOINT p{name}"));
            }
            13 | 14 if !savepoints.is_empty() => {
                let at = random.below(savepoints.len());
                let name = savepoints[at];
                savepoints.truncate(at);
                self.run(&format!("RELEASE p{name}"));
            }
            15..=17 if !savepoints.is_empty() => {
                let at = random.below(savepoints.len());
                let name = savepoints[at];
                savepoints.truncate(at + 1);
                self.run(&format!("ROLLBACK TO p{name}"));
            }
            18 => {
                self.savepoints = None;
                self.run("COMMIT");
            }
            19 if random.once_in(2) => {
                self.savepoints = None;
                self.run("ROLLBACK");
            }
            _ => {}
        }
    }

    fn run(&mut self, sql: &str) {
        self.client
            .batch(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

fn flushed(server: &Server) -> Lsn {
    let here = "SELECT pg_current_wal_flush_lsn()";
    sql(server, "postgres")
        .value(here)
        .unwrap()
        .parse()
        .unwrap()
}

async fn replicate(
    version: Version,
    streaming: Streaming,
    seed: u64,
) -> BTreeMap<&'static str, usize> {
    let server = server(version).await;
    let mut random = Random::new(seed);
    let mut next = 0;
    let mut sessions: Vec<Session> = (0..4)
        .map(|_| Session {
            client: sql(&server, "postgres"),
            tx: 0,
            row: 0,
            savepoints: None,
            names: 0,
        })
        .collect();
    let mut destination = Destination::new(&server, streaming).await;
    for step in 0..600 {
        let at = random.below(sessions.len());
        sessions[at].step(&mut random, &mut next);
        if random.once_in(20) {
            destination.reach(flushed(&server)).await;
        }
        if random.once_in(15) {
            destination.confirming = !destination.confirming;
        }
        match step {
            150 | 350 => destination.restart().await,
            100 | 250 | 300 | 450 => terminate(&server),
            _ => {}
        }
    }
    for session in &mut sessions {
        if session.savepoints.is_some() {
            session.run("COMMIT");
        }
    }
    destination.confirming = true;
    destination.reach(flushed(&server)).await;
    destination.compare(seed);
    assert!(destination.open.is_empty());
    let met = destination.met.clone();
    // What is not confirmed holds the position; a start from the stored one needs none of it.
    destination.restart().await;
    destination.reach(flushed(&server)).await;
    destination.compare(seed);
    destination.finish().await;
    met
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_applies_early_has_what_the_source_has() {
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for version in Version::ALL {
        let mut modes = vec![Streaming::On];
        if version.major() >= 16 {
            modes.push(Streaming::Parallel);
        }
        for (seed, streaming) in (u64::from(version.major()) * 100..).zip(modes) {
            for (what, times) in replicate(version, streaming, seed).await {
                *met.entry(what).or_default() += times;
            }
        }
    }
    println!("{met:?}");
    for what in [
        "chunk",
        "savepoint",
        "back to a savepoint",
        "rolled back",
        "committed in pieces",
        "whole",
        "reconnected",
        "restarted",
        "restarted with some open",
    ] {
        assert!(
            met.get(what).is_some_and(|&times| times >= 5),
            "{what}: {met:?}"
        );
    }
}
