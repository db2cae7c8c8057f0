//! Waiting beside a replicator at work, and taking over when it is gone.
//!
//! A standby holds nothing at either side while it waits: it asks the source's catalog who has the slot. The slot is free
//! as soon as its holder's connection ends, and where the holder stands still, when `wal_sender_timeout` of the holder's
//! session is over. Then it starts as any later run does: it owns the slot, raises the epoch, and whoever was cut off
//! changes nothing any more. Who is overtaken so becomes the standby of the other.

use std::time::Duration;

use tokio::time::Instant;
use walstream::Client;

use crate::apply::Summary;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::run::once;
use crate::shutdown::Shutdown;

/// How often is looked who has the slot. Looking leaves no trace in the server's log.
const LOOK: Duration = Duration::from_millis(250);

/// Between attempts to ask a source that is away.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the source may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// How long a first start of another process may take from its intent to its position, which is where it has the slot.
const FIRST_START: Duration = Duration::from_secs(300);

/// Waits for its turn, runs, and waits again when another one took over.
pub(crate) async fn run(config: Config, shutdown: Shutdown) -> Result<Summary> {
    let mut config = config;
    let mut watch = Watch::new(&config)?;
    let mut patience = Patience::default();
    loop {
        // Whoever was overtaken streams no more.
        config.watching.metrics.begin(&config);
        let mut asked = shutdown.clone();
        config.pulse.stands_by();
        let was_held = tokio::select! {
            free = config.pulse.beats(watch.until_free()) => free?,
            () = asked.asked() => return Ok(Summary::default()),
        };
        if was_held {
            patience.somebody_had_it();
        }
        config.spares_first_start = patience.spares();
        let since = Instant::now();
        let error = match once(config.clone(), shutdown.clone()).await {
            Err(error) if error.is_displaced() => error,
            ended => return ended,
        };
        if error.kind() == ErrorKind::Retry && !error.is_unfinished() {
            patience.somebody_had_it();
            tracing::warn!(slot = config.slot, %error, "waiting beside the other replicator");
            continue;
        }
        if patience.is_new() {
            tracing::info!(slot = config.slot, %error, "standing by: a first start is under way");
        }
        if patience.waits(since, Instant::now()) {
            config.pulse.beats(tokio::time::sleep(AGAIN)).await;
            continue;
        }
        tracing::warn!(
            slot = config.slot,
            "the first start of another replicator does not come to its end; beginning again in its place"
        );
    }
}

/// For how long a first start of somebody's is let alone at which nobody is seen: each one for as long.
#[derive(Debug, Default)]
struct Patience {
    /// Since when one is under way.
    unfinished: Option<Instant>,
    /// It was waited for in vain.
    over: bool,
}

impl Patience {
    /// Whatever is not complete from now on is another start than the one that was waited for.
    fn somebody_had_it(&mut self) {
        *self = Self::default();
    }

    /// Whether a first start that is not complete may still be another process's.
    const fn spares(&self) -> bool {
        !self.over
    }

    /// Whether the one that is met is the first to be waited for.
    const fn is_new(&self) -> bool {
        self.unfinished.is_none()
    }

    /// One was under way at `since`, and is `now`: whether it is waited for.
    fn waits(&mut self, since: Instant, now: Instant) -> bool {
        let began = *self.unfinished.get_or_insert(since);
        self.over = now.saturating_duration_since(began) >= FIRST_START;
        !self.over
    }
}

/// What is known of the slot.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Missing,
    Held(i32),
    Away,
}

/// Looks who has the slot.
struct Watch {
    connection: walstream::Config,
    slot: String,
    client: Option<Client>,
    seen: Seen,
    /// Since when the source is away, and for how long it may be.
    away: Option<Instant>,
    patience: Duration,
}

impl Watch {
    fn new(config: &Config) -> Result<Self> {
        walstream::check_slot_name(&config.slot)?;
        Ok(Self {
            connection: config.connection()?,
            slot: config.slot.clone(),
            client: None,
            seen: Seen::Nothing,
            away: None,
            patience: config.reconnect,
        })
    }

    /// Waits until the slot is there and nobody's; whether somebody had it meanwhile.
    async fn until_free(&mut self) -> Result<bool> {
        self.seen = Seen::Nothing;
        let mut was_held = false;
        loop {
            let pause = match self.look().await {
                Ok(Some(Some(pid))) => {
                    was_held = true;
                    self.say(Seen::Held(pid));
                    LOOK
                }
                Ok(Some(None)) => {
                    if self.seen != Seen::Nothing {
                        tracing::info!(slot = self.slot, "the slot is free: taking over");
                    }
                    // Its transaction is over with the question; a session of its own for each run is simpler.
                    self.client = None;
                    return Ok(was_held);
                }
                Ok(None) => {
                    self.say(Seen::Missing);
                    AGAIN
                }
                Err(error) => {
                    self.lost(error)?;
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The slot, and the process that has it.
    async fn look(&mut self) -> Result<Option<Option<i32>>> {
        let (client, connection, slot) = (&mut self.client, &self.connection, &self.slot);
        let looking = async {
            let client = match client {
                Some(client) => client,
                none => none.insert(Client::connect(connection).await?),
            };
            let slot = client.slot(slot).await?;
            Ok::<_, Error>(slot.map(|slot| slot.active_pid))
        };
        let looked = tokio::time::timeout(ANSWER, looking).await;
        let looked = looked.unwrap_or_else(|_| Err(Error::retry("the source does not answer")));
        if looked.is_ok() {
            self.away = None;
        }
        looked
    }

    /// The source could not be asked: worth another try for as long as one that was lost in the middle of a run.
    fn lost(&mut self, error: Error) -> Result<()> {
        self.client = None;
        let since = *self.away.get_or_insert_with(Instant::now);
        if error.kind() != ErrorKind::Retry || since.elapsed() >= self.patience {
            return Err(error);
        }
        if self.seen != Seen::Away {
            tracing::warn!(slot = self.slot, %error, "the source cannot be asked who has the slot; trying again");
            self.seen = Seen::Away;
        }
        Ok(())
    }

    /// Says what there is to wait for, once.
    fn say(&mut self, now: Seen) {
        if self.seen == now {
            return;
        }
        let slot = &self.slot;
        match now {
            Seen::Held(pid) => {
                tracing::info!(slot, pid, "standing by: another session has the slot");
            }
            Seen::Missing => tracing::warn!(
                slot,
                "standing by: there is no such slot yet, and a first run that makes it is not for a standby to begin"
            ),
            Seen::Nothing | Seen::Away => {}
        }
        self.seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_first_start_is_let_alone_anew() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut patience = Patience::default();
        assert!(patience.spares() && patience.is_new());
        assert!(patience.waits(at(0), at(1)));
        assert!(patience.waits(at(298), at(299)) && !patience.is_new());
        assert!(!patience.waits(at(300), at(301)), "it is over");
        assert!(!patience.spares(), "and this one begins in its place");

        // Which another one did, or a third: the next that is not complete is somebody's again.
        patience.somebody_had_it();
        assert!(patience.spares() && patience.is_new());
        assert!(patience.waits(at(1000), at(1001)));
        assert!(
            patience.waits(at(1298), at(1299)),
            "for as long as the first"
        );
        assert!(!patience.waits(at(1300), at(1301)));
    }
}
