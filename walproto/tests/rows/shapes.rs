//! What serde offers to say about a type works with rows.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use walproto::value::{Array, Bytea, Json, Numeric, Uuid};
use walproto::{Column, ColumnDef, Oid, Sent, Xid};

use super::made::Made;

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const INT4_ARRAY: u32 = 1007;
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;
const JSONB: u32 = 3802;
const OWN: u32 = 16_500;

fn user() -> Made {
    Made::new(&[
        ("id", INT8, Column::Text(b"42")),
        ("name", TEXT, Column::Text("Zoë".as_bytes())),
        ("born", TEXT, Column::Null),
        ("admin", BOOL, Column::Text(b"t")),
        ("level", INT4, Column::Binary(&[0, 0, 0, 7])),
    ])
}

#[test]
fn text_and_bytes_are_lent_from_the_message() {
    #[derive(Deserialize)]
    struct User<'a> {
        name: &'a str,
        #[serde(borrow)]
        raw: Cow<'a, str>,
        bytes: &'a [u8],
    }
    let made = Made::new(&[
        ("name", TEXT, Column::Text(b"a")),
        ("raw", JSONB, Column::Binary(b"\x01{}")),
        ("bytes", BYTEA, Column::Binary(&[0, 255])),
    ]);
    let (relation, row) = made.parts();
    let user: User<'_> = row.deserialize(&relation).unwrap();
    let lent: Vec<_> = row
        .columns()
        .map(|column| column.as_bytes().unwrap())
        .collect();
    assert_eq!(user.name.as_ptr(), lent[0].as_ptr());
    assert!(matches!(user.raw, Cow::Borrowed("{}")));
    assert_eq!(
        (user.bytes.as_ptr(), user.bytes),
        (lent[2].as_ptr(), &[0, 255][..])
    );
}

#[test]
fn fields_may_be_renamed_left_out_flattened_and_have_defaults() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Rights {
        admin: bool,
        level: u8,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct User<'a> {
        id: u64,
        #[serde(rename = "name", alias = "title")]
        called: &'a str,
        #[serde(default)]
        missing: Vec<u8>,
        absent: Option<i32>,
        #[serde(flatten)]
        rights: Rights,
    }
    let made = user();
    let expected = User {
        id: 42,
        called: "Zoë",
        missing: vec![],
        absent: None,
        rights: Rights {
            admin: true,
            level: 7,
        },
    };
    assert_eq!(made.read::<User<'_>>().unwrap(), expected);
}

#[test]
fn unknown_columns_are_passed_over_or_refused() {
    #[derive(Debug, Deserialize)]
    struct Loose {
        level: i16,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[serde(rename = "level")]
        _level: i16,
    }
    assert_eq!(user().read::<Loose>().unwrap().level, 7);
    let error = user().read::<Strict>().unwrap_err();
    assert_eq!(error.column(), Some("id"));
    assert_eq!(
        error.to_string(),
        "column \"id\" of type int8: unknown field `id`, expected `level`"
    );
}

#[test]
fn a_row_is_a_map_a_tuple_or_a_sequence_too() {
    let made = user();
    let map: HashMap<&str, Option<Cow<'_, str>>> = made.read().unwrap();
    assert_eq!(map["name"].as_deref(), Some("Zoë"));
    assert_eq!(
        (map["born"].as_deref(), map["level"].as_deref()),
        (None, Some("7"))
    );
    let json: BTreeMap<String, serde_json::Value> = made.read().unwrap();
    assert_eq!(
        serde_json::to_string(&json).unwrap(),
        r#"{"admin":true,"born":null,"id":42,"level":7,"name":"Zoë"}"#
    );
    let tuple: (i64, &str, (), bool, i8) = made.read().unwrap();
    assert_eq!(tuple, (42, "Zoë", (), true, 7));
    let sequence: Vec<Option<String>> = made.read().unwrap();
    assert_eq!(sequence.len(), 5);
    let error = made.read::<(i64, &str)>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid length 5, expected fewer columns"
    );
}

#[test]
fn newtypes_and_options_wrap_rows_and_values() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Id(i64);
    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        id: Option<Id>,
        born: Option<Id>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer(Inner);
    let expected = Outer(Inner {
        id: Some(Id(42)),
        born: None,
    });
    assert_eq!(user().read::<Option<Outer>>().unwrap(), Some(expected));
}

#[test]
fn an_enum_takes_the_label_in_both_forms_and_inside_arrays() {
    #[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum State {
        Open,
        #[serde(rename = "half \"open\"")]
        Half,
    }
    type One = (State,);
    assert_eq!(
        Made::one(OWN, Column::Text(b"open"))
            .read::<One>()
            .unwrap()
            .0,
        State::Open
    );
    assert_eq!(
        Made::one(OWN, Column::Binary(b"open"))
            .read::<One>()
            .unwrap()
            .0,
        State::Open
    );
    let array = Made::one(OWN, Column::Text(br#"{open,"half \"open\""}"#));
    assert_eq!(
        array.read::<([State; 2],)>().unwrap().0,
        [State::Open, State::Half]
    );
    let closed = Made::one(OWN, Column::Text(b"closed"));
    let error = closed.read::<One>().unwrap_err().to_string();
    assert_eq!(
        error,
        "column \"c\" of type 16500: unknown variant `closed`, expected `open` or `half \"open\"`"
    );
}

#[test]
fn our_own_types_are_lent_too() {
    #[derive(Debug, Deserialize)]
    struct Own<'a> {
        #[serde(borrow)]
        exact: Numeric<'a>,
        #[serde(borrow)]
        raw: Bytea<'a>,
        #[serde(borrow)]
        json: Option<Json<'a>>,
        #[serde(borrow)]
        list: Array<'a>,
        id: Uuid,
        xid: Xid,
        #[serde(borrow)]
        missing: Option<Numeric<'a>>,
    }
    let made = Made::new(&[
        ("exact", NUMERIC, Column::Text(b"1234.50")),
        ("raw", BYTEA, Column::Text(b"\\x00ff")),
        ("json", JSONB, Column::Binary(b"\x01[1]")),
        ("list", INT4_ARRAY, Column::Text(b"{1,2}")),
        ("id", UUID, Column::Binary(&[7; 16])),
        ("xid", 28, Column::Text(b"741")),
        ("missing", NUMERIC, Column::Null),
    ]);
    let own: Own<'_> = made.read().unwrap();
    assert_eq!(
        (own.exact.to_string().as_str(), own.exact.scale()),
        ("1234.50", 2)
    );
    assert!(own.raw.bytes().eq([0, 255]));
    assert_eq!(own.json, Some(Json("[1]")));
    assert_eq!(own.list.values::<i32>().map(Result::unwrap).sum::<i32>(), 3);
    assert_eq!((own.id, own.xid), (Uuid([7; 16]), Xid(741)));
    assert!(own.missing.is_none());
}

#[test]
fn our_own_types_travel_in_other_formats() {
    #[derive(serde::Serialize, Deserialize)]
    struct Own {
        id: Uuid,
        at: walproto::Timestamp,
        lsn: walproto::Lsn,
        oid: Oid,
    }
    let json = r#"{"id":"00000000-0000-0000-0000-000000000001","at":"2026-01-02 03:04:05+00","lsn":"16/B374D848","oid":7}"#;
    let own: Own = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&own).unwrap(), json);
}

#[test]
fn what_was_not_sent_can_be_a_value_of_a_map() {
    let made = Made::new(&[
        ("a", TEXT, Column::Unchanged),
        ("b", TEXT, Column::Null),
        ("c", TEXT, Column::Text(b"x")),
    ]);
    let map: BTreeMap<&str, Sent<Option<&str>>> = made.read().unwrap();
    let expected = [
        ("a", Sent::Unchanged),
        ("b", Sent::Value(None)),
        ("c", Sent::Value(Some("x"))),
    ];
    assert_eq!(map, expected.into());
    #[derive(Debug, Deserialize, PartialEq)]
    struct Partial {
        a: Sent<String>,
        #[serde(default)]
        gone: Sent<String>,
    }
    let partial: Partial = made.read().unwrap();
    assert_eq!(
        partial,
        Partial {
            a: Sent::Unchanged,
            gone: Sent::NotSent
        }
    );
}

#[test]
fn a_domain_can_be_given_its_base_type() {
    let made = Made::one(OWN, Column::Binary(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 5]));
    let (relation, row) = made.parts();
    assert!(row.deserialize::<(i32,)>(&relation).is_err());
    let columns = relation.columns.map(|column| ColumnDef {
        type_oid: Oid(NUMERIC),
        ..column
    });
    assert_eq!(row.deserialize_columns::<(i32,), _>(columns).unwrap(), (5,));
}

#[test]
fn bytes_are_those_of_the_value() {
    for column in [
        Column::Text(b"\\x00ff"),
        Column::Text(br"\000\377"),
        Column::Binary(&[0, 255]),
    ] {
        let made = Made::one(BYTEA, column);
        assert_eq!(made.read::<(Vec<u8>,)>().unwrap().0, [0, 255]);
        assert_eq!(made.read::<([u8; 2],)>().unwrap().0, [0, 255]);
    }
}

#[test]
fn text_that_says_a_number_is_one_in_both_forms() {
    for form in [Column::Text, Column::Binary] {
        let text = |text| Made::one(TEXT, form(text));
        assert_eq!(text(b"-42").read::<(i8,)>().unwrap().0, -42);
        assert_eq!(text(b"42").read::<(u128,)>().unwrap().0, 42);
        assert_eq!(text(b"1.5").read::<(f32,)>().unwrap().0, 1.5);
        assert!(text(b"t").read::<(bool,)>().unwrap().0);
        let id = "00000000-0000-0000-0000-000000000001";
        assert_eq!(
            text(id.as_bytes()).read::<(Uuid,)>().unwrap().0.to_string(),
            id
        );
    }
    for column in [
        Column::Text(b"9007199254740993"),
        Column::Binary(&[0, 32, 0, 0, 0, 0, 0, 1]),
    ] {
        assert_eq!(
            Made::one(INT8, column).read::<(f64,)>().unwrap().0,
            9_007_199_254_740_992.0
        );
    }
}

#[test]
fn a_number_too_large_for_its_field_is_not_made_infinite() {
    for column in [
        Column::Text(b"1e300"),
        Column::Binary(&1e300_f64.to_be_bytes()),
    ] {
        let error = Made::one(701, column).read::<(f32,)>().unwrap_err();
        assert_eq!(error.kind(), walproto::RowErrorKind::OutOfRange);
    }
    let infinite = Made::one(701, Column::Text(b"Infinity"));
    assert!(infinite.read::<(f32,)>().unwrap().0.is_infinite());
}
