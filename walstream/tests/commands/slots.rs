//! Slots, made, seen and dropped.

use testdata::Version;
use walstream::{ErrorKind, SlotOptions, SlotState, Snapshot};

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
