//! MariaDB servers start, stop, are killed and come back; the client reads what they send.

use std::process::Command;
use std::time::Instant;

use testdata::{Certificates, ClientError, MariaDb, MariaDbClient, Wish};

#[test]
fn what_was_committed_outlives_a_kill() {
    let mut server = MariaDb::start();
    let mut client = server.connect("").unwrap();
    assert!(client.version().contains("MariaDB"), "{}", client.version());
    client
        .batch("CREATE DATABASE d; USE d; CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (41)")
        .unwrap();
    let (port, process) = (server.port(), server.process_id());

    server.restart();
    let mut client = server.connect("d").unwrap();
    client.batch("UPDATE t SET a = a + 1").unwrap();
    client
        .batch("START TRANSACTION; INSERT INTO t VALUES (1)")
        .unwrap();
    server.kill();
    assert!(!server.is_running());
    assert!(server.connect("d").is_err());
    assert!(client.query("SELECT 1").is_err());
    server.start_again();
    assert_ne!(server.process_id(), process);
    assert_eq!(server.port(), port);
    let mut client = server.connect("d").unwrap();
    assert_eq!(
        client.query("SELECT a FROM t").unwrap(),
        [[Some("42".into())]]
    );
    assert!(
        server.log().contains("Starting crash recovery"),
        "{}",
        server.log()
    );
}

#[test]
fn results_are_what_they_are() {
    let server = MariaDb::start();
    let mut client = server.connect("").unwrap();
    let rows = client
        .query("SELECT NULL, 'NULL', '', 'a\\tb\\nc\\0d\\\\', '日本𝄞' UNION ALL SELECT 'x', NULL, NULL, NULL, NULL")
        .unwrap();
    let row = |cells: [Option<&str>; 5]| cells.map(|cell| cell.map(str::to_owned)).to_vec();
    assert_eq!(
        rows,
        [
            row([
                None,
                Some("NULL"),
                Some(""),
                Some("a\tb\nc\0d\\"),
                Some("日本𝄞")
            ]),
            row([Some("x"), None, None, None, None]),
        ]
    );
    // Lengths of every kind, over the end of a packet, first in its row where it looks like an end.
    for length in [250, 251, 65_535, 65_536, 0xFF_FFF0, 0xFF_FFFF, 17 << 20] {
        let rows = client
            .query(&format!("SELECT repeat('x', {length}), 'y'"))
            .unwrap();
        let lengths = rows[0].iter().map(|cell| cell.as_ref().unwrap().len());
        assert_eq!(lengths.collect::<Vec<_>>(), [length, 1]);
    }
    // Long statements too, and several of them.
    let long = "z".repeat(17 << 20);
    assert_eq!(
        client.value(&format!("SELECT length('{long}')")).unwrap(),
        (17 << 20).to_string()
    );
    let all = client
        .query("DO 1; SELECT 1; SELECT 2 WHERE false; SELECT 3, 4")
        .unwrap();
    assert_eq!(
        all.concat().into_iter().flatten().collect::<String>(),
        "134"
    );

    let error = client.query("SELECT 1; SELECT * FROM d.t").unwrap_err();
    assert_eq!(error.sqlstate(), Some("42S02"));
    assert!(error.to_string().starts_with("1146: "), "{error}");
    assert!(matches!(
        client.value("SELECT x'FF'"),
        Err(ClientError::Protocol(_))
    ));
    assert_eq!(client.value("SELECT hex(x'FF00')").unwrap(), "FF00");
    assert!(client.value("SELECT 1 WHERE false").is_err());
    assert!(client.value("SELECT 1, 2").is_err());
}

#[test]
fn settings_reach_the_server_and_commits_are_safe() {
    let mut server = MariaDb::builder()
        .setting("innodb_log_file_size", "8M")
        .setting("sql_mode", "ANSI_QUOTES")
        .start();
    let mut client = server.connect("").unwrap();
    for (name, value) in [
        ("innodb_flush_log_at_trx_commit", "1"),
        ("innodb_log_file_size", "8388608"),
        ("max_allowed_packet", "1073741824"),
        ("local_infile", "1"),
        ("performance_schema", "0"),
        ("sql_mode", "ANSI_QUOTES"),
        ("time_zone", "+00:00"),
        ("character_set_client", "utf8mb4"),
        ("read_only", "0"),
    ] {
        assert_eq!(
            client.value(&format!("SELECT @@{name}")).unwrap(),
            value,
            "{name}"
        );
    }
    // A server that starts empties the folder of temporary tables: under another server, if they shared it.
    let temporary = client.value("SELECT @@tmpdir").unwrap();
    assert_eq!(
        std::path::Path::new(&temporary).parent(),
        server.data().parent()
    );
    server.set("read_only", 1);
    server.restart();
    assert_eq!(
        server
            .connect("")
            .unwrap()
            .value("SELECT @@read_only")
            .unwrap(),
        "1"
    );
}

#[test]
fn it_offers_tls_and_knows_passwords() {
    let certificates = Certificates::new();
    let server = MariaDb::builder()
        .tls(&certificates.own("server", &Wish::default()))
        .start();
    let mut client = server.connect("").unwrap();
    assert_eq!(client.value("SELECT @@have_ssl").unwrap(), "YES");
    client
        .batch("CREATE USER u@'127.0.0.1' IDENTIFIED BY 'p@ss'; GRANT ALL ON *.* TO u@'127.0.0.1'")
        .unwrap();
    let denied = MariaDbClient::connect(server.port(), "u", "").unwrap_err();
    assert_eq!(denied.sqlstate(), Some("28000"), "{denied}");
    let port = server.port();
    assert_eq!(
        server.url_of("u", Some("p@ss"), "a b"),
        format!("mysql://u:p%40ss@127.0.0.1:{port}/a%20b")
    );
    assert_eq!(server.url("d"), format!("mysql://root@127.0.0.1:{port}/d"));
    let output = Command::new("mariadb")
        .args([
            "--no-defaults",
            "--ssl",
            "-h127.0.0.1",
            "-uu",
            "-pp@ss",
            "-BN",
        ])
        .arg(format!("-P{port}"))
        .args(["-e", "SHOW STATUS LIKE 'Ssl_version'"])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("TLSv1."), "{shown} {output:?}");
}

#[test]
fn it_starts_soon_and_leaves_nothing() {
    let first = MariaDb::start();
    let start = Instant::now();
    let server = MariaDb::start();
    println!("started in {:?}", start.elapsed());
    let (folder, process) = (server.data(), server.process_id());
    assert_ne!(first.port(), server.port());
    drop(server);
    assert!(!folder.exists());
    assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
}
