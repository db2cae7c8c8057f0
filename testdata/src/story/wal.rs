//! A story as a server has it: records with positions, and what ought to arrive.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Cell, Deed, Step, Story, Table};
use crate::random::{chance_for, number_for};
use crate::writer;

/// A write-ahead log.
#[derive(Debug)]
pub struct Wal {
    /// Its records, in order.
    pub records: Vec<Record>,
    /// Every transaction that has a number, by its number in the story.
    pub transactions: BTreeMap<u32, Transaction>,
    /// Where it begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
}

/// A record.
#[derive(Debug)]
pub struct Record {
    /// Of its step.
    pub id: u32,
    /// Its position.
    pub start: u64,
    /// That of the next.
    pub end: u64,
    /// In which transaction of the story, if in one.
    pub transaction: u32,
    /// What it says.
    pub kind: Kind,
}

/// What a record says.
#[derive(Debug)]
pub enum Kind {
    /// A change of rows, or a message in a transaction.
    Change(Row),
    /// A change of a table's definition, by this (sub)transaction.
    Alter(u32, u32),
    /// A message outside any transaction.
    Loose,
    /// A table is described again.
    Analyze(u32),
    /// Nothing that is published.
    Noise,
    /// These subtransactions are undone.
    Undo(Vec<u32>),
    /// The transaction is prepared.
    Prepare,
    /// It commits, or was prepared and commits now.
    Commit,
    /// It is rolled back, or was prepared and is rolled back now.
    Abort,
}

/// A change, and who made it.
#[derive(Debug)]
pub struct Row {
    /// The (sub)transaction.
    pub xid: u32,
    /// What.
    pub change: Change,
}

/// A change, with its tables as they were there.
#[derive(Debug)]
pub enum Change {
    /// A new row.
    Insert(Arc<Table>, Vec<Cell>),
    /// A changed row, and what it was.
    Update(Arc<Table>, Option<(u8, Vec<Cell>)>, Vec<Cell>),
    /// A row that is gone, and the tag of what is left of it.
    Delete(Arc<Table>, u8, Vec<Cell>),
    /// Emptied tables, and the flags.
    Truncate(Vec<Arc<Table>>, u8),
    /// A logical message.
    Message,
}

/// A transaction with a number.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Its number.
    pub xid: u32,
    /// Where it comes from.
    pub origin: Option<String>,
    /// Its changes, those that were undone included.
    pub changes: Vec<usize>,
    /// Its subtransactions that were undone.
    pub undone: Vec<u32>,
    /// All of its subtransactions.
    pub subtransactions: Vec<u32>,
    /// The record of its prepare, and the name.
    pub prepare: Option<(usize, String)>,
    /// The record of its end, and whether that is a commit.
    pub end: Option<(usize, bool)>,
    /// When that was.
    pub time: i64,
}

impl Transaction {
    /// Whether it is committed.
    pub fn is_committed(&self) -> bool {
        matches!(self.end, Some((_, true)))
    }
}

/// What arrives apart from positions, at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A transaction of the story commits here.
    Commit(u32),
    /// It is prepared here.
    Prepare(u32),
    /// It was prepared and is rolled back here.
    Rollback(u32),
    /// A message outside any transaction.
    Loose,
}

impl Record {
    /// The text of a message, unlike any other.
    pub fn text(&self) -> String {
        format!("said {}", self.id)
    }

    /// The message that a server makes of it, in a stream block with the number; none of what is no change.
    pub fn message(&self, xid: Option<u32>) -> Option<Vec<u8>> {
        let Kind::Change(row) = &self.kind else {
            return None;
        };

        Some(match &row.change {
            Change::Insert(table, new) => writer::insert(xid, table.oid, &values(new)),
            Change::Update(table, old, new) => {
                let old = old.as_ref().map(|(tag, row)| (*tag, values(row)));
                let old = old.as_ref().map(|(tag, row)| (*tag, &row[..]));
                writer::update(xid, table.oid, old, &values(new))
            }
            Change::Delete(table, tag, old) => writer::delete(xid, table.oid, *tag, &values(old)),
            Change::Truncate(tables, flags) => {
                let oids: Vec<_> = tables.iter().map(|table| table.oid).collect();
                writer::truncate(xid, *flags, &oids)
            }
            Change::Message => writer::logical(xid, 1, self.end, "in", self.text().as_bytes()),
        })
    }
}

fn values(row: &[Cell]) -> Vec<writer::Value<'_>> {
    row.iter().map(Cell::value).collect()
}

impl Change {
    /// The tables.
    pub fn tables(&self) -> &[Arc<Table>] {
        match self {
            Self::Insert(table, _) | Self::Update(table, _, _) | Self::Delete(table, _, _) => {
                std::slice::from_ref(table)
            }
            Self::Truncate(tables, _) => tables,
            Self::Message => &[],
        }
    }
}

impl Wal {
    /// The log of a story, from this position on; with some large values if they are wanted.
    pub fn of(story: &Story, start: u64, heavy: bool) -> Self {
        let mut layout = Layout {
            wal: Self {
                records: Vec::new(),
                transactions: BTreeMap::new(),
                start,
                end: start,
            },
            heavy,
            next_xid: 700,
            tables: Table::all().into_iter().map(Arc::new).collect(),
            open: BTreeMap::new(),
            over: Vec::new(),
        };
        story.steps.iter().for_each(|step| layout.step(*step));
        layout.wal
    }

    /// What arrives, in order.
    pub fn items(&self) -> Vec<(usize, Item)> {
        let item = |(at, record): (usize, &Record)| {
            let transaction = record.transaction;
            let item = match record.kind {
                Kind::Loose => Item::Loose,
                Kind::Prepare => Item::Prepare(transaction),
                Kind::Commit => Item::Commit(transaction),
                Kind::Abort if self.transactions[&transaction].prepare.is_some() => {
                    Item::Rollback(transaction)
                }
                _ => return None,
            };
            Some((at, item))
        };
        self.records.iter().enumerate().filter_map(item).collect()
    }

    /// The changes of a transaction that were not undone, in order.
    pub fn surviving(&self, transaction: u32) -> impl Iterator<Item = &Record> {
        let transaction = &self.transactions[&transaction];
        transaction
            .changes
            .iter()
            .map(|at| &self.records[*at])
            .filter(|record| match &record.kind {
                Kind::Change(row) => !transaction.undone.contains(&row.xid),
                _ => false,
            })
    }
}

struct Layout {
    wal: Wal,
    heavy: bool,
    next_xid: u32,
    /// As everybody sees them.
    tables: Vec<Arc<Table>>,
    open: BTreeMap<u32, Open>,
    /// Transactions that ended.
    over: Vec<u32>,
}

/// A transaction that has not ended.
#[derive(Default)]
struct Open {
    /// The transaction itself, and the savepoints in it.
    levels: Vec<Level>,
    origin: bool,
    prepared: bool,
}

/// A (sub)transaction, with those that were released into it.
#[derive(Default)]
struct Level {
    xid: Option<u32>,
    released: Vec<u32>,
    /// Tables used, and whether alone.
    locks: Vec<(usize, bool)>,
    altered: Vec<(usize, Arc<Table>)>,
}

impl Level {
    fn xids(&self) -> impl Iterator<Item = u32> {
        self.xid.into_iter().chain(self.released.iter().copied())
    }
}

impl Layout {
    fn record(&mut self, step: Step, kind: Kind) -> usize {
        let start = self.wal.end;
        self.wal.end += 32 + 8 * number_for(4, step.id.into(), 20);
        self.wal.records.push(Record {
            id: step.id,
            start,
            end: self.wal.end,
            transaction: step.transaction,
            kind,
        });
        self.wal.records.len() - 1
    }

    fn step(&mut self, step: Step) {
        match step.deed {
            Deed::Loose => drop(self.record(step, Kind::Loose)),
            Deed::Noise => drop(self.record(step, Kind::Noise)),
            Deed::Analyze(table) => {
                let oid = self.tables[table].oid;
                self.record(step, Kind::Analyze(oid));
            }
            _ if self.over.contains(&step.transaction) => {}
            _ => {
                let mut open = self.open.remove(&step.transaction).unwrap_or_else(|| Open {
                    levels: vec![Level::default()],
                    ..Open::default()
                });
                if self.go_on(step, &mut open) {
                    self.over.push(step.transaction);
                } else {
                    self.open.insert(step.transaction, open);
                }
            }
        }
    }

    /// Whether the transaction is over.
    fn go_on(&mut self, step: Step, open: &mut Open) -> bool {
        match step.deed {
            Deed::Commit | Deed::Abort => return self.end(step, open),
            _ if open.prepared => return false,
            Deed::Prepare(name) => return self.prepare(step, open, name),
            Deed::Origin => open.origin |= open.levels[0].xid.is_none(),
            Deed::Savepoint => open.levels.push(Level::default()),
            Deed::Release => release(&mut open.levels),
            Deed::RollbackTo(depth) => self.roll_back(step, open, depth),
            Deed::Alter(table) => {
                if self.lock(step, open, table..table + 1, true) {
                    let xid = self.write(step, open);
                    let altered = Arc::new(self.seen(open, table).altered(step.id.into()));
                    let record = self.record(step, Kind::Alter(xid, altered.oid));
                    self.transaction(step).changes.push(record);
                    let level = open.levels.last_mut().expect("there is one");
                    level.altered.push((table, altered));
                }
            }
            _ => self.change(step, open),
        }
        false
    }

    fn change(&mut self, step: Step, open: &mut Open) {
        let about = u64::from(step.id);
        let heavy = self.heavy;
        let (tables, alone) = match step.deed {
            Deed::Insert(table) | Deed::Update(table, _) | Deed::Delete(table) => {
                (table..table + 1, false)
            }
            Deed::Truncate(_, true, _) => (0..self.tables.len(), true),
            Deed::Truncate(table, false, _) => (table..table + 1, true),
            _ => (0..0, false),
        };
        if !self.lock(step, open, tables.clone(), alone) {
            return;
        }
        let seen: Vec<_> = tables.map(|table| self.seen(open, table)).collect();
        let change = match (step.deed, seen.first()) {
            (Deed::Insert(_), Some(table)) => {
                // A row filter makes an insert of an update, with what was not sent in it.
                let unchanged = chance_for(5, about, 5);
                Change::Insert(Arc::clone(table), table.row(about, unchanged, heavy))
            }
            // The source refuses these.
            (Deed::Update(_, _) | Deed::Delete(_), Some(table)) if table.identity == b'n' => return,
            (Deed::Update(_, key), Some(table)) => {
                let old = (key || table.identity == b'f').then(|| table.old(about));
                Change::Update(Arc::clone(table), old, table.row(about + 1, true, heavy))
            }
            (Deed::Delete(_), Some(table)) => {
                let (tag, old) = table.old(about);
                Change::Delete(Arc::clone(table), tag, old)
            }
            (Deed::Truncate(_, _, flags), _) => Change::Truncate(seen, flags),
            _ => Change::Message,
        };
        let xid = self.write(step, open);
        let record = self.record(step, Kind::Change(Row { xid, change }));
        self.transaction(step).changes.push(record);
    }

    /// Locks tables if no other transaction is in the way.
    fn lock(&self, step: Step, open: &mut Open, tables: Range<usize>, alone: bool) -> bool {
        let mut held = self
            .open
            .values()
            .flat_map(|other| &other.levels)
            .flat_map(|level| &level.locks);
        if held.any(|(table, other)| tables.contains(table) && (alone || *other)) {
            return false;
        }
        debug_assert!(!self.open.contains_key(&step.transaction), "it is in hand");
        let level = open.levels.last_mut().expect("there is one");
        level.locks.extend(tables.map(|table| (table, alone)));
        true
    }

    /// A table as a transaction sees it.
    fn seen(&self, open: &Open, table: usize) -> Arc<Table> {
        let mut altered = open.levels.iter().rev();
        let own = altered.find_map(|level| level.altered.iter().rev().find(|it| it.0 == table));
        Arc::clone(own.map_or(&self.tables[table], |(_, own)| own))
    }

    fn transaction(&mut self, step: Step) -> &mut Transaction {
        self.wal.transactions.entry(step.transaction).or_default()
    }

    /// The number of the innermost (sub)transaction; those around it get theirs first.
    fn write(&mut self, step: Step, open: &mut Open) -> u32 {
        let origin = open.origin.then(|| format!("node{}", step.transaction % 3));
        let mut last = 0;
        for (depth, level) in open.levels.iter_mut().enumerate() {
            last = *level.xid.get_or_insert_with(|| {
                let xid = self.next_xid;
                self.next_xid += 1;
                let transaction = self.wal.transactions.entry(step.transaction).or_default();
                if depth == 0 {
                    transaction.xid = xid;
                    transaction.origin.clone_from(&origin);
                } else {
                    transaction.subtransactions.push(xid);
                }
                xid
            });
        }
        last
    }

    fn roll_back(&mut self, step: Step, open: &mut Open, depth: usize) {
        let levels = open.levels.len();
        let Some(kept) = levels.checked_sub(depth + 1).filter(|kept| *kept > 0) else {
            return;
        };
        let undone: Vec<_> = open.levels[kept..].iter().flat_map(Level::xids).collect();
        open.levels.truncate(kept);
        open.levels.push(Level::default());
        if !undone.is_empty() {
            self.transaction(step).undone.extend(&undone);
            self.record(step, Kind::Undo(undone));
        }
    }

    fn prepare(&mut self, step: Step, open: &mut Open, name: u8) -> bool {
        if open.levels[0].xid.is_none() {
            // Of a transaction that wrote nothing nothing is prepared.
            return true;
        }
        let name = ["a", "b/b", ""][usize::from(name % 3)].to_owned();
        let taken = self.wal.transactions.values().any(|other| {
            other.end.is_none() && other.prepare.as_ref().is_some_and(|it| it.1 == name)
        });
        if !taken {
            while open.levels.len() > 1 {
                release(&mut open.levels);
            }
            open.prepared = true;
            let record = self.record(step, Kind::Prepare);
            self.transaction(step).prepare = Some((record, name));
        }
        false
    }

    fn end(&mut self, step: Step, open: &mut Open) -> bool {
        if open.levels[0].xid.is_none() {
            return true;
        }
        let committed = step.deed == Deed::Commit;
        while open.levels.len() > 1 {
            release(&mut open.levels);
        }
        let kind = if committed { Kind::Commit } else { Kind::Abort };
        let record = self.record(step, kind);
        let transaction = self.transaction(step);
        transaction.end = Some((record, committed));
        // That of the origin, if it has one: it may be older than those before it.
        transaction.time =
            i64::try_from(number_for(6, step.transaction.into(), 1 << 40)).expect("small");
        if committed {
            for (table, altered) in open.levels[0].altered.drain(..) {
                self.tables[table] = altered;
            }
        }
        true
    }
}

/// The innermost savepoint becomes a part of what is around it.
fn release(levels: &mut Vec<Level>) {
    if levels.len() > 1
        && let Some(inner) = levels.pop()
        && let Some(outer) = levels.last_mut()
    {
        outer.released.extend(inner.xids());
        outer.locks.extend(inner.locks);
        outer.altered.extend(inner.altered);
    }
}
