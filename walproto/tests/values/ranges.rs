//! Ranges and multiranges.

use std::ops::Bound;

use testdata::workload::Random;
use walproto::Column;
use walproto::value::{Element, Multirange, Quoted, Range, ValueErrorKind};

use crate::oracle::{self, both_forms, survives_junk};

/// Types of ranges, how the multirange is called, the send function of the bounds, and bounds in order.
const TYPES: &[(&str, &str, &str, &[&str])] = &[
    (
        "int4range",
        "int4multirange",
        "int4send",
        &["-5", "0", "7", "2147483646"],
    ),
    (
        "int8range",
        "int8multirange",
        "int8send",
        &["-9223372036854775808", "0", "7"],
    ),
    (
        "numrange",
        "nummultirange",
        "numeric_send",
        &["-Infinity", "-0.10", "0", "1e500"],
    ),
    (
        "tsrange",
        "tsmultirange",
        "timestamp_send",
        &[
            "-infinity",
            "0044-03-15 12:00:00 BC",
            "2000-01-01 00:00:00.000001",
            "infinity",
        ],
    ),
    (
        "tstzrange",
        "tstzmultirange",
        "timestamptz_send",
        &["2000-01-01 00:00:00+00", "20000-01-01 00:00:00+00"],
    ),
    (
        "daterange",
        "datemultirange",
        "date_send",
        &["-infinity", "2000-01-01", "2000-02-29"],
    ),
    (
        "pg_temp.textrange",
        "pg_temp.textmultirange",
        "textsend",
        // In the order of the collation "C".
        &[
            "",
            "\t",
            " ",
            "\"",
            "\"\"",
            "(",
            ")",
            ",",
            "[",
            "\\",
            "\\\"",
            "]",
            "a",
            "a b",
            "b\"c",
            "empty",
            "{",
            "}",
            "é",
            "\u{10FFFF}",
        ],
    ),
];

const TEXTRANGE: &str = "CREATE TYPE pg_temp.textrange AS RANGE
    (subtype = text, collation = \"C\", multirange_type_name = pg_temp.textmultirange)";

/// A range as the server takes it in; `values` are in order.
fn input(values: &[&str], random: &mut Random) -> String {
    if random.once_in(12) {
        return "empty".into();
    }
    let first = random.below(values.len());
    let second = first + random.below(values.len() - first);
    let mut bound = |at: usize| match random.below(5) {
        0 => String::new(),
        _ => format!(
            "\"{}\"",
            values[at].replace('\\', "\\\\").replace('"', "\"\"")
        ),
    };
    let (lower, upper) = (bound(first), bound(second));
    let open = if random.once_in(2) { '[' } else { '(' };
    let close = if random.once_in(2) { ']' } else { ')' };
    format!("{open}{lower},{upper}{close}")
}

/// What the server tells of a range: each bound in hexadecimal, and whether it is inclusive and infinite.
fn told(range: &str, send: &str) -> String {
    let bound = |side: &str| {
        format!(
            "CASE WHEN {side}_inf({range}) THEN 'infinite' ELSE
                encode(convert_to(format('%s', {side}({range})), 'UTF8'), 'hex') || ':' ||
                encode({send}({side}({range})), 'hex') || ':' || {side}_inc({range}) END"
        )
    };
    format!(
        "CASE WHEN isempty({range}) THEN 'empty' ELSE {} || ' ' || {} END",
        bound("lower"),
        bound("upper")
    )
}

/// The same, from both forms of a range.
fn say(text: Range<Element<'_>>, binary: Range<Element<'_>>) -> String {
    let bound = |text: &Bound<Element<'_>>, binary: &Bound<Element<'_>>| match (text, binary) {
        (Bound::Unbounded, Bound::Unbounded) => "infinite".to_string(),
        (Bound::Included(text), Bound::Included(binary)) => format!("{}true", hex(*text, *binary)),
        (Bound::Excluded(text), Bound::Excluded(binary)) => format!("{}false", hex(*text, *binary)),
        other => panic!("{other:?}"),
    };
    match (text, binary) {
        (Range::Empty, Range::Empty) => "empty".into(),
        (Range::Between(lower, upper), Range::Between(binary_lower, binary_upper)) => {
            format!(
                "{} {}",
                bound(&lower, &binary_lower),
                bound(&upper, &binary_upper)
            )
        }
        other => panic!("{other:?}"),
    }
}

fn hex(text: Element<'_>, binary: Element<'_>) -> String {
    let Element::Binary(binary) = binary else {
        panic!("{binary:?}");
    };
    let text = text.value::<Quoted<'_>>().unwrap().bytes().collect();
    let hex = |bytes: Vec<u8>| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    format!("{}:{}:", hex(text), hex(binary.to_vec()))
}

#[test]
fn ranges_are_what_the_server_takes_them_apart_into() {
    oracle::each(|oracle, random| {
        oracle.run(TEXTRANGE);
        for &(ty, _, send, values) in TYPES {
            let inputs: Vec<String> = (0..600).map(|_| input(values, random)).collect();
            let answers = oracle.ask(ty, &inputs, &[&told("x", send)]);
            assert_eq!(answers.len(), inputs.len(), "{ty}");
            for answer in &answers {
                let [text, binary] = answer.forms().map(|form| form.value().unwrap());
                assert_eq!(say(text, binary), answer.told(0), "{answer:?}");
                let printed: Range<Quoted<'_>> =
                    Column::Text(answer.text.as_bytes()).value().unwrap();
                assert_eq!(printed.to_string(), answer.text);
            }
            survives_junk(&answers[..60], random, |column| {
                let range: Range<Element<'_>> = column.value()?;
                range.bounds::<Quoted<'_>>().map(|range| range.to_string())
            });
        }
    });
}

#[test]
fn multiranges_are_what_the_server_takes_them_apart_into() {
    oracle::each(|oracle, random| {
        oracle.run(TEXTRANGE);
        for &(ty, multi, send, values) in TYPES {
            let inputs: Vec<String> = (0..300)
                .map(|_| {
                    let ranges: Vec<_> = (0..random.below(5))
                        .map(|_| input(values, random))
                        .collect();
                    format!("{{{}}}", ranges.join(","))
                })
                .collect();
            let each = format!(
                "(SELECT string_agg({}, '|' ORDER BY r) FROM unnest(x) AS r)",
                told("r", send)
            );
            let answers = oracle.ask(multi, &inputs, &[&each]);
            assert_eq!(answers.len(), inputs.len(), "{ty}");
            for answer in &answers {
                let [text, binary] = answer
                    .forms()
                    .map(|form| form.value::<Multirange<'_>>().unwrap());
                assert_eq!(
                    (text.len(), text.ranges().len()),
                    (binary.len(), binary.ranges().len())
                );
                assert_eq!(text.is_empty(), answer.told(0).is_empty());
                let said: Vec<String> = text
                    .ranges()
                    .zip(binary.ranges())
                    .map(|(text, binary)| say(text, binary))
                    .collect();
                assert_eq!(said.join("|"), answer.told(0), "{answer:?}");
                let printed: Vec<String> = text
                    .values::<Quoted<'_>>()
                    .map(|range| range.unwrap().to_string())
                    .collect();
                assert_eq!(format!("{{{}}}", printed.join(",")), answer.text);
            }
            survives_junk(&answers[..40], random, |column| {
                let ranges: Multirange<'_> = column.value()?;
                assert_eq!(ranges.ranges().count(), ranges.len());
                ranges
                    .values::<Quoted<'_>>()
                    .try_for_each(|range| range.map(drop))
            });
        }
    });
}

#[test]
fn typed_ranges_print_as_the_server_writes_them() {
    oracle::each(|oracle, random| {
        let (_, _, _, values) = TYPES[0];
        let inputs: Vec<String> = (0..300).map(|_| input(values, random)).collect();
        let answers = oracle.ask("int4range", &inputs, &["x @> 3"]);
        both_forms(&answers, |column| {
            column.value::<Range<i32>>().map(|range| range.to_string())
        });
        for answer in &answers {
            let range: Range<i32> = answer.value();
            assert_eq!(range.contains(&3), answer.told(0) == "true", "{answer:?}");
        }
    });
}

#[test]
fn what_is_read_from_text_the_server_reads_too_and_as_the_same() {
    oracle::each(|oracle, random| {
        oracle.run(TEXTRANGE);
        let (ty, _, _, values) = *TYPES.last().unwrap();
        let inputs: Vec<String> = (0..1_000).map(|_| input(values, random)).collect();
        let mut accepted = Vec::new();
        for answer in oracle.ask(ty, &inputs, &[]) {
            for _ in 0..10 {
                let mut bytes = answer.text.clone().into_bytes();
                let at = random.below(bytes.len());
                let byte = *random.one_of(b"()[]()[],\"\\ aemptyz");
                match random.below(4) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, byte),
                    _ => bytes[at] = byte,
                }
                if let Ok(text) = String::from_utf8(bytes)
                    && let Ok(range) = Column::Text(text.as_bytes()).value::<Range<Quoted<'_>>>()
                    && in_order(&range)
                {
                    accepted.push(text);
                }
            }
        }
        eprintln!(
            "{}: {} changed ranges are still some",
            oracle.version(),
            accepted.len()
        );
        let answers = oracle.ask(ty, &accepted, &[]);
        for (accepted, answer) in accepted.iter().zip(&answers) {
            assert_eq!(accepted, &answer.input, "the server refuses the first");
            let ours: Range<Quoted<'_>> = Column::Text(accepted.as_bytes()).value().unwrap();
            assert_eq!(ours, answer.value(), "{accepted}");
        }
        assert_eq!(accepted.len(), answers.len());
    });
}

/// Whether a range has its bounds in order, and is not `[a,a)`, which the server makes `empty`.
fn in_order(range: &Range<Quoted<'_>>) -> bool {
    match range {
        Range::Between(
            Bound::Included(lower) | Bound::Excluded(lower),
            Bound::Included(upper) | Bound::Excluded(upper),
        ) => lower.bytes().lt(upper.bytes()),
        _ => true,
    }
}

#[test]
fn what_is_no_range_is_refused_with_the_byte() {
    use ValueErrorKind::{NeedsUnescaping, OutOfRange, TrailingBytes, Truncated, UnexpectedByte};
    for (text, kind, offset) in [
        ("", Truncated, 0),
        ("emptx", UnexpectedByte, 4),
        ("emp", Truncated, 3),
        ("empty ", TrailingBytes, 5),
        ("1,2", UnexpectedByte, 0),
        ("[1", Truncated, 2),
        ("[1,", Truncated, 3),
        ("[1,2", Truncated, 4),
        ("[1,2}", Truncated, 5),
        ("[1,2)]", TrailingBytes, 5),
        ("[ 1,2)", UnexpectedByte, 1),
        ("[\"1\\\"\",2)", UnexpectedByte, 3),
        ("[\"1\"\"\",2)", NeedsUnescaping, 2),
        ("[1,2x)", UnexpectedByte, 4),
    ] {
        let error = Column::Text(text.as_bytes())
            .value::<Range<i32>>()
            .unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{text}");
    }
    for (text, kind, offset) in [
        ("", Truncated, 0),
        ("{", Truncated, 1),
        ("{empty}", UnexpectedByte, 1),
        ("{[1,2)", Truncated, 6),
        ("{[1,2),}", UnexpectedByte, 7),
        ("{[1,2),,[3,4)}", UnexpectedByte, 7),
        ("{[1,2)}}", TrailingBytes, 7),
    ] {
        let error = Column::Text(text.as_bytes())
            .value::<Multirange<'_>>()
            .unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{text}");
    }
    let ranges: Multirange<'_> = Column::Text(b"{[1,2),[3,x)}").value().unwrap();
    let error = ranges.values::<i32>().nth(1).unwrap().unwrap_err();
    assert_eq!((error.kind, error.offset), (UnexpectedByte, 10));
    let bytes = [
        0, 0, 0, 1, // one range
        0, 0, 0, 11, 0x10, // of eleven bytes, up to infinity
        0, 0, 0, 6, 0, 0, 0, 7, 0, 0, // a number two bytes too long
    ];
    let ranges: Multirange<'_> = Column::Binary(&bytes).value().unwrap();
    let error = ranges.values::<i32>().next().unwrap().unwrap_err();
    assert_eq!((error.kind, error.offset), (TrailingBytes, 17));
    for (bytes, kind, offset) in [
        (&[][..], Truncated, 0),
        (&[1, 0], TrailingBytes, 1),
        (&[3], UnexpectedByte, 0),
        (&[0x20], UnexpectedByte, 0),
        (&[0x08, 0, 0, 0], Truncated, 1),
        (&[0x08, 0, 0, 0, 4, 0], Truncated, 1),
        (&[0x08, 0xFF, 0xFF, 0xFF, 0xFF], OutOfRange, 1),
        (&[0x08, 0, 0, 0, 2, 0, 7], Truncated, 7),
    ] {
        let error = Column::Binary(bytes).value::<Range<i32>>().unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{bytes:?}");
    }
    for (bytes, kind, offset) in [
        (&[0, 0, 0][..], Truncated, 0),
        (&[0, 0, 0, 0, 0], TrailingBytes, 4),
        (&[0xFF, 0xFF, 0xFF, 0xFF], OutOfRange, 0),
        (&[0x7F, 0xFF, 0xFF, 0xFF], Truncated, 4),
        (&[0, 0, 0, 1, 0, 0, 0, 1, 1], OutOfRange, 4),
        (&[0, 0, 0, 1, 0, 0, 0, 2, 0x18, 0], TrailingBytes, 9),
        (&[0, 0, 0, 1, 0, 0, 0, 1, 0x60], UnexpectedByte, 8),
    ] {
        let error = Column::Binary(bytes).value::<Multirange<'_>>().unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{bytes:?}");
    }
}
