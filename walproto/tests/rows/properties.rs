//! What is written is read, in both forms; and no bytes whatever make the reader panic.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use walproto::value::{Array, Bytea, Interval, Numeric, Range, Uuid};
use walproto::{Column, Sent, Timestamp};

use super::made::Made;

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Row {
    small: i16,
    whole: Option<i64>,
    float: f64,
    yes: bool,
    text: Option<String>,
    bytes: Vec<u8>,
    list: Vec<Option<i32>>,
}

prop_compose! {
    fn row()(
        small in any::<i16>(),
        whole in any::<Option<i64>>(),
        float in any::<f64>(),
        yes in any::<bool>(),
        text in any::<Option<String>>(),
        bytes in any::<Vec<u8>>(),
        list in vec(any::<Option<i32>>(), 0..9),
    ) -> Row {
        let text = text.map(|text| text.replace('\0', ""));
        Row { small, whole, float, yes, text, bytes, list }
    }
}

/// The row as the server would send it.
fn sent(row: &Row, binary: bool) -> Made {
    let form = |text: Option<String>, bytes: Option<Vec<u8>>| match binary {
        true => bytes.map(|bytes| (true, bytes)),
        false => text.map(|text| (false, text.into_bytes())),
    };
    let list: Vec<_> = row
        .list
        .iter()
        .map(|n| n.map_or("NULL".to_owned(), |n| n.to_string()))
        .collect();
    let hex: String = row.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let cells = [
        (
            "small",
            21,
            form(
                Some(row.small.to_string()),
                Some(row.small.to_be_bytes().into()),
            ),
        ),
        (
            "whole",
            20,
            form(
                row.whole.map(|n| n.to_string()),
                row.whole.map(|n| n.to_be_bytes().into()),
            ),
        ),
        (
            "float",
            701,
            form(
                Some(format!("{:e}", row.float)),
                Some(row.float.to_be_bytes().into()),
            ),
        ),
        (
            "yes",
            16,
            form(
                Some(if row.yes { "t" } else { "f" }.into()),
                Some(vec![row.yes.into()]),
            ),
        ),
        (
            "text",
            25,
            form(row.text.clone(), row.text.clone().map(String::into_bytes)),
        ),
        (
            "bytes",
            17,
            form(Some(format!("\\x{hex}")), Some(row.bytes.clone())),
        ),
        (
            "list",
            1007,
            form(
                Some(format!("{{{}}}", list.join(","))),
                Some(array(&row.list)),
            ),
        ),
    ];
    let columns: Vec<_> = cells
        .iter()
        .map(|(name, type_oid, cell)| {
            let column = match cell {
                None => Column::Null,
                Some((true, bytes)) => Column::Binary(bytes),
                Some((false, text)) => Column::Text(text),
            };
            (*name, *type_oid, column)
        })
        .collect();
    Made::new(&columns)
}

/// The binary form of an array of integers.
fn array(list: &[Option<i32>]) -> Vec<u8> {
    let dims = i32::from(!list.is_empty());
    let mut bytes: Vec<u8> = [dims, 1, 23]
        .into_iter()
        .flat_map(i32::to_be_bytes)
        .collect();
    if dims > 0 {
        bytes.extend(i32::try_from(list.len()).unwrap().to_be_bytes());
        bytes.extend(1_i32.to_be_bytes());
    }
    for element in list {
        match element {
            Some(number) => bytes.extend([4, *number].into_iter().flat_map(i32::to_be_bytes)),
            None => bytes.extend((-1_i32).to_be_bytes()),
        }
    }
    bytes
}

/// Types that ask in each of serde's ways.
fn every_way(made: &Made) {
    macro_rules! ask {
        ($($ty:ty),* $(,)?) => { $( let _ = made.read::<($ty,)>(); let _ = made.read::<BTreeMap<&str, $ty>>(); )* };
    }
    #[derive(Deserialize)]
    enum Label {
        #[serde(rename = "a")]
        _A,
    }
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "it is only filled")]
    struct Pair {
        a: Option<i32>,
        b: String,
    }
    ask!(
        bool, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64, char, &str, String, &[u8], (), Vec<u8>,
        Vec<Option<i64>>, Vec<Vec<String>>, Option<Vec<f64>>, (i32, String), [u8; 16], Label, Pair, Vec<Pair>,
        IgnoredAny, serde_json::Value, Sent<Option<String>>, Numeric<'_>, Bytea<'_>, Array<'_>, Uuid, Timestamp, Interval,
        Range<i32>, BTreeMap<String, String>,
    );
}

/// Types with a meaning to the reader, one that is none, and one of a user's.
const TYPES: [u32; 34] = [
    0, 16, 17, 18, 20, 21, 22, 23, 25, 26, 114, 603, 650, 700, 701, 774, 869, 1007, 1009, 1020,
    1082, 1114, 1184, 1186, 1266, 1560, 1700, 2249, 2950, 3220, 3802, 3904, 5069, 16_500,
];

proptest! {
    #[test]
    fn a_row_that_was_written_is_read(row in row(), binary in any::<bool>()) {
        prop_assert_eq!(sent(&row, binary).read::<Row>().unwrap(), row);
    }

    #[test]
    fn no_bytes_make_it_panic(
        at in 0..TYPES.len(),
        binary in any::<bool>(),
        bytes in prop_oneof![
            any::<Vec<u8>>(),
            vec(prop_oneof![Just(0_u8), Just(1), Just(4), Just(23)], 0..40),
            r#"[-+{}()\[\],"\\0-9a-fx.: NULtf]{0,40}"#.prop_map(String::into_bytes),
        ],
    ) {
        let column = if binary { Column::Binary(&bytes) } else { Column::Text(&bytes) };
        every_way(&Made::one(TYPES[at], column));
    }
}
