//! `--tables`, `--exclude-tables`, `--columns` and `--exclude-columns`.

use testdata::Version;

use super::{Site, nothing_is_left, refused};

/// Beside `t` of every site.
fn site() -> Site {
    dress(Site::new())
}

fn dress(site: Site) -> Site {
    site.sql(
        "CREATE SCHEMA hr; CREATE TABLE hr.people (id int PRIMARY KEY, name text, salary int);
         CREATE TABLE hr.secret (id int PRIMARY KEY); CREATE TABLE log (what text);
         INSERT INTO hr.people VALUES (1, 'Ann', 100); INSERT INTO hr.secret VALUES (1); INSERT INTO log VALUES ('a')",
    );
    site
}

fn change(site: &Site, number: i32) {
    site.sql(&format!(
        "INSERT INTO t VALUES (1{number}, 'x'); INSERT INTO hr.people VALUES (1{number}, 'Bob', 200);
         UPDATE hr.people SET salary = salary + 1; INSERT INTO hr.secret VALUES (1{number});
         UPDATE hr.secret SET id = id + 1000; DELETE FROM hr.secret WHERE id = 1001"
    ));
}

#[test]
fn a_publication_that_we_make_has_what_is_chosen() {
    let site = site();
    let options = ["--tables", "t,hr.*,log", "--exclude-tables", "hr.secret"];
    site.caught_up(&options);
    change(&site, 1);
    // `log` has no key, so it is left out as ever; that is no disagreement.
    site.caught_up(&options);
    assert_eq!(site.tables(), ["hr__people", "t"]);
    let published =
        "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables";
    assert_eq!(site.ask(published), "people t");
    assert_eq!(site.rows("SELECT count(*) FROM hr__people"), ["2"]);

    // Nothing depends on an option that left nothing out.
    site.caught_up(&["--exclude-tables", "hr.secret"]);
    site.caught_up(&[]);
    let words = [
        "the destination follows hr.people, which --exclude-tables leaves out",
        "to go on",
    ];
    refused(&site, &["--exclude-tables", "hr.*"], 2, &words);
    let words = ["the destination follows hr.people, which --tables does not name"];
    refused(&site, &["--tables", "t"], 2, &words);
    let log = site.catch_up(&["--exclude-tables", "hr.peple"]).stderr;
    assert!(log.contains("WARN") && log.contains("hr.peple"), "{log}");
}

#[test]
fn of_a_publication_that_is_there_tables_are_left_out_here() {
    for made in ["FOR ALL TABLES", "FOR TABLE t, hr.people, hr.secret"] {
        let site = site();
        site.sql("ALTER TABLE log REPLICA IDENTITY FULL");
        site.sql(&format!("CREATE PUBLICATION theirs {made}"));
        let options = [
            "--publication",
            "theirs",
            "--exclude-tables",
            "hr.secret,log",
        ];
        site.caught_up(&options);
        assert_eq!(site.tables(), ["hr__people", "t"], "{made}");
        change(&site, 1);
        site.sql("TRUNCATE hr.secret, t");
        change(&site, 2);
        site.sql("BEGIN; INSERT INTO hr.secret VALUES (5); COMMIT");
        site.caught_up(&options);
        assert_eq!(site.rows("SELECT id FROM t"), ["12"], "{made}");
        assert_eq!(site.rows("SELECT count(*) FROM hr__people"), ["3"]);
        assert_eq!(site.tables(), ["hr__people", "t"]);

        // What is left out may change as it likes.
        site.sql("ALTER TABLE hr.secret ADD x int; INSERT INTO hr.secret VALUES (6, 6)");
        site.caught_up(&options);

        let stored = site.stored();
        let words = [
            "no longer: except hr.secret",
            "--exclude-tables",
            "as when the destination was filled",
        ];
        let fewer = ["--publication", "theirs", "--exclude-tables", "log"];
        refused(&site, &fewer, 3, &words);
        let words = ["the destination follows public.t, which --exclude-tables leaves out"];
        let more = [
            "--publication",
            "theirs",
            "--exclude-tables",
            "hr.secret,log,t",
        ];
        refused(&site, &more, 2, &words);
        assert_eq!(site.stored(), stored);
        change(&site, 3);
        site.caught_up(&options);
        assert_eq!(site.rows("SELECT count(*) FROM t"), ["2"], "{made}");
    }
}

#[test]
fn a_publication_that_is_there_must_agree() {
    let site = site();
    site.sql("CREATE PUBLICATION theirs FOR TABLE t, hr.people");
    for (options, words) in [
        (
            ["--tables", "t"],
            [
                "publishes hr.people, which --tables does not name",
                "--exclude-tables",
            ],
        ),
        (
            ["--tables", "*,hr.*,hr.secret"],
            ["--tables names hr.secret", "is there without"],
        ),
        (
            ["--columns", "hr.people.id"],
            [
                "column name of hr.people, which the options leave out",
                "ALTER PUBLICATION",
            ],
        ),
        (
            ["--exclude-columns", "t.v"],
            ["column v of public.t", "ALTER PUBLICATION"],
        ),
        (
            ["--exclude-tables", "hr.peeple"],
            ["--exclude-tables names hr.peeple", "hr.people is one"],
        ),
        (
            ["--exclude-columns", "hr.secret.id"],
            ["columns of hr.secret are chosen", "not replicated"],
        ),
    ] {
        let mut all = vec!["--publication", "theirs"];
        all.extend(options);
        refused(&site, &all, 2, &words);
        assert_eq!(site.tables(), [""; 0]);
        assert_eq!(site.slot_column("active"), None);
    }
    assert_eq!(site.publications(), ["theirs"]);
    let all = [
        "--publication",
        "theirs",
        "--tables",
        "t,hr.*",
        "--exclude-tables",
        "hr.secret",
    ];
    site.caught_up(&all);
}

#[test]
fn columns_that_are_left_out_are_never_sent() {
    let site = site();
    let options = ["--exclude-columns", "hr.people.salary", "--columns", "t.id"];
    site.caught_up(&options);
    change(&site, 1);
    site.caught_up(&options);
    assert_eq!(site.rows("SELECT * FROM hr__people"), ["1|Ann", "11|Bob"]);
    assert_eq!(site.rows("SELECT * FROM t"), ["1", "2", "11"]);
    let lists = "SELECT string_agg(prattrs::text, ',' ORDER BY prrelid::regclass::text)
                 FROM pg_publication_rel WHERE prattrs IS NOT NULL";
    assert_eq!(site.ask(lists), "1 2,1");

    let words = ["the destination follows public.t without the column v, which --columns names"];
    refused(&site, &["--columns", "t.id,t.v"], 2, &words);
    let words = ["the destination follows column name of hr.people, which the options leave out"];
    refused(&site, &["--exclude-columns", "hr.people.name"], 2, &words);
    site.caught_up(&[]);
}

#[test]
fn columns_that_cannot_be_left_out_are_refused_before_anything_is_written() {
    let site = site();
    site.sql("ALTER TABLE hr.secret REPLICA IDENTITY FULL");
    for (options, words) in [
        (
            ["--exclude-columns", "t.id"],
            ["column id of public.t", "identifies a row"],
        ),
        (
            ["--columns", "t.v"],
            ["column id of public.t", "identifies a row"],
        ),
        (["--columns", "t.id,t.w"], ["no column w", "it has v"]),
        (
            ["--columns", "hr.secret.id"],
            ["hr.secret", "replica identity is FULL"],
        ),
        (
            ["--columns", "log.what"],
            ["columns of public.log are chosen", "not replicated"],
        ),
        (
            ["--columns", "a.b.c.d"],
            ["--columns", "not the name of a column"],
        ),
        (
            ["--tables", "nothing.*"],
            ["--tables names nothing.*", "no such table"],
        ),
        (
            ["--exclude-tables", "*,hr.*"],
            ["leave no table to replicate", "error"],
        ),
    ] {
        refused(&site, &options, 2, &words);
        nothing_is_left(&site);
    }
    let old = dress(Site::on(Version::V14));
    let words = ["the source has version 14", "from 15 on"];
    refused(&old, &["--columns", "t.id"], 2, &words);
    nothing_is_left(&old);
}
