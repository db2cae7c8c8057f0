//! kill -9 of the place itself, while batches are on their way to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testdata::Version;

use super::crash::{TABLES, random, work};
use crate::common::OnDrop;
use crate::place::Server;
use crate::stage::Stage;

pub(crate) fn killed_with_its_destination<P: Server>() {
    const KILLS: usize = 5;
    let mut stage = Stage::<P>::with(Version::NEWEST, P::mortal(), &[]);
    stage.follow_through(TABLES);
    let mut random = random();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop_at_last = OnDrop(|| stop.store(true, Ordering::Relaxed));
        let (mut source, stop) = (stage.session(), &stop);
        scope.spawn(move || work(&mut source, stop));
        for round in 0..KILLS {
            let mut running = stage.stream();
            thread::sleep(Duration::from_millis(random.below(150) as u64));
            stage.place.crash();
            // It goes on by itself, or ends as something that is worth another try.
            thread::sleep(Duration::from_millis(random.below(500) as u64));
            match running.wait_until(Instant::now()) {
                Some(finished) => assert_eq!(finished.code, Some(1), "{}", finished.log),
                // Both at once, every other time.
                None if round % 2 == 0 => assert_eq!(running.kill().signal, Some(9)),
                None => {
                    let finished = running.terminate();
                    assert!(matches!(finished.code, Some(0 | 1)), "{}", finished.log);
                }
            }
        }
        drop(stop_at_last);
    });
    stage.follow();
}
