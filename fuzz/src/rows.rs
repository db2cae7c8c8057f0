//! Rows into types of a user's, and messages and events that own their bytes.

use bytes::Bytes;
use serde::Deserialize;
use walproto::value::{Bytea, Date, Interval, Numeric, Range, Uuid};
use walproto::{
    ChangeEvent, Column, ColumnDef, Decoder, Message, Oid, RowErrorKind, Sent, Tables, Tuple,
};

/// Names and types of the columns that a row can have.
const COLUMNS: [(&str, u32); 16] = [
    ("boolean", 16),
    ("integer", 23),
    ("bigint", 20),
    ("double", 701),
    ("numeric", 1700),
    ("text", 25),
    ("bytea", 17),
    ("uuid", 2950),
    ("date", 1082),
    ("stamp", 1184),
    ("interval", 1186),
    ("integers", 1007),
    ("texts", 1009),
    ("range", 3904),
    ("json", 3802),
    ("other", 16400),
];

/// Every column as what it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Typed<'a> {
    boolean: Option<bool>,
    integer: Option<i32>,
    bigint: Option<i64>,
    double: Option<f64>,
    #[serde(borrow)]
    numeric: Option<Numeric<'a>>,
    #[serde(borrow)]
    text: Option<&'a str>,
    #[serde(borrow)]
    bytea: Option<Bytea<'a>>,
    uuid: Option<Uuid>,
    date: Option<Date>,
    stamp: Option<String>,
    interval: Option<Interval>,
    integers: Option<Vec<Option<i32>>>,
    texts: Option<Vec<Vec<String>>>,
    range: Option<Range<i32>>,
    #[serde(borrow)]
    json: Option<&'a str>,
    other: Option<(i32, Option<String>)>,
}

/// Every column as text, where it may also not have been sent.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Written(std::collections::BTreeMap<String, Sent<Option<String>>>);

fn columns<'a>(count: usize) -> impl ExactSizeIterator<Item = ColumnDef<'a>> + Clone {
    COLUMNS[..count].iter().map(|&(name, oid)| ColumnDef {
        key: false,
        name,
        type_oid: Oid(oid),
        typmod: -1,
    })
}

/// One row of at most as many columns as there are types.
pub fn rows(data: &[u8]) {
    let Some((&binary, row)) = data.split_first() else {
        return;
    };
    let message = [&[b'I', 0, 0, 0, 1, b'N'], row].concat();
    let mut decoder = Decoder::new().binary(binary & 1 != 0);
    let Ok(decoded) = decoder.decode(&message) else {
        return;
    };
    let Message::Insert(insert) = decoded.message else {
        panic!("an insert");
    };
    if insert.new.len() > COLUMNS.len() {
        return;
    }
    typed(insert.new);
    owned(&message, binary & 1 != 0, insert.new);
}

fn typed(row: Tuple<'_>) {
    let columns = columns(row.len());
    match row.deserialize_columns::<Typed<'_>, _>(columns.clone()) {
        Ok(read) => {
            // The same as when the columns are asked one by one.
            let mut plain = row.columns();
            if let Some(column) = plain.next() {
                assert_eq!(column.value(), Ok(read.boolean));
            }
            if let Some(column) = plain.next() {
                assert_eq!(column.value(), Ok(read.integer));
            }
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let name = error.column().expect("the row has as many columns");
            assert!(COLUMNS.iter().any(|(known, _)| *known == name), "{error}");
        }
    }
    match row.deserialize_columns::<Written, _>(columns.clone()) {
        Ok(read) => assert_eq!(read.0.len(), row.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(fewer) = row.len().checked_sub(1) {
        let error = row
            .deserialize_columns::<Written, _>(columns.take(fewer))
            .expect_err("a column without a name");
        assert!(matches!(error.kind(), RowErrorKind::ColumnCount { .. }));
    }
}

/// What owns its bytes says the same as what lends them, and survives being written as JSON.
fn owned(message: &[u8], binary: bool, row: Tuple<'_>) {
    let mut decoder = Decoder::new().binary(binary);
    let owned = decoder
        .decode_owned(Bytes::copy_from_slice(message))
        .expect("it was read before");
    let Message::Insert(insert) = owned.message() else {
        panic!("an insert");
    };
    assert_eq!(insert.new, row);
    let mut tables = Tables::new();
    let relation = relation(row.len());
    let decoded = decoder.decode(&relation).expect("a relation");
    assert!(tables.event(&decoded).expect("sound").is_none());
    let event = tables
        .event(&owned.decoded())
        .expect("the table is known")
        .expect("a change");
    let new = event.new_row().expect("an insert has one");
    assert!(new.tuple().columns().eq(row.columns()));
    for (index, (name, column)) in new.columns().enumerate() {
        assert_eq!(name, COLUMNS[index].0);
        assert_eq!(column, row.columns().nth(index));
        assert_eq!(column.and_then(Column::as_bytes).is_some(), {
            !matches!(column, None | Some(Column::Null | Column::Unchanged))
        });
    }
    let json = serde_json::to_string(&event).expect("it can be written");
    let again: ChangeEvent = serde_json::from_str(&json).expect("and read");
    assert_eq!(again, event);
}

/// A relation with the first `count` columns.
fn relation(count: usize) -> Vec<u8> {
    let columns: Vec<_> = COLUMNS[..count]
        .iter()
        .map(|&(name, type_oid)| testdata::writer::Column {
            flags: 0,
            name,
            type_oid,
            typmod: -1,
        })
        .collect();
    testdata::writer::relation(None, 1, "public", "t", b'f', &columns)
}
