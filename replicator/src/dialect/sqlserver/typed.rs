//! Values in the types of the wire, for a load in bulk: nothing is converted there, and a time whose scale is not the
//! column's is stored as another time.

use super::types::{Form, Held};
use crate::misfit::Misfit;
use crate::value::Value;

/// A value of a column's own type; `None` is NULL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Typed<'v> {
    Bool(Option<bool>),
    Int2(Option<i16>),
    Int4(Option<i32>),
    Int8(Option<i64>),
    Double(Option<f64>),
    /// The number without its point, and how many digits stand behind that.
    Decimal(Option<i128>, u8),
    Date(Option<Day>),
    Time(Option<u64>, u8),
    DateTime(Option<(Day, u64)>, u8),
    /// At UTC.
    Zoned(Option<(Day, u64)>, u8),
    /// In the order in which people read it. On the wire the server has the first three groups the other way round.
    Uuid(Option<[u8; 16]>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
}

/// Days since 0001-01-01, in the calendar of today.
pub(crate) type Day = u32;

impl Held {
    /// What [`value`](Self::value) gave, in the type of the column.
    ///
    /// Times count units of the last digit that the column has.
    ///
    /// # Errors
    ///
    /// What [`value`](Self::value) never gives.
    pub(crate) fn typed<'v>(&self, value: &'v Value) -> Result<Typed<'v>, Misfit> {
        let foreign = || Misfit::foreign(self.kind);
        let text = match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        };
        let integer = match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        };
        let typed = match self.form {
            Form::Bool => Typed::Bool(match integer {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            }),
            Form::Int2 => Typed::Int2(integer.and_then(|number| number.try_into().ok())),
            Form::Int4 => Typed::Int4(integer.and_then(|number| number.try_into().ok())),
            Form::Int8 => Typed::Int8(integer),
            Form::Double => Typed::Double(match value {
                Value::Real(number) => Some(*number),
                _ => None,
            }),
            Form::Decimal { scale, .. } => {
                let scale = u8::try_from(scale).map_err(|_| foreign())?;
                let number = text.and_then(|text| decimal(text, scale));
                let number =
                    number.or_else(|| i128::from(integer?).checked_mul(10_i128.pow(scale.into())));
                Typed::Decimal(number, scale)
            }
            Form::Date => Typed::Date(text.and_then(day)),
            Form::Time { digits } => Typed::Time(text.and_then(|text| time(text, digits)), digits),
            Form::DateTime { digits } => {
                Typed::DateTime(text.and_then(|text| moment(text, digits)), digits)
            }
            Form::Zoned { digits } => {
                let plain = text.and_then(|text| text.strip_suffix(" +00:00"));
                Typed::Zoned(plain.and_then(|text| moment(text, digits)), digits)
            }
            Form::Uuid => Typed::Uuid(text.and_then(uuid)),
            Form::Text(_) | Form::Narrow(_) => Typed::Text(text),
            Form::Bytes(_) => Typed::Bytes(match value {
                Value::Blob(bytes) => Some(bytes),
                _ => None,
            }),
        };
        // What became nothing although it was something.
        if typed.is_null() && !value.is_null() {
            return Err(foreign());
        }
        Ok(typed)
    }
}

impl Typed<'_> {
    pub(crate) const fn is_null(&self) -> bool {
        matches!(
            self,
            Self::Bool(None)
                | Self::Int2(None)
                | Self::Int4(None)
                | Self::Int8(None)
                | Self::Double(None)
                | Self::Decimal(None, _)
                | Self::Date(None)
                | Self::Time(None, _)
                | Self::DateTime(None, _)
                | Self::Zoned(None, _)
                | Self::Uuid(None)
                | Self::Text(None)
                | Self::Bytes(None)
        )
    }
}

/// `-12.30` as -1230.
fn decimal(text: &str, scale: u8) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let missing = usize::from(scale).checked_sub(fraction.len())?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    digits.parse().ok()
}

/// `2024-02-29`, of the years 1 to 9999.
fn day(text: &str) -> Option<Day> {
    let mut parts = text.split('-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 || text.len() != 10 {
        return None;
    }
    // A year that begins in March ends with its odd day.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let before = year * 365 + year / 4 - year / 100 + year / 400;
    let within = (153 * month + 2) / 5 + day - 1;
    // March of the year 0 lies 306 days before.
    (before + within).checked_sub(306)
}

/// `12:00:00.5`, in units of the last of so many digits.
fn time(text: &str, digits: u8) -> Option<u64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if hour > 23 || minute > 59 || second > 59 || parts.next().is_some() {
        return None;
    }
    let missing = usize::from(digits).checked_sub(fraction.len())?;
    let fraction: u64 = format!("0{fraction}{}", "0".repeat(missing)).parse().ok()?;
    let units = 10_u64.pow(digits.into());
    Some(((hour * 60 + minute) * 60 + second) * units + fraction)
}

fn moment(text: &str, digits: u8) -> Option<(Day, u64)> {
    let (date, clock) = text.split_once(' ')?;
    Some((day(date)?, time(clock, digits)?))
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut digits = text.bytes().filter(|byte| *byte != b'-');
    for byte in &mut bytes {
        let mut digit = || char::from(digits.next()?).to_digit(16);
        *byte = u8::try_from(digit()? << 4 | digit()?).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}
