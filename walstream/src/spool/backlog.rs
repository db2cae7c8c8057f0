//! What was received and not looked at yet: first in, first out, on disk.
//!
//! While complete transactions fill the memory, whatever comes behind them is put here as it came. It costs no memory
//! but a piece at either end, however many transactions it is.
//!
//! # Order
//!
//! Pieces are filled in memory, written when they are full to the last of the segments (files of a bounded size), and read
//! from the first. A segment is let go with its last piece, so the disk has its room again while the consumer catches
//! up. What is read comes from the segments, then from the piece that is being filled: never is anything overtaken.
//!
//! # What a loss leaves behind
//!
//! | what is lost | what becomes of this |
//! |---|---|
//! | the process | the segments have no names and vanish; nothing of them was confirmed, and all of it comes again |
//! | the connection, and another is made | it is thrown away, as the server sends it again |
//! | the connection, for good | it is handed out before the end is told |
//! | room on the disk, in the middle of a piece | the piece stays in memory: everything up to it is handed out before the error |

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use walproto::Lsn;

use super::PIECE;
use super::entry;
use super::fault::Fault;
use super::file::{Piece, PieceFile};
use super::folder::Folder;
use super::usage::Usage;

/// The least number of segments that the cap is divided into; more than twice as many do not fit.
const SEGMENTS: u64 = 64;

/// What was received and not looked at yet.
#[derive(Debug)]
pub(crate) struct Backlog {
    usage: Arc<Usage>,
    folder: Arc<Folder>,
    /// A segment of this size is not written to any more.
    segment: u64,
    /// The piece that is being read.
    head: Piece,
    /// The next entry in it.
    at: usize,
    segments: VecDeque<Segment>,
    /// The piece that is being filled.
    tail: Vec<u8>,
    /// A keepalive behind all of it: it makes the one before it superfluous.
    keepalive: Option<(Lsn, bool)>,
    current: Current,
}

#[derive(Debug)]
struct Segment {
    file: PieceFile,
    /// The next piece.
    next: u64,
}

/// What was received, as it is handed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    Message {
        lsn: Lsn,
        /// Bytes that came before it on its connection.
        offset: u64,
        bytes: &'a [u8],
    },
    Keepalive {
        wal_end: Lsn,
        reply_requested: bool,
    },
}

#[derive(Clone, Debug)]
enum Current {
    Message { lsn: Lsn, bytes: Range<usize> },
    Keepalive { wal_end: Lsn, reply_requested: bool },
}

impl Backlog {
    /// `cap` bounds what all files of the spool take; here it is the measure for the size of a segment.
    pub(crate) fn new(usage: Arc<Usage>, folder: Arc<Folder>, cap: u64) -> Self {
        Self {
            usage,
            folder,
            segment: (cap / SEGMENTS).max(PIECE as u64),
            head: Piece::default(),
            at: 0,
            segments: VecDeque::new(),
            tail: Vec::new(),
            keepalive: None,
            current: Current::Message {
                lsn: Lsn::ZERO,
                bytes: 0..0,
            },
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.head.raw.len()
            && self.segments.is_empty()
            && self.tail.is_empty()
            && self.keepalive.is_none()
    }

    /// Takes a message that came at `lsn`, `offset` bytes after the beginning of the connection.
    pub(crate) fn message(&mut self, lsn: Lsn, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        if let Some((wal_end, reply_requested)) = self.keepalive.take() {
            self.put(wal_end, true, [&[u8::from(reply_requested)], b""])?;
        }
        self.put(lsn, false, [&offset.to_be_bytes(), bytes])
    }

    /// Takes a keepalive.
    pub(crate) fn keepalive(&mut self, wal_end: Lsn, reply_requested: bool) {
        let asked = self.keepalive.is_some_and(|(_, asked)| asked);
        self.keepalive = Some((wal_end, asked || reply_requested));
    }

    fn put(&mut self, lsn: Lsn, aside: bool, parts: [&[u8]; 2]) -> Result<(), Fault> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        if entry::overflows(&self.tail, bytes) {
            self.close()?;
        }
        entry::put(&mut self.tail, lsn, aside, parts);
        if self.tail.len() >= PIECE {
            self.close()?;
        }
        Ok(())
    }

    /// Writes the piece that is full.
    fn close(&mut self) -> Result<(), Fault> {
        let full = self
            .segments
            .back()
            .is_none_or(|last| last.file.len() >= self.segment);
        if full {
            let file = PieceFile::create(&self.folder, &self.usage)?;
            self.segments.push_back(Segment { file, next: 0 });
        }
        if let Some(last) = self.segments.back_mut() {
            last.file.append(&self.tail)?;
            self.tail.clear();
            self.tail.shrink_to(2 * PIECE);
        }
        Ok(())
    }

    /// Goes to the next; `false` when there is none.
    pub(crate) fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            let entry = self
                .head
                .entry(self.at)
                .map_err(|it| Fault::damage(&self.folder.path, self.usage.disk(), it))?;
            if let Some(entry) = entry {
                self.at = entry.bytes.end;
                self.current = if entry.aside {
                    Current::Keepalive {
                        wal_end: entry.lsn,
                        reply_requested: self.head.raw.get(entry.bytes) == Some(&[1]),
                    }
                } else {
                    Current::Message {
                        lsn: entry.lsn,
                        bytes: entry.bytes,
                    }
                };
                return Ok(true);
            }
            if let Some(first) = self.segments.front_mut() {
                self.at = 0;
                // A file that was made and then not written, as the disk was full, has no piece.
                if first.next < first.file.len() {
                    first.next = first.file.read(first.next, &mut self.head)?;
                } else {
                    self.head.raw.clear();
                }
                if first.next == first.file.len() {
                    self.segments.pop_front();
                }
            } else if !self.tail.is_empty() {
                std::mem::swap(&mut self.head.raw, &mut self.tail);
                self.tail.clear();
                self.at = 0;
            } else if let Some((wal_end, reply_requested)) = self.keepalive.take() {
                self.current = Current::Keepalive {
                    wal_end,
                    reply_requested,
                };
                return Ok(true);
            } else {
                return Ok(false);
            }
        }
    }

    /// What [`advance`](Self::advance) went to.
    pub(crate) fn current(&self) -> Received<'_> {
        match self.current.clone() {
            Current::Message { lsn, bytes } => {
                let bytes = self.head.raw.get(bytes).unwrap_or_default();
                let (offset, bytes) = bytes.split_first_chunk().unwrap_or((&[0; 8], b""));
                Received::Message {
                    lsn,
                    offset: u64::from_be_bytes(*offset),
                    bytes,
                }
            }
            Current::Keepalive {
                wal_end,
                reply_requested,
            } => Received::Keepalive {
                wal_end,
                reply_requested,
            },
        }
    }
}

#[cfg(test)]
mod tests;
