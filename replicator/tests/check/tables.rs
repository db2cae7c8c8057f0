//! Publications and tables that somebody else made.

use testdata::Version;

use super::source::at;
use super::{Looked, Site, look, mended};

/// A check with the site's source as another role, and its destination.
fn ask(site: &Site, options: &[String]) -> Looked {
    let options: Vec<&str> = options.iter().map(|it| &**it).collect();
    look(
        &[
            &["--slot", &site.slot, "--destination", &site.destination()],
            &*options,
        ]
        .concat(),
    )
}

#[test]
fn tables_of_a_publication_are_named_one_by_one_with_what_mends_each() {
    for version in [Version::V14, Version::V18] {
        let site = Site::on(version);
        let role = format!("checker_of_{}", site.database);
        site.sql(&format!(
            "CREATE ROLE {role} LOGIN REPLICATION; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
             CREATE TABLE policed (id int PRIMARY KEY); ALTER TABLE policed ENABLE ROW LEVEL SECURITY;
             CREATE TABLE hidden (id int PRIMARY KEY);
             CREATE SCHEMA closed; CREATE TABLE closed.inside (id int PRIMARY KEY); GRANT SELECT ON closed.inside TO {role};
             CREATE TABLE nokey (v text);
             CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE UNLOGGED TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
             CREATE TABLE q (id int) PARTITION BY RANGE (id);
             CREATE FOREIGN DATA WRAPPER w; CREATE SERVER elsewhere FOREIGN DATA WRAPPER w;
             CREATE FOREIGN TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (10) SERVER elsewhere;
             GRANT SELECT ON policed, nokey, p, q TO {role};
             CREATE PUBLICATION theirs FOR TABLE t, policed, hidden, closed.inside, nokey, p, q
               WITH (publish = 'insert, update', publish_via_partition_root = true)"
        ));
        if version == Version::V18 {
            site.sql(&format!(
                "CREATE TABLE filtered (id int PRIMARY KEY, wide text); GRANT SELECT ON filtered TO {role};
                 ALTER PUBLICATION theirs ADD TABLE filtered WHERE (id > 3)"
            ));
        }
        let source = site.source().replace("//postgres@", &format!("//{role}@"));
        let mut options = ["--source", &source, "--publication", "theirs"]
            .map(str::to_owned)
            .to_vec();
        let looked = ask(&site, &options);
        assert_eq!(looked.code, 3);
        let about = |id: &str| {
            looked.of(id)["about"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        for (id, table) in [
            ("source.table.row_security", "public.policed"),
            ("source.table.select", "public.hidden"),
            ("source.table.schema", "closed.inside"),
            ("source.table.unlogged", "public.p"),
            ("source.table.foreign", "public.q"),
            ("source.publication_operations", "theirs"),
        ] {
            assert_eq!(about(id), table, "{id}");
        }
        // Its columns cannot be read before the schema is open.
        let mut looked = looked;
        for round in 0.. {
            if looked.ids("wrong").is_empty() {
                break;
            }
            assert!(round < 4, "it is never mended: {:#?}", looked.findings);
            let wrong = looked.ids("wrong");
            let done = mended(
                &looked,
                |id| wrong.contains(id),
                at(&site.server, &site.database),
                |sql| panic!("{sql}"),
                &[],
            );
            options.extend(done.options);
            looked = ask(&site, &options);
        }
        looked.fine();
        looked.says("warning", "source.partitions", "followed as a whole");
        looked.says("warning", "source.replica_identity", "FAIL at the source");
        assert_eq!(
            looked.of("source.replica_identity")["about"],
            "public.nokey"
        );
        let wanted = [
            "source.replica_identity",
            "source.publication_operations",
            "source.toast",
        ];
        if version == Version::V18 {
            looked.says("warning", "source.toast", "row filter");
        }
        mended(
            &looked,
            |id| wanted.contains(&id),
            at(&site.server, &site.database),
            |sql| panic!("{sql}"),
            &[],
        );
        let looked = ask(&site, &options);
        for id in ["source.publication_operations", "source.toast"] {
            assert!(!looked.ids("warning").contains(id), "{:#?}", looked.of(id));
        }
        looked.says("warning", "source.replica_identity", "FULL without a key");
        looked.says("ok", "source.tables", "may be read whole");
    }
}

#[test]
fn options_are_looked_at_as_a_run_would_take_them() {
    let site = Site::new();
    site.sql("CREATE TABLE other (id int PRIMARY KEY, v text)");
    let source = site.source();
    let ask = |options: &[&str]| {
        let ours = ["--source", &source, "--slot", &site.slot, "--destination"];
        look(&[&ours, &[&*site.destination()][..], options].concat())
    };
    ask(&["--tables", "t"])
        .fine()
        .says("ok", "source.publication", "of 1 table: public.t");
    let looked = ask(&["--tables", "tt"]);
    looked.says("wrong", "source.publication", "--tables names public.tt");
    assert_eq!(
        looked.code, 2,
        "only the options are wrong: {:#?}",
        looked.findings
    );
    looked.says("unknown", "destination.tables", "not known which tables");
    let looked = ask(&["--publication", "nowhere"]);
    looked.says(
        "wrong",
        "source.publication",
        "publication \"nowhere\" does not exist",
    );
    mended(
        &looked,
        |id| id == "source.publication",
        at(&site.server, &site.database),
        |sql| panic!("{sql}"),
        &[],
    );
    ask(&["--publication", "nowhere"]).fine().says(
        "ok",
        "source.publication",
        "publishes 2 tables",
    );
    let looked = ask(&["--map-table", "t=x,other=x"]);
    looked.says("wrong", "options.names", "x");
    let looked = ask(&["--protocol", "1", "--streaming", "on"]);
    assert_eq!(
        (looked.code, &looked.of("source.protocol")["verdict"]),
        (2, &"wrong".into())
    );
    let looked = ask(&[
        "--spool",
        "/nowhere/at/all",
        "--copy",
        "only",
        "--until",
        "current",
    ]);
    looked.says("wrong", "options.spool", "cannot be used");
    looked.says("wrong", "options.end", "--copy only ends");
    let quarantine = site.folder.path().join("no folder").join("left-out.jsonl");
    let looked = ask(&["--quarantine", quarantine.to_str().unwrap()]);
    looked.says("wrong", "options.quarantine", "cannot be used");
    ask(&["--columns", "t.id"])
        .fine()
        .says("ok", "source.publication", "of 2 tables");
}
