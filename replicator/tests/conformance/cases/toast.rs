//! Values that lie out of line, and are not sent when they do not change.

use super::BOTH;
use crate::place::Place;
use crate::stage::Stage;

pub(crate) fn values_left_out_while_the_key_changes<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        for (table, identity) in [
            ("by_key", "DEFAULT"),
            ("by_index", "USING INDEX by_index_n_key"),
            ("whole", "FULL"),
            ("whole_keyless", "FULL"),
        ] {
            let key = if table == "whole_keyless" {
                ""
            } else {
                "PRIMARY KEY"
            };
            stage.play(&format!(
                "CREATE TABLE {table} (id int {key}, n int NOT NULL, t text, b bytea, j jsonb, a text[], CONSTRAINT {table}_n_key UNIQUE (n));
                 ALTER TABLE {table} ALTER t SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
                 ALTER TABLE {table} REPLICA IDENTITY {identity};
                 INSERT INTO {table} SELECT i, i, repeat(i::text, 20000), decode(repeat('ab', 9000), 'hex'),
                   jsonb_build_object('k', (SELECT string_agg(md5(k::text), '') FROM generate_series(1, 200) k)),
                   (SELECT array_agg(md5(k::text)) FROM generate_series(1, 200) k) FROM generate_series(1, 9) i"
            ));
        }
        stage.follow();
        for table in ["by_key", "by_index", "whole", "whole_keyless"] {
            stage.follow_through(&format!(
                "UPDATE {table} SET n = n + 100 WHERE id = 1;
                 UPDATE {table} SET id = id + 100 WHERE id = 2;
                 UPDATE {table} SET id = id + 100, n = n + 100, t = 'short' WHERE id = 3;
                 UPDATE {table} SET id = id + 100, n = n + 100, b = NULL WHERE id = 4;
                 UPDATE {table} SET t = NULL, b = '', j = NULL, a = '{{}}' WHERE id = 5;
                 UPDATE {table} SET t = repeat('new', 9000) WHERE id = 6;
                 DELETE FROM {table} WHERE id = 7"
            ));
            // What was new a moment ago is left out next.
            stage.follow_through(&format!(
                "UPDATE {table} SET t = repeat('back', 9000) WHERE id = 5; UPDATE {table} SET id = 55, n = 55 WHERE id = 5;
                 UPDATE {table} SET n = 56 WHERE id = 55; UPDATE {table} SET id = 8888 WHERE id = 8; UPDATE {table} SET id = 8 WHERE id = 9"
            ));
        }
    }
}

pub(crate) fn keys_out_of_line<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version);
        stage.play(
            "CREATE TABLE t (k text PRIMARY KEY, v int, w text);
             ALTER TABLE t ALTER k SET STORAGE EXTERNAL, ALTER w SET STORAGE EXTERNAL;
             INSERT INTO t SELECT repeat('k', 2600) || i, i, repeat('w', 10000) FROM generate_series(1, 6) i",
        );
        if !stage.has(P::LIMITS.keys) {
            continue;
        }
        stage.follow();
        stage.follow_through("UPDATE t SET v = v + 10");
        stage.follow_through(
            "UPDATE t SET k = repeat('K', 2600) || v, v = -1 WHERE v = 13;
             UPDATE t SET w = 'short' WHERE v = 14;
             UPDATE t SET k = 'short' WHERE v = 16;
             INSERT INTO t VALUES (repeat('n', 2600), 7, NULL);
             DELETE FROM t WHERE v = 15",
        );
        stage.follow_through("UPDATE t SET k = repeat('long', 650) WHERE k = 'short'; UPDATE t SET v = 0; DELETE FROM t WHERE w = 'short'");
    }
}
