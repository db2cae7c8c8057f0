//! Where a slot is, how it moves, and in words why it does not: asked of both sides, and changing nothing on either.

mod cause;
mod look;
mod motion;

use std::time::{Duration, Instant};

use walstream::walproto::Lsn;
use walstream::{Slot, SlotState};

use crate::error::{Error, ErrorKind, Result};
use crate::position::{PositionRow, TableRow, TableState};
pub use cause::Cause;
pub(crate) use look::Sender;
use look::{Asked, Looks};
pub(crate) use motion::Rates;
use motion::{Motion, PATIENCE};

/// What to look at.
///
/// ```
/// use replicator::status::StatusConfig;
///
/// let config = StatusConfig::new("postgres://app@db.example/shop").destination("sqlite:shop.db").slot("shop");
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct StatusConfig {
    pub(crate) source: String,
    pub(crate) destination: Option<String>,
    pub(crate) slot: String,
}

impl StatusConfig {
    /// The slot `replicator` at this source.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            destination: None,
            slot: "replicator".to_owned(),
        }
    }

    /// Also looks at what the destination remembers of it.
    #[must_use]
    pub fn destination(mut self, url: impl Into<String>) -> Self {
        self.destination = Some(url.into());
        self
    }

    /// Another slot.
    #[must_use]
    pub fn slot(mut self, name: impl Into<String>) -> Self {
        self.slot = name.into();
        self
    }
}

/// What is to be seen of a replication from outside.
#[derive(Debug)]
#[non_exhaustive]
pub struct Status {
    /// The slot's name.
    pub name: String,
    /// The source, or why it could not be asked.
    pub source: Result<SourceStatus>,
    /// The destination, or why it could not be asked; `None` where none was named.
    pub destination: Option<Result<DestinationStatus>>,
    /// Bytes of WAL between the source's end and what is durable: at the destination if that could be asked, else as
    /// the slot was told.
    pub lag_bytes: Option<u64>,
    /// How old what is durable is at most: everything that the source had so long ago is in. None of it where the source has
    /// no more; else since the latest look back that was reached, or since the last transaction committed that is in
    /// ([`PositionRow::source_time`]). `None` where neither is known.
    pub lag_at_most: Option<Duration>,
    /// In a second, between the two looks.
    pub(crate) rates: Rates,
    /// Why it does not move, and what else there is to do something about.
    pub causes: Vec<Cause>,
}

/// A source with its slot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceStatus {
    /// As it calls itself.
    pub version: String,
    /// Where its WAL ends, as far as it can be sent.
    pub wal: Lsn,
    /// Its clock, in microseconds since 1970.
    pub(crate) clock: i64,
    /// The slot, if there is one of that name.
    pub slot: Option<Slot>,
    /// How long nobody has used it; from 17 on.
    pub inactive: Option<Duration>,
    /// Who uses it.
    pub holder: Option<String>,
    /// What the server's process says that sends.
    pub(crate) sender: Option<Sender>,
}

/// What a destination remembers of a slot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DestinationStatus {
    /// Its position row.
    pub position: Option<PositionRow>,
    /// Its tables.
    pub tables: Vec<TableRow>,
}

impl SourceStatus {
    /// Bytes of WAL that the slot holds back.
    pub fn retained(&self) -> Option<u64> {
        self.behind(self.slot.as_ref()?.restart_lsn?)
    }

    /// Bytes of WAL behind what it was told to be durable.
    pub fn unconfirmed(&self) -> Option<u64> {
        self.behind(self.slot.as_ref()?.confirmed_flush?)
    }

    /// Why it can never be read again, if so.
    pub fn lost(&self) -> Option<&str> {
        match &self.slot.as_ref()?.state {
            SlotState::Lost { reason } => Some(reason),
            _ => None,
        }
    }

    fn behind(&self, lsn: Lsn) -> Option<u64> {
        Some(self.wal.0.saturating_sub(lsn.0))
    }
}

impl DestinationStatus {
    /// Tables in this state.
    pub(crate) fn copying(&self) -> impl Iterator<Item = &TableRow> {
        let tables = self.tables.iter();
        tables.filter(|row| row.state == TableState::Copying)
    }
}

impl Status {
    /// What a script is told: 3 where something needs a person, 1 where a side could not be asked (2 if that was because
    /// of what was asked for), else 0, however far behind it is.
    pub fn exit_code(&self) -> u8 {
        if self.causes.iter().any(|cause| cause.needs_person) {
            return ErrorKind::Person.exit_code();
        }
        let failed = |error: &Error| match error.kind() {
            ErrorKind::Usage => ErrorKind::Usage.exit_code(),
            _ => ErrorKind::Retry.exit_code(),
        };
        let source = self.source.as_ref().err().map_or(0, failed);
        let destination = self.destination.as_ref().and_then(|it| it.as_ref().err());
        let no_slot = self.source.as_ref().is_ok_and(|it| it.slot.is_none());
        match (source, destination.map_or(0, failed)) {
            (0, 0) if no_slot => ErrorKind::Usage.exit_code(),
            (0, code) | (code, _) => code,
        }
    }
}

/// Looks at both sides again and again.
#[derive(Debug)]
pub struct Watcher {
    looks: Looks,
    motion: Motion,
}

impl Watcher {
    /// Nothing was looked at yet.
    pub fn new(config: &StatusConfig) -> Self {
        Self {
            looks: Looks::new(config),
            motion: Motion::default(),
        }
    }

    /// How it is now. Rates, and why it does not move, follow from the looks before.
    ///
    /// # Cancel safety
    ///
    /// Call it again; sessions that were in the middle of an answer are opened anew.
    pub async fn look(&mut self) -> Status {
        let asked = self.looks.look().await;
        let now = Instant::now();
        let place = asked.place();
        if let Some(place) = place {
            self.motion.look(place, now);
        }
        self.tell(asked, now)
    }

    fn tell(&self, asked: Asked, now: Instant) -> Status {
        let motion = &self.motion;
        let causes = cause::causes(&asked, motion.held_for(now));
        let durable = asked.durable();
        let wal = asked.source.as_ref().ok().map(|it| it.status.wal);
        let lag_bytes = wal
            .zip(durable)
            .map(|(wal, durable)| wal.0.saturating_sub(durable.0));
        let seen = durable.and_then(|durable| motion.lag(durable, now));
        let lag_at_most = match (seen, asked.age()) {
            (Some(seen), Some(age)) => Some(seen.min(age)),
            (seen, age) => seen.or(age),
        };
        let Asked {
            name,
            source,
            destination,
        } = asked;
        Status {
            name,
            source: source.map(|it| it.status),
            destination,
            lag_bytes,
            lag_at_most,
            rates: motion.rates(),
            causes,
        }
    }

    /// Whether another look is needed to tell whether it moves.
    fn is_unsettled(&self) -> bool {
        self.motion.is_unsettled(Instant::now())
    }
}

/// Looks at both sides, twice, a second apart; where the slot has not been told what was sent, for as long as it takes to
/// know that it does not move (12 s: positions of a stream without changes come every 10).
///
/// # Cancel safety
///
/// Nothing is changed.
pub async fn status(config: &StatusConfig) -> Status {
    const BETWEEN: Duration = Duration::from_secs(1);
    let mut watcher = Watcher::new(config);
    let first = watcher.look().await;
    if first.source.is_err() || first.lag_bytes.is_none() {
        return first;
    }
    let deadline = Instant::now() + PATIENCE + BETWEEN;
    loop {
        tokio::time::sleep(BETWEEN).await;
        let status = watcher.look().await;
        let explained = status.causes.iter().any(Cause::explains);
        if explained || !watcher.is_unsettled() || Instant::now() >= deadline {
            return status;
        }
    }
}
