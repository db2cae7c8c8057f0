//! Servers of every version start, stop, are killed and come back.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use testdata::{Client, ClientError, Next, Server, Version};

fn works(version: Version) {
    let mut server = Server::start(version);
    assert_eq!(server.version_number() / 10_000, version.major());
    let mut client = Client::connect(&server, "postgres").unwrap();
    assert_eq!(client.query("SELECT 1").unwrap(), [[Some("1".into())]]);
    client
        .batch("CREATE TABLE t (a int); INSERT INTO t VALUES (41)")
        .unwrap();
    let port = server.port();
    let data = server.data();

    server.restart();
    let client = Client::connect(&server, "postgres");
    client.unwrap().batch("UPDATE t SET a = a + 1").unwrap();
    server.kill();
    assert!(!server.is_running());
    assert!(Client::connect(&server, "postgres").is_err());
    server.start_again();
    let mut client = Client::connect_tcp(&server, "postgres", "postgres", None, &[]).unwrap();
    assert_eq!(client.value("SELECT a FROM t").unwrap(), "42");
    assert_eq!(server.port(), port);
    assert!(server.log().contains("not properly shut down"));

    // Every version can stream: its output plugin is complete.
    client.batch("CREATE PUBLICATION p FOR TABLE t").unwrap();
    let mut stream = Client::replication(&server, "postgres").unwrap();
    stream
        .query("CREATE_REPLICATION_SLOT s TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")
        .unwrap();
    let command = |protocol: u8| {
        format!(
            "START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '{protocol}', publication_names 'p')"
        )
    };
    let too_high = stream.start_replication(&command(version.max_protocol() + 1));
    assert_eq!(too_high.unwrap_err().sqlstate(), Some("0A000"));
    drop(stream);
    let mut stream = Client::replication(&server, "postgres").unwrap();
    stream
        .query("CREATE_REPLICATION_SLOT s TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")
        .unwrap();
    stream
        .start_replication(&command(version.max_protocol()))
        .unwrap();
    client.batch("INSERT INTO t VALUES (7)").unwrap();
    let mut tags = Vec::new();
    while !tags.contains(&b'C') {
        match stream.next(Duration::from_secs(60)).unwrap() {
            Next::Frame(frame) if frame[0] == b'w' => tags.push(frame[25]),
            Next::Frame(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tags, b"BRIC");
    stream.end_replication().unwrap();
    assert_eq!(stream.query("SELECT 2").unwrap(), [[Some("2".into())]]);
    drop((stream, client));

    drop(server);
    assert!(!data.exists());
}

#[test]
fn version_14_works() {
    works(Version::V14);
}

#[test]
fn version_15_works() {
    works(Version::V15);
}

#[test]
fn version_16_works() {
    works(Version::V16);
}

#[test]
fn version_17_works() {
    works(Version::V17);
}

#[test]
fn version_18_works() {
    works(Version::V18);
}

#[test]
fn the_distributions_server_speaks_german() {
    let server = Server::distribution().locale("de_DE.UTF-8").start();
    let mut client = Client::connect(&server, "postgres").unwrap();
    let error = client.query("SELECT * FROM nowhere").unwrap_err();
    assert_eq!(error.sqlstate(), Some("42P01"));
    assert!(error.to_string().contains("existiert nicht"), "{error}");
    // The connection goes on.
    assert_eq!(client.value("SELECT 1").unwrap(), "1");
}

#[test]
fn settings_of_a_test_win_and_can_change() {
    let server = Server::builder(Version::V16)
        .setting("work_mem", "5MB")
        .setting("wal_sender_timeout", "1s")
        .setting("shared_buffers", "1MB")
        .start();
    let mut client = Client::connect(&server, "postgres").unwrap();
    assert_eq!(client.value("SHOW work_mem").unwrap(), "5MB");
    assert_eq!(client.value("SHOW shared_buffers").unwrap(), "1MB");
    assert_eq!(client.value("SHOW wal_level").unwrap(), "logical");
    server.set("work_mem", "6MB");
    server.reload();
    while client.value("SHOW work_mem").unwrap() != "6MB" {}
}

#[test]
fn servers_run_side_by_side_and_differ() {
    let servers = [(); 3].map(|()| Server::start(Version::V17));
    let ports: BTreeSet<_> = servers.iter().map(Server::port).collect();
    assert_eq!(ports.len(), 3);
    let identifiers: BTreeSet<_> = servers
        .iter()
        .map(|server| {
            let mut client = Client::replication(server, "postgres").unwrap();
            client.query("IDENTIFY_SYSTEM").unwrap()[0][0].clone()
        })
        .collect();
    assert_eq!(
        identifiers.len(),
        3,
        "copies of one template must not share a system identifier"
    );
}

#[test]
fn errors_are_typed() {
    let server = Server::start(Version::V18);
    let error = Client::connect(&server, "nowhere").unwrap_err();
    assert_eq!(error.sqlstate(), Some("3D000"));
    let mut client = Client::connect(&server, "postgres").unwrap();
    let process = client.process_id();
    let mut other = Client::connect(&server, "postgres").unwrap();
    other
        .batch(&format!("SELECT pg_terminate_backend({process})"))
        .unwrap();
    let error = client.query("SELECT 1").unwrap_err();
    assert!(
        matches!(&error, ClientError::Io(_)) || error.sqlstate() == Some("57P01"),
        "{error:?}"
    );
    other.batch("CREATE TABLE c (a text, b text)").unwrap();
    other
        .copy_in("COPY c FROM STDIN", b"x\t\\N\ny\tz\n")
        .unwrap();
    assert_eq!(
        other.copy_out("COPY c TO STDOUT").unwrap(),
        b"x\t\\N\ny\tz\n"
    );
    assert_eq!(
        other
            .copy_in("COPY nowhere FROM STDIN", b"")
            .unwrap_err()
            .sqlstate(),
        Some("42P01")
    );
    assert_eq!(other.query("TABLE c").unwrap()[0], [Some("x".into()), None]);
}

#[test]
fn passwords_are_asked_for_where_a_line_says_so() {
    let server = Server::builder(Version::V18)
        .allow("host all locked 127.0.0.1/32 password")
        .allow("host all gone 127.0.0.1/32 reject")
        .start();
    let mut client = Client::connect(&server, "postgres").unwrap();
    client
        .batch("CREATE ROLE locked LOGIN PASSWORD 'open'; CREATE ROLE gone LOGIN")
        .unwrap();
    let enter = |user, password| Client::connect_tcp(&server, "postgres", user, password, &[]);
    assert!(enter("locked", Some("open")).is_ok());
    assert_eq!(
        enter("locked", Some("shut")).unwrap_err().sqlstate(),
        Some("28P01")
    );
    assert_eq!(enter("gone", None).unwrap_err().sqlstate(), Some("28000"));
    assert!(enter("postgres", None).is_ok());
}

/// Not a test: the process that the next one kills.
#[test]
fn helper_that_waits_to_be_killed() {
    let Some(path) = std::env::var_os("TESTDATA_TELL_SERVER") else {
        return;
    };
    let server = Server::start(Version::V18);
    let line = format!("{} {}", server.process_id(), server.data().display());
    std::fs::write(&path, line).unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_server_does_not_outlive_a_killed_test() {
    let note = std::env::temp_dir().join(format!("testdata-note-{}", std::process::id()));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_waits_to_be_killed"])
        .env("TESTDATA_TELL_SERVER", &note)
        .spawn()
        .unwrap();
    let (process, data) = loop {
        let text = std::fs::read_to_string(&note).unwrap_or_default();
        if let Some((process, data)) = text.split_once(' ') {
            break (process.to_owned(), data.to_owned());
        }
        assert!(child.try_wait().unwrap().is_none(), "the helper failed");
        std::thread::sleep(Duration::from_millis(20));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(&note).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let alive = || {
        // An orphan that nobody has waited for yet is a zombie, and has no command line.
        std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty())
    };
    while std::path::Path::new(&data).exists() {
        assert!(std::time::Instant::now() < deadline, "{data} is there");
        std::thread::sleep(Duration::from_millis(5));
    }
    // A server without data notices by itself some day; the watchdog ends it first.
    assert!(!alive(), "{process} lives");
}

#[test]
fn a_standby_of_every_version_follows_its_primary_and_takes_over() {
    for version in Version::ALL {
        let mut primary = Server::builder(version)
            .setting("wal_keep_size", "64MB")
            .start();
        let mut client = Client::connect(&primary, "postgres").unwrap();
        client
            .batch("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
            .unwrap();
        client
            .batch("SELECT pg_create_logical_replication_slot('logical', 'pgoutput')")
            .unwrap();
        drop(client);
        let port = primary.port();
        let standby = Server::standby_of(&mut primary);
        assert_eq!(primary.port(), port);
        assert_ne!(standby.port(), port);

        let mut client = Client::connect(&primary, "postgres").unwrap();
        client.batch("INSERT INTO t VALUES (2)").unwrap();
        standby.catch_up_with(&primary);
        let mut follower = Client::connect(&standby, "postgres").unwrap();
        for (question, answer) in [
            ("SELECT sum(id) FROM t", "3"),
            ("SELECT pg_is_in_recovery()", "t"),
            ("SHOW hot_standby_feedback", "on"),
            ("SELECT count(*) FROM pg_replication_slots", "0"),
        ] {
            assert_eq!(follower.value(question).unwrap(), answer, "{version}");
        }
        let slot = format!(
            "SELECT active FROM pg_replication_slots WHERE slot_name = '{}'",
            standby.slot_on_primary()
        );
        assert_eq!(client.value(&slot).unwrap(), "t", "{version}");
        let identity = "SELECT system_identifier FROM pg_control_system()";
        assert_eq!(
            client.value(identity).unwrap(),
            follower.value(identity).unwrap()
        );

        primary.stop_immediate();
        standby.promote();
        follower.batch("INSERT INTO t VALUES (4)").unwrap();
        assert_eq!(follower.value("SELECT sum(id) FROM t").unwrap(), "7");
        let timeline = "SELECT timeline_id FROM pg_control_checkpoint()";
        follower.batch("CHECKPOINT").unwrap();
        assert_eq!(follower.value(timeline).unwrap(), "2", "{version}");
    }
}
