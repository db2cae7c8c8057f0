//! Slots, made, seen and dropped.

use testdata::Version;
use walstream::{AlterSlot, ErrorKind, SlotOptions, SlotState, Snapshot, WalStatus};

use crate::{replication, server, sql};

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

#[tokio::test]
async fn a_slot_is_altered_where_the_version_can_and_shows_it() {
    for version in Version::ALL {
        let server = server(version);
        let (mut client, mut other) = (replication(server).await, sql(server).await);
        client
            .create_slot("altered", &SlotOptions::default())
            .await
            .unwrap();
        let failover = |wanted| AlterSlot {
            failover: Some(wanted),
            ..AlterSlot::default()
        };
        let two_phase = |wanted| AlterSlot {
            two_phase: Some(wanted),
            ..AlterSlot::default()
        };
        for wanted in [true, false] {
            let altered = client.alter_slot("altered", &failover(wanted)).await;
            if version.major() < 17 {
                let error = altered.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert_eq!(error.sqlstate(), None, "it was sent to {version}");
            } else {
                altered.unwrap();
                let slot = other.slot("altered").await.unwrap().unwrap();
                assert_eq!(slot.failover, Some(wanted), "{version}");
            }
            let altered = client.alter_slot("altered", &two_phase(wanted)).await;
            if version.major() < 18 {
                let error = altered.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert_eq!(error.sqlstate(), None, "it was sent to {version}");
            } else {
                altered.unwrap();
                let slot = other.slot("altered").await.unwrap().unwrap();
                assert_eq!(slot.two_phase, wanted, "{version}");
                // It is known once somebody streams.
                assert_eq!(slot.two_phase_at, None, "{version}");
            }
        }
        client.drop_slot("altered", false).await.unwrap();
    }
}

#[tokio::test]
async fn a_slot_shows_what_its_version_knows_and_nothing_else() {
    for version in Version::ALL {
        let server = server(version);
        let (mut client, mut other) = (replication(server).await, sql(server).await);
        client
            .create_slot("shown", &SlotOptions::default())
            .await
            .unwrap();
        let slot = other.slot("shown").await.unwrap().unwrap();
        let major = version.major();
        assert_eq!(slot.wal_status, Some(WalStatus::Reserved));
        // No max_slot_wal_keep_size is set.
        assert_eq!((slot.safe_wal_size, slot.two_phase_at), (None, None));
        assert_eq!(slot.conflicting, (major >= 16).then_some(false));
        assert_eq!(slot.failover, (major >= 17).then_some(false));
        assert_eq!(slot.synced, (major >= 17).then_some(false));
        // By the server's clock, to the microsecond.
        let now = other
            .query("SELECT (extract(epoch FROM now()) * 1000000)::int8")
            .await
            .unwrap();
        let now: i64 = now[0].get(0).unwrap().parse().unwrap();
        match slot.inactive_since.and_then(|since| since.unix_micros()) {
            Some(since) => assert!(major >= 17 && (now - 600_000_000..=now).contains(&since)),
            None => assert!(major < 17, "{version}"),
        }
        client.drop_slot("shown", false).await.unwrap();

        other
            .execute("SELECT pg_create_physical_replication_slot('shown')")
            .await
            .unwrap();
        let slot = other.slot("shown").await.unwrap().unwrap();
        assert_eq!((slot.plugin, slot.wal_status), (None, None), "{version}");
        assert_eq!(slot.conflicting, None);
        other.drop_slot("shown", false).await.unwrap();
    }
}

#[tokio::test]
async fn a_setting_is_shown_where_the_version_has_it() {
    for version in Version::ALL {
        let server = server(version);
        for client in [&mut replication(server).await, &mut sql(server).await] {
            let shown = |text: &str| Some(text.to_owned());
            assert_eq!(client.show("wal_level").await.unwrap(), shown("logical"));
            client.execute("SET a.b = 'own'").await.unwrap();
            assert_eq!(client.show("a.b").await.unwrap(), shown("own"));
            assert_eq!(client.show("no_such; setting").await.unwrap(), None);
            let newer = client.show("idle_replication_slot_timeout").await.unwrap();
            assert_eq!(newer.is_some(), version.major() >= 18, "{version}");
        }
    }
}
