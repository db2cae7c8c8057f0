//! Ends: proper ones, hurried ones, and those that take too long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{PATIENCE, Pair, Running, until};

/// A run whose insert is at work at the destination, and will be for as long as that is held.
fn in_the_middle(pair: &Pair, id: u32, more: &[&str]) -> Running {
    let mut running = pair.run(more);
    running.until_it_says("streaming");
    pair.site.sql(&format!("INSERT INTO t VALUES ({id}, 'x')"));
    let mut watching = pair.there();
    running.until("the insert is at work", || {
        let at_work = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        watching.value(at_work).expect("a number") != "0"
    });
    running
}

#[test]
fn what_is_begun_is_finished() {
    let pair = Pair::new();
    let held = pair.hold();
    let running = in_the_middle(&pair, 10, &[]);
    running.signal("TERM");
    let mut running = running;
    running.until_it_says("finishing");
    drop(held);
    let outcome = running.wait(PATIENCE);
    outcome.done().logged(&["done:", "transactions=1"]);
    assert!(Pair::rows(&mut pair.there()).contains("10x"));
    pair.is_complete();
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    for signals in [["TERM", "INT"], ["INT", "TERM"]] {
        let pair = Pair::new();
        let held = pair.hold();
        let mut running = in_the_middle(&pair, 10, &[]);
        running.signal(signals[0]);
        running.until_it_says("finishing");
        running.signal(signals[1]);
        let outcome = running.wait(PATIENCE);
        outcome.failed(1, &["second signal", "nothing is lost"]);
        drop(held);
        pair.is_complete();
    }
}

#[test]
fn a_destination_that_does_not_answer_does_not_keep_a_run_for_ever() {
    let pair = Pair::new();
    let held = pair.hold();
    let running = in_the_middle(&pair, 10, &["--shutdown-timeout", "2"]);
    let start = Instant::now();
    let outcome = running.terminate();
    assert!(start.elapsed() >= Duration::from_secs(2));
    outcome
        .failed(1, &["not finished within 2 s", "nothing is lost"])
        .hinted(&["--shutdown-timeout"]);
    drop(held);
    pair.is_complete();
}

#[test]
fn under_load_every_end_loses_nothing() {
    let pair = Pair::new();
    pair.there()
        .batch("DROP TRIGGER held ON t")
        .expect("no trigger");
    let stop = AtomicBool::new(false);
    let site = &pair.site;
    let mut hurried = 0;
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut client = site.client();
            let mut id = 1000;
            while !stop.load(Ordering::Relaxed) {
                let sql = format!(
                    "INSERT INTO t SELECT at, 'y' FROM generate_series({id}, {id} + 9) at; UPDATE t SET v = v || 'z' \
                     WHERE id % 7 = 0 AND id > {id} - 50; DELETE FROM t WHERE id = {id} - 20"
                );
                client.batch(&sql).expect("rows");
                id += 10;
                // So that there is load, and no backlog that grows for ever.
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        for round in 0..4 {
            let mut running = pair.run(&[]);
            running.until_it_says("streaming");
            let before = Pair::rows(&mut pair.there());
            until("rows arrive", || Pair::rows(&mut pair.there()) != before);
            running.signal("TERM");
            if round % 2 == 1 {
                running.until_it_says("finishing");
                // It may have ended by itself by now.
                let _ = std::process::Command::new("kill")
                    .args(["-TERM", &running.id().to_string()])
                    .status();
            }
            let outcome = running.wait(PATIENCE);
            match outcome.code {
                Some(0) => {}
                Some(1) if round % 2 == 1 => hurried += 1,
                _ => panic!("{}", outcome.stderr),
            }
        }
        stop.store(true, Ordering::Relaxed);
        load.join().expect("the load");
    });
    println!("{hurried} of 2 ended at once");
    pair.is_complete();
}
