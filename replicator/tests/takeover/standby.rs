//! Two replicators for one slot: one is at work, the other stands by, and takes over when the first dies or hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testdata::{MariaDb, Server, Version};

use crate::common::{Job, Running, connect, quiet, server};
use crate::until;

/// After so much silence the server frees the slot of a process that stands still.
const SILENCE: &str = "wal_sender_timeout=3000";

/// One value that no change leaves as it is.
const ROWS: &str = "SELECT sum(id * 7 + n) * 1000 + count(*) FROM t";

fn source() -> Server {
    let server = quiet(Version::V18).start();
    let mut sql = connect(&server, "postgres");
    sql.batch("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); INSERT INTO t VALUES (0, 0)")
        .unwrap();
    server
}

/// What both replicators share, and where is written that one has stopped.
struct Pair {
    job: Job,
}

impl Pair {
    fn new(job: Job) -> Self {
        let job = job.source_parameter(SILENCE);
        Self { job }
    }

    /// One that stops, as a machine that hangs does, when it comes by the place.
    fn stops_at(&self, place: &str, options: &[&str]) -> Running {
        let mut command = self.job.command(options);
        command.env("REPLICATOR_FAILPOINT", format!("{place}:stop"));
        self.job.start_command(command)
    }

    fn stands_by(&self) -> Running {
        self.job.start(&["--standby"])
    }
}

fn until_stopped(running: &Running) {
    until("it stops", || running.is_stopped());
}

/// Inserts, updates and deletes, a few rows a transaction, until it is dropped.
struct Load {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Load {
    fn on(server: &Server) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut sql = connect(server, "postgres");
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut id: u32 = sql.value("SELECT max(id) FROM t").unwrap().parse().unwrap();
            while !ends.load(Ordering::Relaxed) {
                id += 3;
                sql.batch(&format!(
                    "BEGIN; INSERT INTO t VALUES ({id} - 2, 1), ({id} - 1, 1), ({id}, 1);
                     UPDATE t SET n = n + 1 WHERE id IN (0, {id} - 1); DELETE FROM t WHERE id = {id} - 2; COMMIT"
                ))
                .unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        });
        let thread = Some(thread);
        Self { over, thread }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// The first hangs in the middle of a batch and is overtaken; what it does when it comes back is for the caller to say,
/// and ends with one that stands by.
fn a_hang_and_a_death(
    from: &Server,
    (first, mut second): (Running, Running),
    mut rows: impl FnMut() -> String,
    comes_back: impl FnOnce(Running) -> Running,
) {
    let mut source = connect(from, "postgres");
    second.wait_for("another session has the slot");
    let load = Load::on(from);
    until_stopped(&first);
    let before = rows();
    second.wait_for("taking over");
    until("what follows arrives", || rows() != before);
    first.signal("CONT");
    let mut first = comes_back(first);
    first.wait_for("another session has the slot");
    let before = rows();
    until("what follows arrives", || rows() != before);
    second.kill();
    first.wait_for("taking over");
    drop(load);
    let wanted = source.value(ROWS).unwrap();
    until("all is there", || rows() == wanted);
    let ended = first.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(rows(), wanted, "{}", ended.log);
}

#[test]
fn who_hung_cannot_write_into_postgres_any_more() {
    let (from, into) = (source(), server(Version::V18));
    let pair = Pair::new(Job::new(&from, "postgres").into(into.url("postgres")));
    // A first start is not for a standby to begin.
    let mut second = pair.stands_by();
    second.wait_for("there is no such slot yet");
    let first = pair.stops_at("batch-middle:40", &[]);
    let mut sql = connect(&into, "postgres");
    let rows = || sql.value(ROWS).unwrap();
    a_hang_and_a_death(&from, (first, second), rows, |first| {
        let ended = first.wait();
        assert_eq!(ended.code, Some(1), "{}", ended.log);
        assert!(ended.log.contains("took over"), "{}", ended.log);
        pair.stands_by()
    });
}

#[test]
fn who_hung_cannot_write_into_mariadb_any_more_and_becomes_the_standby() {
    let (from, into) = (source(), MariaDb::start());
    into.connect("")
        .unwrap()
        .batch("CREATE DATABASE d")
        .unwrap();
    let pair = Pair::new(Job::new(&from, "postgres").into(into.url("d")));
    let first_run = pair.job.run(&["--until", "current"]);
    assert_eq!(first_run.code, Some(0), "{}", first_run.log);
    let mut first = pair.stops_at("batch-middle:40", &["--standby"]);
    first.wait_for("streaming");
    let second = pair.stands_by();
    let mut sql = into.connect("d").unwrap();
    let rows = || sql.value(ROWS).unwrap();
    a_hang_and_a_death(&from, (first, second), rows, |mut first| {
        first.wait_for("waiting beside the other replicator");
        first
    });
}

/// Nobody can take a file's lock away from a process that hangs.
#[test]
fn on_sqlite_the_holder_is_waited_for_and_named() {
    let from = source();
    let pair = Pair::new(Job::new(&from, "postgres"));
    let first = pair.stops_at("batch-middle:40", &[]);
    let mut second = pair.stands_by();
    second.wait_for("another session has the slot");
    let load = Load::on(&from);
    until_stopped(&first);
    second.wait_for("waiting for another replicator to leave the destination");
    let holder = format!("process {}", first.id());
    assert!(second.log().contains(&holder), "{}", second.log());
    first.kill();
    drop(load);
    let wanted = connect(&from, "postgres").value(ROWS).unwrap();
    let sqlite = pair.job.sqlite();
    let rows = || {
        let number: i64 = sqlite.query_row(ROWS, [], |row| row.get(0)).unwrap();
        number.to_string()
    };
    until("all is there", || rows() == wanted);
    let ended = second.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(rows(), wanted, "{}", ended.log);
}

/// Its slot is nobody's yet, which for any other start would be what a crash left.
#[test]
fn a_first_start_that_is_under_way_is_let_alone() {
    let (from, into) = (source(), server(Version::V18));
    let pair = Pair::new(Job::new(&from, "postgres").into(into.url("postgres")));
    let mut first = pair.stops_at("slot-made:1", &[]);
    until_stopped(&first);
    let mut second = pair.stands_by();
    second.wait_for("a first start is under way");
    first.signal("CONT");
    first.wait_for("streaming");
    second.wait_for("another session has the slot");
    let ended = first.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    second.wait_for("taking over");
    second.wait_for("streaming");
    let ended = second.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(connect(&into, "postgres").value(ROWS).unwrap(), "1");
}
