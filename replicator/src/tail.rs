//! Watching: changes as they are committed, as lines or JSON, from a slot that ends with us or one that we do not move.
//!
//! Nothing lasting is made or changed at the source. Without a slot's name a temporary one is made, which the server
//! drops when the session ends, however that ends. A named slot stays where it is, so that whoever it belongs to
//! misses nothing: the same changes come at the next start. With [`TailConfig::advance`] it follows what was written
//! and flushed; what is flushed has left us and is not durable, so changes may be lost or come twice when something
//! dies, and the slot is to have no other use.
//!
//! A slot has one reader at a time: while we watch a named one, its owner cannot.

use std::io::{BufWriter, Write};

use bytes::Bytes;
use tokio::time::MissedTickBehavior;
use walproto::{Frame, Lsn};
use walstream::{Client, RawStream, SlotOptions, StreamOptions};

use crate::apply::target;
use crate::config::{DEFAULT_PUBLICATION, Streaming, Until};
use crate::error::{Error, Result};
use crate::log::redact::Url;
use crate::raw::{self, MEMORY, PING, WATCH, check_publications, explain, watch_publications};
use crate::show::{Form, Renderer, ShowError};
use crate::shutdown::Shutdown;
use crate::source::{Source, temporary_slot};
use crate::start::{make_slot, not_created};

/// Frames that are shown together, so that one flush serves them all.
const BATCH: usize = 1000;

/// What to watch, and how to show it.
#[derive(Clone, Debug)]
pub struct TailConfig {
    source: Url,
    form: Form,
    slot: Option<String>,
    advance: bool,
    publications: Vec<String>,
    protocol: Option<u8>,
    messages: bool,
    until: Option<Until>,
    count: Option<u64>,
}

impl TailConfig {
    /// From a source URL in this form, everything else as the command line has it.
    pub fn new(source: impl Into<String>, form: Form) -> Self {
        Self {
            source: Url(source.into()),
            form,
            slot: None,
            advance: false,
            publications: Vec::new(),
            protocol: None,
            messages: false,
            until: None,
            count: None,
        }
    }

    /// A slot that exists, from where it is; without this a temporary one, from now on.
    #[must_use]
    pub fn slot(mut self, name: impl Into<String>) -> Self {
        self.slot = Some(name.into());
        self
    }

    /// Moves the named slot over what was written.
    #[must_use]
    pub const fn advance(mut self, advance: bool) -> Self {
        self.advance = advance;
        self
    }

    /// Adds a publication to read; without any it is `replicator`. It must exist.
    #[must_use]
    pub fn publication(mut self, name: impl Into<String>) -> Self {
        self.publications.push(name.into());
        self
    }

    /// Protocol version, 1 to 4; without this the highest that the server speaks.
    #[must_use]
    pub const fn protocol(mut self, version: u8) -> Self {
        self.protocol = Some(version);
        self
    }

    /// Messages of `pg_logical_emit_message` too.
    #[must_use]
    pub const fn messages(mut self, messages: bool) -> Self {
        self.messages = messages;
        self
    }

    /// Where to end; without this watching ends when it is told to.
    #[must_use]
    pub const fn until(mut self, until: Until) -> Self {
        self.until = Some(until);
        self
    }

    /// Ends after so many changes: rows, truncates and logical messages.
    #[must_use]
    pub const fn count(mut self, changes: u64) -> Self {
        self.count = Some(changes);
        self
    }
}

/// Writes changes to `out` until `shutdown` asks for the end, [`TailConfig::until`] or [`TailConfig::count`] is reached,
/// or nobody reads `out` any more. Returns how many changes were written.
///
/// # Errors
///
/// [`Error::exit_code`] says who can mend it.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub async fn tail(
    config: TailConfig,
    out: impl Write + Send + 'static,
    mut shutdown: Shutdown,
) -> Result<u64> {
    let mut tail = tokio::select! {
        started = start(&config, out) => started?,
        () = shutdown.asked() => return Ok(0),
    };
    let ended = tail.run(&mut shutdown).await;
    // The last position, of no weight: without it the same changes come again.
    if let Err(error) = tail.stream.finish().await {
        tracing::debug!(%error, "the source did not take the end of the stream");
    }
    match ended {
        Ok(()) | Err(Stop::Reader) => Ok(tail.shown),
        Err(Stop::Error(error)) => Err(error),
    }
}

async fn start<W: Write>(config: &TailConfig, out: W) -> Result<Tail<W>> {
    let connection = walstream::Config::parse(&config.source)?;
    let mut publications = config.publications.clone();
    if publications.is_empty() {
        publications.push(DEFAULT_PUBLICATION.to_owned());
    }
    if let Some(name) = &config.slot {
        walstream::check_slot_name(name)?;
    }
    let mut source = Source::new(Client::connect(&connection).await?);
    let mut wire = Client::connect_replication(&connection).await?;
    let slot = match &config.slot {
        Some(slot) => slot.clone(),
        None => temporary_slot(&mut wire, "replicator", "tail").await?,
    };
    let options = StreamOptions {
        messages: config.messages,
        // The server keeps what has not been committed, and sends whole transactions in the order of their commits.
        ..raw::options(
            &wire,
            &slot,
            &publications,
            config.protocol,
            Some(Streaming::Off),
        )
    };
    options.check(wire.server_version())?;
    check_publications(&mut source, &publications).await?;
    let target = target(&mut source, config.until).await?;
    if config.slot.is_none() {
        let temporary = SlotOptions {
            temporary: true,
            ..SlotOptions::default()
        };
        match make_slot(&mut source, &mut wire, &slot, &temporary).await {
            Ok(_) => {}
            Err(error) => return Err(not_created(&mut source, error).await),
        }
    }
    let stream = RawStream::start(wire, &options, Lsn::ZERO, MEMORY)
        .await
        .map_err(|error| explain(error, &slot))?;
    tracing::info!(slot, "watching");
    Ok(Tail {
        stream,
        source,
        renderer: Some(Renderer::new(config.form, BufWriter::new(out))),
        advance: config.advance || config.slot.is_none(),
        slot,
        publications,
        target,
        left: config.count,
        reached: Lsn::ZERO,
        shown: 0,
    })
}

/// Why nothing more is shown.
enum Stop {
    Error(Error),
    /// Nobody reads it any more.
    Reader,
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

struct Tail<W: Write> {
    stream: RawStream,
    source: Source,
    /// Elsewhere while it writes.
    renderer: Option<Renderer<BufWriter<W>>>,
    advance: bool,
    slot: String,
    publications: Vec<String>,
    target: Option<Lsn>,
    /// Changes that are still to be shown.
    left: Option<u64>,
    /// Everything before it was shown.
    reached: Lsn,
    shown: u64,
}

impl<W: Write + Send + 'static> Tail<W> {
    async fn run(&mut self, shutdown: &mut Shutdown) -> Result<(), Stop> {
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = tokio::time::interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.left != Some(0) && self.target.is_none_or(|target| self.reached < target) {
            tokio::select! {
                biased;
                () = shutdown.asked() => return Ok(()),
                _ = watch.tick() => watch_publications(&mut self.source, &self.publications).await?,
                ready = self.stream.ready() => match ready {
                    Ok(true) => self.batch().await?,
                    Ok(false) => {
                        let ended = "the source ended the stream, as it does when it shuts down";
                        return Err(Error::retry(ended).into());
                    }
                    Err(error) => return Err(explain(error, &self.slot).into()),
                },
                _ = ping.tick(), if self.target.is_some() => self.stream.ping(),
            }
        }
        Ok(())
    }

    /// Shows what is there already, flushes, and only then lets the slot move.
    async fn batch(&mut self) -> Result<(), Stop> {
        let mut batch = Vec::new();
        let mut last = None;
        while let Some(frame) = self.stream.try_next() {
            if is_change(frame.bytes()) {
                self.shown += 1;
                self.left = self.left.map(|left| left.saturating_sub(1));
            }
            batch.push(frame.to_bytes());
            last = Some(frame.token());
            if batch.len() == BATCH || self.left == Some(0) {
                break;
            }
        }
        let interrupted = || Error::retry("the output was interrupted");
        let mut renderer = self.renderer.take().ok_or_else(interrupted)?;
        // A terminal that is stopped, or a full pipe, must not keep anything else of this process.
        let written = tokio::task::spawn_blocking(move || {
            let shown = show(&mut renderer, &batch);
            (renderer, shown)
        });
        let (renderer, shown) = written
            .await
            .map_err(|error| interrupted().caused_by(error))?;
        self.renderer = Some(renderer);
        match shown {
            Err(error) if error.is_closed_pipe() => return Err(Stop::Reader),
            shown => shown?,
        }
        let Some(token) = last else {
            return Ok(());
        };
        self.reached = token.lsn();
        if self.advance {
            token.confirm();
        }
        Ok(())
    }
}

fn show(renderer: &mut Renderer<impl Write>, batch: &[Bytes]) -> Result<(), ShowError> {
    for frame in batch {
        renderer.frame(frame)?;
    }
    renderer.flush()
}

/// Whether it is one of those that are counted.
fn is_change(frame: &[u8]) -> bool {
    matches!(Frame::parse(frame), Ok(Frame::WalData(wal)) if matches!(wal.data.first(), Some(b'I' | b'U' | b'D' | b'T' | b'M')))
}
