//! Batches: data and position together, one writer, and every row count checked.

use super::*;
use replicator::Value;

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
