//! Definitions that change while they are followed.

use std::thread;
use std::time::{Duration, Instant};

use testdata::Version;

use super::BOTH;
use crate::place::Place;
use crate::stage::Stage;

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i";

pub(crate) fn columns_with_defaults_of_every_kind<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::told(version, P::EXACT);
        stage.play(TABLE);
        stage.play(
            "CREATE TYPE mood AS ENUM ('sad', 'so so', 'o''k');

             CREATE DOMAIN short AS varchar(12);

             CREATE TABLE whole (wn int, wv text); ALTER TABLE whole REPLICA IDENTITY FULL;
             INSERT INTO whole SELECT i % 3, 'same' FROM generate_series(1, 9) i;
             CREATE TABLE other (id int PRIMARY KEY)",
        );
        stage.follow();
        // Rows before, rows behind, another table among them; the tables' first changes as well as later ones.
        let definitions = [
            "a int",
            "b int DEFAULT 7",
            "c bool DEFAULT false NOT NULL",
            r#"d text DEFAULT 'it''s ''quoted'' \ and "so" on; -- {1,2}, ü' NOT NULL"#,
            "e text DEFAULT ''",
            "f timestamptz DEFAULT '2020-02-29 12:34:56.789+03'",
            "g timestamptz DEFAULT now() NOT NULL",
            r#"h text[] DEFAULT '{a,NULL,"b,c","d\"e","{}"}'"#,
            "i int[] DEFAULT '{{1,2},{3,4}}'",
            r"j bytea DEFAULT '\x00ff5c27'",
            "k numeric(20,4) DEFAULT 12345.6700",
            "l numeric DEFAULT 1e-20",
            "m mood DEFAULT 'o''k'",
            r#"n json DEFAULT '{"a": [1, 2.50,  null], "b\\c": "''"}'"#,
            "o float8 DEFAULT 0.1",
            "p float4 DEFAULT 1e-30",
            "q date DEFAULT '2001-02-03'",
            "r uuid DEFAULT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
            "s varchar(9) DEFAULT 'nine'",
            "u short DEFAULT 'domain'",
            "w bigint DEFAULT -9223372036854775808",
            "x interval DEFAULT '1 day 02:03:04'",
            "y jsonb DEFAULT NULL",
        ];
        for (at, definition) in definitions.iter().enumerate() {
            let id = 100 + at;
            stage.play(&format!(
                "INSERT INTO t VALUES ({id}, 'before')

                 ALTER TABLE t ADD COLUMN {definition}; ALTER TABLE whole ADD COLUMN {definition}

                 INSERT INTO other VALUES ({id}); UPDATE t SET v = 'old row' WHERE id = {at}; DELETE FROM t WHERE id = {id};
                 INSERT INTO t (id, v) VALUES ({id}, 'behind'); UPDATE whole SET wn = wn + 1 WHERE ctid = (SELECT min(ctid) FROM whole);
                 DELETE FROM whole WHERE ctid = (SELECT max(ctid) FROM whole); INSERT INTO whole (wn, wv) VALUES ({at}, 'new')"
            ));
            // One at a time, then many at once, as after a night.
            if at < 8 {
                stage.follow();
            }
        }
        stage.follow();
    }
}

pub(crate) fn columns_that_come_twice_or_not_at_all<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.follow_through(TABLE);
        stage.play(
            "BEGIN; INSERT INTO t VALUES (30, 'two columns'); ALTER TABLE t ADD a int DEFAULT 1;
             INSERT INTO t VALUES (31, 'two columns', 2); ALTER TABLE t ADD b text DEFAULT 'b';
             UPDATE t SET a = 3 WHERE id = 30; INSERT INTO t VALUES (32, 'x', 4, 'y'); COMMIT

             ALTER TABLE t ADD COLUMN IF NOT EXISTS b text; ALTER TABLE t ADD COLUMN IF NOT EXISTS c int;
             ALTER TABLE t ADD COLUMN IF NOT EXISTS c int

             UPDATE t SET c = 9 WHERE id < 5

             BEGIN; ALTER TABLE t ADD gone int DEFAULT 5; ALTER TABLE t DROP gone; INSERT INTO t VALUES (33, 'none'); COMMIT

             BEGIN; ALTER TABLE t ADD gone int DEFAULT 5; UPDATE t SET gone = 6; ROLLBACK

             INSERT INTO t VALUES (34, 'none'); TRUNCATE t; ALTER TABLE t ADD d int DEFAULT 12

             INSERT INTO t (id) VALUES (35); ALTER TABLE t ADD e int

             DELETE FROM t WHERE id = 99

             INSERT INTO t (id) SELECT i FROM generate_series(40, 50) i",
        );
        stage.follow();
        // While it runs, and a batch that is built ahead of it.
        let running = stage.stream();
        for round in 0..5 {
            stage.play(&format!("ALTER TABLE t ADD n{round} int DEFAULT {round}"));
            for id in 0..30 {
                let id = 1000 * (round + 1) + id;
                stage.play(&format!(
                    "INSERT INTO t (id) VALUES ({id}); UPDATE t SET v = 'w' WHERE id = {id}"
                ));
            }
        }
        running.terminate();
        stage.follow();
    }
}

pub(crate) fn columns_within_streamed_transactions<P: Place>() {
    for (version, options) in [
        (Version::V14, ["--protocol", "2"]),
        (Version::V18, ["--protocol", "2"]),
        (Version::V18, ["--protocol", "4"]),
    ] {
        let mut stage = Stage::<P>::told(version, &options);
        let small = format!(
            "ALTER DATABASE {} SET logical_decoding_work_mem = '64kB'",
            stage.database
        );
        stage.play(&small);
        stage.play(TABLE);
        stage.follow_through("CREATE TABLE u (id int PRIMARY KEY)");
        let many = |first: i32, columns: &str, values: &str| {
            let last = first + 999;
            format!(
                "INSERT INTO t (id, v{columns}) SELECT i, repeat('v', 100){values} FROM generate_series({first}, {last}) i;"
            )
        };
        let u = |first: i32| {
            format!("INSERT INTO u (id) SELECT i FROM generate_series({first}, {first} + 999) i;")
        };
        // Committed, with another table in the middle.
        stage.follow_through(&format!(
            "BEGIN; {} ALTER TABLE t ADD a int DEFAULT 3; {} {} {} COMMIT",
            many(10_000, "", ""),
            u(0),
            many(20_000, ", a", ", i"),
            u(5000)
        ));
        // Rolled back altogether, and then rows without the column.
        stage.follow_through(&format!(
            "BEGIN; {} ALTER TABLE t ADD b int DEFAULT 3; {} ROLLBACK

             {}",
            many(30_000, "", ""),
            many(40_000, ", b", ", i"),
            many(30_000, ", a", ", 1")
        ));
        // Back to before it, and rows without the column in the same transaction.
        stage.follow_through(&format!(
            "BEGIN; {} SAVEPOINT s; ALTER TABLE t ADD b int DEFAULT 3; ALTER TABLE u ADD x int; {} {} ROLLBACK TO s; {} {} COMMIT",
            many(50_000, "", ""),
            many(60_000, ", b", ", i"),
            u(10_000),
            many(70_000, "", ""),
            u(20_000)
        ));
        // Back to behind it; and twice, once in vain.
        stage.follow_through(&format!(
            "BEGIN; {} ALTER TABLE t ADD b int DEFAULT 3; ALTER TABLE u ADD x int DEFAULT 4; {} SAVEPOINT s; {} ROLLBACK TO s; {} COMMIT

             BEGIN; SAVEPOINT one; ALTER TABLE t ADD c int; {} ROLLBACK TO one; ALTER TABLE t ADD c text DEFAULT 'c'; {} COMMIT",
            many(80_000, "", ""),
            u(30_000),
            many(90_000, ", b", ", i"),
            many(100_000, ", b", ", i"),
            many(110_000, ", c", ", i"),
            many(120_000, ", c", ", 'i'")
        ));
        stage.follow_through(
            "UPDATE t SET v = 'all' WHERE id % 7 = 0; DELETE FROM u WHERE id % 3 = 0",
        );
    }
}

/// Runs until the destination is as the source, or says how it is not.
fn becomes_equal<P: Place>(stage: &mut Stage<P>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !stage.differences().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", stage.differences());
        thread::sleep(Duration::from_millis(200));
    }
}

pub(crate) fn other_changes_wait<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.follow_through(TABLE);
        let name = stage.place.name("public", "t");
        for (change, there, words) in [
            (
                "ALTER TABLE t ADD a int; ALTER TABLE t DROP v",
                format!("ALTER TABLE {name} DROP COLUMN v"),
                "DROP COLUMN",
            ),
            (
                "ALTER TABLE t RENAME a TO b",
                format!("ALTER TABLE {name} RENAME COLUMN a TO b"),
                "RENAME COLUMN",
            ),
        ] {
            stage.play("INSERT INTO t (id) SELECT max(id) + 1 FROM t");
            stage.play(change);
            stage.play("INSERT INTO t (id) SELECT max(id) + 1 FROM t");
            let mut running = stage.stream();
            running.wait_for(words);
            // An end that is asked for meanwhile is one, and the next run waits at the same place.
            let finished = running.terminate();
            assert_eq!(finished.code, Some(0), "{}", finished.log);
            let mut running = stage.stream();
            running.wait_for(words);
            if change.contains("DROP") {
                stage
                    .place
                    .sql(&format!("ALTER TABLE {name} ADD COLUMN a INT"));
            }
            stage.place.sql(&there);
            becomes_equal(&mut stage);
            stage.play("INSERT INTO t (id) SELECT max(id) + 1 FROM t");
            becomes_equal(&mut stage);
            assert_eq!(running.terminate().code, Some(0));
        }
    }
}

/// Values that the stream does not show are never made up.
pub(crate) fn tables_written_anew_wait<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.follow_through(TABLE);
        // Written anew for another reason, which leaves NULL in every row.
        stage.play("VACUUM FULL t");
        stage.follow_through("ALTER TABLE t ADD a int; INSERT INTO t VALUES (50, 'x', NULL)");
        let name = stage.place.name("public", "t");
        stage.play("ALTER TABLE t ADD b int DEFAULT (random() * 1000)::int; INSERT INTO t (id) VALUES (51)");
        let mut running = stage.stream();
        running.wait_for("wrote its table anew");
        stage
            .place
            .sql(&format!("ALTER TABLE {name} ADD COLUMN b INT"));
        let rows = stage
            .source
            .query("SELECT id, b FROM t WHERE id < 51")
            .unwrap();
        for row in rows {
            let [id, b] = [0, 1].map(|at| row[at].clone().unwrap());
            stage
                .place
                .sql(&format!("UPDATE {name} SET b = {b} WHERE id = {id}"));
        }
        becomes_equal(&mut stage);
        assert_eq!(running.terminate().code, Some(0));
    }
}

pub(crate) fn killed_while_a_column_is_added<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.follow_through(TABLE);
    for (at, place) in [
        "column-prepared",
        "column-added",
        "batch-before-commit",
        "batch-after-commit",
        "committed",
    ]
    .iter()
    .enumerate()
    {
        stage.play(&format!(
            "INSERT INTO t (id, v) VALUES (9{at}00, 'before')

             BEGIN; UPDATE t SET v = 'again' WHERE id < 9; ALTER TABLE t ADD c{at} text DEFAULT 'c'; UPDATE t SET c{at} = 'd' WHERE id < 5;
             INSERT INTO t (id) VALUES (9{at}01); COMMIT"
        ));
        if cfg!(feature = "failpoints") {
            stage.dies_at(&format!("{place}:1"));
        } else {
            let running = stage.stream();
            thread::sleep(Duration::from_millis(5 * at as u64));
            running.kill();
        }
        stage.follow();
    }
}

/// Where nobody wants to change the destination table by hand, it is copied anew.
pub(crate) fn a_copy_instead_of_a_wait<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.play("CREATE TABLE other (id int PRIMARY KEY)");
        stage.follow_through(TABLE);
        for (at, (change, words)) in [
            ("ALTER TABLE t RENAME v TO w", "RENAME COLUMN"),
            // A destination table that looks right, and is not.
            (
                "ALTER TABLE t RENAME w TO x; ALTER TABLE t RENAME v TO w; ALTER TABLE t RENAME x TO v",
                "only another copy",
            ),
            ("ALTER TABLE t DROP v; ALTER TABLE t ADD v text", "only another copy"),
        ]
        .iter()
        .enumerate()
        {
            let id = 50 + 10 * at;
            let mut running = stage.stream();
            stage.play(&format!("{change}; INSERT INTO t (id) VALUES ({id})"));
            stage.play(&format!("INSERT INTO other VALUES ({id})"));
            running.wait_for(words);
            // A file has one writer.
            if stage.url_of_destination().starts_with("sqlite:") {
                assert_eq!(running.terminate().code, Some(0));
                stage.resync("t");
                running = stage.stream();
            } else {
                stage.resync("t");
                running.wait_for("joined the others");
            }
            stage.play(&format!(
                "UPDATE t SET w = 'y' WHERE id = {id}; INSERT INTO other VALUES (1 + {id})"
            ));
            becomes_equal(&mut stage);
            assert_eq!(running.terminate().code, Some(0));
            stage.follow_through(&format!(
                "ALTER TABLE t ADD COLUMN IF NOT EXISTS v text DEFAULT 'v'; INSERT INTO t (id) VALUES (1 + {id})"
            ));
        }
    }
}
