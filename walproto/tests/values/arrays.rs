//! Arrays.

use testdata::workload::Random;
use walproto::value::{
    Array, BitString, BoxArray, Bytea, Char, Date, Element, Inet, Interval, LocalTimestamp,
    MacAddr, Numeric, Quoted, Range, TimeTz, Uuid, ValueErrorKind,
};
use walproto::{Column, Oid, Timestamp};

use crate::oracle::{self, Answer, survives_junk};

/// Types of elements, their send functions, and values that are hard to quote or to tell from others.
const TYPES: &[(&str, &str, &[&str])] = &[
    ("bool", "boolsend", &["t", "f"]),
    ("int2", "int2send", &["0", "-32768", "32767"]),
    ("int8", "int8send", &["0", "-9223372036854775808", "7"]),
    (
        "float8",
        "float8send",
        &["NaN", "-Infinity", "-0", "1e-300"],
    ),
    (
        "numeric",
        "numeric_send",
        &["0e-1", "NaN", "1e500", "-0.000"],
    ),
    (
        "text",
        "textsend",
        &[
            "",
            " ",
            "NULL",
            "null",
            "nUlL",
            "NULL ",
            "a,b",
            "{",
            "}",
            "{}",
            "\"",
            "\\",
            "\\\"",
            "\"\"",
            "\\\\",
            "é",
            "\u{10FFFF}",
            "\t",
            "\n",
            "\r\n",
            "\u{b}",
            "\u{c}",
            "\u{1}",
            "t",
            "'",
            "\\N",
            "[0:1]={7,8}",
            "plain",
            "¢\u{700}a\"\u{700}¢",
            "longer than eight bytes, \"quoted\" twice, with \\ and more",
            "two words",
            "\u{a0}",
            "\u{2003}",
        ],
    ),
    ("name", "namesend", &["", "a\"b", "Mixed Case"]),
    ("\"char\"", "charsend", &["a", "\\", "\"", " ", "", ","]),
    ("bytea", "byteasend", &["\\x", "\\x00", "\\x5c22"]),
    (
        "date",
        "date_send",
        &["-infinity", "0044-03-15 BC", "20000-01-01"],
    ),
    (
        "timestamptz",
        "timestamptz_send",
        &[
            "infinity",
            "2000-01-01 00:00:00.000001+00",
            "0044-03-15 12:00:00+00 BC",
        ],
    ),
    (
        "timetz",
        "timetz_send",
        &["24:00:00-15:59:59", "00:00:00+00"],
    ),
    (
        "interval",
        "interval_send",
        &["1 day", "-1 year 2 mons 04:05:06", "00:00:00"],
    ),
    (
        "uuid",
        "uuid_send",
        &["00000000-0000-0000-0000-000000000000"],
    ),
    (
        "json",
        "json_send",
        &["{\"a\": [1, \"b\\\\\"]}", "null", "\"\""],
    ),
    (
        "jsonb",
        "jsonb_send",
        &["{\"a\": [1, \"b\\\\\"]}", "null", "\"\""],
    ),
    ("inet", "inet_send", &["::1", "10.0.0.0/8"]),
    ("macaddr", "macaddr_send", &["08:00:2b:01:02:03"]),
    ("varbit", "varbit_send", &["", "101"]),
    ("point", "point_send", &["(1,2)", "(-0,Infinity)"]),
    ("box", "box_send", &["(1,2),(0,1)", "(0,0),(0,0)"]),
    ("int4range", "range_send", &["empty", "[1,5)", "(,)"]),
    (
        "tsrange",
        "range_send",
        &["[2000-01-01 00:00:00,)", "empty"],
    ),
    (
        "tsmultirange",
        "multirange_send",
        &["{}", "{[2000-01-01 00:00:00,2000-01-02 00:00:00)}", "{(,)}"],
    ),
    (
        "tsvector",
        "tsvectorsend",
        &["", "'a':1 'b c':2", "'\\\\' ''''"],
    ),
    ("xml", "xml_send", &["<a b=\"c\\d\"/>"]),
];

/// An array as the server takes it in, and its dimensions as `array_dims` writes them.
fn input(ty: &str, values: &[&str], random: &mut Random) -> (String, String) {
    if random.once_in(10) {
        return ("{}".into(), String::new());
    }
    let ndim = if random.once_in(3) {
        1 + random.below(6)
    } else {
        1
    };
    let lens: Vec<usize> = (0..ndim)
        .map(|_| 1 + random.below(if ndim < 3 { 5 } else { 2 }))
        .collect();
    let bounded = random.once_in(3);
    let dims: String = lens
        .iter()
        .map(|len| {
            let lower = match (bounded, random.below(9)) {
                (false, _) => 1,
                (true, 0) => i64::from(i32::MIN),
                (true, 1) => i64::from(i32::MAX) - i64::try_from(*len).unwrap(),
                (true, small) => i64::try_from(small).unwrap() - 4,
            };
            format!("[{lower}:{}]", lower + i64::try_from(*len).unwrap() - 1)
        })
        .collect();
    let delimiter = if ty == "box" { ";" } else { "," };
    let mut level: Vec<String> = (0..lens.iter().product())
        .map(|_| match random.below(8) {
            0 => "NULL".into(),
            _ => {
                let value = random.one_of(values);
                format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
            }
        })
        .collect();
    for len in lens.iter().rev() {
        level = level
            .chunks(*len)
            .map(|words| format!("{{{}}}", words.join(delimiter)))
            .collect();
    }
    let bounds = if bounded {
        format!("{dims}=")
    } else {
        String::new()
    };
    (format!("{bounds}{}", level[0]), dims)
}

fn read<'a>(column: Column<'a>, ty: &str) -> Array<'a> {
    let array = match ty {
        "box" => column.value::<BoxArray<'_>>().map(|array| array.0),
        _ => column.value::<Array<'_>>(),
    };
    array.unwrap_or_else(|error| panic!("{error}: {column:?}"))
}

fn dims(array: &Array<'_>) -> String {
    let dims = array.dims().iter();
    dims.map(|dim| format!("[{}:{}]", dim.lower, dim.upper()))
        .collect()
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes
        .into_iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn arrays_of_every_type_are_what_the_server_takes_them_apart_into() {
    oracle::each(|oracle, random| {
        for &(ty, send, values) in TYPES {
            let (inputs, written): (Vec<String>, Vec<String>) =
                (0..300).map(|_| input(ty, values, random)).unzip();
            let each = format!(
                "(SELECT string_agg(coalesce(encode(convert_to(format('%s', e), 'UTF8'), 'hex')
                    || ':' || encode({send}(e), 'hex'), 'NULL'), ',') FROM unnest(x) AS e)"
            );
            let answers = oracle.ask(
                &format!("{ty}[]"),
                &inputs,
                &["array_dims(x)", &each, &format!("'{ty}'::regtype::oid")],
            );
            assert_eq!(answers.len(), inputs.len(), "{ty}");
            for (answer, written) in answers.iter().zip(&written) {
                let elements: Vec<&str> = match answer.told(1) {
                    "" => Vec::new(),
                    told => told.split(',').collect(),
                };
                let [text, binary] = answer.forms().map(|form| read(form, ty));
                let oid = binary.element_type().map(|Oid(oid)| oid.to_string());
                assert_eq!(
                    (text.element_type(), oid.as_deref()),
                    (None, Some(answer.told(2)))
                );
                for array in [text, binary] {
                    assert_eq!(&dims(&array), written, "{answer:?}");
                    assert_eq!(dims(&array), answer.told(0));
                    assert_eq!(array.len(), elements.len(), "{answer:?}");
                    assert_eq!(array.is_empty(), elements.is_empty());
                    assert_eq!(array.elements().len(), elements.len());
                }
                for ((text, binary), told) in text.elements().zip(binary).zip(elements) {
                    let read = match (text, binary) {
                        (Element::Null, Element::Null) => "NULL".into(),
                        (text, Element::Binary(bytes)) => {
                            let text: Quoted<'_> = text.value().unwrap();
                            format!("{}:{}", hex(text.bytes()), hex(bytes.iter().copied()))
                        }
                        other => panic!("{other:?} in {answer:?}"),
                    };
                    assert_eq!(read, told, "{answer:?}");
                }
            }
            survives_junk(&answers[..30], random, |column| {
                let array: Array<'_> = column.value()?;
                assert_eq!(array.elements().count(), array.len());
                array
                    .values::<Option<Quoted<'_>>>()
                    .try_for_each(|value| value.map(drop))
            });
        }
    });
}

#[test]
fn what_is_read_from_text_the_server_reads_too_and_as_the_same() {
    oracle::each(|oracle, random| {
        let (_, _, values) = TYPES.iter().find(|(ty, ..)| *ty == "text").unwrap();
        let inputs: Vec<String> = (0..1_000)
            .map(|_| input("text", values, random).0)
            .collect();
        let answers = oracle.ask("text[]", &inputs, &[]);
        let mut accepted = Vec::new();
        for Answer { text, .. } in &answers {
            for _ in 0..20 {
                let mut bytes = text.clone().into_bytes();
                for _ in 0..=random.below(2) {
                    let at = random.below(bytes.len());
                    let byte = *random.one_of(b"{}{},\"\\[]:=-019 aNUL\t");
                    match random.below(4) {
                        0 => drop(bytes.remove(at)),
                        1 => bytes.insert(at, byte),
                        _ => bytes[at] = byte,
                    }
                    if bytes.is_empty() {
                        break;
                    }
                }
                if let Ok(text) = String::from_utf8(bytes)
                    && Column::Text(text.as_bytes()).value::<Array<'_>>().is_ok()
                {
                    accepted.push(text);
                }
            }
        }
        eprintln!(
            "{}: {} changed arrays are still some",
            oracle.version(),
            accepted.len()
        );
        let answers = oracle.ask("text[]", &accepted, &[]);
        for (accepted, answer) in accepted.iter().zip(&answers) {
            assert_eq!(accepted, &answer.input, "the server refuses the first");
            let ours = read(Column::Text(accepted.as_bytes()), "text");
            for form in answer.forms() {
                let theirs = read(form, "text");
                assert_eq!(dims(&ours), dims(&theirs), "{accepted}");
                assert!(
                    ours.values::<Option<Quoted<'_>>>().eq(theirs.values()),
                    "{accepted}"
                );
            }
        }
        assert_eq!(accepted.len(), answers.len());
    });
}

/// Checks that each element read as the type is the same from both forms.
macro_rules! both_forms_as {
    ($oracle:ident, $random:ident: $($ty:literal $as:ty,)+) => {$({
        let (_, _, values) = TYPES.iter().find(|(ty, ..)| *ty == $ty).unwrap();
        let inputs: Vec<String> = (0..200).map(|_| input($ty, values, $random).0).collect();
        for answer in &$oracle.ask(concat!($ty, "[]"), &inputs, &[]) {
            let [text, binary] = answer.forms().map(|form| {
                let values = read(form, $ty).values::<Option<$as>>();
                let values = values.map(|value| format!("{:?}", value.unwrap()));
                values.collect::<Vec<String>>()
            });
            assert_eq!(text, binary, "{answer:?}");
        }
    })+};
}

#[test]
fn elements_of_every_type_are_the_same_from_both_forms() {
    oracle::each(|oracle, random| {
        both_forms_as! { oracle, random:
            "bool" bool,
            "int2" i16,
            "int8" i64,
            "float8" f64,
            "numeric" Numeric<'_>,
            "text" Quoted<'_>,
            "name" Quoted<'_>,
            "\"char\"" Char,
            "bytea" Bytea<'_>,
            "date" Date,
            "timestamptz" Timestamp,
            "timetz" TimeTz,
            "interval" Interval,
            "uuid" Uuid,
            "json" Quoted<'_>,
            "inet" Inet,
            "macaddr" MacAddr,
            "varbit" BitString<'_>,
            "int4range" Range<i32>,
            "tsrange" Range<LocalTimestamp>,
        }
    });
}

#[test]
fn typed_elements_are_what_the_server_joins() {
    oracle::each(|oracle, _| {
        let answers = oracle.ask_query(
            "int4[]",
            "VALUES ('{}'::int4[]), ('[0:1]={7,8}'), ('{{1,-2},{NULL,2147483647}}')",
            &["array_to_string(x, ',', 'NULL')"],
        );
        for answer in &answers {
            for form in answer.forms() {
                let array: Array<'_> = form.value().unwrap();
                let values: Vec<String> = array
                    .values::<Option<i32>>()
                    .map(|value| {
                        value
                            .unwrap()
                            .map_or_else(|| "NULL".into(), |value| value.to_string())
                    })
                    .collect();
                assert_eq!(values.join(","), answer.told(0), "{answer:?}");
            }
        }
        // A vector is stored as an array that counts from 0, and its elements are where an array has none too.
        let answers = oracle.ask_query("oidvector", "VALUES (''::oidvector), ('1 2')", &[]);
        for (answer, expected) in answers.iter().zip([&[][..], &[Oid(1), Oid(2)]]) {
            let array: Array<'_> = Column::Binary(&answer.binary).value().unwrap();
            assert_eq!((array.dims().len(), array.dims()[0].lower), (1, 0));
            let values: Result<Vec<Oid>, _> = array.values().collect();
            assert_eq!(values.as_deref(), Ok(expected));
        }
    });
}

fn elements(text: &str) -> Vec<Element<'_>> {
    let array: Array<'_> = Column::Text(text.as_bytes()).value().unwrap();
    array.elements().collect()
}

#[test]
fn elements_without_escapes_are_lent_as_they_stand() {
    let text = |text: &'static str| Element::Text(text.as_bytes());
    assert_eq!(elements("[0:1]={7,8}"), [text("7"), text("8")]);
    assert_eq!(
        elements("{{a,b},{c,d}}"),
        [text("a"), text("b"), text("c"), text("d")]
    );
    assert_eq!(
        elements(r#"{NULL,"NULL","null"}"#),
        [Element::Null, text("NULL"), text("null")]
    );
    assert_eq!(
        elements(r#"{"","a,b","{}"," "}"#),
        [text(""), text("a,b"), text("{}"), text(" ")]
    );
    let quoted = elements(r#"{"a\"b","\\"}"#);
    let [Element::Quoted(first), Element::Quoted(second)] = quoted[..] else {
        panic!("{quoted:?}");
    };
    assert!(first == "a\"b" && second == "\\");
    assert_eq!(quoted[0].as_column(), None);
    let mut buffer = [0; 3];
    assert_eq!(quoted[0].unescape(&mut buffer), Ok(Column::Text(b"a\"b")));
    assert_eq!(quoted[0].unescape(&mut buffer[..2]).unwrap_err().needed, 3);
}

#[test]
fn what_an_element_cannot_be_read_through_is_said_with_its_place() {
    let array: Array<'_> = Column::Text(br#"{plain,"a\"b"}"#).value().unwrap();
    let mut values = array.values::<&str>();
    assert_eq!(values.next(), Some(Ok("plain")));
    let error = values.next().unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.offset),
        (ValueErrorKind::NeedsUnescaping, 8)
    );

    let array: Array<'_> = Column::Text(b"[5:6]={17,1x}").value().unwrap();
    let error = array.values::<i32>().nth(1).unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.offset),
        (ValueErrorKind::UnexpectedByte, 11)
    );
    let error = Column::Text(b"{1,NULL}")
        .value::<Array<'_>>()
        .unwrap()
        .values::<i32>()
        .nth(1);
    assert_eq!(error.unwrap().unwrap_err().kind, ValueErrorKind::Null);
}

#[test]
fn text_that_is_no_array_is_refused_with_the_byte() {
    use ValueErrorKind::{OutOfRange, Ragged, TrailingBytes, Truncated, UnexpectedByte};
    for (text, kind, offset) in [
        ("", Truncated, 0),
        ("1,2", UnexpectedByte, 0),
        ("{", Truncated, 1),
        ("{1", Truncated, 2),
        ("{1,", Truncated, 3),
        ("{1,}", UnexpectedByte, 3),
        ("{,1}", UnexpectedByte, 1),
        ("{}}", TrailingBytes, 2),
        ("{1} ", TrailingBytes, 3),
        ("{ 1}", UnexpectedByte, 1),
        ("{1 2}", UnexpectedByte, 2),
        ("{a\"b\"}", UnexpectedByte, 2),
        ("{\"a\"b}", UnexpectedByte, 4),
        ("{a\\b}", UnexpectedByte, 2),
        ("{\"a\\b\"}", UnexpectedByte, 3),
        ("{\"a", Truncated, 3),
        ("{\"a\\", Truncated, 4),
        ("{null}", UnexpectedByte, 1),
        ("{{}}", UnexpectedByte, 2),
        ("{{1},2}", Ragged, 5),
        ("{1,{2}}", Ragged, 3),
        ("{{1,2},{3}}", Ragged, 9),
        ("{{1},{2,3}}", Ragged, 9),
        ("{{{{{{{1}}}}}}}", OutOfRange, 6),
        ("[0:1]{7,8}", UnexpectedByte, 5),
        ("[0:1]={7}", Ragged, 6),
        ("[0:1]={}", Ragged, 6),
        ("[0:1][0:1]={7,8}", Ragged, 11),
        ("[1:0]={}", OutOfRange, 0),
        ("[0]={7}", UnexpectedByte, 2),
        ("[:0]={7}", UnexpectedByte, 1),
        ("[2147483647:2147483647]={7}", OutOfRange, 0),
        ("[2147483648:2147483648]={7}", OutOfRange, 1),
        ("[-2147483649:1]={7}", OutOfRange, 1),
        ("[-2147483648:2147483646]={7}", Ragged, 25),
        ("[1:1][1:1][1:1][1:1][1:1][1:1][1:1]={7}", OutOfRange, 30),
    ] {
        let error = Column::Text(text.as_bytes())
            .value::<Array<'_>>()
            .unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{text}");
    }
    assert!(Array::from_text_delimited(b"{1:2}", b':').is_ok());
    for delimiter in *b"{}\"\\ \n" {
        assert!(Array::from_text_delimited(b"{1}", delimiter).is_err());
    }
}

#[test]
fn bytes_that_are_no_array_are_refused_with_the_byte() {
    use ValueErrorKind::{OutOfRange, TrailingBytes, Truncated};
    let words = |words: &[i32]| {
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<_>>()
    };
    let most = i32::MAX;
    for (bytes, kind, offset) in [
        (words(&[]), Truncated, 0),
        (words(&[1, 0]), Truncated, 8),
        (words(&[-1, 0, 23]), OutOfRange, 0),
        (words(&[7, 0, 23]), OutOfRange, 0),
        (words(&[0, 2, 23]), OutOfRange, 4),
        (words(&[0, 0, 23, 0]), TrailingBytes, 12),
        (words(&[1, 0, 23, -1, 1]), OutOfRange, 12),
        (words(&[1, 0, 23, 1, most]), OutOfRange, 12),
        (words(&[1, 0, 23, 1, 1]), Truncated, 20),
        (words(&[1, 0, 23, most, 0, -1, -1]), Truncated, 28),
        (words(&[2, 0, 23, most, 0, most, 0, -1]), OutOfRange, 12),
        (words(&[1, 0, 23, 1, 1, -2]), OutOfRange, 20),
        (words(&[1, 0, 23, 1, 1, 4]), Truncated, 20),
        (words(&[1, 0, 23, 1, 1, most, 0]), Truncated, 20),
        (words(&[1, 0, 23, 1, 1, -1, 0]), TrailingBytes, 24),
    ] {
        let error = Column::Binary(&bytes).value::<Array<'_>>().unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{bytes:?}");
    }
    // Lengths whose product does not fit, but for the last one.
    let none = words(&[4, 0, 23, most, 0, most, 0, most, 0, 0, 0]);
    assert!(
        Column::Binary(&none)
            .value::<Array<'_>>()
            .unwrap()
            .is_empty()
    );
}
