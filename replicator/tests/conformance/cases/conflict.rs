//! A place where somebody else has written: noticed by the count of rows, never written over.

use testdata::Version;

use crate::place::Place;
use crate::stage::Stage;

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE whole (n int, v text);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    INSERT INTO t VALUES (1, 'one'), (2, 'two'); INSERT INTO whole VALUES (1, 'one'), (2, 'two'), (2, 'two')";

/// Changes the place by `edit`, where `{}` is the table's name, and the source by `change`; after the stop `mend` lets
/// it go on.
fn stops<P: Place>(table: &str, edit: &str, change: &str, mend: &str, words: &[&str]) {
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.follow_through(TABLES);
    let name = stage.place.name("public", table);
    stage.place.sql(&edit.replace("{}", &name));
    let before = stage.differences();
    // What comes before in the stream arrives; what comes with it in the transaction does not, nor what comes after.
    stage.play(&format!(
        "INSERT INTO t VALUES (10, 'before')\n\nBEGIN; INSERT INTO t VALUES (11, 'with'); {change}; COMMIT\n\nINSERT INTO t VALUES (12, 'after')"
    ));
    let qualified = format!("public.{table}");
    for _ in 0..2 {
        let finished = stage.stops(words);
        let named = finished.log.contains(&qualified) && finished.log.contains("conflict");
        assert!(named, "{}", finished.log);
        let t = stage.place.name("public", "t");
        let there = stage.place.reader()(&format!("SELECT id FROM {t} WHERE id >= 10"));
        assert_eq!(
            there,
            [[Some("10".to_owned())]],
            "{change}: {}",
            finished.log
        );
    }
    assert!(!before.is_empty(), "the edit changed nothing");
    stage.place.sql(&mend.replace("{}", &name));
    stage.follow();
}

pub(crate) fn a_row_too_many<P: Place>() {
    stops::<P>(
        "t",
        "INSERT INTO {} VALUES (3, 'planted')",
        "INSERT INTO t VALUES (3, 'three')",
        "DELETE FROM {} WHERE id = 3",
        &["insert", "id = 3"],
    );
}

pub(crate) fn a_row_too_few<P: Place>() {
    for (table, edit, change, mend, words) in [
        (
            "t",
            "DELETE FROM {} WHERE id = 2",
            "UPDATE t SET v = 'x' WHERE id = 2",
            "INSERT INTO {} VALUES (2, 'two')",
            ["update", "id = 2"],
        ),
        (
            "t",
            "DELETE FROM {} WHERE id = 2",
            "DELETE FROM t WHERE id = 2",
            "INSERT INTO {} VALUES (2, 'two')",
            ["delete", "id = 2"],
        ),
        (
            "whole",
            "UPDATE {} SET v = 'planted' WHERE n = 1",
            "UPDATE whole SET n = 7 WHERE n = 1",
            "UPDATE {} SET v = 'one' WHERE n = 1",
            ["update", "n = 1, v = 'one'"],
        ),
        (
            "whole",
            "DELETE FROM {} WHERE n = 2",
            "DELETE FROM whole WHERE n = 2",
            "INSERT INTO {} VALUES (2, 'two'), (2, 'two')",
            ["delete", "n = 2, v = 'two'"],
        ),
    ] {
        stops::<P>(table, edit, change, mend, &words);
    }
}

pub(crate) fn a_key_taken_from_elsewhere<P: Place>() {
    stops::<P>(
        "t",
        "INSERT INTO {} VALUES (3, 'planted')",
        "UPDATE t SET id = 3 WHERE id = 2",
        "DELETE FROM {} WHERE id = 3",
        &["update", "id = 2", "id = 3"],
    );
    // Among keys that pass each other, too.
    stops::<P>(
        "t",
        "INSERT INTO {} VALUES (3, 'planted')",
        "UPDATE t SET id = -id WHERE id < 3; UPDATE t SET id = 1 - id WHERE id < 0",
        "DELETE FROM {} WHERE id = 3",
        &["update", "id = -2", "id = 3"],
    );
}
