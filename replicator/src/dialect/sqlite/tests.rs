use super::*;
use crate::table::Column;
use walproto::Oid;

fn table(schema: &str, name: &str, columns: &[(&str, u32)], key: &[usize]) -> Table {
    let mut table = Table {
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
    };
    table.destination = super::name(schema, name);
    table
}

fn orders() -> Table {
    table(
        "public",
        "orders",
        &[
            ("id", 20),
            ("total", 1700),
            ("weight", 701),
            ("raw", 17),
            ("paid", 16),
        ],
        &[0],
    )
}

fn log() -> Table {
    table("audit", "log", &[("at", 1184), ("what", 25)], &[])
}

/// The refusal of these tables together.
fn refusal(tables: &[Table]) -> String {
    let mut tables = tables.to_vec();
    let error = Sqlite.name_tables(&Names::new(), &mut tables).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn a_table_has_its_columns_and_its_key_and_nothing_else() {
    assert_eq!(
        Sqlite.create_table(&orders()),
        r#"CREATE TABLE "orders" ("id" INTEGER NOT NULL, "total" TEXT, "weight", "raw" BLOB, "paid" INTEGER, PRIMARY KEY ("id"))"#
    );
    assert_eq!(
        Sqlite.create_table(&log()),
        r#"CREATE TABLE "audit__log" ("at" TEXT, "what" TEXT)"#
    );
    assert_eq!(
        Sqlite.create_table(&table("public", "t", &[("a", 25), ("b", 23)], &[1, 0])),
        r#"CREATE TABLE "t" ("a" TEXT NOT NULL, "b" INTEGER NOT NULL, PRIMARY KEY ("b", "a"))"#
    );
}

#[test]
fn streamed_statements_are_plain() {
    let orders = orders();
    let all = [
        Sqlite.statement(&orders, &Shape::Insert),
        Sqlite.statement(&orders, &Shape::Update([1, 4].into())),
        Sqlite.statement(&orders, &Shape::Update([].into())),
        Sqlite.statement(&orders, &Shape::Delete),
        Sqlite.statement(&orders, &Shape::Truncate),
    ];
    assert_eq!(
        all,
        [
            r#"INSERT INTO "orders" ("id", "total", "weight", "raw", "paid") VALUES (?, ?, ?, ?, ?)"#,
            r#"UPDATE "orders" SET "total" = ?, "paid" = ? WHERE "id" = ?"#,
            r#"UPDATE "orders" SET "id" = "id" WHERE "id" = ?"#,
            r#"DELETE FROM "orders" WHERE "id" = ?"#,
            r#"DELETE FROM "orders""#,
        ]
    );
    // An upsert would hide a row that is applied twice.
    for sql in all {
        assert!(
            !sql.contains(" OR ") && !sql.contains("CONFLICT") && !sql.contains("REPLACE"),
            "{sql}"
        );
    }
}

#[test]
fn a_row_without_a_key_is_one_row() {
    let log = log();
    assert_eq!(
        Sqlite.statement(&log, &Shape::Delete),
        r#"DELETE FROM "audit__log" WHERE rowid = (SELECT rowid FROM "audit__log" WHERE ("at", "what") IS (?, ?) LIMIT 1)"#
    );
    assert_eq!(
        Sqlite.statement(&log, &Shape::Update([1].into())),
        r#"UPDATE "audit__log" SET "what" = ? WHERE rowid = (SELECT rowid FROM "audit__log" WHERE ("at", "what") IS (?, ?) LIMIT 1)"#
    );
}

#[test]
fn the_row_number_is_called_by_a_name_that_no_column_has() {
    let hiding = |names: &[&str]| {
        let columns: Vec<_> = names.iter().map(|name| (*name, 25)).collect();
        table("public", "t", &columns, &[])
    };
    assert_eq!(rowid(&hiding(&["a"])), Some("rowid"));
    assert_eq!(rowid(&hiding(&["RowId"])), Some("_rowid_"));
    assert_eq!(rowid(&hiding(&["rowid", "_ROWID_"])), Some("oid"));
    let all = hiding(&["rowid", "_rowid_", "oid"]);
    assert!(refusal(&[all]).starts_with("table public.t has no key, and columns named rowid"));
}

#[test]
fn hostile_names_stay_names() {
    for (name, quoted) in [
        (r#"x"; DROP TABLE y; --"#, r#""x""; DROP TABLE y; --""#),
        ("select", r#""select""#),
        ("a.b", r#""a.b""#),
        ("two words", r#""two words""#),
        ("'", r#""'""#),
        ("`[]\\", "\"`[]\\\""),
        ("日本\u{10FFFF}", "\"日本\u{10FFFF}\""),
        ("\n", "\"\n\""),
    ] {
        let mut out = String::new();
        Sqlite.identifier(&mut out, name);
        assert_eq!(out, quoted);
    }
}

#[test]
fn other_schemas_become_a_prefix() {
    let mut tables = [
        table("public", "a", &[("x", 25)], &[]),
        table("s", "a", &[("x", 25)], &[]),
    ];
    Sqlite.name_tables(&Names::new(), &mut tables).unwrap();
    assert_eq!(tables.map(|table| table.destination), ["a", "s__a"]);
}

#[test]
fn the_users_names_come_first_and_may_meet_no_other() {
    let t = |schema, name| table(schema, name, &[("x", 25)], &[]);
    let mut tables = [t("public", "a"), t("s", "a"), t("s", "b")];
    let names = Names::new()
        .schema("s", "public")
        .table("s.a".parse().unwrap(), "x.y".parse().unwrap());
    Sqlite.name_tables(&names, &mut tables).unwrap();
    let named = tables.clone().map(|table| table.destination);
    assert_eq!(named, ["a", "x__y", "b"]);

    let refusal = |names: Names| {
        let error = Sqlite.name_tables(&names, &mut tables.clone()).unwrap_err();
        assert!(error.hint().unwrap().contains("--map-table"));
        error.to_string()
    };
    let message = refusal(Names::new().schema("s", "public"));
    assert!(message.contains("public.a and s.a"), "{message}");
    let ours = "_replicator_tables".parse().unwrap();
    let message = refusal(Names::new().table("a".parse().unwrap(), ours));
    assert!(message.contains("reserved"), "{message}");
}

#[test]
fn two_tables_on_one_name_are_refused_by_name() {
    let t = |schema, name| table(schema, name, &[("x", 25)], &[]);
    for (one, other, both) in [
        (t("public", "s__a"), t("s", "a"), "public.s__a and s.a"),
        (t("public", "A"), t("public", "a"), "public.A and public.a"),
        (t("a__b", "c"), t("a", "b__c"), "a__b.c and a.b__c"),
    ] {
        let message = refusal(&[one, other]);
        assert!(message.contains(both), "{message}");
    }
}

#[test]
fn tables_that_sqlite_cannot_hold_are_refused_by_name() {
    let x: &[(&str, u32)] = &[("x", 25)];
    let wide: Vec<(String, u32)> = (0..2001).map(|at| (format!("c{at}"), 25)).collect();
    let wide: Vec<(&str, u32)> = wide
        .iter()
        .map(|(name, oid)| (name.as_str(), *oid))
        .collect();
    for (table, says) in [
        (table("public", "_replicator_position", x, &[]), "reserved"),
        (table("public", "_Replicator_x", x, &[]), "reserved"),
        (table("public", "SQLite_x", x, &[]), "reserved"),
        (table("public", "empty", &[], &[]), "no column"),
        (
            table("public", "twice", &[("a", 25), ("A", 25)], &[]),
            "columns \"a\" and \"A\"",
        ),
        (table("public", "wide", &wide, &[]), "2001 columns"),
    ] {
        let message = refusal(std::slice::from_ref(&table));
        assert!(
            message.contains(&table.to_string()) && message.contains(says),
            "{message}"
        );
    }
}

#[test]
fn only_columns_that_give_back_what_they_get_are_taken_over() {
    for (kind, declared, fine) in [
        (Kind::Int8, "INTEGER", true),
        (Kind::Int8, "bigint", true),
        (Kind::Int8, "", true),
        (Kind::Int8, "NUMERIC", true),
        (Kind::Int8, "REAL", false),
        (Kind::Int8, "TEXT", false),
        (Kind::Bool, "boolean", true),
        (Kind::Float8, "", true),
        (Kind::Float8, "REAL", false),
        (Kind::Float8, "double precision", false),
        (Kind::Text, "TEXT", true),
        (Kind::Text, "varchar(10)", true),
        (Kind::Text, "BLOB", true),
        (Kind::Text, "NUMERIC", false),
        (Kind::Text, "timestamp", false),
        (Kind::Text, "INTEGER", false),
        (Kind::Bytea, "BLOB", true),
        (Kind::Bytea, "TEXT", true),
    ] {
        assert_eq!(
            keeps(kind, declared, false),
            fine,
            "{kind:?} in a column of type {declared:?}"
        );
    }
}

#[test]
fn a_strict_table_refuses_what_its_types_are_not() {
    for (kind, declared, fine) in [
        (Kind::Int8, "INT", true),
        (Kind::Bool, "INTEGER", true),
        (Kind::Int8, "REAL", false),
        (Kind::Int8, "BLOB", false),
        (Kind::Float8, "REAL", false),
        (Kind::Float8, "ANY", true),
        (Kind::Text, "TEXT", true),
        (Kind::Text, "ANY", true),
        (Kind::Text, "BLOB", false),
        (Kind::Bytea, "BLOB", true),
        (Kind::Bytea, "ANY", true),
        (Kind::Bytea, "TEXT", false),
    ] {
        assert_eq!(
            keeps(kind, declared, true),
            fine,
            "{kind:?} into {declared}"
        );
    }
    // Outside of such tables the word means a number.
    assert!(!keeps(Kind::Text, "ANY", false));
}

#[test]
fn a_column_is_added_and_filled() {
    let table = orders();
    let added: Vec<String> = (1..4).map(|at| Sqlite.add(&table, at)).collect();
    assert_eq!(
        added,
        [
            r#"ALTER TABLE "orders" ADD COLUMN "total" TEXT"#,
            r#"ALTER TABLE "orders" ADD COLUMN "weight""#,
            r#"ALTER TABLE "orders" ADD COLUMN "raw" BLOB"#,
        ]
    );
    assert_eq!(
        Sqlite.fill(&table, 1),
        r#"UPDATE "orders" SET "total" = ? WHERE "total" IS NOT ?"#
    );
    assert_eq!(Sqlite.retype(&table, 1), None);
}
