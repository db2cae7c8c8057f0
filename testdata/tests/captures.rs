//! The capture format, and the captures in the repository.

use std::collections::BTreeSet;

use testdata::capture::{
    Capture, CaptureError, CaptureErrorKind, FORMAT, Header, MAGIC, Streaming,
};
use testdata::{Version, captures, expected};

fn small() -> Capture {
    Capture {
        header: Header {
            server_version_num: 160_014,
            protocol: 4,
            binary: true,
            streaming: Streaming::Parallel,
            options: "proto_version '4', publication_names 'p'".into(),
            other: vec![("a key of later".into(), "ü".into())],
        },
        frames: vec![vec![b'k'; 18], Vec::new(), vec![b'w'; 30]],
    }
}

/// A file with this header.
fn file(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut header = Vec::new();
    for text in fields.iter().flat_map(|(key, value)| [key, value]) {
        header.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        header.extend(text.as_bytes());
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_be_bytes());
    bytes.extend(u32::try_from(header.len()).unwrap().to_be_bytes());
    bytes.extend(header);
    bytes
}

const FIELDS: [(&str, &str); 4] = [
    ("server_version_num", "180004"),
    ("protocol", "1"),
    ("binary", "off"),
    ("streaming", "off"),
];

fn refusal(bytes: &[u8]) -> CaptureError {
    Capture::from_bytes(bytes).unwrap_err()
}

#[test]
fn what_was_written_is_read_with_keys_that_nobody_knows() {
    let capture = small();
    assert_eq!(Capture::from_bytes(&capture.to_bytes()), Ok(capture));
}

#[test]
fn a_frame_of_an_unknown_kind_is_kept() {
    let mut capture = small();
    capture.frames.push(b"s something of version 19".to_vec());
    let read = Capture::from_bytes(&capture.to_bytes()).unwrap();
    assert_eq!(read.frames.len(), 4);
    assert_eq!(read.messages().count(), 1);
}

#[test]
fn a_cut_file_is_refused_with_the_place_unless_the_cut_is_between_frames() {
    let capture = small();
    let bytes = capture.to_bytes();
    let mut whole = 0;
    for length in 0..bytes.len() {
        match Capture::from_bytes(&bytes[..length]) {
            Ok(shorter) => {
                whole += 1;
                assert_eq!(shorter.frames, capture.frames[..shorter.frames.len()]);
            }
            Err(error) => {
                assert!(error.offset <= length, "{error}");
                assert_eq!(
                    matches!(error.kind, CaptureErrorKind::NotACapture),
                    length < MAGIC.len()
                );
            }
        }
    }
    assert_eq!(whole, 3);
}

#[test]
fn foreign_and_future_files_are_refused() {
    assert_eq!(refusal(b"").kind, CaptureErrorKind::NotACapture);
    assert_eq!(
        refusal(b"PGCOPY\n\xff\r\n\0").kind,
        CaptureErrorKind::NotACapture
    );
    let mut bytes = small().to_bytes();
    bytes[9] = 2;
    let error = refusal(&bytes);
    assert_eq!(
        (error.kind.clone(), error.offset),
        (CaptureErrorKind::Format(2), 8)
    );
    assert_eq!(
        error.to_string(),
        "capture format 2 is not known, only 1 (at byte 8)"
    );
}

#[test]
fn a_length_beyond_the_file_is_refused_before_anything_is_allocated() {
    let mut bytes = file(&FIELDS);
    let at = bytes.len();
    bytes.extend(u32::MAX.to_be_bytes());
    bytes.push(b'w');
    let error = refusal(&bytes);
    assert_eq!(error.kind, CaptureErrorKind::Truncated("a frame"));
    assert_eq!(error.offset, at);
}

#[test]
fn a_header_that_lacks_repeats_or_mistakes_a_key_is_refused() {
    assert!(Capture::from_bytes(&file(&FIELDS)).is_ok());
    for (at, (key, value)) in FIELDS.into_iter().enumerate() {
        let mut fields = FIELDS.to_vec();
        fields.remove(at);
        assert_eq!(refusal(&file(&fields)).kind, CaptureErrorKind::Missing(key));
        fields.push((key, "nonsense"));
        assert_eq!(refusal(&file(&fields)).kind, CaptureErrorKind::Invalid(key));
        let mut fields = FIELDS.to_vec();
        fields.push((key, value));
        assert_eq!(
            refusal(&file(&fields)).kind,
            CaptureErrorKind::Repeated(key.into())
        );
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
