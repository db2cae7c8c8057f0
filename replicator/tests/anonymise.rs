//! `replicator decode --anonymise`: what a capture file tells afterwards, and what it does not tell.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;

use replicator::show::Form;
use replicator::{AnonymiseConfig, DecodeConfig, ErrorKind, anonymise, decode};
use serde_json::Value;
use testdata::capture::{Capture, captures};
use testdata::{Client, Server, Version, expected};

fn shown(file: &Path) -> Vec<Value> {
    let mut config = DecodeConfig::new([file]);
    config.form = Form::Json;
    config.everything = true;
    let mut out = Vec::new();
    decode(&config, &mut out).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    out.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Every capture as it is and anonymous, as JSON; names replaced or not.
fn every_capture(of: &str, names: bool, mut check: impl FnMut(&str, &[Value], &[Value])) {
    let folder = tempfile::tempdir().unwrap();
    for golden in captures().iter().filter(|it| it.name.starts_with(of)) {
        let output = folder.path().join(golden.name.replace('/', "_"));
        let mut config = AnonymiseConfig::new([&golden.path], &output);
        config.names = names;
        anonymise(&config).unwrap_or_else(|error| panic!("{}: {error}", golden.name));

        // Another decoder reads it as well.
        let bytes = fs::read(&output).unwrap();
        let sessions = Capture::sessions(&bytes).unwrap();
        assert_eq!(sessions.len(), 1);
        assert_eq!(sessions[0].times, golden.capture().times);
        expected::lines(&sessions[0]).unwrap_or_else(|error| panic!("{}: {error}", golden.name));

        check(&golden.name, &shown(&golden.path), &shown(&output));
    }
}

/// The values in one object: where, the type, and the value itself.
fn values<'v>(
    object: &'v Value,
    types: &HashMap<(String, String), u64>,
) -> Vec<(String, u64, &'v Value)> {
    let mut values = Vec::new();
    let table = format!("{}.{}", object["schema"], object["table"]);
    for row in ["new", "old", "key"] {
        for (column, value) in object[row].as_object().into_iter().flatten() {
            let type_oid = types[&(table.clone(), column.clone())];
            values.push((format!("{table} {row} {column}"), type_oid, value));
        }
    }
    values
}

fn learn(object: &Value, types: &mut HashMap<(String, String), u64>) {
    if object["kind"] == "relation" {
        let table = format!("{}.{}", object["schema"], object["table"]);
        for column in object["columns"].as_array().unwrap() {
            let name = column["name"].as_str().unwrap().to_owned();
            types.insert((table.clone(), name), column["type_oid"].as_u64().unwrap());
        }
    }
}

/// Letters and digits as what they are, the rest as it is.
fn shape(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '0'..='9' => '9',
            _ if character.is_lowercase() => 'a',
            _ if character.is_uppercase() => 'A',
            _ if character.is_alphabetic() => 'x',
            _ => character,
        })
        .collect()
}

/// cidr, inet, float4, float8, point, interval, and arrays of those.
const LONGER: [u64; 11] = [650, 869, 651, 1041, 700, 701, 1021, 1022, 600, 1186, 1187];

const WORDS: [u64; 5] = [18, 19, 25, 1042, 1043];

#[test]
fn the_shape_stays_and_every_value_goes() {
    let (mut checked, mut replaced) = (0, 0);
    let mut same = Vec::new();
    every_capture("pg", false, |name, before, after| {
        assert_eq!(before.len(), after.len(), "{name}");
        let mut types = HashMap::new();
        let mut originals = BTreeSet::new();
        let mut results = BTreeSet::new();
        for (before, after) in before.iter().zip(after) {
            learn(before, &mut types);
            let strip = |object: &Value| {
                let mut object = object.clone();
                for member in ["new", "old", "key", "content"] {
                    object.as_object_mut().unwrap().remove(member);
                }
                object
            };
            assert_eq!(strip(before), strip(after), "{name}");
            let (before, after) = (values(before, &types), values(after, &types));
            assert_eq!(before.len(), after.len(), "{name}");
            for ((place, type_oid, before), (other_place, _, after)) in before.iter().zip(&after) {
                assert_eq!(place, other_place, "{name}");
                checked += 1;
                match (before, after) {
                    (Value::String(before), Value::String(after)) => {
                        if WORDS.contains(type_oid) {
                            assert_eq!(shape(before), shape(after), "{name} {place}");
                        }
                        // An address is as long as its numbers, a float as its shortest form, a day is not days.
                        if !LONGER.contains(type_oid) {
                            assert_eq!(
                                before.len(),
                                after.len(),
                                "{name} {place} {before} {after}"
                            );
                        }
                        let telling = before.chars().filter(|it| it.is_alphanumeric()).count();
                        let special = ["infinity", "NaN", "true", "false", "empty", "24:00:00"];
                        let is_special =
                            special.iter().any(|it| before.to_lowercase().contains(it));
                        let nothing = before
                            .chars()
                            .all(|it| !('1'..='9').contains(&it) && !it.is_alphabetic());
                        // Of an interval the words stay, and its few digits may meet.
                        let is_special = is_special || [1186, 1187].contains(type_oid);
                        if telling >= 6 && !is_special && !nothing {
                            if before == after {
                                same.push(format!("{name} {place} {before}"));
                            }
                            replaced += 1;
                            if telling >= 10 {
                                originals.insert(before.clone());
                            }
                        }
                        results.insert(after.clone());
                    }
                    (Value::Object(before), Value::Object(after)) => {
                        assert_eq!(before.keys().next(), after.keys().next(), "{name} {place}");
                    }
                    (before, after) => assert_eq!(before, after, "{name} {place}"),
                }
            }
        }
        let survivors: Vec<_> = originals.intersection(&results).collect();
        assert!(survivors.is_empty(), "{name}: {survivors:?}");
    });
    // One date in seventy thousand is its own replacement.
    assert!(same.len() < 10, "{same:?}");
    assert!(
        checked > 15_000 && replaced > 1_000,
        "{checked} values, {replaced} replaced"
    );
}

#[test]
fn equal_values_stay_equal_and_different_ones_different() {
    every_capture("pg18", false, |name, before, after| {
        let mut types = HashMap::new();
        let (mut forth, mut back) = (HashMap::new(), HashMap::new());
        for (before, after) in before.iter().zip(after) {
            learn(before, &mut types);
            let pairs = values(before, &types)
                .into_iter()
                .zip(values(after, &types));
            for ((_, type_oid, before), (_, _, after)) in pairs {
                let (before, after) = (before.to_string(), after.to_string());
                // Numbers of all widths are one kind: they may refer to each other.
                let kind = if [20, 21, 23].contains(&type_oid) {
                    20
                } else {
                    type_oid
                };
                let is = forth
                    .entry((kind, before.clone()))
                    .or_insert_with(|| after.clone());
                assert_eq!(*is, after, "{name} {kind} {before}");
                let was = back
                    .entry((kind, after.clone()))
                    .or_insert_with(|| before.clone());
                assert_eq!(*was, before, "{name} {kind} {after}");
            }
        }
    });
}

#[test]
fn a_server_accepts_what_it_sent_in_place_of_what_it_sent() {
    // By type and the words it is shown in: text, and binary columns that can be shown.
    let mut by_type: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    every_capture("pg18", false, |_, before, after| {
        let mut types = HashMap::new();
        for (before, after) in before.iter().zip(after) {
            learn(before, &mut types);
            for (_, type_oid, value) in values(after, &types) {
                // Those of users are not known to another server.
                if let Value::String(value) = value
                    && type_oid < 16_384
                {
                    by_type.entry(type_oid).or_default().insert(value.clone());
                }
            }
        }
    });
    let server = Server::start(Version::V18);
    let mut client = Client::connect(&server, "postgres").unwrap();
    let mut counted = 0;
    for (type_oid, values) in &by_type {
        // In quotes: without a modifier, `bit` would be one bit.
        let name = client.value(&format!(
            "SELECT typname FROM pg_type WHERE oid = {type_oid}"
        ));
        let name = format!("\"{}\"", name.unwrap());
        for value in values {
            counted += 1;
            let quoted = value.replace('\'', "''");
            let sql = format!("SELECT message FROM pg_input_error_info('{quoted}', '{name}')");
            // Ranges may end before they begin, and XML is not built in everywhere.
            if let Ok(message) = client.value(&sql)
                && !message.contains("lower bound must be")
                && !message.contains("unsupported XML")
            {
                panic!("{name} {value:?}: {message}");
            }
        }
    }
    assert!(
        by_type.len() > 40 && counted > 900,
        "{} types, {counted} values",
        by_type.len()
    );
}

#[test]
fn names_go_where_that_is_asked_for() {
    every_capture("pg18", true, |name, before, after| {
        let text = serde_json::to_string(after).unwrap();
        let name_of = |object: &Value| object["table"].as_str().map(str::to_owned);
        let tables: BTreeSet<String> = before.iter().filter_map(name_of).collect();
        // Punctuation stays, and a letter is one of 26 for another.
        for table in tables
            .iter()
            .filter(|table| table.len() > 3 && table.is_ascii())
        {
            assert!(!text.contains(&format!("\"{table}\"")), "{name} {table}");
        }
        let options = after[0]["options"].as_str().unwrap();
        assert!(!options.contains("'capture"), "{options}");
        assert!(options.contains("', messages 'true'"), "{options}");
        assert_ne!(
            before[0]["fields"]["scenario"],
            after[0]["fields"]["scenario"]
        );
        // What belongs together still does.
        for (before, after) in before.iter().zip(after) {
            assert_eq!(before["kind"], after["kind"]);
            let count = |object: &Value| object["new"].as_object().map(|row| row.len());
            assert_eq!(count(before), count(after), "{name}");
        }
    });
}

#[test]
fn each_run_has_a_key_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let golden = &captures()[0];
    let outputs = ["a", "b"].map(|name| folder.path().join(name));
    for output in &outputs {
        anonymise(&AnonymiseConfig::new([&golden.path], output)).unwrap();
    }
    assert_ne!(
        fs::read(&outputs[0]).unwrap(),
        fs::read(&outputs[1]).unwrap()
    );
}

#[test]
fn a_file_that_exists_is_left_alone_and_half_a_file_is_not_left() {
    let folder = tempfile::tempdir().unwrap();
    let golden = &captures()[0];
    let there = folder.path().join("there");
    fs::write(&there, b"precious").unwrap();
    let error = anonymise(&AnonymiseConfig::new([&golden.path], &there)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(fs::read(&there).unwrap(), b"precious");

    let mut cut = fs::read(&golden.path).unwrap();
    cut.pop();
    let (broken, output) = (folder.path().join("broken"), folder.path().join("output"));
    fs::write(&broken, cut).unwrap();
    let error = anonymise(&AnonymiseConfig::new([&broken], &output)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(!output.exists());
}

#[test]
fn the_program_does_it() {
    let folder = tempfile::tempdir().unwrap();
    let golden = captures()
        .into_iter()
        .find(|it| it.name == "pg18/keys_v1_text")
        .unwrap();
    let output = folder.path().join("anonymous");
    let run = Command::new(env!("CARGO_BIN_EXE_replicator"))
        .args(["decode", "--names", "--anonymise"])
        .args([&output, &golden.path])
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(run.stdout.is_empty());
    assert_eq!(shown(&output).len(), shown(&golden.path).len());
}
