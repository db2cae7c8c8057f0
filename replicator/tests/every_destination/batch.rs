//! Batches: data and position together, one writer, and every row count checked.

use super::*;

pub(crate) async fn data_and_position_come_together_or_not_at_all<G: Ground>(ground: &G) {
    let t = keyed();
    let (mut destination, row) = streaming(ground, &[&t]).await;

    let row = apply(
        &mut destination,
        &row,
        0x110,
        vec![
            insert(&t, &[int(1), text("a")]),
            insert(&t, &[int(2), text("b")]),
            update(&t, &[(1, text("c"))], &[int(1)]),
            update(&t, &[(0, int(3)), (1, text("d"))], &[int(2)]),
            update(&t, &[], &[int(3)]),
        ],
    )
    .await
    .unwrap();
    assert_eq!(row.lsn, Lsn(0x110));
    assert_eq!(state(ground), ["0/110", "1|c", "3|d"]);

    destination
        .begin(&row, &row.advanced(Lsn(0x120)))
        .await
        .unwrap();
    destination
        .execute(vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    assert_eq!(
        state(ground),
        ["0/110", "1|c", "3|d"],
        "others see whole batches only"
    );
    destination.rollback().await.unwrap();
    assert_eq!(state(ground), ["0/110", "1|c", "3|d"]);

    destination
        .begin(&row, &row.advanced(Lsn(0x120)))
        .await
        .unwrap();
    destination
        .execute(vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    drop(destination);
    assert_eq!(state(ground), ["0/110", "1|c", "3|d"]);

    let mut destination = ground.open().await;
    let row = apply(&mut destination, &row, 0x130, vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    assert_eq!(state(ground), ["0/130", "3|d"]);
    apply(
        &mut destination,
        &row,
        0x140,
        vec![operation(&t, Action::Truncate)],
    )
    .await
    .unwrap();
    assert_eq!(state(ground), ["0/140"]);
}

/// The position, and the rows of `t`.
fn state(ground: &impl Ground) -> Vec<String> {
    let mut all = ground.look("SELECT lsn FROM _replicator_position");
    all.extend(ground.look("SELECT * FROM t ORDER BY id"));
    all
}

pub(crate) async fn an_idle_batch_writes_the_position_and_never_a_lower_one<G: Ground>(ground: &G) {
    let (mut destination, row) = streaming(ground, &[]).await;
    let row = apply(&mut destination, &row, 200, vec![]).await.unwrap();
    let same = apply(&mut destination, &row, 200, vec![]).await.unwrap();
    assert_eq!(same, row);
    let lower = PositionRow {
        lsn: Lsn(150),
        timeline: 2,
        fingerprint: "g".to_owned(),
        ..row.clone()
    };
    destination.begin(&row, &lower).await.unwrap();
    let Outcome::Committed(now) = destination.commit().await.unwrap() else {
        panic!("not committed")
    };
    assert_eq!(
        now,
        PositionRow {
            lsn: Lsn(200),
            ..lower
        }
    );
    assert_eq!(destination.position("s").await.unwrap(), Some(now));
}

pub(crate) async fn a_position_that_somebody_moved_needs_a_person<G: Ground>(ground: &G) {
    let (mut destination, row) = streaming(ground, &[]).await;
    ground.meddle("UPDATE _replicator_position SET lsn = '0/65'");
    let error = apply(&mut destination, &row, 200, vec![])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("was at 0/64 and is at 0/65"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);

    ground.meddle("DELETE FROM _replicator_position");
    let error = apply(&mut destination, &row, 200, vec![])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is gone"), "{error}");
    assert_eq!(error.exit_code(), 3);
    assert_eq!(
        destination
            .raise_epoch("s", "me")
            .await
            .unwrap_err()
            .exit_code(),
        3
    );
}

pub(crate) async fn divergence_stops_with_table_key_and_position_and_undoes_the_batch<G: Ground>(
    ground: &G,
) {
    let t = keyed();
    let (mut destination, row) = streaming(ground, &[&t]).await;
    let rows = vec![
        insert(&t, &[int(1), text("a")]),
        insert(&t, &[int(2), text("b")]),
    ];
    let row = apply(&mut destination, &row, 0x110, rows).await.unwrap();
    for (conflicting, says) in [
        (
            insert(&t, &[int(1), text("x")]),
            "insert at 1/2: conflict: a row with id = 1 is there already",
        ),
        (
            update(&t, &[(1, text("x"))], &[int(7)]),
            "update at 1/2: conflict: there is no row with id = 7",
        ),
        (
            update(&t, &[], &[int(7)]),
            "update at 1/2: conflict: there is no row with id = 7",
        ),
        (
            update(&t, &[(0, int(1))], &[int(2)]),
            "collide with another row than the one with id = 2",
        ),
        (
            delete(&t, &[int(7)]),
            "delete at 1/2: conflict: there is no row with id = 7",
        ),
    ] {
        let batch = vec![insert(&t, &[int(3), text("c")]), conflicting];
        let error = apply(&mut destination, &row, 0x120, batch)
            .await
            .unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("table public.t, ") && message.contains(says),
            "{message}"
        );
        assert_eq!(error.exit_code(), 3);
        assert!(error.hint().is_some());
        // Nothing more can come of that batch.
        assert!(destination.execute(vec![]).await.is_err());
        assert!(destination.commit().await.is_err());
        assert_eq!(ground.look("SELECT * FROM t ORDER BY id"), ["1|a", "2|b"]);
        assert_eq!(
            ground.look("SELECT lsn FROM _replicator_position"),
            ["0/110"]
        );
    }
    apply(
        &mut destination,
        &row,
        0x120,
        vec![insert(&t, &[int(3), text("c")])],
    )
    .await
    .unwrap();
}

pub(crate) async fn two_rows_under_one_key_in_a_table_that_we_took_over_are_a_conflict<
    G: Ground,
>(
    ground: &G,
) {
    ground.meddle(&format!(
        "CREATE TABLE t ({}); INSERT INTO t VALUES (1, 'a'), (1, 'b')",
        G::KEYLESS
    ));
    let t = keyed();
    let mut destination = ground.open().await;
    let row = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", &t, Existing::Accept)
        .await
        .unwrap();
    let row = destination.activate(&row).await.unwrap();
    let error = apply(&mut destination, &row, 200, vec![delete(&t, &[int(1)])])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("2 rows were touched"), "{error}");
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["2"]);
}

pub(crate) async fn of_equal_rows_exactly_one_is_touched<G: Ground>(ground: &G) {
    let log = keyless();
    let (mut destination, row) = streaming(ground, &[&log]).await;
    let same = [int(1), Value::Null];
    let rows = vec![
        insert(&log, &same),
        insert(&log, &same),
        insert(&log, &same),
        insert(&log, &[int(1), text("")]),
    ];
    let row = apply(&mut destination, &row, 0x110, rows).await.unwrap();
    let changes = vec![
        update(&log, &[(0, int(1)), (1, text("x"))], &same),
        delete(&log, &same),
    ];
    let row = apply(&mut destination, &row, 0x120, changes).await.unwrap();
    let mut held = ground.look("SELECT * FROM log");
    held.sort();
    assert_eq!(held, ["1|", "1|NULL", "1|x"]);
    let row = apply(&mut destination, &row, 0x130, vec![delete(&log, &same)])
        .await
        .unwrap();
    let error = apply(&mut destination, &row, 0x140, vec![delete(&log, &same)])
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no row with at = 1, what = NULL"),
        "{error}"
    );
}

pub(crate) async fn more_shapes_than_are_kept_ready_do_no_harm<G: Ground>(ground: &G) {
    let names: Vec<String> = (0..10).map(|at| format!("c{at}")).collect();
    let columns: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), INT)).collect();
    let t = named(1, "t", &columns, &[0]);
    let (mut destination, row) = streaming(ground, &[&t]).await;
    let mut batch = vec![insert(&t, &vec![int(0); 10])];
    let mut expected = vec![int(0); 10];
    for shape in 0..1 << 9 {
        let set: Vec<_> = (1..10)
            .filter(|at| shape >> (at - 1) & 1 == 1)
            .map(|at| (at, int(shape + at as i64)))
            .collect();
        for (at, value) in &set {
            expected[*at] = value.clone();
        }
        batch.push(update(&t, &set, &[int(0)]));
    }
    apply(&mut destination, &row, 200, batch).await.unwrap();
    assert_eq!(everything(&mut destination, &t).await, [expected]);
}

/// Whatever order a batch comes in, and however it is gathered into statements.
pub(crate) async fn changes_of_several_tables_among_each_other_end_as_they_would_one_by_one<
    G: Ground,
>(
    ground: &G,
) {
    let (t, u) = (
        keyed(),
        named(3, "u", &[("id", INT), ("name", TEXT), ("n", INT)], &[0]),
    );
    let (mut destination, row) = streaming(ground, &[&t, &u]).await;
    let batch = vec![
        insert(&t, &[int(1), text("a")]),
        insert(&u, &[int(1), text("a"), int(0)]),
        insert(&t, &[int(2), text("b")]),
        update(&u, &[(2, int(1))], &[int(1)]),
        delete(&t, &[int(1)]),
        insert(&u, &[int(2), text("b"), int(0)]),
        insert(&t, &[int(1), text("again")]),
        update(&u, &[(2, int(5))], &[int(2)]),
        update(&u, &[(1, text("z"))], &[int(1)]),
        update(&t, &[(0, int(3))], &[int(1)]),
        insert(&t, &[int(1), text("third")]),
        update(&u, &[(2, int(2))], &[int(1)]),
        operation(&t, Action::Truncate),
        insert(&t, &[int(1), text("last")]),
    ];
    apply(&mut destination, &row, 200, batch).await.unwrap();
    assert_eq!(ground.look("SELECT * FROM t"), ["1|last"]);
    assert_eq!(
        ground.look("SELECT * FROM u ORDER BY id"),
        ["1|z|2", "2|b|5"]
    );
}

pub(crate) async fn the_one_change_of_many_that_does_not_fit_is_named<G: Ground>(ground: &G) {
    let t = keyed();
    let (mut destination, row) = streaming(ground, &[&t]).await;
    let rows = (1..=500)
        .map(|id| insert(&t, &[int(id), text("a")]))
        .collect();
    let row = apply(&mut destination, &row, 0x110, rows).await.unwrap();
    for (odd, says) in [
        (
            insert(&t, &[int(250), text("x")]),
            "id = 250 is there already",
        ),
        (
            update(&t, &[(1, text("x"))], &[int(9777)]),
            "no row with id = 9777",
        ),
        (delete(&t, &[int(9778)]), "no row with id = 9778"),
    ] {
        let shape = replicator::Shape::of(&odd);
        let mut batch: Vec<Operation> = (501..=900)
            .map(|id| insert(&t, &[int(id), text("b")]))
            .chain((1..=400).map(|id| update(&t, &[(1, text("b"))], &[int(id)])))
            .chain((401..=450).map(|id| delete(&t, &[int(id)])))
            .collect();
        let at = batch.iter().position(|one| shape.fits(one)).unwrap() + 7;
        batch.insert(at, odd);
        let error = apply(&mut destination, &row, 0x120, batch)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.exit_code(), 3);
        assert_eq!(
            ground.look("SELECT count(*), min(name), max(name) FROM t"),
            ["500|a|a"]
        );
    }
}

pub(crate) async fn conflicts_are_resolved_in_the_sources_favour_where_that_is_asked_for<
    G: Ground,
>(
    ground: &G,
) {
    let t = keyed();
    let (destination, row) = streaming(ground, &[&t]).await;
    destination.close().await.unwrap();
    let mut destination = ground.open_applying().await;
    ground.meddle("INSERT INTO t VALUES (1, 'theirs')");
    let batch = vec![
        insert(&t, &[int(1), text("ours")]),
        insert(&t, &[int(2), text("b")]),
        update(&t, &[(1, text("c"))], &[int(3)]),
        delete(&t, &[int(4)]),
        delete(&t, &[int(2)]),
    ];
    apply(&mut destination, &row, 200, batch).await.unwrap();
    assert_eq!(
        ground.look("SELECT * FROM t ORDER BY id"),
        ["1|ours", "3|c"]
    );
}

pub(crate) async fn a_zombie_changes_nothing_after_a_newcomer_took_over<G: Ground>(ground: &G) {
    let t = keyed();
    let (mut zombie, old) = streaming(ground, &[&t]).await;
    ground.unlock();
    let mut newcomer = ground.open().await;
    let row = newcomer
        .raise_epoch("s", "process 4711 on host b")
        .await
        .unwrap();
    let batch = vec![insert(&t, &[int(1), text("new")])];
    let row = apply(&mut newcomer, &row, 0x110, batch).await.unwrap();

    let moved = PositionRow {
        lsn: Lsn(0x110),
        ..old.clone()
    };
    let mut errors = Vec::new();
    for expected in [&old, &moved, &moved] {
        let batch = vec![insert(&t, &[int(2), text("old")])];
        let done = apply(&mut zombie, expected, 0x120, batch).await;
        errors.push(done.unwrap_err());
    }
    // Its session was ended too, which it may notice before it reads who took over.
    let last = errors.last().unwrap().to_string();
    assert!(
        last.contains("took over") && last.contains("process 4711 on host b"),
        "{last}"
    );
    assert!(errors.iter().all(|error| error.exit_code() == 1));
    assert_eq!(ground.look("SELECT * FROM t"), ["1|new"]);
    let batch = vec![insert(&t, &[int(2), text("new")])];
    apply(&mut newcomer, &row, 0x120, batch).await.unwrap();
}
