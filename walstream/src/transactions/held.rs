//! Prepared transactions that wait for their commit or rollback.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use walproto::Xid;

use super::assembled::{Assembled, Ended, Prepare, RolledBack, Whole};
use super::{AssembleError, Result};
use crate::event::PreparedId;
use crate::spool::Contents;

/// Prepared transactions that wait for their commit or rollback, by name: the server allows no two of one name.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<String, Kept>);

#[derive(Debug)]
struct Kept {
    prepare: Box<Prepare>,
    /// It came in pieces, and whether any was handed over.
    pieces: Option<bool>,
}

impl Held {
    /// Keeps one. The same one again takes the place of what came before.
    pub(super) fn put(
        &mut self,
        prepare: Box<Prepare>,
        pieces: Option<bool>,
    ) -> Result<PreparedId> {
        let id = prepare.id.clone();
        let kept = Kept { prepare, pieces };
        match self.0.entry(id.gid.clone()) {
            Entry::Vacant(place) => {
                place.insert(kept);
            }
            Entry::Occupied(mut place) if place.get().prepare.id == id => {
                place.insert(kept);
            }
            Entry::Occupied(place) => {
                let other = &place.get().prepare.id;
                return Err(AssembleError::Contradiction(format!(
                    "transaction {} was prepared as {:?} up to {}, while transaction {} of that name, prepared up to \
                     {}, has neither committed nor been rolled back",
                    id.xid, id.gid, id.end_lsn, other.xid, other.end_lsn
                )));
            }
        }
        Ok(id)
    }

    /// The whole transaction, or only that it committed if its content is not here.
    pub(super) fn commit(&mut self, gid: &str, ended: Ended) -> Result<Assembled> {
        let Some(Kept { prepare, pieces }) = self.0.remove(gid) else {
            return Ok(Assembled::CommitPrepared {
                gid: gid.to_owned(),
                ended,
            });
        };
        let Prepare { id, body, .. } = *prepare;
        if id.xid != ended.xid {
            return Err(AssembleError::Contradiction(format!(
                "prepared transaction {gid:?} committed as transaction {}, and was prepared as transaction {}",
                ended.xid, id.xid
            )));
        }
        if ended.commit_lsn < id.end_lsn {
            return Err(AssembleError::Contradiction(format!(
                "prepared transaction {gid:?} ({}) committed at {}, before its prepare ended at {}",
                id.xid, ended.commit_lsn, id.end_lsn
            )));
        }
        let ended = Ended {
            first: body.first,
            ..ended
        };
        Ok(match pieces {
            None => Assembled::Transaction(Box::new(Whole {
                body,
                ended,
                prepared: Some(id),
            })),
            Some(handed) => Assembled::StreamCommit {
                ended,
                prepared: Some(id),
                handed,
            },
        })
    }

    /// Drops it, if it is here.
    pub(super) fn roll_back(&mut self, rolled_back: RolledBack) -> Assembled {
        let gid = rolled_back.id.gid.clone();
        match self.0.entry(gid) {
            // Another of that name was rolled back before this one was prepared.
            Entry::Occupied(place) if place.get().prepare.id == rolled_back.id => {
                let Kept { prepare, pieces } = place.remove();
                Assembled::Released {
                    id: prepare.id,
                    end_lsn: rolled_back.end_lsn,
                    handed: pieces == Some(true),
                }
            }
            _ => Assembled::RollbackPrepared(rolled_back),
        }
    }

    pub(super) fn contents(&mut self) -> impl Iterator<Item = &mut Contents> {
        self.0
            .values_mut()
            .map(|kept| &mut kept.prepare.body.contents)
    }

    /// Those of which pieces were handed over.
    pub(super) fn handed(&self) -> impl Iterator<Item = Xid> {
        self.0
            .values()
            .filter(|kept| kept.pieces == Some(true))
            .map(|kept| kept.prepare.id.xid)
    }
}
