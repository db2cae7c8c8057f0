//! What the task and its consumer share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::Notify;

use crate::error::Error;
use crate::progress::{Ledger, Progress};
use crate::session::Positions;
use crate::vitals::Pulse;

/// What the task and its consumer share.
#[derive(Debug)]
pub(crate) struct Shared<W> {
    inbox: Mutex<Inbox<W>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) pulse: Arc<Pulse>,
    /// Tells the consumer that there is something.
    pub(crate) ready: Bell,
    /// Tells the task that there is room, a position to report, or a wish.
    pub(crate) wake: Arc<Notify>,
}

/// Wakes the one consumer.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Option<Waker>>);

impl Bell {
    /// Before looking: what is put there afterwards is heard of.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *place {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(crate) fn ring(&self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What lies between the two.
#[derive(Debug)]
pub(crate) struct Inbox<W> {
    pub(crate) waiting: W,
    pub(super) end: Option<Result<(), Error>>,
    pub(super) ping: bool,
    pub(super) stop: bool,
}

impl<W> Shared<W> {
    pub(super) fn new(waiting: W, pulse: Pulse) -> Self {
        let progress = Arc::<Progress>::default();
        let wake = Arc::new(Notify::new());
        let waker = Arc::clone(&wake);
        let ledger = Ledger::new(Arc::clone(&progress), move || waker.notify_one());
        Self {
            inbox: Mutex::new(Inbox {
                waiting,
                end: None,
                ping: false,
                stop: false,
            }),
            progress,
            ledger,
            pulse: Arc::new(pulse),
            ready: Bell::default(),
            wake,
        }
    }

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox<W>> {
        // Every change of it is a single step, so a panic elsewhere leaves it sound.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn positions(&self) -> Positions {
        let progress = &self.progress;
        Positions {
            received: progress.received(),
            durable: progress.durable(),
            applied: progress.applied(),
        }
    }
}

impl<W> Inbox<W> {
    /// How the stream ended, if it did and nothing waits. An error is told once.
    pub(crate) fn take_end(&mut self) -> Option<Result<(), Error>> {
        let end = self.end.take()?;
        self.end = Some(Ok(()));
        Some(end)
    }
}
