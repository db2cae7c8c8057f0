//! Which tables have rows that may wait for their keys within a source transaction.
//!
//! PostgreSQL compares a deferrable key when the transaction commits; a destination table that somebody else made may do so
//! after every row. What collides there may make room for itself before the transaction ends: `id = id + 1`, a swap, a
//! row that goes after its like came. Such a row waits in a place of the product's choosing, and gets its key at the end
//! of the transaction; if that is taken still, it is by a row from elsewhere: a conflict.

use crate::table::Table;

/// Whether a collision in these columns, those of which a unique index of the destination knows, may pass by itself.
///
/// Where the key that identifies rows at the source is all that is unique here, the source compares it after every row,
/// too: what collides is a conflict at once.
pub(super) fn may_wait(table: &Table, unique: &[usize]) -> bool {
    if table.key.is_empty() {
        return !unique.is_empty();
    }
    unique.iter().any(|at| !table.key.contains(at))
}

#[cfg(test)]
mod tests {
    use walproto::Oid;

    use super::*;

    #[test]
    fn only_what_the_source_compares_later_may_pass() {
        let mut table = Table {
            oid: Oid(1),
            schema: String::new(),
            name: String::new(),
            destination: String::new(),
            columns: Vec::new(),
            key: vec![0, 1],
            identity: 'd',
            relfilenode: 1,
        };
        assert!(!may_wait(&table, &[]));
        assert!(!may_wait(&table, &[1, 0]));
        assert!(may_wait(&table, &[1, 0, 2]));
        table.key.clear();
        assert!(!may_wait(&table, &[]));
        assert!(may_wait(&table, &[0]));
    }
}
