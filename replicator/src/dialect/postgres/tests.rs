use super::*;
use crate::table::Column;
use walproto::Oid;

fn table(schema: &str, name: &str, columns: &[(&str, u32)], key: &[usize]) -> Table {
    let mut tables = [Table {
        oid: Oid(1),
        schema: schema.to_owned(),
        name: name.to_owned(),
        destination: String::new(),
        columns: columns
            .iter()
            .map(|(name, oid)| Column::new(*name, Oid(*oid), -1, Oid(*oid)))
            .collect(),
        key: key.to_vec(),
        identity: 'd',
        relfilenode: 1,
    }];
    Postgres.name_tables(&Names::new(), &mut tables).unwrap();
    let [table] = tables;
    table
}

fn orders() -> Table {
    let columns = [("id", 20), ("total", 1700), ("note", 25), ("paid", 16)];
    table("public", "orders", &columns, &[0])
}

fn log() -> Table {
    let columns = [("at", 1184), ("what", 25), ("how", 114)];
    table("audit", "Log", &columns, &[])
}

#[test]
fn the_users_names_come_first_and_may_meet_no_other() {
    let t = |schema, name| table(schema, name, &[("x", 25)], &[]);
    let mut tables = [t("public", "a"), t("s", "a"), t("s", "B")];
    let names = Names::new()
        .schema("s", "x.y")
        .table("a".parse().unwrap(), "s.a".parse().unwrap());
    Postgres.name_tables(&names, &mut tables).unwrap();
    let named = tables.clone().map(|table| table.destination);
    assert_eq!(named, ["s.a", "\"x.y\".a", "\"x.y\".\"B\""]);

    let refusal = |schema: &str| {
        let names = Names::new().schema("s", schema);
        let done = Postgres.name_tables(&names, &mut tables.clone());
        let error = done.unwrap_err();
        assert!(error.hint().unwrap().contains("--map-table"));
        error.to_string()
    };
    assert!(refusal("public").contains("public.a and s.a"));
    assert!(refusal("pg_catalog").contains("server's own"));
    assert!(refusal(&"x".repeat(64)).contains("64 bytes"));
}

/// The refusal of these tables together.
fn refusal(tables: &[Table]) -> String {
    let mut tables = tables.to_vec();
    let error = Postgres
        .name_tables(&Names::new(), &mut tables)
        .unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn a_table_has_its_columns_and_its_key_and_nothing_else() {
    assert_eq!(
        Postgres.create_table(&orders()),
        r#"CREATE TABLE "public"."orders" ("id" pg_catalog."int8" NOT NULL, "total" pg_catalog."numeric", "note" pg_catalog."text", "paid" pg_catalog."bool", PRIMARY KEY ("id"))"#
    );
    assert_eq!(
        Postgres.create_table(&table(
            "s",
            "t",
            &[("a", 25), ("b", 1015), ("c", 70_000)],
            &[2, 0]
        )),
        r#"CREATE TABLE "s"."t" ("a" pg_catalog."text" COLLATE pg_catalog."C" NOT NULL, "b" pg_catalog."varchar"[], "c" pg_catalog."text" COLLATE pg_catalog."C" NOT NULL, PRIMARY KEY ("c", "a"))"#
    );
}

#[test]
fn modifiers_are_what_the_types_own_functions_take() {
    let declared = |oid: u32, typmod: i32| {
        let column = Column::new("c", Oid(oid), typmod, Oid(oid));
        BuiltIn::held(&column).declared(typmod)
    };
    assert_eq!(declared(1700, 655_366), r#"pg_catalog."numeric"(10, 2)"#);
    // numeric(3, -2)
    assert_eq!(
        declared(1700, (3 << 16 | 2046) + 4),
        r#"pg_catalog."numeric"(3, -2)"#
    );
    assert_eq!(declared(1231, 655_366), r#"pg_catalog."numeric"(10, 2)[]"#);
    assert_eq!(declared(1043, 24), r#"pg_catalog."varchar"(20)"#);
    assert_eq!(declared(1042, 5), r#"pg_catalog."bpchar"(1)"#);
    assert_eq!(declared(1560, 1), r#"pg_catalog."bit"(1)"#);
    assert_eq!(declared(1114, 3), r#"pg_catalog."timestamp"(3)"#);
    assert_eq!(
        declared(1186, 0x7FFF << 16 | 3),
        r#"pg_catalog."interval"(32767, 3)"#
    );
    assert_eq!(
        declared(1186, 4 << 16 | 0xFFFF),
        r#"pg_catalog."interval"(4)"#
    );
    assert_eq!(declared(25, -1), r#"pg_catalog."text""#);
}

#[test]
fn streamed_statements_carry_many_rows_and_are_plain() {
    let orders = orders();
    let all = [
        Postgres.statement(&orders, &Shape::Insert),
        Postgres.statement(&orders, &Shape::Update([1, 3].into())),
        Postgres.statement(&orders, &Shape::Update([].into())),
        Postgres.statement(&orders, &Shape::Delete),
        Postgres.statement(&orders, &Shape::Truncate),
    ];
    assert_eq!(
        all,
        [
            r#"INSERT INTO "public"."orders" ("id", "total", "note", "paid") OVERRIDING SYSTEM VALUE SELECT v.c1, v.c2::pg_catalog."numeric", v.c3::pg_catalog."text", v.c4 FROM unnest($1::pg_catalog."int8"[], $2::pg_catalog."text"[], $3::pg_catalog."text"[], $4::pg_catalog."bool"[]) AS v(c1, c2, c3, c4)"#,
            r#"UPDATE "public"."orders" AS t SET "total" = v.c1::pg_catalog."numeric", "paid" = v.c2 FROM unnest($1::pg_catalog."text"[], $2::pg_catalog."bool"[], $3::pg_catalog."int8"[]) AS v(c1, c2, c3) WHERE t."id" = (v.c3)"#,
            r#"UPDATE "public"."orders" AS t SET "id" = t."id" FROM unnest($1::pg_catalog."int8"[]) AS v(c1) WHERE t."id" = (v.c1)"#,
            r#"DELETE FROM "public"."orders" AS t USING unnest($1::pg_catalog."int8"[]) AS v(c1) WHERE t."id" = (v.c1)"#,
            r#"DELETE FROM "public"."orders""#,
        ]
    );
    // An upsert would hide a row that is applied twice.
    assert!(
        all.iter()
            .all(|sql| !sql.contains("CONFLICT") && !sql.contains("MERGE"))
    );
}

#[test]
fn without_a_unique_index_it_is_told_which_rows_met_one() {
    let target = Target {
        unique: false,
        ..Target::made(&orders())
    };
    assert!(target.counts(&Shape::Delete) && !target.counts(&Shape::Insert));
    let [update, delete] =
        [Shape::Update([3].into()), Shape::Delete].map(|shape| target.statement(&shape));
    assert_eq!(
        update,
        r#"WITH done AS (UPDATE "public"."orders" AS t SET "paid" = v.c1 FROM unnest($1::pg_catalog."bool"[], $2::pg_catalog."int8"[]) WITH ORDINALITY AS v(c1, c2, n) WHERE t."id" = (v.c2) RETURNING v.n) SELECT pg_catalog.count(*), pg_catalog.count(DISTINCT n) FROM done"#
    );
    assert_eq!(
        delete,
        r#"WITH done AS (DELETE FROM "public"."orders" AS t USING unnest($1::pg_catalog."int8"[]) WITH ORDINALITY AS v(c1, n) WHERE t."id" = (v.c1) RETURNING v.n) SELECT pg_catalog.count(*), pg_catalog.count(DISTINCT n) FROM done"#
    );
}

#[test]
fn keys_of_text_are_compared_as_their_index_compares() {
    let t = table("public", "t", &[("k", 25), ("v", 23)], &[0]);
    let sql = Postgres.statement(&t, &Shape::Delete);
    let matching = r#"WHERE t."k" = (v.c1::pg_catalog."text") COLLATE pg_catalog."C""#;
    assert!(sql.contains(matching), "{sql}");
}

#[test]
fn a_row_without_a_key_is_one_row_found_by_its_place() {
    assert_eq!(
        Postgres.statement(&log(), &Shape::Delete),
        r#"WITH done AS (DELETE FROM "audit"."Log" AS t WHERE (t.tableoid, t.ctid) = (SELECT s.tableoid, s.ctid FROM "audit"."Log" AS s WHERE (s."at" IS NOT DISTINCT FROM (($1::pg_catalog."text"[])[1]::pg_catalog."timestamptz")) AND (s."what" COLLATE pg_catalog."C" IS NOT DISTINCT FROM (($2::pg_catalog."text"[])[1]::pg_catalog."text") COLLATE pg_catalog."C") AND ((s."how")::pg_catalog."text" COLLATE pg_catalog."C" IS NOT DISTINCT FROM (($3::pg_catalog."text"[])[1]::pg_catalog."json")::pg_catalog."text" COLLATE pg_catalog."C") LIMIT 1) RETURNING 1 AS n) SELECT pg_catalog.count(*), pg_catalog.count(DISTINCT n) FROM done"#
    );
    let sql = Postgres.statement(&log(), &Shape::Update([1].into()));
    assert!(
        sql.starts_with(r#"WITH done AS (UPDATE "audit"."Log" AS t SET "what" = ($1::pg_catalog."text"[])[1]::pg_catalog."text" WHERE (t.tableoid, t.ctid) = "#),
        "{sql}"
    );
    assert!(
        sql.contains(r#"($2::pg_catalog."text"[])[1]::pg_catalog."timestamptz""#),
        "{sql}"
    );
}

#[test]
fn a_name_is_read_as_it_was_written() {
    for (schema, name, written) in [
        ("public", "orders", "public.orders"),
        ("Odd Schema", "x.y", r#""Odd Schema"."x.y""#),
        ("s", r#"a"b"#, r#"s."a""b""#),
        ("s", "2nd", r#"s."2nd""#),
        ("ünï", "_x1", r#""ünï"._x1"#),
    ] {
        let table = table(schema, name, &[("id", 23)], &[0]);
        assert_eq!(table.destination, written);
        assert_eq!(parts(written), (schema.to_owned(), name.to_owned()));
    }
    assert_eq!(parts("orders"), ("public".to_owned(), "orders".to_owned()));
}

#[test]
fn what_cannot_be_at_the_destination_is_refused_by_name() {
    let mut other = orders();
    other.name = "_replicator_position".to_owned();
    assert!(refusal(&[other]).contains("table public._replicator_position: names that begin with"));
    let mut other = orders();
    other.columns[1].name = "ä".repeat(32);
    assert!(refusal(&[other]).contains("has 64 bytes"));
    assert!(refusal(&[orders(), orders()]).contains("would both be public.orders"));
    let mut other = orders();
    other.schema = "pg_temp".to_owned();
    assert!(refusal(&[other]).contains("the server's own"));
}

#[test]
fn an_older_server_keeps_as_text_what_it_does_not_read() {
    let of = |oid: u32| Column::new("c", Oid(oid), -1, Oid(oid));
    for (oid, before, since) in [
        (1186, "text", "interval"),
        (1187, "text", "interval"),
        (4072, "text", "jsonpath"),
        (1184, "timestamptz", "timestamptz"),
    ] {
        assert_eq!(BuiltIn::held_whole(&of(oid), 16).name, before);
        assert_eq!(BuiltIn::held_whole(&of(oid), 17).name, since);
    }
    let whole = |column: &Column| BuiltIn::held_whole(column, 14);
    let made = create_table(&table("s", "t", &[("a", 1186)], &[0]), whole);
    assert_eq!(
        made,
        r#"CREATE TABLE "s"."t" ("a" pg_catalog."text" COLLATE pg_catalog."C" NOT NULL, PRIMARY KEY ("a"))"#
    );
}

#[test]
fn a_column_is_added_with_what_rows_hold_and_keeps_no_default() {
    let (table, words) = (orders(), Altering(BuiltIn::held));
    assert_eq!(
        words.add(&table, 3),
        r#"ALTER TABLE "public"."orders" ADD COLUMN "paid" pg_catalog."bool""#
    );
    assert_eq!(
        words.add_with(&table, 2, r"it's \ so"),
        r#"ALTER TABLE "public"."orders" ADD COLUMN "note" pg_catalog."text" DEFAULT ( E'it''s \\ so'::pg_catalog."text"); ALTER TABLE "public"."orders" ALTER COLUMN "note" DROP DEFAULT"#
    );
    assert_eq!(
        words.fill(&table, 1, Some("1.50")),
        r#"UPDATE "public"."orders" SET "total" = '1.50'"#
    );
    assert_eq!(
        words.fill(&table, 1, None),
        r#"UPDATE "public"."orders" SET "total" = NULL WHERE "total" IS DISTINCT FROM NULL"#
    );
    assert_eq!(
        words.retype(&table, 1).unwrap(),
        r#"ALTER TABLE "public"."orders" ALTER COLUMN "total" TYPE pg_catalog."numeric" USING "total"::pg_catalog."numeric""#
    );
}
