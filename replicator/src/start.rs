//! Beginning and beginning again.
//!
//! The order of events, and what a crash between any two of them leaves behind, stands in the crate's documentation.

pub(crate) mod agree;
mod first;
mod later;

use std::time::Duration;

use tokio::time::Instant;
use walstream::{Client, Slot, SlotState, Stream, SystemIdentity};

use crate::changes;
use crate::config::{Config, Copy};
use crate::copy::{Copying, Snapshot};
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result, START_ANEW};
use crate::follow::Tables;
use crate::guard;
use crate::position::{PositionRow, State, TableState};
use crate::publication;
use crate::source::Source;
use first::{adopt, first};
pub(crate) use first::{make_slot, named, not_created};
use later::later;
pub(crate) use later::stream_options;

/// A run that owns slot and destination and may apply.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) stream: Stream,
    pub(crate) source: Source,
    /// Leads to the source.
    pub(crate) connection: walstream::Config,
    pub(crate) position: PositionRow,
    /// The server's timeline; the row follows with the next batch.
    pub(crate) timeline: u32,
    pub(crate) tables: Tables,
    pub(crate) publications: Vec<String>,
    /// Text that changes whenever a table that they publish gets a column.
    pub(crate) relnatts: String,
}

/// Brings slot, publication and destination together, whatever an earlier start left behind.
pub(crate) async fn start<D: Destination + 'static>(
    config: &Config,
    destination: &mut D,
) -> Result<Started> {
    let connection = config.connection()?;
    walstream::check_slot_name(&config.slot)?;
    let mut source = Source::new(Client::connect(&connection).await?).selecting(&config.selection);
    source.do_not_wait_for_locks().await?;
    let mut wire = Client::connect_replication(&connection).await?;
    // Now rather than after the copy.
    stream_options(config, &wire, &config.publications()).check(wire.server_version())?;
    let system = wire.identify_system().await?;
    let mut row = destination.position(&config.slot).await?;
    config.watching.metrics.destination_is_there();
    if let Some(intent) = row.as_ref().filter(|row| row.state == State::Intent) {
        check_system(intent, &system)?;
        if config.spares_first_start {
            return Err(Error::retry(format!(
                "the first start for slot {:?} is not complete, and may be another replicator's that is at it",
                config.slot
            ))
            .unfinished());
        }
        clean(config, &mut source, destination, intent).await?;
        row = None;
    }
    if let Some(row) = &row {
        check_system(row, &system)?;
    }
    let slot = source.client().slot(&config.slot).await?;
    let (publications, made) = publications(config, &mut source, row.is_some()).await?;
    let ready = match (row, slot) {
        (Some(_), Some(slot)) => usable(&slot, &system).map(|()| None),
        (Some(row), None) => {
            let tables = destination.tables(&config.slot).await?;
            let given_up = guard::given_up(config, &row, &tables);
            Err(given_up.unwrap_or_else(|| slot_gone(&row, system.timeline)))
        }
        (None, Some(slot)) if config.copy == Copy::No => adopt(
            config,
            &mut source,
            destination,
            &system,
            &slot,
            &publications,
        )
        .await
        .map(|()| None),
        (None, Some(_)) => Err(foreign_slot(config)),
        (None, None) => first(
            config,
            &connection,
            &mut source,
            destination,
            &system,
            &publications,
        )
        .await
        .map(Some),
    };
    let snapshot: Option<Snapshot> = match ready {
        Ok(snapshot) => snapshot,
        Err(error) => {
            // The slot would hold back WAL for nobody. What cannot be cleaned now is cleaned at the next start.
            drop(wire);
            give_up(config, &mut source, destination).await;
            if made {
                unpublish(&mut source, &publications).await;
            }
            return Err(error);
        }
    };
    let mut started = later(
        config,
        connection,
        wire,
        source,
        destination,
        &system,
        publications,
    )
    .await?;
    // The stream is ours from here on, and waits: what changes meanwhile stays in the source's WAL.
    let copying = Copying {
        config,
        connection: &started.connection,
        publications: &started.publications,
        held: &started.position,
    };
    let copied = copying
        .all(&mut started.source, destination, snapshot)
        .await;
    let tables = match copied {
        Ok(tables) => tables,
        Err(error) => {
            report_unfinished(config, &mut started.source, destination).await;
            return Err(error);
        }
    };
    config.watching.metrics.tables(&tables);
    changes::say_stopped(&tables);
    started.tables = Tables::new(tables);
    Ok(started)
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

/// Says what stays of a copy that was stopped in the middle, what that costs, and the way out.
pub(crate) async fn report_unfinished(
    config: &Config,
    source: &mut Source,
    destination: &mut impl Destination,
) {
    let told = async {
        let rows = destination.tables(&config.slot).await?;
        let pending = rows.iter().filter(|row| row.state == TableState::Copying);
        let pending = pending.count();
        if pending == 0 {
            return Ok(());
        }
        let held_back = source.held_back(&config.slot).await?;
        tracing::warn!(
            slot = config.slot,
            finished = rows.len() - pending,
            pending,
            held_back,
            "the copy is not complete: the next start goes on with the tables that are pending; until then the slot \
             holds back WAL at the source, and replicator drop removes it if nobody is to go on"
        );
        Ok::<_, Error>(())
    };
    if let Err(error) = told.await {
        tracing::warn!(%error, "the copy may not be complete; the next start goes on with it");
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
    let names = config.publications();
    let missing = source.missing(&names).await?;
    if let Some(name) = to_make(config, &missing, later)? {
        let made =
            publication::create(source.client(), name, &config.selection, config.keyless).await?;
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
    }
    let names = with_companion(source, names).await?;
    if missing.is_empty() {
        let checked =
            publication::check_selection(source.client(), &names, &config.selection).await;
        match checked {
            // A table may have gone since, and what is followed does not change any more.
            Err(error) if later && error.kind() == ErrorKind::Usage => {
                tracing::warn!(%error, "what the destination was filled with stays");
            }
            checked => checked?,
        }
    }
    Ok((names, !missing.is_empty()))
}

/// The publication that is to be made, out of those that are missing.
///
/// # Errors
///
/// One is not for us to make.
pub(crate) fn to_make<'a>(
    config: &Config,
    missing: &'a [String],
    later: bool,
) -> Result<Option<&'a String>> {
    let Some(name) = missing.first() else {
        return Ok(None);
    };
    let ours_to_make = config.publications.is_empty()
        || (config.publications.len() == 1 && !config.selection.tables.is_empty());
    if later || !ours_to_make {
        return Err(publication_missing(name, later));
    }
    Ok(Some(name))
}

/// Those that are read, with the one of ours that goes with a single one.
pub(crate) async fn with_companion(
    source: &mut Source,
    mut names: Vec<String>,
) -> Result<Vec<String>> {
    if let [name] = names.as_slice() {
        let companion = publication::insert_only_name(name);
        if publication::is_ours(source.client(), &companion).await? {
            names.push(companion);
        }
    }
    Ok(names)
}

/// Who we are, for those who find our name where we hold something: in a container the number alone says nothing.
pub(crate) fn holder() -> String {
    let machine = rustix::system::uname();
    let machine = machine.nodename().to_string_lossy();
    format!("process {} on {machine}", std::process::id())
}

pub(crate) fn check_system(row: &PositionRow, system: &SystemIdentity) -> Result<()> {
    let database = system.database.as_deref().unwrap_or_default();
    if row.system_id == system.system_id && row.database == database {
        return Ok(());
    }
    Err(Error::person(format!(
        "the destination follows database {:?} of system {}, but the source is {database:?} of system {}",
        row.database, row.system_id, system.system_id
    ))
    .with_hint(format!(
        "check --source; after an upgrade or failover to a source that holds the same, replicator adopt goes on there; else \
         {START_ANEW}"
    )))
}

pub(crate) fn usable(slot: &Slot, system: &SystemIdentity) -> Result<()> {
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
        ))
        .with_hint("choose another --slot"));
    }
    if slot.database != system.database {
        return Err(Error::person(format!(
            "replication slot {:?} belongs to database {:?}",
            slot.name,
            slot.database.as_deref().unwrap_or_default()
        ))
        .with_hint("choose another --slot, or that database in --source"));
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

/// The source is on `timeline`.
pub(crate) fn slot_gone(row: &PositionRow, timeline: u32) -> Error {
    let promoted = if timeline > row.timeline {
        "a standby was promoted that has no such slot: if everything committed before that is at the destination, and nothing \
         since, replicator adopt makes the slot there; "
    } else {
        ""
    };
    Error::person(format!(
        "replication slot {:?} does not exist any more; the destination is at {}, and changes since then cannot be \
         read",
        row.slot, row.lsn
    ))
    .with_hint(format!("{promoted}{START_ANEW}"))
}

pub(crate) fn foreign_slot(config: &Config) -> Error {
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
