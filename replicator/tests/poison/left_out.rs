//! With `--quarantine`: what is refused is in the file, whole, and nothing else is missing.

use std::collections::BTreeSet;

use crate::bench::{Bench, Product};
use crate::common::streamed;

/// The keys of the lines of a kind.
fn ids<P: Product>(bench: &Bench<P>, kind: &str) -> Vec<String> {
    let of_kind = bench.left_out().into_iter();
    of_kind
        .filter(|line| line["kind"] == kind)
        .map(|line| line["key"]["id"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn one_row_of_many_transactions<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    for id in 0..40 {
        bench.play(&format!(
            "BEGIN; INSERT INTO free VALUES ({id}, 'f'); INSERT INTO t VALUES ({id}, {}, 'v{id}'); INSERT INTO free VALUES (-1 - {id}, 'g'); COMMIT",
            if id == 23 || id == 31 { 100 + id } else { id }
        ));
    }
    let log = bench.run_with_quarantine(&[]);
    assert!(log.contains("left_out=2"), "{log}");
    let lines = bench.left_out();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, id) in lines.iter().zip(["23", "31"]) {
        assert_eq!(line["new"], bench.source_row("t", id));
        for (member, is) in [
            ("kind", "insert"),
            ("schema", "public"),
            ("table", "t"),
            ("slot", bench.job.slot_name()),
            ("by", "quarantine"),
        ] {
            assert_eq!(line[member], is, "{line}");
        }
        assert_eq!(line["key"]["id"], id);
        let reason = line["reason"].as_str().unwrap();
        let at = format!("insert at {}", line["commit_lsn"].as_str().unwrap());
        for words in ["table public.t", &at, "small"] {
            assert!(reason.contains(words), "{words:?} in {reason:?}");
        }
        // The record lies before the commit, and both are positions.
        let before = format!(
            "SELECT '{}'::pg_lsn < '{}'::pg_lsn",
            line["lsn"].as_str().unwrap(),
            line["commit_lsn"].as_str().unwrap()
        );
        assert_eq!(bench.source.value(&before).unwrap(), "t", "{line}");
        let soon = format!(
            "SELECT abs(extract(epoch FROM now() - '{}')) < 600 AND abs(extract(epoch FROM now() - '{}')) < 600",
            line["time"].as_str().unwrap(),
            line["commit_time"].as_str().unwrap()
        );
        assert_eq!(bench.source.value(&soon).unwrap(), "t", "{line}");
        assert!(line["xid"].as_u64().unwrap() > 0);
    }
    let differences = bench.differences();
    assert_eq!(
        differences,
        [
            r#"t: 1 more at the source: [Some("23"), Some("123"), Some("v23")]"#,
            r#"t: 1 more at the source: [Some("31"), Some("131"), Some("v31")]"#
        ]
    );
    // Without anything new nothing is written, and the file grows by what comes.
    bench.run_with_quarantine(&[]);
    assert_eq!(bench.left_out().len(), 2);
    bench.play("INSERT INTO t VALUES (50, 150, 'v')");
    bench.run_with_quarantine(&[]);
    assert_eq!(ids(&bench, "insert"), ["23", "31", "50"]);
}

pub(crate) fn every_value_as_the_source_prints_it<P: Product>() {
    let tables = r"CREATE TABLE t (id bigint PRIMARY KEY, n int, b bool, f real, d float8, num numeric, by bytea, v text, a text[], ts timestamp, j json)";
    // Made by the replicator; somebody else's rows have the keys.
    let mut bench = Bench::<P>::of(tables, "SELECT 1", &[]);
    let name = bench.name("t");
    bench.place.sql(&format!(
        "INSERT INTO {name} (id) VALUES (1), (9223372036854775807), (3), (4)"
    ));
    bench.play(
        r#"INSERT INTO t VALUES
             (1, 100, true, 0.1, 0.1::float8 + 0.2, 1234567890.12345678901234567890, '\x00ff5c27', E'it''s "quoted"\\ \r\n\t\x01 \U0001F600', ARRAY['a', NULL, 'b"c'], '0044-03-15 12:00:00 BC', '{"a": 1, "a": 2}'),
             (9223372036854775807, 101, false, 'NaN', '-Infinity', 'NaN', '', '', '{}', 'infinity', 'null'),
             (3, 102, NULL, '-0', 5e-324, NULL, NULL, NULL, NULL, NULL, NULL),
             (4, 103, true, 1e-30, -1e300, 0.00, '\x', '\N', '[0:1]={7,8}', '2024-02-03 04:05:06.789', '[]')"#,
    );
    bench.run_with_quarantine(&[]);
    let lines = bench.left_out();
    assert_eq!(lines.len(), 4);
    for line in lines {
        let id = line["new"]["id"].as_str().unwrap().to_owned();
        assert_eq!(line["new"], bench.source_row("t", &id));
    }
}

/// Sent in blocks before it commits, more than one chunk long, with refused rows here and there.
pub(crate) fn rows_of_a_streamed_transaction<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.play("INSERT INTO t SELECT i, 0, 'old' FROM generate_series(1, 100) i");
    bench.run(&[]);
    bench.play(
        "BEGIN; INSERT INTO t SELECT i, CASE WHEN i % 700 = 0 THEN i ELSE i % 100 END, repeat('v', 50) || i FROM generate_series(101, 6000) i;
         SAVEPOINT s; INSERT INTO t SELECT i, 1000, 'rolled back' FROM generate_series(6001, 7000) i; ROLLBACK TO s;
         UPDATE t SET n = 100 WHERE id IN (7, 8); UPDATE t SET v = 'new' WHERE id <= 20; DELETE FROM t WHERE id IN (9, 700); COMMIT",
    );
    let sent = streamed(&mut bench.source, bench.job.slot_name());
    bench.run_with_quarantine(&[]);
    assert!(
        streamed(&mut bench.source, bench.job.slot_name()) > sent,
        "the transaction was not streamed"
    );
    let inserts: Vec<String> = (1..=8).map(|i| (i * 700).to_string()).collect();
    assert_eq!(ids(&bench, "insert"), inserts);
    // The second update of 7 and 8 holds the whole row, and so what was refused before.
    assert_eq!(ids(&bench, "update"), ["7", "8", "7", "8"]);
    assert_eq!(ids(&bench, "delete"), ["700"]);
    let differing: BTreeSet<String> = bench
        .differences()
        .iter()
        .map(|what| what.split('"').nth(1).unwrap().to_owned())
        .collect();
    let expected = inserts.iter().map(String::as_str).filter(|id| *id != "700");
    let expected: BTreeSet<String> = expected.chain(["7", "8"]).map(str::to_owned).collect();
    assert_eq!(differing, expected);
    for line in bench.left_out() {
        if line["kind"] == "insert" && line["key"]["id"] != "700" {
            let id = line["key"]["id"].as_str().unwrap().to_owned();
            assert_eq!(line["new"], bench.source_row("t", &id));
        }
    }
}

/// `--on-conflict apply` decides what it can; the rest is left out.
pub(crate) fn what_a_conflict_leaves_open<P: Product>() {
    let mut bench = Bench::<P>::new(&["--on-conflict", "apply"]);
    bench.play("INSERT INTO t SELECT i, i, 'old' FROM generate_series(1, 5) i");
    bench.run(&[]);
    let name = bench.name("t");
    bench
        .place
        .sql(&format!("DELETE FROM {name} WHERE id IN (1, 2)"));
    bench.place.sql(&format!(
        "INSERT INTO {name} VALUES (6, 6, 'planted'), (7, 7, 'planted'), (8, 8, 'planted')"
    ));
    bench.play(
        "BEGIN; UPDATE t SET v = 'made again' WHERE id = 1; UPDATE t SET n = 100 WHERE id = 2; INSERT INTO t VALUES (6, 60, 'ours');
         INSERT INTO t VALUES (7, 700, 'ours'); UPDATE t SET id = 8 WHERE id = 3; DELETE FROM t WHERE id = 4; COMMIT",
    );
    bench.run_with_quarantine(&[]);
    let lines = bench.left_out();
    let reasons: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| {
            let reason = line["reason"].as_str().unwrap();
            let why = ["small", "collide"]
                .into_iter()
                .find(|why| reason.contains(why));
            (line["key"]["id"].as_str().unwrap(), why.unwrap_or(reason))
        })
        .collect();
    assert_eq!(reasons, [("2", "small"), ("7", "small"), ("3", "collide")]);
    // An update is whole, the key that it leaves as it is included.
    assert_eq!(
        lines[0]["new"],
        serde_json::json!({"id": "2", "n": "100", "v": "old"})
    );
    assert_eq!(lines[2]["new"]["id"], "8");
    assert_eq!(
        bench.there(&format!("SELECT id, n, v FROM {name} ORDER BY id")),
        [
            "1|1|made again",
            "3|3|old",
            "5|5|old",
            "6|60|ours",
            "7|7|planted",
            "8|8|planted"
        ]
    );
}

/// The stream does not hold an unchanged value that lies out of line; nobody makes one up.
pub(crate) fn what_was_not_sent_is_named<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.play(
        "ALTER TABLE t ALTER COLUMN v SET STORAGE EXTERNAL\n\nINSERT INTO t VALUES (1, 1, repeat('v', 9000))",
    );
    bench.run(&[]);
    bench.play("UPDATE t SET n = 100 WHERE id = 1");
    bench.run_with_quarantine(&[]);
    bench.play("UPDATE t SET n = 101 WHERE id = 1");
    let lsn = crate::skip::hinted(&bench.stops(&[]));
    bench.run_with_quarantine(&["--skip", &lsn]);
    let lines = bench.left_out();
    for (line, n) in lines.iter().zip(["100", "101"]) {
        assert_eq!(line["new"], serde_json::json!({"id": "1", "n": n}));
        assert_eq!(line["unchanged"], serde_json::json!(["v"]));
    }
    assert_eq!(lines.len(), 2);
}

/// What comes later of a row that was left out does not find it, and is left out too, until it comes whole.
pub(crate) fn a_row_and_its_later_changes<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    // A run of its own: what all changes of a row come to may be carried out at once, and is what the destination takes.
    bench.play("INSERT INTO t VALUES (1, 100, 'one')");
    bench.run_with_quarantine(&[]);
    bench.play(
        "UPDATE t SET v = 'uno' WHERE id = 1\n\nINSERT INTO t VALUES (2, 2, 'two')\n\n\
         UPDATE t SET n = 1 WHERE id = 1\n\nUPDATE t SET v = 'dos' WHERE id = 2\n\nDELETE FROM t WHERE id = 1\n\nINSERT INTO t VALUES (1, 1, 'eins')",
    );
    bench.run_with_quarantine(&[]);
    let kinds = bench.left_out().into_iter();
    let kinds: Vec<String> = kinds
        .map(|line| line["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["insert", "update", "update", "delete"]);
    assert_eq!(bench.differences(), [""; 0]);
}

/// Nothing is left out that cannot be kept.
pub(crate) fn a_file_that_cannot_be_written<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.play("INSERT INTO t VALUES (1, 1, 'one')\n\nINSERT INTO t VALUES (2, 200, 'two')");
    let finished = bench.ends(&["--quarantine", "/dev/full"]);
    assert_eq!(finished.code, Some(1), "{}", finished.log);
    assert!(
        finished.log.contains("/dev/full cannot be written"),
        "{}",
        finished.log
    );
    let finished = bench.ends(&["--quarantine", "/nowhere/left-out"]);
    assert_eq!(finished.code, Some(2), "{}", finished.log);
    bench.stops(&[]);
    bench.run_with_quarantine(&[]);
    assert_eq!(ids(&bench, "insert"), ["2"]);
}

/// It would be so for every row: nothing is left out, and nothing is in the file.
pub(crate) fn what_is_no_rows_fault_stops<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.place.spoil(&bench.name("t"));
    bench.play("INSERT INTO free VALUES (1, 'one')\n\nINSERT INTO t VALUES (1, 1, 'one')");
    let file = bench.file();
    let printed = bench.stops(&["--quarantine", file.to_str().unwrap()]);
    assert!(printed.contains("nowhere"), "{printed}");
    assert!(!printed.contains("leave this change out"), "{printed}");
    assert_eq!(bench.left_out().len(), 0);
    assert_eq!(bench.differences().len(), 1);
}

/// What the destination looks at only when a transaction ends is no row's fault: nothing is left out, nor in the file.
#[cfg(feature = "postgres")]
pub(crate) fn what_is_found_at_the_end_stops() {
    let mut bench = Bench::<crate::place::Postgres<18>>::of(
        "CREATE TABLE t (id int PRIMARY KEY, n int, v text)",
        "CREATE TABLE parent (n integer PRIMARY KEY); INSERT INTO parent VALUES (1);
         CREATE TABLE {t} (id integer PRIMARY KEY, n integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED, v text CHECK (v <> 'bad'))",
        &[],
    );
    bench.play("INSERT INTO t VALUES (1, 1, 'one')\n\nINSERT INTO t VALUES (2, 1, 'bad'), (3, 7, 'three')\n\nINSERT INTO t VALUES (4, 1, 'four')");
    let file = bench.file();
    let file = ["--quarantine", file.to_str().unwrap()];
    let printed = bench.stops(&file);
    for words in ["[SQLSTATE 23503]", "leave the transaction out with --skip "] {
        assert!(printed.contains(words), "{words:?} in {printed}");
    }
    assert!(!printed.contains("leave this change out"), "{printed}");
    assert_eq!(bench.left_out().len(), 0);
    let at = printed.find("--skip ").unwrap() + 7;
    let lsn = printed[at..].split(' ').next().unwrap().to_owned();
    bench.run_with_quarantine(&["--skip", &lsn]);
    assert_eq!(ids(&bench, "insert"), ["2", "3"]);
    assert_eq!(bench.differences().len(), 2);
}
