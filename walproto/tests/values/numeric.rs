//! Exact numbers.

use testdata::Version;
use testdata::workload::Random;
use walproto::Column;
use walproto::value::{Numeric, ValueErrorKind};

use crate::oracle::{self, both_forms, survives_junk};

const SPECIAL: [&str; 21] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-0",
    "0e-1",
    "0.0000",
    "1.0",
    "1.00",
    "-1",
    "0.0001",
    "0.00001",
    "10000",
    "9999",
    "99999999.99999999",
    "9223372036854775807",
    "170141183460469231731687303715884105727",
    "-170141183460469231731687303715884105728",
    "170141183460469231731687303715884105728",
    "1701411834604692317316873037158841057.27",
    // Half-way between two doubles, and a little more.
    "9007199254740993",
];

fn digits(random: &mut Random, len: usize) -> String {
    let mut digits = String::new();
    while digits.len() < len {
        // Runs of zeros and nines are where digits of base 10,000 begin and end.
        let run = 1 + random.below(9);
        match random.below(4) {
            0 => digits.push_str(&"0".repeat(run)),
            1 => digits.push_str(&"9".repeat(run)),
            _ => digits.push_str(&random.number().to_string()[..run]),
        }
    }
    digits.truncate(len);
    digits
}

fn number(random: &mut Random) -> String {
    let sign = random.one_of(&["", "-"]);
    let (longest, scale) = *random.one_of(&[(4, 2), (9, 4), (20, 20), (40, 10), (60, 900)]);
    let (integer, scale) = (1 + random.below(longest), random.below(scale + 1));
    let integer = digits(random, integer);
    match random.below(4) {
        0 => format!("{sign}{integer}"),
        1 => format!("{sign}{integer}e{}", i64::try_from(scale).unwrap() - 30),
        2 => format!("{sign}0.{}{integer}", "0".repeat(scale)),
        _ => format!("{sign}{integer}.{}", digits(random, scale + 1)),
    }
}

/// A number, if it is one and fits.
fn i128_of(text: &str) -> Option<i128> {
    text.parse().ok()
}

#[test]
fn numeric_is_exactly_what_the_server_says() {
    oracle::each(|oracle, random| {
        let mut inputs: Vec<_> = SPECIAL.map(String::from).into();
        // Ties that only the last of many digits breaks.
        let tie = format!("9007199254740993.{}", "0".repeat(1_500));
        inputs.extend([tie.clone() + "1", tie]);
        inputs.extend((0..4_000).map(|_| number(random)));
        let answers = oracle.ask(
            "numeric",
            &inputs,
            &[
                "scale(x)",
                "CASE WHEN abs(x) < 1e40 AND trunc(x) = x THEN x::numeric(200) END",
                "CASE WHEN x = 0 OR abs(x) BETWEEN 1e-300 AND 1e300
                    THEN encode(float8send(x::float8), 'hex') END",
                "dense_rank() OVER (ORDER BY x)",
                "sign(x)",
            ],
        );
        both_forms(&answers, Column::value::<Numeric<'_>>);
        for answer in &answers {
            // Both forms say the same of themselves.
            answer.value::<Numeric<'_>>();
            for form in answer.forms() {
                let value: Numeric<'_> = form.value().expect("read before");
                assert_eq!(value.is_finite(), answer.told[0].is_some(), "{answer:?}");
                assert_eq!(
                    value.scale().to_string(),
                    answer.told[0].as_deref().unwrap_or("0")
                );
                let unscaled = i128_of(&answer.text.replace('.', ""));
                assert_eq!(value.unscaled(), unscaled, "{answer:?}");
                assert_eq!(value.to_i128(), i128_of(answer.told(1)), "{answer:?}");
                if let Some(hex) = answer.told[2].as_deref() {
                    let bits = value.to_f64().to_bits();
                    assert_eq!(format!("{bits:016x}"), hex, "{answer:?}");
                }
                let sign = match answer.told(4) {
                    "1" | "Infinity" => (false, false),
                    "-1" | "-Infinity" => (true, false),
                    "0" => (false, true),
                    _ => (false, false),
                };
                assert_eq!((value.is_negative(), value.is_zero()), sign, "{answer:?}");
                let shown: String = value
                    .digits()
                    .map(|digit| char::from(b'0' + digit))
                    .collect();
                let printed: String = answer.text.chars().filter(char::is_ascii_digit).collect();
                assert_eq!(shown, printed);
                assert!(
                    value
                        .digits()
                        .rev()
                        .eq(shown.bytes().rev().map(|byte| byte - b'0'))
                );
            }
        }
        for (index, one) in answers.iter().enumerate() {
            let other = match random.below(4) {
                0 => &answers[random.below(SPECIAL.len())],
                1 => &answers[random.below(answers.len())],
                _ => &answers[(index + 1) % answers.len()],
            };
            let rank = |told: &str| told.parse::<u32>().expect("a rank");
            let expected = rank(one.told(3)).cmp(&rank(other.told(3)));
            for form in one.forms() {
                for other in other.forms() {
                    let value = form.value::<Numeric<'_>>().expect("read before");
                    let other = other.value::<Numeric<'_>>().expect("read before");
                    assert_eq!(value.cmp(&other), expected, "{value} {other}");
                }
            }
        }
        let mut long = 0_usize;
        survives_junk(&answers, random, |column| {
            column.value::<Numeric<'_>>().map(|value| {
                // Junk is often very long, and this is slow unoptimised.
                long += usize::from(value.digits().len() > 2_000);
                if value.digits().len() > 2_000 && !long.is_multiple_of(50) {
                    return;
                }
                let text = value.to_string();
                let again: Numeric<'_> = Column::Text(text.as_bytes()).value().expect("a number");
                assert_eq!(again.to_string(), text);
                assert_eq!(again, value);
                assert_eq!(again.unscaled(), value.unscaled());
                assert_eq!(again.to_i128(), value.to_i128());
                assert_eq!(again.to_f64().to_bits(), value.to_f64().to_bits());
            })
        });
    });
}

#[test]
fn the_longest_numbers_are_read_and_printed() {
    oracle::each(|oracle, random| {
        let mut inputs = Vec::new();
        for (integer, scale) in [(131_072, 16_383), (70_001, 9_999), (1, 16_383)] {
            inputs.push(format!(
                "-9{}.{}",
                digits(random, integer - 1),
                digits(random, scale)
            ));
        }
        let answers = oracle.ask("numeric", &inputs, &[]);
        assert_eq!(answers.len(), inputs.len());
        both_forms(&answers, Column::value::<Numeric<'_>>);
        for answer in &answers {
            let value = answer.value::<Numeric<'_>>();
            assert!(value.to_f64() < -1.0 && value.unscaled().is_none());
        }
    });
    let longer = format!("1{}", "0".repeat(131_072));
    let error = Column::Text(longer.as_bytes())
        .value::<Numeric<'_>>()
        .unwrap_err();
    assert_eq!(error.kind, ValueErrorKind::OutOfRange);
}

#[test]
fn a_negative_scale_is_as_good_as_none() {
    oracle::each(|oracle, random| {
        // Allowed since 15.
        if oracle.version() >= Version::V15 {
            let inputs: Vec<_> = (0..500).map(|_| digits(random, 9)).collect();
            both_forms(
                &oracle.ask("numeric(10, -4)", &inputs, &[]),
                Column::value::<Numeric<'_>>,
            );
        }
        let inputs: Vec<_> = (0..500)
            .map(|_| format!("{}e-5", digits(random, 9)))
            .collect();
        both_forms(
            &oracle.ask("numeric(12, 3)", &inputs, &[]),
            Column::value::<Numeric<'_>>,
        );
    });
}

#[test]
fn results_of_arithmetic_are_read_too() {
    oracle::each(|oracle, _| {
        for sql in [
            "SELECT i / (j + 0.5) FROM generate_series(-40, 40) i, generate_series(0, 40) j",
            "SELECT power(1.1, i) FROM generate_series(-1000, 1000) i",
            "SELECT sqrt(i::numeric) FROM generate_series(0, 500) i",
            "SELECT (i::numeric / 3)::numeric(30, 7) FROM generate_series(-500, 500) i",
        ] {
            let answers = oracle.ask_query("numeric", sql, &[]);
            assert!(answers.len() > 500);
            both_forms(&answers, Column::value::<Numeric<'_>>);
        }
    });
}

#[test]
fn the_nearest_double_is_found_where_digits_are_many() {
    for (text, expected) in [
        ("1e0", None),
        ("9007199254740993", Some(9_007_199_254_740_992.0)),
        (
            "9007199254740993.0000000000000000000000000000001",
            Some(9_007_199_254_740_994.0),
        ),
        ("0.1", Some(0.1)),
        (
            "-123456789012345678901234567890",
            Some(-123_456_789_012_345_680_000_000_000_000.0),
        ),
    ] {
        let value = Column::Text(text.as_bytes()).value::<Numeric<'_>>();
        assert_eq!(value.ok().map(Numeric::to_f64), expected, "{text}");
    }
    // Two to the power of -1074 is the least, and half of it is 2.47032822920623272088…e-324.
    let least = format!("0.{}24703282292062327209", "0".repeat(323));
    assert_eq!(
        Column::Text(least.as_bytes()).value().map(Numeric::to_f64),
        Ok(5e-324)
    );
    let less = format!("0.{}24703282292062327208", "0".repeat(323));
    assert_eq!(
        Column::Text(less.as_bytes()).value().map(Numeric::to_f64),
        Ok(0.0)
    );
    let most = format!("1{}", "0".repeat(309));
    assert_eq!(
        Column::Text(most.as_bytes()).value().map(Numeric::to_f64),
        Ok(f64::INFINITY)
    );
}

#[test]
fn what_is_no_number_is_refused_at_its_byte() {
    for (text, kind, offset) in [
        ("", ValueErrorKind::Truncated, 0),
        ("-", ValueErrorKind::Truncated, 1),
        ("-NaN", ValueErrorKind::UnexpectedByte, 1),
        ("+1", ValueErrorKind::UnexpectedByte, 0),
        ("1.", ValueErrorKind::Truncated, 2),
        (".5", ValueErrorKind::UnexpectedByte, 0),
        ("1.2.3", ValueErrorKind::UnexpectedByte, 3),
        ("12e3", ValueErrorKind::UnexpectedByte, 2),
    ] {
        let error = Column::Text(text.as_bytes())
            .value::<Numeric<'_>>()
            .unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{text}");
    }
    for (bytes, kind, offset) in [
        (&[0, 1, 0, 0, 0, 0, 0][..], ValueErrorKind::Truncated, 7),
        (&[0, 1, 0, 0, 0, 0, 0, 0, 1], ValueErrorKind::Truncated, 9),
        (
            &[0, 0, 0, 0, 0, 0, 0, 0, 1],
            ValueErrorKind::TrailingBytes,
            8,
        ),
        (
            &[0, 0, 0, 0, 0x80, 0, 0, 0],
            ValueErrorKind::UnexpectedByte,
            4,
        ),
        (&[0, 0, 0, 0, 0, 0, 0x40, 0], ValueErrorKind::OutOfRange, 6),
        // A digit of base 10,000 that is none.
        (
            &[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10],
            ValueErrorKind::OutOfRange,
            8,
        ),
        // Digits after the point, and none to be printed.
        (
            &[0, 1, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1],
            ValueErrorKind::OutOfRange,
            6,
        ),
        (
            &[0, 1, 0xFF, 0xFF, 0, 0, 0, 3, 0, 1],
            ValueErrorKind::OutOfRange,
            6,
        ),
    ] {
        let error = Column::Binary(bytes).value::<Numeric<'_>>().unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{bytes:?}");
    }
}

#[test]
fn zeros_that_no_server_writes_change_nothing() {
    for (column, expected) in [
        (Column::Text(b"-0.00"), "0.00"),
        (Column::Text(b"007.50"), "7.50"),
        (Column::Text(b"000"), "0"),
        // A digit of base 10,000 that is 0 before one that is 5, and one behind.
        (
            Column::Binary(&[0, 3, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0]),
            "5.00",
        ),
        (Column::Binary(&[0, 1, 0, 3, 0x40, 0, 0, 1, 0, 0]), "0.0"),
        (Column::Binary(&[0, 0, 0x7F, 0xFF, 0, 0, 0, 0]), "0"),
    ] {
        let value: Numeric<'_> = column.value().unwrap();
        assert_eq!(value.to_string(), expected);
        assert_eq!(value, Column::Text(expected.as_bytes()).value().unwrap());
        assert!(!value.is_negative());
    }
}
