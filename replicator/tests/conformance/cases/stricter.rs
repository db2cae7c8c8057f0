//! Tables that somebody else made, and that compare keys sooner than the source.

use testdata::Version;

use super::BOTH;
use crate::place::Place;
use crate::stage::Stage;

/// At the source keys are compared when the transaction commits.
const TAKEN_OVER: &str = "
    CREATE TABLE at_last (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v int);
    ALTER TABLE at_last REPLICA IDENTITY FULL;
    CREATE TABLE ranks (id int PRIMARY KEY, rank int NOT NULL, code varchar(20), v int,
      UNIQUE (rank) DEFERRABLE INITIALLY DEFERRED, UNIQUE (code) DEFERRABLE INITIALLY DEFERRED)";

fn taken_over<P: Place>(version: Version) -> Stage<P> {
    let mut stage = Stage::<P>::told(version, &["--copy", "no"]);
    stage.play(TAKEN_OVER);
    let [at_last, ranks] = ["at_last", "ranks"].map(|table| stage.place.name("public", table));
    stage.place.sql(&format!(
        "CREATE TABLE {at_last} (id integer NOT NULL PRIMARY KEY, v integer)"
    ));
    stage.place.sql(&format!(
        "CREATE TABLE {ranks} (id integer NOT NULL PRIMARY KEY, rank integer NOT NULL UNIQUE, code varchar(20) UNIQUE, v integer)"
    ));
    stage.follow();
    stage.follow_through(
        "INSERT INTO at_last SELECT i, i FROM generate_series(1, 40) i;
         INSERT INTO ranks SELECT i, i, 'c' || i, i FROM generate_series(1, 40) i",
    );
    stage
}

pub(crate) fn into_a_table_that_compares_at_once<P: Place>() {
    for version in BOTH {
        let mut stage = taken_over::<P>(version);
        for change in [
            "UPDATE at_last SET id = id + 1",
            "UPDATE at_last SET id = id + 10, v = v + 1",
            "UPDATE at_last SET id = 62 - id",
            "UPDATE at_last SET id = CASE id WHEN 20 THEN 21 WHEN 21 THEN 20 ELSE id END",
            "UPDATE at_last SET id = id - 1; UPDATE at_last SET id = id + 2; UPDATE at_last SET v = id; UPDATE at_last SET id = -id; UPDATE at_last SET id = 1 - id",
            // Two rows have one key for a while, and one of them goes or moves on.
            "INSERT INTO at_last SELECT id, 1000 + id FROM at_last WHERE id IN (20, 21, 22); DELETE FROM at_last WHERE id = 20 AND v < 1000;
             UPDATE at_last SET id = 500 WHERE id = 21 AND v > 1000; UPDATE at_last SET v = 7, id = 501 WHERE id = 22 AND v < 1000",
            "INSERT INTO at_last VALUES (30, 0); UPDATE at_last SET v = 1 WHERE id = 30 AND v = 0; DELETE FROM at_last WHERE id = 30 AND v = 1; UPDATE at_last SET v = 30",
            // The lowest numbers there are.
            "UPDATE at_last SET id = -2147483648 WHERE id = 500; UPDATE at_last SET id = id + 1",
            "UPDATE at_last SET id = id + 1; SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE at_last; SET CONSTRAINTS ALL DEFERRED; INSERT INTO at_last SELECT i, i FROM generate_series(1, 9) i; UPDATE at_last SET id = id + 1",
            "UPDATE ranks SET rank = rank + 1",
            "UPDATE ranks SET rank = 43 - rank, code = 'c' || (41 - id), v = v + 1",
            "UPDATE ranks SET id = id + 100, rank = rank + 1; UPDATE ranks SET code = 'c' || id; UPDATE ranks SET v = 0 WHERE rank < 10; DELETE FROM ranks WHERE rank = 9",
            "INSERT INTO ranks VALUES (1, 20, 'c20', 0); DELETE FROM ranks WHERE rank = 20 AND id > 1; UPDATE ranks SET v = 20 WHERE id = 1; UPDATE ranks SET code = NULL WHERE id = 101",
            // Several transactions, which may become one batch.
            "UPDATE at_last SET id = id + 1\n\nUPDATE at_last SET id = id - 1\n\nUPDATE ranks SET rank = rank - 1\n\nDELETE FROM at_last WHERE id = 5\n\nINSERT INTO at_last VALUES (5, 0); UPDATE at_last SET id = id + 1",
        ] {
            stage.follow_through(change);
        }
    }
}

/// Neither order nor patience makes room where a row of somebody else's stands.
pub(crate) fn onto_a_row_from_elsewhere<P: Place>() {
    for (change, words) in [
        (
            "UPDATE at_last SET id = id + 1",
            ["public.at_last, update", "id = 40, v = 40"],
        ),
        (
            "INSERT INTO at_last VALUES (41, 0); UPDATE at_last SET v = v + 1",
            ["public.at_last, insert", "id = 41, v = 1"],
        ),
        (
            "UPDATE ranks SET rank = rank + 1",
            ["public.ranks, update", "id = 40"],
        ),
    ] {
        let mut stage = taken_over::<P>(Version::NEWEST);
        let [at_last, ranks] = ["at_last", "ranks"].map(|table| stage.place.name("public", table));
        stage
            .place
            .sql(&format!("INSERT INTO {at_last} VALUES (41, 41)"));
        stage.place.sql(&format!(
            "INSERT INTO {ranks} VALUES (41, 41, 'planted', 41)"
        ));
        let planted = stage.differences();
        assert_eq!(planted.len(), 2);
        stage.play(change);
        stage.stops(&["conflict", words[0], words[1]]);
        stage
            .place
            .sql(&format!("DELETE FROM {at_last} WHERE id = 41"));
        stage
            .place
            .sql(&format!("DELETE FROM {ranks} WHERE id = 41"));
        stage.follow();
    }
}
