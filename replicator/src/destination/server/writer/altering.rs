//! Definitions that change: columns that are added and filled, and the wait for what somebody else changes.
//!
//! Where a statement that adds a column commits by itself, it comes before the batch: until the batch is in, the table has
//! a column that the ledger does not know, which holds NULL. Rows of the old width can be written all the same, and doing
//! it again finds the column there. What the rows hold in it, and the ledger, come in the batch.

use super::{Writer, no_batch};
use crate::alteration::Alteration;
use crate::destination::server::ledger;
use crate::destination::server::session::{Found, Lock, Session, Statements};
use crate::error::{ErrorKind, Result};
use crate::position::PositionRow;

impl<S: Session> Writer<S> {
    pub(in crate::destination) async fn prepare_alter(
        &mut self,
        held: &PositionRow,
        alteration: &Alteration,
    ) -> Result<()> {
        if S::WHOLE {
            return Ok(());
        }
        let db = self.db().await?;
        // Who takes over in this moment finds a column that it needs as well.
        held.still_holds(ledger::position(db, &held.slot, Lock::Free).await?)?;
        db.prepare_alter(alteration).await
    }

    pub(in crate::destination) async fn alter_table(
        &mut self,
        slot: &str,
        alteration: &Alteration,
    ) -> Result<()> {
        let done = self.alter(slot, alteration).await;
        self.keep(done).await
    }

    async fn alter(&mut self, slot: &str, alteration: &Alteration) -> Result<()> {
        let (Some(_), Some(db)) = (&self.batch, &mut self.session) else {
            return Err(no_batch());
        };
        // The source alters no table whose keys are still to be checked.
        self.statements.leave(db).await?;
        self.statements.alter(db, alteration).await?;
        ledger::set_definition(db, slot, &alteration.is).await
    }

    pub(in crate::destination) async fn fits(
        &mut self,
        alteration: &Alteration,
    ) -> Result<Option<String>> {
        let is = &alteration.is;
        let name = &is.destination;
        let db = self.db().await?;
        let statements = db.to_fit(alteration);
        let Some(found) = db.find(name).await? else {
            return Ok(Some(
                alteration.wanting(format!("its table {name} is gone"), &[]),
            ));
        };
        if let Err(error) = db.check(&found, is) {
            return match error.kind() {
                ErrorKind::Person => Ok(Some(alteration.wanting(error, &statements))),
                _ => Err(error),
            };
        }
        if let Some(gone) = alteration.gone().iter().find(|gone| found.has(gone)) {
            let why = format!("the destination's table {name} has column {gone} still");
            return Ok(Some(alteration.wanting(why, &statements)));
        }
        if alteration.key_fits(found.unique()) {
            return Ok(None);
        }
        let why = format!("the primary key of the destination's table {name} is not the source's");
        Ok(Some(alteration.wanting(why, &statements)))
    }
}
