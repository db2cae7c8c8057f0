//! The loop: transactions into batches, batches into the destination, positions back to the source.
//!
//! The order of events, and what a crash between any two of them leaves behind, stands in the crate's documentation.

mod retry;
mod singly;
mod until;
mod watch;
mod writer;

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use walstream::walproto::Lsn;
use walstream::{Event, Stream, Token, Transaction};

use crate::config::Config;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::quarantine::Quarantine;
use crate::shutdown::Shutdown;
use crate::start::Started;
use retry::Retry;
use singly::Poison;
pub(crate) use until::target;
use watch::Watch;
use writer::Writer;

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
const WATCH: Duration = Duration::from_secs(10);

/// How often the server is asked how far it is while a target is waited for.
const PING: Duration = Duration::from_millis(200);

/// Applies until the end is asked for or reached.
pub(crate) async fn apply<D: Destination>(
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
    } = started;
    let fingerprint = position.fingerprint.clone();
    let retry = Retry::new(config.destination_policy());
    let poison = Poison::new(config, quarantine, position.lsn);
    let mut apply = Apply {
        config,
        stream,
        watch: Watch::new(
            source,
            connection,
            publications,
            fingerprint,
            config.reconnect,
        ),
        writer: Writer::new(
            destination,
            tables,
            poison,
            position,
            timeline,
            retry,
            shutdown.clone(),
        ),
        idle: Vec::new(),
    };
    apply.run(shutdown).await?;
    // The batch is finished; what remains is the idle position, its confirmation and CopyDone.
    apply.writer.idle(&mut apply.idle).await?;
    // All that was to be done is durable. A server that is in the middle of a large transaction, or gone by now, may
    // not know the last position; the next start skips what lies below it.
    if let Err(error) = apply.stream.finish().await {
        tracing::warn!(%error, "the source may not have heard of the last position; the next start makes up for it");
    }
    apply.writer.close().await
}

struct Apply<'a, D> {
    config: &'a Config,
    stream: Stream,
    watch: Watch,
    writer: Writer<D>,
    /// Idle positions that are not stored yet, all below or at the last.
    idle: Vec<Token>,
}

impl<D: Destination> Apply<'_, D> {
    async fn run(&mut self, shutdown: &mut Shutdown) -> Result<()> {
        let target = target(&mut self.watch.source, self.config.until).await?;
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = tokio::time::interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while target.is_none_or(|target| self.writer.position() < target) {
            let idle_due = self.writer.written() + self.config.idle_interval;
            tokio::select! {
                biased;
                () = shutdown.asked() => break,
                _ = watch.tick() => self.watch.look().await?,
                event = self.stream.next_event() => match event? {
                    // Servers of 14 send what was not published as transactions without content.
                    Some(Event::Transaction(transaction)) if transaction.is_empty() => {
                        self.idle(transaction.into_token(), false, target).await?;
                    }
                    Some(Event::Transaction(transaction)) => self.batch(transaction).await?,
                    Some(Event::Idle(idle)) => {
                        let asked = idle.reply_requested();
                        self.idle(idle.into_token(), asked, target).await?;
                    }
                    Some(Event::Message(message)) => message.confirm(),
                    Some(Event::Reconnected(reconnected)) => {
                        self.writer.timeline = reconnected.timeline;
                        self.watch.look_anew().await?;
                    }
                    Some(_) => {}
                    None => return Err(Error::source_ended()),
                },
                _ = ping.tick(), if target.is_some() => self.stream.ping(),
                () = tokio::time::sleep_until(idle_due), if !self.idle.is_empty() => {
                    self.writer.idle(&mut self.idle).await?;
                }
            }
        }
        Ok(())
    }

    /// Keeps a position without changes until it is due: now, if the server waits for it.
    async fn idle(&mut self, token: Token, asked: bool, target: Option<Lsn>) -> Result<()> {
        let reached = target.is_some_and(|target| token.lsn() >= target);
        self.idle.push(token);
        let now = asked
            || reached
            || self.idle.len() >= MOST_IDLE
            || self.writer.written().elapsed() >= self.config.idle_interval;
        if now {
            self.writer.idle(&mut self.idle).await
        } else {
            Ok(())
        }
    }

    /// Gathers what is there already behind `first`, and applies it as one.
    async fn batch(&mut self, first: Transaction) -> Result<()> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(transaction) = next {
            // Everything whose commit record begins before the stored position is in the destination.
            if transaction.commit_lsn() < self.writer.position() {
                transaction.confirm();
            } else {
                bytes += transaction.size();
                batch.push(transaction);
            }
            let full =
                bytes >= self.config.batch_bytes || batch.len() >= self.config.batch_transactions;
            next = if full {
                None
            } else {
                self.stream.try_transaction()
            };
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.writer.apply(batch).await?;
        // All of them lie below the batch.
        self.idle.drain(..).for_each(Token::confirm);
        Ok(())
    }
}
