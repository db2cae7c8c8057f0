//! A destination that is not what it was: divergence is noticed, never written over.

use crate::common::{self, Site};

/// Edits the destination, changes the source, and expects a stop with nothing written.
fn stops(edit: &str, change: &str, words: &[&str]) {
    let site = Site::new();
    site.caught_up(&[]);
    site.edit(edit);
    let (before, stored) = (site.t(), site.stored());
    // What comes before in the stream arrives; what comes with it in the transaction does not.
    site.sql("INSERT INTO t VALUES (10, 'before')");
    site.sql(&format!(
        "BEGIN; INSERT INTO t VALUES (11, 'with'); {change}; COMMIT"
    ));
    site.sql("INSERT INTO t VALUES (12, 'after')");
    for _ in 0..2 {
        site.catch_up(&[]).failed(3, words);
        let mut expected = before.clone();
        expected.push("10|before".to_owned());
        assert_eq!(site.t(), expected);
    }
    assert!(site.stored() >= stored && site.stored() < site.wal_end());
    assert!(
        site.confirmed() <= site.stored(),
        "the source was told more than is true"
    );
}

#[test]
fn an_insert_onto_a_row_that_is_there() {
    stops(
        "INSERT INTO t VALUES (3, 'planted')",
        "INSERT INTO t VALUES (3, 'three')",
        &["public.t, insert", "id = 3"],
    );
}

#[test]
fn an_update_of_a_row_that_is_not_there() {
    stops(
        "DELETE FROM t WHERE id = 2",
        "UPDATE t SET v = 'changed' WHERE id = 2",
        &["public.t, update", "id = 2"],
    );
}

#[test]
fn a_delete_of_a_row_that_is_not_there() {
    stops(
        "DELETE FROM t WHERE id = 2",
        "DELETE FROM t WHERE id = 2",
        &["public.t, delete", "id = 2"],
    );
}

#[test]
fn a_key_change_onto_a_row_that_is_there() {
    stops(
        "INSERT INTO t VALUES (3, 'planted')",
        "UPDATE t SET id = 3 WHERE id = 2",
        &["public.t, update", "id = 2", "(id = 3)"],
    );
}

/// The remedy that the hint names for who trusts the source: the row becomes what it is there.
#[test]
fn a_conflict_may_be_decided_for_the_source() {
    for (edit, change) in [
        (
            "INSERT INTO t VALUES (3, 'planted')",
            "INSERT INTO t VALUES (3, 'three')",
        ),
        (
            "DELETE FROM t WHERE id = 2",
            "UPDATE t SET v = 'changed' WHERE id = 2",
        ),
        ("DELETE FROM t WHERE id = 2", "DELETE FROM t WHERE id = 2"),
    ] {
        let site = Site::new();
        site.caught_up(&[]);
        site.edit(edit);
        site.sql(change);
        site.catch_up(&[])
            .failed(3, &["conflict"])
            .hinted(&["--on-conflict apply"]);
        site.caught_up(&["--on-conflict", "apply"]);
        let source = site
            .client()
            .query("SELECT concat_ws('|', id, v) FROM t ORDER BY id");
        let source: Vec<_> = source
            .expect("rows")
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        assert_eq!(site.t(), source, "{change}");
    }
}

/// Two rows would have to become one: that is nobody's to decide but a person's, so the hint does not offer it.
#[test]
fn a_conflict_of_two_rows_is_not_decided() {
    let site = Site::new();
    site.caught_up(&[]);
    site.edit("INSERT INTO t VALUES (3, 'planted')");
    site.sql("UPDATE t SET id = 3 WHERE id = 2");
    let outcome = site.catch_up(&["--on-conflict", "apply"]);
    outcome.failed(3, &["id = 2", "(id = 3)"]).hinted(&["undo"]);
    assert!(
        !outcome.stderr.contains("--on-conflict"),
        "{}",
        outcome.stderr
    );
    site.edit("DELETE FROM t WHERE id = 3");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "3|two"]);
}

#[test]
fn a_conflict_that_a_person_has_resolved_is_gone() {
    let site = Site::new();
    site.caught_up(&[]);
    site.edit("INSERT INTO t VALUES (3, 'planted')");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.catch_up(&[])
        .failed(3, &["public.t, insert", "id = 3"])
        .hinted(&[]);
    site.edit("DELETE FROM t WHERE id = 3");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn a_table_that_somebody_else_made_is_not_filled() {
    let site = Site::new();
    site.edit("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v TEXT); INSERT INTO t VALUES (7, 'theirs')");
    site.catch_up(&[])
        .failed(3, &["table t holds rows"])
        .hinted(&["--existing truncate", "--copy no"]);
    assert_eq!(site.slot_column("slot_name"), None, "a slot is left");
    assert_eq!(site.publications(), [""; 0], "a publication is left");
    assert_eq!(site.t(), ["7|theirs"]);

    // The remedy, for who vouches for the rows.
    site.caught_up(&["--copy", "no"]);
    assert_eq!(site.t(), ["7|theirs"]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.caught_up(&["--copy", "no"]);
    assert_eq!(site.t(), ["3|three", "7|theirs"]);
    // A table that is not ours stays when everything of ours goes.
    site.forget(&[]).done();
    assert_eq!(site.t(), ["3|three", "7|theirs"]);
}

#[test]
fn tables_that_would_land_on_one_name_are_refused() {
    let site = Site::new();
    site.sql("CREATE SCHEMA s; CREATE TABLE s.x (id int PRIMARY KEY); CREATE TABLE s__x (id int PRIMARY KEY)");
    site.catch_up(&[]).failed(2, &["s.x", "s__x"]);
    crate::assert_nothing_left(&site);
}

#[test]
fn a_row_of_ours_that_somebody_broke_is_told_not_guessed() {
    let site = Site::new();
    site.caught_up(&[]);
    for damage in ["lsn = 'here'", "state = 'gone'", "timeline = -1"] {
        common::until("the copy", || {
            std::fs::copy(site.path(), site.path().with_extension("whole")).is_ok()
        });
        site.edit(&format!("UPDATE _replicator_position SET {damage}"));
        site.catch_up(&[]).failed(3, &[]);
        std::fs::copy(site.path().with_extension("whole"), site.path()).expect("the copy back");
    }
    site.caught_up(&[]);
}

/// Changes the position row under a run, and expects its next batch to write nothing.
fn stops_under_a_run(edit: &str, code: i32, words: &[&str]) {
    let site = Site::new();
    let running = site.streaming(&[]);
    site.edit(edit);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running
        .wait(common::PATIENCE)
        .failed(code, words)
        .hinted(&[]);
    assert_eq!(site.t(), ["1|one", "2|two"], "it wrote all the same");
}

#[test]
fn who_was_taken_over_writes_nothing_more() {
    let taken = "UPDATE _replicator_position SET epoch = epoch + 1, holder = 'somebody else'";
    stops_under_a_run(taken, 1, &["took over", "somebody else"]);
}

#[test]
fn a_position_that_vanished_under_a_run_stops_it() {
    stops_under_a_run("DELETE FROM _replicator_position", 3, &["position", "gone"]);
}

#[test]
fn a_position_that_moved_under_a_run_stops_it() {
    stops_under_a_run(
        "UPDATE _replicator_position SET lsn = '0/1'",
        3,
        &["position", "0/1"],
    );
}
