//! Tables that come, go and come back as others, between two runs: each has its own fate, and the others go on.

use testdata::Version;

use crate::common::{Outcome, PATIENCE, Running, Site};

/// The ledger's tables with their states and reasons.
fn ledger(site: &Site) -> Vec<String> {
    site.rows("SELECT name, state, reason FROM _replicator_tables ORDER BY name")
}

/// A source with `t` and `other` in a publication `mine`, replicated, and a change of `t` since.
fn replicated(version: Version, publication: &str) -> Site {
    let site = Site::on(version);
    site.sql(
        "CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other VALUES (1, 'one')",
    );
    site.sql(&format!("CREATE PUBLICATION mine {publication}"));
    site.caught_up(&MINE);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site
}

const MINE: [&str; 2] = ["--publication", "mine"];

const OLDEST_AND_NEWEST: [Version; 2] = [Version::V14, Version::V18];

/// Catches up with `t` going on and the table `other` stopped for this reason.
fn other_stops(site: &Site, reason: &str) -> Outcome {
    let outcome = site.catch_up(&MINE);
    outcome.done();
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
    let ledger = ledger(site);
    let [other, t] = &*ledger else {
        panic!("{ledger:?}")
    };
    assert!(
        other.starts_with("other|stopped|") && other.contains(reason),
        "{other}"
    );
    assert_eq!(t, "t|streaming|∅");
    // It stays so, and is said again.
    let again = site.catch_up(&MINE);
    again.done();
    again.logged(&[
        "public.other",
        reason,
        "replicator resync --table public.other",
    ]);
    outcome
}

#[test]
fn a_table_added_while_nobody_ran_is_copied_and_followed() {
    for version in OLDEST_AND_NEWEST {
        let site = replicated(version, "FOR TABLE t");
        site.sql("BEGIN; INSERT INTO other VALUES (2, 'before'); INSERT INTO t VALUES (4, 'four'); COMMIT");
        site.sql("ALTER PUBLICATION mine ADD TABLE other");
        site.sql("BEGIN; INSERT INTO other VALUES (3, 'after'); INSERT INTO t VALUES (5, 'five'); COMMIT");
        site.sql("UPDATE other SET v = 'changed' WHERE id = 1");
        site.caught_up(&MINE);
        site.sql("DELETE FROM other WHERE id = 2; UPDATE other SET v = 'streamed' WHERE id = 3");
        site.caught_up(&MINE);
        assert_eq!(
            site.rows("SELECT id, v FROM other ORDER BY id"),
            ["1|changed", "3|streamed"]
        );
        assert_eq!(site.t().len(), 5);
        assert_eq!(ledger(&site), ["other|streaming|∅", "t|streaming|∅"]);
    }
}

#[test]
fn a_table_made_under_a_publication_of_all_tables_is_copied_and_followed() {
    for version in OLDEST_AND_NEWEST {
        let site = replicated(version, "FOR ALL TABLES");
        site.sql("CREATE TABLE more (id int PRIMARY KEY); INSERT INTO more VALUES (1)");
        // One that comes and goes meanwhile leaves changes in the stream that nobody waits for.
        site.sql("CREATE TABLE brief (id int PRIMARY KEY); INSERT INTO brief VALUES (1)");
        site.sql("DROP TABLE brief");
        site.caught_up(&MINE);
        assert_eq!(site.rows("SELECT id FROM more"), ["1"]);
        assert_eq!(site.tables(), ["more", "other", "t"]);
        assert_eq!(site.t().len(), 3);
    }
}

#[test]
fn an_unlogged_table_that_becomes_logged_is_copied_with_its_old_rows() {
    for version in OLDEST_AND_NEWEST {
        let site = replicated(version, "FOR ALL TABLES");
        site.sql("CREATE UNLOGGED TABLE quick (id int PRIMARY KEY); INSERT INTO quick VALUES (1)");
        site.caught_up(&MINE);
        assert_eq!(site.tables(), ["other", "t"]);
        site.sql("ALTER TABLE quick SET LOGGED; INSERT INTO quick VALUES (2)");
        site.caught_up(&MINE);
        assert_eq!(site.rows("SELECT id FROM quick ORDER BY id"), ["1", "2"]);
        // And the other way round.
        site.sql("ALTER TABLE quick SET UNLOGGED; INSERT INTO quick VALUES (3)");
        site.caught_up(&MINE);
        let row = &ledger(&site)[1];
        assert!(row.starts_with("quick|stopped|it is unlogged"), "{row}");
        assert_eq!(site.rows("SELECT count(*) FROM quick"), ["2"]);
    }
}

#[test]
fn a_table_taken_out_is_stopped_and_does_not_come_back_by_itself() {
    for version in OLDEST_AND_NEWEST {
        let site = replicated(version, "FOR TABLE t, other");
        site.sql("ALTER PUBLICATION mine DROP TABLE other; INSERT INTO other VALUES (2, 'missed')");
        other_stops(&site, "not in the publication");
        // What was missed is missed.
        site.sql("ALTER PUBLICATION mine ADD TABLE other; INSERT INTO other VALUES (3, 'three')");
        site.caught_up(&MINE);
        assert_eq!(site.rows("SELECT id FROM other"), ["1"]);
        assert!(ledger(&site)[0].starts_with("other|stopped|"));
    }
}

#[test]
fn a_table_taken_out_and_put_back_between_two_looks_is_stopped() {
    let site = replicated(Version::NEWEST, "FOR TABLE t, other");
    site.sql("ALTER PUBLICATION mine DROP TABLE other; INSERT INTO other VALUES (2, 'missed')");
    site.sql("ALTER PUBLICATION mine ADD TABLE other");
    other_stops(&site, "its place in the publication changed");
}

#[test]
fn a_dropped_table_is_stopped_and_keeps_its_rows() {
    for publication in ["FOR TABLE t, other", "FOR ALL TABLES"] {
        let site = replicated(Version::NEWEST, publication);
        site.sql("INSERT INTO other VALUES (2, 'last'); DROP TABLE other");
        other_stops(&site, "dropped at the source");
        // As of the last position that was seen before.
        assert_eq!(site.rows("SELECT id FROM other"), ["1"]);
    }
}

#[test]
fn a_table_made_again_under_its_name_is_never_mixed_with_the_old_one() {
    for version in OLDEST_AND_NEWEST {
        let site = replicated(version, "FOR ALL TABLES");
        site.sql("DROP TABLE other; CREATE TABLE other (id int PRIMARY KEY, v text)");
        site.sql("INSERT INTO other VALUES (7, 'seven')");
        let outcome = other_stops(&site, "dropped and made again");
        outcome.logged(&["public.other", "rows of another table"]);
        site.sql("INSERT INTO other VALUES (1, 'one of the new')");
        site.caught_up(&MINE);
        assert_eq!(site.rows("SELECT id, v FROM other"), ["1|one"]);
    }
}

#[test]
fn a_renamed_table_is_stopped() {
    let site = replicated(Version::NEWEST, "FOR TABLE t, other");
    site.sql("ALTER TABLE other RENAME TO another");
    other_stops(&site, "called public.another now");
}

/// Of which the stream says nothing: the relation is sent as it was.
#[test]
fn a_last_column_made_again_under_its_name_stops_its_table() {
    for version in OLDEST_AND_NEWEST {
        let site = replicated(version, "FOR TABLE t, other");
        site.sql("ALTER TABLE other DROP v; ALTER TABLE other ADD v text; INSERT INTO other VALUES (2, 'two')");
        other_stops(&site, "column v was dropped at the source").logged(&["stopped: column v"]);
        resync(&site, "other").done();
        site.caught_up(&MINE);
        assert_eq!(
            site.rows("SELECT id, v FROM other ORDER BY id"),
            ["1|∅", "2|two"]
        );
        assert_eq!(ledger(&site), ["other|streaming|∅", "t|streaming|∅"]);
        // A new name is none of that, whatever the column's type, and neither is a column that comes and goes at once.
        site.sql("BEGIN; ALTER TABLE other ADD w text; ALTER TABLE other DROP w; INSERT INTO other VALUES (3, 'three'); COMMIT");
        site.caught_up(&MINE);
        assert_eq!(ledger(&site), ["other|streaming|∅", "t|streaming|∅"]);
    }
}

/// The same while it runs, and behind a column that was added in the stream.
#[test]
fn a_last_column_made_again_while_it_runs_stops_its_table() {
    let site = replicated(Version::NEWEST, "FOR TABLE t, other");
    let mut running = site.run(&MINE);
    site.sql("ALTER TABLE other ADD w int DEFAULT 5; INSERT INTO other VALUES (2, 'two', 6)");
    running.until("the column is there", || {
        site.rows("SELECT count(*) FROM other") == ["2"]
    });
    assert_eq!(ledger(&site), ["other|streaming|∅", "t|streaming|∅"]);
    site.sql("ALTER TABLE other DROP w; ALTER TABLE other ADD w int");
    running.until_it_says("stopped: column w was dropped at the source");
    site.sql("INSERT INTO t VALUES (4, 'four')");
    running.until("the others go on", || site.t().len() == 4);
    running.terminate().done();
}

#[test]
fn a_row_filter_that_changed_stops_its_table() {
    let site = replicated(Version::NEWEST, "FOR TABLE t, other WHERE (id < 100)");
    site.sql("ALTER PUBLICATION mine SET TABLE t, other WHERE (id < 50)");
    other_stops(&site, "row filter");
}

/// `replicator resync --table TABLE`.
fn resync(site: &Site, table: &str) -> Outcome {
    Running::start(site.command("resync").args(["--table", table])).wait(PATIENCE)
}

#[test]
fn a_table_is_copied_anew_when_that_is_asked_for() {
    for version in OLDEST_AND_NEWEST {
        let site = replicated(version, "FOR TABLE t, other");
        site.edit("DELETE FROM other; INSERT INTO other VALUES (1, 'wrong'), (9, 'too much')");
        resync(&site, "public.other").done();
        assert_eq!(ledger(&site)[0], "other|copying|∅");
        site.sql("INSERT INTO other VALUES (2, 'two')");
        site.caught_up(&MINE);
        assert_eq!(
            site.rows("SELECT id, v FROM other ORDER BY id"),
            ["1|one", "2|two"]
        );
        // One that was taken out is there again.
        site.sql("ALTER PUBLICATION mine DROP TABLE other; DELETE FROM other WHERE id = 1");
        site.caught_up(&MINE);
        site.sql("ALTER PUBLICATION mine ADD TABLE other");
        resync(&site, "other").done();
        site.caught_up(&MINE);
        assert_eq!(site.rows("SELECT id, v FROM other"), ["2|two"]);
        assert_eq!(ledger(&site), ["other|streaming|∅", "t|streaming|∅"]);
        assert_eq!(site.t().len(), 3);
    }
}

#[test]
fn a_table_copied_ahead_of_the_stream_is_catching_up_until_the_stream_is_there() {
    let site = replicated(Version::NEWEST, "FOR TABLE t, other");
    resync(&site, "other").done();
    site.sql("INSERT INTO other VALUES (2, 'two')");
    let only = Running::start(site.command("run").args(MINE).args(["--copy", "only"]));
    only.wait(PATIENCE).done();
    assert_eq!(ledger(&site), ["other|catching up|∅", "t|streaming|∅"]);
    assert_eq!(site.t().len(), 2);
    let mut running = site.streaming(&MINE);
    running.until("it has", || {
        ledger(&site) == ["other|streaming|∅", "t|streaming|∅"]
    });
    running.terminate().done();
    assert_eq!(site.t().len(), 3);
}

#[test]
fn a_table_made_again_takes_the_place_of_the_old_one_when_that_is_asked_for() {
    let site = replicated(Version::NEWEST, "FOR ALL TABLES");
    site.sql("DROP TABLE other; CREATE TABLE other (key text PRIMARY KEY); INSERT INTO other VALUES ('a')");
    other_stops(&site, "dropped and made again");
    resync(&site, "other").done();
    site.caught_up(&MINE);
    site.sql("INSERT INTO other VALUES ('b')");
    site.caught_up(&MINE);
    assert_eq!(site.rows("SELECT * FROM other ORDER BY 1"), ["a", "b"]);
}

#[test]
fn what_cannot_be_copied_anew_is_said() {
    let site = replicated(Version::NEWEST, "FOR TABLE t, other");
    resync(&site, "othr")
        .failed(2, &["public.othr"])
        .hinted(&["public.other is one"]);
    site.sql("DROP TABLE other");
    resync(&site, "other").failed(3, &["the source has no table public.other"]);
    let running = site.streaming(&MINE);
    resync(&site, "t")
        .failed(1, &[])
        .hinted(&["stop the run", "start it again"]);
    running.terminate().done();
}

#[test]
fn options_hold_for_tables_that_join() {
    let site = Site::new();
    site.sql("CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE more (id int PRIMARY KEY)");
    let options = ["--tables", "t"];
    site.caught_up(&options);
    site.sql("ALTER PUBLICATION replicator ADD TABLE other");
    let outcome = site.catch_up(&options);
    outcome.done();
    outcome.logged(&["public.other", "--tables does not name it"]);
    assert_eq!(site.tables(), ["t"]);
    // Named, it joins; a name that is taken is said before anything is done.
    site.edit("CREATE TABLE other (id); INSERT INTO other VALUES (1)");
    let named = ["--tables", "t,other"];
    site.catch_up(&named).failed(3, &["table other holds rows"]);
    site.edit("DROP TABLE other");
    site.caught_up(&named);
    assert_eq!(site.tables(), ["other", "t"]);
}
