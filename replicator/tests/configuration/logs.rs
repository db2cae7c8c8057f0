//! What a run says: each line for people, or an object for programs.

use serde_json::Value;

use super::{PATIENCE, Running, Site, program};

fn objects(text: &str) -> Vec<Value> {
    let object = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    text.lines().map(object).collect()
}

#[test]
fn in_json_every_line_is_an_object_with_what_it_is_about() {
    let site = Site::new();
    let run = |more: &[&str]| {
        let mut command = program();
        command.args(["run", "--until", "current", "--slot", &site.slot]);
        command.args(["--source", &site.source()]);
        command.args(["--destination", &site.destination(), "--log-format", "json"]);
        Running::start(command.args(more)).wait(PATIENCE)
    };
    let outcome = run(&[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let lines = objects(&outcome.stderr);
    for line in &lines {
        for member in ["timestamp", "level", "message"] {
            assert!(line[member].is_string(), "{member} in {line}");
        }
    }
    let about = |words: &str| {
        let found = lines.iter().find(|line| {
            line["message"]
                .as_str()
                .is_some_and(|it| it.starts_with(words))
        });
        found.unwrap_or_else(|| panic!("{words} in {}", outcome.stderr))
    };
    assert_eq!(about("streaming")["slot"], site.slot.as_str());
    let done = about("done");
    let position = done["position"].as_str().expect("a position");
    assert!(
        position.contains('/') && done["transactions"].is_number(),
        "{done}"
    );

    // So is the end of one that fails.
    site.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()");
    let outcome = run(&[]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    let lines = objects(&outcome.stderr);
    let last = lines.last().expect("a line");
    assert_eq!(
        (&last["level"], &last["exit_code"]),
        (&"ERROR".into(), &3.into())
    );
    assert!(last["hint"].is_string(), "{last}");
}

#[test]
fn the_same_warning_is_said_once_and_then_counted() {
    let site = Site::new();
    site.caught_up(&[]);
    // Rows that are not there, one in each of many transactions.
    site.sql("INSERT INTO t SELECT at, 'x' FROM generate_series(10, 300) at");
    site.caught_up(&[]);
    site.edit("DELETE FROM t WHERE id >= 10");
    for at in 10..60 {
        site.sql(&format!("UPDATE t SET v = 'y' WHERE id = {at}"));
    }
    let outcome = site.catch_up(&["--on-conflict", "apply"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let conflicts: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("conflict"))
        .collect();
    assert_eq!(conflicts.len(), 2, "{}", outcome.stderr);
    assert!(
        conflicts[1].contains(" repeated=49 last="),
        "{}",
        outcome.stderr
    );
}
