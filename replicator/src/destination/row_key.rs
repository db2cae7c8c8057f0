//! Which row an operation touches, as a number to look it up by. Pure.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::Arc;

use crate::plan::{Action, Operation};
use crate::table::Table;
use crate::value::Value;

/// What an operation touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    /// The row with a key of this number. Keys that meet in it have to be taken for one, or compared.
    Row(u64),
    /// A new row that no other operation can touch, or that nothing identifies.
    New,
    /// More than one row, another key than before, or a row that is found without a key: nothing passes it.
    More,
}

/// Makes numbers of keys, others in each run of the program: who chooses the keys cannot make them meet.
pub(super) struct RowKeys {
    hashes: RandomState,
    /// Tables of which rows are changed, by address. Elsewhere new rows are among themselves, and those under one key
    /// collide in whatever order they come.
    changed: HashSet<usize>,
}

impl RowKeys {
    /// For these operations.
    pub(super) fn of<'a>(operations: impl Iterator<Item = &'a Operation>) -> Self {
        let mut changed = HashSet::new();
        let mut last = None;
        for operation in operations {
            let table = address(&operation.table);
            if last != Some(table) && !matches!(operation.action, Action::Insert { .. }) {
                changed.insert(table);
                last = Some(table);
            }
        }
        Self {
            hashes: RandomState::new(),
            changed,
        }
    }

    pub(super) fn touch(&self, operation: &Operation) -> Touch {
        let table = &operation.table;
        match &operation.action {
            Action::Insert { .. } if table.columns.is_empty() => Touch::More,
            Action::Insert { .. } if table.key.is_empty() => Touch::New,
            Action::Insert { .. } if !self.changed.contains(&address(table)) => Touch::New,
            Action::Insert { values } => {
                self.row(table.key.iter().filter_map(|at| values.get(*at)))
            }
            Action::Truncate => Touch::More,
            _ if table.key.is_empty() => Touch::More,
            Action::Update { set, .. } if set.iter().any(|(at, _)| table.key.contains(at)) => {
                Touch::More
            }
            Action::Update { matched, .. } | Action::Delete { matched } => self.row(matched.iter()),
        }
    }

    fn row<'a>(&self, values: impl Iterator<Item = &'a Value>) -> Touch {
        let mut hasher = self.hashes.build_hasher();
        for value in values {
            match value {
                Value::Null => 0_u8.hash(&mut hasher),
                Value::Integer(number) => number.hash(&mut hasher),
                Value::Real(number) => number.to_bits().hash(&mut hasher),
                Value::Text(text) => text.hash(&mut hasher),
                Value::Blob(bytes) => bytes.hash(&mut hasher),
            }
        }
        Touch::Row(hasher.finish())
    }
}

fn address(table: &Arc<Table>) -> usize {
    Arc::as_ptr(table).addr()
}

/// Something for each row, by its number.
pub(super) type ByRow<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

/// A number that is a hash already.
#[derive(Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
