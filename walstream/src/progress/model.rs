//! What readers may see of positions while several threads confirm, in the orders that the memory model allows.
//!
//! Run by the package `model`, where `Ordering` means what it says.

use loom::sync::Notify;
use loom::sync::atomic::AtomicBool;
use loom::thread::{self, JoinHandle};

use super::*;

/// Every order in which no more than two threads are interrupted where they need not wait. Without that bound it had
/// not come to an end after eight minutes; each fault that was planted is found within it.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(run);
}

fn ledger() -> (Arc<Progress>, Arc<Ledger>) {
    let progress = Arc::new(Progress::default());
    (Arc::clone(&progress), Ledger::new(progress, || {}))
}

fn confirming(token: Token) -> JoinHandle<()> {
    thread::spawn(move || token.confirm())
}

fn reaching(token: RawToken) -> JoinHandle<()> {
    thread::spawn(move || token.confirm())
}

fn join<const N: usize>(threads: [JoinHandle<()>; N]) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// Reads both positions a few times; neither may fall.
fn watch(progress: &Progress) {
    let mut seen = (Lsn::ZERO, Lsn::ZERO);
    for _ in 0..2 {
        let now = (progress.durable(), progress.applied());
        assert!(now.0 >= seen.0 && now.1 >= seen.1, "{seen:?}, then {now:?}");
        seen = now;
    }
}

#[test]
fn no_reader_sees_a_position_fall() {
    model(|| {
        let (progress, ledger) = ledger();
        let [a, b] = [10, 20].map(|lsn| ledger.issue(Lsn(lsn)));
        let threads = [confirming(b), confirming(a)];
        watch(&progress);
        join(threads);
        assert_eq!((progress.durable(), progress.applied()), (Lsn(20), Lsn(20)));
    });
}

#[test]
fn no_reader_sees_a_raw_position_fall() {
    model(|| {
        let (progress, ledger) = ledger();
        let threads = [20, 10].map(|lsn| reaching(ledger.mark(Lsn(lsn))));
        watch(&progress);
        join(threads);
        assert_eq!((progress.durable(), progress.applied()), (Lsn(20), Lsn(20)));
    });
}

#[test]
fn confirmations_on_three_threads_end_at_the_whole_prefix() {
    model(|| {
        let (progress, ledger) = ledger();
        let [a, b, c] = [10, 20, 30].map(|lsn| ledger.issue(Lsn(lsn)));
        let threads = [confirming(c), confirming(b)];
        a.confirm();
        join(threads);
        assert_eq!((progress.durable(), progress.applied()), (Lsn(30), Lsn(30)));
    });
}

#[test]
fn no_position_passes_an_entry_that_is_not_confirmed() {
    model(|| {
        let (progress, ledger) = ledger();
        let [a, open, c] = [10, 20, 30].map(|lsn| ledger.issue(Lsn(lsn)));
        let threads = [confirming(c), confirming(a)];
        assert!(progress.durable() <= Lsn(10));
        // Entries may be added meanwhile, as the reading goes on.
        let last = ledger.issue(Lsn(40));
        last.confirm();
        assert!(progress.applied() <= Lsn(10));
        join(threads);
        assert_eq!(progress.durable(), Lsn(10));
        open.confirm();
        assert_eq!(progress.durable(), Lsn(40));
    });
}

#[test]
fn a_token_with_a_hold_opens_both_places_in_one_step() {
    model(|| {
        let (progress, ledger) = ledger();
        let hold = ledger.issue(Lsn::ZERO);
        let behind = ledger.issue(Lsn(10));
        let both = ledger.issue(Lsn(20)).with(hold);
        let threads = [confirming(both), confirming(behind)];
        watch(&progress);
        join(threads);
        assert_eq!((progress.durable(), progress.applied()), (Lsn(20), Lsn(20)));
    });
}

#[test]
fn what_is_behind_a_hold_waits_for_it() {
    model(|| {
        let (progress, ledger) = ledger();
        let hold = ledger.issue(Lsn::ZERO);
        let [a, b] = [10, 20].map(|lsn| ledger.issue(Lsn(lsn)));
        let threads = [confirming(b), confirming(a)];
        assert_eq!(progress.durable(), Lsn::ZERO);
        hold.confirm();
        join(threads);
        assert_eq!(progress.durable(), Lsn(20));
    });
}

#[test]
fn who_sees_a_position_sees_what_was_done_before_it_was_confirmed() {
    model(|| {
        let (progress, ledger) = ledger();
        let (token, raw) = (ledger.issue(Lsn(10)), ledger.mark(Lsn(20)));
        let [first, second] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let done = (Arc::clone(&first), Arc::clone(&second));
        let threads = [
            thread::spawn(move || {
                first.store(true, Ordering::Relaxed);
                token.confirm();
            }),
            thread::spawn(move || {
                second.store(true, Ordering::Relaxed);
                raw.confirm();
            }),
        ];
        match progress.durable() {
            Lsn(10) => assert!(done.0.load(Ordering::Relaxed)),
            Lsn(20) => assert!(done.1.load(Ordering::Relaxed)),
            _ => {}
        }
        join(threads);
    });
}

/// The socket task's turn: look at the position, tell it, wait to be woken. A wake that came too early, or not at
/// all, leaves it waiting for good, which loom reports.
fn tell(progress: &Progress, wake: &Notify, last: Lsn) {
    while progress.durable() < last || progress.applied() < last {
        wake.wait();
    }
}

fn woken() -> (Arc<Progress>, Arc<Notify>, Arc<Ledger>) {
    let (progress, wake) = (Arc::<Progress>::default(), Arc::new(Notify::new()));
    let waker = Arc::clone(&wake);
    let ledger = Ledger::new(Arc::clone(&progress), move || waker.notify());
    (progress, wake, ledger)
}

#[test]
fn who_waits_is_woken_by_the_confirmation_that_completes_the_prefix() {
    model(|| {
        let (progress, wake, ledger) = woken();
        let [a, b] = [10, 20].map(|lsn| ledger.issue(Lsn(lsn)));
        let threads = [confirming(b), confirming(a)];
        tell(&progress, &wake, Lsn(20));
        join(threads);
    });
}

#[test]
fn who_waits_is_woken_by_the_highest_raw_token() {
    model(|| {
        let (progress, wake, ledger) = woken();
        let threads = [10, 20].map(|lsn| reaching(ledger.mark(Lsn(lsn))));
        tell(&progress, &wake, Lsn(20));
        join(threads);
    });
}
