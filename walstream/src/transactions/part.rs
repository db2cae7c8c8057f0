//! A transaction that is not complete.

use std::collections::HashSet;
use std::sync::Arc;

use walproto::{Decoder, Lsn, Xid};

use super::assembled::{Body, Origin, Piece};
use crate::changes::mark;
use crate::relations::{Relation, Relations};
use crate::spool::{Contents, Fault};

/// Relations that a transaction described, with the (sub)transaction that carried them.
pub(super) type Own = Vec<(Option<Xid>, Arc<Relation>)>;

/// A transaction that is not complete.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) xid: Xid,
    pub(super) contents: Contents,
    pub(super) origin: Option<Origin>,
    /// Where the first change lies; 0/0 until the server says so.
    pub(super) first: Lsn,
    /// Nothing came of it but its beginning.
    pub(super) fresh: bool,
    aborted: HashSet<Xid>,
    relations: Own,
    /// Only where it is handed over in pieces.
    pub(super) pieces: Option<Pieces>,
}

/// How far a transaction was handed over in pieces.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Something was.
    pub(super) handed: bool,
    /// The relations before the piece that is growing.
    known: Arc<Relations>,
    /// How many of the transaction's own are among them.
    counted: usize,
    /// Savepoints that stand, in the order in which they were set.
    marks: Vec<Xid>,
    standing: HashSet<Xid>,
}

impl Part {
    pub(super) fn new(xid: Xid, contents: Contents, first: Lsn, in_pieces: bool) -> Self {
        Self {
            xid,
            contents,
            origin: None,
            first,
            fresh: true,
            aborted: HashSet::new(),
            relations: Vec::new(),
            pieces: in_pieces.then(Pieces::default),
        }
    }

    /// A change, relation, type or message, with the (sub)transaction that carries it.
    pub(super) fn push(
        &mut self,
        lsn: Lsn,
        carrier: Option<Xid>,
        message: &[u8],
    ) -> Result<(), Fault> {
        self.fresh = false;
        if self.first.is_zero() {
            self.first = lsn;
        }
        if let (Some(pieces), Some(xid)) = (&mut self.pieces, carrier)
            && xid != self.xid
            && pieces.standing.insert(xid)
        {
            pieces.marks.push(xid);
            self.contents.push(lsn, &mark(xid))?;
        }
        self.contents.push(lsn, message)
    }

    pub(super) fn relation(&mut self, carrier: Option<Xid>, relation: Relation) {
        self.relations.push((carrier, Arc::new(relation)));
    }

    /// Another block begins, with these relations known to all.
    pub(super) fn resume(&mut self, relations: &Arc<Relations>) {
        if let Some(pieces) = &mut self.pieces {
            pieces.known = Arc::clone(relations);
            pieces.counted = 0;
            pieces.count(&self.relations);
        }
    }

    /// Takes a subtransaction back. `true` when it was handed over.
    pub(super) fn abort(&mut self, subxid: Xid) -> bool {
        self.relations.retain(|(xid, _)| *xid != Some(subxid));
        let Some(pieces) = &mut self.pieces else {
            self.aborted.insert(subxid);
            return false;
        };
        if !pieces.standing.contains(&subxid) {
            return false;
        }
        // Later ones are inside it, and go with it.
        while let Some(gone) = pieces.marks.pop() {
            pieces.standing.remove(&gone);
            if gone == subxid {
                break;
            }
        }
        true
    }

    /// Whether a piece of it is large enough to be handed over.
    pub(super) fn is_due(&self) -> bool {
        const PIECE: u64 = 1024 * 1024;
        self.pieces.is_some() && self.contents.len() >= PIECE
    }

    /// Whether pieces of it were handed over.
    pub(super) fn handed(&self) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.handed)
    }

    /// What has come since the last piece, if anything; what follows goes to `empty`.
    pub(super) fn cut(&mut self, empty: Contents, decoder: Decoder) -> Option<Piece> {
        let pieces = self.pieces.as_mut()?;
        if self.contents.is_empty() {
            return None;
        }
        let body = Body {
            xid: self.xid,
            origin: self.origin.clone(),
            first: self.first,
            contents: std::mem::replace(&mut self.contents, empty),
            aborted: HashSet::new(),
            relations: Arc::clone(&pieces.known),
            decoder,
            complete: None,
        };
        pieces.count(&self.relations);
        let first = !std::mem::replace(&mut pieces.handed, true);
        Some(Piece { body, first })
    }

    /// All that is here; `relations` are those before its first change. Beside it the transaction's own.
    pub(super) fn finish(self, relations: &Arc<Relations>, decoder: Decoder) -> (Body, Own) {
        let body = Body {
            xid: self.xid,
            origin: self.origin,
            first: self.first,
            contents: self.contents,
            aborted: self.aborted,
            relations: Arc::clone(relations),
            decoder,
            complete: None,
        };
        (body, self.relations)
    }
}

impl Pieces {
    /// Adds what the transaction has described since.
    fn count(&mut self, relations: &[(Option<Xid>, Arc<Relation>)]) {
        if let Some(news) = relations.get(self.counted..)
            && !news.is_empty()
        {
            let known = Arc::make_mut(&mut self.known);
            for (_, relation) in news {
                known.put(Arc::clone(relation));
            }
        }
        self.counted = relations.len();
    }
}
