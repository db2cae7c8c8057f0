//! Tables that somebody else made.

use std::sync::Arc;

use replicator::{Destination, Existing, MysqlDestination, PositionRow, Table};
use walproto::Lsn;

use crate::Stage;
use crate::every_destination::{
    Ground, INT, TEXT, apply, delete, insert, int, intent, named, text, update,
};

const TEXTS: &str = "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";

async fn accepted(stage: &Stage, table: &Arc<Table>) -> (MysqlDestination, PositionRow) {
    let mut destination = stage.open().await;
    let row = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", table, Existing::Accept)
        .await
        .unwrap();
    let next = PositionRow {
        lsn: Lsn(100),
        ..row
    };
    let row = destination.activate(&next).await.unwrap();
    (destination, row)
}

#[tokio::test]
async fn what_cannot_hold_our_rows_is_refused_by_name() {
    let stage = Stage::new();
    let mut destination = stage.open().await;
    destination.write_intent(&intent()).await.unwrap();
    let t = named(1, "t", &[("id", INT), ("name", TEXT)], &[0]);
    for (made, words) in [
        (
            format!("(id int PRIMARY KEY, name {TEXTS}) ENGINE = MyISAM"),
            "MyISAM",
        ),
        (
            format!("(id smallint PRIMARY KEY, name {TEXTS})"),
            "column id",
        ),
        (
            "(id int PRIMARY KEY, name longtext CHARACTER SET latin1)".to_owned(),
            "latin1",
        ),
        ("(id int PRIMARY KEY)".to_owned(), "no column name"),
        (
            format!("(id int PRIMARY KEY, name {TEXTS}, more int NOT NULL)"),
            "column more",
        ),
    ] {
        stage.meddle(&format!("CREATE OR REPLACE TABLE t {made}"));
        let error = destination
            .create_table("s", &t, Existing::Accept)
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains(words), "{made}: {error}");
    }
}

#[tokio::test]
async fn a_second_unique_index_keeps_the_sources_order() {
    let stage = Stage::new();
    stage.meddle(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, code int UNIQUE, name {TEXTS})"
    ));
    let t = named(1, "t", &[("id", INT), ("code", INT), ("name", TEXT)], &[0]);
    let (mut destination, row) = accepted(&stage, &t).await;
    let batch = vec![
        insert(&t, &[int(1), int(7), text("a")]),
        update(&t, &[(1, int(8))], &[int(1)]),
        insert(&t, &[int(2), int(7), text("b")]),
        delete(&t, &[int(1)]),
        insert(&t, &[int(3), int(8), text("c")]),
    ];
    apply(&mut destination, &row, 0x110, batch).await.unwrap();
    assert_eq!(
        stage.look("SELECT * FROM t ORDER BY id"),
        ["2|7|b", "3|8|c"]
    );
}

#[tokio::test]
async fn what_a_trigger_changes_with_a_warning_or_refuses_is_an_error() {
    let stage = Stage::new();
    stage.meddle(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, name {TEXTS})"
    ));
    stage.meddle("CREATE TRIGGER before_t BEFORE INSERT ON t FOR EACH ROW IF NEW.id = 7 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no sevens'; END IF");
    let t = named(1, "t", &[("id", INT), ("name", TEXT)], &[0]);
    let (mut destination, row) = accepted(&stage, &t).await;
    let batch = vec![
        insert(&t, &[int(6), text("a")]),
        insert(&t, &[int(7), text("b")]),
        insert(&t, &[int(8), text("c")]),
    ];
    let error = apply(&mut destination, &row, 0x110, batch.clone())
        .await
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("no sevens") && said.contains("id = 7"),
        "{said}"
    );
    assert_eq!(error.exit_code(), 3);
    assert_eq!(stage.look("SELECT count(*) FROM t"), ["0"]);

    // Left out where that is wanted; the others arrive.
    destination
        .begin(&row, &row.advanced(Lsn(0x110)))
        .await
        .unwrap();
    let refused = destination.attempt(batch).await.unwrap();
    assert_eq!(
        refused.iter().map(|refused| refused.at).collect::<Vec<_>>(),
        [1]
    );
    let _ = destination.commit().await.unwrap();
    assert_eq!(stage.look("SELECT id FROM t ORDER BY id"), ["6", "8"]);
}
