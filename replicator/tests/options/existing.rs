//! `--existing`: tables that are there already when rows are to be copied into them.

use testdata::{Client, Version};

use super::faults_common::{PATIENCE, shared, until};
use super::{Site, into, must_say, refused};

const TRUNCATE: [&str; 2] = ["--existing", "truncate"];
const KEEP: [&str; 2] = ["--existing", "keep"];

#[test]
fn tables_with_rows_are_all_named_and_empty_ones_are_filled() {
    let site = Site::new();
    site.sql("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1); CREATE TABLE w (id int PRIMARY KEY, v text)");
    site.edit(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (77, 'theirs')",
    );
    site.edit("CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (78)");
    site.edit("CREATE TABLE w (id INTEGER PRIMARY KEY, v REAL)");
    let words = [
        "table t holds rows",
        "table u holds rows",
        "column v of the destination's table \"w\" is declared REAL",
        "--existing truncate",
        "declare it without a type",
    ];
    refused(&site, &[], 3, &words);
    assert_eq!(site.slot_column("active"), None, "the slot is left");
    assert_eq!(site.publications(), [""; 0], "the publication is left");
    assert_eq!(
        site.rows("SELECT id FROM t UNION SELECT id FROM u"),
        ["77", "78"]
    );

    site.edit("DELETE FROM t; DELETE FROM u; DROP TABLE w");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two"]);
    assert_eq!(
        site.rows("SELECT made_by_us FROM _replicator_tables ORDER BY name"),
        ["0", "0", "1"]
    );
}

#[test]
fn rows_that_are_to_go_are_named_and_go() {
    let site = Site::new();
    site.sql("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)");
    site.edit("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'theirs'), (77, 'theirs')");
    let outcome = site.catch_up(&TRUNCATE);
    outcome.done();
    assert!(
        outcome.stderr.contains("there already: each is emptied")
            && outcome.stderr.contains("tables=\"t\""),
        "{}",
        outcome.stderr
    );
    assert_eq!(site.t(), ["1|one", "2|two"]);
    // Once: what is followed is not emptied by a later start.
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.edit("INSERT INTO t VALUES (78, 'theirs')");
    site.caught_up(&TRUNCATE);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three", "78|theirs"]);
}

#[test]
fn rows_that_are_to_stay_stay_beside_ours() {
    let site = Site::new();
    site.edit(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (77, 'theirs')",
    );
    site.caught_up(&KEEP);
    assert_eq!(site.t(), ["1|one", "2|two", "77|theirs"]);
    site.sql("UPDATE t SET v = 'uno' WHERE id = 1; DELETE FROM t WHERE id = 2");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|uno", "77|theirs"]);
}

#[test]
fn a_key_that_is_there_already_is_a_conflict_and_nothing_is_emptied_after_it() {
    let site = Site::new();
    site.edit(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (2, 'theirs')",
    );
    refused(&site, &KEEP, 3, &["public.t", "id = 2"]);
    assert_eq!(site.t(), ["2|theirs"]);
    for options in [&KEEP, &TRUNCATE] {
        let words = [
            "copy of table public.t was begun beside",
            "nothing was deleted",
        ];
        refused(&site, options, 3, &words);
        assert_eq!(site.t(), ["2|theirs"]);
    }
    // The way out.
    site.edit("DELETE FROM t");
    site.forget(&[]).done();
    site.caught_up(&KEEP);
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

#[test]
fn a_copy_beside_other_rows_that_is_killed_is_not_begun_again() {
    for server in [false, true] {
        let site = Site::new();
        site.sql(
            "INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(5001, 150000) AS n",
        );
        let database = format!("{}_copy", site.database);
        let mut there = server.then(|| {
            let mut admin = Client::connect(&site.server, "postgres").unwrap();
            admin.batch(&format!("CREATE DATABASE {database}")).unwrap();
            Client::connect(&shared(Version::NEWEST), &database).unwrap()
        });
        let made =
            "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (77, 'theirs')";
        let url = match &mut there {
            Some(there) => {
                there.batch(made).unwrap();
                site.server.url(&database)
            }
            None => {
                site.edit(made);
                site.destination()
            }
        };
        let mut rows = || -> u32 {
            let sql = "SELECT count(*) FROM t";
            let count = match &mut there {
                Some(there) => there.value(sql).unwrap(),
                None => site.rows(sql).remove(0),
            };
            count.parse().unwrap()
        };
        let running = into(&site, &url, &KEEP);
        until("some rows are there", || rows() > 1);
        running.kill();
        let left = rows();
        assert!((2..150_000).contains(&left), "{left} rows");
        let again = into(&site, &url, &[&KEEP[..], &["--until", "current"]].concat());
        let words = ["copy of table public.t was begun beside", "replicator drop"];
        must_say(again.wait(PATIENCE), 3, &words);
        assert_eq!(rows(), left);
    }
}
