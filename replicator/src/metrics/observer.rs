//! Asks the source how it and the slot are, sends heartbeats where nothing else is committed, and watches the lag: a task
//! of its own with a session of its own, so that a source which is slow to answer holds up nothing.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use walstream::Client;
use walstream::walproto::Lsn;

use super::lag::Look;
use super::state::Phase;
use super::{Fault, Metrics};
use crate::config::{Config, OnMaxLag};
use crate::error::{Error, Result};
use crate::guard::TooFar;
use crate::metrics::health::exceeded;

/// How often the source is asked.
pub(super) const LOOK: Duration = Duration::from_secs(3);

/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How often is said what goes on.
const AGAIN: Duration = Duration::from_secs(60);

/// Beyond this without a look the task that looks does not run any more.
pub(super) const STUCK: Duration = Duration::from_secs(60);

/// Transactional, for three reasons: its commit flushes it, so that it arrives at once; it carries a commit time, and takes
/// the way that every transaction takes, through the destination; and who goes by commits moves the slot with it. It costs
/// a transaction number at the source, and no table.
const HEARTBEAT: &str = "SELECT pg_logical_emit_message(true, 'replicator', 'heartbeat')";

/// Observes until the future is dropped, or until the slot is to be given up.
///
/// # Cancel safety
///
/// Nothing is lost.
pub(crate) async fn observe(config: Config) -> TooFar {
    let metrics = config.watching.metrics.clone();
    let mut observer = Observer {
        config,
        metrics,
        client: None,
        failing: Said::default(),
        above: Said::default(),
        applied: 0,
    };
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let heartbeat = observer.config.watching.heartbeat;
    let mut beats = tokio::time::interval(heartbeat.unwrap_or(Duration::MAX / 4));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {
                if let Some(far) = observer.look().await {
                    return far;
                }
            }
            _ = beats.tick(), if heartbeat.is_some() => observer.beat().await,
        }
    }
}

struct Observer {
    config: Config,
    metrics: Metrics,
    client: Option<Client>,
    failing: Said,
    above: Said,
    /// Transactions of others when a heartbeat was due last.
    applied: u64,
}

/// Says something at first, and then now and then.
#[derive(Default)]
struct Said(Option<Instant>);

impl Said {
    fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|at| at.elapsed() >= AGAIN);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }

    /// Whether it was said since it was so last.
    const fn over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

impl Observer {
    async fn look(&mut self) -> Option<TooFar> {
        self.metrics.beats();
        // Of the last look: what that found has had its time to arrive.
        self.watch_lag();
        let mut far = None;
        let looked = match self.ask(look).await {
            Ok((look, slot)) => {
                far = slot.as_ref().and_then(|slot| self.too_far(slot, look.wal));
                self.metrics.state().see(look, slot);
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.settle(looked);
        far
    }

    /// Whether the slot is to be given up: by what the source has just said, and by what the destination has told, and only
    /// while our stream has it.
    fn too_far(&self, slot: &walstream::Slot, wal: Lsn) -> Option<TooFar> {
        let guard = self.config.watching.guard;
        let most = guard.bytes.filter(|_| guard.act == OnMaxLag::DropSlot)?;
        let figures = self.metrics.figures();
        // Positions of a quiet stream are confirmed now and then, and what they lack is nothing.
        let behind = figures.lag_bytes.is_some_and(|lag| lag > most);
        TooFar::judge(slot.active_pid, slot.confirmed_flush, wal, most)
            .filter(|_| behind && figures.source_connected)
    }

    async fn beat(&mut self) {
        // Without heartbeats, of which the last one has come back or is waited for below.
        let figures = self.metrics.figures();
        let applied = figures.transactions.wrapping_sub(figures.heartbeats);
        let idle = std::mem::replace(&mut self.applied, applied) == applied;
        // One at a time: a destination that is away must not fill the source's WAL with them.
        let wanted = idle && !self.metrics.heartbeat_is_out();
        if !wanted || self.metrics.state().phase != Phase::Streaming {
            return;
        }
        let sent = std::time::Instant::now();
        let beaten = match self.ask(heartbeat).await {
            Ok(lsn) => {
                self.metrics.heartbeat_sent(lsn, sent);
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.settle(beaten);
    }

    fn settle(&mut self, done: Result<()>) {
        match done {
            Ok(()) => {
                if self.failing.over() {
                    tracing::info!("the source says again how it is");
                }
            }
            Err(error) => {
                self.client = None;
                self.metrics.fault(Fault::SourceUnanswered);
                if self.failing.is_due() {
                    tracing::warn!(
                        %error,
                        "the source does not say how it is; what metrics tell of it is as old as replicator_observed_seconds"
                    );
                }
            }
        }
    }

    /// Asks over the session, which is made if there is none.
    async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut Client, &Config) -> Result<T>,
    ) -> Result<T> {
        let asked = async {
            let mut client = match self.client.take() {
                Some(client) => client,
                None => Client::connect(&self.config.connection()?).await?,
            };
            let answer = question(&mut client, &self.config).await?;
            self.client = Some(client);
            Ok(answer)
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(answer) => answer,
            // Dropped in the middle of an answer, the session is of no more use.
            Err(_) => Err(Error::retry(format!(
                "the source has not answered for {} s",
                ANSWER.as_secs()
            ))),
        }
    }

    fn watch_lag(&mut self) {
        let guard = self.config.watching.guard;
        let figures = self.metrics.figures();
        let reasons = exceeded(&figures, guard);
        if reasons.is_empty() {
            if self.above.over() {
                tracing::info!(position = %figures.position, "the destination is within --max-lag again");
            }
        } else if self.above.is_due() {
            let retained = figures.slot.as_ref().and_then(|slot| slot.retained);
            tracing::warn!(
                position = %figures.position,
                wal_held_back = retained.map(crate::show::people::size),
                "{}; the slot holds back WAL at the source: replicator status tells why it does not move",
                reasons.join(", and ")
            );
        }
    }
}

/// The source as it is, and the slot.
async fn look(client: &mut Client, config: &Config) -> Result<(Look, Option<walstream::Slot>)> {
    let slot = client.slot(&config.slot).await?;
    let (time, wal) = clock_and_wal(client).await?;
    let look = Look {
        time,
        wal,
        at: std::time::Instant::now(),
    };
    Ok((look, slot))
}

/// The source's clock in microseconds since 1970, and where its WAL ends as far as it can be sent.
pub(crate) async fn clock_and_wal(client: &mut Client) -> Result<(i64, Lsn)> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8,
                 CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END";
    let rows = client.query(sql).await?;
    let field = |at| rows.first().and_then(|row| row.get(at));
    let time = field(0).and_then(|text| text.parse().ok());
    let wal = field(1).and_then(|text| text.parse().ok());
    time.zip(wal).ok_or_else(|| {
        Error::retry("the source does not say what time it is and where its WAL ends")
    })
}

async fn heartbeat(client: &mut Client, _config: &Config) -> Result<Lsn> {
    let rows = client.query(HEARTBEAT).await?;
    rows.first()
        .and_then(|row| row.get(0)?.parse().ok())
        .ok_or_else(|| Error::retry("the source does not say where its heartbeat is"))
}

impl Metrics {
    pub(super) fn beats(&self) {
        let millis = self.0.began.elapsed().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.0
            .beat
            .store(millis, std::sync::atomic::Ordering::Relaxed);
    }

    /// Why the tasks of a run do not go on, if they do not.
    pub(super) fn stuck(&self) -> Option<String> {
        if matches!(self.state().phase, Phase::Waiting | Phase::Ended(_)) {
            return None;
        }
        let beat = self.0.beat.load(std::sync::atomic::Ordering::Relaxed);
        let since = self
            .0
            .began
            .elapsed()
            .saturating_sub(Duration::from_millis(beat));
        (since > STUCK).then(|| {
            format!(
                "the tasks of the run have not had their turn for {} s",
                since.as_secs()
            )
        })
    }
}
