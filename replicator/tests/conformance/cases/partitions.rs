//! Partitions whose columns stand in another order than their root's.

use super::BOTH;
use crate::place::Place;
use crate::stage::Stage;

const TABLES: &str = "
    CREATE TABLE parted (id int, region text, v text, n numeric, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE north PARTITION OF parted FOR VALUES IN ('north');
    CREATE TABLE south (n numeric, gone int, v text, region text NOT NULL, id int NOT NULL);
    ALTER TABLE south DROP gone;
    INSERT INTO south (id, region, v, n) VALUES (90, 'south', 'attached', 1.50);
    ALTER TABLE parted ATTACH PARTITION south FOR VALUES IN ('south');
    CREATE TABLE others PARTITION OF parted DEFAULT PARTITION BY RANGE (id);
    CREATE TABLE low (v text, n numeric, id int NOT NULL, region text NOT NULL);
    ALTER TABLE others ATTACH PARTITION low FOR VALUES FROM (0) TO (100);
    CREATE TABLE high PARTITION OF others FOR VALUES FROM (100) TO (maxvalue);
    INSERT INTO parted SELECT i, (ARRAY['north', 'south', 'east'])[1 + i % 3], 'v' || i, i / 4.0 FROM generate_series(1, 30) i;
    INSERT INTO parted VALUES (200, 'west', 'high', NULL)";

const CHANGES: &[&str] = &[
    "INSERT INTO parted VALUES (50, 'south', NULL, 0.10), (51, 'nowhere', 'default', NULL), (300, 'x', 'high', -1)",
    "UPDATE parted SET v = v || '!', n = n + 1 WHERE id < 6",
    // From one partition to another, which is a delete and an insert.
    "UPDATE parted SET region = 'south' WHERE region = 'north'",
    "UPDATE parted SET id = id + 100 WHERE region IN ('south', 'east') AND id > 20",
    "UPDATE parted SET id = 99 WHERE id = 300; UPDATE parted SET id = 301 WHERE id = 99",
    // By the partitions' own names.
    "INSERT INTO south (v, region, id) VALUES ('into the leaf', 'south', 70); UPDATE others SET v = 'by the middle'; DELETE FROM low WHERE id < 10",
    "DELETE FROM parted WHERE id IN (51, 200, 103)",
    "TRUNCATE parted; INSERT INTO parted VALUES (1, 'north', 'n', 1), (2, 'south', 's', 2), (3, 'x', 'l', 3), (300, 'x', 'h', 4)",
];

pub(crate) fn by_their_own_names<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version).following("mine");
        stage.play(TABLES);
        stage.play("CREATE PUBLICATION mine FOR TABLE parted");
        stage.follow();
        assert_eq!(stage.names().len(), 4);
        for change in CHANGES {
            stage.follow_through(change);
        }
        stage.follow_through(
            "INSERT INTO low (id, region, v) VALUES (5, 'y', 'leaf'); TRUNCATE south, high",
        );
    }
}

pub(crate) fn by_the_name_of_the_root<P: Place>() {
    for version in BOTH {
        let mut stage = Stage::<P>::new(version).following("mine");
        stage.play(TABLES);
        stage.play(
            "CREATE PUBLICATION mine FOR TABLE parted WITH (publish_via_partition_root = true)",
        );
        stage.follow();
        assert_eq!(stage.names().len(), 1);
        for change in CHANGES {
            stage.follow_through(change);
        }
        // A partition that comes later, in an order of its own.
        stage.follow_through(
            "CREATE TABLE later (region text NOT NULL, n numeric, v text, id int NOT NULL);
             ALTER TABLE parted ATTACH PARTITION later FOR VALUES IN ('later')",
        );
        stage.follow_through("INSERT INTO parted VALUES (1, 'later', 'x', 1.0), (2, 'later', NULL, NULL); UPDATE parted SET n = 2 WHERE id = 1");
    }
}
