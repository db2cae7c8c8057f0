//! Streams against a scripted server, seed by seed: whatever the server sends and wherever the connection breaks, what
//! is delivered is what was committed, once and in order, and the slot never passes what is durable.
//!
//! A seed makes a [`Case`]: a story of a source, a kind of server, losses of the connection and a consumer with its
//! habits. `WALSTREAM_SEED=n` runs one seed and says what is in it, `WALSTREAM_SEEDS=n` so many from 0 on, and
//! `WALSTREAM_SEEDS=n..m` those. A seed that fails is made smaller first: what is left is what it takes.

mod case;
mod compare;
mod consumer;
mod counts;
mod early;
mod expected;
mod heard;
mod judge;
mod server;
mod shrink;
mod world;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use case::{Case, How, Loss};
use counts::Counts;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Runs seeds on all processors; what was met, and the first that failed.
fn run(seeds: Range<u64>) -> (Counts, Option<(u64, String)>) {
    let next = AtomicU64::new(seeds.start);
    let result = Mutex::new((Counts::default(), None::<(u64, String)>));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let outcome = Case::of(seed).run();
                    let mut result = result.lock().unwrap();
                    match outcome {
                        Ok(counts) => result.0.add_seed(&counts),
                        Err(error) => {
                            if result.1.as_ref().is_none_or(|(first, _)| seed < *first) {
                                result.1 = Some((seed, error));
                            }
                            next.store(seeds.end, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    result.into_inner().unwrap()
}

fn fail(seed: u64, case: Case, error: &str) -> ! {
    let (case, smaller) = shrink::shrink(case, error);
    let traced = Case {
        traced: true,
        ..case.clone()
    };
    let story = traced.run().err().unwrap_or_default();
    panic!("{error}\n\nWALSTREAM_SEED={seed}, made smaller: {smaller}\n{case}\n{story}");
}

#[test]
fn what_is_delivered_is_what_was_committed() {
    if let Some(seed) = number("WALSTREAM_SEED") {
        let case = Case::of(seed);
        println!("{case}");
        match case.run() {
            Ok(counts) => println!("{counts}"),
            Err(error) => fail(seed, case, &error),
        }
        return;
    }
    let seeds = seeds();
    let (counts, failed) = run(seeds.clone());
    println!("{counts}");
    if let Some((seed, error)) = failed {
        fail(seed, Case::of(seed), &error);
    }
    counts.check(seeds.end - seeds.start);
}

/// A few stories with everything in them, whose first connection breaks behind each frame, and in the middle of each.
#[test]
fn a_connection_may_break_anywhere() {
    let mut counts = Counts::default();
    for seed in 0..15 {
        let mut case = Case::of(seed);
        case.crashes.clear();
        case.losses.clear();
        let frames = case.frames();
        for frame in 0..=frames {
            for how in [How::Between, How::Within(frame % 256)] {
                case.losses = vec![Loss {
                    // The smallest part that has so many frames in it.
                    part: (frame * 65536).div_ceil(frames + 1),
                    how,
                    failures: 0,
                    forgets: false,
                }];
                match case.run() {
                    Ok(met) => counts.add_seed(&met),
                    Err(error) => fail(seed, case, &error),
                }
            }
        }
    }
    println!("{counts}");
}

/// `n` or `n..m` in the variable.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("WALSTREAM_SEEDS") else {
        return 0..10_000;
    };
    let (from, to) = text.split_once("..").unwrap_or(("0", &text));
    let number = |text: &str| text.parse().expect("a number");
    number(from)..number(to)
}
