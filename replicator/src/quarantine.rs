//! The file that keeps what was left out of the destination: changes that it refused, and transactions that were skipped.
//!
//! One JSON object a line, appended, with the members and values of [`decode --json`](crate::show) and these:
//!
//! | member | is |
//! |---|---|
//! | `key` | what identifies the row; of an update or delete before it, as it is looked for at the destination |
//! | `time` | when it was left out |
//! | `slot` | the slot it came from |
//! | `commit_lsn` | where its transaction commits, as errors and `--skip` name it |
//! | `by` | `quarantine` for a change that was refused, `skip` for one of a transaction that was to be skipped |
//! | `reason` | what the destination said |
//!
//! A line is on disk before the destination transaction commits that moves past its change. A crash in between leaves
//! it in the file, and the next run writes it again: a change may be there twice, never not at all.

mod line;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walstream::Change;
use walstream::walproto::Lsn;

use crate::destination::Refused;
use crate::error::{Error, Result};
use line::By;
pub(crate) use line::Origin;

/// Lines are written together, up to so many bytes.
const BUFFER: usize = 1 << 20;

/// An open file, and the lines on their way into it.
#[derive(Debug)]
pub(crate) struct Quarantine {
    path: PathBuf,
    file: Arc<File>,
    /// Up to here whole lines lie in the file.
    end: u64,
    /// Where those of the transaction begin.
    begun: u64,
    lines: Vec<u8>,
    /// Something was written since the last time that all was on disk.
    dirty: bool,
}

/// A transaction is to be skipped, and there is no file for it.
pub(crate) fn nowhere() -> Error {
    Error::usage("a transaction is skipped only into a file")
        .with_hint("name one with --quarantine")
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    let path = path.display();
    Error::usage(format!("the quarantine file {path} cannot be used"))
        .with_hint("name a file with --quarantine whose folder exists and can be written")
        .caused_by(error)
}

impl Quarantine {
    /// Opens the file, or makes it; a line that a crash has cut off is removed, its change will come again.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |error| unusable(path, error);
        let new = !path.exists();
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                return Err(Error::usage(format!(
                    "another replicator writes the quarantine file {path}"
                ))
                .with_hint("give each its own"));
            }
            // There are file systems without locks.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the quarantine file cannot be locked");
            }
        }
        if new {
            // Its name has to outlive a power failure as well.
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = File::open(folder.unwrap_or_else(|| Path::new(".")));
            folder
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
        }
        let end = mend(&file, path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            end,
            begun: end,
            lines: Vec::new(),
            dirty: false,
        })
    }

    /// Whether [`open`](Self::open) could; nothing is made or written.
    pub(crate) fn look(path: Option<&Path>, skip: &[Lsn]) -> Result<String> {
        let Some(path) = path else {
            return if skip.is_empty() {
                Ok("what the destination refuses stops the run".to_owned())
            } else {
                Err(nowhere())
            };
        };
        let shown = path.display();
        if path.exists() {
            let opened = OpenOptions::new().read(true).append(true).open(path);
            opened.map_err(|error| unusable(path, error))?;
            return Ok(format!(
                "what the destination refuses is appended to {shown}"
            ));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        // A file without a name: it is gone before anybody sees it.
        tempfile::tempfile_in(folder).map_err(|error| unusable(path, error))?;
        Ok(format!(
            "what the destination refuses is written to {shown}"
        ))
    }

    /// What comes is of another transaction, or of another attempt at one.
    pub(crate) fn begin(&mut self) {
        self.lines.clear();
        self.begun = self.end;
    }

    /// Takes the lines back that came since: nothing was left out, as surely as the destination has not moved.
    pub(crate) fn take_back(&mut self) {
        self.lines.clear();
        // Where that fails they are there twice, or for a change that is not left out in the end.
        if self.end > self.begun && self.file.set_len(self.begun).is_ok() {
            self.end = self.begun;
            self.dirty = true;
        }
    }

    /// Adds a change that the destination refused, whose record lies at `lsn`.
    pub(crate) fn refused(&mut self, of: &Origin<'_>, lsn: Lsn, refused: &Refused) -> Result<()> {
        let mut reason = refused.error.to_string();
        let mut cause = std::error::Error::source(&refused.error);
        while let Some(error) = cause {
            reason += &format!(": {error}");
            cause = error.source();
        }
        let by = By::Quarantine(&reason);
        line::operation(&mut self.lines, of, lsn, &refused.operation, by)?;
        self.write_full()
    }

    /// Adds a change of a transaction that is skipped; `false` where it changes nothing.
    pub(crate) fn skipped(
        &mut self,
        of: &Origin<'_>,
        lsn: Lsn,
        change: &Change<'_>,
    ) -> Result<bool> {
        let is_change = line::change(&mut self.lines, of, lsn, change, By::Skip);
        self.write_full()?;
        Ok(is_change)
    }

    /// Brings everything that was added to disk.
    pub(crate) async fn sync(&mut self) -> Result<()> {
        self.write()?;
        if !self.dirty {
            return Ok(());
        }
        let file = Arc::clone(&self.file);
        // A slow disk must not keep the connections waiting.
        let synced = tokio::task::spawn_blocking(move || file.sync_all()).await;
        synced
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|error| self.failed(error))?;
        self.dirty = false;
        Ok(())
    }

    fn write_full(&mut self) -> Result<()> {
        if self.lines.len() < BUFFER {
            return Ok(());
        }
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.dirty = true;
        let written = (&*self.file).write_all(&self.lines);
        let length = self.lines.len() as u64;
        self.lines.clear();
        // A line of a hundred megabytes is no reason to keep as much.
        self.lines.shrink_to(BUFFER);
        if let Err(error) = written {
            // What follows must not be glued to half a line. If that fails too, the next start does it.
            let _ = self.file.set_len(self.end);
            return Err(self.failed(error));
        }
        self.end += length;
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        let path = self.path.display();
        Error::retry(format!("the quarantine file {path} cannot be written"))
            .with_hint("nothing was left out without being in it: make room, and start again")
            .caused_by(error)
    }
}

/// Cuts off half a line at the end; gives back where the file ends then.
fn mend(mut file: &File, path: &Path) -> std::io::Result<u64> {
    let length = file.metadata()?.len();
    let mut at = length;
    let mut block = [0; 4096];
    let start = loop {
        if at == 0 {
            break 0;
        }
        let from = at.saturating_sub(block.len() as u64);
        let block = &mut block[..usize::try_from(at - from).unwrap_or(0)];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(block)?;
        if let Some(newline) = block.iter().rposition(|byte| *byte == b'\n') {
            break from + newline as u64 + 1;
        }
        at = from;
    };
    if start == length {
        return Ok(length);
    }
    file.seek(SeekFrom::Start(start))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&rest).is_ok() {
        // Somebody's editor, which ends no last line.
        file.write_all(b"\n")?;
        return Ok(length + 1);
    }
    tracing::warn!(
        bytes = length - start,
        path = %path.display(),
        "the last line of the quarantine file was cut off by a crash, and is removed: its change comes again"
    );
    file.set_len(start)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(content: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("left-out");
        std::fs::write(&path, content).unwrap();
        let mut file = Quarantine::open(&path).unwrap();
        file.lines.extend_from_slice(b"{\"next\":1}\n");
        file.write().unwrap();
        assert_eq!(file.end, file.file.metadata().unwrap().len());
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn half_a_line_is_cut_off_and_a_whole_one_kept() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000));
        for (content, expected) in [
            (String::new(), String::new()),
            ("{\"a\":1}\n".to_owned(), "{\"a\":1}\n".to_owned()),
            ("{\"a\":1}\n{\"b\":".to_owned(), "{\"a\":1}\n".to_owned()),
            ("{\"b\":".to_owned(), String::new()),
            ("{\"a\":1}".to_owned(), "{\"a\":1}\n".to_owned()),
            (format!("{long}\n{}", &long[..9000]), format!("{long}\n")),
            (format!("{long}\n{long}"), format!("{long}\n{long}\n")),
        ] {
            assert_eq!(kept(&content), format!("{expected}{{\"next\":1}}\n"));
        }
    }

    #[test]
    fn two_do_not_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("left-out");
        let _first = Quarantine::open(&path).unwrap();
        let error = Quarantine::open(&path).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_leaves_no_half_line() {
        let mut file = Quarantine::open(Path::new("/dev/full")).unwrap();
        file.lines.extend_from_slice(b"{}\n");
        let error = file.sync().await.unwrap_err();
        assert_eq!(error.exit_code(), 1, "{error}");
    }
}
