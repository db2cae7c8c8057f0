//! Copies of tables: begun, chunk by chunk, finished, under whoever holds the position.

use replicator::{ErrorKind, TableState};

use super::*;

/// A destination that streams from 100, where the copy of these tables has begun.
async fn copying<G: Ground>(ground: &G, tables: &[&Arc<Table>]) -> (G::Destination, PositionRow) {
    let (mut destination, row) = streaming(ground, tables).await;
    for table in tables {
        destination.begin_copy(&row, table, Lsn(100)).await.unwrap();
    }
    (destination, row)
}

async fn state(destination: &mut impl Destination, table: &Arc<Table>) -> TableState {
    let rows = destination.tables("s").await.unwrap();
    let row = rows.into_iter().find(|row| row.table.oid == table.oid);
    row.unwrap().state
}

const CHUNKS: &str = "SELECT slot, oid, part, number FROM _replicator_chunks ORDER BY 1, 2, 3";

pub(crate) async fn a_chunk_is_in_once_however_often_it_is_handed_in<G: Ground>(ground: &G) {
    let log = keyless();
    let (mut destination, row) = copying(ground, &[&log]).await;
    for (part, number) in [(0, 1), (0, 1), (3, 1), (0, 2), (0, 2), (0, 1), (3, 1)] {
        let line = format!("{part}\t{number}");
        let chunk = chunk(&log, part, number, &[&line, &line]);
        destination.copy(&row, chunk).await.unwrap();
    }
    let rows = ground.look("SELECT * FROM log ORDER BY at, what");
    assert_eq!(rows, ["0|1", "0|1", "0|2", "0|2", "3|1", "3|1"]);
    assert_eq!(ground.look(CHUNKS), ["s|2|0|2", "s|2|3|1"]);
}

pub(crate) async fn a_chunk_before_its_turn_is_refused<G: Ground>(ground: &G) {
    let log = keyless();
    let (mut destination, row) = copying(ground, &[&log]).await;
    let first = chunk(&log, 0, 1, &["1\ta"]);
    destination.copy(&row, first.clone()).await.unwrap();
    for (part, number, last) in [(0, 3, 1), (1, 2, 0)] {
        let early = chunk(&log, part, number, &["9\tearly"]);
        let error = destination.copy(&row, early).await.unwrap_err();
        let says = format!("public.log, copy: chunk {number} of part {part} came after {last}");
        assert!(error.to_string().contains(&says), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
    // Nothing of that is open still.
    let second = chunk(&log, 0, 2, &["2\tb"]);
    destination.copy(&row, second).await.unwrap();
    let rows = ground.look("SELECT * FROM log ORDER BY at");
    assert_eq!(rows, ["1|a", "2|b"]);
}

pub(crate) async fn what_one_row_of_a_chunk_meets_keeps_all_of_it_out<G: Ground>(ground: &G) {
    let t = keyed();
    let (mut destination, row) = copying(ground, &[&t]).await;
    destination
        .copy(&row, chunk(&t, 0, 1, &["1\ta"]))
        .await
        .unwrap();
    for lines in [&["2\tb", "1\ttwice"][..], &["2\tb", "three\tc"], &["2"]] {
        let error = destination
            .copy(&row, chunk(&t, 0, 2, lines))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("public.t"), "{error}");
        assert_eq!(error.exit_code(), 3, "{error}");
    }
    assert_eq!(ground.look("SELECT * FROM t"), ["1|a"]);
    assert_eq!(ground.look(CHUNKS), ["s|1|0|1"]);
    destination
        .copy(&row, chunk(&t, 0, 2, &["2\tb"]))
        .await
        .unwrap();
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["2"]);
}

pub(crate) async fn a_copy_that_begins_anew_starts_with_nothing<G: Ground>(ground: &G) {
    let (t, log) = (keyed(), keyless());
    let (mut destination, row) = copying(ground, &[&t, &log]).await;
    // Another slot, with a table of its own, of the same number.
    let other = destination
        .write_intent(&PositionRow {
            slot: "other".to_owned(),
            ..intent()
        })
        .await
        .unwrap();
    let theirs = named(1, "theirs", &[("id", INT)], &[0]);
    destination
        .create_table("other", &theirs, Existing::Refuse)
        .await
        .unwrap();
    let other = destination.activate(&other).await.unwrap();
    destination
        .begin_copy(&other, &theirs, Lsn(100))
        .await
        .unwrap();
    for (held, chunk) in [
        (&row, chunk(&t, 0, 1, &["1\ta"])),
        (&row, chunk(&t, 1, 1, &["2\tb"])),
        (&row, chunk(&log, 0, 1, &["1\tkept"])),
        (&other, chunk(&theirs, 0, 1, &["7"])),
    ] {
        destination.copy(held, chunk).await.unwrap();
    }

    destination.begin_copy(&row, &t, Lsn(150)).await.unwrap();
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["0"]);
    assert_eq!(ground.look("SELECT * FROM log"), ["1|kept"]);
    assert_eq!(ground.look("SELECT * FROM theirs"), ["7"]);
    assert_eq!(ground.look(CHUNKS), ["other|1|0|1", "s|2|0|1"]);
    let rows = destination.tables("s").await.unwrap();
    let syncs: Vec<_> = rows.iter().map(|row| row.sync_position).collect();
    assert_eq!(syncs, [Some(Lsn(100)), Some(Lsn(150))]);

    // Its chunks are counted from the beginning, and the others' go on.
    let next = [
        (&row, chunk(&t, 0, 1, &["1\tagain"])),
        (&row, chunk(&log, 0, 2, &["2\tmore"])),
        (&other, chunk(&theirs, 0, 2, &["8"])),
    ];
    for (held, chunk) in next {
        destination.copy(held, chunk).await.unwrap();
    }
    assert_eq!(ground.look("SELECT * FROM t"), ["1|again"]);
    assert_eq!(ground.look("SELECT count(*) FROM log"), ["2"]);
    assert_eq!(ground.look("SELECT count(*) FROM theirs"), ["2"]);
}

pub(crate) async fn a_table_of_ours_is_made_again_for_other_columns_or_another_key<G: Ground>(
    ground: &G,
) {
    let t = keyed();
    let (mut destination, row) = copying(ground, &[&t]).await;
    destination
        .copy(&row, chunk(&t, 0, 1, &["1\ta"]))
        .await
        .unwrap();
    let columns = [("id", INT), ("name", TEXT), ("more", TEXT)];
    let wider = named(1, "t", &columns, &[0]);
    destination
        .begin_copy(&row, &wider, Lsn(150))
        .await
        .unwrap();
    destination
        .copy(&row, chunk(&wider, 0, 1, &["1\ta\tb"]))
        .await
        .unwrap();
    assert_eq!(ground.look("SELECT * FROM t"), ["1|a|b"]);

    // Two rows of one `id`, which the key was before.
    let keyless = named(1, "t", &columns, &[]);
    destination
        .begin_copy(&row, &keyless, Lsn(160))
        .await
        .unwrap();
    destination
        .copy(&row, chunk(&keyless, 0, 1, &["1\ta\tb", "1\ta\tb"]))
        .await
        .unwrap();
    assert_eq!(ground.look("SELECT * FROM t"), ["1|a|b", "1|a|b"]);
    let rows = destination.tables("s").await.unwrap();
    assert_eq!(rows[0].table, *keyless);
    assert!(rows[0].made_by_us);

    // One that somebody dropped is made as well.
    ground.meddle("DROP TABLE t");
    destination
        .begin_copy(&row, &keyless, Lsn(170))
        .await
        .unwrap();
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["0"]);
}

pub(crate) async fn a_table_of_somebody_elses_stays_as_it_is_and_must_be_wide_enough<G: Ground>(
    ground: &G,
) {
    ground.meddle(&format!("CREATE TABLE t ({})", G::KEYED));
    let t = keyed();
    let mut destination = ground.open().await;
    let row = destination.write_intent(&intent()).await.unwrap();
    destination
        .create_table("s", &t, Existing::Fill)
        .await
        .unwrap();
    let row = destination.activate(&row).await.unwrap();
    destination.begin_copy(&row, &t, Lsn(100)).await.unwrap();
    destination
        .copy(&row, chunk(&t, 0, 1, &["1\ta"]))
        .await
        .unwrap();

    for (changed, says) in [
        (named(1, "t", &[("id", TEXT), ("name", TEXT)], &[0]), "id"),
        (
            named(1, "t", &[("id", INT), ("name", TEXT), ("more", TEXT)], &[0]),
            "more",
        ),
    ] {
        let error = destination
            .begin_copy(&row, &changed, Lsn(150))
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("column") && text.contains(says), "{error}");
        assert_eq!(error.exit_code(), 3);
        // It is as it was, and so is its copy.
        assert_eq!(ground.look("SELECT * FROM t"), ["1|a"]);
        assert_eq!(ground.look(CHUNKS), ["s|1|0|1"]);
    }
    destination
        .copy(&row, chunk(&t, 0, 2, &["2\tb"]))
        .await
        .unwrap();

    destination.begin_copy(&row, &t, Lsn(150)).await.unwrap();
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["0"]);
    assert!(!destination.tables("s").await.unwrap()[0].made_by_us);
    ground.meddle("DROP TABLE t");
    let error = destination
        .begin_copy(&row, &t, Lsn(160))
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
}

pub(crate) async fn rows_without_a_copy_that_has_begun_are_refused<G: Ground>(ground: &G) {
    let t = keyed();
    let (mut destination, row) = copying(ground, &[&t]).await;
    let wider = named(1, "t", &[("id", INT), ("name", TEXT), ("x", TEXT)], &[0]);
    let other_type = named(1, "t", &[("id", 20), ("name", TEXT)], &[0]);
    let unknown = named(9, "t", &[("id", INT), ("name", TEXT)], &[0]);
    for (table, line) in [
        (&wider, "1\ta\tb"),
        (&other_type, "1\ta"),
        (&unknown, "1\ta"),
    ] {
        let error = destination
            .copy(&row, chunk(table, 0, 1, &[line]))
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
    }
    destination
        .copy(&row, chunk(&t, 0, 1, &["1\ta"]))
        .await
        .unwrap();
    destination
        .finish_copy(&row, t.oid, Lsn(100))
        .await
        .unwrap();
    let late = [chunk(&t, 0, 1, &["1\ta"]), chunk(&t, 0, 2, &["2\tb"])];
    for chunk in late {
        let error = destination.copy(&row, chunk).await.unwrap_err();
        let says = "public.t is not being copied (it is streaming)";
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(ground.look("SELECT * FROM t"), ["1|a"]);
}

pub(crate) async fn a_copy_that_is_finished_streams_and_has_no_chunks<G: Ground>(ground: &G) {
    let (t, log) = (keyed(), keyless());
    let (mut destination, row) = copying(ground, &[&t, &log]).await;
    for table in [&t, &log] {
        destination
            .copy(&row, chunk(table, 0, 1, &["1\ta"]))
            .await
            .unwrap();
    }
    // Only slot, epoch and position of it matter.
    let there = PositionRow {
        lsn: Lsn(130),
        ..row.clone()
    };
    destination
        .finish_copy(&there, t.oid, Lsn(130))
        .await
        .unwrap();
    assert_eq!(state(&mut destination, &t).await, TableState::Streaming);
    assert_eq!(state(&mut destination, &log).await, TableState::Copying);
    assert_eq!(ground.look(CHUNKS), ["s|2|0|1"]);
    let rows = destination.tables("s").await.unwrap();
    let syncs: Vec<_> = rows.iter().map(|row| row.sync_position).collect();
    assert_eq!(syncs, [Some(Lsn(100)), Some(Lsn(130))]);

    let unknown = destination.finish_copy(&row, Oid(9), Lsn(130)).await;
    assert_eq!(unknown.unwrap_err().exit_code(), 3);
    // The stream goes on from there.
    let batch = vec![insert(&t, &[int(2), text("b")])];
    apply(&mut destination, &row, 200, batch).await.unwrap();
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["2"]);
}

pub(crate) async fn who_was_taken_over_copies_nothing_more<G: Ground>(ground: &G) {
    let t = keyed();
    let (mut destination, row) = copying(ground, &[&t]).await;
    destination
        .copy(&row, chunk(&t, 0, 1, &["1\ta"]))
        .await
        .unwrap();
    ground.meddle("UPDATE _replicator_position SET epoch = epoch + 1, holder = 'process 9'");
    let before = destination.tables("s").await.unwrap();
    let begun = destination.begin_copy(&row, &t, Lsn(150)).await;
    let copied = destination.copy(&row, chunk(&t, 0, 2, &["2\tb"])).await;
    let again = destination.copy(&row, chunk(&t, 0, 1, &["1\ta"])).await;
    let finished = destination.finish_copy(&row, t.oid, Lsn(150)).await;
    for done in [begun, copied, again, finished] {
        let error = done.unwrap_err();
        assert!(error.to_string().contains("process 9"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Retry);
    }
    assert_eq!(ground.look("SELECT * FROM t"), ["1|a"]);
    assert_eq!(ground.look(CHUNKS), ["s|1|0|1"]);
    assert_eq!(destination.tables("s").await.unwrap(), before);

    // Who holds it goes on where the copy was.
    let row = destination.raise_epoch("s", "process 10").await.unwrap();
    destination
        .copy(&row, chunk(&t, 0, 2, &["2\tb"]))
        .await
        .unwrap();
    assert_eq!(ground.look("SELECT count(*) FROM t"), ["2"]);
}

pub(crate) async fn several_sessions_copy_one_table_at_the_same_time<G: Ground>(ground: &G) {
    const PARTS: u32 = 3;
    const CHUNKS: u64 = 8;
    const ROWS: u64 = 50;
    let log = keyless();
    let (mut destination, row) = copying(ground, &[&log]).await;
    let mut sessions = Vec::new();
    for _ in 0..PARTS {
        sessions.extend(destination.another().await.unwrap());
    }
    assert_eq!(sessions.len(), if G::ANOTHER { PARTS as usize } else { 0 });
    let work = sessions.iter_mut().zip(0..).map(|(session, part)| {
        let (log, row) = (&log, &row);
        async move {
            for number in 1..=CHUNKS {
                let lines: Vec<String> = (0..ROWS)
                    .map(|at| format!("{part}\t{number}-{at}"))
                    .collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                let chunk = chunk(log, part, number, &lines);
                session.copy(row, chunk).await.unwrap();
            }
        }
    });
    let mut work: Vec<_> = work.map(Box::pin).collect();
    let mut done = vec![false; work.len()];
    std::future::poll_fn(|cx| {
        for (work, done) in work.iter_mut().zip(&mut done) {
            *done = *done || work.as_mut().poll(cx).is_ready();
        }
        if done.iter().all(|done| *done) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    drop(work);
    let all = u64::try_from(sessions.len()).unwrap() * CHUNKS * ROWS;
    assert_eq!(
        ground.look("SELECT count(*) FROM (SELECT DISTINCT at, what FROM log) AS rows_"),
        [all.to_string()]
    );
    assert_eq!(ground.look("SELECT count(*) FROM log"), [all.to_string()]);

    // They are under the same epoch as the one that they come from.
    destination.raise_epoch("s", "process 9").await.unwrap();
    for session in &mut sessions {
        let error = session
            .copy(&row, chunk(&log, 7, 1, &["7\tx"]))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("process 9"), "{error}");
    }
}

/// A copy of a later moment than the stream has come to.
pub(crate) async fn a_table_catches_up_once_and_only_if_it_has_to<G: Ground>(ground: &G) {
    let (t, log) = (keyed(), keyless());
    let (mut destination, row) = copying(ground, &[&t, &log]).await;
    for (table, at) in [(&t, row.lsn), (&log, Lsn(row.lsn.0 + 1))] {
        destination.begin_copy(&row, table, at).await.unwrap();
        destination.finish_copy(&row, table.oid, at).await.unwrap();
    }
    let states = async |destination: &mut G::Destination| {
        let rows = destination.tables("s").await.unwrap();
        let state = |table: &Table| {
            let row = rows.iter().find(|row| row.table.oid == table.oid);
            row.unwrap().state.clone()
        };
        (state(&t), state(&log))
    };
    let both = (TableState::Streaming, TableState::CatchingUp);
    assert_eq!(states(&mut destination).await, both);
    destination.caught_up("s", log.oid).await.unwrap();
    let both = (TableState::Streaming, TableState::Streaming);
    assert_eq!(states(&mut destination).await, both);
    // One that is something else by now stays so.
    destination.ask_copy("s", t.oid, t.oid).await.unwrap();
    destination.stop_table("s", log.oid, "why").await.unwrap();
    destination.caught_up("s", t.oid).await.unwrap();
    destination.caught_up("s", log.oid).await.unwrap();
    let both = (TableState::Copying, TableState::Stopped("why".to_owned()));
    assert_eq!(states(&mut destination).await, both);
}

/// As a replicator of layout 1 left it, which copied all tables before its position.
pub(crate) async fn a_destination_of_the_first_layout_is_gone_on_with<G: Ground>(ground: &G) {
    let (t, log) = (keyed(), keyless());
    let (mut destination, row) = copying(ground, &[&t, &log]).await;
    for table in [&t, &log] {
        destination
            .finish_copy(&row, table.oid, Lsn(100))
            .await
            .unwrap();
    }
    destination.close().await.unwrap();
    let age = "DROP TABLE _replicator_chunks; UPDATE _replicator_tables SET version = 1;
               UPDATE _replicator_position SET version = 1";
    ground.meddle(age);
    ground.meddle("ALTER TABLE _replicator_position DROP COLUMN source_time");

    let mut destination = ground.open().await;
    assert_eq!(destination.position("s").await.unwrap(), Some(row));
    assert_eq!(destination.tables("s").await.unwrap().len(), 2);
    let row = destination.raise_epoch("s", "process 2").await.unwrap();
    let batch = vec![insert(&t, &[int(1), text("a")])];
    let row = apply(&mut destination, &row, 200, batch).await.unwrap();
    destination.begin_copy(&row, &log, Lsn(200)).await.unwrap();
    destination
        .copy(&row, chunk(&log, 0, 1, &["1\tb"]))
        .await
        .unwrap();
    destination
        .finish_copy(&row, log.oid, Lsn(200))
        .await
        .unwrap();
    assert_eq!(ground.look("SELECT * FROM t"), ["1|a"]);
    assert_eq!(ground.look("SELECT * FROM log"), ["1|b"]);

    ground.meddle(age);
    // Rows that are here already are not copied, and may be the first that is done.
    destination
        .finish_copy(&row, t.oid, Lsn(200))
        .await
        .unwrap();
    ground.meddle(age);
    assert_eq!(
        destination.drop_made_tables("s").await.unwrap(),
        ["log", "t"]
    );
    ground.meddle(&age.replace("DROP TABLE", "DROP TABLE IF EXISTS"));
    destination.forget("s").await.unwrap();
    assert_eq!(destination.position("s").await.unwrap(), None);
}

/// As a replicator of layout 2 left it, which knew no time of the source's.
pub(crate) async fn a_destination_of_the_second_layout_is_brought_to_the_third<G: Ground>(
    ground: &G,
) {
    let without = "ALTER TABLE _replicator_position DROP COLUMN source_time";
    let second =
        "UPDATE _replicator_tables SET version = 2; UPDATE _replicator_position SET version = 2";
    let version = || ground.look("SELECT version FROM _replicator_position");
    let (destination, row) = streaming(ground, &[&keyed()]).await;
    destination.close().await.unwrap();
    ground.meddle(without);
    ground.meddle(second);

    // Who only looks reads it, and changes nothing.
    let mut destination = ground.open().await;
    assert_eq!(destination.position("s").await.unwrap(), Some(row));
    assert_eq!(version(), ["2"]);
    let row = destination.raise_epoch("s", "process 2").await.unwrap();
    assert_eq!((row.source_time, version()), (None, vec!["3".to_owned()]));

    let next = PositionRow {
        source_time: walproto::Timestamp::from_unix_micros(1_796_000_000_000_042),
        ..row.advanced(Lsn(200))
    };
    destination.begin(&row, &next).await.unwrap();
    let Outcome::Committed(row) = destination.commit().await.unwrap() else {
        panic!("not committed")
    };
    assert_eq!(row, next);
    assert_eq!(
        ground.look("SELECT source_time FROM _replicator_position"),
        ["2026-11-30 00:53:20.000042+00"]
    );
    assert_eq!(destination.position("s").await.unwrap(), Some(row.clone()));
    destination.close().await.unwrap();

    // Where both are not one transaction, a crash leaves the column without the row's word for it.
    ground.meddle(second);
    let mut destination = ground.open().await;
    let raised = destination.raise_epoch("s", "process 3").await.unwrap();
    assert_eq!(raised.source_time, row.source_time);
    assert_eq!(version(), ["3"]);

    // An intent of that layout is taken back as it is, and one is written in its place.
    destination.forget("s").await.unwrap();
    destination.write_intent(&intent()).await.unwrap();
    destination.close().await.unwrap();
    ground.meddle(without);
    ground.meddle(second);
    let mut destination = ground.open().await;
    destination.remove_intent("s").await.unwrap();
    assert_eq!(destination.position("s").await.unwrap(), None);
    let intent = PositionRow {
        source_time: next.source_time,
        ..intent()
    };
    let written = destination.write_intent(&intent).await.unwrap();
    assert_eq!(written.source_time, next.source_time);
    assert_eq!(destination.position("s").await.unwrap(), Some(written));
}
