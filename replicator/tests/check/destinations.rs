//! Destinations of each product: rights, settings and tables that are there.

use testdata::{Client, MariaDb, Server, Version};

use super::source::at;
use super::{Looked, Site, look, mended};
use crate::faults_common::until;

fn ask(site: &Site, destination: &str, options: &[&str]) -> Looked {
    let source = site.source();
    let ours = [
        "--source",
        &source,
        "--slot",
        &site.slot,
        "--destination",
        destination,
    ];
    look(&[&ours[..], options].concat())
}

/// What makes wrong tables of `t (id int, v text)` and what is said of each.
const NARROW: &str = "t (id smallint PRIMARY KEY, v text)";

#[test]
fn a_postgres_destination_is_mended_by_what_is_said() {
    let site = Site::on(Version::V14);
    site.sql("CREATE SCHEMA s; CREATE TABLE s.u (id int PRIMARY KEY); CREATE TABLE there (id int PRIMARY KEY)");
    let server = Server::builder(Version::V18)
        .setting("fsync", "off")
        .start();
    let mut sql = at(&server, "postgres");
    for text in [
        "CREATE DATABASE shop ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
        "CREATE ROLE writer LOGIN",
    ] {
        sql(text);
    }
    let mut sql = at(&server, "shop");
    sql(&format!("CREATE TABLE {NARROW}"));
    sql("CREATE TABLE there (id int PRIMARY KEY); INSERT INTO there VALUES (7)");
    let url = server.url("shop").replace("//postgres@", "//writer@");
    let looked = ask(&site, &url, &[]);
    assert_eq!(looked.code, 3);
    looked
        .says("warning", "destination.durability", "fsync is off")
        .says(
            "warning",
            "destination.durability",
            "full_page_writes is off",
        )
        .says("warning", "destination.encoding", "SQL_ASCII")
        .says("warning", "destination.origin", "not marked")
        .says(
            "wrong",
            "destination.rights",
            "must not make tables in schema",
        )
        .says("wrong", "destination.rights", "must not make schemas")
        .says(
            "wrong",
            "destination.rights",
            "lacks SELECT, INSERT, UPDATE, DELETE",
        )
        .says("wrong", "destination.table", "does not hold every value")
        .says("ok", "destination.time_zone", "UTC")
        .says("ok", "destination.isolation", "read committed")
        .says("unknown", "destination.space", "does not tell");
    let wanted = [
        "destination.durability",
        "destination.origin",
        "destination.rights",
        "destination.table",
    ];
    mended(
        &looked,
        |id| wanted.contains(&id),
        |sql| panic!("{sql}"),
        at(&server, "shop"),
        &[],
    );
    until("the server has read its configuration", || {
        let looked = ask(&site, &url, &[]);
        !looked.ids("warning").contains("destination.durability")
    });
    let looked = ask(&site, &url, &[]);
    looked
        .says("ok", "destination.durability", "fsync is on")
        .says("ok", "destination.origin", "")
        .says("ok", "destination.rights", "may make")
        .says("wrong", "destination.table", "holds rows");
    let options = mended(
        &looked,
        |id| id == "destination.table",
        |sql| panic!("{sql}"),
        |sql| panic!("{sql}"),
        &[],
    )
    .options;
    let options: Vec<&str> = options.iter().map(|it| &**it).collect();
    ask(&site, &url, &options)
        .fine()
        .says("warning", "destination.existing", "is emptied");
    // One that others are to make.
    let looked = ask(
        &site,
        &url,
        &["--auto-create", "no", "--existing", "truncate"],
    );
    looked.says("wrong", "destination.table", "has no table");
    mended(
        &looked,
        |id| id == "destination.table",
        |sql| panic!("{sql}"),
        at(&server, "shop"),
        &[],
    );
    sql("GRANT USAGE ON SCHEMA s TO writer; GRANT SELECT, INSERT, UPDATE, DELETE ON s.u TO writer");
    ask(
        &site,
        &url,
        &["--auto-create", "no", "--existing", "truncate"],
    )
    .fine();
    // In another encoding.
    let encoding = ask(&site, &url, &[]);
    let make = encoding.of("destination.encoding")["mend"][0]["text"]
        .as_str()
        .unwrap();
    at(&server, "postgres")(make);
    let other = server.url("shop_utf8");
    ask(&site, &other, &[]).says("ok", "destination.encoding", "UTF8");
    // One that only reads.
    at(&server, "postgres")("ALTER DATABASE shop SET default_transaction_read_only = on");
    let looked = ask(&site, &url, &[]);
    looked.says("wrong", "destination.writable", "takes no changes");
}

#[test]
fn a_mariadb_destination_is_mended_by_what_is_said() {
    let site = Site::new();
    let server = MariaDb::builder()
        .setting("innodb_flush_log_at_trx_commit", 2)
        .setting("innodb_strict_mode", "OFF")
        .setting("log_bin", "binlog")
        .setting("binlog_format", "STATEMENT")
        .setting("sync_binlog", 0)
        .start();
    let mut client = server.connect("").unwrap();
    for text in [
        "CREATE DATABASE shop",
        "CREATE USER writer@'%'",
        "GRANT SELECT ON shop.* TO writer@'%'",
        &format!("CREATE TABLE shop.{NARROW}"),
        "SET GLOBAL read_only = ON",
    ] {
        client
            .batch(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let url = server.url_of("writer", None, "shop");
    let looked = ask(&site, &url, &[]);
    assert_eq!(looked.code, 3);
    looked
        .says("wrong", "destination.writable", "read_only is on")
        .says(
            "wrong",
            "destination.durability",
            "innodb_flush_log_at_trx_commit is 2",
        )
        .says("wrong", "destination.binary_log", "by statement")
        .says("warning", "destination.binary_log", "sync_binlog is 0")
        .says(
            "warning",
            "destination.strict_mode",
            "too wide for its page",
        )
        .says(
            "wrong",
            "destination.rights",
            "lacks CREATE, DROP, INSERT, UPDATE, DELETE, TRIGGER",
        )
        .says("wrong", "destination.table", "smallint")
        .says("ok", "destination.time_zone", "+00:00")
        .says("ok", "destination.isolation", "READ COMMITTED")
        .says("ok", "destination.encoding", "utf8mb4");
    client.batch("SET GLOBAL read_only = OFF").unwrap();
    let mut client = server.connect("shop").unwrap();
    let mut looked = looked;
    // Of a table's columns one is said at a time.
    for _ in 0..2 {
        mended(
            &looked,
            |id| id.starts_with("destination."),
            |sql| panic!("{sql}"),
            |sql| {
                let done = client.batch(sql);
                done.unwrap_or_else(|error| panic!("{sql}: {error}"));
            },
            &[],
        );
        looked = ask(&site, &url, &[]);
    }
    looked
        .fine()
        .says("ok", "destination.rights", "may make")
        .says("ok", "destination.durability", "is 1")
        .says("ok", "destination.writable", "takes changes");
    assert!(
        looked
            .ids("warning")
            .iter()
            .all(|id| !id.starts_with("destination.")),
        "{:#?}",
        looked.findings
    );
    // By a role that is on, and one that that has.
    for text in [
        "CREATE ROLE looker",
        "GRANT SELECT, TRIGGER ON shop.* TO looker",
        "CREATE ROLE all_of_it",
        "GRANT CREATE, DROP, ALTER, CREATE TEMPORARY TABLES, INSERT, UPDATE ON shop.* TO all_of_it",
        "GRANT looker TO all_of_it",
        "CREATE USER borrower@'%'",
        "GRANT all_of_it TO borrower@'%'",
        "SET DEFAULT ROLE all_of_it FOR borrower@'%'",
    ] {
        client
            .batch(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let url = server.url_of("borrower", None, "shop");
    ask(&site, &url, &[]).says("wrong", "destination.rights", "lacks DELETE on");
    client
        .batch("GRANT DELETE ON shop.* TO looker")
        .expect("a grant");
    ask(&site, &url, &[])
        .fine()
        .says("ok", "destination.rights", "by role all_of_it");
}

#[test]
fn a_file_is_looked_at_as_it_is() {
    let site = Site::new();
    let destination = site.destination();
    ask(&site, &destination, &[])
        .fine()
        .says("ok", "destination.reachable", "a run makes it")
        .says("ok", "destination.space", "are free")
        .says("ok", "destination.durability", "synchronous=FULL");
    assert!(!site.path().exists());
    std::fs::write(
        site.path(),
        "this is no database, and long enough to be seen as none",
    )
    .unwrap();
    let looked = ask(&site, &destination, &[]);
    looked.says("wrong", "destination.reachable", "not a SQLite database");
    assert_eq!(looked.code, 2);
    std::fs::remove_file(site.path()).unwrap();
    site.edit(&format!(
        "CREATE TABLE {}; CREATE VIEW v AS SELECT 1",
        "t (id TEXT PRIMARY KEY, v INTEGER)"
    ));
    let looked = ask(&site, &destination, &[]);
    looked.says("wrong", "destination.table", "is declared TEXT");
    site.edit("DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'x')");
    let looked = ask(&site, &destination, &[]);
    looked.says("wrong", "destination.table", "holds rows");
    ask(&site, &destination, &["--existing", "keep"])
        .fine()
        .says("warning", "destination.existing", "rows stay");
    ask(&site, &destination, &["--copy", "no"]).fine();
    // Another slot's.
    site.edit("DROP TABLE t");
    site.caught_up(&[]);
    let (source, other) = (site.source(), format!("{}_b", site.slot));
    let looked = look(&[
        "--source",
        &source,
        "--slot",
        &other,
        "--destination",
        &destination,
    ]);
    looked.says("wrong", "destination.table", "belongs to slot");
    let mut client = Client::connect(&site.server, &site.database).unwrap();
    assert_eq!(client.value("SELECT count(*) FROM t").unwrap(), "2");
}
