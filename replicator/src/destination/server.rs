//! What destinations that are servers have in common: the order of events and what is undone when, over what a product's
//! session can do.

mod apply;
mod cell;
mod ledger;
mod session;
mod writer;

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};
use walproto::{Lsn, Oid};

pub(super) use apply::{Apply, Course, Failed, Freedom, Refusal};
pub(super) use cell::{Cell, Row};
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) use session::IDLE;
pub(super) use session::{
    Found, Holder, Lock, Ours, Outgoing, Session, Statements, Unmade, migrated_by,
};
pub(super) use writer::Writer;

use super::look::Fate;
use super::{Destination, Existing, Outcome, Refused, Rows};
use crate::alteration::Alteration;
use crate::check::Finding;
use crate::chunk::Chunk;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::plan::Operation;
use crate::position::{PositionRow, TableRow};
use crate::table::Table;

/// A product's destination: all of it that is not the same for every server.
pub(super) trait Server: Sized + Send + Sync {
    type Session: Session;

    /// What writes.
    fn writer(&self) -> &Arc<Mutex<Writer<Self::Session>>>;

    /// The same destination over another session.
    fn over(&self, writer: Writer<Self::Session>) -> Self;

    /// As [`Destination::name_tables`].
    fn names<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()>;
}

/// Carries a task out to its end, also when nobody waits for the answer: half an exchange would leave a session of no
/// use.
async fn call<D, T, F>(
    server: &D,
    task: impl FnOnce(OwnedMutexGuard<Writer<D::Session>>) -> F,
) -> Result<T>
where
    D: Server,
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let writer = Arc::clone(server.writer());
    let task = task(writer.lock_owned().await);
    tokio::spawn(task).await.unwrap_or_else(|error| {
        Err(
            Error::retry("the task that writes the destination has ended unexpectedly")
                .caused_by(error),
        )
    })
}

/// As [`Writer::examine`].
pub(super) async fn examine<D: Server>(
    server: &D,
    table: &Table,
    existing: Existing,
) -> Result<Fate> {
    server.writer().lock().await.examine(table, existing).await
}

/// As [`Writer::fits_still`].
pub(super) async fn fits_still<D: Server>(server: &D, table: &Table) -> Result<()> {
    server.writer().lock().await.fits_still(table).await
}

/// As [`Writer::survey`].
pub(super) async fn survey<D: Server>(
    server: &D,
    made: &[Table],
    taken: &[Table],
) -> Result<Vec<Finding>> {
    server.writer().lock().await.survey(made, taken).await
}

/// As [`Writer::room`].
pub(super) async fn room<D: Server>(server: &D) -> Option<u64> {
    server.writer().lock().await.room().await
}

impl<D: Server> Destination for D {
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()> {
        self.names(names, tables)
    }

    async fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        let slot = slot.to_owned();
        call(
            self,
            |mut writer| async move { writer.position(&slot).await },
        )
        .await
    }

    async fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        let slot = slot.to_owned();
        call(self, |mut writer| async move { writer.tables(&slot).await }).await
    }

    async fn write_intent(&mut self, row: &PositionRow) -> Result<PositionRow> {
        let row = row.clone();
        call(
            self,
            |mut writer| async move { writer.write_intent(row).await },
        )
        .await
    }

    async fn remove_intent(&mut self, slot: &str) -> Result<()> {
        let slot = slot.to_owned();
        call(self, |mut writer| async move {
            writer.remove_intent(&slot).await
        })
        .await
    }

    async fn create_table(
        &mut self,
        slot: &str,
        table: &Arc<Table>,
        existing: Existing,
    ) -> Result<()> {
        let (slot, table) = (slot.to_owned(), Arc::clone(table));
        call(self, |mut writer| async move {
            writer.create_table(&slot, &table, existing).await
        })
        .await
    }

    async fn drop_made_tables(&mut self, slot: &str) -> Result<Vec<String>> {
        let slot = slot.to_owned();
        call(self, |mut writer| async move {
            writer.drop_made_tables(&slot).await
        })
        .await
    }

    async fn activate(&mut self, row: &PositionRow) -> Result<PositionRow> {
        let row = row.clone();
        call(self, |mut writer| async move { writer.activate(row).await }).await
    }

    async fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        let (slot, holder) = (slot.to_owned(), holder.to_owned());
        call(self, |mut writer| async move {
            writer.raise_epoch(&slot, &holder).await
        })
        .await
    }

    async fn begin_copy(&mut self, held: &PositionRow, table: &Arc<Table>, at: Lsn) -> Result<()> {
        let (held, table) = (held.clone(), Arc::clone(table));
        call(self, |mut writer| async move {
            writer.begin_copy(&held, &table, at).await
        })
        .await
    }

    async fn copy(&mut self, held: &PositionRow, chunk: Chunk) -> Result<()> {
        let held = held.clone();
        call(self, |mut writer| async move {
            writer.copy(&held, &chunk).await
        })
        .await
    }

    async fn finish_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        let held = held.clone();
        call(self, |mut writer| async move {
            writer.finish_copy(&held, oid, at).await
        })
        .await
    }

    async fn another(&mut self) -> Result<Option<Self>> {
        let writer = call(self, |mut writer| async move { writer.another().await }).await?;
        Ok(Some(self.over(writer)))
    }

    async fn begin(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<()> {
        let (expected, next) = (expected.clone(), next.clone());
        call(self, |mut writer| async move {
            writer.begin(expected, next).await
        })
        .await
    }

    async fn execute(&mut self, operations: Vec<Operation>) -> Result<()> {
        call(self, |mut writer| async move {
            writer.execute(operations).await
        })
        .await
    }

    async fn prepare_alter(&mut self, held: &PositionRow, alteration: &Alteration) -> Result<()> {
        let (held, alteration) = (held.clone(), alteration.clone());
        call(self, |mut writer| async move {
            writer.prepare_alter(&held, &alteration).await
        })
        .await
    }

    async fn alter_table(&mut self, slot: &str, alteration: &Alteration) -> Result<()> {
        let (slot, alteration) = (slot.to_owned(), alteration.clone());
        call(self, |mut writer| async move {
            writer.alter_table(&slot, &alteration).await
        })
        .await
    }

    async fn fits(&mut self, alteration: &Alteration) -> Result<Option<String>> {
        let alteration = alteration.clone();
        call(
            self,
            |mut writer| async move { writer.fits(&alteration).await },
        )
        .await
    }

    async fn attempt(&mut self, operations: Vec<Operation>) -> Result<Vec<Refused>> {
        call(self, |mut writer| async move {
            writer.attempt(operations).await
        })
        .await
    }

    async fn commit(&mut self) -> Result<Outcome> {
        call(self, |mut writer| async move { writer.commit().await }).await
    }

    async fn rollback(&mut self) -> Result<()> {
        call(self, |mut writer| async move { writer.rollback().await }).await
    }

    async fn forget(&mut self, slot: &str) -> Result<()> {
        let slot = slot.to_owned();
        call(self, |mut writer| async move { writer.forget(&slot).await }).await
    }

    async fn caught_up(&mut self, slot: &str, oid: Oid) -> Result<()> {
        let slot = slot.to_owned();
        call(self, |mut writer| async move {
            writer.caught_up(&slot, oid).await
        })
        .await
    }

    async fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) -> Result<()> {
        let (slot, reason) = (slot.to_owned(), reason.to_owned());
        call(self, |mut writer| async move {
            writer.stop_table(&slot, oid, &reason).await
        })
        .await
    }

    async fn adopt(
        &mut self,
        held: &PositionRow,
        next: &PositionRow,
        tables: &[(Oid, TableRow)],
    ) -> Result<()> {
        let (held, next, tables) = (held.clone(), next.clone(), tables.to_vec());
        call(self, |mut writer| async move {
            writer.adopt(&held, &next, &tables).await
        })
        .await
    }

    async fn ask_copy(&mut self, slot: &str, oid: Oid, now: Oid) -> Result<()> {
        let slot = slot.to_owned();
        call(self, |mut writer| async move {
            writer.ask_copy(&slot, oid, now).await
        })
        .await
    }

    async fn read(&mut self, table: &Arc<Table>) -> Result<Rows> {
        let table = Arc::clone(table);
        let mut writer = Arc::clone(self.writer()).lock_owned().await;
        let (rows, receiver) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move { writer.read(&table, &rows).await });
        Ok(Rows(receiver))
    }

    async fn close(self) -> Result<()> {
        call(&self, |mut writer| async move {
            writer.close().await;
            Ok(())
        })
        .await
    }
}
