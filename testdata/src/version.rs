//! The server versions that everything is tested against.

use std::fmt;

/// A major version of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// PostgreSQL 14.
    V14,
    /// PostgreSQL 15.
    V15,
    /// PostgreSQL 16.
    V16,
    /// PostgreSQL 17.
    V17,
    /// PostgreSQL 18.
    V18,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Self; 5] = [Self::V14, Self::V15, Self::V16, Self::V17, Self::V18];

    /// The newest version.
    pub const NEWEST: Self = Self::V18;

    /// The major version as a number.
    pub fn major(self) -> u32 {
        match self {
            Self::V14 => 14,
            Self::V15 => 15,
            Self::V16 => 16,
            Self::V17 => 17,
            Self::V18 => 18,
        }
    }

    /// The version with this major number, if it is one of ours.
    pub fn of(major: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.major() == major)
    }

    /// The highest version of the pgoutput protocol that the server speaks.
    pub fn max_protocol(self) -> u8 {
        match self {
            Self::V14 => 2,
            Self::V15 => 3,
            Self::V16 | Self::V17 | Self::V18 => 4,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.major().fmt(f)
    }
}
