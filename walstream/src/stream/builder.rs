//! What a stream is to be, told step by step.

use std::sync::Mutex;
use std::time::Duration;

use walproto::Lsn;

use super::{Linked, Stop, Stream, decoder};
use crate::client::Client;
use crate::command::{StreamOptions, Streaming};
use crate::config::Config;
use crate::delivery::{Delivery, PreparedDelivery, StreamedDelivery};
use crate::error::Error;
use crate::limits::Limits;
use crate::reconnect::{Link, Reconnect};
use crate::spool::Folder;

/// What a [`Stream`] is to be; made by [`Stream::connect`] and [`Stream::on`].
#[derive(Debug)]
#[must_use = "nothing happens before `start`"]
pub struct StreamBuilder {
    source: Source,
    options: StreamOptions,
    position: Lsn,
    limits: Limits,
    reconnect: Reconnect,
    delivery: Delivery,
    stop: Stop,
}

/// Where the connection comes from.
#[derive(Debug)]
pub(super) enum Source {
    Config(Box<Result<Config, Error>>),
    Client(Box<Client>),
}

impl StreamBuilder {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            options: StreamOptions::new("", [""; 0]),
            position: Lsn::ZERO,
            limits: Limits::default(),
            reconnect: Reconnect::default(),
            delivery: Delivery::default(),
            stop: Stop::Never,
        }
    }

    /// The slot, which must exist.
    pub fn slot(mut self, name: impl Into<String>) -> Self {
        self.options.slot = name.into();
        self
    }

    /// A publication; one more with each call.
    pub fn publication(mut self, name: impl Into<String>) -> Self {
        self.options.publications.push(name.into());
        self
    }

    /// Version of pgoutput's protocol; the highest that the server speaks, unless it is given.
    pub const fn protocol(mut self, version: u8) -> Self {
        self.options.protocol = Some(version);
        self
    }

    /// What the server does with transactions that are too large for its memory before they have ended.
    ///
    /// When they are handed over is another matter: see [`streamed`](Self::streamed).
    pub const fn streaming(mut self, streaming: Streaming) -> Self {
        self.options.streaming = streaming;
        self
    }

    /// Columns in binary form, for types that have one.
    pub const fn binary(mut self, binary: bool) -> Self {
        self.options.binary = binary;
        self
    }

    /// Messages of `pg_logical_emit_message` too. Those outside transactions come as events:
    /// see [`Stream::next_event`].
    pub const fn messages(mut self, messages: bool) -> Self {
        self.options.messages = messages;
        self
    }

    /// Only changes that did not come to the server by replication; needs 16.
    pub const fn origin_none(mut self, origin_none: bool) -> Self {
        self.options.origin_none = origin_none;
        self
    }

    /// Prepared transactions when they are prepared; needs 15, and changes the slot for good.
    ///
    /// When they are handed over is another matter: see [`prepared`](Self::prepared).
    pub const fn two_phase(mut self, two_phase: bool) -> Self {
        self.options.two_phase = two_phase;
        self
    }

    /// How long a start waits while another session uses the slot; zero for not at all. Unless it is given, a second
    /// longer than a server keeps the slot for a consumer that was cut off.
    pub const fn slot_wait(mut self, wait: Duration) -> Self {
        self.options.slot_wait = Some(wait);
        self
    }

    /// All that is asked of the server at once, in the place of what was said before: slot and publications too.
    pub fn options(mut self, options: StreamOptions) -> Self {
        self.options = options;
        self
    }

    /// Where the consumer is: everything that commits before it is left out, and a slot that is confirmed past it is
    /// refused, because what lies between would be missing. 0/0, the default, means wherever the slot is.
    ///
    /// Only with [`Stream::connect`], which asks the server about the slot while it owns it.
    pub const fn position(mut self, position: Lsn) -> Self {
        self.position = position;
        self
    }

    /// How much may wait, and where.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What to do when the connection is lost; with [`Stream::on`] the stream ends.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// When prepared transactions are handed over.
    pub const fn prepared(mut self, prepared: PreparedDelivery) -> Self {
        self.delivery.prepared = prepared;
        self
    }

    /// When transactions are handed over that the server streams before they have ended.
    pub const fn streamed(mut self, streamed: StreamedDelivery) -> Self {
        self.delivery.streamed = streamed;
        self
    }

    /// Ends the stream at a position.
    ///
    /// Everything that commits before it is handed over, and so is, whole, a transaction that began before it and is
    /// the next to commit behind it. Then [`Stream::next`] says `None`, and the stream goes on to tell the server what
    /// is confirmed until it is [finished](Stream::finish).
    ///
    /// Until the server has come that far, the stream waits, and asks once a second. The end is also there when the
    /// server says that it has come to this position, and to where its log ended when the stream began: a transaction
    /// that is still open then is not waited for, as it may never end. Nothing of it is confirmed by that: it comes at
    /// the next start.
    pub const fn until(mut self, position: Lsn) -> Self {
        self.delivery.until = Some(position);
        self
    }

    /// Ends the stream once `stop` is ready: a signal, a cancellation token's `cancelled_owned()`, anything.
    ///
    /// [`Stream::next`] then says `None`, though more may wait; that comes again at the next start.
    pub fn stop_when(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Stop::When(Mutex::new(Box::pin(stop)));
        self
    }

    /// Starts streaming; with [`Stream::connect`] connects first, and again whenever the connection is lost.
    ///
    /// A lost connection is not seen by the consumer, but for an [`Event::Reconnected`](crate::Event::Reconnected).
    /// What was handed out before does not come again, what was not comes from the server once more, and tokens from
    /// before are handed back as ever. Each new connection is checked first: the same system, a timeline that holds
    /// everything that was handed out, a slot that nobody moved. The first connection is not tried again: who starts
    /// wants to know.
    ///
    /// # Errors
    ///
    /// Slot missing, lost, or in use for longer than [`StreamOptions::slot_wait`], publication missing, options that
    /// this server does not have, [a folder](Limits::folder) that cannot be written to: see [`Error::kind`].
    /// [`ErrorKind::SlotAhead`](crate::ErrorKind::SlotAhead) and
    /// [`ErrorKind::Diverged`](crate::ErrorKind::Diverged) where the position does not fit the server.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connections.
    pub async fn start(self) -> Result<Stream, Error> {
        let Self {
            source,
            options,
            position,
            limits,
            reconnect,
            delivery,
            stop,
        } = self;
        Folder::from(&limits).check().map_err(Error::spool)?;
        let (channel, link, reached, system, timeout) = match source {
            Source::Config(config) => {
                let config = (*config)?;
                let (channel, link, reached, system) =
                    Link::first(&config, &options, position, reconnect).await?;
                let timeout = config.wal_sender_timeout;
                (channel, Some(link), reached, system, timeout)
            }
            Source::Client(mut client) => {
                if !position.is_zero() {
                    return Err(positioned());
                }
                let system = client.identify_system().await?;
                let timeout = client.wal_sender_timeout();
                let channel = client.start_replication(&options, Lsn::ZERO).await?;
                (channel, None, Lsn::ZERO, system, timeout)
            }
        };
        let link = Some(Linked {
            link,
            reached,
            written: system.wal_flush,
        });
        let stream = Stream::linked(channel, timeout, decoder(&options), limits, delivery, link);
        Ok(Stream {
            system: Some(system),
            confirms_idle: position.is_zero(),
            stop,
            ..stream
        })
    }
}

fn positioned() -> Error {
    Error::config("a position was given for a stream on a connection that is there already")
        .with_hint("Use `Stream::connect`, which can see that the slot has not passed it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wish_is_one_of_the_options() {
        let builder = Stream::connect("postgres://app@localhost/shop")
            .slot("s")
            .publication("p")
            .publication("q")
            .protocol(3)
            .streaming(Streaming::Off)
            .binary(true)
            .messages(true)
            .origin_none(true)
            .two_phase(true)
            .slot_wait(Duration::ZERO);
        let wished = StreamOptions {
            protocol: Some(3),
            streaming: Streaming::Off,
            binary: true,
            messages: true,
            origin_none: true,
            two_phase: true,
            slot_wait: Some(Duration::ZERO),
            ..StreamOptions::new("s", ["p", "q"])
        };
        assert_eq!(builder.options, wished);
        let replaced = builder.options(StreamOptions::new("t", ["r"]));
        assert_eq!(replaced.options, StreamOptions::new("t", ["r"]));
    }
}
