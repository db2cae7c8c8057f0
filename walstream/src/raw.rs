//! The raw stream: frames as the server sent them, each with how far one is once it is durable.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use walproto::{Decoder, Frame, Keepalive, Lsn, Message, Timestamp};

use crate::channel::Channel;
use crate::client::Client;
use crate::command::StreamOptions;
use crate::driver::{Running, Shared, Sink, clock};
use crate::error::Error;
use crate::progress::{Progress, RawToken};

/// A running stream of frames, beside [`Stream`](crate::Stream), which makes whole transactions of them.
///
/// For who keeps what was sent rather than what it means: recorders, proxies, queues. Feedback is the same as there:
/// it does not wait for who takes the frames. What waits is bounded; past that the reading waits.
///
/// ```no_run
/// # use walstream::{Client, Config, RawStream, StreamOptions, walproto::Lsn};
/// # async fn pass_on(url: &str, mut queue: Vec<bytes::Bytes>) -> Result<(), walstream::Error> {
/// let client = Client::connect_replication(&Config::parse(url)?).await?;
/// let options = StreamOptions::new("my_slot", ["my_publication"]);
/// let mut stream = RawStream::start(client, &options, Lsn::ZERO, 32 << 20).await?;
/// while let Some(mut frame) = stream.next().await? {
///     queue.push(frame.bytes().clone());
///     // What has come meanwhile goes with it, so that making it durable is worth its price.
///     while let Some(next) = stream.try_next() {
///         queue.push(next.bytes().clone());
///         frame = next;
///     }
///     queue.clear(); // here it is made durable
///     frame.token().confirm();
/// }
/// stream.finish().await
/// # }
/// ```
///
/// Dropping it closes the connection without a last update; [`finish`](Self::finish) ends it properly. Where the
/// positions come from, and what a crash leaves behind, stands in the [crate's documentation](crate#raw-frames).
#[derive(Debug)]
pub struct RawStream {
    running: Running<Queue>,
    /// What was taken out of the queue at once.
    taken: VecDeque<Received>,
}

/// One frame as it came: the content of one CopyData message of the server.
#[derive(Clone, Debug)]
pub struct RawFrame {
    received: Received,
    token: RawToken,
}

#[derive(Clone, Debug)]
struct Received {
    body: Bytes,
    at: Timestamp,
    /// What is confirmed with it.
    reached: Lsn,
}

impl RawFrame {
    /// The bytes: `w` and a message of pgoutput, `k`, or something that only later servers send.
    ///
    /// They are a slice of the read buffer of 128 kB, which lives as long as any of them: copy what is kept for long.
    pub const fn bytes(&self) -> &Bytes {
        &self.received.body
    }

    /// What they say.
    ///
    /// # Errors
    ///
    /// Those of [`Frame::parse`].
    pub fn parse(&self) -> walproto::Result<Frame<'_>> {
        Frame::parse(&self.received.body)
    }

    /// When it was read from the socket, by this machine's clock; frames that were read at once have one time.
    pub const fn received_at(&self) -> Timestamp {
        self.received.at
    }

    /// What to hand back once this frame and everything before it is durable.
    pub const fn token(&self) -> &RawToken {
        &self.token
    }

    /// The token alone, for who is done with the bytes.
    pub fn into_token(self) -> RawToken {
        self.token
    }
}

impl RawStream {
    /// Starts streaming on a replication connection, which becomes the stream's.
    ///
    /// `start` of 0/0 starts where the slot is. A higher one makes the server leave out what committed before it,
    /// so it must be the end of something that is durable. Neither creates a slot. About `memory` bytes of frames
    /// wait for the consumer, half of them in the hands of [`next`](Self::next).
    ///
    /// Prepared transactions come as the slot has it; so do those of version 3 to a client that asked for less.
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
        memory: u64,
    ) -> Result<Self, Error> {
        let timeout = client.wal_sender_timeout();
        let channel = client.start_replication(options, start).await?;
        Ok(Self::over(channel, timeout, memory))
    }

    /// On a connection that is streaming already.
    fn over(channel: Channel, timeout: Duration, memory: u64) -> Self {
        let passing = Passing {
            lot: VecDeque::new(),
            bytes: 0,
            now: Timestamp::default(),
            reached: Lsn::ZERO,
            limit: memory / 2,
        };
        Self {
            running: Running::start(channel, timeout, passing, Queue::default(), None),
            taken: VecDeque::new(),
        }
    }

    /// The next frame, in the order of the stream; `None` after the server ended it.
    ///
    /// # Errors
    ///
    /// What ended the stream, once everything received before has been handed out.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; call it again.
    pub async fn next(&mut self) -> Result<Option<RawFrame>, Error> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawFrame>, Error>> {
        if self.taken.is_empty() {
            // Before looking: whoever puts something there afterwards wakes us.
            self.running.shared().ready.register(cx.waker());
            if let Some(end) = self.refill() {
                return Poll::Ready(end.map(|()| None));
            }
        }
        match self.next_taken() {
            Some(frame) => Poll::Ready(Ok(Some(frame))),
            None => Poll::Pending,
        }
    }

    /// A frame that is there already, without waiting; for gathering batches.
    pub fn try_next(&mut self) -> Option<RawFrame> {
        if self.taken.is_empty() {
            self.take_waiting();
        }
        self.next_taken()
    }

    fn next_taken(&mut self) -> Option<RawFrame> {
        let received = self.taken.pop_front()?;
        let token = self.running.shared().ledger.mark(received.reached);
        Some(RawFrame { received, token })
    }

    fn take_waiting(&mut self) {
        let shared = self.running.shared();
        let held = shared.inbox().waiting.give(&mut self.taken);
        if held {
            shared.wake.notify_one();
        }
    }

    /// Takes what waits, or says that nothing ever will.
    fn refill(&mut self) -> Option<Result<(), Error>> {
        let shared = self.running.shared();
        let mut inbox = shared.inbox();
        let held = inbox.waiting.give(&mut self.taken);
        // In one look: what came before the end is handed out before it.
        let end = if self.taken.is_empty() {
            inbox.take_end()
        } else {
            None
        };
        drop(inbox);
        if held {
            shared.wake.notify_one();
        }
        end
    }

    /// How far the stream is; cheap to read, from any thread.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.running.shared().progress
    }

    /// Asks the server how far it is; the answer comes as a frame `k`.
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
    /// then unknown, and harmless, as what it does not know of comes again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn finish(self) -> Result<(), Error> {
        self.running.finish().await
    }
}

/// What waits for the consumer.
#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Received>,
    bytes: u64,
    /// Reading waits until somebody takes this.
    held: bool,
}

impl Queue {
    /// Swaps what waits for an empty lot, whose room is used again. Whether reading waited for that.
    fn give(&mut self, empty: &mut VecDeque<Received>) -> bool {
        if self.frames.is_empty() {
            return false;
        }
        std::mem::swap(&mut self.frames, empty);
        self.bytes = 0;
        std::mem::take(&mut self.held)
    }
}

/// Passes frames on as they are, on the task's side.
struct Passing {
    /// Taken since the queue was last looked at.
    lot: VecDeque<Received>,
    bytes: u64,
    now: Timestamp,
    /// The last position that a frame said: all that is published before it has come.
    reached: Lsn,
    limit: u64,
}

impl Sink for Passing {
    type Waiting = Queue;

    fn take(
        &mut self,
        shared: &Shared<Queue>,
        body: Bytes,
        _offset: u64,
    ) -> Result<Option<Keepalive>, Error> {
        let (keepalive, reached) = look(&body).map_err(|(error, lsn)| Error::decode(error, lsn))?;
        if let Some(reached) = reached {
            self.reached = self.reached.max(reached);
            shared.progress.raise_received(self.reached);
        }
        if self.lot.is_empty() {
            self.now = clock();
        }
        self.bytes += (body.len() + size_of::<Received>()) as u64;
        self.lot.push_back(Received {
            body,
            at: self.now,
            reached: self.reached,
        });
        Ok(keepalive)
    }

    fn pass_on(&mut self, shared: &Shared<Queue>) {
        if self.lot.is_empty() {
            return;
        }
        let mut inbox = shared.inbox();
        let queue = &mut inbox.waiting;
        if queue.frames.is_empty() {
            std::mem::swap(&mut queue.frames, &mut self.lot);
        } else {
            queue.frames.append(&mut self.lot);
        }
        queue.bytes += std::mem::take(&mut self.bytes);
        drop(inbox);
        shared.ready.ring();
    }

    fn is_full(&self) -> bool {
        self.bytes > self.limit
    }

    fn hold(&mut self, queue: &mut Queue) -> Result<bool, Error> {
        queue.held = queue.bytes > self.limit;
        Ok(queue.held)
    }
}

/// Where one is once this frame and everything before it is durable, if the frame says so: what its token rises to.
///
/// For who finds frames again that were stored, and has to know where to start.
///
/// # Errors
///
/// A frame, or a message of a kind that says so, that cannot be read. First bytes that are not known say nothing.
pub fn reached(frame: &[u8]) -> walproto::Result<Option<Lsn>> {
    match look(frame) {
        Ok((_, reached)) => Ok(reached),
        Err((error, _)) => Err(error),
    }
}

fn look(frame: &[u8]) -> Result<(Option<Keepalive>, Option<Lsn>), (walproto::Error, Lsn)> {
    match Frame::parse(frame) {
        Ok(Frame::WalData(wal)) => match end(wal.data) {
            Ok(end) => Ok((None, end)),
            Err(error) => Err((error, wal.start)),
        },
        Ok(Frame::Keepalive(keepalive)) => Ok((Some(keepalive), Some(keepalive.wal_end))),
        // What we do not know says nothing about positions.
        Ok(_) => Ok((None, None)),
        Err(_) if !matches!(frame.first(), Some(b'w' | b'k')) => Ok((None, None)),
        Err(error) => Err((error, Lsn::ZERO)),
    }
}

/// The position up to which everything published has come once this message has, if it is of a kind that says so.
///
/// Every other message has a position of its own in its frame, and none of those may ever be confirmed: they neither
/// rise nor say that what lies before them has been sent.
pub(crate) fn end(message: &[u8]) -> walproto::Result<Option<Lsn>> {
    let (b'C' | b'c' | b'P' | b'p' | b'K' | b'r') = message.first().copied().unwrap_or_default()
    else {
        return Ok(None);
    };
    Ok(match Decoder::new().decode(message)?.message {
        Message::Commit(commit) => Some(commit.end_lsn),
        Message::StreamCommit(commit) => Some(commit.end_lsn),
        Message::Prepare(prepare) => Some(prepare.end_lsn),
        Message::StreamPrepare(prepare) => Some(prepare.end_lsn),
        Message::CommitPrepared(commit) => Some(commit.end_lsn),
        Message::RollbackPrepared(rollback) => Some(rollback.rollback_end_lsn),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
