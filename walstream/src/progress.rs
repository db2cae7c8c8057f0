//! How far we are: four positions that only rise, and the tokens that raise them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use crossbeam_utils::CachePadded;
use walproto::Lsn;

use sync::{AtomicU64, Mutex, Ordering};

/// The standard library's, or those of loom, which tries their orders (package `model`).
mod sync {
    #[cfg(loom)]
    pub(super) use loom::sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    };
    #[cfg(not(loom))]
    pub(super) use std::sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    };
}

/// Positions reached, readable from any thread without a lock.
///
/// Each only rises. `received` starts anew with each connection; the others are true for as long as the
/// destination is.
#[derive(Debug, Default)]
pub struct Progress {
    received: CachePadded<AtomicU64>,
    durable: CachePadded<AtomicU64>,
    applied: CachePadded<AtomicU64>,
}

impl Progress {
    /// End of the last transaction received whole, or the last keepalive.
    pub fn received(&self) -> Lsn {
        Lsn(self.received.load(Ordering::Acquire))
    }

    /// Everything before it is durable in the destination; 0/0 until something was confirmed.
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// Everything before it is visible in the destination.
    pub fn applied(&self) -> Lsn {
        Lsn(self.applied.load(Ordering::Acquire))
    }

    /// Another connection begins, and with it what was received.
    pub(crate) fn restart(&self) {
        self.received.store(0, Ordering::Release);
    }

    pub(crate) fn raise_received(&self, lsn: Lsn) {
        self.received.fetch_max(lsn.0, Ordering::AcqRel);
    }
}

/// Hands out tokens in the order of the stream and makes a prefix out of their confirmations.
///
/// It stands on the confirming side: the socket task reads only [`Progress`].
pub(crate) struct Ledger {
    progress: Arc<Progress>,
    open: Mutex<Open>,
    /// Called when a position rose, so that the server hears of it soon.
    wake: Box<dyn Fn() + Send + Sync>,
}

/// What was handed out and not confirmed, by number. What is confirmed takes no room, however long something before
/// it is held.
#[derive(Debug, Default)]
struct Open {
    /// Number of the next entry.
    next: u64,
    entries: BTreeMap<u64, Entry>,
    /// Places that are held until nothing is open up to an entry which is confirmed already.
    spans: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct Entry {
    lsn: Lsn,
    /// The highest of those confirmed between this and the next that is open.
    behind: Lsn,
}

impl Open {
    /// Takes an entry out; what it and those behind it reach, if nothing before them is open.
    fn close(&mut self, number: u64) -> Lsn {
        let Some(entry) = self.entries.remove(&number) else {
            return Lsn::ZERO;
        };
        let reached = entry.lsn.max(entry.behind);
        match self.entries.range_mut(..number).next_back() {
            Some((_, before)) => {
                before.behind = before.behind.max(reached);
                Lsn::ZERO
            }
            None => reached,
        }
    }

    /// Takes out the held places that nothing open follows up to what they are held for. From a position in between the
    /// server would send the end of a prepared transaction once more, and not its content.
    fn release(&mut self) -> Lsn {
        let mut reached = Lsn::ZERO;
        while let Some(at) = self
            .spans
            .iter()
            .position(|&(hold, number)| self.entries.range(hold + 1..number).next().is_none())
        {
            let (hold, _) = self.spans.swap_remove(at);
            reached = reached.max(self.close(hold));
        }
        reached
    }
}

impl Ledger {
    pub(crate) fn new(
        progress: Arc<Progress>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            progress,
            open: Mutex::default(),
            wake: Box::new(wake),
        })
    }

    /// A token behind all those handed out before; `lsn` counts once it and they are confirmed.
    pub(crate) fn issue(self: &Arc<Self>, lsn: Lsn) -> Token {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let number = open.next;
        open.next += 1;
        let behind = Lsn::ZERO;
        open.entries.insert(number, Entry { lsn, behind });
        Token {
            ledger: Arc::clone(self),
            number,
            hold: None,
            lsn,
        }
    }

    /// Whether the position cannot move before one of these is confirmed.
    pub(crate) fn waits_for<'a>(&self, mut tokens: impl Iterator<Item = &'a Token>) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let first = open.entries.keys().next().copied();
        drop(open);
        first.is_some_and(|first| tokens.any(|token| token.number == first))
    }

    fn confirm(&self, number: u64, hold: Option<u64>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = open.close(number);
        open.spans.extend(hold.map(|hold| (hold, number)));
        let reached = reached.max(open.release());
        // Raised under the lock: a later confirmation cannot overtake an earlier one.
        self.progress.durable.fetch_max(reached.0, Ordering::AcqRel);
        self.progress.applied.fetch_max(reached.0, Ordering::AcqRel);
        drop(open);
        if !reached.is_zero() {
            (self.wake)();
        }
    }
}

impl Ledger {
    /// A token for everything before `lsn`.
    pub(crate) fn mark(self: &Arc<Self>, lsn: Lsn) -> RawToken {
        RawToken {
            ledger: Arc::clone(self),
            lsn,
        }
    }

    fn reach(&self, lsn: Lsn) {
        let before = self.progress.durable.fetch_max(lsn.0, Ordering::AcqRel);
        self.progress.applied.fetch_max(lsn.0, Ordering::AcqRel);
        if lsn.0 > before {
            (self.wake)();
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("progress", &self.progress)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// The only way to confirm a position: comes with what was received, is handed back once that is durable.
///
/// A token that is dropped holds the position for good; what it came with is sent again after a restart.
#[derive(Debug)]
#[must_use = "a position is confirmed by handing its token back; a dropped token holds the slot"]
pub struct Token {
    ledger: Arc<Ledger>,
    number: u64,
    /// An earlier place that it stands for as well.
    hold: Option<u64>,
    lsn: Lsn,
}

impl Token {
    /// The position it stands for.
    pub const fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Says that what this token came with is durable and visible in the destination.
    ///
    /// The server may then delete that WAL, so call this after the destination has committed, not before. The
    /// server is told once everything received earlier is confirmed too, in whatever order that happens.
    pub fn confirm(self) {
        self.ledger.confirm(self.number, self.hold);
    }

    /// Whether everything before `lsn` is durable, though this token is not confirmed.
    pub(crate) fn is_passed(&self, lsn: Lsn) -> bool {
        self.ledger.progress.durable() >= lsn
    }

    /// Stands for the place of `hold` as well, which came before.
    pub(crate) fn with(self, hold: Self) -> Self {
        Self {
            hold: Some(hold.number),
            ..self
        }
    }
}

/// Comes with a frame of a [`RawStream`](crate::RawStream), and stands for it and everything before it.
///
/// Its position is the last one at or before the frame that says what has come: the end of a commit, of a prepare or
/// of the end of a prepared transaction, or a keepalive. It is never the frame's own, which says no such thing.
#[derive(Clone, Debug)]
pub struct RawToken {
    ledger: Arc<Ledger>,
    lsn: Lsn,
}

impl RawToken {
    /// The position it stands for; 0/0 until one has come.
    pub const fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Says that its frame and *every* frame before it is durable.
    ///
    /// The server may then delete that WAL, and does not send again what committed or was prepared there. A prepared
    /// transaction is therefore only safe with its content; a streamed one that has not ended is sent again from its
    /// beginning, so its frames need not be kept for that. An older token changes nothing.
    pub fn confirm(&self) {
        self.ledger.reach(self.lsn);
    }
}

#[cfg(all(test, loom))]
#[path = "progress/model.rs"]
mod model;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn ledger() -> (Arc<Progress>, Arc<Ledger>) {
        let progress = Arc::new(Progress::default());
        (Arc::clone(&progress), Ledger::new(progress, || {}))
    }

    #[test]
    fn confirmations_out_of_order_yield_the_prefix() {
        let (progress, ledger) = ledger();
        let [a, b, c] = [10, 20, 30].map(|lsn| ledger.issue(Lsn(lsn)));
        c.confirm();
        assert_eq!(progress.durable(), Lsn(0));
        a.confirm();
        assert_eq!(progress.durable(), Lsn(10));
        b.confirm();
        assert_eq!(progress.durable(), Lsn(30));
        assert_eq!(progress.applied(), Lsn(30));
    }

    #[test]
    fn a_token_with_a_hold_stands_for_both_places() {
        let (progress, ledger) = ledger();
        let first = ledger.issue(Lsn(10));
        let hold = ledger.issue(Lsn::ZERO);
        ledger.issue(Lsn(20)).confirm();
        first.confirm();
        assert_eq!(progress.durable(), Lsn(10), "held");
        let last = ledger.issue(Lsn(40));
        let middle = ledger.issue(Lsn(30)).with(hold);
        last.confirm();
        assert_eq!(progress.durable(), Lsn(10), "still held");
        middle.confirm();
        assert_eq!(progress.durable(), Lsn(40));
    }

    #[test]
    fn a_hold_stays_until_nothing_is_open_up_to_what_it_is_held_for() {
        let (progress, ledger) = ledger();
        let hold = ledger.issue(Lsn(0));
        ledger.issue(Lsn(10)).confirm();
        let between = ledger.issue(Lsn(20));
        let end = ledger.issue(Lsn(30)).with(hold);
        let behind = ledger.issue(Lsn(40));
        end.confirm();
        assert_eq!(progress.durable(), Lsn(0), "10 lies behind the prepare");
        behind.confirm();
        between.confirm();
        assert_eq!(progress.durable(), Lsn(40));
    }

    #[test]
    fn what_is_confirmed_behind_a_hold_takes_no_room() {
        let (progress, ledger) = ledger();
        let hold = ledger.issue(Lsn::ZERO);
        (1..=1000).for_each(|lsn| ledger.issue(Lsn(lsn)).confirm());
        assert_eq!(ledger.open.lock().unwrap().entries.len(), 1);
        assert!(ledger.waits_for([&hold].into_iter()));
        let open = ledger.issue(Lsn(2000));
        hold.confirm();
        assert_eq!(progress.durable(), Lsn(1000));
        open.confirm();
        assert_eq!(progress.durable(), Lsn(2000));
    }

    #[test]
    fn a_dropped_token_holds_the_position() {
        let (progress, ledger) = ledger();
        ledger.issue(Lsn(10)).confirm();
        drop(ledger.issue(Lsn(20)));
        ledger.issue(Lsn(30)).confirm();
        assert_eq!(progress.durable(), Lsn(10));
    }

    #[test]
    fn a_lower_position_behind_a_higher_one_changes_nothing() {
        let (progress, ledger) = ledger();
        ledger.issue(Lsn(30)).confirm();
        ledger.issue(Lsn(20)).confirm();
        assert_eq!(progress.durable(), Lsn(30));
    }

    #[test]
    fn who_sends_is_woken_only_when_a_position_rose() {
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        let ledger = Ledger::new(Arc::default(), move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let [a, b] = [10, 20].map(|lsn| ledger.issue(Lsn(lsn)));
        b.confirm();
        assert_eq!(woken.load(Ordering::Relaxed), 0);
        a.confirm();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_raw_token_stands_for_everything_before_it_and_never_goes_back() {
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        let progress = Arc::new(Progress::default());
        let ledger = Ledger::new(Arc::clone(&progress), move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let [start, a, b] = [0, 10, 20].map(|lsn| ledger.mark(Lsn(lsn)));
        start.confirm();
        assert_eq!(
            (progress.durable(), woken.load(Ordering::Relaxed)),
            (Lsn(0), 0)
        );
        b.confirm();
        assert_eq!((progress.durable(), progress.applied()), (Lsn(20), Lsn(20)));
        a.confirm();
        b.confirm();
        assert_eq!(
            (progress.durable(), woken.load(Ordering::Relaxed)),
            (Lsn(20), 1)
        );
    }

    #[test]
    fn workers_on_several_threads_lose_nothing() {
        let (progress, ledger) = ledger();
        let tokens: Vec<_> = (1..=1000).map(|lsn| ledger.issue(Lsn(lsn))).collect();
        let mut lots: [Vec<Token>; 4] = Default::default();
        for (number, token) in tokens.into_iter().enumerate() {
            lots[number % 4].push(token);
        }
        std::thread::scope(|scope| {
            for lot in lots {
                scope.spawn(move || lot.into_iter().rev().for_each(Token::confirm));
            }
        });
        assert_eq!(progress.durable(), Lsn(1000));
    }
}
