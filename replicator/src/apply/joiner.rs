//! Tables that come, go or are asked for while the stream runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use walstream::Client;

use super::side::Side;
use super::watch::Known;
use crate::changes;
use crate::config::{Config, OnTableError};
use crate::copy::Copying;
use crate::destination::Destination;
use crate::error::{ErrorKind, Result};
use crate::fail_point;
use crate::position::{PositionRow, TableRow, TableState};
use crate::source::Source;
use crate::table::Table;

/// Looks into the ledger whenever the publications were looked at, and copies what is to be copied.
pub(super) struct Joiner {
    pub(super) config: Config,
    /// Leads to the source.
    pub(super) connection: walstream::Config,
    pub(super) publications: Vec<String>,
    /// Only slot and epoch of it matter.
    pub(super) held: PositionRow,
    pub(super) side: Side,
    /// What the ledger was brought to.
    pub(super) known: Known,
    /// Whether it is at work; what it does not hear of meanwhile it hears of afterwards.
    pub(super) busy: Arc<AtomicBool>,
}

impl Joiner {
    /// Each word on `looks` says whether something about the publications changed.
    pub(super) async fn run(mut self, mut looks: mpsc::Receiver<bool>) -> Result<()> {
        while let Some(changed) = looks.recv().await {
            self.busy.store(true, Ordering::Relaxed);
            match self.look(changed).await {
                Err(error)
                    if error.kind() == ErrorKind::Retry
                        || error.is_source_lost()
                        || error.is_locked_out() =>
                {
                    tracing::warn!(%error, "a table could not join; it is tried again");
                }
                done => done?,
            }
            self.busy.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn look(&mut self, changed: bool) -> Result<()> {
        let slot = self.config.slot.clone();
        let asked = pending(&self.side.tables(&slot).await?);
        if !changed && asked.is_empty() {
            return Ok(());
        }
        let client = Client::connect(&self.connection).await?;
        let mut source = Source::new(client).selecting(&self.config.selection);
        source.do_not_wait_for_locks().await?;
        let (was, _) = self.known.get();
        let (config, names, side) = (&self.config, &self.publications, &mut self.side);
        let mut found = changes::find(config, &mut source, side, names, &was).await?;
        found.join = side.name(&config.names, found.join).await?;
        let published = changes::settle(config, side, found).await?;
        if was != published.fingerprint {
            self.side.publish(published.fingerprint.clone()).await?;
        }
        self.known
            .set(published.fingerprint.clone(), published.relnatts.clone());
        let pending = pending(&self.side.tables(&slot).await?);
        for table in &pending {
            if let Some(found) = published.find(table.oid) {
                // As it is now: the ledger may have it as it was when it was stopped.
                let table = Table {
                    destination: table.destination.clone(),
                    ..found.table.clone()
                };
                self.side.set_aside(Arc::new(table)).await?;
            }
        }
        fail_point!("set-aside");
        if pending.is_empty() {
            return Ok(());
        }
        let copying = Copying {
            config: &self.config,
            connection: &self.connection,
            publications: &self.publications,
            held: &self.held,
        };
        let copied = copying.all(&mut source, &mut self.side, None).await;
        let copied = copied.map_err(|error| self.side.failure(error));
        match (copied, &*pending) {
            (Err(error), [table])
                if error.kind() == ErrorKind::Person
                    && self.config.on_table_error == OnTableError::Isolate =>
            {
                let why = error.to_string();
                tracing::error!(%table, "stopped: {why}; {}", changes::resync(table));
                self.side.stop_table(&slot, table.oid, &why).await
            }
            (copied, _) => copied.map(drop),
        }
    }
}

/// Those that are to be copied.
fn pending(rows: &[TableRow]) -> Vec<Table> {
    let copying = rows.iter().filter(|row| row.state == TableState::Copying);
    copying.map(|row| row.table.clone()).collect()
}
