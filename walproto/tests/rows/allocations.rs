//! Filling a struct that borrows allocates nothing, and neither does an error.

use std::hint::black_box;

use serde::Deserialize;
use walproto::value::{Bytea, Date, Numeric, Uuid};
use walproto::{Message, Sent, Timestamp};

use super::replay::{replay, takes};

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is only filled")]
struct Numbers<'a> {
    id: i32,
    yes: Option<bool>,
    i8: Option<i64>,
    f8: Option<f64>,
    #[serde(borrow)]
    free: Option<Numeric<'a>>,
    fixed: Option<f64>,
    o: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is only filled")]
struct Texts<'a> {
    t: &'a str,
    v: &'a str,
    #[serde(borrow)]
    b: Option<Bytea<'a>>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is only filled")]
struct Times {
    d: Option<Date>,
    tstz: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is only filled")]
struct Others<'a> {
    id: Uuid,
    #[serde(borrow)]
    j: Sent<Option<&'a str>>,
}

/// Which no table is.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is never filled")]
struct Wrong {
    id: (u8, u8, u8),
    nothing: i32,
}

#[test]
fn filling_a_borrowing_struct_allocates_nothing() {
    let mut rows = 0;
    for (golden, capture) in takes("types") {
        let mut relations = Vec::new();
        replay(&capture, |relation, message| {
            if let Message::Insert(insert) = message {
                relations.push((*relation, insert));
            }
        });
        let counted = allocation_counter::measure(|| {
            for (relation, insert) in &relations {
                match relation.name {
                    "numbers" => drop(black_box(
                        insert.deserialize::<Numbers<'_>>(relation).unwrap(),
                    )),
                    "texts" => drop(black_box(
                        insert.deserialize::<Texts<'_>>(relation).unwrap(),
                    )),
                    "times" => drop(black_box(insert.deserialize::<Times>(relation).unwrap())),
                    "others" => drop(black_box(
                        insert.deserialize::<Others<'_>>(relation).unwrap(),
                    )),
                    _ => {}
                }
                black_box(insert.deserialize::<Wrong>(relation).unwrap_err());
                rows += 1;
            }
        });
        assert_eq!(counted.count_total, 0, "{}: {counted:?}", golden.name);
    }
    assert!(rows > 250, "only {rows}");
}
