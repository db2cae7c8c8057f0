//! The stream of whole transactions: frames are assembled, and what is complete waits in a queue.

mod assembling;
mod builder;
mod handover;
mod overflow;
mod queue;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use walproto::{Decoder, Lsn};

use builder::Source;
pub use builder::StreamBuilder;

use crate::channel::Channel;
use crate::client::Client;
use crate::command::{StreamOptions, Streaming};
use crate::config::Config;
use crate::delivery::Delivery;
use crate::driver::{Inbox, Running};
use crate::error::Error;
use crate::event::Event;
use crate::limits::{Held, Limits};
use crate::progress::Progress;
use crate::reconnect::{Link, Reconnecting};
use crate::spool::{Folder, Usage};
use crate::system::SystemIdentity;
use crate::transaction::Transaction;
use crate::vitals::Vitals;
use assembling::Assembling;
use queue::{Queue, Reached, Waiting};

/// A running stream of whole transactions.
///
/// Dropping it closes the connection without a last update; [`finish`](Self::finish) ends it properly.
#[derive(Debug)]
pub struct Stream {
    running: Running<Queue>,
    usage: Arc<Usage>,
    system: Option<SystemIdentity>,
    /// Positions without changes need no storing: the consumer goes by the slot.
    confirms_idle: bool,
    stop: Stop,
}

impl futures_core::Stream for Stream {
    type Item = Result<Transaction, Error>;

    /// [`poll_transaction`](Self::poll_transaction).
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_transaction(cx).map(Result::transpose)
    }
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
    /// server does not have, [a folder](Limits::folder) that cannot be written to: see [`Error::kind`].
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
        Folder::from(&limits).check().map_err(Error::spool)?;
        let timeout = client.wal_sender_timeout();
        let channel = client.start_replication(options, start).await?;
        let confirms_idle = start.is_zero();
        let delivery = Delivery::default();
        let stream = Self::linked(
            channel,
            timeout,
            decoder(options),
            limits,
            delivery,
            NO_LINK,
        );
        Ok(Self {
            confirms_idle,
            ..stream
        })
    }

    /// Begins to describe a stream that connects by itself, and again whenever the connection is lost.
    ///
    /// `config` is a connection string, as [`Config::parse`] reads it, or a [`Config`].
    pub fn connect<C>(config: C) -> StreamBuilder
    where
        C: TryInto<Config, Error: Into<Error>>,
    {
        let config = config.try_into().map_err(Into::into);
        StreamBuilder::new(Source::Config(Box::new(config)))
    }

    /// Begins to describe a stream on a replication connection that is there already, and becomes the stream's: the one
    /// that made a temporary slot, or read the tables in the slot's snapshot. When it is lost, the stream ends.
    pub fn on(client: Client) -> StreamBuilder {
        StreamBuilder::new(Source::Client(Box::new(client)))
    }

    /// On a connection that is streaming already.
    #[cfg(test)]
    pub(crate) fn over(
        channel: Channel,
        timeout: Duration,
        decoder: Decoder,
        limits: Limits,
    ) -> Self {
        Self::delivering(channel, timeout, decoder, limits, Delivery::default())
    }

    /// The same, with what is handed over when.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn delivering(
        channel: Channel,
        timeout: Duration,
        decoder: Decoder,
        limits: Limits,
        delivery: Delivery,
    ) -> Self {
        Self::linked(channel, timeout, decoder, limits, delivery, NO_LINK)
    }

    pub(crate) fn linked(
        channel: Channel,
        timeout: Duration,
        decoder: Decoder,
        limits: Limits,
        delivery: Delivery,
        link: Option<Linked<impl Reconnecting>>,
    ) -> Self {
        let (reached, written, link) = match link {
            Some(it) => (it.reached, it.written, it.link),
            None => (Lsn::ZERO, Lsn::ZERO, None),
        };
        let reached = Reached {
            lsn: reached,
            message: Lsn::ZERO,
        };
        let assembling = Assembling::new(decoder, limits, delivery, reached, written);
        let queue = Queue::new(reached);
        Self {
            usage: Arc::clone(assembling.usage()),
            running: Running::start(channel, timeout, assembling, queue, link),
            system: None,
            confirms_idle: true,
            stop: Stop::Never,
        }
    }

    /// The next transaction, in commit order; `None` after the stream ended.
    ///
    /// What else there is needs no care of the consumer here. Positions without changes count as confirmed once
    /// everything before them is, if the stream began wherever the slot was. With a
    /// [`position`](StreamBuilder::position) that the consumer stores, only the consumer can say that it stored a
    /// later one: take events then, so that the slot of a quiet publication moves.
    ///
    /// # Errors
    ///
    /// What ended the stream, once everything received before has been handed out; after attempts to connect again, what
    /// had not been handed out when the connection was lost is left to the next start. An event that is no transaction
    /// and was asked for, such as a logical message, is not passed over: it waits for [`next_event`](Self::next_event).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; call it again.
    pub async fn next(&mut self) -> Result<Option<Transaction>, Error> {
        poll_fn(|cx| self.poll_transaction(cx)).await
    }

    /// The next event, in the order of the stream; `None` after the stream ended.
    ///
    /// # Errors
    ///
    /// What ended the stream, once everything received before has been handed out; after attempts to connect again, what
    /// had not been handed out when the connection was lost is left to the next start.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; call it again.
    pub async fn next_event(&mut self) -> Result<Option<Event>, Error> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// As [`next_event`](Self::next_event), for who polls.
    pub fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, Error>> {
        if self.poll_stop(cx) {
            return Poll::Ready(Ok(None));
        }
        // Before looking: whoever puts something there afterwards wakes us.
        self.running.shared().ready.register(cx.waker());
        match self.look() {
            Some(Ok(inbox)) => Poll::Ready(Ok(Some(self.take(inbox)))),
            Some(Err(end)) => Poll::Ready(end.map(|()| None)),
            None => Poll::Pending,
        }
    }

    /// As [`next`](Self::next), for who polls.
    pub fn poll_transaction(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Transaction>, Error>> {
        if self.poll_stop(cx) {
            return Poll::Ready(Ok(None));
        }
        self.running.shared().ready.register(cx.waker());
        loop {
            let mut inbox = match self.look() {
                Some(Ok(inbox)) => inbox,
                Some(Err(end)) => return Poll::Ready(end.map(|()| None)),
                None => return Poll::Pending,
            };
            match inbox.waiting.events.front() {
                Some(Waiting::Transaction(_)) => {
                    if let Event::Transaction(transaction) = self.take(inbox) {
                        return Poll::Ready(Ok(Some(transaction)));
                    }
                }
                Some(Waiting::Reconnected(_)) => drop(self.take(inbox)),
                None if self.confirms_idle => {
                    if let Event::Idle(idle) = self.take(inbox) {
                        idle.confirm();
                    }
                }
                None => inbox.waiting.idle = None,
                Some(_) => return Poll::Ready(Err(Error::other_event())),
            }
        }
    }

    /// A transaction that is there already, without waiting; for gathering batches.
    pub fn try_transaction(&mut self) -> Option<Transaction> {
        if matches!(self.stop, Stop::Stopped) {
            return None;
        }
        let inbox = self.settled();
        let Some(Waiting::Transaction(_)) = inbox.waiting.events.front() else {
            return None;
        };
        match self.take(inbox) {
            Event::Transaction(transaction) => Some(transaction),
            _ => None,
        }
    }

    /// Whether the consumer wanted the end.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> bool {
        if let Stop::When(future) = &mut self.stop
            && future
                .get_mut()
                .is_ok_and(|it| it.as_mut().poll(cx).is_ready())
        {
            self.stop = Stop::Stopped;
        }
        matches!(self.stop, Stop::Stopped)
    }

    /// What waits, with something for the consumer at its front.
    fn settled(&self) -> Place<'_> {
        let shared = self.running.shared();
        let mut inbox = shared.inbox();
        if inbox.waiting.settle(&shared.ledger) {
            shared.wake.notify_one();
        }
        inbox
    }

    /// What there is to take, or how the stream ended.
    fn look(&self) -> Option<Result<Place<'_>, End>> {
        let mut inbox = self.settled();
        if !inbox.waiting.is_empty() {
            return Some(Ok(inbox));
        }
        if inbox.waiting.ended {
            return Some(Err(Ok(())));
        }
        inbox.take_end().map(Err)
    }

    /// Hands out the first thing that waits. In one step with noting that it was: what is not handed out when the
    /// connection is lost comes again, and what was does not.
    fn take(&self, mut inbox: Place<'_>) -> Event {
        let shared = self.running.shared();
        let event = inbox.waiting.take(&shared.ledger);
        drop(inbox);
        shared.wake.notify_one();
        event
    }

    /// The server of the first connection as it was then; not with [`start`](Self::start).
    pub const fn system(&self) -> Option<&SystemIdentity> {
        self.system.as_ref()
    }

    /// How far the stream is; cheap to read, from any thread.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.running.shared().progress
    }

    /// What is received and not done with; cheap to read, and a moment old.
    pub fn held(&self) -> Held {
        Held {
            memory: self.usage.memory(),
            disk: self.usage.disk(),
        }
    }

    /// How the stream is, for who watches it from outside.
    pub fn vitals(&self) -> Vitals {
        let shared = self.running.shared();
        Vitals {
            pulse: Arc::clone(&shared.pulse),
            progress: Arc::clone(&shared.progress),
            usage: Arc::clone(&self.usage),
        }
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

/// What lies between the task and the consumer, for as long as somebody looks at it.
type Place<'a> = MutexGuard<'a, Inbox<Queue>>;

/// How a stream ended.
type End = Result<(), Error>;

/// What a stream knows of its beginning.
pub(crate) struct Linked<L> {
    /// What makes the next connection, unless this is to be the only one.
    pub(crate) link: Option<L>,
    /// Where the consumer is.
    pub(crate) reached: Lsn,
    /// Where the server's log ended at the beginning.
    pub(crate) written: Lsn,
}

/// For a stream on one connection.
const NO_LINK: Option<Linked<Link>> = None;

fn decoder(options: &StreamOptions) -> Decoder {
    Decoder::new()
        .parallel(options.streaming == Streaming::Parallel)
        .binary(options.binary)
}

/// Whether the consumer wants the end.
enum Stop {
    Never,
    /// Once this is ready. Locked by nobody: what is polled is not shared, and this says so to the compiler.
    When(Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>),
    Stopped,
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "Never",
            Self::When(_) => "When",
            Self::Stopped => "Stopped",
        })
    }
}

#[cfg(test)]
mod awake;
#[cfg(test)]
mod blocked;

#[cfg(test)]
mod tests;
