//! The task between socket, clock and consumer, whatever the consumer takes: transactions or frames.
//!
//! The task reads frames and gives them to a [`Sink`], which puts what the consumer can take into a queue; it alone
//! writes to the server. Status updates leave it by time, on request and when a position became durable, whether or
//! not anybody takes from the queue. A full queue stops the reading, never the feedback.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use walproto::{Keepalive, Timestamp};

use crate::channel::{BackendMessage, Channel, Reader, Writer};
use crate::error::Error;
use crate::progress::{Ledger, Progress};
use crate::session::{Positions, Session};

/// What becomes of the frames, on the task's side.
pub(crate) trait Sink: Send + 'static {
    /// What waits for the consumer.
    type Waiting: fmt::Debug + Default + Send + 'static;

    /// Takes a frame; returns it if it was a keepalive.
    fn take(
        &mut self,
        shared: &Shared<Self::Waiting>,
        body: Bytes,
    ) -> Result<Option<Keepalive>, Error>;

    /// Called when no more is taken for now, also after an error.
    fn pass_on(&mut self, _shared: &Shared<Self::Waiting>) {}

    /// Whether it is time to look whether reading must wait.
    fn is_full(&self) -> bool;

    /// Whether reading must wait for the consumer.
    fn hold(&mut self, waiting: &mut Self::Waiting) -> Result<bool, Error>;
}

/// What the task and its consumer share.
#[derive(Debug)]
pub(crate) struct Shared<W> {
    inbox: Mutex<Inbox<W>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) ledger: Arc<Ledger>,
    /// Tells the consumer that there is something.
    pub(crate) ready: Notify,
    /// Tells the task that there is room, a position to report, or a wish.
    pub(crate) wake: Arc<Notify>,
}

/// What lies between the two.
#[derive(Debug, Default)]
pub(crate) struct Inbox<W> {
    pub(crate) waiting: W,
    end: Option<Result<(), Error>>,
    ping: bool,
    stop: bool,
}

impl<W: Default> Shared<W> {
    fn new() -> Self {
        let progress = Arc::<Progress>::default();
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        let ledger = Ledger::new(Arc::clone(&progress), move || waker.notify_one());
        Self {
            inbox: Mutex::default(),
            progress,
            ledger,
            ready: Notify::new(),
            wake,
        }
    }
}

impl<W> Shared<W> {
    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox<W>> {
        // Every change of it is a single step, so a panic elsewhere leaves it sound.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn positions(&self) -> Positions {
        let progress = &self.progress;
        Positions {
            received: progress.received(),
            durable: progress.durable(),
            applied: progress.applied(),
        }
    }
}

impl<W> Inbox<W> {
    /// How the stream ended, if it did and nothing waits. An error is told once.
    pub(crate) fn take_end(&mut self) -> Option<Result<(), Error>> {
        let end = self.end.take()?;
        self.end = Some(Ok(()));
        Some(end)
    }
}

/// The consumer's hold on the task. Dropping it closes the connection without a last update.
#[derive(Debug)]
pub(crate) struct Running<W> {
    shared: Arc<Shared<W>>,
    task: JoinHandle<()>,
}

impl<W> Running<W> {
    /// On a connection that is streaming already; `timeout` is the server's.
    pub(crate) fn start<S: Sink<Waiting = W>>(channel: Channel, timeout: Duration, sink: S) -> Self
    where
        W: fmt::Debug + Default + Send + 'static,
    {
        let shared = Arc::new(Shared::new());
        let driver = Driver {
            shared: Arc::clone(&shared),
            session: Session::new(timeout, Instant::now().into_std()),
            sink,
        };
        Self {
            shared,
            task: tokio::spawn(driver.run(channel)),
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

/// The task.
struct Driver<S: Sink> {
    shared: Arc<Shared<S::Waiting>>,
    session: Session,
    sink: S,
}

impl<S: Sink> Driver<S> {
    async fn run(mut self, channel: Channel) {
        let end = self.drive(channel).await;
        self.shared.inbox().end = Some(end);
        self.shared.ready.notify_one();
    }

    async fn drive(&mut self, channel: Channel) -> Result<(), Error> {
        let (mut reader, mut writer) = channel.split();
        let mut received = reader.received();
        loop {
            let now = Instant::now();
            // A part of a message is a sign of life too: on a slow way a large one takes longer than our patience.
            if reader.received() > received {
                received = reader.received();
                self.session.heard(now.into_std());
            }
            let (stop, hold) = self.wishes()?;
            if stop {
                return self.end(reader, writer).await;
            }
            if hold {
                // Silence is ours, not the server's.
                self.session.heard(now.into_std());
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
            let deadline = Instant::from_std(self.session.deadline(blocked));
            tokio::select! {
                message = reader.recv(), if !hold => {
                    let message = message?;
                    let ended = self.take_all(message, &mut reader);
                    self.sink.pass_on(&self.shared);
                    if ended? {
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

    /// Takes this message and those behind it that are in the buffer, up to a bound that keeps feedback prompt.
    /// `true` when the server ended the stream.
    fn take_all(&mut self, message: BackendMessage, reader: &mut Reader) -> Result<bool, Error> {
        const AT_ONCE: usize = 1000;
        let mut message = message;
        let mut taken = 0;
        loop {
            match message.tag {
                b'd' => self
                    .frame(message.body)
                    .map_err(|error| error.at_byte(message.offset))?,
                // The server ends the stream, as it does when it shuts down.
                b'c' | b'C' => return Ok(true),
                b'E' => return Err(Error::server(&message.body)),
                // Parameter changes and notifications.
                b'S' | b'A' => {}
                tag => return Err(Error::out_of_place(tag, "while streaming", message.offset)),
            }
            taken += 1;
            // Before the next one leaves the buffer: what was taken must be handled.
            if taken == AT_ONCE || self.sink.is_full() {
                return Ok(false);
            }
            match reader.try_recv()? {
                Some(next) => message = next,
                None => return Ok(false),
            }
        }
    }

    fn frame(&mut self, body: Bytes) -> Result<(), Error> {
        if let Some(keepalive) = self.sink.take(&self.shared, body)? {
            self.session.keepalive(&keepalive);
            self.shared.progress.raise_received(keepalive.wal_end);
        }
        Ok(())
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

pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros())
        .ok()
        .and_then(Timestamp::from_unix_micros)
        .unwrap_or_default()
}
