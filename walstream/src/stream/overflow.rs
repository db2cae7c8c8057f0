//! Where frames go while complete transactions that nobody takes fill the memory, and when reading waits.

use std::sync::Arc;

use super::queue::Queue;
use crate::driver::Shared;
use crate::error::Error;
use crate::limits::Limits;
use crate::spool::{Backlog, Folder, PIECE, Usage};

/// The way round a full memory: frames go to a [`Backlog`] as they came, and from there into the assembler as the
/// consumer makes room.
///
/// It opens when complete transactions that nobody takes fill the memory, and closes when the backlog is empty: what is
/// behind it never overtakes it. When there is no room for another piece on disk either, reading waits.
#[derive(Debug)]
pub(super) struct Overflow {
    usage: Arc<Usage>,
    memory: u64,
    cap: u64,
    folder: Arc<Folder>,
    /// Only while it is open.
    backlog: Option<Backlog>,
    /// The memory was not full since the backlog began to be emptied.
    catching_up: bool,
}

impl Overflow {
    pub(super) fn new(usage: &Arc<Usage>, limits: &Limits) -> Self {
        Self {
            usage: Arc::clone(usage),
            memory: limits.memory,
            cap: limits.spool,
            folder: Arc::new(Folder::from(limits)),
            backlog: None,
            catching_up: false,
        }
    }

    /// Where frames are to go, unless straight into the assembler.
    pub(super) const fn backlog(&mut self) -> Option<&mut Backlog> {
        self.backlog.as_mut()
    }

    /// Whether it is time to ask [`hold`](Self::hold).
    pub(super) fn is_full(&self) -> bool {
        match self.backlog {
            Some(_) => self.is_disk_full(),
            None => self.usage.memory() > self.memory || self.is_disk_full(),
        }
    }

    /// Opens if it is time to, and says whether reading must wait.
    pub(super) fn hold(&mut self, queue: &Queue) -> Result<bool, Error> {
        let full = self.usage.memory() > self.memory;
        // Read before the files are: none complete means that what they hold is open. What was taken and is not done
        // with counts, as it will make room.
        let complete = self.usage.complete() > 0;
        if full && complete && !queue.events.is_empty() && self.backlog.is_none() {
            let folder = Arc::clone(&self.folder);
            self.backlog = Some(Backlog::new(Arc::clone(&self.usage), folder, self.cap));
        }
        let behind = self.backlog.as_ref().is_some_and(|it| !it.is_empty());
        let disk = self.is_disk_full();
        if disk && !complete && !behind {
            return Err(Error::spool_full(self.cap));
        }
        Ok(disk)
    }

    /// Whether the files may grow no more. The backlog leaves room for the piece that it is filling.
    fn is_disk_full(&self) -> bool {
        let piece = self.backlog.as_ref().map_or(0, |_| PIECE as u64);
        self.usage.disk() + piece > self.cap
    }

    /// The backlog, to take from it. It is closed until it is [put back](Self::put_back): what is behind it must wait for
    /// that.
    pub(super) const fn take(&mut self) -> Option<Backlog> {
        self.backlog.take()
    }

    /// It is not empty yet.
    pub(super) fn put_back(&mut self, backlog: Backlog) {
        self.backlog = Some(backlog);
    }

    /// Whether to go on taking. Once the memory was full that begins again at its half, so that a wake is worth its
    /// price; and whenever nothing waits, as what is in memory then will not become less by waiting.
    pub(super) fn has_room(&mut self, shared: &Shared<Queue>) -> bool {
        let limit = match self.catching_up {
            true => self.memory,
            false => self.memory / 2,
        };
        self.catching_up = self.usage.memory() <= limit || shared.inbox().waiting.events.is_empty();
        self.catching_up
    }

    /// Throws away what was put off.
    pub(super) fn clear(&mut self) {
        self.backlog = None;
        self.catching_up = false;
    }
}
