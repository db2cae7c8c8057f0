//! A source that goes away: the run waits for it, goes on by itself, and gives up when it was told to.

use std::time::{Duration, Instant};

use testdata::{Server, Version};

use crate::common::{PATIENCE, Site};

#[test]
fn a_source_that_restarts_or_crashes_is_waited_for() {
    for version in Version::ALL {
        let mut site = Site::own(Server::start(version));
        let mut running = site.streaming(&[]);
        for (id, crash) in [(3, false), (4, true)] {
            let value = if crash { "crashed" } else { "restarted" };
            site.sql(&format!("INSERT INTO t VALUES ({id}, 'before')"));
            if crash {
                site.server_mut().kill();
            } else {
                site.server_mut().stop();
            }
            assert!(running.is_running(), "{}", running.stderr());
            site.server_mut().start_again();
            site.sql(&format!("UPDATE t SET v = '{value}' WHERE id = {id}"));
            running.until("it goes on", || site.t().contains(&format!("{id}|{value}")));
        }
        running.until("it confirms", || site.confirmed() == site.stored());
        running.terminate().done();
        assert_eq!(site.t(), ["1|one", "2|two", "3|restarted", "4|crashed"]);
        site.caught_up(&[]);
    }
}

#[test]
fn a_source_that_stays_away_ends_the_run_as_worth_retrying() {
    let mut site = Site::own(Server::start(Version::NEWEST));
    let running = site.streaming(&["--reconnect", "3"]);
    let start = Instant::now();
    site.server_mut().stop();
    running.wait(PATIENCE).failed(1, &["connect"]);
    assert!(start.elapsed() > Duration::from_secs(3));
    site.server_mut().start_again();
    site.sql("INSERT INTO t VALUES (3, 'three')");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn an_end_is_possible_while_the_source_is_away() {
    let mut site = Site::own(Server::start(Version::NEWEST));
    let mut running = site.streaming(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running.until("the row arrives", || site.t().len() == 3);
    site.server_mut().kill();
    std::thread::sleep(Duration::from_secs(1));
    assert!(running.is_running());
    let start = Instant::now();
    // What was to be done is done and durable; that the source has not heard of it is a warning.
    running.terminate().done();
    assert!(start.elapsed() < Duration::from_secs(10));
    site.server_mut().start_again();
    site.caught_up(&[]);
}

#[test]
fn a_lost_session_for_questions_is_replaced_while_the_stream_goes_on() {
    let site = Site::new();
    let mut running = site.streaming(&[]);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    running.until("the row arrives", || site.t().len() == 3);
    let others = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = '{}' AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        site.database
    );
    assert_ne!(site.ask(&others), "0");
    // The next look at the publications finds that nobody can be asked, and the one after it asks anew.
    running.until_it_says("cannot be asked about its publications");
    site.sql("DROP PUBLICATION replicator");
    running.wait(PATIENCE).failed(3, &["publication"]);
}

#[test]
fn a_publication_that_vanished_while_the_source_was_away_stops_it() {
    let mut site = Site::own(Server::start(Version::NEWEST));
    let running = site.streaming(&[]);
    site.server_mut().stop();
    site.server_mut().start_again();
    site.sql("DROP PUBLICATION replicator");
    running.wait(PATIENCE).failed(3, &["publication"]);
}
