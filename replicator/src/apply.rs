//! The loop: transactions into batches, batches into the destination, positions back to the source.
//!
//! The order of events, and what a crash between any two of them leaves behind, stands in the crate's documentation.

mod singly;

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use walstream::walproto::Lsn;
use walstream::{Event, Token, Transaction};

use crate::config::{Config, Until};
use crate::destination::{Destination, Outcome};
use crate::error::{Error, Result};
use crate::fail_point;
use crate::position::PositionRow;
use crate::quarantine::Quarantine;
use crate::shutdown::Shutdown;
use crate::source::Source;
use crate::start::{self, Started};
use singly::Poison;

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

/// Operations that go to the destination together.
const CHUNK: usize = 1000;
/// And their bytes, so that large rows do not pile up.
const CHUNK_BYTES: usize = 1 << 20;

/// How often the publications are looked at while streaming: from 18 on the server is silent about a missing one.
const WATCH: Duration = Duration::from_secs(10);

/// How long the source may take to answer that; its own limit for locks is shorter.
const ANSWER: Duration = Duration::from_secs(30);

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
    let mut apply = Apply {
        config,
        poison: Poison::new(config, quarantine, started.position.lsn),
        started,
        destination,
        idle: Vec::new(),
        written: Instant::now(),
        summary: Summary::default(),
        left_out: HashSet::new(),
        asks: true,
        deaf: None,
        shutdown: shutdown.clone(),
    };
    apply.run(shutdown).await?;
    // The batch is finished; what remains is the idle position, its confirmation and CopyDone.
    apply.write_idle().await?;
    apply.poison.end(apply.started.position.lsn);
    apply.summary.position = apply.started.position.lsn;
    // All that was to be done is durable. A server that is in the middle of a large transaction, or gone by now, may
    // not know the last position; the next start skips what lies below it.
    if let Err(error) = apply.started.stream.finish().await {
        tracing::warn!(%error, "the source may not have heard of the last position; the next start makes up for it");
    }
    apply.destination.close().await?;
    Ok(apply.summary)
}

struct Apply<'a, D> {
    config: &'a Config,
    poison: Poison,
    started: Started,
    destination: D,
    /// Idle positions that are not stored yet, all below or at the last.
    idle: Vec<Token>,
    /// When a position was stored last.
    written: Instant,
    summary: Summary,
    /// Source tables of which was said that they are not replicated.
    left_out: HashSet<String>,
    /// Whether the session that asks the source is good.
    asks: bool,
    /// Since when the source could not be asked.
    deaf: Option<Instant>,
    shutdown: Shutdown,
}

impl<D: Destination> Apply<'_, D> {
    async fn run(&mut self, shutdown: &mut Shutdown) -> Result<()> {
        let target = target(&mut self.started.source, self.config.until).await?;
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = tokio::time::interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while target.is_none_or(|target| self.started.position.lsn < target) {
            let idle_due = self.written + self.config.idle_interval;
            tokio::select! {
                biased;
                () = shutdown.asked() => break,
                _ = watch.tick() => self.look().await?,
                event = self.started.stream.next_event() => match event? {
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
                        self.started.timeline = reconnected.timeline;
                        // What was published while nobody looked decides what the next changes mean.
                        self.asks = false;
                        self.look().await?;
                    }
                    Some(_) => {}
                    None => return Err(Error::source_ended()),
                },
                _ = ping.tick(), if target.is_some() => self.started.stream.ping(),
                () = tokio::time::sleep_until(idle_due), if !self.idle.is_empty() => self.write_idle().await?,
            }
        }
        Ok(())
    }

    /// Looks at the publications, over another session if the last one is lost.
    async fn look(&mut self) -> Result<()> {
        let looking = async {
            if !self.asks {
                let Started {
                    source, connection, ..
                } = &mut self.started;
                source.renew(connection).await?;
                self.asks = true;
            }
            self.watch().await
        };
        let error = match tokio::time::timeout(ANSWER, looking).await {
            Ok(Ok(())) => {
                self.deaf = None;
                return Ok(());
            }
            // Somebody holds a lock on a table; the next look will tell.
            Ok(Err(error)) if error.is_locked_out() => return Ok(()),
            Ok(Err(error)) if error.is_source_lost() => error,
            Ok(Err(error)) => return Err(error),
            // Its session hangs while the stream may go on; nothing else would ever notice.
            Err(_) => Error::retry(format!(
                "the source has not answered for {} s when asked about its publications",
                ANSWER.as_secs()
            )),
        };
        self.asks = false;
        // As long as a lost stream may take to come back.
        let since = *self.deaf.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.config.reconnect {
            return Err(error);
        }
        tracing::warn!(%error, "the source cannot be asked about its publications; trying again");
        Ok(())
    }

    /// Publications, tables, filters and column lists must be what they were.
    async fn watch(&mut self) -> Result<()> {
        let Started {
            source,
            publications,
            position,
            ..
        } = &mut self.started;
        if let Some(name) = source.missing(publications).await?.first() {
            return Err(start::publication_missing(name, true));
        }
        let fingerprint = source.fingerprint(publications).await?;
        if fingerprint != position.fingerprint {
            return Err(start::publication_changed(
                &position.fingerprint,
                &fingerprint,
            ));
        }
        let left_out = source.left_out(publications).await?;
        let new = left_out
            .into_iter()
            .filter(|name| self.left_out.insert(name.clone()));
        let new: Vec<String> = new.collect();
        if !new.is_empty() {
            let tables = new.join(", ");
            tracing::warn!(
                tables,
                "not replicated: these tables are not in the publication"
            );
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
            || self.written.elapsed() >= self.config.idle_interval;
        if now { self.write_idle().await } else { Ok(()) }
    }

    /// Stores the last idle position, then confirms it.
    async fn write_idle(&mut self) -> Result<()> {
        let Some(lsn) = self.idle.iter().map(Token::lsn).max() else {
            return Ok(());
        };
        if lsn > self.started.position.lsn {
            self.begin(lsn).await?;
            self.commit().await?;
            fail_point!("idle-written");
        }
        self.written = Instant::now();
        self.idle.drain(..).for_each(Token::confirm);
        Ok(())
    }

    /// Gathers what is there already behind `first`, and applies it as one.
    async fn batch(&mut self, first: Transaction) -> Result<()> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(transaction) = next {
            // Everything whose commit record begins before the stored position is in the destination.
            if transaction.commit_lsn() < self.started.position.lsn {
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
                self.started.stream.try_transaction()
            };
        }
        if batch.is_empty() {
            return Ok(());
        }
        if self.poison.meets(&batch) {
            return self.apart(batch, None).await;
        }
        let Err(error) = self.write(&mut batch).await else {
            fail_point!("committed");
            return self.confirm(batch);
        };
        let undone = self.undo().await;
        if error.kind() != crate::ErrorKind::Person || !undone {
            return Err(error);
        }
        self.apart(batch, Some(error)).await
    }

    /// Rolls back after an error, which is what the user has to read; says whether it could be done.
    async fn undo(&mut self) -> bool {
        match self.destination.rollback().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "could not roll back at the destination");
                false
            }
        }
    }

    /// One destination transaction with all of the batch, the position first.
    async fn write(&mut self, batch: &mut [Transaction]) -> Result<()> {
        let Some(last) = batch.last() else {
            return Ok(());
        };
        let (to, count) = (last.end_lsn(), batch.len() as u64);
        self.begin(to).await?;
        let mut changes = 0;
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut bytes = 0;
        for transaction in batch {
            let commit = transaction.commit_lsn();
            let mut walk = transaction.changes()?;
            while let Some((_, change)) = walk.next()? {
                self.started.tables.follow(commit, &change, |operation| {
                    bytes += operation.size();
                    chunk.push(operation);
                })?;
                if chunk.len() >= CHUNK || bytes >= CHUNK_BYTES {
                    changes += chunk.len() as u64;
                    bytes = 0;
                    self.destination
                        .execute(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))
                        .await?;
                }
            }
        }
        changes += chunk.len() as u64;
        if !chunk.is_empty() {
            self.destination.execute(chunk).await?;
        }
        self.commit().await?;
        self.summary.changes += changes;
        self.summary.transactions += count;
        Ok(())
    }

    /// Waits for as long as another program holds the destination: the stream lives on meanwhile, and starting again
    /// would wait too.
    async fn begin(&mut self, to: Lsn) -> Result<()> {
        let position = &self.started.position;
        let next = PositionRow {
            timeline: self.started.timeline,
            ..position.advanced(to)
        };
        let mut said = false;
        loop {
            match self.destination.begin(position, &next).await {
                Err(error) if error.is_locked_out() && !self.shutdown.is_asked() => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(%error, "waiting for it");
                    }
                }
                done => return done,
            }
        }
    }

    /// Commits; the position we hold follows only a commit that is known.
    async fn commit(&mut self) -> Result<()> {
        match self.destination.commit().await? {
            Outcome::Committed(row) => {
                self.poison.passed(row.lsn);
                self.started.position = row;
                Ok(())
            }
            Outcome::NotCommitted(error) => Err(error.found_at_end()),
        }
    }

    /// Hands the tokens back: the batch is durable.
    fn confirm(&mut self, batch: Vec<Transaction>) -> Result<()> {
        batch.into_iter().for_each(Transaction::confirm);
        // All of them lie below the batch.
        self.idle.drain(..).for_each(Token::confirm);
        self.written = Instant::now();
        Ok(())
    }
}

/// The position at which to stop, as the server will say it.
pub(crate) async fn target(source: &mut Source, until: Option<Until>) -> Result<Option<Lsn>> {
    let target = match until {
        None => return Ok(None),
        Some(Until::Lsn(lsn)) => lsn,
        Some(Until::Current) => {
            let lsn = source.insert_lsn().await?;
            source.flush_wal().await;
            lsn
        }
    };
    let (page, segment) = source.wal_sizes().await?;
    Ok(Some(boundary(target, page, segment)))
}

/// A position within the header of a page counts as the boundary before it: nothing lies between, and that is where
/// the server says it is.
fn boundary(lsn: Lsn, page: u64, segment: u64) -> Lsn {
    // xlog_internal.h: SizeOfXLogShortPHD, SizeOfXLogLongPHD
    let header = if lsn.0 % segment < page { 40 } else { 24 };
    let within = lsn.0 % page;
    if within <= header {
        Lsn(lsn.0 - within)
    } else {
        lsn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_within_a_page_header_is_the_boundary() {
        const PAGE: u64 = 8192;
        const SEGMENT: u64 = 16 << 20;
        let at = |lsn| boundary(Lsn(lsn), PAGE, SEGMENT).0;
        assert_eq!(
            at(SEGMENT + 40),
            SEGMENT,
            "a segment begins with a long header"
        );
        assert_eq!(at(SEGMENT + 41), SEGMENT + 41);
        assert_eq!(at(SEGMENT + PAGE + 24), SEGMENT + PAGE);
        assert_eq!(at(SEGMENT + PAGE + 25), SEGMENT + PAGE + 25);
        assert_eq!(at(SEGMENT + PAGE), SEGMENT + PAGE);
    }
}
