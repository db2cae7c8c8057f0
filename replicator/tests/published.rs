//! Which tables are replicated: those asked for, those with a key, those of the user's own publication.

mod common;

use common::{Job, assert_equal, connect, server};
use testdata::{Client, Version};

fn destination_tables(job: &Job) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_replicator\\_%' ESCAPE '\\'
               ORDER BY name";
    let file = job.sqlite();
    let mut query = file.prepare(sql).unwrap();
    let names = query.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

const FOUR_TABLES: &str = "
    CREATE SCHEMA s;
    CREATE TABLE a (id int PRIMARY KEY, v text);
    CREATE TABLE s.b (id int PRIMARY KEY, v text);
    CREATE TABLE keyless (n int, v text);
    CREATE TABLE keyed_late (n int PRIMARY KEY DEFERRABLE, v text);
    INSERT INTO a VALUES (1, 'one'); INSERT INTO s.b VALUES (1, 'one');
    INSERT INTO keyless VALUES (1, 'one'), (1, 'one'); INSERT INTO keyed_late VALUES (1, 'one')";

#[test]
fn only_the_tables_asked_for_are_replicated() {
    for version in [Version::V14, Version::V18] {
        let server = server(version);
        let mut source = connect(&server, "postgres");
        source.batch(FOUR_TABLES).unwrap();
        let job = Job::new(&server, "postgres").options(&["--tables", "s.b,a"]);
        job.run_to_current();
        source
            .batch(
                "UPDATE a SET v = 'two'; INSERT INTO s.b VALUES (2, 'two'); INSERT INTO keyless VALUES (2, 'two');
                 UPDATE keyless SET v = 'x'; DELETE FROM keyed_late",
            )
            .unwrap();
        job.run_to_current();
        assert_equal(&job, &mut source);
        assert_eq!(destination_tables(&job), ["a", "s__b"]);

        // The publication is the one that we made; another start needs no option.
        let job = Job::new(&server, "postgres").slot("other");
        job.run_to_current();
        assert_eq!(destination_tables(&job), ["a", "s__b"]);

        let job = Job::new(&server, "postgres").slot("third").options(&[
            "--tables",
            "nothing.here",
            "--publication",
            "p",
        ]);
        let finished = job.run(&[]);
        assert_eq!(finished.code, Some(2), "{}", finished.log);
        assert!(finished.log.contains("nothing.here"), "{}", finished.log);
    }
}

#[test]
fn tables_without_a_key_are_left_out_and_named_or_followed_as_asked() {
    for version in [Version::V14, Version::V18] {
        let server = server(version);
        for (database, keyless) in [
            ("skipped", "skip"),
            ("inserted", "insert-only"),
            ("whole", "full"),
        ] {
            let mut source = connect(&server, "postgres");
            source
                .batch(&format!("CREATE DATABASE {database}"))
                .unwrap();
            let mut source = connect(&server, database);
            source.batch(FOUR_TABLES).unwrap();
            let job = Job::new(&server, database)
                .slot(database)
                .options(&["--keyless", keyless]);
            let log = job.run_to_current();
            let left_out =
                log.contains("left out") && log.contains("public.keyed_late, public.keyless");
            assert_eq!(left_out, keyless == "skip", "{log}");
            // The application goes on as before, whatever we publish.
            source
                .batch(
                    "UPDATE a SET v = 'two'; INSERT INTO keyless VALUES (2, NULL), (1, 'one'); INSERT INTO keyed_late VALUES (2, 'two');
                     UPDATE s.b SET id = 7",
                )
                .unwrap();
            if keyless == "insert-only" {
                job.run_to_current();
                assert_equal(&job, &mut source);
                source
                    .batch("TRUNCATE keyless; INSERT INTO keyless VALUES (9, 'nine')")
                    .unwrap();
                job.run_to_current();
                assert_equal(&job, &mut source);
            }
            source
                .batch("UPDATE keyless SET v = 'x' WHERE n = 1; DELETE FROM keyed_late WHERE n = 1")
                .unwrap();
            job.run_to_current();
            if keyless == "insert-only" {
                let kept: i64 = job
                    .sqlite()
                    .query_row("SELECT count(*) FROM keyed_late", [], |row| row.get(0))
                    .unwrap();
                assert_eq!(kept, 2, "deletes of this one are not followed");
                assert_eq!(
                    destination_tables(&job),
                    ["a", "keyed_late", "keyless", "s__b"]
                );
                continue;
            }
            assert_equal(&job, &mut source);
            let expected: &[&str] = match keyless {
                "skip" => &["a", "s__b"],
                _ => &["a", "keyed_late", "keyless", "s__b"],
            };
            assert_eq!(destination_tables(&job), expected);
        }
    }
}

/// The same rows at both sides, by queries that need no translation.
fn same(job: &Job, source: &mut Client, at_source: &str, at_destination: &str) {
    let mut expected = source.query(at_source).unwrap();
    expected.sort();
    let file = job.sqlite();
    let mut query = file.prepare(at_destination).unwrap();
    let width = query.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..width).map(|at| row.get(at)).collect();
    let found = query.query_map([], row).unwrap();
    let mut found: Vec<testdata::Row> = found.collect::<Result<_, _>>().unwrap();
    found.sort();
    assert_eq!(found, expected, "{at_destination}");
}

#[test]
fn a_publication_of_the_users_own_is_followed_as_it_is() {
    for version in [Version::V15, Version::V18] {
        let server = server(version);
        let mut source = connect(&server, "postgres");
        source
            .batch(
                "CREATE SCHEMA s;
                 CREATE TABLE filtered (id text, region text, secret text, v text, PRIMARY KEY (region, id));
                 CREATE TABLE s.listed (id text PRIMARY KEY, secret text, v text);
                 CREATE TABLE parted (id text, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
                 CREATE TABLE north PARTITION OF parted FOR VALUES IN ('north');
                 CREATE TABLE south (v text, region text NOT NULL, id text NOT NULL);
                 ALTER TABLE parted ATTACH PARTITION south FOR VALUES IN ('south');
                 CREATE TABLE other (id text PRIMARY KEY);
                 INSERT INTO filtered SELECT i, (ARRAY['here', 'there'])[1 + i % 2], 'secret', 'v' FROM generate_series(1, 20) i;
                 INSERT INTO s.listed SELECT i, 'secret', 'v' FROM generate_series(1, 5) i;
                 INSERT INTO parted SELECT i, (ARRAY['north', 'south'])[1 + i % 2], 'v' FROM generate_series(1, 9) i;
                 CREATE PUBLICATION mine FOR TABLE filtered (id, region, v) WHERE (region = 'here'), s.listed (v, id), parted",
            )
            .unwrap();
        let job = Job::new(&server, "postgres").options(&["--publication", "mine"]);
        let compare = |source: &mut Client| {
            let filtered = "SELECT id, region, v FROM filtered";
            same(
                &job,
                source,
                &format!("{filtered} WHERE region = 'here'"),
                filtered,
            );
            same(
                &job,
                source,
                "SELECT id, v FROM s.listed",
                "SELECT id, v FROM s__listed",
            );
            for leaf in ["north", "south"] {
                let sql = format!("SELECT id, region, v FROM {leaf}");
                same(&job, source, &sql, &sql);
            }
        };
        job.run_to_current();
        assert_eq!(
            destination_tables(&job),
            ["filtered", "north", "s__listed", "south"]
        );
        let columns = "SELECT group_concat(name) FROM pragma_table_info('filtered')";
        let columns: String = job
            .sqlite()
            .query_row(columns, [], |row| row.get(0))
            .unwrap();
        assert_eq!(columns, "id,region,v");
        compare(&mut source);

        source
            .batch(
                "UPDATE filtered SET region = 'there' WHERE id IN ('2', '4');
                 UPDATE filtered SET region = 'here', v = 'came' WHERE id IN ('1', '3');
                 UPDATE filtered SET v = 'changed' WHERE id IN ('5', '6');
                 UPDATE filtered SET id = id || 'x' WHERE id IN ('7', '8');
                 UPDATE filtered SET secret = 'changed';
                 DELETE FROM filtered WHERE id IN ('9', '10');
                 INSERT INTO filtered VALUES ('100', 'here'), ('101', 'there');
                 UPDATE s.listed SET v = 'changed' WHERE id = '1'; UPDATE s.listed SET id = 'x' WHERE id = '2';
                 DELETE FROM s.listed WHERE id = '3'; INSERT INTO s.listed VALUES ('9');
                 UPDATE parted SET v = 'changed' WHERE id IN ('1', '2');
                 UPDATE parted SET region = 'south' WHERE id = '4';
                 DELETE FROM parted WHERE id IN ('5', '6');
                 INSERT INTO other VALUES ('not published')",
            )
            .unwrap();
        job.run_to_current();
        compare(&mut source);
        source
            .batch("TRUNCATE north; INSERT INTO parted VALUES ('20', 'north'), ('21', 'south'); TRUNCATE filtered")
            .unwrap();
        job.run_to_current();
        compare(&mut source);
        source
            .batch("TRUNCATE parted, s.listed; INSERT INTO s.listed VALUES ('1', '2', '3')")
            .unwrap();
        job.run_to_current();
        compare(&mut source);
    }
}
