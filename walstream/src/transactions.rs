//! Joins messages to whole transactions, for all four protocol versions.
//!
//! Transactions that are sent whole (`B` … `C`) and streamed ones (`S` … `E` blocks, then `c` or `A`) leave here in
//! the same form, in commit order. Pure: messages in, transactions out.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use walproto::{Decoder, Lsn, Message, Timestamp, Xid};

use crate::relations::{Relation, Relations};
use crate::spool::{Contents, Usage};

/// Why a message could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssembleError {
    #[error("the server sent a message that cannot be read")]
    Decode(#[source] walproto::Error),
    #[error("the server sent {what} {place}")]
    OutOfPlace { what: &'static str, place: String },
    #[error("{0}")]
    Contradiction(String),
    #[error("relation {relation} has two columns named {column:?}")]
    ColumnTwice { relation: String, column: String },
    #[error("the server sent {0} of a prepared transaction, which are not supported yet")]
    TwoPhase(&'static str),
    #[error("the spool cannot be written")]
    Spool(#[source] io::Error),
}

/// What a message completed.
#[derive(Debug)]
pub(crate) enum Assembled {
    Transaction(Box<Whole>),
    /// A logical message outside any transaction.
    Message(Standalone),
}

/// A committed transaction with all its changes.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) xid: Xid,
    pub(crate) commit_lsn: Lsn,
    pub(crate) end_lsn: Lsn,
    pub(crate) commit_time: Timestamp,
    pub(crate) origin: Option<Origin>,
    pub(crate) contents: Contents,
    /// Subtransactions that were rolled back; their messages are to be left out.
    pub(crate) aborted: HashSet<Xid>,
    /// The relations before its first change.
    pub(crate) relations: Arc<Relations>,
    /// Reads the messages in `contents`.
    pub(crate) decoder: Decoder,
}

/// A logical message outside any transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standalone {
    pub(crate) lsn: Lsn,
    pub(crate) prefix: String,
    pub(crate) content: Vec<u8>,
}

/// Where a transaction was first written, when it reached this server by replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Commit position on the node that wrote it first; 0/0 for a streamed transaction.
    pub commit_lsn: Lsn,
    /// Name given to `pg_replication_origin_create`.
    pub name: String,
}

/// A transaction that is not complete.
#[derive(Debug)]
struct Part {
    contents: Contents,
    origin: Option<Origin>,
    aborted: HashSet<Xid>,
    /// Relations seen, with the (sub)transaction that carried them.
    relations: Vec<(Option<Xid>, Arc<Relation>)>,
}

#[derive(Debug)]
enum State {
    Idle,
    InTransaction {
        xid: Xid,
        final_lsn: Lsn,
        part: Part,
    },
    InBlock {
        xid: Xid,
        part: Part,
    },
}

/// Keeps open transactions apart until they are whole.
#[derive(Debug)]
pub(crate) struct Assembler {
    decoder: Decoder,
    state: State,
    /// Streamed transactions between their blocks.
    open: HashMap<Xid, Part>,
    /// Relations that count for the next transaction to commit.
    relations: Arc<Relations>,
    last_end: Lsn,
    usage: Arc<Usage>,
    folder: Arc<PathBuf>,
    memory: u64,
}

impl Assembler {
    /// `memory` bounds what all transactions hold in memory; what is beyond lies in `folder`.
    pub(crate) fn new(decoder: Decoder, usage: Arc<Usage>, folder: PathBuf, memory: u64) -> Self {
        Self {
            decoder,
            state: State::Idle,
            open: HashMap::new(),
            relations: Arc::default(),
            last_end: Lsn::ZERO,
            usage,
            folder: Arc::new(folder),
            memory,
        }
    }

    fn part(&self) -> Part {
        Part {
            contents: Contents::new(Arc::clone(&self.usage), Arc::clone(&self.folder)),
            origin: None,
            aborted: HashSet::new(),
            relations: Vec::new(),
        }
    }

    /// Takes the message that came at `lsn`; says what it completed.
    ///
    /// After an error nothing may be fed any more: the stream cannot be understood from there.
    pub(crate) fn receive(
        &mut self,
        lsn: Lsn,
        bytes: &[u8],
    ) -> Result<Option<Assembled>, AssembleError> {
        let decoded = self.decoder.decode(bytes).map_err(AssembleError::Decode)?;
        match decoded.message {
            Message::Insert(_)
            | Message::Update(_)
            | Message::Delete(_)
            | Message::Truncate(_)
            | Message::Type(_) => {
                self.current("a change")?
                    .contents
                    .push(lsn, bytes)
                    .map_err(AssembleError::Spool)?;
            }
            Message::Relation(wire) => {
                let relation =
                    Relation::read(&wire).map_err(|column| AssembleError::ColumnTwice {
                        relation: format!("{}.{}", wire.namespace, wire.name),
                        column: column.to_owned(),
                    })?;
                let part = self.current("a relation")?;
                part.relations.push((decoded.xid, Arc::new(relation)));
                part.contents
                    .push(lsn, bytes)
                    .map_err(AssembleError::Spool)?;
            }
            Message::Logical(message) if message.transactional => {
                self.current("a transactional message")?
                    .contents
                    .push(lsn, bytes)
                    .map_err(AssembleError::Spool)?;
            }
            Message::Logical(message) => {
                return Ok(Some(Assembled::Message(Standalone {
                    lsn: message.lsn,
                    prefix: message.prefix.to_owned(),
                    content: message.content.to_owned(),
                })));
            }
            Message::Origin(origin) => {
                let part = self.current("an origin")?;
                if part.origin.is_some() || !part.contents.is_empty() {
                    return Err(out_of_place(
                        "an origin",
                        "behind the beginning of a transaction",
                    ));
                }
                part.origin = Some(Origin {
                    commit_lsn: origin.commit_lsn,
                    name: origin.name.to_owned(),
                });
            }
            Message::Begin(begin) => {
                self.expect_idle("a begin")?;
                let part = self.part();
                self.state = State::InTransaction {
                    xid: begin.xid,
                    final_lsn: begin.final_lsn,
                    part,
                };
            }
            Message::Commit(commit) => {
                let State::InTransaction {
                    xid,
                    final_lsn,
                    part,
                } = std::mem::replace(&mut self.state, State::Idle)
                else {
                    return Err(out_of_place("a commit", "without a begin"));
                };
                if commit.commit_lsn != final_lsn {
                    return Err(AssembleError::Contradiction(format!(
                        "transaction {xid} was to commit at {final_lsn} and committed at {}",
                        commit.commit_lsn
                    )));
                }
                let ends = (commit.commit_lsn, commit.end_lsn, commit.commit_time);
                return self.complete(xid, ends, part, false).map(Some);
            }
            Message::StreamStart(start) => {
                self.expect_idle("a stream start")?;
                let known = self.open.remove(&start.xid);
                let part = match (start.first_segment, known) {
                    // Sent from the beginning once more: what we have is of no use.
                    (true, _) => self.part(),
                    (false, Some(part)) => part,
                    (false, None) => {
                        return Err(AssembleError::Contradiction(format!(
                            "transaction {} goes on, but its first block never came",
                            start.xid
                        )));
                    }
                };
                self.state = State::InBlock {
                    xid: start.xid,
                    part,
                };
            }
            Message::StreamStop => {
                let State::InBlock { xid, part } = std::mem::replace(&mut self.state, State::Idle)
                else {
                    return Err(out_of_place("a stream stop", "outside a stream block"));
                };
                self.open.insert(xid, part);
            }
            Message::StreamCommit(commit) => {
                self.expect_idle("a stream commit")?;
                let Some(part) = self.open.remove(&commit.xid) else {
                    return Err(AssembleError::Contradiction(format!(
                        "streamed transaction {} committed, but no block of it came",
                        commit.xid
                    )));
                };
                let ends = (commit.commit_lsn, commit.end_lsn, commit.commit_time);
                return self.complete(commit.xid, ends, part, true).map(Some);
            }
            Message::StreamAbort(abort) => {
                self.expect_idle("a stream abort")?;
                // Either may be unknown: nothing of it was sent, or it was dropped before.
                if abort.xid == abort.subxid {
                    self.open.remove(&abort.xid);
                } else if let Some(part) = self.open.get_mut(&abort.xid) {
                    part.aborted.insert(abort.subxid);
                    part.relations.retain(|(xid, _)| *xid != Some(abort.subxid));
                }
            }
            Message::BeginPrepare(_) => return Err(AssembleError::TwoPhase("the changes")),
            Message::Prepare(_) | Message::StreamPrepare(_) => {
                return Err(AssembleError::TwoPhase("the end"));
            }
            Message::CommitPrepared(_) => return Err(AssembleError::TwoPhase("the commit")),
            Message::RollbackPrepared(_) => return Err(AssembleError::TwoPhase("the rollback")),
            _ => return Err(out_of_place("a message", "that this client does not know")),
        }
        if self.usage.memory() > self.memory {
            self.spill_largest()?;
        }
        Ok(None)
    }

    fn current(&mut self, what: &'static str) -> Result<&mut Part, AssembleError> {
        match &mut self.state {
            State::InTransaction { part, .. } | State::InBlock { part, .. } => Ok(part),
            State::Idle => Err(out_of_place(what, "outside any transaction")),
        }
    }

    fn expect_idle(&self, what: &'static str) -> Result<(), AssembleError> {
        match &self.state {
            State::Idle => Ok(()),
            State::InTransaction { xid, .. } => {
                Err(out_of_place(what, &format!("inside transaction {xid}")))
            }
            State::InBlock { xid, .. } => Err(out_of_place(
                what,
                &format!("inside a stream block of {xid}"),
            )),
        }
    }

    fn complete(
        &mut self,
        xid: Xid,
        (commit_lsn, end_lsn, commit_time): (Lsn, Lsn, Timestamp),
        part: Part,
        streamed: bool,
    ) -> Result<Assembled, AssembleError> {
        if end_lsn <= self.last_end || end_lsn <= commit_lsn {
            return Err(AssembleError::Contradiction(format!(
                "transaction {xid} committed at {commit_lsn} and ended at {end_lsn}, after one that ended at {}",
                self.last_end
            )));
        }
        self.last_end = end_lsn;
        let before = Arc::clone(&self.relations);
        if !part.relations.is_empty() {
            // From the commit on the server takes these as known to us for every transaction.
            let relations = Arc::make_mut(&mut self.relations);
            part.relations
                .into_iter()
                .for_each(|(_, relation)| relations.put(relation));
        }
        Ok(Assembled::Transaction(Box::new(Whole {
            xid,
            commit_lsn,
            end_lsn,
            commit_time,
            origin: part.origin,
            contents: part.contents,
            aborted: part.aborted,
            relations: before,
            decoder: self.decoder.inside_block(streamed),
        })))
    }

    /// Moves the memory of the largest incomplete transaction to its file, unless that would hardly help.
    fn spill_largest(&mut self) -> Result<(), AssembleError> {
        const WORTH_IT: usize = 64 * 1024;
        let current = match &mut self.state {
            State::InTransaction { part, .. } | State::InBlock { part, .. } => Some(part),
            State::Idle => None,
        };
        let largest = self
            .open
            .values_mut()
            .chain(current)
            .max_by_key(|part| part.contents.in_memory());
        match largest {
            Some(part) if part.contents.in_memory() >= WORTH_IT => {
                part.contents.spill().map_err(AssembleError::Spool)
            }
            _ => Ok(()),
        }
    }
}

fn out_of_place(what: &'static str, place: &str) -> AssembleError {
    AssembleError::OutOfPlace {
        what,
        place: place.to_owned(),
    }
}

#[cfg(test)]
mod tests;
