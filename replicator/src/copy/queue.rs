//! What is left to do in a round, shared by its workers.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;
use walstream::walproto::Oid;

use super::parts::Part;
use crate::source::PublishedTable;
use crate::table::Table;

/// A table to copy.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) published: PublishedTable,
    /// With its name at the destination.
    pub(super) table: Arc<Table>,
    /// What it must still be once it is locked.
    pub(super) version: String,
}

/// What a worker does next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Begin this table, and finish it.
    Begin(Arc<Job>),
    /// Take parts of one that another worker has begun.
    Help(Arc<Job>),
}

/// Tables that wait, and parts of those that are begun.
#[derive(Debug)]
pub(super) struct Queue(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<Job>>,
    /// Taken from those that wait, and not opened yet.
    beginning: usize,
    open: Vec<Open>,
    done: Vec<Oid>,
}

#[derive(Debug)]
struct Open {
    job: Arc<Job>,
    parts: VecDeque<Part>,
    /// Parts that are being read.
    busy: usize,
}

impl State {
    fn next(&mut self, declined: &[Oid]) -> Option<Turn> {
        if let Some(job) = self.waiting.pop_front() {
            self.beginning += 1;
            return Some(Turn::Begin(job));
        }
        let open = self.open.iter().find(|open| open.is_for(declined))?;
        Some(Turn::Help(Arc::clone(&open.job)))
    }

    /// Whether there is, or may soon be, something for one who leaves these alone.
    fn has(&self, declined: &[Oid]) -> bool {
        !self.waiting.is_empty() || self.open.iter().any(|open| open.is_for(declined))
    }

    fn find(&mut self, oid: Oid) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.job.table.oid == oid)
    }
}

impl Open {
    fn is_for(&self, declined: &[Oid]) -> bool {
        !self.parts.is_empty() && !declined.contains(&self.job.table.oid)
    }
}

impl Queue {
    /// These, in this order.
    pub(super) fn new(jobs: impl IntoIterator<Item = Job>) -> Self {
        let state = State {
            waiting: jobs.into_iter().map(Arc::new).collect(),
            ..State::default()
        };
        Self(watch::Sender::new(state))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut result = None;
        self.0.send_modify(|state| result = Some(change(state)));
        result
    }

    /// The next thing to do, for one who could not lock the tables in `declined`; `None` when there will be nothing.
    ///
    /// Tables come first: sessions that write the same one are in each other's way, and one that is begun is complete
    /// later for each that is begun beside it only as long as workers are idle.
    pub(super) async fn next(&self, declined: &[Oid]) -> Option<Turn> {
        let mut state = self.0.subscribe();
        loop {
            if let Some(turn) = self.change(|state| state.next(declined)).flatten() {
                return Some(turn);
            }
            // What is being begun may have parts for us.
            let waited = state.wait_for(|state| state.has(declined) || state.beginning == 0);
            let idle = waited.await.is_ok_and(|state| !state.has(declined));
            if idle {
                return None;
            }
        }
    }

    /// A table that was to be begun is, and has these parts.
    pub(super) fn open(&self, job: &Arc<Job>, parts: Vec<Part>) {
        self.0.send_modify(|state| {
            state.beginning -= 1;
            state.open.push(Open {
                job: Arc::clone(job),
                parts: parts.into(),
                busy: 0,
            });
        });
    }

    /// A table that was to be begun is left to another round.
    pub(super) fn leave(&self) {
        self.0.send_modify(|state| state.beginning -= 1);
    }

    /// A part to read, followed by [`read`](Self::read).
    pub(super) fn take(&self, oid: Oid) -> Option<Part> {
        self.change(|state| {
            let open = state.find(oid)?;
            let part = open.parts.pop_front()?;
            open.busy += 1;
            Some(part)
        })
        .flatten()
    }

    /// A part is at the destination.
    pub(super) fn read(&self, oid: Oid) {
        self.0.send_modify(|state| {
            if let Some(open) = state.find(oid) {
                open.busy -= 1;
            }
        });
    }

    /// Waits until every part is at the destination.
    pub(super) async fn complete(&self, oid: Oid) {
        let complete = |state: &State| {
            let mut open = state.open.iter();
            !open.any(|open| open.job.table.oid == oid && (open.busy > 0 || !open.parts.is_empty()))
        };
        // Whoever asks holds the sender as well.
        let _ = self.0.subscribe().wait_for(complete).await;
    }

    /// A table is done.
    pub(super) fn close(&self, oid: Oid) {
        self.0.send_modify(|state| {
            state.open.retain(|open| open.job.table.oid != oid);
            state.done.push(oid);
        });
    }

    /// The tables that are done.
    pub(super) fn done(&self) -> Vec<Oid> {
        self.0.borrow().done.clone()
    }
}
