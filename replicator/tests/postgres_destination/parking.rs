//! Rows that wait for their keys in tables that somebody else made.

use replicator::OnConflict;

use super::*;

/// `id integer, rank integer, name text`, identified by these columns.
fn ranked(key: &[usize]) -> Arc<Table> {
    named(1, "t", &[("id", INT), ("rank", INT), ("name", TEXT)], key)
}

/// A server on which somebody made the table `t`, taken over and at 100.
async fn taken_over(
    stage: &Stage,
    sql: &str,
    table: &Arc<Table>,
    policy: OnConflict,
) -> (PostgresDestination, PositionRow) {
    meddle(stage, sql);
    let options = options(stage).on_conflict(policy);
    let mut destination = PostgresDestination::open(options).await.unwrap();
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

/// With what the source has not: an identity that nothing may be given, a default, something computed.
const STRICTER: &str = "
    CREATE TABLE t (id integer PRIMARY KEY, rank integer NOT NULL UNIQUE, name text CHECK (name <> 'bad'),
      local text NOT NULL DEFAULT 'new', number integer GENERATED ALWAYS AS IDENTITY,
      doubled integer GENERATED ALWAYS AS (rank * 2) STORED);
    INSERT INTO t VALUES (1, 10, 'a', 'of 1'), (2, 20, 'b', 'of 2'), (3, 30, 'c', 'of 3')";

#[tokio::test]
async fn what_is_not_replicated_stays_with_its_row() {
    for stage in stages() {
        let t = ranked(&[0]);
        let (mut destination, row) = taken_over(&stage, STRICTER, &t, OnConflict::Stop).await;
        let row = apply(&mut destination, &row, 200, swap(&t)).await.unwrap();
        let expected = ["1|20|a|of 1|1|40", "2|10|b|of 2|2|20", "3|30|c|of 3|3|60"];
        assert_eq!(look(&stage, "SELECT * FROM t ORDER BY id"), expected);

        // A row that is new, one that goes while it waits, and one that changes.
        let batch = vec![
            insert(&t, &[int(4), int(10), text("d")]),
            update(&t, &[(1, int(30))], &[int(2)]),
            update(&t, &[(2, text("waits"))], &[int(2)]),
            update(&t, &[(1, int(20)), (2, text("C"))], &[int(3)]),
            delete(&t, &[int(1)]),
        ];
        apply(&mut destination, &row, 300, batch).await.unwrap();
        let there = "SELECT id, rank, name, local, doubled FROM t ORDER BY id";
        let expected = ["2|30|waits|of 2|60", "3|20|C|of 3|40", "4|10|d|new|20"];
        assert_eq!(look(&stage, there), expected);
        let identities = "SELECT number > 3 FROM t WHERE id = 4 UNION ALL SELECT number = id FROM t WHERE id < 4";
        assert_eq!(look(&stage, identities), ["t", "t", "t"]);
    }
}

/// Taking a row out and bringing it back would be noticed, or the source compares as soon as we do.
#[tokio::test]
async fn where_no_row_can_wait_a_collision_stops() {
    const TABLE: &str =
        "CREATE TABLE t (id integer PRIMARY KEY, rank integer NOT NULL UNIQUE, name text);
        INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b');";
    for stage in stages() {
        for (key, sql) in [
            (
                0,
                "CREATE TABLE child (id integer REFERENCES t ON DELETE CASCADE); INSERT INTO child VALUES (1), (2)",
            ),
            (
                0,
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER f AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f()",
            ),
            (0, "CREATE RULE r AS ON DELETE TO t DO ALSO NOTIFY gone"),
            (0, "CREATE TABLE heir () INHERITS (t)"),
            (1, "ALTER TABLE t DROP CONSTRAINT t_pkey"),
        ] {
            let t = ranked(&[key]);
            let (mut destination, row) =
                taken_over(&stage, &format!("{TABLE} {sql}"), &t, OnConflict::Stop).await;
            let batch = if key == 1 {
                vec![
                    update(&t, &[(1, int(20))], &[int(10)]),
                    delete(&t, &[int(20)]),
                ]
            } else {
                swap(&t)
            };
            let error = apply(&mut destination, &row, 200, batch).await.unwrap_err();
            assert!(
                error.to_string().contains("collide with another row"),
                "{sql}: {error}"
            );
            assert_eq!(look(&stage, "SELECT * FROM t"), ["1|10|a", "2|20|b"]);
            destination.forget("s").await.unwrap();
            destination.close().await.unwrap();
            meddle(
                &stage,
                "DROP TABLE t CASCADE; DROP TABLE IF EXISTS child; DROP FUNCTION IF EXISTS f",
            );
        }
    }
}

/// What one source transaction undoes of another is not to hide what both met.
#[tokio::test]
async fn a_row_waits_no_longer_than_its_source_transaction() {
    for stage in stages() {
        let t = ranked(&[0]);
        let (mut destination, row) = taken_over(&stage, STRICTER, &t, OnConflict::Stop).await;
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
        assert_eq!(look(&stage, "SELECT count(*) FROM t"), ["3"]);
        // Nor does it keep another from being there.
        let mut batch = swap(&t);
        batch.extend(swap(&t).into_iter().rev().map(later));
        let error = apply(&mut destination, &row, 200, batch).await;
        error.unwrap();
        let ranks = look(&stage, "SELECT rank FROM t ORDER BY id");
        assert_eq!(ranks, ["20", "10", "30"]);
    }
}

#[tokio::test]
async fn a_conflict_that_is_to_be_applied_is_once_nothing_else_makes_room() {
    for stage in stages() {
        let t = ranked(&[0]);
        let (mut destination, row) = taken_over(&stage, STRICTER, &t, OnConflict::Apply).await;
        // The source has no row 3, and one of rank 20 only once row 2 has left it.
        let batch = vec![
            insert(&t, &[int(3), int(20), text("ours")]),
            update(&t, &[(1, int(40))], &[int(2)]),
        ];
        apply(&mut destination, &row, 200, batch).await.unwrap();
        let expected = ["1|10|a|of 1", "2|40|b|of 2", "3|20|ours|of 3"];
        let there = "SELECT id, rank, name, local FROM t ORDER BY id";
        assert_eq!(look(&stage, there), expected);
    }
}

/// Of what is refused nothing stays, a table for rows that wait included, and what waits is refused at once.
#[tokio::test]
async fn a_row_that_waits_is_refused_alone() {
    for stage in stages() {
        let t = ranked(&[0]);
        let (mut destination, row) = taken_over(&stage, STRICTER, &t, OnConflict::Stop).await;
        let next = row.advanced(Lsn(200));
        destination.begin(&row, &next).await.unwrap();
        let batch = vec![
            update(&t, &[(1, int(20)), (2, text("bad"))], &[int(1)]), // would be the first to wait
            update(&t, &[(1, int(20))], &[int(1)]),
            update(&t, &[(2, text("bad"))], &[int(1)]), // waits
            update(&t, &[(1, int(30)), (2, text("bad"))], &[int(2)]),
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
        let there = "SELECT id, rank, name FROM t ORDER BY id";
        assert_eq!(look(&stage, there), ["1|20|a", "2|10|b"]);
    }
}

/// Two rows under the key of one that is to wait: neither does, and others can all the same.
#[tokio::test]
async fn of_two_rows_under_one_key_none_waits() {
    const TWICE: &str = "
        CREATE TABLE t (id integer, rank integer NOT NULL UNIQUE, name text);
        INSERT INTO t VALUES (7, 70, 'x'), (7, 71, 'y'), (1, 10, 'a'), (2, 20, 'b')";
    for stage in stages() {
        let t = ranked(&[0]);
        let (mut destination, row) = taken_over(&stage, TWICE, &t, OnConflict::Stop).await;
        let next = row.advanced(Lsn(200));
        destination.begin(&row, &next).await.unwrap();
        let mut batch = vec![update(&t, &[(1, int(20))], &[int(7)])];
        batch.extend(swap(&t));
        let refused = destination.attempt(batch).await.unwrap();
        let said: Vec<String> = refused
            .iter()
            .map(|refused| format!("{} {}", refused.at, refused.error))
            .collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("0 ") && said[0].contains("2 rows"),
            "{said:?}"
        );
        assert!(matches!(
            destination.commit().await.unwrap(),
            Outcome::Committed(_)
        ));
        let there = "SELECT id, rank FROM t ORDER BY id, rank";
        assert_eq!(look(&stage, there), ["1|20", "2|10", "7|70", "7|71"]);
    }
}
