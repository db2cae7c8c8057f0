use super::*;
use proptest::prelude::*;

fn real(number: f64) -> Value {
    Value::Real(number)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn each_type_is_read_as_the_table_above_says() {
    for (kind, sent, value) in [
        (Kind::Bool, "t", Value::Integer(1)),
        (Kind::Bool, "f", Value::Integer(0)),
        (Kind::Int2, "-32768", Value::Integer(-32768)),
        (Kind::Int4, "2147483647", Value::Integer(2_147_483_647)),
        (Kind::Int8, "-9223372036854775808", Value::Integer(i64::MIN)),
        (Kind::Int8, "9223372036854775807", Value::Integer(i64::MAX)),
        (Kind::Oid, "4294967295", Value::Integer(4_294_967_295)),
        (Kind::Float4, "0.1", real(0.1)),
        (Kind::Float4, "3.4028235e+38", real(3.4028235e38)),
        (Kind::Float4, "1e-45", real(1e-45)),
        (Kind::Float8, "1e-05", real(1e-5)),
        (Kind::Float8, "0", real(0.0)),
        (Kind::Float8, "-0", text("-0")),
        (Kind::Float8, "NaN", text("NaN")),
        (Kind::Float4, "Infinity", text("Infinity")),
        (Kind::Float4, "-Infinity", text("-Infinity")),
        (Kind::Bytea, "\\x", Value::Blob(vec![])),
        (Kind::Bytea, "\\x00ff5c", Value::Blob(vec![0, 255, b'\\'])),
        (Kind::Text, "1.00", text("1.00")),
        (Kind::Text, "", text("")),
        (Kind::Text, "0044-03-15 BC", text("0044-03-15 BC")),
        (Kind::Text, "[0:1]={7,8}", text("[0:1]={7,8}")),
        (Kind::Text, "\\N", text("\\N")),
        (Kind::Text, "\r\n", text("\r\n")),
        (Kind::Text, "\u{10FFFF}", text("\u{10FFFF}")),
    ] {
        assert_eq!(
            kind.value(sent.as_bytes()),
            Ok(value.clone()),
            "{kind:?} {sent}"
        );
        assert_eq!(
            kind.text(&value),
            Ok(Some(sent.to_owned())),
            "{kind:?} {sent}"
        );
    }
}

#[test]
fn what_the_server_never_prints_is_refused() {
    for (kind, sent) in [
        (Kind::Bool, "true"),
        (Kind::Bool, ""),
        (Kind::Int2, "32768"),
        (Kind::Int4, "2147483648"),
        (Kind::Int8, "9223372036854775808"),
        (Kind::Int4, "+1"),
        (Kind::Int4, "01"),
        (Kind::Int4, "-0"),
        (Kind::Int4, "-"),
        (Kind::Int4, ""),
        (Kind::Int4, " 1"),
        (Kind::Oid, "-1"),
        (Kind::Float8, ""),
        (Kind::Float8, "nan"),
        (Kind::Float8, "inf"),
        (Kind::Float8, "infinity"),
        (Kind::Float8, "1e400"),
        (Kind::Float8, "-0.0"),
        (Kind::Float4, "1e39"),
        (Kind::Float8, "0x10"),
        (Kind::Bytea, "abc"),
        (Kind::Bytea, "\\000"),
        (Kind::Bytea, "\\x0"),
        (Kind::Bytea, "\\x0g"),
        (Kind::Text, "a\0b"),
    ] {
        assert!(kind.value(sent.as_bytes()).is_err(), "{kind:?} {sent:?}");
    }
    assert!(Kind::Text.value(b"caf\xE9").is_err());
}

#[test]
fn an_error_names_the_type_and_shows_the_beginning() {
    let message = |kind: Kind, text: &[u8]| kind.value(text).unwrap_err().to_string();
    assert_eq!(
        message(Kind::Int4, b"twelve"),
        "'twelve' is not what PostgreSQL prints for type integer"
    );
    assert!(message(Kind::Text, b"caf\xE9").starts_with("'caf\\xe9' is not UTF-8"));
    assert!(message(Kind::Bytea, b"abc").contains("bytea_output must be hex"));
    assert!(message(Kind::Float8, &[b'x'; 1000]).len() < 200);
}

#[test]
fn null_and_unchanged_are_not_the_same() {
    assert_eq!(
        Value::from_column(Kind::Int4, Column::Null),
        Ok(Some(Value::Null))
    );
    assert_eq!(Value::from_column(Kind::Int4, Column::Unchanged), Ok(None));
    assert!(Value::from_column(Kind::Int4, Column::Binary(&[0, 0, 0, 1])).is_err());
    assert_eq!(Kind::Int4.text(&Value::Null), Ok(None));
}

#[test]
fn a_value_that_somebody_else_stored_is_noticed() {
    for (kind, value) in [
        (Kind::Bool, Value::Integer(2)),
        (Kind::Int4, text("1")),
        (Kind::Float8, text("1.5")),
        (Kind::Text, Value::Integer(1)),
        (Kind::Bytea, text("\\x00")),
    ] {
        assert!(kind.text(&value).is_err(), "{kind:?} {value:?}");
    }
}

#[test]
fn a_real_is_the_double_of_its_shortest_text() {
    // 0.1 as a single is 0.100000001490116 as a double; people expect 0.1.
    assert_eq!(Kind::Float4.value(b"0.1"), Ok(real(0.1)));
}

proptest! {
    #[test]
    fn every_single_comes_back_as_it_was(bits: u32) {
        let number = f32::from_bits(bits);
        prop_assume!(!number.is_nan());
        let sent = float::float4(number);
        let value = Kind::Float4.value(sent.as_bytes()).unwrap();
        prop_assert_eq!(Kind::Float4.text(&value).unwrap(), Some(sent));
    }

    #[test]
    fn every_double_comes_back_as_it_was(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(!number.is_nan());
        let sent = float::float8(number);
        let value = Kind::Float8.value(sent.as_bytes()).unwrap();
        prop_assert_eq!(Kind::Float8.text(&value).unwrap(), Some(sent));
    }

    #[test]
    fn all_bytes_come_back_as_they_were(bytes: Vec<u8>) {
        let value = Value::Blob(bytes);
        let sent = Kind::Bytea.text(&value).unwrap().unwrap();
        prop_assert_eq!(Kind::Bytea.value(sent.as_bytes()), Ok(value));
    }

    #[test]
    fn no_bytes_make_it_panic(kind in 0..9_usize, bytes: Vec<u8>) {
        let kinds = [
            Kind::Bool, Kind::Int2, Kind::Int4, Kind::Int8, Kind::Oid,
            Kind::Float4, Kind::Float8, Kind::Bytea, Kind::Text,
        ];
        let kind = kinds[kind];
        if let Ok(value) = kind.value(&bytes) {
            // What is accepted is kept to the letter, but for a float that had more digits than it needs.
            let back = kind.text(&value).unwrap().unwrap();
            prop_assert!(back.as_bytes() == bytes || matches!(kind, Kind::Float4 | Kind::Float8));
        }
    }
}
