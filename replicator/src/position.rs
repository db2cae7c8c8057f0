//! What the destination remembers of us: the position, written with the data, and the tables.
//!
//! Both are plain tables at the destination, `_replicator_position` and `_replicator_tables`, readable with any
//! tool. Each row carries the version of its layout.

use walproto::value::FromColumn;
use walproto::{Lsn, Oid, Timestamp};

use crate::chunk::Chunk;
use crate::error::{Error, Result};
use crate::show::Iso;
use crate::table::Table;

/// Layout of our own tables. A newer one is refused, and an older one migrated by the first that writes, which is a start:
///
/// - 2 has `_replicator_chunks`, made when something is to be written there.
/// - 3 has `source_time` in `_replicator_position`. The column is added before the epoch is raised, the intent written, or
///   a table made; the row says 3 from the epoch or the intent on. Both are one transaction, or, where such a statement
///   commits by itself, the column comes first: after a crash in between it is there and the rows are of layout 2, with
///   which an older program may go on (it writes no time, and reads none), and the next start of this one goes on from
///   there. Whoever only looks reads a row without the column as one whose time is not known.
pub(crate) const SCHEMA_VERSION: i64 = 3;

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
    /// When the last transaction before `lsn` committed that was applied, by the source's clock; before there is one, what
    /// that clock said when the slot was about to be made. `None` where neither is known.
    pub source_time: Option<Timestamp>,
}

/// A time as the row has it, which people may read: as PostgreSQL writes it, in UTC. `None` for what no clock shows.
pub(crate) fn written_time(time: Option<Timestamp>) -> Option<String> {
    let time = time.filter(|time| time.is_finite())?;
    let text = Iso(time).to_string().replace('T', " ").replace('Z', "+00");
    // It has to come back as it is: rows are compared.
    (Timestamp::from_text(text.as_bytes()) == Ok(time)).then_some(text)
}

/// Reads what [`written_time`] wrote; the text where that is something else.
pub(crate) fn read_time(text: Option<&str>) -> Result<Option<Timestamp>, &str> {
    let read = |text: &'_ str| Timestamp::from_text(text.as_bytes());
    text.map(|text| read(text).map_err(|_| text)).transpose()
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
    ///
    /// The last transaction is the same: who applies another says when that committed.
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
            source_time: None,
        };
        assert_eq!(row.advanced(Lsn(41)).lsn, Lsn(41));
        assert_eq!(row.advanced(Lsn(39)).lsn, Lsn(40));
    }

    #[test]
    fn times_survive_the_table_and_can_be_read_there() {
        let time = Timestamp::from_unix_micros(1_796_000_000_000_042);
        let text = written_time(time);
        assert_eq!(text.as_deref(), Some("2026-11-30 00:53:20.000042+00"));
        assert_eq!(read_time(text.as_deref()), Ok(time));
        for micros in [0, -1, i64::from(i32::MIN) * 1_000_000] {
            let time = Some(Timestamp(micros));
            assert_eq!(read_time(written_time(time).as_deref()), Ok(time));
        }
        for nonsense in [i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1] {
            assert_eq!(written_time(Some(Timestamp(nonsense))), None);
        }
        assert_eq!(read_time(Some("yesterday")), Err("yesterday"));
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
