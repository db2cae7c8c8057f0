//! Dates, times of day, moments and spans.

use testdata::Version;
use testdata::workload::Random;
use walproto::value::{
    Date, Expected, FromColumn, Interval, LocalTimestamp, Time, TimeTz, ValueErrorKind,
};
use walproto::{Column, Timestamp};

use crate::oracle::{self, Answer, both_forms, survives_junk};

/// A number from `lowest` to `highest`.
fn number(random: &mut Random, lowest: i64, highest: i64) -> i64 {
    let span = u64::try_from(highest - lowest).expect("the highest is last") + 1;
    lowest + i64::try_from(random.number() % span).expect("less than the span")
}

/// A date that exists, in any year of the range, most often near to us.
fn date(random: &mut Random, last_year: i64) -> String {
    let year = match random.below(4) {
        0 => number(random, 1, last_year),
        1 => number(random, 1, 12_000),
        _ => number(random, 1_890, 2_050),
    };
    let before_christ = random.once_in(5) && year <= 4_713;
    let (month, day) = (number(random, 1, 12), number(random, 1, 28));
    let date = match random.below(8) {
        // The ends of months, leap days too.
        0 if !before_christ => format!(
            "{:04}-{month:02}-{}",
            year,
            if month == 2 { 28 } else { 30 }
        ),
        1 if year % 4 == 0 && year % 100 != 0 && !before_christ => format!("{year:04}-02-29"),
        2 => format!("{year:04}-12-31"),
        _ => format!("{year:04}-{month:02}-{day:02}"),
    };
    // Year 4714 before Christ begins in November.
    if before_christ {
        format!("{date} BC")
    } else {
        date
    }
}

fn time(random: &mut Random) -> String {
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    match random.below(8) {
        0 => "24:00:00".into(),
        1 => "00:00:00".into(),
        2 | 3 => time,
        _ => {
            let digits = 1 + random.below(6);
            let fraction = format!("{:06}", random.below(1_000_000));
            format!("{time}.{}", &fraction[..digits])
        }
    }
}

/// An offset from UTC, at times with minutes and seconds.
fn offset(random: &mut Random) -> String {
    let sign = random.one_of(&["+", "-"]);
    let hours = random.below(16);
    match random.below(4) {
        0 => format!("{sign}{hours:02}:{:02}", random.below(60)),
        1 => format!(
            "{sign}{hours:02}:{:02}:{:02}",
            random.below(60),
            random.below(60)
        ),
        _ => format!("{sign}{hours:02}"),
    }
}

fn moment(random: &mut Random) -> String {
    let date = date(random, 294_275);
    let time = time(random);
    match date.strip_suffix(" BC") {
        Some(date) => format!("{date} {time} BC"),
        None => format!("{date} {time}"),
    }
}

const ENDS: [&str; 11] = [
    "infinity",
    "-infinity",
    "2000-01-01 00:00:00",
    "1999-12-31 23:59:59.999999",
    "1970-01-01 00:00:00",
    "2000-02-29 00:00:00",
    "1600-02-29 12:00:00",
    "0001-01-01 00:00:00",
    "0001-12-31 23:59:59.999999 BC",
    "4714-11-24 00:00:00 BC",
    "294276-12-31 23:59:59.999999",
];

/// What the server told, as numbers; none for NULL.
fn told(answer: &Answer) -> Option<Vec<i64>> {
    let numbers = answer.told.iter().map(|told| told.as_deref()?.parse().ok());
    numbers.collect()
}

/// PostgreSQL has no year 0.
fn year(year: i32) -> i64 {
    i64::from(if year > 0 { year } else { year - 1 })
}

#[test]
fn dates_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        let mut inputs: Vec<_> = ENDS.map(String::from).into();
        inputs.push("5874897-12-31".into());
        inputs.extend((0..3_000).map(|_| date(random, 5_874_897)));
        let answers = oracle.ask(
            "date",
            &inputs,
            &[
                "CASE WHEN isfinite(x) THEN extract(year FROM x) END",
                "CASE WHEN isfinite(x) THEN extract(month FROM x) END",
                "CASE WHEN isfinite(x) THEN extract(day FROM x) END",
                "CASE WHEN isfinite(x) THEN x - '1970-01-01' END",
            ],
        );
        both_forms(&answers, Column::value::<Date>);
        for answer in &answers {
            let date = answer.value::<Date>();
            let parts = date.ymd().zip(date.unix_days());
            let parts = parts.map(|((y, m, d), unix)| vec![year(y), m.into(), d.into(), unix]);
            assert_eq!(parts, told(answer), "{answer:?}");
            if let Some((year, month, day)) = date.ymd() {
                assert_eq!(Date::from_ymd(year, month, day), Some(date));
            }
            if let Some(days) = date.unix_days() {
                assert_eq!(Date::from_unix_days(days), Some(date));
            }
        }
        survives_junk(&answers, random, |column| {
            column.value::<Date>().map(|date| date.to_string())
        });
    });
}

#[test]
fn days_that_do_not_exist_are_none() {
    for (year, month, day) in [
        (2023, 2, 29),
        (1900, 2, 29),
        (2024, 2, 30),
        (2024, 4, 31),
        (2024, 0, 1),
        (2024, 13, 1),
        (2024, 1, 0),
        (2024, 1, 32),
        (-4713, 11, 23),
        (5_874_898, 1, 1),
        (i32::MAX, 1, 1),
        (i32::MIN, 1, 1),
    ] {
        assert_eq!(
            Date::from_ymd(year, month, day),
            None,
            "{year}-{month}-{day}"
        );
    }
    assert_eq!(
        Date::from_ymd(2024, 2, 29).map(|date| date.to_string()),
        Some("2024-02-29".into())
    );
    assert_eq!(Date::from_unix_days(i64::MIN), None);
}

#[test]
fn times_of_day_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        let inputs: Vec<_> = (0..3_000).map(|_| time(random)).collect();
        let answers = oracle.ask("time", &inputs, &["round(extract(epoch FROM x) * 1000000)"]);
        both_forms(&answers, Column::value::<Time>);
        for answer in &answers {
            let time = answer.value::<Time>();
            assert_eq!(Some(vec![time.0]), told(answer), "{answer:?}");
            let (hour, minute, second, micros) = time.hms();
            assert_eq!(Time::from_hms(hour, minute, second, micros), Some(time));
        }
        survives_junk(&answers, random, |column| {
            column.value::<Time>().map(|time| time.to_string())
        });

        let inputs: Vec<_> = (0..3_000).map(|_| time(random) + &offset(random)).collect();
        let answers = oracle.ask(
            "timetz",
            &inputs,
            &[
                "round(extract(epoch FROM x::time) * 1000000)",
                "extract(timezone FROM x)::int",
            ],
        );
        both_forms(&answers, Column::value::<TimeTz>);
        for answer in &answers {
            let TimeTz { time, offset } = answer.value();
            assert_eq!(
                Some(vec![time.0, offset.into()]),
                told(answer),
                "{answer:?}"
            );
        }
        survives_junk(&answers, random, |column| {
            column.value::<TimeTz>().map(|time| time.to_string())
        });
    });
    assert_eq!(Time::from_hms(24, 0, 0, 1), None);
    assert_eq!(Time::from_hms(23, 60, 0, 0), None);
}

#[test]
fn timestamps_are_what_the_server_says() {
    oracle::each(|oracle, random| {
        let mut inputs: Vec<_> = ENDS.map(String::from).into();
        inputs.extend((0..3_000).map(|_| moment(random)));
        let answers = oracle.ask(
            "timestamp",
            &inputs,
            &[
                "CASE WHEN isfinite(x) THEN extract(year FROM x) END",
                "CASE WHEN isfinite(x) THEN extract(month FROM x) END",
                "CASE WHEN isfinite(x) THEN extract(day FROM x) END",
                "CASE WHEN isfinite(x) THEN extract(hour FROM x) END",
                "CASE WHEN isfinite(x) THEN extract(minute FROM x) END",
                "CASE WHEN isfinite(x) THEN extract(microseconds FROM x) END",
            ],
        );
        both_forms(&answers, Column::value::<LocalTimestamp>);
        for answer in &answers {
            let moment = answer.value::<LocalTimestamp>();
            let parts = moment.date().ymd().zip(moment.time().map(Time::hms));
            let parts = parts.map(|((y, m, d), (hour, minute, second, micros))| {
                let micros = i64::from(second) * 1_000_000 + i64::from(micros);
                vec![
                    year(y),
                    m.into(),
                    d.into(),
                    hour.into(),
                    minute.into(),
                    micros,
                ]
            });
            // Infinity has no parts, and the server's are NULL.
            assert_eq!(parts.is_some(), moment.is_finite(), "{answer:?}");
            assert_eq!(parts, told(answer), "{answer:?}");
            let time = moment.time().unwrap_or(Time(0));
            assert_eq!(LocalTimestamp::new(moment.date(), time), Some(moment));
        }
        survives_junk(&answers, random, |column| {
            column
                .value::<LocalTimestamp>()
                .map(|moment| moment.to_string())
        });
    });
}

#[test]
fn moments_are_the_same_in_every_time_zone() {
    const ZONES: [&str; 10] = [
        "UTC",
        "Asia/Kolkata",
        "America/St_Johns",
        // Local mean time, with seconds in the offset.
        "Europe/Amsterdam",
        "Africa/Monrovia",
        "Pacific/Apia",
        "America/New_York",
        // As far away as there is.
        "<far>-167:59",
        "<far>167:59",
        "-3.5",
    ];
    oracle::each(|oracle, random| {
        let mut inputs: Vec<_> = ENDS.map(String::from).into();
        inputs.extend((0..600).map(|_| {
            let (moment, offset) = (moment(random), offset(random));
            match moment.strip_suffix(" BC") {
                Some(date) => format!("{date}{offset} BC"),
                None => format!("{moment}{offset}"),
            }
        }));
        for zone in ZONES {
            oracle.set("TimeZone", zone);
            let answers = oracle.ask(
                "timestamptz",
                &inputs,
                &["isfinite(x)", "round(extract(epoch FROM x) * 1000000)"],
            );
            for answer in &answers {
                let moment = answer.value::<Timestamp>();
                assert_eq!(moment.is_finite(), answer.told(0) == "true", "{answer:?}");
                // The last years of the range do not fit; the server turns to floating point there.
                if let Some(micros) = moment.unix_micros() {
                    assert_eq!(micros.to_string(), answer.told(1), "{answer:?}");
                    assert_eq!(Timestamp::from_unix_micros(micros), Some(moment));
                }
            }
            if zone == "UTC" {
                both_forms(&answers, Column::value::<Timestamp>);
            }
            survives_junk(&answers, random, |column| {
                column.value::<Timestamp>().map(|moment| moment.to_string())
            });
        }
    });
}

#[test]
fn other_date_styles_are_named_instead_of_guessed() {
    fn style<'a, T: FromColumn<'a>>(answers: &'a [Answer]) {
        for answer in answers
            .iter()
            .filter(|answer| !answer.text.ends_with("infinity"))
        {
            let [text, _] = answer.forms();
            let error = text.value::<T>().err().expect("not in the style ISO");
            assert_eq!(
                (error.kind, error.offset),
                (ValueErrorKind::DateStyle, 0),
                "{answer:?}"
            );
        }
    }
    oracle::each(|oracle, random| {
        let inputs: Vec<_> = (0..100).map(|_| moment(random)).collect();
        for name in [
            "SQL, MDY",
            "SQL, DMY",
            "Postgres, MDY",
            "Postgres, DMY",
            "German",
        ] {
            oracle.set("DateStyle", name);
            style::<Date>(&oracle.ask("date", &inputs, &[]));
            style::<LocalTimestamp>(&oracle.ask("timestamp", &inputs, &[]));
            style::<Timestamp>(&oracle.ask("timestamptz", &inputs, &[]));
        }
        // The order of day and month changes nothing here.
        oracle.set("DateStyle", "ISO, DMY");
        both_forms(&oracle.ask("date", &inputs, &[]), Column::value::<Date>);
    });
}

#[test]
fn intervals_are_what_the_server_says_in_every_style() {
    fn interval(random: &mut Random) -> String {
        let part = |random: &mut Random, longest: i64| match random.below(4) {
            0 => 0,
            1 => number(random, -3, 3),
            2 => number(random, -100, 100),
            _ => number(random, -longest, longest),
        };
        let hours = part(random, i32::MAX.into()).abs();
        let time = match random.below(4) {
            0 => "00:00:00".into(),
            _ => time(random),
        };
        let (months, days) = (part(random, i32::MAX.into()), part(random, i32::MAX.into()));
        let sign = random.one_of(&["", "-"]);
        format!("{months} mons {days} days {sign}{hours}{}", &time[2..])
    }
    oracle::each(|oracle, random| {
        let mut inputs: Vec<_> = [
            "0",
            "1 mon",
            "-1 day -1 s",
            "1 day -0.5 s",
            "-0.000001 s",
            "1 s",
            "-1 s",
        ]
        .map(String::from)
        .into();
        if oracle.version() >= Version::V17 {
            inputs.extend(["infinity", "-infinity"].map(String::from));
        }
        inputs.extend((0..1_500).map(|_| interval(random)));
        for style in ["postgres", "postgres_verbose", "sql_standard", "iso_8601"] {
            oracle.set("IntervalStyle", style);
            let answers = oracle.ask("interval", &inputs, &[]);
            // Both forms are the same value.
            for answer in &answers {
                answer.value::<Interval>();
            }
            if style == "postgres" {
                both_forms(&answers, Column::value::<Interval>);
            }
            survives_junk(&answers, random, |column| {
                column
                    .value::<Interval>()
                    .map(|interval| interval.to_string())
            });
        }
    });
}

#[test]
fn the_longest_intervals_are_read_and_printed() {
    oracle::each(|oracle, _| {
        // 14 cannot print more hours than 32 bits hold.
        let hours = if oracle.version() == Version::V14 {
            2_147_483_647
        } else {
            2_562_047_787_i64
        };
        let inputs = [
            format!("178956970 years 7 mons 2147483647 days {hours}:59:59.999999"),
            format!("-178956970 years -8 mons -2147483648 days -{hours}:59:59.999999"),
        ];
        let answers = oracle.ask("interval", &inputs, &[]);
        assert_eq!(answers.len(), 2);
        both_forms(&answers, Column::value::<Interval>);
    });
    let shortest = Interval {
        micros: i64::MIN,
        ..Interval::default()
    };
    assert_eq!(shortest.to_string(), "-2562047788:00:54.775808");
    assert_eq!(
        Column::Text(b"-2562047788:00:54.775808").value(),
        Ok(shortest)
    );
}

#[test]
fn the_wrong_byte_of_a_moment_is_named() {
    let sound = "2024-02-29 12:34:56.789+01 BC";
    for (text, kind, offset) in [
        ("", ValueErrorKind::Truncated, 0),
        ("2024", ValueErrorKind::Truncated, 4),
        ("202x", ValueErrorKind::UnexpectedByte, 3),
        ("0000-01-01 00:00:00+00", ValueErrorKind::OutOfRange, 0),
        ("2024-13-01 00:00:00+00", ValueErrorKind::OutOfRange, 5),
        ("2024-02-32 00:00:00+00", ValueErrorKind::OutOfRange, 8),
        ("2023-02-29 00:00:00+00", ValueErrorKind::OutOfRange, 0),
        ("2024-02-29T00:00:00+00", ValueErrorKind::UnexpectedByte, 10),
        ("2024-02-29 25:00:00+00", ValueErrorKind::OutOfRange, 11),
        ("2024-02-29 00:60:00+00", ValueErrorKind::OutOfRange, 14),
        ("2024-02-29 00:00:60+00", ValueErrorKind::OutOfRange, 17),
        ("2024-02-29 00:00:5x+00", ValueErrorKind::UnexpectedByte, 18),
        (
            "2024-02-29 00:00:00.+00",
            ValueErrorKind::UnexpectedByte,
            20,
        ),
        (
            "2024-02-29 00:00:00.1234567+00",
            ValueErrorKind::UnexpectedByte,
            26,
        ),
        ("2024-02-29 00:00:00+01:60", ValueErrorKind::OutOfRange, 23),
        ("2024-02-29 00:00:00+168", ValueErrorKind::OutOfRange, 20),
        ("2024-02-29 24:00:01+00", ValueErrorKind::OutOfRange, 11),
        ("2024-02-29 00:00:00", ValueErrorKind::Truncated, 19),
        ("2024-02-29 00:00:00+", ValueErrorKind::Truncated, 20),
        (
            "2024-02-29 00:00:00+00 AD",
            ValueErrorKind::TrailingBytes,
            22,
        ),
        ("294277-01-01 00:00:00+00", ValueErrorKind::OutOfRange, 0),
        ("99999999-01-01 00:00:00+00", ValueErrorKind::OutOfRange, 7),
        ("infinity ", ValueErrorKind::TrailingBytes, 8),
        ("infinite", ValueErrorKind::UnexpectedByte, 7),
    ] {
        let error = Column::Text(text.as_bytes())
            .value::<Timestamp>()
            .unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{text}");
        assert_eq!(error.expected, Expected::TimestampTz);
    }
    for end in 0..sound.len() {
        let cut = Column::Text(&sound.as_bytes()[..end]).value::<Timestamp>();
        // Digits of the fraction, the offset and the era may be left out.
        let complete = [26, sound.len()].contains(&end);
        assert_eq!(cut.is_ok(), complete, "{end}");
    }
    let before = Column::Binary(&(i64::MIN + 1).to_be_bytes()).value::<Timestamp>();
    assert_eq!(before.unwrap_err().kind, ValueErrorKind::OutOfRange);
}
