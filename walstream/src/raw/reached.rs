//! Where one is once a frame and everything before it is durable.

use walproto::{Decoder, Frame, Keepalive, Lsn, Message};

/// Where one is once this frame and everything before it is durable, if the frame says so: what its token rises to.
///
/// For who finds frames again that were stored, and has to know where to start.
///
/// # Errors
///
/// A frame, or a message of a kind that says so, that cannot be read. First bytes that are not known say nothing.
pub fn reached(frame: &[u8]) -> walproto::Result<Option<Lsn>> {
    match look(frame) {
        Ok((_, reached)) => Ok(reached),
        Err((error, _)) => Err(error),
    }
}

/// A keepalive, and where one is once this frame and everything before it is durable. With an error the position of its
/// frame.
#[inline]
pub(super) fn look(
    frame: &[u8],
) -> Result<(Option<Keepalive>, Option<Lsn>), (walproto::Error, Lsn)> {
    // Nearly every frame.
    if frame.first() == Some(&b'w') && frame.get(DATA).is_some_and(|&tag| !is_end(tag)) {
        return Ok((None, None));
    }
    read(frame)
}

/// Where the message begins in a frame `w`.
const DATA: usize = 25;

#[cold]
fn read(frame: &[u8]) -> Result<(Option<Keepalive>, Option<Lsn>), (walproto::Error, Lsn)> {
    match Frame::parse(frame) {
        Ok(Frame::WalData(wal)) => match end(wal.data) {
            Ok(end) => Ok((None, end)),
            Err(error) => Err((error, wal.start)),
        },
        Ok(Frame::Keepalive(keepalive)) => Ok((Some(keepalive), Some(keepalive.wal_end))),
        // What we do not know says nothing about positions.
        Ok(_) => Ok((None, None)),
        Err(_) if !matches!(frame.first(), Some(b'w' | b'k')) => Ok((None, None)),
        Err(error) => Err((error, Lsn::ZERO)),
    }
}

/// The position up to which everything published has come once this message has, if it is of a kind that says so.
///
/// Every other message has a position of its own in its frame, and none of those may ever be confirmed: they neither
/// rise nor say that what lies before them has been sent.
pub(crate) fn end(message: &[u8]) -> walproto::Result<Option<Lsn>> {
    if !message.first().is_some_and(|&tag| is_end(tag)) {
        return Ok(None);
    }
    Ok(match Decoder::new().decode(message)?.message {
        Message::Commit(commit) => Some(commit.end_lsn),
        Message::StreamCommit(commit) => Some(commit.end_lsn),
        Message::Prepare(prepare) => Some(prepare.end_lsn),
        Message::StreamPrepare(prepare) => Some(prepare.end_lsn),
        Message::CommitPrepared(commit) => Some(commit.end_lsn),
        Message::RollbackPrepared(rollback) => Some(rollback.rollback_end_lsn),
        _ => None,
    })
}

/// Messages of these kinds say up to where everything has come.
const fn is_end(tag: u8) -> bool {
    matches!(tag, b'C' | b'c' | b'P' | b'p' | b'K' | b'r')
}
