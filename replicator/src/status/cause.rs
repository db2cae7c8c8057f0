//! Why a slot does not move, in words, and what to do about it.

use std::time::Duration;

use walstream::{Blocker, Slot, WalStatus};

use super::look::{Asked, SourceAsked};
use super::{DestinationStatus, SourceStatus};
use crate::changes;
use crate::error::{Error, START_ANEW};
use crate::position::{PositionRow, State, TableState};
use crate::show::people::{size, span};
use crate::start::slot_gone;

/// Something that keeps it from moving, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cause {
    /// For programs: a word that stays.
    pub kind: &'static str,
    /// For people: a sentence without full stop.
    pub text: String,
    /// What to do.
    pub remedy: Option<String>,
    /// Whether it does not end by itself, nor by starting again.
    pub needs_person: bool,
}

impl Cause {
    fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            remedy: None,
            needs_person: false,
        }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Whether it says why a slot stands still, so that nobody has to look for longer.
    pub(crate) fn explains(&self) -> bool {
        !matches!(
            self.kind,
            "old_transaction" | "prepared_transaction" | "table_stopped" | "slot_in_danger"
        )
    }

    const fn person(mut self) -> Self {
        self.needs_person = true;
        self
    }

    fn unreachable(kind: &'static str, who: &str, error: &Error) -> Self {
        let mut text = format!("{who} cannot be asked: {error}");
        // What lies under it says which of the many reasons a connection has.
        if let Some(source) = std::error::Error::source(error) {
            text.push_str(&format!(": {source}"));
        }
        Self::new(kind, text).remedied_as(error)
    }

    fn remedied_as(self, error: &Error) -> Self {
        Self {
            remedy: error.hint().map(str::to_owned),
            ..self
        }
    }
}

/// A replicator answers every 5 s, and every 10 s where its source's URL has a long `wal_sender_timeout`.
const ANSWERS: Duration = Duration::from_secs(12);

/// All of them, the most telling first; `held` says how long the slot has stood still with more sent.
pub(super) fn causes(asked: &Asked, held: Option<Duration>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let destination = asked.destination.as_ref();
    let there = destination.and_then(|it| it.as_ref().ok());
    let unreachable = destination.and_then(|it| it.as_ref().err());
    match &asked.source {
        Err(error) => causes.push(Cause::unreachable(
            "source_unreachable",
            "the source",
            error,
        )),
        Ok(source) => of_source(&mut causes, &asked.name, source, there, held),
    }
    if let Some(error) = unreachable {
        causes.push(Cause::unreachable(
            "destination_unreachable",
            "the destination",
            error,
        ));
    }
    if let Some(there) = there {
        of_tables(&mut causes, there);
    }
    causes
}

fn of_source(
    causes: &mut Vec<Cause>,
    name: &str,
    asked: &SourceAsked,
    there: Option<&DestinationStatus>,
    held: Option<Duration>,
) {
    let SourceAsked {
        status,
        old,
        timeline,
    } = asked;
    let position = there.and_then(|it| it.position.as_ref());
    let Some(slot) = &status.slot else {
        causes.push(missing(name, position, *timeline));
        return;
    };
    if let Some(reason) = status.lost() {
        causes.push(lost(name, reason));
        return;
    }
    causes.extend(danger(slot));
    if position.is_none() && there.is_some() {
        causes.push(
            Cause::new("position_missing", format!("the destination remembers nothing of slot {name:?}"))
                .remedy("check --destination and --slot; a slot that nobody is to read any more holds back WAL: replicator drop removes it"),
        );
    }
    match slot.active_pid {
        None => causes.push(nobody(status, position)),
        Some(_) => causes.extend(in_use(status, there, held)),
    }
    for (blocker, age) in old {
        causes.push(blocked(blocker, *age, slot));
    }
}

fn missing(name: &str, position: Option<&PositionRow>, timeline: u32) -> Cause {
    match position {
        Some(row) if row.state == State::Streaming => {
            let gone = slot_gone(row, timeline);
            let cause = Cause::new("slot_missing", gone.to_string());
            cause.remedied_as(&gone).person()
        }
        _ => Cause::new(
            "slot_missing",
            format!("there is no replication slot {name:?} at the source"),
        )
        .remedy("check --slot; replicator run makes it"),
    }
}

fn lost(name: &str, reason: &str) -> Cause {
    let why = match reason {
        "wal_removed" => {
            "the source has removed WAL that it needs, as max_slot_wal_keep_size says".to_owned()
        }
        "idle_timeout" => {
            "nobody read it for as long as idle_replication_slot_timeout says".to_owned()
        }
        "rows_removed" => "rows of the catalog that it needs were removed".to_owned(),
        "wal_level_insufficient" => "wal_level was below logical at the primary".to_owned(),
        other => format!("the source says {other}"),
    };
    Cause::new(
        "slot_lost",
        format!(
            "replication slot {name:?} is lost ({reason}): {why}; the changes behind it are gone"
        ),
    )
    .remedy(START_ANEW)
    .person()
}

fn danger(slot: &Slot) -> Option<Cause> {
    let left = slot.safe_wal_size;
    let text = match (slot.wal_status, left) {
        (Some(WalStatus::Unreserved), _) => {
            "the slot may be lost at the source's next checkpoint: it holds more WAL than max_slot_wal_keep_size"
                .to_owned()
        }
        // Less than a segment of the usual size.
        (_, Some(left)) if left < 16 << 20 => {
            let left = u64::try_from(left).unwrap_or(0);
            format!("the slot is in danger of being lost after another {} of WAL", size(left))
        }
        _ => return None,
    };
    Some(Cause::new("slot_in_danger", text).remedy(
        "raise max_slot_wal_keep_size at the source and run SELECT pg_reload_conf() there, then mend what keeps the slot",
    ))
}

fn nobody(status: &SourceStatus, position: Option<&PositionRow>) -> Cause {
    let since = status
        .inactive
        .map(|time| format!(" for {}", span(time)))
        .unwrap_or_default();
    let held = status
        .retained()
        .map(|bytes| format!(", and it holds back {} of WAL", size(bytes)))
        .unwrap_or_default();
    let last = position
        .map(|row| format!("; the last to write the destination was {}", row.holder))
        .unwrap_or_default();
    Cause::new(
        "nobody_connected",
        format!("nobody has read the slot{since}{held}: no replicator is connected to the source{last}"),
    )
    .remedy("start replicator run, or see in its log why it cannot connect; if nobody is to go on, replicator drop")
}

/// A slot that is being read, and what stands between that and the destination.
fn in_use(
    status: &SourceStatus,
    there: Option<&DestinationStatus>,
    held: Option<Duration>,
) -> Option<Cause> {
    let sender = status.sender.as_ref()?;
    if let Some(silent) = sender.answered.filter(|it| *it >= ANSWERS) {
        let holder = status.holder.as_deref().unwrap_or("the server's process");
        return Some(Cause::new(
            "replicator_silent",
            format!(
                "{holder} sends to a replicator that has not answered for {}: it is frozen, or the network between \
                 them is",
                span(silent)
            ),
        )
        .remedy("look at the replicator's process; the source cuts it off after its wal_sender_timeout, and another replicator run takes over"));
    }
    if sender.wait.as_deref() == Some("WaitForStandbyConfirmation") {
        return Some(Cause::new(
            "standby_slow",
            "the source waits for the standbys in synchronized_standby_slots before it sends more",
        )
        .remedy("look at those standbys and at their slots"));
    }
    let mut copying = there.into_iter().flat_map(DestinationStatus::copying);
    if let Some(table) = copying.next() {
        let more = match copying.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        return Some(Cause::new(
            "copying",
            format!(
                "table {}{more} is being copied; the slot stays where it is until a first copy is complete, while a \
                 table that joins the others holds nothing up",
                table.table
            ),
        ));
    }
    let held = held?;
    let sent = sender.sent.map(|lsn| lsn.to_string()).unwrap_or_default();
    let durable = status.slot.as_ref()?.confirmed_flush?;
    Some(
        Cause::new(
            "destination_slow",
            format!(
                "the replicator answers, but nothing more has become durable at the destination for {}: {sent} was \
                 sent, {durable} is durable",
                span(held)
            ),
        )
        .remedy("look at the destination: is it down, locked, full, or at a large transaction, or is the run paused (SIGUSR1)? The replicator's log and its /readyz tell"),
    )
}

fn blocked(blocker: &Blocker, age: Duration, slot: &Slot) -> Cause {
    let restart = slot
        .restart_lsn
        .map(|lsn| lsn.to_string())
        .unwrap_or_default();
    let (kind, text) = match blocker {
        Blocker::Prepared { .. } => (
            "prepared_transaction",
            format!(
                "a prepared transaction is neither committed nor rolled back, so that its changes do not arrive and the \
                 slot holds back WAL from {restart} on: {blocker}, for {}",
                span(age)
            ),
        ),
        _ => (
            "old_transaction",
            format!(
                "an old transaction at the source keeps the slot from giving up WAL from {restart} on: {blocker}, for {}",
                span(age)
            ),
        ),
    };
    Cause::new(kind, text).remedy(blocker.remedy())
}

fn of_tables(causes: &mut Vec<Cause>, there: &DestinationStatus) {
    for row in &there.tables {
        if let TableState::Stopped(why) = &row.state {
            let table = &row.table;
            let cause = Cause::new("table_stopped", format!("table {table} is stopped: {why}"));
            causes.push(cause.remedy(changes::resync(table)).person());
        }
    }
}
