//! The examples do what they say, on a real server, also when they are killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use testdata::{Server, Version};

/// Longer than anything here takes; a hang ends in a panic that says so.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running example; killed when it goes.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let program = testdata::example(env!("CARGO_MANIFEST_DIR"), name);
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// As `kill -9`.
    fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    fn interrupt(&self) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &id]).status();
        assert!(status.expect("kill can be run").success());
    }

    /// Waits until it ends well.
    fn ends(mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sql(server: &Server) -> testdata::Client {
    testdata::Client::connect(server, "postgres").unwrap()
}

fn batch(server: &Server, text: &str) {
    sql(server).batch(text).unwrap();
}

/// A server with these tables, a publication of all of them, and a slot.
fn server(tables: &str) -> Server {
    let server = Server::start(Version::NEWEST);
    batch(&server, tables);
    batch(&server, "CREATE PUBLICATION p FOR ALL TABLES");
    let slot = "SELECT pg_create_logical_replication_slot('s', 'pgoutput')";
    batch(&server, slot);
    server
}

fn slots(server: &Server) -> String {
    let names = "SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') FROM pg_replication_slots";
    sql(server).value(names).unwrap()
}

#[test]
fn changes_are_printed_once_over_an_interrupt() {
    let server = server("CREATE TABLE t (id int PRIMARY KEY, v text)");
    let url = server.socket_url("postgres");
    let arguments = [&*url, "s", "p"];
    batch(&server, "INSERT INTO t VALUES (1, 'one'), (2, NULL)");
    let program = Program::start("print_changes", &arguments);
    assert!(program.line().starts_with("transaction "));
    assert_eq!(program.line(), "  insert public.t id=1 v=one");
    assert_eq!(program.line(), "  insert public.t id=2");
    program.interrupt();
    program.ends();

    batch(
        &server,
        "BEGIN; UPDATE t SET v = 'two'; DELETE FROM t WHERE id = 1; TRUNCATE t; COMMIT",
    );
    let program = Program::start("print_changes", &arguments);
    assert!(program.line().starts_with("transaction "));
    for expected in [
        "  update public.t id=1 v=two",
        "  update public.t id=2 v=two",
        "  delete public.t id=1",
        "  truncate public.t",
    ] {
        assert_eq!(program.line(), expected);
    }
}

/// What the table holds, as the example prints it.
fn settings(server: &Server) -> String {
    let rows = sql(server)
        .query("SELECT name, value FROM settings")
        .unwrap();
    let pairs = rows.into_iter().map(|row| {
        let mut values = row.into_iter().flatten();
        (values.next().unwrap(), values.next().unwrap())
    });
    format!("{:?}", pairs.collect::<BTreeMap<_, _>>())
}

#[test]
fn a_local_cache_is_the_table_at_each_commit_and_leaves_no_slot() {
    let server = server(
        "CREATE TABLE settings (name text PRIMARY KEY, value text NOT NULL);
         ALTER TABLE settings ALTER value SET STORAGE EXTERNAL;
         INSERT INTO settings SELECT i, i FROM generate_series(1, 10) i",
    );
    let url = server.socket_url("postgres");
    for round in 0..2 {
        // A row is written all the time, the snapshot is taken in between.
        let mut program = Program::start("local_cache", &[&url, "p"]);
        assert_eq!(program.line(), settings(&server), "as it was read");
        for change in [
            "INSERT INTO settings VALUES ('new', '1'), ('old', '2')",
            "UPDATE settings SET value = value || '!' WHERE name < '5'",
            "UPDATE settings SET value = repeat('large', 2000) WHERE name = 'new'",
            "UPDATE settings SET name = 'renamed' WHERE name = 'new'",
            "UPDATE settings SET name = upper(name) WHERE name = 'old'",
            "BEGIN; DELETE FROM settings WHERE name = 'renamed'; SAVEPOINT s; DELETE FROM settings; ROLLBACK TO s; COMMIT",
            "TRUNCATE settings",
            "INSERT INTO settings SELECT i, 'again' FROM generate_series(1, 10) i",
        ] {
            batch(&server, change);
            assert_eq!(program.line(), settings(&server), "{change}");
        }
        program.kill();
        let deadline = Instant::now() + PATIENCE;
        while slots(&server) != "s" {
            assert!(Instant::now() < deadline, "{round}: a slot is left behind");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Rows are written all the time: what the cache reads and what it follows fit together.
#[test]
fn a_local_cache_begins_without_a_gap() {
    let server = server("CREATE TABLE settings (name text PRIMARY KEY, value text NOT NULL)");
    let url = server.socket_url("postgres");
    let enough = Arc::new(AtomicBool::new(false));
    let (mut writer, stop) = (sql(&server), Arc::clone(&enough));
    let writing = thread::spawn(move || {
        let mut written = 0;
        while !stop.load(Ordering::Relaxed) {
            written += 1;
            let insert = format!("INSERT INTO settings VALUES ('{written}', '')");
            writer.batch(&insert).unwrap();
            // Each transaction shows all rows, so that many more of them would take minutes.
            thread::sleep(Duration::from_millis(1));
        }
        written
    });
    thread::sleep(Duration::from_millis(100));
    // One more with each transaction, none of them twice.
    let follow = |program: &Program, held: &mut usize, to: usize| {
        while *held < to {
            *held += 1;
            assert_eq!(program.line().matches(": ").count(), *held);
        }
    };
    // What a snapshot of another moment would show is little, so it begins often.
    for _ in 0..20 {
        let program = Program::start("local_cache", &[&url, "p"]);
        let mut held = program.line().matches(": ").count();
        assert!(held > 0, "it began too early to tell");
        let so_far = held;
        follow(&program, &mut held, so_far + 20);
    }
    let program = Program::start("local_cache", &[&url, "p"]);
    let mut held = program.line().matches(": ").count();
    enough.store(true, Ordering::Relaxed);
    follow(&program, &mut held, writing.join().unwrap());
    let more = program.lines.recv_timeout(Duration::from_millis(200));
    assert_eq!(more, Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_user_is_woken_by_the_insert_of_another() {
    let server =
        server("CREATE TABLE messages (id bigserial PRIMARY KEY, recipient text, body text)");
    let url = server.socket_url("postgres");
    let arguments = [&*url, "p", "ada", "bob"];
    let program = Program::start("wake_on_insert", &arguments);
    assert_eq!(program.line(), "waiting");
    let send = |who: &str, body: &str| {
        batch(
            &server,
            &format!("INSERT INTO messages (recipient, body) VALUES ('{who}', '{body}')"),
        );
    };
    send("eve", "for nobody who waits");
    batch(&server, "UPDATE messages SET recipient = 'ada'");
    send("bob", "hello");
    assert_eq!(program.line(), "bob: hello");
    send("bob", "again");
    batch(&server, "DELETE FROM messages");
    send("ada", "good evening");
    assert_eq!(program.line(), "ada: good evening");
    program.ends();
    assert_eq!(slots(&server), "s");
}

/// The ids in the files, in their order.
fn ids(folder: &Path) -> Vec<u64> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
        .collect();
    files.sort();
    let mut ids = Vec::new();
    for file in files {
        // The last may be renamed while we look.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        ids.extend(text.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            assert_eq!(line["insert"], "public.t", "{line}");
            let id = line["new"]["id"].as_str().expect("an id");
            id.parse::<u64>().expect("a number")
        }));
    }
    ids
}

#[test]
fn batches_hold_each_row_once_however_often_the_writer_is_killed() {
    const ROWS: usize = 3000;
    let server = server("CREATE TABLE t (id int PRIMARY KEY, v text)");
    let url = server.socket_url("postgres");
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&*url, "s", "p", folder.path().to_str().unwrap()];
    let enough = Arc::new(AtomicBool::new(false));
    let (mut writer, stop) = (sql(&server), Arc::clone(&enough));
    let writing = thread::spawn(move || {
        let mut id = 0;
        while !stop.load(Ordering::Relaxed) {
            id += 1;
            let insert = format!("INSERT INTO t VALUES ({id}, repeat('x', {id} % 2000))");
            writer.batch(&insert).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        id
    });
    let (mut kills, mut pause, mut patience, mut counts) = (0, 7, 0, Vec::new());
    let deadline = Instant::now() + PATIENCE * 2;
    loop {
        let mut program = Program::start("batch_files", &arguments);
        // Between a start that hardly happened and one that wrote files.
        pause = pause * 31 % 401;
        // On a busy machine it gets more time until something comes of it.
        thread::sleep(Duration::from_millis(100 + pause + patience));
        program.kill();
        kills += 1;
        let ids = ids(folder.path());
        let expected: Vec<u64> = (1..=ids.len() as u64).collect();
        assert_eq!(ids, expected, "after {kills} kills");
        patience = match counts.last() {
            Some(count) if *count == ids.len() => patience + 100,
            _ => 0,
        };
        counts.push(ids.len());
        counts.dedup();
        // Killed in between, several times.
        if ids.len() >= ROWS && counts.len() > 5 {
            break;
        }
        assert!(Instant::now() < deadline, "{counts:?}");
    }
    enough.store(true, Ordering::Relaxed);
    let rows: usize = writing.join().unwrap();
    let mut program = Program::start("batch_files", &arguments);
    while ids(folder.path()).len() != rows {
        assert!(Instant::now() < deadline, "the rows do not come");
        thread::sleep(Duration::from_millis(20));
    }
    program.kill();

    // A position without changes is stored too, and what comes behind it makes another file.
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let before = files();
    let _program = Program::start("batch_files", &arguments);
    let slot = "SELECT confirmed_flush_lsn >= pg_current_wal_lsn() FROM pg_replication_slots";
    while sql(&server).value(slot).unwrap() != "t" {
        assert!(Instant::now() < deadline, "the slot does not move");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(files() <= before);
    batch(&server, &format!("INSERT INTO t VALUES ({})", rows + 1));
    while ids(folder.path()).len() != rows + 1 {
        assert!(Instant::now() < deadline, "the last row does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_commit_waits_for_the_synchronous_standby() {
    let server = server("CREATE TABLE t (id int PRIMARY KEY)");
    let url = server.socket_url("postgres");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copied");
    let arguments = [&*url, "s", "p", file.to_str().unwrap()];
    server.set("synchronous_standby_names", "walstream_copy");
    server.reload();
    let copied = || std::fs::read_to_string(&file).unwrap_or_default();

    let mut program = Program::start("synchronous_standby", &arguments);
    for id in 1..=50 {
        let insert = format!("INSERT INTO t VALUES ({id}), (-{id})");
        batch(&server, &insert);
        // Not soon, but now: the commit has returned.
        assert_eq!(copied().lines().count(), id);
    }
    assert!(copied().lines().all(|line| line.ends_with(": 2 changes")));
    program.kill();

    let mut waits = sql(&server);
    let waiting = thread::spawn(move || waits.batch("INSERT INTO t VALUES (51)").unwrap());
    thread::sleep(Duration::from_millis(500));
    assert!(!waiting.is_finished(), "nobody has it");
    let _program = Program::start("synchronous_standby", &arguments);
    waiting.join().unwrap();
    assert!(copied().ends_with(": 1 changes\n"), "{}", copied());
}
