//! Roles with exactly the rights that the page on security gives, and with one less; and what a stranger types first.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use testdata::{MariaDb, Server, Version};

use crate::common::{connect, server};
use crate::page::Page;
use crate::stage::{PATIENCE, Stage, set_up};

const SECURITY: Page = Page(include_str!("../../docs/security.md"));

const README: Page = Page(include_str!("../../../README.md"));

fn statements(heading: &str) -> &'static str {
    let blocks = SECURITY.blocks(heading, "sql");
    assert_eq!(blocks.len(), 1, "{heading}");
    blocks[0]
}

/// What `check` has against it.
fn objections(stage: &Stage) -> BTreeSet<String> {
    let said = stage.ask(&["check"]);
    let lines = said.log.lines().map(str::to_owned);
    let ok = |line: &String| line.starts_with("ok ") || line.starts_with(' ') || line.is_empty();
    let told = lines.filter(|line| !ok(line));
    // Test servers do not write to disk, which is said; and nobody tells how much room there is.
    told.filter(|line| {
        !["durability", "space", "wal_keep", "0 wrong"]
            .iter()
            .any(|it| line.contains(it))
    })
    .collect()
}

/// `check` says of each right that is taken that it is missing, and nothing once it is back.
fn each_is_missed(stage: &Stage, rights: &[(&str, &str)], mut run: impl FnMut(&str)) {
    let before = objections(stage);
    for (take, give) in rights {
        run(take);
        let now = objections(stage);
        assert!(
            now.difference(&before).count() > 0,
            "unnoticed: {take}\n{now:#?}"
        );
        run(give);
    }
    assert_eq!(objections(stage), before);
}

#[test]
fn the_rights_on_the_page_are_enough_and_none_is_too_many() {
    let from = server(Version::V18);
    let into = server(Version::V15);
    let mut source = set_up(&from, "shop");
    source
        .batch("REVOKE ALL ON DATABASE shop FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC")
        .unwrap();
    source.batch(statements("The source")).unwrap();
    connect(&into, "postgres")
        .batch("CREATE DATABASE shop")
        .unwrap();
    let mut destination = connect(&into, "shop");
    destination
        .batch("REVOKE ALL ON DATABASE shop FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC")
        .unwrap();
    destination
        .batch(statements("PostgreSQL as the destination"))
        .unwrap();

    let mut stage = Stage::new(&from, "shop");
    let as_role = |url: String, role: &str| url.replace("//postgres@", &format!("//{role}@"));
    stage.set(
        "REPLICATOR_SOURCE",
        &as_role(from.url("shop"), "replicator"),
    );
    stage.set("REPLICATOR_DESTINATION", &as_role(into.url("shop"), "copy"));
    assert_eq!(objections(&stage), BTreeSet::new());
    each_is_missed(
        &stage,
        &[
            (
                "ALTER ROLE replicator NOREPLICATION",
                "ALTER ROLE replicator REPLICATION",
            ),
            (
                "REVOKE CONNECT ON DATABASE shop FROM replicator",
                "GRANT CONNECT ON DATABASE shop TO replicator",
            ),
            (
                "REVOKE USAGE ON SCHEMA public FROM replicator",
                "GRANT USAGE ON SCHEMA public TO replicator",
            ),
            (
                "REVOKE SELECT ON customers FROM replicator",
                "GRANT SELECT ON customers TO replicator",
            ),
        ],
        |sql| source.batch(sql).unwrap(),
    );
    let functions = "pg_replication_origin_create(text), pg_replication_origin_oid(text), \
                     pg_replication_origin_session_setup(text)";
    let (take, give) = (
        format!("REVOKE EXECUTE ON FUNCTION {functions} FROM copy"),
        format!("GRANT EXECUTE ON FUNCTION {functions} TO copy"),
    );
    each_is_missed(
        &stage,
        &[
            (
                "REVOKE CONNECT ON DATABASE shop FROM copy",
                "GRANT CONNECT ON DATABASE shop TO copy",
            ),
            (
                "REVOKE CREATE ON SCHEMA public FROM copy",
                "GRANT CREATE ON SCHEMA public TO copy",
            ),
            (
                "REVOKE USAGE ON SCHEMA public FROM copy",
                "GRANT USAGE ON SCHEMA public TO copy",
            ),
            (&take, &give),
        ],
        |sql| destination.batch(sql).unwrap(),
    );
    stage.start();
    let changes = "INSERT INTO orders VALUES (1000, 'new'); UPDATE orders SET id = id + 10000; DELETE FROM customers WHERE id = 1;
                   ALTER TABLE customers ADD COLUMN town text NOT NULL DEFAULT 'here'; INSERT INTO customers VALUES (1000, 'a', 'b')";
    source.batch(changes).unwrap();
    let town = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'town'";
    until("the column is there", || {
        destination.value(town).unwrap() == "1"
    });
    stage.equal(&mut source, Some(&mut destination));
    stage.is_over();
    stage.stop();
    let dropped = stage.ask(&["drop"]);
    assert_eq!(dropped.code, Some(0), "{}", dropped.log);

    // By the owner, and into MariaDB.
    source
        .batch("DROP PUBLICATION replicator; CREATE ROLE app LOGIN; GRANT ALL ON SCHEMA public TO app; GRANT CONNECT ON DATABASE shop TO app;
                ALTER TABLE orders OWNER TO app; ALTER TABLE customers OWNER TO app")
        .unwrap();
    source
        .batch(statements("The source, by the owner of its tables"))
        .unwrap();
    let maria = MariaDb::start();
    let mut root = maria.connect("").unwrap();
    root.batch("CREATE DATABASE shop").unwrap();
    for statement in statements("MySQL and MariaDB as the destination").split(";\n") {
        if !statement.trim().is_empty() {
            root.batch(statement).unwrap();
        }
    }
    let mut stage = Stage::new(&from, "shop");
    stage.set("REPLICATOR_SOURCE", &as_role(from.url("shop"), "app"));
    stage.set(
        "REPLICATOR_DESTINATION",
        &maria.url_of("copy", Some("choose one"), "shop"),
    );
    assert_eq!(objections(&stage), BTreeSet::new());
    each_is_missed(
        &stage,
        &[(
            "REVOKE CREATE ON DATABASE shop FROM app",
            "GRANT CREATE ON DATABASE shop TO app",
        )],
        |sql| source.batch(sql).unwrap(),
    );
    let rights = [
        "CREATE",
        "DROP",
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "CREATE TEMPORARY TABLES",
        "ALTER",
    ];
    for right in rights {
        let (take, give) = (
            format!("REVOKE {right} ON shop.* FROM 'copy'@'%'"),
            format!("GRANT {right} ON shop.* TO 'copy'@'%'"),
        );
        each_is_missed(&stage, &[(&take, &give)], |sql| root.batch(sql).unwrap());
    }
    stage.start();
    let changes = "UPDATE orders SET id = id + 50000 WHERE id % 3 = 0; DELETE FROM customers WHERE id = 2;
                   ALTER TABLE customers ADD COLUMN street text DEFAULT 'Long'; INSERT INTO customers VALUES (2000, 'a', 'b', 'c');
                   INSERT INTO orders VALUES (3000, 'x')";
    source.batch(changes).unwrap();
    let mut rows = maria.connect("shop").unwrap();
    for sql in [
        "SELECT concat(count(*), '|', sum(id), '|', min(street)) FROM customers",
        "SELECT concat(count(*), '|', sum(id), '|', sum(amount)) FROM orders",
    ] {
        let wanted = source.value(sql).unwrap();
        until(sql, || rows.value(sql).is_ok_and(|it| it == wanted));
    }
    stage.stop();
    let dropped = stage.ask(&["drop"]);
    assert_eq!(dropped.code, Some(0), "{}", dropped.log);

    connect(&into, "postgres")
        .batch("CREATE DATABASE quick")
        .unwrap();
    root.batch("CREATE DATABASE quick").unwrap();
    let mut source = set_up(&from, "quick");
    begins(&from, "Replicate a database", None, |stage| {
        stage.equal(&mut source, None);
    });
    let mut destination = connect(&into, "quick");
    begins(&from, "Into PostgreSQL", Some(into.url("quick")), |stage| {
        stage.equal(&mut source, Some(&mut destination));
    });
    let mut rows = maria.connect("quick").unwrap();
    begins(
        &from,
        "Into MySQL and MariaDB",
        Some(maria.url("quick")),
        |_| {
            let sum = "SELECT sum(id * amount) FROM orders";
            assert_eq!(rows.value(sum).unwrap(), source.value(sum).unwrap());
        },
    );
}

/// What the README has a stranger type first, with servers that there are in the place of its examples.
fn begins(from: &Server, heading: &str, into: Option<String>, look: impl FnOnce(&Stage)) {
    let block = README.commands(heading, 0);
    let source = "postgres://app@db.example/shop";
    let mut typed = 0;
    let mut stage = Stage::new(from, "quick");
    for line in block.lines().filter(|line| line.starts_with("replicator ")) {
        let (line, destination) = line.split_once(" --destination ").unwrap();
        assert!(line.ends_with(source), "{line}");
        let destination = into
            .clone()
            .unwrap_or_else(|| destination.replace("shop.db", "destination.db"));
        let until = if line.contains(" run ") {
            " --until current"
        } else {
            ""
        };
        let line = line.replace(source, &from.url("quick"));
        stage.play(&format!("{line} --destination '{destination}'{until}"));
        typed += 1;
    }
    assert!(typed > 0, "{heading}: nothing to type");
    look(&stage);
    let destination = into.unwrap_or_else(|| "sqlite:destination.db".to_owned());
    stage.set("REPLICATOR_DESTINATION", &destination);
    let dropped = stage.ask(&["drop"]);
    assert_eq!(dropped.code, Some(0), "{}", dropped.log);
}

/// Waits for it.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
