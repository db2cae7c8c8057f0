//! Looking at what a destination remembers, beside whoever writes it.

#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::time::Duration;

use super::Destination;
use super::any::{Any, Place, open_existing};
use crate::error::Result;
use crate::position::{PositionRow, TableRow};

/// A destination that is only looked at: no lock that a writer would meet is taken, and nothing is made.
#[derive(Debug)]
pub(crate) enum Reader {
    /// Read anew each time: whoever writes may go and come.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    Server(Any),
}

impl Reader {
    /// Opens what a URL names, which must be there.
    pub(crate) async fn open(url: &str, slot: &str) -> Result<Self> {
        match Place::read(url)? {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(path) => Ok(Self::Sqlite(path.into())),
            // A session there takes no lock before it writes.
            #[cfg_attr(
                not(any(feature = "postgres", feature = "mysql", feature = "sqlserver")),
                expect(unreachable_patterns, reason = "there are no servers then")
            )]
            _ => open_existing(url, slot, Duration::ZERO)
                .await
                .map(Self::Server),
        }
    }

    /// The slot's position row and tables.
    pub(crate) async fn look(
        &mut self,
        slot: &str,
    ) -> Result<(Option<PositionRow>, Vec<TableRow>)> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => super::sqlite::look(path.clone(), slot.to_owned()).await,
            Self::Server(server) => {
                let position = server.position(slot).await?;
                Ok((position, server.tables(slot).await?))
            }
        }
    }
}
