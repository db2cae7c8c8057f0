//! kill -9 under load, half of the times at random moments and half at chosen places: no row lost, none twice.
//!
//! One round is a whole life of a replication: a first start that is killed, later starts that are killed, the source
//! or the connection lost, then an end in peace and a comparison. `CRASH_ROUNDS=n` plays n rounds at each protocol
//! version (5 without it, `testdata/crash` plays 50), `CRASH_SEED=n` repeats the choices of a run, `CRASH_VERSION=n`
//! takes another server than 18 for it.

#[path = "../common/mod.rs"]
mod common;
mod theatre;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Job, OnDrop, assert_equal, connect, quiet};
use testdata::workload::{Random, Workload};
use testdata::{ClientError, Server, Version};
use theatre::{
    ABORTED, COPYING, FIRST, LATER, OTHERS, PATIENCE, Theatre, lock, own_crashes, run_to_current,
};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// Goes on after such a crash, with what the server holds; any other error is one.
fn recover(workload: &mut Workload, server: &Mutex<Server>, error: &ClientError) {
    assert!(own_crashes(server) > 0, "{error}");
    println!("PostgreSQL crashed by itself: {error}");
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = workload.recover(&lock(server)) {
        assert!(Instant::now() < deadline, "{error}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn survives(version: Version, protocol: u8, streaming: &str, rounds: usize) {
    let seed = number("CRASH_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) % 1_000_000
    });
    println!("PostgreSQL {version}, protocol {protocol}, streaming {streaming}: CRASH_SEED={seed}");
    let server = quiet(version)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    connect(&server, "postgres")
        .batch(
            "CREATE TABLE bulk (id int PRIMARY KEY, n int, v text);
             INSERT INTO bulk SELECT i, 0, repeat('b', 400) FROM generate_series(1, 5000) i",
        )
        .unwrap();
    let mut workload = Workload::new(&server, "postgres", seed, 3).unwrap();
    for _ in 0..400 {
        workload.step().unwrap();
    }
    let (server, workload) = (Mutex::new(server), Mutex::new(workload));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..10 {
                    let mut workload = lock(&workload);
                    if let Err(error) = workload.step() {
                        recover(&mut workload, &server, &error);
                    }
                }
                thread::sleep(Duration::from_millis(15));
            }
        });
        let _stopper = OnDrop(|| stop.store(true, Ordering::Relaxed));
        let protocol = protocol.to_string();
        let mut theatre = Theatre {
            server: &server,
            workload: &workload,
            random: Random::new(seed),
            options: ["--protocol", &protocol, "--streaming", streaming]
                .map(str::to_owned)
                .into(),
            met: BTreeMap::new(),
        };
        for round in 0..rounds {
            theatre.round(round);
        }
        println!("{rounds} rounds: {:?}", theatre.met);
        for place in FIRST.iter().chain(COPYING).chain(LATER).chain(OTHERS) {
            assert!(
                theatre.met.contains_key(*place),
                "{place} was never hit: {:?}",
                theatre.met
            );
        }
    });
}

/// The version for which many rounds are played.
fn chosen() -> Version {
    number("CRASH_VERSION").map_or(Version::V18, |major| {
        let major = u32::try_from(major).unwrap();
        Version::of(major).unwrap_or_else(|| panic!("CRASH_VERSION={major} is not tested"))
    })
}

fn rounds() -> usize {
    number("CRASH_ROUNDS").map_or(5, |rounds| usize::try_from(rounds).unwrap())
}

#[test]
fn nothing_is_lost_or_twice_at_protocol_1() {
    survives(chosen(), 1, "off", rounds());
}

#[test]
fn nothing_is_lost_or_twice_at_protocol_2() {
    survives(chosen(), 2, "on", rounds());
}

#[test]
fn nothing_is_lost_or_twice_at_protocol_3() {
    survives(chosen(), 3, "on", rounds());
}

#[test]
fn nothing_is_lost_or_twice_at_protocol_4() {
    survives(chosen(), 4, "parallel", rounds());
}

/// As few rounds as come by every place.
const SHORT: usize = 4;

#[test]
fn nothing_is_lost_or_twice_on_14() {
    survives(Version::V14, 2, "on", SHORT);
}

#[test]
fn nothing_is_lost_or_twice_on_15() {
    survives(Version::V15, 3, "on", SHORT);
}

#[test]
fn nothing_is_lost_or_twice_on_16() {
    survives(Version::V16, 4, "parallel", SHORT);
}

#[test]
fn nothing_is_lost_or_twice_on_17() {
    survives(Version::V17, 4, "on", SHORT);
}

/// Ten thousand rows with one position, and a process that dies among them.
#[test]
fn a_copy_of_10000_rows_killed_in_the_middle_arrives_once() {
    let server = quiet(Version::V18)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    let mut source = connect(&server, "postgres");
    source
        .batch("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .unwrap();
    for (protocol, streaming) in [
        ("1", "off"),
        ("2", "on"),
        ("3", "on"),
        ("4", "parallel"),
        ("4", "off"),
    ] {
        let slot = format!("p{protocol}_{streaming}");
        let job = Job::new(&server, "postgres").slot(&slot).options(&[
            "--protocol",
            protocol,
            "--streaming",
            streaming,
        ]);
        run_to_current(&job);
        let data: String = (1..=10_000).map(|id| format!("{id}\trow {id}\n")).collect();
        source.batch("TRUNCATE t").unwrap();
        source
            .copy_in("COPY t FROM STDIN", data.as_bytes())
            .unwrap();
        for place in [
            "batch-middle:5000",
            "batch-middle:9999",
            "batch-before-commit:1",
            "committed:1",
        ] {
            let mut command = job.command(&[]);
            command.env("REPLICATOR_FAILPOINT", place);
            let finished = job.start_command(command).wait();
            assert_eq!(finished.signal, Some(ABORTED), "{place}: {}", finished.log);
        }
        run_to_current(&job);
        assert_equal(&job, &mut source);
        let count = "SELECT count(*) FROM t";
        let count: i64 = job.sqlite().query_row(count, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 10_000);
    }
}

/// After the destination has committed and before the source is told, only the stored position keeps a transaction
/// from being applied again. Without it, the second time is noticed.
#[test]
fn what_is_sent_again_is_skipped_by_position_and_would_be_noticed_without() {
    let server = quiet(Version::V18).start();
    let mut source = connect(&server, "postgres");
    source
        .batch("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied')")
        .unwrap();
    let job = Job::new(&server, "postgres");
    run_to_current(&job);
    let position = "SELECT lsn FROM _replicator_position";
    let before: String = job
        .sqlite()
        .query_row(position, [], |row| row.get(0))
        .unwrap();

    let mut command = job.command(&[]);
    command.env("REPLICATOR_FAILPOINT", "committed:1");
    let running = job.start_command(command);
    source
        .batch("INSERT INTO t VALUES (2, 'streamed')")
        .unwrap();
    let finished = running.wait();
    assert_eq!(finished.signal, Some(ABORTED), "{}", finished.log);
    assert_equal(&job, &mut source);
    let after: String = job
        .sqlite()
        .query_row(position, [], |row| row.get(0))
        .unwrap();
    let ahead = format!("SELECT confirmed_flush_lsn < '{after}' FROM pg_replication_slots");
    assert_eq!(
        source.value(&ahead).unwrap(),
        "t",
        "the server was told already"
    );

    // The filter broken: the position says less than is there.
    let set = "UPDATE _replicator_position SET lsn = ?1";
    job.sqlite().execute(set, [&before]).unwrap();
    let finished = job.run(&["--until", "current"]);
    assert_eq!(finished.code, Some(3), "{}", finished.log);
    for word in ["conflict", "public.t", "id = 2"] {
        assert!(finished.log.contains(word), "{word}: {}", finished.log);
    }
    assert_equal(&job, &mut source);
    assert_eq!(
        source.value(&ahead).unwrap(),
        "t",
        "a conflict confirms nothing"
    );

    // The filter as it is.
    job.sqlite().execute(set, [&after]).unwrap();
    run_to_current(&job);
    assert_equal(&job, &mut source);
    assert_eq!(
        source.value(&ahead).unwrap(),
        "f",
        "the end of the run tells the server"
    );
}
