//! A change that meets another destination than it expects: what to say, and what to do instead where that is wanted.

use std::sync::Arc;

use crate::error::Error;
use crate::plan::{Action, Operation};

/// What an operation met instead of exactly one row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Met {
    /// So many rows.
    Rows(usize),
    /// A row that has the key already.
    Another,
}

/// What makes the row what the source has, where an operation met another destination than it expected.
pub(super) enum Instead {
    Run(Operation),
    Skip,
    Nothing,
}

pub(super) fn instead(operation: &Operation, met: Met) -> Instead {
    let table = &operation.table;
    let action = match (&operation.action, met) {
        (Action::Insert { values }, Met::Another) => Action::Update {
            set: values.iter().cloned().enumerate().collect(),
            matched: table
                .matched()
                .filter_map(|at| values.get(at).cloned())
                .collect(),
        },
        (Action::Update { set, matched }, Met::Rows(0)) => {
            // What found the row is the row's still, unless it is set; without an unchanged TOAST value that is all.
            let mut values = vec![None; table.columns.len()];
            let found = table.matched().zip(matched);
            let set = set.iter().map(|(at, value)| (*at, value));
            for (at, value) in found.chain(set) {
                if let Some(place) = values.get_mut(at) {
                    *place = Some(value.clone());
                }
            }
            match values.into_iter().collect() {
                Some(values) => Action::Insert { values },
                None => return Instead::Nothing,
            }
        }
        (Action::Delete { .. }, Met::Rows(0)) => return Instead::Skip,
        _ => return Instead::Nothing,
    };
    Instead::Run(Operation {
        table: Arc::clone(table),
        lsn: operation.lsn,
        action,
    })
}

/// Tells that a conflict was resolved in the source's favour.
pub(super) struct Overridden<'a>(pub(super) &'a Operation);

impl std::fmt::Display for Overridden<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.0.action {
            Action::Insert { .. } => "was there already and is now what the source has",
            Action::Update { .. } => "was not there and is now what the source has",
            Action::Delete { .. } | Action::Truncate => "was gone already",
        };
        write!(
            f,
            "{}: conflict: the row with {} {what}",
            describe(self.0),
            self.0.row()
        )
    }
}

/// `table public.orders, update at 16/B374D848`
pub(super) fn describe(operation: &Operation) -> String {
    let verb = match operation.action {
        Action::Insert { .. } => "insert",
        Action::Update { .. } => "update",
        Action::Delete { .. } => "delete",
        Action::Truncate => "truncate",
    };
    format!("table {}, {verb} at {}", operation.table, operation.lsn)
}

#[cold]
pub(super) fn conflict(operation: &Operation, met: Met) -> Error {
    let (what, row) = (describe(operation), operation.row());
    let found = match (met, &operation.action) {
        (Met::Rows(0), Action::Insert { .. }) => {
            format!("the row with {row} was not taken; a trigger or rule there may leave it out")
        }
        (Met::Another, Action::Update { .. }) => {
            let key = new_key(operation);
            format!("the new values{key} collide with another row than the one with {row}")
        }
        (Met::Another, _) => format!("a row with {row} is there already"),
        (Met::Rows(0), _) => format!("there is no row with {row}"),
        (Met::Rows(rows), _) => {
            format!("{rows} rows were touched instead of the one with {row}")
        }
    };
    Error::refused(operation.lsn, format!("{what}: conflict: {found}")).with_hint(undo(operation))
}

pub(super) fn undo(operation: &Operation) -> String {
    format!(
        "somebody else has changed table {:?} at the destination; undo that there and start again",
        operation.table.destination
    )
}

/// ` (id = 7)` where an update gives a row another key.
fn new_key(operation: &Operation) -> String {
    let Action::Update { set, .. } = &operation.action else {
        return String::new();
    };
    let table = &operation.table;
    let changed = set.iter().filter(|(at, _)| table.key.contains(at));
    let named = changed.filter_map(|(at, value)| {
        let column = table.columns.get(*at)?;
        Some(format!("{} = {value}", column.name))
    });
    let key = named.collect::<Vec<_>>().join(", ");
    if key.is_empty() {
        key
    } else {
        format!(" ({key})")
    }
}
