use std::collections::BTreeMap;

use proptest::prelude::*;
use walproto::{Lsn, Oid};

use super::*;
use crate::destination::runs::gather;
use crate::table::Column;

/// `k1 integer, a integer, k2 text, b text`, the key in another order than the columns.
fn table(oid: u32, key: &[usize]) -> Arc<Table> {
    Arc::new(Table {
        oid: Oid(oid),
        schema: "public".to_owned(),
        name: format!("t{oid}"),
        destination: format!("public.t{oid}"),
        columns: vec![
            Column::new("k1", Oid(23), -1, Oid(23)),
            Column::new("a", Oid(23), -1, Oid(23)),
            Column::new("k2", Oid(25), -1, Oid(25)),
            Column::new("b", Oid(25), -1, Oid(25)),
        ],
        key: key.to_vec(),
        identity: 'd',
        relfilenode: 1,
    })
}

fn of(table: &Arc<Table>, action: Action) -> Operation {
    Operation {
        table: Arc::clone(table),
        lsn: Lsn(1),
        action,
    }
}

const fn int(number: i64) -> Value {
    Value::Integer(number)
}

fn text(text: impl ToString) -> Value {
    Value::Text(text.to_string())
}

fn insert(table: &Arc<Table>, id: i64, new: i64) -> Operation {
    let values = vec![int(id), int(new), text("k"), text(new)];
    of(table, Action::Insert { values })
}

fn update(table: &Arc<Table>, id: i64, set: &[(usize, Value)]) -> Operation {
    let (set, matched) = (set.to_vec(), vec![text("k"), int(id)]);
    of(table, Action::Update { set, matched })
}

fn delete(table: &Arc<Table>, id: i64) -> Operation {
    let matched = vec![text("k"), int(id)];
    of(table, Action::Delete { matched })
}

fn folded(operations: &[Operation]) -> Vec<Operation> {
    fold(operations, |_| true)
        .into_iter()
        .map(Cow::into_owned)
        .collect()
}

#[test]
fn changes_of_a_row_become_one() {
    let t = table(1, &[2, 0]);
    let a = |new| update(&t, 1, &[(1, int(new))]);
    let b = |new| update(&t, 1, &[(3, text(new))]);
    let both = update(&t, 1, &[(1, int(7)), (3, text(8))]);
    assert_eq!(folded(&[b(8), a(6), a(7)]), std::slice::from_ref(&both));
    assert_eq!(folded(&[a(1), both.clone()]), [both]);
    assert_eq!(folded(&[a(1), b(2), delete(&t, 1)]), [delete(&t, 1)]);

    let inserted = vec![int(1), int(7), text("k"), text(5)];
    let inserted = of(&t, Action::Insert { values: inserted });
    assert_eq!(folded(&[insert(&t, 1, 5), a(6), a(7)]), [inserted]);

    let again = update(&t, 1, &[(1, int(5)), (3, text(5))]);
    assert_eq!(folded(&[delete(&t, 1), insert(&t, 1, 5)]), [again]);
}

#[test]
fn that_a_row_was_not_there_has_to_be_seen() {
    let t = table(1, &[2, 0]);
    let operations = [insert(&t, 1, 5), delete(&t, 1)];
    assert_eq!(folded(&operations), operations);
}

#[test]
fn nothing_folds_across_what_touches_more_than_a_row() {
    let t = table(1, &[2, 0]);
    let a = |new| update(&t, 1, &[(1, int(new))]);
    // The row gets another key, and keeps the TOASTed value that this update does not hold.
    let other_key = update(&t, 2, &[(0, int(3))]);
    for barrier in [other_key, of(&t, Action::Truncate)] {
        let operations = [a(1), barrier, a(2)];
        assert_eq!(folded(&operations), operations);
    }
}

#[test]
fn what_has_no_key_or_may_not_be_folded_stays() {
    let t = table(1, &[]);
    let old = vec![int(1), int(5), text("k"), text(5)];
    let delete_all = of(&t, Action::Delete { matched: old });
    let operations = [insert(&t, 1, 5), delete_all.clone(), delete_all];
    assert_eq!(folded(&operations), operations);

    let t = table(1, &[2, 0]);
    let operations = [insert(&t, 1, 5), update(&t, 1, &[(1, int(6))])];
    assert_eq!(fold(&operations, |_| false).len(), 2);
}

/// The rows of some tables, by table and key.
type Model = BTreeMap<(u32, String), Vec<Value>>;

/// Carries an operation out; false where it does not touch exactly one row.
fn carry_out(model: &mut Model, operation: &Operation) -> bool {
    let oid = operation.table.oid.0;
    let place = |values: &mut dyn Iterator<Item = &Value>| {
        let key: Vec<String> = values.map(ToString::to_string).collect();
        (oid, key.join("/"))
    };
    let key = &operation.table.key;
    match &operation.action {
        Action::Insert { values } => {
            let place = place(&mut key.iter().map(|at| &values[*at]));
            model.insert(place, values.clone()).is_none()
        }
        Action::Update { set, matched } => {
            let Some(mut row) = model.remove(&place(&mut matched.iter())) else {
                return false;
            };
            for (at, value) in set {
                row[*at] = value.clone();
            }
            let place = place(&mut key.iter().map(|at| &row[*at]));
            model.insert(place, row).is_none()
        }
        Action::Delete { matched } => model.remove(&place(&mut matched.iter())).is_some(),
        Action::Truncate => {
            model.retain(|(other, _), _| *other != oid);
            true
        }
    }
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let tables = [table(1, &[2, 0]), table(2, &[2, 0])];
    let one = (0..2_usize, 0..4_i64, 0..100_i64, 0..12);
    let one = one.prop_map(move |(at, id, new, what)| {
        let t = &tables[at];
        match what {
            0..3 => insert(t, id, new),
            3..5 => delete(t, id),
            5..7 => update(t, id, &[(1, int(new))]),
            7..9 => update(t, id, &[(3, text(new))]),
            9 => update(t, id, &[(1, int(new)), (3, text(new))]),
            10 => update(t, id, &[(0, int(new % 4))]),
            _ if new < 20 => of(t, Action::Truncate),
            _ => update(t, id, &[]),
        }
    });
    prop::collection::vec(one, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Folded and gathered, they do what they do one by one, and fail where those fail.
    #[test]
    fn folded_or_not_the_rows_are_the_same(
        all in operations(),
        fitting in any::<bool>(),
        start in prop::collection::btree_set((0..2_u32, 0..4_i64), 0..6),
    ) {
        let mut before = Model::new();
        for (at, id) in start {
            carry_out(&mut before, &insert(&table(at + 1, &[2, 0]), id, 0));
        }
        // At random most fail early on, so half of the cases leave out what does.
        let mut plain = before.clone();
        let mut all = all;
        let mut done = true;
        all.retain(|operation| {
            let mut next = plain.clone();
            let fits = carry_out(&mut next, operation);
            if fits {
                plain = next;
            } else {
                done &= fitting;
            }
            fits || !fitting
        });
        let folded = fold(&all, |_| true);
        let runs = gather(folded.iter().map(AsRef::as_ref), |_| true);
        let mut rows = before;
        let folded_done = runs
            .iter()
            .flat_map(|run| &run.operations)
            .all(|operation| carry_out(&mut rows, operation));
        prop_assert_eq!(folded_done, done);
        if done {
            prop_assert_eq!(rows, plain);
        }
    }
}
