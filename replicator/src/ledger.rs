//! What a destination has to remember, with the rules for it: for destinations that keep it as one text beside the data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use walproto::{Lsn, Oid};

use crate::chunk::{Chunk, KEPT};
use crate::destination::rows_are_mixed;
use crate::error::{Error, Result};
use crate::position::{
    PositionRow, State, TableRow, TableState, read_time, unknown_table, written_time,
};
use crate::table::{Column, Table};

/// Position rows and tables of all slots, as methods of [`Destination`](crate::Destination) ask for them.
///
/// A destination that stores [`to_json`](Self::to_json) together with what each change of it means, in one durable step,
/// and reads it back with [`from_json`](Self::from_json), applies every change exactly once. Two processes must not
/// write at the same time; that is for the destination to see to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    positions: BTreeMap<String, PositionRow>,
    tables: BTreeMap<(String, u32), TableRow>,
    /// The last chunk of a slot's table's part.
    chunks: BTreeMap<(String, u32, u32), u64>,
}

impl Ledger {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            positions: BTreeMap::new(),
            tables: BTreeMap::new(),
            chunks: BTreeMap::new(),
        }
    }

    /// As [`Destination::position`](crate::Destination::position).
    pub fn position(&self, slot: &str) -> Option<&PositionRow> {
        self.positions.get(slot)
    }

    /// As [`Destination::tables`](crate::Destination::tables).
    pub fn tables(&self, slot: &str) -> Vec<TableRow> {
        let of = self.tables.iter().filter(|((of, _), _)| of == slot);
        let mut rows: Vec<TableRow> = of.map(|(_, row)| row.clone()).collect();
        rows.sort_by(|a, b| {
            let name = |row: &TableRow| (row.table.schema.clone(), row.table.name.clone());
            name(a).cmp(&name(b))
        });
        rows
    }

    /// As [`Destination::write_intent`](crate::Destination::write_intent).
    ///
    /// # Errors
    ///
    /// The slot is followed already.
    pub fn write_intent(&mut self, row: &PositionRow) -> Result<PositionRow> {
        let old = self.intent(&row.slot)?;
        let row = PositionRow {
            state: State::Intent,
            epoch: old.map_or(1, |old| old.epoch + 1),
            ..row.clone()
        };
        self.positions.insert(row.slot.clone(), row.clone());
        Ok(row)
    }

    /// As [`Destination::remove_intent`](crate::Destination::remove_intent).
    ///
    /// # Errors
    ///
    /// The slot is followed already.
    pub fn remove_intent(&mut self, slot: &str) -> Result<()> {
        if self.intent(slot)?.is_some() {
            self.positions.remove(slot);
        }
        Ok(())
    }

    /// Writes a table down, as [`Destination::create_table`](crate::Destination::create_table) has to.
    pub fn add_table(&mut self, slot: &str, table: &Table, made_by_us: bool) {
        let row = TableRow {
            table: table.clone(),
            made_by_us,
            state: TableState::Copying,
            sync_position: None,
        };
        self.tables.insert((slot.to_owned(), table.oid.0), row);
    }

    /// Writes down that the rows stay which a table had before its copy ([`Existing::keeps`](crate::Existing::keeps)).
    pub fn keep_rows(&mut self, slot: &str, oid: Oid) {
        self.chunks.insert((slot.to_owned(), oid.0, KEPT), 1);
    }

    /// Whether they stay: [`begin_copy`](crate::Destination::begin_copy) then leaves them alone.
    pub fn keeps_rows(&self, slot: &str, oid: Oid) -> bool {
        self.chunks.contains_key(&(slot.to_owned(), oid.0, KEPT))
    }

    /// Forgets the tables of a slot and gives them back: those made by us are to be dropped by
    /// [`Destination::drop_made_tables`](crate::Destination::drop_made_tables).
    pub fn remove_tables(&mut self, slot: &str) -> Vec<TableRow> {
        let rows = self.tables(slot);
        self.tables.retain(|(of, _), _| of != slot);
        self.chunks.retain(|(of, _, _), _| of != slot);
        rows
    }

    /// As [`Destination::activate`](crate::Destination::activate).
    ///
    /// # Errors
    ///
    /// There is no intent.
    pub fn activate(&mut self, row: &PositionRow) -> Result<PositionRow> {
        let Some(held) = self.intent(&row.slot)? else {
            return Err(Error::person("a position needs an intent before it"));
        };
        let next = PositionRow {
            state: State::Streaming,
            epoch: held.epoch,
            holder: held.holder.clone(),
            ..row.clone()
        };
        self.positions.insert(next.slot.clone(), next.clone());
        Ok(next)
    }

    /// As [`Destination::begin_copy`](crate::Destination::begin_copy); the row as it was before tells what to do with the
    /// table itself.
    ///
    /// # Errors
    ///
    /// Another replicator took over, the table is not known, or its own rows stay and a copy was begun beside them.
    pub fn begin_copy(&mut self, held: &PositionRow, table: &Table, at: Lsn) -> Result<TableRow> {
        held.still_holds(self.position(&held.slot).cloned())?;
        let kept = self.keeps_rows(&held.slot, table.oid);
        let row = self.row(&held.slot, table.oid)?;
        if kept && row.sync_position.is_some() {
            return Err(rows_are_mixed(table));
        }
        let before = row.clone();
        *row = TableRow {
            table: table.clone(),
            state: TableState::Copying,
            sync_position: Some(at),
            ..before.clone()
        };
        self.chunks.retain(|(slot, of, part), _| {
            *part == KEPT || (slot, *of) != (&held.slot, table.oid.0)
        });
        Ok(before)
    }

    /// As [`Destination::copy`](crate::Destination::copy): whether the chunk is to be added, which is written down.
    ///
    /// # Errors
    ///
    /// Another replicator took over, or it is not this chunk's turn.
    pub fn add_chunk(&mut self, held: &PositionRow, chunk: &Chunk) -> Result<bool> {
        held.still_holds(self.position(&held.slot).cloned())?;
        let oid = chunk.table().oid;
        self.row(&held.slot, oid)?.copies(chunk)?;
        let number = self
            .chunks
            .entry((held.slot.clone(), oid.0, chunk.part()))
            .or_default();
        let is_new = chunk.comes_after(*number)?;
        *number = chunk.number().max(*number);
        Ok(is_new)
    }

    /// As [`Destination::finish_copy`](crate::Destination::finish_copy).
    ///
    /// # Errors
    ///
    /// Another replicator took over, or the table is not known.
    pub fn finish_copy(&mut self, held: &PositionRow, oid: Oid, at: Lsn) -> Result<()> {
        held.still_holds(self.position(&held.slot).cloned())?;
        let row = self.row(&held.slot, oid)?;
        row.state = TableState::copied(at, held.lsn);
        row.sync_position = Some(at);
        self.chunks
            .retain(|(slot, of, part), _| *part == KEPT || (slot, *of) != (&held.slot, oid.0));
        Ok(())
    }

    fn row(&mut self, slot: &str, oid: Oid) -> Result<&mut TableRow> {
        let row = self.tables.get_mut(&(slot.to_owned(), oid.0));
        row.ok_or_else(|| unknown_table(slot, oid))
    }

    /// As [`Destination::raise_epoch`](crate::Destination::raise_epoch).
    ///
    /// # Errors
    ///
    /// There is no row.
    pub fn raise_epoch(&mut self, slot: &str, holder: &str) -> Result<PositionRow> {
        let Some(row) = self.positions.get_mut(slot) else {
            return Err(Error::person(format!("slot {slot} has no position here")));
        };
        row.epoch += 1;
        holder.clone_into(&mut row.holder);
        Ok(row.clone())
    }

    /// Moves the position row from `expected` to `next`, as [`Destination::begin`](crate::Destination::begin) has to;
    /// gives back the row as it is then.
    ///
    /// # Errors
    ///
    /// It is not as expected: another replicator took over.
    pub fn advance(&mut self, expected: &PositionRow, next: &PositionRow) -> Result<PositionRow> {
        match self.positions.get_mut(&expected.slot) {
            Some(row) if row == expected => {
                *row = PositionRow {
                    timeline: next.timeline,
                    publications: next.publications.clone(),
                    lsn: next.lsn,
                    fingerprint: next.fingerprint.clone(),
                    source_time: next.source_time,
                    ..row.clone()
                };
                Ok(row.clone())
            }
            now => Err(expected.not_as_expected(now.cloned())),
        }
    }

    /// As [`Destination::forget`](crate::Destination::forget).
    pub fn forget(&mut self, slot: &str) {
        self.positions.remove(slot);
        self.remove_tables(slot);
    }

    /// As [`Destination::caught_up`](crate::Destination::caught_up).
    pub fn caught_up(&mut self, slot: &str, oid: Oid) {
        let row = self.tables.get_mut(&(slot.to_owned(), oid.0));
        if let Some(row) = row.filter(|row| row.state == TableState::CatchingUp) {
            row.state = TableState::Streaming;
        }
    }

    /// As [`Destination::stop_table`](crate::Destination::stop_table).
    pub fn stop_table(&mut self, slot: &str, oid: Oid, reason: &str) {
        if let Some(row) = self.tables.get_mut(&(slot.to_owned(), oid.0)) {
            row.state = TableState::Stopped(reason.to_owned());
        }
    }

    /// As [`Destination::ask_copy`](crate::Destination::ask_copy).
    ///
    /// # Errors
    ///
    /// The table is not known.
    pub fn ask_copy(&mut self, slot: &str, oid: Oid, now: Oid) -> Result<()> {
        let row = self.tables.remove(&(slot.to_owned(), oid.0));
        let mut row = row.ok_or_else(|| unknown_table(slot, oid))?;
        row.table.oid = now;
        row.state = TableState::Copying;
        self.tables.insert((slot.to_owned(), now.0), row);
        // Its own rows stay, whatever number the source's table has.
        if let Some(kept) = self.chunks.remove(&(slot.to_owned(), oid.0, KEPT)) {
            self.chunks.insert((slot.to_owned(), now.0, KEPT), kept);
        }
        Ok(())
    }

    /// As [`Destination::alter_table`](crate::Destination::alter_table): writes down what the table is from here on.
    ///
    /// # Errors
    ///
    /// The table is not known.
    pub fn alter_table(&mut self, slot: &str, table: &Table) -> Result<()> {
        self.row(slot, table.oid)?.table = table.clone();
        Ok(())
    }

    /// All of it, on one line.
    pub fn to_json(&self) -> String {
        let positions = self.positions.values().map(PositionRecord::of).collect();
        let tables = self.tables.iter();
        let tables = tables.map(|((slot, _), row)| TableRecord::of(slot, row));
        let all = Record {
            positions,
            tables: tables.collect(),
            chunks: self
                .chunks
                .iter()
                .map(|((slot, oid, part), number)| (slot.clone(), *oid, *part, *number))
                .collect(),
        };
        serde_json::to_string(&all).expect("texts and numbers are JSON")
    }

    /// What [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// Something else wrote it.
    pub fn from_json(text: &str) -> Result<Self> {
        let foreign = |error: serde_json::Error| {
            Error::person("what the destination remembers is not what a replicator wrote")
                .caused_by(error)
        };
        let all: Record = serde_json::from_str(text).map_err(foreign)?;
        let mut ledger = Self::new();
        for record in all.positions {
            let row = record.row()?;
            ledger.positions.insert(row.slot.clone(), row);
        }
        for record in all.tables {
            let (slot, row) = record.row()?;
            ledger.tables.insert((slot, row.table.oid.0), row);
        }
        for (slot, oid, part, number) in all.chunks {
            ledger.chunks.insert((slot, oid, part), number);
        }
        Ok(ledger)
    }

    fn intent(&self, slot: &str) -> Result<Option<&PositionRow>> {
        match self.positions.get(slot) {
            Some(row) if row.state == State::Streaming => Err(Error::person(format!(
                "slot {slot} is followed already, and is at {}",
                row.lsn
            ))),
            row => Ok(row),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    positions: Vec<PositionRecord>,
    tables: Vec<TableRecord>,
    #[serde(default)]
    chunks: Vec<(String, u32, u32, u64)>,
}

#[derive(Serialize, Deserialize)]
struct PositionRecord {
    slot: String,
    state: String,
    system_id: String,
    timeline: u32,
    database: String,
    publications: Vec<String>,
    lsn: String,
    epoch: i64,
    holder: String,
    fingerprint: String,
    /// Not in what older versions wrote.
    #[serde(default)]
    source_time: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct TableRecord {
    slot: String,
    oid: u32,
    relfilenode: u32,
    schema: String,
    name: String,
    identity: char,
    destination: String,
    columns: Vec<Column>,
    key: Vec<usize>,
    made_by_us: bool,
    state: String,
    reason: Option<String>,
    sync_position: Option<String>,
}

impl PositionRecord {
    fn of(row: &PositionRow) -> Self {
        let PositionRow {
            slot,
            state,
            system_id,
            timeline,
            database,
            publications,
            lsn,
            epoch,
            holder,
            fingerprint,
            source_time,
        } = row.clone();
        Self {
            slot,
            state: state.name().to_owned(),
            system_id,
            timeline,
            database,
            publications,
            lsn: lsn.to_string(),
            epoch,
            holder,
            fingerprint,
            source_time: written_time(source_time),
        }
    }

    fn row(self) -> Result<PositionRow> {
        let time = read_time(self.source_time.as_deref());
        let source_time =
            time.map_err(|text| Error::person(format!("the ledger has the time {text:?}")))?;
        Ok(PositionRow {
            slot: self.slot,
            state: self.state.parse()?,
            system_id: self.system_id,
            timeline: self.timeline,
            database: self.database,
            publications: self.publications,
            lsn: position(&self.lsn)?,
            epoch: self.epoch,
            holder: self.holder,
            fingerprint: self.fingerprint,
            source_time,
        })
    }
}

impl TableRecord {
    fn of(slot: &str, row: &TableRow) -> Self {
        let table = row.table.clone();
        let reason = match &row.state {
            TableState::Stopped(reason) => Some(reason.clone()),
            _ => None,
        };
        Self {
            slot: slot.to_owned(),
            oid: table.oid.0,
            relfilenode: table.relfilenode,
            schema: table.schema,
            name: table.name,
            identity: table.identity,
            destination: table.destination,
            columns: table.columns,
            key: table.key,
            made_by_us: row.made_by_us,
            state: row.state.name().to_owned(),
            reason,
            sync_position: row.sync_position.map(|lsn| lsn.to_string()),
        }
    }

    fn row(self) -> Result<(String, TableRow)> {
        if self.key.iter().any(|at| *at >= self.columns.len()) {
            return Err(Error::person("the ledger has a key outside the columns"));
        }
        let row = TableRow {
            table: Table {
                oid: Oid(self.oid),
                schema: self.schema,
                name: self.name,
                destination: self.destination,
                columns: self.columns,
                key: self.key,
                identity: self.identity,
                relfilenode: self.relfilenode,
            },
            made_by_us: self.made_by_us,
            state: TableState::read(&self.state, self.reason)?,
            sync_position: self.sync_position.as_deref().map(position).transpose()?,
        };
        Ok((self.slot, row))
    }
}

fn position(text: &str) -> Result<Lsn> {
    text.parse()
        .map_err(|_| Error::person(format!("the ledger has the position {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(lsn: u64) -> PositionRow {
        PositionRow {
            slot: "s".to_owned(),
            state: State::Intent,
            system_id: "1".to_owned(),
            timeline: 1,
            database: "d".to_owned(),
            publications: vec!["p".to_owned()],
            lsn: Lsn(lsn),
            epoch: 0,
            holder: "me".to_owned(),
            fingerprint: "f".to_owned(),
            source_time: None,
        }
    }

    fn table(oid: u32, name: &str) -> Table {
        Table {
            oid: Oid(oid),
            schema: "public".to_owned(),
            name: name.to_owned(),
            destination: name.to_owned(),
            columns: vec![Column::new("id", Oid(23), -1, Oid(23))],
            key: vec![0],
            identity: 'd',
            relfilenode: 7,
        }
    }

    #[test]
    fn it_goes_from_an_intent_to_positions_and_never_back() {
        let mut ledger = Ledger::new();
        assert!(ledger.activate(&row(5)).is_err(), "no intent");
        assert_eq!(ledger.write_intent(&row(1)).unwrap().epoch, 1);
        assert_eq!(ledger.write_intent(&row(2)).unwrap().epoch, 2);
        ledger.remove_intent("s").unwrap();
        assert_eq!(ledger.position("s"), None);

        ledger.write_intent(&row(3)).unwrap();
        ledger.add_table("s", &table(1, "b"), true);
        ledger.add_table("s", &table(2, "a"), false);
        ledger.add_table("other", &table(1, "b"), true);
        let states: Vec<_> = ledger.tables("s").into_iter().map(|it| it.state).collect();
        assert_eq!(states, [TableState::Copying, TableState::Copying]);
        let active = ledger.activate(&row(5)).unwrap();
        assert_eq!((active.state, active.lsn), (State::Streaming, Lsn(5)));
        assert!(ledger.write_intent(&row(6)).is_err());
        assert!(ledger.remove_intent("s").is_err());

        let raised = ledger.raise_epoch("s", "you").unwrap();
        assert_eq!((raised.epoch, &*raised.holder), (active.epoch + 1, "you"));
        let next = raised.advanced(Lsn(9));
        let error = ledger.advance(&active, &next).unwrap_err();
        assert!(error.to_string().contains("took over"), "{error}");
        assert_eq!(ledger.advance(&raised, &next).unwrap(), next);
        assert!(ledger.advance(&raised, &next).is_err(), "it has moved");
        assert_eq!(ledger.position("s"), Some(&next));
        ledger.forget("s");
        assert_eq!((ledger.position("s"), ledger.tables("s").len()), (None, 0));
        assert_eq!(ledger.remove_tables("other").len(), 1);
        assert_eq!(ledger, Ledger::new());
    }

    #[test]
    fn it_survives_as_text() {
        let mut ledger = Ledger::new();
        ledger.write_intent(&row(3)).unwrap();
        ledger.add_table("s", &table(1, "a\n\"b\""), true);
        ledger.activate(&row(5)).unwrap();
        ledger.stop_table("s", Oid(1), "why");
        let text = ledger.to_json();
        // What was written before there was a time in it.
        let old = text.replace(r#","source_time":null"#, "");
        assert!(!old.contains("source_time"), "{old}");
        assert_eq!(Ledger::from_json(&old).unwrap(), ledger);
        let held = ledger.position("s").cloned().unwrap();
        let next = PositionRow {
            source_time: walproto::Timestamp::from_unix_micros(1_796_000_000_000_042),
            ..held.advanced(Lsn(6))
        };
        assert_eq!(ledger.advance(&held, &next).unwrap(), next);
        let text = ledger.to_json();
        assert!(!text.contains('\n'));
        assert_eq!(Ledger::from_json(&text).unwrap(), ledger);
        for text in [
            "",
            "{}",
            &text.replace("streaming", "swimming"),
            &text.replace("0/6", "x"),
            &text.replace("2026-11-30 00", "yesterday"),
        ] {
            assert_eq!(Ledger::from_json(text).unwrap_err().exit_code(), 3);
        }
    }
}
