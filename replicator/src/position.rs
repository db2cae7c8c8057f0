//! What the destination remembers of us: the position, written with the data, and the tables.
//!
//! Both are plain tables at the destination, `_replicator_position` and `_replicator_tables`, readable with any
//! tool. Each row carries the version of its layout.

use walproto::{Lsn, Oid};

use crate::chunk::Chunk;
use crate::error::{Error, Result};
use crate::table::Table;

/// Layout of our own tables. A newer one is refused, an older one would be migrated.
pub(crate) const SCHEMA_VERSION: i64 = 2;

/// One row of `_replicator_position`: how far a slot's changes are in this destination, and who writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRow {
    /// The slot, and the row's key.
    pub slot: String,
    /// Whether the slot was about to be made, or is being followed.
    pub state: State,
    /// `IDENTIFY_SYSTEM`: the cluster that the position belongs to.
    pub system_id: String,
    /// The timeline that the position lies on.
    pub timeline: u32,
    /// The database that the slot belongs to.
    pub database: String,
    /// The publications that were read.
    pub publications: Vec<String>,
    /// Everything that committed before this is in the destination. For an intent: the source's position before the
    /// slot was made.
    pub lsn: Lsn,
    /// Grows with each process that takes over; a batch of an older one fails.
    pub epoch: i64,
    /// The process that raised the epoch, for people.
    pub holder: String,
    /// What the publications were; changes when anything about them does.
    pub fingerprint: String,
}

/// How far the first start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Written before the slot is made: a slot of this name that is not older is ours to drop.
    Intent,
    /// Slot and tables stand, and the stream goes on from `lsn` for tables that are copied.
    Streaming,
}

impl State {
    /// As the row has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Streaming => "streaming",
        }
    }
}

impl std::str::FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "intent" => Ok(Self::Intent),
            "streaming" => Ok(Self::Streaming),
            _ => Err(Error::person(format!(
                "the position row has the unknown state {text:?}"
            ))),
        }
    }
}

impl PositionRow {
    /// The row as it will be once everything before `lsn` is in the destination; a position never goes back.
    #[must_use]
    pub fn advanced(&self, lsn: Lsn) -> Self {
        Self {
            lsn: self.lsn.max(lsn),
            ..self.clone()
        }
    }

    /// Whether `now` is what whoever holds this row may write under: the position may have moved, and nobody took over.
    ///
    /// # Errors
    ///
    /// Somebody did, or the row is gone.
    pub(crate) fn still_holds(&self, now: Option<Self>) -> Result<()> {
        match now {
            Some(now) if now.epoch == self.epoch && now.state == self.state => Ok(()),
            now => Err(self.not_as_expected(now)),
        }
    }

    /// Why a compare-and-set from this row found none; `now` is the row as it is.
    pub(crate) fn not_as_expected(&self, now: Option<Self>) -> Error {
        let Self {
            slot, lsn, epoch, ..
        } = self;
        match now {
            None => Error::person(format!("the position row of slot {slot} is gone from the destination"))
                .with_hint("restore the destination, or drop the slot and copy everything again"),
            Some(now) if now.epoch != *epoch => Error::retry(format!(
                "another replicator took over slot {slot}: {} (epoch {}, ours was {epoch})",
                now.holder, now.epoch
            ))
            .with_hint("nothing of ours was written after that; let one of the two run")
            .displaced(),
            Some(now) => Error::person(format!(
                "the position row of slot {slot} was at {lsn} and is at {} now, although nobody took over",
                now.lsn
            ))
            .with_hint("somebody has changed the destination by hand or restored it; undo that, or copy everything again"),
        }
    }
}

/// One row of `_replicator_tables`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// The table as it was when it was written down.
    pub table: Table,
    /// Whether we made it, and so may drop it when a first copy starts over.
    pub made_by_us: bool,
    /// How far it is.
    pub state: TableState,
    /// Changes that committed before this are in its copy.
    pub sync_position: Option<Lsn>,
}

/// How far a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableState {
    /// Its first copy is not complete.
    Copying,
    /// Copied as of a later position than the one the stream has come to.
    CatchingUp,
    /// Whole transactions reach it.
    Streaming,
    /// Not followed any more, and why.
    Stopped(String),
}

impl TableRow {
    /// Whether a chunk belongs to the copy that is going on.
    ///
    /// # Errors
    ///
    /// None is, or it is one of other columns.
    pub(crate) fn copies(&self, chunk: &Chunk) -> Result<()> {
        let table = chunk.table();
        if *table.as_ref() == self.table && self.state == TableState::Copying {
            return Ok(());
        }
        Err(Error::person(format!(
            "table {table} is not being copied (it is {}), and rows of a copy came",
            self.state.name()
        )))
    }
}

/// A table that the ledger should have.
pub(crate) fn unknown_table(slot: &str, oid: Oid) -> Error {
    Error::person(format!(
        "the ledger has no table with oid {oid} for slot {slot}"
    ))
    .with_hint("somebody has changed the destination by hand; undo that, or copy everything again")
}

impl TableState {
    /// What a table is that was copied as of `at`, where the stream has come to `position`.
    pub fn copied(at: Lsn, position: Lsn) -> Self {
        if at > position {
            Self::CatchingUp
        } else {
            Self::Streaming
        }
    }

    /// As the row has it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::CatchingUp => "catching up",
            Self::Streaming => "streaming",
            Self::Stopped(_) => "stopped",
        }
    }

    /// Reads the row's two columns.
    ///
    /// # Errors
    ///
    /// An unknown state: somebody else wrote it.
    pub fn read(name: &str, reason: Option<String>) -> Result<Self> {
        match name {
            "copying" => Ok(Self::Copying),
            "catching up" => Ok(Self::CatchingUp),
            "streaming" => Ok(Self::Streaming),
            "stopped" => Ok(Self::Stopped(reason.unwrap_or_default())),
            _ => Err(Error::person(format!(
                "the ledger has a table in the unknown state {name:?}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_never_goes_back() {
        let row = PositionRow {
            slot: "s".to_owned(),
            state: State::Streaming,
            system_id: "1".to_owned(),
            timeline: 1,
            database: "d".to_owned(),
            publications: vec![],
            lsn: Lsn(40),
            epoch: 1,
            holder: String::new(),
            fingerprint: String::new(),
        };
        assert_eq!(row.advanced(Lsn(41)).lsn, Lsn(41));
        assert_eq!(row.advanced(Lsn(39)).lsn, Lsn(40));
    }

    #[test]
    fn states_survive_the_table() {
        for state in [State::Intent, State::Streaming] {
            assert_eq!(state.name().parse::<State>().unwrap(), state);
        }
        for state in [
            TableState::Copying,
            TableState::CatchingUp,
            TableState::Streaming,
            TableState::Stopped("why".to_owned()),
        ] {
            let reason = Some("why".to_owned());
            assert_eq!(TableState::read(state.name(), reason).unwrap(), state);
        }
        assert!("gone".parse::<State>().is_err());
        assert!(TableState::read("gone", None).is_err());
    }
}
