//! Connecting to real servers: sockets, logins, settings that hold, and errors that say what they are.

use std::error::Error as _;
use std::time::Duration;

use testdata::{Server, Version};
use walstream::{Client, Config, Error, ErrorKind, ServerVersion};

/// Reads connection URLs the way users write them.
fn config(url: &str) -> Config {
    url.parse().unwrap()
}

async fn refused(config: &Config) -> Error {
    match Client::connect(config).await {
        Ok(_) => panic!("{config} let us in"),
        Err(error) => error,
    }
}

async fn value(client: &mut Client, sql: &str) -> String {
    let rows = client.query(sql).await.unwrap();
    rows[0].get(0).unwrap().to_owned()
}

fn sql(server: &Server, text: &str) {
    testdata::Client::connect(server, "postgres")
        .and_then(|mut client| client.batch(text))
        .unwrap();
}

/// A server that asks each role in another way.
fn asking(version: Version) -> Server {
    let mut server = Server::start(version);
    sql(
        &server,
        "SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN REPLICATION PASSWORD 'm d5''s';",
    );
    sql(
        &server,
        "SET password_encryption = 'scram-sha-256';
         CREATE ROLE scram LOGIN REPLICATION PASSWORD 'pässwörd %/@:';
         CREATE ROLE clear LOGIN REPLICATION PASSWORD 'clear';
         CREATE ROLE plain LOGIN;
         CREATE ROLE nobody LOGIN;",
    );
    for (role, method) in [
        ("md5", "md5"),
        ("scram", "scram-sha-256"),
        ("clear", "password"),
        ("nobody", "reject"),
    ] {
        server.allow(&format!("host all {role} 127.0.0.1/32 {method}"));
    }
    server.restart();
    server
}

#[tokio::test]
async fn every_version_lets_us_in_by_every_method_and_socket() {
    for version in Version::ALL {
        let server = asking(version);
        let port = server.port();
        let mut configs = vec![
            config(&server.url("postgres")),
            config(&server.socket_url("postgres")),
            config(&format!(
                "host={} port={port} user=postgres dbname=postgres",
                server.socket_folder().display()
            )),
            config(&format!("postgres://localhost:{port}/postgres?user=plain")),
        ];
        for login in [
            "md5:m%20d5's",
            "scram:p%C3%A4ssw%C3%B6rd%20%25%2F%40%3A",
            "clear:clear",
        ] {
            configs.push(config(&format!(
                "postgres://{login}@127.0.0.1:{port}/postgres"
            )));
        }
        for config in &configs {
            let mut client = Client::connect(config).await.unwrap();
            assert_eq!(
                value(&mut client, "SELECT current_user").await,
                config.user()
            );
            assert_eq!(
                client.server_version(),
                ServerVersion(server.version_number())
            );
            let pid = value(&mut client, "SELECT pg_backend_pid()").await;
            assert_eq!(pid, client.process_id().to_string());
            assert_eq!(
                value(&mut client, "SHOW application_name").await,
                "walstream"
            );
            client.close().await.unwrap();

            if config.user() != "plain" {
                let mut client = Client::connect_replication(config).await.unwrap();
                let identity = client.identify_system().await.unwrap();
                assert_eq!(
                    (identity.timeline, identity.database.as_deref()),
                    (1, Some("postgres"))
                );
                assert!(!identity.wal_flush.is_zero() && identity.system_id.len() > 10);
            }
        }
    }
}

#[tokio::test]
async fn each_refusal_is_its_own_kind_also_in_german() {
    let german = Server::distribution().locale("de_DE.UTF-8");
    let mut server = german.setting("max_wal_senders", 1).start();
    sql(
        &server,
        "SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 'm';",
    );
    sql(
        &server,
        "CREATE ROLE scram LOGIN PASSWORD 's'; CREATE ROLE clear LOGIN PASSWORD 'c';
         CREATE ROLE plain LOGIN; CREATE ROLE nobody LOGIN; CREATE ROLE group_only NOLOGIN;",
    );
    for (role, method) in [
        ("md5", "md5"),
        ("scram", "scram-sha-256"),
        ("clear", "password"),
        ("nobody", "reject"),
    ] {
        server.allow(&format!("host all {role} 127.0.0.1/32 {method}"));
    }
    server.restart();
    let port = server.port();
    let at = |login: &str| config(&format!("postgres://{login}@127.0.0.1:{port}/postgres"));

    for login in [
        "md5:x",
        "scram:x",
        "clear:x",
        "nobody",
        "absent",
        "group_only",
    ] {
        let error = refused(&at(login)).await;
        assert_eq!(
            error.kind(),
            ErrorKind::Authentication,
            "{login}: {error:?}"
        );
        assert!(error.needs_person() && !error.is_transient() && error.hint().is_some());
        assert!(!format!("{error:?}").contains(":x"));
    }
    for login in ["md5", "scram", "clear"] {
        let error = refused(&at(login)).await;
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(
            error.to_string(),
            format!(
                "127.0.0.1:{port}: the server asks for a password of user \"{login}\", and none is given"
            )
        );
    }
    let error = refused(&at("scram:x")).await;
    assert_eq!(error.sqlstate(), Some("28P01"));
    assert!(
        error.source().unwrap().to_string().contains("Passwort"),
        "not German: {error:?}"
    );

    let missing = at("postgres").with_database("absent");
    assert_eq!(refused(&missing).await.kind(), ErrorKind::DatabaseMissing);

    let options = at("postgres").with_options("-c no_such_setting=1");
    assert_eq!(refused(&options).await.kind(), ErrorKind::Config);

    let error = Client::connect_replication(&at("plain")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rights, "{error:?}");

    let first = Client::connect_replication(&at("postgres")).await.unwrap();
    let error = Client::connect_replication(&at("postgres"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyConnections, "{error:?}");
    assert!(error.is_transient());
    drop(first);

    let mut client = Client::connect(&at("postgres")).await.unwrap();
    let pid = client.process_id();
    sql(&server, &format!("SELECT pg_terminate_backend({pid})"));
    let error = client.query("SELECT 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerShutdown, "{error:?}");
    assert!(error.is_transient());
    assert_eq!(
        client.query("SELECT 1").await.unwrap_err().kind(),
        ErrorKind::ConnectionClosed
    );

    server.stop();
    for config in [at("postgres"), config(&server.socket_url("postgres"))] {
        let error = refused(&config).await;
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.is_transient() && error.source().is_some());
    }
    let error = refused(&config("postgres://u@no-such-host.invalid/d")).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
}

/// Each setting as another, with a query that shows it in a value.
const HOSTILE: [(&str, &str, &str, &str); 14] = [
    (
        "DateStyle",
        "'SQL, DMY'",
        "SELECT '2026-03-02'::date",
        "2026-03-02",
    ),
    (
        "IntervalStyle",
        "sql_standard",
        "SELECT '1 day 2 hours'::interval",
        "1 day 02:00:00",
    ),
    ("bytea_output", "escape", r"SELECT '\x61'::bytea", r"\x61"),
    (
        "extra_float_digits",
        "-5",
        "SELECT 0.1::float8 + 0.2::float8",
        "0.30000000000000004",
    ),
    (
        "TimeZone",
        "'Asia/Tokyo'",
        "SELECT '2026-01-01 00:00:00+00'::timestamptz",
        "2026-01-01 00:00:00+00",
    ),
    ("xmlbinary", "hex", "SHOW xmlbinary", "base64"),
    (
        "search_path",
        "public",
        "SELECT 'public.seen'::regclass",
        "public.seen",
    ),
    ("lc_monetary", "'C.UTF-8'", "SHOW lc_monetary", "C"),
    ("row_security", "on", "SHOW row_security", "off"),
    ("statement_timeout", "12345", "SHOW statement_timeout", "0"),
    ("lock_timeout", "12345", "SHOW lock_timeout", "0"),
    (
        "idle_in_transaction_session_timeout",
        "12345",
        "SHOW idle_in_transaction_session_timeout",
        "0",
    ),
    (
        "idle_session_timeout",
        "12345",
        "SHOW idle_session_timeout",
        "0",
    ),
    ("client_encoding", "LATIN1", "SHOW client_encoding", "UTF8"),
];

#[tokio::test]
async fn settings_of_role_and_database_change_nothing() {
    for version in Version::ALL {
        let server = Server::start(version);
        sql(
            &server,
            "CREATE ROLE odd LOGIN SUPERUSER; CREATE TABLE public.seen ();",
        );
        let mut hostile = HOSTILE.map(|(name, value, ..)| (name, value)).to_vec();
        hostile.push(("wal_sender_timeout", "12345"));
        if version.major() >= 17 {
            hostile.push(("transaction_timeout", "12345"));
        }
        for (name, value) in &hostile {
            sql(
                &server,
                &format!(
                    "ALTER ROLE odd SET {name} = {value}; ALTER DATABASE postgres SET {name} = {value};"
                ),
            );
        }
        let config = config(&server.url("postgres").replace("postgres@", "odd@"));
        // Options come before the parameters that are ours, and other settings among them count.
        let config = config.with_options("-c work_mem=1234kB -e");
        for replication in [false, true] {
            let mut client = if replication {
                Client::connect_replication(&config).await.unwrap()
            } else {
                Client::connect(&config).await.unwrap()
            };
            for (name, _, sql, expected) in HOSTILE {
                assert_eq!(
                    value(&mut client, sql).await,
                    expected,
                    "{name} on {version}, replication {replication}"
                );
            }
            assert_eq!(value(&mut client, "SHOW wal_sender_timeout").await, "15s");
            assert_eq!(value(&mut client, "SHOW work_mem").await, "1234kB");
            if version.major() >= 17 {
                assert_eq!(value(&mut client, "SHOW transaction_timeout").await, "0");
            }
        }
        // The settings bite where nobody pins them, or this test would show nothing.
        let mut plain = testdata::Client::connect_with(&server, "postgres", "odd", &[]).unwrap();
        for (name, _, sql, expected) in HOSTILE {
            assert!(
                plain.value(sql).map_or(true, |value| value != expected),
                "{name} on {version}"
            );
        }
    }
}

#[tokio::test]
async fn row_security_is_an_error_rather_than_a_gap() {
    let server = Server::start(Version::NEWEST);
    sql(
        &server,
        "CREATE ROLE reader LOGIN; CREATE TABLE secret (id int); INSERT INTO secret VALUES (1);
         ALTER TABLE secret ENABLE ROW LEVEL SECURITY; GRANT SELECT ON secret TO reader;",
    );
    let config = config(&server.url("postgres").replace("postgres@", "reader@"));
    let mut client = Client::connect(&config).await.unwrap();
    let error = client
        .query("SELECT * FROM public.secret")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rights, "{error:?}");
}

#[tokio::test]
async fn a_silent_or_foreign_peer_does_not_hold_us() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = config(&format!("postgres://u@127.0.0.1:{port}/d"))
        .with_connect_timeout(Duration::from_millis(200));
    let error = refused(&silent).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().ends_with("within 0.2 s"), "{error}");

    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"D\0\0\0\x04",
        b"R\0\0\0\x05\0",
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 1024]);
            socket.write_all(answer).unwrap();
        });
        let error = refused(&config(&format!("postgres://u@127.0.0.1:{port}/d"))).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{answer:?}: {error:?}");
        peer.join().unwrap();
    }
}
