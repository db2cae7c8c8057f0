//! Definitions that change under the stream: stop where they changed, lose nothing, apply nothing wrong.

use crate::common::Site;

/// Runs `change` after one row and before another, and expects a wait between the two that says `words`.
fn waits(change: &str, row: &str, words: &[&str]) {
    let site = Site::new();
    let mut running = site.streaming(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.sql(change);
    site.sql(row);
    let copied = ["1|one", "2|two", "3|three"];
    // Nothing is skipped: the next run waits at the same place.
    for _ in 0..2 {
        for word in words {
            running.until_it_says(word);
        }
        assert_eq!(
            site.t(),
            copied,
            "what came before the change is not there, or what came after it is"
        );
        running.terminate().done();
        running = site.run(&[]);
    }
    running.kill();
    site.start_anew(&[]);
}

#[test]
fn an_added_column_is_no_reason_to_stop() {
    let site = Site::new();
    let running = site.streaming(&[]);
    site.sql("ALTER TABLE t ADD COLUMN b bool DEFAULT false NOT NULL");
    site.sql("UPDATE t SET b = true WHERE id = 1");
    let rows = || site.rows("SELECT id, v, b FROM t ORDER BY id");
    let has = "SELECT 1 FROM pragma_table_info('t') WHERE name = 'b'";
    crate::common::until("the column arrives", || {
        !site.rows(has).is_empty() && rows() == ["1|one|1", "2|two|0"]
    });
    running.terminate().done();
}

/// The relation looks as if one had been added and nothing else.
#[test]
fn a_column_made_again_before_another_is_added() {
    waits(
        "ALTER TABLE t DROP v; ALTER TABLE t ADD v text; ALTER TABLE t ADD w int",
        "INSERT INTO t VALUES (4, 'four', 4)",
        &["column v was dropped at the source", "only another copy"],
    );
}

#[test]
fn a_dropped_column() {
    waits(
        "ALTER TABLE t DROP COLUMN v",
        "INSERT INTO t VALUES (4)",
        &["column v is gone", r#"ALTER TABLE "t" DROP COLUMN "v";"#],
    );
}

#[test]
fn another_type() {
    waits(
        "ALTER TABLE t ALTER v TYPE int USING 7",
        "INSERT INTO t VALUES (4, 4)",
        &["public.t", "type of column v", "declared TEXT"],
    );
}

#[test]
fn a_renamed_column() {
    waits(
        "ALTER TABLE t RENAME v TO w",
        "INSERT INTO t VALUES (4, 'four')",
        &[r#"ALTER TABLE "t" RENAME COLUMN "v" TO "w";"#],
    );
}

#[test]
fn another_key() {
    waits(
        "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (id, v)",
        "UPDATE t SET v = 'changed' WHERE id = 1",
        &["its key was id and is id, v now", "by hand"],
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
    running.until_it_says("it is called public.u now");
    site.sql("CREATE TABLE other (id int)");
    running.terminate().done();
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
    let reason = site.rows("SELECT state, reason FROM _replicator_tables WHERE name = 't'");
    assert_eq!(
        reason,
        ["stopped|it is called public.u now; give it its name back first"]
    );
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
