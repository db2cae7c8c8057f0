//! Composite values.

use testdata::workload::Random;
use walproto::value::{Array, Bytea, Composite, Element, Quoted, Range, ValueErrorKind};
use walproto::{Column, Oid};

use crate::oracle::{self, survives_junk};

const TEXTS: [&str; 22] = [
    "",
    " ",
    "NULL",
    "null",
    "a,b",
    "(",
    ")",
    "()",
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
    "{}",
    "plain",
];

fn input(random: &mut Random) -> String {
    let mut text = || match random.below(5) {
        0 => String::new(),
        _ => {
            let text = random.one_of(&TEXTS);
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
        }
    };
    let (first, second) = (text(), text());
    let number = match random.below(4) {
        0 => String::new(),
        _ => (random.below(2_000).cast_signed() - 1_000).to_string(),
    };
    format!("({first},{number},{second})")
}

fn hex(element: Element<'_>) -> String {
    let text: Option<Quoted<'_>> = element.value().unwrap();
    text.map_or_else(
        || "NULL".into(),
        |text| text.bytes().map(|byte| format!("{byte:02x}")).collect(),
    )
}

#[test]
fn composites_are_what_the_server_takes_them_apart_into() {
    oracle::each(|oracle, random| {
        // A column that is gone is in neither form.
        oracle.run(
            "CREATE TYPE pg_temp.three AS (a text, gone int8, b int4, c text);
            ALTER TYPE pg_temp.three DROP ATTRIBUTE gone",
        );
        let inputs: Vec<String> = (0..3_000).map(|_| input(random)).collect();
        let text = |field: &str| {
            format!("coalesce(encode(convert_to((x).{field}, 'UTF8'), 'hex'), 'NULL')")
        };
        let answers = oracle.ask("pg_temp.three", &inputs, &[&text("a"), "(x).b", &text("c")]);
        assert_eq!(answers.len(), inputs.len());
        for answer in &answers {
            for form in answer.forms() {
                let composite: Composite<'_> = form.value().unwrap();
                assert_eq!((composite.len(), composite.fields().len()), (3, 3));
                let fields: Vec<Element<'_>> = composite.into_iter().collect();
                assert_eq!(hex(fields[0]), answer.told(0), "{answer:?}");
                assert_eq!(hex(fields[2]), answer.told(2), "{answer:?}");
                let (_, number, _): (Element<'_>, Option<i32>, Element<'_>) = form.value().unwrap();
                assert_eq!(number.map(|number| number.to_string()), answer.told[1]);
                let types = composite.types().map(Iterator::collect::<Vec<_>>);
                assert_eq!(types.is_none(), matches!(form, Column::Text(_)));
                assert!(types.is_none_or(|types| types == [Oid(25), Oid(23), Oid(25)]));
            }
        }
        survives_junk(&answers[..600], random, |column| {
            let composite: Composite<'_> = column.value()?;
            assert_eq!(composite.fields().count(), composite.len());
            column
                .value::<(Element<'_>, Option<i32>, Option<Quoted<'_>>)>()
                .map(drop)
        });
    });
}

#[test]
fn what_is_read_from_text_the_server_reads_too_and_as_the_same() {
    oracle::each(|oracle, random| {
        oracle.run("CREATE TYPE pg_temp.words AS (a text, b text, c text)");
        let inputs: Vec<String> = (0..1_000).map(|_| input(random)).collect();
        let mut accepted = Vec::new();
        for answer in oracle.ask("pg_temp.words", &inputs, &[]) {
            for _ in 0..10 {
                let mut bytes = answer.text.clone().into_bytes();
                let at = random.below(bytes.len());
                let byte = *random.one_of(b"(),\"\\ a");
                match random.below(4) {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, byte),
                    _ => bytes[at] = byte,
                }
                if let Ok(text) = String::from_utf8(bytes)
                    && let Ok(composite) = Column::Text(text.as_bytes()).value::<Composite<'_>>()
                    && composite.len() == 3
                {
                    accepted.push(text);
                }
            }
        }
        eprintln!(
            "{}: {} changed composites are still some",
            oracle.version(),
            accepted.len()
        );
        let answers = oracle.ask("pg_temp.words", &accepted, &[]);
        for (accepted, answer) in accepted.iter().zip(&answers) {
            assert_eq!(accepted, &answer.input, "the server refuses the first");
            let ours: Composite<'_> = Column::Text(accepted.as_bytes()).value().unwrap();
            for form in answer.forms() {
                let theirs: Composite<'_> = form.value().unwrap();
                let same = ours.fields().map(hex).eq(theirs.fields().map(hex));
                assert!(same, "{accepted}");
            }
        }
        assert_eq!(accepted.len(), answers.len());
    });
}

#[test]
fn typed_values_are_read_through_several_levels_of_quotes() {
    oracle::each(|oracle, _| {
        oracle.run(
            "CREATE TYPE pg_temp.line AS (id int4, at timestamp, during tsrange, raw bytea, tags text[]);
            CREATE TYPE pg_temp.sheet AS (title text, lines pg_temp.line[])",
        );
        let answers = oracle.ask_query(
            "pg_temp.sheet",
            r#"SELECT ROW('a "b"', ARRAY[
                ROW(7, '2000-01-01 00:00:00', '[2000-01-01 00:00:00,)', '\x5c', ARRAY['one two', '"', NULL]),
                ROW(8, NULL, 'empty', NULL, '{}')]::pg_temp.line[])::pg_temp.sheet"#,
            &[],
        );
        type Line<'a> = (
            i32,
            Option<Element<'a>>,
            Range<Element<'a>>,
            Option<Bytea<'a>>,
            Array<'a>,
        );
        for form in answers[0].forms() {
            let (title, lines): (Quoted<'_>, Array<'_>) = form.value().unwrap();
            assert_eq!(title, "a \"b\"");
            let lines: Vec<Line<'_>> = lines.values().collect::<Result<_, _>>().unwrap();
            let [
                (seven, at, during, raw, tags),
                (eight, never, empty, no_bytes, no_tags),
            ] = &lines[..]
            else {
                panic!("two lines");
            };
            assert_eq!((*seven, *eight), (7, 8));
            match at.unwrap() {
                // Lent out of three levels of quotes.
                Element::Text(text) => assert_eq!(text, b"2000-01-01 00:00:00"),
                other => assert_eq!(other, Element::Binary(&[0; 8])),
            }
            assert!(never.is_none() && no_bytes.is_none());
            assert_eq!(
                during.lower().map(|lower| lower.map(Some)),
                Some(std::ops::Bound::Included(*at))
            );
            assert_eq!(during.upper(), Some(&std::ops::Bound::Unbounded));
            assert!(empty.is_empty() && no_tags.is_empty());
            assert_eq!(*raw, Some(Bytea::new(b"\\")));
            let tags: Vec<Option<Quoted<'_>>> = tags.values().collect::<Result<_, _>>().unwrap();
            let tags: Vec<Option<String>> = tags
                .iter()
                .map(|tag| tag.map(|tag| tag.to_string()))
                .collect();
            assert_eq!(tags, [Some("one two".into()), Some("\"".into()), None]);
        }
    });
}

#[test]
fn a_missing_field_is_null_and_an_empty_one_is_not() {
    let read = |text: &'static str| -> Vec<Element<'static>> {
        let composite: Composite<'_> = Column::Text(text.as_bytes()).value().unwrap();
        composite.fields().collect()
    };
    assert_eq!(read("()"), [Element::Null]);
    assert_eq!(read("(,)"), [Element::Null; 2]);
    assert_eq!(read(r#"("",)"#), [Element::Text(b""), Element::Null]);
    assert_eq!(read("(NULL)"), [Element::Text(b"NULL")]);
    assert!(Column::Text(b"(a(b)").value::<Composite<'_>>().is_err());
    let Element::Quoted(text) = read(r#"(a,"b ""c""",)"#)[1] else {
        panic!("escapes are seen");
    };
    assert_eq!(text, "b \"c\"");
    let none: Composite<'_> = Column::Binary(&[0; 4]).value().unwrap();
    assert!(none.is_empty());
}

#[test]
fn what_is_no_composite_is_refused_with_the_byte() {
    use ValueErrorKind::{FieldCount, OutOfRange, TrailingBytes, Truncated, UnexpectedByte};
    for (text, kind, offset) in [
        ("", Truncated, 0),
        ("1,2", UnexpectedByte, 0),
        ("(", Truncated, 1),
        ("(1,2", Truncated, 4),
        ("(1,2) ", TrailingBytes, 5),
        ("(1, 2)", UnexpectedByte, 3),
        ("((1,2)", UnexpectedByte, 1),
        ("(1\"2\",3)", UnexpectedByte, 2),
        ("(\"1\"2,3)", UnexpectedByte, 4),
        ("(\"\\\"\",3)", UnexpectedByte, 2),
        ("(\"1,2)", Truncated, 6),
        ("(1,2,3)", FieldCount, 0),
        ("(1)", FieldCount, 0),
        ("(1,2x)", UnexpectedByte, 4),
    ] {
        let error = Column::Text(text.as_bytes())
            .value::<(i32, i32)>()
            .unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{text}");
    }
    for (bytes, kind, offset) in [
        (&[0, 0][..], Truncated, 0),
        (&[0xFF, 0xFF, 0xFF, 0xFF], OutOfRange, 0),
        (&[0x7F, 0xFF, 0xFF, 0xFF], Truncated, 4),
        (&[0, 0, 0, 0, 1], TrailingBytes, 4),
        (&[0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 4, 0], Truncated, 8),
        (
            &[0, 0, 0, 1, 0, 0, 0, 23, 0xFF, 0xFF, 0xFF, 0xFE],
            OutOfRange,
            8,
        ),
    ] {
        let error = Column::Binary(bytes).value::<Composite<'_>>().unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{bytes:?}");
    }
    let mut fields = Column::Text(b"(1)")
        .value::<Composite<'_>>()
        .unwrap()
        .fields();
    assert_eq!(fields.value(), Ok(1));
    assert_eq!(fields.value::<i32>().unwrap_err().kind, FieldCount);
}
