//! `--auto-create no`: tables that somebody else makes, at a SQLite file and at a PostgreSQL server.

use testdata::{Client, Version};

use super::faults_common::{PATIENCE, shared, until};
use super::{Site, into, must_say, refused};

const NO: [&str; 2] = ["--auto-create", "no"];

fn site() -> Site {
    let site = Site::new();
    site.sql(
        "CREATE SCHEMA hr; CREATE TABLE hr.people (id int PRIMARY KEY, name text);
         INSERT INTO hr.people SELECT n, 'number ' || n FROM generate_series(1, 5000) AS n",
    );
    site
}

#[test]
fn tables_that_are_not_there_are_named_with_what_makes_them() {
    let site = site();
    let refusal = refused(&site, &NO, 2, &["none of 2 tables", "this would do: "]);
    let (_, sql) = refusal.stderr.split_once("this would do: ").unwrap();
    assert_eq!(site.tables(), [""; 0]);
    assert_eq!(site.slot_column("active"), None);
    site.edit(sql);
    assert_eq!(site.tables(), ["hr__people", "t"]);
    site.edit("DROP TABLE t");
    let words = ["no table t for table public.t", "CREATE TABLE \"t\""];
    refused(&site, &NO, 2, &words);
    site.edit("CREATE TABLE t (v TEXT, id INTEGER PRIMARY KEY, more TEXT DEFAULT 'ours')");

    // Rows are copied into them as into those that we make; but not beside rows of somebody else's.
    site.edit("INSERT INTO t (id) VALUES (77)");
    refused(&site, &NO, 3, &["table t holds rows", "--copy no"]);
    assert_eq!(site.rows("SELECT count(*) FROM hr__people"), ["0"]);
    site.edit("DELETE FROM t");
    site.caught_up(&NO);
    assert_eq!(site.rows("SELECT count(*) FROM hr__people"), ["5000"]);
    assert_eq!(
        site.rows("SELECT id, v, more FROM t"),
        ["1|one|ours", "2|two|ours"]
    );
    site.sql("DELETE FROM t WHERE id = 1; UPDATE hr.people SET name = '' WHERE id = 7");
    site.caught_up(&NO);
    assert_eq!(site.rows("SELECT id FROM t"), ["2"]);
    assert_eq!(
        site.rows("SELECT count(*) FROM hr__people WHERE name = ''"),
        ["1"]
    );
}

#[test]
fn without_a_copy_the_rows_stay_and_nothing_is_made() {
    let site = site();
    site.edit("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two')");
    let no = ["--auto-create", "no", "--copy", "no"];
    refused(&site, &no, 2, &["no table hr__people for table hr.people"]);
    assert_eq!(site.tables(), ["t"]);
    let some = [
        "--auto-create",
        "no",
        "--copy",
        "no",
        "--exclude-tables",
        "hr.*",
    ];
    site.caught_up(&some);
    site.sql("UPDATE t SET v = 'uno' WHERE id = 1");
    site.caught_up(&some);
    assert_eq!(site.t(), ["1|uno", "2|two"]);
}

#[test]
fn one_that_is_too_narrow_is_refused_with_its_column() {
    let site = site();
    site.edit("CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL); CREATE TABLE hr__people (id INTEGER PRIMARY KEY, name)");
    refused(&site, &NO, 3, &["column v", "REAL"]);
    assert_eq!(site.rows("SELECT count(*) FROM hr__people"), ["0"]);
}

/// Rows that a killed copy left are ours to delete, because there were none before.
#[test]
fn a_copy_that_was_killed_starts_over_in_somebody_elses_table() {
    let site = site();
    site.sql(
        "INSERT INTO hr.people SELECT n, repeat('x', 1000) FROM generate_series(5001, 150000) AS n",
    );
    site.edit("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE hr__people (id INTEGER PRIMARY KEY, name TEXT)");
    let running = site.run(&NO);
    let copied = || {
        site.rows("SELECT count(*) FROM hr__people")[0]
            .parse::<u32>()
            .unwrap()
    };
    until("some rows are there", || copied() > 0);
    running.kill();
    let rows = copied();
    assert!((1..150_000).contains(&rows), "{rows} rows");
    site.caught_up(&NO);
    assert_eq!(copied(), 150_000);
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

#[test]
fn at_a_postgresql_server_it_is_the_same() {
    let site = site();
    let database = format!("{}_copy", site.database);
    let mut admin = Client::connect(&site.server, "postgres").unwrap();
    admin.batch(&format!("CREATE DATABASE {database}")).unwrap();
    let mut there = Client::connect(&shared(Version::NEWEST), &database).unwrap();
    let url = site.server.url(&database);
    let no = |more: &[&str]| into(&site, &url, &[&NO, more].concat());
    let current = || no(&["--until", "current"]).wait(PATIENCE);
    let refusal = must_say(current(), 2, &["none of 2 tables", "this would do: "]);
    let (_, sql) = refusal.stderr.split_once("this would do: ").unwrap();
    there.batch(sql).unwrap();
    there.batch("INSERT INTO t VALUES (77)").unwrap();
    must_say(current(), 3, &["table public.t holds rows", "--copy no"]);
    there.batch("DELETE FROM t").unwrap();
    site.sql(
        "INSERT INTO hr.people SELECT n, repeat('x', 1000) FROM generate_series(5001, 150000) AS n",
    );
    let running = no(&[]);
    let mut copied = || {
        let count = there.value("SELECT count(*) FROM hr.people").unwrap();
        count.parse::<u32>().unwrap()
    };
    until("some rows are there", || copied() > 0);
    running.kill();
    let rows = copied();
    assert!((1..150_000).contains(&rows), "{rows} rows");
    current().done();
    assert_eq!(copied(), 150_000);
    assert_eq!(there.value("SELECT count(*) FROM t").unwrap(), "2");
}
