//! The loop: transactions into batches, batches into the destination, positions back to the source.
//!
//! The order of events, and what a crash between any two of them leaves behind, stands in the crate's documentation.

mod again;
mod alter;
mod aside;
mod batch;
mod builder;
mod isolate;
mod joiner;
mod measure;
mod parcel;
mod pause;
mod retry;
mod side;
mod singly;
mod until;
mod watch;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use walstream::walproto::Lsn;
use walstream::{Event, Stream, Token, Transaction};

use crate::config::{Config, OnTableError};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::quarantine::Quarantine;
use crate::shutdown::{Shutdown, ShutdownHandle};
use crate::start::Started;
use alter::Definitions;
use aside::Aside;
use builder::Builder;
use joiner::Joiner;
use measure::Measure;
use parcel::Closed;
use pause::Pause;
pub(crate) use retry::Retry;
use singly::Poison;
pub(crate) use until::target;
use watch::{Known, Watch};
use writer::{Stored, Writer};

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Source transactions applied.
    pub transactions: u64,
    /// Changes of rows, and truncated tables, applied.
    pub changes: u64,
    /// Changes left out: refused by the destination, or of a transaction that was to be skipped.
    pub left_out: u64,
    /// Where the destination is.
    pub position: Lsn,
}

/// Idle positions that may wait to be stored.
const MOST_IDLE: usize = 10_000;

/// How often the publications are looked at while streaming: from 18 on the server is silent about a missing one.
const WATCH: Duration = if cfg!(feature = "failpoints") {
    // Tests of what it finds wait for it.
    Duration::from_secs(1)
} else {
    Duration::from_secs(10)
};

/// How often the server is asked how far it is while a target is waited for.
const PING: Duration = Duration::from_millis(200);

/// How long a source may stream and yet not answer what it publishes: what its changes mean is not known then.
const DEAF: Duration = Duration::from_secs(300);

/// Applies until the end is asked for or reached.
pub(crate) async fn apply<D: Destination + 'static>(
    config: &Config,
    started: Started,
    destination: D,
    quarantine: Option<Quarantine>,
    shutdown: &mut Shutdown,
) -> Result<Summary> {
    let Started {
        stream,
        source,
        connection,
        position,
        timeline,
        tables,
        publications,
        relnatts,
    } = started;
    let (outbox, inbox) = parcel::channel();
    let (handle, hurried) = ShutdownHandle::new();
    let leave = Arc::new(AtomicBool::new(false));
    let measure = Measure::new(config.batch_bytes, config.batch_transactions);
    let (stored, looking) = tokio::sync::watch::channel(Stored {
        lsn: position.lsn,
        at: Instant::now(),
    });
    let known = Known::new(position.fingerprint.clone(), relnatts);
    let (side, asked) = side::channel();
    let (looks, looked) = mpsc::channel(1);
    let busy = Arc::new(AtomicBool::new(false));
    let joiner = Joiner {
        config: config.clone(),
        connection: connection.clone(),
        publications: publications.clone(),
        held: position.clone(),
        side,
        known: known.clone(),
        busy: Arc::clone(&busy),
    };
    let mut apply = Apply {
        config,
        stream,
        pause: Pause::new(config, connection.clone()),
        watch: Watch::new(
            source,
            connection.clone(),
            publications,
            known,
            config.reconnect.min(DEAF),
        ),
        builder: Builder {
            tables: tables.ahead(),
            outbox,
            skips: config.skip.clone(),
        },
        timeline,
        sent: position.lsn,
        idle: Vec::new(),
        idle_sent: Instant::now(),
        measure: measure.clone(),
        stored: looking,
        handle,
        leave: Arc::clone(&leave),
        written: None,
        writer: JoinSet::new(),
        looks,
        busy,
        joiner: JoinSet::new(),
    };
    let writer = Writer {
        destination,
        tables,
        definitions: Definitions::new(connection),
        left: false,
        poison: Poison::new(config, quarantine, position.lsn),
        position,
        timeline,
        summary: Summary::default(),
        retry: Retry::new(config.destination_policy())
            .told(&config.watching.metrics)
            .telling(&config.pulse),
        shutdown: hurried,
        leave,
        stored,
        measure,
        metrics: config.watching.metrics.clone(),
        begun: std::time::Instant::now(),
        side: asked,
        aside: Aside::default(),
        pulse: config.pulse.clone(),
        isolates: config.on_table_error == OnTableError::Isolate,
        waiting: None,
    };
    apply.writer.spawn(writer.run(inbox));
    apply.joiner.spawn(joiner.run(looked));
    apply.run(shutdown).await
}

struct Apply<'a> {
    config: &'a Config,
    stream: Stream,
    pause: Pause,
    watch: Watch,
    builder: Builder,
    /// The server's timeline; the row follows with the next batch.
    timeline: u32,
    /// Up to where everything was given to the destination's task.
    sent: Lsn,
    /// Idle positions that were not given to it yet, all below or at the last.
    idle: Vec<Token>,
    /// When some were.
    idle_sent: Instant,
    measure: Measure,
    stored: tokio::sync::watch::Receiver<Stored>,
    /// Tells the destination's task not to wait for a destination that is lost.
    handle: ShutdownHandle,
    /// And to leave to the next start what it has not begun.
    leave: Arc<AtomicBool>,
    /// How the destination's task ended, once it has.
    written: Option<Result<Summary>>,
    /// That task; it ends with us, whatever becomes of us.
    writer: JoinSet<Result<Summary>>,
    /// Lets the task that copies tables know that there was a look at the publications, and whether they changed.
    looks: mpsc::Sender<bool>,
    /// Whether it is at work.
    busy: Arc<AtomicBool>,
    joiner: JoinSet<Result<()>>,
}

/// Why the stream is not read any more.
#[derive(PartialEq, Eq)]
enum End {
    Asked,
    /// All that was wanted is durable.
    Reached,
    /// The destination's task has ended.
    Writer,
}

impl Apply<'_> {
    async fn run(mut self, shutdown: &mut Shutdown) -> Result<Summary> {
        let streamed = self.stream(shutdown).await;
        self.handle.shut_down();
        // What it was copying is copied anew by the next start.
        self.joiner.abort_all();
        if streamed.is_ok() {
            // What is begun is finished, and what waits behind it comes again; where nothing waits, what remains is the
            // idle position, its confirmation and CopyDone.
            self.leave.store(true, Ordering::Relaxed);
            let _ = self.send_idle().await;
        }
        let Self {
            stream,
            builder,
            stored,
            written,
            mut writer,
            ..
        } = self;
        drop(builder);
        let written = match written {
            Some(written) => written,
            None => joined(writer.join_next().await),
        };
        let end = match streamed {
            Ok(end) => end,
            Err(error) => {
                if let Err(also) = written {
                    tracing::warn!(error = %also, "the destination failed too");
                }
                return Err(error);
            }
        };
        let summary = match written {
            Err(error) if end == End::Reached => {
                tracing::warn!(%error, "the destination was lost behind the end of this run; the next start goes on there");
                let position = stored.borrow().lsn;
                Summary {
                    position,
                    ..Summary::default()
                }
            }
            written => written?,
        };
        // All that was to be done is durable. A server that is in the middle of a large transaction, or gone by now, may
        // not know the last position; the next start skips what lies below it.
        if let Err(error) = stream.finish().await {
            tracing::warn!(%error, "the source may not have heard of the last position; the next start makes up for it");
        }
        Ok(summary)
    }

    async fn stream(&mut self, shutdown: &mut Shutdown) -> Result<End> {
        let target = target(&mut self.watch.source, self.config.until).await?;
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = tokio::time::interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats = self.config.pulse.ticks();
        self.pause.look();
        loop {
            self.config.pulse.beat();
            let stored = *self.stored.borrow_and_update();
            if target.is_some_and(|target| stored.lsn >= target) {
                return Ok(End::Reached);
            }
            // All that was handed out is durable, so the rest up to there is for others.
            if let Some(last) = self.idle.last().filter(|_| stored.lsn >= self.sent) {
                self.config.watching.metrics.caught_up(last.lsn());
            }
            let idle_due = stored.at.max(self.idle_sent) + self.config.idle_interval;
            let open = tokio::select! {
                biased;
                () = shutdown.asked() => return Ok(End::Asked),
                ended = self.writer.join_next() => {
                    self.written = Some(joined(ended));
                    return Ok(End::Writer);
                }
                _ = watch.tick() => {
                    let changed = self.watch.look().await?;
                    self.looked(changed);
                    Ok(())
                }
                Some(ended) = self.joiner.join_next() => match ended {
                    Ok(Err(error)) => return Err(error),
                    ended => return Err(joined(Some(ended.map(|_| Ok(Summary::default()))))
                        .err()
                        .unwrap_or_else(Error::source_ended)),
                },
                () = self.pause.changes() => {
                    self.pause.look();
                    Ok(())
                }
                event = self.stream.next_event(), if !self.pause.is_on() => match event? {
                    // Servers of 14 send what was not published as transactions without content.
                    Some(Event::Transaction(transaction)) if transaction.is_empty() => {
                        self.idle(transaction.into_token(), false, target).await
                    }
                    Some(Event::Transaction(transaction)) => self.group(transaction, shutdown).await,
                    Some(Event::Idle(idle)) => {
                        let asked = idle.reply_requested();
                        self.idle(idle.into_token(), asked, target).await
                    }
                    Some(Event::Message(message)) => {
                        message.confirm();
                        Ok(())
                    }
                    Some(Event::Reconnected(reconnected)) => {
                        self.timeline = reconnected.timeline;
                        let changed = self.watch.look_anew().await?;
                        self.looked(changed);
                        Ok(())
                    }
                    Some(_) => Ok(()),
                    None => return Err(Error::source_ended()),
                },
                // What is due, and whether the end is reached, depends on it.
                changed = self.stored.changed() => changed.map_err(|_| Closed),
                _ = ping.tick(), if target.is_some() => {
                    self.stream.ping();
                    Ok(())
                }
                () = tokio::time::sleep_until(idle_due), if !self.idle.is_empty() => self.send_idle().await,
                _ = beats.tick() => Ok(()),
            };
            if let Err(Closed) = open {
                self.written = Some(joined(self.writer.join_next().await));
                return Ok(End::Writer);
            }
        }
    }

    /// What the task that copies tables has no ear for now, it hears after the next look.
    fn looked(&self, changed: bool) {
        if !self.busy.load(Ordering::Relaxed) {
            let _ = self.looks.try_send(changed);
        }
    }

    /// Keeps a position without changes until it is due: now, if the server waits for it.
    async fn idle(&mut self, token: Token, asked: bool, target: Option<Lsn>) -> Result<(), Closed> {
        let reached = target.is_some_and(|target| token.lsn() >= target);
        self.idle.push(token);
        let last = self.stored.borrow().at.max(self.idle_sent);
        let now = asked
            || reached
            || self.idle.len() >= MOST_IDLE
            || last.elapsed() >= self.config.idle_interval;
        if now { self.send_idle().await } else { Ok(()) }
    }

    async fn send_idle(&mut self) -> Result<(), Closed> {
        let idle = std::mem::take(&mut self.idle);
        let last = idle.iter().map(Token::lsn).max();
        self.sent = self.sent.max(last.unwrap_or_default());
        self.idle_sent = Instant::now();
        self.builder.idle(idle, self.timeline).await
    }

    /// Gathers what is there already behind `first`, to be committed with it.
    async fn group(&mut self, first: Transaction, shutdown: &mut Shutdown) -> Result<(), Closed> {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(transaction) = next {
            // Everything whose commit record begins before the stored position is in the destination.
            if transaction.commit_lsn() < self.sent {
                transaction.confirm();
            } else {
                bytes += transaction.size();
                group.push(transaction);
            }
            let full = bytes >= self.measure.most_bytes()
                || group.len() >= self.measure.most_transactions();
            next = if full {
                None
            } else {
                self.stream.try_transaction()
            };
        }
        let Some(last) = group.last() else {
            return Ok(());
        };
        self.sent = self.sent.max(last.end_lsn());
        let idle = std::mem::take(&mut self.idle);
        let sending = self.builder.send(group, idle, self.timeline);
        let mut sending = std::pin::pin!(sending);
        tokio::select! {
            sent = &mut sending => return sent,
            () = shutdown.asked() => {}
        }
        // A group that is begun is finished, and one that is not is left.
        self.leave.store(true, Ordering::Relaxed);
        self.handle.shut_down();
        sending.await
    }
}

/// How the destination's task ended.
fn joined(ended: Option<Result<Result<Summary>, JoinError>>) -> Result<Summary> {
    match ended {
        Some(Ok(done)) => done,
        Some(Err(error)) => Err(Error::retry(
            "the task that writes the destination has ended unexpectedly",
        )
        .caused_by(error)),
        None => Err(Error::retry(
            "the task that writes the destination has ended",
        )),
    }
}
