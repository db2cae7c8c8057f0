//! Publications that are missing, vanish, or change while they are followed.

use std::time::Duration;

use testdata::Version;

use crate::assert_nothing_left;
use crate::common::Site;

#[test]
fn a_publication_that_was_asked_for_must_exist() {
    // On 18 the server would say nothing, and send nothing.
    for version in [Version::V15, Version::V18] {
        let site = Site::on(version);
        site.catch_up(&["--publication", "absent"])
            .failed(3, &["absent", "publication"])
            .hinted(&["create"]);
        assert_nothing_left(&site);
        // Nor is a name found that only looks alike.
        site.sql("CREATE PUBLICATION absent FOR TABLE t");
        site.catch_up(&["--publication", "Absent"])
            .failed(3, &["Absent"]);
        site.caught_up(&["--publication", "absent"]);
        assert_eq!(site.t(), ["1|one", "2|two"]);
    }
}

#[test]
fn the_other_remedy_for_a_missing_publication_is_to_name_its_tables() {
    let site = Site::new();
    site.caught_up(&["--publication", "absent", "--tables", "public.t"]);
    assert_eq!(site.publications(), ["absent"]);
    assert_eq!(site.t(), ["1|one", "2|two"]);
}

#[test]
fn a_publication_dropped_between_two_runs_stops_the_second() {
    for version in [Version::V15, Version::V18] {
        let site = Site::on(version);
        site.caught_up(&[]);
        site.sql("DROP PUBLICATION replicator");
        site.sql("INSERT INTO t VALUES (3, 'three')");
        site.catch_up(&[])
            .failed(3, &["replicator", "does not exist"])
            .hinted(&["drop", "run"]);
        // Made again it is another publication: what changed in between was never decoded with it.
        site.sql("CREATE PUBLICATION replicator FOR TABLE t");
        // Before 18 the server may say so sooner than we do.
        let word = if version == Version::V18 {
            "changed"
        } else {
            "publication"
        };
        site.catch_up(&[])
            .failed(3, &[word])
            .hinted(&["drop", "run"]);
        assert_eq!(site.t(), ["1|one", "2|two"]);
        site.sql("DROP PUBLICATION replicator");
        site.start_anew(&[]);
        assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
    }
}

#[test]
fn a_publication_dropped_under_a_run_stops_it() {
    for (version, busy) in [
        (Version::V15, true),
        (Version::V18, true),
        (Version::V18, false),
    ] {
        let site = Site::on(version);
        let running = site.streaming(&[]);
        site.sql("DROP PUBLICATION replicator");
        if busy {
            site.sql("INSERT INTO t VALUES (3, 'three')");
        }
        let outcome = running.wait(Duration::from_secs(40));
        outcome.failed(3, &["publication"]).hinted(&["drop", "run"]);
        site.start_anew(&[]);
        assert_eq!(site.t().len(), if busy { 3 } else { 2 }, "on {version}");
    }
}

#[test]
fn other_publications_than_before_are_refused() {
    let site = Site::new();
    site.caught_up(&[]);
    site.sql("CREATE PUBLICATION mine FOR TABLE t");
    site.catch_up(&["--publication", "mine"])
        .failed(3, &["replicator", "mine"]);
    site.caught_up(&[]);
}

#[test]
fn a_row_filter_that_hides_a_value_stops_by_table_and_column() {
    let site = Site::new();
    site.sql("ALTER TABLE t ALTER v SET STORAGE EXTERNAL");
    site.sql("ALTER TABLE t ADD COLUMN open bool NOT NULL DEFAULT true");
    site.sql("INSERT INTO t SELECT 3, string_agg(md5(g::text), ''), false FROM generate_series(1, 500) g");
    site.sql("CREATE PUBLICATION mine FOR TABLE t WHERE (id > 0 AND open)");
    site.sql("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, open)");
    let arguments = ["--publication", "mine"];
    site.caught_up(&arguments);
    assert_eq!(site.rows("SELECT id FROM t ORDER BY id"), ["1", "2"]);
    // For the destination this is a new row, and the stream leaves out the long text, as it did not change.
    site.sql("UPDATE t SET open = true WHERE id = 3");
    site.catch_up(&arguments)
        .failed(3, &["public.t", "column v", "TOAST"])
        .hinted(&["REPLICA IDENTITY FULL"]);
    assert_eq!(site.rows("SELECT id FROM t ORDER BY id"), ["1", "2"]);
    // The remedy.
    site.sql("ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET open = false WHERE id = 3");
    site.start_anew(&arguments);
    site.sql("UPDATE t SET open = true WHERE id = 3");
    site.caught_up(&arguments);
    assert_eq!(
        site.rows("SELECT id, length(v) FROM t ORDER BY id"),
        ["1|3", "2|3", "3|16000"]
    );
}
