//! kill -9 of the replicator and of the destination server, at chosen places and at random: no row lost, none twice.
//!
//! `CRASH_ROUNDS=n` plays n rounds (4 without it), `CRASH_SEED=n` repeats the choices of a run.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testdata::workload::{Random, Workload};
use testdata::{Server, Version};

use crate::common::{Finished, Job, OnDrop, connect, quiet, server, server_differences};
use crate::workload::{compare, seed};

/// Places of a first start up to its position, of the copy, and of the stream.
const FIRST: [&str; 4] = ["intent-written", "slot-made", "table-made", "activated"];
const COPYING: [&str; 5] = [
    "copy-begun",
    "copy-middle",
    "chunk-before-commit",
    "copied",
    "copy-finished",
];
const LATER: [&str; 6] = [
    "parcel-sent",
    "batch-begun",
    "batch-middle",
    "batch-before-commit",
    "batch-after-commit",
    "committed",
];
/// Places of a stream that lost its destination.
const LOST: [&str; 3] = ["batch-lost", "destination-lost", "destination-back"];
const OTHERS: [&str; 4] = [
    "the replicator in its first start",
    "the replicator in the stream",
    "the destination in the copy",
    "the destination in the stream",
];

const ABORTED: i32 = 6;
const PATIENCE: Duration = Duration::from_secs(90);

struct Theatre<'a> {
    source: &'a Server,
    destination: Server,
    workload: &'a Mutex<Workload>,
    random: Random,
    met: BTreeMap<&'static str, u64>,
}

impl Theatre<'_> {
    fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    /// A run may end by itself only with an error that is worth another try.
    fn worth_retrying(finished: &Finished) {
        assert_eq!(
            finished.code,
            Some(1),
            "{:?}: {}",
            finished.signal,
            finished.log
        );
    }

    fn die_at(&mut self, job: &Job, place: &'static str, visit: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut command = job.command(&[]);
            command.env("REPLICATOR_FAILPOINT", format!("{place}:{visit}"));
            let mut running = job.start_command(command);
            let Some(finished) = running.wait_until(deadline) else {
                panic!("{place}:{visit} was not reached:\n{}", running.log());
            };
            if finished.signal == Some(ABORTED) {
                break;
            }
            Self::worth_retrying(&finished);
        }
        self.meet(place);
    }

    fn die_at_random(&mut self, job: &Job, within: usize, what: &'static str) {
        let delay = Duration::from_millis(1 + self.random.below(within) as u64);
        let mut running = job.start(&[]);
        match running.wait_until(Instant::now() + delay) {
            Some(finished) => Self::worth_retrying(&finished),
            None => {
                running.kill();
                self.meet(what);
            }
        }
    }

    /// The server dies under the replicator, which goes on by itself or ends with an error that is worth a retry.
    fn kill_the_destination(&mut self, job: &Job, within: usize, what: &'static str) {
        let mut running = job.start(&[]);
        thread::sleep(Duration::from_millis(1 + self.random.below(within) as u64));
        self.destination.kill();
        let early = running
            .wait_until(Instant::now() + Duration::from_millis(self.random.below(300) as u64));
        self.destination.start_again();
        self.meet(what);
        let later = || running.wait_until(Instant::now() + Duration::from_millis(500));
        if let Some(finished) = early.or_else(later) {
            Self::worth_retrying(&finished);
        } else {
            running.kill();
        }
    }

    /// The server dies under the replicator, which dies on its way back to it.
    fn die_while_lost(&mut self, job: &Job, place: &'static str) {
        // Often it is lost between two batches, and nothing but a new session comes of that.
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            let mut command = job.command(&[]);
            command.env("REPLICATOR_FAILPOINT", format!("{place}:1"));
            let mut running = job.start_command(command);
            running.wait_for(" streaming ");
            thread::sleep(Duration::from_millis(self.random.below(300) as u64));
            self.destination.kill();
            self.destination.start_again();
            match running.wait_until(Instant::now() + Duration::from_secs(2)) {
                Some(finished) if finished.signal == Some(ABORTED) => break,
                Some(finished) => Self::worth_retrying(&finished),
                // It was lost in a commit, whose answer it found by itself.
                None => drop(running.kill()),
            }
            assert!(Instant::now() < deadline, "{place} is not reached");
        }
        self.meet(place);
    }

    fn run_to_current(job: &Job) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let finished = job.run(&["--until", "current"]);
            if finished.code == Some(0) {
                return finished.log;
            }
            Self::worth_retrying(&finished);
            assert!(Instant::now() < deadline, "{}", finished.log);
        }
    }

    fn round(&mut self, round: usize) {
        let slot = format!("crash_{round}");
        let database = format!("into_{round}");
        connect(&self.destination, "postgres")
            .batch(&format!("CREATE DATABASE {database}"))
            .unwrap();
        let job = Job::new(self.source, "postgres")
            .slot(&slot)
            .into(self.destination.url(&database));

        let first = FIRST[round % FIRST.len()];
        let visit = if first == "table-made" {
            1 + self.random.below(6)
        } else {
            1
        };
        self.die_at(&job, first, visit);
        // Nothing between may come to the end of the copy, or the last place would not be there any more.
        for at in 0..2 {
            self.die_at(&job, COPYING[(2 * round + at) % COPYING.len()], 1);
        }
        self.die_at_random(&job, 250, OTHERS[0]);
        self.kill_the_destination(&job, 250, OTHERS[2]);
        for at in 0..3 {
            let place = LATER[(3 * round + at) % LATER.len()];
            let visit = match place {
                "batch-middle" => 1 + self.random.below(300),
                _ => 1 + self.random.below(4),
            };
            self.die_at(&job, place, visit);
            self.die_at_random(&job, 700, OTHERS[1]);
            self.kill_the_destination(&job, 900, OTHERS[3]);
        }
        self.die_while_lost(&job, LOST[round % LOST.len()]);

        let mut workload = self.workload.lock().unwrap();
        workload.finish().unwrap();
        let log = Self::run_to_current(&job);
        let mut source = connect(self.source, "postgres");
        let mut destination = connect(&self.destination, &database);
        compare(&workload, &mut source, &mut destination);
        let all = server_differences(&mut source, &mut destination);
        assert!(all.is_empty(), "{:#?}\n{log}", &all[..all.len().min(5)]);
        source
            .batch(&format!(
                "SELECT pg_drop_replication_slot('{slot}'); DROP PUBLICATION replicator"
            ))
            .unwrap();
    }
}

fn survives(from: Version, into: Version, rounds: usize) {
    let seed = seed("CRASH_SEED");
    println!("PostgreSQL {from} into {into}: CRASH_SEED={seed}");
    let source = quiet(from)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    connect(&source, "postgres")
        .batch(
            "CREATE TABLE bulk (id int PRIMARY KEY, n int, v text);
             INSERT INTO bulk SELECT i, 0, repeat('b', 400) FROM generate_series(1, 5000) i",
        )
        .unwrap();
    let mut workload = Workload::new(&source, "postgres", seed, 3).unwrap();
    for _ in 0..400 {
        workload.step().unwrap();
    }
    let workload = Mutex::new(workload);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if let Ok(mut workload) = workload.lock() {
                    for _ in 0..10 {
                        workload.step().unwrap();
                    }
                }
                thread::sleep(Duration::from_millis(15));
            }
        });
        let _stopper = OnDrop(|| stop.store(true, Ordering::Relaxed));
        let mut theatre = Theatre {
            source: &source,
            destination: server(into),
            workload: &workload,
            random: Random::new(seed),
            met: BTreeMap::new(),
        };
        for round in 0..rounds {
            theatre.round(round);
        }
        println!("{rounds} rounds: {:?}", theatre.met);
        for place in FIRST
            .iter()
            .chain(&COPYING)
            .chain(&LATER)
            .chain(&LOST)
            .chain(&OTHERS)
        {
            assert!(
                theatre.met.contains_key(place),
                "{place} was never hit: {:?}",
                theatre.met
            );
        }
    });
}

fn rounds() -> usize {
    std::env::var("CRASH_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap())
}

#[test]
fn nothing_is_lost_or_twice_on_14() {
    survives(Version::V14, Version::V14, 4);
}

#[test]
fn nothing_is_lost_or_twice_on_18() {
    survives(Version::V18, Version::V18, rounds());
}
