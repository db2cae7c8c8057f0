//! Where the files of the spool are made, and how they are written.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::fault::{Doing, Fault};
use crate::limits::{Compression, Limits};

/// Where the files of the spool are made, and how they are written.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(super) path: PathBuf,
    pub(super) compression: Compression,
}

impl From<PathBuf> for Folder {
    fn from(path: PathBuf) -> Self {
        let compression = Compression::default();
        Self { path, compression }
    }
}

impl From<&Limits> for Folder {
    fn from(limits: &Limits) -> Self {
        Self {
            path: limits.folder.clone(),
            compression: limits.compression,
        }
    }
}

impl Folder {
    /// Whether a file can be made there, before anything depends on it.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        self.file(0).map(drop)
    }

    /// A file without a name. On Linux it never has one where the file system can do that (all common ones but NFS);
    /// elsewhere it loses it before anything is written.
    pub(super) fn file(&self, held: u64) -> Result<File, Fault> {
        self.open()
            .map_err(|error| Fault::io(Doing::Creating, &self.path, held, error))
    }

    fn open(&self) -> io::Result<File> {
        // The one disk that is full on every machine.
        #[cfg(test)]
        if self.path == std::path::Path::new("/dev/full") {
            return File::options().read(true).write(true).open(&self.path);
        }
        tempfile::tempfile_in(&self.path)
    }
}
