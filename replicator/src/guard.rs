//! A destination that is too far behind, where its user would rather fill it anew than have the source's disk fill
//! ([`OnMaxLag::DropSlot`](crate::OnMaxLag::DropSlot)): the run gives up its own slot, and ends.
//!
//! It is decided by what the source itself says of its WAL and of the slot, at one look: a source that cannot be asked, a
//! slot that another session has, and a bound in time alone drop nothing.
//!
//! | step | a crash after it leaves | the next start |
//! |---|---|---|
//! | 1. the run ends as by a crash: what it has open is rolled back, its connection closed | slot and position that agree | is a later start, and gives up again where it still is so far behind |
//! | 2. the slot is dropped, if nobody has it by now | a position without a slot | is refused: the slot does not exist any more |
//! | 3. the ledger has the tables as stopped, with the reason, if the destination can be reached | the same | is refused with the reason, and with the command that begins again |
//!
//! The slot goes first: a destination that cannot be reached may be why it is behind.

use std::time::Duration;

use tokio::time::Instant;
use walstream::Client;
use walstream::walproto::Lsn;

use crate::config::Config;
use crate::destination::{self, Destination};
use crate::error::{Error, Result, START_ANEW};
use crate::position::{PositionRow, TableRow, TableState};
use crate::show::people::size;

/// How long our own connection may take to end.
const ENDING: Duration = Duration::from_secs(60);

/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(200);

/// How long the destination is waited for, which may be why all this happens.
const RECORD: Duration = Duration::from_secs(30);

/// How a reason begins that says that the slot was dropped on purpose.
const DROPPED: &str = "the slot was dropped by --on-max-lag drop-slot";

/// That the slot is to be given up, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooFar {
    /// The session that had the slot.
    pid: i32,
    confirmed: Lsn,
    wal: Lsn,
    most: u64,
}

impl TooFar {
    /// What the source says of a slot (who has it, and what was confirmed) and of its WAL, where that is more than `most`.
    pub(crate) fn judge(
        pid: Option<i32>,
        confirmed: Option<Lsn>,
        wal: Lsn,
        most: u64,
    ) -> Option<Self> {
        let (pid, confirmed) = pid.zip(confirmed)?;
        (wal.0.saturating_sub(confirmed.0) > most).then_some(Self {
            pid,
            confirmed,
            wal,
            most,
        })
    }

    fn reason(&self) -> String {
        format!(
            "{DROPPED}: the destination had confirmed {}, {} behind the source at {}, above --max-lag of {}",
            self.confirmed,
            size(self.wal.0.saturating_sub(self.confirmed.0)),
            self.wal,
            size(self.most)
        )
    }
}

/// Drops the slot, now that the run is over, and writes down why. The error is what the run ends with.
pub(crate) async fn give_up(config: &Config, far: &TooFar) -> Error {
    let reason = far.reason();
    if let Err(error) = drop_slot(config, far).await {
        let hint = error.hint().unwrap_or_default().to_owned();
        return Error::person(format!("{reason}; but it could not be dropped: {error}")).with_hint(
            format!("it holds back WAL at the source: replicator drop removes it; {hint}"),
        );
    }
    tracing::warn!(slot = config.slot, "{reason}");
    crate::fail_point!("slot-given-up");
    let recorded = tokio::time::timeout(RECORD, record(config, &reason)).await;
    let recorded =
        recorded.unwrap_or_else(|_| Err(Error::retry("the destination does not answer")));
    if let Err(error) = recorded {
        tracing::warn!(%error, "the destination could not be told why; the next start says that the slot does not exist");
    }
    dropped(config, &reason)
}

fn dropped(config: &Config, reason: &str) -> Error {
    Error::person(format!(
        "replication slot {:?} does not exist any more: {reason}; what was committed since is not at the destination",
        config.slot
    ))
    .with_hint(START_ANEW)
}

/// Why a slot does not exist, where the ledger tells that a run of ours gave it up.
pub(crate) fn given_up(config: &Config, row: &PositionRow, tables: &[TableRow]) -> Option<Error> {
    tables.iter().find_map(|table| match &table.state {
        TableState::Stopped(why) if why.starts_with(DROPPED) => Some(dropped(
            config,
            &format!("{why}; the destination is at {}", row.lsn),
        )),
        _ => None,
    })
}

async fn drop_slot(config: &Config, far: &TooFar) -> Result<()> {
    let mut client = Client::connect(&config.connection()?).await?;
    let began = Instant::now();
    let mut ended = false;
    loop {
        let Some(slot) = client.slot(&config.slot).await? else {
            return Ok(());
        };
        match slot.active_pid {
            None => return Ok(client.drop_slot(&config.slot, false).await?),
            Some(pid) if pid != far.pid => {
                return Err(
                    Error::person(format!("another session has it by now, process {pid}"))
                        .with_hint("whoever that is goes on from there"),
                );
            }
            // It may be writing to a connection that is ours no more.
            Some(pid) if began.elapsed() > ENDING / 2 && !ended => {
                client
                    .execute(&format!("SELECT pg_terminate_backend({pid})"))
                    .await?;
                ended = true;
            }
            Some(pid) if began.elapsed() > ENDING => {
                return Err(Error::retry(format!(
                    "our own session does not end, process {pid}"
                )));
            }
            Some(_) => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// No table is followed any more.
async fn record(config: &Config, reason: &str) -> Result<()> {
    let mut destination =
        destination::open_existing(&config.destination, &config.slot, Duration::from_secs(10))
            .await?;
    for row in destination.tables(&config.slot).await? {
        if !matches!(row.state, TableState::Stopped(_)) {
            let oid = row.table.oid;
            destination.stop_table(&config.slot, oid, reason).await?;
        }
    }
    destination.close().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slot_that_is_held_and_really_too_far_behind_is_given_up() {
        let judge = |pid, confirmed, wal| TooFar::judge(pid, confirmed, Lsn(wal), 100);
        assert_eq!(judge(Some(7), Some(Lsn(50)), 150), None);
        let far = judge(Some(7), Some(Lsn(50)), 151).expect("more than 100");
        assert!(far.reason().contains("101 B behind"), "{}", far.reason());
        assert_eq!(judge(None, Some(Lsn(50)), 1000), None);
        assert_eq!(judge(Some(7), None, 1000), None);
        assert_eq!(judge(Some(7), Some(Lsn(2000)), 1000), None);
    }
}
