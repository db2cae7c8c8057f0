//! The short way to the messages that most of a stream consists of.
//!
//! Inlined into the caller, it checks what the readers of the messages check, without the knowledge of what to call an
//! error: whatever it does not like is read once more by them. A test holds both against each other.

use crate::decoder::Decoded;
use crate::message::Message;
use crate::message::row::{Delete, Insert, OldRow, Update};
use crate::message::transaction::{Begin, Commit};
use crate::tuple::Tuple;
use crate::{Lsn, Oid, Timestamp, Xid};

#[inline(always)]
pub(crate) fn decode(bytes: &[u8], in_block: bool, binary: bool) -> Option<Decoded<'_>> {
    let (&tag, rest) = bytes.split_first()?;
    match tag {
        b'I' => {
            let (xid, rest) = xid(rest, in_block)?;
            let message = Message::Insert(insert(rest, binary)?);
            Some(Decoded { xid, message })
        }
        b'U' => {
            let (xid, rest) = xid(rest, in_block)?;
            let message = Message::Update(update(rest, binary)?);
            Some(Decoded { xid, message })
        }
        b'D' => {
            let (xid, rest) = xid(rest, in_block)?;
            let message = Message::Delete(delete(rest, binary)?);
            Some(Decoded { xid, message })
        }
        b'B' if !in_block => Some(Decoded {
            xid: None,
            message: Message::Begin(begin(rest)?),
        }),
        b'C' if !in_block => Some(Decoded {
            xid: None,
            message: Message::Commit(commit(rest)?),
        }),
        _ => None,
    }
}

#[inline(always)]
fn xid(bytes: &[u8], in_block: bool) -> Option<(Option<Xid>, &[u8])> {
    if !in_block {
        return Some((None, bytes));
    }
    let (xid, rest) = bytes.split_first_chunk()?;
    Some((Some(Xid(u32::from_be_bytes(*xid))), rest))
}

#[inline(always)]
fn insert(bytes: &[u8], binary: bool) -> Option<Insert<'_>> {
    let (&[a, b, c, d, b'N'], row) = bytes.split_first_chunk()? else {
        return None;
    };
    Some(Insert {
        relation: Oid(u32::from_be_bytes([a, b, c, d])),
        new: Tuple::whole(row, binary)?,
    })
}

#[inline(always)]
fn update(bytes: &[u8], binary: bool) -> Option<Update<'_>> {
    let (&[a, b, c, d, mark], row) = bytes.split_first_chunk()?;
    let relation = Oid(u32::from_be_bytes([a, b, c, d]));
    if mark == b'N' {
        let new = Tuple::whole(row, binary)?;
        return Some(Update {
            relation,
            old: None,
            new,
        });
    }
    let (old, rest) = Tuple::first(row, binary)?;
    let old = match mark {
        b'K' => OldRow::Key(old),
        b'O' => OldRow::Full(old),
        _ => return None,
    };
    let (b'N', row) = rest.split_first()? else {
        return None;
    };
    Some(Update {
        relation,
        old: Some(old),
        new: Tuple::whole(row, binary)?,
    })
}

#[inline(always)]
fn delete(bytes: &[u8], binary: bool) -> Option<Delete<'_>> {
    let (&[a, b, c, d, mark], row) = bytes.split_first_chunk()?;
    let relation = Oid(u32::from_be_bytes([a, b, c, d]));
    let old = Tuple::whole(row, binary)?;
    let old = match mark {
        b'K' => OldRow::Key(old),
        b'O' => OldRow::Full(old),
        _ => return None,
    };
    Some(Delete { relation, old })
}

#[inline(always)]
fn begin(bytes: &[u8]) -> Option<Begin> {
    let (lsn, rest) = bytes.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let final_lsn = Lsn(u64::from_be_bytes(*lsn));
    let begin = Begin {
        final_lsn,
        commit_time: Timestamp(i64::from_be_bytes(*time)),
        xid: Xid(u32::from_be_bytes(rest.try_into().ok()?)),
    };
    (final_lsn != Lsn::ZERO).then_some(begin)
}

#[inline(always)]
fn commit(bytes: &[u8]) -> Option<Commit> {
    let (0, rest) = bytes.split_first()? else {
        return None;
    };
    let (commit, rest) = rest.split_first_chunk()?;
    let (end, rest) = rest.split_first_chunk()?;
    Some(Commit {
        commit_lsn: Lsn(u64::from_be_bytes(*commit)),
        end_lsn: Lsn(u64::from_be_bytes(*end)),
        commit_time: Timestamp(i64::from_be_bytes(rest.try_into().ok()?)),
    })
}
