//! The example of a destination of one's own keeps every change exactly once, also when it is killed.

#[path = "faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use common::{Running, Site, until};
use serde_json::Value;

fn example() -> PathBuf {
    testdata::example(env!("CARGO_MANIFEST_DIR"), "own_destination")
}

/// What the lines make of the table, by key; each change must find what it expects.
fn played(text: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    let value = |object: &Value, name: &str| object[name].as_str().map(str::to_owned);
    let lines: Vec<&str> = text.lines().collect();
    // What was not completed does not count.
    let complete = lines
        .iter()
        .rposition(|line| line.starts_with("{\"position\":"));
    for line in &lines[..complete.map_or(0, |at| at + 1)] {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Some(new) = line.get("insert") {
            let old = rows.insert(value(new, "id").unwrap(), value(new, "v").unwrap());
            assert_eq!(old, None, "twice: {line}");
        } else if let Some(old) = line.get("update") {
            let id = value(old, "id").unwrap();
            let mut v = rows.remove(&id).unwrap_or_else(|| panic!("no row: {line}"));
            if let Some(new) = value(&line["set"], "v") {
                v = new;
            }
            rows.insert(value(&line["set"], "id").unwrap_or(id), v);
        } else if let Some(old) = line.get("delete") {
            let gone = rows.remove(&value(old, "id").unwrap());
            assert!(gone.is_some(), "no row: {line}");
        } else if line.get("truncate").is_some() || line.get("drop").is_some() {
            rows.clear();
        }
    }
    rows
}

#[test]
fn every_change_is_there_exactly_once_whenever_it_is_killed() {
    const KILLS: u32 = 12;
    let site = Site::new();
    site.sql("INSERT INTO t SELECT n, 'copied' FROM generate_series(3, 20000) AS n");
    let example = example();
    let path = site.folder.path().join("changes.jsonl");
    let text = || std::fs::read_to_string(&path).unwrap_or_default();
    let start = || {
        let mut command = Command::new(&example);
        command.args([&site.source(), &site.slot]).arg(&path);
        Running::start(&mut command)
    };
    let mut lengths = Vec::new();
    for round in 0..KILLS {
        let mut running = start();
        // The first few are killed in the copy, the others among changes.
        if round >= 3 {
            let moved = || {
                text()
                    .lines()
                    .last()
                    .is_some_and(|line| line.contains("streaming"))
            };
            running.until("it streams", moved);
            site.sql(&format!(
                "INSERT INTO t SELECT {round} * 100000 + n, 'new' FROM generate_series(1, 3000) AS n;
                 UPDATE t SET v = v || '!' WHERE id % 7 = {round} % 7; UPDATE t SET id = -id WHERE id % 1000 = {round};
                 DELETE FROM t WHERE id % 11 = {round} % 11"
            ));
        }
        std::thread::sleep(Duration::from_millis(u64::from(40 + round * 37 % 200)));
        running.kill();
        lengths.push(text().len());
        // Half a batch, which a kill leaves only now and then.
        let half = "{\"insert\":{\"id\":\"2\",\"v\":\"half\"},\"table\":\"public.t\"}\n{\"ins";
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        file.write_all(half.as_bytes()).unwrap();
    }
    let mut running = start();
    let source = || {
        let rows = site.client().query("SELECT id, v FROM t").unwrap();
        let pair = |row: Vec<Option<String>>| {
            let [id, v] = row.try_into().unwrap();
            (id.unwrap(), v.unwrap())
        };
        rows.into_iter().map(pair).collect::<BTreeMap<_, _>>()
    };
    let wanted = source();
    running.until("all of it is there", || played(&text()) == wanted);
    running.signal("INT");
    running.wait(common::PATIENCE).done();
    assert_eq!(played(&text()), wanted);
    // Only the last lines of a killed process are ever cut off.
    let positions = text()
        .lines()
        .filter(|line| line.starts_with("{\"position\":"))
        .count();
    assert!(positions > 10, "{positions} positions, lengths {lengths:?}");
}

#[test]
fn two_at_a_time_are_refused() {
    let site = Site::new();
    let example = example();
    let path = site.folder.path().join("changes.jsonl");
    let command = || {
        let mut command = Command::new(&example);
        command.args([&site.source(), &site.slot]).arg(&path);
        command
    };
    let running = Running::start(&mut command());
    until("it streams", || {
        std::fs::read_to_string(&path).is_ok_and(|text| text.contains("streaming"))
    });
    let second = Running::start(&mut command()).wait(common::PATIENCE);
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains("is in use"), "{}", second.stderr);
    running.signal("INT");
    running.wait(common::PATIENCE).done();
}
