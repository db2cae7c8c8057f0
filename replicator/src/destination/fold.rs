//! What several changes of one row come to, as one change. Pure.
//!
//! A fold is for speed only, and only where it cannot be told from the changes one after the other: keys that are
//! equal at the destination are equal here, nothing there looks at a row being changed, and the destination table has
//! our columns and no others. (A check at the destination does not see what only a change in between held; the rows are
//! the source's all the same.) What the first of the changes expects of the row the fold expects too; what the others
//! expect follows from the change before them, so one that does not fit there is left to fail at the destination.
//!
//! | before | then | together |
//! |---|---|---|
//! | insert | update | insert |
//! | update | update | update of the columns of either |
//! | update | delete | delete |
//! | delete | insert | update of every column |
//! | insert | delete | both stay: that the row was not there before has to be seen |
//!
//! Nothing folds across a truncate or a change of a key, or without a key. An unchanged TOAST value is one that an
//! update does not set, and stays so.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::row_key::{ByRow, RowKeys, Touch};
use crate::plan::{Action, Operation};
use crate::table::Table;
use crate::value::Value;

/// Folds operations, in the place of the first of each.
///
/// `folds` tells whether changes of a table may be folded: only where they may also pass each other.
pub(crate) fn fold<'a>(
    operations: &'a [Operation],
    mut folds: impl FnMut(&Arc<Table>) -> bool,
) -> Vec<Cow<'a, Operation>> {
    let keys = RowKeys::of(operations.iter());
    let mut folded: Vec<Cow<'a, Operation>> = Vec::with_capacity(operations.len());
    // The place of the last change of a row; none for a table that is not folded.
    let mut tables: HashMap<usize, Option<ByRow<usize>>> = HashMap::new();
    for operation in operations {
        let table = &operation.table;
        let rows = tables
            .entry(Arc::as_ptr(table).addr())
            .or_insert_with(|| folds(table).then(ByRow::default));
        if let Some(rows) = rows {
            match keys.touch(operation) {
                Touch::Row(row) => match rows.entry(row) {
                    Entry::Occupied(mut last) => {
                        let before = &mut folded[*last.get()];
                        if merge(before, operation) {
                            continue;
                        }
                        last.insert(folded.len());
                    }
                    Entry::Vacant(none) => {
                        none.insert(folded.len());
                    }
                },
                Touch::New => {}
                Touch::More => rows.clear(),
            }
        }
        folded.push(Cow::Borrowed(operation));
    }
    folded
}

/// Makes of `before` what both are together; says whether that is one operation.
fn merge<'a>(before: &mut Cow<'a, Operation>, then: &'a Operation) -> bool {
    let table = &then.table;
    let key_of = |values: &[Value], matched: &[Value]| {
        let key = table.key.iter().map(|at| values.get(*at));
        key.eq(matched.iter().map(Some))
    };
    match (&before.action, &then.action) {
        (Action::Insert { values }, Action::Update { set, matched }) if key_of(values, matched) => {
            if set.iter().any(|(at, _)| *at >= values.len()) {
                return false;
            }
            let before = before.to_mut();
            before.lsn = then.lsn;
            if let Action::Insert { values } = &mut before.action {
                for (at, value) in set {
                    values[*at] = value.clone();
                }
            }
        }
        (
            Action::Update {
                set: first,
                matched,
            },
            Action::Update {
                set,
                matched: again,
            },
        ) if matched == again => {
            let is_set = |at: usize| set.iter().any(|(other, _)| *other == at);
            if first.iter().all(|(at, _)| is_set(*at)) {
                *before = Cow::Borrowed(then);
            } else {
                let before = before.to_mut();
                before.lsn = then.lsn;
                if let Action::Update { set: both, .. } = &mut before.action {
                    both.retain(|(at, _)| !is_set(*at));
                    both.extend(set.iter().cloned());
                    // In the table's order, so that it has the shape of others.
                    both.sort_unstable_by_key(|(at, _)| *at);
                }
            }
        }
        (Action::Update { matched, .. }, Action::Delete { matched: again }) if matched == again => {
            *before = Cow::Borrowed(then);
        }
        (Action::Delete { matched }, Action::Insert { values }) if key_of(values, matched) => {
            let set = values.iter().cloned().enumerate();
            let set = set.filter(|(at, _)| !table.key.contains(at)).collect();
            let matched = matched.clone();
            *before = Cow::Owned(Operation {
                table: Arc::clone(table),
                lsn: then.lsn,
                action: Action::Update { set, matched },
            });
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests;
