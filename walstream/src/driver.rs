//! The task between socket, clock and consumer, whatever the consumer takes: transactions or frames.
//!
//! The task reads frames and gives them to a [`Sink`], which puts what the consumer can take into a queue; it alone
//! writes to the server. Status updates leave it by time, on request and when a position became durable, whether or
//! not anybody takes from the queue. A full queue stops the reading, never the feedback.
//!
//! With a [`Link`](crate::reconnect::Link) the task outlives its connections. When one is lost, in this order:
//!
//! 1. what waits in the queue and what is not complete is thrown away, in one step with reading how far the consumer
//!    was handed things (it comes again, and what was handed out before is left out then);
//! 2. another connection is made, and its server, timeline and slot are held against where the consumer is;
//! 3. the stream starts at the slot's own position, and the consumer is told before anything else.
//!
//! Tokens live on through all of it: a position that was made durable meanwhile is told over the next connection.

mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio::time::Instant;
use walproto::{Keepalive, Lsn, Timestamp};

use crate::channel::{Channel, Lot, Reader, Writer};
use crate::error::{Error, ErrorKind};
use crate::reconnect::{Reconnected, Reconnecting};
use crate::session::Session;
use crate::vitals::Pulse;
pub(crate) use shared::{Inbox, Shared};

/// What becomes of the frames, on the task's side.
pub(crate) trait Sink: Send + 'static {
    /// What waits for the consumer.
    type Waiting: fmt::Debug + Send + 'static;

    /// Whether the bytes go to [`keep`](Self::keep) once they were taken. Otherwise they are gone then.
    const KEEPS: bool = false;

    /// Takes a frame, before which so many bytes came on this connection; returns it if it was a keepalive.
    fn take(
        &mut self,
        shared: &Shared<Self::Waiting>,
        frame: &[u8],
        offset: u64,
    ) -> Result<Option<Keepalive>, Error>;

    /// The frames taken since the last lot, in their own bytes.
    fn keep(&mut self, _lot: Lot) {}

    /// Called when no more is taken for now, also after an error.
    fn pass_on(&mut self, _shared: &Shared<Self::Waiting>) {}

    /// Does some of what was put off, so much that feedback stays prompt.
    fn catch_up(&mut self, _shared: &Shared<Self::Waiting>) -> Result<Behind, Error> {
        Ok(Behind::Nothing)
    }

    /// Whether it is time to look whether reading must wait.
    fn is_full(&self) -> bool;

    /// Whether it waits for the server to say how far it is.
    fn asks(&self) -> bool {
        false
    }

    /// Whether reading must wait for the consumer.
    fn hold(&mut self, waiting: &mut Self::Waiting) -> Result<bool, Error>;

    /// The connection is lost: drops what the consumer has not taken, and says up to where it has taken everything.
    /// Only with a [`Link`](crate::reconnect::Link).
    fn restart(&mut self, _waiting: &mut Self::Waiting) -> Lsn {
        Lsn::ZERO
    }

    /// Tells the consumer that another connection goes on from here.
    fn reconnected(&mut self, _waiting: &mut Self::Waiting, _reconnected: Reconnected) {}
}

/// What a [`Sink`] has put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    Nothing,
    /// More can be done at once.
    More,
    /// The consumer must make room first, and will ring.
    Waiting,
}

/// The consumer's hold on the task. Dropping it closes the connection without a last update.
#[derive(Debug)]
pub(crate) struct Running<W> {
    shared: Arc<Shared<W>>,
    task: JoinHandle<()>,
}

impl<W> Running<W> {
    /// On a connection that is streaming already; `timeout` is the server's. Without a link it is the only one.
    pub(crate) fn start<S: Sink<Waiting = W>>(
        channel: Channel,
        timeout: Duration,
        sink: S,
        waiting: W,
        link: Option<impl Reconnecting>,
    ) -> Self
    where
        W: fmt::Debug + Send + 'static,
    {
        let now = Instant::now().into_std();
        let session = Session::new(timeout, now);
        let pulse = Pulse::new(session.patience(), now);
        let shared = Arc::new(Shared::new(waiting, pulse));
        let driver = Driver {
            shared: Arc::clone(&shared),
            timeout,
            session,
            sink,
        };
        Self {
            shared,
            task: tokio::spawn(driver.run(channel, link)),
        }
    }

    pub(crate) fn shared(&self) -> &Shared<W> {
        &self.shared
    }

    #[cfg(test)]
    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Asks the server how far it is.
    pub(crate) fn ping(&self) {
        self.shared.inbox().ping = true;
        self.shared.wake.notify_one();
    }

    /// Last update, end of the stream, end of the connection.
    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        const PATIENCE: Duration = Duration::from_secs(10);
        self.shared.inbox().stop = true;
        self.shared.wake.notify_one();
        match tokio::time::timeout(PATIENCE, &mut self.task).await {
            Ok(_) => match self.shared.inbox().end.take() {
                Some(end) => end,
                None => Ok(()),
            },
            Err(_) => Err(Error::timed_out(
                "the server did not end the stream when asked to",
            )),
        }
    }
}

impl<W> Drop for Running<W> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// After so many bytes the consumer gets a turn on this thread. Less comes from a server that is slower than we are, for
/// which we wait anyway.
const WORTH_A_TURN: u64 = 64 << 10;

/// The task.
struct Driver<S: Sink> {
    shared: Arc<Shared<S::Waiting>>,
    timeout: Duration,
    session: Session,
    sink: S,
}

impl<S: Sink> Driver<S> {
    async fn run(mut self, channel: Channel, mut link: Option<impl Reconnecting>) {
        let mut channel = channel;
        let end = loop {
            let end = self.drive(channel).await;
            let Some(link) = &mut link else { break end };
            match self.reconnect(link, end).await {
                Ok(next) => channel = next,
                Err(end) => break end,
            }
        };
        // What was read and put off comes before the end, as what waits in the queue does.
        self.shared.pulse.ended();
        let end = self.hand_out().await.and(end);
        self.shared.inbox().end = Some(end);
        self.shared.ready.ring();
    }

    /// Another connection after one that ended like this, or how the stream ended for good.
    async fn reconnect(
        &mut self,
        link: &mut impl Reconnecting,
        end: Result<(), Error>,
    ) -> Result<Channel, Result<(), Error>> {
        let now = Instant::now().into_std();
        link.lost(self.shared.progress.received(), now);
        let mut pause = link.pause(now);
        let reached = {
            let mut inbox = self.shared.inbox();
            let over = inbox.stop || end.as_ref().is_err_and(|error| !error.is_disconnect());
            // What waits is handed out before the end, unless it is to come again.
            if over || pause.is_none() {
                return Err(end);
            }
            self.sink.restart(&mut inbox.waiting)
        };
        self.shared.pulse.lost();
        let mut lost = end.err().unwrap_or_else(Error::ended);
        while let Some(wait) = pause {
            tracing::warn!(
                error = %lost.with_sources(),
                pause_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "the stream is interrupted; connecting again"
            );
            let again = async {
                tokio::time::sleep(wait).await;
                link.connect(reached).await
            };
            let attempt = tokio::select! {
                attempt = again => attempt,
                () = stopped(&self.shared) => return Err(Err(lost)),
            };
            match attempt {
                Ok((channel, reconnected)) => {
                    tracing::info!(
                        attempts = reconnected.attempts,
                        position = %reached,
                        "the stream goes on"
                    );
                    self.shared.progress.restart();
                    let now = Instant::now().into_std();
                    self.session = Session::new(self.timeout, now);
                    self.shared.pulse.back(now);
                    let mut inbox = self.shared.inbox();
                    self.sink.reconnected(&mut inbox.waiting, reconnected);
                    drop(inbox);
                    self.shared.ready.ring();
                    return Ok(channel);
                }
                Err(error) if error.is_disconnect() || is_not_promoted(&error) => lost = error,
                Err(error) => return Err(Err(error)),
            }
            pause = link.pause(Instant::now().into_std());
        }
        Err(Err(lost))
    }

    /// Puts into the queue what was put off, as the consumer makes room; there is no connection any more.
    async fn hand_out(&mut self) -> Result<(), Error> {
        while !self.shared.inbox().stop {
            let behind = self.sink.catch_up(&self.shared);
            self.sink.pass_on(&self.shared);
            match behind? {
                Behind::Nothing => break,
                Behind::More => tokio::task::yield_now().await,
                Behind::Waiting => self.shared.wake.notified().await,
            }
        }
        Ok(())
    }

    async fn drive(&mut self, channel: Channel) -> Result<(), Error> {
        /// How often a server is asked that may have nothing to say but how far it is.
        const ASK: Duration = Duration::from_secs(1);
        let (mut reader, mut writer) = channel.split();
        let mut received = reader.received();
        let mut ask = Instant::now();
        loop {
            let now = Instant::now();
            if self.sink.asks() && now >= ask {
                self.session.ping();
                ask = now + ASK;
            }
            // A part of a message is a sign of life too: on a slow way a large one takes longer than our patience.
            if reader.received() > received {
                received = reader.received();
                self.session.heard(now.into_std());
                self.shared.pulse.heard(now.into_std());
            }
            // Before asking whether to wait: it makes room.
            let behind = self.sink.catch_up(&self.shared);
            self.sink.pass_on(&self.shared);
            let behind = behind?;
            let (stop, hold) = self.wishes()?;
            if stop {
                return self.end(reader, writer).await;
            }
            if hold {
                // Silence is ours, not the server's.
                self.session.heard(now.into_std());
                self.shared.pulse.heard(now.into_std());
            }
            // One update at a time: a server that asks and does not read must not make them pile up here, and the next
            // one says it better.
            let blocked = writer.is_pending();
            if !blocked {
                self.report(now, &mut writer);
            }
            if self.session.is_lost(now.into_std(), blocked) {
                return Err(Error::timed_out(
                    "the server has been silent, and did not answer a ping",
                ));
            }
            let mut deadline = Instant::from_std(self.session.deadline(blocked));
            if self.sink.asks() {
                deadline = deadline.min(ask);
            }
            tokio::select! {
                // In this order, so that a simulated run is the same each time. Nobody starves: a flush ends, and what
                // the others would wake us for is looked at in every round.
                biased;
                written = writer.flush(), if writer.is_pending() => written?,
                ready = reader.ready(), if !hold => {
                    ready?;
                    let before = reader.left();
                    let ended = self.take_all(&mut reader);
                    self.sink.pass_on(&self.shared);
                    if ended? {
                        return Ok(());
                    }
                    // A socket that fills the buffer is not waited for, and we would read on and on: the consumer is let at what
                    // was read while it is in the cache, and its buffer used again.
                    if reader.left() - before > WORTH_A_TURN {
                        tokio::task::yield_now().await;
                    }
                }
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep_until(deadline) => {}
                // Others have their turn in between: the consumer, on a single thread.
                () = tokio::task::yield_now(), if behind == Behind::More => {}
            }
        }
    }

    /// What the consumer wants: an end, and no more for now.
    fn wishes(&mut self) -> Result<(bool, bool), Error> {
        let mut inbox = self.shared.inbox();
        if std::mem::take(&mut inbox.ping) {
            self.session.ping();
        }
        let hold = self.sink.hold(&mut inbox.waiting)?;
        Ok((inbox.stop, hold))
    }

    /// Puts a status update into the writer, if one is due.
    fn report(&mut self, now: Instant, writer: &mut Writer) {
        let positions = self.shared.positions();
        if let Some(update) = self.session.transmit(now.into_std(), clock(), positions) {
            writer.copy_data(&update.encode());
        }
    }

    /// Takes what is in the buffer, at most as much as one read brings. `true` when the server ended the stream.
    fn take_all(&mut self, reader: &mut Reader) -> Result<bool, Error> {
        loop {
            let (taken, walked) = reader.walk(|frame, offset| self.take(frame, offset));
            if S::KEEPS && taken > 0 {
                self.sink.keep(reader.split(taken));
            } else {
                reader.pass(taken);
            }
            walked?;
            // With nothing taken a message of another kind is first, and it is there until somebody takes it.
            if taken > 0 && self.sink.is_full() {
                return Ok(false);
            }
            let Some(message) = reader.try_other()? else {
                if taken == 0 {
                    return Ok(false);
                }
                continue;
            };
            match message.tag {
                // The server ends the stream, as it does when it shuts down.
                b'c' | b'C' => return Ok(true),
                b'E' => return Err(Error::server(&message.body)),
                // Parameter changes and notifications.
                b'S' | b'A' => {}
                tag => return Err(Error::out_of_place(tag, "while streaming", message.offset)),
            }
        }
    }

    /// Whether there is room for another.
    #[inline]
    fn take(&mut self, frame: &[u8], offset: u64) -> Result<bool, Error> {
        if let Some(keepalive) = self.sink.take(&self.shared, frame, offset)? {
            self.session.keepalive(&keepalive);
            self.shared.progress.raise_received(keepalive.wal_end);
        }
        Ok(!self.sink.is_full())
    }

    /// Last update, CopyDone, and everything the server still sends until it has ended too.
    async fn end(&mut self, mut reader: Reader, mut writer: Writer) -> Result<(), Error> {
        self.session.reply();
        self.report(Instant::now(), &mut writer);
        writer.copy_done();
        loop {
            tokio::select! {
                message = reader.recv() => {
                    let message = message?;
                    match message.tag {
                        b'Z' => break,
                        // A transaction that was being sent goes on after the server's own CopyDone.
                        b'd' | b'c' | b'C' | b'S' | b'A' => {}
                        // Whether it took the last update before that, nobody knows.
                        b'E' => return Err(Error::server(&message.body)),
                        tag => {
                            let place = "while the stream ended";
                            return Err(Error::out_of_place(tag, place, message.offset));
                        }
                    }
                }
                written = writer.flush(), if writer.is_pending() => written?,
            }
        }
        writer.terminate();
        writer.flush().await
    }
}

/// In the middle of a failover one may be led to a standby that is about to become the primary.
fn is_not_promoted(error: &Error) -> bool {
    error.kind() == ErrorKind::SlotSynced
}

/// Returns once the consumer wants the end.
async fn stopped<W>(shared: &Shared<W>) {
    while !shared.inbox().stop {
        shared.wake.notified().await;
    }
}

pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros())
        .ok()
        .and_then(Timestamp::from_unix_micros)
        .unwrap_or_default()
}
