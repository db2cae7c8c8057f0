//! A source that is another one: taken over where it holds the same, refused where it does not.

use std::process::{Command, Stdio};

use testdata::{MariaDb, Server, Version};

use crate::common::{Finished, Job, connect, server};

const SET_UP: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE a (id int PRIMARY KEY, name text, mood mood);
    CREATE TABLE b (id int PRIMARY KEY, n numeric(10, 2));
    CREATE TABLE gone (id int PRIMARY KEY);
    INSERT INTO a SELECT i, 'row ' || i, 'ok' FROM generate_series(1, 100) i;
    INSERT INTO b SELECT i, i FROM generate_series(1, 50) i;
    CREATE PUBLICATION p FOR TABLE a, b WHERE (id > 0), gone";

/// As the runbook has it: nobody writes any more, everything is at the destination, and the new server gets it all.
fn upgraded(from: &Server) -> Server {
    let to = Server::start(Version::V18);
    // Object numbers of its own.
    connect(&to, "postgres")
        .batch("CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE another (id int)")
        .unwrap();
    let mut dump = Command::new(testdata::program("pg_dump"))
        .args(["--no-owner", &from.url("postgres")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let restored = Command::new(testdata::program("psql"))
        .args([&*to.url("postgres"), "-X", "-q", "-v", "ON_ERROR_STOP=1"])
        .stdin(dump.stdout.take().unwrap())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(restored.success() && dump.wait().unwrap().success());
    to
}

fn job(source: &Server, into: &str) -> Job {
    Job::new(source, "postgres")
        .into(into.to_owned())
        .options(&["--publication", "p"])
}

fn adopt(job: &Job) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replicator"));
    command
        .args(["adopt", "--slot", job.slot_name(), "--source", job.source()])
        .args(["--destination", &job.destination()]);
    job.start_command(command).wait()
}

/// From 15 to 18, with everything that a destination has to do differently from then on.
fn an_upgrade(into: &str, mut look: impl FnMut(&str) -> String) {
    let old = server(Version::V15);
    let mut sql = connect(&old, "postgres");
    // Further on in its log than the new one will be: positions of one mean nothing in the other.
    for _ in 0..3 {
        sql.batch("SELECT txid_current(); SELECT pg_switch_wal()")
            .unwrap();
    }
    sql.batch(SET_UP).unwrap();
    let before = job(&old, into);
    before.run_to_current();
    // It is stopped at the destination, and stays so.
    sql.batch("ALTER PUBLICATION p DROP TABLE gone; INSERT INTO a VALUES (101, 'last', 'sad')")
        .unwrap();
    before.run_to_current();
    let new = upgraded(&old);
    let mut sql = connect(&new, "postgres");
    let after = job(&new, into);

    let refused = after.run(&["--until", "current"]);
    assert_eq!(refused.code, Some(3), "{}", refused.log);
    assert!(refused.log.contains("replicator adopt"), "{}", refused.log);
    // Nothing of it is taken on trust that can be looked at.
    for (change, undo, word) in [
        (
            "ALTER TABLE a ALTER name TYPE varchar(50)",
            "ALTER TABLE a ALTER name TYPE text",
            "columns",
        ),
        (
            "ALTER PUBLICATION p SET TABLE a, b WHERE (id > 1)",
            "ALTER PUBLICATION p SET TABLE a, b WHERE (id > 0)",
            "filter",
        ),
        (
            "ALTER PUBLICATION p DROP TABLE a",
            "ALTER PUBLICATION p ADD TABLE a",
            "do not have it",
        ),
        (
            "ALTER TABLE a ALTER name SET NOT NULL, DROP CONSTRAINT a_pkey, ADD PRIMARY KEY (id, name)",
            "ALTER TABLE a DROP CONSTRAINT a_pkey, ADD PRIMARY KEY (id), ALTER name DROP NOT NULL",
            "key",
        ),
    ] {
        sql.batch(change).unwrap();
        let refused = adopt(&after);
        assert_eq!(refused.code, Some(3), "{change}: {}", refused.log);
        assert!(refused.log.contains(word), "{change}: {}", refused.log);
        sql.batch(undo).unwrap();
    }
    // What was tried in vain has left nothing.
    let slots = "SELECT count(*) FROM pg_replication_slots";
    assert_eq!(sql.value(slots).unwrap(), "0");

    let adopted = adopt(&after);
    assert_eq!(adopted.code, Some(0), "{}", adopted.log);
    assert!(
        adopted.log.contains("2 followed, 1 stopped"),
        "{}",
        adopted.log
    );
    let again = adopt(&after);
    assert_eq!(again.code, Some(2), "{}", again.log);

    sql.batch(
        "BEGIN; INSERT INTO a VALUES (102, 'first', 'ok'); UPDATE a SET name = 'changed' WHERE id = 1;
         DELETE FROM b WHERE id = 1; UPDATE b SET n = n + 1 WHERE id = 2; COMMIT",
    )
    .unwrap();
    after.run_to_current();
    let ends = [
        ("SELECT concat(count(*), '|', sum(id)) FROM a", "102|5253"),
        ("SELECT name FROM a WHERE id = 1", "changed"),
        ("SELECT concat(count(*), '|', sum(n)) FROM b", "49|1275.00"),
    ];
    for (query, wanted) in ends {
        assert_eq!(look(query), wanted, "{query}");
    }
    // The old one is another source now.
    let refused = before.run(&["--until", "current"]);
    assert_eq!(refused.code, Some(3), "{}", refused.log);
}

#[test]
fn an_upgraded_source_of_postgres() {
    let into = server(Version::V14);
    let mut sql = connect(&into, "postgres");
    an_upgrade(&into.url("postgres"), |query| sql.value(query).unwrap());
}

#[test]
fn an_upgraded_source_of_mariadb() {
    let into = MariaDb::start();
    into.connect("")
        .unwrap()
        .batch("CREATE DATABASE d")
        .unwrap();
    let mut sql = into.connect("d").unwrap();
    an_upgrade(&into.url("d"), |query| sql.value(query).unwrap());
}

#[test]
fn an_upgraded_source_of_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adopted.db");
    an_upgrade(&format!("sqlite:{}", file.display()), |query| {
        let db = rusqlite::Connection::open(&file).unwrap();
        let query = query.replace(
            "concat(count(*), '|', sum(id))",
            "count(*) || '|' || sum(id)",
        );
        let query = query.replace(
            "concat(count(*), '|', sum(n))",
            "count(*) || '|' || printf('%.2f', sum(n))",
        );
        db.query_row(&query, [], |row| row.get(0)).unwrap()
    });
}
