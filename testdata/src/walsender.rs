//! What a server sends of a made-up WAL over one connection, from wherever it is asked to start.
//!
//! After reorderbuffer.c, decode.c and pgoutput.c: transactions that commit before the start are left out, those that
//! were prepared before it too, but not the end of a prepared one behind it; relations are described when they are
//! first used on the connection and after every change. What a server decides by its memory, when to stream a
//! transaction and how much of it, is decided at random here, and differs from one connection to the next.

mod ends;

use std::collections::{BTreeMap, HashMap};

use crate::random::{chance_for, number_for};
use crate::story::{Change, Kind, Record, Table, Wal};
use crate::writer;

/// What the client asked for, and what kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Transactions may be streamed before they end.
    pub streaming: bool,
    /// Aborts of streamed transactions have a position.
    pub parallel: bool,
    /// Logical messages are sent.
    pub messages: bool,
    /// From here on transactions are prepared; without it they come when they commit.
    pub two_phase_at: Option<u64>,
    /// Transactions with nothing in them are sent, as 14 does.
    pub empty: bool,
    /// How often in a hundred changes something is streamed.
    pub eager: u64,
    /// A transaction may be streamed from its beginning once more, which the protocol allows and no server does.
    pub again: bool,
}

/// One frame, ready for the socket.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The CopyData message.
    pub bytes: Vec<u8>,
    /// What it is.
    pub name: &'static str,
    /// What else is remarkable about it.
    pub also: Option<&'static str>,
    /// Everything in the WAL before it has been sent.
    pub sent: u64,
    /// The record of which it is the last frame, if that is the end of something.
    pub ends: Option<usize>,
    /// Whether it lies inside a transaction or a stream block, and the next one will too.
    pub inside: bool,
}

/// Everything that is sent, from the first to the last record; `salt` is another one for each connection.
pub fn frames(wal: &Wal, options: Options, start: u64, salt: u64) -> Vec<Frame> {
    let mut sender = Sender {
        wal,
        options,
        start,
        salt,
        sent: wal.start,
        frames: Vec::new(),
        open: BTreeMap::new(),
        known: HashMap::new(),
        described: HashMap::new(),
        inside: false,
    };
    for (at, record) in wal.records.iter().enumerate() {
        sender.decode(at, record);
        sender.sent = record.end;
        if sender.chance(10, record, 12) {
            sender.keepalive(record);
        }
    }
    sender.frames
}

struct Sender<'a> {
    wal: &'a Wal,
    options: Options,
    start: u64,
    salt: u64,
    sent: u64,
    frames: Vec<Frame>,
    open: BTreeMap<u32, Buffer>,
    /// By oid.
    known: HashMap<u32, Known>,
    /// As it was described last, by oid.
    described: HashMap<u32, &'a Table>,
    inside: bool,
}

/// What has been decoded of a transaction and not sent.
#[derive(Default)]
struct Buffer {
    waiting: Vec<usize>,
    sent: Vec<usize>,
    streamed: bool,
    prepared: bool,
}

/// Where a relation has been described.
#[derive(Default)]
struct Known {
    /// To everybody.
    global: bool,
    /// To these streamed transactions.
    streams: Vec<u32>,
}

impl<'a> Sender<'a> {
    fn chance(&self, kind: u64, record: &Record, percent: u64) -> bool {
        chance_for(self.salt + kind, record.id.into(), percent)
    }

    fn decode(&mut self, at: usize, record: &'a Record) {
        let transaction = record.transaction;
        let wanted = record.start >= self.start;
        match &record.kind {
            Kind::Change(_) | Kind::Alter(_, _) => {
                if !self.options.messages && is_message(record) {
                    return;
                }
                self.open.entry(transaction).or_default().waiting.push(at);
                if wanted && self.options.streaming && self.chance(11, record, self.options.eager) {
                    // The largest, as far as anybody knows.
                    let number = number_for(self.salt + 12, record.id.into(), 3);
                    let mut largest = transaction;
                    if number == 0 {
                        let open = self.open.iter().filter(|it| !it.1.prepared);
                        let most = open.max_by_key(|it| it.1.waiting.len());
                        largest = most.map_or(transaction, |most| *most.0);
                    }
                    self.block(largest, record);
                }
            }
            Kind::Loose if wanted && self.options.messages => {
                let text = record.text();
                let message = writer::logical(None, 0, record.end, "out", text.as_bytes());
                self.frame("message outside", record.end, record, &message);
                self.ends(at);
            }
            Kind::Loose | Kind::Noise => {}
            Kind::Analyze(oid) => self.forget(*oid),
            Kind::Undo(xids) => self.undo(record, xids),
            Kind::Prepare => self.prepare(at, record),
            Kind::Commit => self.commit(at, record),
            Kind::Abort => self.abort(at, record),
        }
    }

    /// Streams what waits of a transaction.
    fn block(&mut self, transaction: u32, trigger: &Record) {
        let model = &self.wal.transactions[&transaction];
        let Some(buffer) = self.open.get_mut(&transaction) else {
            return;
        };
        let mut waiting = std::mem::take(&mut buffer.waiting);
        let again = self.options.again
            && buffer.streamed
            && chance_for(self.salt + 13, trigger.id.into(), 8);
        if again {
            let sent = std::mem::take(&mut buffer.sent);
            waiting.splice(0..0, sent);
        }
        let first = again || !std::mem::replace(&mut buffer.streamed, true);
        if again {
            for known in self.known.values_mut() {
                known.streams.retain(|stream| *stream != transaction);
            }
        }
        let origin = model.origin.as_deref().filter(|_| first);
        let begins = waiting.first().map(|at| self.wal.records[*at].start);
        let name = match (first, again) {
            (true, true) => "stream start again from the beginning",
            (true, false) => "first stream start",
            (false, _) => "later stream start",
        };
        let lsn = begins.filter(|_| origin.is_none()).unwrap_or(0);
        self.inside = true;
        let start = writer::stream_start(model.xid, u8::from(first));
        self.frame(name, lsn, trigger, &start);
        if let Some(origin) = origin {
            self.frame("origin in a stream", 0, trigger, &writer::origin(0, origin));
        }
        let mut last = lsn;
        let mut any = false;
        let mut waiting = waiting.into_iter();
        while let Some(at) = waiting.next() {
            let record = &self.wal.records[at];
            // A transaction that is seen to have aborted is left where it is.
            if self.is_doomed(transaction, record) && self.chance(14, record, 10) {
                self.cut_short();
                // What it changed of definitions counts all the same for what comes of it later.
                let records = &self.wal.records;
                let rest = [at].into_iter().chain(waiting.by_ref());
                let altered = rest.filter(|at| matches!(records[*at].kind, Kind::Alter(_, _)));
                if let Some(buffer) = self.open.get_mut(&transaction) {
                    buffer.sent.extend(altered);
                }
                break;
            }
            let xid = match &record.kind {
                Kind::Change(row) if is_message(record) => Some((model.xid, row.xid)),
                Kind::Change(row) => Some((row.xid, row.xid)),
                _ => None,
            };
            any |= xid.is_some();
            last = record.start;
            self.change(transaction, record, xid.map(|xid| xid.0), true);
            if let Some(buffer) = self.open.get_mut(&transaction) {
                buffer.sent.push(at);
            }
        }
        self.inside = false;
        let name = if any { "stream stop" } else { "empty block" };
        self.frame(name, last, trigger, &writer::stream_stop());
        self.forget_altered(transaction);
    }

    /// Whether what a record did is undone later.
    fn is_doomed(&self, transaction: u32, record: &Record) -> bool {
        let model = &self.wal.transactions[&transaction];
        let aborted = matches!(model.end, Some((_, false)));
        let undone = match &record.kind {
            Kind::Change(row) => model.undone.contains(&row.xid),
            Kind::Alter(xid, _) => model.undone.contains(xid),
            _ => false,
        };
        aborted || undone
    }

    /// One change with the relations that it needs.
    fn change(&mut self, transaction: u32, record: &'a Record, xid: Option<u32>, block: bool) {
        let row = match &record.kind {
            Kind::Change(row) => row,
            Kind::Alter(_, oid) => return self.forget(*oid),
            _ => return,
        };
        for table in row.change.tables() {
            let known = self.known.entry(table.oid).or_default();
            let described = if block {
                known.streams.contains(&transaction)
            } else {
                known.global
            };
            if !described {
                if block {
                    known.streams.push(transaction);
                } else {
                    known.global = true;
                }
                self.describe(table, record, xid.filter(|_| block));
            }
        }
        let xid = xid.filter(|_| block);
        if let Some(message) = record.message(xid) {
            let lsn = if is_message(record) {
                record.end
            } else {
                record.start
            };
            self.frame(name_of(&row.change), lsn, record, &message);
        }
    }

    fn describe(&mut self, table: &'a Table, record: &Record, xid: Option<u32>) {
        for column in table.columns.iter().filter(|it| it.type_oid >= 10_000) {
            let message = writer::r#type(xid, column.type_oid, "public", "mood");
            self.frame("type", 0, record, &message);
        }
        let name = match self.described.insert(table.oid, table) {
            Some(before) if before != table => "relation that has changed",
            Some(_) => "relation once more",
            None => "relation",
        };
        self.frame(name, 0, record, &table.message(xid));
    }

    /// A relation must be described again.
    fn forget(&mut self, oid: u32) {
        self.known.remove(&oid);
    }

    /// After a part of a transaction its changes of definitions count for nobody else.
    fn forget_altered(&mut self, transaction: u32) {
        for at in &self.wal.transactions[&transaction].changes {
            if let Kind::Alter(_, oid) = self.wal.records[*at].kind {
                self.forget(oid);
            }
        }
    }

    fn ends(&mut self, at: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.ends = Some(at);
        }
    }

    /// Whether others were prepared under the same name before.
    fn note_name(&mut self, transaction: u32) {
        let name = |number| {
            let prepare = self.wal.transactions.get(number)?.prepare.as_ref()?;
            Some((prepare.0, &*prepare.1))
        };
        let this = name(&transaction);
        let before = |number| name(number).is_some_and(|it| it.0 < this.map_or(0, |it| it.0));
        let mut all = self.wal.transactions.keys();
        let again =
            all.any(|number| before(number) && name(number).map(|it| it.1) == this.map(|it| it.1));
        if again && let Some(frame) = self.frames.last_mut() {
            frame.also = Some("a name of a prepared transaction that is used again");
        }
    }

    /// What follows was seen to have aborted, and is not sent.
    fn cut_short(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.also = Some("a part that ends early, as it has aborted");
        }
    }

    fn frame(&mut self, name: &'static str, lsn: u64, record: &Record, message: &[u8]) {
        let frame = writer::wal_data(lsn, lsn, 0, message);
        self.push(name, &frame);
        let about = u64::from(record.id) << 32 | self.frames.len() as u64;
        if chance_for(self.salt + 23, about, 3) {
            self.keepalive(record);
        }
    }

    fn keepalive(&mut self, record: &Record) {
        let asks = self.chance(24, record, 40);
        let name = match (asks, self.inside) {
            (true, _) => "keepalive that asks",
            (false, true) => "keepalive inside",
            (false, false) => "keepalive",
        };
        let frame = writer::keepalive(self.sent, 0, u8::from(asks));
        self.push(name, &frame);
    }

    fn push(&mut self, name: &'static str, frame: &[u8]) {
        self.frames.push(Frame {
            bytes: copy_data(frame),
            name,
            also: None,
            sent: self.sent,
            ends: None,
            inside: self.inside,
        });
    }
}

/// A frame as it is on the socket.
pub fn copy_data(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len() + 4).expect("a frame is smaller than 4 GiB");
    [b"d", &length.to_be_bytes()[..], frame].concat()
}

fn is_message(record: &Record) -> bool {
    matches!(&record.kind, Kind::Change(row) if matches!(row.change, Change::Message))
}

fn name_of(change: &Change) -> &'static str {
    match change {
        Change::Insert(_, _) => "insert",
        Change::Update(_, None, _) => "update",
        Change::Update(_, Some((b'O', _)), _) => "update with the old row",
        Change::Update(_, _, _) => "update with the old key",
        Change::Delete(_, b'O', _) => "delete by the old row",
        Change::Delete(_, _, _) => "delete by key",
        Change::Truncate(tables, _) if tables.len() > 1 => "truncate of several",
        Change::Truncate(_, _) => "truncate",
        Change::Message => "message inside",
    }
}

#[cfg(test)]
mod tests;
