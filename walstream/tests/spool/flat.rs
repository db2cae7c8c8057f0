//! Memory stays flat, however large a transaction is, however many are open and however many wait.
//!
//! The server is a script that floods from memory, so it is the client that is measured. With ten million rows, printing
//! what each story took:
//!
//! ```text
//! cargo test --release -p walstream --test spool -- --ignored --nocapture --test-threads 1
//! ```

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use testdata::writer;
use walstream::walproto::{Column, Lsn};
use walstream::{Change, Client, Compression, Event, Limits, Stream, StreamOptions, Transaction};

use crate::walsender::{Walsender, Wire};

/// What the stories are told with.
#[derive(Clone, Copy)]
struct Load {
    rows: u32,
    /// Characters beside the id of a row.
    text: usize,
    memory: u64,
}

impl Load {
    fn limits(self) -> Limits {
        Limits {
            memory: self.memory,
            ..Limits::default()
        }
    }

    /// What the process may take: the messages, as much again for half-filled buffers and for what lies between them in the
    /// allocator's hands, and the program itself with its server. Seen were 27 to 37 MB of these 48, in which all rows
    /// together would have no room.
    const fn bound(self) -> u64 {
        3 * self.memory + (24 << 20)
    }
}

/// Tells the story in a process of its own: what the allocator kept of another would count.
fn tell<F>(name: &str, load: Load, story: fn(Load) -> F)
where
    F: Future<Output = u64>,
{
    const APART: &str = "WALSTREAM_FLAT_APART";
    if std::env::var_os(APART).is_none() {
        let name = format!("flat::{name}");
        let this = std::env::current_exe().unwrap();
        let status = std::process::Command::new(this)
            .args([&name, "--exact", "--include-ignored", "--nocapture"])
            .env(APART, "1")
            .status();
        assert!(status.unwrap().success(), "{name}");
        return;
    }
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let disk = runtime.unwrap().block_on(story(load));
    let most = most_memory();
    println!(
        "{name}: {} MB of memory at most, {} MB of disk, {:.1} s",
        most >> 20,
        disk >> 20,
        begun.elapsed().as_secs_f64()
    );
    assert!(disk > 0, "everything had room");
    assert!(most < load.bound(), "{} MB", most >> 20);
}

/// The most memory that this process ever took, in bytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse::<u64>().unwrap() << 10
}

async fn stream(server: &Walsender, limits: Limits) -> Stream {
    let client = Client::connect_replication(&server.config).await.unwrap();
    let options = StreamOptions::new("s", ["p"]);
    Stream::start(client, &options, Lsn::ZERO, limits)
        .await
        .unwrap()
}

async fn transaction(stream: &mut Stream) -> Transaction {
    match stream.next_event().await.unwrap() {
        Some(Event::Transaction(transaction)) => transaction,
        other => panic!("{other:?}"),
    }
}

/// Whether these are its rows, each once and in order.
fn check(transaction: &mut Transaction, ids: Range<u32>) {
    let mut changes = transaction.changes().unwrap();
    let mut expected = ids.clone();
    while let Some((_, change)) = changes.next().unwrap() {
        let Change::Insert { new, .. } = change else {
            continue;
        };
        let Some(Column::Text(id)) = new.columns().next() else {
            panic!("{new:?}")
        };
        let id: u32 = std::str::from_utf8(id).unwrap().parse().unwrap();
        assert_eq!(Some(id), expected.next());
    }
    assert!(expected.is_empty(), "{expected:?} of {ids:?} are missing");
}

/// A transaction sent whole. The server describes a table once in a session.
fn whole(wire: &mut Wire, number: u32, ids: Range<u32>) -> io::Result<()> {
    let commit = commit(number);
    wire.send(&writer::begin(commit, 0, number))?;
    if ids.start == 0 {
        wire.relation(None)?;
    }
    wire.rows(None, ids)?;
    wire.send(&writer::commit(0, commit, commit + 8, 0))
}

/// A block of a streamed transaction.
fn block(wire: &mut Wire, xid: u32, first: bool, ids: Range<u32>) -> io::Result<()> {
    wire.send(&writer::stream_start(xid, u8::from(first)))?;
    if first {
        wire.relation(Some(xid))?;
    }
    wire.rows(Some(xid), ids)?;
    wire.send(&writer::stream_stop())
}

fn commit(number: u32) -> u64 {
    1000 + 100 * u64::from(number)
}

/// One transaction, as the server sends those below its `logical_decoding_work_mem`.
async fn one_whole(load: Load) -> u64 {
    one_sent(load, Compression::None).await
}

async fn one_compressed(load: Load) -> u64 {
    one_sent(load, Compression::Lz4).await
}

async fn one_sent(load: Load, compression: Compression) -> u64 {
    let rows = load.rows;
    let server = Walsender::run(load.text, move |wire| whole(wire, 1, 0..rows));
    let limits = Limits {
        compression,
        ..load.limits()
    };
    let mut stream = stream(&server, limits).await;
    let mut large = transaction(&mut stream).await;
    let disk = stream.held().disk;
    check(&mut large, 0..rows);
    drop(large);
    assert_eq!((stream.held().memory, stream.held().disk), (0, 0));
    drop(stream);
    server.join();
    disk
}

/// One transaction in blocks of a thousand rows, with one before and one behind it.
async fn one_streamed(load: Load) -> u64 {
    const BLOCK: u32 = 1000;
    let rows = load.rows;
    let server = Walsender::run(load.text, move |wire| {
        whole(wire, 1, 0..10)?;
        for first in (0..rows).step_by(BLOCK as usize) {
            block(wire, 900, first == 0, first..first + BLOCK)?;
        }
        wire.send(&writer::stream_commit(900, 0, commit(2), commit(2) + 8, 0))?;
        whole(wire, 3, 10..20)
    });
    let mut stream = stream(&server, load.limits()).await;
    check(&mut transaction(&mut stream).await, 0..10);
    let mut large = transaction(&mut stream).await;
    let disk = stream.held().disk;
    check(&mut large, 0..rows);
    drop(large);
    check(&mut transaction(&mut stream).await, 10..20);
    drop(stream);
    server.join();
    disk
}

/// Two hundred transactions at once, block by block in turn; every tenth is rolled back, the others commit.
async fn many_open(load: Load) -> u64 {
    const OPEN: u32 = 200;
    const BLOCK: u32 = 50;
    let each = load.rows / OPEN;
    let ids = move |number: u32, block: u32| {
        let first = number * each + block * BLOCK;
        first..first + BLOCK
    };
    let server = Walsender::run(load.text, move |wire| {
        for turn in 0..each / BLOCK {
            for number in 0..OPEN {
                block(wire, 900 + number, turn == 0, ids(number, turn))?;
            }
        }
        for number in 0..OPEN {
            let (xid, commit) = (900 + number, commit(number));
            wire.send(&match number % 10 {
                9 => writer::stream_abort(xid, xid, None),
                _ => writer::stream_commit(xid, 0, commit, commit + 8, 0),
            })?;
        }
        Ok(())
    });
    let mut stream = stream(&server, load.limits()).await;
    let mut disk = 0;
    for number in (0..OPEN).filter(|number| number % 10 != 9) {
        let mut one = transaction(&mut stream).await;
        disk = disk.max(stream.held().disk);
        assert_eq!(one.commit_lsn(), Lsn(commit(number)));
        check(&mut one, number * each..(number + 1) * each);
    }
    assert_eq!(stream.held().disk, 0);
    drop(stream);
    server.join();
    disk
}

/// Many transactions of one small row, which is less than what describes them, that nobody takes until all have come.
async fn many_waiting(load: Load) -> u64 {
    let transactions = load.rows / 4;
    let server = Walsender::run(1, move |wire| {
        (0..transactions).try_for_each(|number| whole(wire, number, number..number + 1))
    });
    let mut stream = stream(&server, load.limits()).await;
    while stream.progress().received().0 < commit(transactions - 1) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let disk = stream.held().disk;
    for number in 0..transactions {
        let mut one = transaction(&mut stream).await;
        assert_eq!(one.commit_lsn(), Lsn(commit(number)));
        check(&mut one, number..number + 1);
        one.confirm();
    }
    assert_eq!((stream.held().memory, stream.held().disk), (0, 0));
    drop(stream);
    server.join();
    disk
}

/// Many times as many rows as fit.
const MANY: Load = Load {
    rows: 300_000,
    text: 200,
    memory: 8 << 20,
};

const TEN_MILLION: Load = Load {
    rows: 10_000_000,
    text: 20,
    // The default.
    memory: 32 << 20,
};

#[test]
fn one_transaction_sent_whole() {
    tell("one_transaction_sent_whole", MANY, one_whole);
}

#[test]
#[ignore = "takes minutes without optimisation; the command at the head of this file runs it"]
fn one_transaction_sent_whole_10_million() {
    tell(
        "one_transaction_sent_whole_10_million",
        TEN_MILLION,
        one_whole,
    );
}

#[test]
fn one_transaction_compressed() {
    tell("one_transaction_compressed", MANY, one_compressed);
}

#[test]
#[ignore = "takes minutes without optimisation; the command at the head of this file runs it"]
fn one_transaction_compressed_10_million() {
    tell(
        "one_transaction_compressed_10_million",
        TEN_MILLION,
        one_compressed,
    );
}

#[test]
fn one_streamed_transaction() {
    tell("one_streamed_transaction", MANY, one_streamed);
}

#[test]
#[ignore = "takes minutes without optimisation; the command at the head of this file runs it"]
fn one_streamed_transaction_10_million() {
    tell(
        "one_streamed_transaction_10_million",
        TEN_MILLION,
        one_streamed,
    );
}

#[test]
fn two_hundred_open_transactions() {
    tell("two_hundred_open_transactions", MANY, many_open);
}

#[test]
#[ignore = "takes minutes without optimisation; the command at the head of this file runs it"]
fn two_hundred_open_transactions_10_million() {
    tell(
        "two_hundred_open_transactions_10_million",
        TEN_MILLION,
        many_open,
    );
}

#[test]
fn small_transactions_that_nobody_takes() {
    tell("small_transactions_that_nobody_takes", MANY, many_waiting);
}

#[test]
#[ignore = "takes minutes without optimisation; the command at the head of this file runs it"]
fn small_transactions_that_nobody_takes_10_million() {
    tell(
        "small_transactions_that_nobody_takes_10_million",
        TEN_MILLION,
        many_waiting,
    );
}
