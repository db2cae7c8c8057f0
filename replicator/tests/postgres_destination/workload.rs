//! A seeded workload of several sessions: its model, the source and the destination agree.
//!
//! `WORKLOAD_SEED=n` repeats a run.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use testdata::workload::Workload;
use testdata::{Client, Version};

use crate::common::{
    Job, connect, differences, on_a_server_that_stays, published, quiet, server, server_rows,
    source_rows,
};

pub(crate) fn seed(name: &str) -> u64 {
    let given = std::env::var(name).ok().map(|text| text.parse().unwrap());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) % 1_000_000
    })
}

/// The model is the judge of both sides.
pub(crate) fn compare(workload: &Workload, source: &mut Client, destination: &mut Client) {
    let model = workload.model();
    for table in published(source, "replicator") {
        let Some(expected) = model.get(table.name.as_str()) else {
            continue;
        };
        for (found, side) in [
            (source_rows(source, &table), "source"),
            (server_rows(destination, &table), "destination"),
        ] {
            let differ = differences(expected, &found, "model", side);
            let (name, count) = (&table.name, differ.len());
            assert!(
                differ.is_empty(),
                "{name}: {count} rows differ: {:#?}",
                &differ[..count.min(5)]
            );
        }
    }
}

fn steps(workload: &mut Workload, count: u64) {
    for _ in 0..count {
        workload.step().unwrap();
    }
}

fn agrees(from: Version, into: Version) {
    const LENGTH: u64 = 3000;
    let seed = seed("WORKLOAD_SEED");
    println!("PostgreSQL {from} into {into}: WORKLOAD_SEED={seed}");
    let builder = quiet(from).setting("logical_decoding_work_mem", "64kB");
    on_a_server_that_stays(&builder, |at| {
        let other = server(into);
        let mut workload = Workload::new(at, "postgres", seed, 4).unwrap();
        let mut source = connect(at, "postgres");
        let mut destination = connect(&other, "postgres");
        let job = Job::new(at, "postgres").into(other.url("postgres"));

        // Rows to copy, and transactions that are open while the slot is made.
        steps(&mut workload, LENGTH / 10);
        let mut running = job.start(&[]);
        let start = Instant::now();
        while !running.log().contains("streaming") {
            assert!(start.elapsed().as_secs() < 60, "{}", running.log());
            let ended = running.wait_until(Instant::now());
            assert!(ended.is_none(), "{}", running.log());
            steps(&mut workload, 5);
        }
        steps(&mut workload, LENGTH * 4 / 10);
        let finished = running.terminate();
        assert_eq!(finished.code, Some(0), "{}", finished.log);
        workload.finish().unwrap();
        job.run_to_current();
        compare(&workload, &mut source, &mut destination);

        // A backlog, and whatever was not met so far.
        steps(&mut workload, LENGTH / 2);
        let mut more = 0;
        while !workload.never_met().is_empty() && more < 4 * LENGTH {
            steps(&mut workload, 100);
            more += 100;
        }
        workload.finish().unwrap();
        job.run_to_current();
        compare(&workload, &mut source, &mut destination);
        assert_eq!(workload.never_met(), [""; 0]);
    });
}

#[test]
fn model_source_and_destination_agree_on_14() {
    agrees(Version::V14, Version::V14);
}

#[test]
fn model_source_and_destination_agree_on_18() {
    agrees(Version::V18, Version::V18);
}

#[test]
fn model_source_and_destination_agree_from_18_into_14() {
    agrees(Version::V18, Version::V14);
}
