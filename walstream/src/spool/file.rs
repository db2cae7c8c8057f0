//! A file of pieces.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::PIECE;
use super::entry::Entry;
use super::fault::{Doing, Fault};
use super::folder::Folder;
use super::piece::{self, Damage, Head, Packed};
use super::usage::Usage;

/// A file of pieces that has no name. It is written at its end and read anywhere.
#[derive(Debug)]
pub(super) struct PieceFile {
    file: File,
    folder: Arc<Folder>,
    usage: Arc<Usage>,
    len: u64,
    largest: u32,
}

/// A piece that was read. Its room is used for the next.
#[derive(Debug, Default)]
pub(super) struct Piece {
    stored: Vec<u8>,
    pub(super) raw: Vec<u8>,
    /// Where it lies in its file.
    at: u64,
}

impl PieceFile {
    pub(super) fn create(folder: &Arc<Folder>, usage: &Arc<Usage>) -> Result<Self, Fault> {
        Ok(Self {
            file: folder.file(usage.disk())?,
            folder: Arc::clone(folder),
            usage: Arc::clone(usage),
            len: 0,
            largest: 0,
        })
    }

    /// Bytes as stored.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Writes a piece behind the others; after an error there is no such piece.
    pub(super) fn append(&mut self, raw: &[u8]) -> Result<(), Fault> {
        let mut room = Vec::new();
        let Packed { header, stored } =
            piece::pack(self.len, raw, self.folder.compression, &mut room);
        let header_at = self.len;
        let stored_at = header_at + header.len() as u64;
        self.file
            .write_all_at(&header, header_at)
            .and_then(|()| self.file.write_all_at(stored, stored_at))
            .map_err(|error| self.fault(Doing::Writing, error))?;
        self.largest = self
            .largest
            .max(u32::try_from(raw.len()).unwrap_or(u32::MAX));
        let end = stored_at + stored.len() as u64;
        self.usage.take_disk(end - self.len);
        self.len = end;
        Ok(())
    }

    /// Reads the piece at `at`; where the next one is.
    pub(super) fn read(&self, at: u64, piece: &mut Piece) -> Result<u64, Fault> {
        let reading = |error| self.fault(Doing::Reading, error);
        let mut header = [0; piece::HEADER];
        self.file.read_exact_at(&mut header, at).map_err(reading)?;
        let begin = at + header.len() as u64;
        let left = self.len.saturating_sub(begin);
        let head = Head::read(at, header, self.largest, left).map_err(|it| self.damage(it))?;
        piece.renew(at, head.stored as usize);
        self.file
            .read_exact_at(&mut piece.stored, begin)
            .map_err(reading)?;
        let next = begin + u64::from(head.stored);
        let Piece { stored, raw, .. } = piece;
        head.unpack(stored, raw).map_err(|it| self.damage(it))?;
        Ok(next)
    }

    pub(super) fn damage(&self, damage: Damage) -> Fault {
        Fault::damage(&self.folder.path, self.usage.disk(), damage)
    }

    fn fault(&self, doing: Doing, error: io::Error) -> Fault {
        Fault::io(doing, &self.folder.path, self.usage.disk(), error)
    }
}

impl Drop for PieceFile {
    fn drop(&mut self) {
        self.usage.free_disk(self.len);
    }
}

impl Piece {
    fn renew(&mut self, at: u64, stored: usize) {
        self.at = at;
        for room in [&mut self.stored, &mut self.raw] {
            room.clear();
            // One large message must not leave its room behind.
            if stored <= PIECE {
                room.shrink_to(2 * PIECE);
            }
        }
        self.stored.resize(stored, 0);
    }

    /// The entry that begins at `at`; `None` at the end of the piece.
    pub(super) fn entry(&self, at: usize) -> Result<Option<Entry>, Damage> {
        if at == self.raw.len() {
            return Ok(None);
        }
        match Entry::read(&self.raw, at) {
            Some(entry) => Ok(Some(entry)),
            None => Err(Damage::entry(self.at, at, self.raw.len())),
        }
    }
}

#[cfg(test)]
impl PieceFile {
    /// Breaks a bit of the file.
    pub(super) fn flip(&self, at: u64) {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, at).unwrap();
        byte[0] ^= 0x10;
        self.file.write_all_at(&byte, at).unwrap();
    }
}
