//! Tables emptied among other changes.

use super::BOTH;
use crate::place::Place;
use crate::stage::Stage;

pub(crate) fn several_tables_among_other_changes<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.follow_through(
            "CREATE TABLE a (id int PRIMARY KEY, v text);
             CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a, v text);
             CREATE TABLE c (n int, v text); ALTER TABLE c REPLICA IDENTITY FULL;
             CREATE TABLE d (id serial PRIMARY KEY, v text);
             CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10);
             CREATE TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (100);
             INSERT INTO a SELECT i, 'a' FROM generate_series(1, 20) i; INSERT INTO b SELECT i, i, 'b' FROM generate_series(1, 20) i;
             INSERT INTO c SELECT i / 2, 'c' FROM generate_series(1, 20) i; INSERT INTO d (v) SELECT 'd' FROM generate_series(1, 20);
             INSERT INTO parted SELECT i, 'p' FROM generate_series(1, 20) i",
        );
        stage.follow_through(
            "INSERT INTO a VALUES (100, 'gone soon'); UPDATE d SET v = 'changed' WHERE id = 1; DELETE FROM c WHERE n = 3;
             TRUNCATE a, c RESTART IDENTITY CASCADE;
             INSERT INTO c VALUES (1, 'new'), (1, 'new'); INSERT INTO a VALUES (1, 'again'); UPDATE d SET v = 'after' WHERE id = 2",
        );
        stage.follow_through("TRUNCATE c; INSERT INTO c VALUES (1, 'x'); TRUNCATE c; INSERT INTO c VALUES (1, 'y'); UPDATE c SET v = 'z'");
        stage.follow_through("INSERT INTO b VALUES (1, 1, 'b'); TRUNCATE d, b RESTART IDENTITY; INSERT INTO d (v) VALUES ('first')");
        stage.follow_through("INSERT INTO parted VALUES (0, 'new'); TRUNCATE parted; INSERT INTO parted VALUES (2, 'low'), (20, 'high')");
        stage.follow_through("BEGIN; SAVEPOINT s; TRUNCATE a, b, c, d; INSERT INTO c VALUES (5, 'lost'); ROLLBACK TO s; DELETE FROM b; COMMIT");
        stage.follow_through("TRUNCATE a, b, c, d, parted");
    }
}
