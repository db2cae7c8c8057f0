//! A destination that is lost while changes flow: the stream lives on, and the run goes on by itself once it is back.
//!
//! `LOST_SEED=n` repeats the choices of a run.

#[path = "../faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
mod flaky;
mod full;
#[cfg(feature = "postgres")]
mod server;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::Site;
use flaky::{Faults, Flaky};
use replicator::{Config, Error, ShutdownHandle, SqliteDestination, SqliteOptions, Summary};

/// A run within this process.
pub(crate) struct Within {
    handle: ShutdownHandle,
    thread: Option<thread::JoinHandle<Result<Summary, Error>>>,
}

impl Within {
    /// Starts what `run` makes of a shutdown.
    pub(crate) fn start<F>(run: impl FnOnce(replicator::Shutdown) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Summary, Error>>,
    {
        let (handle, shutdown) = ShutdownHandle::new();
        let thread = thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(run(shutdown))
        });
        Self {
            handle,
            thread: Some(thread),
        }
    }

    /// Waits until it holds; the run must go on meanwhile.
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        common::until(what, || {
            if self
                .thread
                .as_ref()
                .is_some_and(thread::JoinHandle::is_finished)
            {
                let ended = self.thread.take().unwrap().join().unwrap();
                panic!("it ended while waiting: {what}: {ended:?}");
            }
            condition()
        });
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<Summary, Error> {
        self.thread.take().unwrap().join().unwrap()
    }

    /// Asks for the end and waits for it.
    pub(crate) fn end(self) -> Result<Summary, Error> {
        self.handle.shut_down();
        self.wait()
    }
}

fn config(site: &Site) -> Config {
    Config::new(site.source(), site.destination()).slot(&site.slot)
}

fn seed() -> u64 {
    let given = std::env::var("LOST_SEED").ok();
    let given = given.map(|text| text.parse().unwrap());
    let seed = given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) % 1_000_000
    });
    println!("LOST_SEED={seed}");
    seed
}

fn start_flaky(site: &Site, config: Config) -> (Within, Arc<std::sync::Mutex<Faults>>) {
    let faults = Faults::new(seed(), 0);
    let (path, slot) = (site.path(), site.slot.clone());
    let shared = Arc::clone(&faults);
    let run = Within::start(async move |shutdown| {
        let inner = SqliteDestination::open(SqliteOptions::new(path, slot)).await?;
        let flaky = Flaky {
            inner,
            faults: shared,
        };
        replicator::run_into(config, flaky, shutdown).await
    });
    (run, faults)
}

/// The server process that sends to us, once there is one.
fn sender(site: &Site) -> String {
    common::until("the stream", || {
        site.slot_column("active").as_deref() == Some("true")
    });
    site.slot_column("active_pid").unwrap_or_default()
}

/// Every call fails now and then: what was committed unbeknownst is not written twice, what was not is written again,
/// and the source keeps its connection all the time.
#[test]
fn whatever_call_fails_nothing_is_lost_or_twice() {
    let site = Site::new();
    site.sql("CREATE TABLE log (id int, what text); ALTER TABLE log REPLICA IDENTITY FULL");
    let config = config(&site)
        .idle_interval(Duration::from_millis(50))
        .keyless(replicator::Keyless::Full);
    let (mut run, faults) = start_flaky(&site, config);
    run.until("the first copy", || site.is_copied() && site.stored() > 0);
    let process = sender(&site);
    faults.lock().unwrap().one_in = 20;
    let places = [
        "position",
        "begin",
        "begun",
        "execute",
        "executed",
        "commit",
        "commit, and nobody knows",
        "committed, and nobody knows",
        "rollback",
    ];
    let mut client = site.client();
    let (mut rows, mut round) = (2, 0);
    let start = Instant::now();
    let all_met = || {
        let faults = faults.lock().unwrap();
        places.iter().all(|place| faults.met.contains_key(place))
    };
    while !all_met() {
        assert!(
            start.elapsed() < common::PATIENCE,
            "{:?}",
            faults.lock().unwrap().met
        );
        // A table without a key would show what is written twice and nothing else would.
        for _ in 0..10 {
            rows += 1;
            let sql =
                format!("INSERT INTO t VALUES ({rows}, 'x'); INSERT INTO log VALUES ({rows}, 'x')");
            client.batch(&sql).unwrap();
        }
        round += 1;
        if round % 8 == 0 {
            // More than goes to the destination together, so that it fails in the middle too, with more to come.
            let first = rows + 1;
            rows += 10_500;
            let all = format!("SELECT g, 'x' FROM generate_series({first}, {rows}) g");
            let sql = format!("BEGIN; INSERT INTO t {all}; INSERT INTO log {all}; COMMIT");
            client.batch(&sql).unwrap();
        }
        // Where all waits behind one failure there are few calls that may fail, and ever more to write.
        let last = format!("SELECT count(*) FROM log WHERE id = {rows}");
        run.until("the last row", || site.rows(&last) == ["1"]);
    }
    faults.lock().unwrap().one_in = 0;
    println!("{:?}", faults.lock().unwrap().met);
    // Once this is there, no pause is left that an end would cut short.
    rows += 1;
    let sql = format!("INSERT INTO t VALUES ({rows}, 'x'); INSERT INTO log VALUES ({rows}, 'x')");
    client.batch(&sql).unwrap();
    let expected = (rows - 2).to_string();
    run.until("the rows", || {
        site.rows("SELECT count(*) FROM log") == [expected.as_str()]
    });
    assert_eq!(sender(&site), process, "the source lost its connection");
    run.end().unwrap();
    let ids = |range: std::ops::RangeInclusive<u64>| range.map(|id| id.to_string()).collect();
    let copied: Vec<String> = ids(1..=rows);
    assert_eq!(site.rows("SELECT id FROM t ORDER BY id"), copied);
    let logged: Vec<String> = ids(3..=rows);
    assert_eq!(site.rows("SELECT id FROM log ORDER BY id"), logged);
    assert_eq!(site.confirmed(), site.stored());
}

/// Loses everything from now on.
fn lose(faults: &std::sync::Mutex<Faults>) {
    let mut faults = faults.lock().unwrap();
    faults.one_in = 1;
    faults.lost_for = usize::MAX;
}

#[test]
fn an_end_is_not_waited_for_while_the_destination_is_lost() {
    let site = Site::new();
    let (mut run, faults) = start_flaky(&site, config(&site));
    run.until("the first copy", || site.is_copied());
    lose(&faults);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    run.until("it is noticed", || !faults.lock().unwrap().met.is_empty());
    // By now the pauses are many seconds.
    thread::sleep(Duration::from_secs(8));
    let start = Instant::now();
    let error = run.end().unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().starts_with("lost in "), "{error}");
    site.caught_up(&[]);
    assert_eq!(site.t(), ["1|one", "2|two", "3|three"]);
}

#[test]
fn the_time_that_a_lost_destination_is_tried_for_comes_to_its_end() {
    for (time, least, most) in [(0, 0, 10), (3, 3, 30)] {
        let site = Site::new();
        let config = config(&site).destination_retry(Duration::from_secs(time));
        let (mut run, faults) = start_flaky(&site, config);
        run.until("the first copy", || site.is_copied());
        let start = Instant::now();
        lose(&faults);
        site.sql("INSERT INTO t VALUES (3, 'three')");
        let error = run.wait().unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(least), "{time} s: {took:?}");
        assert!(took < Duration::from_secs(most), "{time} s: {took:?}");
        site.caught_up(&[]);
        assert_eq!(site.t().len(), 3);
    }
}

/// Another replicator took over while ours could not reach the destination: it changes nothing and ends.
#[test]
fn who_took_over_meanwhile_is_left_alone() {
    let site = Site::new();
    let (mut run, faults) = start_flaky(&site, config(&site));
    run.until("the first copy", || site.is_copied());
    lose(&faults);
    site.sql("INSERT INTO t VALUES (3, 'three')");
    run.until("it is noticed", || !faults.lock().unwrap().met.is_empty());
    site.edit("UPDATE _replicator_position SET epoch = epoch + 1, holder = 'somebody else'");
    {
        let mut faults = faults.lock().unwrap();
        (faults.one_in, faults.lost_for) = (0, 0);
    }
    let error = run.wait().unwrap_err();
    assert!(error.to_string().contains("somebody else"), "{error}");
    assert_eq!(site.t().len(), 2);
}
