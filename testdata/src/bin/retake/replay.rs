//! Applies decoded messages to tables in memory, and compares those with what SELECT says.

use std::collections::HashMap;

use testdata::capture::Capture;
use testdata::expected::{Cell, Cells, ColumnDef, Decoder, Message, Old};
use testdata::{Client, Row};

/// A logical message that has taken effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logical {
    pub(crate) lsn: u64,
    pub(crate) prefix: String,
    pub(crate) content: Vec<u8>,
}

/// What a subscriber would hold after the whole capture.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    tables: HashMap<u32, Table>,
    /// Logical messages, transactional ones at their commit.
    pub(crate) messages: Vec<Logical>,
    /// Every committed transaction and its time.
    pub(crate) commits: Vec<(u32, i64)>,
    /// Whether an inserted column came in binary form.
    pub(crate) binary: bool,
    /// How often each kind of message came.
    pub(crate) counts: HashMap<&'static str, usize>,
}

#[derive(Debug)]
struct Table {
    namespace: String,
    name: String,
    columns: Vec<ColumnDef>,
    /// `None` is a value that the stream never showed: that of a column added later.
    rows: Vec<Vec<Option<Cell>>>,
}

type Changes = Vec<(Option<u32>, Message)>;

impl Replay {
    pub(crate) fn of(capture: &Capture) -> Result<Self, String> {
        let mut replay = Self::default();
        let mut decoder = Decoder::new(capture.header.streaming);
        let mut open: Option<Changes> = None;
        let mut preparing = false;
        let mut block: Option<u32> = None;
        let mut streams: HashMap<u32, Changes> = HashMap::new();
        let mut prepared: HashMap<(String, u32), Changes> = HashMap::new();
        for bytes in capture.messages() {
            let (xid, message) = decoder.decode(bytes)?;
            *replay.counts.entry(kind(&message)).or_default() += 1;
            match message {
                Message::Begin {
                    xid, commit_time, ..
                } => {
                    replay.commits.push((xid, commit_time));
                    open = Some(Vec::new());
                }
                Message::BeginPrepare { .. } => {
                    open = Some(Vec::new());
                    preparing = true;
                }
                Message::Commit { .. } => replay.apply(open.take().ok_or("C without B")?)?,
                Message::Prepare { gid, xid, .. } => {
                    preparing = false;
                    prepared.insert((gid, xid), open.take().ok_or("P without b")?);
                }
                Message::StreamPrepare { gid, xid, .. } => {
                    let changes = streams.remove(&xid).ok_or("p without S")?;
                    prepared.insert((gid, xid), changes);
                }
                Message::CommitPrepared {
                    gid,
                    xid,
                    commit_time,
                    ..
                } => {
                    replay.commits.push((xid, commit_time));
                    let changes = prepared.remove(&(gid, xid)).ok_or("K without P")?;
                    replay.apply(changes)?;
                }
                Message::RollbackPrepared { gid, xid, .. } => {
                    prepared.remove(&(gid, xid));
                }
                Message::StreamStart { xid, first_segment } => {
                    if first_segment == streams.contains_key(&xid) {
                        return Err(format!("first_segment={first_segment} for {xid}"));
                    }
                    streams.entry(xid).or_default();
                    block = Some(xid);
                }
                Message::StreamStop => block = None,
                Message::StreamCommit {
                    xid, commit_time, ..
                } => {
                    replay.commits.push((xid, commit_time));
                    replay.apply(streams.remove(&xid).ok_or("c without S")?)?;
                }
                Message::StreamAbort { xid, subxid, .. } if xid == subxid => {
                    streams.remove(&xid);
                }
                Message::StreamAbort { xid, subxid, .. } => {
                    if let Some(changes) = streams.get_mut(&xid) {
                        changes.retain(|(of, _)| *of != Some(subxid));
                    }
                }
                Message::Logical {
                    transactional: false,
                    lsn,
                    prefix,
                    content,
                } => replay.messages.push(Logical {
                    lsn,
                    prefix,
                    content,
                }),
                Message::Origin { .. } | Message::Type { .. } => {}
                // Outside blocks the server takes a definition as known from here on, and sends it to no
                // later transaction: not even while the one it came in is prepared and not committed.
                definition @ Message::Relation { .. } if preparing => {
                    replay.change(definition)?;
                }
                change => {
                    let changes = match block {
                        Some(top) => streams.get_mut(&top),
                        None => open.as_mut(),
                    };
                    let changes = changes.ok_or_else(|| format!("{change:?} out of place"))?;
                    changes.push((xid, change));
                }
            }
        }
        if open.is_some() || block.is_some() || !streams.is_empty() || !prepared.is_empty() {
            return Err("the capture ends inside a transaction".into());
        }
        Ok(replay)
    }

    fn apply(&mut self, changes: Changes) -> Result<(), String> {
        for (_, change) in changes {
            self.change(change)?;
        }
        Ok(())
    }

    fn table(&mut self, oid: u32) -> Result<&mut Table, String> {
        let unknown = || format!("relation {oid} is not known");
        self.tables.get_mut(&oid).ok_or_else(unknown)
    }

    fn change(&mut self, change: Message) -> Result<(), String> {
        match change {
            Message::Relation {
                oid,
                namespace,
                name,
                columns,
                ..
            } => {
                let rows = self.tables.remove(&oid).map(|old| old.moved_to(&columns));
                let table = Table {
                    namespace,
                    name,
                    columns,
                    rows: rows.unwrap_or_default(),
                };
                self.tables.insert(oid, table);
            }
            Message::Insert { relation, new } => {
                if new.contains(&Cell::Unchanged) {
                    return Err(format!("an insert into {relation} leaves a value out"));
                }
                self.binary |= new.iter().any(|cell| matches!(cell, Cell::Binary(_)));
                let row = new.into_iter().map(Some).collect();
                self.table(relation)?.rows.push(row);
            }
            Message::Update { relation, old, new } => {
                let table = self.table(relation)?;
                let place = match &old {
                    Some(old) => table.find(old)?,
                    None => table.find(&Old::Key(new.clone()))?,
                };
                let key = match &old {
                    Some(Old::Key(cells)) => table.with_key(cells),
                    _ => Vec::new(),
                };
                for (at, cell) in new.into_iter().enumerate() {
                    if cell != Cell::Unchanged {
                        table.rows[place][at] = Some(cell);
                    } else if let Some(Some(cell)) = key.get(at) {
                        table.rows[place][at] = Some(cell.clone());
                    }
                }
            }
            Message::Delete { relation, old } => {
                let table = self.table(relation)?;
                let place = table.find(&old)?;
                table.rows.remove(place);
            }
            Message::Truncate { relations, .. } => {
                for oid in relations {
                    self.table(oid)?.rows.clear();
                }
            }
            Message::Logical {
                lsn,
                prefix,
                content,
                ..
            } => self.messages.push(Logical {
                lsn,
                prefix,
                content,
            }),
            other => return Err(format!("{other:?} inside a transaction")),
        }
        Ok(())
    }

    /// Compares every table with its rows on the server; `checks` are names and conditions.
    pub(crate) fn compare(
        &self,
        client: &mut Client,
        binary: bool,
        checks: &[(&str, &str)],
    ) -> Result<(), String> {
        for table in self.tables.values().filter(|table| !table.rows.is_empty()) {
            let known = checks.iter().any(|(name, _)| table.is_called(name));
            if !known {
                return Err(format!("table {} is not compared", table.name));
            }
        }
        for (name, condition) in checks {
            // A dropped table and its successor have one name; only one of them has rows.
            let table = self
                .tables
                .values()
                .filter(|table| table.is_called(name))
                .max_by_key(|table| table.rows.len())
                .ok_or_else(|| format!("the stream never showed {name}"))?;
            table.compare(client, binary, condition)?;
        }
        Ok(())
    }
}

impl Table {
    fn is_called(&self, name: &str) -> bool {
        name == self.name || name == format!("{}.{}", self.namespace, self.name)
    }

    /// Its rows under another definition: values follow the names of their columns.
    fn moved_to(self, columns: &[ColumnDef]) -> Vec<Vec<Option<Cell>>> {
        let places: Vec<_> = columns
            .iter()
            .map(|new| self.columns.iter().position(|old| old.name == new.name))
            .collect();
        let moved = |row: &Vec<Option<Cell>>| {
            let cell = |place: &Option<usize>| place.and_then(|place| row[place].clone());
            places.iter().map(cell).collect()
        };
        self.rows.iter().map(moved).collect()
    }

    fn with_key(&self, cells: &[Cell]) -> Vec<Option<Cell>> {
        let key = self.columns.iter().map(|column| column.key);
        key.zip(cells)
            .map(|(key, cell)| key.then(|| cell.clone()))
            .collect()
    }

    fn find(&self, old: &Old) -> Result<usize, String> {
        let wanted: Vec<Option<Cell>> = match old {
            Old::Full(cells) => cells.iter().cloned().map(Some).collect(),
            Old::Key(cells) => self.with_key(cells),
        };
        if matches!(old, Old::Key(_)) && wanted.iter().all(Option::is_none) {
            return Err(format!("{} has no key", self.name));
        }
        let mut places = (0..self.rows.len()).filter(|&place| same(&self.rows[place], &wanted));
        let place = places
            .next()
            .ok_or_else(|| format!("no row of {} is {old:?}", self.name))?;
        // Equal rows are one as good as the other; a key must have one row.
        if matches!(old, Old::Key(_)) && places.next().is_some() {
            return Err(format!("two rows of {} have the key {old:?}", self.name));
        }
        Ok(place)
    }

    fn compare(&self, client: &mut Client, binary: bool, condition: &str) -> Result<(), String> {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| identifier(&column.name))
            .collect();
        let from = format!(
            "SELECT {} FROM {}.{} WHERE {condition}",
            columns.join(", "),
            identifier(&self.namespace),
            identifier(&self.name),
        );
        let failed = |error| format!("{from}: {error}");
        let text: Vec<Cells> = client
            .query(&from)
            .map_err(failed)?
            .into_iter()
            .map(text_cells)
            .collect();
        let mut left = text;
        if binary {
            let bytes = client
                .copy_out(&format!("COPY ({from}) TO STDOUT (FORMAT binary)"))
                .map_err(failed)?;
            let rows = binary_rows(&bytes).ok_or("COPY sent no rows")?;
            // The server sends a column in binary form where its type has one; its own choice counts.
            for (at, column) in columns.iter().enumerate() {
                let cells = self.rows.iter().filter_map(|row| row[at].as_ref());
                let mut kinds = cells.map(|cell| matches!(cell, Cell::Binary(_)));
                if kinds.any(|binary| binary) {
                    for (row, other) in left.iter_mut().zip(&rows) {
                        row[at] = other.get(at).ok_or_else(|| format!("no {column}"))?.clone();
                    }
                }
            }
        }
        for row in &self.rows {
            let place = left
                .iter()
                .position(|other| {
                    let other: Vec<_> = other.iter().cloned().map(Some).collect();
                    same(row, &other)
                })
                .ok_or_else(|| format!("SELECT on {} does not say {row:?}", self.name))?;
            left.remove(place);
        }
        match left.first() {
            None => Ok(()),
            Some(row) => Err(format!("the stream for {} does not say {row:?}", self.name)),
        }
    }
}

/// Unknown values are like any other.
fn same(a: &[Option<Cell>], b: &[Option<Cell>]) -> bool {
    a.iter()
        .zip(b)
        .all(|(a, b)| a.is_none() || b.is_none() || a == b)
}

fn text_cells(row: Row) -> Cells {
    row.into_iter()
        .map(|value| value.map_or(Cell::Null, |text| Cell::Text(text.into())))
        .collect()
}

/// The rows of `COPY … (FORMAT binary)`.
fn binary_rows(bytes: &[u8]) -> Option<Vec<Cells>> {
    // Signature, flags, length of an extension that is not there.
    let mut rest = bytes.get(19..)?;
    let mut rows = Vec::new();
    loop {
        let (count, after) = rest.split_first_chunk()?;
        rest = after;
        let Ok(count) = u16::try_from(i16::from_be_bytes(*count)) else {
            return Some(rows);
        };
        let mut row = Vec::new();
        for _ in 0..count {
            let (length, after) = rest.split_first_chunk()?;
            rest = after;
            row.push(match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let (value, after) = rest.split_at_checked(length)?;
                    rest = after;
                    Cell::Binary(value.into())
                }
                Err(_) => Cell::Null,
            });
        }
        rows.push(row);
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn kind(message: &Message) -> &'static str {
    match message {
        Message::Begin { .. } => "Begin",
        Message::Commit { .. } => "Commit",
        Message::Origin { .. } => "Origin",
        Message::Relation { .. } => "Relation",
        Message::Type { .. } => "Type",
        Message::Insert { .. } => "Insert",
        Message::Update { .. } => "Update",
        Message::Delete { .. } => "Delete",
        Message::Truncate { .. } => "Truncate",
        Message::Logical { .. } => "Logical",
        Message::StreamStart { .. } => "StreamStart",
        Message::StreamStop => "StreamStop",
        Message::StreamCommit { .. } => "StreamCommit",
        Message::StreamAbort { .. } => "StreamAbort",
        Message::BeginPrepare { .. } => "BeginPrepare",
        Message::Prepare { .. } => "Prepare",
        Message::CommitPrepared { .. } => "CommitPrepared",
        Message::RollbackPrepared { .. } => "RollbackPrepared",
        Message::StreamPrepare { .. } => "StreamPrepare",
    }
}
