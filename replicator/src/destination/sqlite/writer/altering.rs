//! Definitions that change: columns that are added within the batch, and the wait for what somebody else changes.

use rusqlite::params_from_iter;

use super::Writer;
use crate::alteration::{Alteration, Words};
use crate::destination::sqlite::file::failure;
use crate::destination::sqlite::statements::Parameter;
use crate::destination::sqlite::{existing, ledger};
use crate::dialect::sqlite::{Sqlite, check};
use crate::error::{Error, ErrorKind, Result};
use crate::position::unknown_table;

impl Writer<'_> {
    pub(in super::super) fn alter_table(
        &mut self,
        slot: &str,
        alteration: &Alteration,
    ) -> Result<()> {
        if self.batch.is_none() {
            return Err(Error::retry("no batch is open at the destination"));
        }
        let done = self.alter(slot, alteration);
        if done.is_err() {
            self.batch = None;
            self.undo();
        }
        done
    }

    fn alter(&mut self, slot: &str, alteration: &Alteration) -> Result<()> {
        // The source alters no table whose keys are still to be checked.
        self.statements.leave()?;
        self.statements.clear();
        let is = &alteration.is;
        // Two names that are one here.
        check(is)?;
        let failed = |error| {
            let was = &alteration.was;
            failure(
                format!("could not follow the new definition of table {was}"),
                error,
            )
        };
        for (at, value) in alteration.columns() {
            let name = &is.columns[at].name;
            if !self.has_column(&is.destination, name)? {
                self.db.execute_batch(&Sqlite.add(is, at)).map_err(failed)?;
            }
            let rows = Sqlite.fill(is, at);
            let value = [Parameter(value), Parameter(value)];
            let filled = self.db.execute(&rows, params_from_iter(value));
            filled.map_err(failed)?;
        }
        existing::check(self.db, is)?;
        if ledger::set_definition(self.db, slot, is)? {
            Ok(())
        } else {
            Err(unknown_table(slot, is.oid))
        }
    }

    fn has_column(&self, table: &str, name: &str) -> Result<bool> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo(?) WHERE name = ? COLLATE NOCASE)";
        let found = self.db.query_row(sql, [table, name], |row| row.get(0));
        found.map_err(|error| failure(format!("could not read the columns of {table:?}"), error))
    }

    pub(in super::super) fn fits(&mut self, alteration: &Alteration) -> Result<Option<String>> {
        let statements = alteration.statements(&Sqlite);
        let is = &alteration.is;
        if let Err(error) = existing::check(self.db, is) {
            return match error.kind() {
                ErrorKind::Person => Ok(Some(alteration.wanting(error, &statements))),
                _ => Err(error),
            };
        }
        for name in alteration.gone() {
            if self.has_column(&is.destination, name)? {
                let why = format!(
                    "the destination's table {:?} has column {name} still",
                    is.destination
                );
                return Ok(Some(alteration.wanting(why, &statements)));
            }
        }
        if alteration.key_fits(&self.unique(&is.destination)?) {
            return Ok(None);
        }
        let why = format!(
            "the primary key of the destination's table {:?} is not the source's",
            is.destination
        );
        Ok(Some(alteration.wanting(why, &statements)))
    }

    /// The columns of each index that is unique.
    fn unique(&self, table: &str) -> Result<Vec<Vec<String>>> {
        let sql = "SELECT name, 'pk' FROM pragma_table_info(?1) WHERE pk > 0
                   UNION ALL
                   SELECT i.name, l.name FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i
                   WHERE l.\"unique\" AND NOT l.partial AND l.origin <> 'pk'";
        let read = || -> rusqlite::Result<Vec<(Option<String>, String)>> {
            let mut statement = self.db.prepare(sql)?;
            let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let rows = read()
            .map_err(|error| failure(format!("could not read the keys of {table:?}"), error))?;
        let mut unique = std::collections::BTreeMap::<String, Vec<String>>::new();
        for (column, index) in rows {
            unique.entry(index).or_default().extend(column);
        }
        Ok(unique.into_values().collect())
    }
}
