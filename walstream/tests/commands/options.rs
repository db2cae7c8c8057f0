//! The options of START_REPLICATION, by version.

use testdata::Version;
use walstream::{ErrorKind, ServerVersion, SlotOptions, StreamOptions, Streaming};

use crate::{drop_slot, replication, server, start};

/// Every combination of the options that a version has is taken; every other is refused before it is sent.
#[tokio::test]
async fn options_are_taken_or_refused_as_the_version_has_them() {
    for version in Version::ALL {
        let server = server(version);
        // A start with two_phase changes the slot for good, so those have one of their own.
        for slot in ["options", "options_two_phase"] {
            replication(server)
                .await
                .create_slot(slot, &SlotOptions::default())
                .await
                .unwrap();
        }
        let (mut taken, mut refused) = (0, 0);
        for protocol in [None, Some(1), Some(2), Some(3), Some(4), Some(5)] {
            for streaming in [Streaming::Off, Streaming::On, Streaming::Parallel] {
                for bits in 0..16 {
                    let two_phase = bits & 8 != 0;
                    let slot = if two_phase {
                        "options_two_phase"
                    } else {
                        "options"
                    };
                    let options = StreamOptions {
                        protocol,
                        streaming,
                        binary: bits & 1 != 0,
                        messages: bits & 2 != 0,
                        origin_none: bits & 4 != 0,
                        two_phase,
                        ..StreamOptions::new(slot, ["p"])
                    };
                    let most = u32::from(version.max_protocol());
                    let wanted = protocol.map_or(most, u32::from);
                    let legal = wanted <= most
                        && (streaming != Streaming::On || wanted >= 2)
                        && (streaming != Streaming::Parallel || wanted >= 4)
                        && (!two_phase || wanted >= 3)
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
        assert_eq!(taken + refused, 6 * 3 * 16);
        drop_slot(server, "options").await;
        drop_slot(server, "options_two_phase").await;
    }
}

/// What is known of each version here is what the server itself says.
#[tokio::test]
async fn the_server_takes_and_refuses_the_same() {
    type Change = fn(&mut StreamOptions);
    let off: Change = |o| o.streaming = Streaming::Off;
    let cases: &[(&str, u8, Change)] = &[
        ("", 1, off),
        ("", 2, off),
        ("", 3, off),
        ("", 4, off),
        ("", 5, off),
        (", streaming 'on'", 1, |_| {}),
        (", streaming 'on'", 2, |_| {}),
        (", streaming 'parallel'", 3, |o| {
            o.streaming = Streaming::Parallel;
        }),
        (", streaming 'parallel'", 4, |o| {
            o.streaming = Streaming::Parallel;
        }),
        (", binary 'true'", 1, |o| {
            (o.streaming, o.binary) = (Streaming::Off, true);
        }),
        (", messages 'true'", 1, |o| {
            (o.streaming, o.messages) = (Streaming::Off, true);
        }),
        (", origin 'none'", 1, |o| {
            (o.streaming, o.origin_none) = (Streaming::Off, true);
        }),
        (", two_phase 'true'", 2, |o| {
            (o.streaming, o.two_phase) = (Streaming::Off, true);
        }),
        (", two_phase 'true'", 3, |o| {
            (o.streaming, o.two_phase) = (Streaming::Off, true);
        }),
    ];
    for version in Version::ALL {
        let server = server(version);
        let known = ServerVersion(server.version_number());
        for (text, protocol, change) in cases {
            // Written by hand, and sent by a client that knows nothing of versions.
            let mut client = testdata::Client::replication(server, "postgres").unwrap();
            client
                .batch(
                    "CREATE_REPLICATION_SLOT by_hand TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT",
                )
                .unwrap();
            let taken = client.start_replication(&format!(
                "START_REPLICATION SLOT by_hand LOGICAL 0/0 (proto_version '{protocol}', publication_names 'p'{text})"
            ));
            let mut options = StreamOptions::new("by_hand", ["p"]);
            options.protocol = Some(*protocol);
            change(&mut options);
            let checked = options.check(known);
            assert_eq!(
                taken.is_ok(),
                checked.is_ok(),
                "{protocol}{text} on {version}: {taken:?} {checked:?}"
            );
            // An error ends the temporary slots of its session.
            if taken.is_ok() {
                client.end_replication().unwrap();
                client.batch("DROP_REPLICATION_SLOT by_hand").unwrap();
            }
        }
    }
}
