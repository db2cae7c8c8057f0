//! The messages of one transaction, in the order they came.

use std::ops::Range;
use std::sync::Arc;

use walproto::Lsn;

use super::entry;
use super::fault::Fault;
use super::file::{Piece, PieceFile};
use super::folder::Folder;
use super::piece::Damage;
use super::usage::Usage;

/// The messages of one transaction: in memory, and once [`spill`](Self::spill) was called in a file of its own.
#[derive(Debug)]
pub(crate) struct Contents {
    usage: Arc<Usage>,
    folder: Arc<Folder>,
    file: Option<PieceFile>,
    /// Full pieces that are behind those in the file.
    pieces: Vec<Vec<u8>>,
    /// The piece that is being filled.
    last: Vec<u8>,
    in_memory: usize,
    len: u64,
}

impl Contents {
    pub(crate) fn new(usage: Arc<Usage>, folder: Arc<Folder>) -> Self {
        Self {
            usage,
            folder,
            file: None,
            pieces: Vec::new(),
            last: Vec::new(),
            in_memory: 0,
            len: 0,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that were put in, wherever they are and however they are stored.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    pub(crate) const fn in_memory(&self) -> usize {
        self.in_memory
    }

    /// Takes a message. Once there is a file, what fills a piece goes there.
    pub(crate) fn push(&mut self, lsn: Lsn, message: &[u8]) -> Result<(), Fault> {
        if entry::overflows(&self.last, message.len()) {
            self.close()?;
        }
        let before = self.last.len();
        entry::put(&mut self.last, lsn, false, [message, b""]);
        let size = self.last.len() - before;
        self.in_memory += size;
        self.len += size as u64;
        self.usage.take_memory(size);
        if self.last.len() >= super::PIECE {
            self.close()?;
        }
        Ok(())
    }

    /// Ends a piece.
    fn close(&mut self) -> Result<(), Fault> {
        if self.file.is_some() {
            return self.spill();
        }
        self.pieces.push(std::mem::take(&mut self.last));
        Ok(())
    }

    /// Moves what is in memory to the file.
    pub(crate) fn spill(&mut self) -> Result<(), Fault> {
        if self.in_memory == 0 {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(PieceFile::create(&self.folder, &self.usage)?),
        };
        // Each piece is let go as it is written: hundreds of open transactions would otherwise keep room that no bound
        // knows of.
        let last = Some(std::mem::take(&mut self.last)).filter(|last| !last.is_empty());
        for piece in self.pieces.drain(..).chain(last) {
            file.append(&piece)?;
            self.in_memory -= piece.len();
            self.usage.free_memory(piece.len());
        }
        Ok(())
    }

    /// Reads from the beginning.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "whoever reads a file has to think of its errors"
    )]
    pub(crate) fn read(&mut self) -> Result<Messages<'_>, Fault> {
        Ok(Messages {
            file: self.file.as_ref().map(|file| Reading {
                file,
                next: 0,
                piece: Piece::default(),
                at: 0,
                current: 0..0,
            }),
            pieces: self.pieces.iter(),
            last: Some(&self.last),
            piece: b"",
            at: 0,
            current: None,
        })
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.usage.free_memory(self.in_memory);
    }
}

/// The messages of [`Contents`], one after the other.
#[derive(Debug)]
pub(crate) struct Messages<'a> {
    /// Until it was read to its end.
    file: Option<Reading<'a>>,
    pieces: std::slice::Iter<'a, Vec<u8>>,
    last: Option<&'a Vec<u8>>,
    /// The piece that is being read, of those in memory.
    piece: &'a [u8],
    at: usize,
    /// The message last read from memory; otherwise the file's counts.
    current: Option<&'a [u8]>,
}

/// A file on its way to the end.
#[derive(Debug)]
struct Reading<'a> {
    file: &'a PieceFile,
    /// The next piece.
    next: u64,
    piece: Piece,
    /// The next entry in the piece.
    at: usize,
    current: Range<usize>,
}

impl Messages<'_> {
    /// Goes to the next message and says where it came; `None` at the end.
    pub(crate) fn advance(&mut self) -> Result<Option<Lsn>, Fault> {
        if let Some(file) = &mut self.file {
            if let Some(lsn) = file.advance()? {
                return Ok(Some(lsn));
            }
            self.file = None;
        }
        while self.at == self.piece.len() {
            let Some(piece) = self.pieces.next().or_else(|| self.last.take()) else {
                return Ok(None);
            };
            (self.piece, self.at) = (piece, 0);
        }
        let entry = entry::Entry::read(self.piece, self.at)
            .expect("only whole entries are put into a piece in memory");
        self.at = entry.bytes.end;
        self.current = self.piece.get(entry.bytes);
        Ok(Some(entry.lsn))
    }

    /// The message that [`advance`](Self::advance) went to.
    pub(crate) fn current(&self) -> &[u8] {
        let of_file = self
            .file
            .as_ref()
            .and_then(|file| file.piece.raw.get(file.current.clone()));
        self.current.or(of_file).unwrap_or_default()
    }
}

impl Reading<'_> {
    fn advance(&mut self) -> Result<Option<Lsn>, Fault> {
        let damage = |damage: Damage| self.file.damage(damage);
        loop {
            if let Some(entry) = self.piece.entry(self.at).map_err(damage)? {
                self.at = entry.bytes.end;
                self.current = entry.bytes;
                return Ok(Some(entry.lsn));
            }
            if self.next == self.file.len() {
                return Ok(None);
            }
            self.next = self.file.read(self.next, &mut self.piece)?;
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests;
