//! Joins messages to whole transactions, for all four protocol versions.
//!
//! Transactions that are sent whole (`B` … `C`), streamed (`S` … `E` blocks, then `c` or `A`) and prepared (`b` … `P`
//! or blocks and `p`, then `K` or `r`) leave here in the same form, in commit order; if asked for, prepared ones at
//! their prepare and streamed ones in pieces. Pure: messages in, transactions out.

mod assembled;
mod held;
mod part;
mod state;

use std::collections::HashMap;
use std::sync::Arc;

use walproto::{Decoded, Decoder, Logical, Lsn, Message, StreamStart, Xid};

pub use assembled::Origin;
pub(crate) use assembled::{Assembled, Body, Ended, Piece, Prepare, RolledBack, Standalone, Whole};

use crate::delivery::{Delivery, PreparedDelivery, StreamedDelivery};
use crate::event::StreamAbort;
use crate::relations::{Relation, Relations};
use crate::spool::{Contents, Folder, Usage};
use held::Held;
use part::Part;
pub(crate) use state::AssembleError;
use state::{Prepared, State, id};

type Result<T, E = AssembleError> = std::result::Result<T, E>;

/// Keeps open transactions apart until they are whole.
#[derive(Debug)]
pub(crate) struct Assembler {
    decoder: Decoder,
    delivery: Delivery,
    state: State,
    /// Streamed transactions between their blocks.
    open: HashMap<Xid, Part>,
    /// Prepared transactions that wait for their end here.
    held: Held,
    /// Relations that count for the next transaction to commit.
    relations: Arc<Relations>,
    last_end: Lsn,
    usage: Arc<Usage>,
    folder: Arc<Folder>,
    memory: u64,
}

impl Assembler {
    /// `memory` bounds what all transactions hold in memory; what is beyond lies in `folder`.
    pub(crate) fn new(
        decoder: Decoder,
        delivery: Delivery,
        usage: Arc<Usage>,
        folder: impl Into<Folder>,
        memory: u64,
    ) -> Self {
        Self {
            decoder,
            delivery,
            state: State::Idle,
            open: HashMap::new(),
            held: Held::default(),
            relations: Arc::default(),
            last_end: Lsn::ZERO,
            usage,
            folder: Arc::new(folder.into()),
            memory,
        }
    }

    /// Transactions of which pieces were handed over, and that have not ended.
    pub(crate) fn in_pieces(&self) -> Vec<Xid> {
        let current = match &self.state {
            State::InBlock { part } => Some(part),
            _ => None,
        };
        let open = self.open.values().chain(current);
        let mut xids: Vec<Xid> = open
            .filter(|part| part.handed())
            .map(|part| part.xid)
            .chain(self.held.handed())
            .collect();
        xids.sort_unstable_by_key(|xid| xid.0);
        xids
    }

    /// Takes the message that came at `lsn`; says what it completed.
    ///
    /// After an error nothing may be fed any more: the stream cannot be understood from there.
    pub(crate) fn receive(&mut self, lsn: Lsn, bytes: &[u8]) -> Result<Option<Assembled>> {
        let decoded = self.decoder.decode(bytes).map_err(AssembleError::Decode)?;
        let Decoded { xid, message, .. } = decoded;
        match message {
            Message::Insert(_) | Message::Update(_) | Message::Delete(_) | Message::Truncate(_) => {
                self.current("a change")?
                    .push(lsn, xid, bytes)
                    .map_err(AssembleError::Spool)?;
                return self.pushed();
            }
            Message::Type(_) => {
                // Between transactions it belongs to none; the server sends it again where it is used.
                if let State::Idle = self.state {
                    return Ok(None);
                }
                self.current("a type")?
                    .push(lsn, xid, bytes)
                    .map_err(AssembleError::Spool)?;
                return self.pushed();
            }
            Message::Relation(wire) => {
                let relation = relation(&wire)?;
                if let State::Idle = self.state {
                    Arc::make_mut(&mut self.relations).put(Arc::new(relation));
                    return Ok(None);
                }
                let part = self.current("a relation")?;
                part.push(lsn, xid, bytes).map_err(AssembleError::Spool)?;
                part.relation(xid, relation);
                return self.pushed();
            }
            Message::Logical(message) if message.transactional => {
                self.current("a transactional message")?
                    .push(lsn, xid, bytes)
                    .map_err(AssembleError::Spool)?;
                return self.pushed();
            }
            Message::Logical(message) => return Ok(Some(standalone(&message))),
            Message::Origin(origin) => self.origin(origin)?,
            Message::Begin(begin) => {
                self.expect_idle("a begin")?;
                self.state = State::InTransaction {
                    part: Part::new(begin.xid, self.contents(), lsn, false),
                    final_lsn: begin.final_lsn,
                };
            }
            Message::Commit(commit) => {
                let (part, final_lsn) = match self.leave() {
                    State::InTransaction { part, final_lsn } => (part, final_lsn),
                    other => return Err(other.out_of_place("a commit")),
                };
                if commit.commit_lsn != final_lsn {
                    return Err(AssembleError::Contradiction(format!(
                        "transaction {} was to commit at {final_lsn} and committed at {}",
                        part.xid, commit.commit_lsn
                    )));
                }
                let ended = Ended {
                    xid: part.xid,
                    commit_lsn: commit.commit_lsn,
                    end_lsn: commit.end_lsn,
                    commit_time: commit.commit_time,
                    first: part.first,
                };
                self.order(&ended)?;
                return Ok(Some(self.whole(part, ended, false)));
            }
            Message::StreamStart(start) => return self.block(start, lsn),
            Message::StreamStop => {
                let mut part = match self.leave() {
                    State::InBlock { part } => part,
                    other => return Err(other.out_of_place("a stream stop")),
                };
                part.fresh = false;
                let piece = part.cut(self.contents(), self.decoder.inside_block(true));
                self.open.insert(part.xid, part);
                return Ok(piece.map(|piece| Assembled::Piece(Box::new(piece))));
            }
            Message::StreamCommit(commit) => {
                let part = self.streamed("a stream commit", commit.xid, "committed")?;
                let ended = Ended {
                    xid: commit.xid,
                    commit_lsn: commit.commit_lsn,
                    end_lsn: commit.end_lsn,
                    commit_time: commit.commit_time,
                    first: part.first,
                };
                self.order(&ended)?;
                return Ok(Some(self.whole(part, ended, true)));
            }
            Message::StreamAbort(abort) => {
                self.expect_idle("a stream abort")?;
                return Ok(self.abort(abort.xid, abort.subxid).map(Assembled::Abort));
            }
            Message::BeginPrepare(begin) => {
                self.expect_idle("a begin of a prepared transaction")?;
                self.state = State::InPrepare {
                    part: Part::new(begin.xid, self.contents(), lsn, false),
                    announced: Prepared {
                        id: id(begin.gid, begin.xid, begin.end_lsn),
                        lsn: begin.prepare_lsn,
                        time: begin.prepare_time,
                    },
                };
            }
            Message::Prepare(prepare) => {
                let (part, announced) = match self.leave() {
                    State::InPrepare { part, announced } => (part, announced),
                    other => return Err(other.out_of_place("a prepare")),
                };
                let prepared = Prepared {
                    id: id(prepare.gid, prepare.xid, prepare.end_lsn),
                    lsn: prepare.prepare_lsn,
                    time: prepare.prepare_time,
                };
                if prepared != announced {
                    return Err(AssembleError::Contradiction(format!(
                        "{announced} was announced and {prepared} came"
                    )));
                }
                return self.prepare(part, prepared, false).map(Some);
            }
            Message::StreamPrepare(prepare) => {
                let part = self.streamed("a stream prepare", prepare.xid, "was prepared")?;
                let prepared = Prepared {
                    id: id(prepare.gid, prepare.xid, prepare.end_lsn),
                    lsn: prepare.prepare_lsn,
                    time: prepare.prepare_time,
                };
                return self.prepare(part, prepared, true).map(Some);
            }
            Message::CommitPrepared(commit) => {
                self.expect_idle("a commit of a prepared transaction")?;
                let ended = Ended {
                    xid: commit.xid,
                    commit_lsn: commit.commit_lsn,
                    end_lsn: commit.end_lsn,
                    commit_time: commit.commit_time,
                    first: Lsn::ZERO,
                };
                self.order(&ended)?;
                return self.held.commit(commit.gid, ended).map(Some);
            }
            Message::RollbackPrepared(rollback) => {
                self.expect_idle("a rollback of a prepared transaction")?;
                let rolled_back = RolledBack {
                    id: id(rollback.gid, rollback.xid, rollback.prepare_end_lsn),
                    end_lsn: rollback.rollback_end_lsn,
                    time: rollback.rollback_time,
                };
                self.order_end(
                    &format_args!("prepared transaction {} was rolled back", rollback.xid),
                    rollback.rollback_end_lsn,
                )?;
                return Ok(Some(self.held.roll_back(rolled_back)));
            }
            _ => {
                return Err(AssembleError::OutOfPlace {
                    what: "a message",
                    place: "that this client does not know".to_owned(),
                });
            }
        }
        Ok(None)
    }

    fn contents(&self) -> Contents {
        Contents::new(Arc::clone(&self.usage), Arc::clone(&self.folder))
    }

    fn leave(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Idle)
    }

    fn current(&mut self, what: &'static str) -> Result<&mut Part> {
        match &mut self.state {
            State::InTransaction { part, .. }
            | State::InPrepare { part, .. }
            | State::InBlock { part } => Ok(part),
            State::Idle => Err(State::Idle.out_of_place(what)),
        }
    }

    fn expect_idle(&self, what: &'static str) -> Result<()> {
        match &self.state {
            State::Idle => Ok(()),
            other => Err(other.out_of_place(what)),
        }
    }

    /// Something was put into the current transaction, which may be too large now.
    fn pushed(&mut self) -> Result<Option<Assembled>> {
        if let State::InBlock { part } = &self.state
            && part.is_due()
        {
            let (decoder, empty) = (self.decoder, self.contents());
            let piece = self.current("a change")?.cut(empty, decoder);
            return Ok(piece.map(|piece| Assembled::Piece(Box::new(piece))));
        }
        if self.usage.memory() > self.memory {
            self.spill_largest()?;
        }
        Ok(None)
    }

    fn origin(&mut self, origin: walproto::Origin<'_>) -> Result<()> {
        let part = self.current("an origin")?;
        if !part.fresh {
            return Err(AssembleError::OutOfPlace {
                what: "an origin",
                place: format!(
                    "in transaction {}, not right behind its beginning",
                    part.xid
                ),
            });
        }
        part.fresh = false;
        part.origin = Some(Origin {
            commit_lsn: origin.commit_lsn,
            name: origin.name.to_owned(),
        });
        Ok(())
    }

    fn block(&mut self, start: StreamStart, lsn: Lsn) -> Result<Option<Assembled>> {
        self.expect_idle("a stream start")?;
        let xid = start.xid;
        let (mut part, gone) = match (start.first_segment, self.open.remove(&xid)) {
            // Sent from the beginning once more: what we have is of no use.
            (true, known) => {
                if known.is_some() {
                    tracing::warn!(%xid, "the server began a streamed transaction again");
                }
                let in_pieces = self.delivery.streamed == StreamedDelivery::AsReceived;
                let gone = known.is_some_and(|part| part.handed());
                (Part::new(xid, self.contents(), lsn, in_pieces), gone)
            }
            (false, Some(part)) => (part, false),
            (false, None) => {
                return Err(AssembleError::Contradiction(format!(
                    "transaction {xid} goes on, but its first block never came"
                )));
            }
        };
        part.resume(&self.relations);
        self.state = State::InBlock { part };
        Ok(gone.then_some(Assembled::Abort(StreamAbort {
            xid,
            savepoint: None,
        })))
    }

    /// Takes a streamed transaction that ends.
    fn streamed(&mut self, what: &'static str, xid: Xid, how: &str) -> Result<Part> {
        self.expect_idle(what)?;
        self.open.remove(&xid).ok_or_else(|| {
            AssembleError::Contradiction(format!(
                "streamed transaction {xid} {how}, but no block of it came"
            ))
        })
    }

    /// Either may be unknown: nothing of it was sent, or it was dropped before.
    fn abort(&mut self, xid: Xid, subxid: Xid) -> Option<StreamAbort> {
        let (handed, savepoint) = if xid == subxid {
            (self.open.remove(&xid)?.handed(), None)
        } else {
            (self.open.get_mut(&xid)?.abort(subxid), Some(subxid))
        };
        handed.then_some(StreamAbort { xid, savepoint })
    }

    /// A commit must lie behind everything that ended before.
    fn order(&mut self, ended: &Ended) -> Result<()> {
        let Ended {
            xid,
            commit_lsn,
            end_lsn,
            ..
        } = *ended;
        if end_lsn <= commit_lsn {
            return Err(AssembleError::Contradiction(format!(
                "transaction {xid} committed at {commit_lsn} and ended at {end_lsn}"
            )));
        }
        self.order_end(
            &format_args!("transaction {xid} committed at {commit_lsn}"),
            end_lsn,
        )
    }

    fn order_end(&mut self, what: &dyn std::fmt::Display, end_lsn: Lsn) -> Result<()> {
        if end_lsn <= self.last_end {
            return Err(AssembleError::Contradiction(format!(
                "{what} and ended at {end_lsn}, after one that ended at {}",
                self.last_end
            )));
        }
        self.last_end = end_lsn;
        Ok(())
    }

    fn whole(&mut self, part: Part, ended: Ended, streamed: bool) -> Assembled {
        if part.pieces.is_some() {
            let handed = part.handed();
            self.adopt(part);
            return Assembled::StreamCommit {
                ended,
                prepared: None,
                handed,
            };
        }
        let body = self.adopted(part, streamed);
        Assembled::Transaction(Box::new(Whole {
            body,
            ended,
            prepared: None,
        }))
    }

    fn prepare(&mut self, part: Part, prepared: Prepared, streamed: bool) -> Result<Assembled> {
        let Prepared { id, lsn, time } = prepared;
        if id.end_lsn <= lsn {
            return Err(AssembleError::Contradiction(format!(
                "transaction {} was prepared at {lsn}, which ended at {}",
                id.xid, id.end_lsn
            )));
        }
        // One that was prepared before the slot had `two_phase` lies before others.
        self.last_end = self.last_end.max(id.end_lsn);
        let in_pieces = part.pieces.is_some();
        let handed = part.handed();
        // At a stream prepare, unlike at a stream commit, the server does not take the relations as known to us.
        let body = if streamed {
            part.finish(&self.relations, self.decoder.inside_block(true))
                .0
        } else {
            self.adopted(part, false)
        };
        let prepare = Box::new(Prepare {
            id,
            prepare_lsn: lsn,
            prepare_time: time,
            body,
        });
        match (self.delivery.prepared, in_pieces) {
            (PreparedDelivery::AtCommit, _) => {
                let pieces = in_pieces.then_some(handed);
                self.held.put(prepare, pieces).map(Assembled::Held)
            }
            (PreparedDelivery::AtPrepare, true) => Ok(Assembled::StreamPrepare { prepare, handed }),
            (PreparedDelivery::AtPrepare, false) => Ok(Assembled::Prepared(prepare)),
        }
    }

    /// What is in a part; its relations count for others from here on, as the server takes them as known to us.
    fn adopted(&mut self, part: Part, streamed: bool) -> Body {
        let before = Arc::clone(&self.relations);
        let (body, own) = part.finish(&before, self.decoder.inside_block(streamed));
        if !own.is_empty() {
            let relations = Arc::make_mut(&mut self.relations);
            for (_, relation) in own {
                relations.put(relation);
            }
        }
        body
    }

    /// The same, without its content.
    fn adopt(&mut self, part: Part) {
        drop(self.adopted(part, true));
    }

    /// Moves the memory of the largest incomplete transaction to its file, unless that would hardly help.
    fn spill_largest(&mut self) -> Result<()> {
        const WORTH_IT: usize = 64 * 1024;
        let current = match &mut self.state {
            State::InTransaction { part, .. }
            | State::InPrepare { part, .. }
            | State::InBlock { part } => Some(&mut part.contents),
            State::Idle => None,
        };
        let open = self.open.values_mut().map(|part| &mut part.contents);
        let largest = open
            .chain(current)
            .chain(self.held.contents())
            .max_by_key(|contents| contents.in_memory());
        match largest {
            Some(contents) if contents.in_memory() >= WORTH_IT => {
                contents.spill().map_err(AssembleError::Spool)
            }
            _ => Ok(()),
        }
    }
}

fn relation(wire: &walproto::Relation<'_>) -> Result<Relation> {
    Relation::read(wire).map_err(|column| AssembleError::ColumnTwice {
        relation: format!("{}.{}", wire.namespace, wire.name),
        column: column.to_owned(),
    })
}

fn standalone(message: &Logical<'_>) -> Assembled {
    Assembled::Message(Standalone {
        lsn: message.lsn,
        prefix: message.prefix.to_owned(),
        content: message.content.to_owned(),
    })
}

#[cfg(test)]
mod tests;
