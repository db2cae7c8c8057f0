//! Why a frame cannot be shown.

use std::fmt;
use std::io;
use std::path::Path;

use walproto::Oid;

use crate::error::Error;

/// Why a frame cannot be shown.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShowError {
    /// Its bytes are not what the protocol allows.
    Broken {
        /// What is wrong, counted from the first byte of what was read.
        error: walproto::Error,
        /// At which byte of the frame.
        at: usize,
    },
    /// A change of a table that the stream has not described.
    UnknownRelation(Oid),
    /// A row that has not as many columns as its table.
    ColumnCount {
        /// The table, with its schema.
        table: String,
        /// How many the table has.
        columns: usize,
        /// How many the row has.
        values: usize,
    },
    /// It could not be written.
    Output(io::Error),
}

impl ShowError {
    /// `inside` is where in the frame the message begins.
    pub(crate) fn broken(error: walproto::Error, inside: usize) -> Self {
        let at = usize::try_from(error.offset).unwrap_or(usize::MAX);
        Self::Broken {
            error,
            at: at.saturating_add(inside),
        }
    }

    /// Whether whoever read our output has gone away, as `head` does: no reason to complain.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// At which byte of the frame, where it is about one.
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::Broken { at, .. } => Some(*at),
            Self::UnknownRelation(_) | Self::ColumnCount { .. } => Some(0),
            Self::Output(_) => None,
        }
    }
}

impl fmt::Display for ShowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { error, .. } => error.fmt(f),
            Self::UnknownRelation(oid) => write!(
                f,
                "a change of relation {oid}, which was not described before: either this goes on with an earlier \
                 file, or messages are missing"
            ),
            Self::ColumnCount {
                table,
                columns,
                values,
            } => write!(
                f,
                "a row of {values} values for table {table}, which has {columns} columns"
            ),
            Self::Output(_) => f.write_str("cannot write the output"),
        }
    }
}

impl std::error::Error for ShowError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Output(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ShowError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<ShowError> for Error {
    /// What cannot be written is worth another try; a broken stream needs a person.
    fn from(error: ShowError) -> Self {
        match error {
            ShowError::Output(cause) => {
                Self::retry(ShowError::Output(io::ErrorKind::Other.into()).to_string())
                    .caused_by(cause)
            }
            other => Self::person(other.to_string()),
        }
    }
}

/// Where the body of a record begins, counted from the record.
const BODY: u64 = 1 + 4 + 8 + 4;

/// Says in which capture file, in the record at which byte, and in its frame or not.
pub(crate) fn located(path: &Path, record: u64, in_frame: bool, error: ShowError) -> Error {
    let Some(at) = error.at() else {
        return error.into();
    };
    let byte = record + if in_frame { BODY } else { 0 } + at as u64;
    let located = Error::person(format!(
        "{}: {error} (byte {byte} of the file, in the record at {record})",
        path.display()
    ));
    match error {
        ShowError::UnknownRelation(_) => located.with_hint(
            "if it goes on with an earlier file, give that one too, before it: replicator decode EARLIER FILE",
        ),
        _ => located,
    }
}
