//! Where what was received waits for its end or for the consumer: in memory, and past a bound in files.
//!
//! The files have no name, so they are gone with the process however that ends, and are never read by another. What
//! lies in them is checked when it is read. The spool is no reason to confirm anything, and a lost connection empties it.

mod backlog;
mod contents;
mod entry;
mod fault;
mod file;
mod folder;
mod piece;
mod usage;

pub(crate) use backlog::{Backlog, Received};
pub(crate) use contents::{Contents, Messages};
pub(crate) use fault::Fault;
pub(crate) use folder::Folder;
pub(crate) use usage::{Complete, Usage};

/// Messages are written to a file in pieces of about this size, so that a system call, a checksum and a dictionary of
/// the compression are shared by many.
pub(crate) const PIECE: usize = 256 << 10;
