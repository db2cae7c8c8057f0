//! What is asked of a server that is only looked at: nothing here writes.

use super::{Writer, first};
use crate::check::Finding;
use crate::config::OnConflict;
use crate::destination::look::Fate;
use crate::destination::server::ledger;
use crate::destination::server::session::Session;
use crate::destination::{Existing, gone};
use crate::error::Result;
use crate::table::Table;

impl<S: Session> Writer<S> {
    /// As [`open`](Self::open), over a session through which nothing can be written. What stands against a run comes as
    /// findings.
    pub(crate) async fn look(way: S::Way) -> Result<(Self, Vec<Finding>)> {
        let (session, findings) = S::open_to_look(&way).await?;
        let writer = Self {
            statements: S::statements(&way),
            way,
            wait: std::time::Duration::ZERO,
            on_conflict: OnConflict::Stop,
            before: None,
            session: Some(session),
            open: false,
            batch: None,
            held: None,
        };
        Ok((writer, findings))
    }

    /// What would become of the name of a table that is to be made or taken over.
    pub(in crate::destination) async fn examine(
        &mut self,
        table: &Table,
        existing: Existing,
    ) -> Result<Fate> {
        let db = self.looking()?;
        let is_there = ledger::exists(db).await?;
        first::examine(db, table, existing, is_there).await
    }

    /// Sees that a table which is followed already is here, and can hold its rows.
    pub(in crate::destination) async fn fits_still(&mut self, table: &Table) -> Result<()> {
        let db = self.looking()?;
        let found = db.find(&table.destination).await?;
        let found = found.ok_or_else(|| gone(table))?;
        db.check(&found, table)
    }

    /// What the server says of itself, and of our rights to tables that are to be made and to those that are there.
    pub(in crate::destination) async fn survey(
        &mut self,
        made: &[Table],
        taken: &[Table],
    ) -> Result<Vec<Finding>> {
        let db = self.looking()?;
        let has_ledger = ledger::exists(db).await.unwrap_or(true);
        db.survey(made, taken, has_ledger).await
    }

    /// Bytes that there is room for, if that can be known.
    pub(in crate::destination) async fn room(&mut self) -> Option<u64> {
        self.looking().ok()?.room().await
    }

    /// The session that was opened to look; no other is opened in its place, as that could write.
    fn looking(&mut self) -> Result<&mut S> {
        self.session.as_mut().ok_or_else(super::lost)
    }
}
