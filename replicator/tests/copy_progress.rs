//! A copy as its user meets it: what is said before, how far it is, its end, its speed, its pause.

#[path = "faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::{PATIENCE, Running, Site};
use serde_json::Value;
use testdata::{Server, Version};

/// A table of so many rows, each of some ten bytes as COPY counts them.
fn narrow(site: &Site, name: &str, rows: u32) {
    site.sql(&format!("CREATE TABLE {name} (id int PRIMARY KEY, v int)"));
    site.sql(&format!(
        "INSERT INTO {name} SELECT i, i FROM generate_series(1, {rows}) i"
    ));
}

fn objects(stdout: &str) -> Vec<Value> {
    let object =
        |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    stdout.lines().map(object).collect()
}

fn kinds(objects: &[Value]) -> Vec<&str> {
    objects
        .iter()
        .map(|object| object["kind"].as_str().expect("a kind"))
        .collect()
}

fn only(objects: &[Value], kind: &str) -> Vec<Value> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    of_kind.cloned().collect()
}

#[test]
fn only_copies_and_a_later_run_streams_from_there() {
    for version in [Version::V14, Version::NEWEST] {
        let site = Site::on(version);
        let copy = || Running::start(site.command("run").args(["--copy", "only"])).wait(PATIENCE);
        let outcome = copy();
        outcome.done();
        assert!(
            outcome.stderr.contains("every table is copied"),
            "{}",
            outcome.stderr
        );
        assert_eq!(site.t(), ["1|one", "2|two"]);
        assert_eq!(site.slot_column("active").as_deref(), Some("false"));
        let position = site.stored();
        assert_eq!(site.confirmed(), position, "the slot moved");

        // What comes later waits, also when there is nothing left to copy.
        site.sql("INSERT INTO t VALUES (3, 'three')");
        copy().done();
        assert_eq!(site.t(), ["1|one", "2|two"]);
        assert_eq!((site.stored(), site.confirmed()), (position, position));

        site.caught_up(&[]);
        assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
    }
}

#[test]
fn a_copy_has_one_end() {
    let site = Site::new();
    site.catch_up(&["--copy", "only"])
        .failed(2, &["--copy only", "--until"]);
    assert_eq!(site.slot_column("active"), None, "a slot was made");
    assert!(site.publications().is_empty(), "a publication was made");
    for (option, value) in [
        ("--copy-workers", "0"),
        ("--copy-workers", "65"),
        ("--copy-rate", "0"),
        ("--copy-rate", "fast"),
    ] {
        let outcome = site.catch_up(&[option, value]);
        assert_eq!(
            outcome.code,
            Some(2),
            "{option} {value}: {}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(option), "{}", outcome.stderr);
    }
    let mut command = site.command("run");
    command.args(["--until", "current"]);
    command.envs([
        ("REPLICATOR_COPY_WORKERS", "3"),
        ("REPLICATOR_COPY_RATE", "1GB"),
        ("REPLICATOR_JSON", "true"),
    ]);
    let outcome = Running::start(&mut command).wait(PATIENCE);
    let begun = &objects(&outcome.done().stdout)[0];
    assert_eq!(begun["workers"], 3);
    assert_eq!(begun["rate"], 1_000_000_000);
}

#[test]
fn scripts_are_told_everything() {
    for version in [Version::V14, Version::NEWEST] {
        let site = Site::on(version);
        narrow(&site, "counted", 20_000);
        site.sql("CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)");
        site.sql("CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (1000)");
        site.sql("CREATE TABLE high PARTITION OF parts FOR VALUES FROM (1000) TO (9000)");
        site.sql("INSERT INTO parts SELECT generate_series(0, 2999)");
        site.sql("ANALYZE");
        // Never analysed: nobody knows how many rows there are.
        site.sql("CREATE TABLE fresh (id int PRIMARY KEY) WITH (autovacuum_enabled = off)");
        site.sql("INSERT INTO fresh VALUES (1), (2), (3)");
        let outcome = site.catch_up(&["--json"]);
        let objects = objects(&outcome.done().stdout);
        let kinds = kinds(&objects);
        assert_eq!(kinds.first(), Some(&"copy_begun"));
        assert_eq!(kinds.last(), Some(&"copy_done"));
        let begun = &objects[0];
        assert_eq!(begun["tables"], 4);
        assert_eq!(begun["estimated_rows"], Value::Null);
        assert_eq!(begun["wal_kept"], Value::Null);
        assert!(begun["estimated_bytes"].as_u64() > Some(500_000), "{begun}");

        let mut done: Vec<_> = only(&objects, "copy_table_done")
            .iter()
            .map(|it| {
                (
                    it["table"].to_string(),
                    it["rows"].clone(),
                    it["estimated_rows"].clone(),
                )
            })
            .collect();
        done.sort_by(|one, other| one.0.cmp(&other.0));
        let rows =
            |name: &str, rows: u64, estimated: Value| (format!("{name:?}"), rows.into(), estimated);
        assert_eq!(
            done,
            [
                rows("counted", 20_000, 20_000.into()),
                rows("fresh", 3, Value::Null),
                rows("parts", 3000, 3000.into()),
                rows("t", 2, 2.into()),
            ]
        );
        assert_eq!(only(&objects, "copy_table_begun").len(), 4);
        let total = &objects[objects.len() - 1];
        assert_eq!(total["rows"], 23_005);
        assert_eq!(
            (&total["tables_done"], &total["tables"]),
            (&4.into(), &4.into())
        );
        assert_eq!(total["percent"].to_string(), "100.0");
        // As COPY counts them: `psql -c 'COPY …' | wc -c`.
        let bytes = site.ask(
            "SELECT (SELECT sum(length(id::text) + length(v::text) + 2) FROM counted)
                  + (SELECT sum(length(id::text) + 1) FROM parts) + 6 + 12",
        );
        assert_eq!(total["bytes"].to_string(), bytes);

        // There is no copy the next time.
        site.sql("INSERT INTO t VALUES (3, 'three')");
        let outcome = site.catch_up(&["--json"]);
        assert_eq!(outcome.done().stdout, "");
    }
}

#[test]
fn a_rate_is_kept_to() {
    let site = Site::new();
    narrow(&site, "slow", 100_000);
    let start = Instant::now();
    let outcome = site.catch_up(&["--json", "--copy-rate", "100kB/s"]);
    let took = start.elapsed();
    let objects = objects(&outcome.done().stdout);
    let total = only(&objects, "copy_done").remove(0);
    let bytes = total["bytes"].as_u64().expect("bytes");
    assert!(bytes > 1_000_000, "{total}");
    // The last chunks of two workers are let through on credit.
    let least = Duration::from_millis((bytes - 2 * 150_000) * 1000 / 100_000);
    assert!(took >= least, "{took:?} for {bytes} bytes");
    let progress = only(&objects, "copy_progress");
    assert!(
        progress
            .iter()
            .any(|it| it["running"][0]["table"] == "slow"),
        "{progress:?}"
    );
    assert_eq!(site.rows("SELECT count(*) FROM slow"), ["100000"]);
}

#[test]
fn a_copy_is_paused_and_goes_on() {
    let site = Site::new();
    narrow(&site, "paused", 150_000);
    site.sql("ANALYZE");
    let mut running = site.run(&["--copy-rate", "150kB", "--json"]);
    running.until("rows come", || {
        site.tables().contains(&"paused".to_owned())
            && site.rows("SELECT count(*) FROM paused") != ["0"]
    });
    running.signal("USR1");
    running.until_it_says("the copy is paused");
    assert!(
        running.stderr().contains("wal_held_back="),
        "{}",
        running.stderr()
    );
    // What was read is written still.
    std::thread::sleep(Duration::from_secs(1));
    let count = || site.rows("SELECT count(*) FROM paused");
    let before = count();
    assert_ne!(before, ["150000"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(count(), before, "rows came while it was paused");
    running.signal("USR2");
    running.until_it_says("the copy goes on");
    running.until("more rows come", || count() != before);
    // Every ten seconds how far it is.
    running.until_it_says("remaining=");
    running.until_it_says("copy complete");
    assert_eq!(count(), ["150000"]);
    // Not in the middle of anything, and no end of the run.
    running.signal("USR1");
    running.signal("USR2");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running.until("the stream goes on", || site.t().len() == 3);
    let outcome = running.terminate();
    let paused = only(&objects(&outcome.done().stdout), "copy_progress");
    assert!(
        paused
            .iter()
            .any(|it| it["paused"] == true && it["remaining_seconds"] == Value::Null)
    );
}

#[test]
fn what_a_copy_means_is_said_before_it() {
    let limited = |megabytes: u32| {
        let keep = format!("{megabytes}MB");
        let builder = Server::builder(Version::NEWEST);
        let server = builder
            .setting("max_slot_wal_keep_size", keep.as_str())
            .start();
        let site = Site::own(server);
        narrow(&site, "large", 100_000);
        site.sql("ANALYZE");
        let stderr = site.catch_up(&[]).done().stderr.clone();
        let at = |words: &str| {
            stderr
                .find(words)
                .unwrap_or_else(|| panic!("no {words:?} in\n{stderr}"))
        };
        // In this order.
        assert!(
            at("tables=2 rows=\"about 100,002\"") < at("\"public.large\""),
            "{stderr}"
        );
        assert!(
            at("waits in the source's WAL") < at("\"public.large\""),
            "{stderr}"
        );
        assert!(at("Ctrl-C") < at("\"public.large\""), "{stderr}");
        assert!(
            at("max_slot_wal_keep_size=") < at("\"public.large\""),
            "{stderr}"
        );
        stderr
    };
    const DANGER: &str = "keeps less WAL than there is to copy";
    let stderr = limited(1);
    assert!(stderr.contains(DANGER), "{stderr}");
    assert!(
        stderr.contains("max_slot_wal_keep_size=\"1,048 kB\""),
        "{stderr}"
    );
    let stderr = limited(500);
    assert!(!stderr.contains(DANGER), "{stderr}");
    assert!(
        stderr.contains("max_slot_wal_keep_size=\"524 MB\""),
        "{stderr}"
    );

    let stderr = Site::new().catch_up(&[]).done().stderr.clone();
    assert!(!stderr.contains("max_slot_wal_keep_size"), "{stderr}");
}

#[test]
fn bars_on_a_terminal_do_not_tear_the_log() {
    let site = Site::new();
    narrow(&site, "drawn", 60_000);
    site.sql("ANALYZE");
    let program = format!(
        "stty -F /dev/tty cols 80; {} run --until current --copy-rate 200kB --json --slot {} --source {} --destination {}",
        env!("CARGO_BIN_EXE_replicator"),
        site.slot,
        site.source(),
        site.destination()
    );
    let transcript = site.folder.path().join("transcript");
    let mut script = Command::new("script");
    script
        .env("TERM", "xterm")
        .args(["-qefc", &program])
        .arg(&transcript);
    Running::start(&mut script).wait(PATIENCE).done();
    let raw = std::fs::read_to_string(&transcript).expect("a transcript");
    let (_, raw) = raw.split_once('\n').expect("a heading");
    assert!(
        raw.contains("public.drawn ["),
        "no bar of the table:\n{raw}"
    );
    assert!(raw.contains(" of 2 tables ["), "no bar of all:\n{raw}");
    assert!(raw.contains(" left"), "no remaining time:\n{raw}");

    // What a terminal would show at the end, line by line.
    let screen = screen(raw);
    assert!(
        !screen
            .iter()
            .any(|line| line.contains("] ") && line.contains('%')),
        "a bar is left: {screen:#?}"
    );
    let said: Vec<&String> = screen
        .iter()
        .filter(|line| line.contains(" INFO ") || line.contains(" WARN "))
        .collect();
    assert!(said.len() > 5, "{screen:#?}");
    for line in said {
        assert!(line.starts_with("20"), "torn: {line:?} in {screen:#?}");
    }
    let objects: Vec<&String> = screen
        .iter()
        .filter(|line| line.contains("\"kind\""))
        .collect();
    assert!(objects.len() > 4, "{screen:#?}");
    // Each has its kind in the first line that it fills.
    assert!(
        objects.iter().all(|line| line.starts_with('{')),
        "{screen:#?}"
    );
}

/// The lines that are left after cursor movements and erasures.
fn screen(raw: &str) -> Vec<String> {
    const WIDTH: usize = 80;
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut rest = raw.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                if rest.next() != Some('[') {
                    continue;
                }
                let mut number = String::new();
                let end = loop {
                    match rest.next() {
                        Some(it) if it.is_ascii_alphabetic() => break it,
                        Some(it) => number.push(it),
                        None => return Vec::new(),
                    }
                };
                let count = number.parse().unwrap_or(1);
                match end {
                    'A' => row = row.saturating_sub(count),
                    'B' => row += count,
                    'D' => column = column.saturating_sub(count),
                    'C' => column += count,
                    'K' if number == "2" => lines[row].clear(),
                    'K' => lines[row].truncate(column),
                    'J' => {
                        lines[row].truncate(column);
                        lines.truncate(row + 1);
                    }
                    'm' => {}
                    other => {
                        panic!("an escape sequence that this test does not know: {number}{other}")
                    }
                }
            }
            char => {
                // A terminal goes on in the next line with the first character that has no place, not before.
                if column == WIDTH {
                    (row, column) = (row + 1, 0);
                    lines.resize(lines.len().max(row + 1), Vec::new());
                }
                let line = &mut lines[row];
                while line.len() <= column {
                    line.push(' ');
                }
                line[column] = char;
                column += 1;
            }
        }
        while lines.len() <= row {
            lines.push(Vec::new());
        }
    }
    lines
        .into_iter()
        .map(|line| line.into_iter().collect())
        .collect()
}
