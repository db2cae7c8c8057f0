//! What went wrong with the spool, and what helps.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::piece::Damage;

/// What went wrong with the spool. Large and rare, so it is small where it passes by.
#[derive(Debug)]
pub(crate) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    doing: Doing,
    folder: PathBuf,
    /// Bytes that all files held.
    held: u64,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Io(io::Error),
    Damage(Damage),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Creating,
    Writing,
    Reading,
}

impl Fault {
    pub(super) fn io(doing: Doing, folder: &Path, held: u64, error: io::Error) -> Self {
        Self::new(doing, folder, held, Cause::Io(error))
    }

    pub(super) fn damage(folder: &Path, held: u64, damage: Damage) -> Self {
        Self::new(Doing::Reading, folder, held, Cause::Damage(damage))
    }

    fn new(doing: Doing, folder: &Path, held: u64, cause: Cause) -> Self {
        Self(Box::new(Inner {
            doing,
            folder: folder.to_owned(),
            held,
            cause,
        }))
    }

    /// Whether somebody has to name another folder; more room would not help.
    pub(crate) fn is_folder(&self) -> bool {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        let Cause::Io(error) = &self.0.cause else {
            return false;
        };
        let kind = error.kind();
        self.0.doing == Doing::Creating
            && [
                NotADirectory,
                NotFound,
                PermissionDenied,
                ReadOnlyFilesystem,
            ]
            .contains(&kind)
    }

    /// What helps.
    pub(crate) fn hint(&self) -> &'static str {
        // Of no kind that std names: EMFILE and ENFILE, too many open files.
        const TOO_MANY_FILES: [i32; 2] = [24, 23];
        if self.is_folder() {
            return "Name a folder that is there and can be written to in Limits::folder.";
        }
        match &self.0.cause {
            Cause::Damage(_) => {
                "Start again: everything comes once more from the server. If it happens twice, memory or disk fail."
            }
            Cause::Io(error)
                if error
                    .raw_os_error()
                    .is_some_and(|code| TOO_MANY_FILES.contains(&code)) =>
            {
                "Let the process open more files (ulimit -n), or raise Limits::memory: each large open transaction has one."
            }
            Cause::Io(_) if self.0.doing == Doing::Reading => {
                "Start again: everything comes once more from the server. If it happens twice, the disk fails."
            }
            Cause::Io(_) => {
                "Free room in that folder, choose another (Limits::folder), or lower the cap (Limits::spool) to less than there is room for: at the cap reading waits."
            }
        }
    }
}

impl Fault {
    /// What it came from.
    pub(crate) fn into_cause(self) -> Box<dyn Error + Send + Sync> {
        match self.0.cause {
            Cause::Io(error) => error.into(),
            Cause::Damage(damage) => damage.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            doing,
            folder,
            held,
            cause,
        } = &*self.0;
        let folder = folder.display();
        match (doing, cause) {
            (_, Cause::Damage(_)) => write!(f, "a file of the spool in {folder} is damaged"),
            (Doing::Creating, _) => write!(f, "no file of the spool can be made in {folder}"),
            (Doing::Writing, _) => write!(f, "a file of the spool in {folder} cannot be written"),
            (Doing::Reading, _) => write!(f, "a file of the spool in {folder} cannot be read"),
        }?;
        write!(f, "; the spool holds {held} bytes")
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match &self.0.cause {
            Cause::Io(error) => error,
            Cause::Damage(damage) => damage,
        })
    }
}
