//! Keys that pass each other within a transaction.

use testdata::Version;

use super::BOTH;
use crate::place::Place;
use crate::stage::Stage;

/// `at_once` compares its key with others after each row, as usual; `at_last` when the transaction commits.
const TABLES: &str = "
    CREATE TABLE at_once (id int PRIMARY KEY, v int);
    INSERT INTO at_once SELECT i, i FROM generate_series(40, 1, -1) i;
    CREATE TABLE at_last (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v int);
    ALTER TABLE at_last REPLICA IDENTITY FULL;
    INSERT INTO at_last SELECT i, i FROM generate_series(1, 40) i";

pub(crate) fn keys_that_change_places<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.follow_through(TABLES);
        for table in ["at_once", "at_last"] {
            // A swap by way of a third key, a chain, a ring, and there and back.
            stage.follow_through(&format!(
                "UPDATE {table} SET id = -1 WHERE id = 1; UPDATE {table} SET id = 1 WHERE id = 2; UPDATE {table} SET id = 2 WHERE id = -1"
            ));
            stage.follow_through(&format!(
                "UPDATE {table} SET id = 100 WHERE id = 3; UPDATE {table} SET id = 101 WHERE id = 100; UPDATE {table} SET id = 102, v = -1 WHERE id = 101"
            ));
            stage.follow_through(&format!(
                "UPDATE {table} SET id = 0 WHERE id = 4; UPDATE {table} SET id = 4 WHERE id = 5;
                 UPDATE {table} SET id = 5 WHERE id = 6; UPDATE {table} SET id = 6 WHERE id = 0"
            ));
            stage.follow_through(&format!(
                "UPDATE {table} SET id = -7 WHERE id = 7; UPDATE {table} SET v = 77 WHERE id = -7; UPDATE {table} SET id = 7 WHERE id = -7"
            ));
            stage.follow_through(&format!(
                "DELETE FROM {table} WHERE id = 8; UPDATE {table} SET id = 8 WHERE id = 9; INSERT INTO {table} VALUES (9, 99)"
            ));
        }
        stage.follow_through("UPDATE at_last SET id = CASE id WHEN 10 THEN 11 WHEN 11 THEN 10 ELSE id END WHERE id IN (10, 11)");
        stage.follow_through("UPDATE at_last SET id = 41 - id WHERE id BETWEEN 12 AND 29");
        // Two rows have one key for a while, and one of them goes.
        stage.follow_through("INSERT INTO at_last VALUES (12, 1200); DELETE FROM at_last WHERE id = 12 AND v <> 1200");
        stage.follow_through(
            "INSERT INTO at_last VALUES (13, 1300); UPDATE at_last SET id = 1313 WHERE v = 1300",
        );
    }
}

pub(crate) fn ids_moved_up_by_one<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.follow_through(TABLES);
        for _ in 0..2 {
            stage.follow_through("UPDATE at_last SET id = id + 1");
            stage.follow_through("UPDATE at_last SET id = id - 1");
        }
        // Possible at once because the rows lie in falling order.
        stage.follow_through("UPDATE at_once SET id = id + 1");
        stage.follow_through("UPDATE at_once SET id = -id");
        stage.follow_through("UPDATE at_last SET id = id + 1; UPDATE at_last SET id = id + 1; UPDATE at_last SET id = 2 * id");
    }
}

pub(crate) fn ids_and_values_moved_together<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.follow_through(TABLES);
        stage.follow_through("UPDATE at_last SET id = id + 10, v = v + 1");
        stage.follow_through("UPDATE at_once SET id = id + 10, v = v + 1");
        // The row that comes looks like the one that goes.
        stage.follow_through("UPDATE at_last SET v = 0");
        stage.follow_through("UPDATE at_last SET id = id + 10");
        stage.follow_through(
            "UPDATE at_last SET id = id - 1, v = id; UPDATE at_last SET id = v, v = id",
        );
    }
}

pub(crate) fn the_same_row_again_and_again<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.follow_through(TABLES);
    for table in ["at_once", "at_last"] {
        let script = format!(
            "INSERT INTO {table} VALUES (50, 0); DELETE FROM {table} WHERE id = 50; INSERT INTO {table} VALUES (50, 1);
             UPDATE {table} SET v = v + 1 WHERE id = 50; UPDATE {table} SET v = v + 1 WHERE id = 50; UPDATE {table} SET v = 7 WHERE id = 1;
             UPDATE {table} SET v = 8 WHERE id = 1; UPDATE {table} SET v = NULL WHERE id = 1; UPDATE {table} SET v = 9 WHERE id = 1;
             INSERT INTO {table} VALUES (51, 0); UPDATE {table} SET id = 52 WHERE id = 51; DELETE FROM {table} WHERE id = 52;
             DELETE FROM {table} WHERE id = 2; INSERT INTO {table} VALUES (2, 22); UPDATE {table} SET id = 53 WHERE id = 2;
             INSERT INTO {table} VALUES (2, 23)"
        );
        stage.follow_through(&script);
        // The same once more, each by itself.
        stage.play(&format!("DELETE FROM {table} WHERE id IN (50, 53)"));
        stage.follow_through(&script.replace(';', ";\n\n"));
    }
}
