//! The SQLite destination on real files: what it promises, and what it refuses.
#![cfg(feature = "sqlite")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use replicator::{
    Action, Column, Destination, Error, Existing, Kind, Operation, Outcome, PositionRow,
    SqliteDestination, SqliteOptions, State, Table, TableState, Value,
};
use tempfile::TempDir;
use walproto::{Lsn, Oid};

const INT: u32 = 23;
const TEXT: u32 = 25;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("d.db")
}

fn options(path: &Path) -> SqliteOptions {
    SqliteOptions::new(path, "s").wait(Duration::ZERO)
}

async fn open(path: &Path) -> SqliteDestination {
    SqliteDestination::open(options(path)).await.unwrap()
}

async fn refused(path: &Path) -> Error {
    SqliteDestination::open(options(path)).await.unwrap_err()
}

/// Looks into the file as any other program would.
fn look(path: &Path, sql: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cell = |at| -> rusqlite::Result<String> {
            Ok(match row.get_ref(at)? {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                rusqlite::types::ValueRef::Real(number) => format!("{number:?}"),
                rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                rusqlite::types::ValueRef::Blob(bytes) => format!("{bytes:?}"),
            })
        };
        Ok((0..columns)
            .map(|at| cell(at).unwrap())
            .collect::<Vec<_>>()
            .join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn meddle(path: &Path, sql: &str) {
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

fn named(oid: u32, name: &str, columns: &[(&str, u32)], key: &[usize]) -> Arc<Table> {
    Arc::new(Table {
        oid: Oid(oid),
        schema: "public".to_owned(),
        name: name.to_owned(),
        destination: name.to_owned(),
        columns: columns
            .iter()
            .map(|(name, oid)| Column::new(*name, Oid(*oid), -1, Oid(*oid)))
            .collect(),
        key: key.to_vec(),
        identity: 'd',
        relfilenode: oid,
    })
}

/// `id integer primary key, name text`
fn keyed() -> Arc<Table> {
    named(1, "t", &[("id", INT), ("name", TEXT)], &[0])
}

fn keyless() -> Arc<Table> {
    named(2, "log", &[("at", INT), ("what", TEXT)], &[])
}

fn intent() -> PositionRow {
    PositionRow {
        slot: "s".to_owned(),
        state: State::Intent,
        system_id: "7301".to_owned(),
        timeline: 1,
        database: "shop".to_owned(),
        publications: vec!["p".to_owned(), "q \"r\"".to_owned()],
        lsn: Lsn(90),
        epoch: 0,
        holder: "process 1".to_owned(),
        fingerprint: "f".to_owned(),
    }
}

/// A destination that has copied nothing and streams from 100.
async fn streaming(path: &Path, tables: &[&Arc<Table>]) -> (SqliteDestination, PositionRow) {
    let mut destination = open(path).await;
    let row = destination.write_intent(&intent()).await.unwrap();
    for table in tables {
        destination
            .create_table("s", table, Existing::Refuse)
            .await
            .unwrap();
    }
    let row = destination
        .activate(&PositionRow {
            lsn: Lsn(100),
            ..row
        })
        .await
        .unwrap();
    (destination, row)
}

fn int(number: i64) -> Value {
    Value::Integer(number)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn operation(table: &Arc<Table>, action: Action) -> Operation {
    Operation {
        table: Arc::clone(table),
        lsn: Lsn(0x1_0000_0002),
        action,
    }
}

fn insert(table: &Arc<Table>, values: &[Value]) -> Operation {
    operation(
        table,
        Action::Insert {
            values: values.to_vec(),
        },
    )
}

fn update(table: &Arc<Table>, set: &[(usize, Value)], matched: &[Value]) -> Operation {
    operation(
        table,
        Action::Update {
            set: set.to_vec(),
            matched: matched.to_vec(),
        },
    )
}

fn delete(table: &Arc<Table>, matched: &[Value]) -> Operation {
    operation(
        table,
        Action::Delete {
            matched: matched.to_vec(),
        },
    )
}

/// One whole batch.
async fn apply(
    destination: &mut SqliteDestination,
    row: &PositionRow,
    to: u64,
    operations: Vec<Operation>,
) -> Result<PositionRow, Error> {
    destination.begin(row, &row.advanced(Lsn(to))).await?;
    destination.execute(operations).await?;
    match destination.commit().await? {
        Outcome::Committed(row) => Ok(row),
        Outcome::NotCommitted(error) => Err(error),
    }
}

async fn everything(destination: &mut SqliteDestination, table: &Arc<Table>) -> Vec<Vec<Value>> {
    let mut rows = destination.read(table).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = rows.next().await.unwrap() {
        assert!(!chunk.is_empty());
        all.extend(chunk);
    }
    all
}

#[tokio::test]
async fn a_first_start_leaves_a_position_and_a_ledger_that_a_later_one_finds() {
    let folder = folder();
    let path = file(&folder);
    let mut destination = open(&path).await;
    assert_eq!(destination.position("s").await.unwrap(), None);
    assert_eq!(destination.tables("s").await.unwrap(), []);

    let row = destination.write_intent(&intent()).await.unwrap();
    assert_eq!(
        row,
        PositionRow {
            epoch: 1,
            ..intent()
        }
    );
    let (keyed, keyless) = (keyed(), keyless());
    for table in [&keyed, &keyless] {
        destination
            .create_table("s", table, Existing::Refuse)
            .await
            .unwrap();
    }
    assert!(
        destination
            .tables("s")
            .await
            .unwrap()
            .iter()
            .all(|row| row.state == TableState::Copying && row.made_by_us)
    );
    destination
        .copy(
            &keyed,
            vec![vec![int(1), text("a")], vec![int(2), Value::Null]],
        )
        .await
        .unwrap();
    destination
        .copy(&keyed, vec![vec![int(3), text("c")]])
        .await
        .unwrap();
    let active = destination
        .activate(&PositionRow {
            lsn: Lsn(100),
            ..row.clone()
        })
        .await
        .unwrap();
    assert_eq!(
        active,
        PositionRow {
            state: State::Streaming,
            lsn: Lsn(100),
            ..row
        }
    );
    destination.close().await.unwrap();

    let mut destination = open(&path).await;
    assert_eq!(
        destination.position("s").await.unwrap(),
        Some(active.clone())
    );
    assert_eq!(destination.position("other").await.unwrap(), None);
    let tables = destination.tables("s").await.unwrap();
    assert_eq!(
        tables.iter().map(|row| &row.table).collect::<Vec<_>>(),
        [&*keyless, &*keyed]
    );
    assert!(
        tables
            .iter()
            .all(|row| row.state == TableState::Streaming && row.sync_position == Some(Lsn(100)))
    );
    let raised = destination.raise_epoch("s", "process 2").await.unwrap();
    assert_eq!(
        raised,
        PositionRow {
            epoch: 2,
            holder: "process 2".to_owned(),
            ..active
        }
    );
    assert_eq!(
        look(&path, "SELECT * FROM t ORDER BY id"),
        ["1|a", "2|NULL", "3|c"]
    );
    assert_eq!(
        look(
            &path,
            "SELECT slot, state, lsn, epoch FROM _replicator_position"
        ),
        ["s|streaming|0/64|2"]
    );
    assert_eq!(look(&path, "PRAGMA journal_mode"), ["wal"]);
}

#[tokio::test]
async fn data_and_position_come_together_or_not_at_all() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    let state =
        "SELECT (SELECT lsn FROM _replicator_position), (SELECT group_concat(id || name) FROM t)";

    let row = apply(
        &mut destination,
        &row,
        0x110,
        vec![
            insert(&t, &[int(1), text("a")]),
            insert(&t, &[int(2), text("b")]),
            update(&t, &[(1, text("c"))], &[int(1)]),
            update(&t, &[(0, int(3)), (1, text("d"))], &[int(2)]),
            update(&t, &[], &[int(3)]),
        ],
    )
    .await
    .unwrap();
    assert_eq!(row.lsn, Lsn(0x110));
    assert_eq!(look(&path, state), ["0/110|1c,3d"]);

    destination
        .begin(&row, &row.advanced(Lsn(0x120)))
        .await
        .unwrap();
    destination
        .execute(vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    assert_eq!(
        look(&path, state),
        ["0/110|1c,3d"],
        "others see whole batches only"
    );
    destination.rollback().await.unwrap();
    assert_eq!(look(&path, state), ["0/110|1c,3d"]);

    destination
        .begin(&row, &row.advanced(Lsn(0x120)))
        .await
        .unwrap();
    destination
        .execute(vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    drop(destination);
    assert_eq!(look(&path, state), ["0/110|1c,3d"]);

    let mut destination = open(&path).await;
    let row = apply(&mut destination, &row, 0x130, vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    assert_eq!(look(&path, state), ["0/130|3d"]);
    apply(
        &mut destination,
        &row,
        0x140,
        vec![operation(&t, Action::Truncate)],
    )
    .await
    .unwrap();
    assert_eq!(look(&path, state), ["0/140|NULL"]);
}

#[tokio::test]
async fn an_idle_batch_writes_the_position_and_never_a_lower_one() {
    let folder = folder();
    let (mut destination, row) = streaming(&file(&folder), &[]).await;
    let row = apply(&mut destination, &row, 200, vec![]).await.unwrap();
    let same = apply(&mut destination, &row, 200, vec![]).await.unwrap();
    assert_eq!(same, row);
    let lower = PositionRow {
        lsn: Lsn(150),
        timeline: 2,
        fingerprint: "g".to_owned(),
        ..row.clone()
    };
    destination.begin(&row, &lower).await.unwrap();
    let Outcome::Committed(now) = destination.commit().await.unwrap() else {
        panic!("not committed")
    };
    assert_eq!(
        now,
        PositionRow {
            lsn: Lsn(200),
            ..lower
        }
    );
    assert_eq!(destination.position("s").await.unwrap(), Some(now));
}

#[tokio::test]
async fn a_zombie_changes_nothing_after_a_newcomer_took_over() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut zombie, old) = streaming(&path, &[&t]).await;
    // Somebody removed the lock file under it, so both have the file open.
    std::fs::remove_file(folder.path().join("d.db-replicator.lock")).unwrap();
    let mut newcomer = open(&path).await;
    let row = newcomer
        .raise_epoch("s", "process 4711 on host b")
        .await
        .unwrap();
    let row = apply(
        &mut newcomer,
        &row,
        0x110,
        vec![insert(&t, &[int(1), text("new")])],
    )
    .await
    .unwrap();

    for expected in [
        &old,
        &PositionRow {
            lsn: Lsn(0x110),
            ..old.clone()
        },
    ] {
        let error = apply(
            &mut zombie,
            expected,
            0x120,
            vec![insert(&t, &[int(2), text("old")])],
        )
        .await
        .unwrap_err();
        assert!(
            error.to_string().contains("took over")
                && error.to_string().contains("process 4711 on host b"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 1);
    }
    assert_eq!(look(&path, "SELECT * FROM t"), ["1|new"]);
    apply(
        &mut newcomer,
        &row,
        0x120,
        vec![insert(&t, &[int(2), text("new")])],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn the_source_of_a_first_copy_can_be_taken_over_too() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let mut destination = open(&path).await;
    let row = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", &t, Existing::Refuse)
        .await
        .unwrap();
    meddle(
        &path,
        "UPDATE _replicator_position SET epoch = epoch + 1, holder = 'process 9'",
    );
    let copied = destination
        .copy(&t, vec![vec![int(1), text("a")]])
        .await
        .unwrap_err();
    let activated = destination.activate(&row).await.unwrap_err();
    for error in [copied, activated] {
        assert!(error.to_string().contains("process 9"), "{error}");
    }
    assert_eq!(look(&path, "SELECT count(*) FROM t"), ["0"]);
}

#[tokio::test]
async fn a_position_that_somebody_moved_needs_a_person() {
    let folder = folder();
    let path = file(&folder);
    let (mut destination, row) = streaming(&path, &[]).await;
    meddle(&path, "UPDATE _replicator_position SET lsn = '0/65'");
    let error = apply(&mut destination, &row, 200, vec![])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("was at 0/64 and is at 0/65"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);

    meddle(&path, "DELETE FROM _replicator_position");
    let error = apply(&mut destination, &row, 200, vec![])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is gone"), "{error}");
    assert_eq!(error.exit_code(), 3);
    assert_eq!(
        destination
            .raise_epoch("s", "me")
            .await
            .unwrap_err()
            .exit_code(),
        3
    );
}

#[tokio::test]
async fn divergence_stops_with_table_key_and_position_and_undoes_the_batch() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    let rows = vec![
        insert(&t, &[int(1), text("a")]),
        insert(&t, &[int(2), text("b")]),
    ];
    let row = apply(&mut destination, &row, 0x110, rows).await.unwrap();
    for (conflicting, says) in [
        (
            insert(&t, &[int(1), text("x")]),
            "insert at 1/2: conflict: a row with id = 1 is there already",
        ),
        (
            update(&t, &[(1, text("x"))], &[int(7)]),
            "update at 1/2: conflict: there is no row with id = 7",
        ),
        (
            update(&t, &[], &[int(7)]),
            "update at 1/2: conflict: there is no row with id = 7",
        ),
        (
            update(&t, &[(0, int(1))], &[int(2)]),
            "collide with another row than the one with id = 2",
        ),
        (
            delete(&t, &[int(7)]),
            "delete at 1/2: conflict: there is no row with id = 7",
        ),
    ] {
        let batch = vec![insert(&t, &[int(3), text("c")]), conflicting];
        let error = apply(&mut destination, &row, 0x120, batch)
            .await
            .unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("table public.t, ") && message.contains(says),
            "{message}"
        );
        assert_eq!(error.exit_code(), 3);
        assert!(error.hint().is_some());
        // Nothing more can come of that batch.
        assert!(destination.execute(vec![]).await.is_err());
        assert!(destination.commit().await.is_err());
        assert_eq!(look(&path, "SELECT * FROM t"), ["1|a", "2|b"]);
        assert_eq!(
            look(&path, "SELECT lsn FROM _replicator_position"),
            ["0/110"]
        );
    }
    apply(
        &mut destination,
        &row,
        0x120,
        vec![insert(&t, &[int(3), text("c")])],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn of_equal_rows_exactly_one_is_touched() {
    let folder = folder();
    let path = file(&folder);
    let log = keyless();
    let (mut destination, row) = streaming(&path, &[&log]).await;
    let same = [int(1), Value::Null];
    let rows = vec![
        insert(&log, &same),
        insert(&log, &same),
        insert(&log, &same),
        insert(&log, &[int(1), text("")]),
    ];
    let row = apply(&mut destination, &row, 0x110, rows).await.unwrap();
    let changes = vec![
        update(&log, &[(0, int(1)), (1, text("x"))], &same),
        delete(&log, &same),
    ];
    let row = apply(&mut destination, &row, 0x120, changes).await.unwrap();
    assert_eq!(
        look(&path, "SELECT * FROM log ORDER BY what"),
        ["1|NULL", "1|", "1|x"]
    );
    let row = apply(&mut destination, &row, 0x130, vec![delete(&log, &same)])
        .await
        .unwrap();
    let error = apply(&mut destination, &row, 0x140, vec![delete(&log, &same)])
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no row with at = 1, what = NULL"),
        "{error}"
    );
}

#[tokio::test]
async fn the_row_number_hides_behind_no_column() {
    let folder = folder();
    let path = file(&folder);
    let t = named(1, "t", &[("rowid", INT), ("_rowid_", INT)], &[]);
    let (mut destination, row) = streaming(&path, &[&t]).await;
    let same = [int(5), int(5)];
    let batch = vec![insert(&t, &same), insert(&t, &same), delete(&t, &same)];
    apply(&mut destination, &row, 0x110, batch).await.unwrap();
    assert_eq!(look(&path, "SELECT \"rowid\", \"_rowid_\" FROM t"), ["5|5"]);
}

#[tokio::test]
async fn sixteen_hundred_columns_are_no_deeper_than_one() {
    let folder = folder();
    let path = file(&folder);
    let names: Vec<String> = (0..1600).map(|at| format!("c{at}")).collect();
    let columns: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), TEXT)).collect();
    let wide = named(1, "wide", &columns, &[]);
    let (mut destination, row) = streaming(&path, &[&wide]).await;
    let old: Vec<Value> = (0..1600)
        .map(|at| if at % 3 == 0 { Value::Null } else { text("x") })
        .collect();
    let new: Vec<Value> = (0..1600)
        .map(|at| if at % 5 == 0 { Value::Null } else { text("y") })
        .collect();
    let set: Vec<_> = new.iter().cloned().enumerate().collect();
    let batch = vec![
        insert(&wide, &old),
        insert(&wide, &old),
        update(&wide, &set, &old),
        delete(&wide, &old),
    ];
    apply(&mut destination, &row, 0x110, batch).await.unwrap();
    assert_eq!(everything(&mut destination, &wide).await, [new]);
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    let folder = folder();
    let path = file(&folder);
    let hostile = [
        "x\"; DROP TABLE y; --",
        "select",
        "a.b",
        "two words",
        "'",
        "`[]",
        "日本",
        "-- x",
        "?1",
        ":a",
        "\u{10FFFF}",
        "\\",
        "%s",
    ];
    let tables: Vec<_> = hostile
        .iter()
        .zip(1..)
        .map(|(name, oid)| named(oid, name, &[(*name, INT), ("abc", TEXT)], &[0]))
        .collect();
    let (mut destination, row) = streaming(&path, &tables.iter().collect::<Vec<_>>()).await;
    let mut row = row;
    for table in &tables {
        let batch = vec![
            insert(table, &[int(1), text("'; DROP TABLE y; --")]),
            insert(table, &[int(2), text("b")]),
            update(table, &[(1, text("c"))], &[int(1)]),
            delete(table, &[int(2)]),
        ];
        row = apply(&mut destination, &row, row.lsn.0 + 1, batch)
            .await
            .unwrap();
        assert_eq!(
            everything(&mut destination, table).await,
            [[int(1), text("c")]]
        );
    }
    let ledger = destination.tables("s").await.unwrap();
    assert!(
        tables
            .iter()
            .all(|table| ledger.iter().any(|row| row.table == **table))
    );
}

#[tokio::test]
async fn a_name_that_is_no_column_does_not_become_a_text() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    meddle(&path, "ALTER TABLE t RENAME COLUMN name TO other");
    let error = apply(
        &mut destination,
        &row,
        200,
        vec![update(&t, &[], &[int(1)])],
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("conflict"), "{error}");
    let wrong = named(1, "t", &[("name", TEXT)], &[0]);
    let error = apply(
        &mut destination,
        &row,
        200,
        vec![delete(&wrong, &[text("name")])],
    )
    .await
    .unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no such column"), "{cause}");
}

#[tokio::test]
async fn more_shapes_than_are_kept_ready_do_no_harm() {
    let folder = folder();
    let path = file(&folder);
    let names: Vec<String> = (0..12).map(|at| format!("c{at}")).collect();
    let columns: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), INT)).collect();
    let t = named(1, "t", &columns, &[0]);
    let (mut destination, row) = streaming(&path, &[&t]).await;
    let mut batch = vec![insert(&t, &vec![int(0); 12])];
    let mut expected = vec![int(0); 12];
    for shape in 0..1 << 11 {
        let set: Vec<_> = (1..12)
            .filter(|at| shape >> (at - 1) & 1 == 1)
            .map(|at| (at, int(shape + at as i64)))
            .collect();
        for (at, value) in &set {
            expected[*at] = value.clone();
        }
        batch.push(update(&t, &set, &[int(0)]));
    }
    apply(&mut destination, &row, 200, batch).await.unwrap();
    assert_eq!(everything(&mut destination, &t).await, [expected]);
}

#[tokio::test]
async fn special_values_come_back_as_they_were() {
    let folder = folder();
    let path = file(&folder);
    let kinds = [
        (
            Kind::Float4,
            700,
            &[
                "NaN",
                "-0",
                "Infinity",
                "-Infinity",
                "0",
                "0.1",
                "3.4028235e+38",
                "1e-45",
            ][..],
        ),
        (
            Kind::Float8,
            701,
            &[
                "NaN",
                "-0",
                "Infinity",
                "-Infinity",
                "0",
                "5e-324",
                "1e+15",
                "100000000000000",
                "0.30000000000000004",
            ],
        ),
        (
            Kind::Int8,
            20,
            &["-9223372036854775808", "9223372036854775807", "0"],
        ),
        (Kind::Oid, 26, &["4294967295"]),
        (Kind::Bool, 16, &["t", "f"]),
        (Kind::Bytea, 17, &["\\x", "\\x00", "\\x0000ff00"]),
        (
            Kind::Text,
            25,
            &[
                "",
                "t",
                "f",
                "\\N",
                "'",
                "\\",
                "\r\n",
                "\u{10FFFF}",
                "1.50",
                "007",
                "1e5",
                "-0",
                "NaN",
                "infinity",
                "0044-03-15 BC",
                " x ",
                "\\x00",
            ],
        ),
        (
            Kind::Text,
            1700,
            &[
                "1.00",
                "NaN",
                "Infinity",
                "0.0000000000000000000000001",
                "99999999999999999999999999999999999999",
            ],
        ),
    ];
    for (kind, oid, texts) in kinds {
        let path = path.with_extension(oid.to_string());
        // As a column, and as a key where SQLite's own ideas about keys come in.
        let value = named(1, "value", &[("n", INT), ("v", oid)], &[0]);
        let key = named(2, "key", &[("v", oid)], &[0]);
        let all = named(3, "all", &[("v", oid)], &[]);
        let (mut destination, row) = streaming(&path, &[&value, &key, &all]).await;
        let values: Vec<Value> = texts
            .iter()
            .map(|text| Value::from_text(kind, text.as_bytes()).unwrap())
            .collect();
        let mut batch = Vec::new();
        for (at, sent) in values.iter().enumerate() {
            batch.push(insert(&value, &[int(at as i64), Value::Null]));
            batch.push(update(&value, &[(1, sent.clone())], &[int(at as i64)]));
            batch.push(insert(&key, std::slice::from_ref(sent)));
            batch.push(update(&key, &[], std::slice::from_ref(sent)));
            batch.push(insert(&all, std::slice::from_ref(sent)));
            batch.push(update(
                &all,
                &[(0, sent.clone())],
                std::slice::from_ref(sent),
            ));
        }
        apply(&mut destination, &row, 200, batch).await.unwrap();
        let back = |rows: Vec<Vec<Value>>| -> Vec<String> {
            let mut texts: Vec<_> = rows
                .iter()
                .map(|row| row.last().unwrap().to_text(kind).unwrap().unwrap())
                .collect();
            texts.sort();
            texts
        };
        let mut sorted: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        sorted.sort();
        for table in [&value, &key, &all] {
            assert_eq!(
                back(everything(&mut destination, table).await),
                sorted,
                "{kind:?} in {}",
                table.name
            );
        }
    }
}

fn any_value() -> impl Strategy<Value = (Kind, Value)> {
    let from =
        |kind: Kind| move |text: String| (kind, Value::from_text(kind, text.as_bytes()).unwrap());
    prop_oneof![
        any::<bool>()
            .prop_map(|b| if b { "t" } else { "f" }.to_owned())
            .prop_map(from(Kind::Bool)),
        any::<i16>()
            .prop_map(|n| n.to_string())
            .prop_map(from(Kind::Int2)),
        any::<i32>()
            .prop_map(|n| n.to_string())
            .prop_map(from(Kind::Int4)),
        any::<i64>()
            .prop_map(|n| n.to_string())
            .prop_map(from(Kind::Int8)),
        any::<u32>()
            .prop_map(|n| n.to_string())
            .prop_map(from(Kind::Oid)),
        any::<u32>()
            .prop_filter("a number", |bits| f32::from_bits(*bits).is_finite()
                && *bits != 1 << 31)
            .prop_map(|bits| format!("{:e}", f32::from_bits(bits)))
            .prop_map(from(Kind::Float4)),
        any::<u64>()
            .prop_filter("a number", |bits| f64::from_bits(*bits).is_finite()
                && *bits != 1 << 63)
            .prop_map(|bits| format!("{:e}", f64::from_bits(bits)))
            .prop_map(from(Kind::Float8)),
        any::<Vec<u8>>().prop_map(|bytes| (Kind::Bytea, Value::Blob(bytes))),
        "[^\0]*".prop_map(from(Kind::Text)),
        "-?[0-9]{1,30}(\\.[0-9]{1,20})?".prop_map(from(Kind::Text)),
        Just((Kind::Text, Value::Null)),
    ]
}

const fn oid_of(kind: Kind) -> u32 {
    match kind {
        Kind::Bool => 16,
        Kind::Int2 => 21,
        Kind::Int4 => 23,
        Kind::Int8 => 20,
        Kind::Oid => 26,
        Kind::Float4 => 700,
        Kind::Float8 => 701,
        Kind::Bytea => 17,
        Kind::Text => 1700,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_row_comes_back_to_the_bit(row in proptest::collection::vec(any_value(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = folder();
            let names: Vec<String> = (0..row.len()).map(|at| format!("c{at}")).collect();
            let columns: Vec<(&str, u32)> =
                names.iter().zip(&row).map(|(name, (kind, _))| (name.as_str(), oid_of(*kind))).collect();
            let table = named(1, "t", &columns, &[]);
            let (mut destination, position) = streaming(&file(&folder), &[&table]).await;
            let values: Vec<Value> = row.into_iter().map(|(_, value)| value).collect();
            let nulls = vec![Value::Null; values.len()];
            let set: Vec<_> = values.iter().cloned().enumerate().collect();
            let batch = vec![
                insert(&table, &values),
                insert(&table, &nulls),
                delete(&table, &values),
                update(&table, &set, &nulls),
            ];
            // A row of NULLs only is both rows.
            if values != nulls {
                apply(&mut destination, &position, 200, batch).await.unwrap();
                assert_eq!(everything(&mut destination, &table).await, [values]);
            }
        });
    }
}

#[tokio::test]
async fn a_table_that_somebody_else_made_stops_with_the_way_out() {
    let folder = folder();
    let path = file(&folder);
    meddle(
        &path,
        "CREATE TABLE T (id INTEGER PRIMARY KEY, name TEXT, more TEXT); CREATE VIEW log AS SELECT 1",
    );
    let mut destination = open(&path).await;
    destination.write_intent(&intent()).await.unwrap();
    let error = destination
        .create_table("s", &keyed(), Existing::Refuse)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("table \"t\" that we did not make"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--copy no"));
    assert_eq!(error.exit_code(), 3);
    for existing in [Existing::Refuse, Existing::Accept] {
        let error = destination
            .create_table("s", &keyless(), existing)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("view \"log\""), "{error}");
    }

    destination
        .create_table("s", &keyed(), Existing::Accept)
        .await
        .unwrap();
    assert!(!destination.tables("s").await.unwrap()[0].made_by_us);
    assert_eq!(
        destination.drop_made_tables("s").await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(look(&path, "SELECT count(*) FROM t"), ["0"]);
    assert_eq!(destination.tables("s").await.unwrap(), []);
}

#[tokio::test]
async fn a_table_that_would_change_our_values_is_not_taken_over() {
    let folder = folder();
    let path = file(&folder);
    for (declared, says) in [
        ("id INTEGER", "has no column name"),
        (
            "id INTEGER, name NUMERIC",
            "declared NUMERIC, which changes values of type text",
        ),
        (
            "id REAL, name TEXT",
            "declared REAL, which changes values of type integer",
        ),
    ] {
        meddle(
            &path,
            &format!("DROP TABLE IF EXISTS t; CREATE TABLE t ({declared})"),
        );
        let mut destination = open(&path).await;
        destination.write_intent(&intent()).await.unwrap();
        let error = destination
            .create_table("s", &keyed(), Existing::Accept)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
}

#[tokio::test]
async fn two_rows_under_one_key_in_a_table_that_we_took_over_are_a_conflict() {
    let folder = folder();
    let path = file(&folder);
    meddle(
        &path,
        "CREATE TABLE t (id INTEGER, name TEXT); INSERT INTO t VALUES (1, 'a'), (1, 'b')",
    );
    let t = keyed();
    let mut destination = open(&path).await;
    let row = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", &t, Existing::Accept)
        .await
        .unwrap();
    let row = destination.activate(&row).await.unwrap();
    let error = apply(&mut destination, &row, 200, vec![delete(&t, &[int(1)])])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("2 rows were touched"), "{error}");
    assert_eq!(look(&path, "SELECT count(*) FROM t"), ["2"]);
}

#[tokio::test]
async fn cascades_of_a_table_that_we_took_over_are_off() {
    let folder = folder();
    let path = file(&folder);
    meddle(
        &path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE log (at INTEGER REFERENCES t ON DELETE CASCADE, what TEXT);
         INSERT INTO t VALUES (1, 'a'); INSERT INTO log VALUES (1, 'b')",
    );
    let (t, log) = (keyed(), keyless());
    let mut destination = open(&path).await;
    let row = destination.write_intent(&intent()).await.unwrap();
    for table in [&t, &log] {
        destination
            .create_table("s", table, Existing::Accept)
            .await
            .unwrap();
    }
    let row = destination.activate(&row).await.unwrap();
    // The source sends the rows of its own cascade.
    let batch = vec![delete(&t, &[int(1)]), delete(&log, &[int(1), text("b")])];
    apply(&mut destination, &row, 200, batch).await.unwrap();
}

#[tokio::test]
async fn a_first_copy_that_starts_over_drops_what_it_made_and_nothing_else() {
    let folder = folder();
    let path = file(&folder);
    meddle(&path, "CREATE TABLE mine (a); INSERT INTO mine VALUES (1)");
    let t = keyed();
    let mut destination = open(&path).await;
    let first = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", &t, Existing::Refuse)
        .await
        .unwrap();
    destination
        .copy(&t, vec![vec![int(1), text("a")]])
        .await
        .unwrap();
    drop(destination);

    let mut destination = open(&path).await;
    assert_eq!(
        destination.position("s").await.unwrap(),
        Some(first.clone())
    );
    // Another slot may not have our table.
    let error = destination
        .create_table("other", &t, Existing::Accept)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("belongs to slot s"), "{error}");
    assert_eq!(destination.drop_made_tables("s").await.unwrap(), ["t"]);
    let second = destination
        .write_intent(&PositionRow {
            lsn: Lsn(95),
            ..intent()
        })
        .await
        .unwrap();
    assert_eq!(
        second,
        PositionRow {
            lsn: Lsn(95),
            epoch: 2,
            ..first
        }
    );
    destination
        .create_table("s", &t, Existing::Refuse)
        .await
        .unwrap();
    destination
        .copy(&t, vec![vec![int(1), text("b")]])
        .await
        .unwrap();
    destination.activate(&second).await.unwrap();
    assert_eq!(look(&path, "SELECT * FROM t"), ["1|b"]);
    assert_eq!(look(&path, "SELECT * FROM mine"), ["1"]);
}

#[tokio::test]
async fn an_intent_is_never_written_over_a_position_nor_a_position_taken_for_an_intent() {
    let folder = folder();
    let (mut destination, row) = streaming(&file(&folder), &[]).await;
    assert_eq!(
        destination
            .write_intent(&intent())
            .await
            .unwrap_err()
            .exit_code(),
        3
    );
    assert_eq!(
        destination
            .remove_intent("s")
            .await
            .unwrap_err()
            .exit_code(),
        3
    );
    assert_eq!(destination.position("s").await.unwrap(), Some(row));

    destination.forget("s").await.unwrap();
    destination.write_intent(&intent()).await.unwrap();
    destination.remove_intent("s").await.unwrap();
    destination.remove_intent("s").await.unwrap();
    assert_eq!(destination.position("s").await.unwrap(), None);
}

#[tokio::test]
async fn forgetting_a_slot_keeps_its_tables_and_other_slots() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    apply(
        &mut destination,
        &row,
        200,
        vec![insert(&t, &[int(1), text("a")])],
    )
    .await
    .unwrap();
    destination
        .write_intent(&PositionRow {
            slot: "other".to_owned(),
            ..intent()
        })
        .await
        .unwrap();
    destination.forget("s").await.unwrap();
    destination.forget("never seen").await.unwrap();
    assert_eq!(destination.position("s").await.unwrap(), None);
    assert_eq!(destination.tables("s").await.unwrap(), []);
    assert!(destination.position("other").await.unwrap().is_some());
    assert_eq!(look(&path, "SELECT * FROM t"), ["1|a"]);
}

#[tokio::test]
async fn a_stopped_table_says_why() {
    let folder = folder();
    let (mut destination, _) = streaming(&file(&folder), &[&keyed()]).await;
    destination
        .stop_table("s", Oid(1), "column x is new")
        .await
        .unwrap();
    let state = &destination.tables("s").await.unwrap()[0].state;
    assert_eq!(*state, TableState::Stopped("column x is new".to_owned()));
}

#[tokio::test]
async fn a_newer_layout_of_our_tables_is_left_alone() {
    let folder = folder();
    let path = file(&folder);
    drop(streaming(&path, &[&keyed()]).await);
    meddle(&path, "UPDATE _replicator_tables SET version = 2");
    let mut destination = open(&path).await;
    let mut errors = vec![
        destination.position("s").await.unwrap_err(),
        destination.raise_epoch("s", "me").await.unwrap_err(),
        destination.write_intent(&intent()).await.unwrap_err(),
        destination.forget("s").await.unwrap_err(),
    ];
    errors.push(destination.drop_made_tables("s").await.unwrap_err());
    for error in errors {
        assert!(
            error.to_string().contains("newer replicator (layout 2"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 3);
    }
}

#[tokio::test]
async fn half_of_our_tables_is_not_a_new_destination() {
    for missing in ["_replicator_position", "_replicator_tables"] {
        let folder = folder();
        let path = file(&folder);
        drop(streaming(&path, &[&keyed()]).await);
        meddle(&path, &format!("DROP TABLE {missing}"));
        let mut destination = open(&path).await;
        for error in [
            destination.position("s").await.unwrap_err(),
            destination.write_intent(&intent()).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains("one is missing"), "{error}");
            assert_eq!(error.exit_code(), 3);
        }
    }
}

#[tokio::test]
async fn tables_of_other_tools_with_our_names_are_left_alone() {
    let folder = folder();
    let path = file(&folder);
    meddle(
        &path,
        "CREATE TABLE _replicator_position (a); CREATE TABLE _replicator_tables (a)",
    );
    let error = open(&path).await.write_intent(&intent()).await.unwrap_err();
    assert!(
        error.to_string().contains("replicator's own tables"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test]
async fn one_process_writes_and_the_next_is_told_who() {
    let folder = folder();
    let path = file(&folder);
    let first = open(&path).await;
    let error = refused(&path).await;
    assert_eq!(error.exit_code(), 1);
    let me = format!("process {}, slot s", std::process::id());
    assert!(error.to_string().contains(&me), "{error}");

    // By another name it is the same file.
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(refused(&link).await.to_string().contains(&me));

    // A newcomer that waits gets it when the first one leaves.
    let waiting = tokio::spawn(SqliteDestination::open(
        options(&path).wait(Duration::from_secs(60)),
    ));
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.close().await.unwrap();
    waiting.await.unwrap().unwrap();
    open(&path).await;
}

#[tokio::test]
async fn what_cannot_be_a_destination_is_said_in_a_sentence() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("text"),
        "this is no database, however long it may be. ".repeat(100),
    )
    .unwrap();
    for (path, code, says) in [
        (at("text"), 2, "the file is not a SQLite database"),
        (folder.path().to_owned(), 2, "is a directory"),
        (at("missing/d.db"), 2, "missing cannot be used"),
        (at("text/d.db"), 2, "text"),
        (PathBuf::from(":memory:"), 2, "is not the name of a file"),
        (PathBuf::new(), 2, "is not the name of a file"),
        (PathBuf::from("/"), 2, "a file"),
    ] {
        let error = refused(&path).await;
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(says), "{path:?}: {error}");
    }
    let error = SqliteDestination::open(options(&at("new")).create(false))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("there is no file"), "{error}");
    assert!(!at("new").exists());
    // A name that SQLite would read as a URL is a name.
    open(&at("file:x?mode=memory")).await;
    assert!(at("file:x?mode=memory").exists());
}

#[tokio::test]
async fn a_database_that_another_program_keeps_locked_is_worth_another_try() {
    let folder = folder();
    let path = file(&folder);
    let (mut destination, row) = streaming(&path, &[]).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = apply(&mut destination, &row, 200, vec![])
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("another program keeps the database locked"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 1);
    other.execute_batch("ROLLBACK").unwrap();
    apply(&mut destination, &row, 200, vec![]).await.unwrap();
}

/// Runs one test of this file in another process; `None` when this is that process.
fn in_another_process(
    test: &str,
    setup: impl FnOnce(&mut std::process::Command),
) -> Option<std::process::Output> {
    const MARK: &str = "SQLITE_DESTINATION_CHILD";
    if std::env::var_os(MARK).is_some() {
        return None;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1");
    setup(&mut command);
    Some(command.output().unwrap())
}

#[test]
fn a_file_that_may_not_be_written_is_said_to_be_so() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let child = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let path = PathBuf::from(std::env::var_os("READ_ONLY").unwrap());
        let error = runtime.block_on(refused(&path));
        assert!(error.to_string().contains("may not be written"), "{error}");
        assert_eq!(error.exit_code(), 2);
    };
    let folder = folder();
    let path = file(&folder);
    let test = "a_file_that_may_not_be_written_is_said_to_be_so";
    let output = in_another_process(test, |command| {
        meddle(&path, "CREATE TABLE t (a)");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
        };
        mode(&path, 0o444);
        mode(folder.path(), 0o777);
        command.env("READ_ONLY", &path);
        // Root may write everything: be somebody else, with a program that he may run.
        if std::fs::metadata("/proc/self")
            .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
        {
            let program = folder.path().join("program");
            std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
            mode(&program, 0o755);
            let mut other = std::process::Command::new(program);
            other
                .args(command.get_args())
                .uid(65534)
                .gid(65534)
                .current_dir(folder.path());
            for (name, value) in command.get_envs() {
                other.env(name, value.unwrap());
            }
            *command = other;
        }
    });
    match output {
        None => child(),
        Some(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && text.contains("1 passed"),
                "{output:?}"
            );
        }
    }
}

/// Where a crash in a batch leaves the file: whole batches, each with its position.
#[cfg(feature = "failpoints")]
#[test]
fn a_crash_anywhere_in_a_batch_leaves_data_and_position_in_agreement() {
    use std::os::unix::process::ExitStatusExt;

    let batches = |path: PathBuf| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let t = keyed();
            let (mut destination, mut row) = streaming(&path, &[&t]).await;
            for batch in 1..=3 {
                let rows = (0..10)
                    .map(|at| insert(&t, &[int(batch * 10 + at), text("x")]))
                    .collect();
                row = apply(
                    &mut destination,
                    &row,
                    0x100 * u64::try_from(batch).unwrap(),
                    rows,
                )
                .await
                .unwrap();
            }
        });
    };
    let test = "a_crash_anywhere_in_a_batch_leaves_data_and_position_in_agreement";
    for (place, state) in [
        ("batch-begun:2", "0/100|10"),
        ("batch-middle:15", "0/100|10"),
        ("batch-before-commit:2", "0/100|10"),
        ("batch-after-commit:2", "0/200|20"),
    ] {
        let folder = folder();
        let (path, log) = (file(&folder), folder.path().join("log"));
        let output = in_another_process(test, |command| {
            command.env("CRASH_FILE", &path);
            command
                .env("REPLICATOR_FAILPOINT", place)
                .env("REPLICATOR_FAILPOINT_LOG", &log);
        });
        let Some(output) = output else {
            return batches(PathBuf::from(std::env::var_os("CRASH_FILE").unwrap()));
        };
        const SIGABRT: i32 = 6;
        assert_eq!(
            output.status.signal(),
            Some(SIGABRT),
            "{place} was not reached: {output:?}"
        );
        let (name, _) = place.split_once(':').unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("{name}\n"));
        let sql = "SELECT (SELECT lsn FROM _replicator_position), (SELECT count(*) FROM t)";
        assert_eq!(look(&path, sql), [state], "{place}");
        // The lock is free, and what follows goes on from there.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let row =
            runtime.block_on(async { open(&path).await.raise_epoch("s", "next").await.unwrap() });
        assert_eq!(row.epoch, 2);
    }
}
