//! One replication into PostgreSQL, to which one thing after the other happens.

use std::fs;
use std::process::{Command, Stdio};

use testdata::{Server, Version};

use crate::RUNBOOKS;
use crate::common::{connect, quiet, server};
use crate::stage::{Stage, set_up};

const REFUSED: &str = "A row that the destination refuses";
const CONFLICT: &str = "A conflict";
const STOPPED: &str = "A table is stopped";
const DISK: &str = "A disk fills";
const RESTORED: &str = "The destination was restored";
const PASSWORD: &str = "A password changes";

#[test]
fn what_happens_to_a_replication_into_postgres() {
    let from = quiet(Version::V18)
        .setting("max_prepared_transactions", 5)
        .start();
    // Of the version whose pg_dump there is.
    let into = server(Version::V15);
    let mut source = set_up(&from, "postgres");
    connect(&into, "postgres")
        .batch("CREATE DATABASE shop")
        .unwrap();
    let mut stage = Stage::new(&from, "postgres");
    stage.set("REPLICATOR_DESTINATION", &into.url("shop"));
    stage.start();
    {
        let mut destination = connect(&into, "shop");

        // Mended, and left out first and copied later.
        for (block, amount) in [(0, 5000), (1, 6000)] {
            let small = "ALTER TABLE orders ADD CONSTRAINT small CHECK (amount < 1000) NOT VALID";
            destination.batch(small).unwrap();
            let change = format!(
                "INSERT INTO orders VALUES ({amount}, 'large', {amount}); INSERT INTO customers VALUES ({amount}, 'x')"
            );
            source.batch(&change).unwrap();
            stage.fails(&["orders", "small"]);
            stage.play(RUNBOOKS.commands(REFUSED, block));
            stage.equal(&mut source, Some(&mut destination));
            stage.is_over();
        }
        let left_out = fs::read_to_string(stage.folder().join("left-out.jsonl")).unwrap();
        assert_eq!(left_out.lines().count(), 1, "{left_out}");

        destination
            .batch("INSERT INTO orders VALUES (500, 'of somebody else', 0)")
            .unwrap();
        source
            .batch("INSERT INTO orders VALUES (500, 'ours', 1)")
            .unwrap();
        stage.fails(&["conflict", "orders", "500"]);
        stage.play(RUNBOOKS.commands(CONFLICT, 0));
        stage.equal(&mut source, Some(&mut destination));
        stage.is_over();

        stage.stop();
        source
            .batch(
                "ALTER PUBLICATION replicator DROP TABLE customers; INSERT INTO customers VALUES (77777, 'unseen')",
            )
            .unwrap();
        stage.start();
        assert_eq!(stage.until_cause("table_stopped").code, Some(3));
        source
            .batch("ALTER PUBLICATION replicator ADD TABLE customers")
            .unwrap();
        stage.play(RUNBOOKS.commands(STOPPED, 0));
        stage.equal(&mut source, Some(&mut destination));
        stage.is_over();

        let mut old = connect(&from, "postgres");
        old.batch("BEGIN; UPDATE orders SET amount = 2 WHERE id = 1")
            .unwrap();
        source
            .batch(
                "BEGIN; INSERT INTO orders VALUES (900, 'never'); PREPARE TRANSACTION 'forgotten'",
            )
            .unwrap();
        stage.until_cause("old_transaction");
        let said = stage.until_cause("prepared_transaction");
        let pid = old.process_id().to_string();
        assert!(said.log.contains(&pid), "{}", said.log);
        let block = RUNBOOKS.commands(DISK, 0);
        stage.play(&block.replace("4711", &pid));
        assert!(old.batch("COMMIT").is_err(), "it was not ended");
        stage.is_over();
        stage.equal(&mut source, Some(&mut destination));
    }

    // A backup beside which a slot stands, and one beside which none does.
    stage.play(RUNBOOKS.commands(RESTORED, 0));
    stage.stop();
    let backup = stage.folder().join("backup.sql");
    dump(&into, &backup);
    stage.start();
    for slot_stands in [true, false] {
        let at = if slot_stands { 1 } else { 2 };
        source
            .batch(&format!(
                "INSERT INTO orders VALUES (100{at}, 'since the backup'); DELETE FROM orders WHERE id = {at};
                 UPDATE customers SET name = 'changed' WHERE id < {at}0"
            ))
            .unwrap();
        stage.equal(&mut source, Some(&mut connect(&into, "shop")));
        stage.stop();
        restore(&into, &backup);
        stage.fails(&["was confirmed up to", "are lost to it"]);
        let (section, block) = if slot_stands {
            (RESTORED, 1)
        } else {
            ("Fill the destination anew", 0)
        };
        stage.play(RUNBOOKS.commands(section, block));
        stage.equal(&mut source, Some(&mut connect(&into, "shop")));
        stage.is_over();
    }

    a_password_changes(&from, &into, &mut stage);
}

fn a_password_changes(from: &Server, into: &Server, stage: &mut Stage) {
    let mut source = connect(from, "postgres");
    stage.stop();
    source
        .batch("CREATE ROLE replicator LOGIN REPLICATION SUPERUSER PASSWORD 'the old one'")
        .unwrap();
    from.allow("host all replicator 127.0.0.1/32 scram-sha-256");
    from.reload();
    fs::write(stage.folder().join("source.password"), "the old one").unwrap();
    stage.set("ADMIN", &from.url("postgres"));
    let url = from.url("postgres").replace("//postgres@", "//replicator@");
    stage.set("REPLICATOR_SOURCE", &url);
    stage.set("REPLICATOR_SOURCE_PASSWORD_FILE", "source.password");
    stage.start();
    stage.play(RUNBOOKS.commands(PASSWORD, 0));
    source
        .batch("INSERT INTO orders VALUES (2001, 'under the new one')")
        .unwrap();
    stage.equal(&mut source, Some(&mut connect(into, "shop")));
    stage.stop();
    // It was asked for, and the old one does not do.
    fs::write(stage.folder().join("source.password"), "the old one").unwrap();
    let refused = stage.ask(&["run", "--until", "current"]);
    assert_eq!(refused.code, Some(3), "{}", refused.log);
}

fn dump(server: &Server, to: &std::path::Path) {
    let done = Command::new(testdata::program("pg_dump"))
        .arg(server.url("shop"))
        .stdout(fs::File::create(to).unwrap())
        .status();
    assert!(done.unwrap().success());
}

fn restore(server: &Server, from: &std::path::Path) {
    let mut sql = connect(server, "postgres");
    sql.batch("DROP DATABASE shop WITH (FORCE)").unwrap();
    sql.batch("CREATE DATABASE shop").unwrap();
    let done = Command::new(testdata::program("psql"))
        .args([&*server.url("shop"), "-X", "-q", "-v", "ON_ERROR_STOP=1"])
        .stdin(fs::File::open(from).unwrap())
        .stdout(Stdio::null())
        .status();
    assert!(done.unwrap().success());
}
