//! What is published and cannot be replicated is refused by name before slot, intent or tables are made.

use testdata::Version;

use super::{Site, nothing_is_left, refused};

const ALL: [Version; 5] = [
    Version::V14,
    Version::V15,
    Version::V16,
    Version::V17,
    Version::V18,
];

/// Roles belong to the whole server.
fn role(site: &Site) -> String {
    format!("reader_of_{}", site.database)
}

/// A site whose source is read by a role with few rights.
fn as_role(site: &Site) -> Vec<String> {
    let role = role(site);
    site.sql(&format!(
        "CREATE ROLE {role} LOGIN REPLICATION; GRANT SELECT ON t TO {role}"
    ));
    let source = site.source().replace("//postgres@", &format!("//{role}@"));
    ["--source", &source, "--publication", "theirs"]
        .map(str::to_owned)
        .to_vec()
}

fn run(site: &Site, options: &[String], more: &[&str]) -> super::Outcome {
    let mut command = super::faults_common::program();
    command.args(["run", "--until", "current", "--slot", &site.slot]);
    command.args(["--destination", &site.destination()]);
    super::Running::start(command.args(options).args(more)).wait(super::faults_common::PATIENCE)
}

/// No slot, no table, no row of ours.
fn untouched(site: &Site) {
    assert_eq!(site.tables(), [""; 0], "a table is left");
    assert_eq!(site.slot_column("active"), None, "the slot is left");
    let ours = "SELECT name FROM sqlite_schema WHERE name LIKE '\\_replicator%' ESCAPE '\\'";
    assert_eq!(site.rows(ours), [""; 0], "something was written");
}

#[test]
fn tables_that_our_role_sees_in_part_are_named_with_what_mends_them() {
    for version in ALL {
        let site = Site::on(version);
        let options = as_role(&site);
        let role = role(&site);
        site.sql(&format!(
            "CREATE TABLE policed (id int PRIMARY KEY); INSERT INTO policed SELECT generate_series(1, 10);
             ALTER TABLE policed ENABLE ROW LEVEL SECURITY; CREATE POLICY even ON policed USING (id % 2 = 0);
             GRANT SELECT ON policed TO {role};
             CREATE TABLE hidden (id int PRIMARY KEY);
             CREATE TABLE partly (id int PRIMARY KEY, secret text); GRANT SELECT (id) ON partly TO {role};
             CREATE SCHEMA closed; CREATE TABLE closed.inside (id int PRIMARY KEY); GRANT SELECT ON closed.inside TO {role};
             CREATE PUBLICATION theirs FOR TABLE t, policed, hidden, partly, closed.inside"
        ));
        let outcome = run(&site, &options, &[]);
        let words = [
            format!("row security of table public.policed applies to role \"{role}\""),
            format!("role \"{role}\" must not read table public.hidden"),
            format!("role \"{role}\" must not read table public.partly"),
            format!("role \"{role}\" must not use the schema of table closed.inside"),
            format!("ALTER ROLE \"{role}\" BYPASSRLS"),
            format!("GRANT SELECT ON \"public\".\"partly\" TO \"{role}\""),
            format!("GRANT USAGE ON SCHEMA \"closed\" TO \"{role}\""),
        ];
        let words: Vec<&str> = words.iter().map(|it| &**it).collect();
        let outcome = super::must_say(outcome, 3, &words);
        assert!(!outcome.stderr.contains("public.t "), "{}", outcome.stderr);
        untouched(&site);

        // Each left out, or mended.
        site.sql(&format!(
            "GRANT SELECT ON partly, hidden TO {role}; GRANT USAGE ON SCHEMA closed TO {role}"
        ));
        let outcome = run(&site, &options, &[]);
        let outcome = super::must_say(outcome, 3, &["public.policed"]);
        assert!(!outcome.stderr.contains("public.partly"));
        site.sql(&format!("ALTER ROLE {role} BYPASSRLS"));
        run(&site, &options, &[]).done();
        assert_eq!(site.rows("SELECT count(*) FROM policed"), ["10"]);
        assert_eq!(site.tables().len(), 5);
    }
}

#[test]
fn row_security_that_does_not_apply_to_us_is_no_reason() {
    let site = Site::new();
    let options = as_role(&site);
    let role = role(&site);
    site.sql(&format!(
        "CREATE TABLE own (id int PRIMARY KEY); INSERT INTO own SELECT generate_series(1, 10);
         ALTER TABLE own ENABLE ROW LEVEL SECURITY; CREATE POLICY even ON own USING (id % 2 = 0);
         ALTER TABLE own OWNER TO {role}; CREATE PUBLICATION theirs FOR TABLE t, own"
    ));
    site.sql("ALTER TABLE own FORCE ROW LEVEL SECURITY");
    let words = ["row security of table public.own"];
    super::must_say(run(&site, &options, &[]), 3, &words);
    // What is left out need not be seen whole, and neither what is not copied.
    run(&site, &options, &["--exclude-tables", "own"]).done();
    assert_eq!(site.tables(), ["t"]);
    site.forget(&[]).done();
    site.edit("DROP TABLE t");
    site.sql("ALTER TABLE own NO FORCE ROW LEVEL SECURITY");
    run(&site, &options, &[]).done();
    assert_eq!(site.rows("SELECT count(*) FROM own"), ["10"]);
}

/// The server publishes the root, and says nothing of what happens in these partitions.
#[test]
fn partitions_that_the_stream_does_not_show_are_named() {
    for version in ALL {
        for (with, whose) in [
            (
                "true",
                ["partition public.fast of", "partition public.far of"],
            ),
            ("false", ["table public.fast", "table public.far"]),
        ] {
            let site = Site::on(version);
            site.sql(&format!(
                "CREATE TABLE p (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
                 CREATE TABLE slow PARTITION OF p FOR VALUES IN ('slow');
                 CREATE UNLOGGED TABLE fast PARTITION OF p FOR VALUES IN ('fast');
                 INSERT INTO p VALUES (1, 'slow'), (2, 'fast');
                 CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER away FOREIGN DATA WRAPPER nowhere;
                 CREATE TABLE q (id int, region text) PARTITION BY LIST (region); ALTER TABLE q REPLICA IDENTITY FULL;
                 CREATE TABLE near PARTITION OF q FOR VALUES IN ('near'); ALTER TABLE near REPLICA IDENTITY FULL;
                 CREATE FOREIGN TABLE far PARTITION OF q FOR VALUES IN ('far') SERVER away;
                 CREATE PUBLICATION theirs FOR TABLE t, p, q WITH (publish_via_partition_root = {with})"
            ));
            let options = ["--publication", "theirs"];
            let listed = site.ask(
                "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables",
            );
            eprintln!("{version:?} {with}: {listed}");
            let mut words: Vec<&str> = Vec::new();
            for (name, whose) in ["fast", "far"].into_iter().zip(whose) {
                if with == "true" || listed.split(' ').any(|it| it == name) {
                    words.push(whose);
                }
            }
            if words.is_empty() {
                site.caught_up(&options);
                continue;
            }
            refused(&site, &options, 3, &words);
            untouched(&site);
            if with == "true" {
                site.sql("DROP FOREIGN TABLE far; ALTER TABLE fast SET LOGGED");
                site.caught_up(&options);
                assert_eq!(site.rows("SELECT count(*) FROM p"), ["2"]);
            } else {
                site.caught_up(&["--publication", "theirs", "--exclude-tables", "fast,far"]);
                assert_eq!(site.tables(), ["near", "slow", "t"]);
            }
        }
    }
}

#[test]
fn names_of_other_things_than_permanent_tables_are_told_with_what_they_are() {
    for version in [Version::V14, Version::V18] {
        let site = Site::on(version);
        site.sql(
            "CREATE UNLOGGED TABLE fast (id int PRIMARY KEY); CREATE VIEW seen AS SELECT * FROM t;
             CREATE MATERIALIZED VIEW kept AS SELECT * FROM t; CREATE SEQUENCE counter;
             CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER away FOREIGN DATA WRAPPER nowhere;
             CREATE FOREIGN TABLE far (id int) SERVER away;
             CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE middle PARTITION OF root FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
             CREATE TABLE leaf PARTITION OF middle FOR VALUES FROM (0) TO (10)",
        );
        let words = [
            "public.fast is unlogged",
            "public.seen is a view",
            "public.kept is a materialized view",
            "public.counter is no table",
            "public.far is foreign",
            "public.leaf is a partition",
            "ALTER TABLE \"public\".\"fast\" SET LOGGED",
            "name public.root in its place",
        ];
        let names = "t,fast,seen,kept,counter,far,leaf";
        let outcome = refused(&site, &["--tables", names], 2, &words);
        assert!(
            !outcome.stderr.contains("public.t is"),
            "{}",
            outcome.stderr
        );
        nothing_is_left(&site);
        // Of a publication that is there too, where partitions may be published by their own names.
        site.sql("CREATE PUBLICATION theirs FOR TABLE t, root");
        let theirs = ["--publication", "theirs", "--tables", "t,leaf"];
        site.caught_up(&theirs);
        let theirs = ["--publication", "theirs", "--tables", "t,fast"];
        let site = Site::on(version);
        site.sql("CREATE UNLOGGED TABLE fast (id int PRIMARY KEY); CREATE PUBLICATION theirs FOR TABLE t");
        refused(&site, &theirs, 2, &["public.fast is unlogged"]);
        untouched(&site);
    }
}
