//! Rows that wait for their keys in tables that somebody else made.

use replicator::OnConflict;

use super::*;

/// `id integer, rank integer, name text`, identified by these columns.
fn ranked(key: &[usize]) -> Arc<Table> {
    named(1, "t", &[("id", INT), ("rank", INT), ("name", TEXT)], key)
}

/// A file in which somebody made the table `t`, taken over and at 100.
async fn taken_over(
    path: &Path,
    sql: &str,
    table: &Arc<Table>,
    policy: OnConflict,
) -> (SqliteDestination, PositionRow) {
    meddle(path, sql);
    let options = options(path).on_conflict(policy);
    let mut destination = SqliteDestination::open(options).await.unwrap();
    let row = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", table, Existing::Accept)
        .await
        .unwrap();
    let row = PositionRow {
        lsn: Lsn(100),
        ..row
    };
    let row = destination.activate(&row).await.unwrap();
    (destination, row)
}

/// The ranks of two rows of three change places.
fn swap(table: &Arc<Table>) -> Vec<Operation> {
    vec![
        update(table, &[(1, int(20))], &[int(1)]),
        update(table, &[(1, int(10))], &[int(2)]),
    ]
}

const STRICTER: &str = "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, rank INTEGER NOT NULL UNIQUE, name TEXT, local TEXT DEFAULT 'new');
    INSERT INTO t VALUES (1, 10, 'a', 'of 1'), (2, 20, 'b', 'of 2'), (3, 30, 'c', 'of 3')";

#[tokio::test]
async fn what_is_not_replicated_stays_with_its_row() {
    let folder = folder();
    let path = file(&folder);
    let t = ranked(&[0]);
    let (mut destination, row) = taken_over(&path, STRICTER, &t, OnConflict::Stop).await;
    let row = apply(&mut destination, &row, 200, swap(&t)).await.unwrap();
    let expected = ["1|20|a|of 1", "2|10|b|of 2", "3|30|c|of 3"];
    assert_eq!(look(&path, "SELECT * FROM t ORDER BY id"), expected);

    // A row that is new, one that goes while it waits, and one that changes.
    let batch = vec![
        insert(&t, &[int(4), int(10), text("d")]),
        update(&t, &[(1, int(30))], &[int(2)]),
        update(&t, &[(2, text("waits"))], &[int(2)]),
        update(&t, &[(1, int(20)), (2, text("C"))], &[int(3)]),
        delete(&t, &[int(1)]),
    ];
    apply(&mut destination, &row, 300, batch).await.unwrap();
    let expected = ["2|30|waits|of 2", "3|20|C|of 3", "4|10|d|new"];
    assert_eq!(look(&path, "SELECT * FROM t ORDER BY id"), expected);
    assert_eq!(
        look(
            &path,
            "SELECT name FROM sqlite_schema WHERE name LIKE '%parked%'"
        ),
        [""; 0]
    );
}

/// Without a row number there is nothing to find a row by that waits, and what nobody has is nothing to an expression.
#[tokio::test]
async fn where_no_row_can_wait_a_collision_stops() {
    for sql in [
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, rank INTEGER NOT NULL UNIQUE, name TEXT) WITHOUT ROWID;
         INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b')",
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, rank INTEGER, name TEXT); CREATE UNIQUE INDEX r ON t (rank % 100);
         INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b')",
        // The key alone is unique, and at the source it is compared after each row.
        "CREATE TABLE t (id INTEGER, rank INTEGER NOT NULL PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b')",
    ] {
        let folder = folder();
        let path = file(&folder);
        let keyed_by_rank = sql.contains("rank INTEGER NOT NULL PRIMARY KEY");
        let t = ranked(if keyed_by_rank { &[1] } else { &[0] });
        let (mut destination, row) = taken_over(&path, sql, &t, OnConflict::Stop).await;
        let batch = if keyed_by_rank {
            vec![
                update(&t, &[(1, int(20))], &[int(10)]),
                delete(&t, &[int(20)]),
            ]
        } else {
            swap(&t)
        };
        let error = apply(&mut destination, &row, 200, batch).await.unwrap_err();
        assert!(error.to_string().contains("collide with another row"), "{error}");
        assert_eq!(look(&path, "SELECT * FROM t"), ["1|10|a", "2|20|b"]);
    }
}

/// What one source transaction undoes of another is not to hide what both met.
#[tokio::test]
async fn a_row_waits_no_longer_than_its_source_transaction() {
    let folder = folder();
    let path = file(&folder);
    let t = ranked(&[0]);
    let (mut destination, row) = taken_over(&path, STRICTER, &t, OnConflict::Stop).await;
    let later = |operation: Operation| Operation {
        lsn: Lsn(0x1_0000_0003),
        ..operation
    };
    let batch = vec![
        insert(&t, &[int(4), int(10), text("d")]),
        later(delete(&t, &[int(4)])),
    ];
    let error = apply(&mut destination, &row, 200, batch).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("insert at 1/2: conflict: a row with id = 4"),
        "{error}"
    );
    assert_eq!(look(&path, "SELECT count(*) FROM t"), ["3"]);
}

#[tokio::test]
async fn a_conflict_that_is_to_be_applied_is_once_nothing_else_makes_room() {
    let folder = folder();
    let path = file(&folder);
    let t = ranked(&[0]);
    let (mut destination, row) = taken_over(&path, STRICTER, &t, OnConflict::Apply).await;
    // The source has no row 3, and one of rank 20 only once row 2 has left it.
    let batch = vec![
        insert(&t, &[int(3), int(20), text("ours")]),
        update(&t, &[(1, int(40))], &[int(2)]),
    ];
    apply(&mut destination, &row, 200, batch).await.unwrap();
    let expected = ["1|10|a|of 1", "2|40|b|of 2", "3|20|ours|of 3"];
    assert_eq!(look(&path, "SELECT * FROM t ORDER BY id"), expected);
}

/// Of what is refused nothing stays: no place for rows that wait, nothing that a trigger did before it refused.
#[tokio::test]
async fn a_row_that_waits_is_refused_alone() {
    let folder = folder();
    let path = file(&folder);
    let t = ranked(&[0]);
    let sql = format!(
        "{STRICTER}; CREATE TABLE audit (id);
         CREATE TRIGGER fails AFTER UPDATE ON t WHEN NEW.name = 'bad' BEGIN INSERT INTO audit VALUES (NEW.id); SELECT RAISE(FAIL, 'bad'); END"
    );
    let (mut destination, row) = taken_over(&path, &sql, &t, OnConflict::Stop).await;
    let next = row.advanced(Lsn(200));
    destination.begin(&row, &next).await.unwrap();
    let batch = vec![
        update(&t, &[(1, int(20)), (2, text("bad"))], &[int(1)]), // would be the first to wait
        update(&t, &[(1, int(20))], &[int(1)]),
        update(&t, &[(2, text("bad"))], &[int(1)]), // waits
        update(&t, &[(2, text("bad"))], &[int(2)]),
        update(&t, &[(1, int(10))], &[int(2)]),
        delete(&t, &[int(7)]),
        delete(&t, &[int(3)]),
    ];
    let refused = destination.attempt(batch.clone()).await.unwrap();
    let places: Vec<usize> = refused.iter().map(|refused| refused.at).collect();
    assert_eq!(places, [0, 2, 3, 5], "{refused:?}");
    for refused in refused {
        assert_eq!(refused.operation, batch[refused.at]);
        assert_eq!(refused.error.refused_lsn(), Some(Lsn(0x1_0000_0002)));
    }
    assert!(matches!(
        destination.commit().await.unwrap(),
        Outcome::Committed(_)
    ));
    let there = look(&path, "SELECT id, rank, name FROM t ORDER BY id");
    assert_eq!(there, ["1|20|a", "2|10|b"]);
    assert_eq!(look(&path, "SELECT * FROM audit"), [""; 0]);
}

/// Then nothing is left to be left out of.
#[tokio::test]
async fn a_trigger_that_ends_the_transaction_ends_the_batch() {
    let folder = folder();
    let path = file(&folder);
    let t = ranked(&[0]);
    let sql = format!(
        "{STRICTER}; CREATE TRIGGER ends BEFORE INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'never'); END"
    );
    let (mut destination, row) = taken_over(&path, &sql, &t, OnConflict::Stop).await;
    let next = row.advanced(Lsn(200));
    destination.begin(&row, &next).await.unwrap();
    let batch = vec![
        delete(&t, &[int(1)]),
        insert(&t, &[int(4), int(40), text("d")]),
        delete(&t, &[int(2)]),
    ];
    let error = destination.attempt(batch).await.unwrap_err();
    assert!(error.to_string().contains("never"), "{error}");
    assert!(error.hint().unwrap().contains("RAISE(ABORT)"), "{error:?}");
    assert!(destination.commit().await.is_err());
    assert_eq!(look(&path, "SELECT count(*) FROM t"), ["3"]);
}
