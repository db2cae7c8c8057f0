//! The slot: what it waits for, whose it is, and whether it agrees with the destination.

use testdata::Client;

use super::source::at;
use super::{Looked, Mended, Site, look, mended};
use crate::faults_common::until;

fn ask(site: &Site) -> Looked {
    let (source, destination) = (site.source(), site.destination());
    look(&[
        "--source",
        &source,
        "--slot",
        &site.slot,
        "--destination",
        &destination,
    ])
}

/// Does what the findings of an id say.
fn mend(site: &Site, looked: &Looked, id: &str) -> Mended {
    let (source, destination) = (site.source(), site.destination());
    let environment = [
        ("REPLICATOR_SOURCE", &*source),
        ("REPLICATOR_DESTINATION", &*destination),
    ];
    mended(
        looked,
        |it| it == id,
        at(&site.server, &site.database),
        |sql| panic!("{sql}"),
        &environment,
    )
}

#[test]
fn what_the_making_of_a_slot_would_wait_for_is_named_and_ended() {
    let site = Site::new();
    let mut client = Client::connect(&site.server, &site.database).unwrap();
    client
        .batch("BEGIN; UPDATE t SET v = v; PREPARE TRANSACTION 'it''s'")
        .unwrap();
    client
        .batch("BEGIN; UPDATE t SET v = v WHERE id < 0; CREATE TABLE made_within (id int)")
        .unwrap();
    let pid = client.process_id().to_string();
    let looked = ask(&site);
    looked.fine();
    // Others of this server may write as well.
    let of = |about: &str| {
        let mut all = looked.findings.iter();
        all.find(|it| it["id"] == "source.transactions" && it["about"] == about)
    };
    let running = of(&pid).unwrap_or_else(|| panic!("{:#?}", looked.findings));
    let said = running["reason"].as_str().unwrap();
    assert!(
        said.contains("xid ") && said.contains("idle in transaction"),
        "{said}"
    );
    assert!(of("'it''s'").is_some(), "{:#?}", looked.findings);
    let ours = Looked {
        findings: vec![running.clone(), of("'it''s'").unwrap().clone()],
        code: 0,
    };
    mend(&site, &ours, "source.transactions");
    let looked = ask(&site);
    for finding in &looked.findings {
        let about = finding["about"].as_str().unwrap_or_default();
        assert!(about != pid && about != "'it''s'", "{finding:#?}");
    }
}

#[test]
fn a_slot_that_is_not_ours_or_is_ahead_of_the_destination_is_refused_as_a_run_does() {
    let site = Site::new();
    let slot = &site.slot;
    // Nobody knows what the destination lacks.
    site.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"
    ));
    let looked = ask(&site);
    looked.says(
        "wrong",
        "source.slot",
        "the destination has no position for it",
    );
    assert_eq!(looked.code, 3);
    mend(&site, &looked, "source.slot");
    ask(&site)
        .fine()
        .says("ok", "source.slot", "a run makes the slot");
    // Of another kind.
    site.sql(&format!(
        "SELECT pg_create_physical_replication_slot('{slot}')"
    ));
    let source = site.source();
    let looked = look(&["--source", &source, "--slot", slot]);
    looked.says("wrong", "source.slot", "not a logical slot of pgoutput");
    let other = mend(&site, &looked, "source.slot").options;
    let other: Vec<&str> = other.iter().map(|it| &**it).collect();
    look(&[&["--source", &source], &*other].concat()).fine();
    site.sql(&format!("SELECT pg_drop_replication_slot('{slot}')"));

    // Followed, at rest and at work.
    site.caught_up(&[]);
    ask(&site)
        .fine()
        .says("ok", "source.position", "agrees")
        .says(
            "ok",
            "options.agree",
            "with which the destination was filled",
        )
        .says("ok", "destination.position", "is followed there");
    let run = site.streaming(&[]);
    ask(&site)
        .fine()
        .says(
            "warning",
            "source.slot_in_use",
            "of the server reads the slot",
        )
        .says(
            "warning",
            "destination.in_use",
            &format!("process {} on ", run.id()),
        );
    run.terminate();
    // Read by somebody else meanwhile.
    site.sql("INSERT INTO t VALUES (77, 'lost')");
    site.sql(&format!(
        "SELECT pg_replication_slot_advance('{slot}', pg_current_wal_flush_lsn())"
    ));
    let looked = ask(&site);
    looked.says("wrong", "source.position", "those between are lost to it");
    assert_eq!(looked.code, 3);
    // A run says so too.
    site.catch_up(&[])
        .failed(3, &["those between are lost to it"]);
    mend(&site, &looked, "source.position");
    site.edit("DROP TABLE t");
    ask(&site).fine();
    site.caught_up(&[]);
    assert_eq!(site.t().len(), 3);
    // Gone.
    until("the slot is free", || {
        site.slot_column("active").as_deref() == Some("false")
    });
    site.sql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    let looked = ask(&site);
    looked.says("wrong", "source.slot", "does not exist any more");
    mend(&site, &looked, "source.slot");
    site.edit("DROP TABLE t");
    ask(&site).fine();
}

#[test]
fn tables_that_went_or_came_since_the_last_start_are_said() {
    let site = Site::new();
    site.sql("CREATE TABLE going (id int PRIMARY KEY)");
    site.caught_up(&[]);
    site.sql(
        "CREATE TABLE coming (id int PRIMARY KEY); ALTER PUBLICATION replicator DROP TABLE going;
         ALTER PUBLICATION replicator ADD TABLE coming",
    );
    let looked = ask(&site);
    looked
        .fine()
        .says(
            "warning",
            "source.table.stopped",
            "not in the publication any more",
        )
        .says("ok", "source.publication_changes", "1 table joined")
        .says("ok", "destination.tables", "to be made: 1");
    assert_eq!(looked.of("source.table.stopped")["about"], "public.going");
    site.caught_up(&[]);
    let looked = ask(&site);
    looked.says(
        "warning",
        "destination.table.stopped",
        "not in the publication any more",
    );
    site.sql("ALTER PUBLICATION replicator ADD TABLE going");
    mend(&site, &looked, "destination.table.stopped");
    site.caught_up(&[]);
    let looked = ask(&site);
    assert!(
        !looked.ids("warning").contains("destination.table.stopped"),
        "{:#?}",
        looked.findings
    );
    // Other options than those that it was filled with.
    let (source, destination) = (site.source(), site.destination());
    let ours = [
        "--source",
        &source,
        "--slot",
        &site.slot,
        "--destination",
        &destination,
    ];
    let looked = look(&[&ours[..], &["--map-table", "t=elsewhere"]].concat());
    looked.says("wrong", "options.agree", "would be");
    assert_eq!(looked.code, 2);
    // Somebody took a table away there.
    site.edit("DROP TABLE coming");
    ask(&site).says("wrong", "destination.table", "is gone");
}
