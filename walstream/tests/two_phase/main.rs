//! Prepared transactions of real servers: at their commit or at their prepare, across restarts and crashes.

mod at_commit;
mod at_prepare;
mod streamed;
mod switched_on;

use std::time::{Duration, Instant};

use testdata::{Server, Version};
use walstream::walproto::{Column, Lsn};
use walstream::{
    Backoff, Change, Changes, Client, Config, Error, Event, PreparedDelivery, Reconnect,
    SlotOptions, Stream, StreamBuilder, StreamOptions, Streaming, Token,
};

const SLOT: &str = "s";

/// Versions whose slots can have `two_phase` asked for.
fn versions() -> impl Iterator<Item = Version> {
    Version::ALL
        .into_iter()
        .filter(|version| version.major() >= 15)
}

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

fn run(server: &Server, statements: &[&str]) {
    let mut client = sql(server);
    for statement in statements {
        client
            .batch(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Prepares a transaction that inserts this row.
fn prepare(server: &Server, gid: &str, id: i32) {
    run(
        server,
        &[
            "BEGIN",
            &format!("INSERT INTO t VALUES ({id}, '')"),
            &format!("PREPARE TRANSACTION '{gid}'"),
        ],
    );
}

fn insert(server: &Server, id: i32) {
    run(server, &[&format!("INSERT INTO t VALUES ({id}, '')")]);
}

fn commit(server: &Server, gid: &str) {
    run(server, &[&format!("COMMIT PREPARED '{gid}'")]);
}

fn roll_back(server: &Server, gid: &str) {
    run(server, &[&format!("ROLLBACK PREPARED '{gid}'")]);
}

/// A server with a published table `t (id int primary key, v text)` and a slot.
async fn server(version: Version, two_phase: bool) -> Server {
    let server = Server::builder(version)
        .setting("logical_decoding_work_mem", "64kB")
        .setting("max_prepared_transactions", 10)
        .start();
    run(
        &server,
        &["CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t"],
    );
    let mut wire = Client::connect_replication(&config(&server)).await.unwrap();
    let options = SlotOptions {
        two_phase,
        ..SlotOptions::default()
    };
    wire.create_slot(SLOT, &options).await.unwrap();
    server
}

fn config(server: &Server) -> Config {
    let config: Config = server.url("postgres").parse().unwrap();
    config
        .with_wal_sender_timeout(Duration::from_secs(5))
        .with_connect_timeout(Duration::from_secs(2))
}

fn options() -> StreamOptions {
    StreamOptions {
        protocol: Some(1),
        streaming: Streaming::Off,
        ..StreamOptions::new(SLOT, ["p"])
    }
}

fn streaming() -> StreamOptions {
    StreamOptions {
        protocol: Some(3),
        streaming: Streaming::On,
        ..options()
    }
}

fn builder(server: &Server, prepared: PreparedDelivery) -> StreamBuilder {
    Stream::connect(config(server))
        .options(options())
        .prepared(prepared)
        .reconnect(Reconnect {
            backoff: Backoff {
                first_delay: Duration::from_millis(20),
                largest_delay: Duration::from_millis(200),
                total_time: Some(Duration::from_secs(60)),
                ..Backoff::default()
            },
            ..Reconnect::default()
        })
}

/// A consumer that writes down what it gets.
struct Reader {
    stream: Stream,
    /// What it has not confirmed, as it was told to wait with that.
    held: Option<Vec<Token>>,
    /// Whatever was handed over last.
    last: Lsn,
    reconnected: usize,
}

impl Reader {
    async fn start(builder: StreamBuilder) -> Self {
        Self {
            stream: builder.start().await.unwrap(),
            held: None,
            last: Lsn::ZERO,
            reconnected: 0,
        }
    }

    /// Confirms nothing from here on.
    fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Confirms what was held.
    fn confirm(&mut self) {
        self.held
            .take()
            .into_iter()
            .flatten()
            .for_each(Token::confirm);
    }

    fn done(&mut self, token: Token) {
        self.last = token.lsn();
        match &mut self.held {
            Some(held) => held.push(token),
            None => token.confirm(),
        }
    }

    /// The next event that says something, in words; idle positions are passed over.
    async fn next(&mut self) -> Result<String, Error> {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(60), self.stream.next_event());
            let event = event.await.expect("an event in time")?;
            let (text, token) = match event.expect("the stream goes on") {
                Event::Transaction(mut it) => {
                    let rows = rows(it.changes()?);
                    let name = it.gid().unwrap_or("plain").to_owned();
                    (format!("{name}:{rows}"), Some(it.into_token()))
                }
                Event::Prepared(mut it) => {
                    let rows = rows(it.changes()?);
                    (
                        format!("prepared {}:{rows}", it.gid()),
                        Some(it.into_token()),
                    )
                }
                Event::CommitPrepared(it) => {
                    (format!("committed {}", it.gid()), Some(it.into_token()))
                }
                Event::RollbackPrepared(it) => {
                    (format!("rolled back {}", it.gid()), Some(it.into_token()))
                }
                Event::StreamChunk(mut it) => (format!("chunk:{}", rows(it.changes()?)), None),
                Event::StreamAbort(it) => (
                    format!(
                        "abort {}",
                        if it.savepoint.is_some() {
                            "part"
                        } else {
                            "all"
                        }
                    ),
                    None,
                ),
                Event::StreamCommit(it) => (
                    format!("stream commit {}", it.gid().unwrap_or("plain")),
                    Some(it.into_token()),
                ),
                Event::StreamPrepare(it) => (
                    format!("stream prepare {}", it.gid()),
                    Some(it.into_token()),
                ),
                Event::Idle(idle) => {
                    self.done(idle.into_token());
                    continue;
                }
                Event::Reconnected(_) => {
                    self.reconnected += 1;
                    continue;
                }
                other => panic!("{other:?}"),
            };
            if let Some(token) = token {
                self.done(token);
            }
            return Ok(text);
        }
    }

    async fn expect(&mut self, texts: &[&str]) {
        for text in texts {
            match self.next().await {
                Ok(found) => assert_eq!(found, *text),
                Err(error) => panic!("{error:?} instead of {text}"),
            }
        }
    }

    /// Sees that nothing else comes: a row that is inserted now is the next.
    async fn expect_no_more(&mut self, server: &Server) {
        run(
            server,
            &["INSERT INTO t VALUES (-1, ''); DELETE FROM t WHERE id = -1"],
        );
        self.expect(&["plain: -1"]).await;
    }

    /// Takes idle positions until the server's slot is there.
    async fn until_slot(&mut self, server: &Server, what: impl Fn(Lsn) -> bool) -> Lsn {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let lsn = confirmed(server);
            if what(lsn) {
                return lsn;
            }
            assert!(Instant::now() < deadline, "the slot stays at {lsn}");
            self.stream.ping();
            let event = tokio::time::timeout(Duration::from_millis(100), self.stream.next_event());
            match event.await {
                Err(_) => {}
                Ok(Ok(Some(Event::Idle(idle)))) => self.done(idle.into_token()),
                Ok(other) => panic!("{other:?}"),
            }
        }
    }

    /// Ends in order: the slot is where the last confirmation was, not a byte before or behind.
    async fn finish(self, server: &Server) {
        let (durable, before) = (self.stream.progress().durable(), confirmed(server));
        assert!(before <= durable || durable.is_zero());
        self.stream.finish().await.unwrap();
        assert_eq!(confirmed(server), durable.max(before));
    }

    /// Leaves without a word.
    async fn vanish(self, server: &Server) {
        drop(self);
        free(server).await;
    }
}

/// The ids of inserted rows, each behind a blank.
fn rows(mut changes: Changes<'_>) -> String {
    let mut text = String::new();
    while let Some((_, change)) = changes.next().unwrap() {
        match change {
            Change::Insert { new, .. } => {
                let Some(Column::Text(id)) = new.columns().next() else {
                    panic!("{new:?}")
                };
                text.push(' ');
                text.push_str(std::str::from_utf8(id).unwrap());
            }
            Change::Savepoint(_) => text.push_str(" savepoint"),
            _ => {}
        }
    }
    text
}

fn confirmed(server: &Server) -> Lsn {
    sql(server)
        .value("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'")
        .unwrap()
        .parse()
        .unwrap()
}

/// Waits until nobody holds the slot.
async fn free(server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 's'";
    while sql(server).value(active).unwrap() != "f" {
        assert!(Instant::now() < deadline, "somebody holds the slot");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends the WAL sender, as an administrator may.
fn terminate(server: &Server) {
    let ended = sql(server)
        .value("SELECT count(pg_terminate_backend(active_pid)) FROM pg_replication_slots WHERE slot_name = 's'")
        .unwrap();
    assert_eq!(ended, "1");
}
