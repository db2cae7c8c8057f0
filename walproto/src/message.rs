//! Every message of pgoutput, in the order of `logicalproto.h`.

pub(crate) mod logical;
pub(crate) mod prepared;
pub(crate) mod row;
pub(crate) mod schema;
pub(crate) mod stream;
pub(crate) mod transaction;
pub(crate) mod truncate;

use logical::Logical;
use prepared::{BeginPrepare, CommitPrepared, Prepare, RollbackPrepared, StreamPrepare};
use row::{Delete, Insert, Update};
use schema::{Relation, Type};
use stream::{StreamAbort, StreamCommit, StreamStart};
use transaction::{Begin, Commit, Origin};
use truncate::Truncate;

/// One message; borrows from the bytes it was read from.
///
/// Everything a message lends out was checked when it was read: names are UTF-8, and columns can be walked over without
/// an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// `B`: a transaction begins; it is sent whole, until its [`Commit`](Self::Commit).
    Begin(Begin),
    /// `C`: the transaction ends.
    Commit(Commit),
    /// `O`: the transaction came from another node.
    Origin(Origin<'a>),
    /// `R`: what a table looks like from here on.
    Relation(Relation<'a>),
    /// `Y`: name of a type that is not built in.
    Type(Type<'a>),
    /// `I`: a new row.
    Insert(Insert<'a>),
    /// `U`: a changed row.
    Update(Update<'a>),
    /// `D`: a row is gone.
    Delete(Delete<'a>),
    /// `T`: tables were emptied.
    Truncate(Truncate<'a>),
    /// `M`: from `pg_logical_emit_message`.
    Logical(Logical<'a>),
    /// `S`: a block of changes of one transaction that is still open begins.
    StreamStart(StreamStart),
    /// `E`: the block ends. Layout: nothing but its letter; written by `logicalrep_write_stream_stop` of `proto.c`.
    StreamStop,
    /// `c`: a streamed transaction ends.
    StreamCommit(StreamCommit),
    /// `A`: a streamed transaction, or a part of it, was rolled back.
    StreamAbort(StreamAbort),
    /// `b`: a transaction that will be prepared begins.
    BeginPrepare(BeginPrepare<'a>),
    /// `P`: it was prepared.
    Prepare(Prepare<'a>),
    /// `K`: a prepared transaction was committed.
    CommitPrepared(CommitPrepared<'a>),
    /// `r`: a prepared transaction was rolled back.
    RollbackPrepared(RollbackPrepared<'a>),
    /// `p`: a streamed transaction was prepared.
    StreamPrepare(StreamPrepare<'a>),
}

/// Name of the message or frame that begins with this byte.
pub(crate) const fn name(tag: u8) -> Option<&'static str> {
    Some(match tag {
        b'B' => "Begin",
        b'C' => "Commit",
        b'O' => "Origin",
        b'R' => "Relation",
        b'Y' => "Type",
        b'I' => "Insert",
        b'U' => "Update",
        b'D' => "Delete",
        b'T' => "Truncate",
        b'M' => "Message",
        b'S' => "Stream Start",
        b'E' => "Stream Stop",
        b'c' => "Stream Commit",
        b'A' => "Stream Abort",
        b'b' => "Begin Prepare",
        b'P' => "Prepare",
        b'K' => "Commit Prepared",
        b'r' => "Rollback Prepared",
        b'p' => "Stream Prepare",
        b'w' => "XLogData",
        b'k' => "Primary Keepalive",
        b'h' => "Hot Standby Feedback",
        _ => return None,
    })
}
