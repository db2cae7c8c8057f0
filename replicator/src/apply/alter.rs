//! Definitions that change: what a table is from a place of the stream on is found out before that place is written.
//!
//! A batch that comes to such a place is rolled back, unless what is to be done there is known. Then the source's catalog
//! is asked, over a session of its own, or the destination is waited for; with the answer the batch comes again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use walstream::walproto::Oid;
use walstream::{Client, Config, Relation};

use super::writer::Writer;
use crate::alteration::Alteration;
use crate::changes;
use crate::definition;
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::follow::Differing;
use crate::names::TableName;
use crate::position::TableState;
use crate::source::Source;
use crate::table::{Difference, Table};

/// How often the destination table is looked at while it does not fit.
const LOOK: Duration = Duration::from_secs(2);

/// How often it is said what is waited for.
const SAID: Duration = Duration::from_secs(60);

/// What is known of the definitions that change in the batch at hand.
pub(super) struct Definitions {
    connection: Config,
    known: Vec<(Arc<Relation>, Arc<Alteration>)>,
}

impl Definitions {
    pub(super) const fn new(connection: Config) -> Self {
        Self {
            connection,
            known: Vec::new(),
        }
    }

    /// What is to be done about a difference, if it was found out.
    pub(super) fn known(&self, differing: &Differing) -> Option<Arc<Alteration>> {
        let mut known = self.known.iter();
        let same = |(relation, alteration): &&(Arc<Relation>, Arc<Alteration>)| {
            *relation == differing.relation && alteration.was == differing.table
        };
        known
            .find(same)
            .map(|(_, alteration)| Arc::clone(alteration))
    }

    /// The destination is past them.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// What the table is from there on, as far as the source can tell; with a reason where the destination has to be
    /// changed by somebody.
    async fn ask(&self, differing: &Differing) -> Result<(Alteration, Option<String>)> {
        let Differing {
            table: was,
            relation,
            difference,
        } = differing;
        let mut source = Source::new(Client::connect(&self.connection).await?);
        source.do_not_wait_for_locks().await?;
        let client = source.client();
        let is = definition::changed(client, was, relation).await?;
        let mut added = Vec::new();
        let mut why = None;
        match (difference, was.remade_column(&is)) {
            (_, Some(column)) => why = Some(changes::column_remade(column)),
            (Difference::Other(words), None) => why = Some(words.clone()),
            (Difference::Added, None) => {
                for at in was.columns.len()..is.columns.len() {
                    match definition::missing(client, was, &is, at).await? {
                        Ok(value) => added.push(value),
                        Err(reason) => why = Some(reason),
                    }
                }
            }
        }
        let alteration = Alteration {
            was: Arc::clone(was),
            is: Arc::new(is),
            added: why.is_none().then_some(added),
        };
        Ok((alteration, why))
    }
}

impl<D: Destination> Writer<D> {
    /// Finds out what is to be done about a definition that changed, and waits until the destination fits where that is
    /// for somebody else to do; where one table may stop alone, it does that instead.
    ///
    /// Ends with an error if the end is asked for meanwhile, too.
    pub(super) async fn find_out(&mut self, differing: Differing) -> Result<()> {
        let Differing {
            table, relation, ..
        } = &differing;
        if !table.is_named_as(relation) {
            // Another place at the destination, and another publication as far as we know.
            let name = TableName::new(&*relation.namespace, &*relation.name);
            return self.stop_alone(table, changes::renamed(&name)).await;
        }
        let mut said: Option<Instant> = None;
        let mut say = |what: &dyn Fn()| {
            if said.is_none_or(|said| said.elapsed() >= SAID) {
                said = Some(Instant::now());
                what();
            }
        };
        let (alteration, why) = loop {
            match self.definitions.ask(&differing).await {
                Ok(answer) => break answer,
                Err(error) if error.kind() == ErrorKind::Retry || error.is_locked_out() => {
                    say(&|| {
                        tracing::warn!(%error, table = %differing.table, "the source cannot be asked about a table that changed; trying again");
                    });
                }
                Err(error) => return Err(error),
            }
            self.pause().await?;
        };
        if let Some(why) = why {
            let table = Arc::clone(&alteration.was);
            loop {
                let wanting = match self.fits(&alteration).await {
                    Ok(None) => break,
                    Ok(Some(wanting)) => wanting,
                    Err(error) if error.kind() == ErrorKind::Retry || error.is_locked_out() => {
                        error.to_string()
                    }
                    Err(error) => return Err(error),
                };
                if self.is_to_be_copied(table.oid).await {
                    // What comes of it is kept from here on as far as it can be read, and the copy has the rest.
                    self.aside.add(&table);
                    self.tables.put(table);
                    return Ok(());
                }
                if self.isolates {
                    let reason = format!("its definition changed at the source: {why}; {wanting}");
                    return self.stop_alone(&table, reason).await;
                }
                say(&|| {
                    tracing::warn!(
                        %table,
                        "the definition of the table changed at the source: {why}. Nothing goes on until the destination fits: {wanting} Or, {}",
                        changes::resync(&table)
                    );
                });
                self.pause().await?;
            }
            tracing::warn!(%table, "the definition of the table changed at the source ({why}), and the destination fits; rows that are there are left as they are. If the source has other values in them now, {}", changes::resync(&table));
        } else {
            let columns: Vec<&str> = alteration
                .columns()
                .filter_map(|(at, _)| alteration.is.columns.get(at))
                .map(|column| column.name.as_str())
                .collect();
            tracing::info!(table = %alteration.was, columns = columns.join(", "), "columns were added at the source");
        }
        let alteration = Arc::new(alteration);
        self.definitions
            .known
            .push((differing.relation, alteration));
        self.prepare().await
    }

    /// Why the destination does not fit, if it does not.
    async fn fits(&mut self, alteration: &Alteration) -> Result<Option<String>> {
        if alteration.is_shuffled() {
            return Ok(Some(
                "names of columns were swapped, or a column was dropped and one of its name added, so nothing can be read from \
                 the destination table; only another copy of it will do."
                    .to_owned(),
            ));
        }
        self.destination.fits(alteration).await
    }

    /// Stops a table; the batch comes again without it.
    async fn stop_alone(&mut self, table: &Table, reason: String) -> Result<()> {
        self.stop_table(table.oid, &reason).await?;
        tracing::error!(%table, "stopped: {reason}; {}", changes::resync(table));
        fail_point!("table-isolated");
        Ok(())
    }

    /// Whether somebody asked for another copy of a table meanwhile.
    async fn is_to_be_copied(&mut self, oid: Oid) -> bool {
        let slot = &self.position.slot;
        let rows = self.destination.tables(slot).await.unwrap_or_default();
        let mut rows = rows.iter();
        rows.any(|row| row.table.oid == oid && row.state == TableState::Copying)
    }

    /// Makes ready what a batch cannot take back; tries again what may pass.
    async fn prepare(&mut self) -> Result<()> {
        let known = self.definitions.known.clone();
        for (_, alteration) in known {
            loop {
                let prepared = self.destination.prepare_alter(&self.position, &alteration);
                let Err(error) = prepared.await else { break };
                if self.shutdown.is_asked() {
                    self.left = true;
                    return Err(error);
                }
                self.retry.pause(error, &mut self.shutdown).await?;
            }
        }
        self.retry.over();
        fail_point!("column-prepared");
        Ok(())
    }

    /// Carries out, in the batch that is open, what was found out.
    pub(super) async fn alter(&mut self, alteration: &Alteration) -> Result<()> {
        let slot = self.position.slot.clone();
        self.destination.alter_table(&slot, alteration).await?;
        self.tables.change(&alteration.is);
        fail_point!("column-added");
        Ok(())
    }

    /// Waits for a while, or ends.
    async fn pause(&mut self) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => Ok(()),
            () = self.shutdown.asked() => {
                self.left = true;
                Err(Error::retry("the end was asked for while a definition that changed was waited for"))
            }
        }
    }
}
