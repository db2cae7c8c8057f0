//! What roles, databases and locales set must not show: neither in values nor in how errors are understood.

#[path = "faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

use common::{Site, until};
use testdata::{Client, Server};

const TABLE: &str = "CREATE TABLE shaped (
    id int PRIMARY KEY, d date, ts timestamp, tz timestamptz, tt timetz, i interval, b bytea, r real, f float8,
    n numeric, m money, a timestamptz[], g tstzrange, c regclass, x xml)";

const ROWS: [&str; 3] = [
    "'2024-02-03', '2024-02-03 04:05:06.789', '2024-02-03 04:05:06+07', '04:05:06+02', '1 year 2 mons -3 days 04:05:06',
     '\\x00ff5c', 0.1, 0.1::float8 + 0.2, 1234567.89, 1234.56, '{2024-02-03 04:05:06+07,infinity}',
     '[2024-02-03 04:05:06+07,)', 'shaped', '<a>b</a>'",
    "'0044-03-15 BC', '-infinity', 'infinity', '24:00:00-15:59:59', '-1 days +02:03:04', 'plain', 'NaN', '-0', 'NaN',
     -0.07, '{}', 'empty', 'pg_class', NULL",
    "NULL, NULL, NULL, NULL, NULL, NULL, 1e-30, 5e-324, 'Infinity', NULL, NULL, NULL, NULL, NULL",
];

const SETTINGS: [(&str, &str); 8] = [
    ("DateStyle", "'German, DMY'"),
    ("IntervalStyle", "'iso_8601'"),
    ("bytea_output", "'escape'"),
    ("extra_float_digits", "-10"),
    ("TimeZone", "'Asia/Kolkata'"),
    ("xmlbinary", "'hex'"),
    ("lc_monetary", "'de_DE.UTF-8'"),
    ("client_encoding", "'LATIN1'"),
];

/// Copies one lot of rows, streams another, updates it, and returns the destination.
fn replicated(site: &Site, source: &str) -> Vec<String> {
    let insert = |first: usize| {
        for (at, row) in ROWS.iter().enumerate() {
            // As a session that writes the values in the usual styles, whatever its role says.
            let mut client = Client::connect_with(
                &site.server,
                &site.database,
                "postgres",
                &[
                    ("DateStyle", "ISO, YMD"),
                    ("TimeZone", "UTC"),
                    ("lc_monetary", "C"),
                    ("client_encoding", "UTF8"),
                ],
            )
            .expect("a connection");
            client
                .batch(&format!(
                    "INSERT INTO shaped VALUES ({}, {row})",
                    first + at
                ))
                .expect("a row");
        }
    };
    let run = || {
        let mut command = common::program();
        command.args([
            "run", "--until", "current", "--slot", &site.slot, "--source", source,
        ]);
        command.args(["--destination", &site.destination()]);
        common::Running::start(&mut command)
            .wait(common::PATIENCE)
            .done();
    };
    site.sql(TABLE);
    insert(0);
    run();
    insert(10);
    site.sql("UPDATE public.shaped SET i = i + '1 hour', m = m * 2, r = r / 3 WHERE id = 10");
    run();
    site.rows("SELECT * FROM shaped ORDER BY id")
}

#[test]
fn settings_of_role_and_database_do_not_shape_values() {
    let plain = Site::new();
    let expected = replicated(&plain, &plain.source());
    assert_eq!(expected.len(), 6);

    let by_database = Site::new();
    let by_role = Site::new();
    let role = format!("shaped_{}", by_role.slot);
    by_role.sql(&format!("CREATE ROLE {role} SUPERUSER LOGIN REPLICATION"));
    for (name, value) in SETTINGS {
        by_database.sql(&format!(
            "ALTER DATABASE {} SET {name} = {value}",
            by_database.database
        ));
        by_role.sql(&format!("ALTER ROLE {role} SET {name} = {value}"));
    }
    // The settings do count for who does not pin them.
    let styled = |site: &Site, user: &str| {
        let encoding = [("client_encoding", "UTF8")];
        let client = Client::connect_with(&site.server, &site.database, user, &encoding);
        client.expect("a connection").value("SELECT concat_ws(' ', date '2024-02-03', interval '1 day', '\\xff'::bytea, 0.1::float8, 1234.56::money)")
    };
    for styled in [styled(&by_database, "postgres"), styled(&by_role, &role)] {
        assert_eq!(
            styled.expect("a value"),
            "03.02.2024 P1D \\377 0.1 1.234,56 €"
        );
    }

    let of_database = replicated(&by_database, &by_database.source());
    assert_eq!(
        of_database, expected,
        "settings of the database shape values"
    );
    let source = format!(
        "postgres://{role}@127.0.0.1:{}/{}",
        by_role.server.port(),
        by_role.database
    );
    assert_eq!(
        replicated(&by_role, &source),
        expected,
        "settings of the role shape values"
    );
}

#[test]
fn settings_that_would_end_sessions_do_not() {
    let site = Site::new();
    for (name, value) in [
        ("statement_timeout", "1s"),
        ("lock_timeout", "1s"),
        ("idle_in_transaction_session_timeout", "1s"),
        ("idle_session_timeout", "1s"),
        ("default_transaction_read_only", "on"),
    ] {
        site.sql(&format!(
            "ALTER DATABASE {} SET {name} = '{value}'",
            site.database
        ));
    }
    let patient = || {
        let mut client = site.client();
        client
            .batch("SET default_transaction_read_only = off; SET statement_timeout = 0")
            .expect("a session");
        client
    };
    patient()
        .batch("CREATE PUBLICATION mine FOR TABLE t")
        .expect("a publication");
    // A transaction that keeps the slot waiting for longer than those allow.
    let mut open = patient();
    open.batch(
        "SET idle_in_transaction_session_timeout = 0; BEGIN; INSERT INTO t VALUES (3, 'three')",
    )
    .expect("a row");
    let mut running = site.run(&["--publication", "mine"]);
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert!(running.is_running(), "{}", running.stderr());
    open.batch("COMMIT").expect("the commit");
    running.until("the rows arrive", || {
        site.tables() == ["t"] && site.t().len() == 3
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    patient()
        .batch("INSERT INTO t VALUES (4, 'four')")
        .expect("a row");
    running.until("the row arrives", || site.t().len() == 4);
    running.terminate().done();
}

/// A server that answers in German: classified all the same, as nothing is understood by its text.
#[test]
fn errors_of_a_german_server_are_understood() {
    let german = || Server::distribution().locale("de_DE.UTF-8");
    let site = Site::own(german().setting("max_slot_wal_keep_size", "1MB").start());
    assert_eq!(site.ask("SHOW lc_messages"), "de_DE.UTF-8");
    let says = site
        .client()
        .query("SELECT * FROM absent")
        .expect_err("an error")
        .to_string();
    assert!(
        says.contains("existiert nicht"),
        "this server speaks no German: {says}"
    );

    // What the server itself has to refuse, because we do not look beforehand.
    let source = site.server.url("absent");
    let run = |source: &str| {
        let mut command = common::program();
        command.args([
            "run",
            "--until",
            "current",
            "--takeover",
            "1",
            "--slot",
            &site.slot,
            "--source",
            source,
        ]);
        command.args(["--destination", &site.destination()]);
        common::Running::start(&mut command).wait(common::PATIENCE)
    };
    let outcome = run(&source);
    outcome.failed(3, &["database"]);
    assert!(
        outcome.stderr.contains("existiert nicht"),
        "{}",
        outcome.stderr
    );
    site.sql("CREATE ROLE weak LOGIN");
    let source = format!(
        "postgres://weak@127.0.0.1:{}/{}",
        site.server.port(),
        site.database
    );
    run(&source).failed(3, &[]).hinted(&["REPLICATION"]);
    site.catch_up(&["--publication", "absent"])
        .failed(3, &["absent"])
        .hinted(&["create"]);

    // In use,
    site.caught_up(&[]);
    let mut holder = Client::replication(&site.server, &site.database).expect("a connection");
    let command = "LOGICAL 0/0 (proto_version '1', publication_names 'replicator')";
    holder
        .start_replication(&format!("START_REPLICATION SLOT {} {command}", site.slot))
        .expect("a stream");
    let outcome = run(&site.source());
    outcome
        .failed(1, &["in use", &holder.process_id().to_string()])
        .hinted(&["stop"]);
    drop(holder);
    until("the slot is free", || {
        site.slot_column("active").as_deref() == Some("false")
    });

    // the publication gone in the middle of the stream,
    let running = site.streaming(&[]);
    site.sql("DROP PUBLICATION replicator");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running
        .wait(common::PATIENCE)
        .failed(3, &["publication"])
        .hinted(&["drop", "run"]);
    site.start_anew(&[]);
    assert_eq!(site.t().len(), 3);

    // the connection ended by an administrator, and again and again:
    let running = site.streaming(&["--reconnect", "0"]);
    site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    let outcome = running.wait(common::PATIENCE);
    outcome.failed(1, &[]);
    assert!(
        outcome.stderr.contains("Verbindung"),
        "no German cause: {}",
        outcome.stderr
    );

    // lost,
    for _ in 0..4 {
        site.sql("INSERT INTO t SELECT max(id) + 1 FROM t");
        site.sql("SELECT pg_switch_wal()");
    }
    site.sql("CHECKPOINT");
    site.catch_up(&[]).failed(3, &["lost"]).hinted(&[]);
    // and gone.
    site.sql(&format!("SELECT pg_drop_replication_slot('{}')", site.slot));
    site.catch_up(&[])
        .failed(3, &["does not exist"])
        .hinted(&["drop", "run"]);
    site.start_anew(&[]);
}
