//! kill -9 in the middle of batches: no row lost, none twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testdata::workload::Random;
use testdata::{Client, Version};

use crate::common::OnDrop;
use crate::place::Place;
use crate::stage::Stage;

pub(super) const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, n int, v text); CREATE TABLE whole (n int, v text);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    INSERT INTO t SELECT i, 0, 'copied' FROM generate_series(1, 80) i; INSERT INTO whole SELECT i % 10, 'v' FROM generate_series(1, 30) i";

/// Transactions small and large, until told to stop. None of them could be applied twice without being noticed.
pub(super) fn work(source: &mut Client, stop: &AtomicBool) {
    /// So many are made while everything is fast. On a slow machine the destination would be buried in them, and the
    /// deaths, which need a few, take their time.
    const ENOUGH: i32 = 1000;
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let first = 1000 + 100 * round;
        let script = match round % 4 {
            0 => format!("INSERT INTO t VALUES ({first}, {round}, 'one'); DELETE FROM t WHERE id = (SELECT min(id) FROM t)"),
            1 => "UPDATE t SET n = n + 1 WHERE id % 7 = 0; INSERT INTO whole SELECT n + 1, v FROM whole WHERE n = 3 LIMIT 2".to_owned(),
            2 => format!("UPDATE t SET id = -id WHERE id = (SELECT max(id) FROM t WHERE id > 0); UPDATE whole SET n = {round} % 11 WHERE ctid = (SELECT min(ctid) FROM whole)"),
            _ => "UPDATE t SET n = n + 1, v = 'all'".to_owned(),
        };
        source.batch(&script).unwrap();
        // The replicator is to keep up with most of it.
        thread::sleep(Duration::from_millis(if round < ENOUGH { 10 } else { 300 }));
    }
}

/// A number that is written into the test's output.
pub(super) fn random() -> Random {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = u64::from(now.subsec_nanos());
    println!("seed {seed}");
    Random::new(seed)
}

pub(crate) fn killed_in_the_middle<P: Place>() {
    const KILLS: usize = 10;
    let mut stage = Stage::<P>::new(Version::NEWEST);
    stage.follow_through(TABLES);
    let mut random = random();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop_at_last = OnDrop(|| stop.store(true, Ordering::Relaxed));
        let (mut source, stop) = (stage.session(), &stop);
        scope.spawn(move || work(&mut source, stop));
        for _ in 0..KILLS {
            let running = stage.stream();
            thread::sleep(Duration::from_millis(random.below(150) as u64));
            assert_eq!(running.kill().signal, Some(9));
        }
        #[cfg(feature = "failpoints")]
        for place in [
            "batch-begun",
            "batch-middle",
            "batch-before-commit",
            "batch-after-commit",
            "committed",
        ] {
            stage.dies_at(&format!("{place}:{}", 1 + random.below(3)));
        }
        drop(stop_at_last);
    });
    stage.follow();
}
