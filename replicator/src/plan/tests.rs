use super::*;
use crate::table::Column;
use walproto::{Decoder, Delete, Insert, Message, Oid, Update};

const LSN: Lsn = Lsn(0x1_0000_0002);

/// `id integer, name text, note text`
fn table(key: &[usize]) -> Arc<Table> {
    Arc::new(Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "t".to_owned(),
        columns: vec![
            Column::new("id", Oid(23), -1, Oid(23)),
            Column::new("name", Oid(25), -1, Oid(25)),
            Column::new("note", Oid(25), -1, Oid(25)),
        ],
        key: key.to_vec(),
        identity: 'd',
        relfilenode: 1,
    })
}

/// What the stream holds for a column.
#[derive(Clone, Copy)]
enum C {
    Null,
    Toast,
    T(&'static str),
}
use C::{Null, T, Toast};

fn tuple(mark: u8, columns: &[C]) -> Vec<u8> {
    let mut bytes = vec![mark, 0, columns.len() as u8];
    for column in columns {
        match column {
            Null => bytes.push(b'n'),
            Toast => bytes.push(b'u'),
            T(text) => {
                bytes.extend([b't', 0, 0, 0, text.len() as u8]);
                bytes.extend(text.as_bytes());
            }
        }
    }
    bytes
}

/// A message of relation 1 with these rows.
fn message(tag: u8, rows: &[(u8, &[C])]) -> Vec<u8> {
    let mut bytes = vec![tag, 0, 0, 0, 1];
    for (mark, columns) in rows {
        bytes.extend(tuple(*mark, columns));
    }
    bytes
}

fn insert(table: &Arc<Table>, new: &[C]) -> Result<Operation> {
    let bytes = message(b'I', &[(b'N', new)]);
    let Message::Insert(Insert { new, .. }) = Decoder::new().decode(&bytes).unwrap().message else {
        panic!()
    };
    Operation::insert(table, new, LSN)
}

fn update(table: &Arc<Table>, old: Option<(u8, &[C])>, new: &[C]) -> Result<Operation> {
    let rows: Vec<_> = old.into_iter().chain([(b'N', new)]).collect();
    let bytes = message(b'U', &rows);
    let Message::Update(Update { old, new, .. }) = Decoder::new().decode(&bytes).unwrap().message
    else {
        panic!()
    };
    Operation::update(table, old, new, LSN)
}

fn delete(table: &Arc<Table>, old: (u8, &[C])) -> Result<Operation> {
    let bytes = message(b'D', &[old]);
    let Message::Delete(Delete { old, .. }) = Decoder::new().decode(&bytes).unwrap().message else {
        panic!()
    };
    Operation::delete(table, old, LSN)
}

fn int(number: i64) -> Value {
    Value::Integer(number)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[track_caller]
fn updates(operation: Result<Operation>, set: &[(usize, Value)], matched: &[Value]) {
    let Action::Update { set: s, matched: m } = operation.unwrap().action else {
        panic!("not an update")
    };
    assert_eq!((&s[..], &m[..]), (set, matched));
}

#[test]
fn an_insert_has_every_value() {
    let operation = insert(&table(&[0]), &[T("7"), T(""), Null]).unwrap();
    assert_eq!(
        operation.action,
        Action::Insert {
            values: vec![int(7), text(""), Value::Null]
        }
    );
    assert_eq!(operation.lsn, LSN);
    assert_eq!(operation.row(), "id = 7");
}

#[test]
fn an_insert_with_a_value_left_out_is_refused_with_its_place() {
    let error = insert(&table(&[0]), &[T("7"), T("a"), Toast]).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let message = error.to_string();
    assert!(
        message.starts_with("table public.t, column note, insert at 1/2: "),
        "{message}"
    );
    assert!(error.hint().unwrap().contains("REPLICA IDENTITY FULL"));
}

#[test]
fn an_update_without_an_old_row_finds_it_by_the_key_in_the_new() {
    let t = table(&[0]);
    updates(
        update(&t, None, &[T("7"), T("b"), Null]),
        &[(1, text("b")), (2, Value::Null)],
        &[int(7)],
    );
}

#[test]
fn a_changed_key_is_set_where_the_old_one_was() {
    let t = table(&[0]);
    let old: &[C] = &[T("7"), Null, Null];
    updates(
        update(&t, Some((b'K', old)), &[T("8"), T("b"), Toast]),
        &[(0, int(8)), (1, text("b"))],
        &[int(7)],
    );
    let old: &[C] = &[T("7"), T("a"), T("long")];
    updates(
        update(&t, Some((b'O', old)), &[T("8"), T("b"), Toast]),
        &[(0, int(8)), (1, text("b"))],
        &[int(7)],
    );
}

#[test]
fn what_a_key_only_old_row_does_not_hold_is_never_null() {
    // The non-key columns of K read as NULL; nothing of them may reach the destination.
    let t = table(&[0]);
    let old: &[C] = &[T("7"), Null, Null];
    updates(
        update(&t, Some((b'K', old)), &[T("8"), Toast, Toast]),
        &[(0, int(8))],
        &[int(7)],
    );
    assert_eq!(
        delete(&t, (b'K', old)).unwrap().action,
        Action::Delete {
            matched: vec![int(7)]
        }
    );
}

#[test]
fn a_key_left_out_of_the_new_row_is_taken_from_the_old() {
    let t = table(&[1]);
    let old: &[C] = &[Null, T("a long key"), Null];
    updates(
        update(&t, Some((b'K', old)), &[T("7"), Toast, T("n")]),
        &[(0, int(7)), (2, text("n"))],
        &[text("a long key")],
    );
    let error = update(&t, None, &[T("7"), Toast, T("n")]).unwrap_err();
    assert!(error.to_string().contains("column name"), "{error}");
}

#[test]
fn unchanged_values_are_left_alone_under_every_identity() {
    let full: &[C] = &[T("7"), T("a"), T("long")];
    let key: &[C] = &[T("7"), Null, Null];
    for old in [None, Some((b'K', key)), Some((b'O', full))] {
        updates(
            update(&table(&[0]), old, &[T("7"), T("b"), Toast]),
            &[(1, text("b"))],
            &[int(7)],
        );
    }
    updates(
        update(&table(&[]), Some((b'O', full)), &[T("7"), T("b"), Toast]),
        &[(0, int(7)), (1, text("b"))],
        &[int(7), text("a"), text("long")],
    );
}

#[test]
fn an_update_that_sets_nothing_still_looks_for_its_row() {
    updates(
        update(&table(&[0]), None, &[T("7"), Toast, Toast]),
        &[],
        &[int(7)],
    );
}

#[test]
fn without_a_key_rows_are_matched_on_all_columns() {
    let t = table(&[]);
    let old: &[C] = &[T("7"), Null, T("n")];
    let matched = [int(7), Value::Null, text("n")];
    updates(
        update(&t, Some((b'O', old)), &[T("7"), T("b"), T("n")]),
        &[(0, int(7)), (1, text("b")), (2, text("n"))],
        &matched,
    );
    let operation = delete(&t, (b'O', old)).unwrap();
    assert_eq!(operation.row(), "id = 7, name = NULL, note = 'n'");
    assert_eq!(
        operation.action,
        Action::Delete {
            matched: matched.to_vec()
        }
    );
}

#[test]
fn a_row_that_nothing_identifies_is_refused() {
    let t = table(&[]);
    let key: &[C] = &[T("7"), Null, Null];
    for error in [
        update(&t, None, &[T("7"), T("b"), Null]).unwrap_err(),
        update(&t, Some((b'K', key)), &[T("7"), T("b"), Null]).unwrap_err(),
        delete(&t, (b'K', key)).unwrap_err(),
    ] {
        assert!(
            error
                .to_string()
                .contains("nothing in the stream identifies the row"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 3);
    }
}

#[test]
fn a_composite_key_keeps_its_own_order() {
    let t = table(&[2, 0]);
    updates(
        update(&t, None, &[T("7"), T("b"), T("n")]),
        &[(1, text("b"))],
        &[text("n"), int(7)],
    );
    let old: &[C] = &[T("7"), Null, T("n")];
    updates(
        update(&t, Some((b'K', old)), &[T("7"), T("b"), T("m")]),
        &[(1, text("b")), (2, text("m"))],
        &[text("n"), int(7)],
    );
}

#[test]
fn a_null_key_and_a_row_of_another_width_are_refused() {
    let t = table(&[0]);
    let null: &[C] = &[Null, Null, Null];
    for error in [
        insert(&t, null).unwrap_err(),
        update(&t, None, null).unwrap_err(),
        update(&t, Some((b'K', &[T("1"), Null, Null])), null).unwrap_err(),
        delete(&t, (b'K', null)).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("column id") && error.to_string().contains("NULL"),
            "{error}"
        );
    }
    for error in [
        insert(&t, &[T("1")]).unwrap_err(),
        update(&t, None, &[T("1"), Null]).unwrap_err(),
        delete(&t, (b'K', &[T("1")])).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("columns and the table 3"),
            "{error}"
        );
    }
}

#[test]
fn a_value_that_cannot_be_read_is_refused_with_its_place() {
    let t = table(&[0]);
    for error in [
        insert(&t, &[T("x"), Null, Null]).unwrap_err(),
        update(&t, None, &[T("x"), Null, Null]).unwrap_err(),
        delete(&t, (b'K', &[T("x"), Null, Null])).unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(
            message.starts_with("table public.t, column id, at 1/2: 'x'"),
            "{message}"
        );
    }
}

#[test]
fn the_size_grows_with_the_values() {
    let small = insert(&table(&[0]), &[T("1"), Null, Null]).unwrap().size();
    let with = |text: &'static str| {
        let inserted = insert(&table(&[0]), &[T("1"), T(text), Null]);
        inserted.unwrap().size() - small
    };
    // The least that an allocator gives, and a step of what it gives.
    assert_eq!(with("0123456789"), 32);
    assert_eq!(with("0123456789012345678901234567890123456789"), 48);
    assert!(Operation::truncate(&table(&[0]), LSN).size() < small);
}

#[test]
fn a_long_row_is_cut_in_messages() {
    let mut wide = Table::clone(&table(&[]));
    wide.columns = (0..1600)
        .map(|at| Column::new(format!("c{at}"), Oid(25), -1, Oid(25)))
        .collect();
    let matched = vec![text("some value"); 1600];
    let operation = Operation {
        table: Arc::new(wide),
        lsn: LSN,
        action: Action::Delete { matched },
    };
    assert!(operation.row().len() < 300);
}
