//! The stream: one task between socket, clock and consumer.
//!
//! The task reads frames, assembles transactions and puts whole ones into a queue; it alone writes to the server.
//! Status updates leave it by time, on request and when a position became durable, whether or not anybody takes
//! from the queue. A full queue stops the reading, never the feedback.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use walproto::{Decoder, Frame, Keepalive, Lsn, Timestamp};

use crate::channel::{BackendMessage, Channel, Reader, Writer};
use crate::client::Client;
use crate::command::{StreamOptions, Streaming};
use crate::error::Error;
use crate::progress::{Ledger, Progress, Token};
use crate::session::{Positions, Session};
use crate::spool::{Complete, Usage};
use crate::transaction::Transaction;
use crate::transactions::{AssembleError, Assembled, Assembler, Standalone};

/// How much may wait, and where.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of received messages kept in memory; transactions past it go to a file.
    pub memory: u64,
    /// Bytes of files; past it the reading waits for the consumer, or fails if there is nothing to consume.
    pub spool: u64,
    /// Folder of the files; they have no names and vanish with the process.
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
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Stream {
    /// Starts streaming on a replication connection, which becomes the stream's.
    ///
    /// `start` of 0/0 starts where the slot is. A higher one makes the server leave out what committed before it,
    /// so it must be the end of something that is durable. Neither creates a slot.
    ///
    /// # Errors
    ///
    /// Slot missing, lost or in use, publication missing, options that this server does not have: see
    /// [`Error::kind`].
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
        let parallel = options.streaming == Streaming::Parallel;
        let channel = client.start_replication(options, start).await?;
        let decoder = Decoder::new().parallel(parallel).binary(options.binary);
        Ok(Self::over(channel, timeout, decoder, limits))
    }

    /// On a connection that is streaming already.
    fn over(channel: Channel, timeout: Duration, decoder: Decoder, limits: Limits) -> Self {
        let shared = Arc::new(Shared::new());
        let usage = Arc::<Usage>::default();
        let driver = Driver {
            shared: Arc::clone(&shared),
            session: Session::new(timeout, Instant::now().into_std()),
            assembler: Assembler::new(
                decoder,
                Arc::clone(&usage),
                limits.folder.clone(),
                limits.memory,
            ),
            usage,
            limits,
        };
        let task = tokio::spawn(driver.run(channel));
        Self { shared, task }
    }

    /// The next event, in the order of the stream; `None` after the server ended it.
    ///
    /// # Errors
    ///
    /// What ended the stream, once everything received before has been handed out.
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
                Next::Nothing => self.shared.ready.notified().await,
            }
        }
    }

    /// An event that is there already, without waiting; for gathering batches.
    pub fn try_transaction(&mut self) -> Option<Transaction> {
        let mut queue = self.shared.queue();
        let Some(Waiting::Transaction(_)) = queue.waiting.front() else {
            return None;
        };
        let Some(Waiting::Transaction(transaction)) = queue.waiting.pop_front() else {
            return None;
        };
        drop(queue);
        self.shared.wake.notify_one();
        Some(transaction)
    }

    fn try_next(&mut self) -> Next {
        let mut queue = self.shared.queue();
        if let Some(waiting) = queue.waiting.pop_front() {
            drop(queue);
            self.shared.wake.notify_one();
            return Next::Event(match waiting {
                Waiting::Transaction(transaction) => Event::Transaction(transaction),
                Waiting::Message(message) => Event::Message(message),
            });
        }
        if let Some((lsn, reply_requested)) = queue.idle.take() {
            let token = self.shared.ledger.issue(lsn);
            return Next::Event(Event::Idle(Idle {
                reply_requested,
                token,
            }));
        }
        match queue.end.take() {
            Some(end) => {
                queue.end = Some(Ok(()));
                Next::Ended(end)
            }
            None => Next::Nothing,
        }
    }

    /// How far the stream is; cheap to read, from any thread.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.shared.progress
    }

    /// Asks the server how far it is; the answer comes as an [`Event::Idle`] or is overtaken by a transaction.
    pub fn ping(&self) {
        self.shared.queue().ping = true;
        self.shared.wake.notify_one();
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
    pub async fn finish(mut self) -> Result<(), Error> {
        const PATIENCE: Duration = Duration::from_secs(10);
        self.shared.queue().stop = true;
        self.shared.wake.notify_one();
        match tokio::time::timeout(PATIENCE, &mut self.task).await {
            Ok(_) => match self.shared.queue().end.take() {
                Some(end) => end,
                None => Ok(()),
            },
            Err(_) => Err(Error::timed_out(
                "the server did not end the stream when asked to",
            )),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Next {
    Event(Event),
    Ended(Result<(), Error>),
    Nothing,
}

/// What the task and its consumer share.
#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    progress: Arc<Progress>,
    ledger: Arc<Ledger>,
    /// Tells the consumer that there is something.
    ready: Notify,
    /// Tells the task that there is room, a position to report, or a wish.
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// The last keepalive behind everything that waits, and whether the server wants an answer.
    idle: Option<(Lsn, bool)>,
    end: Option<Result<(), Error>>,
    ping: bool,
    stop: bool,
}

#[derive(Debug)]
enum Waiting {
    Transaction(Transaction),
    Message(LogicalMessage),
}

impl Shared {
    fn new() -> Self {
        let progress = Arc::<Progress>::default();
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        let ledger = Ledger::new(Arc::clone(&progress), move || waker.notify_one());
        Self {
            queue: Mutex::default(),
            progress,
            ledger,
            ready: Notify::new(),
            wake,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change of the queue is a single step, so a panic elsewhere leaves it sound.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's side.
struct Driver {
    shared: Arc<Shared>,
    session: Session,
    assembler: Assembler,
    usage: Arc<Usage>,
    limits: Limits,
}

impl Driver {
    async fn run(mut self, channel: Channel) {
        let end = self.drive(channel).await;
        self.shared.queue().end = Some(end);
        self.shared.ready.notify_one();
    }

    async fn drive(&mut self, channel: Channel) -> Result<(), Error> {
        let (mut reader, mut writer) = channel.split();
        loop {
            let now = Instant::now();
            let (stop, hold) = self.wishes()?;
            if stop {
                return self.end(reader, writer).await;
            }
            if hold {
                // Silence is ours, not the server's.
                self.session.heard(now.into_std());
            }
            self.report(now, &mut writer);
            if self.session.is_lost(now.into_std()) {
                return Err(Error::timed_out(
                    "the server has been silent, and did not answer a ping",
                ));
            }
            let deadline = Instant::from_std(self.session.deadline());
            tokio::select! {
                message = reader.recv(), if !hold => {
                    let message = message?;
                    self.session.heard(Instant::now().into_std());
                    if self.take_all(message, &mut reader)? {
                        return Ok(());
                    }
                }
                written = writer.flush(), if writer.is_pending() => written?,
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// What the consumer wants: an end, and no more for now.
    fn wishes(&mut self) -> Result<(bool, bool), Error> {
        let mut queue = self.shared.queue();
        if std::mem::take(&mut queue.ping) {
            self.session.ping();
        }
        // Read before the files are: none complete means that what they hold is open. What was taken and is not done
        // with counts, as it will make room.
        let complete = self.usage.complete() > 0;
        let (memory, disk) = (
            self.usage.memory() > self.limits.memory,
            self.usage.disk() > self.limits.spool,
        );
        let waiting = !queue.waiting.is_empty();
        let stop = queue.stop;
        drop(queue);
        if disk && !complete {
            return Err(Error::spool_full(self.limits.spool));
        }
        Ok((stop, disk || waiting && memory))
    }

    /// Puts a status update into the writer, if one is due.
    fn report(&mut self, now: Instant, writer: &mut Writer) {
        if let Some(update) = self
            .session
            .transmit(now.into_std(), clock(), self.positions())
        {
            writer.copy_data(&update.encode());
        }
    }

    fn positions(&self) -> Positions {
        let progress = &self.shared.progress;
        Positions {
            received: progress.received(),
            durable: progress.durable(),
            applied: progress.applied(),
        }
    }

    /// Takes this message and those behind it that are in the buffer, up to a bound that keeps feedback prompt.
    /// `true` when the server ended the stream.
    fn take_all(&mut self, message: BackendMessage, reader: &mut Reader) -> Result<bool, Error> {
        const AT_ONCE: usize = 1000;
        let mut message = message;
        let mut taken = 0;
        loop {
            match message.tag {
                b'd' => self.frame(&message.body)?,
                // The server ends the stream, as it does when it shuts down.
                b'c' | b'C' | b'Z' => return Ok(true),
                b'E' => return Err(Error::server(&message.body)),
                // Notices and parameter changes.
                _ => {}
            }
            taken += 1;
            // Before the next one leaves the buffer: what was taken must be handled.
            if taken == AT_ONCE || self.usage.memory() > self.limits.memory {
                return Ok(false);
            }
            match reader.try_recv()? {
                Some(next) => message = next,
                None => return Ok(false),
            }
        }
    }

    fn frame(&mut self, body: &[u8]) -> Result<(), Error> {
        match Frame::parse(body).map_err(|error| Error::decode(error, Lsn::ZERO))? {
            Frame::Keepalive(keepalive) => self.keepalive(&keepalive),
            Frame::WalData(wal) => match self.assembler.receive(wal.start, wal.data) {
                Ok(None) => {}
                Ok(Some(assembled)) => self.deliver(assembled),
                Err(error) => return Err(assemble_error(error, wal.start)),
            },
            _ => {}
        }
        Ok(())
    }

    fn keepalive(&mut self, keepalive: &Keepalive) {
        self.session.keepalive(keepalive);
        self.shared.progress.raise_received(keepalive.wal_end);
        let mut queue = self.shared.queue();
        let asked = keepalive.reply_requested || queue.idle.is_some_and(|(_, asked)| asked);
        queue.idle = Some((keepalive.wal_end, asked));
        drop(queue);
        self.shared.ready.notify_one();
    }

    fn deliver(&mut self, assembled: Assembled) {
        let waiting = match assembled {
            Assembled::Transaction(whole) => {
                self.shared.progress.raise_received(whole.end_lsn);
                let token = self.shared.ledger.issue(whole.end_lsn);
                let complete =
                    Complete::new(Arc::clone(&self.usage), Arc::clone(&self.shared.wake));
                Waiting::Transaction(Transaction::new(whole, token).counted(complete))
            }
            // It holds its place among the others and moves nothing itself: transactions that began before it may
            // still be open.
            Assembled::Message(message) => Waiting::Message(LogicalMessage {
                message,
                token: self.shared.ledger.issue(Lsn::ZERO),
            }),
        };
        let mut queue = self.shared.queue();
        // An earlier keepalive is below this.
        queue.idle = None;
        queue.waiting.push_back(waiting);
        drop(queue);
        self.shared.ready.notify_one();
    }

    /// Last update, CopyDone, and everything the server still sends until it has ended too.
    async fn end(&mut self, mut reader: Reader, mut writer: Writer) -> Result<(), Error> {
        self.session.reply();
        self.report(Instant::now(), &mut writer);
        writer.copy_done();
        loop {
            tokio::select! {
                message = reader.recv() => match message?.tag {
                    // A transaction that was being sent goes on after the server's own CopyDone.
                    b'Z' => break,
                    b'E' => break,
                    _ => {}
                },
                written = writer.flush(), if writer.is_pending() => written?,
            }
        }
        writer.terminate();
        writer.flush().await
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

fn clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros())
        .ok()
        .and_then(Timestamp::from_unix_micros)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
