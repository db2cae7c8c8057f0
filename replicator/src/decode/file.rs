//! A capture file, read in parts, whatever its size and whether it is compressed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use walproto::capture::{CaptureError, CaptureErrorKind, Reader, Record};

use crate::error::{Error, Result};

/// The first bytes of what gzip made.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// What to know about a file that ends in the middle.
const STILL_WRITTEN: &str = "whoever writes it is still at it, or was stopped; everything before that is whole, and \
                             replicator record with the same --output goes on there";

/// What is read at a time; grows where a record is longer.
const PART: usize = 1 << 20;

/// A capture file that is open.
pub(crate) struct CaptureFile {
    path: PathBuf,
    input: Box<dyn Read>,
    buffer: Vec<u8>,
    /// The part of the buffer that was read and not yet shown, and where that lies in the file.
    start: usize,
    end: usize,
    offset: u64,
    ended: bool,
    /// The compressed file ends too early.
    cut: bool,
}

impl CaptureFile {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let cannot = |error: io::Error| {
            let message = format!("cannot read {}", path.display());
            match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => Error::usage(message),
                _ => Error::retry(message),
            }
            .caused_by(error)
        };
        let mut input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(cannot)?)
        };
        let mut head = Vec::new();
        let mut first = input.by_ref().take(GZIP.len() as u64);
        first.read_to_end(&mut head).map_err(cannot)?;
        let compressed = head == GZIP;
        let whole = io::Cursor::new(head).chain(input);
        Ok(Self {
            path: path.to_owned(),
            input: if compressed {
                Box::new(MultiGzDecoder::new(whole))
            } else {
                Box::new(whole)
            },
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            ended: false,
            cut: false,
        })
    }

    /// Hands out each record, in order; an error of `each` ends it.
    ///
    /// # Errors
    ///
    /// Those of `each`, and what is wrong with the file once everything before that was handed out.
    pub(crate) fn for_each<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            self.fill()?;
            let part = &self.buffer[self.start..self.end];
            let reader = match self.offset {
                0 => Reader::new(part),
                offset => Ok(Reader::at(part, offset)),
            };
            let mut reader = match reader {
                Ok(reader) => reader,
                Err(error) if error.is_torn() && !self.ended => continue,
                Err(error) => return Err(self.broken(error).into()),
            };
            if self.offset == 0 {
                // A first record that is no session is to be found at the first part.
                if let Some(Err(error)) = reader.clone().next() {
                    if !error.is_torn() {
                        return Err(self.broken(error).into());
                    }
                    if !self.ended {
                        continue;
                    }
                }
            }
            let mut torn = None;
            loop {
                let at = reader.offset();
                match reader.next() {
                    Some(Ok(record)) => each(record)?,
                    Some(Err(error)) if error.is_torn() => {
                        self.take(at);
                        torn = Some(error);
                        break;
                    }
                    Some(Err(error)) => return Err(self.broken(error).into()),
                    None => {
                        self.take(at);
                        break;
                    }
                }
            }
            match torn {
                Some(error) if self.ended => return Err(self.broken(error).into()),
                None if self.ended && self.cut => {
                    let message = format!(
                        "{}: the compressed file was cut; it holds {} bytes",
                        self.path.display(),
                        self.offset
                    );
                    return Err(Error::retry(message).with_hint(STILL_WRITTEN).into());
                }
                None if self.ended => return Ok(()),
                _ => {}
            }
        }
    }

    /// Everything before this place of the file is done with.
    fn take(&mut self, offset: u64) {
        let len = usize::try_from(offset - self.offset).unwrap_or(usize::MAX);
        self.start = self.end.min(self.start.saturating_add(len));
        self.offset = offset;
    }

    /// Reads on behind what is still there.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // A record that fills the buffer is longer than it.
        let wanted = PART.max(self.end * 2);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        // What has come is shown before more is waited for: it may come through a pipe.
        while self.end < self.buffer.len() && !self.ended {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.end += count;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Of compressed data: it was cut.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.ended = true;
                    self.cut = true;
                }
                Err(error) => {
                    let message = format!("cannot read {}", self.path.display());
                    let error = match error.kind() {
                        io::ErrorKind::IsADirectory => Error::usage(message).caused_by(error),
                        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                            Error::person(format!("{message}: it is damaged")).caused_by(error)
                        }
                        _ => Error::retry(message).caused_by(error),
                    };
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn broken(&self, error: CaptureError) -> Error {
        let path = self.path.display();
        let message = format!("{path}: {error}");
        match error.kind {
            CaptureErrorKind::NotACapture => {
                Error::usage(message).with_hint("replicator record writes capture files")
            }
            CaptureErrorKind::Format(_) => Error::usage(message)
                .with_hint("read it with the version that wrote it, or record anew"),
            CaptureErrorKind::Torn if self.end == 0 && error.offset == 0 => {
                Error::retry(format!("{path}: the file is empty"))
                    .with_hint("who records into it has written nothing yet")
            }
            CaptureErrorKind::Torn => Error::retry(message).with_hint(STILL_WRITTEN),
            _ => Error::person(message),
        }
    }
}
