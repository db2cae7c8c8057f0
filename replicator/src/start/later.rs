//! A later start: own the slot, raise the epoch, compare, hand over.

use walstream::{Client, Limits, Stream, StreamOptions, SystemIdentity};

use super::{Started, agree, check_system, holder};
use crate::changes;
use crate::config::Config;
use crate::destination::{Destination, Outcome};
use crate::error::{Error, Result};
use crate::follow::Tables;
use crate::position::PositionRow;
use crate::selection::WhereFrom;
use crate::source::Source;
use crate::table::Table;

/// Owns the slot, raises the epoch, compares, and hands over.
pub(super) async fn later(
    config: &Config,
    connection: walstream::Config,
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
    // The stream makes its own connections from here on; one that cannot say goodbye is none the less at its end.
    let _ = wire.close().await;
    let stream = own(config, &connection, &options).await?;
    config.watching.metrics.streams(stream.vitals());
    if let Some(streaming) = stream.system()
        && (&streaming.system_id, streaming.timeline) != (&system.system_id, system.timeline)
    {
        // Of several hosts another one answers now; what was compared until here is not true of it.
        return Err(Error::retry(format!(
            "the source changed while the run began: it was system {} on timeline {}, and is system {} on timeline {}",
            system.system_id, system.timeline, streaming.system_id, streaming.timeline
        ))
        .with_hint("start again; with several hosts in --source, target_session_attrs=primary picks one"));
    }
    let position = destination.raise_epoch(&config.slot, &holder()).await?;

    check_system(&position, system)?;
    agree::publications(&position, &publications)?;
    let tables: Vec<Table> = destination
        .tables(&config.slot)
        .await?
        .into_iter()
        .map(|row| row.table)
        .collect();
    // Before the publications are compared, which are what they were while the options may not be.
    config.selection.agrees(tables.iter(), WhereFrom::Ledger)?;
    agree::names(config, &tables, |named| {
        destination.name_tables(&config.names, named)
    })?;
    agree::timeline(&position, system, &history)?;
    agree::end_of_log(&position, source.flush_lsn().await?)?;
    if let Some(slot) = source.client().slot(&config.slot).await? {
        agree::slot(&position, &slot)?;
    }
    let was = position.fingerprint.clone();
    let mut found = changes::find(config, &mut source, destination, &publications, &was).await?;
    destination.name_tables(&config.names, &mut found.join)?;
    let now = changes::settle(config, destination, found).await?;
    let position = published(destination, position, now.fingerprint).await?;
    Ok(Started {
        stream,
        source,
        connection,
        position,
        timeline: system.timeline,
        tables: Tables::default(),
        publications,
        relnatts: now.relnatts,
    })
}

/// Writes down what is published, once the ledger has what follows from it.
async fn published(
    destination: &mut impl Destination,
    position: PositionRow,
    fingerprint: String,
) -> Result<PositionRow> {
    if position.fingerprint == fingerprint {
        return Ok(position);
    }
    let next = PositionRow {
        fingerprint,
        ..position.clone()
    };
    destination.begin(&position, &next).await?;
    match destination.commit().await? {
        Outcome::Committed(row) => Ok(row),
        Outcome::NotCommitted(error) => Err(error),
    }
}

/// Starts the stream; a slot that another session holds is waited for, then reported with its holder.
async fn own(
    config: &Config,
    connection: &walstream::Config,
    options: &StreamOptions,
) -> Result<Stream> {
    let limits = || Limits {
        memory: config.memory,
        spool: config.spool_limit,
        folder: config.spool.clone(),
        compression: config.spool_compression.of_the_stream(),
    };
    // At the slot's own position: the destination's is read once the slot is ours, and compared below.
    let connect = async |options: &StreamOptions| {
        Stream::connect(connection)
            .options(options.clone())
            .limits(limits())
            .reconnect(config.policy())
            .start()
            .await
    };
    let mut started = connect(options).await;
    if let Err(holder) = &started
        && is_in_use(holder)
        && !config.takeover.is_zero()
    {
        tracing::warn!(slot = config.slot, %holder, "waiting for the slot");
        let patient = StreamOptions {
            slot_wait: Some(config.takeover),
            ..options.clone()
        };
        started = connect(&patient).await;
    }
    started.map_err(|error| {
        if is_in_use(&error) {
            Error::from(error)
                .with_hint(
                    "stop the other consumer, or give this one a --slot of its own, or --standby",
                )
                .displaced()
        } else {
            error.into()
        }
    })
}

fn is_in_use(error: &walstream::Error) -> bool {
    matches!(error.kind(), walstream::ErrorKind::SlotInUse { .. })
}

pub(crate) fn stream_options(
    config: &Config,
    wire: &Client,
    publications: &[String],
) -> StreamOptions {
    let options = crate::raw::options(
        wire,
        &config.slot,
        publications,
        config.protocol,
        config.streaming,
    );
    StreamOptions {
        // A heartbeat is one; it would be a transaction without content otherwise, of which the server says nothing.
        messages: config.watching.heartbeat.is_some(),
        ..options
    }
}
