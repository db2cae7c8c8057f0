//! The raw stream: frames as the server sent them, each with how far one is once it is durable.

mod frame;
mod passing;
mod reached;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use walproto::Lsn;

use crate::channel::Channel;
use crate::client::Client;
use crate::command::StreamOptions;
use crate::driver::Running;
use crate::error::Error;
use crate::progress::Progress;
use crate::reconnect::Link;

pub use frame::{RawFrame, RawFrames, RawLot};
pub(crate) use reached::end;
pub use reached::reached;

use frame::Place;
use passing::{Passing, Queue, Received};

/// A running stream of frames, beside [`Stream`](crate::Stream), which makes whole transactions of them.
///
/// For who keeps what was sent rather than what it means: recorders, proxies, queues. Feedback is the same as there:
/// it does not wait for who takes the frames. What waits is bounded; past that the reading waits.
///
/// Frames are lent: they lie in the buffer that they were read into, and nothing is allocated for them.
///
/// ```no_run
/// # use walstream::{Client, Config, RawStream, StreamOptions, walproto::Lsn};
/// # async fn pass_on(url: &str, mut file: Vec<u8>) -> Result<(), walstream::Error> {
/// let client = Client::connect_replication(&Config::parse(url)?).await?;
/// let options = StreamOptions::new("my_slot", ["my_publication"]);
/// let mut stream = RawStream::start(client, &options, Lsn::ZERO, 32 << 20).await?;
/// while let Some(frame) = stream.next().await? {
///     file.extend_from_slice(frame.bytes());
///     let mut token = frame.token();
///     // What has come meanwhile goes with it, so that making it durable is worth its price.
///     while let Some(frame) = stream.try_next() {
///         file.extend_from_slice(frame.bytes());
///         token = frame.token();
///     }
///     file.clear(); // here it is made durable
///     token.confirm();
/// }
/// stream.finish().await
/// # }
/// ```
///
/// Those that came together can be taken together, which is the fastest way through:
///
/// ```no_run
/// # use walstream::{RawStream, walproto::{Decoder, Frame}};
/// # async fn count(mut stream: RawStream) -> Result<(), Box<dyn std::error::Error>> {
/// let mut decoder = Decoder::new();
/// while let Some(lot) = stream.next_lot().await? {
///     for frame in lot.frames() {
///         if let Frame::WalData(wal) = frame.parse()? {
///             let decoded = decoder.decode(wal.data)?;
///             // the columns are looked at here
///         }
///     }
///     lot.token().confirm();
/// }
/// # Ok(())
/// # }
/// ```
///
/// Dropping it closes the connection without a last update; [`finish`](Self::finish) ends it properly. Where the
/// positions come from, and what a crash leaves behind, stands in the [crate's documentation](crate#raw-frames).
#[derive(Debug)]
pub struct RawStream {
    running: Running<Queue>,
    /// What was taken out of the queue at once, the lot that is being handed out in front.
    taken: VecDeque<Received>,
    /// How far that one is handed out.
    place: Place,
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
        let passing = Passing::new(memory / 2);
        Self {
            running: Running::start(channel, timeout, passing, Queue::default(), None::<Link>),
            taken: VecDeque::new(),
            place: Place::default(),
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
    #[inline]
    pub async fn next(&mut self) -> Result<Option<RawFrame<'_>>, Error> {
        if !self.is_ready() && !self.ready().await? {
            return Ok(None);
        }
        Ok(self.next_taken())
    }

    /// The next frames: those that were read from the socket at once and are not handed out yet. `None` after the
    /// server ended the stream.
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; call it again.
    pub async fn next_lot(&mut self) -> Result<Option<RawLot<'_>>, Error> {
        if !self.is_ready() && !self.ready().await? {
            return Ok(None);
        }
        Ok(self.lot())
    }

    /// Waits until [`try_next`](Self::try_next) has a frame; `false` after the server ended the stream.
    ///
    /// For who waits for several things and cannot lend out the stream meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; call it again.
    pub async fn ready(&mut self) -> Result<bool, Error> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        if !self.is_ready() {
            // Before looking: whoever puts something there afterwards wakes us.
            self.running.shared().ready.register(cx.waker());
            if let Some(end) = self.refill() {
                return Poll::Ready(end.map(|()| false));
            }
        }
        if self.taken.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(true))
        }
    }

    /// Whether a frame is here. Lets go of the lot in front when all of it was handed out.
    #[inline]
    fn is_ready(&mut self) -> bool {
        while let Some(lot) = self.taken.front() {
            if self.place.at < lot.bytes.len() {
                return true;
            }
            self.taken.pop_front();
            self.place.at = 0;
        }
        false
    }

    /// A frame that is there already, without waiting; for gathering batches.
    pub fn try_next(&mut self) -> Option<RawFrame<'_>> {
        if !self.is_ready() {
            self.take_waiting();
        }
        self.next_taken()
    }

    #[inline]
    fn next_taken(&mut self) -> Option<RawFrame<'_>> {
        let ledger = &self.running.shared().ledger;
        self.place.next(self.taken.front()?, ledger)
    }

    fn lot(&mut self) -> Option<RawLot<'_>> {
        let ledger = &self.running.shared().ledger;
        Some(self.place.rest(self.taken.front()?, ledger))
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

#[cfg(test)]
mod tests;
