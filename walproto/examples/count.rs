//! Counts the changes of each table in a capture file, as far as they were committed.
//!
//! `cargo run -p walproto --example count --features capture FILE`, with a file that `replicator record` made or one of
//! `testdata/captures`.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::{env, fs};

use walproto::capture::{Body, Reader};
use walproto::{Decoded, Decoder, Frame, Message, Oid, Xid};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: count FILE")?;
    let bytes = fs::read(path)?;
    let mut decoder = Decoder::new();
    let mut count = Count::default();
    for record in Reader::new(&bytes)? {
        match record?.body {
            Body::Session { session, .. } => {
                decoder = session.decoder();
                count.reconnected();
            }
            Body::Frame(frame) => {
                if let Frame::WalData(wal) = Frame::parse(frame)? {
                    count.message(&decoder.decode(wal.data)?);
                }
            }
            _ => {}
        }
    }
    println!(
        "{:>9} {:>9} {:>9} {:>9}  table",
        "insert", "update", "delete", "truncate"
    );
    for (table, [insert, update, delete, truncate]) in count.committed {
        println!("{insert:>9} {update:>9} {delete:>9} {truncate:>9}  {table}");
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Insert,
    Update,
    Delete,
    Truncate,
}

struct Change {
    /// Its (sub)transaction, in a streamed transaction.
    xid: Option<Xid>,
    table: String,
    kind: Kind,
}

#[derive(Default)]
struct Count {
    /// By kind, for each table.
    committed: BTreeMap<String, [u64; 4]>,
    tables: HashMap<Oid, String>,
    /// The transaction that is being sent whole.
    current: Vec<Change>,
    /// The streamed transaction whose block we are in.
    block: Option<Xid>,
    /// Streamed transactions that are still open.
    open: HashMap<Xid, Vec<Change>>,
    /// Prepared ones, by global identifier.
    prepared: HashMap<String, Vec<Change>>,
}

impl Count {
    /// What was not complete comes again, relations included. A prepared transaction does not.
    fn reconnected(&mut self) {
        self.tables.clear();
        self.current.clear();
        self.block = None;
        self.open.clear();
    }

    fn message(&mut self, decoded: &Decoded<'_>) {
        let xid = decoded.xid;
        match decoded.message {
            Message::Relation(relation) => {
                let name = format!("{}.{}", relation.namespace, relation.name);
                self.tables.insert(relation.oid, name);
            }
            Message::Insert(insert) => self.change(xid, insert.relation, Kind::Insert),
            Message::Update(update) => self.change(xid, update.relation, Kind::Update),
            Message::Delete(delete) => self.change(xid, delete.relation, Kind::Delete),
            Message::Truncate(truncate) => {
                for relation in truncate.relations {
                    self.change(xid, relation, Kind::Truncate);
                }
            }

            Message::Commit(_) => {
                let changes = std::mem::take(&mut self.current);
                self.commit(changes);
            }
            Message::Prepare(prepare) => {
                let changes = std::mem::take(&mut self.current);
                self.prepared.insert(prepare.gid.to_owned(), changes);
            }

            Message::StreamStart(start) => {
                self.block = Some(start.xid);
                // A first block means that all of it comes anew.
                if start.first_segment {
                    self.open.remove(&start.xid);
                }
            }
            Message::StreamStop => self.block = None,
            Message::StreamAbort(abort) if abort.subxid == abort.xid => {
                self.open.remove(&abort.xid);
            }
            Message::StreamAbort(abort) => {
                if let Some(changes) = self.open.get_mut(&abort.xid) {
                    changes.retain(|change| change.xid != Some(abort.subxid));
                }
            }
            Message::StreamCommit(commit) => {
                let changes = self.open.remove(&commit.xid).unwrap_or_default();
                self.commit(changes);
            }
            Message::StreamPrepare(prepare) => {
                let changes = self.open.remove(&prepare.xid).unwrap_or_default();
                self.prepared.insert(prepare.gid.to_owned(), changes);
            }

            Message::CommitPrepared(commit) => {
                let changes = self.prepared.remove(commit.gid).unwrap_or_default();
                self.commit(changes);
            }
            Message::RollbackPrepared(rollback) => {
                self.prepared.remove(rollback.gid);
            }
            _ => {}
        }
    }

    fn change(&mut self, xid: Option<Xid>, relation: Oid, kind: Kind) {
        let table = self.tables.get(&relation).cloned();
        let change = Change {
            xid,
            // A file that goes on where another ended may not say.
            table: table.unwrap_or_else(|| format!("oid {relation}")),
            kind,
        };
        match self.block {
            Some(xid) => self.open.entry(xid).or_default().push(change),
            None => self.current.push(change),
        }
    }

    fn commit(&mut self, changes: Vec<Change>) {
        for change in changes {
            let counts = self.committed.entry(change.table).or_default();
            counts[change.kind as usize] += 1;
        }
    }
}
