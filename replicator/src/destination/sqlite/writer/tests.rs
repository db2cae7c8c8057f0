use std::path::Path;
use std::time::Duration;

use super::super::file;
use super::*;
use crate::chunk::Chunk;
use crate::plan::Action;
use crate::table::Column;
use walproto::Lsn;

fn open(folder: &Path) -> Connection {
    file::open(&folder.join("d.db"), true, Duration::ZERO).unwrap()
}

fn table() -> Arc<Table> {
    Arc::new(Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "t".to_owned(),
        columns: vec![
            Column::new("id", Oid(23), -1, Oid(23)),
            Column::new("name", Oid(25), -1, Oid(25)),
        ],
        key: vec![0],
        identity: 'd',
        relfilenode: 1,
    })
}

/// A position row at 100 and an empty table.
fn prepare(writer: &mut Writer<'_>) -> PositionRow {
    let row = writer
        .write_intent(PositionRow {
            slot: "s".to_owned(),
            state: State::Intent,
            system_id: "1".to_owned(),
            timeline: 1,
            database: "d".to_owned(),
            publications: vec!["p".to_owned()],
            lsn: Lsn(90),
            epoch: 0,
            holder: "me".to_owned(),
            fingerprint: String::new(),
            source_time: None,
        })
        .unwrap();
    writer
        .create_table("s", &table(), Existing::Refuse)
        .unwrap();
    writer
        .activate(PositionRow {
            lsn: Lsn(100),
            ..row
        })
        .unwrap()
}

fn insert(id: i64, name: &str) -> Operation {
    let values = vec![Value::Integer(id), Value::Text(name.to_owned())];
    Operation {
        table: table(),
        lsn: Lsn(7),
        action: Action::Insert { values },
    }
}

fn batch(
    writer: &mut Writer<'_>,
    row: &PositionRow,
    to: u64,
    operations: Vec<Operation>,
) -> Result<Outcome> {
    writer.begin(row.clone(), row.advanced(Lsn(to)))?;
    writer.execute(operations)?;
    writer.commit()
}

fn rows(db: &Connection) -> i64 {
    db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_commit_is_on_the_disk_when_it_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let number = |name| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .unwrap()
    };
    // https://www.sqlite.org/pragma.html#pragma_synchronous: 2 is FULL, which syncs the WAL at each commit.
    assert_eq!(number("synchronous"), 2);
    assert_eq!(number("foreign_keys"), 0);
    let mode: String = db
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_by_reading_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::new(&db);
    let row = prepare(&mut writer);
    writer.fault = Some(Fault::After);
    let Outcome::Committed(row) = batch(&mut writer, &row, 200, vec![insert(1, "a")]).unwrap()
    else {
        panic!("it is there")
    };
    assert_eq!((row.lsn, rows(&db)), (Lsn(200), 1));
    let Outcome::Committed(_) = batch(&mut writer, &row, 300, vec![insert(2, "b")]).unwrap() else {
        panic!()
    };
}

#[test]
fn a_commit_that_failed_is_known_to_have_failed() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::new(&db);
    let row = prepare(&mut writer);
    writer.fault = Some(Fault::Before);
    let Outcome::NotCommitted(error) = batch(&mut writer, &row, 200, vec![insert(1, "a")]).unwrap()
    else {
        panic!("it is not there")
    };
    assert_eq!(error.exit_code(), 1);
    assert_eq!(rows(&db), 0);
    assert_eq!(writer.position("s").unwrap(), Some(row.clone()));
    // So it may be replayed.
    let Outcome::Committed(_) = batch(&mut writer, &row, 200, vec![insert(1, "a")]).unwrap() else {
        panic!()
    };
    assert_eq!(rows(&db), 1);
}

#[test]
fn a_lost_answer_after_somebody_took_over_is_not_taken_for_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::new(&db);
    let row = prepare(&mut writer);
    writer.begin(row.clone(), row.advanced(Lsn(200))).unwrap();
    writer.execute(vec![insert(1, "a")]).unwrap();
    // The batch is lost, and another process comes in between.
    db.execute_batch(
        "ROLLBACK; UPDATE _replicator_position SET epoch = 9, holder = 'other', lsn = '0/C8'",
    )
    .unwrap();
    let error = writer.commit().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("took over slot s: other (epoch 9, ours was 1)"),
        "{error}"
    );
}

#[test]
fn a_full_disk_loses_nothing_and_is_worth_another_try() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::new(&db);
    let row = prepare(&mut writer);
    let pages: i64 = db
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    let limit = |pages: i64| db.pragma_update(None, "max_page_count", pages).unwrap();
    limit(pages + 2);
    let many = || {
        (0..1000)
            .map(|id| insert(id, &"x".repeat(100)))
            .collect::<Vec<_>>()
    };
    let error = batch(&mut writer, &row, 200, many()).unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(error.exit_code(), 1);
    assert_eq!(
        (writer.position("s").unwrap(), rows(&db)),
        (Some(row.clone()), 0)
    );

    limit(pages + 1000);
    let Outcome::Committed(_) = batch(&mut writer, &row, 200, many()).unwrap() else {
        panic!()
    };
    assert_eq!(rows(&db), 1000);
}

#[test]
fn a_value_that_sqlite_cannot_hold_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::with_longest(&db, 10);
    let row = prepare(&mut writer);
    let Outcome::Committed(row) =
        batch(&mut writer, &row, 200, vec![insert(1, "0123456789")]).unwrap()
    else {
        panic!()
    };
    let error = batch(&mut writer, &row, 300, vec![insert(2, "0123456789a")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table public.t, insert at 0/7: column name has 11 bytes, and SQLite holds 10"
    );
    assert_eq!(error.exit_code(), 3);
    assert_eq!(writer.position("s").unwrap(), Some(row));
}

#[test]
fn a_destroyed_file_needs_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.db");
    {
        let db = open(folder.path());
        let mut writer = Writer::new(&db);
        let row = prepare(&mut writer);
        let many = (0..1000).map(|id| insert(id, &"x".repeat(100))).collect();
        let _ = batch(&mut writer, &row, 200, many).unwrap();
    }
    let mut bytes = std::fs::read(&path).unwrap();
    // All pages but the first, which holds the schema.
    bytes[4096..].fill(0xAA);
    std::fs::write(&path, bytes).unwrap();
    let db = open(folder.path());
    let error = Writer::new(&db).position("s").unwrap_err();
    assert!(
        error.to_string().contains("the database is damaged"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn nothing_else_comes_in_the_middle_of_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::new(&db);
    let row = prepare(&mut writer);
    writer.begin(row.clone(), row.advanced(Lsn(200))).unwrap();
    assert!(writer.raise_epoch("s", "me").is_err());
    assert!(writer.forget("s").is_err());
    writer.execute(vec![insert(1, "a")]).unwrap();
    let Outcome::Committed(_) = writer.commit().unwrap() else {
        panic!()
    };
    // A batch that was given up gives way to the next.
    let row = row.advanced(Lsn(200));
    writer.begin(row.clone(), row.advanced(Lsn(300))).unwrap();
    writer.execute(vec![insert(2, "b")]).unwrap();
    let Outcome::Committed(_) = batch(&mut writer, &row, 300, vec![insert(3, "c")]).unwrap() else {
        panic!()
    };
    let ids: String = db
        .query_row("SELECT group_concat(id) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(ids, "1,3");
}

fn update(id: i64, set: Vec<(usize, Value)>) -> Operation {
    let matched = vec![Value::Integer(id)];
    Operation {
        table: table(),
        lsn: Lsn(7),
        action: Action::Update { set, matched },
    }
}

fn delete(id: i64) -> Operation {
    let matched = vec![Value::Integer(id)];
    Operation {
        table: table(),
        lsn: Lsn(7),
        action: Action::Delete { matched },
    }
}

fn names(db: &Connection) -> Vec<(i64, String)> {
    let mut statement = db.prepare("SELECT id, name FROM t ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_conflict_stops_unless_it_is_to_be_applied() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::new(&db);
    let row = prepare(&mut writer);
    db.execute_batch("INSERT INTO t VALUES (1, 'theirs')")
        .unwrap();
    let whole = |id, name: &str| vec![(0, Value::Integer(id)), (1, Value::Text(name.to_owned()))];
    // An update does not set a key that stays.
    let name = vec![(1, Value::Text("new".to_owned()))];
    let cases = || [insert(1, "ours"), update(2, name.clone()), delete(3)];
    for operation in cases() {
        let error = batch(&mut writer, &row, 200, vec![operation]).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        writer.rollback().unwrap();
    }
    assert_eq!(names(&db), [(1, "theirs".to_owned())]);

    writer.on_conflict(OnConflict::Apply);
    let Outcome::Committed(row) = batch(&mut writer, &row, 200, cases().into()).unwrap() else {
        panic!()
    };
    assert_eq!(names(&db), [(1, "ours".to_owned()), (2, "new".to_owned())]);

    // Without its unchanged TOAST value a missing row cannot be made, whatever the policy.
    let part = vec![(0, Value::Integer(5))];
    let error = batch(&mut writer, &row, 300, vec![update(4, part)]).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    // Nor may a change of a key take another row's place.
    writer.rollback().unwrap();
    let error = batch(&mut writer, &row, 300, vec![update(1, whole(2, "other"))]).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
}

/// Rows of the copy, as COPY sends them.
fn chunk(number: u64, lines: &[u8]) -> Chunk {
    let mut chunk = Chunk::new(table(), Lsn(100), 0, number);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        chunk.push(line);
    }
    chunk
}

#[test]
fn a_chunk_whose_commit_has_no_answer_is_in_once_when_it_is_handed_in_again() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::new(&db);
    let row = prepare(&mut writer);
    writer.begin_copy(&row, &table(), Lsn(100)).unwrap();
    for (number, fault) in [(1, Fault::After), (2, Fault::Before)] {
        let line = format!("{number}\ta\n");
        let chunk = chunk(number, line.as_bytes());
        writer.fault = Some(fault);
        let error = writer.copy(&row, &chunk).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Retry, "{error}");
        for _ in 0..2 {
            writer.copy(&row, &chunk).unwrap();
        }
        assert_eq!(rows(&db), i64::try_from(number).unwrap());
    }
}

#[test]
fn rows_of_a_copy_are_bound_as_the_values_that_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut writer = Writer::with_longest(&db, 40);
    let row = prepare(&mut writer);
    writer.begin_copy(&row, &table(), Lsn(100)).unwrap();
    let lines = b"1\t\\N\n2\t\\\\N\n3\ta\\tb\\n\\r\\b\\f\\v\\\\\n4\t\n5\t\\\\.\n";
    writer.copy(&row, &chunk(1, lines)).unwrap();
    let texts = |db: &Connection| -> Vec<Option<String>> {
        let mut select = db.prepare("SELECT name FROM t ORDER BY id").unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    };
    let texts = texts(&db);
    let texts: Vec<_> = texts.iter().map(Option::as_deref).collect();
    let third = "a\tb\n\r\u{8}\u{c}\u{b}\\";
    assert_eq!(
        texts,
        [None, Some("\\N"), Some(third), Some(""), Some("\\.")]
    );

    let long = format!("6\t{}\n", "x".repeat(41));
    for (lines, says) in [
        (long.as_bytes(), "column name has 41 bytes"),
        (b"6\t\xFF\n", "column name"),
        (b"6\t\0\n", "zero byte"),
        (b"+6\ta\n", "is not what PostgreSQL prints for type integer"),
        (b"6\ta\tb\n", "does not have 2 columns"),
        (b"6\n", "does not have 2 columns"),
        (b"6\ta\n1\tb\n", "a row with id = 1 is there already"),
    ] {
        let error = writer.copy(&row, &chunk(2, lines)).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.exit_code(), 3, "{error}");
        assert_eq!(rows(&db), 5);
    }
}
