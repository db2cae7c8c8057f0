//! Who goes on in whose place: a standby for a replicator, a new source for an old one, the destination for the source.

#[path = "../common/mod.rs"]
mod common;

mod adopt;
mod cut_over;
mod standby;

use std::thread;
use std::time::{Duration, Instant};

/// Longer than a takeover takes on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
