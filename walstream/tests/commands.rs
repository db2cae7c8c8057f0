//! Queries, slots and the start of streaming on real servers of every version.

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use testdata::{Server, Version};
use walstream::walproto::Lsn;
use walstream::{
    Client, Config, Error, ErrorKind, Limits, SlotOptions, SlotState, Snapshot, Stream,
    StreamOptions, Streaming,
};

/// One server of each version for all tests that leave it as it was.
fn server(version: Version) -> &'static Server {
    static SERVERS: [OnceLock<Server>; 5] = [const { OnceLock::new() }; 5];
    let at = Version::ALL
        .iter()
        .position(|known| *known == version)
        .unwrap();
    SERVERS[at].get_or_init(|| {
        let server = Server::start(version);
        let mut admin = testdata::Client::connect(&server, "postgres").unwrap();
        admin
            .batch("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
            .unwrap();
        for name in [r#"x"; DROP TABLE y; --"#, "a,b", r"it's \'", "MixedCase"] {
            let quoted = name.replace('"', "\"\"");
            admin
                .batch(&format!("CREATE PUBLICATION \"{quoted}\" FOR TABLE t"))
                .unwrap();
        }
        admin.batch("CREATE DATABASE other").unwrap();
        server
    })
}

fn config(server: &Server) -> Config {
    server.url("postgres").parse().unwrap()
}

async fn sql(server: &Server) -> Client {
    Client::connect(&config(server)).await.unwrap()
}

async fn replication(server: &Server) -> Client {
    Client::connect_replication(&config(server)).await.unwrap()
}

async fn start(server: &Server, options: &StreamOptions) -> Result<Stream, Error> {
    Stream::start(
        replication(server).await,
        options,
        Lsn::ZERO,
        Limits::default(),
    )
    .await
}

/// Starts streaming, which must fail.
async fn refused(server: &Server, options: &StreamOptions) -> Error {
    start(server, options)
        .await
        .map(|_| ())
        .expect_err("streaming started")
}

/// Waits until nobody uses the slot, and drops it.
async fn drop_slot(server: &Server, name: &str) {
    replication(server)
        .await
        .drop_slot(name, true)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_query_brings_rows_and_an_error_leaves_the_session_usable() {
    let mut client = sql(server(Version::V16)).await;
    let rows = client
        .query("SELECT 1 AS a, NULL AS b, '' AS c; SELECT 'x' AS a")
        .await
        .unwrap();
    assert_eq!(
        (
            rows[0].by_name("a"),
            rows[0].by_name("b"),
            rows[0].by_name("c")
        ),
        (Some("1"), None, Some(""))
    );
    assert_eq!(
        (rows[1].columns(), rows[1].get(0)),
        (&["a".to_owned()][..], Some("x"))
    );
    assert!(client.query("").await.unwrap().is_empty());

    for text in [
        "SELECT",
        "nonsense",
        "SELECT 1/0",
        "SELECT 1; SELECT 1/0; SELECT 2",
    ] {
        let result = client.query(text).await;
        assert_eq!(result.is_err(), text != "SELECT", "{text}");
    }
    let error = client
        .query("SELECT 1 FROM generate_series(1, 100000) i WHERE 1 / (i - 50000) = 5")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.sqlstate()),
        (ErrorKind::Server, Some("22012"))
    );
    assert_eq!(
        error.source().unwrap().to_string(),
        "ERROR 22012: division by zero"
    );
    let error = client.query("SELECT '\0'").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    client
        .execute("SET work_mem = '5MB'; DO $$ BEGIN RAISE WARNING 'for the log'; END $$")
        .await
        .unwrap();
    assert_eq!(
        client.query("SHOW work_mem").await.unwrap()[0].get(0),
        Some("5MB")
    );
}

#[tokio::test]
async fn copy_modes_that_nobody_asked_for_do_not_hang() {
    let mut client = replication(server(Version::V17)).await;
    let error = client
        .execute("COPY public.t FROM STDIN")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    client.execute("COPY public.t TO STDOUT").await.unwrap();
    client
        .create_slot(
            "unasked",
            &SlotOptions {
                temporary: true,
                ..SlotOptions::default()
            },
        )
        .await
        .unwrap();
    let text =
        "START_REPLICATION SLOT unasked LOGICAL 0/0 (proto_version '1', publication_names 'p')";
    client.execute(text).await.unwrap();
    assert_eq!(client.query("SELECT 5").await.unwrap()[0].get(0), Some("5"));
}

#[tokio::test]
async fn copy_out_brings_every_row_and_its_errors() {
    let mut client = sql(server(Version::V15)).await;
    let mut copy = client
        .copy_out(
            "COPY (SELECT i, repeat('x', i % 100) FROM generate_series(1, 200000) i) TO STDOUT",
        )
        .await
        .unwrap();
    let mut count = 0;
    while let Some(row) = copy.next().await.unwrap() {
        count += 1;
        assert_eq!(
            &row[..],
            format!("{count}\t{}\n", "x".repeat(count % 100)).as_bytes()
        );
    }
    assert_eq!(count, 200_000);
    assert!(copy.next().await.unwrap().is_none());

    let mut copy = client
        .copy_out("COPY (SELECT 1 / (5 - i) FROM generate_series(1, 10) i) TO STDOUT")
        .await
        .unwrap();
    let error = loop {
        match copy.next().await {
            Ok(row) => assert!(row.is_some(), "the copy ended well"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), Some("22012"));

    assert_eq!(
        client.copy_out("SELECT 1").await.unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(
        client
            .copy_out("COPY absent TO STDOUT")
            .await
            .unwrap_err()
            .sqlstate(),
        Some("42P01")
    );

    // Dropped half-way: the next statement is not confused by the rest.
    {
        let mut copy = client
            .copy_out("COPY (SELECT generate_series(1, 100000)) TO STDOUT")
            .await
            .unwrap();
        assert_eq!(&copy.next().await.unwrap().unwrap()[..], b"1\n");
    }
    assert_eq!(client.query("SELECT 7").await.unwrap()[0].get(0), Some("7"));
}

#[tokio::test]
async fn a_dropped_query_does_not_answer_for_the_next() {
    let mut client = sql(server(Version::V18)).await;
    for _ in 0..3 {
        let query = client.query("SELECT pg_sleep(0.2), 'old'");
        assert!(
            tokio::time::timeout(Duration::from_millis(50), query)
                .await
                .is_err()
        );
    }
    assert_eq!(
        client.query("SELECT 'new'").await.unwrap()[0].get(0),
        Some("new")
    );
}

#[tokio::test]
async fn a_statement_larger_than_any_socket_buffer_gets_through() {
    let mut client = sql(server(Version::V14)).await;
    let large = "ä".repeat(4 << 20);
    // The server's answers begin before it has read the whole text.
    let notices =
        "DO $$ BEGIN FOR i IN 1..2000 LOOP RAISE WARNING '%', repeat('x', 1000); END LOOP; END $$;";
    client
        .execute("SET client_min_messages = warning")
        .await
        .unwrap();
    client
        .execute(&format!("{notices} SELECT '{large}'"))
        .await
        .unwrap();
    let rows = client.query(&format!("SELECT '{large}'")).await.unwrap();
    assert!(rows[0].get(0) == Some(&*large));
}

#[tokio::test]
async fn a_message_over_the_limit_is_a_clear_error() {
    let config = config(server(Version::V18)).with_max_message_size(1 << 20);
    let mut client = Client::connect(&config).await.unwrap();
    client.query("SELECT repeat('x', 1000000)").await.unwrap();
    let error = client
        .query("SELECT repeat('x', 2000000)")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(
        error.to_string(),
        "the server sent a message 'D' of 2000010 bytes, and the limit is 1048576"
    );
    assert!(error.hint().unwrap().contains("max_message_size"));
}

#[tokio::test]
async fn a_slot_is_made_seen_and_dropped_on_every_version() {
    for version in Version::ALL {
        let server = server(version);
        let (mut client, mut other) = (replication(server).await, sql(server).await);
        assert_eq!(other.slot("made").await.unwrap(), None);
        let made = client
            .create_slot("made", &SlotOptions::default())
            .await
            .unwrap();
        assert_eq!((&*made.name, made.snapshot), ("made", None));
        let slot = other.slot("made").await.unwrap().unwrap();
        assert_eq!(
            (slot.plugin.as_deref(), slot.database.as_deref()),
            (Some("pgoutput"), Some("postgres"))
        );
        assert_eq!(
            (slot.confirmed_flush, slot.active_pid),
            (Some(made.consistent_point), None)
        );
        assert!(slot.restart_lsn.unwrap() <= made.consistent_point);
        assert_eq!(
            (slot.two_phase, slot.temporary, slot.state),
            (false, false, SlotState::Usable)
        );

        let error = client
            .create_slot("made", &SlotOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SlotExists);
        client.drop_slot("made", false).await.unwrap();
        let error = client.drop_slot("made", false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SlotMissing);
        assert_eq!(other.slot("made").await.unwrap(), None);

        // The snapshot of the slot's beginning, in another session and in this one.
        let table = "CREATE TABLE public.seen (id int); INSERT INTO public.seen VALUES (1)";
        other.execute(table).await.unwrap();
        let options = SlotOptions {
            temporary: true,
            snapshot: Snapshot::Export,
            ..SlotOptions::default()
        };
        let snapshot = client
            .create_slot("export", &options)
            .await
            .unwrap()
            .snapshot
            .unwrap();
        other
            .execute("INSERT INTO public.seen VALUES (2)")
            .await
            .unwrap();
        let mut reader = sql(server).await;
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'"
        );
        reader.execute(&begin).await.unwrap();
        assert_eq!(
            reader
                .query("SELECT * FROM public.seen")
                .await
                .unwrap()
                .len(),
            1,
            "{version}"
        );
        let slot = other.slot("export").await.unwrap().unwrap();
        assert!(slot.temporary && slot.active_pid == Some(client.process_id()));
        drop(client);

        let mut client = replication(server).await;
        client
            .execute("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
            .await
            .unwrap();
        let options = SlotOptions {
            temporary: true,
            snapshot: Snapshot::Use,
            ..SlotOptions::default()
        };
        client.create_slot("use", &options).await.unwrap();
        other
            .execute("INSERT INTO public.seen VALUES (3)")
            .await
            .unwrap();
        assert_eq!(
            client
                .query("SELECT * FROM public.seen")
                .await
                .unwrap()
                .len(),
            2,
            "{version}"
        );
        client.execute("COMMIT").await.unwrap();
        reader.execute("COMMIT").await.unwrap();
        other.execute("DROP TABLE public.seen").await.unwrap();

        for (two_phase, failover, least) in [(true, false, 15), (false, true, 17), (true, true, 17)]
        {
            let options = SlotOptions {
                two_phase,
                failover,
                ..SlotOptions::default()
            };
            let made = client.create_slot("optional", &options).await;
            if version.major() < least {
                assert_eq!(made.unwrap_err().kind(), ErrorKind::Unsupported);
                continue;
            }
            made.unwrap();
            assert_eq!(
                other.slot("optional").await.unwrap().unwrap().two_phase,
                two_phase
            );
            client.drop_slot("optional", false).await.unwrap();
        }
        assert_eq!(client.timeline_history(1).await.unwrap(), []);
        assert_eq!(
            client.timeline_history(7).await.unwrap_err().sqlstate(),
            Some("58P01")
        );

        let long = "a".repeat(64);
        for name in [
            r#"x"; DROP TABLE y; --"#,
            "it's",
            "MixedCase",
            "",
            "a,b",
            "ä",
            &long,
        ] {
            let error = client
                .create_slot(name, &SlotOptions::default())
                .await
                .unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::Config,
                "{name} on {version}: {error:?}"
            );
            assert_eq!(other.slot(name).await.unwrap(), None);
        }
    }
}

/// Every combination of the options that a version has is taken; every other is refused before it is sent.
#[tokio::test]
async fn options_are_taken_or_refused_as_the_version_has_them() {
    for version in Version::ALL {
        let server = server(version);
        replication(server)
            .await
            .create_slot("options", &SlotOptions::default())
            .await
            .unwrap();
        let (mut taken, mut refused) = (0, 0);
        for protocol in [None, Some(1), Some(2), Some(3), Some(4), Some(5)] {
            for streaming in [Streaming::Off, Streaming::On, Streaming::Parallel] {
                for bits in 0..8 {
                    let options = StreamOptions {
                        protocol,
                        streaming,
                        binary: bits & 1 != 0,
                        messages: bits & 2 != 0,
                        origin_none: bits & 4 != 0,
                        ..StreamOptions::new("options", ["p"])
                    };
                    let most = u32::from(version.max_protocol());
                    let wanted = protocol.map_or(most, u32::from);
                    let legal = wanted <= most
                        && (streaming != Streaming::On || wanted >= 2)
                        && (streaming != Streaming::Parallel || wanted >= 4)
                        && (!options.origin_none || version.major() >= 16);
                    match start(server, &options).await {
                        Ok(stream) => {
                            assert!(legal, "{version} took {options:?}");
                            stream.finish().await.unwrap();
                            taken += 1;
                        }
                        Err(error) => {
                            assert!(!legal, "{version} refused {options:?}: {error:?}");
                            let ours =
                                matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Config);
                            assert!(ours && error.report().is_none(), "{error:?}");
                            refused += 1;
                        }
                    }
                }
            }
        }
        assert!(taken >= 20 && refused >= 20, "{version}: {taken} {refused}");

        let options = StreamOptions {
            two_phase: true,
            ..StreamOptions::new("options", ["p"])
        };
        match start(server, &options).await {
            Ok(stream) => {
                assert!(version.major() >= 15);
                stream.finish().await.unwrap();
            }
            Err(error) => assert_eq!(
                (error.kind(), version),
                (ErrorKind::Unsupported, Version::V14)
            ),
        }
        drop_slot(server, "options").await;
    }
}

#[tokio::test]
async fn publications_of_any_name_are_found_and_missing_ones_named_on_every_version() {
    for version in Version::ALL {
        let server = server(version);
        replication(server)
            .await
            .create_slot("names", &SlotOptions::default())
            .await
            .unwrap();
        let hostile = [
            "p",
            r#"x"; DROP TABLE y; --"#,
            "a,b",
            r"it's \'",
            "MixedCase",
        ];
        // The server reads the names at the first change.
        let mut stream = start(server, &StreamOptions::new("names", hostile))
            .await
            .unwrap();
        sql(server)
            .await
            .execute("INSERT INTO public.t VALUES (1); DELETE FROM public.t")
            .await
            .unwrap();
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), stream.next())
                .await
                .unwrap();
            if let Some(walstream::Event::Transaction(_)) = event.unwrap() {
                break;
            }
        }
        stream.finish().await.unwrap();

        let error = refused(
            server,
            &StreamOptions::new("names", ["p", "mixedcase", "a"]),
        )
        .await;
        assert_eq!(error.kind(), ErrorKind::PublicationMissing);
        assert_eq!(
            error.to_string(),
            "there are no publications named \"mixedcase\", \"a\""
        );
        assert!(error.needs_person());
        drop_slot(server, "names").await;
    }
}

#[tokio::test]
async fn slots_that_cannot_be_used_are_told_apart_on_every_version() {
    for version in Version::ALL {
        let server = server(version);
        let mut client = replication(server).await;
        let p = |slot: &str| StreamOptions::new(slot, ["p"]);

        assert_eq!(
            refused(server, &p("absent")).await.kind(),
            ErrorKind::SlotMissing
        );
        assert_eq!(
            refused(server, &p(r#"x"; DROP TABLE y; --"#)).await.kind(),
            ErrorKind::SlotMissing
        );

        client
            .create_slot("used", &SlotOptions::default())
            .await
            .unwrap();
        let holder = replication(server).await;
        let pid = holder.process_id();
        let stream = Stream::start(holder, &p("used"), Lsn::ZERO, Limits::default())
            .await
            .unwrap();
        let error = refused(server, &p("used")).await;
        assert_eq!(
            error.kind(),
            ErrorKind::SlotInUse { pid: Some(pid) },
            "{version}"
        );
        assert!(
            error.is_transient()
                && error
                    .hint()
                    .unwrap()
                    .contains(&format!("pg_terminate_backend({pid})"))
        );
        let error = client.drop_slot("used", false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SlotInUse { pid: Some(pid) });
        stream.finish().await.unwrap();

        let elsewhere = config(server).with_database("other");
        let elsewhere = Client::connect_replication(&elsewhere).await.unwrap();
        let error = Stream::start(elsewhere, &p("used"), Lsn::ZERO, Limits::default())
            .await
            .map(|_| ())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SlotWrongDatabase);
        client.drop_slot("used", true).await.unwrap();

        client
            .execute("CREATE_REPLICATION_SLOT physical TEMPORARY PHYSICAL")
            .await
            .unwrap();
        assert_eq!(
            refused(server, &p("physical")).await.kind(),
            ErrorKind::SlotWrongPlugin
        );
    }
}

#[tokio::test]
async fn a_slot_that_the_server_gave_up_is_lost_on_every_version() {
    for version in Version::ALL {
        let server = Server::builder(version)
            .setting("max_slot_wal_keep_size", "1MB")
            .setting("min_wal_size", "32MB")
            .setting("max_wal_size", "32MB")
            .start();
        let mut client = replication(&server).await;
        client
            .create_slot("lost", &SlotOptions::default())
            .await
            .unwrap();
        client.execute("CREATE PUBLICATION p").await.unwrap();
        let mut admin = sql(&server).await;
        for _ in 0..5 {
            admin.execute("SELECT pg_switch_wal(); SELECT pg_logical_emit_message(false, 'x', 'y'); CHECKPOINT").await.unwrap();
        }
        let slot = admin.slot("lost").await.unwrap().unwrap();
        assert_eq!(
            slot.state,
            SlotState::Lost {
                reason: "wal_removed".into()
            },
            "{version}"
        );
        let error = refused(&server, &StreamOptions::new("lost", ["p"])).await;
        assert_eq!(error.kind(), ErrorKind::SlotLost);
        assert_eq!(
            error.to_string(),
            "replication slot \"lost\" is lost: wal_removed"
        );
        assert!(error.needs_person() && !error.is_transient());
    }
}

#[tokio::test]
async fn a_server_that_is_not_set_up_for_it_says_what_is_missing_also_in_german() {
    let german = Server::distribution().locale("de_DE.UTF-8");
    let server = german
        .setting("wal_level", "replica")
        .setting("max_replication_slots", 1)
        .start();
    let mut client = replication(&server).await;
    let error = client
        .create_slot("s", &SlotOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WalLevel, "{error:?}");
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("logische Dekodierung"),
        "not German: {error:?}"
    );
    drop((client, server));

    let german = Server::distribution().locale("de_DE.UTF-8");
    let server = german.setting("max_replication_slots", 1).start();
    let mut client = replication(&server).await;
    client
        .create_slot("one", &SlotOptions::default())
        .await
        .unwrap();
    let error = client
        .create_slot("two", &SlotOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManySlots, "{error:?}");
    let error = client
        .create_slot("one", &SlotOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SlotExists, "{error:?}");
    let error = client
        .create_slot("Two", &SlotOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert_eq!(
        client.drop_slot("two", false).await.unwrap_err().kind(),
        ErrorKind::SlotMissing
    );

    client
        .execute("CREATE PUBLICATION p; CREATE ROLE plain LOGIN")
        .await
        .unwrap();
    let options = StreamOptions::new("one", ["p"]);
    let stream = Stream::start(
        replication(&server).await,
        &options,
        Lsn::ZERO,
        Limits::default(),
    )
    .await
    .unwrap();
    assert!(matches!(
        refused(&server, &options).await.kind(),
        ErrorKind::SlotInUse { pid: Some(_) }
    ));
    stream.finish().await.unwrap();
}

#[tokio::test]
async fn a_lost_slot_is_the_same_in_german() {
    let german = Server::distribution().locale("de_DE.UTF-8");
    let server = german
        .setting("max_slot_wal_keep_size", "1MB")
        .setting("max_wal_size", "32MB")
        .setting("min_wal_size", "32MB")
        .start();
    let mut client = replication(&server).await;
    client
        .create_slot("lost", &SlotOptions::default())
        .await
        .unwrap();
    client.execute("CREATE PUBLICATION p").await.unwrap();
    for _ in 0..5 {
        client.execute("SELECT pg_switch_wal(); SELECT pg_logical_emit_message(false, 'x', 'y'); CHECKPOINT").await.unwrap();
    }
    assert_eq!(
        refused(&server, &StreamOptions::new("lost", ["p"]))
            .await
            .kind(),
        ErrorKind::SlotLost
    );
}
