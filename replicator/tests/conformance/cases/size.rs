//! As many columns and as large rows as there is room for.

use testdata::Version;

use crate::place::Place;
use crate::stage::Stage;

/// As many as PostgreSQL has.
pub(crate) fn sixteen_hundred_columns<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    for (table, key) in [("keyed", "PRIMARY KEY"), ("whole", "")] {
        stage.play(&format!(
            "DO $$ BEGIN EXECUTE 'CREATE TABLE {table} (c1 int {key}, '
               || (SELECT string_agg(format('c%s %s', i, (ARRAY['text', 'int', 'float8', 'bool'])[1 + i % 4]), ', ')
                   FROM generate_series(2, 1600) i) || ')'; END $$;
             ALTER TABLE {table} REPLICA IDENTITY FULL;
             INSERT INTO {table} (c1, c4, c800, c1600) VALUES (1, '1.5', 'middle', 'last'), (2, NULL, NULL, NULL), (3, NULL, '', '')"
        ));
    }
    stage.play("ALTER TABLE keyed REPLICA IDENTITY DEFAULT");
    if !stage.has(P::LIMITS.columns) {
        return;
    }
    stage.follow();
    for table in ["keyed", "whole"] {
        let every = "(SELECT string_agg(format('c%s = %s', i, (ARRAY['''t''', 'c1', '0.5', 'true'])[1 + i % 4]), ', ')
                      FROM generate_series(2, 1600) i)";
        stage.follow_through(&format!(
            "INSERT INTO {table} (c1, c1599) VALUES (4, true);
             UPDATE {table} SET c1500 = 'set' WHERE c1 = 1;
             DELETE FROM {table} WHERE c1 = 2;
             DO $$ BEGIN EXECUTE 'UPDATE {table} SET ' || {every} || ' WHERE c1 = 3'; END $$"
        ));
        stage.follow_through(&format!(
            "UPDATE {table} SET c1 = 30 WHERE c1 = 3; INSERT INTO {table} (c1) VALUES (5); DELETE FROM {table} WHERE c1 = 1"
        ));
    }
}

pub(crate) fn four_hundred_texts<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.play(
        "DO $$ BEGIN EXECUTE 'CREATE TABLE t (id int PRIMARY KEY, '
           || (SELECT string_agg(format('c%s text', i), ', ') FROM generate_series(1, 400) i) || ')'; END $$;
         INSERT INTO t (id, c1, c200, c400) VALUES (1, 'first', NULL, 'last'), (2, '', '', '')",
    );
    if stage.has(P::LIMITS.texts) {
        stage.follow();
        stage.follow_through("UPDATE t SET c300 = 'set' WHERE id = 1; INSERT INTO t (id, c399) VALUES (3, 'x'); DELETE FROM t WHERE id = 2");
    }
}

pub(crate) fn a_hundred_megabytes<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    // Repeated, so that the server need not store what it sends.
    stage.play(
        "CREATE TABLE t (id int PRIMARY KEY, v text, b bytea, n int);
         INSERT INTO t VALUES (1, repeat('copied, ', 13107200), NULL, 0)",
    );
    if !stage.has(P::LIMITS.values) {
        return;
    }
    stage.follow();
    stage.follow_through(
        r"INSERT INTO t VALUES (2, NULL, decode(repeat('00ff5c27', 2621440), 'hex'), 0);
          UPDATE t SET v = repeat('éü', 26214400) WHERE id = 1",
    );
    stage.follow_through(
        "UPDATE t SET id = id + 10; UPDATE t SET n = 1; DELETE FROM t WHERE id = 12",
    );
}
