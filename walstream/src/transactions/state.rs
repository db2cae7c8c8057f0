//! Where in the sequence of messages we are, and what cannot stand there.

use std::fmt;

use walproto::{Lsn, Timestamp, Xid};

use super::part::Part;
use crate::event::PreparedId;
use crate::spool::Fault;

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
    #[error(transparent)]
    Spool(Fault),
}

#[derive(Debug)]
pub(super) enum State {
    Idle,
    InTransaction { part: Part, final_lsn: Lsn },
    InPrepare { part: Part, announced: Prepared },
    InBlock { part: Part },
}

impl State {
    pub(super) fn out_of_place(&self, what: &'static str) -> AssembleError {
        let place = match self {
            Self::Idle => "outside any transaction".to_owned(),
            Self::InTransaction { part, .. } => format!("inside transaction {}", part.xid),
            Self::InPrepare { part, .. } => format!("inside prepared transaction {}", part.xid),
            Self::InBlock { part } => format!("inside a stream block of {}", part.xid),
        };
        AssembleError::OutOfPlace { what, place }
    }
}

/// What `b`, `P` and `p` say of a prepare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) id: PreparedId,
    pub(super) lsn: Lsn,
    pub(super) time: Timestamp,
}

impl fmt::Display for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, lsn, time } = self;
        write!(
            f,
            "transaction {} prepared as {:?} from {lsn} to {} at {time}",
            id.xid, id.gid, id.end_lsn
        )
    }
}

/// Names a prepared transaction.
pub(super) fn id(gid: &str, xid: Xid, end_lsn: Lsn) -> PreparedId {
    PreparedId {
        gid: gid.to_owned(),
        xid,
        end_lsn,
    }
}
