//! Capture files: what is written is read, a cut file is told from a damaged one, and every error names its byte.

use testdata::captures;
use walproto::capture::{
    Body, CaptureError, CaptureErrorKind, Envelope, FORMAT, Fields, MAGIC, Reader, Record, Session,
    Streaming, write_frame, write_head,
};
use walproto::{Decoder, Frame, Lsn, Timestamp};

const KEEPALIVE: &[u8] = b"k\0\0\0\0\x01\x7D\x61\0\0\0\0\0\0\0\0\0\0";

fn session() -> Session<'static> {
    let mut session = Session::default();
    session.server_version_num = 180_004;
    session.system_identifier = u64::MAX;
    session.timeline = u32::MAX;
    session.start = Lsn(u64::MAX);
    session.protocol = 4;
    session.binary = true;
    session.streaming = Streaming::Parallel;
    session.options = "proto_version '4', publication_names 'ä'";
    session
}

/// Two sessions, and where each record begins.
fn two_sessions() -> (Vec<u8>, Vec<usize>) {
    let mut file = Vec::new();
    let mut starts = Vec::new();
    write_head(&mut file);
    let mut continued = Session::default();
    continued.continued = true;
    for (number, session) in [session(), continued].iter().enumerate() {
        starts.push(file.len());
        let time = Timestamp(number as i64);
        session.write(time, &[("slot", "s")], &mut file).unwrap();
        for frame in [&b""[..], KEEPALIVE, &[7; 1200], &[0; 600]] {
            starts.push(file.len());
            write_frame(Timestamp(-5), frame, &mut file).unwrap();
        }
    }
    (file, starts)
}

fn read(bytes: &[u8]) -> (Vec<Record<'_>>, Option<CaptureError>) {
    let mut records = Vec::new();
    let reader = match Reader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return (records, Some(error)),
    };
    for record in reader {
        match record {
            Ok(record) => records.push(record),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

#[test]
fn what_is_written_is_read() {
    let (file, starts) = two_sessions();
    let (records, error) = read(&file);
    assert_eq!(error, None);
    let offsets: Vec<_> = records
        .iter()
        .map(|record| record.offset as usize)
        .collect();
    assert_eq!(offsets, starts);
    assert_eq!(records[1].time, Timestamp(-5));
    assert_eq!(records[2].body, Body::Frame(KEEPALIVE));
    let Body::Session {
        session: read,
        fields,
    } = records[0].body
    else {
        panic!("{:?}", records[0]);
    };
    assert_eq!(read, session());
    assert_eq!(read.decoder(), Decoder::new().parallel(true).binary(true));
    assert_eq!(fields.value("start"), Some("FFFFFFFF/FFFFFFFF"));
    assert_eq!(fields.unknown().collect::<Vec<_>>(), [("slot", "s")]);
    let Body::Session { session: read, .. } = records[5].body else {
        panic!("{:?}", records[5]);
    };
    assert!(read.continued && read.streaming == Streaming::Off);
}

#[test]
fn an_envelope_is_what_stands_around_a_frame() {
    let mut file = Vec::new();
    write_frame(Timestamp(3), KEEPALIVE, &mut file).unwrap();
    let envelope = Envelope::frame(Timestamp(3), KEEPALIVE).unwrap();
    let parts = [&envelope.head()[..], KEEPALIVE, &envelope.tail()];
    assert_eq!(parts.concat(), file);
}

#[test]
fn the_layout_is_as_documented() {
    let mut file = Vec::new();
    write_head(&mut file);
    assert_eq!(file, b"\x89PGCAP\r\n\0\x02");
    let mut record = Vec::new();
    write_frame(Timestamp(258), b"123456789", &mut record).unwrap();
    let plain = [
        b'F', // kind
        0, 0, 0, 9, // length
        0, 0, 0, 0, 0, 0, 1, 2, // time
    ];
    assert_eq!(record[..13], plain);
    assert_eq!(record[13..17], crc32c(&plain));
    assert_eq!(&record[17..26], b"123456789");
    assert_eq!(record[26..], crc32c(&[&plain[..], b"123456789"].concat()));
}

#[test]
fn a_file_cut_anywhere_is_torn_at_the_record_that_was_cut() {
    let (file, starts) = two_sessions();
    let (whole, _) = read(&file);
    for len in 0..file.len() {
        let (records, error) = read(&file[..len]);
        let complete = starts.iter().filter(|start| **start < len).count();
        if len >= 10 && (starts.contains(&len) || len == file.len()) {
            assert_eq!(error, None, "{len}");
            assert_eq!(records, whole[..complete]);
            continue;
        }
        let error = error.unwrap_or_else(|| panic!("{len} bytes are no file"));
        assert!(error.is_torn(), "{len}: {error}");
        let expected = complete.checked_sub(1).map_or(0, |last| starts[last]);
        assert_eq!(error.offset as usize, expected, "{len}");
        assert_eq!(records, whole[..complete.saturating_sub(1)]);
    }
}

#[test]
fn a_changed_byte_is_damage_and_never_taken_for_a_cut() {
    let (file, starts) = two_sessions();
    let (whole, _) = read(&file);
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            let (records, error) = read(&damaged);
            let error = error.unwrap_or_else(|| panic!("byte {at} may be anything"));
            let record = starts.iter().filter(|start| **start <= at).count();
            if record == 0 {
                assert_ne!(error.kind, CaptureErrorKind::Torn, "{at}");
                continue;
            }
            assert_eq!(error.kind, CaptureErrorKind::Checksum, "{at} {error}");
            let begin = starts[record - 1];
            let end = starts.get(record).copied().unwrap_or(file.len());
            assert!(
                (begin..end).contains(&(error.offset as usize)),
                "{at} {error}"
            );
            assert_eq!(records, whole[..record - 1]);
        }
    }
}

#[test]
fn zeros_where_the_content_did_not_reach_the_disk_are_a_torn_record() {
    let (file, starts) = two_sessions();
    let sectors = (512..file.len()).step_by(512);
    for cut in sectors.chain(starts.iter().copied()) {
        for zeros in [20, 512, 5000] {
            let mut grown = file[..cut].to_vec();
            // At least to the end of the file, as it was to be.
            grown.resize(file.len().max(cut + zeros), 0);
            let error = read(&grown).1.expect("it is cut");
            assert!(error.is_torn(), "{cut} {error}");
            let record = starts.iter().filter(|start| **start <= cut).count();
            assert_eq!(error.offset as usize, starts[record - 1], "{cut}");
        }
    }
}

#[test]
fn a_damaged_last_record_whose_checksum_ends_in_zero_is_no_torn_one() {
    let (file, _) = two_sessions();
    let found = (0..10_000).find_map(|time| {
        let mut longer = file.clone();
        write_frame(Timestamp(time), KEEPALIVE, &mut longer).unwrap();
        let in_a_sector = longer.len() % 512 > 100;
        (in_a_sector && longer.ends_with(&[0])).then_some(longer)
    });
    let mut damaged = found.expect("one checksum in 256 ends in zero");
    damaged[file.len() + 20] ^= 1;
    let error = read(&damaged).1.unwrap();
    assert_eq!(error.kind, CaptureErrorKind::Checksum);
}

#[test]
fn zeros_in_the_middle_are_damage() {
    let (mut file, _) = two_sessions();
    file[512..1024].fill(0);
    let error = read(&file).1.unwrap();
    assert_eq!(error.kind, CaptureErrorKind::Checksum);
}

#[test]
fn a_file_can_be_read_in_parts() {
    let (file, _) = two_sessions();
    let (whole, _) = read(&file);
    for size in [22, 100, 1300, file.len()] {
        let mut records = Vec::new();
        let mut from = 10;
        let mut part = size;
        while from < file.len() {
            let end = file.len().min(from + part);
            let before = from;
            for record in Reader::at(&file[from..end], from as u64) {
                match record {
                    Ok(record) => records.push(record),
                    Err(error) => {
                        assert!(error.is_torn() && end < file.len(), "{error}");
                        from = error.offset as usize;
                        break;
                    }
                }
                from = end;
            }
            // What is longer than a part asks for a longer one.
            part = if from == before { part * 2 } else { size };
        }
        assert_eq!(records, whole);
    }
}

#[test]
fn foreign_and_future_files_are_refused() {
    let of = |bytes: &[u8]| {
        let error = Reader::new(bytes).unwrap_err();
        (error.kind, error.offset, error.to_string())
    };
    assert_eq!(of(b"").0, CaptureErrorKind::Torn);
    assert_eq!(of(&MAGIC[..5]).0, CaptureErrorKind::Torn);
    assert_eq!(of(b"x").0, CaptureErrorKind::NotACapture);
    assert_eq!(
        of(b"PGCOPY\n\xff\r\n\0"),
        (
            CaptureErrorKind::NotACapture,
            0,
            "not a capture file".into()
        )
    );
    assert_eq!(
        of(b"\x89PGCAP\r\n\0\x01"),
        (
            CaptureErrorKind::Format(1),
            8,
            format!("capture format 1 is not known here, only {FORMAT}")
        )
    );
}

/// A file of records that are whole but may make no sense.
fn file(records: &[(u8, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    write_head(&mut file);
    for (kind, body) in records {
        let mut plain = vec![*kind];
        plain.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        plain.extend([0; 8]);
        file.extend(&plain);
        file.extend(crc32c(&plain));
        file.extend(*body);
        plain.extend(*body);
        file.extend(crc32c(&plain));
    }
    file
}

/// Bit by bit, to share nothing with the reader.
fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let mut crc = !0_u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82F6_3B78
            } else {
                crc >> 1
            };
        }
    }
    (!crc).to_be_bytes()
}

const PAIRS: [(&str, &str); 8] = [
    ("server_version_num", "180004"),
    ("system_identifier", "18446744073709551615"),
    ("timeline", "1"),
    ("start", "0/0"),
    ("protocol", "1"),
    ("binary", "off"),
    ("streaming", "off"),
    ("options", "proto_version '1'"),
];

fn body(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        body.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    }
    body
}

fn refusal(body: &[u8]) -> CaptureError {
    read(&file(&[(b'S', body)])).1.expect("no session")
}

/// Behind the head of the file and that of the first record.
const BODY: u64 = 10 + 17;

#[test]
fn a_session_that_lacks_repeats_or_mistakes_a_key_is_refused() {
    assert_eq!(read(&file(&[(b'S', &body(&PAIRS))])).1, None);
    for (at, (key, value)) in PAIRS.into_iter().enumerate() {
        let mut pairs = PAIRS.to_vec();
        pairs.remove(at);
        let error = refusal(&body(&pairs));
        assert_eq!(
            (error.kind, error.offset),
            (CaptureErrorKind::Missing(key), BODY)
        );
        let end = BODY + body(&pairs).len() as u64;
        pairs.push((key, value));
        pairs.push((key, value));
        let error = refusal(&body(&pairs));
        let second = end + body(&[(key, value)]).len() as u64;
        assert_eq!(
            (error.kind, error.offset),
            (CaptureErrorKind::Repeated(key), second)
        );
        if key == "options" {
            continue;
        }
        for nonsense in ["", "+1", "-1", "on off", "99999999999999999999"] {
            pairs.truncate(PAIRS.len() - 1);
            pairs.push((key, nonsense));
            let error = refusal(&body(&pairs));
            assert_eq!(
                (error.kind, error.offset),
                (CaptureErrorKind::Invalid(key), end)
            );
        }
    }
    let mut pairs = PAIRS.to_vec();
    pairs.push(("continued", "perhaps"));
    assert_eq!(
        refusal(&body(&pairs)).kind,
        CaptureErrorKind::Invalid("continued")
    );
}

#[test]
fn fields_that_do_not_fill_their_session_are_refused() {
    let good = body(&PAIRS);
    for broken in [
        [&good[..], &[0]].concat(),
        [&good[..], &[0, 0, 0, 1, b'k']].concat(),
        [&good[..], &[0, 0, 0, 1, b'k', 0, 0, 0, 2, b'v']].concat(),
        [&good[..], &[0, 0, 0, 1, 0xFF, 0, 0, 0, 0]].concat(),
        [&good[..], &[0xFF, 0xFF, 0xFF, 0xFF]].concat(),
    ] {
        let error = refusal(&broken);
        let at = BODY + good.len() as u64;
        assert_eq!((error.kind, error.offset), (CaptureErrorKind::Fields, at));
    }
    assert_eq!(
        refusal(&good[..good.len() - 1]).kind,
        CaptureErrorKind::Fields
    );
}

#[test]
fn frames_stand_behind_a_session_and_other_records_are_passed_on() {
    let error = read(&file(&[(b'F', KEEPALIVE)])).1.unwrap();
    assert_eq!(
        (error.kind, error.offset),
        (CaptureErrorKind::NoSession, 10)
    );
    let file = file(&[(b'S', &body(&PAIRS)), (b'Z', b"later")]);
    let (records, error) = read(&file);
    assert_eq!(error, None);
    assert_eq!(records[1].body, Body::Other(b'Z', b"later"));
}

#[test]
fn a_reader_ends_after_an_error() {
    let (mut file, starts) = two_sessions();
    file[starts[1]] ^= 1;
    let mut reader = Reader::new(&file).unwrap();
    assert!(reader.next().unwrap().is_ok());
    assert_eq!(reader.offset() as usize, starts[1]);
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}

#[test]
fn reading_and_looking_into_a_file_allocates_nothing() {
    let files: Vec<_> = captures()
        .iter()
        .map(|golden| std::fs::read(&golden.path).unwrap())
        .collect();
    let (mut frames, mut pairs) = (0, 0);
    let counted = allocation_counter::measure(|| {
        for file in &files {
            for record in Reader::new(file).unwrap() {
                match record.unwrap().body {
                    Body::Session { fields, .. } => pairs += Fields::count(fields),
                    Body::Frame(frame) => {
                        assert!(Frame::parse(frame).is_ok());
                        frames += 1;
                    }
                    _ => {}
                }
            }
        }
    });
    assert_eq!(counted.count_total, 0);
    assert!(frames > 10_000 && pairs > 800, "{frames} frames");
}
