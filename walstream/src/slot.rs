//! Replication slots: made, looked at, altered and dropped.

mod start;

use std::time::Duration;

use walproto::{Lsn, Timestamp};

use crate::client::Client;
use crate::command::{self, AlterSlot, SlotOptions, quote_literal};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::row::Row;
use crate::system::{flag, lsn, micros, missing, number, time};
use crate::version::ServerVersion;

/// A slot that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatedSlot {
    /// Its name.
    pub name: String,
    /// Transactions that commit behind it are streamed, those before it are in the snapshot.
    pub consistent_point: Lsn,
    /// The exported snapshot, for `SET TRANSACTION SNAPSHOT`; it lives until the next command of this session.
    pub snapshot: Option<String>,
}

/// A slot as `pg_replication_slots` shows it. What this version of the server does not show is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Its output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
    /// Its database; `None` for a physical slot.
    pub database: Option<String>,
    /// The server process that uses it.
    pub active_pid: Option<i32>,
    /// The oldest WAL that it holds back.
    pub restart_lsn: Option<Lsn>,
    /// Transactions that commit before it are not sent again; `None` while the slot is being made.
    pub confirmed_flush: Option<Lsn>,
    /// Whether it sends prepared transactions when they are prepared, whatever the client asks for.
    pub two_phase: bool,
    /// Whether it ends with its session.
    pub temporary: bool,
    /// Whether it can still be streamed from.
    pub state: SlotState,
    /// Whether the WAL that it holds back is safe; `None` while it holds none.
    pub wal_status: Option<WalStatus>,
    /// Bytes that may still be written before it is in danger; `None` where `max_slot_wal_keep_size` sets no limit, and
    /// once it is lost. Negative when it is past that.
    pub safe_wal_size: Option<i64>,
    /// From where on prepared transactions are sent when they are prepared; from 18 on, with `two_phase`. A slot that was
    /// altered to it has none before the next start.
    pub two_phase_at: Option<Lsn>,
    /// Whether a standby was to keep it and gave it up over a conflict with what was replayed; logical slots from 16 on.
    pub conflicting: Option<bool>,
    /// Since when nobody uses it; `None` while somebody does; from 17 on.
    pub inactive_since: Option<Timestamp>,
    /// Whether it is kept in step on standbys; from 17 on.
    pub failover: Option<bool>,
    /// Whether a standby made it as a copy of one of its primary; from 17 on. Stays after a promotion.
    pub synced: Option<bool>,
}

/// Whether the WAL that a slot holds back is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalStatus {
    /// It is within `max_wal_size`.
    Reserved,
    /// It is more than that, and kept.
    Extended,
    /// It may be removed at the next checkpoint.
    Unreserved,
    /// Some of it is gone.
    Lost,
}

/// Whether a slot can be streamed from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotState {
    /// It can.
    Usable,
    /// It never can again.
    Lost {
        /// Why, in PostgreSQL's words: `wal_removed`, `rows_removed`, `wal_level_insufficient`, `idle_timeout`, or
        /// `conflicting` on a standby of 16.
        reason: String,
    },
}

impl Client {
    /// Makes a logical slot for `pgoutput`; on a replication connection.
    ///
    /// Waits for every transaction that is running on the server, prepared ones included, without a limit;
    /// [`create_slot_reporting`](Self::create_slot_reporting) tells which. On a standby it waits for its primary too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SlotExists`], [`ErrorKind::TooManySlots`], [`ErrorKind::WalLevel`], [`ErrorKind::Rights`],
    /// [`ErrorKind::Unsupported`] for an option that the server does not have, [`ErrorKind::Config`] for a name that
    /// it does not take.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the slot may or may not come to be, also if the client is dropped with it: a server
    /// that waits does not look whether its client is there. It ends the attempt, or finishes the slot, when the
    /// transactions that it waits for have ended.
    pub async fn create_slot(&mut self, name: &str, options: &SlotOptions) -> Result<CreatedSlot> {
        let text = command::create_slot(name, options, self.server_version())?;
        let row = match self.one_row(&text, Doing::CreatingSlot(name)).await {
            Ok(row) => row,
            Err(error) => return Err(self.explain_prerequisite(error).await),
        };
        Ok(CreatedSlot {
            name: row
                .by_name("slot_name")
                .ok_or_else(|| missing("slot_name"))?
                .to_owned(),
            consistent_point: lsn(&row, "consistent_point")?
                .ok_or_else(|| missing("consistent_point"))?,
            snapshot: row.by_name("snapshot_name").map(str::to_owned),
        })
    }

    /// Changes options of a slot; on a replication connection. A slot in use is left alone: the server would wait for
    /// its release without a limit, and does so when somebody takes the slot at the same moment.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SlotMissing`], [`ErrorKind::SlotInUse`], [`ErrorKind::Rights`], and
    /// [`ErrorKind::Unsupported`] for an option that the server cannot change, or not on a standby;
    /// [`ErrorKind::Config`] where no change is asked for.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the slot may or may not be changed.
    pub async fn alter_slot(&mut self, name: &str, changes: &AlterSlot) -> Result<()> {
        let text = command::alter_slot(name, changes, self.server_version())?;
        if let Some(holder) = self.slot_holder(name).await? {
            return Err(Error::slot_in_use(name, Some(&holder)));
        }
        match self.run(&text, Doing::AlteringSlot(name)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explain_holder(error, name).await),
        }
    }

    /// Drops a slot; on either kind of connection. With `wait` it first waits until nobody uses the slot.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SlotMissing`], and without `wait` [`ErrorKind::SlotInUse`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the slot may or may not be dropped.
    pub async fn drop_slot(&mut self, name: &str, wait: bool) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(100);
        let text = if self.is_replication() {
            command::drop_slot(name, wait)
        } else {
            command::drop_slot_by_function(name)
        };
        loop {
            let Err(error) = self.run(&text, Doing::DroppingSlot(name)).await else {
                return Ok(());
            };
            // The function cannot wait, and the command that can does not come back with this.
            if wait && matches!(error.kind(), ErrorKind::SlotInUse { .. }) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            return Err(self.explain_holder(error, name).await);
        }
    }

    /// Looks at a slot; on either kind of connection. `None` where there is no such slot.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn slot(&mut self, name: &str) -> Result<Option<Slot>> {
        let rows = self.query(&inspection(name, self.server_version())).await?;
        rows.first().map(Slot::read).transpose()
    }

    /// Which of these publications the database does not have. A server from 18 on does not say so while streaming.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    ///
    /// # Cancel safety
    ///
    /// As [`query`](Self::query).
    pub async fn missing_publications(&mut self, names: &[String]) -> Result<Vec<String>> {
        let rows = self
            .query("SELECT pubname FROM pg_catalog.pg_publication")
            .await?;
        let known = |name: &&String| rows.iter().any(|row| row.get(0) == Some(name));
        Ok(names.iter().filter(|name| !known(name)).cloned().collect())
    }
}

/// What each version shows of a slot.
fn inspection(name: &str, version: ServerVersion) -> String {
    let reason = match version.major() {
        ..=15 => "NULL",
        // It is true for every slot that was given up; conflicts are possible on a standby only.
        16 => {
            "CASE WHEN conflicting AND pg_catalog.pg_is_in_recovery() THEN 'conflicting' WHEN conflicting THEN 'wal_removed' END"
        }
        _ => "invalidation_reason",
    };
    let mut newer = String::new();
    if version.major() >= 16 {
        newer.push_str(", conflicting");
    }
    if version.major() >= 17 {
        newer.push_str(", failover, synced, ");
        newer.push_str(&micros("inactive_since"));
        newer.push_str(" AS inactive_since");
    }
    if version.major() >= 18 {
        newer.push_str(", two_phase_at");
    }
    format!(
        "SELECT slot_name, plugin, database, active_pid, restart_lsn, confirmed_flush_lsn, two_phase, temporary, \
         wal_status, safe_wal_size, {reason} AS reason{newer} \
         FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
        quote_literal(name)
    )
}

impl Slot {
    fn read(row: &Row) -> Result<Self> {
        let text = |name| row.by_name(name).map(str::to_owned);
        let state = match (row.by_name("reason"), row.by_name("wal_status")) {
            (Some(reason), _) => SlotState::Lost {
                reason: reason.to_owned(),
            },
            (None, Some("lost")) => SlotState::Lost {
                reason: "wal_removed".to_owned(),
            },
            (None, _) => SlotState::Usable,
        };
        Ok(Self {
            name: text("slot_name").ok_or_else(|| missing("slot_name"))?,
            plugin: text("plugin"),
            database: text("database"),
            active_pid: number(row, "active_pid")?,
            restart_lsn: lsn(row, "restart_lsn")?,
            confirmed_flush: lsn(row, "confirmed_flush_lsn")?,
            two_phase: flag(row, "two_phase") == Some(true),
            temporary: flag(row, "temporary") == Some(true),
            state,
            wal_status: row.by_name("wal_status").map(WalStatus::read).transpose()?,
            safe_wal_size: number(row, "safe_wal_size")?,
            two_phase_at: lsn(row, "two_phase_at")?,
            conflicting: flag(row, "conflicting"),
            inactive_since: time(row, "inactive_since")?,
            failover: flag(row, "failover"),
            synced: flag(row, "synced"),
        })
    }
}

impl WalStatus {
    fn read(text: &str) -> Result<Self> {
        match text {
            "reserved" => Ok(Self::Reserved),
            "extended" => Ok(Self::Extended),
            "unreserved" => Ok(Self::Unreserved),
            "lost" => Ok(Self::Lost),
            _ => Err(missing("wal_status")),
        }
    }
}
