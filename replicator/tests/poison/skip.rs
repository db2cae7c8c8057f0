//! With `--skip`: a whole transaction is in the file instead of at the destination.

use crate::bench::{Bench, Product};

/// The position that the printed hint names.
pub(crate) fn hinted(printed: &str) -> String {
    let at = printed.find("--skip ").expect("a way on") + 7;
    printed[at..].split(' ').next().unwrap().to_owned()
}

/// Where the last transaction commits, by what the server would send.
fn last_commit<P: Product>(bench: &mut Bench<P>) -> String {
    // A Commit message has its flags behind the tag, then the position of the commit record.
    let sql = format!(
        "SELECT '0/0'::pg_lsn + ('x' || encode(substr(data, 3, 8), 'hex'))::bit(64)::bigint::numeric
         FROM pg_logical_slot_peek_binary_changes('{}', NULL, NULL, 'proto_version', '1', 'publication_names', 'replicator')
         WHERE get_byte(data, 0) = ascii('C') ORDER BY lsn DESC LIMIT 1",
        bench.job.slot_name()
    );
    bench.source.value(&sql).unwrap()
}

pub(crate) fn a_transaction_as_errors_name_it<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.play(
        "INSERT INTO t VALUES (1, 1, 'one'), (2, 2, 'two')\n\n\
         BEGIN; INSERT INTO free VALUES (1, 'with'); INSERT INTO t VALUES (3, 300, 'three'); UPDATE t SET v = 'dos' WHERE id = 2; DELETE FROM t WHERE id = 1; TRUNCATE free; COMMIT\n\n\
         INSERT INTO free VALUES (2, 'after')",
    );
    let lsn = hinted(&bench.stops(&[]));
    // Without a file it is nowhere to be found again.
    assert_eq!(bench.ends(&["--skip", &lsn]).code, Some(2));
    let log = bench.run_with_quarantine(&["--skip", &lsn]);
    assert!(log.contains("left_out=5"), "{log}");
    let lines = bench.left_out();
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| line["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["insert", "insert", "update", "delete", "truncate"]);
    for line in &lines {
        assert_eq!(line["by"], "skip", "{line}");
        assert_eq!(line["commit_lsn"], *lsn, "{line}");
        assert_eq!(line["xid"], lines[0]["xid"], "{line}");
    }
    assert_eq!(lines[1]["new"], bench.source_row("t", "3"));
    assert_eq!(lines[2]["new"], bench.source_row("t", "2"));
    assert_eq!(lines[2]["key"]["id"], "2");
    assert_eq!(lines[3]["key"]["id"], "1");
    assert_eq!(lines[4]["tables"][0]["table"], "free");
    let t = bench.name("t");
    assert_eq!(
        bench.there(&format!("SELECT id, v FROM {t} ORDER BY id")),
        ["1|one", "2|two"]
    );
    let free = bench.name("free");
    assert_eq!(
        bench.there(&format!("SELECT id, v FROM {free}")),
        ["2|after"]
    );
    // Past already, which is said and nothing more.
    let log = bench.run_with_quarantine(&["--skip", &lsn]);
    assert!(
        log.contains("nothing to skip there: the destination is past it already"),
        "{log}"
    );
    assert_eq!(bench.left_out().len(), 5);
}

/// Among many, and together with changes that are refused elsewhere.
pub(crate) fn several_at_once<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    let mut lsns = Vec::new();
    for id in 0..30 {
        bench.play(&format!(
            "INSERT INTO t VALUES ({id}, {}, 'v')",
            if id % 10 == 7 { 700 } else { 1 }
        ));
        if id % 10 == 3 {
            lsns.push(last_commit(&mut bench));
        }
    }
    assert_eq!(lsns.len(), 3);
    let log = bench.run_with_quarantine(&[
        "--skip",
        &lsns[0],
        "--skip",
        &format!("{},{}", lsns[1], lsns[2]),
    ]);
    assert!(!log.contains("nothing was skipped"), "{log}");
    let lines = bench.left_out();
    let found: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| {
            (
                line["by"].as_str().unwrap(),
                line["key"]["id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("skip", "3"),
            ("quarantine", "7"),
            ("skip", "13"),
            ("quarantine", "17"),
            ("skip", "23"),
            ("quarantine", "27")
        ]
    );
    assert_eq!(bench.differences().len(), 6);
}

pub(crate) fn what_is_not_met_is_said<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    let between = bench
        .source
        .value("SELECT pg_current_wal_insert_lsn()")
        .unwrap();
    bench.play("INSERT INTO free VALUES (1, 'one')\n\nINSERT INTO free VALUES (2, 'two')");
    let log = bench.run_with_quarantine(&["--skip", &between, "--skip", "FFFFFF/0"]);
    let said = |lsn: &str, what: &str| {
        let line = log
            .lines()
            .find(|line| line.contains(&format!("lsn={lsn}")));
        assert!(
            line.is_some_and(|line| line.contains(what)),
            "{lsn} {what:?}: {log}"
        );
    };
    said(
        &between,
        "nothing was skipped there: no transaction commits at that position",
    );
    said(
        "FFFFFF/0",
        "nothing was skipped there: the run ended before that position",
    );
    assert!(log.contains("left_out=0"), "{log}");
    assert_eq!(bench.left_out().len(), 0);
    assert_eq!(bench.differences(), [""; 0]);
}

/// What follows means what the table is from there on.
pub(crate) fn a_changed_definition_is_not_skipped<P: Product>() {
    let mut bench = Bench::<P>::new(&[]);
    bench.play("INSERT INTO t VALUES (1, 1, 'one')");
    bench.run(&[]);
    bench.play(
        "ALTER TABLE t ADD COLUMN more int DEFAULT 7\n\nINSERT INTO t VALUES (2, 2, 'two', 2)",
    );
    let lsn = last_commit(&mut bench);
    bench.play("INSERT INTO t VALUES (3, 3, 'three', 3)");
    let file = bench.file();
    bench.run(&["--quarantine", file.to_str().unwrap(), "--skip", &lsn]);
    assert_eq!(bench.left_out().len(), 1);
    assert_eq!(bench.differences().len(), 1, "the row that was skipped");
}
