//! Tables that join, or are copied anew, while others and they themselves are changed; and kill -9 meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testdata::{Client, Version};

use crate::common::{OnDrop, Running};
use crate::place::Place;
use crate::stage::Stage;

/// Changes rows of a table in every way, with `t` in the same transactions.
fn change(source: &mut Client, table: &str, number: i32) {
    let old = number - 8;
    let script = format!(
        "BEGIN; INSERT INTO {table} VALUES ({number}, 'new'); UPDATE t SET n = {number} WHERE id = 1000;
         UPDATE {table} SET v = v || '!' WHERE id IN ({old}, 1 + {number} % 3000); COMMIT;
         UPDATE {table} SET id = -id WHERE id = {old};
         DELETE FROM {table} WHERE id = 8 - {old}"
    );
    source.batch(&script).unwrap();
    thread::sleep(Duration::from_millis(20));
}

fn make(stage: &mut Stage<impl Place>, table: &str) {
    stage.play(&format!(
        "CREATE TABLE {table} (id int PRIMARY KEY, v text);
         INSERT INTO {table} SELECT i, repeat('v', i % 40) FROM generate_series(1, 12000) i"
    ));
}

/// Goes on with changes until the log has so many tables that joined.
fn until_joined(stage: &mut Stage<impl Place>, running: &mut Running, table: &str, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(240);
    let mut number = 100_000 * i32::try_from(times).unwrap();
    while running.log().matches("joined the others").count() < times {
        assert!(Instant::now() < deadline, "{}", running.log());
        number += 1;
        change(&mut stage.source, table, number);
    }
    for _ in 0..20 {
        number += 1;
        change(&mut stage.source, table, number);
    }
}

pub(crate) fn under_load<P: Place>() {
    for version in [Version::V14, Version::V18] {
        let mut stage = Stage::<P>::new(version).following("mine");
        stage.follow_through(&format!(
            "{}; INSERT INTO t VALUES (1000, 0, 'both'); CREATE PUBLICATION mine FOR TABLE t, whole",
            super::crash::TABLES
        ));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let stop_at_last = OnDrop(|| stop.store(true, Ordering::Relaxed));
            let (mut source, stop) = (stage.session(), &stop);
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let script = format!(
                        "INSERT INTO t VALUES (2000 + {number}, 0, 'one'); UPDATE whole SET n = {number} % 11 WHERE ctid = (SELECT min(ctid) FROM whole)"
                    );
                    source.batch(&script).unwrap();
                    thread::sleep(Duration::from_millis(40));
                }
            });
            let mut running = stage.stream();
            make(&mut stage, "joins");
            stage.play("ALTER PUBLICATION mine ADD TABLE joins");
            until_joined(&mut stage, &mut running, "joins", 1);
            if !stage.url_of_destination().starts_with("sqlite:") {
                // As nobody would: what is wrong there is gone with the copy.
                let name = stage.place.name("public", "joins");
                stage
                    .place
                    .sql(&format!("INSERT INTO {name} VALUES (-77, 'wrong')"));
                stage.resync("joins");
                until_joined(&mut stage, &mut running, "joins", 2);
            }
            assert_eq!(running.terminate().code, Some(0));
            drop(stop_at_last);
        });
        stage.follow();
    }
    #[cfg(feature = "failpoints")]
    killed::<P>();
}

#[cfg(feature = "failpoints")]
fn killed<P: Place>() {
    let mut stage = Stage::<P>::new(Version::NEWEST).following("mine");
    stage.follow_through(&format!(
        "{}; INSERT INTO t VALUES (1000, 0, 'both'); CREATE PUBLICATION mine FOR TABLE t, whole",
        super::crash::TABLES
    ));
    for place in [
        "table-joins",
        "set-aside",
        "copy-begun",
        "copy-middle",
        "copied",
        "catching-up",
        "caught-up",
        "joined",
    ] {
        let table = format!("j_{}", place.replace('-', "_"));
        make(&mut stage, &table);
        let mut running = stage.start_at(&format!("{place}:1"));
        running.wait_for(" streaming ");
        stage.play(&format!("ALTER PUBLICATION mine ADD TABLE {table}"));
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut number = 100_000;
        let finished = loop {
            if let Some(finished) = running.wait_until(Instant::now()) {
                break finished;
            }
            assert!(Instant::now() < deadline, "{place}: {}", running.log());
            number += 1;
            change(&mut stage.source, &table, number);
        };
        assert_eq!(finished.signal, Some(6), "{place}: {}", finished.log);
        change(&mut stage.source, &table, number + 1);
        stage.follow();
    }
    // One that is at fault, and is stopped, and then the transaction without it.
    let name = stage.place.name("public", "j_joined");
    stage
        .place
        .sql(&format!("INSERT INTO {name} VALUES (999999, 'not ours')"));
    let running = stage.start_at("table-isolated:1");
    stage.play("BEGIN; INSERT INTO t VALUES (999999, 1, 'in'); INSERT INTO j_joined VALUES (999999, 'refused'); COMMIT");
    let finished = running.wait();
    assert_eq!(finished.signal, Some(6), "{}", finished.log);
    stage.catch_up();
    let differences = stage.differences();
    assert!(!differences.is_empty(), "it is not told");
    for difference in differences {
        assert!(difference.contains("j_joined"), "{difference}");
    }
}
