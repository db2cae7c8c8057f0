//! A writer that commits numbered transactions whatever happens to the server, and a reader that holds what arrives
//! against them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testdata::{Client, Server};
use walstream::walproto::{Column, Lsn};
use walstream::{Change, Event, Stream, Token, Transaction};

/// Commits transaction after transaction: `tx` counts them, and each has another shape.
pub(crate) struct Writer {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<i32>,
}

/// Rows of a transaction: mostly a few, now and then enough to be streamed in blocks.
fn rows(tx: i32) -> i32 {
    if tx % 17 == 0 { 1500 } else { 1 + tx % 4 }
}

impl Writer {
    /// Over TCP, so that it does not borrow the server.
    pub(crate) fn start(server: &Server) -> Self {
        let port = server.port();
        let enough = Arc::<AtomicBool>::default();
        let end = Arc::clone(&enough);
        let thread = thread::spawn(move || write(port, &end));
        Self { enough, thread }
    }

    /// Ends, and says which transaction was the last.
    pub(crate) fn stop(self) -> i32 {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer did not panic")
    }
}

fn write(port: u16, enough: &AtomicBool) -> i32 {
    let mut client: Option<Client> = None;
    let mut tx = 0;
    while !enough.load(Ordering::Relaxed) {
        let Some(open) = &mut client else {
            client = Client::connect_port(port, "postgres", "postgres", None, &[]).ok();
            if let Some(open) = &mut client {
                // A commit whose answer was lost may have happened.
                match open.value("SELECT coalesce(max(tx), 0) FROM t") {
                    Ok(last) => tx = last.parse().expect("a number"),
                    Err(_) => client = None,
                }
            }
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let next = tx + 1;
        let count = rows(next);
        // Rows that are rolled back must not arrive; in streamed transactions they are sent and taken back.
        let sql = format!(
            "BEGIN;
             INSERT INTO t SELECT {next}, i, repeat('x', 100) FROM generate_series(1, {count}) i;
             SAVEPOINT a;
             INSERT INTO t SELECT -{next}, i, 'gone' FROM generate_series(1, {count}) i;
             ROLLBACK TO a;
             SELECT pg_logical_emit_message(false, 'loose', '{next}');
             INSERT INTO t SELECT {next}, 0, 'last';
             COMMIT"
        );
        match open.batch(&sql) {
            Ok(()) => tx = next,
            Err(_) => client = None,
        }
        thread::sleep(Duration::from_millis(3));
    }
    tx
}

/// What arrived.
pub(crate) struct Reader {
    pub(crate) stream: Stream,
    /// The last transaction that arrived.
    pub(crate) last: i32,
    /// Its end.
    pub(crate) end: Lsn,
    loose: Vec<Lsn>,
    pub(crate) reconnected: usize,
    /// Not confirmed yet: a consumer is always a little behind, across connections too.
    held: VecDeque<Token>,
    lag: usize,
}

impl Reader {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            last: 0,
            end: Lsn::ZERO,
            loose: Vec::new(),
            reconnected: 0,
            held: VecDeque::new(),
            lag: 5,
        }
    }

    /// Confirms nothing from now on.
    pub(crate) fn hold(&mut self) {
        self.lag = usize::MAX;
    }

    /// Takes one event.
    pub(crate) async fn step(&mut self) -> Result<(), walstream::Error> {
        match self.stream.next_event().await?.expect("the stream goes on") {
            Event::Transaction(mut transaction) => {
                self.check(&mut transaction);
                self.held.push_back(transaction.into_token());
            }
            Event::Message(message) => {
                assert_eq!(message.prefix(), "loose");
                assert!(
                    self.loose.last().is_none_or(|last| *last < message.lsn()),
                    "message {} came twice or late",
                    message.lsn()
                );
                self.loose.push(message.lsn());
                message.confirm();
            }
            Event::Idle(idle) => self.held.push_back(idle.into_token()),
            Event::Reconnected(_) => self.reconnected += 1,
            other => panic!("{other:?}"),
        }
        while self.held.len() > self.lag {
            self.held.pop_front().expect("more than none").confirm();
        }
        Ok(())
    }

    /// Each transaction is the next one, with every row that was committed and none that was not.
    fn check(&mut self, transaction: &mut Transaction) {
        let (commit, end) = (transaction.commit_lsn(), transaction.end_lsn());
        if transaction.is_empty() {
            return;
        }
        assert!(commit >= self.end, "{commit} after {}", self.end);
        let mut changes = transaction.changes().expect("readable changes");
        let mut found: Vec<(i32, i32)> = Vec::new();
        while let Some((_, change)) = changes.next().expect("readable changes") {
            let Change::Insert { new, .. } = change else {
                continue;
            };
            let mut numbers = new.columns().take(2).map(|column| match column {
                Column::Text(text) => std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .expect("a number"),
                other => panic!("{other:?}"),
            });
            found.push((
                numbers.next().expect("a column"),
                numbers.next().expect("a column"),
            ));
        }
        let next = self.last + 1;
        let expected: Vec<_> = (1..=rows(next))
            .chain([0])
            .map(|line| (next, line))
            .collect();
        assert!(
            found == expected,
            "transaction {next} has {} rows of {:?} instead of {}",
            found.len(),
            found.first(),
            expected.len()
        );
        (self.last, self.end) = (next, end);
    }

    /// Reads on until this transaction has arrived.
    pub(crate) async fn reach(&mut self, tx: i32) {
        let reading = async {
            while self.last < tx {
                if let Err(error) = self.step().await {
                    panic!("{error:?} at transaction {}", self.last);
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(120), reading)
            .await
            .is_err()
        {
            panic!("transaction {tx} does not come; the last was {}", self.last);
        }
    }

    /// Reads on for so many transactions more.
    pub(crate) async fn go_on(&mut self, transactions: i32) {
        self.reach(self.last + transactions).await;
    }

    /// Does something that blocks, and reads on meanwhile: servers wait for those who read from them.
    pub(crate) async fn meanwhile<T: Send + 'static>(
        &mut self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let mut acting = tokio::task::spawn_blocking(act);
        loop {
            tokio::select! {
                done = &mut acting => return done.expect("no panic"),
                step = self.step() => step.expect("the stream goes on"),
            }
        }
    }

    /// Reads until another connection has taken the place of the lost one.
    pub(crate) async fn reconnect(&mut self, times: usize) {
        let reading = async {
            while self.reconnected < times {
                if let Err(error) = self.step().await {
                    panic!("{error:?} after {} reconnections", self.reconnected);
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(120), reading)
            .await
            .expect("a new connection in time");
    }

    /// Everything was read: compares with the table, confirms, ends, and looks what the server was told.
    pub(crate) async fn finish(mut self, writer: Writer, server: &Server) {
        let last = writer.stop();
        self.reach(last).await;
        let mut sql = Client::connect(server, "postgres").expect("a connection");
        let count = sql
            .value("SELECT count(DISTINCT tx) FROM t")
            .expect("a count");
        assert_eq!(count, last.to_string(), "the writer and the table disagree");
        assert!(self.loose.len() >= usize::try_from(last).expect("a count") / 2);
        self.held.drain(..).for_each(Token::confirm);
        let durable = self.stream.progress().durable();
        assert!(durable >= self.end);
        self.stream.finish().await.expect("a proper end");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let confirmed = sql
                .value("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'")
                .expect("a position");
            if confirmed == durable.to_string() {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "the server has {confirmed} instead of {durable}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}
