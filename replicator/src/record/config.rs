//! What to record, and into which file.

use std::path::PathBuf;
use std::time::Duration;

use super::DEFAULT_SLOT;
use crate::config::{Streaming, Until};
use crate::log::redact::Url;

/// What to record, and into which file.
#[derive(Clone, Debug)]
pub struct RecordConfig {
    pub(super) source: Url,
    pub(super) output: PathBuf,
    pub(super) slot: String,
    pub(super) publications: Vec<String>,
    pub(super) create_slot: bool,
    pub(super) protocol: Option<u8>,
    pub(super) streaming: Option<Streaming>,
    pub(super) binary: bool,
    pub(super) messages: bool,
    pub(super) until: Option<Until>,
    pub(super) rotate_size: Option<u64>,
    pub(super) compress: bool,
    pub(super) reconnect: Duration,
}

impl RecordConfig {
    /// From a source URL into a file, everything else as the command line has it.
    pub fn new(source: impl Into<String>, output: impl Into<PathBuf>) -> Self {
        Self {
            source: Url(source.into()),
            output: output.into(),
            slot: DEFAULT_SLOT.to_owned(),
            publications: Vec::new(),
            create_slot: false,
            protocol: None,
            streaming: None,
            binary: false,
            messages: false,
            until: None,
            rotate_size: None,
            compress: false,
            reconnect: Duration::from_secs(300),
        }
    }

    /// The replication slot, `replicator_record` without this; it belongs to this recording alone.
    #[must_use]
    pub fn slot(mut self, name: impl Into<String>) -> Self {
        self.slot = name.into();
        self
    }

    /// Adds a publication to read; without any it is `replicator`. It must exist.
    #[must_use]
    pub fn publication(mut self, name: impl Into<String>) -> Self {
        self.publications.push(name.into());
        self
    }

    /// Makes the slot if it is missing and nothing was recorded yet.
    #[must_use]
    pub const fn create_slot(mut self, create: bool) -> Self {
        self.create_slot = create;
        self
    }

    /// Protocol version, 1 to 4; without this the highest that the server speaks.
    #[must_use]
    pub const fn protocol(mut self, version: u8) -> Self {
        self.protocol = Some(version);
        self
    }

    /// Whether the server may send large transactions before they commit; without this as far as the protocol can.
    #[must_use]
    pub const fn streaming(mut self, streaming: Streaming) -> Self {
        self.streaming = Some(streaming);
        self
    }

    /// Columns in binary form, for types that have one.
    #[must_use]
    pub const fn binary(mut self, binary: bool) -> Self {
        self.binary = binary;
        self
    }

    /// Messages of `pg_logical_emit_message` too.
    #[must_use]
    pub const fn messages(mut self, messages: bool) -> Self {
        self.messages = messages;
        self
    }

    /// Where to end; without this a recording ends when it is told to.
    #[must_use]
    pub const fn until(mut self, until: Until) -> Self {
        self.until = Some(until);
        self
    }

    /// Size in bytes at which the file gets a number and the next begins, at the end of a transaction.
    #[must_use]
    pub const fn rotate_size(mut self, bytes: u64) -> Self {
        self.rotate_size = Some(bytes);
        self
    }

    /// How long a source that was lost is tried to be reached again, 5 minutes without this; zero for not at all.
    #[must_use]
    pub const fn reconnect(mut self, time: Duration) -> Self {
        self.reconnect = time;
        self
    }

    /// Compresses files that are finished.
    #[must_use]
    pub const fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }
}
