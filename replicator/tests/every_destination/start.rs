//! From the intent to the position: the ledger, and tables that are there already.

use replicator::TableState;

use super::*;

pub(crate) async fn a_first_start_leaves_a_position_and_a_ledger_that_a_later_one_finds<
    G: Ground,
>(
    ground: &G,
) {
    let mut destination = ground.open().await;
    assert_eq!(destination.position("s").await.unwrap(), None);
    assert_eq!(destination.tables("s").await.unwrap(), []);

    let row = destination.write_intent(&intent()).await.unwrap();
    assert_eq!(
        row,
        PositionRow {
            epoch: 1,
            ..intent()
        }
    );
    let (keyed, keyless) = (keyed(), keyless());
    for table in [&keyed, &keyless] {
        destination
            .create_table("s", table, Existing::Refuse)
            .await
            .unwrap();
    }
    assert!(
        destination
            .tables("s")
            .await
            .unwrap()
            .iter()
            .all(|row| row.state == TableState::Copying && row.made_by_us)
    );
    let active = destination
        .activate(&PositionRow {
            lsn: Lsn(100),
            ..row.clone()
        })
        .await
        .unwrap();
    assert_eq!(
        active,
        PositionRow {
            state: State::Streaming,
            lsn: Lsn(100),
            ..row
        }
    );
    let copying = destination.tables("s").await.unwrap();
    assert!(copying.iter().all(|row| row.state == TableState::Copying));
    for table in [&keyed, &keyless] {
        destination
            .begin_copy(&active, table, Lsn(100))
            .await
            .unwrap();
    }
    for chunk in [
        chunk(&keyed, 0, 1, &["1\ta", "2\t\\N"]),
        chunk(&keyed, 0, 2, &["3\tc"]),
    ] {
        destination.copy(&active, chunk).await.unwrap();
    }
    for table in [&keyed, &keyless] {
        destination
            .finish_copy(&active, table.oid, Lsn(100))
            .await
            .unwrap();
    }
    destination.close().await.unwrap();

    let mut destination = ground.open().await;
    assert_eq!(
        destination.position("s").await.unwrap(),
        Some(active.clone())
    );
    assert_eq!(destination.position("other").await.unwrap(), None);
    let tables = destination.tables("s").await.unwrap();
    assert_eq!(
        tables.iter().map(|row| &row.table).collect::<Vec<_>>(),
        [&*keyless, &*keyed]
    );
    assert!(
        tables
            .iter()
            .all(|row| row.state == TableState::Streaming && row.sync_position == Some(Lsn(100)))
    );
    let raised = destination.raise_epoch("s", "process 2").await.unwrap();
    assert_eq!(
        raised,
        PositionRow {
            epoch: 2,
            holder: "process 2".to_owned(),
            ..active
        }
    );
    assert_eq!(
        ground.look("SELECT * FROM t ORDER BY id"),
        ["1|a", "2|NULL", "3|c"]
    );
    assert_eq!(
        ground.look("SELECT slot, state, lsn, epoch FROM _replicator_position"),
        ["s|streaming|0/64|2"]
    );
}

pub(crate) async fn a_first_copy_that_starts_over_drops_what_it_made_and_nothing_else<G: Ground>(
    ground: &G,
) {
    ground.meddle("CREATE TABLE mine (a int); INSERT INTO mine VALUES (1)");
    let t = keyed();
    let mut destination = ground.open().await;
    let first = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", &t, Existing::Refuse)
        .await
        .unwrap();
    drop(destination);

    let mut destination = ground.open().await;
    assert_eq!(
        destination.position("s").await.unwrap(),
        Some(first.clone())
    );
    // Another slot may not have our table.
    let error = destination
        .create_table("other", &t, Existing::Accept)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("belongs to slot s"), "{error}");
    assert_eq!(destination.drop_made_tables("s").await.unwrap(), ["t"]);
    let second = destination
        .write_intent(&PositionRow {
            lsn: Lsn(95),
            ..intent()
        })
        .await
        .unwrap();
    assert_eq!(
        second,
        PositionRow {
            lsn: Lsn(95),
            epoch: 2,
            ..first
        }
    );
    destination
        .create_table("s", &t, Existing::Refuse)
        .await
        .unwrap();
    destination.activate(&second).await.unwrap();
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["0"]);
    assert_eq!(ground.look("SELECT * FROM mine"), ["1"]);
}

pub(crate) async fn the_source_of_a_first_copy_can_be_taken_over_too<G: Ground>(ground: &G) {
    let t = keyed();
    let mut destination = ground.open().await;
    let row = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", &t, Existing::Refuse)
        .await
        .unwrap();
    ground.meddle("UPDATE _replicator_position SET epoch = epoch + 1, holder = 'process 9'");
    let activated = destination.activate(&row).await.unwrap_err();
    let begun = destination.begin_copy(&row, &t, Lsn(100)).await;
    let copied = destination.copy(&row, chunk(&t, 0, 1, &["1\ta"])).await;
    let finished = destination.finish_copy(&row, t.oid, Lsn(100)).await;
    let refused = [begun, copied, finished].map(Result::unwrap_err);
    for error in refused.into_iter().chain([activated]) {
        assert!(error.to_string().contains("process 9"), "{error}");
    }
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["0"]);
}

pub(crate) async fn an_intent_is_never_written_over_a_position_nor_a_position_taken_for_an_intent<
    G: Ground,
>(
    ground: &G,
) {
    let (mut destination, row) = streaming(ground, &[]).await;
    assert_eq!(
        destination
            .write_intent(&intent())
            .await
            .unwrap_err()
            .exit_code(),
        3
    );
    assert_eq!(
        destination
            .remove_intent("s")
            .await
            .unwrap_err()
            .exit_code(),
        3
    );
    assert_eq!(destination.position("s").await.unwrap(), Some(row));

    destination.forget("s").await.unwrap();
    destination.write_intent(&intent()).await.unwrap();
    destination.remove_intent("s").await.unwrap();
    destination.remove_intent("s").await.unwrap();
    assert_eq!(destination.position("s").await.unwrap(), None);
}

pub(crate) async fn a_table_that_somebody_else_made_stops_with_the_way_out<G: Ground>(ground: &G) {
    ground.meddle(&format!("CREATE TABLE t ({}, more text)", G::KEYED));
    // A view has to be made alone, and its columns to have names, at some.
    ground.meddle("CREATE VIEW log AS SELECT 1 AS one");
    ground.meddle("INSERT INTO t (id) VALUES (7)");
    let mut destination = ground.open().await;
    destination.write_intent(&intent()).await.unwrap();
    let error = destination
        .create_table("s", &keyed(), Existing::Refuse)
        .await
        .unwrap_err();
    assert!(plain(&error).contains("table t holds rows"), "{error}");
    for way in ["--existing truncate", "--existing keep", "--copy no"] {
        assert!(error.hint().unwrap().contains(way));
    }
    assert_eq!(error.exit_code(), 3);
    for existing in EVERY {
        let error = destination
            .create_table("s", &keyless(), existing)
            .await
            .unwrap_err();
        assert!(plain(&error).contains("view log"), "{error}");
    }

    destination
        .create_table("s", &keyed(), Existing::Accept)
        .await
        .unwrap();
    assert!(!destination.tables("s").await.unwrap()[0].made_by_us);
    assert_eq!(
        destination.drop_made_tables("s").await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["1"]);
    assert_eq!(destination.tables("s").await.unwrap(), []);

    // Without rows nobody's are mixed with ours.
    ground.meddle("DELETE FROM t");
    for existing in EVERY {
        let taken = destination.create_table("s", &keyed(), existing).await;
        taken.unwrap();
        assert!(!destination.tables("s").await.unwrap()[0].made_by_us);
        destination.drop_made_tables("s").await.unwrap();
    }
}

const EVERY: [Existing; 6] = [
    Existing::Refuse,
    Existing::Accept,
    Existing::Expect,
    Existing::Fill,
    Existing::Empty { makes: true },
    Existing::Keep { makes: true },
];

/// A table with a row that somebody else put there, taken over so.
async fn taken<G: Ground>(ground: &G, existing: Existing) -> (G::Destination, PositionRow) {
    ground.meddle(&format!(
        "CREATE TABLE t ({}); INSERT INTO t VALUES (7, 'theirs')",
        G::KEYED
    ));
    let mut destination = ground.open().await;
    let row = destination.write_intent(&intent()).await.unwrap();
    let taken = destination.create_table("s", &keyed(), existing).await;
    taken.unwrap();
    assert_eq!(ground.look("SELECT id FROM t"), ["7"]);
    let lsn = Lsn(100);
    let row = destination.activate(&PositionRow { lsn, ..row }).await;
    (destination, row.unwrap())
}

pub(crate) async fn rows_that_are_to_go_go_when_the_copy_begins<G: Ground>(ground: &G) {
    let t = keyed();
    let (mut destination, row) = taken(ground, Existing::Empty { makes: false }).await;
    // As often as the copy is begun.
    for _ in 0..2 {
        let begun = destination.begin_copy(&row, &t, Lsn(100)).await;
        begun.unwrap();
        assert_eq!(ground.look("SELECT count(*) FROM t"), ["0"]);
        let copied = destination.copy(&row, chunk(&t, 0, 1, &["1\ta"])).await;
        copied.unwrap();
    }
    let finished = destination.finish_copy(&row, t.oid, Lsn(100)).await;
    finished.unwrap();
    assert_eq!(ground.look("SELECT id FROM t"), ["1"]);
    assert!(!destination.tables("s").await.unwrap()[0].made_by_us);
}

pub(crate) async fn rows_that_are_to_stay_stay_and_a_copy_beside_them_is_begun_once<G: Ground>(
    ground: &G,
) {
    let t = keyed();
    let (mut destination, row) = taken(ground, Existing::Keep { makes: false }).await;
    let held = row.clone();
    let begun = destination.begin_copy(&row, &t, Lsn(100)).await;
    begun.unwrap();
    let copied = destination.copy(&row, chunk(&t, 0, 1, &["1\ta"])).await;
    copied.unwrap();
    let ids = || ground.look("SELECT id FROM t ORDER BY id");
    assert_eq!(ids(), ["1", "7"]);
    // A key that is there already.
    let rows = chunk(&t, 0, 2, &["2\tb", "7\tours", "8\tc"]);
    let error = destination.copy(&row, rows).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let said = format!("{error} {:?}", std::error::Error::source(&error));
    assert!(said.contains("table public.t"), "{said}");
    assert!(said.contains('7'), "{said}");
    assert_eq!(ids(), ["1", "7"]);
    drop(destination);

    // Whose rows are these? Whether the copy is broken off or complete.
    let mut destination = ground.open().await;
    let begun = destination.begin_copy(&row, &t, Lsn(200)).await;
    let error = begun.unwrap_err();
    assert!(
        plain(&error).contains("table t had (--existing keep)"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);
    assert!(error.hint().unwrap().contains("nothing was deleted"));
    let finished = destination.finish_copy(&row, t.oid, Lsn(100)).await;
    finished.unwrap();
    let begun = destination.begin_copy(&row, &t, Lsn(200)).await;
    assert_eq!(begun.unwrap_err().exit_code(), 3);
    assert_eq!(ids(), ["1", "7"]);
    let row = &destination.tables("s").await.unwrap()[0];
    assert_eq!(row.state, TableState::Streaming);

    // Nor when the source's table was made again under another number.
    destination.ask_copy("s", t.oid, Oid(9)).await.unwrap();
    let remade = Arc::new(Table {
        oid: Oid(9),
        ..(*t).clone()
    });
    let begun = destination.begin_copy(&held, &remade, Lsn(200)).await;
    assert_eq!(begun.unwrap_err().exit_code(), 3);
    assert_eq!(ids(), ["1", "7"]);

    // Forgotten with the slot: another start decides anew.
    destination.forget("s").await.unwrap();
    assert_eq!(ids(), ["1", "7"]);
    let row = destination.write_intent(&intent()).await.unwrap();
    let taken = destination
        .create_table("s", &t, Existing::Empty { makes: true })
        .await;
    taken.unwrap();
    let row = destination.activate(&row).await.unwrap();
    let begun = destination.begin_copy(&row, &t, Lsn(300)).await;
    begun.unwrap();
    assert_eq!(ids(), [""; 0]);
}

/// Products quote names in their own ways.
fn plain(error: &Error) -> String {
    error.to_string().replace(['"', '`'], "")
}

pub(crate) async fn forgetting_a_slot_keeps_its_tables_and_other_slots<G: Ground>(ground: &G) {
    let t = keyed();
    let (mut destination, row) = streaming(ground, &[&t]).await;
    apply(
        &mut destination,
        &row,
        200,
        vec![insert(&t, &[int(1), text("a")])],
    )
    .await
    .unwrap();
    destination
        .write_intent(&PositionRow {
            slot: "other".to_owned(),
            ..intent()
        })
        .await
        .unwrap();
    destination.forget("s").await.unwrap();
    destination.forget("never seen").await.unwrap();
    assert_eq!(destination.position("s").await.unwrap(), None);
    assert_eq!(destination.tables("s").await.unwrap(), []);
    assert!(destination.position("other").await.unwrap().is_some());
    assert_eq!(ground.look("SELECT * FROM t"), ["1|a"]);
}

pub(crate) async fn a_stopped_table_says_why<G: Ground>(ground: &G) {
    let (mut destination, _) = streaming(ground, &[&keyed()]).await;
    destination
        .stop_table("s", Oid(1), "column x is new")
        .await
        .unwrap();
    let state = &destination.tables("s").await.unwrap()[0].state;
    assert_eq!(*state, TableState::Stopped("column x is new".to_owned()));
}

pub(crate) async fn a_newer_layout_of_our_tables_is_left_alone<G: Ground>(ground: &G) {
    drop(streaming(ground, &[&keyed()]).await);
    ground.meddle("UPDATE _replicator_tables SET version = 4");
    let mut destination = ground.open().await;
    let mut errors = vec![
        destination.position("s").await.unwrap_err(),
        destination.raise_epoch("s", "me").await.unwrap_err(),
        destination.write_intent(&intent()).await.unwrap_err(),
        destination.forget("s").await.unwrap_err(),
    ];
    errors.push(destination.drop_made_tables("s").await.unwrap_err());
    for error in errors {
        assert!(
            error.to_string().contains("newer replicator (layout 4"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 3);
    }
}

pub(crate) async fn half_of_our_tables_is_not_a_new_destination<G: Ground>(ground: &G) {
    for missing in ["_replicator_position", "_replicator_tables"] {
        ground.meddle("DROP TABLE IF EXISTS _replicator_position; DROP TABLE IF EXISTS _replicator_tables; DROP TABLE IF EXISTS t",
        );
        drop(streaming(ground, &[&keyed()]).await);
        ground.meddle(&format!("DROP TABLE {missing}"));
        let mut destination = ground.open().await;
        for error in [
            destination.position("s").await.unwrap_err(),
            destination.write_intent(&intent()).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains("one is missing"), "{error}");
            assert_eq!(error.exit_code(), 3);
        }
    }
}

pub(crate) async fn tables_of_other_tools_with_our_names_are_left_alone<G: Ground>(ground: &G) {
    ground.meddle(
        "CREATE TABLE _replicator_position (a int); CREATE TABLE _replicator_tables (a int)",
    );
    let error = ground
        .open()
        .await
        .write_intent(&intent())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("replicator's own tables"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);
}
