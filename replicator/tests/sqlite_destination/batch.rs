//! Batches: data and position together, one writer, and every row count checked.

use super::*;

#[tokio::test]
async fn data_and_position_come_together_or_not_at_all() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    let state =
        "SELECT (SELECT lsn FROM _replicator_position), (SELECT group_concat(id || name) FROM t)";

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
    assert_eq!(look(&path, state), ["0/110|1c,3d"]);

    destination
        .begin(&row, &row.advanced(Lsn(0x120)))
        .await
        .unwrap();
    destination
        .execute(vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    assert_eq!(
        look(&path, state),
        ["0/110|1c,3d"],
        "others see whole batches only"
    );
    destination.rollback().await.unwrap();
    assert_eq!(look(&path, state), ["0/110|1c,3d"]);

    destination
        .begin(&row, &row.advanced(Lsn(0x120)))
        .await
        .unwrap();
    destination
        .execute(vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    drop(destination);
    assert_eq!(look(&path, state), ["0/110|1c,3d"]);

    let mut destination = open(&path).await;
    let row = apply(&mut destination, &row, 0x130, vec![delete(&t, &[int(1)])])
        .await
        .unwrap();
    assert_eq!(look(&path, state), ["0/130|3d"]);
    apply(
        &mut destination,
        &row,
        0x140,
        vec![operation(&t, Action::Truncate)],
    )
    .await
    .unwrap();
    assert_eq!(look(&path, state), ["0/140|NULL"]);
}

#[tokio::test]
async fn an_idle_batch_writes_the_position_and_never_a_lower_one() {
    let folder = folder();
    let (mut destination, row) = streaming(&file(&folder), &[]).await;
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

#[tokio::test]
async fn a_zombie_changes_nothing_after_a_newcomer_took_over() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut zombie, old) = streaming(&path, &[&t]).await;
    // Somebody removed the lock file under it, so both have the file open.
    std::fs::remove_file(folder.path().join("d.db-replicator.lock")).unwrap();
    let mut newcomer = open(&path).await;
    let row = newcomer
        .raise_epoch("s", "process 4711 on host b")
        .await
        .unwrap();
    let row = apply(
        &mut newcomer,
        &row,
        0x110,
        vec![insert(&t, &[int(1), text("new")])],
    )
    .await
    .unwrap();

    for expected in [
        &old,
        &PositionRow {
            lsn: Lsn(0x110),
            ..old.clone()
        },
    ] {
        let error = apply(
            &mut zombie,
            expected,
            0x120,
            vec![insert(&t, &[int(2), text("old")])],
        )
        .await
        .unwrap_err();
        assert!(
            error.to_string().contains("took over")
                && error.to_string().contains("process 4711 on host b"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 1);
    }
    assert_eq!(look(&path, "SELECT * FROM t"), ["1|new"]);
    apply(
        &mut newcomer,
        &row,
        0x120,
        vec![insert(&t, &[int(2), text("new")])],
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_position_that_somebody_moved_needs_a_person() {
    let folder = folder();
    let path = file(&folder);
    let (mut destination, row) = streaming(&path, &[]).await;
    meddle(&path, "UPDATE _replicator_position SET lsn = '0/65'");
    let error = apply(&mut destination, &row, 200, vec![])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("was at 0/64 and is at 0/65"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);

    meddle(&path, "DELETE FROM _replicator_position");
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

#[tokio::test]
async fn divergence_stops_with_table_key_and_position_and_undoes_the_batch() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
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
        assert_eq!(look(&path, "SELECT * FROM t"), ["1|a", "2|b"]);
        assert_eq!(
            look(&path, "SELECT lsn FROM _replicator_position"),
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

#[tokio::test]
async fn two_rows_under_one_key_in_a_table_that_we_took_over_are_a_conflict() {
    let folder = folder();
    let path = file(&folder);
    meddle(
        &path,
        "CREATE TABLE t (id INTEGER, name TEXT); INSERT INTO t VALUES (1, 'a'), (1, 'b')",
    );
    let t = keyed();
    let mut destination = open(&path).await;
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
    assert_eq!(look(&path, "SELECT count(*) FROM t"), ["2"]);
}

#[tokio::test]
async fn of_equal_rows_exactly_one_is_touched() {
    let folder = folder();
    let path = file(&folder);
    let log = keyless();
    let (mut destination, row) = streaming(&path, &[&log]).await;
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
    assert_eq!(
        look(&path, "SELECT * FROM log ORDER BY what"),
        ["1|NULL", "1|", "1|x"]
    );
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

#[tokio::test]
async fn the_row_number_hides_behind_no_column() {
    let folder = folder();
    let path = file(&folder);
    let t = named(1, "t", &[("rowid", INT), ("_rowid_", INT)], &[]);
    let (mut destination, row) = streaming(&path, &[&t]).await;
    let same = [int(5), int(5)];
    let batch = vec![insert(&t, &same), insert(&t, &same), delete(&t, &same)];
    apply(&mut destination, &row, 0x110, batch).await.unwrap();
    assert_eq!(look(&path, "SELECT \"rowid\", \"_rowid_\" FROM t"), ["5|5"]);
}

#[tokio::test]
async fn more_shapes_than_are_kept_ready_do_no_harm() {
    let folder = folder();
    let path = file(&folder);
    let names: Vec<String> = (0..12).map(|at| format!("c{at}")).collect();
    let columns: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), INT)).collect();
    let t = named(1, "t", &columns, &[0]);
    let (mut destination, row) = streaming(&path, &[&t]).await;
    let mut batch = vec![insert(&t, &vec![int(0); 12])];
    let mut expected = vec![int(0); 12];
    for shape in 0..1 << 11 {
        let set: Vec<_> = (1..12)
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

#[tokio::test]
async fn a_database_that_another_program_keeps_locked_is_worth_another_try() {
    let folder = folder();
    let path = file(&folder);
    let (mut destination, row) = streaming(&path, &[]).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = apply(&mut destination, &row, 200, vec![])
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("another program keeps the database locked"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 1);
    other.execute_batch("ROLLBACK").unwrap();
    apply(&mut destination, &row, 200, vec![]).await.unwrap();
}

/// Where a crash in a batch leaves the file: whole batches, each with its position.
#[cfg(feature = "failpoints")]
#[test]
fn a_crash_anywhere_in_a_batch_leaves_data_and_position_in_agreement() {
    use std::os::unix::process::ExitStatusExt;

    let batches = |path: PathBuf| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let t = keyed();
            let (mut destination, mut row) = streaming(&path, &[&t]).await;
            for batch in 1..=3 {
                let rows = (0..10)
                    .map(|at| insert(&t, &[int(batch * 10 + at), text("x")]))
                    .collect();
                row = apply(
                    &mut destination,
                    &row,
                    0x100 * u64::try_from(batch).unwrap(),
                    rows,
                )
                .await
                .unwrap();
            }
        });
    };
    let test = "batch::a_crash_anywhere_in_a_batch_leaves_data_and_position_in_agreement";
    for (place, state) in [
        ("batch-begun:2", "0/100|10"),
        ("batch-middle:15", "0/100|10"),
        ("batch-before-commit:2", "0/100|10"),
        ("batch-after-commit:2", "0/200|20"),
    ] {
        let folder = folder();
        let (path, log) = (file(&folder), folder.path().join("log"));
        let output = in_another_process(test, |command| {
            command.env("CRASH_FILE", &path);
            command
                .env("REPLICATOR_FAILPOINT", place)
                .env("REPLICATOR_FAILPOINT_LOG", &log);
        });
        let Some(output) = output else {
            return batches(PathBuf::from(std::env::var_os("CRASH_FILE").unwrap()));
        };
        const SIGABRT: i32 = 6;
        assert_eq!(
            output.status.signal(),
            Some(SIGABRT),
            "{place} was not reached: {output:?}"
        );
        let (name, _) = place.split_once(':').unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("{name}\n"));
        let sql = "SELECT (SELECT lsn FROM _replicator_position), (SELECT count(*) FROM t)";
        assert_eq!(look(&path, sql), [state], "{place}");
        // The lock is free, and what follows goes on from there.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let row =
            runtime.block_on(async { open(&path).await.raise_epoch("s", "next").await.unwrap() });
        assert_eq!(row.epoch, 2);
    }
}
