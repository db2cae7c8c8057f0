//! What is chosen among few.

use walstream::walproto::Lsn;

use crate::error::{Error, Result};

/// How changes that do not fit into memory are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As received; faster than memory.
    #[default]
    None,
    /// In blocks of LZ4, 30 to 70 % smaller: for disks that are small or slow.
    Lz4,
}

impl Compression {
    pub(crate) const fn of_the_stream(self) -> walstream::Compression {
        match self {
            Self::None => walstream::Compression::None,
            Self::Lz4 => walstream::Compression::Lz4,
        }
    }
}

/// What to do with tables without a usable key in a publication that we make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyless {
    /// Leave them out and name them.
    #[default]
    Skip,
    /// Follow inserts and truncates; updates and deletes are not published.
    InsertOnly,
    /// `ALTER TABLE … REPLICA IDENTITY FULL` on the source.
    Full,
}

/// Whether rows that exist already are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copy {
    /// Once, when the slot is made, into tables that we make.
    #[default]
    Yes,
    /// Never: the destination has them. Existing tables and slots are accepted.
    No,
    /// As `Yes`, and then stop. Slot and position stay, so that a later run streams from there.
    Only,
}

/// What becomes of the rows of a destination table that is there already and is to be copied into. One without rows is
/// filled, whatever is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingRows {
    /// Nothing: such a table is refused by name.
    #[default]
    Fail,
    /// They are deleted at the beginning of the table's copy, which the log says before.
    Truncate,
    /// They stay, and ours come beside them; a key that is there already is a conflict. A copy that does not come to its
    /// end cannot tell whose rows are whose, and is not begun again.
    Keep,
}

/// What to do when a streamed change meets another destination than it expects: an insert onto a row that is there,
/// an update or delete of one that is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Stop, naming table and key: somebody else has changed the destination.
    #[default]
    Stop,
    /// Make the row what the source has, and say so in the log. An update that does not hold the whole row (unchanged
    /// TOAST), and a change that touches several rows, stop all the same.
    Apply,
}

/// What to do about values that a destination's type cannot hold exactly: infinity in a MySQL `DATETIME`, `NaN` in a
/// `DOUBLE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMisfit {
    /// Stop, naming table, column, row and value.
    #[default]
    Fail,
    /// Make columns text where the type could not hold every value of the source's, so that nothing is a misfit. Decided
    /// when a table is made.
    Text,
    /// Store the nearest value that the column holds, and say so in the log. Values of a key, and those that nothing is
    /// near to, stop all the same.
    Clamp,
}

/// What to do when changes of one table cannot be applied: a conflict, a refused row, a definition that changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTableError {
    /// End the run there, so that all tables stay at one moment of the source.
    #[default]
    Stop,
    /// Stop that table, with the reason in the ledger, and go on with the others.
    Isolate,
}

/// Whether large transactions are sent before they commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// Never; the server keeps them.
    Off,
    /// In blocks, from protocol 2 on.
    On,
    /// In blocks, with positions in aborts, from protocol 4 on.
    Parallel,
}

/// Where a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When everything committed before the start is durable at the destination.
    Current,
    /// When everything up to this position is.
    Lsn(Lsn),
}

impl std::str::FromStr for Until {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "current" => Ok(Self::Current),
            lsn => lsn.parse().map(Self::Lsn).map_err(|_| {
                Error::usage(format!(
                    "{text:?} is neither \"current\" nor a WAL position such as 16/B374D848"
                ))
            }),
        }
    }
}

/// What a run does when it is further behind than [`Config::max_lag_bytes`](crate::Config::max_lag_bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMaxLag {
    /// Says so, is not ready, and goes on.
    #[default]
    Warn,
    /// Ends, and drops its slot, so that the source may remove its WAL: the destination has to be filled anew.
    DropSlot,
}
