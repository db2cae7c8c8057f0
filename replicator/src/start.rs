//! Beginning and beginning again.
//!
//! # Order of events, and what a crash leaves behind
//!
//! First start, no position row for the slot's name:
//!
//! | step | a crash after it leaves | the next start |
//! |---|---|---|
//! | 1. no slot of that name exists; publication made if it is ours to make | a publication with our mark | uses it |
//! | 2. intent row committed (system, database, WAL position) | the intent | step 4 of cleaning, then from step 1 |
//! | 3. slot made, its snapshot held by the same connection | intent and an orphaned slot, not older than the intent | cleans |
//! | 4. per table: ledger row and table, then its rows | also tables that the ledger says we made | cleans |
//! | 5. the intent becomes the position row, at the slot's consistent point | a position and a slot that agree | goes on |
//!
//! Cleaning: the orphaned slot's holder is ended, the slot dropped, the tables we made dropped, the intent removed,
//! each in that order, so that a crash in between is cleaned again. A slot older than the intent is not ours and
//! never dropped.
//!
//! Later start, position row found:
//!
//! | step | a crash after it leaves | the next start |
//! |---|---|---|
//! | 1. `START_REPLICATION` at 0/0: who does not own the slot changes nothing | nothing | the same |
//! | 2. one destination transaction raises the epoch and reads the row | a higher epoch | raises it again |
//! | 3. the row is compared with slot, server, timeline and publications | nothing | the same |
//! | 4. what committed before the stored position is skipped and confirmed | a slot that moved up to the position | the same |

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use walstream::walproto::Lsn;
use walstream::{
    Client, Limits, Slot, SlotOptions, SlotState, Snapshot, Stream, StreamOptions, SystemIdentity,
};

use crate::config::{Config, Copy, Streaming};
use crate::destination::{Destination, Existing};
use crate::error::{Error, Result, START_ANEW};
use crate::follow::Tables;
use crate::position::{PositionRow, State};
use crate::publication;
use crate::source::{Published, Source};
use crate::table::Table;
use crate::{copy, fail_point};

/// A run that owns slot and destination and may apply.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) stream: Stream,
    pub(crate) source: Source,
    pub(crate) position: PositionRow,
    /// The server's timeline; the row follows with the next batch.
    pub(crate) timeline: u32,
    pub(crate) tables: Tables,
    pub(crate) publications: Vec<String>,
}

/// Brings slot, publication and destination together, whatever an earlier start left behind.
pub(crate) async fn start(config: &Config, destination: &mut impl Destination) -> Result<Started> {
    let connection = walstream::Config::parse(&config.source)?;
    walstream::check_slot_name(&config.slot)?;
    let mut source = Source::new(Client::connect(&connection).await?);
    let mut wire = Client::connect_replication(&connection).await?;
    // Now rather than after the copy.
    stream_options(config, &wire, &config.publications()).check(wire.server_version())?;
    let system = wire.identify_system().await?;
    let mut row = destination.position(&config.slot).await?;
    if let Some(intent) = row.as_ref().filter(|row| row.state == State::Intent) {
        check_system(intent, &system)?;
        clean(config, &mut source, destination, intent).await?;
        row = None;
    }
    if let Some(row) = &row {
        check_system(row, &system)?;
    }
    let slot = source.client().slot(&config.slot).await?;
    let (publications, made) = publications(config, &mut source, row.is_some()).await?;
    let ready = match (row, slot) {
        (Some(_), Some(slot)) => usable(&slot, &system),
        (Some(row), None) => Err(slot_gone(config, &row)),
        (None, Some(slot)) if config.copy == Copy::No => {
            adopt(
                config,
                &mut source,
                destination,
                &system,
                &slot,
                &publications,
            )
            .await
        }
        (None, Some(_)) => Err(foreign_slot(config)),
        (None, None) => {
            first(
                config,
                &mut source,
                &mut wire,
                destination,
                &system,
                &publications,
            )
            .await
        }
    };
    if let Err(error) = ready {
        // The slot would hold back WAL for nobody. What cannot be cleaned now is cleaned at the next start.
        drop(wire);
        give_up(config, &mut source, destination).await;
        if made {
            unpublish(&mut source, &publications).await;
        }
        return Err(error);
    }
    later(
        config,
        &connection,
        wire,
        source,
        destination,
        &system,
        publications,
    )
    .await
}

/// Removes what a first start that did not succeed left behind, as far as that can be done.
pub(crate) async fn give_up(
    config: &Config,
    source: &mut Source,
    destination: &mut impl Destination,
) {
    let cleaned = async {
        match destination.position(&config.slot).await? {
            Some(row) if row.state == State::Intent => {
                clean(config, source, destination, &row).await
            }
            _ => Ok(()),
        }
    };
    if let Err(error) = cleaned.await {
        tracing::warn!(%error, "the unfinished start could not be cleaned up; the next one will try again");
    }
}

/// Drops the publications that a start made before it was refused; a later one makes them as it is told then.
async fn unpublish(source: &mut Source, publications: &[String]) {
    let Some(name) = publications.first() else {
        return;
    };
    if let Err(error) = publication::drop_ours(source.client(), name).await {
        tracing::warn!(%error, publication = name, "could not drop the publication again");
    }
}

/// Removes what a first start left that did not come to its end.
async fn clean(
    config: &Config,
    source: &mut Source,
    destination: &mut impl Destination,
    intent: &PositionRow,
) -> Result<()> {
    tracing::info!(
        slot = config.slot,
        "an earlier start did not finish its copy; removing what it left"
    );
    let deadline = Instant::now() + config.takeover;
    while let Some(slot) = source.client().slot(&config.slot).await? {
        // Made after the intent, when no slot of the name existed: nobody else's. Any later position is above.
        if slot
            .restart_lsn
            .or(slot.confirmed_flush)
            .is_some_and(|lsn| lsn < intent.lsn)
        {
            if config.copy == Copy::No {
                // Taking it over did not come to its end, and is asked for again.
                break;
            }
            return Err(Error::person(format!(
                "replication slot {:?} is older than the start that was to make it ({})",
                config.slot, intent.lsn
            ))
            .with_hint("it is not ours: choose another --slot; give --copy no again if it was being taken over; or drop the slot yourself if nobody needs it"));
        }
        if let Some(pid) = slot.active_pid {
            if Instant::now() > deadline {
                return Err(Error::retry(format!(
                    "replication slot {:?} is still held by process {pid}",
                    config.slot
                )));
            }
            source.terminate(pid).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        source.client().drop_slot(&config.slot, true).await?;
    }
    let dropped = destination.drop_made_tables(&config.slot).await?;
    tracing::debug!(tables = dropped.join(", "), "dropped");
    destination.remove_intent(&config.slot).await
}

/// The publications to read, and whether they were made now: the default one, or one named together with `--tables`,
/// is at the first start.
async fn publications(
    config: &Config,
    source: &mut Source,
    later: bool,
) -> Result<(Vec<String>, bool)> {
    let mut names = config.publications();
    let missing = source.missing(&names).await?;
    if let Some(name) = missing.first() {
        let ours_to_make =
            config.publications.is_empty() || (names.len() == 1 && !config.tables.is_empty());
        if later || !ours_to_make {
            return Err(publication_missing(name, later));
        }
        let made =
            publication::create(source.client(), name, &config.tables, config.keyless).await?;
        tracing::info!(
            publication = name,
            tables = made.published.join(", "),
            "publication made"
        );
        if !made.skipped.is_empty() {
            let tables = made.skipped.join(", ");
            tracing::warn!(
                tables,
                "left out: no usable key, so updates and deletes could not be followed; see --keyless"
            );
        }
    } else if !config.tables.is_empty() {
        tracing::debug!("the publication exists, so --tables changes nothing");
    }
    if let [name] = names.as_slice() {
        let companion = publication::insert_only_name(name);
        if publication::is_ours(source.client(), &companion).await? {
            names.push(companion);
        }
    }
    Ok((names, !missing.is_empty()))
}

/// The first start: intent, slot, copy, position.
async fn first(
    config: &Config,
    source: &mut Source,
    wire: &mut Client,
    destination: &mut impl Destination,
    system: &SystemIdentity,
    publications: &[String],
) -> Result<()> {
    const SNAPSHOTS: usize = 5;
    // Refuse what can be refused before anything is written.
    named(destination, &source.published(publications).await?)?;
    for _ in 0..SNAPSHOTS {
        let intent = intent(config, source, system, publications).await?;
        let intent = destination.write_intent(&intent).await?;
        fail_point!("intent-written");
        wire.execute("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
            .await?;
        let options = SlotOptions {
            snapshot: Snapshot::Use,
            ..SlotOptions::default()
        };
        let created = waiting_for(source, wire.create_slot(&config.slot, &options)).await;
        let point = match created {
            Ok(created) => created.consistent_point,
            Err(error) => {
                // An answer, so there is no slot. Without one the intent stays and is cleaned by the next start.
                if error.sqlstate().is_some() {
                    destination.remove_intent(&config.slot).await?;
                }
                return Err(not_created(source, error).await);
            }
        };
        fail_point!("slot-made");
        let published = crate::source::published(wire, publications).await?;
        if !copy::lock(wire, source, &published.tables, publications).await? {
            tracing::info!(
                "a table changed while the slot was being made; starting over with a new snapshot"
            );
            wire.execute("ROLLBACK").await?;
            clean(config, source, destination, &intent).await?;
            continue;
        }
        fill(config, wire, destination, &published, point).await?;
        wire.execute("COMMIT").await?;
        fail_point!("copied");
        let row = PositionRow {
            lsn: point,
            fingerprint: published.fingerprint,
            ..intent
        };
        destination.activate(&row).await?;
        fail_point!("activated");
        return Ok(());
    }
    Err(Error::retry(format!(
        "tables kept changing their definition; no copy in {SNAPSHOTS} attempts"
    )))
}

/// The row to write before the slot is made.
async fn intent(
    config: &Config,
    source: &mut Source,
    system: &SystemIdentity,
    publications: &[String],
) -> Result<PositionRow> {
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
    })
}

/// Who we are, for those who find our name in the row.
fn holder() -> String {
    format!("process {}", std::process::id())
}

/// Makes the tables and, unless the destination has the rows, copies them.
async fn fill(
    config: &Config,
    wire: &mut Client,
    destination: &mut impl Destination,
    published: &Published,
    point: Lsn,
) -> Result<()> {
    for (published, table) in published.tables.iter().zip(named(destination, published)?) {
        let table = Arc::new(table);
        destination
            .create_table(&config.slot, &table, existing(config))
            .await?;
        fail_point!("table-made");
        if config.copy == Copy::Yes {
            let rows = copy::table(wire, destination, published, &table, point).await?;
            tracing::info!(%table, rows, "copied");
        }
    }
    Ok(())
}

const fn existing(config: &Config) -> Existing {
    match config.copy {
        Copy::Yes => Existing::Refuse,
        Copy::No => Existing::Accept,
    }
}

/// Why the slot was not made; the session that was to make it is in a failed transaction and cannot ask.
async fn not_created(source: &mut Source, error: walstream::Error) -> Error {
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

/// Runs `creation` and says every few seconds what it waits for: every transaction that was running must end.
async fn waiting_for<T>(source: &mut Source, creation: impl Future<Output = T>) -> T {
    tokio::pin!(creation);
    loop {
        tokio::select! {
            done = &mut creation => return done,
            () = tokio::time::sleep(Duration::from_secs(3)) => {}
        }
        // Awaited beside the creation, which must go on meanwhile.
        let blockers = source.blockers();
        tokio::select! {
            done = &mut creation => return done,
            blockers = blockers => match blockers {
                Ok(blockers) if !blockers.is_empty() => {
                    tracing::warn!(waiting_for = blockers.join("; "), "the slot is ready once these have ended");
                }
                Ok(_) => tracing::info!("waiting for the slot"),
                Err(error) => tracing::warn!(%error, "waiting for the slot"),
            },
        }
    }
}

/// Takes over a slot and tables that the user vouches for.
async fn adopt(
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
    let published = source.published(publications).await?;
    let tables = named(destination, &published)?;
    // Its position lies above the slot's own, so cleaning takes the slot for older than the intent: never dropped.
    let row = destination
        .write_intent(&intent(config, source, system, publications).await?)
        .await?;
    for table in tables {
        destination
            .create_table(&config.slot, &Arc::new(table), Existing::Accept)
            .await?;
    }
    destination
        .activate(&PositionRow {
            lsn,
            fingerprint: published.fingerprint,
            ..row
        })
        .await?;
    Ok(())
}

/// Owns the slot, raises the epoch, compares, and hands over.
async fn later(
    config: &Config,
    connection: &walstream::Config,
    wire: Client,
    mut source: Source,
    destination: &mut impl Destination,
    system: &SystemIdentity,
    publications: Vec<String>,
) -> Result<Started> {
    let mut wire = wire;
    let history = if system.timeline > 1 {
        wire.timeline_history(system.timeline).await?
    } else {
        Vec::new()
    };
    let options = stream_options(config, &wire, &publications);
    let stream = own(config, connection, wire, &mut source, &options).await?;
    let position = destination.raise_epoch(&config.slot, &holder()).await?;

    check_system(&position, system)?;
    if position.publications != publications {
        return Err(Error::person(format!(
            "the destination follows the publications {}, not {}",
            position.publications.join(", "),
            publications.join(", ")
        ))
        .with_hint(START_ANEW));
    }
    let fingerprint = source.fingerprint(&publications).await?;
    if position.fingerprint != fingerprint {
        return Err(publication_changed(&position.fingerprint, &fingerprint));
    }
    let left = history
        .iter()
        .find(|switch| switch.timeline == position.timeline)
        .map(|switch| switch.switch);
    if position.timeline > system.timeline || left.is_some_and(|switch| position.lsn > switch) {
        return Err(Error::person(format!(
            "the destination is at {} on timeline {}, which the source (timeline {}) never reached",
            position.lsn, position.timeline, system.timeline
        ))
        .with_hint(START_ANEW));
    }
    let flushed = source.flush_lsn().await?;
    if position.lsn > flushed {
        return Err(Error::person(format!(
            "the destination is at {}, ahead of the source's write-ahead log, which ends at {flushed}",
            position.lsn
        ))
        .with_hint(format!("the source was restored from an older state; {START_ANEW}")));
    }
    let slot = source.client().slot(&config.slot).await?;
    if let Some(confirmed) = slot
        .and_then(|slot| slot.confirmed_flush)
        .filter(|&lsn| lsn > position.lsn)
    {
        return Err(Error::person(format!(
            "replication slot {:?} was confirmed up to {confirmed}, but the destination holds changes only up to {}: \
             those between are lost to it",
            config.slot, position.lsn
        ))
        .with_hint(format!("somebody else read or remade the slot, or the destination was restored; {START_ANEW}")));
    }
    let tables = destination
        .tables(&config.slot)
        .await?
        .into_iter()
        .map(|row| row.table)
        .collect();
    Ok(Started {
        stream,
        source,
        position,
        timeline: system.timeline,
        tables,
        publications,
    })
}

/// Starts the stream; a slot that another session holds is waited for, then reported with its holder.
async fn own(
    config: &Config,
    connection: &walstream::Config,
    wire: Client,
    source: &mut Source,
    options: &StreamOptions,
) -> Result<Stream> {
    let deadline = Instant::now() + config.takeover;
    let mut wire = Some(wire);
    let mut said = false;
    loop {
        let client = match wire.take() {
            Some(client) => client,
            None => Client::connect_replication(connection).await?,
        };
        let limits = Limits {
            memory: config.memory,
            spool: config.spool_limit,
            folder: config.spool.clone(),
        };
        let error = match Stream::start(client, options, Lsn::ZERO, limits).await {
            Ok(stream) => return Ok(stream),
            Err(error) if matches!(error.kind(), walstream::ErrorKind::SlotInUse { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        let holder = source
            .client()
            .slot(&config.slot)
            .await?
            .and_then(|slot| slot.active_pid);
        let holder = holder.map_or_else(
            || "another session".to_owned(),
            |pid| format!("the server process {pid}"),
        );
        if Instant::now() > deadline {
            return Err(Error::retry(format!(
                "replication slot {:?} is in use by {holder}",
                config.slot
            ))
            .with_hint("stop the other consumer, or give this one a --slot of its own")
            .caused_by(error));
        }
        if !said {
            tracing::warn!(
                slot = config.slot,
                holder,
                "the slot is in use; waiting for it"
            );
            said = true;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn stream_options(config: &Config, wire: &Client, publications: &[String]) -> StreamOptions {
    let protocol = config
        .protocol
        .unwrap_or_else(|| wire.server_version().protocol());
    let streaming = match config.streaming {
        Some(Streaming::Off) => walstream::Streaming::Off,
        Some(Streaming::On) => walstream::Streaming::On,
        Some(Streaming::Parallel) => walstream::Streaming::Parallel,
        None if protocol >= 4 => walstream::Streaming::Parallel,
        None if protocol >= 2 => walstream::Streaming::On,
        None => walstream::Streaming::Off,
    };
    StreamOptions {
        protocol: Some(protocol),
        streaming,
        ..StreamOptions::new(&config.slot, publications)
    }
}

/// The tables with their names at the destination; names that meet are an error.
fn named(destination: &impl Destination, published: &Published) -> Result<Vec<Table>> {
    let mut tables: Vec<Table> = published
        .tables
        .iter()
        .map(|published| published.table.clone())
        .collect();
    destination.name_tables(&mut tables)?;
    Ok(tables)
}

fn check_system(row: &PositionRow, system: &SystemIdentity) -> Result<()> {
    let database = system.database.as_deref().unwrap_or_default();
    if row.system_id == system.system_id && row.database == database {
        return Ok(());
    }
    Err(Error::person(format!(
        "the destination follows database {:?} of system {}, but the source is {database:?} of system {}",
        row.database, row.system_id, system.system_id
    ))
    .with_hint(format!("check --source; if this really is the new source, {START_ANEW}")))
}

fn usable(slot: &Slot, system: &SystemIdentity) -> Result<()> {
    if let SlotState::Lost { reason } = &slot.state {
        return Err(Error::person(format!(
            "replication slot {:?} is lost: {reason}",
            slot.name
        ))
        .with_hint(START_ANEW));
    }
    if slot.plugin.as_deref() != Some("pgoutput") {
        return Err(Error::person(format!(
            "replication slot {:?} is not a logical slot of pgoutput",
            slot.name
        )));
    }
    if slot.database != system.database {
        return Err(Error::person(format!(
            "replication slot {:?} belongs to database {:?}",
            slot.name,
            slot.database.as_deref().unwrap_or_default()
        )));
    }
    if slot.two_phase {
        return Err(Error::person(format!(
            "replication slot {:?} has two_phase on: prepared transactions would arrive before they commit, which is \
             not supported yet",
            slot.name
        ))
        .with_hint("use a slot without two_phase"));
    }
    Ok(())
}

fn slot_gone(config: &Config, row: &PositionRow) -> Error {
    Error::person(format!(
        "replication slot {:?} does not exist any more; the destination is at {}, and changes since then cannot be \
         read",
        config.slot, row.lsn
    ))
    .with_hint(START_ANEW)
}

fn foreign_slot(config: &Config) -> Error {
    Error::person(format!(
        "replication slot {:?} exists, but the destination has no position for it",
        config.slot
    ))
    .with_hint(
        "if the destination's tables agree with where the slot is, --copy no takes both over; otherwise choose \
         another --slot, or remove this one with replicator drop",
    )
}

pub(crate) fn publication_missing(name: &str, later: bool) -> Error {
    let error = Error::person(format!("publication {name:?} does not exist"));
    if later {
        // Recreating it would not help: decoding looks it up as of the time of each change.
        error.with_hint(START_ANEW)
    } else {
        error.with_hint("create it, or give --tables with it so that it is made")
    }
}

pub(crate) fn publication_changed(was: &str, is: &str) -> Error {
    let gone = was
        .lines()
        .filter(|line| !is.lines().any(|other| other == *line));
    let come = is
        .lines()
        .filter(|line| !was.lines().any(|other| other == *line));
    let changes: Vec<String> = gone
        .map(|line| format!("no longer: {line}"))
        .chain(come.map(|line| format!("now: {line}")))
        .take(6)
        .collect();
    Error::person(format!(
        "the publications or their tables changed since the destination was filled ({})",
        changes.join("; ")
    ))
    .with_hint(START_ANEW)
}
