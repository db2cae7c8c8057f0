use walproto::Oid;

use super::*;

/// A column of a built-in type.
fn column(oid: u32, typmod: i32) -> Column {
    Column::new("c", Oid(oid), typmod, Oid(oid))
}

fn table(columns: Vec<Column>, key: &[usize]) -> Table {
    Table {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "t".to_owned(),
        columns,
        key: key.to_vec(),
        identity: 'd',
        relfilenode: 1,
    }
}

/// Types without the part that is the same for all texts.
fn declared(columns: Vec<Column>, key: &[usize]) -> Vec<String> {
    const TEXT: &str = " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
    let all = Held::all(&table(columns, key), OnMisfit::Fail).unwrap();
    let sql = all
        .iter()
        .map(|held| held.sql(Flavour::MariaDb).replace(TEXT, ""));
    sql.collect()
}

/// `numeric(precision, scale)` as its modifier.
fn numeric(precision: i32, scale: i32) -> i32 {
    (precision << 16 | scale & 0x7FF) + 4
}

fn fitted(oid: u32, typmod: i32, on_misfit: OnMisfit, text: &str) -> Result<Value, Misfit> {
    let column = column(oid, typmod);
    let value = Value::from_text(column.kind, text.as_bytes()).unwrap();
    Held::of(&column, on_misfit)
        .value(&value)
        .map(Cow::into_owned)
}

#[test]
fn a_numeric_is_a_decimal_where_one_is_large_enough() {
    for (typmod, sql) in [
        (numeric(10, 2), "DECIMAL(10, 2)"),
        (numeric(65, 30), "DECIMAL(65, 30)"),
        (numeric(66, 30), "VARCHAR(99)"),
        (numeric(65, 31), "VARCHAR(99)"),
        (numeric(2, -3), "DECIMAL(5, 0)"),
        (numeric(2, 5), "DECIMAL(5, 5)"),
        (numeric(1000, 0), "VARCHAR(1003)"),
        (-1, "LONGTEXT"),
    ] {
        assert_eq!(declared(vec![column(1700, typmod)], &[]), [sql], "{typmod}");
    }
    let domain = Column::new("c", Oid(70_000), numeric(3, 1), Oid(1700));
    assert_eq!(
        declared(vec![domain], &[]),
        ["LONGTEXT"],
        "the modifier is not the base type's"
    );
}

#[test]
fn digits_of_a_second_are_those_of_the_source() {
    for (oid, typmod, sql) in [
        (1083, -1, "TIME(6)"),
        (1083, 0, "TIME(0)"),
        (1114, 3, "DATETIME(3)"),
        (1184, -1, "DATETIME(6)"),
    ] {
        assert_eq!(declared(vec![column(oid, typmod)], &[]), [sql]);
    }
}

#[test]
fn a_key_of_text_takes_what_its_other_columns_leave() {
    let (text, bytea, bigint, uuid) = (
        column(25, -1),
        column(17, -1),
        column(20, -1),
        column(2950, -1),
    );
    let varchar = |length: i32| column(1043, length + 4);
    for (columns, key, sql) in [
        (vec![text.clone()], vec![0], vec!["VARCHAR(768)"]),
        (vec![bytea.clone()], vec![0], vec!["VARBINARY(3072)"]),
        (
            vec![text.clone(), bigint.clone()],
            vec![1, 0],
            vec!["VARCHAR(766)", "BIGINT"],
        ),
        (
            vec![text.clone(), bigint],
            vec![1],
            vec!["LONGTEXT", "BIGINT"],
        ),
        (
            vec![text.clone(), bytea],
            vec![0, 1],
            vec!["VARCHAR(384)", "VARBINARY(1536)"],
        ),
        (
            vec![uuid, text.clone()],
            vec![0, 1],
            vec!["VARCHAR(36)", "VARCHAR(732)"],
        ),
        (
            vec![varchar(50), text],
            vec![0, 1],
            vec!["VARCHAR(50)", "VARCHAR(718)"],
        ),
        (vec![varchar(700)], vec![0], vec!["VARCHAR(700)"]),
        (vec![varchar(1000)], vec![0], vec!["VARCHAR(768)"]),
        (
            vec![varchar(1000), varchar(20)],
            vec![0],
            vec!["VARCHAR(768)", "VARCHAR(20)"],
        ),
    ] {
        assert_eq!(declared(columns, &key), sql);
    }
}

#[test]
fn a_key_that_is_too_long_is_refused_before_any_data_moves() {
    let columns: Vec<Column> = (0..9).map(|_| column(1043, 100 + 4)).collect();
    let key: Vec<usize> = (0..9).collect();
    let error = Held::all(&table(columns, &key), OnMisfit::Fail).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("3072 bytes"), "{error}");
}

#[test]
fn short_texts_are_long_ones_where_a_row_has_no_room() {
    let columns = |count| vec![column(1043, 60 + 4); count];
    assert_eq!(declared(columns(33), &[]), vec!["VARCHAR(60)"; 33]);
    let mut many = declared(columns(34), &[0]);
    assert_eq!(many.remove(0), "VARCHAR(60)");
    assert_eq!(many, vec!["LONGTEXT"; 33]);
    let long = vec![column(1043, 2000 + 4); 8];
    assert_eq!(declared(long, &[]), vec!["LONGTEXT"; 8]);
}

#[test]
fn what_the_server_calls_by_another_name_is_named_so() {
    let held = Held::of(&column(25, -1), OnMisfit::Fail);
    let sql = |flavour| held.sql(flavour);
    assert_eq!(
        sql(Flavour::MySql),
        "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"
    );
    assert_eq!(
        sql(Flavour::MariaDb),
        "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    );
}

#[test]
fn what_a_column_cannot_hold_is_a_misfit_with_its_nearest() {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    for (oid, typmod, value, nearest) in [
        (1082, -1, "infinity", text("9999-12-31")),
        (1082, -1, "-infinity", text("0001-01-01")),
        (1082, -1, "0044-03-15 BC", text("0001-01-01")),
        (1082, -1, "10000-01-01", text("9999-12-31")),
        (
            1114,
            -1,
            "294276-12-31 23:59:59.999999",
            text("9999-12-31 23:59:59.999999"),
        ),
        (1114, 3, "infinity", text("9999-12-31 23:59:59.999")),
        (1114, 0, "infinity", text("9999-12-31 23:59:59")),
        (1184, -1, "infinity", text("9999-12-31 23:59:59.999999")),
        (
            1184,
            -1,
            "0001-12-31 23:59:59+00 BC",
            text("0001-01-01 00:00:00"),
        ),
        (701, -1, "Infinity", Some(Value::Real(f64::MAX))),
        (700, -1, "-Infinity", Some(Value::Real(f64::MIN))),
        (701, -1, "NaN", None),
        (1700, numeric(10, 2), "NaN", None),
    ] {
        let misfit = fitted(oid, typmod, OnMisfit::Clamp, value).unwrap_err();
        assert_eq!(misfit.nearest(), nearest.as_ref(), "{value}: {misfit}");
        let kept = fitted(oid, typmod, OnMisfit::Text, value);
        assert_eq!(kept, Ok(Value::Text(value.to_owned())));
    }
}

#[test]
fn values_that_fit_go_as_the_server_takes_them() {
    for (oid, text, sent) in [
        (1184, "2024-02-29 12:00:00.5+00", "2024-02-29 12:00:00.5"),
        (1184, "0001-01-01 00:00:00+00", "0001-01-01 00:00:00"),
        (
            1114,
            "9999-12-31 23:59:59.999999",
            "9999-12-31 23:59:59.999999",
        ),
        (1082, "0004-02-29", "0004-02-29"),
        (1083, "24:00:00", "24:00:00"),
        (1186, "infinity", "infinity"),
        (114, r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
    ] {
        let sent = Value::Text(sent.to_owned());
        assert_eq!(fitted(oid, -1, OnMisfit::Fail, text), Ok(sent));
    }
    let negative = fitted(701, -1, OnMisfit::Fail, "-0").unwrap();
    assert!(matches!(negative, Value::Real(zero) if zero.is_sign_negative()));
    let other = Held::of(&column(701, -1), OnMisfit::Fail).without_signed_zero();
    let misfit = other.value(&Value::Text("-0".to_owned())).unwrap_err();
    assert!(
        matches!(misfit.nearest(), Some(Value::Real(zero)) if zero.is_sign_positive() && *zero == 0.0)
    );
    assert!(other.value(&Value::Real(0.0)).is_ok());
    // A text column holds numbers as PostgreSQL prints them.
    for (text, oid) in [("1e+20", 701), ("0.1", 700), ("-0", 701), ("NaN", 701)] {
        let sent = Value::Text(text.to_owned());
        assert_eq!(fitted(oid, -1, OnMisfit::Text, text), Ok(sent));
    }
}

#[test]
fn characters_are_counted_and_not_bytes() {
    let four = "\u{10FFFF}".repeat(4);
    assert!(fitted(1043, 4 + 4, OnMisfit::Fail, &four).is_ok());
    let misfit = fitted(1043, 3 + 4, OnMisfit::Fail, &four).unwrap_err();
    assert_eq!(
        misfit.to_string(),
        "4 characters long, and the column holds 3"
    );
    assert_eq!(misfit.nearest(), None);
}

#[test]
fn what_the_server_prints_is_postgresqls_text_again() {
    for (oid, server, text) in [
        (16, "1", "t"),
        (16, "0", "f"),
        (20, "-9223372036854775808", "-9223372036854775808"),
        (701, "-0", "-0"),
        (701, "1e23", "9.999999999999999e+22"),
        (701, "9.007199254740992e15", "9.007199254740992e+15"),
        (700, "0.1", "0.1"),
        (1114, "2024-02-29 12:00:00.500000", "2024-02-29 12:00:00.5"),
        (1114, "2024-02-29 12:00:00.000000", "2024-02-29 12:00:00"),
        (1114, "2024-02-29 12:00:00", "2024-02-29 12:00:00"),
        (
            1184,
            "0001-01-01 00:00:00.000010",
            "0001-01-01 00:00:00.00001+00",
        ),
        (1083, "24:00:00.000000", "24:00:00"),
        (17, "\0x", "\\x0078"),
        (25, "a ", "a "),
    ] {
        let column = column(oid, -1);
        let value = Held::of(&column, OnMisfit::Fail)
            .back(Some(server.as_bytes()))
            .unwrap();
        assert_eq!(value.to_text(column.kind).unwrap().unwrap(), text);
    }
}

#[test]
fn numbers_are_compared_as_numbers() {
    let compared = |oid, typmod| Held::of(&column(oid, typmod), OnMisfit::Fail).compared("?");
    assert_eq!(compared(1700, numeric(20, 3)), "CAST(? AS DECIMAL(20, 3))");
    assert_eq!(compared(1184, -1), "CAST(? AS DATETIME(6))");
    assert_eq!(compared(25, -1), "?");
    assert_eq!(compared(20, -1), "?");
}
