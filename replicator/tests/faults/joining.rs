//! Tables that come and go while the others are streamed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testdata::Version;

use crate::common::{PATIENCE, Running, Site, until};

const MINE: [&str; 2] = ["--publication", "mine"];

fn ledger(site: &Site) -> Vec<String> {
    site.rows("SELECT name, state FROM _replicator_tables ORDER BY name")
}

/// Whether both sides have the same rows of a table `(id, v)`.
fn same(site: &Site, table: &str) -> bool {
    let sql = format!("SELECT id, v FROM {table} ORDER BY id");
    let source = site.client().query(&sql).expect("the rows");
    let source: Vec<String> = source
        .into_iter()
        .map(|row| {
            let row: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
            row.join("|")
        })
        .collect();
    source == site.rows(&sql)
}

/// Changes `t` and `other` together, in every way, until told to stop.
fn busy(site: &Site, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = site.client();
            let mut number = 100_000;
            while !done.load(Ordering::Relaxed) {
                number += 1;
                for table in ["t", "other"] {
                    let sql = format!(
                        "INSERT INTO {table} VALUES ({number}, 'new');
                         UPDATE {table} SET v = v || '!' WHERE id = {number} - 5;
                         UPDATE {table} SET id = -id WHERE id = {number} - 10;
                         DELETE FROM {table} WHERE id = {number} - 20 OR id = 30 - {number};
                         UPDATE {table} SET v = repeat('x', {number} % 50) WHERE id = 1 + {number} % 20000"
                    );
                    client.batch(&sql).expect("a change");
                }
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
}

/// `t` replicated and streaming, and `other` with rows.
fn streaming(version: Version, publication: &str) -> (Site, Running) {
    let site = Site::on(version);
    site.sql(&format!("CREATE PUBLICATION mine {publication}"));
    let running = site.streaming(&MINE);
    site.sql("CREATE TABLE other (id int PRIMARY KEY, v text)");
    site.sql("INSERT INTO other SELECT n, 'row ' || n FROM generate_series(1, 50000) n");
    (site, running)
}

#[test]
fn a_table_that_is_added_joins_under_load_and_stops_nobody() {
    for version in [Version::V14, Version::V18] {
        for publication in ["FOR TABLE t", "FOR ALL TABLES"] {
            let (site, mut running) = streaming(version, publication);
            busy(&site, || {
                if publication != "FOR ALL TABLES" {
                    site.sql("ALTER PUBLICATION mine ADD TABLE other");
                }
                running.until_it_says("copied");
                running.until("the table joins", || {
                    ledger(&site) == ["other|streaming", "t|streaming"]
                });
            });
            running.until("all of t arrives", || same(&site, "t"));
            running.until("all of other arrives", || same(&site, "other"));
            running.terminate().done();
            site.sql("INSERT INTO other VALUES (-1, 'last')");
            site.caught_up(&MINE);
            assert!(same(&site, "other") && same(&site, "t"));
        }
    }
}

#[test]
fn a_table_that_goes_stops_alone() {
    for version in [Version::V14, Version::V18] {
        let site = Site::on(version);
        site.sql("CREATE TABLE other (id int PRIMARY KEY, v text)");
        site.sql("CREATE PUBLICATION mine FOR ALL TABLES");
        let mut running = site.streaming(&MINE);
        site.sql("DROP TABLE other; INSERT INTO t VALUES (3, 'three')");
        running.until("it is stopped", || {
            ledger(&site) == ["other|stopped", "t|streaming"]
        });
        site.sql("INSERT INTO t VALUES (4, 'four')");
        running.until("the others go on", || site.t().len() == 4);
        running.terminate().done();
    }
}

#[test]
fn an_unlogged_table_that_becomes_logged_joins_with_its_old_rows() {
    let site = Site::new();
    site.sql("CREATE UNLOGGED TABLE other (id int PRIMARY KEY, v text); INSERT INTO other VALUES (1, 'old')");
    site.sql("CREATE PUBLICATION mine FOR ALL TABLES");
    let mut running = site.streaming(&MINE);
    site.sql("ALTER TABLE other SET LOGGED");
    site.sql("INSERT INTO other VALUES (2, 'new')");
    running.until("it joins", || {
        site.tables().len() == 2 && site.rows("SELECT id FROM other").len() == 2
    });
    site.sql("UPDATE other SET v = 'streamed'");
    running.until("it is followed", || {
        site.rows("SELECT DISTINCT v FROM other") == ["streamed"]
    });
    running.terminate().done();
}

#[test]
fn a_run_that_ends_while_a_table_is_copied_ends_at_once_and_the_next_one_copies_it() {
    let (site, mut running) = streaming(Version::NEWEST, "FOR TABLE t");
    site.sql("ALTER PUBLICATION mine ADD TABLE other");
    until("its copy begins", || {
        ledger(&site) == ["other|copying", "t|streaming"]
    });
    assert!(running.is_running());
    running.terminate().done();
    site.caught_up(&MINE);
    assert!(same(&site, "other"));
}

#[test]
fn one_table_at_fault_is_stopped_alone_when_that_is_wanted() {
    const ISOLATE: [&str; 4] = ["--publication", "mine", "--on-table-error", "isolate"];
    for version in [Version::V14, Version::V18] {
        let site = Site::on(version);
        site.sql("CREATE TABLE other (id int PRIMARY KEY, v text); CREATE TABLE third (id int PRIMARY KEY)");
        site.sql("CREATE PUBLICATION mine FOR ALL TABLES");
        let mut running = site.streaming(&ISOLATE);
        site.edit("INSERT INTO other VALUES (7, 'not ours')");
        // Of the same transaction, before and after what is refused.
        site.sql(
            "BEGIN; INSERT INTO t VALUES (3, 'three'); INSERT INTO other VALUES (6, 'six'), (7, 'seven');
             INSERT INTO third VALUES (1); INSERT INTO other VALUES (8, 'eight'); COMMIT",
        );
        site.sql("INSERT INTO t VALUES (4, 'four'); ALTER TABLE third RENAME id TO number");
        site.sql("INSERT INTO third VALUES (2); INSERT INTO t VALUES (5, 'five')");
        running.until("the others go on", || site.t().len() == 5);
        assert_eq!(
            ledger(&site),
            ["other|stopped", "t|streaming", "third|stopped"]
        );
        let reasons = site
            .rows("SELECT reason FROM _replicator_tables WHERE state = 'stopped' ORDER BY name");
        assert!(
            reasons[0].contains("public.other") && reasons[0].contains(", at "),
            "{reasons:?}"
        );
        assert!(
            reasons[1].contains("its definition changed") && reasons[1].contains("RENAME COLUMN"),
            "{reasons:?}"
        );
        // Nothing of a transaction's part in a table that is stopped is there.
        assert_eq!(site.rows("SELECT id FROM other"), ["7"]);
        assert_eq!(site.rows("SELECT id FROM third"), ["1"]);
        // The slot is not held by them.
        let end = site.wal_end();
        site.sql("INSERT INTO t VALUES (6, 'six')");
        running.until("the slot moves", || site.confirmed() >= end);
        running.terminate().done();
        for table in ["other", "third"] {
            let resync = site
                .command("resync")
                .args(["--table", table])
                .status()
                .expect("the program starts");
            assert!(resync.success());
        }
        site.caught_up(&ISOLATE);
        assert!(same(&site, "other"));
        assert_eq!(site.rows("SELECT number FROM third ORDER BY 1"), ["1", "2"]);
        assert_eq!(
            ledger(&site),
            ["other|streaming", "t|streaming", "third|streaming"]
        );
    }
}

#[test]
fn one_table_at_fault_ends_the_run_unless_that_is_wanted() {
    let site = Site::new();
    let running = site.streaming(&[]);
    site.edit("INSERT INTO t VALUES (7, 'not ours')");
    site.sql("INSERT INTO t VALUES (7, 'seven')");
    running.wait(PATIENCE).failed(3, &["public.t"]);
    assert_eq!(ledger(&site), ["t|streaming"]);
}

#[test]
fn a_table_joins_while_the_stream_still_speaks_of_it_as_it_was() {
    for version in [Version::V14, Version::V18] {
        let site = Site::on(version);
        site.sql("CREATE TABLE other (id int PRIMARY KEY, gone int, v text)");
        site.sql("CREATE PUBLICATION mine FOR TABLE t");
        let mut running = site.streaming(&MINE);
        running.signal("STOP");
        site.sql("ALTER PUBLICATION mine ADD TABLE other");
        // So much that it is still to come when the table is seen to be there.
        for part in 0..40 {
            site.sql(&format!(
                "INSERT INTO t SELECT i, repeat('t', 50) FROM generate_series({part}0000 + 10, {part}9999 + 10) i;
                 INSERT INTO other VALUES ({part}, 1, 'old'); UPDATE other SET gone = {part}"
            ));
        }
        site.sql("ALTER TABLE other DROP gone; INSERT INTO other VALUES (100, 'new'); UPDATE other SET v = 'newer' WHERE id = 7");
        running.signal("CONT");
        running.until("the table joins", || {
            ledger(&site) == ["other|streaming", "t|streaming"]
        });
        site.sql("INSERT INTO other VALUES (101, 'newest')");
        running.until("all of other arrives", || same(&site, "other"));
        running.until("all of t arrives", || same(&site, "t"));
        running.terminate().done();
    }
}
