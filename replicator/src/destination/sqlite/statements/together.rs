//! Operations of which several change one row, carried out as what they come to.
//!
//! Where that is refused nothing of it stays, and they are carried out one by one, so that an error names the change
//! that met something unexpected.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::Statements;
use crate::config::OnConflict;
use crate::destination::conflict::describe;
use crate::destination::fold::fold;
use crate::destination::sqlite::file::failure;
use crate::error::{ErrorKind, Result};
use crate::fail_point;
use crate::plan::{Action, Operation};
use crate::table::Table;

/// Fewer are not worth a look at the schema.
const LEAST: usize = 64;

/// Whether nothing at a table sees how its rows become what they are: we made it, and it is as we made it but perhaps
/// for indexes that allow everything.
const PLAIN: &str = "
    SELECT EXISTS (SELECT * FROM _replicator_tables WHERE destination = ?1 AND made_by_us)
       AND NOT EXISTS (SELECT * FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)
       AND NOT EXISTS (SELECT * FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk')
       AND NOT EXISTS (SELECT * FROM pragma_index_list(?1) l, pragma_index_xinfo(l.name) c
                       WHERE l.origin = 'pk' AND c.\"key\" AND c.coll <> 'BINARY')
       AND (SELECT count(*) FROM pragma_table_xinfo(?1)) = ?2";

impl Statements<'_> {
    /// Carries out operations in their order, several changes of one row as one where nothing can tell.
    pub(in crate::destination::sqlite) fn run_all(
        &mut self,
        operations: &[Operation],
    ) -> Result<()> {
        if let Some(folded) = self.folded(operations)?
            && self.together(&folded)?
        {
            return Ok(());
        }
        for operation in operations {
            fail_point!("batch-middle");
            self.run(operation)?;
        }
        Ok(())
    }

    /// What the operations come to; `None` where that is not much less, or could be told apart.
    fn folded<'a>(&self, operations: &'a [Operation]) -> Result<Option<Vec<Cow<'a, Operation>>>> {
        let is_new = |operation: &Operation| matches!(operation.action, Action::Insert { .. });
        // What else is done with a conflict is decided change by change.
        if operations.len() < LEAST
            || operations.iter().all(is_new)
            || self.on_conflict != OnConflict::Stop
            || self.parking.is_used()
        {
            return Ok(None);
        }
        let mut known = HashSet::new();
        for operation in operations {
            let table = &operation.table;
            // All or none: a row that waits is let in when the next transaction begins, and a fold is of its last.
            if known.insert(Arc::as_ptr(table).addr()) && !self.is_plain(table, operation)? {
                return Ok(None);
            }
        }
        let folded = fold(operations, |_| true);
        // To be able to go back costs a copy of each page that is written.
        let is_less = folded.len() <= operations.len() / 10 * 9;
        Ok(is_less.then_some(folded))
    }

    fn is_plain(&self, table: &Table, operation: &Operation) -> Result<bool> {
        // A table has 2000 columns at most here.
        let columns = i64::try_from(table.columns.len()).unwrap_or(i64::MAX);
        let plain = self
            .db
            .prepare_cached(PLAIN)
            .and_then(|mut query| query.query_row((&table.destination, columns), |row| row.get(0)));
        plain.map_err(|error| failure(describe(operation), error))
    }

    /// Whether all could be carried out; if not, none of them is.
    fn together(&mut self, operations: &[Cow<'_, Operation>]) -> Result<bool> {
        let Some(first) = operations.first() else {
            return Ok(true);
        };
        self.simply(first, "SAVEPOINT together")?;
        for operation in operations {
            fail_point!("batch-middle");
            match self.execute(operation) {
                Ok(None) => continue,
                Ok(Some(_)) => {}
                Err(error) if error.kind() == ErrorKind::Person && !self.db.is_autocommit() => {}
                Err(error) => return Err(error),
            }
            self.said = None;
            self.simply(first, "ROLLBACK TO together")?;
            self.simply(first, "RELEASE together")?;
            return Ok(false);
        }
        self.simply(first, "RELEASE together")?;
        Ok(true)
    }
}
