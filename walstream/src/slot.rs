//! Replication slots: made, looked at, dropped, and streamed from.

use std::time::Duration;

use walproto::Lsn;

use crate::channel::Channel;
use crate::client::Client;
use crate::command::{self, SlotOptions, StreamOptions, quote_literal};
use crate::error::{Doing, Error, ErrorKind, Result};
use crate::row::Row;
use crate::system::{lsn, missing};
use crate::version::ServerVersion;

/// A slot that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedSlot {
    /// Its name.
    pub name: String,
    /// Transactions that commit behind it are streamed, those before it are in the snapshot.
    pub consistent_point: Lsn,
    /// The exported snapshot, for `SET TRANSACTION SNAPSHOT`; it lives until the next command of this session.
    pub snapshot: Option<String>,
}

/// A slot as `pg_replication_slots` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// Whether a slot can be streamed from.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Waits for every transaction that is running on the server, prepared ones included, without a limit.
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

    /// Starts streaming and hands over the channel. `start` of 0/0 is the slot's own position.
    ///
    /// Cancel safe in that dropping the future closes the connection.
    pub(crate) async fn start_replication(
        mut self,
        options: &StreamOptions,
        start: Lsn,
    ) -> Result<Channel> {
        let text = command::start_replication(options, start, self.server_version())?;
        let name = &*options.slot;
        self.check_slot(name).await?;
        let missing = self.missing_publications(&options.publications).await?;
        if !missing.is_empty() {
            return Err(Error::publications_missing(&missing));
        }
        self.send(&text).await?;
        match self.answer(Doing::Starting(name)).await {
            Ok(Some(message)) if message.tag == b'W' => Ok(self.into_channel()),
            Ok(message) => {
                let place = "in the answer to START_REPLICATION";
                Err(match message {
                    Some(message) => Error::out_of_place(message.tag, place, message.offset),
                    None => Error::protocol("the server did not answer START_REPLICATION"),
                })
            }
            // The catalog may have changed since we looked.
            Err(error) if error.sqlstate() == Some("55000") => match self.check_slot(name).await {
                Err(reason) if reason.report().is_none() => Err(error.explained_by(reason)),
                _ => Err(self.explain_prerequisite(error).await),
            },
            Err(error) => Err(self.explain_holder(error, name).await),
        }
    }

    /// Refuses a slot that cannot be streamed from, except one in use: the server decides that.
    async fn check_slot(&mut self, name: &str) -> Result<()> {
        let slot = self
            .slot(name)
            .await?
            .ok_or_else(|| Error::slot_missing(name))?;
        match &slot.plugin {
            Some(plugin) if plugin == "pgoutput" => {}
            Some(plugin) => {
                return Err(Error::new(
                    ErrorKind::SlotWrongPlugin,
                    format!("replication slot \"{name}\" is of plugin \"{plugin}\", not pgoutput"),
                ));
            }
            None => {
                return Err(Error::new(
                    ErrorKind::SlotWrongPlugin,
                    format!("replication slot \"{name}\" is physical"),
                ));
            }
        }
        if let Some(database) = slot
            .database
            .as_deref()
            .filter(|database| *database != self.database())
        {
            return Err(Error::new(
                ErrorKind::SlotWrongDatabase,
                format!("replication slot \"{name}\" belongs to database \"{database}\", and this is \"{}\"", self.database()),
            )
            .with_hint("Connect to the slot's database, or use another slot name."));
        }
        match &slot.state {
            SlotState::Usable => Ok(()),
            SlotState::Lost { reason } => Err(Error::slot_lost(name, reason)),
        }
    }

    /// Adds who uses the slot.
    async fn explain_holder(&mut self, error: Error, name: &str) -> Error {
        if !matches!(error.kind(), ErrorKind::SlotInUse { .. }) {
            return error;
        }
        match self.slot(name).await {
            Ok(Some(slot)) => error.explained_by(Error::slot_in_use(name, slot.active_pid)),
            _ => error,
        }
    }

    /// SQLSTATE 55000 is "not in the state that this needs"; the server's setting tells whether that is `wal_level`.
    async fn explain_prerequisite(&mut self, error: Error) -> Error {
        if error.sqlstate() != Some("55000") {
            return error;
        }
        match self.query("SHOW wal_level").await {
            Ok(rows)
                if rows
                    .first()
                    .and_then(|row| row.get(0))
                    .is_some_and(|level| level != "logical") =>
            {
                error.explained_by(Error::wal_level())
            }
            _ => error,
        }
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
    format!(
        "SELECT slot_name, plugin, database, active_pid, restart_lsn, confirmed_flush_lsn, two_phase, temporary, \
         wal_status, {reason} AS reason FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
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
            active_pid: row
                .by_name("active_pid")
                .map(|pid| pid.parse().map_err(|_| missing("active_pid")))
                .transpose()?,
            restart_lsn: lsn(row, "restart_lsn")?,
            confirmed_flush: lsn(row, "confirmed_flush_lsn")?,
            two_phase: row.by_name("two_phase") == Some("t"),
            temporary: row.by_name("temporary") == Some("t"),
            state,
        })
    }
}
