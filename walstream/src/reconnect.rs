//! From a lost connection to the next, without a gap and without a guess.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use walproto::Lsn;

use crate::backoff::{Attempts, Backoff};
use crate::channel::Channel;
use crate::client::Client;
use crate::command::StreamOptions;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::system::SystemIdentity;

/// What happens when a connection is lost.
///
/// What another connection may mend is tried again: a server that is down, restarting or out of connections, a network
/// that broke or fell silent, a slot that the lost connection still holds. What it cannot mend ends the stream at
/// once: see [`Error::is_transient`].
#[derive(Clone, Debug, Default)]
pub struct Reconnect {
    /// How often and how fast.
    pub backoff: Backoff,
    /// What a promoted standby means.
    pub failover: Failover,
}

impl Reconnect {
    /// The first lost connection ends the stream.
    pub fn never() -> Self {
        Self {
            backoff: Backoff::never(),
            failover: Failover::Stop,
        }
    }
}

/// What happens when the server answers from another timeline: a standby was promoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failover {
    /// Go on, if everything that was handed out lies in the new server's history and the slot there has not passed it.
    ///
    /// A slot is on a standby when it was made with `failover` and the standby keeps it in step (17 or later), or when
    /// somebody made it there (16 or later).
    #[default]
    Follow,
    /// Stop with [`ErrorKind::Promoted`](crate::ErrorKind::Promoted).
    Stop,
}

/// That a connection was lost and another took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnected {
    /// How many connections were tried, this one included.
    pub attempts: u32,
    /// From the loss to the new connection.
    pub outage: Duration,
    /// The timeline that the server is on now.
    pub timeline: u32,
}

/// From a lost connection to the next one.
pub(crate) trait Reconnecting: Send + 'static {
    /// A connection that had received up to here is lost.
    fn lost(&mut self, received: Lsn, now: Instant);

    /// The pause before the next attempt, if there is to be one.
    fn pause(&mut self, now: Instant) -> Option<Duration>;

    /// One attempt, for a consumer that was handed everything up to `reached`.
    fn connect(
        &mut self,
        reached: Lsn,
    ) -> impl Future<Output = Result<(Channel, Reconnected)>> + Send;
}

/// What it takes to connect again.
#[derive(Debug)]
pub(crate) struct Link {
    config: Config,
    options: StreamOptions,
    policy: Reconnect,
    system_id: String,
    timeline: u32,
    attempts: Attempts,
    /// The furthest that any connection received.
    furthest: Lsn,
}

impl Link {
    /// Makes the first connection, and a link for those after it. `position` as in
    /// [`Stream::connect`](crate::Stream::connect); returned with the position to go on from.
    pub(crate) async fn first(
        config: &Config,
        options: &StreamOptions,
        position: Lsn,
        policy: Reconnect,
    ) -> Result<(Channel, Self, Lsn, SystemIdentity)> {
        let mut client = Client::connect_replication(config).await?;
        let system = client.identify_system().await?;
        if position > system.wal_flush {
            return Err(behind(position, &system));
        }
        let (channel, confirmed) = own(config, options, client).await?;
        if !position.is_zero() && confirmed > position {
            return Err(Error::slot_ahead(&options.slot, confirmed, position));
        }
        let now = Instant::now();
        let link = Self {
            config: config.clone(),
            // The lost connection may hold the slot until its WAL sender notices.
            options: StreamOptions {
                slot_wait: None,
                ..options.clone()
            },
            attempts: policy.backoff.begin(now),
            policy,
            system_id: system.system_id.clone(),
            timeline: system.timeline,
            furthest: Lsn::ZERO,
        };
        Ok((channel, link, position.max(confirmed), system))
    }

    /// Whether this is the server that we were on, or one that followed it, with everything in it that was handed out.
    async fn check(&self, client: &mut Client, reached: Lsn) -> Result<u32> {
        let system = client.identify_system().await?;
        if system.system_id != self.system_id {
            return Err(Error::other_system(&self.system_id, &system.system_id));
        }
        if system.timeline != self.timeline {
            if self.policy.failover == Failover::Stop {
                return Err(Error::promoted(self.timeline, system.timeline));
            }
            let history = client.timeline_history(system.timeline).await?;
            let switch = history
                .iter()
                .find(|switch| switch.timeline == self.timeline)
                .map(|switch| switch.switch);
            match switch {
                Some(switch) if reached <= switch => {}
                Some(switch) => {
                    return Err(Error::diverged(format!(
                        "the stream was handed out up to {reached} on timeline {}, and the server (timeline {}) left that timeline at {switch}",
                        self.timeline, system.timeline
                    )));
                }
                None => {
                    return Err(Error::diverged(format!(
                        "the server is on timeline {}, which does not come from timeline {}, where the stream was",
                        system.timeline, self.timeline
                    )));
                }
            }
        }
        if reached > system.wal_flush {
            return Err(behind(reached, &system));
        }
        Ok(system.timeline)
    }
}

impl Reconnecting for Link {
    // The series of attempts begins anew if the connection came further than any before it: a server that always fails
    // at the same place is not tried for ever.
    fn lost(&mut self, received: Lsn, now: Instant) {
        if received > self.furthest || self.attempts.made() == 0 {
            self.furthest = self.furthest.max(received);
            self.attempts = self.policy.backoff.begin(now);
        }
    }

    fn pause(&mut self, now: Instant) -> Option<Duration> {
        self.attempts.pause(now, RandomState::new().hash_one(()))
    }

    async fn connect(&mut self, reached: Lsn) -> Result<(Channel, Reconnected)> {
        // Connecting has its own limit; a server that then says nothing must not hold us for ever.
        const PATIENCE: Duration = Duration::from_secs(60);
        let patience = PATIENCE.saturating_add(self.config.wal_sender_timeout);
        let mut client = Client::connect_replication(&self.config).await?;
        let attempt = async {
            let timeline = self.check(&mut client, reached).await?;
            let (channel, confirmed) = own(&self.config, &self.options, client).await?;
            if confirmed > reached {
                return Err(Error::slot_ahead(&self.options.slot, confirmed, reached));
            }
            Ok((channel, timeline))
        };
        let (channel, timeline) = tokio::time::timeout(patience, attempt)
            .await
            .unwrap_or_else(|_| {
                Err(Error::timed_out(
                    "the server let us in and then did not answer",
                ))
            })?;
        self.timeline = timeline;
        let reconnected = Reconnected {
            attempts: self.attempts.made(),
            outage: self.attempts.began().elapsed(),
            timeline,
        };
        Ok((channel, reconnected))
    }
}

/// Owns the slot and starts; only then looks how far it is confirmed, since until then others may move it.
async fn own(
    config: &Config,
    options: &StreamOptions,
    mut client: Client,
) -> Result<(Channel, Lsn)> {
    let same = config.clone().with_endpoints([client.endpoint().clone()]);
    // Asked of the server: a pooler in between has numbers of its own.
    let process = client.query("SELECT pg_catalog.pg_backend_pid()").await?;
    let mut channel = client.start_replication(options, Lsn::ZERO).await?;
    // The stream's own connection takes no questions any more.
    let mut other = Client::connect(&same).await?;
    let slot = other
        .slot(&options.slot)
        .await?
        .ok_or_else(|| Error::slot_missing(&options.slot))?;
    // One name may lead to several servers, each with a slot of that name.
    let holder = slot.active_pid.map(|pid| pid.to_string());
    let process = process.first().and_then(|row| row.get(0));
    if process.is_none() || holder.as_deref() != process {
        return Err(ended(&mut channel)
            .await
            .unwrap_or_else(|| Error::elsewhere(&options.slot)));
    }
    // A connection that cannot say goodbye is none the less at its end.
    let _ = other.close().await;
    Ok((channel, slot.confirmed_flush.unwrap_or(Lsn::ZERO)))
}

/// Why the server has ended a stream that was just started, if it has; its reason is on its way then.
async fn ended(channel: &mut Channel) -> Option<Error> {
    const PATIENCE: Duration = Duration::from_secs(1);
    let reason = async {
        loop {
            match channel.recv().await {
                Ok(message) if message.tag == b'E' => return Error::server(&message.body),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    };
    tokio::time::timeout(PATIENCE, reason).await.ok()
}

fn behind(reached: Lsn, system: &SystemIdentity) -> Error {
    Error::diverged(format!(
        "the stream was handed out up to {reached}, and the server's write-ahead log ends at {}",
        system.wal_flush
    ))
}
