//! Values and names: what goes in comes back.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use replicator::Kind;

use super::*;

pub(crate) async fn special_values_come_back_as_they_were<G: Ground>(ground: &G) {
    let kinds = [
        (
            Kind::Float4,
            700,
            &[
                "NaN",
                "-0",
                "Infinity",
                "-Infinity",
                "0",
                "0.1",
                "3.4028235e+38",
                "1e-45",
            ][..],
        ),
        (
            Kind::Float8,
            701,
            &[
                "NaN",
                "-0",
                "Infinity",
                "-Infinity",
                "0",
                "5e-324",
                "1e+15",
                "100000000000000",
                "0.30000000000000004",
            ],
        ),
        (
            Kind::Int8,
            20,
            &["-9223372036854775808", "9223372036854775807", "0"],
        ),
        (Kind::Oid, 26, &["4294967295"]),
        (Kind::Bool, 16, &["t", "f"]),
        (Kind::Bytea, 17, &["\\x", "\\x00", "\\x0000ff00"]),
        (
            Kind::Text,
            25,
            &[
                "",
                "t",
                "f",
                "\\N",
                "'",
                "\\",
                "\r\n",
                "\u{10FFFF}",
                "1.50",
                "007",
                "1e5",
                "-0",
                "NaN",
                "infinity",
                "0044-03-15 BC",
                " x ",
                "\\x00",
            ],
        ),
        (
            Kind::Text,
            1700,
            &[
                "1.00",
                "NaN",
                "Infinity",
                "0.0000000000000000000000001",
                "99999999999999999999999999999999999999",
            ],
        ),
    ];
    for (kind, oid, texts) in kinds {
        // As a column, and as a key where the server's own ideas about equality come in.
        let name = |what: &str| format!("{what}_{oid}");
        let value = named(1, &name("value"), &[("n", INT), ("v", oid)], &[0]);
        let key = named(2, &name("key"), &[("v", oid)], &[0]);
        let all = named(3, &name("all"), &[("v", oid)], &[]);
        let (mut destination, row) = streaming(ground, &[&value, &key, &all]).await;
        let is_number = matches!(kind, Kind::Float4 | Kind::Float8);
        let fits = |text: &&&str| G::TWO_ZEROS || !is_number || **text != "0";
        let texts: Vec<&str> = texts.iter().filter(fits).copied().collect();
        let values: Vec<Value> = texts
            .iter()
            .map(|text| Value::from_text(kind, text.as_bytes()).unwrap())
            .collect();
        let mut batch = Vec::new();
        for (at, sent) in values.iter().enumerate() {
            batch.push(insert(&value, &[int(at as i64), Value::Null]));
            batch.push(update(&value, &[(1, sent.clone())], &[int(at as i64)]));
            batch.push(insert(&key, std::slice::from_ref(sent)));
            batch.push(update(&key, &[], std::slice::from_ref(sent)));
            batch.push(insert(&all, std::slice::from_ref(sent)));
            batch.push(update(
                &all,
                &[(0, sent.clone())],
                std::slice::from_ref(sent),
            ));
        }
        apply(&mut destination, &row, 200, batch).await.unwrap();
        let back = |rows: Vec<Vec<Value>>| -> Vec<String> {
            let mut texts: Vec<_> = rows
                .iter()
                .map(|row| row.last().unwrap().to_text(kind).unwrap().unwrap())
                .collect();
            texts.sort();
            texts
        };
        let mut sorted: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        sorted.sort();
        for table in [&value, &key, &all] {
            assert_eq!(
                back(everything(&mut destination, table).await),
                sorted,
                "{kind:?} in {}",
                table.name
            );
        }
        destination.forget("s").await.unwrap();
    }
}

pub(crate) async fn any_row_comes_back_to_the_bit<G: Ground>(ground: &G) {
    let mut runner = TestRunner::default();
    for case in 0..24 {
        let row = proptest::collection::vec(any_value(), 1..40);
        let row = row.new_tree(&mut runner).unwrap().current();
        let names: Vec<String> = (0..row.len()).map(|at| format!("c{at}")).collect();
        let columns: Vec<(&str, u32)> = names
            .iter()
            .zip(&row)
            .map(|(name, (kind, _))| (name.as_str(), oid_of(*kind)))
            .collect();
        let table = named(1, &format!("t{case}"), &columns, &[]);
        println!("{row:?}");
        let (mut destination, position) = streaming(ground, &[&table]).await;
        let values: Vec<Value> = row.into_iter().map(|(_, value)| value).collect();
        let nulls = vec![Value::Null; values.len()];
        let set: Vec<_> = values.iter().cloned().enumerate().collect();
        let batch = vec![
            insert(&table, &values),
            insert(&table, &nulls),
            delete(&table, &values),
            update(&table, &set, &nulls),
        ];
        // A row of NULLs only is both rows.
        if values != nulls {
            let done = apply(&mut destination, &position, 200, batch).await;
            done.unwrap();
            assert_eq!(everything(&mut destination, &table).await, [values]);
        }
        destination.forget("s").await.unwrap();
    }
}

pub(crate) async fn any_row_that_is_copied_comes_back_to_the_bit<G: Ground>(ground: &G) {
    let mut runner = TestRunner::default();
    for case in 0..24 {
        let rows = proptest::collection::vec(any_value(), 1..40);
        let row = rows.new_tree(&mut runner).unwrap().current();
        let names: Vec<String> = (0..row.len()).map(|at| format!("c{at}")).collect();
        let columns: Vec<(&str, u32)> = names
            .iter()
            .zip(&row)
            .map(|(name, (kind, _))| (name.as_str(), oid_of(*kind)))
            .collect();
        let table = named(1, &format!("t{case}"), &columns, &[]);
        println!("{row:?}");
        let (mut destination, position) = streaming(ground, &[&table]).await;
        let begun = destination.begin_copy(&position, &table, Lsn(100)).await;
        begun.unwrap();
        let fields: Vec<String> = row
            .iter()
            .map(|(kind, value)| field(*kind, value))
            .collect();
        let copied = chunk(&table, 1, 1, &[&fields.join("\t")]);
        destination.copy(&position, copied).await.unwrap();
        let values: Vec<Value> = row.into_iter().map(|(_, value)| value).collect();
        assert_eq!(everything(&mut destination, &table).await, [values]);
        destination.forget("s").await.unwrap();
    }
}

/// As COPY prints a value.
fn field(kind: Kind, value: &Value) -> String {
    let Some(text) = value.to_text(kind).unwrap() else {
        return "\\N".to_owned();
    };
    let escaped = text.chars().map(|letter| match letter {
        '\\' => "\\\\".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        other => other.to_string(),
    });
    escaped.collect()
}

fn any_value() -> impl Strategy<Value = (Kind, Value)> {
    let from =
        |kind: Kind| move |text: String| (kind, Value::from_text(kind, text.as_bytes()).unwrap());
    prop_oneof![
        any::<bool>()
            .prop_map(|b| if b { "t" } else { "f" }.to_owned())
            .prop_map(from(Kind::Bool)),
        any::<i16>()
            .prop_map(|n| n.to_string())
            .prop_map(from(Kind::Int2)),
        any::<i32>()
            .prop_map(|n| n.to_string())
            .prop_map(from(Kind::Int4)),
        any::<i64>()
            .prop_map(|n| n.to_string())
            .prop_map(from(Kind::Int8)),
        any::<u32>()
            .prop_map(|n| n.to_string())
            .prop_map(from(Kind::Oid)),
        // Of others PostgreSQL and Rust print different shortest texts.
        any::<i16>()
            .prop_map(|n| format!("{:e}", f32::from(n) / 4.0))
            .prop_map(from(Kind::Float4)),
        any::<u64>()
            .prop_filter("a number", |bits| f64::from_bits(*bits).is_finite()
                && *bits != 1 << 63)
            .prop_map(|bits| format!("{:e}", f64::from_bits(bits)))
            .prop_map(from(Kind::Float8)),
        any::<Vec<u8>>().prop_map(|bytes| (Kind::Bytea, Value::Blob(bytes))),
        "[^\0]*".prop_map(from(Kind::Text)),
        "[\\\\\\x08-\\x0DN'0Z]{0,12}".prop_map(from(Kind::Text)),
        "-?[0-9]{1,30}(\\.[0-9]{1,20})?".prop_map(from(Kind::Text)),
        Just((Kind::Text, Value::Null)),
    ]
}

const fn oid_of(kind: Kind) -> u32 {
    match kind {
        Kind::Bool => 16,
        Kind::Int2 => 21,
        Kind::Int4 => 23,
        Kind::Int8 => 20,
        Kind::Oid => 26,
        Kind::Float4 => 700,
        Kind::Float8 => 701,
        Kind::Bytea => 17,
        Kind::Text => TEXT,
    }
}

pub(crate) async fn as_many_columns_as_there_may_be_are_no_deeper_than_one<G: Ground>(ground: &G) {
    let names: Vec<String> = (0..G::COLUMNS).map(|at| format!("c{at}")).collect();
    let columns: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), TEXT)).collect();
    let wide = named(1, "wide", &columns, &[]);
    let (mut destination, row) = streaming(ground, &[&wide]).await;
    let old: Vec<Value> = (0..G::COLUMNS)
        .map(|at| if at % 3 == 0 { Value::Null } else { text("x") })
        .collect();
    let new: Vec<Value> = (0..G::COLUMNS)
        .map(|at| if at % 5 == 0 { Value::Null } else { text("y") })
        .collect();
    let set: Vec<_> = new.iter().cloned().enumerate().collect();
    let batch = vec![
        insert(&wide, &old),
        insert(&wide, &old),
        update(&wide, &set, &old),
        delete(&wide, &old),
    ];
    apply(&mut destination, &row, 0x110, batch).await.unwrap();
    assert_eq!(everything(&mut destination, &wide).await, [new]);
}

pub(crate) async fn hostile_names_are_only_names<G: Ground>(ground: &G) {
    let hostile = [
        "x\"; DROP TABLE y; --",
        "select",
        "a.b",
        "two words",
        "'",
        "`[]",
        "日本",
        "-- x",
        "?1",
        ":a",
        "\u{10FFFF}",
        "\\",
        "%s",
    ];
    let fits = |name: &&&str| ground.takes(name);
    let tables: Vec<_> = hostile
        .iter()
        .filter(fits)
        .zip(1..)
        .map(|(name, oid)| named(oid, name, &[(*name, INT), ("abc", TEXT)], &[0]))
        .collect();
    let (mut destination, row) = streaming(ground, &tables.iter().collect::<Vec<_>>()).await;
    let mut row = row;
    for table in &tables {
        let batch = vec![
            insert(table, &[int(1), text("'; DROP TABLE y; --")]),
            insert(table, &[int(2), text("b")]),
            update(table, &[(1, text("c"))], &[int(1)]),
            delete(table, &[int(2)]),
        ];
        row = apply(&mut destination, &row, row.lsn.0 + 1, batch)
            .await
            .unwrap();
        assert_eq!(
            everything(&mut destination, table).await,
            [[int(1), text("c")]]
        );
    }
    let ledger = destination.tables("s").await.unwrap();
    assert!(
        tables
            .iter()
            .all(|table| ledger.iter().any(|row| row.table == **table))
    );
}
