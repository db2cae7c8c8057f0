//! The first start: intent, slot, tables, position; or a slot and tables that the user vouches for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use walstream::walproto::{Lsn, Timestamp};
use walstream::{Blocker, Client, CreatedSlot, Slot, SlotOptions, SystemIdentity};

use super::{holder, usable};
use crate::config::{Config, Copy};
use crate::copy::Snapshot;
use crate::destination::{Destination, Existing};
use crate::error::{Error, ErrorKind, Result};
use crate::fail_point;
use crate::metrics::clock_and_wal;
use crate::position::{PositionRow, State};
use crate::publication;
use crate::selection::WhereFrom;
use crate::source::{Published, PublishedTable, Source};
use crate::table::Table;

/// The first start: intent, slot, tables, position. What the slot's snapshot sees is to be copied.
pub(super) async fn first(
    config: &Config,
    connection: &walstream::Config,
    source: &mut Source,
    destination: &mut impl Destination,
    system: &SystemIdentity,
    publications: &[String],
) -> Result<Snapshot> {
    // Refuse what can be refused before anything is written.
    let copied = config.copy != Copy::No;
    publication::check_fit(source.client(), publications, &config.selection, copied).await?;
    let name = |tables: &mut Vec<Table>| destination.name_tables(&config.names, tables);
    named(config, name, &source.published(publications).await?.tables)?;
    let holder = Client::connect_replication(connection).await?;
    let intent = intent(config, source, system, publications).await?;
    let intent = destination.write_intent(&intent).await?;
    fail_point!("intent-written");
    let mut snapshot = match Snapshot::with_slot(holder, source, &config.slot, false).await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            // An answer to the slot, so there is none. Without one, or where only its snapshot could not be shared, the
            // intent stays, and what it stands for is cleaned.
            if error.sqlstate().is_some() && source.client().slot(&config.slot).await?.is_none() {
                destination.remove_intent(&config.slot).await?;
            }
            return Err(not_created(source, error).await);
        }
    };
    fail_point!("slot-made");
    let holder = &mut snapshot.holder;
    let published = crate::source::published(holder, publications, &config.selection).await?;
    warn_of_partitions(&published);
    let name = |tables: &mut Vec<Table>| destination.name_tables(&config.names, tables);
    let tables = named(config, name, &published.tables)?;
    let tables: Vec<Arc<Table>> = tables.into_iter().map(Arc::new).collect();
    // All of them before the first row: one that cannot be is said before hours of copying.
    make(config, destination, &tables).await?;
    if config.copy == Copy::No {
        vouched(destination, &intent, &tables, snapshot.lsn).await?;
    }
    let row = PositionRow {
        lsn: snapshot.lsn,
        fingerprint: published.fingerprint,
        ..intent
    };
    destination.activate(&row).await?;
    fail_point!("activated");
    Ok(snapshot)
}

/// Writes down that tables hold what committed before `at`. Before the position: a table that is followed without this is
/// copied, and what it holds would go.
async fn vouched(
    destination: &mut impl Destination,
    intent: &PositionRow,
    tables: &[Arc<Table>],
    at: Lsn,
) -> Result<()> {
    let held = PositionRow {
        lsn: at,
        ..intent.clone()
    };
    for table in tables {
        destination.finish_copy(&held, table.oid, at).await?;
    }
    Ok(())
}

/// Says what the stream cannot show of tables that are followed as a whole although their rows lie in partitions.
fn warn_of_partitions(published: &Published) {
    let whole = published
        .tables
        .iter()
        .filter(|published| published.partitioned);
    let tables: Vec<String> = whole.map(|published| published.table.to_string()).collect();
    if !tables.is_empty() {
        let tables = tables.join(", ");
        tracing::warn!(
            tables,
            "partitioned tables are followed as a whole: the stream does not show when a single partition is \
             truncated, attached with rows in it, or detached"
        );
    }
}

/// The row to write before the slot is made.
async fn intent(
    config: &Config,
    source: &mut Source,
    system: &SystemIdentity,
    publications: &[String],
) -> Result<PositionRow> {
    // Whatever committed before that is in the snapshot of a slot that is made after it.
    let (micros, _) = clock_and_wal(source.client()).await?;
    Ok(PositionRow {
        slot: config.slot.clone(),
        state: State::Intent,
        system_id: system.system_id.clone(),
        timeline: system.timeline,
        database: system.database.clone().unwrap_or_default(),
        publications: publications.to_vec(),
        lsn: source.insert_lsn().await?,
        epoch: 0,
        holder: holder(),
        fingerprint: String::new(),
        source_time: Timestamp::from_unix_micros(micros),
    })
}

/// Makes the tables, or takes over those that are there.
async fn make(
    config: &Config,
    destination: &mut impl Destination,
    tables: &[Arc<Table>],
) -> Result<()> {
    let existing = config.existing_tables();
    let mut missing: Vec<Error> = Vec::new();
    let mut unfit: Vec<Error> = Vec::new();
    for table in tables {
        match destination
            .create_table(&config.slot, table, existing)
            .await
        {
            // All that are, at once: whoever makes them has to be asked only once.
            Err(error) if error.missing_table().is_some() => missing.push(error),
            Err(error) if matches!(error.kind(), ErrorKind::Person | ErrorKind::Usage) => {
                unfit.push(error);
            }
            done => done?,
        }
        fail_point!("table-made");
    }
    if !unfit.is_empty() {
        return Err(Error::all(unfit));
    }
    if missing.len() > 1 {
        let all = missing.iter().filter_map(Error::missing_table);
        let sql: Vec<&str> = all.collect();
        return Err(Error::usage(format!(
            "the destination has none of {} tables, and --auto-create no leaves it to you to make them",
            sql.len()
        ))
        .with_hint(format!("this would do: {}", sql.join("; "))));
    }
    missing.pop().map_or(Ok(()), Err)?;
    if let Existing::Empty { .. } = existing {
        let rows = destination.tables(&config.slot).await?;
        let theirs = rows.iter().filter(|row| !row.made_by_us);
        let tables: Vec<&str> = theirs.map(|row| &*row.table.destination).collect();
        if !tables.is_empty() {
            let tables = tables.join(", ");
            tracing::warn!(
                tables,
                "there already: each is emptied when its copy begins (--existing truncate)"
            );
        }
    }
    Ok(())
}

/// Why the slot was not made; the session that was to make it is in a failed transaction and cannot ask.
pub(crate) async fn not_created(source: &mut Source, error: walstream::Error) -> Error {
    if error.sqlstate() == Some("55000")
        && let Ok(rows) = source.client().query("SHOW wal_level").await
        && rows.first().and_then(|row| row.get(0)) != Some("logical")
    {
        return Error::person("the source does not write enough WAL for logical replication")
            .with_hint("set wal_level = logical on the server and restart it")
            .caused_by(error);
    }
    error.into()
}

/// Makes a slot and says what it waits for, now and then: every transaction that was running must end.
pub(crate) async fn make_slot(
    source: &mut Source,
    wire: &mut Client,
    name: &str,
    options: &SlotOptions,
) -> Result<CreatedSlot, walstream::Error> {
    const AGAIN: Duration = Duration::from_secs(60);
    const MOST: usize = 5;
    let mut said: Option<(String, Instant)> = None;
    let report = |blockers: Result<Vec<Blocker>, walstream::Error>| {
        let blockers = match blockers {
            Ok(blockers) => blockers,
            Err(error) => {
                tracing::warn!(%error, "waiting for the slot");
                return;
            }
        };
        let oldest = blockers.iter().take(MOST).map(ToString::to_string);
        let waiting_for = oldest.collect::<Vec<_>>().join("; ");
        // Such a wait can take a night.
        if said
            .as_ref()
            .is_some_and(|(text, when)| *text == waiting_for && when.elapsed() < AGAIN)
        {
            return;
        }
        if blockers.is_empty() {
            tracing::info!("waiting for the slot");
        } else {
            tracing::warn!(waiting_for, "the slot is ready once these have ended");
        }
        said = Some((waiting_for, Instant::now()));
    };
    wire.create_slot_reporting(name, options, source.client(), report)
        .await
}

/// Takes over a slot and tables that the user vouches for.
pub(super) async fn adopt(
    config: &Config,
    source: &mut Source,
    destination: &mut impl Destination,
    system: &SystemIdentity,
    slot: &Slot,
    publications: &[String],
) -> Result<()> {
    usable(slot, system)?;
    let Some(lsn) = slot.confirmed_flush else {
        return Err(Error::person(format!(
            "replication slot {:?} has no confirmed position",
            config.slot
        )));
    };
    publication::check_fit(source.client(), publications, &config.selection, false).await?;
    let published = source.published(publications).await?;
    let name = |tables: &mut Vec<Table>| destination.name_tables(&config.names, tables);
    let tables = named(config, name, &published.tables)?;
    // Its position lies above the slot's own, so cleaning takes the slot for older than the intent: never dropped.
    let row = destination
        .write_intent(&intent(config, source, system, publications).await?)
        .await?;
    let tables: Vec<Arc<Table>> = tables.into_iter().map(Arc::new).collect();
    make(config, destination, &tables).await?;
    vouched(destination, &row, &tables, lsn).await?;
    destination
        .activate(&PositionRow {
            lsn,
            fingerprint: published.fingerprint,
            // The slot was there before: what it has to say may be older than our intent.
            source_time: None,
            ..row
        })
        .await?;
    Ok(())
}

/// The tables with the names that `name` gives them; names that meet are an error, and so are those for nothing.
pub(crate) fn named(
    config: &Config,
    name: impl FnOnce(&mut Vec<Table>) -> Result<()>,
    published: &[PublishedTable],
) -> Result<Vec<Table>> {
    let tables = published.iter().map(|published| published.table.clone());
    let mut tables: Vec<Table> = tables.collect();
    config
        .selection
        .agrees(tables.iter(), WhereFrom::Publication)?;
    config.names.check(&tables)?;
    name(&mut tables)?;
    Ok(tables)
}
