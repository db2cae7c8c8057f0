//! Destinations that another program has filled, taken over while the source is written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testdata::{Server, Version};

use crate::MOVING;
use crate::common::{connect, quiet, server};
use crate::stage::{Stage, set_up};

/// Changes a few rows a transaction until it is dropped.
struct Load {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Load {
    fn on(server: &Server, database: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut sql = connect(server, database);
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut id = 10_000;
            while !ends.load(Ordering::Relaxed) {
                id += 3;
                sql.batch(&format!(
                    "BEGIN; INSERT INTO orders VALUES ({id} - 2, 'a'), ({id} - 1, 'b'), ({id}, 'c');
                     UPDATE orders SET amount = amount + 1 WHERE id IN (1, {id} - 1); DELETE FROM orders WHERE id = {id} - 2;
                     UPDATE customers SET name = '{id}' WHERE id = {id} % 50 + 1; COMMIT"
                ))
                .unwrap();
                thread::sleep(Duration::from_millis(2));
            }
        });
        let thread = Some(thread);
        Self { over, thread }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// Tables of `database` that PostgreSQL's own subscription has filled, and goes on to.
fn subscribed(from: &Server, into: &Server, database: &str) {
    let mut source = set_up(from, database);
    source
        .batch("CREATE PUBLICATION shop FOR TABLE orders, customers")
        .unwrap();
    let mut destination = set_up(into, database);
    let port = from.port();
    destination.batch("TRUNCATE orders, customers").unwrap();
    destination
        .batch(&format!(
            "CREATE SUBSCRIPTION shop CONNECTION 'host=127.0.0.1 port={port} user=postgres dbname={database}'
             PUBLICATION shop WITH (slot_name = 'shop_{database}')"
        ))
        .unwrap();
}

#[test]
fn destinations_of_other_programs_are_taken_over() {
    let from = quiet(Version::V18).start();
    let into = server(Version::V15);

    subscribed(&from, &into, "one");
    let load = Load::on(&from, "one");
    let (mut source, mut destination) = (connect(&from, "one"), connect(&into, "one"));
    let mut stage = Stage::new(&from, "one");
    stage.set("REPLICATOR_DESTINATION", &into.url("one"));
    stage.set("REPLICATOR_PUBLICATION", "shop");
    stage.set("REPLICATOR_SLOT", "shop_one");
    copied(&mut destination);
    let block = MOVING.commands("From PostgreSQL's own subscription", 0);
    let block = block
        .replace("slot_name = 'shop'", "slot_name = 'shop_one'")
        .replace("--slot shop ", "--slot shop_one ");
    stage.play(&block);
    stage.start();
    drop(load);
    stage.equal(&mut source, Some(&mut destination));
    stage.is_over();
    stage.stop();

    subscribed(&from, &into, "two");
    let load = Load::on(&from, "two");
    let (mut source, mut destination) = (connect(&from, "two"), connect(&into, "two"));
    let mut stage = Stage::new(&from, "two");
    stage.set("REPLICATOR_DESTINATION", &into.url("two"));
    copied(&mut destination);
    let block = MOVING.commands("From pglogical", 0);
    // What pglogical says otherwise; see the page.
    let disable = "SELECT pglogical.alter_subscription_disable('shop', true)";
    assert!(block.contains(disable));
    let block = block
        .replace(disable, "ALTER SUBSCRIPTION shop DISABLE")
        .replace("LIKE 'pgl_%'", "LIKE 'pg_%'");
    stage.play(&block);
    stage.start();
    drop(load);
    stage.equal(&mut source, Some(&mut destination));
    stage.stop();
    drop_subscription(&mut destination);

    // Nobody writes any more, and all is there.
    let mut source = set_up(&from, "three");
    let mut destination = set_up(&into, "three");
    let mut stage = Stage::new(&from, "three");
    stage.set("REPLICATOR_DESTINATION", &into.url("three"));
    stage.set("REPLICATOR_SLOT", "three");
    let block = MOVING.commands("From Debezium, and others that deliver at least once", 0);
    stage.play(block);
    source
        .batch("DELETE FROM orders WHERE id = 7; INSERT INTO customers VALUES (1000, 'new')")
        .unwrap();
    stage.equal(&mut source, Some(&mut destination));
    stage.is_over();
    stage.stop();
}

/// Waits until the subscription has copied what was there.
fn copied(destination: &mut testdata::Client) {
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    let ready = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'";
    while destination.value(ready).unwrap() != "2" {
        assert!(std::time::Instant::now() < deadline, "not copied");
        thread::sleep(Duration::from_millis(50));
    }
}

fn drop_subscription(destination: &mut testdata::Client) {
    for sql in [
        "ALTER SUBSCRIPTION shop SET (slot_name = NONE)",
        "DROP SUBSCRIPTION shop",
    ] {
        destination.batch(sql).unwrap();
    }
}
