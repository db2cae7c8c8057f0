//! From the intent to the position: the ledger, and tables that are there already.

use super::*;

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
