//! Operations gathered into runs that one statement can carry out. Pure.
//!
//! Operations on one key keep their order, always. Those on different keys may change it where nothing at the
//! destination looks at other rows: then a transaction that touches four tables a thousand times becomes a few
//! statements, and of several updates that set the same columns of a row the last stands for all. Elsewhere only
//! neighbours become a run.

use std::collections::HashMap;
use std::sync::Arc;

use super::row_key::{ByRow, RowKeys, Touch};
use crate::dialect::Shape;
use crate::plan::{Action, Operation};
use crate::table::Table;

/// Operations of one table and shape, of different keys.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) shape: Shape,
    pub(crate) operations: Vec<&'a Operation>,
}

impl Run<'_> {
    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.operations[0].table
    }
}

/// What was gathered of one table so far.
#[derive(Default)]
struct Seen {
    /// Runs that more may join, the oldest first.
    open: Vec<usize>,
    /// The last run that touched a key, and the place in it, by the key's hash: keys that meet in it are taken for one,
    /// which only makes more runs.
    touched: ByRow<(usize, usize)>,
}

/// Gathers operations into runs, to be carried out in the order of the answer.
///
/// `free` tells whether operations of a table may pass each other, those of other keys and of other tables.
pub(crate) fn gather<'a>(
    operations: impl IntoIterator<Item = &'a Operation, IntoIter: Clone>,
    mut free: impl FnMut(&Arc<Table>) -> bool,
) -> Vec<Run<'a>> {
    let operations = operations.into_iter();
    let keys = RowKeys::of(operations.clone());
    let mut runs: Vec<Run<'a>> = Vec::new();
    let mut tables: HashMap<usize, (bool, Seen)> = HashMap::new();
    // The last run of a table that is not free.
    let mut last: Option<usize> = None;
    for operation in operations {
        let table = &operation.table;
        let (is_free, seen) = tables
            .entry(Arc::as_ptr(table).addr())
            .or_insert_with(|| (free(table), Seen::default()));
        let is_free = *is_free;
        let row = match keys.touch(operation) {
            Touch::Row(row) => Some(row),
            Touch::New => None,
            Touch::More => {
                seen.open.clear();
                seen.touched.clear();
                if !is_free {
                    last = Some(runs.len());
                }
                runs.push(Run {
                    shape: Shape::of(operation),
                    operations: vec![operation],
                });
                continue;
            }
        };
        let touched = row.and_then(|row| seen.touched.get(&row).copied());
        if let Some((at, place)) = touched
            && is_free
            && supersedes(operation, &runs[at], place)
        {
            runs[at].operations[place] = operation;
            continue;
        }
        let fits = |at: &&usize| {
            touched.is_none_or(|(touched, _)| touched < **at)
                && (is_free || last == Some(**at))
                && runs[**at].shape.fits(operation)
        };
        let at = match seen.open.iter().rev().find(fits) {
            Some(at) => *at,
            None => {
                runs.push(Run {
                    shape: Shape::of(operation),
                    operations: Vec::new(),
                });
                seen.open.push(runs.len() - 1);
                runs.len() - 1
            }
        };
        if let Some(row) = row {
            seen.touched.insert(row, (at, runs[at].operations.len()));
        }
        runs[at].operations.push(operation);
        if !is_free {
            last = Some(at);
        }
    }
    runs
}

/// Whether the operation sets the same columns of the same row as the one at that place, and nothing came between: what
/// that one sets is never seen, and the row must be there for either.
fn supersedes(operation: &Operation, run: &Run<'_>, place: usize) -> bool {
    let before = run.operations.get(place).map(|before| &before.action);
    match (before, &operation.action) {
        (
            Some(Action::Update {
                matched: before, ..
            }),
            Action::Update { matched, .. },
        ) => before == matched && run.shape.fits(operation),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Column;
    use crate::value::Value;
    use walproto::{Lsn, Oid};

    fn table(oid: u32, key: &[usize]) -> Arc<Table> {
        Arc::new(Table {
            oid: Oid(oid),
            schema: "public".to_owned(),
            name: format!("t{oid}"),
            destination: format!("public.t{oid}"),
            columns: vec![
                Column::new("id", Oid(23), -1, Oid(23)),
                Column::new("a", Oid(23), -1, Oid(23)),
                Column::new("b", Oid(23), -1, Oid(23)),
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

    fn insert(table: &Arc<Table>, id: i64) -> Operation {
        let values = vec![Value::Integer(id), Value::Null, Value::Null];
        of(table, Action::Insert { values })
    }

    fn update(table: &Arc<Table>, id: i64, column: usize) -> Operation {
        let set = vec![(column, Value::Integer(9))];
        let matched = vec![Value::Integer(id)];
        of(table, Action::Update { set, matched })
    }

    fn delete(table: &Arc<Table>, id: i64) -> Operation {
        let matched = vec![Value::Integer(id)];
        of(table, Action::Delete { matched })
    }

    /// The places of the operations, run by run.
    fn places(operations: &[Operation], free: bool) -> Vec<Vec<usize>> {
        let runs = gather(operations, |_| free);
        let place = |operation: &&Operation| {
            let found = operations
                .iter()
                .position(|other| std::ptr::eq(other, *operation));
            found.unwrap()
        };
        runs.iter()
            .map(|run| run.operations.iter().map(place).collect())
            .collect()
    }

    #[test]
    fn operations_of_other_keys_and_tables_are_passed() {
        let (t, u) = (table(1, &[0]), table(2, &[0]));
        let operations = [
            insert(&t, 1),
            update(&u, 1, 1),
            insert(&t, 2),
            update(&u, 2, 1),
            delete(&t, 7),
            insert(&t, 3),
        ];
        assert_eq!(
            places(&operations, true),
            [vec![0, 2, 5], vec![1, 3], vec![4]]
        );
        assert_eq!(
            places(&operations, false),
            [vec![0], vec![1], vec![2], vec![3], vec![4], vec![5]]
        );
    }

    #[test]
    fn the_last_update_stands_for_those_that_set_the_same_before_it() {
        let t = table(1, &[0]);
        let operations = [
            update(&t, 1, 1),
            update(&t, 2, 1),
            update(&t, 1, 1), // in the place of the first
            update(&t, 1, 2), // sets another column
            update(&t, 1, 1), // so this one cannot
            delete(&t, 2),
            insert(&t, 2),
            update(&t, 2, 1), // another row by now
        ];
        assert_eq!(
            places(&operations, true),
            [vec![2, 1], vec![3], vec![4], vec![5], vec![6], vec![7]]
        );
    }

    #[test]
    fn operations_of_one_key_keep_their_order() {
        let t = table(1, &[0]);
        let operations = [
            insert(&t, 1),
            update(&t, 1, 1),
            delete(&t, 1),
            insert(&t, 1),
            update(&t, 1, 1),
            update(&t, 1, 1),
        ];
        assert_eq!(
            places(&operations, false),
            [vec![0], vec![1], vec![2], vec![3], vec![4], vec![5]]
        );
        assert_eq!(
            places(&operations, true),
            [vec![0], vec![1], vec![2], vec![3], vec![5]]
        );
    }

    #[test]
    fn an_earlier_run_takes_no_key_that_a_later_one_has_touched() {
        let t = table(1, &[0]);
        let operations = [
            update(&t, 1, 1), // run of column a
            update(&t, 2, 2), // run of column b
            update(&t, 2, 1), // must not pass the one before
            update(&t, 3, 2),
        ];
        assert_eq!(places(&operations, true), [vec![0], vec![1, 3], vec![2]]);
    }

    #[test]
    fn nothing_passes_a_changed_key_or_a_truncate() {
        let t = table(1, &[0]);
        for barrier in [update(&t, 8, 0), of(&t, Action::Truncate)] {
            let operations = [insert(&t, 1), barrier, insert(&t, 2), insert(&t, 3)];
            assert_eq!(places(&operations, true), [vec![0], vec![1], vec![2, 3]]);
        }
    }

    #[test]
    fn rows_without_a_key_are_found_one_by_one() {
        let t = table(1, &[]);
        let operations = [insert(&t, 1), insert(&t, 1), delete(&t, 1), delete(&t, 1)];
        assert_eq!(places(&operations, true), [vec![0, 1], vec![2], vec![3]]);
    }

    #[test]
    fn neighbours_become_a_run_where_order_matters() {
        let (t, u) = (table(1, &[0]), table(2, &[0]));
        let operations = [insert(&t, 1), insert(&t, 2), insert(&u, 1), insert(&t, 3)];
        assert_eq!(places(&operations, false), [vec![0, 1], vec![2], vec![3]]);
    }
}
