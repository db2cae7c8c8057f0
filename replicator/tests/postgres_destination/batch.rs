//! Batches: data and position together, one writer, and every row count checked.

use super::*;

#[tokio::test]
async fn data_and_position_come_together_or_not_at_all() {
    for stage in stages() {
        let t = keyed();
        let (mut destination, row) = streaming(&stage, &[&t]).await;
        let state = "SELECT (SELECT lsn FROM _replicator_position), (SELECT string_agg(id || name, ',' ORDER BY id) FROM t)";

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
        assert_eq!(look(&stage, state), ["0/110|1c,3d"]);

        destination
            .begin(&row, &row.advanced(Lsn(0x120)))
            .await
            .unwrap();
        destination
            .execute(vec![delete(&t, &[int(1)])])
            .await
            .unwrap();
        assert_eq!(
            look(&stage, state),
            ["0/110|1c,3d"],
            "others see whole batches only"
        );
        destination.rollback().await.unwrap();
        assert_eq!(look(&stage, state), ["0/110|1c,3d"]);

        destination
            .begin(&row, &row.advanced(Lsn(0x120)))
            .await
            .unwrap();
        destination
            .execute(vec![delete(&t, &[int(1)])])
            .await
            .unwrap();
        drop(destination);
        assert_eq!(look(&stage, state), ["0/110|1c,3d"]);

        let mut destination = open(&stage).await;
        let row = apply(&mut destination, &row, 0x130, vec![delete(&t, &[int(1)])])
            .await
            .unwrap();
        assert_eq!(look(&stage, state), ["0/130|3d"]);
        apply(
            &mut destination,
            &row,
            0x140,
            vec![operation(&t, Action::Truncate)],
        )
        .await
        .unwrap();
        assert_eq!(look(&stage, state), ["0/140|NULL"]);
    }
}

#[tokio::test]
async fn an_idle_batch_writes_the_position_and_never_a_lower_one() {
    for stage in stages() {
        let (mut destination, row) = streaming(&stage, &[]).await;
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
}

#[tokio::test]
async fn a_position_that_somebody_moved_needs_a_person() {
    for stage in stages() {
        let (mut destination, row) = streaming(&stage, &[]).await;
        meddle(&stage, "UPDATE _replicator_position SET lsn = '0/65'");
        let error = apply(&mut destination, &row, 200, vec![])
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("was at 0/64 and is at 0/65"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 3);

        meddle(&stage, "DELETE FROM _replicator_position");
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
}

#[tokio::test]
async fn divergence_stops_with_table_key_and_position_and_undoes_the_batch() {
    for stage in stages() {
        let t = keyed();
        let (mut destination, row) = streaming(&stage, &[&t]).await;
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
            assert_eq!(look(&stage, "SELECT * FROM t ORDER BY id"), ["1|a", "2|b"]);
            assert_eq!(
                look(&stage, "SELECT lsn FROM _replicator_position"),
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
}

#[tokio::test]
async fn two_rows_under_one_key_in_a_table_that_we_took_over_are_a_conflict() {
    for stage in stages() {
        meddle(
            &stage,
            "CREATE TABLE t (id int, name text); INSERT INTO t VALUES (1, 'a'), (1, 'b')",
        );
        let t = keyed();
        let mut destination = open(&stage).await;
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
        assert_eq!(look(&stage, "SELECT count(*) FROM t"), ["2"]);
    }
}

/// As many rows as there should be, but not those: only an index over nothing but the key rules that out.
#[tokio::test]
async fn a_row_too_many_does_not_stand_for_one_that_is_missing() {
    for stage in stages() {
        for index in [
            "",
            "CREATE UNIQUE INDEX ON t (id) WHERE name > 'c'",
            "CREATE UNIQUE INDEX ON t (id, name)",
            "CREATE UNIQUE INDEX ON t ((id + length(name)))",
            "CREATE UNIQUE INDEX ON t (id); CREATE TABLE more () INHERITS (t)",
        ] {
            meddle(
                &stage,
                "DROP TABLE IF EXISTS t, _replicator_position, _replicator_tables CASCADE;
                 CREATE TABLE t (id int, name text)",
            );
            meddle(&stage, index);
            let t = keyed();
            let mut destination = open(&stage).await;
            let row = destination.write_intent(&intent()).await.unwrap();
            destination
                .create_table("s", &t, Existing::Accept)
                .await
                .unwrap();
            let row = destination.activate(&row).await.unwrap();
            let other = if index.contains("more") { "more" } else { "t" };
            let two =
                format!("INSERT INTO t VALUES (1, 'a'); INSERT INTO {other} VALUES (1, 'bb')");
            meddle(&stage, &two);
            let batch = vec![
                insert(&t, &[int(7), text("a")]),
                insert(&t, &[int(8), text("a")]),
                delete(&t, &[int(1)]),
                delete(&t, &[int(2)]),
            ];
            let error = apply(&mut destination, &row, 200, batch).await.unwrap_err();
            assert_eq!(error.exit_code(), 3, "{index}: {error}");
            destination.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_column_that_the_server_fills_begins_anew_with_a_new_row() {
    for stage in stages() {
        meddle(
            &stage,
            "CREATE TABLE t (id int PRIMARY KEY, name text, seen text DEFAULT 'no');
             INSERT INTO t VALUES (1, 'a', 'yes')",
        );
        let t = keyed();
        let mut destination = open(&stage).await;
        let row = destination.write_intent(&intent()).await.unwrap();
        destination
            .create_table("s", &t, Existing::Accept)
            .await
            .unwrap();
        let row = destination.activate(&row).await.unwrap();
        let batch = vec![
            insert(&t, &[int(2), text("a")]),
            delete(&t, &[int(1)]),
            insert(&t, &[int(3), text("a")]),
            insert(&t, &[int(1), text("b")]),
        ];
        apply(&mut destination, &row, 200, batch).await.unwrap();
        assert_eq!(
            look(&stage, "SELECT * FROM t ORDER BY id"),
            ["1|b|no", "2|a|no", "3|a|no"]
        );
    }
}

/// From fifty rows on they come by COPY.
#[tokio::test]
async fn many_new_rows_arrive_as_few_do() {
    for stage in stages() {
        let columns = [("id", INT), ("name", TEXT), ("at", 1184), ("raw", 17)];
        let t = named(1, "t", &columns, &[0]);
        let (mut destination, row) = streaming(&stage, &[&t]).await;
        let name = |id: i64| match id % 4 {
            0 => Value::Null,
            1 => text("\\N"),
            2 => text(""),
            _ => text("tab\tline\nreturn\r\\."),
        };
        let values = |id: i64| {
            let raw = Value::Blob(vec![0, b'\\', id as u8]);
            [int(id), name(id), text("infinity"), raw]
        };
        let few = (1..=4).map(|id| insert(&t, &values(id))).collect();
        let row = apply(&mut destination, &row, 0x110, few).await.unwrap();
        let many = (5..=200).map(|id| insert(&t, &values(id))).collect();
        apply(&mut destination, &row, 0x120, many).await.unwrap();
        let mut rows = everything(&mut destination, &t).await;
        rows.sort_by_key(|row| match row[0] {
            Value::Integer(id) => id,
            _ => 0,
        });
        assert!(rows.into_iter().eq((1..=200).map(|id| values(id).to_vec())));
    }
}

#[tokio::test]
async fn of_equal_rows_exactly_one_is_touched() {
    for stage in stages() {
        let log = keyless();
        let (mut destination, row) = streaming(&stage, &[&log]).await;
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
            look(&stage, "SELECT * FROM log ORDER BY what NULLS FIRST"),
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
}

#[tokio::test]
async fn more_shapes_than_are_kept_ready_do_no_harm() {
    for stage in stages() {
        let names: Vec<String> = (0..10).map(|at| format!("c{at}")).collect();
        let columns: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), INT)).collect();
        let t = named(1, "t", &columns, &[0]);
        let (mut destination, row) = streaming(&stage, &[&t]).await;
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
}

/// Whatever order a batch comes in, and however it is gathered into statements.
#[tokio::test]
async fn changes_of_several_tables_among_each_other_end_as_they_would_one_by_one() {
    for stage in stages() {
        let (t, u) = (
            keyed(),
            named(3, "u", &[("id", INT), ("name", TEXT), ("n", INT)], &[0]),
        );
        let (mut destination, row) = streaming(&stage, &[&t, &u]).await;
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
        assert_eq!(look(&stage, "SELECT * FROM t"), ["1|last"]);
        assert_eq!(
            look(&stage, "SELECT * FROM u ORDER BY id"),
            ["1|z|2", "2|b|5"]
        );
    }
}

#[tokio::test]
async fn numbers_that_are_equal_in_other_words_are_one_key() {
    for stage in stages() {
        let t = named(1, "t", &[("k", 1700), ("n", INT)], &[0]);
        let (mut destination, row) = streaming(&stage, &[&t]).await;
        let batch = vec![
            insert(&t, &[text("1.0"), int(1)]),
            insert(&t, &[text("2.0"), int(1)]),
        ];
        let row = apply(&mut destination, &row, 200, batch).await.unwrap();
        // Were they two, the last change could join the first, and find the row that is about to go.
        let batch = vec![
            update(&t, &[(1, int(2))], &[text("2.0")]),
            delete(&t, &[text("1.0")]),
            insert(&t, &[text("1.00"), int(3)]),
            update(&t, &[(1, int(4))], &[text("1.00")]),
        ];
        apply(&mut destination, &row, 300, batch).await.unwrap();
        assert_eq!(
            look(&stage, "SELECT * FROM t ORDER BY k"),
            ["1.00|4", "2.0|2"]
        );
    }
}

#[tokio::test]
async fn the_one_change_of_many_that_does_not_fit_is_named() {
    for stage in stages() {
        let t = keyed();
        let (mut destination, row) = streaming(&stage, &[&t]).await;
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
                look(&stage, "SELECT count(*), min(name), max(name) FROM t"),
                ["500|a|a"]
            );
        }
    }
}

#[tokio::test]
async fn conflicts_are_resolved_in_the_sources_favour_where_that_is_asked_for() {
    for stage in stages() {
        let t = keyed();
        let (destination, row) = streaming(&stage, &[&t]).await;
        destination.close().await.unwrap();
        let options = options(&stage).on_conflict(replicator::OnConflict::Apply);
        let mut destination = PostgresDestination::open(options).await.unwrap();
        meddle(&stage, "INSERT INTO t VALUES (1, 'theirs')");
        let batch = vec![
            insert(&t, &[int(1), text("ours")]),
            insert(&t, &[int(2), text("b")]),
            update(&t, &[(1, text("c"))], &[int(3)]),
            delete(&t, &[int(4)]),
            delete(&t, &[int(2)]),
        ];
        apply(&mut destination, &row, 200, batch).await.unwrap();
        assert_eq!(
            look(&stage, "SELECT * FROM t ORDER BY id"),
            ["1|ours", "3|c"]
        );
    }
}

#[tokio::test]
async fn a_refused_value_is_named_with_its_row_and_the_servers_reason() {
    for stage in stages() {
        let t = keyed();
        let (mut destination, row) = streaming(&stage, &[&t]).await;
        meddle(&stage, "ALTER TABLE t ADD CHECK (name <> 'bad')");
        let batch = vec![
            insert(&t, &[int(1), text("good")]),
            insert(&t, &[int(2), text("bad")]),
        ];
        let error = apply(&mut destination, &row, 200, batch).await.unwrap_err();
        let message = error.to_string();
        for word in ["public.t", "id = 2", "at 1/2", "t_name_check", "23514"] {
            assert!(message.contains(word), "{word}: {message}");
        }
        assert_eq!(error.exit_code(), 3);
    }
}

#[tokio::test]
async fn triggers_and_foreign_keys_of_others_see_the_sources_order() {
    for stage in stages() {
        meddle(
            &stage,
            "CREATE TABLE t (id int PRIMARY KEY, name text);
             CREATE TABLE log (at int REFERENCES t, what text);
             CREATE TABLE seen (n serial, what text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN INSERT INTO public.seen (what) VALUES (tg_table_name || tg_op); RETURN NULL; END$$;
             CREATE TRIGGER note AFTER INSERT OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
             CREATE TRIGGER note AFTER INSERT OR DELETE ON log FOR EACH ROW EXECUTE FUNCTION note()",
        );
        let (t, log) = (keyed(), keyless());
        let mut destination = open(&stage).await;
        let row = destination.write_intent(&intent()).await.unwrap();
        for table in [&t, &log] {
            destination
                .create_table("s", table, Existing::Accept)
                .await
                .unwrap();
        }
        let row = destination.activate(&row).await.unwrap();
        let batch = vec![
            insert(&t, &[int(1), text("a")]),
            insert(&log, &[int(1), text("x")]),
            insert(&t, &[int(2), text("b")]),
            insert(&log, &[int(2), text("y")]),
            delete(&log, &[int(1), text("x")]),
            delete(&t, &[int(1)]),
        ];
        apply(&mut destination, &row, 200, batch).await.unwrap();
        assert_eq!(
            look(&stage, "SELECT string_agg(what, ' ' ORDER BY n) FROM seen"),
            ["tINSERT logINSERT tINSERT logINSERT logDELETE tDELETE"]
        );
    }
}
