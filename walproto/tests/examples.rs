//! The examples do what they say.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use testdata::{Client, Next, Server, Version};

/// Longer than anything here takes; a hang ends in a panic that says so.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, built now, because cargo does not build examples for a single test.
fn example(name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--offline",
            "--message-format=json",
            "--example",
            name,
        ])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    text.split("\"executable\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_else(|| {
            let reason = String::from_utf8_lossy(&output.stderr);
            panic!("the example {name} was not built:\n{reason}")
        })
        .into()
}

/// A program that prints until it is dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(example(name))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_proxy_prints_what_passes_and_changes_nothing() {
    let server = Server::start(Version::V16);
    let mut client = Client::connect(&server, "postgres").unwrap();
    client
        .batch("CREATE TABLE t (id int PRIMARY KEY, note text); CREATE PUBLICATION p FOR TABLE t")
        .unwrap();

    let proxy = Running::start(
        "proxy",
        &["127.0.0.1:0", &format!("127.0.0.1:{}", server.port())],
    );
    let listening = proxy.line();
    let port = listening.rsplit(':').next().unwrap().parse().unwrap();

    let parameters = [("replication", "database")];
    let mut stream = Client::connect_port(port, "postgres", "postgres", None, &parameters).unwrap();
    stream
        .query("CREATE_REPLICATION_SLOT s TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")
        .unwrap();
    stream
        .start_replication(
            "START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '4', publication_names 'p', \
             streaming 'parallel', binary 'on')",
        )
        .unwrap();
    client.batch("INSERT INTO t VALUES (7, 'seven')").unwrap();
    let mut tags = String::new();
    while !tags.contains('C') {
        match stream.next(PATIENCE).unwrap() {
            Next::Frame(frame) if frame[0] == b'w' => tags.push(frame[25].into()),
            Next::Frame(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tags, "BRIC");
    stream.status_update(1, 1, 1, false).unwrap();
    stream.end_replication().unwrap();

    // Two threads print; keepalives may come in between.
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    while from_client.len() < 2 || from_server.len() < 4 {
        let line = proxy.line();
        match line.split_once(": ") {
            Some(("client", what)) => from_client.push(what.to_owned()),
            Some(("server", what)) if what.starts_with("Keepalive(") => {}
            Some(("server", what)) => from_server.push(what.to_owned()),
            _ => panic!("{line}"),
        }
    }
    let hold = |lines: Vec<String>, expected: &[&str]| {
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "expected {expected:?} in {line:?}");
        }
    };
    hold(
        from_client,
        &[
            "START_REPLICATION SLOT s LOGICAL 0/0",
            "StatusUpdate(StatusUpdate { written: 0/1, flushed: 0/1, applied: 0/1",
        ],
    );
    hold(
        from_server,
        &[
            "Begin(Begin { final_lsn: 0/",
            "0/0 Relation(Relation { oid: ",
            "new: [Binary(\"\\x00\\x00\\x00\\x07\"), Binary(\"seven\")]",
            "Commit(Commit {",
        ],
    );
}
