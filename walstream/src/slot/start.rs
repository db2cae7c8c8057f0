//! The start of streaming from a slot: what stands against it is told apart, and who holds the slot is waited for.

use std::time::Duration;

use tokio::time::Instant;
use walproto::Lsn;

use super::SlotState;
use crate::channel::Channel;
use crate::client::Client;
use crate::command::{self, StreamOptions};
use crate::error::{Doing, Error, ErrorKind, Result};

/// How often is looked whether a slot in use is free. Looking leaves no trace in the server's log; trying would.
const PAUSE: Duration = Duration::from_millis(100);

impl Client {
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
        let wait = options.slot_wait.unwrap_or_else(|| {
            self.wal_sender_timeout()
                .saturating_add(Duration::from_secs(1))
        });
        let began = Instant::now();
        loop {
            self.check_slot(name).await?;
            self.check_publications(&options.publications).await?;
            self.send(&text).await?;
            let error = match self.answer(Doing::Starting(name)).await {
                Ok(Some(message)) if message.tag == b'W' => return Ok(self.into_channel()),
                Ok(message) => {
                    let place = "in the answer to START_REPLICATION";
                    return Err(match message {
                        Some(message) => Error::out_of_place(message.tag, place, message.offset),
                        None => Error::protocol("the server did not answer START_REPLICATION"),
                    });
                }
                Err(error) => error,
            };
            if matches!(error.kind(), ErrorKind::SlotInUse { .. }) {
                // The session outlives the refusal, so it can ask again.
                let left = wait.saturating_sub(began.elapsed());
                if !left.is_zero() && self.becomes_free(name, left).await? {
                    continue;
                }
                return Err(self.explain_holder(error, name).await);
            }
            // The catalog may have changed since we looked.
            if error.sqlstate() == Some("55000")
                && let Err(reason) = self.check_slot(name).await
                && reason.report().is_none()
            {
                return Err(error.explained_by(reason));
            }
            return Err(self.explain_prerequisite(error).await);
        }
    }

    /// Waits until nobody uses the slot, or it is gone; `false` when the time is over.
    async fn becomes_free(&mut self, name: &str, patience: Duration) -> Result<bool> {
        let began = Instant::now();
        while let Some(left) = patience.checked_sub(began.elapsed()) {
            tokio::time::sleep(PAUSE.min(left)).await;
            match self.slot(name).await? {
                Some(slot) if slot.active_pid.is_some() => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn check_publications(&mut self, names: &[String]) -> Result<()> {
        let missing = self.missing_publications(names).await?;
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::publications_missing(&missing))
        }
    }

    /// Refuses a slot that cannot be streamed from, except one in use: the server decides that.
    async fn check_slot(&mut self, name: &str) -> Result<()> {
        let slot = self
            .slot(name)
            .await?
            .ok_or_else(|| Error::slot_missing(name))?;
        if slot.plugin.as_deref() != Some("pgoutput") {
            return Err(Error::slot_wrong_plugin(&slot));
        }
        if let Some(database) = slot.database.as_deref()
            && database != self.database()
        {
            return Err(Error::slot_wrong_database(name, database, self.database()));
        }
        if let SlotState::Lost { reason } = &slot.state {
            return Err(Error::slot_lost(name, reason));
        }
        if slot.synced == Some(true) && self.is_standby().await? {
            return Err(Error::slot_synced(name));
        }
        Ok(())
    }

    async fn is_standby(&mut self) -> Result<bool> {
        let rows = self.query("SELECT pg_catalog.pg_is_in_recovery()").await?;
        Ok(rows.first().and_then(|row| row.get(0)) == Some("t"))
    }

    /// Adds who uses the slot.
    pub(super) async fn explain_holder(&mut self, error: Error, name: &str) -> Error {
        if !matches!(error.kind(), ErrorKind::SlotInUse { .. }) {
            return error;
        }
        match self.slot_holder(name).await {
            Ok(Some(holder)) => error.explained_by(Error::slot_in_use(name, Some(&holder))),
            _ => error,
        }
    }

    /// SQLSTATE 55000 is "not in the state that this needs"; the server's settings tell whether it is one of them.
    pub(super) async fn explain_prerequisite(&mut self, error: Error) -> Error {
        const SETTINGS: &str = "SELECT current_setting('wal_level'), current_setting('max_replication_slots'), \
                                pg_catalog.pg_is_in_recovery()";
        if error.sqlstate() != Some("55000") {
            return error;
        }
        let Ok(rows) = self.query(SETTINGS).await else {
            return error;
        };
        let shown = |at| rows.first().and_then(|row| row.get(at));
        match (shown(0), shown(1), shown(2)) {
            (_, Some("0"), _) => error.explained_by(Error::too_many_slots()),
            (Some("logical"), _, Some("f")) => error,
            // A standby has its own setting, and the WAL is its primary's.
            (Some("logical"), _, Some("t")) => error.explained_by(Error::wal_level(true)),
            (Some(_), ..) => error.explained_by(Error::wal_level(false)),
            _ => error,
        }
    }
}
