//! Batches: data and position together, one writer, and every row count checked.

use super::*;

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
async fn a_database_that_another_program_keeps_locked_is_worth_another_try() {
    let folder = folder();
    let path = file(&folder);
    let options = options(&path).wait(Duration::from_millis(200));
    let destination = SqliteDestination::open(options).await.unwrap();
    let (mut destination, row) = started(destination, &[]).await;
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

#[tokio::test]
async fn a_name_that_is_no_column_does_not_become_a_text() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    meddle(&path, "ALTER TABLE t RENAME COLUMN name TO other");
    let error = apply(
        &mut destination,
        &row,
        200,
        vec![update(&t, &[], &[int(1)])],
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("conflict"), "{error}");
    let wrong = named(1, "t", &[("name", TEXT)], &[0]);
    let error = apply(
        &mut destination,
        &row,
        200,
        vec![delete(&wrong, &[text("name")])],
    )
    .await
    .unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no such column"), "{cause}");
}
