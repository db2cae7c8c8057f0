//! Both forms of a row read as the same.

use std::fmt::{self, Debug};

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use walproto::value::{
    Cidr, Date, Inet, Interval, LocalTimestamp, MacAddr, Range, Time, TimeTz, Uuid,
};
use walproto::{Lsn, Timestamp};

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
struct Numbers<I8 = i64, F4 = f32, F8 = f64, Free = String, Fixed = f64> {
    id: u8,
    yes: Option<bool>,
    i2: Option<i16>,
    i4: Option<i32>,
    i8: Option<I8>,
    f4: Option<F4>,
    f8: Option<F8>,
    free: Option<Free>,
    fixed: Option<Fixed>,
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
    assert_eq!(
        first.free.as_deref(),
        Some("123456789012345678901234567890.123456789")
    );
    assert_eq!(
        (first.fixed, second.fixed),
        (Some(99_999_999.99), Some(-99_999_999.99))
    );
    assert!(rows[3].fixed.is_some_and(f64::is_nan));
    assert_eq!(rows[6].free.as_deref(), Some("0.0"));
}

#[test]
fn numbers_are_read_as_wider_ones_and_as_text() {
    let rows: Vec<Numbers<i128, f64, String>> = same("numbers");
    assert_eq!(rows[0].i8, Some(i64::MAX.into()));
    assert_eq!(rows[6].f4, Some(f64::from(0.3_f32)));
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

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mood {
    Sad,
    Ok,
    #[serde(rename = "it's \"odd\"")]
    Odd,
}

#[derive(Debug, Deserialize)]
struct Collections {
    ints: Vec<Option<i32>>,
    words: Nested<Option<String>>,
    grid: Vec<Vec<i16>>,
    mo: Option<Vec<Mood>>,
    r4: Range<i32>,
}

/// Arrays of any number of dimensions may stand in one column.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Nested<T> {
    Rows(Vec<Vec<T>>),
    Flat(Vec<T>),
}

#[test]
fn arrays_are_read_into_vectors_of_as_many_levels() {
    let rows: Vec<Collections> = same("collections");
    assert_eq!(rows[0].ints, [Some(1), None, Some(-3)]);
    let words = ["a", "b c", "", "NULL", "", "q\"\\", ","].map(|word| Some(word.to_owned()));
    let mut words: Vec<_> = words.into();
    words[2] = None;
    assert_eq!(rows[0].words, Nested::Flat(words));
    assert_eq!(rows[0].grid, [[1, 2], [3, 4]]);
    assert_eq!(rows[0].mo, Some(vec![Mood::Ok, Mood::Odd]));
    assert_eq!(rows[0].r4.to_string(), "[1,10)");
    assert_eq!(rows[1].ints, []);
    assert_eq!(rows[1].grid, [[0; 0]; 0]);
    assert_eq!(rows[2].ints, [Some(7), Some(8)]);
    assert_eq!(rows[2].mo, None);
}

#[derive(Debug, Deserialize)]
struct Own {
    id: i32,
    m: Option<Mood>,
    l: Option<String>,
    p: Option<Pair>,
    ps: Option<Vec<Pair>>,
    ls: Option<Vec<Label>>,
}

/// A composite, by position.
#[derive(Debug, Deserialize, PartialEq)]
struct Pair {
    first: Option<i32>,
    second: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Label(String);

#[test]
fn enums_domains_and_composites_are_read() {
    let rows: Vec<Own> = same("own");
    assert_eq!(rows[0].id, 1);
    assert_eq!(
        (rows[0].m, rows[1].m, rows[2].m),
        (Some(Mood::Ok), Some(Mood::Odd), None)
    );
    assert_eq!(
        (rows[0].l.as_deref(), rows[1].l.as_deref()),
        (Some("label"), Some(""))
    );
    let pair = |first, second: Option<&str>| Pair {
        first,
        second: second.map(Into::into),
    };
    assert_eq!(rows[0].p, Some(pair(Some(1), Some("a,\"b\""))));
    assert_eq!(
        rows[0].ps,
        Some(vec![pair(Some(1), Some("x")), pair(None, Some(""))])
    );
    assert_eq!(rows[1].p, Some(pair(None, None)));
    assert_eq!(rows[1].ps, Some(vec![]));
    assert_eq!(
        rows[0].ls,
        Some(vec![Label("one".into()), Label("two words".into())])
    );
    assert!(rows[2].p.is_none() && rows[2].ls.is_none());
}

#[derive(Debug, Deserialize)]
struct Others {
    id: Uuid,
    j: Option<String>,
    jb: Option<String>,
    i: Option<Inet>,
    c: Option<Cidr>,
    m: Option<MacAddr>,
    m8: Option<String>,
    b3: Option<String>,
    bv: Option<String>,
    lsn: Option<Lsn>,
}

#[test]
fn our_own_types_of_values_are_fields_like_others() {
    let rows: Vec<Others> = same("others");
    assert_eq!(rows[0].id, Uuid([0; 16]));
    assert_eq!(
        rows[0].jb.as_deref(),
        Some(r#"{"a": 3, "b": 1, "n": 1.10}"#)
    );
    assert_eq!(
        rows[0].j.as_deref(),
        Some(r#"{"b": 1, "a": 2, "a": 3, "n": 1.10}"#)
    );
    assert_eq!(
        rows[0].i.map(|inet| inet.to_string()).as_deref(),
        Some("192.168.0.1/24")
    );
    assert_eq!(
        rows[0].c.map(|cidr| cidr.to_string()).as_deref(),
        Some("10.0.0.0/8")
    );
    assert_eq!(rows[0].m, Some(MacAddr([8, 0, 0x2b, 1, 2, 3])));
    assert_eq!(rows[0].m8.as_deref(), Some("08:00:2b:01:02:03:04:05"));
    assert_eq!(
        (rows[0].b3.as_deref(), rows[0].bv.as_deref()),
        (Some("101"), Some("1"))
    );
    assert_eq!(rows[0].lsn, Some(Lsn(0x16_B374_D848)));
    assert_eq!((rows[1].m, rows[1].bv.as_deref()), (None, Some("")));
}

#[test]
fn as_text_they_are_what_the_server_writes() {
    #[derive(Debug, Deserialize)]
    struct Texts {
        id: String,
        i: Option<String>,
        c: Option<String>,
        m: Option<String>,
        lsn: Option<String>,
    }
    let rows: Vec<Texts> = same("others");
    assert_eq!(rows[2].id, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    assert_eq!(
        (rows[1].i.as_deref(), rows[1].c.as_deref()),
        (Some("::1"), Some("2001:db8::/32"))
    );
    assert_eq!(
        (rows[0].m.as_deref(), rows[1].m.as_deref()),
        (Some("08:00:2b:01:02:03"), None)
    );
    assert_eq!(rows[1].lsn.as_deref(), Some("FFFFFFFF/FFFFFFFF"));

    #[derive(Debug, Deserialize)]
    struct Ranges {
        r4: String,
        rn: String,
        rt: String,
    }
    let rows: Vec<Ranges> = same("collections");
    assert_eq!(
        (rows[0].r4.as_str(), rows[1].r4.as_str()),
        ("[1,10)", "empty")
    );
    assert_eq!(
        (rows[0].rn.as_str(), rows[2].rn.as_str()),
        ("(,5.5]", "[0,0]")
    );
    assert_eq!(rows[0].rt, "[\"2026-01-01 00:00:00+00\",infinity)");
}

#[derive(Debug, Deserialize)]
struct Texts<B> {
    t: String,
    c: Option<String>,
    one: Option<String>,
    b: Option<B>,
}

#[test]
fn byte_strings_are_bytes_in_both_forms() {
    let rows: Vec<Texts<Vec<u8>>> = same("texts");
    assert_eq!(rows[0].b.as_deref(), Some(&[0, 0xFF, 0x10][..]));
    assert_eq!(
        (rows[0].c.as_deref(), rows[0].one.as_deref()),
        (Some("ab   "), Some("c"))
    );
    assert_eq!(rows[3].t, "a\r\nb\tc\u{1}\u{7f}");
    assert_eq!(rows[4].t.chars().next(), Some('\u{10FFFF}'));
    let texts: Vec<Texts<String>> = same("texts");
    assert_eq!(texts[0].b.as_deref(), Some("\\x00ff10"));
    let owned: Vec<Texts<Bytes>> = same("texts");
    assert_eq!(owned[0].b, Some(Bytes(vec![0, 0xFF, 0x10])));
}

/// As `serde_bytes::ByteBuf`.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl Visitor<'_> for Take {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.into()))
            }
        }
        deserializer.deserialize_byte_buf(Take)
    }
}

#[derive(Debug, Deserialize)]
struct Times<D, T, TZ, L, TS, I> {
    id: i32,
    d: Option<D>,
    t: Option<T>,
    tz: Option<TZ>,
    ts: Option<L>,
    tstz: Option<TS>,
    ts0: Option<L>,
    span: Option<I>,
}

#[test]
fn moments_are_read_as_themselves_and_as_text() {
    let rows: Vec<Times<Date, Time, TimeTz, LocalTimestamp, Timestamp, Interval>> = same("times");
    let texts: Vec<Times<String, String, String, String, String, String>> = same("times");
    let text = |value: &dyn fmt::Display| value.to_string();
    for (row, texts) in rows.iter().zip(&texts) {
        assert_eq!(row.id, texts.id);
        assert_eq!(row.d.as_ref().map(|d| text(d)), texts.d);
        assert_eq!(row.t.as_ref().map(|t| text(t)), texts.t);
        assert_eq!(row.tz.as_ref().map(|tz| text(tz)), texts.tz);
        assert_eq!(row.ts.as_ref().map(|ts| text(ts)), texts.ts);
        assert_eq!(row.tstz.as_ref().map(|tstz| text(tstz)), texts.tstz);
        assert_eq!(row.ts0.as_ref().map(|ts0| text(ts0)), texts.ts0);
        assert_eq!(row.span.as_ref().map(|span| text(span)), texts.span);
    }
    assert_eq!(texts[1].d.as_deref(), Some("infinity"));
    assert_eq!(texts[3].ts.as_deref(), Some("4713-01-01 00:00:00 BC"));
    assert_eq!(
        texts[0].span.as_deref(),
        Some("1 year 2 mons -3 days +04:05:06.789")
    );
}
