//! A whole run, and its undoing.

use std::time::Duration;

use tokio::task::JoinSet;
use walstream::{Client, quote_literal};

use crate::apply::{self, Summary};
use crate::config::{Config, Copy, DEFAULT_PUBLICATION as DEFAULT};
use crate::destination::{self, Destination};
use crate::error::{Error, Result};
use crate::guard;
use crate::metrics::observe;
use crate::publication;
use crate::pulse::Stage;
use crate::quarantine::{self, Quarantine};
use crate::shutdown::Shutdown;
use crate::source::Source;
use crate::standby;
use crate::start;

/// Copies what is there, then applies changes until `shutdown` asks for the end or [`Config::until`] is reached.
///
/// Starts anew or goes on, whatever an earlier run left behind.
///
/// # Errors
///
/// [`Error::exit_code`] says who can mend it. Nothing is lost by an error: the next run goes on where this one was.
///
/// # Cancel safety
///
/// Dropping the future is like a crash: nothing is lost, and the next run goes on.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<Summary> {
    // Before a file is made for a source that cannot be meant.
    config.connection()?;
    check_end(&config)?;
    check_spool(&config)?;
    config.watching.guard.check()?;
    let watched = config.clone();
    watch(&watched, async move {
        if config.standby {
            return standby::run(config, shutdown).await;
        }
        once(config, shutdown).await
    })
    .await
}

/// Writes down how a run is, from before it waits for anything to its end.
async fn watch(config: &Config, run: impl Future<Output = Result<Summary>>) -> Result<Summary> {
    let metrics = &config.watching.metrics;
    metrics.begin(config);
    // Ends with us, whatever becomes of us.
    let mut observer = JoinSet::new();
    if config.watching.on {
        observer.spawn(observe(config.clone()));
    }
    let mut run = Box::pin(run);
    let far = tokio::select! {
        done = &mut run => Ok(done),
        Some(Ok(far)) = observer.join_next() => Err(far),
    };
    let done = match far {
        Ok(done) => done,
        Err(far) => {
            // As a crash would: the connection that has the slot is closed, and what is open is rolled back.
            drop(run);
            Err(guard::give_up(config, &far).await)
        }
    };
    metrics.ended(done.as_ref().err());
    done
}

/// A run that begins now.
pub(crate) async fn once(config: Config, shutdown: Shutdown) -> Result<Summary> {
    let quarantine = quarantine(&config)?;
    let destination = destination::open(&config).await?;
    into(config, destination, quarantine, shutdown).await
}

/// As [`run`], into a destination of the caller's own instead of the one that the configuration names.
///
/// # Errors
///
/// As [`run`].
///
/// # Cancel safety
///
/// As [`run`].
pub async fn run_into(
    config: Config,
    destination: impl Destination + 'static,
    shutdown: Shutdown,
) -> Result<Summary> {
    config.connection()?;
    check_end(&config)?;
    check_spool(&config)?;
    config.watching.guard.check()?;
    let quarantine = quarantine(&config)?;
    let watched = config.clone();
    watch(&watched, into(config, destination, quarantine, shutdown)).await
}

/// A run has one end.
pub(crate) fn check_end(config: &Config) -> Result<()> {
    if config.copy == Copy::Only && config.until.is_some() {
        return Err(Error::usage(
            "--copy only ends where the copy is complete, and --until is where the stream ends",
        )
        .with_hint("leave out one of both"));
    }
    Ok(())
}

pub(crate) fn check_spool(config: &Config) -> Result<()> {
    // Now rather than in the middle of the first large transaction.
    tempfile::tempfile_in(&config.spool).map_err(|error| {
        let folder = config.spool.display();
        Error::usage(format!("the spool folder {folder} cannot be used"))
            .with_hint("name a folder with --spool that exists and can be written")
            .caused_by(error)
    })?;
    Ok(())
}

/// The file for what is left out, before anything is written elsewhere.
fn quarantine(config: &Config) -> Result<Option<Quarantine>> {
    let Some(path) = &config.quarantine else {
        if config.skip.is_empty() {
            return Ok(None);
        }
        return Err(quarantine::nowhere());
    };
    Quarantine::open(path).map(Some)
}

async fn into(
    config: Config,
    mut destination: impl Destination + 'static,
    quarantine: Option<Quarantine>,
    mut shutdown: Shutdown,
) -> Result<Summary> {
    let starting = start::start(&config, &mut destination);
    let started = tokio::select! {
        // What it waits for has limits of its own.
        started = config.pulse.beats(starting) => Some(started?),
        () = shutdown.asked() => None,
    };
    let Some(started) = started else {
        let mut source = Source::new(Client::connect(&config.connection()?).await?);
        // What was called last may still be open.
        destination.rollback().await?;
        // Before there is a position nothing is worth keeping: the slot would hold back WAL for nobody.
        start::give_up(&config, &mut source, &mut destination).await;
        start::report_unfinished(&config, &mut source, &mut destination).await;
        destination.close().await?;
        return Ok(Summary::default());
    };
    if config.copy == Copy::Only {
        return copied_only(&config, started, destination).await;
    }
    config.watching.metrics.streaming(started.position.lsn);
    config.pulse.stands_at(started.position.lsn);
    config.pulse.enters(Stage::Streaming);
    tracing::info!(slot = config.slot, position = %started.position.lsn, tables = started.tables.len(), "streaming");
    apply::apply(&config, started, destination, quarantine, &mut shutdown).await
}

/// Ends with the copy. The slot stays where the position is: nothing that came later was read.
async fn copied_only(
    config: &Config,
    started: start::Started,
    destination: impl Destination,
) -> Result<Summary> {
    let position = started.position.lsn;
    let tables = started.tables.len();
    started.stream.finish().await?;
    destination.close().await?;
    tracing::info!(
        slot = config.slot,
        %position,
        tables,
        "every table is copied; a run without --copy only streams from here, and until then the slot holds back WAL at the source"
    );
    Ok(Summary {
        position,
        ..Summary::default()
    })
}

/// What [`remove`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The slot existed.
    pub slot: bool,
    /// Publications that carried our mark.
    pub publications: Vec<String>,
    /// Slots of the same database that may read the default publication, which was therefore kept: name it to drop
    /// it all the same.
    pub kept_for: Vec<String>,
    /// The destination had a position.
    pub position: bool,
}

/// Drops the slot, the publications that we made and the position at the destination. Replicated tables stay.
///
/// `publications` as for [`Config::publication`]; those that somebody else made stay.
///
/// # Errors
///
/// Somebody is reading the slot, or a side cannot be reached.
///
/// # Cancel safety
///
/// What was removed when the future is dropped stays removed; call it again.
pub async fn remove(
    source: &str,
    destination: Option<&str>,
    slot: &str,
    publications: &[String],
) -> Result<Removed> {
    let mut client = Client::connect(&walstream::Config::parse(source)?).await?;
    // The destination is opened first: it tells whether a replicator is at work, and keeps others out. What it knows
    // goes last: a position without a slot stops the next run with a clear error, while a slot without a position
    // would hold back WAL unseen.
    let mut removed = Removed::default();
    let destination = match destination {
        Some(url) => Some(
            destination::open_existing(url, slot, Duration::from_secs(1))
                .await
                .map_err(nothing_removed)?,
        ),
        None => None,
    };
    if let Some(slot) = client.slot(slot).await? {
        refuse_active(&slot)?;
        client.drop_slot(&slot.name, false).await?;
        removed.slot = true;
    }
    let mut names = publications.to_vec();
    if names.is_empty() && publication::is_ours(&mut client, DEFAULT).await? {
        // Every slot reads this one unless it is told otherwise, and decoding never forgives its absence: making it
        // again does not help the changes that were written meanwhile.
        removed.kept_for = other_slots(&mut client, slot).await?;
        if removed.kept_for.is_empty() {
            names.push(DEFAULT.to_owned());
        }
    }
    for name in &names {
        removed
            .publications
            .extend(publication::drop_ours(&mut client, name).await?);
    }
    if let Some(mut destination) = destination {
        removed.position = destination.position(slot).await?.is_some();
        destination.forget(slot).await?;
        destination.close().await?;
    }
    client.close().await?;
    Ok(removed)
}

/// A destination that cannot be opened may be gone for good.
fn nothing_removed(error: Error) -> Error {
    let out =
        "nothing was removed: without --destination only slot and publication at the source are";
    let hint = match error.hint() {
        Some(hint) => format!("{hint}; {out}"),
        None => out.to_owned(),
    };
    error.with_hint(hint)
}

/// Other slots of this database that read publications.
async fn other_slots(client: &mut Client, slot: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT slot_name FROM pg_replication_slots
         WHERE plugin = 'pgoutput' AND database = current_database() AND slot_name <> {} AND NOT temporary
         ORDER BY 1",
        quote_literal(slot)
    );
    let rows = client.query(&sql).await?;
    Ok(rows
        .iter()
        .filter_map(|row| row.get(0))
        .map(str::to_owned)
        .collect())
}

fn refuse_active(slot: &walstream::Slot) -> Result<()> {
    match slot.active_pid {
        None => Ok(()),
        Some(pid) => Err(Error::retry(format!(
            "replication slot {:?} is in use by the server process {pid}",
            slot.name
        ))
        .with_hint("stop the replicator that reads it first")),
    }
}
