//! Settings, rights and the publication: a server as it comes is mended until a run works.

use std::collections::BTreeSet;

use testdata::{Client, Server, Version};

use super::{Looked, look, mended};
use crate::faults_common::{PATIENCE, Running, program};

/// Runs a statement as the superuser, in the database of the test.
pub(super) fn at(server: &Server, database: &str) -> impl FnMut(&str) + use<> {
    let mut client = Client::connect(server, database).unwrap();
    move |sql: &str| {
        client
            .batch(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[test]
fn a_server_as_it_comes_is_mended_by_what_is_said_until_a_run_works() {
    for version in [Version::V14, Version::V18] {
        let mut server = Server::builder(version)
            .setting("wal_level", "replica")
            .setting("max_replication_slots", 1)
            .setting("max_wal_senders", 1)
            .start();
        if version == Version::V18 {
            server.set("idle_replication_slot_timeout", "1d");
            server.reload();
        }
        let mut sql = at(&server, "postgres");
        for text in [
            "CREATE ROLE app LOGIN",
            "CREATE DATABASE shop",
            "SELECT pg_create_physical_replication_slot('others')",
        ] {
            sql(text);
        }
        at(&server, "shop")(
            "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'x');
             CREATE TABLE nokey (v text); CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
             CREATE SCHEMA s; CREATE TABLE s.u (id int PRIMARY KEY)",
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not there").join("shop.db");
        let (source, file) = (
            server.url("shop").replace("//postgres@", "//app@"),
            format!("sqlite:{}", file.display()),
        );
        let mut options = vec![
            "--source".to_owned(),
            source,
            "--destination".to_owned(),
            file,
        ];
        let (mut wrong, mut warned) = (BTreeSet::new(), BTreeSet::new());
        let mut looked = ask(&options);
        assert_eq!(looked.code, 3, "{:#?}", looked.findings);
        for round in 0.. {
            wrong.extend(looked.ids("wrong"));
            warned.extend(looked.ids("warning"));
            if looked.ids("wrong").is_empty() && looked.ids("warning").is_empty() {
                break;
            }
            assert!(round < 5, "it is never mended: {:#?}", looked.findings);
            let done = mended(
                &looked,
                |_| true,
                at(&server, "shop"),
                |sql| panic!("{sql}"),
                &[],
            );
            // The last of an option counts.
            options.extend(done.options);
            if done
                .by_hand
                .iter()
                .any(|it| it.contains("restart the source's server"))
            {
                server.restart();
            }
            looked = ask(&options);
        }
        looked.fine();
        assert!(looked.ids("unknown").is_empty(), "{:#?}", looked.findings);
        let names =
            |ids: &[&str]| -> BTreeSet<String> { ids.iter().map(|it| (*it).to_owned()).collect() };
        assert_eq!(
            wrong,
            names(&[
                "destination.reachable",
                "source.publication_rights",
                "source.role",
                "source.slots",
                "source.table.schema",
                "source.table.select",
                "source.wal_level",
                "source.walsenders",
            ])
        );
        let mut expected = names(&[
            "source.keyless",
            "source.max_slot_wal_keep_size",
            "source.not_decoded",
        ]);
        if version == Version::V18 {
            expected.insert("source.idle_replication_slot_timeout".to_owned());
        }
        assert_eq!(warned, expected);
        // And so it is.
        let mut run = program();
        run.arg("run").args(&options).args(["--until", "current"]);
        Running::start(&mut run).wait(PATIENCE).done();
        let looked = ask(&options);
        looked
            .fine()
            .says("ok", "source.position", "agrees with the source");
    }
}

fn ask(options: &[String]) -> Looked {
    let options: Vec<&str> = options.iter().map(|it| &**it).collect();
    look(&options)
}

#[test]
fn a_managed_service_is_told_by_its_roles_and_has_other_words() {
    let server = Server::builder(Version::V18)
        .setting("wal_level", "replica")
        .start();
    let source = server.url("postgres").replace("//postgres@", "//app@");
    let mut sql = at(&server, "postgres");
    for text in ["CREATE ROLE app LOGIN", "CREATE ROLE rds_replication"] {
        sql(text);
    }
    let looked = look(&["--source", &source]);
    let mend = |id: &str| {
        looked.of(id)["mend"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(mend("source.role"), "GRANT rds_replication TO \"app\"");
    assert!(mend("source.wal_level").contains("rds.logical_replication = 1"));
    assert!(mend("source.max_slot_wal_keep_size").contains("among the server's parameters"));
    sql("DROP ROLE rds_replication");
    let looked = look(&["--source", &source]);
    let role = looked.of("source.role");
    assert_eq!(role["mend"][0]["text"], "ALTER ROLE \"app\" REPLICATION");
    looked.says("wrong", "source.role", "42501");
}
