//! What goes on at the source while it is copied.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testdata::workload::Random;
use testdata::{Client, Server};

use crate::common::connect;

/// Tables of numbers and texts, so that every destination prints them alike.
pub(crate) const TABLES: &[&str] = &["wide", "keys", "rewritten", "emptied", "long", "parted"];

pub(crate) fn set_up(source: &mut Client) {
    source
        .batch(
            "CREATE TABLE wide (id int PRIMARY KEY, n int, pad text) WITH (fillfactor = 40);
             INSERT INTO wide SELECT i, 0, repeat('w', 100) FROM generate_series(1, 12000) i;
             CREATE TABLE keys (id int PRIMARY KEY, n int, pad text);
             INSERT INTO keys SELECT i, 0, repeat('k', 100) FROM generate_series(1, 6000) i;
             CREATE TABLE rewritten (id int PRIMARY KEY, n int, pad text);
             INSERT INTO rewritten SELECT i, 0, repeat('r', 100) FROM generate_series(1, 4000) i;
             CREATE TABLE emptied (id int PRIMARY KEY, n int, pad text);
             INSERT INTO emptied SELECT i, 0, repeat('e', 100) FROM generate_series(1, 2000) i;
             CREATE TABLE long (id int PRIMARY KEY, n int, pad text);
             ALTER TABLE long ALTER pad SET STORAGE EXTERNAL;
             INSERT INTO long SELECT i, 0, repeat('l', 5000) FROM generate_series(1, 500) i;
             CREATE TABLE parted (id int PRIMARY KEY, n int, pad text) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (2000);
             CREATE TABLE high (pad text, gone int, n int, id int NOT NULL);
             ALTER TABLE high DROP COLUMN gone;
             ALTER TABLE parted ATTACH PARTITION high FOR VALUES FROM (2000) TO (1000000);
             INSERT INTO parted SELECT i, 0, repeat('p', 100) FROM generate_series(1, 5000) i;
             CREATE PUBLICATION replicator FOR TABLE wide, keys, rewritten, emptied, long, parted
             WITH (publish_via_partition_root = true)",
        )
        .unwrap();
}

/// Works until it is told to stop. Workers have rows of their own.
pub(crate) fn at_work(server: &Server, seed: u64, worker: u64, stop: &AtomicBool) {
    let mut random = Random::new(seed);
    let mut client = connect(server, "postgres");
    client.batch("SET lock_timeout = '2s'").unwrap();
    // No two sessions wait for each other's rows.
    let mine = format!("id % 2 = {worker}");
    while !stop.load(Ordering::Relaxed) {
        let id = random.below(12_000);
        let width = random.below(1500);
        let sql = match random.below(24) {
            0..6 => format!(
                "UPDATE wide SET n = n + 1, pad = repeat('v', {width}) WHERE id BETWEEN {id} AND {id} + 40 AND {mine}"
            ),
            6..8 => format!("DELETE FROM wide WHERE id BETWEEN {id} AND {id} + 5 AND {mine}"),
            8..10 => format!(
                "INSERT INTO wide SELECT i, 1, repeat('n', {width}) FROM generate_series({id}, {id} + 8) i WHERE i % 2 = {worker} ON CONFLICT DO NOTHING"
            ),
            10..13 => {
                // Far away and back.
                let (from, by) = if random.once_in(2) { (id / 2, 100_000) } else { (100_000 + id / 2, -100_000) };
                format!(
                    "UPDATE keys SET id = id + {by}, n = n + 1 WHERE id BETWEEN {from} AND {from} + 30 AND {mine}
                     AND NOT EXISTS (SELECT FROM keys k WHERE k.id = keys.id + {by})"
                )
            }
            13..15 => format!("UPDATE long SET n = n + 1 WHERE id BETWEEN {0} AND {0} + 20 AND {mine}", id % 500),
            15 => format!("UPDATE long SET pad = repeat('m', 3000 + {width}) WHERE id = {} AND {mine}", id % 500),
            16..19 => format!(
                "UPDATE parted SET id = CASE WHEN id < 2000 THEN id + 200000 ELSE id - 200000 END, n = n + 1
                 WHERE (id BETWEEN {0} AND {0} + 20 OR id BETWEEN 200000 + {0} AND 200020 + {0}) AND {mine}
                 AND id NOT BETWEEN 2000 AND 200000",
                id % 1900
            ),
            19 => format!(
                "BEGIN; INSERT INTO keys SELECT i, 7, 'undone' FROM generate_series(300000, 300100) i;
                 DELETE FROM emptied WHERE {mine}; ROLLBACK"
            ),
            20 => format!(
                "BEGIN; TRUNCATE emptied; INSERT INTO emptied SELECT i, {id}, repeat('f', {width}) FROM generate_series(1, 600) i; COMMIT"
            ),
            21 => format!("UPDATE rewritten SET n = n + 1 WHERE id BETWEEN {0} AND {0} + 50 AND {mine}", id % 4000),
            22 if random.once_in(3) => "VACUUM FULL rewritten".to_owned(),
            22 => "VACUUM wide".to_owned(),
            _ if random.once_in(3) => {
                "ALTER TABLE rewritten ALTER COLUMN n TYPE int USING n + 0".to_owned()
            }
            _ => format!("INSERT INTO emptied SELECT i, 3, 'more' FROM generate_series(1000, 1040) i WHERE i % 2 = {worker} ON CONFLICT DO NOTHING"),
        };
        if let Err(error) = client.batch(&sql) {
            // Somebody was in the way.
            let code = error.sqlstate().map(str::to_owned);
            assert!(
                matches!(code.as_deref(), Some("55P03" | "40P01" | "23505")),
                "{sql}: {error}"
            );
            client.batch("ROLLBACK").unwrap();
        }
        thread::sleep(Duration::from_millis(2));
    }
}
