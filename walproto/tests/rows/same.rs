//! Both forms of a row read as the same.

use std::fmt::Debug;

use serde::Deserialize;

use super::replay::{inserts, takes};

/// Reads a table of every capture of the types into `T`; all must give the same rows.
fn same<T: for<'a> Deserialize<'a> + Debug>(table: &str) -> Vec<T> {
    let mut first: Option<(String, Vec<T>)> = None;
    for (golden, capture) in takes("types") {
        let rows = inserts(&capture, table);
        let text = format!("{rows:#?}");
        let (before, _) = first.get_or_insert_with(|| (text.clone(), rows));
        assert!(*before == text, "{}: {before}\n{text}", golden.name);
    }
    first.expect("there are captures").1
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Numbers<I8 = i64, F4 = f32, F8 = f64> {
    id: u8,
    yes: Option<bool>,
    i2: Option<i16>,
    i4: Option<i32>,
    i8: Option<I8>,
    f4: Option<F4>,
    f8: Option<F8>,
    #[serde(rename = "free")]
    _free: serde::de::IgnoredAny,
    #[serde(rename = "fixed")]
    _fixed: serde::de::IgnoredAny,
    #[serde(rename = "coin")]
    _coin: serde::de::IgnoredAny,
    o: Option<u32>,
}

#[test]
fn numbers_are_read_exactly() {
    let rows: Vec<Numbers> = same("numbers");
    let [first, second, third, ..] = &rows[..] else {
        panic!()
    };
    assert_eq!(first.yes, Some(true));
    assert_eq!((first.i2, first.i4), (Some(i16::MAX), Some(i32::MAX)));
    assert_eq!(first.i8, Some(i64::MAX));
    assert_eq!(first.f4, Some(f32::MAX));
    assert_eq!(first.f8, Some(f64::MAX));
    assert_eq!(first.o, Some(u32::MAX));
    assert_eq!(second.i8, Some(i64::MIN));
    assert_eq!(second.f4, Some(1e-45));
    assert_eq!(second.f8, Some(5e-324));
    assert!(
        third
            .f4
            .is_some_and(|zero| zero == 0.0 && zero.is_sign_negative())
    );
    assert!(rows[3].f4.is_some_and(f32::is_nan));
    assert_eq!(rows[4].f8, Some(f64::NEG_INFINITY));
    assert_eq!(rows[6].f8, Some(0.30000000000000004));
    assert_eq!(rows[7].i8, None);
}

#[test]
fn numbers_are_read_as_wider_ones_and_as_text() {
    let rows: Vec<Numbers<i128, f64, String>> = same("numbers");
    assert_eq!(rows[0].i8, Some(i64::MAX.into()));
    assert_eq!(rows[6].f4, Some(f64::from(0.3_f32.next_up())));
    let texts: Vec<_> = rows.iter().map(|row| row.f8.as_deref()).collect();
    let expected = [
        "1.7976931348623157e+308",
        "5e-324",
        "-0",
        "NaN",
        "-Infinity",
        "0.1",
        "0.30000000000000004",
    ];
    assert_eq!(texts[..7], expected.map(Some));
    let rows: Vec<Numbers<String, String>> = same("numbers");
    assert_eq!(rows[1].i8.as_deref(), Some("-9223372036854775808"));
    assert_eq!(rows[1].f4.as_deref(), Some("1e-45"));
}
