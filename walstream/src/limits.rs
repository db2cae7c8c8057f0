//! How much may wait for a consumer, and where.

use std::path::PathBuf;

/// How much may wait, and where.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of received messages kept in memory, 32 MiB by default; transactions past it go to a file.
    pub memory: u64,
    /// Bytes of files, 16 GiB by default; past it the reading waits for the consumer, or fails if there is nothing to consume.
    pub spool: u64,
    /// Folder of the files, the system's for temporary ones by default; they have no names and vanish with the process.
    pub folder: PathBuf,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 32 << 20,
            spool: 16 << 30,
            folder: std::env::temp_dir(),
        }
    }
}
