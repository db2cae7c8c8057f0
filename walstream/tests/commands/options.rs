//! The options of START_REPLICATION, by version.

use testdata::Version;
use walstream::{ErrorKind, SlotOptions, StreamOptions, Streaming};

use crate::{drop_slot, replication, server, start};

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
