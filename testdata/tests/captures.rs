//! The captures in the repository.

use std::collections::BTreeSet;

use testdata::capture::{Capture, CaptureErrorKind, Header, Streaming};
use testdata::{Version, captures, expected};

fn small() -> Capture {
    Capture {
        header: Header {
            time: 5,
            server_version_num: 160_014,
            system_identifier: u64::MAX,
            timeline: 3,
            start: 0x16_B374_D848,
            protocol: 4,
            binary: true,
            streaming: Streaming::Parallel,
            options: "proto_version '4', publication_names 'p'".into(),
            other: vec![("a key of later".into(), "ü".into())],
        },
        frames: vec![vec![b'k'; 18], Vec::new(), vec![b'w'; 30]],
        times: vec![-1, 0, i64::MAX],
    }
}

#[test]
fn what_was_written_is_read_with_keys_that_nobody_knows() {
    let capture = small();
    let mut bytes = capture.to_bytes();
    assert_eq!(Capture::sessions(&bytes), Ok(vec![capture.clone()]));
    let second = Capture::default();
    let mut later = second.clone();
    later.header.other = vec![("scenario".into(), "none".into())];
    later.write(&mut bytes);
    assert_eq!(Capture::sessions(&bytes), Ok(vec![capture, later]));
}

#[test]
fn a_frame_of_an_unknown_kind_is_kept() {
    let mut capture = small();
    capture.frames.push(b"s something of version 19".to_vec());
    capture.times.push(0);
    let read = Capture::sessions(&capture.to_bytes()).unwrap().remove(0);
    assert_eq!(read.frames.len(), 4);
    assert_eq!(read.messages().count(), 1);
}

#[test]
fn a_cut_file_is_refused() {
    let bytes = small().to_bytes();
    let error = Capture::sessions(&bytes[..bytes.len() - 1]).unwrap_err();
    assert_eq!(error.kind, CaptureErrorKind::Torn);
}

#[test]
fn every_capture_names_its_cluster_and_has_times_in_order() {
    for golden in captures() {
        let Capture { header, times, .. } = golden.capture();
        assert!(header.system_identifier > 1 << 60, "{}", golden.name);
        assert_eq!(header.timeline, 1, "{}", golden.name);
        assert!(header.time <= times[0], "{}", golden.name);
        assert!(times.is_sorted(), "{}", golden.name);
        assert!(header.options.contains("proto_version"), "{}", golden.name);
    }
}

#[test]
fn every_capture_says_what_is_expected() {
    for golden in captures() {
        let capture = golden.capture();
        let lines =
            expected::lines(&capture).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        for (at, (line, wanted)) in lines.iter().zip(golden.lines()).enumerate() {
            assert_eq!(*line, wanted, "{}, line {}", golden.name, at + 1);
        }
        assert_eq!(lines.len(), golden.lines().len(), "{}", golden.name);
    }
}

#[test]
fn every_version_is_captured_at_every_protocol_version_as_text_and_binary() {
    let mut met = BTreeSet::new();
    for golden in captures() {
        let header = golden.capture().header;
        let version = Version::of(header.server_version_num / 10_000).unwrap();
        assert!(
            golden.name.starts_with(&format!("pg{version}/")),
            "{}",
            golden.name
        );
        let format = if header.binary { "binary" } else { "text" };
        let suffix = format!("_v{}_{format}", header.protocol);
        assert!(golden.name.ends_with(&suffix), "{}", golden.name);
        met.insert((version, header.protocol, header.binary));
    }
    for version in Version::ALL {
        for protocol in 1..=version.max_protocol() {
            for binary in [false, true] {
                assert!(
                    met.contains(&(version, protocol, binary)),
                    "{version} {protocol} {binary}"
                );
            }
        }
    }
}

/// The message of each frame `w`, without the positions before it.
fn messages_of(name: &str) -> Vec<String> {
    let golden = captures().into_iter().find(|golden| golden.name == name);
    let lines = golden.unwrap_or_else(|| panic!("no {name}")).lines();
    lines
        .iter()
        .filter(|line| line.starts_with("w "))
        .filter_map(|line| line.splitn(5, ' ').nth(4))
        .map(str::to_owned)
        .collect()
}

#[test]
fn version_18_aborts_a_part_of_a_transaction_that_it_never_streamed() {
    let first = &messages_of("pg18/streamed_v2_text")[0];
    assert!(first.starts_with("StreamAbort "), "{first}");
    let first = &messages_of("pg17/streamed_v2_text")[..2];
    assert!(first[0].starts_with("StreamStart "), "{first:?}");
    assert_eq!(first[1], "StreamStop");
}

#[test]
fn version_14_sends_empty_transactions_and_later_ones_do_not() {
    let empty = |version: &str| {
        let messages = messages_of(&format!("{version}/transactions_v1_text"));
        let pairs = messages.windows(2);
        pairs
            .filter(|pair| pair[0].starts_with("Begin ") && pair[1].starts_with("Commit "))
            .count()
    };
    assert!(empty("pg14") > 0);
    assert_eq!(
        [empty("pg15"), empty("pg16"), empty("pg17"), empty("pg18")],
        [0; 4]
    );
}
