//! What keeps a stream from starting, told apart.

use std::error::Error as _;
use std::time::Duration;

use testdata::{Server, Version};
use walstream::walproto::Lsn;
use walstream::{
    Client, ErrorKind, Limits, SlotOptions, SlotState, Stream, StreamOptions, WalStatus,
};

use crate::{config, drop_slot, refused, replication, server, sql, start};

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
            let event = tokio::time::timeout(Duration::from_secs(20), stream.next_event())
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
async fn a_database_of_any_name_has_its_slots_on_every_version() {
    for version in Version::ALL {
        let server = server(version);
        let mut admin = sql(server).await;
        let mut client = replication(server).await;
        for name in [r#"x"; DROP TABLE y; --"#, r"it's '", "Ä b", "replication"] {
            let quoted = walstream::quote_identifier(name);
            admin
                .execute(&format!("CREATE DATABASE {quoted}"))
                .await
                .unwrap();
            let there = server.url(name).parse().unwrap();
            let mut maker = Client::connect_replication(&there).await.unwrap();
            let identity = maker.identify_system().await.unwrap();
            assert_eq!(identity.database.as_deref(), Some(name), "{version}");
            maker
                .create_slot("elsewhere", &SlotOptions::default())
                .await
                .unwrap();
            let slot = client.slot("elsewhere").await.unwrap().unwrap();
            assert_eq!(slot.database.as_deref(), Some(name));
            let error = refused(server, &StreamOptions::new("elsewhere", ["p"])).await;
            assert_eq!(error.kind(), ErrorKind::SlotWrongDatabase);
            assert!(error.to_string().contains(name), "{error}");
            maker.drop_slot("elsewhere", true).await.unwrap();
            maker.close().await.unwrap();
            admin
                .execute(&format!("DROP DATABASE {quoted} WITH (FORCE)"))
                .await
                .unwrap();
        }
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
        assert!(error.hint().unwrap().contains("max_slot_wal_keep_size"));
        assert_eq!(slot.wal_status, Some(WalStatus::Lost));
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
