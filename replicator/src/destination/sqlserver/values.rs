//! Values on their way to the server: as parameters, and as cells of rows that are loaded in bulk.
//!
//! A cell has its column's own type and scale already: the driver stores a time of another scale as another time, and a
//! server converts nothing on this way. Whatever would have to be rounded is refused.

use std::borrow::Cow;

use tiberius::error::Error as Driver;
use tiberius::numeric::Numeric;
use tiberius::time::{Date, DateTime2, DateTimeOffset, Time};
use tiberius::{ColumnData, IntoSql, Uuid};

use crate::value::Value;

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent<'a>(ColumnData<'a>);

impl<'a> IntoSql<'a> for Sent<'a> {
    fn into_sql(self) -> ColumnData<'a> {
        self.0
    }
}

/// A value as a parameter: numbers and bytes as such, texts and NULL as `nvarchar`.
pub(super) fn parameter(value: &Value) -> Sent<'_> {
    Sent(match value {
        Value::Null => ColumnData::String(None),
        Value::Integer(number) => ColumnData::I64(Some(*number)),
        Value::Real(number) => ColumnData::F64(Some(*number)),
        Value::Text(text) => ColumnData::String(Some(Cow::Borrowed(text))),
        Value::Blob(bytes) => ColumnData::Binary(Some(Cow::Borrowed(bytes))),
    })
}

/// A number of ours as a parameter.
pub(super) const fn number(number: i64) -> Sent<'static> {
    Sent(ColumnData::I64(Some(number)))
}

/// A text of ours as a parameter.
pub(super) const fn text(text: String) -> Sent<'static> {
    Sent(ColumnData::String(Some(Cow::Owned(text))))
}

/// What the driver loads in bulk into a column without a bound, in bytes.
const MOST_BYTES: usize = 65_535;

/// Whether all values of a row can be loaded in bulk.
pub(super) fn fits_bulk(row: &[Value]) -> bool {
    row.iter().all(|value| match value {
        // Two bytes a unit. A unit has at least a byte in UTF-8, so only long texts need to be counted.
        Value::Text(text) if text.len() > MOST_BYTES / 2 => {
            text.encode_utf16().count() <= MOST_BYTES / 2
        }
        Value::Blob(bytes) => bytes.len() <= MOST_BYTES,
        _ => true,
    })
}

/// A type of the server's, as its columns are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bit,
    SmallInt,
    Int,
    BigInt,
    Float,
    Decimal { precision: u8, scale: u8 },
    Date,
    Time { scale: u8 },
    DateTime2 { scale: u8 },
    DateTimeOffset { scale: u8 },
    Uuid,
    Text,
    Bytes,
}

impl Form {
    /// The type that a declaration names; `None` for one that we never declare.
    pub(super) fn read(declared: &str) -> Option<Self> {
        let (name, rest) = declared.split_once('(').unwrap_or((declared, ""));
        let mut numbers = rest.trim_end_matches(')').split(',');
        let mut number = || numbers.next()?.trim().parse::<u8>().ok();
        Some(match name.trim() {
            "bit" => Self::Bit,
            "smallint" => Self::SmallInt,
            "int" => Self::Int,
            "bigint" => Self::BigInt,
            "float" => Self::Float,
            "decimal" | "numeric" => Self::Decimal {
                precision: number()?,
                scale: number()?,
            },
            "date" => Self::Date,
            "time" => Self::Time { scale: number()? },
            "datetime2" => Self::DateTime2 { scale: number()? },
            "datetimeoffset" => Self::DateTimeOffset { scale: number()? },
            "uniqueidentifier" => Self::Uuid,
            "nvarchar" | "varchar" => Self::Text,
            "varbinary" => Self::Bytes,
            _ => return None,
        })
    }

    /// A value as a cell of a column of this type.
    ///
    /// # Errors
    ///
    /// A value that the column does not hold exactly; nothing is rounded, cut or taken for something else.
    pub(super) fn cell<'v>(&self, value: &'v Value) -> Result<ColumnData<'v>, Driver> {
        self.try_cell(value).ok_or_else(|| {
            // The value itself may be nobody's business.
            let kind = match value {
                Value::Null => "NULL",
                Value::Integer(_) => "an integer",
                Value::Real(_) => "a number",
                Value::Text(_) => "a text",
                Value::Blob(_) => "bytes",
            };
            Driver::Conversion(format!("{kind} that no {self:?} holds exactly").into())
        })
    }

    fn try_cell<'v>(&self, value: &'v Value) -> Option<ColumnData<'v>> {
        Some(match (*self, value) {
            (form, Value::Null) => form.null(),
            (Self::Bit, Value::Integer(number @ (0 | 1))) => ColumnData::Bit(Some(*number == 1)),
            (Self::SmallInt, Value::Integer(number)) => {
                ColumnData::I16(Some(i16::try_from(*number).ok()?))
            }
            (Self::Int, Value::Integer(number)) => {
                ColumnData::I32(Some(i32::try_from(*number).ok()?))
            }
            (Self::BigInt, Value::Integer(number)) => ColumnData::I64(Some(*number)),
            (Self::Float, Value::Real(number)) => ColumnData::F64(Some(*number)),
            (Self::Decimal { precision, scale }, Value::Text(text)) => {
                ColumnData::Numeric(Some(decimal(text, precision, scale)?))
            }
            (Self::Decimal { precision, scale }, Value::Integer(number)) => {
                ColumnData::Numeric(Some(decimal(&number.to_string(), precision, scale)?))
            }
            (Self::Date, Value::Text(text)) => ColumnData::Date(Some(date(text)?)),
            (Self::Time { scale }, Value::Text(text)) => ColumnData::Time(Some(time(text, scale)?)),
            (Self::DateTime2 { scale }, Value::Text(text)) => {
                ColumnData::DateTime2(Some(moment(text, scale)?))
            }
            (Self::DateTimeOffset { scale }, Value::Text(text)) => {
                // All of ours are at UTC; a style of the server's writes it out.
                let plain = text
                    .strip_suffix("+00")
                    .or_else(|| text.strip_suffix("+00:00"))?;
                let moment = moment(plain.trim_end_matches(' '), scale)?;
                ColumnData::DateTimeOffset(Some(DateTimeOffset::new(moment, 0)))
            }
            (Self::Uuid, Value::Text(text)) => ColumnData::Guid(Some(Uuid::parse_str(text).ok()?)),
            (Self::Text, Value::Text(text)) => ColumnData::String(Some(Cow::Borrowed(text))),
            (Self::Bytes, Value::Blob(bytes)) => ColumnData::Binary(Some(Cow::Borrowed(bytes))),
            _ => return None,
        })
    }

    const fn null(self) -> ColumnData<'static> {
        match self {
            Self::Bit => ColumnData::Bit(None),
            Self::SmallInt => ColumnData::I16(None),
            Self::Int => ColumnData::I32(None),
            Self::BigInt => ColumnData::I64(None),
            Self::Float => ColumnData::F64(None),
            Self::Decimal { .. } => ColumnData::Numeric(None),
            Self::Date => ColumnData::Date(None),
            Self::Time { .. } => ColumnData::Time(None),
            Self::DateTime2 { .. } => ColumnData::DateTime2(None),
            Self::DateTimeOffset { .. } => ColumnData::DateTimeOffset(None),
            Self::Uuid => ColumnData::Guid(None),
            Self::Text => ColumnData::String(None),
            Self::Bytes => ColumnData::Binary(None),
        }
    }
}

/// `-12.340`
fn decimal(text: &str, precision: u8, scale: u8) -> Option<Numeric> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = padded(fraction, scale)?;
    if whole.is_empty() {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    if significant.len() > usize::from(precision) || scale > Numeric::MAX_NUMERIC_SCALE {
        return None;
    }
    let number: i128 = natural(&all)?;
    Some(Numeric::new_with_scale(
        if negative { -number } else { number },
        scale,
    ))
}

/// `2024-02-29`
fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let (year, month, day): (u32, u32, u32) = (natural(year)?, natural(month)?, natural(day)?);
    Some(Date::new(days(year, month, day)?))
}

/// From the first of January of the year 1 on.
fn days(year: u32, month: u32, day: u32) -> Option<u32> {
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=longest).contains(&day) {
        return None;
    }
    let before = year - 1;
    let extra = u32::from(leap && month > 2);
    let month = BEFORE[usize::try_from(month - 1).ok()?];
    Some(before * 365 + before / 4 - before / 100 + before / 400 + month + extra + day - 1)
}

/// `23:59:59.5`
fn time(text: &str, scale: u8) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let mut part = |most: u64| {
        let part = parts.next()?;
        natural::<u64>(part).filter(|number| part.len() == 2 && *number <= most)
    };
    let seconds = part(23)? * 3600 + part(59)? * 60 + part(59)?;
    if parts.next().is_some() || scale > 7 {
        return None;
    }
    let fraction = padded(fraction, scale)?;
    let fraction = if fraction.is_empty() {
        0
    } else {
        natural(&fraction)?
    };
    Some(Time::new(
        seconds * 10_u64.pow(scale.into()) + fraction,
        scale,
    ))
}

/// `2024-02-29 23:59:59.5`
fn moment(text: &str, scale: u8) -> Option<DateTime2> {
    let (day, clock) = text.split_once(' ')?;
    Some(DateTime2::new(date(day)?, time(clock, scale)?))
}

/// The digits of a fraction at a scale; `None` if that would leave out any but zeroes.
fn padded(fraction: &str, scale: u8) -> Option<String> {
    let scale = usize::from(scale);
    let (kept, rest) = fraction.split_at_checked(scale.min(fraction.len()))?;
    let zeroes = rest.bytes().all(|digit| digit == b'0');
    zeroes.then(|| format!("{kept:0<scale$}"))
}

/// Digits and nothing else.
fn natural<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(declared: &str, text: &str) -> Option<ColumnData<'static>> {
        let value = Value::Text(text.to_owned());
        let cell = Form::read(declared).unwrap().cell(&value).ok()?;
        Some(match cell {
            ColumnData::String(text) => {
                ColumnData::String(text.map(|text| Cow::Owned(text.into_owned())))
            }
            ColumnData::Numeric(number) => ColumnData::Numeric(number),
            ColumnData::Date(date) => ColumnData::Date(date),
            ColumnData::Time(time) => ColumnData::Time(time),
            ColumnData::DateTime2(moment) => ColumnData::DateTime2(moment),
            ColumnData::DateTimeOffset(moment) => ColumnData::DateTimeOffset(moment),
            ColumnData::Guid(uuid) => ColumnData::Guid(uuid),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn days_are_counted_as_the_server_counts_them() {
        // DATEDIFF(day, '0001-01-01', …): 693595 is the one every client knows, as datetime begins there.
        for (text, days) in [
            ("0001-01-01", 0),
            ("0001-12-31", 364),
            ("0004-02-29", 1154),
            ("1900-01-01", 693_595),
            ("1970-01-01", 719_162),
            ("2000-02-29", 730_178),
            ("2000-03-01", 730_179),
            ("9999-12-31", 3_652_058),
        ] {
            let expected = Some(ColumnData::Date(Some(Date::new(days))));
            assert_eq!(cell("date", text), expected, "{text}");
        }
    }

    #[test]
    fn a_time_has_its_columns_scale() {
        for (declared, text, increments, scale) in [
            ("time(6)", "23:59:59.123456", 86_399_123_456, 6),
            ("time(6)", "00:00:01.5", 1_500_000, 6),
            ("time(3)", "00:00:01.5", 1_500, 3),
            ("time(0)", "00:01:00", 60, 0),
            ("time(0)", "00:01:00.000", 60, 0),
        ] {
            let Some(ColumnData::Time(Some(time))) = cell(declared, text) else {
                panic!("{text}");
            };
            // Times of other scales are equal to the driver, and not to a server.
            assert_eq!(
                (time.increments(), time.scale()),
                (increments, scale),
                "{text}"
            );
        }
        let Some(ColumnData::DateTimeOffset(Some(moment))) =
            cell("datetimeoffset(6)", "1970-01-02 00:00:00.25+00")
        else {
            panic!("no moment");
        };
        let (at, offset) = (moment.datetime2(), moment.offset());
        assert_eq!((at.date().days(), offset), (719_163, 0));
        assert_eq!((at.time().increments(), at.time().scale()), (250_000, 6));
        let written = cell("datetimeoffset(6)", "1970-01-02 00:00:00.25 +00:00");
        assert_eq!(written, Some(ColumnData::DateTimeOffset(Some(moment))));
    }

    #[test]
    fn a_decimal_has_every_digit() {
        for (declared, text, value, scale) in [
            ("decimal(38, 6)", "-12.34", -12_340_000, 6),
            ("decimal(5,2)", "999.99", 99_999, 2),
            ("decimal(5,2)", "0.10", 10, 2),
            ("decimal(5,0)", "12345", 12_345, 0),
            ("decimal(38,38)", "0.5", 5 * 10_i128.pow(37), 38),
            (
                "decimal(38,0)",
                "99999999999999999999999999999999999999",
                10_i128.pow(38) - 1,
                0,
            ),
        ] {
            let Some(ColumnData::Numeric(Some(number))) = cell(declared, text) else {
                panic!("{text}");
            };
            assert_eq!((number.value(), number.scale()), (value, scale), "{text}");
        }
    }

    #[test]
    fn what_a_column_does_not_hold_exactly_is_refused() {
        for (declared, text) in [
            ("date", "2023-02-29"),
            ("date", "1900-02-29"),
            ("date", "10000-01-01"),
            ("date", "0044-03-15 BC"),
            ("date", "infinity"),
            ("date", "+001-01-01"),
            ("time(6)", "24:00:00"),
            ("time(0)", "00:00:00.5"),
            ("time(6)", "00:00:00.1234567"),
            ("datetime2(6)", "2024-01-01"),
            ("datetime2(6)", "2024-01-01 00:00:00+00"),
            ("datetimeoffset(6)", "2024-01-01 00:00:00"),
            ("datetimeoffset(6)", "2024-01-01 00:00:00+05:30"),
            ("decimal(5,2)", "1000.00"),
            ("decimal(5,2)", "1.234"),
            ("decimal(5,2)", "NaN"),
            ("decimal(5,2)", "1e3"),
            ("decimal(5,2)", ""),
            ("uniqueidentifier", "nonsense"),
            ("int", "1"),
            ("varbinary(max)", "x"),
        ] {
            assert_eq!(cell(declared, text), None, "{text} as {declared}");
        }
        let big = Value::Integer(40_000);
        assert!(Form::SmallInt.cell(&big).is_err() && Form::Int.cell(&big).is_ok());
        assert!(Form::Bit.cell(&Value::Integer(2)).is_err());
        let text = Form::Int
            .cell(&Value::Text("secret".to_owned()))
            .unwrap_err()
            .to_string();
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(Form::read("money"), None);
        assert_eq!(Form::read("datetime2"), None);
    }

    #[test]
    fn a_null_has_its_columns_type() {
        for declared in [
            "bit",
            "int",
            "float",
            "decimal(5,2)",
            "date",
            "time(6)",
            "nvarchar(max)",
        ] {
            let form = Form::read(declared).unwrap();
            assert_eq!(form.cell(&Value::Null).unwrap(), form.null(), "{declared}");
        }
    }

    #[test]
    fn long_values_do_not_go_in_bulk() {
        let text = |text: String| vec![Value::Integer(1), Value::Text(text)];
        assert!(fits_bulk(&text("x".repeat(32_767))));
        assert!(!fits_bulk(&text("x".repeat(32_768))));
        // More bytes in UTF-8, and no more units.
        assert!(fits_bulk(&text("é".repeat(32_767))));
        // A unit for each half of a pair.
        assert!(!fits_bulk(&text("😀".repeat(16_384))));
        assert!(fits_bulk(&[Value::Blob(vec![0; 65_535])]));
        assert!(!fits_bulk(&[Value::Blob(vec![0; 65_536])]));
    }
}
