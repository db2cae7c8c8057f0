//! The rows of connecting, of sessions that end, and of queries.

use std::time::Duration;

use testdata::Server;
use walstream::ErrorKind;

use super::{Table, admin, login, passes, person, user, wire};

/// A server where everything that can be refused at the door is.
pub(super) fn strict(builder: testdata::Builder) -> Server {
    let server = builder
        .setting("max_connections", 12)
        .setting("superuser_reserved_connections", 3)
        .setting("max_wal_senders", 2)
        .setting("max_replication_slots", 2)
        .allow("hostssl all tls 127.0.0.1/32 trust")
        .allow("host all tls 127.0.0.1/32 reject")
        .allow("host all scram 127.0.0.1/32 scram-sha-256")
        .allow("host all rejected 127.0.0.1/32 reject")
        .start();
    admin(
        &server,
        "CREATE ROLE scram LOGIN PASSWORD 's'; CREATE ROLE rejected LOGIN; CREATE ROLE tls LOGIN;
         CREATE ROLE plain LOGIN; CREATE ROLE sleeping NOLOGIN; CREATE ROLE sender LOGIN REPLICATION;
         CREATE ROLE single LOGIN CONNECTION LIMIT 1; CREATE TABLE secret (id int)",
    );
    for text in [
        "CREATE DATABASE closed ALLOW_CONNECTIONS false",
        "CREATE DATABASE private",
    ] {
        admin(&server, text);
    }
    admin(&server, "REVOKE CONNECT ON DATABASE private FROM PUBLIC");
    server
}

pub(super) async fn at_the_door(server: &mut Server, table: &mut Table) {
    use ErrorKind::{
        Authentication, Config as Settings, Connect, DatabaseMissing, Rights, Server as Other,
        ServerShutdown, TooManyConnections,
    };
    let with_database = |role: &str, database: &str| user(server, role).with_database(database);
    table.row(
        login(&user(server, "scram:wrong")).await,
        &person(Authentication, "28P01", "password"),
    );
    for role in ["rejected", "absent", "sleeping"] {
        table.row(
            login(&user(server, role)).await,
            &person(Authentication, "28000", "pg_hba.conf"),
        );
    }
    table.row(
        login(&user(server, "tls").with_host("127.0.0.1")).await,
        &person(Authentication, "28000", "sslmode=require"),
    );
    table.row(
        login(&with_database("plain", "absent")).await,
        &person(DatabaseMissing, "3D000", "pg_database"),
    );
    table.row(
        login(&with_database("plain", "closed")).await,
        &person(Other, "55000", "ALLOW_CONNECTIONS"),
    );
    table.row(
        login(&with_database("plain", "private")).await,
        &person(Rights, "42501", "GRANT CONNECT"),
    );
    table.row(
        wire(&user(server, "plain")).await,
        &person(Rights, "42501", "ALTER ROLE … REPLICATION"),
    );
    for options in ["-c no_such_setting=1", "-c work_mem=x"] {
        table.row(
            login(&user(server, "plain").with_options(options)).await,
            &person(
                Settings,
                if options.ends_with('x') {
                    "22023"
                } else {
                    "42704"
                },
                "options",
            ),
        );
    }

    let kept = login(&user(server, "single")).await.unwrap();
    table.row(
        login(&user(server, "single")).await,
        &passes(TooManyConnections, "53300", "CONNECTION LIMIT"),
    );
    drop(kept);
    let senders = [
        wire(&user(server, "sender")).await.unwrap(),
        wire(&user(server, "sender")).await.unwrap(),
    ];
    table.row(
        wire(&user(server, "sender")).await,
        &passes(TooManyConnections, "53300", "max_wal_senders"),
    );
    drop(senders);
    let mut sessions = Vec::new();
    let full = loop {
        match login(&user(server, "plain")).await {
            Ok(session) => sessions.push(session),
            refused => break refused,
        }
    };
    table.row(
        full,
        &passes(TooManyConnections, "53300", "max_connections"),
    );
    assert!(sessions.len() <= 12);

    // Ended from outside: by whom, a later attempt shows.
    let mut ended = sessions.swap_remove(0);
    admin(
        server,
        &format!("SELECT pg_terminate_backend({})", ended.process_id()),
    );
    table.row(
        ended.query("SELECT 1").await,
        &passes(ServerShutdown, "57P01", "Connect again"),
    );
    table.row(
        ended.query("SELECT 1").await,
        &passes(ErrorKind::ConnectionClosed, "", "Connect again"),
    );
    let mut reader = sessions.swap_remove(0);
    table.row(
        reader.query("SELECT * FROM public.secret").await,
        &person(Rights, "42501", "GRANT SELECT"),
    );
    table.row(
        reader.copy_out("COPY public.secret TO STDOUT").await,
        &person(Rights, "42501", "GRANT SELECT"),
    );
    table.row(
        reader.query("SELECT * FROM absent").await,
        &person(Other, "42P01", "server's own words"),
    );
    table.row(
        reader
            .query("SET lock_timeout = 1; SELECT pg_sleep(0); SET statement_timeout = 1; SELECT pg_sleep(9)")
            .await,
        &passes(Other, "57014", "Try again"),
    );

    // Stopping: it waits for the session, and takes no other.
    server.signal("TERM");
    let stopping = loop {
        match login(&user(server, "postgres")).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            refused => break refused,
        }
    };
    table.row(
        stopping,
        &passes(ServerShutdown, "57P03", "once the server is up"),
    );
    drop((reader, sessions));
    server.stop_immediate();
    table.row(
        login(&user(server, "postgres")).await,
        &passes(Connect, "", "host and port"),
    );
    // What follows is not to meet the same limits.
    server.set("max_wal_senders", 8);
    server.set("max_connections", 50);
    server.start_again();
}
