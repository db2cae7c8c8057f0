//! Definitions that change: columns that are added and filled, and the wait for what somebody else changes.
//!
//! A statement that adds a column commits by itself, so it comes before the batch: until the batch is in, the table has a
//! column that the ledger does not know, which holds NULL. Rows of the old width can be written all the same, and doing
//! it again finds the column there. What the rows hold in it, and the ledger, come in the batch.

use super::Writer;
use crate::alteration::{Alteration, Words, wanting};
use crate::destination::mysql::failure::failure;
use crate::destination::mysql::{ledger, lookup};
use crate::dialect::mysql::Mysql;
use crate::error::{Error, ErrorKind, Result};
use crate::position::PositionRow;

impl Writer {
    fn words(&mut self) -> Result<Mysql> {
        let on_misfit = self.on_misfit;
        let (db, _) = self.parts()?;
        Ok(Mysql::of(db.server.flavour).on_misfit(on_misfit))
    }

    pub(in super::super) async fn prepare_alter(
        &mut self,
        held: &PositionRow,
        alteration: &Alteration,
    ) -> Result<()> {
        let Alteration { was, is, .. } = alteration;
        let db = self.db().await?;
        // Who takes over in this moment finds a column that it needs as well.
        held.still_holds(ledger::position(db, &held.slot).await?)?;
        let found = lookup::find(db, &is.destination).await?;
        let words = self.words()?;
        // Two names that are one here.
        words.check(is)?;
        let (db, _) = self.parts()?;
        for (at, _) in alteration.columns() {
            let name = &is.columns[at].name;
            if found.as_ref().is_some_and(|found| found.has(name)) {
                continue;
            }
            let sql = words.add(is, at);
            let what = || format!("could not follow the new definition of table {was}");
            match db.run_text(&sql).await {
                Ok(done) if done.warnings == 0 => {}
                Ok(_) => {
                    let text = db.warnings().await?;
                    return Err(Error::person(format!("{}: {text}", what())).with_statement(sql));
                }
                Err(error) => return Err(failure(what(), error).with_statement(sql)),
            }
        }
        Ok(())
    }

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
        if self.batch.is_none() {
            return Err(Error::retry("no batch is open at the destination"));
        }
        let is = &alteration.is;
        let (db, statements) = self.parts()?;
        // Also where there is nothing to fill: it sees that the columns are there and wide enough.
        statements.target(db, is).await?;
        for (at, value) in alteration.columns() {
            let sql = Mysql::fill(is, at, value.is_null());
            let values = if value.is_null() {
                Vec::new()
            } else {
                vec![statements.fitting(db, is, at, value).await?]
            };
            let done = db.execute(&sql, values).await;
            let done = done.map_err(|error| {
                let was = &alteration.was;
                failure(
                    format!("could not follow the new definition of table {was}"),
                    error,
                )
            })?;
            if done.warnings > 0 {
                let (name, text) = (&is.columns[at].name, db.warnings().await?);
                return Err(Error::person(format!(
                    "table {is}, column {name}: the destination did not take the default as it is: {text}"
                )));
            }
        }
        ledger::set_definition(db, slot, is).await
    }

    pub(in super::super) async fn fits(
        &mut self,
        alteration: &Alteration,
    ) -> Result<Option<String>> {
        let is = &alteration.is;
        let name = &is.destination;
        self.db().await?;
        let statements = alteration.statements(&self.words()?);
        let (db, _) = self.parts()?;
        let Some(found) = lookup::find(db, name).await? else {
            return Ok(Some(wanting(format!("its table {name} is gone"), &[])));
        };
        if let Err(error) = found.target(db, is) {
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
