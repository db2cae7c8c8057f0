//! Pauses of the stream.

use std::time::{Duration, Instant};

use super::{Site, until};

#[test]
fn a_pause_keeps_the_source_and_loses_nothing() {
    let site = Site::new();
    // A connection that says nothing for so long is ended.
    let silence = Duration::from_secs(3);
    let source = format!("{}?wal_sender_timeout=3s", site.source());
    let mut command = super::program();
    command.args(["run", "--slot", &site.slot, "--source", &source]);
    command.args(["--destination", &site.destination()]);
    let mut running = super::Running::start(&mut command);
    running.until_it_says("streaming");
    let sender = || site.slot_column("active_pid").expect("the slot");
    let at_first = sender();
    let lasting = site.confirmed();

    running.signal("USR1");
    running.until_it_says("paused");
    site.sql("INSERT INTO t VALUES (3, 'three')");
    let until_then = Instant::now() + 3 * silence;
    while Instant::now() < until_then {
        assert!(running.is_running(), "{}", running.stderr());
        assert_eq!(site.t().len(), 2, "{}", running.stderr());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(sender(), at_first, "{}", running.stderr());
    // What is not at the destination is not confirmed.
    assert!(site.confirmed() < site.wal_end() && site.confirmed() >= lasting);

    running.signal("USR2");
    running.until("the row arrives", || site.t().len() == 3);
    running.until_it_says("changes are applied again");

    // An end is an end in a pause too, and the pause ends with the process.
    running.signal("USR1");
    until("it says so again", || {
        running.stderr().matches("paused").count() == 2
    });
    site.sql("INSERT INTO t VALUES (4, 'four')");
    running.terminate().done();
    assert_eq!(site.t().len(), 3);
    site.caught_up(&[]);
    assert_eq!(site.t().len(), 4);
}
