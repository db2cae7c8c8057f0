//! Text, and what travels as text.

use testdata::Version;
use testdata::workload::Random;
use walproto::Column;
use walproto::value::{Char, Json, ValueErrorKind};

use crate::oracle::{self, both_forms, survives_junk};

fn text(random: &mut Random) -> String {
    const PIECES: [&str; 14] = [
        "a",
        "B",
        "0",
        " ",
        "'",
        "\"",
        "\\",
        "\\N",
        "\n",
        "\r\n",
        "\t",
        "é",
        "漢字",
        "\u{10FFFF}",
    ];
    (0..random.below(12))
        .map(|_| *random.one_of(&PIECES))
        .collect()
}

fn json(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 4 } else { 6 }) {
        0 => "null".into(),
        1 => format!(
            "{}.{}e{}",
            random.below(100),
            random.below(100),
            random.below(30)
        ),
        2 => "true".into(),
        3 => {
            let text = text(random).replace('\\', "\\\\").replace('"', "\\\"");
            let text = text
                .replace('\n', "\\n")
                .replace('\r', "\\u000d")
                .replace('\t', "\\t");
            format!("\"{text}\"")
        }
        4 => {
            let items: Vec<_> = (0..random.below(4))
                .map(|_| json(random, depth - 1))
                .collect();
            format!("[{}]", items.join(" , "))
        }
        _ => {
            let items: Vec<_> = (0..random.below(4))
                .map(|key| format!("\"{key}\" :{}", json(random, depth - 1)))
                .collect();
            format!("{{{}}}", items.join(","))
        }
    }
}

#[test]
fn text_is_the_same_in_both_forms() {
    oracle::each(|oracle, random| {
        let inputs: Vec<_> = (0..1_000).map(|_| text(random)).collect();
        for ty in ["text", "varchar(100)", "character(60)", "name"] {
            let answers = oracle.ask(ty, &inputs, &[]);
            both_forms(&answers, Column::value::<&str>);
            for answer in &answers {
                assert_eq!(answer.value::<&str>(), answer.text);
            }
            survives_junk(&answers, random, |column| {
                column.value::<&str>().map(str::len)
            });
        }
        oracle.run("CREATE TYPE pg_temp.mood AS ENUM ('t', 'f', 'so so', '\"')");
        let labels: Vec<_> = ["t", "f", "so so", "\""].map(String::from).into();
        let answers = oracle.ask("pg_temp.mood", &labels, &[]);
        assert_eq!(answers.len(), 4);
        both_forms(&answers, Column::value::<&str>);
    });
}

#[test]
fn json_is_text_whatever_the_type_and_form() {
    oracle::each(|oracle, random| {
        let inputs: Vec<_> = (0..1_000).map(|_| json(random, 3)).collect();
        for ty in ["json", "jsonb"] {
            let answers = oracle.ask(ty, &inputs, &[]);
            both_forms(&answers, Column::value::<Json<'_>>);
            for answer in &answers {
                assert_eq!(answer.value::<Json<'_>>().0, answer.text);
            }
            survives_junk(&answers, random, |column| {
                column.value::<Json<'_>>().map(|json| json.0.len())
            });
        }
    });
}

#[test]
fn single_bytes_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        // Of characters that are not ASCII the first byte is kept; up to 15 its text is no UTF-8.
        let all = if oracle.version() >= Version::V16 {
            256
        } else {
            128
        };
        let inputs = format!(
            "SELECT \"char\"(i - CASE WHEN i > 127 THEN 256 ELSE 0 END) FROM generate_series(0, {}) i",
            all - 1
        );
        let answers = oracle.ask_query("\"char\"", &inputs, &[]);
        assert_eq!(answers.len(), all);
        for answer in &answers {
            assert_eq!([answer.value::<Char>().0][..], answer.binary);
        }
        survives_junk(&answers, random, |column| column.value::<Char>());
    });
    assert_eq!(Column::Text(&[0xC3]).value(), Ok(Char(0xC3)));
}

#[test]
fn text_that_is_not_utf8_is_refused_at_its_byte() {
    let error = Column::Text(b"ab\xC3(").value::<&str>().unwrap_err();
    assert_eq!((error.kind, error.offset), (ValueErrorKind::NotUtf8, 2));
    let error = Column::Binary(b"\x01{\xFF")
        .value::<Json<'_>>()
        .unwrap_err();
    assert_eq!((error.kind, error.offset), (ValueErrorKind::NotUtf8, 2));
}
