//! The stream of whole transactions: frames are assembled, and what is complete waits in a queue.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use walproto::{Decoder, Frame, Keepalive, Lsn};

use crate::channel::Channel;
use crate::client::Client;
use crate::command::{StreamOptions, Streaming};
use crate::config::Config;
use crate::driver::{Inbox, Running, Shared, Sink};
use crate::error::Error;
use crate::progress::{Progress, Token};
use crate::reconnect::{Link, Reconnect, Reconnected};
use crate::spool::{Complete, Usage};
use crate::system::SystemIdentity;
use crate::transaction::Transaction;
use crate::transactions::{AssembleError, Assembled, Assembler, Standalone, Whole};

/// How much may wait, and where.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of received messages kept in memory, 32 MiB by default; transactions past it go to a file.
    pub memory: u64,
    /// Bytes of files, 16 GiB by default; past it the reading waits for the consumer, or fails if there is nothing to consume.
    pub spool: u64,
    /// Folder of the files, the system's for temporary ones by default; they have no names and vanish with the process.
    pub folder: PathBuf,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 32 << 20,
            spool: 16 << 30,
            folder: std::env::temp_dir(),
        }
    }
}

/// What a stream yields.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A committed transaction, in commit order.
    Transaction(Transaction),
    /// A logical message outside any transaction; only with [`StreamOptions::messages`].
    Message(LogicalMessage),
    /// Nothing is waiting, and the server has come this far.
    Idle(Idle),
    /// The connection was lost and another one took its place; only with [`Stream::connect`]. Nothing is missing and
    /// nothing comes twice: what follows goes on behind what was handed out.
    Reconnected(Reconnected),
}

/// A logical message outside any transaction. May come again after a restart: tell repeats by its position.
#[derive(Debug)]
pub struct LogicalMessage {
    message: Standalone,
    token: Token,
}

impl LogicalMessage {
    /// Its position.
    pub const fn lsn(&self) -> Lsn {
        self.message.lsn
    }

    /// What kind of message it is, as the application chose.
    pub fn prefix(&self) -> &str {
        &self.message.prefix
    }

    /// The content.
    pub fn content(&self) -> &[u8] {
        &self.message.content
    }

    /// Says that it needs no repeating; see [`Token::confirm`].
    pub fn confirm(self) {
        self.token.confirm();
    }
}

/// A position without changes: everything published before it has been received.
///
/// Store the position as if it were a transaction's, then confirm it; so the slot moves while published tables are
/// idle, and a restart finds the stored position where the slot is.
#[derive(Debug)]
pub struct Idle {
    reply_requested: bool,
    token: Token,
}

impl Idle {
    /// The position.
    pub const fn lsn(&self) -> Lsn {
        self.token.lsn()
    }

    /// The server waits for this, for instance to shut down: do not put it off.
    pub const fn reply_requested(&self) -> bool {
        self.reply_requested
    }

    /// Says that the position is stored; see [`Token::confirm`].
    pub fn confirm(self) {
        self.token.confirm();
    }

    /// The token, to confirm it later.
    pub fn into_token(self) -> Token {
        self.token
    }
}

/// A running stream of whole transactions.
///
/// Dropping it closes the connection without a last update; [`finish`](Self::finish) ends it properly.
#[derive(Debug)]
pub struct Stream {
    running: Running<Queue>,
    system: Option<SystemIdentity>,
}

impl Stream {
    /// Starts streaming on a replication connection, which becomes the stream's.
    ///
    /// `start` of 0/0 starts where the slot is. A higher one makes the server leave out what committed before it,
    /// so it must be the end of something that is durable. Neither creates a slot.
    ///
    /// # Errors
    ///
    /// Slot missing, lost, or in use for longer than [`StreamOptions::slot_wait`], publication missing, options that this
    /// server does not have: see [`Error::kind`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn start(
        client: Client,
        options: &StreamOptions,
        start: Lsn,
        limits: Limits,
    ) -> Result<Self, Error> {
        let timeout = client.wal_sender_timeout();
        let channel = client.start_replication(options, start).await?;
        Ok(Self::linked(
            channel,
            timeout,
            decoder(options),
            limits,
            None,
        ))
    }

    /// Connects, starts streaming, and connects again whenever the connection is lost.
    ///
    /// `position` is where the consumer is: everything that commits before it is left out, and a slot that is
    /// confirmed past it is refused, because what lies between would be missing. 0/0 means wherever the slot is.
    ///
    /// A lost connection is not seen by the consumer, but for an [`Event::Reconnected`]. What was handed out before
    /// does not come again, what was not comes from the server once more, and tokens from before are handed back as
    /// ever. Each new connection is checked first: the same system, a timeline that holds everything that was handed
    /// out, a slot that nobody moved. The first connection is not tried again: who starts wants to know.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); [`ErrorKind::SlotAhead`](crate::ErrorKind::SlotAhead) and
    /// [`ErrorKind::Diverged`](crate::ErrorKind::Diverged) where the position does not fit the server.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connections.
    pub async fn connect(
        config: &Config,
        options: &StreamOptions,
        position: Lsn,
        limits: Limits,
        reconnect: Reconnect,
    ) -> Result<Self, Error> {
        let (channel, link, reached, system) =
            Link::first(config, options, position, reconnect).await?;
        let timeout = config.wal_sender_timeout;
        let link = Some((link, reached));
        let stream = Self::linked(channel, timeout, decoder(options), limits, link);
        Ok(Self {
            system: Some(system),
            ..stream
        })
    }

    /// On a connection that is streaming already.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn over(
        channel: Channel,
        timeout: Duration,
        decoder: Decoder,
        limits: Limits,
    ) -> Self {
        Self::linked(channel, timeout, decoder, limits, None)
    }

    fn linked(
        channel: Channel,
        timeout: Duration,
        decoder: Decoder,
        limits: Limits,
        link: Option<(Link, Lsn)>,
    ) -> Self {
        let (link, reached) = link.unzip();
        let queue = Queue {
            reached: Reached {
                lsn: reached.unwrap_or_default(),
                message: Lsn::ZERO,
            },
            ..Queue::default()
        };
        let usage = Arc::<Usage>::default();
        let assembling = Assembling {
            assembler: assembler(decoder, &usage, &limits),
            decoder,
            usage,
            limits,
            skip: queue.reached,
        };
        Self {
            running: Running::start(channel, timeout, assembling, queue, link),
            system: None,
        }
    }

    /// The next event, in the order of the stream; `None` after the server ended it.
    ///
    /// # Errors
    ///
    /// What ended the stream, once everything received before has been handed out; after attempts to connect again, what
    /// had not been handed out when the connection was lost is left to the next start.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; call it again.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            match self.try_next() {
                Next::Event(event) => return Ok(Some(event)),
                Next::Ended(end) => return end.map(|()| None),
                // Whoever put something there since left a permit.
                Next::Nothing => self.running.shared().ready.notified().await,
            }
        }
    }

    /// An event that is there already, without waiting; for gathering batches.
    pub fn try_transaction(&mut self) -> Option<Transaction> {
        let shared = self.running.shared();
        let inbox = shared.inbox();
        let Some(Waiting::Transaction(_, _)) = inbox.waiting.events.front() else {
            return None;
        };
        match self.take(inbox) {
            Some(Event::Transaction(transaction)) => Some(transaction),
            _ => None,
        }
    }

    fn try_next(&mut self) -> Next {
        let inbox = self.running.shared().inbox();
        if !inbox.waiting.events.is_empty() || inbox.waiting.idle.is_some() {
            return self.take(inbox).map_or(Next::Nothing, Next::Event);
        }
        let mut inbox = inbox;
        match inbox.take_end() {
            Some(end) => Next::Ended(end),
            None => Next::Nothing,
        }
    }

    /// Hands out the first thing that waits. In one step with noting that it was: what is not handed out when the
    /// connection is lost comes again, and what was does not.
    fn take(&self, mut inbox: MutexGuard<'_, Inbox<Queue>>) -> Option<Event> {
        let shared = self.running.shared();
        let queue = &mut inbox.waiting;
        let event = match queue.events.pop_front() {
            Some(Waiting::Transaction(whole, complete)) => {
                queue.reached.lsn = queue.reached.lsn.max(whole.end_lsn);
                let token = shared.ledger.issue(whole.end_lsn);
                Event::Transaction(Transaction::new(whole, token).counted(complete))
            }
            Some(Waiting::Message(message)) => {
                queue.reached.message = queue.reached.message.max(message.lsn);
                // It holds its place among the others and moves nothing itself: transactions that began before it
                // may still be open.
                let token = shared.ledger.issue(Lsn::ZERO);
                Event::Message(LogicalMessage { message, token })
            }
            Some(Waiting::Reconnected(reconnected)) => Event::Reconnected(reconnected),
            None => {
                let (lsn, reply_requested) = queue.idle.take()?;
                queue.reached.lsn = queue.reached.lsn.max(lsn);
                let token = shared.ledger.issue(lsn);
                Event::Idle(Idle {
                    reply_requested,
                    token,
                })
            }
        };
        drop(inbox);
        shared.wake.notify_one();
        Some(event)
    }

    /// The server of the first connection as it was then; only with [`connect`](Self::connect).
    pub const fn system(&self) -> Option<&SystemIdentity> {
        self.system.as_ref()
    }

    /// How far the stream is; cheap to read, from any thread.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.running.shared().progress
    }

    /// Asks the server how far it is; the answer comes as an [`Event::Idle`] or is overtaken by a transaction.
    pub fn ping(&self) {
        self.running.ping();
    }

    /// Tells the server the last confirmed position, ends the stream and closes the connection.
    ///
    /// What was received and not confirmed comes again at the next start.
    ///
    /// # Errors
    ///
    /// When the server did not take the end of the stream within ten seconds: whether it knows the last position is
    /// then unknown, and harmless, as the next start compares.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn finish(self) -> Result<(), Error> {
        self.running.finish().await
    }
}

enum Next {
    Event(Event),
    Ended(Result<(), Error>),
    Nothing,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Waiting>,
    /// The last keepalive behind everything that waits, and whether the server wants an answer.
    idle: Option<(Lsn, bool)>,
    reached: Reached,
}

/// Up to where the consumer was handed everything.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// Transactions that commit before it.
    lsn: Lsn,
    /// The last logical message outside any transaction. Those come in the order of their positions, but not in that
    /// of the transactions around them.
    message: Lsn,
}

#[derive(Debug)]
enum Waiting {
    Transaction(Box<Whole>, Complete),
    Message(Standalone),
    Reconnected(Reconnected),
}

/// Makes transactions out of frames, on the task's side.
struct Assembling {
    assembler: Assembler,
    /// As it is at the beginning of a connection.
    decoder: Decoder,
    usage: Arc<Usage>,
    limits: Limits,
    /// What the consumer had when this connection began.
    skip: Reached,
}

fn assembler(decoder: Decoder, usage: &Arc<Usage>, limits: &Limits) -> Assembler {
    Assembler::new(
        decoder,
        Arc::clone(usage),
        limits.folder.clone(),
        limits.memory,
    )
}

fn decoder(options: &StreamOptions) -> Decoder {
    Decoder::new()
        .parallel(options.streaming == Streaming::Parallel)
        .binary(options.binary)
}

impl Sink for Assembling {
    type Waiting = Queue;

    fn take(&mut self, shared: &Shared<Queue>, body: Bytes) -> Result<Option<Keepalive>, Error> {
        match Frame::parse(&body).map_err(|error| Error::decode(error, Lsn::ZERO))? {
            // After a lost connection the server begins where the slot is, which may lie behind the consumer.
            Frame::Keepalive(keepalive) if keepalive.wal_end < self.skip.lsn => {
                return Ok(Some(keepalive));
            }
            Frame::Keepalive(keepalive) => {
                let mut inbox = shared.inbox();
                let idle = &mut inbox.waiting.idle;
                let asked = keepalive.reply_requested || idle.is_some_and(|(_, asked)| asked);
                *idle = Some((keepalive.wal_end, asked));
                drop(inbox);
                shared.ready.notify_one();
                return Ok(Some(keepalive));
            }
            Frame::WalData(wal) => match self.assembler.receive(wal.start, wal.data) {
                Ok(None) => {}
                Ok(Some(assembled)) => self.deliver(shared, assembled),
                Err(error) => return Err(assemble_error(error, wal.start)),
            },
            _ => {}
        }
        Ok(None)
    }

    fn is_full(&self) -> bool {
        self.usage.memory() > self.limits.memory
    }

    fn hold(&mut self, queue: &mut Queue) -> Result<bool, Error> {
        // Read before the files are: none complete means that what they hold is open. What was taken and is not done
        // with counts, as it will make room.
        let complete = self.usage.complete() > 0;
        let disk = self.usage.disk() > self.limits.spool;
        if disk && !complete {
            return Err(Error::spool_full(self.limits.spool));
        }
        Ok(disk || !queue.events.is_empty() && self.is_full())
    }

    fn restart(&mut self, queue: &mut Queue) -> Lsn {
        queue.events.clear();
        queue.idle = None;
        self.skip = queue.reached;
        // Open transactions, their files and the relations go with it: a new session sends all of them again.
        self.assembler = assembler(self.decoder, &self.usage, &self.limits);
        self.skip.lsn
    }

    fn reconnected(&mut self, queue: &mut Queue, reconnected: Reconnected) {
        queue.events.push_back(Waiting::Reconnected(reconnected));
    }
}

impl Assembling {
    fn deliver(&self, shared: &Shared<Queue>, assembled: Assembled) {
        let waiting = match assembled {
            Assembled::Transaction(whole) => {
                shared.progress.raise_received(whole.end_lsn);
                if whole.commit_lsn < self.skip.lsn {
                    return;
                }
                let complete = Complete::new(Arc::clone(&self.usage), Arc::clone(&shared.wake));
                Waiting::Transaction(whole, complete)
            }
            Assembled::Message(message) if message.lsn <= self.skip.message => return,
            Assembled::Message(message) => Waiting::Message(message),
        };
        let mut inbox = shared.inbox();
        // An earlier keepalive is below this.
        inbox.waiting.idle = None;
        inbox.waiting.events.push_back(waiting);
        drop(inbox);
        shared.ready.notify_one();
    }
}

fn assemble_error(error: AssembleError, lsn: Lsn) -> Error {
    match error {
        AssembleError::Decode(error) => Error::decode(error, lsn),
        AssembleError::Spool(error) => Error::spool(error),
        AssembleError::TwoPhase(_) => Error::two_phase(error.to_string()),
        AssembleError::OutOfPlace { .. }
        | AssembleError::Contradiction(_)
        | AssembleError::ColumnTwice { .. } => Error::contradiction(&error.to_string(), lsn),
    }
}

#[cfg(test)]
mod tests;
