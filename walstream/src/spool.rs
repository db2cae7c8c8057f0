//! Where the messages of a transaction wait: in memory, and past a bound in a file that nobody else can see.
//!
//! The file has no name, so it is gone with the process however that ends, and is never read by another. The spool
//! is no reason to confirm anything.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use tokio::sync::Notify;
use walproto::Lsn;

/// Memory is written to the file in pieces of this size, so that a piece costs one system call.
const PIECE: usize = 256 * 1024;

/// Length (4) and position (8) before each message.
const HEADER: usize = 12;

/// What all transactions together hold, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    memory: CachePadded<AtomicU64>,
    disk: CachePadded<AtomicU64>,
    /// How many transactions are complete and not done with, whether they wait or were taken.
    complete: CachePadded<AtomicU64>,
}

impl Usage {
    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    pub(crate) fn disk(&self) -> u64 {
        self.disk.load(Ordering::Relaxed)
    }

    pub(crate) fn complete(&self) -> u64 {
        self.complete.load(Ordering::Acquire)
    }
}

/// A complete transaction that still takes room; when it is done with, the reader hears of it.
#[derive(Debug)]
pub(crate) struct Complete {
    usage: Arc<Usage>,
    wake: Arc<Notify>,
}

impl Complete {
    pub(crate) fn new(usage: Arc<Usage>, wake: Arc<Notify>) -> Self {
        usage.complete.fetch_add(1, Ordering::AcqRel);
        Self { usage, wake }
    }
}

impl Drop for Complete {
    fn drop(&mut self) {
        self.usage.complete.fetch_sub(1, Ordering::AcqRel);
        self.wake.notify_one();
    }
}

/// The messages of one transaction in the order they came.
#[derive(Debug)]
pub(crate) struct Contents {
    usage: Arc<Usage>,
    folder: Arc<PathBuf>,
    /// What came last and is not in the file.
    memory: Vec<u8>,
    file: Option<File>,
    file_len: u64,
}

impl Contents {
    pub(crate) fn new(usage: Arc<Usage>, folder: Arc<PathBuf>) -> Self {
        Self {
            usage,
            folder,
            memory: Vec::new(),
            file: None,
            file_len: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.file.is_none()
    }

    /// Bytes held, in memory and in the file.
    pub(crate) fn len(&self) -> u64 {
        self.memory.len() as u64 + self.file_len
    }

    pub(crate) fn in_memory(&self) -> usize {
        self.memory.len()
    }

    pub(crate) fn push(&mut self, lsn: Lsn, message: &[u8]) -> io::Result<()> {
        // A CopyData message is shorter than 2 GiB, as its length is a positive i32.
        let len = u32::try_from(message.len()).map_err(io::Error::other)?;
        self.memory.extend_from_slice(&len.to_be_bytes());
        self.memory.extend_from_slice(&lsn.0.to_be_bytes());
        self.memory.extend_from_slice(message);
        self.usage
            .memory
            .fetch_add((HEADER + message.len()) as u64, Ordering::Relaxed);
        if self.file.is_some() && self.memory.len() >= PIECE {
            self.spill()?;
        }
        Ok(())
    }

    /// Moves what is in memory to the file.
    pub(crate) fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(self.folder.as_path())?),
        };
        file.write_all(&self.memory)?;
        let len = self.memory.len() as u64;
        self.file_len += len;
        self.usage.disk.fetch_add(len, Ordering::Relaxed);
        self.usage.memory.fetch_sub(len, Ordering::Relaxed);
        // One large message must not leave its room behind in every open transaction.
        self.memory.clear();
        self.memory.shrink_to(2 * PIECE);
        Ok(())
    }

    /// Reads from the beginning.
    pub(crate) fn read(&mut self) -> io::Result<Messages<'_>> {
        if let Some(file) = &mut self.file {
            file.rewind()?;
        }
        Ok(Messages {
            file: self
                .file
                .as_ref()
                .map(|file| io::BufReader::with_capacity(PIECE, file)),
            file_left: self.file_len,
            memory: &self.memory,
            from_file: Vec::new(),
            from_memory: None,
        })
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.usage
            .memory
            .fetch_sub(self.memory.len() as u64, Ordering::Relaxed);
        self.usage.disk.fetch_sub(self.file_len, Ordering::Relaxed);
    }
}

/// The messages of [`Contents`], one after the other.
#[derive(Debug)]
pub(crate) struct Messages<'a> {
    file: Option<io::BufReader<&'a File>>,
    file_left: u64,
    memory: &'a [u8],
    /// The message last read from the file; its room is used again.
    from_file: Vec<u8>,
    /// The message last read from memory; otherwise `from_file` counts.
    from_memory: Option<&'a [u8]>,
}

impl Messages<'_> {
    /// Goes to the next message and says where it came; `None` at the end.
    pub(crate) fn advance(&mut self) -> io::Result<Option<Lsn>> {
        if let Some(file) = self.file.as_mut().filter(|_| self.file_left > 0) {
            let mut header = [0; HEADER];
            file.read_exact(&mut header)?;
            let (len, lsn) = parse(header);
            self.from_file.resize(len, 0);
            file.read_exact(&mut self.from_file)?;
            // Only whole messages are in the file.
            self.file_left -= (HEADER + len) as u64;
            return Ok(Some(lsn));
        }
        let Some((header, rest)) = self.memory.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let (len, lsn) = parse(*header);
        let (message, rest) = rest.split_at(len);
        self.memory = rest;
        self.from_memory = Some(message);
        Ok(Some(lsn))
    }

    /// The message that [`advance`](Self::advance) went to.
    pub(crate) fn current(&self) -> &[u8] {
        self.from_memory.unwrap_or(&self.from_file)
    }
}

fn parse(header: [u8; HEADER]) -> (usize, Lsn) {
    let [a, b, c, d, lsn @ ..] = header;
    (
        u32::from_be_bytes([a, b, c, d]) as usize,
        Lsn(u64::from_be_bytes(lsn)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> (Arc<Usage>, Contents) {
        let usage = Arc::<Usage>::default();
        let folder = Arc::new(std::env::temp_dir());
        (Arc::clone(&usage), Contents::new(usage, folder))
    }

    fn all(contents: &mut Contents) -> Vec<(u64, Vec<u8>)> {
        let mut messages = contents.read().unwrap();
        let mut all = Vec::new();
        while let Some(lsn) = messages.advance().unwrap() {
            all.push((lsn.0, messages.current().to_vec()));
        }
        all
    }

    #[test]
    fn messages_come_back_in_order_wherever_they_lie() {
        let (usage, mut contents) = contents();
        let mut expected = Vec::new();
        for number in 0..3000_u64 {
            let message = number
                .to_string()
                .repeat(usize::try_from(number % 200).unwrap());
            contents.push(Lsn(number), message.as_bytes()).unwrap();
            expected.push((number, message.into_bytes()));
            if number == 100 {
                contents.spill().unwrap();
            }
        }
        assert!(
            usage.disk() > PIECE as u64,
            "later pieces followed the first into the file"
        );
        assert!(contents.in_memory() > 0, "the last messages are in memory");
        assert_eq!(all(&mut contents), expected);
        assert_eq!(
            all(&mut contents),
            expected,
            "reading again begins at the beginning"
        );
    }

    #[test]
    fn usage_is_given_back() {
        let (usage, mut contents) = contents();
        contents.push(Lsn(1), b"one").unwrap();
        assert_eq!((usage.memory(), usage.disk()), (15, 0));
        contents.spill().unwrap();
        assert_eq!((usage.memory(), usage.disk()), (0, 15));
        contents.push(Lsn(2), b"two").unwrap();
        assert_eq!((usage.memory(), usage.disk()), (15, 15));
        drop(contents);
        assert_eq!((usage.memory(), usage.disk()), (0, 0));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let mut contents = Contents::new(
            Arc::default(),
            Arc::new(PathBuf::from("/nonexistent/folder")),
        );
        contents.push(Lsn(1), b"one").unwrap();
        assert_eq!(
            contents.spill().unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
