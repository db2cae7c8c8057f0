//! Recording: what the server sends, as it comes, into files on disk.
//!
//! The slot is kept honest: it is told of a position once everything up to it is durable in the files. So the files
//! together hold what was committed since the slot was made, whatever is killed and whenever; a transaction that was
//! being sent when a session ended is there as far as it came, and again, whole, in the next session.
//!
//! # Order of events
//!
//! | step | a crash after it leaves | the next start |
//! |---|---|---|
//! | 1. the file is made if need be, locked, and read to its end | an empty file | the same |
//! | 2. the slot is made, if it is missing and that was asked for | a slot that nobody reads | uses it |
//! | 3. START_REPLICATION where the records end; slot, system and timeline are compared with them | nothing | the same |
//! | 4. a torn end is cut off, a session record written; file and folder are synced | a session without frames | the same |
//! | 5. frames are written | records that may be torn | cuts the torn one; the server sends again |
//! | 6. they are synced (`fdatasync`) | the slot behind the records | starts at their end, nothing comes twice |
//! | 7. the last token is confirmed | the same, until the server has written it down | the same |
//!
//! A keepalive is recorded before it is confirmed, so the slot is never ahead of the files. It is written when data
//! follows, when the server asks, and otherwise every ten seconds.
//!
//! *The next file*, at the end of a transaction while no streamed one is open:
//!
//! | step | a crash after it leaves | the next start |
//! |---|---|---|
//! | 1. the file is synced and confirmed, as above | | |
//! | 2. it gets the next number; the folder is synced | no file of the name | goes on where the newest number ends |
//! | 3. the new file is made, with a session, and the relations and types that the server has announced | an empty or torn file | the same |
//! | 4. it and the folder are synced | | the same |
//! | 5. the finished one is compressed beside itself, synced, renamed; then it is removed | one of the two, or both | compresses again |
//!
//! *A lost source*: the session ends as after an error, and for as long as [`RecordConfig::reconnect`] says another start is
//! made by itself, with all of the above. So every gap is one that a crash could have left.
//!
//! What is refused: a slot that was confirmed further than the records go (changes between are in no file), records of
//! another cluster or ahead of it, and a file that is damaged before the confirmed position.

mod carry;
mod config;
mod file;
mod place;
mod survey;

pub use config::RecordConfig;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use walstream::walproto::capture;
use walstream::walproto::{Frame, Lsn, Timestamp};
use walstream::{Client, RawStream, RawToken, SlotOptions, SystemIdentity};

use crate::apply::target;
use crate::config::{DEFAULT_PUBLICATION, Until, backoff};
use crate::error::{Error, Result};
use crate::fail_point;
use crate::raw::{
    self, MEMORY, PING, WATCH, check_publications, explain, make_slot, watch_publications,
};
use crate::shutdown::Shutdown;
use crate::source::Source;
use crate::start::{self, not_created};
use file::{Asked, Found, Recording};
use place::Place;
use survey::Last;

/// Bytes that are made durable together, at most, not counting the last message.
const BATCH: usize = 8 << 20;

/// The slot of a recording that names none. Not that of a replication: what is confirmed here would be lost there.
pub(crate) const DEFAULT_SLOT: &str = "replicator_record";

/// How often the position of an idle stream is recorded.
const IDLE: Duration = Duration::from_secs(10);

/// What a recording did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Frames written, keepalives included.
    pub frames: u64,
    /// Files finished.
    pub files: u64,
    /// How far the records go.
    pub position: Lsn,
}

/// Records what the server sends until `shutdown` asks for the end or [`RecordConfig::until`] is reached.
///
/// Goes on in a file that exists. What is recorded when, and what a crash leaves behind, stands in the
/// [module's documentation](self).
///
/// # Errors
///
/// [`Error::exit_code`] says who can mend it. Nothing is lost by an error: the next recording into the same file goes
/// on where this one was.
///
/// # Cancel safety
///
/// Dropping the future is like a crash: nothing is lost, and the next recording goes on.
pub async fn record(mut config: RecordConfig, mut shutdown: Shutdown) -> Result<Recorded> {
    // Before a file is made for a source that cannot be meant.
    walstream::Config::parse(&config.source)?;
    walstream::check_slot_name(&config.slot)?;
    let mut recorded = Recorded::default();
    let mut series = None;
    loop {
        let (more, ended) = session(&mut config, &mut shutdown).await;
        let further = more.position > recorded.position;
        recorded.frames += more.frames;
        recorded.files += more.files;
        recorded.position = recorded.position.max(more.position);
        let Err(error) = ended else {
            return Ok(recorded);
        };
        // Who starts wants to know; a recording that has begun goes on, in the same file, as the next start would.
        if recorded.position.is_zero() || !error.is_source_lost() {
            return Err(error);
        }
        let now = Instant::now().into_std();
        if further || series.is_none() {
            series = Some(backoff(config.reconnect).begin(now));
        }
        let drawn = RandomState::new().hash_one(());
        let pause = series.as_mut().and_then(|series| series.pause(now, drawn));
        let Some(pause) = pause else {
            return Err(error);
        };
        tracing::warn!(%error, pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "the recording is interrupted; connecting again");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.asked() => return Ok(recorded),
        }
    }
}

/// One connection's part of a recording, and how it ended.
async fn session(config: &mut RecordConfig, shutdown: &mut Shutdown) -> (Recorded, Result<()>) {
    let started = async {
        let place = Place::new(&config.output)?;
        let found = blocking(move || Found::open(place)).await?;
        start(config, found).await
    };
    let started = tokio::select! {
        started = started => started,
        () = shutdown.asked() => return (Recorded::default(), Ok(())),
    };
    match started {
        Ok(mut recorder) => {
            // "Current" is what it was when the recording began.
            config.until = recorder.target.map(Until::Lsn);
            let ended = recorder.run(config, shutdown).await;
            recorder.close(ended).await
        }
        Err(error) => (Recorded::default(), Err(error)),
    }
}

/// Owns the slot, compares, and begins a session in the file.
async fn start(config: &RecordConfig, found: Found) -> Result<Recorder> {
    let connection = walstream::Config::parse(&config.source)?;
    let mut publications = config.publications.clone();
    if publications.is_empty() {
        publications.push(DEFAULT_PUBLICATION.to_owned());
    }
    let mut source = Source::new(Client::connect(&connection).await?);
    let mut wire = Client::connect_replication(&connection).await?;
    let version = wire.server_version();
    let mut options = raw::options(
        &wire,
        &config.slot,
        &publications,
        config.protocol,
        config.streaming,
    );
    options.binary = config.binary;
    options.messages = config.messages;
    let text = options.text(version)?;
    check_publications(&mut source, &publications).await?;
    let system = wire.identify_system().await?;
    if let Some(last) = &found.last {
        check_system(last, &system, &mut wire).await?;
    }
    if source.client().slot(&config.slot).await?.is_none() {
        make_missing_slot(config, &found, &mut source, &mut wire).await?;
    }
    let start = found.last.as_ref().map_or(Lsn::ZERO, |last| last.reached);
    let target = target(&mut source, config.until).await?;
    let stream = RawStream::start(wire, &options, start, MEMORY)
        .await
        .map_err(|error| explain(error, &config.slot))?;
    // It is ours now, and nobody moves it.
    let slot = source.client().slot(&config.slot).await?;
    let confirmed = slot
        .and_then(|slot| slot.confirmed_flush)
        .unwrap_or_default();
    check_gap(config, &found, confirmed)?;
    if let Some(damage) = found.damage() {
        tracing::warn!(damage, "cut off; the server sends it again");
    }
    let asked = Asked {
        server_version_num: version.0,
        system_identifier: system.system_id.parse().unwrap_or_default(),
        timeline: system.timeline,
        start,
        protocol: options.protocol.unwrap_or_default(),
        binary: options.binary,
        streaming: match options.streaming {
            walstream::Streaming::Off => capture::Streaming::Off,
            walstream::Streaming::On => capture::Streaming::On,
            walstream::Streaming::Parallel => capture::Streaming::Parallel,
        },
        options: text,
        slot: config.slot.clone(),
    };
    let rotate = config.rotate_size;
    let reached = start.max(confirmed);
    let recording = blocking(move || found.begin(asked, reached, rotate)).await?;
    tracing::info!(slot = config.slot, position = %reached, "recording");
    let mut recorder = Recorder {
        stream,
        source,
        publications,
        target,
        recording: Some(recording),
        idle: None,
        written: Instant::now(),
        files: 0,
        compress: config.compress,
        compressing: None,
    };
    recorder.compress();
    Ok(recorder)
}

/// The records must be of this cluster, and not ahead of it.
async fn check_system(last: &Last, system: &SystemIdentity, wire: &mut Client) -> Result<()> {
    const HINT: &str = "name another --output for this source";
    if last.system_identifier.to_string() != system.system_id {
        return Err(Error::person(format!(
            "the file holds records of the cluster {}, and the source is the cluster {}",
            last.system_identifier, system.system_id
        ))
        .with_hint(HINT));
    }
    let history = wire.timeline_history(system.timeline).await?;
    let left = history
        .iter()
        .find(|switch| switch.timeline == last.timeline)
        .map(|switch| switch.switch);
    let reached = last.reached;
    if last.timeline > system.timeline || left.is_some_and(|switch| reached > switch) {
        return Err(Error::person(format!(
            "the file holds records up to {reached} on timeline {}, which the source (timeline {}) never reached",
            last.timeline, system.timeline
        ))
        .with_hint(HINT));
    }
    if reached > system.wal_flush {
        return Err(Error::person(format!(
            "the file holds records up to {reached}, ahead of the source's write-ahead log, which ends at {}",
            system.wal_flush
        ))
        .with_hint(format!("the source was restored from an older state; {HINT}")));
    }
    Ok(())
}

/// Makes the slot where that is asked for and nothing can have been lost by its absence.
async fn make_missing_slot(
    config: &RecordConfig,
    found: &Found,
    source: &mut Source,
    wire: &mut Client,
) -> Result<()> {
    let missing = Error::person(format!(
        "there is no replication slot named {:?}",
        config.slot
    ));
    if let Some(last) = &found.last {
        return Err(missing.with_hint(format!(
            "it was there when the file was written up to {}: changes since then are lost to this recording; to begin \
             another, name another --output and add --create-slot",
            last.reached
        )));
    }
    if !config.create_slot {
        return Err(missing.with_hint(make_slot(&config.slot)));
    }
    let options = SlotOptions::default();
    match start::make_slot(source, wire, &config.slot, &options).await {
        Ok(created) => {
            tracing::info!(
                slot = config.slot,
                position = %created.consistent_point,
                "made the slot; it holds WAL back until it is read or dropped: replicator drop --slot NAME"
            );
            fail_point!("record-slot-made");
            Ok(())
        }
        Err(error) => Err(not_created(source, error).await),
    }
}

/// What the slot was told must be in the file.
fn check_gap(config: &RecordConfig, found: &Found, confirmed: Lsn) -> Result<()> {
    let Some(reached) = found.last.as_ref().map(|last| last.reached) else {
        return match found.damage() {
            Some(damage) if found.survey.broken.is_some_and(|error| !error.is_torn()) => {
                Err(Error::person(damage).with_hint("name another --output"))
            }
            _ => Ok(()),
        };
    };
    if confirmed <= reached {
        return Ok(());
    }
    Err(match found.damage() {
        Some(damage) => Error::person(damage).with_hint(format!(
            "the slot was confirmed up to {confirmed}, and what is good reaches only {reached}: the server does not \
             send again what lies between; keep the file, and name another --output to go on"
        )),
        None => Error::person(format!(
            "replication slot {:?} was confirmed up to {confirmed}, but the files hold records only up to {reached}: \
             those between are lost to them",
            config.slot
        ))
        .with_hint(
            "somebody else read or remade the slot, or the files were restored; name another --output to go on \
             without them",
        ),
    })
}

struct Recorder {
    stream: RawStream,
    source: Source,
    publications: Vec<String>,
    target: Option<Lsn>,
    /// Elsewhere while it is busy with the disk.
    recording: Option<Recording>,
    /// The last keepalive, if it says more than the records and is not among them.
    idle: Option<Kept>,
    /// When something was made durable last.
    written: Instant,
    files: u64,
    compress: bool,
    compressing: Option<JoinHandle<()>>,
}

/// A frame that is not recorded yet.
struct Kept {
    received_at: Timestamp,
    bytes: Bytes,
    token: RawToken,
}

impl Kept {
    fn record(&self, recording: &mut Recording) -> Result<()> {
        recording.push(self.received_at, &self.bytes, self.token.lsn())
    }
}

impl Recorder {
    async fn run(&mut self, config: &RecordConfig, shutdown: &mut Shutdown) -> Result<()> {
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = tokio::time::interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.target.is_none_or(|target| self.reached() < target) {
            let idle_due = self.written + IDLE;
            tokio::select! {
                biased;
                () = shutdown.asked() => break,
                _ = watch.tick() => watch_publications(&mut self.source, &self.publications).await?,
                ready = self.stream.ready() => match ready {
                    Ok(true) => self.batch().await?,
                    Ok(false) => return Err(Error::source_ended()),
                    Err(error) => return Err(explain(error, &config.slot)),
                },
                _ = ping.tick(), if self.target.is_some() => self.stream.ping(),
                () = tokio::time::sleep_until(idle_due), if self.idle.is_some() => self.write_idle().await?,
            }
        }
        self.write_idle().await
    }

    /// How far what is durable goes.
    fn reached(&self) -> Lsn {
        self.recording
            .as_ref()
            .map_or(Lsn::ZERO, Recording::reached)
    }

    /// Records what is there already, then confirms all of it at once.
    async fn batch(&mut self) -> Result<()> {
        let mut last = None;
        let mut idle = self.idle.take();
        let (mut asked, mut full) = (false, false);
        let recording = self.recording.as_mut().ok_or_else(busy)?;
        while let Some(frame) = self.stream.try_next() {
            let token = frame.token();
            if let Ok(Frame::Keepalive(keepalive)) = frame.parse() {
                asked |= keepalive.reply_requested;
                if token.lsn() > recording.reached() {
                    idle = Some(Kept {
                        received_at: frame.received_at(),
                        bytes: frame.to_bytes(),
                        token,
                    });
                }
            } else {
                // The tokens from here on stand for the keepalive too.
                if let Some(idle) = idle.take() {
                    idle.record(recording)?;
                }
                recording.push(frame.received_at(), frame.bytes(), token.lsn())?;
                last = Some(token);
            }
            full = recording.is_full();
            if full || recording.pending() >= BATCH {
                break;
            }
        }
        self.idle = idle;
        if let Some(last) = last {
            self.sync(last).await?;
        }
        let reached = |idle: &Kept| {
            let reached = idle.token.lsn();
            self.target.is_some_and(|target| reached >= target)
        };
        if self
            .idle
            .as_ref()
            .is_some_and(|idle| asked || reached(idle))
        {
            self.write_idle().await?;
        }
        if full { self.rotate().await } else { Ok(()) }
    }

    /// Records the last keepalive, so that its position may be confirmed.
    async fn write_idle(&mut self) -> Result<()> {
        let Some(idle) = self.idle.take() else {
            return Ok(());
        };
        idle.record(self.recording.as_mut().ok_or_else(busy)?)?;
        self.sync(idle.token).await
    }

    /// Makes durable, then confirms; the one place where that happens.
    async fn sync(&mut self, last: RawToken) -> Result<()> {
        self.on_disk(Recording::sync).await?;
        fail_point!("record-synced");
        last.confirm();
        self.written = Instant::now();
        fail_point!("record-confirmed");
        Ok(())
    }

    async fn rotate(&mut self) -> Result<()> {
        self.on_disk(Recording::rotate).await?;
        self.files += 1;
        self.compress();
        Ok(())
    }

    /// Compresses what is finished, beside the recording.
    fn compress(&mut self) {
        let busy = self
            .compressing
            .as_ref()
            .is_some_and(|task| !task.is_finished());
        let Some(recording) = self.recording.as_ref().filter(|_| self.compress && !busy) else {
            return;
        };
        self.compressing = Some(compress(recording.place().clone()));
    }

    /// Does what may take long where that hinders nobody.
    async fn on_disk(
        &mut self,
        work: impl FnOnce(&mut Recording) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let mut recording = self.recording.take().ok_or_else(busy)?;
        let (recording, done) = blocking(move || {
            let done = work(&mut recording);
            Ok((recording, done))
        })
        .await?;
        self.recording = Some(recording);
        done
    }

    /// Ends the stream, which tells the last position; `ended` says how the recording did.
    async fn close(mut self, ended: Result<()>) -> (Recorded, Result<()>) {
        // All that was confirmed is durable. A server that is gone by now may not know; the records do.
        if let Err(error) = self.stream.finish().await
            && ended.is_ok()
        {
            tracing::warn!(%error, "the source may not have heard of the last position; the next start makes up for it");
        }
        if let Some(task) = self.compressing.take() {
            let _ = task.await;
        }
        let Some(recording) = &self.recording else {
            return (Recorded::default(), ended.and(Err(busy())));
        };
        if self.compress && ended.is_ok() {
            // What was finished meanwhile.
            let _ = compress(recording.place().clone()).await;
        }
        let recorded = Recorded {
            frames: recording.frames(),
            files: self.files,
            position: recording.reached(),
        };
        (recorded, ended)
    }
}

fn compress(place: Place) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = place.compress() {
            tracing::warn!(%error, "a finished file stays as it is for now");
        }
    })
}

/// A future that was dropped in the middle and is used again, which cannot be.
fn busy() -> Error {
    Error::retry("the recording was interrupted")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::retry("writing to disk was interrupted").caused_by(error)),
    }
}
