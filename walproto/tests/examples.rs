//! The examples do what they say.

#[path = "../examples/no_std_schemas/schemas.rs"]
mod schemas;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use schemas::{Full, Schemas};
use testdata::capture::{Streaming, captures};
use testdata::{Client, Next, Server, Version};
use walproto::{Decoder, Message, Oid};

/// Longer than anything here takes; a hang ends in a panic that says so.
const PATIENCE: Duration = Duration::from_secs(60);

fn example(name: &str) -> PathBuf {
    testdata::example(env!("CARGO_MANIFEST_DIR"), name)
}

/// What a program prints until it ends, and that it ends well.
fn printed(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(example(name))
        .args(arguments)
        .output()
        .expect("the example starts");
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What `count` says of a capture.
fn counted(name: &str) -> String {
    let path = testdata::capture::captures_folder().join(format!("{name}.capture"));
    printed("count", &[path.to_str().expect("a path in UTF-8")])
}

/// The numbers are those of the statements that were committed, counted by hand.
#[test]
fn what_was_rolled_back_is_not_counted() {
    for name in [
        "pg14/streamed_v2_text",
        "pg15/streamed_v3_binary",
        "pg18/streamed_v4_text",
    ] {
        assert_eq!(
            counted(name),
            "   insert    update    delete  truncate  table\n       \
             19         5         2         0  public.big\n        \
             0         0         0         1  public.emptied\n        \
             1         0         0         0  public.side\n",
            "{name}"
        );
    }
    for name in ["pg15/prepared_v3_text", "pg18/prepared_v4_binary"] {
        assert_eq!(
            counted(name),
            "   insert    update    delete  truncate  table\n        \
             5         1         1         0  public.t\n",
            "{name}"
        );
    }
}

/// The same work, sent whole by one session and in blocks by another, in text and in binary form.
#[test]
fn streaming_does_not_change_what_is_counted() {
    for scenario in ["keys", "schema", "transactions", "types"] {
        let whole = counted(&format!("pg18/{scenario}_v1_text"));
        assert!(whole.lines().count() > 1, "{scenario}: {whole}");
        for form in ["v1_binary", "v2_text", "v2_binary"] {
            let other = counted(&format!("pg18/{scenario}_{form}"));
            assert_eq!(whole, other, "{scenario}_{form}");
        }
    }
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

#[test]
fn rows_have_names_without_an_allocator() {
    assert_eq!(
        printed("no_std_schemas", &[]),
        "new row in public.notes\n  id: 1\n\
         new row in public.notes\n  id: 2\n  note: Null\n\
         1 schema kept, in 2312 bytes\n"
    );
}

#[test]
fn schemas_without_an_allocator_are_those_that_the_server_sent_last() {
    let mut replaced = 0;
    for golden in captures() {
        let capture = golden.capture();
        let mut decoder = Decoder::new()
            .parallel(capture.header.streaming == Streaming::Parallel)
            .binary(capture.header.binary);
        let mut schemas: Schemas<32, 8192> = Schemas::new();
        let mut last: HashMap<Oid, _> = HashMap::new();
        for bytes in capture.messages() {
            let message = decoder.decode(bytes).unwrap().message;
            let Message::Relation(relation) = message else {
                continue;
            };
            schemas.keep(&relation).unwrap();
            replaced += usize::from(last.insert(relation.oid, relation).is_some());
            assert_eq!(schemas.len(), last.len());
            for (oid, relation) in &last {
                assert_eq!(schemas.find(*oid), Some(*relation), "{}", golden.name);
            }
        }
        assert_eq!(schemas.find(Oid(1)), None);
    }
    assert!(replaced > 10, "only {replaced} relations were sent again");
}

#[test]
fn a_table_of_schemas_says_that_it_is_full_and_forgets_what_is_no_longer_true() {
    let columns = walproto::ColumnDefs::write([], &mut []).unwrap().0;
    let relation = |oid, name| walproto::Relation {
        oid: Oid(oid),
        namespace: "s",
        name,
        identity: walproto::ReplicaIdentity::Default,
        columns,
    };
    // Each message has 8 bytes, and two names with a zero byte each.
    let mut schemas: Schemas<3, 36> = Schemas::new();
    for oid in 1..=3 {
        assert_eq!(schemas.keep(&relation(oid, "")), Ok(()));
    }
    assert_eq!(schemas.keep(&relation(4, "")), Err(Full));
    assert_eq!(schemas.keep(&relation(2, "longer")), Err(Full));
    assert_eq!(schemas.find(Oid(2)), None);
    assert_eq!(schemas.find(Oid(1)), Some(relation(1, "")));
    assert_eq!(schemas.find(Oid(3)), Some(relation(3, "")));
    assert_eq!(schemas.keep(&relation(2, "abc")), Ok(()));
    assert_eq!(schemas.find(Oid(2)), Some(relation(2, "abc")));
    assert_eq!(schemas.find(Oid(3)), Some(relation(3, "")));
}
