//! What a reader sees while rows arrive.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testdata::Version;

use crate::common::OnDrop;
use crate::place::Place;
use crate::stage::Stage;

/// Each transaction gives its number to all rows of three tables, more than go to a place at once, and adds one to a
/// fourth.
pub(crate) fn a_reader_sees_whole_transactions<P: Place + Sync>() {
    const SIGHTS: u64 = 12;
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.follow_through(
        "CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int, n int); ALTER TABLE b REPLICA IDENTITY FULL;
         CREATE TABLE c (id int PRIMARY KEY, n int); CREATE TABLE d (n int PRIMARY KEY);
         INSERT INTO a SELECT i, 0 FROM generate_series(1, 600) i; INSERT INTO b SELECT i, 0 FROM generate_series(1, 50) i;
         INSERT INTO c SELECT i, 0 FROM generate_series(1, 600) i",
    );
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|table| stage.place.name("public", table));
    let sql = format!(
        "SELECT (SELECT count(*) FROM {d}), min(n), max(n), count(*)
         FROM (SELECT n FROM {a} UNION ALL SELECT n FROM {b} UNION ALL SELECT n FROM {c}) AS every_row"
    );
    let running = stage.stream();
    let (stop, latest) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let stop_at_last = OnDrop(|| stop.store(true, Ordering::Relaxed));
        let place = &stage.place;
        let reader = scope.spawn(|| {
            let mut read = place.reader();
            let mut sights = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let row = read(&sql).remove(0);
                let number = row[0].clone().unwrap();
                let whole =
                    [&*number, &*number, &*number, "1250"].map(|text| Some(text.to_owned()));
                assert_eq!(row, whole, "a part of a transaction was seen");
                let number = number.parse().unwrap();
                latest.store(number, Ordering::Relaxed);
                sights.insert(number);
            }
            sights
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        for number in 1..=2 * SIGHTS {
            let script = format!(
                "UPDATE a SET n = {number}; INSERT INTO d VALUES ({number}); UPDATE b SET n = {number}; UPDATE c SET n = {number}"
            );
            stage.source.batch(&script).unwrap();
            // Two at once may become one batch, and all of them must not.
            while latest.load(Ordering::Relaxed) + 1 < number && !reader.is_finished() {
                assert!(Instant::now() < deadline, "{number} does not arrive");
                thread::sleep(Duration::from_millis(1));
            }
        }
        drop(stop_at_last);
        let sights = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
        assert!(sights.len() as u64 >= SIGHTS, "{sights:?}");
    });
    assert_eq!(running.terminate().code, Some(0));
    stage.follow();
}
