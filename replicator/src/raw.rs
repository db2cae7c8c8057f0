//! What `record` and `tail` have in common: options of a raw stream, where it ends, and errors in words.

use std::time::Duration;

use walstream::{Client, ErrorKind, StreamOptions};

use crate::config::Streaming;
use crate::error::{Error, Result};
use crate::source::Source;

/// How often the server is asked how far it is while a target is waited for.
pub(crate) const PING: Duration = Duration::from_millis(200);

/// How often the publications are looked at: from 18 on the server is silent about a missing one.
pub(crate) const WATCH: Duration = Duration::from_secs(10);

/// How long the source may take to answer that.
const ANSWER: Duration = Duration::from_secs(30);

/// Bytes of frames that wait in memory.
pub(crate) const MEMORY: u64 = 32 << 20;

/// What to ask of the server; protocol and streaming as far as it can, where not told otherwise.
pub(crate) fn options(
    wire: &Client,
    slot: &str,
    publications: &[String],
    protocol: Option<u8>,
    streaming: Option<Streaming>,
) -> StreamOptions {
    let protocol = protocol.unwrap_or_else(|| wire.server_version().protocol());
    let streaming = match streaming {
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
        // Who waits for a slot says so first.
        slot_wait: Some(Duration::ZERO),
        ..StreamOptions::new(slot, publications)
    }
}

/// Refuses publications that do not exist, with the statement that makes one.
pub(crate) async fn check_publications(source: &mut Source, names: &[String]) -> Result<()> {
    let missing = source.missing(names).await?;
    let Some(name) = missing.first() else {
        return Ok(());
    };
    Err(no_publication(name).with_hint(format!(
        "name another with --publication, or make it before the slot: CREATE PUBLICATION {} FOR TABLE schema.table, …",
        walstream::quote_identifier(name)
    )))
}

/// The same while streaming.
pub(crate) async fn watch_publications(source: &mut Source, names: &[String]) -> Result<()> {
    match tokio::time::timeout(ANSWER, source.missing(names)).await {
        Ok(missing) => match missing?.first() {
            Some(name) => Err(no_publication(name).with_hint(NO_USE)),
            None => Ok(()),
        },
        // Its session hangs while the stream may go on; nothing else would ever notice.
        Err(_) => Err(Error::retry(format!(
            "the source has not answered for {} s when asked about its publications",
            ANSWER.as_secs()
        ))),
    }
}

fn no_publication(name: &str) -> Error {
    Error::person(format!("publication {name:?} does not exist"))
}

/// Remedy where a publication is missing that changes were made without.
const NO_USE: &str = "decoding looks a publication up as of the time of each change, so making it again does not help \
                      those made before: make it, then a new slot";

/// Errors of a stream whose remedies are others here than those of a replication.
pub(crate) fn explain(error: walstream::Error, slot: &str) -> Error {
    let hint = match error.kind() {
        ErrorKind::SlotMissing => Some(make_slot(slot)),
        ErrorKind::SlotLost => Some(format!(
            "the changes in between are gone: replicator drop --source URL --slot {slot}, then {}",
            make_slot(slot)
        )),
        ErrorKind::PublicationMissing => Some(NO_USE.to_owned()),
        _ => None,
    };
    let ours = Error::from(error);
    match hint {
        Some(hint) => ours.with_hint(hint),
        None => ours,
    }
}

/// How to come by a slot.
pub(crate) fn make_slot(slot: &str) -> String {
    format!(
        "make it with replicator record --create-slot, or: SELECT pg_create_logical_replication_slot({}, 'pgoutput')",
        walstream::quote_literal(slot)
    )
}
