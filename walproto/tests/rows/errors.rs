//! An error names the column, its type, and what was asked.

use std::error::Error;
use std::fmt::Debug;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use walproto::value::ValueErrorKind;
use walproto::{Column, RowError, RowErrorKind, Tried};

use super::made::Made;

#[track_caller]
fn fails<T: for<'a> Deserialize<'a> + Debug>(made: &Made, text: &str) -> RowError {
    let error = made.read::<T>().unwrap_err();
    assert_eq!(error.to_string(), text, "{error:?}");
    error
}

#[derive(Debug, Deserialize)]
struct Amount<T> {
    #[serde(rename = "amount")]
    _amount: T,
}

fn amount(type_oid: u32, column: Column<'_>) -> Made {
    Made::new(&[("other", 25, Column::Null), ("amount", type_oid, column)])
}

#[test]
fn values_that_do_not_fit_are_named_with_their_byte() {
    let error = fails::<Amount<i32>>(
        &amount(25, Column::Text(b"12x")),
        "column \"amount\" of type text: unexpected byte, in bigint at byte 2, to be read as i32",
    );
    assert_eq!(
        (error.column(), error.type_oid().0, error.asked()),
        (Some("amount"), 25, "i32")
    );
    assert!(
        matches!(error.kind(), RowErrorKind::Value(error) if error.kind == ValueErrorKind::UnexpectedByte)
    );
    fails::<Amount<i32>>(
        &amount(20, Column::Binary(&[0; 7])),
        "column \"amount\" of type int8: value ends too early, in bigint at byte 7, to be read as i32",
    );
    fails::<Amount<u8>>(
        &amount(23, Column::Text(b"300")),
        "column \"amount\" of type int4: invalid value: integer `300`, expected u8",
    );
    fails::<Amount<i64>>(
        &amount(1700, Column::Text(b"1.5")),
        "column \"amount\" of type numeric: out of range, to be read as i64",
    );
    fails::<Amount<bool>>(
        &amount(23, Column::Binary(&[0, 0, 0, 1])),
        "column \"amount\" of type int4: a value of another kind, to be read as bool",
    );
    fails::<Amount<String>>(
        &amount(25, Column::Text(b"\xff")),
        "column \"amount\" of type text: not UTF-8, to be read as String",
    );
    fails::<Amount<Vec<i32>>>(
        &amount(1007, Column::Text(b"{1,x}")),
        "column \"amount\" of type int4[]: unexpected byte, in bigint at byte 0, to be read as i32",
    );
    fails::<Amount<(i32, i32)>>(
        &amount(1007, Column::Text(b"{1,2,3}")),
        "column \"amount\" of type int4[]: invalid length 3, expected fewer elements",
    );
}

#[test]
fn a_value_that_is_not_there_is_told_from_null() {
    for (column, kind, text) in [
        (Column::Null, RowErrorKind::Null, "unexpected NULL"),
        (
            Column::Unchanged,
            RowErrorKind::Unchanged,
            "unchanged TOASTed value, which was not sent",
        ),
    ] {
        let made = amount(25, column);
        let text = format!("column \"amount\" of type text: {text}, to be read as String");
        assert_eq!(fails::<Amount<String>>(&made, &text).kind(), kind);
    }
    let unchanged = amount(25, Column::Unchanged);
    assert_eq!(
        unchanged
            .read::<Amount<Option<String>>>()
            .unwrap_err()
            .kind(),
        RowErrorKind::Unchanged
    );
}

#[test]
fn a_field_without_a_column_and_a_wrong_relation_are_named() {
    let made = Made::new(&[("id", 23, Column::Null)]);
    let error = fails::<Amount<i32>>(&made, "no column for field \"amount\"");
    assert_eq!(
        (error.kind(), error.column()),
        (RowErrorKind::NoColumn, None)
    );
    let two = Made::new(&[("a", 23, Column::Null), ("b", 23, Column::Null)]);
    let ((relation, _), (_, row)) = (made.parts(), two.parts());
    let error = row.deserialize::<Amount<i32>>(&relation).unwrap_err();
    assert_eq!(error.to_string(), "2 columns in the row, 1 in its relation");
}

#[test]
fn what_the_types_own_code_says_is_kept_as_far_as_there_is_room() {
    #[derive(Debug)]
    struct Picky;
    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let number = i32::deserialize(deserializer)?;
            Err(D::Error::custom(format_args!(
                "{number} is too {}",
                "very ".repeat(40)
            )))
        }
    }
    let error = amount(23, Column::Text(b"7"))
        .read::<Amount<Picky>>()
        .unwrap_err();
    assert!(error.message().starts_with("7 is too very very"), "{error}");
    assert_eq!(error.message().len() + "amount".len(), 90);
    let name = "é".repeat(40);
    let made = Made::new(&[(&name, 23, Column::Text(b"7"))]);
    let error = made.read::<(Picky,)>().unwrap_err();
    assert_eq!(error.column(), Some(&name[..62]));
    assert!(error.message().starts_with("7 is too very "), "{error}");
}

#[test]
fn the_error_is_a_small_one_that_outlives_the_message() {
    fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
        Made::one(23, Column::Null).read::<(i32,)>()?;
        Ok(())
    }
    let text = "column \"c\" of type int4: unexpected NULL, to be read as i32";
    assert_eq!(boxed().unwrap_err().to_string(), text);
    assert!(size_of::<RowError>() <= 120);
}

#[test]
fn a_column_that_does_not_fit_need_not_spoil_the_row() {
    #[derive(Debug, Deserialize)]
    struct Row {
        a: Tried<i32>,
        b: Tried<Option<bool>>,
        c: Tried<Vec<i32>>,
    }
    let made = Made::new(&[
        ("a", 25, Column::Text(b"12x")),
        ("b", 16, Column::Null),
        ("c", 1007, Column::Unchanged),
    ]);
    let row: Row = made.read().unwrap();
    let text = "unexpected byte, in bigint at byte 2, to be read as i32";
    assert_eq!(row.a.0.unwrap_err().to_string(), text);
    assert_eq!(row.b, Tried(Ok(None)));
    assert!(row.c.0.unwrap_err().message().starts_with("unchanged"));
}
