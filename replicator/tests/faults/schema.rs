//! Definitions that change under the stream: stop where they changed, lose nothing, apply nothing wrong.

use crate::common::{PATIENCE, Site};

/// Runs `change` after one row and before another, and expects a stop between the two.
fn stops(change: &str, row: &str, words: &[&str]) {
    let site = Site::new();
    let running = site.streaming(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.sql(change);
    site.sql(row);
    running.wait(PATIENCE).failed(3, words).hinted(&[]);
    let copied = ["1|one", "2|two", "3|three"];
    assert_eq!(
        site.t(),
        copied,
        "what came before the change is not there, or what came after it is"
    );
    // Nothing was skipped: the next run stops at the same place.
    site.catch_up(&[]).failed(3, words);
    assert_eq!(site.t(), copied);
    site.start_anew(&[]);
}

#[test]
fn an_added_column() {
    stops(
        "ALTER TABLE t ADD COLUMN more int DEFAULT 7",
        "INSERT INTO t VALUES (4, 'four', 4)",
        &["public.t changed", "column more is new"],
    );
}

#[test]
fn an_added_column_and_an_update_of_an_old_row() {
    stops(
        "ALTER TABLE t ADD COLUMN b bool DEFAULT false NOT NULL",
        "UPDATE t SET b = true WHERE id = 1",
        &["public.t changed", "column b is new"],
    );
}

#[test]
fn a_dropped_column() {
    stops(
        "ALTER TABLE t DROP COLUMN v",
        "INSERT INTO t VALUES (4)",
        &["public.t changed", "column v is gone"],
    );
}

#[test]
fn another_type() {
    stops(
        "ALTER TABLE t ALTER v TYPE varchar(9)",
        "INSERT INTO t VALUES (4, 'four')",
        &["public.t changed", "column v", "type"],
    );
}

#[test]
fn a_renamed_column() {
    stops(
        "ALTER TABLE t RENAME v TO w",
        "INSERT INTO t VALUES (4, 'four')",
        &["public.t changed", "w"],
    );
}

#[test]
fn another_key() {
    stops(
        "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (id, v)",
        "UPDATE t SET v = 'changed' WHERE id = 1",
        &["public.t changed", "key"],
    );
}

#[test]
fn a_renamed_table() {
    let site = Site::new();
    let mut running = site.streaming(&[]);
    // It has looked at the publications by then, and does not so soon again.
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running.until("the row arrives", || site.t().len() == 3);
    site.sql("ALTER TABLE t RENAME TO u");
    site.sql("INSERT INTO u VALUES (4, 'four')");
    running
        .wait(PATIENCE)
        .failed(3, &["public.t", "public.u"])
        .hinted(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn a_relation_that_means_the_same_is_no_change() {
    let site = Site::new();
    let running = site.streaming(&[]);
    // Each makes the server send the Relation again.
    for command in [
        "ANALYZE t",
        "VACUUM t",
        "ALTER TABLE t SET (fillfactor = 70)",
        "CREATE INDEX ON t (v)",
    ] {
        site.sql("INSERT INTO t SELECT max(id) + 1, 'more' FROM t");
        site.sql(command);
    }
    site.sql("INSERT INTO t SELECT max(id) + 1, 'last' FROM t");
    crate::common::until("all rows arrive", || site.t().len() == 7);
    running.terminate().done();
}
