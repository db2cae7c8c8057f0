//! Values of a real PostgreSQL in SQL Server's types: PostgreSQL says what each of them is in days, microseconds, digits
//! and bytes, and how the server would print it. What a column does not hold is refused at the door, and nothing else is.

use std::collections::BTreeMap;

use testdata::{Client, Server, Version};

use super::*;
use crate::dialect::corpus::{TYPES, fill};
use crate::dialect::sqlserver::typed::Typed;

/// Random values of each type.
const RANDOM: usize = 150;

/// Two expressions of `x`, a text: what goes over the wire, and what a select there would print. Both are text.
fn oracle(held: &Held) -> Option<(String, String)> {
    let clock = |of: &str, digits: u8| {
        let unit = 10_u32.pow(u32::from(6 - digits));
        format!("trunc(extract(epoch FROM ({of})::time) * 1000000 / {unit})::text")
    };
    let day = |of: &str| format!("(({of})::date - date '0001-01-01')::text");
    let printed = |of: &str, digits: u8| {
        // Without a point where no digits follow.
        let cut = if digits == 0 { 7 } else { 6 - digits };
        format!("substr({of}, 1, length({of}) - {cut})")
    };
    let pair = match held.form {
        Form::Date => (day("x"), "x".to_owned()),
        Form::Time { digits } => (
            clock("x", digits),
            printed(
                "to_char(date '2000-01-01' + x::time, 'HH24:MI:SS.US')",
                digits,
            ),
        ),
        Form::DateTime { digits } | Form::Zoned { digits } => {
            let zoned = matches!(held.form, Form::Zoned { .. });
            let of = if zoned {
                "(x::timestamptz AT TIME ZONE 'UTC')"
            } else {
                "x::timestamp"
            };
            let text = format!("to_char({of}, 'YYYY-MM-DD HH24:MI:SS.US')");
            let zone = if zoned { " || ' +00:00'" } else { "" };
            (
                format!("{} || ' ' || {}", day(of), clock(of, digits)),
                printed(&text, digits) + zone,
            )
        }
        Form::Decimal { scale, .. } => (
            format!("trunc(x::numeric * '1e{scale}'::numeric)::text"),
            "x".to_owned(),
        ),
        Form::Uuid => (
            "encode(uuid_send(x::uuid), 'hex')".to_owned(),
            "x".to_owned(),
        ),
        Form::Double => (
            "encode(float8send(x::float8), 'hex')".to_owned(),
            "to_char(x::float8::numeric, '9')".to_owned(),
        ),
        _ => return None,
    };
    Some(pair)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wire(typed: Typed<'_>) -> String {
    match typed {
        Typed::Bool(value) => (if value.unwrap() { "t" } else { "f" }).to_owned(),
        Typed::Int2(value) => value.unwrap().to_string(),
        Typed::Int4(value) => value.unwrap().to_string(),
        Typed::Int8(value) => value.unwrap().to_string(),
        Typed::Double(value) => format!("{:016x}", value.unwrap().to_bits()),
        Typed::Decimal(value, _) => value.unwrap().to_string(),
        Typed::Date(value) => value.unwrap().to_string(),
        Typed::Time(value, _) => value.unwrap().to_string(),
        Typed::DateTime(value, _) | Typed::Zoned(value, _) => {
            let (day, units) = value.unwrap();
            format!("{day} {units}")
        }
        Typed::Uuid(value) => hex(&value.unwrap()),
        Typed::Text(value) => value.unwrap().to_owned(),
        Typed::Bytes(value) => format!("\\x{}", hex(value.unwrap())),
    }
}

/// A float in the 17 digits of style 3.
fn seventeen(number: f64) -> String {
    let text = format!("{number:.16e}");
    let (digits, exponent) = text.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:03}", exponent.abs())
}

/// What `fail` and `clamp` may refuse.
fn has_no_place(held: &Held, text: &str) -> bool {
    let year = text.split('-').next().unwrap_or_default();
    match held.form {
        Form::Double => {
            let number: f64 = text.parse().unwrap();
            !number.is_normal() && number != 0.0
        }
        Form::Decimal { .. } => text == "NaN",
        Form::Time { .. } => text == "24:00:00",
        Form::Date | Form::DateTime { .. } | Form::Zoned { .. } => {
            text.ends_with("infinity") || text.ends_with(" BC") || year.len() > 4
        }
        Form::Text(Some(most)) => text.encode_utf16().count() > most,
        Form::Bytes(Some(most)) => (text.len() - 2) / 2 > most,
        _ => false,
    }
}

#[test]
fn every_value_is_what_postgresql_says_or_is_refused() {
    let server = Server::start(Version::NEWEST);
    let mut client = Client::connect(&server, "postgres").unwrap();
    client
        .batch("SET TimeZone = 'UTC'; SET lc_monetary = 'C'; SELECT setseed(0.42)")
        .unwrap();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut asked = 0;
    for (sql_type, edges, random) in TYPES {
        let (column, texts) = fill(&mut client, sql_type, edges, random, RANDOM);
        for (in_key, policy) in [
            (false, OnMisfit::Fail),
            (true, OnMisfit::Fail),
            (false, OnMisfit::Text),
        ] {
            let table = Table {
                oid: Oid(1),
                schema: "public".to_owned(),
                name: "t".to_owned(),
                destination: "dbo.t".to_owned(),
                columns: vec![column.clone()],
                key: if in_key { vec![0] } else { Vec::new() },
                identity: 'd',
                relfilenode: 1,
            };
            let held = Held::all(&table, policy).unwrap()[0];
            let what = format!("{sql_type} as {}", held.sql());
            let mut kept = Vec::new();
            for text in &texts {
                let value = Value::from_text(column.kind, text.as_bytes()).unwrap();
                let misfit = held.value(&value).err();
                assert_eq!(
                    misfit.is_some(),
                    has_no_place(&held, text),
                    "{what}: {text}: {misfit:?}"
                );
                match misfit {
                    Some(_) => *refused.entry(held.sql()).or_default() += 1,
                    None => kept.push(text),
                }
            }
            assert!(!kept.is_empty(), "{what}");
            let says: Vec<(Option<String>, Option<String>)> = match oracle(&held) {
                Some((wire, printed)) => {
                    let quoted = kept.iter().map(|text| format!("('{text}')"));
                    let quoted: Vec<String> = quoted.collect();
                    let printed = if held.form == Form::Double {
                        "NULL"
                    } else {
                        &printed
                    };
                    let sql = format!(
                        "SELECT {wire}, {printed} FROM (VALUES {}) AS v(x)",
                        quoted.join(", ")
                    );
                    asked += kept.len();
                    let rows = client.query(&sql).unwrap();
                    rows.iter()
                        .map(|row| (row[0].clone(), row[1].clone()))
                        .collect()
                }
                None => vec![(None, None); kept.len()],
            };
            assert_eq!(says.len(), kept.len(), "{what}");
            for (text, (on_the_wire, printed)) in kept.into_iter().zip(says) {
                let value = Value::from_text(column.kind, text.as_bytes()).unwrap();
                let sent = held.value(&value).unwrap();
                let typed = held.typed(&sent).unwrap();
                let on_the_wire = on_the_wire.unwrap_or_else(|| text.clone());
                assert_eq!(wire(typed), on_the_wire, "{what}: {text}");
                let printed = match (typed, printed) {
                    (Typed::Bytes(bytes), _) => bytes.unwrap().to_vec(),
                    (Typed::Double(number), _) => seventeen(number.unwrap()).into_bytes(),
                    (Typed::Bool(bit), _) => u8::from(bit.unwrap()).to_string().into_bytes(),
                    (_, Some(printed)) => printed.into_bytes(),
                    (_, None) => text.clone().into_bytes(),
                };
                let back = held.back(Some(&printed)).unwrap();
                let back = back.to_text(column.kind).unwrap();
                assert_eq!(back.as_ref(), Some(text), "{what}");
            }
        }
    }
    assert!(asked > 2000, "{asked}");
    for form in [
        "float",
        "date",
        "datetime2(6)",
        "datetimeoffset(6)",
        "time(6)",
        "decimal(10, 2)",
    ] {
        assert!(
            refused.get(form).is_some_and(|count| *count > 0),
            "{form}: {refused:?}"
        );
    }
}
