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
        destination: "dbo.t".to_owned(),
        columns,
        key: key.to_vec(),
        identity: 'd',
        relfilenode: 1,
    }
}

fn declared(columns: Vec<Column>, key: &[usize]) -> Vec<String> {
    let all = Held::all(&table(columns, key), OnMisfit::Fail).unwrap();
    all.iter().map(Held::sql).collect()
}

/// `numeric(precision, scale)` as its modifier.
fn numeric(precision: i32, scale: i32) -> i32 {
    (precision << 16 | scale & 0x7FF) + 4
}

fn held(oid: u32, typmod: i32) -> Held {
    Held::of(&column(oid, typmod), OnMisfit::Fail)
}

#[test]
fn a_numeric_is_a_decimal_where_one_is_large_enough() {
    for (typmod, sql) in [
        (numeric(10, 2), "decimal(10, 2)"),
        (numeric(38, 38), "decimal(38, 38)"),
        (numeric(39, 0), "nvarchar(42)"),
        (numeric(2, -3), "decimal(5, 0)"),
        (numeric(2, 5), "decimal(5, 5)"),
        (numeric(1000, 0), "nvarchar(1003)"),
        (-1, "nvarchar(max)"),
    ] {
        assert_eq!(declared(vec![column(1700, typmod)], &[]), [sql], "{typmod}");
    }
    let domain = Column::new("c", Oid(70_000), numeric(3, 1), Oid(1700));
    assert_eq!(
        declared(vec![domain], &[]),
        ["nvarchar(max)"],
        "the modifier is not the base type's"
    );
}

#[test]
fn digits_of_a_second_are_those_of_the_source() {
    for (oid, typmod, sql) in [
        (1083, -1, "time(6)"),
        (1083, 0, "time(0)"),
        (1114, 3, "datetime2(3)"),
        (1184, 0, "datetimeoffset(0)"),
    ] {
        assert_eq!(declared(vec![column(oid, typmod)], &[]), [sql]);
    }
    let text = |text: &str| Value::Text(text.to_owned());
    for (oid, typmod, value, nearest) in [
        (1083, 3, "24:00:00", "23:59:59.999"),
        (1083, 0, "24:00:00", "23:59:59"),
        (1114, 0, "infinity", "9999-12-31 23:59:59"),
        (1184, 3, "infinity", "9999-12-31 23:59:59.999 +00:00"),
    ] {
        let misfit = held(oid, typmod).value(&text(value)).unwrap_err();
        assert_eq!(misfit.nearest(), Some(&text(nearest)));
    }
}

#[test]
fn characters_outside_of_the_first_plane_take_two_units() {
    let varchar = held(1043, 3 + 4);
    assert_eq!(varchar.sql(), "nvarchar(6)");
    let text = |count| Value::Text("\u{10FFFF}".repeat(count));
    assert!(varchar.value(&text(3)).is_ok());
    let misfit = varchar.value(&text(4)).unwrap_err();
    assert_eq!(
        misfit.to_string(),
        "8 UTF-16 units long, and the column holds 6"
    );
    assert_eq!(misfit.nearest(), None);
    assert_eq!(held(1043, 2000 + 4).sql(), "nvarchar(4000)");
    assert_eq!(held(1043, 2001 + 4).sql(), "nvarchar(max)");
}

#[test]
fn a_key_of_text_takes_what_its_other_columns_leave() {
    let (text, bytea, bigint) = (column(25, -1), column(17, -1), column(20, -1));
    let varchar = |length: i32| column(1043, length + 4);
    for (columns, key, sql) in [
        (vec![text.clone()], vec![0], vec!["nvarchar(850)"]),
        (vec![bytea.clone()], vec![0], vec!["varbinary(1700)"]),
        (
            vec![text.clone(), bigint.clone()],
            vec![1, 0],
            vec!["nvarchar(846)", "bigint"],
        ),
        (
            vec![text.clone(), bigint],
            vec![1],
            vec!["nvarchar(max)", "bigint"],
        ),
        (
            vec![text.clone(), bytea],
            vec![0, 1],
            vec!["nvarchar(425)", "varbinary(850)"],
        ),
        (
            vec![varchar(50), text],
            vec![0, 1],
            vec!["nvarchar(100)", "nvarchar(750)"],
        ),
        (vec![varchar(255)], vec![0], vec!["nvarchar(510)"]),
        (vec![varchar(1000)], vec![0], vec!["nvarchar(850)"]),
    ] {
        assert_eq!(declared(columns, &key), sql);
    }
}

#[test]
fn a_key_that_is_too_long_is_refused_before_any_data_moves() {
    let refused = |columns: Vec<Column>| {
        let key: Vec<usize> = (0..columns.len()).collect();
        let error = Held::all(&table(columns, &key), OnMisfit::Fail).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let text = refused(vec![column(1043, 100 + 4); 9]);
    assert!(
        text.contains("public.t") && text.contains("1700 bytes"),
        "{text}"
    );
    let text = refused(vec![column(23, -1); 33]);
    assert!(text.contains("33 columns"), "{text}");
}

#[test]
fn numbers_nearer_to_zero_than_any_go_where_they_are_nearest() {
    let float = held(701, -1);
    let nearest = |number: f64| {
        let misfit = float.value(&Value::Real(number)).unwrap_err();
        misfit.nearest().cloned()
    };
    assert_eq!(nearest(5e-324), Some(Value::Real(0.0)));
    let least = 2.225_073_858_507_201_4e-308;
    assert_eq!(nearest(-2.2e-308), Some(Value::Real(-least)));
    assert!(float.value(&Value::Real(least)).is_ok());
    let negative = Value::Text("-0".to_owned());
    let zero = float.value(&negative).unwrap();
    assert!(matches!(*zero, Value::Real(zero) if zero.is_sign_negative()));
}

#[test]
fn what_is_equal_there_and_not_here_is_compared_by_more() {
    let text = Held::all(&table(vec![column(25, -1)], &[0]), OnMisfit::Fail).unwrap()[0];
    assert_eq!(
        text.equals("[c]", "@P1"),
        "[c] = CONVERT(nvarchar(850), @P1) AND DATALENGTH([c]) = DATALENGTH(@P1)"
    );
    for (oid, same) in [
        (
            25,
            "t.[c] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c])",
        ),
        (17, "t.[c], DATALENGTH(t.[c])"),
        (701, "CONVERT(binary(8), t.[c])"),
        (2950, "t.[c]"),
    ] {
        assert_eq!(held(oid, -1).identity("t.[c]"), same);
    }
    assert_eq!(
        held(20, -1).equals("[c]", "@P1"),
        "[c] = CONVERT(bigint, @P1)"
    );
}

#[test]
fn texts_of_dates_and_times_are_converted_with_their_style() {
    for (oid, typmod, sql) in [
        (1082, -1, "CONVERT(date, @P1, 23)"),
        (1083, 3, "CONVERT(time(3), @P1, 121)"),
        (1114, -1, "CONVERT(datetime2(6), @P1, 121)"),
        (1184, -1, "CONVERT(datetimeoffset(6), @P1, 121)"),
        (2950, -1, "CONVERT(uniqueidentifier, @P1)"),
        (1700, numeric(10, 2), "CONVERT(decimal(10, 2), @P1)"),
        (16, -1, "CONVERT(bit, @P1)"),
        (17, -1, "CONVERT(varbinary(max), @P1)"),
    ] {
        assert_eq!(held(oid, typmod).stored("@P1"), sql);
    }
    let at = Value::Text("2024-02-29 12:00:00.5+00".to_owned());
    let sent = held(1184, -1).value(&at).unwrap().into_owned();
    assert_eq!(sent, Value::Text("2024-02-29 12:00:00.5 +00:00".to_owned()));
}

#[test]
fn what_nobody_wrote_here_is_not_guessed_at() {
    for (oid, text) in [(16, "2"), (21, "40000"), (17, "")] {
        let back = held(oid, -1).back(Some(text.as_bytes()));
        assert_eq!(back.is_err(), oid != 17, "{text}");
    }
    let other = held(1184, -1)
        .back(Some(b"2024-01-01 00:00:00.000000 +01:00"))
        .unwrap();
    assert_eq!(
        other,
        Value::Text("2024-01-01 00:00:00.000000 +01:00".to_owned())
    );
    assert_eq!(held(20, -1).back(None), Ok(Value::Null));
    // A text where a date should be is no NULL.
    assert!(
        held(1082, -1)
            .typed(&Value::Text("infinity".to_owned()))
            .is_err()
    );
    assert!(held(2950, -1).typed(&Value::Text("x".to_owned())).is_err());
    assert!(held(23, -1).typed(&Value::Integer(1 << 40)).is_err());
    assert!(held(23, -1).typed(&Value::Null).unwrap().is_null());
}
