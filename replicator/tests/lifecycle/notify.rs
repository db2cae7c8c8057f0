//! What a service manager hears, on a socket of the test's own.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{PATIENCE, Running, Site, program, until};

/// What was heard, and when.
type Heard = Arc<Mutex<Vec<(Instant, String)>>>;

fn listen(path: &std::path::Path) -> Heard {
    let socket = UnixDatagram::bind(path).expect("a socket");
    let heard = Heard::default();
    let ears = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            let mut heard = ears.lock().expect("no panic");
            let lines = text.lines().map(|line| (Instant::now(), line.to_owned()));
            heard.extend(lines);
        }
    });
    heard
}

fn has(heard: &Heard, words: &str) -> bool {
    let heard = heard.lock().expect("no panic");
    heard.iter().any(|(_, line)| line.contains(words))
}

#[test]
fn a_service_manager_hears_the_truth() {
    let site = Site::new();
    let path = site.folder.path().join("notify");
    let heard = listen(&path);
    let watchdog = Duration::from_secs(1);
    let mut command = program();
    command.args(["run", "--slot", &site.slot, "--source", &site.source()]);
    command.args(["--destination", &site.destination()]);
    command.env("NOTIFY_SOCKET", &path);
    command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
    let mut running = Running::start(&mut command);
    running.until("it is ready", || has(&heard, "READY=1"));
    running.until("it says what it is at", || {
        has(&heard, "STATUS=streaming; everything up to ")
    });
    running.until("it is well", || has(&heard, "WATCHDOG=1"));
    running.until_it_says("streaming");

    running.signal("USR1");
    running.until("it says that it is paused", || has(&heard, "STATUS=paused"));
    running.signal("USR2");

    // Whoever holds this lock keeps the loop from turning, for as long as we wait for locks at the source.
    let mut holder = site.client();
    holder
        .batch("BEGIN; LOCK TABLE pg_publication IN ACCESS EXCLUSIVE MODE")
        .expect("a lock");
    running.until_it_says("nothing has got on for so long");
    // It waits for longer than that.
    std::thread::sleep(watchdog);
    holder.batch("ROLLBACK").expect("the end of the lock");
    let stuck = Instant::now();
    running.until("it is well again", || {
        let heard = heard.lock().expect("no panic");
        heard
            .iter()
            .any(|(at, line)| *at > stuck && line == "WATCHDOG=1")
    });
    {
        let heard = heard.lock().expect("no panic");
        let fed: Vec<Instant> = heard
            .iter()
            .filter(|(_, line)| line == "WATCHDOG=1")
            .map(|(at, _)| *at)
            .collect();
        let longest = fed.windows(2).map(|two| two[1] - two[0]).max();
        assert!(longest >= Some(watchdog), "{longest:?}");
    }
    running.terminate().done();
    until("it says that it ends", || has(&heard, "STOPPING=1"));
    let heard = heard.lock().expect("no panic");
    let at = |words: &str| heard.iter().position(|(_, line)| line == words);
    assert!(at("READY=1") < at("STOPPING=1"), "{heard:?}");
}

#[test]
fn a_copy_is_ready_and_says_how_far_it_is() {
    let site = Site::new();
    site.sql("INSERT INTO t SELECT at, repeat('x', 100) FROM generate_series(10, 20000) at");
    let path = site.folder.path().join("notify");
    let heard = listen(&path);
    let mut command = program();
    command.args(["run", "--copy", "only", "--copy-rate", "100KiB"]);
    command.args(["--slot", &site.slot, "--source", &site.source()]);
    command.args(["--destination", &site.destination()]);
    command.env("NOTIFY_SOCKET", &path);
    let mut running = Running::start(&mut command);
    running.until("it is ready", || has(&heard, "READY=1"));
    running.until("it says how far it is", || {
        has(&heard, "STATUS=copying: 0 of 1 tables")
    });
    // A destination that takes its time, or a source that does, is no reason to be ended while it is a start.
    assert!(!has(&heard, "WATCHDOG=1"));
    running.signal("TERM");
    let outcome = running.wait(PATIENCE);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}
