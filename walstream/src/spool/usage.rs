//! How much the spool holds, and how much of it will make room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use tokio::sync::Notify;

/// What all transactions together hold, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    memory: CachePadded<AtomicU64>,
    disk: CachePadded<AtomicU64>,
    /// How many transactions are complete and not done with, whether they wait or were taken.
    complete: CachePadded<AtomicU64>,
}

impl Usage {
    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    pub(crate) fn disk(&self) -> u64 {
        self.disk.load(Ordering::Relaxed)
    }

    pub(crate) fn complete(&self) -> u64 {
        self.complete.load(Ordering::Acquire)
    }

    pub(super) fn take_memory(&self, bytes: usize) {
        self.memory.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn free_memory(&self, bytes: usize) {
        self.memory.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn take_disk(&self, bytes: u64) {
        self.disk.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn free_disk(&self, bytes: u64) {
        self.disk.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A complete transaction, or a message outside any, that still takes room; when it is done with, the reader hears of it.
#[derive(Debug)]
pub(crate) struct Complete {
    usage: Arc<Usage>,
    wake: Arc<Notify>,
    memory: usize,
}

impl Complete {
    /// What a transaction takes beside its messages: its description, its place in the queue and in the ledger, and
    /// what the allocator adds. Without it, half a million transactions of one row would count for a tenth.
    pub(crate) const OVERHEAD: usize = 512;

    /// Counts `bytes` that are not counted elsewhere.
    pub(crate) fn new(usage: Arc<Usage>, wake: Arc<Notify>, bytes: usize) -> Self {
        let memory = Self::OVERHEAD + bytes;
        usage.take_memory(memory);
        usage.complete.fetch_add(1, Ordering::AcqRel);
        Self {
            usage,
            wake,
            memory,
        }
    }
}

impl Drop for Complete {
    fn drop(&mut self) {
        self.usage.free_memory(self.memory);
        self.usage.complete.fetch_sub(1, Ordering::AcqRel);
        self.wake.notify_one();
    }
}
