//! The publication we make: what it leaves out and says so, what it lets the source application go on doing, and how
//! it goes again.

#[path = "faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

use common::{Site, replicator};

/// Besides `t`: no key at all, a key that is only deferrable, and a unique index that is no identity.
fn with_keyless() -> Site {
    let site = Site::new();
    site.sql("CREATE TABLE bare (v text)");
    site.sql("CREATE TABLE late (id int PRIMARY KEY DEFERRABLE)");
    site.sql("CREATE TABLE loose (id int UNIQUE, v text)");
    for table in ["bare (v)", "late (id)", "loose (id)"] {
        site.sql(&format!("INSERT INTO {table} VALUES ('1'), ('2')"));
    }
    site
}

/// The source application updates and deletes as it did before.
fn work(site: &Site) {
    site.sql("UPDATE bare SET v = '3' WHERE v = '2'; DELETE FROM bare WHERE v = '1'; INSERT INTO bare VALUES ('4')");
    site.sql("UPDATE late SET id = 3 WHERE id = 2; DELETE FROM late WHERE id = 1; INSERT INTO late VALUES (4)");
    site.sql("UPDATE loose SET v = 'x' WHERE id = 2; DELETE FROM loose WHERE id = 1; INSERT INTO loose VALUES (4)");
    site.sql("UPDATE t SET v = 'changed' WHERE id = 1");
}

#[test]
fn tables_without_a_key_are_left_out_and_named() {
    let site = with_keyless();
    let outcome = site.catch_up(&[]);
    outcome.done();
    let line = outcome
        .stderr
        .lines()
        .find(|line| line.contains("left out"))
        .expect("a warning");
    for table in ["public.bare", "public.late", "public.loose", "--keyless"] {
        assert!(line.contains(table), "{table} is not named: {line}");
    }
    assert_eq!(site.tables(), ["t"]);
    work(&site);
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|changed", "2|two"]);
}

#[test]
fn keyless_full_follows_them_by_the_whole_row() {
    let site = with_keyless();
    site.caught_up(&["--keyless", "full"]);
    assert_eq!(site.tables(), ["bare", "late", "loose", "t"]);
    work(&site);
    site.caught_up(&[]);
    assert_eq!(site.rows("SELECT v FROM bare ORDER BY v"), ["3", "4"]);
    assert_eq!(site.rows("SELECT id FROM late ORDER BY id"), ["3", "4"]);
    assert_eq!(
        site.rows("SELECT id, v FROM loose ORDER BY id"),
        ["2|x", "4|∅"]
    );
    assert_eq!(site.t(), ["1|changed", "2|two"]);
}

#[test]
fn keyless_insert_only_follows_inserts_and_truncates() {
    let site = with_keyless();
    site.caught_up(&["--keyless", "insert-only"]);
    assert_eq!(
        site.publications(),
        ["replicator", "replicator_insert_only"]
    );
    work(&site);
    site.caught_up(&[]);
    assert_eq!(site.rows("SELECT v FROM bare ORDER BY v"), ["1", "2", "4"]);
    assert_eq!(site.t(), ["1|changed", "2|two"]);
    site.sql("TRUNCATE bare; INSERT INTO bare VALUES ('5')");
    site.caught_up(&[]);
    assert_eq!(site.rows("SELECT v FROM bare"), ["5"]);
    site.forget(&[]).done();
    assert_eq!(site.publications(), [""; 0], "its companion is left");
}

#[test]
fn nothing_but_tables_without_a_key_is_an_error_with_the_ways_out() {
    let site = with_keyless();
    site.sql("DROP TABLE t");
    site.catch_up(&[])
        .failed(2, &["public.bare", "public.late"])
        .hinted(&["--keyless", "insert-only", "full"]);
    assert_eq!(site.publications(), [""; 0]);
    assert_eq!(site.slot_column("active"), None);
    site.caught_up(&["--keyless", "full"]);
    assert_eq!(site.tables(), ["bare", "late", "loose"]);
}

#[test]
fn the_publication_lists_its_tables_and_says_that_it_is_ours() {
    let site = Site::new();
    site.caught_up(&[]);
    let about = "SELECT concat_ws(' ', puballtables, obj_description(oid, 'pg_publication'))
                 FROM pg_publication WHERE pubname = 'replicator'";
    assert_eq!(site.ask(about), "f made by replicator");
    // A table made later is not in it, and the application may do with it what it likes.
    site.sql("CREATE TABLE later (v text); INSERT INTO later VALUES ('x'); UPDATE later SET v = 'y'; DELETE FROM later");
    site.caught_up(&[]);
    assert_eq!(site.tables(), ["t"]);
}

#[test]
fn a_users_publication_may_have_tables_without_a_key() {
    // The server refuses to change their rows, so inserts are all that can come.
    let site = with_keyless();
    site.sql("CREATE PUBLICATION mine FOR TABLE t, bare");
    site.caught_up(&["--publication", "mine"]);
    site.sql("INSERT INTO bare VALUES ('3')");
    let refused = site.client().batch("UPDATE bare SET v = '4'");
    assert!(refused.is_err(), "this test knows another server");
    site.caught_up(&["--publication", "mine"]);
    assert_eq!(site.rows("SELECT v FROM bare ORDER BY v"), ["1", "2", "3"]);
    // With the whole row as identity they can be followed like any other,
    let site = with_keyless();
    site.sql("ALTER TABLE bare REPLICA IDENTITY FULL");
    site.sql("CREATE PUBLICATION mine FOR TABLE bare");
    site.caught_up(&["--publication", "mine"]);
    site.sql("UPDATE bare SET v = '3' WHERE v = '2'; DELETE FROM bare WHERE v = '1'");
    site.caught_up(&["--publication", "mine"]);
    assert_eq!(site.rows("SELECT v FROM bare ORDER BY v"), ["3"]);
    // and a publication of inserts alone needs no identity.
    let site = with_keyless();
    site.sql("CREATE PUBLICATION mine FOR TABLE bare WITH (publish = 'insert, truncate')");
    site.caught_up(&["--publication", "mine"]);
    site.sql("UPDATE bare SET v = '3' WHERE v = '2'; INSERT INTO bare VALUES ('4')");
    site.caught_up(&["--publication", "mine"]);
    assert_eq!(site.rows("SELECT v FROM bare ORDER BY v"), ["1", "2", "4"]);
}

#[test]
fn drop_removes_what_is_ours_and_run_starts_anew() {
    let site = Site::new();
    site.sql("CREATE PUBLICATION mine FOR TABLE t");
    site.sql("CREATE PUBLICATION replicator_old FOR TABLE t");
    site.caught_up(&[]);
    let outcome = site.forget(&[]);
    outcome.done();
    assert!(
        outcome.stdout.contains(&site.slot) && outcome.stdout.contains("\"replicator\": removed"),
        "{}",
        outcome.stdout
    );
    assert_eq!(site.slot_column("active"), None);
    assert_eq!(site.publications(), ["mine", "replicator_old"]);
    assert_eq!(site.t(), ["1|one", "2|two"], "the tables stay");
    assert_eq!(
        site.rows("SELECT count(*) FROM _replicator_position"),
        ["0"]
    );
    // Again is no error.
    site.forget(&[]).done();

    // The tables that stayed are in the way of a new copy, and said to be.
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.catch_up(&[])
        .failed(3, &["table t holds rows"])
        .hinted(&["empty it"]);
    site.edit("DROP TABLE t");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn drop_keeps_the_default_publication_for_other_slots() {
    let site = Site::new();
    site.caught_up(&[]);
    let source = site.source();
    let drop = |more: &[&str]| {
        let outcome =
            replicator(&[&["drop", "--source", &source, "--slot", "other"], more].concat());
        outcome.done();
        outcome.stdout
    };
    let said = drop(&[]);
    assert!(said.contains("kept") && said.contains(&site.slot), "{said}");
    assert_eq!(site.publications(), ["replicator"]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.caught_up(&[]);
    assert_eq!(site.t().len(), 3);
    // By name it goes, if ours.
    drop(&["--publication", "replicator"]);
    assert!(site.publications().is_empty());
}

#[test]
fn drop_keeps_a_users_publication() {
    let site = Site::new();
    // Even with the name that ours would have.
    site.sql(
        "CREATE PUBLICATION replicator FOR TABLE t; COMMENT ON PUBLICATION replicator IS 'by hand'",
    );
    site.caught_up(&[]);
    site.forget(&[]).done();
    assert_eq!(site.publications(), ["replicator"]);
    assert_eq!(site.slot_column("active"), None);

    let site = Site::new();
    site.sql("CREATE PUBLICATION mine FOR TABLE t");
    site.caught_up(&["--publication", "mine"]);
    site.forget(&["--publication", "mine"]).done();
    assert_eq!(site.publications(), ["mine"]);
}

#[test]
fn two_slots_share_a_source_and_not_a_destination() {
    let (first, mut second) = (Site::new(), Site::new());
    second.database.clone_from(&first.database);
    first.caught_up(&[]);
    second.caught_up(&[]);
    first.sql("INSERT INTO t VALUES (3, 'three')");
    first.caught_up(&[]);
    second.caught_up(&[]);
    assert_eq!(first.t(), second.t());
    // The publication that both read stays for the other.
    first.forget(&[]).done();
    second.sql("INSERT INTO t VALUES (4, 'four')");
    second.caught_up(&[]);
    assert_eq!(second.t().len(), 4);
    // Dropped by its name all the same, the other says so instead of standing still.
    first.forget(&["--publication", "replicator"]).done();
    second.catch_up(&[]).failed(3, &["publication"]);
}

#[test]
fn a_publication_made_by_hand_between_is_used_as_it_is() {
    let site = with_keyless();
    site.sql("CREATE PUBLICATION replicator FOR TABLE loose WITH (publish = 'insert')");
    site.caught_up(&[]);
    assert_eq!(site.tables(), ["loose"]);
    work(&site);
    site.caught_up(&[]);
    assert_eq!(
        site.rows("SELECT id FROM loose ORDER BY id"),
        ["1", "2", "4"]
    );
}
