//! `replicator decode`: what it shows of capture files, and what it says of those that are none.

#[path = "decode/written.rs"]
mod written;

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use replicator::show::{Form, Renderer, ShowError};
use replicator::{DecodeConfig, ErrorKind, decode};
use serde_json::Value;
use testdata::expected::{self, Cell, Message, Old};
use testdata::{Capture, captures};
use walproto::capture::{Body, Reader};
use written::{everything, frames};

fn replicator(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_replicator"))
        .arg("decode")
        .args(arguments)
        .env_remove("NO_COLOR")
        .output()
        .expect("the program runs")
}

fn temporary(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// Exit code and standard error, without the name of the file.
fn refusal(bytes: &[u8]) -> (Option<i32>, String) {
    let file = temporary(bytes);
    let output = replicator(&[path(&file)]);
    let words = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), words.replace(path(&file), "FILE"))
}

/// Compares with the file of this name; `BLESS=1` writes it.
fn golden(name: &str, shown: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/decode")
        .join(name);
    if std::env::var_os("BLESS").is_some() {
        return fs::write(path, shown).unwrap();
    }
    let wanted = fs::read(&path).unwrap_or_default();
    let (wanted, shown) = (
        String::from_utf8_lossy(&wanted),
        String::from_utf8_lossy(shown),
    );
    for (at, (wanted, shown)) in wanted.lines().zip(shown.lines()).enumerate() {
        assert_eq!(shown, wanted, "{name}, line {}", at + 1);
    }
    assert_eq!(shown, wanted, "{name}; BLESS=1 writes it");
}

#[test]
fn every_form_is_as_it_was() {
    let file = temporary(&everything());
    for (name, arguments) in [
        ("lines.txt", &[][..]),
        ("all.txt", &["--all"]),
        ("color.txt", &["--all", "--color", "always"]),
        ("lines.json", &["--json"]),
        ("all.json", &["--json", "--all"]),
        ("summary.txt", &["--summary"]),
        ("summary.json", &["--summary", "--json"]),
    ] {
        let output = replicator(&[arguments, &[path(&file)]].concat());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        golden(name, &output.stdout);
    }
}

#[test]
fn several_files_are_one_story_and_compressed_ones_too() {
    let plain = everything();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let (first, second) = (temporary(&plain), temporary(&gzip.finish().unwrap()));
    let one = replicator(&["--json", path(&first)]).stdout;
    let both = replicator(&["--json", path(&first), path(&second)]).stdout;
    assert_eq!(both, [&one[..], &one].concat());
}

#[test]
fn standard_input_is_a_file_too() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_replicator"))
        .args(["decode", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&everything())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    golden("lines.txt", &output.stdout);
}

#[test]
fn a_file_that_goes_on_with_another_needs_that_one() {
    let (first, second) = written::continued();
    let (first, second) = (temporary(&first), temporary(&second));
    let output = replicator(&[path(&first), path(&second)]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.ends_with("insert public.orders id=2 note=null\n"),
        "{shown}"
    );

    let output = replicator(&[path(&second)]);
    assert_eq!(output.status.code(), Some(3));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("relation 1, which was not described before"),
        "{words}"
    );
    assert!(words.contains("replicator decode EARLIER FILE"), "{words}");
}

#[test]
fn what_is_no_capture_is_refused_with_the_byte() {
    let plain = everything();
    assert_eq!(
        refusal(b""),
        (
            Some(1),
            "error: FILE: the file is empty\n hint: who records into it has written nothing yet\n"
                .into()
        )
    );
    let (code, words) = refusal(b"SQLite format 3\0");
    assert_eq!(code, Some(2));
    assert!(
        words.starts_with("error: FILE: not a capture file\n hint: "),
        "{words}"
    );
    let mut older = plain.clone();
    older[9] = 1;
    let (code, words) = refusal(&older);
    assert_eq!(code, Some(2));
    assert!(
        words.contains("capture format 1 is not known here"),
        "{words}"
    );

    let (code, words) = refusal(&plain[..plain.len() - 1]);
    assert_eq!(code, Some(1));
    let last = Reader::new(&plain).unwrap().last().unwrap().unwrap().offset;
    assert!(
        words.contains(&format!("cut inside what begins at byte {last}\n")),
        "{words}"
    );

    let mut damaged = plain.clone();
    let middle = plain.len() / 2;
    damaged[middle] ^= 1;
    let (code, words) = refusal(&damaged);
    assert_eq!(code, Some(3));
    assert!(
        words.contains("the file is damaged: wrong checksum at byte "),
        "{words}"
    );

    let output = replicator(&["/nowhere/x.capture"]);
    assert_eq!(output.status.code(), Some(2));
    let output = replicator(&["/"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_came_before_the_damage_is_shown() {
    let plain = everything();
    let starts: Vec<u64> = Reader::new(&plain)
        .unwrap()
        .map(|record| record.unwrap().offset)
        .collect();
    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    let at = usize::try_from(starts[8]).unwrap();
    let mut config = DecodeConfig::new([temporary(&plain[..at]).path()]);
    config.everything = true;
    let (good, torn) = (temporary(&plain[..at]), temporary(&plain[..at + 20]));
    config.files = vec![good.path().into()];
    decode(&config, &mut whole).unwrap();
    config.files = vec![torn.path().into()];
    let error = decode(&config, &mut cut).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(!whole.is_empty());
    assert_eq!(whole, cut);
}

#[test]
fn a_compressed_file_that_was_cut_shows_what_it_holds() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&everything()).unwrap();
    let whole = gzip.finish().unwrap();
    for cut in [3, whole.len() / 2, whole.len() - 1] {
        let (code, words) = refusal(&whole[..cut]);
        assert_eq!(code, Some(1), "{cut}: {words}");
    }
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle..middle + 8].fill(0xFF);
    let (code, words) = refusal(&damaged);
    assert_eq!(code, Some(3), "{words}");
}

#[test]
fn a_broken_message_is_named_with_its_byte_in_the_file() {
    let mut broken = frames();
    let message = broken
        .iter()
        .position(|frame| frame.get(25) == Some(&b'I'))
        .unwrap();
    // The kind of the first column: behind type, relation, mark and count.
    broken[message][25 + 8] = b'x';
    let bytes = written::file(&broken);
    let (code, words) = refusal(&bytes);
    assert_eq!(code, Some(3));
    let record = Reader::new(&bytes)
        .unwrap()
        .nth(message + 1)
        .unwrap()
        .unwrap();
    let byte = record.offset + 17 + 25 + 8;
    assert!(
        words.contains(&format!(
            "unexpected byte, in column kind of Insert ('I') at byte 8 (byte {byte} of the file, in the record at {})",
            record.offset
        )),
        "{words}"
    );
    assert_eq!(bytes[usize::try_from(byte).unwrap()], b'x');
}

#[test]
fn rows_that_do_not_fit_their_table_are_refused() {
    let mut renderer = Renderer::new(Form::Json, Vec::new());
    let [relation, narrow] = written::narrow_row();
    renderer.frame(&relation).unwrap();
    let error = renderer.frame(&narrow).unwrap_err();
    assert!(
        matches!(
            error,
            ShowError::ColumnCount {
                columns: 2,
                values: 1,
                ..
            }
        ),
        "{error}"
    );
    renderer.start(walproto::Decoder::new());
    let error = renderer.frame(&narrow).unwrap_err();
    assert!(matches!(error, ShowError::UnknownRelation(_)), "{error}");
    assert_eq!(renderer.finish().unwrap(), b"");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let file = temporary(&everything());
    decode(&DecodeConfig::new([file.path()]), Closed).unwrap();
}

#[test]
fn no_color_is_respected_and_lines_into_a_pipe_are_plain() {
    let file = temporary(&everything());
    let colored = |variable: Option<&str>, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replicator"));
        command
            .arg("decode")
            .args(arguments)
            .arg(file.path())
            .env_remove("NO_COLOR");
        if let Some(value) = variable {
            command.env("NO_COLOR", value);
        }
        command.output().unwrap().stdout.contains(&0x1B)
    };
    assert!(!colored(None, &[]));
    assert!(colored(None, &["--color=always"]));
    assert!(colored(Some("1"), &["--color=always"]));
    assert!(!colored(Some("1"), &["--color=auto"]));
    assert!(!colored(None, &["--color=never"]));
    assert!(!colored(None, &["--color=always", "--json"]));
}

/// Shows every capture; hands out its name, its capture and the JSON objects.
fn every_capture(mut check: impl FnMut(&str, &Capture, &[Value])) {
    for golden in captures() {
        let mut config = DecodeConfig::new([&golden.path]);
        config.form = Form::Json;
        config.everything = true;
        let mut shown = Vec::new();
        decode(&config, &mut shown).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        let objects: Vec<Value> = shown
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        let capture = golden.capture();
        assert_eq!(objects.len(), capture.frames.len() + 1, "{}", golden.name);
        check(&golden.name, &capture, &objects);
    }
}

#[test]
fn json_says_what_a_second_decoder_says() {
    let (mut values, mut captures) = (0, 0);
    every_capture(|name, capture, objects| {
        captures += 1;
        let mut decoder = expected::Decoder::new(capture.header.streaming);
        let mut tables: HashMap<u32, Vec<expected::ColumnDef>> = HashMap::new();
        let mut xid = None;
        let wal = capture.frames.iter().zip(&objects[1..]);
        for (frame, object) in wal.filter(|(frame, _)| frame[0] == b'w') {
            let (sub, message) = decoder.decode(&frame[25..]).unwrap();
            let mut row = |relation: &u32, member: &str, cells: &[Cell], key_only: bool| {
                let columns = &tables[relation];
                let shown = object[member].as_object().unwrap();
                let mut expected = 0;
                for (column, cell) in columns.iter().zip(cells) {
                    let value = shown.get(&column.name);
                    if *cell == Cell::Unchanged || (key_only && !column.key) {
                        assert_eq!(value, None, "{name} {}", column.name);
                        continue;
                    }
                    expected += 1;
                    values += 1;
                    match cell {
                        Cell::Null => assert_eq!(value, Some(&Value::Null), "{name}"),
                        Cell::Text(text) => match std::str::from_utf8(text) {
                            Ok(text) => assert_eq!(value.unwrap(), text, "{name}"),
                            Err(_) => assert_eq!(value.unwrap()["bytes"], hex(text), "{name}"),
                        },
                        Cell::Binary(bytes) => assert!(
                            value.unwrap().is_string() || value.unwrap()["binary"] == hex(bytes),
                            "{name}"
                        ),
                        Cell::Unchanged => unreachable!(),
                    }
                }
                assert_eq!(shown.len(), expected, "{name} {object}");
                let unchanged = cells
                    .iter()
                    .filter(|cell| **cell == Cell::Unchanged)
                    .count();
                if member == "new" {
                    let named = object["unchanged"].as_array().map_or(0, Vec::len);
                    assert_eq!(named, unchanged, "{name}");
                }
            };
            let mut old = |relation: &u32, old: &Old| match old {
                Old::Key(cells) => row(relation, "key", cells, true),
                Old::Full(cells) => row(relation, "old", cells, false),
            };
            let kind = match &message {
                Message::Insert { relation, new } => {
                    row(relation, "new", new, false);
                    "insert"
                }
                Message::Update {
                    relation,
                    old: before,
                    new,
                } => {
                    if let Some(before) = before {
                        old(relation, before);
                    }
                    row(relation, "new", new, false);
                    "update"
                }
                Message::Delete {
                    relation,
                    old: before,
                } => {
                    old(relation, before);
                    "delete"
                }
                Message::Relation { oid, columns, .. } => {
                    tables.insert(*oid, columns.clone());
                    "relation"
                }
                Message::Begin { xid: new, .. } => {
                    xid = Some(*new);
                    "begin"
                }
                Message::StreamStart { xid: new, .. } => {
                    xid = Some(*new);
                    "stream_start"
                }
                Message::BeginPrepare { xid: new, .. } => {
                    xid = Some(*new);
                    "begin_prepare"
                }
                Message::Logical {
                    transactional,
                    content,
                    ..
                } => {
                    assert_eq!(object["transactional"], *transactional, "{name}");
                    match std::str::from_utf8(content) {
                        Ok(text) => assert_eq!(object["content"], text),
                        Err(_) => assert_eq!(object["content"]["bytes"], hex(content)),
                    }
                    "message"
                }
                _ => object["kind"].as_str().unwrap(),
            };
            assert_eq!(object["kind"], kind, "{name}");
            if ["insert", "update", "delete", "truncate"].contains(&kind) {
                assert_eq!(object["xid"], sub.or(xid).unwrap(), "{name}");
                assert_eq!(object["top_xid"].is_u64(), sub.is_some(), "{name}");
                assert!(object["schema"].is_string() || kind == "truncate", "{name}");
            }
            let lsn = u64::from_be_bytes(frame[1..9].try_into().unwrap());
            assert_eq!(object["lsn"], expected::lsn(lsn), "{name}");
        }
    });
    assert!(
        captures >= 108 && values > 10_000,
        "{captures} captures, {values} values"
    );
}

#[test]
fn binary_columns_read_as_the_text_that_the_server_sends() {
    // The same rows, in the same order.
    let mut rows: HashMap<String, HashMap<bool, Vec<Value>>> = HashMap::new();
    every_capture(|name, capture, objects| {
        let Some(scenario) = name
            .strip_suffix("_text")
            .or_else(|| name.strip_suffix("_binary"))
        else {
            panic!("{name}");
        };
        if !scenario.contains("/types_") {
            return;
        }
        let of = rows.entry(scenario.into()).or_default();
        let inserts = objects.iter().filter(|object| object["kind"] == "insert");
        of.insert(
            capture.header.binary,
            inserts.map(|insert| insert["new"].clone()).collect(),
        );
    });
    let (mut same, mut unknown) = (0, 0);
    for (scenario, of) in &rows {
        let (text, binary) = (&of[&false], &of[&true]);
        assert_eq!(text.len(), binary.len(), "{scenario}");
        for (text, binary) in text.iter().zip(binary) {
            for (column, text) in text.as_object().unwrap() {
                match &binary[column] {
                    Value::Object(_) => unknown += 1,
                    binary => {
                        assert_eq!(binary, text, "{scenario} {column}");
                        same += 1;
                    }
                }
            }
        }
    }
    assert!(
        rows.len() >= 8 && same > 4 * unknown,
        "{same} and {unknown} values"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_record_longer_than_a_part_of_the_file_is_read() {
    let mut long = frames();
    long.push(testdata::writer::wal_data(
        7,
        7,
        7,
        &testdata::writer::logical(None, 0, 7, "long", &vec![b'x'; 5 << 20]),
    ));
    let file = temporary(&written::file(&long));
    let mut shown = Vec::new();
    decode(&DecodeConfig::new([file.path()]), &mut shown).unwrap();
    assert!(shown.len() > 5 << 20);
    let bytes = fs::read(file.path()).unwrap();
    let bodies = Reader::new(&bytes)
        .unwrap()
        .map(|record| record.unwrap().body);
    assert_eq!(
        bodies.filter(|body| matches!(body, Body::Frame(_))).count(),
        long.len()
    );
}

#[test]
fn help_lists_the_options() {
    let output = replicator(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    for option in ["--json", "--summary", "--all", "--color"] {
        assert!(help.contains(option), "{help}");
    }
    assert_eq!(replicator(&[]).status.code(), Some(2));
}
