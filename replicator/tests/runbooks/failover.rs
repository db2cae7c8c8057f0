//! Another server in the source's place: promoted with the slot, promoted without it, or of a newer version.

use testdata::{Client, Server, Version};

use crate::RUNBOOKS;
use crate::common::{connect, quiet, server};
use crate::stage::{Stage, set_up};

const FAILOVER: &str = "The source fails over";
const UPGRADE: &str = "Upgrade of PostgreSQL";

fn until(sql: &mut Client, question: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while sql.value(question).unwrap() != "t" {
        assert!(std::time::Instant::now() < deadline, "in vain: {question}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_source_fails_over_with_its_slot_and_without() {
    let mut first = quiet(Version::V18).start();
    let mut source = set_up(&first, "postgres");
    let mut stage = Stage::new(&first, "postgres");
    stage.start();
    stage.play(RUNBOOKS.commands(FAILOVER, 0));
    let failover = "SELECT failover FROM pg_replication_slots WHERE slot_name = 'replicator'";
    assert_eq!(source.value(failover).unwrap(), "t");
    stage.stop();

    drop(source);
    let mut second = Server::standby_of(&mut first);
    second.set("sync_replication_slots", "on");
    second.restart();
    first.set("synchronized_standby_slots", second.slot_on_primary());
    first.reload();
    let both = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=primary",
        first.port(),
        second.port()
    );
    stage.set("REPLICATOR_SOURCE", &both);
    stage.start();
    let mut source = connect(&first, "postgres");
    source
        .batch("INSERT INTO orders VALUES (1000, 'before')")
        .unwrap();
    stage.equal(&mut source, None);
    let mut standby = connect(&second, "postgres");
    let synced = "SELECT count(*) = 1 FROM pg_replication_slots WHERE slot_name = 'replicator' AND synced AND NOT temporary";
    until(&mut standby, synced);
    second.catch_up_with(&first);
    drop(source);
    first.kill();
    second.promote();
    standby
        .batch("INSERT INTO orders VALUES (1001, 'after'); DELETE FROM orders WHERE id = 1")
        .unwrap();
    stage.equal(&mut standby, None);
    stage.is_over();

    // The next one has no slot.
    stage.stop();
    drop(standby);
    let third = Server::standby_of(&mut second);
    let mut source = connect(&second, "postgres");
    stage.set("REPLICATOR_SOURCE", &second.url("postgres"));
    stage.start();
    source
        .batch("INSERT INTO orders VALUES (1002, 'before')")
        .unwrap();
    third.catch_up_with(&second);
    stage.set("STANDBY", &third.url("postgres"));
    let block = RUNBOOKS.commands(FAILOVER, 1);
    let (before, after) = block.split_once("replicator adopt").unwrap();
    stage.play(before);
    let mut promoted = connect(&third, "postgres");
    stage.fails(&["does not exist any more", "replicator adopt makes"]);
    let said = stage.until_cause("slot_missing");
    assert!(said.log.contains("replicator adopt makes"), "{}", said.log);
    stage.play(&format!("replicator adopt{after}"));
    promoted
        .batch("INSERT INTO orders VALUES (1003, 'after'); UPDATE customers SET name = 'x' WHERE id = 3")
        .unwrap();
    stage.equal(&mut promoted, None);
    stage.is_over();
    stage.stop();
    // The old one is no source any more.
    stage.set("REPLICATOR_SOURCE", &second.url("postgres"));
    stage.fails(&["never reached"]);

    // Without a failover nobody's word is enough.
    stage.set("REPLICATOR_SOURCE", &third.url("postgres"));
    promoted
        .batch("SELECT pg_drop_replication_slot('replicator')")
        .unwrap();
    let refused = stage.ask(&["adopt"]);
    assert_eq!(refused.code, Some(3), "{}", refused.log);
    assert!(
        refused.log.contains("does not exist any more"),
        "{}",
        refused.log
    );
}

#[test]
fn a_source_is_upgraded() {
    let (old, new) = (server(Version::V15), server(Version::V18));
    for sql in ["CREATE TABLE first (id int)", "CREATE DATABASE shop"] {
        connect(&new, "postgres").batch(sql).unwrap();
    }
    let mut source = set_up(&old, "postgres");
    let mut stage = Stage::new(&old, "postgres");
    stage.start();
    source
        .batch("INSERT INTO orders VALUES (1000, 'before')")
        .unwrap();
    stage.set("NEW", &new.url("shop"));
    stage.play(RUNBOOKS.commands(UPGRADE, 0));
    let mut source = connect(&new, "shop");
    source
        .batch("INSERT INTO orders VALUES (1001, 'after'); DELETE FROM customers WHERE id = 1")
        .unwrap();
    stage.equal(&mut source, None);
    stage.is_over();
    stage.stop();
}
