//! Definitions that change: columns that are added within the batch, and the wait for what somebody else changes.

use super::Writer;
use crate::alteration::{Alteration, Words, wanting};
use crate::config::OnMisfit;
use crate::destination::postgres::session::failure;
use crate::destination::postgres::values::text;
use crate::destination::postgres::{ledger, lookup};
use crate::dialect::postgres::Altering;
use crate::dialect::postgres::types::BuiltIn;
use crate::error::{Error, ErrorKind, Result};
use crate::position::unknown_table;
use crate::table::Column;

/// As tables are made.
fn words(major: i32, on_misfit: OnMisfit) -> Altering<impl Fn(&Column) -> BuiltIn> {
    Altering(move |column: &Column| match on_misfit {
        OnMisfit::Text => BuiltIn::held_whole(column, major),
        OnMisfit::Fail | OnMisfit::Clamp => BuiltIn::held(column),
    })
}

impl Writer {
    pub(in super::super) async fn alter_table(
        &mut self,
        slot: &str,
        alteration: &Alteration,
    ) -> Result<()> {
        let done = self.alter(slot, alteration).await;
        if done.is_err() {
            self.batch = None;
            self.undo().await;
        }
        done
    }

    async fn alter(&mut self, slot: &str, alteration: &Alteration) -> Result<()> {
        let on_misfit = self.on_misfit;
        let (Some(_), Some(db)) = (&self.batch, &mut self.session) else {
            return Err(Error::retry("no batch is open at the destination"));
        };
        // The source alters no table whose keys are still to be checked.
        self.statements.leave(db).await?;
        let Alteration { was, is, .. } = alteration;
        let gone = || {
            let name = &is.destination;
            Error::person(format!("the destination's table {name} is gone"))
                .with_hint("restore it, or drop the slot and copy everything again")
        };
        let found = lookup::find(db, &is.destination).await?.ok_or_else(gone)?;
        let words = words(db.major, on_misfit);
        for (at, value) in alteration.columns() {
            let column = &is.columns[at];
            let value = text(value, column.kind);
            let value = value.map_err(|error| {
                Error::person(format!("table {was}, column {}: {error}", column.name))
            })?;
            let sql = match &value {
                _ if found.has(&column.name) => words.fill(is, at, value.as_deref()),
                Some(value) => words.add_with(is, at, value),
                None => words.add(is, at),
            };
            let done = db.run_text(&sql).await;
            done.map_err(|error| {
                failure(
                    format!("could not follow the new definition of table {was}"),
                    error,
                )
                .with_statement(sql)
            })?;
        }
        let found = lookup::find(db, &is.destination).await?.ok_or_else(gone)?;
        found.check(is)?;
        if ledger::set_definition(db, slot, is).await? {
            Ok(())
        } else {
            Err(unknown_table(slot, is.oid))
        }
    }

    pub(in super::super) async fn fits(
        &mut self,
        alteration: &Alteration,
    ) -> Result<Option<String>> {
        let on_misfit = self.on_misfit;
        let is = &alteration.is;
        let name = &is.destination;
        let db = self.db().await?;
        let words = words(db.major, on_misfit);
        let statements = alteration.statements(&words);
        let Some(found) = lookup::find(db, name).await? else {
            return Ok(Some(wanting(format!("its table {name} is gone"), &[])));
        };
        if let Err(error) = found.check(is) {
            return match error.kind() {
                ErrorKind::Person => Ok(Some(wanting(error, &statements))),
                _ => Err(error),
            };
        }
        if let Some(gone) = alteration.gone().iter().find(|gone| found.has(gone)) {
            let why = format!("the destination's table {name} has column {gone} still");
            return Ok(Some(wanting(why, &statements)));
        }
        if alteration.key_fits(found.unique()) {
            return Ok(None);
        }
        let why = format!("the primary key of the destination's table {name} is not the source's");
        Ok(Some(wanting(why, &statements)))
    }
}
