//! A check leaves no trace.

use std::collections::BTreeMap;
use std::fs;

use testdata::{Client, MariaDb, Server, Version};

use super::{Site, look};

/// All rows of catalogs that anything lasting would change.
fn catalogs(server: &Server, database: &str) -> Vec<String> {
    let mut client = Client::connect(server, database).unwrap();
    let catalogs = [
        "pg_class",
        "pg_attribute",
        "pg_namespace",
        "pg_publication",
        "pg_publication_rel",
        "pg_description",
        "pg_shdescription",
        "pg_db_role_setting",
        "pg_authid",
        "pg_auth_members",
        "pg_database",
        "pg_proc",
        "pg_type",
        "pg_replication_origin",
        "pg_prepared_xacts",
        "pg_trigger",
        "pg_constraint",
        "pg_default_acl",
    ];
    let mut all: Vec<String> = catalogs
        .iter()
        .map(|name| {
            // What statistics and vacuum write into pg_class is none of ours.
            let row = if *name == "pg_class" {
                "(oid, relname, relfilenode, relkind, relacl, relrowsecurity, reltoastrelid)::text"
            } else {
                "x::text"
            };
            let sql = format!("SELECT '{name} ' || coalesce(md5(string_agg(row, E'\\n' ORDER BY row)), '') FROM (SELECT {row} AS row FROM {name} x) AS all_rows");
            client.value(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
        })
        .collect();
    all.push(client.value("SELECT coalesce(string_agg(slot_name || coalesce(confirmed_flush_lsn::text, ''), ',' ORDER BY slot_name), '') FROM pg_replication_slots").unwrap());
    all
}

/// Every file under the folder of a site, byte for byte.
fn files(site: &Site) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(site.folder.path()).unwrap();
    let read = entries.map(|entry| {
        let path = entry.unwrap().path();
        (path.display().to_string(), fs::read(&path).unwrap())
    });
    read.collect()
}

#[test]
fn nothing_is_changed_at_either_side_before_or_after_a_first_run() {
    let server = Server::builder(Version::V18)
        .setting("autovacuum", "off")
        .start();
    let site = Site::own(server);
    site.sql("CREATE DATABASE elsewhere");
    let maria = MariaDb::start();
    maria
        .connect("")
        .unwrap()
        .batch("CREATE DATABASE shop")
        .unwrap();
    let there = site.server.url("elsewhere");
    let destinations = [site.destination(), there, maria.url("shop")];
    let maria_tables = || {
        let mut client = maria.connect("shop").unwrap();
        let sql = "SELECT GROUP_CONCAT(CONCAT(table_schema, '.', table_name, create_time) ORDER BY 1) FROM information_schema.tables
                   WHERE table_schema NOT IN ('information_schema', 'performance_schema')";
        client.value(sql).unwrap_or_default()
    };
    let state = || {
        (
            catalogs(&site.server, &site.database),
            catalogs(&site.server, "elsewhere"),
            maria_tables(),
            files(&site),
        )
    };
    let source = site.source();
    for run_before in [false, true] {
        if run_before {
            for destination in &destinations {
                let slot = format!("slot_{}", destination.split(':').next().unwrap());
                let mut run = super::program();
                run.args([
                    "run", "--source", &source, "--until", "current", "--slot", &slot,
                ]);
                run.args(["--destination", destination]);
                crate::faults_common::Running::start(&mut run)
                    .wait(crate::faults_common::PATIENCE)
                    .done();
            }
        }
        let before = state();
        for destination in &destinations {
            let slot = format!("slot_{}", destination.split(':').next().unwrap());
            look(&[
                "--source",
                &source,
                "--slot",
                &slot,
                "--destination",
                destination,
            ])
            .fine();
        }
        let after = state();
        assert_eq!(before.0, after.0, "the source");
        assert_eq!(before.1, after.1, "the PostgreSQL destination");
        assert_eq!(before.2, after.2, "the MariaDB destination");
        assert_eq!(before.3, after.3, "the files");
    }
}
