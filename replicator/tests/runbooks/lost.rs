//! Changes that nobody can bring back: the destination is filled anew.

use std::fs;
use std::process::Command;

use testdata::Version;

use crate::RUNBOOKS;
use crate::common::quiet;
use crate::stage::{Stage, set_up};

const ANEW: &str = "Fill the destination anew";

/// Words of a page that an operator looks for must be those that are said.
#[track_caller]
fn page_says(heading: &str, words: &[&str]) {
    let section = RUNBOOKS.section(heading);
    for word in words {
        assert!(section.contains(&format!("`{word}`")), "{heading}: {word}");
    }
}

#[test]
fn a_slot_is_lost_and_a_source_is_restored() {
    let mut from = quiet(Version::V18)
        .setting("max_slot_wal_keep_size", "1MB")
        .setting("min_wal_size", "32MB")
        .setting("max_wal_size", "32MB")
        .start();
    let mut source = set_up(&from, "postgres");
    let mut stage = Stage::new(&from, "postgres");
    stage.start();
    stage.equal(&mut source, None);
    stage.stop();
    for id in 1000..1004 {
        source
            .batch(&format!("INSERT INTO orders VALUES ({id}, 'too late')"))
            .unwrap();
        source.batch("SELECT pg_switch_wal()").unwrap();
    }
    source.batch("CHECKPOINT").unwrap();
    page_says(
        "Slot lost",
        &[
            "slot_lost",
            "slot_missing",
            "is lost",
            "does not exist any more",
        ],
    );
    assert_eq!(stage.until_cause("slot_lost").code, Some(3));
    stage.fails(&["is lost"]);
    from.set("max_slot_wal_keep_size", "-1");
    from.reload();
    stage.play(RUNBOOKS.commands(ANEW, 0));
    stage.equal(&mut source, None);
    stage.is_over();

    stage.stop();
    source
        .batch("SELECT pg_drop_replication_slot('replicator'); INSERT INTO orders VALUES (1100, 'unread')")
        .unwrap();
    let said = stage.until_cause("slot_missing");
    assert_eq!(said.code, Some(3));
    // Nothing was promoted, and nobody's word would help.
    assert!(!said.log.contains("replicator adopt"), "{}", said.log);
    stage.fails(&["does not exist any more"]);
    stage.play(RUNBOOKS.commands(ANEW, 0));
    stage.equal(&mut source, None);

    stage.stop();
    drop(source);
    from.stop();
    let (data, backup) = (from.data(), stage.folder().join("backup"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let done = Command::new("cp").arg("-a").args([from, to]).status();
        assert!(done.unwrap().success());
    };
    copy(&data, &backup);
    from.start_again();
    let mut source = crate::common::connect(&from, "postgres");
    stage.start();
    source
        .batch("INSERT INTO orders SELECT i, 'forgotten' FROM generate_series(2000, 3000) i; SELECT pg_switch_wal()")
        .unwrap();
    source.batch("DELETE FROM orders WHERE id < 50").unwrap();
    stage.equal(&mut source, None);
    stage.stop();
    drop(source);
    from.stop();
    fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    from.start_again();
    let mut source = crate::common::connect(&from, "postgres");
    let words = "ahead of the source's write-ahead log";
    page_says("The source was restored", &[words]);
    stage.fails(&[words]);
    stage.play(RUNBOOKS.commands(ANEW, 0));
    stage.equal(&mut source, None);
    stage.is_over();
    stage.stop();
}
