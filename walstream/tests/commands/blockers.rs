//! What a slot waits for while it is made is named: transactions, prepared ones, and on a standby the primary.

use std::time::Duration;

use testdata::{Client, Server, Version};
use walstream::{Blocker, CreatedSlot, SlotOptions};

use crate::{replication, sql};

/// A server on which only the test has transactions.
fn quiet(version: Version) -> Server {
    Server::builder(version)
        .setting("autovacuum", "off")
        .start()
}

/// Makes a slot; `reported` gets each report, and ends what is in the way when it has seen what it wants.
async fn make(server: &Server, mut reported: impl FnMut(Vec<Blocker>)) -> CreatedSlot {
    let (mut maker, mut observer) = (replication(server).await, sql(server).await);
    let options = SlotOptions::default();
    let report = |blockers: walstream::Result<_>| reported(blockers.unwrap());
    let making = maker.create_slot_reporting("waiting", &options, &mut observer, report);
    let made = tokio::time::timeout(Duration::from_secs(120), making)
        .await
        .unwrap()
        .unwrap();
    // The observer is as good as before.
    assert!(observer.slot("waiting").await.unwrap().is_some());
    maker.drop_slot("waiting", true).await.unwrap();
    made
}

#[tokio::test]
async fn transactions_and_prepared_ones_are_named_on_every_version() {
    for version in Version::ALL {
        let server = quiet(version);
        let mut admin = Client::connect(&server, "postgres").unwrap();
        admin
            .batch("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT generate_series(1, 9)")
            .unwrap();
        admin.batch("CREATE DATABASE elsewhere").unwrap();
        let mut open = Client::connect_with(
            &server,
            "elsewhere",
            "postgres",
            &[("application_name", "long report")],
        )
        .unwrap();
        open.batch("BEGIN; SELECT txid_current()").unwrap();
        admin
            .batch("BEGIN; UPDATE t SET v = 1 WHERE id = 1; PREPARE TRANSACTION 'it''s'")
            .unwrap();
        // Read only: it has no xid, and does not matter.
        let mut reader = Client::connect(&server, "postgres").unwrap();
        reader.batch("BEGIN; SELECT * FROM t").unwrap();

        let pid = open.process_id();
        let (mut open, mut seen) = (Some(open), Vec::new());
        make(&server, |blockers| {
            match &*blockers {
                [
                    Blocker::Transaction {
                        pid: process,
                        user,
                        application_name,
                        state,
                        since,
                    },
                    Blocker::Prepared {
                        gid,
                        owner,
                        database,
                        since: prepared,
                    },
                ] => {
                    assert_eq!(*process, pid);
                    assert_eq!(user.as_deref(), Some("postgres"));
                    assert_eq!(application_name.as_deref(), Some("long report"));
                    assert_eq!(state.as_deref(), Some("idle in transaction"));
                    assert!(since.is_some() && since <= prepared);
                    assert_eq!(
                        (&**gid, &**owner, &**database),
                        ("it's", "postgres", "postgres")
                    );
                    assert!(blockers[0].to_string().contains(&format!("process {pid} ")));
                    // By the remedies.
                    assert!(
                        blockers[0]
                            .remedy()
                            .contains(&format!("SELECT pg_terminate_backend({pid})"))
                    );
                    let remedy = blockers[1].remedy();
                    assert!(
                        remedy.contains("\"postgres\"")
                            && remedy.contains("COMMIT PREPARED 'it''s'")
                    );
                    admin
                        .batch(&format!("SELECT pg_terminate_backend({pid})"))
                        .unwrap();
                    open = None;
                    seen.push("both");
                }
                [Blocker::Prepared { .. }] => {
                    assert!(open.is_none(), "{blockers:?}");
                    admin.batch("COMMIT PREPARED 'it''s'").unwrap();
                    seen.push("prepared");
                }
                // The terminated session may still be on its way out; what was ended is not to be named again.
                other => assert!(open.is_none(), "{version}: {other:?}"),
            }
        })
        .await;
        seen.dedup();
        assert_eq!(seen, ["both", "prepared"], "{version}");
    }
}

/// What begins while a slot is made is only waited for where it began before what was there had ended.
#[tokio::test]
async fn a_later_transaction_is_not_named_until_it_is_waited_for() {
    let server = quiet(Version::NEWEST);
    let mut first = Client::connect(&server, "postgres").unwrap();
    first.batch("BEGIN; SELECT txid_current()").unwrap();
    let mut later = Client::connect(&server, "postgres").unwrap();
    let pids = (first.process_id(), later.process_id());
    let mut named = Vec::new();
    let mut reports = 0;
    make(&server, |blockers| {
        reports += 1;
        let pid = match &*blockers {
            [Blocker::Transaction { pid, .. }] => *pid,
            [] => return,
            other => panic!("{other:?}"),
        };
        if named.last() != Some(&pid) {
            named.push(pid);
        }
        match reports {
            1 => later.batch("BEGIN; SELECT txid_current()").unwrap(),
            // It was there for a whole second, and not named.
            2 => first.batch("COMMIT").unwrap(),
            _ if pid == pids.1 => later.batch("COMMIT").unwrap(),
            _ => {}
        }
    })
    .await;
    assert_eq!(named, [pids.0, pids.1]);
}

#[tokio::test]
async fn a_standby_waits_for_its_primary_to_say_what_runs_from_16_on() {
    for version in [Version::V16, Version::V17, Version::V18] {
        let mut primary = Server::start(version);
        let standby = Server::standby_of(&mut primary);
        // What a primary writes by itself when it starts must not come in between.
        standby.catch_up_with(&primary);
        let mut admin = Client::connect(&primary, "postgres").unwrap();
        let mut seen = 0;
        make(&standby, |blockers| {
            assert_eq!(blockers, [Blocker::Primary], "{version}");
            assert!(
                blockers[0]
                    .to_string()
                    .contains("pg_log_standby_snapshot()")
            );
            seen += 1;
            admin.batch("SELECT pg_log_standby_snapshot()").unwrap();
        })
        .await;
        assert!(seen > 0, "{version}");
    }
}

#[tokio::test]
async fn nothing_is_in_the_way_of_a_quiet_server() {
    let server = quiet(Version::NEWEST);
    make(&server, |blockers| assert_eq!(blockers, [])).await;
    let mut client = sql(&server).await;
    assert_eq!(client.blockers(0).await.unwrap(), []);
}
