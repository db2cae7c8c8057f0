//! Where the copy ends and the stream begins: no row lost and none twice, whatever is at work on the source meanwhile
//! and whenever the replicator is killed.
//!
//! Rows move between pages, change their keys, go and come; tables are emptied and rewritten. The tables are copied in
//! many parts by several workers. `SEAM_ROUNDS=n` plays n lives per destination (2 without it), `SEAM_SEED=n` repeats the
//! choices of a run.

#[path = "../common/mod.rs"]
mod common;
mod lost;
mod place;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Finished, Job, OnDrop, connect, differences, published, quiet, source_rows};
use place::Place;
use testdata::workload::Random;
use testdata::{Server, Version};

const ABORTED: i32 = 6;
const PATIENCE: Duration = Duration::from_secs(90);

/// Where it dies, and up to which visit.
const PLACES: &[(&str, usize)] = &[
    ("activated", 1),
    ("copy-begun", 3),
    ("copy-middle", 20),
    ("chunk-before-commit", 20),
    ("copied", 3),
    ("copy-finished", 3),
];

/// What must come up among all lives.
const WANTED: [&str; 3] = [
    "a finished table that stayed",
    "a table in parts",
    "at random",
];

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

struct Theatre<'a> {
    server: &'a Server,
    random: Random,
    met: BTreeMap<&'static str, u64>,
}

impl Theatre<'_> {
    fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    fn start(job: &Job, place: Option<(&str, usize)>, more: &[&str]) -> common::Running {
        let mut command = job.command(more);
        // Many parts of small tables.
        command.env("REPLICATOR_PART_BYTES", "100000");
        if let Some((place, visit)) = place {
            command.env("REPLICATOR_FAILPOINT", format!("{place}:{visit}"));
        }
        job.start_command(command)
    }

    /// Kills it again and again until every table is copied.
    fn copy(&mut self, job: &Job, place: &mut dyn Place, round: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut kept: BTreeMap<String, String> = BTreeMap::new();
        for at in round.. {
            assert!(Instant::now() < deadline, "the copy does not end");
            let (name, visits) = PLACES[at % PLACES.len()];
            let visit = 1 + self.random.below(visits);
            let mut running = if at % 3 == 2 {
                let mut running = Self::start(job, None, &[]);
                thread::sleep(Duration::from_millis(100 + self.random.below(1000) as u64));
                if running.wait_until(Instant::now()).is_none() {
                    running.kill();
                    self.meet("at random");
                    None
                } else {
                    Some(running)
                }
            } else {
                Some(Self::start(job, Some((name, visit)), &[]))
            };
            if let Some(running) = &mut running {
                loop {
                    let soon = Instant::now() + Duration::from_millis(100);
                    let Some(finished) = running.wait_until(soon) else {
                        assert!(Instant::now() < deadline, "{}", running.log());
                        if running.log().contains(" streaming ") {
                            break;
                        }
                        continue;
                    };
                    if finished.signal == Some(ABORTED) {
                        self.meet(name);
                    } else {
                        worth_retrying(&finished);
                    }
                    break;
                }
            }
            drop(running);
            let now = place.finished(job);
            for (table, position) in &kept {
                assert_eq!(
                    now.get(table),
                    Some(position),
                    "table {table} was copied again"
                );
                self.meet("a finished table that stayed");
            }
            if place.most_parts(job) > 1 {
                self.meet("a table in parts");
            }
            let tables = work::TABLES.len();
            if now.len() == tables {
                return;
            }
            kept = now;
        }
    }

    fn life(&mut self, round: usize, place: &mut dyn Place, slot: &str) {
        let mut job = Job::new(self.server, "postgres")
            .slot(slot)
            .options(&["--publication", "replicator"]);
        if let Some(url) = place.url() {
            job = job.into(url);
        }
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let _stopper = OnDrop(|| stop.store(true, Ordering::Relaxed));
            for worker in 0..2 {
                let (seed, stop) = (self.random.number(), &stop);
                let server = self.server;
                scope.spawn(move || work::at_work(server, seed, worker, stop));
            }
            self.copy(&job, place, round);
            // Into the stream, which must go on from where each table is.
            let mut running = Self::start(&job, None, &[]);
            thread::sleep(Duration::from_millis(700));
            if running.wait_until(Instant::now()).is_none() {
                running.kill();
            }
        });
        let deadline = Instant::now() + PATIENCE;
        let log = loop {
            let finished = Self::start(&job, None, &["--until", "current"]).wait();
            if finished.code == Some(0) {
                break finished.log;
            }
            worth_retrying(&finished);
            assert!(Instant::now() < deadline, "{}", finished.log);
        };
        let mut source = connect(self.server, "postgres");
        for table in published(&mut source, "replicator") {
            let wanted = source_rows(&mut source, &table);
            let found = place.rows(&job, &table);
            let differ = differences(&wanted, &found, "source", "destination");
            let shown = &differ[..differ.len().min(5)];
            assert!(
                differ.is_empty(),
                "{}: {} rows: {shown:#?}\n{log}",
                table.name,
                differ.len()
            );
        }
        source
            .batch(&format!("SELECT pg_drop_replication_slot('{slot}')"))
            .unwrap();
    }
}

/// The only ends that it may have by itself: tables changed faster than it could look at them, or the server lost sight
/// of one, which is over soon.
fn worth_retrying(finished: &Finished) {
    let lost = finished.log.contains("could not map file");
    assert!(
        lost || finished.code == Some(1),
        "{:?} {:?}:\n{}",
        finished.code,
        finished.signal,
        finished.log
    );
}

fn survives(version: Version, mut fresh: impl FnMut(u64) -> Box<dyn Place>) {
    let seed = number("SEAM_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) % 1_000_000
    });
    println!("PostgreSQL {version}: SEAM_SEED={seed}");
    let server = quiet(version)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    work::set_up(&mut connect(&server, "postgres"));
    let mut theatre = Theatre {
        server: &server,
        random: Random::new(seed),
        met: BTreeMap::new(),
    };
    let rounds = number("SEAM_ROUNDS").unwrap_or(2);
    for round in 0..4 * rounds {
        // Where it dies is chance.
        let all = || WANTED.iter().all(|what| theatre.met.contains_key(what));
        if round >= rounds && all() {
            break;
        }
        let mut place = fresh(round);
        let first = usize::try_from(round).unwrap() * 2;
        theatre.life(first, &mut *place, &format!("seam_{round}"));
    }
    println!("{:?}", theatre.met);
    for what in WANTED {
        assert!(
            theatre.met.contains_key(what),
            "{what} was never met: {:?}",
            theatre.met
        );
    }
}

#[test]
fn from_14_into_sqlite() {
    survives(Version::V14, |_| Box::new(place::Sqlite));
}

#[test]
fn from_18_into_sqlite() {
    survives(Version::V18, |_| Box::new(place::Sqlite));
}

#[test]
fn from_14_into_postgres() {
    let into = common::server(Version::V14);
    survives(Version::V14, |round| {
        Box::new(place::Postgres::new(&into, round))
    });
}

#[test]
fn from_18_into_postgres() {
    let into = common::server(Version::V18);
    survives(Version::V18, |round| {
        Box::new(place::Postgres::new(&into, round))
    });
}

#[test]
fn from_18_into_mariadb() {
    let into = testdata::MariaDb::start();
    survives(Version::V18, |round| {
        Box::new(place::MariaDb::new(&into, round))
    });
}
