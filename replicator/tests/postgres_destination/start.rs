//! From the intent to the position: the ledger, and tables that are there already.

use super::*;

#[tokio::test]
async fn a_first_start_leaves_a_position_and_a_ledger_that_a_later_one_finds() {
    for stage in stages() {
        let mut destination = open(&stage).await;
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
        destination
            .copy(
                &keyed,
                vec![vec![int(1), text("a")], vec![int(2), Value::Null]],
            )
            .await
            .unwrap();
        destination
            .copy(&keyed, vec![vec![int(3), text("c")]])
            .await
            .unwrap();
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
        destination.close().await.unwrap();

        let mut destination = open(&stage).await;
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
            tables.iter().all(
                |row| row.state == TableState::Streaming && row.sync_position == Some(Lsn(100))
            )
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
            look(&stage, "SELECT * FROM t ORDER BY id"),
            ["1|a", "2|NULL", "3|c"]
        );
        assert_eq!(
            look(
                &stage,
                "SELECT slot, state, lsn, epoch FROM _replicator_position"
            ),
            ["s|streaming|0/64|2"]
        );
    }
}

#[tokio::test]
async fn a_first_copy_that_starts_over_drops_what_it_made_and_nothing_else() {
    for stage in stages() {
        meddle(
            &stage,
            "CREATE TABLE mine (a int); INSERT INTO mine VALUES (1)",
        );
        let t = keyed();
        let mut destination = open(&stage).await;
        let first = destination.write_intent(&intent()).await.unwrap();
        destination
            .create_table("s", &t, Existing::Refuse)
            .await
            .unwrap();
        destination
            .copy(&t, vec![vec![int(1), text("a")]])
            .await
            .unwrap();
        drop(destination);

        let mut destination = open(&stage).await;
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
        destination
            .copy(&t, vec![vec![int(1), text("b")]])
            .await
            .unwrap();
        destination.activate(&second).await.unwrap();
        assert_eq!(look(&stage, "SELECT * FROM t"), ["1|b"]);
        assert_eq!(look(&stage, "SELECT * FROM mine"), ["1"]);
    }
}

#[tokio::test]
async fn the_source_of_a_first_copy_can_be_taken_over_too() {
    for stage in stages() {
        let t = keyed();
        let mut destination = open(&stage).await;
        let row = destination.write_intent(&intent()).await.unwrap();
        destination
            .create_table("s", &t, Existing::Refuse)
            .await
            .unwrap();
        meddle(
            &stage,
            "UPDATE _replicator_position SET epoch = epoch + 1, holder = 'process 9'",
        );
        let copied = destination
            .copy(&t, vec![vec![int(1), text("a")]])
            .await
            .unwrap_err();
        let activated = destination.activate(&row).await.unwrap_err();
        for error in [copied, activated] {
            assert!(error.to_string().contains("process 9"), "{error}");
        }
        assert_eq!(look(&stage, "SELECT count(*) FROM t"), ["0"]);
    }
}

#[tokio::test]
async fn an_intent_is_never_written_over_a_position_nor_a_position_taken_for_an_intent() {
    for stage in stages() {
        let (mut destination, row) = streaming(&stage, &[]).await;
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
}

#[tokio::test]
async fn a_table_that_somebody_else_made_stops_with_the_way_out() {
    for stage in stages() {
        meddle(
            &stage,
            "CREATE TABLE t (id int PRIMARY KEY, name text, more text); CREATE VIEW log AS SELECT 1",
        );
        let mut destination = open(&stage).await;
        destination.write_intent(&intent()).await.unwrap();
        let error = destination
            .create_table("s", &keyed(), Existing::Refuse)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("table t that we did not make"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("--copy no"));
        assert_eq!(error.exit_code(), 3);
        for existing in [Existing::Refuse, Existing::Accept] {
            let error = destination
                .create_table("s", &keyless(), existing)
                .await
                .unwrap_err();
            assert!(
                error.to_string().contains("view log that we did not make"),
                "{error}"
            );
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
        assert_eq!(look(&stage, "SELECT count(*) FROM t"), ["0"]);
        assert_eq!(destination.tables("s").await.unwrap(), []);
    }
}

#[tokio::test]
async fn forgetting_a_slot_keeps_its_tables_and_other_slots() {
    for stage in stages() {
        let t = keyed();
        let (mut destination, row) = streaming(&stage, &[&t]).await;
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
        assert_eq!(look(&stage, "SELECT * FROM t"), ["1|a"]);
    }
}

#[tokio::test]
async fn a_stopped_table_says_why() {
    for stage in stages() {
        let (mut destination, _) = streaming(&stage, &[&keyed()]).await;
        destination
            .stop_table("s", Oid(1), "column x is new")
            .await
            .unwrap();
        let state = &destination.tables("s").await.unwrap()[0].state;
        assert_eq!(*state, TableState::Stopped("column x is new".to_owned()));
    }
}

#[tokio::test]
async fn a_newer_layout_of_our_tables_is_left_alone() {
    for stage in stages() {
        drop(streaming(&stage, &[&keyed()]).await);
        meddle(&stage, "UPDATE _replicator_tables SET version = 2");
        let mut destination = open(&stage).await;
        let mut errors = vec![
            destination.position("s").await.unwrap_err(),
            destination.raise_epoch("s", "me").await.unwrap_err(),
            destination.write_intent(&intent()).await.unwrap_err(),
            destination.forget("s").await.unwrap_err(),
        ];
        errors.push(destination.drop_made_tables("s").await.unwrap_err());
        for error in errors {
            assert!(
                error.to_string().contains("newer replicator (layout 2"),
                "{error}"
            );
            assert_eq!(error.exit_code(), 3);
        }
    }
}

#[tokio::test]
async fn half_of_our_tables_is_not_a_new_destination() {
    for stage in stages() {
        for missing in ["_replicator_position", "_replicator_tables"] {
            meddle(
                &stage,
                "DROP TABLE IF EXISTS _replicator_position, _replicator_tables, t",
            );
            drop(streaming(&stage, &[&keyed()]).await);
            meddle(&stage, &format!("DROP TABLE {missing}"));
            let mut destination = open(&stage).await;
            for error in [
                destination.position("s").await.unwrap_err(),
                destination.write_intent(&intent()).await.unwrap_err(),
            ] {
                assert!(error.to_string().contains("one is missing"), "{error}");
                assert_eq!(error.exit_code(), 3);
            }
        }
    }
}

#[tokio::test]
async fn tables_of_other_tools_with_our_names_are_left_alone() {
    for stage in stages() {
        meddle(
            &stage,
            "CREATE TABLE _replicator_position (a int); CREATE TABLE _replicator_tables (a int)",
        );
        let error = open(&stage)
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
}

#[tokio::test]
async fn a_table_that_would_change_our_values_is_not_taken_over() {
    const NUMERIC_10_2: i32 = (10 << 16 | 2) + 4;
    for stage in stages() {
        let t = Arc::new(Table {
            columns: vec![
                Column::new("id", Oid(INT), -1, Oid(INT)),
                Column::new("name", Oid(1043), 20 + 4, Oid(1043)),
                Column::new("price", Oid(1700), NUMERIC_10_2, Oid(1700)),
                Column::new("at", Oid(1114), 3, Oid(1114)),
            ],
            ..(*keyed()).clone()
        });
        let fine = "id int PRIMARY KEY, name varchar(20), price numeric(10,2), at timestamp(3)";
        for (declared, says) in [
            (fine.to_owned(), ""),
            (
                "id bigint PRIMARY KEY, name text, price numeric, at timestamp".to_owned(),
                "",
            ),
            (
                "id numeric, name varchar(21), price numeric(12,2), at text, more int".to_owned(),
                "",
            ),
            (
                "id int, name varchar, price text, at timestamp(6), more int NOT NULL DEFAULT 1"
                    .to_owned(),
                "",
            ),
            (
                "id int, name text, price numeric".to_owned(),
                "has no column at",
            ),
            (fine.replace("id int", "id smallint"), "column id "),
            (fine.replace("varchar(20)", "varchar(19)"), "column name "),
            (fine.replace("varchar(20)", "char(20)"), "column name "),
            (
                fine.replace("numeric(10,2)", "numeric(10,3)"),
                "column price ",
            ),
            (
                fine.replace("numeric(10,2)", "numeric(9,2)"),
                "column price ",
            ),
            (fine.replace("numeric(10,2)", "float8"), "column price "),
            (fine.replace("timestamp(3)", "timestamp(2)"), "column at "),
            (fine.replace("timestamp(3)", "timestamptz(3)"), "column at "),
            (
                fine.replace(
                    "timestamp(3)",
                    "timestamp(3) GENERATED ALWAYS AS (NULL) STORED",
                ),
                "column at ",
            ),
            (format!("{fine}, more int NOT NULL"), "column more "),
        ] {
            meddle(
                &stage,
                &format!("DROP TABLE IF EXISTS t; CREATE TABLE t ({declared})"),
            );
            let mut destination = open(&stage).await;
            destination.write_intent(&intent()).await.unwrap();
            let made = destination.create_table("s", &t, Existing::Accept).await;
            if says.is_empty() {
                made.unwrap();
                assert_eq!(destination.drop_made_tables("s").await.unwrap(), [""; 0]);
                continue;
            }
            let error = made.unwrap_err();
            assert!(error.to_string().contains(says), "{declared}: {error}");
            assert_eq!(error.exit_code(), 3);
        }
    }
}

#[tokio::test]
async fn a_schema_that_is_missing_is_made_and_types_keep_their_modifiers() {
    for stage in stages() {
        let mut tables = [Table {
            schema: "a \"schema\"".to_owned(),
            columns: vec![
                Column::new("k", Oid(TEXT), -1, Oid(TEXT)),
                Column::new("n", Oid(1700), (5 << 16 | 2) + 4, Oid(1700)),
                Column::new("b", Oid(1560), 3, Oid(1560)),
                Column::new("c", Oid(1042), 5 + 4, Oid(1042)),
                Column::new("t", Oid(1184), 3, Oid(1184)),
                // interval day to second(2)
                Column::new("i", Oid(1186), 0x1C08 << 16 | 2, Oid(1186)),
                Column::new("a", Oid(1231), (5 << 16 | 2) + 4, Oid(1231)),
                Column::new("e", Oid(70_000), -1, Oid(70_000)),
                Column::new("d", Oid(70_001), -1, Oid(23)),
            ],
            ..(*keyed()).clone()
        }];
        let mut destination = open(&stage).await;
        destination
            .name_tables(&replicator::Names::new(), &mut tables)
            .unwrap();
        let [t] = tables.map(Arc::new);
        destination.write_intent(&intent()).await.unwrap();
        destination
            .create_table("s", &t, Existing::Refuse)
            .await
            .unwrap();
        let sql = "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, c.collname
                   FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation AND c.collname <> 'default'
                   WHERE a.attrelid = '\"a \"\"schema\"\"\".t'::regclass AND a.attnum > 0 ORDER BY a.attnum";
        assert_eq!(
            look(&stage, sql),
            [
                "k|text|t|C",
                "n|numeric(5,2)|f|NULL",
                "b|bit(3)|f|NULL",
                "c|character(5)|f|NULL",
                "t|timestamp(3) with time zone|f|NULL",
                "i|interval day to second(2)|f|NULL",
                "a|numeric(5,2)[]|f|NULL",
                "e|text|f|NULL",
                "d|integer|f|NULL",
            ]
        );
    }
}

#[tokio::test]
async fn types_are_called_as_the_server_calls_them() {
    for stage in stages() {
        let sql = "SELECT t.oid, t.typname, t.typarray FROM pg_type t WHERE t.typtype IN ('b', 'r', 'm') AND t.oid < 16384";
        let mut destination = open(&stage).await;
        destination.write_intent(&intent()).await.unwrap();
        let mut columns = Vec::new();
        let mut expected = Vec::new();
        for row in look(&stage, sql) {
            let [oid, name, _] = row.split('|').collect::<Vec<_>>().try_into().unwrap();
            let oid = Oid(oid.parse().unwrap());
            columns.push(Column::new(format!("c{}", oid.0), oid, -1, oid));
            expected.push((oid, name.to_owned()));
        }
        let t = Arc::new(Table {
            columns,
            key: vec![],
            ..(*keyed()).clone()
        });
        destination
            .create_table("s", &t, Existing::Refuse)
            .await
            .unwrap();
        let held = look(
            &stage,
            "SELECT a.attname, y.typname FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
             WHERE a.attrelid = 't'::regclass AND a.attnum > 0 ORDER BY a.attnum",
        );
        let mut left = Vec::new();
        for (held, (oid, name)) in held.iter().zip(&expected) {
            if *held != format!("c{}|{name}", oid.0) {
                assert_eq!(*held, format!("c{}|text", oid.0));
                left.push(name.as_str());
            }
        }
        left.sort_unstable();
        left.retain(|name| !name.starts_with('_'));
        let mut text = vec![
            "aclitem",
            "char",
            "gtsvector",
            "money",
            "pg_brin_bloom_summary",
            "pg_brin_minmax_multi_summary",
            "pg_dependencies",
            "pg_mcv_list",
            "pg_ndistinct",
            "pg_node_tree",
            "pg_snapshot",
            "refcursor",
            "regclass",
            "regcollation",
            "regconfig",
            "regdictionary",
            "regnamespace",
            "regoper",
            "regoperator",
            "regproc",
            "regprocedure",
            "regrole",
            "regtype",
            "txid_snapshot",
        ];
        text.retain(|name| expected.iter().any(|(_, known)| known == name));
        assert_eq!(left, text);
    }
}
