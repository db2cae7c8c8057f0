//! Dates with times of day, with and without a time zone.

use core::fmt;

use super::calendar::{Civil, Written, usual};
use super::line::Line;
use super::scan::{Scan, exact};
use super::time::{DAY, SECOND, read_offset, usual_offset};
use super::{Date, Expected, FromColumn, Time, ValueError, ValueErrorKind};
use crate::Timestamp;

/// 4714-11-24 BC, and the first moment of the year 294277.
const FIRST: i64 = -211_813_488_000_000_000;
const END: i64 = 9_223_371_331_200_000_000;

/// A `timestamp` without time zone: microseconds since 2000-01-01 00:00 on a clock that is nobody's in particular.
///
/// [`LocalTimestamp::INFINITY`] is after and [`LocalTimestamp::NEG_INFINITY`] before all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTimestamp(pub i64);

impl LocalTimestamp {
    /// `infinity`, later than every other.
    pub const INFINITY: Self = Self(i64::MAX);
    /// `-infinity`, earlier than every other.
    pub const NEG_INFINITY: Self = Self(i64::MIN);

    /// Whether this is a moment, and not infinity.
    pub const fn is_finite(self) -> bool {
        self.as_utc().is_finite()
    }

    /// The moment at which a clock in UTC shows this.
    pub const fn as_utc(self) -> Timestamp {
        Timestamp(self.0)
    }

    /// The date; infinity has one too.
    pub fn date(self) -> Date {
        self.as_utc().date()
    }

    /// The time of day; `None` for infinity.
    pub fn time(self) -> Option<Time> {
        self.as_utc().time()
    }

    /// This time on this day; `None` outside PostgreSQL's range of 4714-11-24 BC to the end of 294276. The time is not
    /// looked at where the date is infinity.
    pub fn new(date: Date, time: Time) -> Option<Self> {
        match date {
            Date::INFINITY => Some(Self::INFINITY),
            Date::NEG_INFINITY => Some(Self::NEG_INFINITY),
            Date(days) => checked(i64::from(days), time.0).map(Self),
        }
    }
}

/// The parts of a moment as a clock in UTC shows it; the column type is `timestamp with time zone`.
impl Timestamp {
    /// `infinity`, later than every other.
    pub const INFINITY: Self = Self(i64::MAX);
    /// `-infinity`, earlier than every other.
    pub const NEG_INFINITY: Self = Self(i64::MIN);

    /// Whether this is a moment, and not infinity.
    pub const fn is_finite(self) -> bool {
        self.0 != i64::MAX && self.0 != i64::MIN
    }

    /// The date in UTC; infinity has one too.
    pub fn date(self) -> Date {
        match self {
            Self::INFINITY => Date::INFINITY,
            Self::NEG_INFINITY => Date::NEG_INFINITY,
            // 64 bits of microseconds are 28 of days.
            Self(micros) => Date(i32::try_from(micros.div_euclid(DAY)).unwrap_or_default()),
        }
    }

    /// The time of day in UTC; `None` for infinity.
    pub fn time(self) -> Option<Time> {
        self.is_finite().then(|| Time(self.0.rem_euclid(DAY)))
    }
}

/// Microseconds since 2000-01-01, if the server can store them.
#[inline]
fn checked(days: i64, micros: i64) -> Option<i64> {
    let micros = days.checked_mul(DAY)?.checked_add(micros)?;
    (FIRST..END).contains(&micros).then_some(micros)
}

/// `YYYY-MM-DD HH:MM:SS` with up to six digits after a point and ` BC` behind it, `infinity` or `-infinity`; 64 bits.
///
/// The text needs the `DateStyle` `ISO`; another is an error of kind [`ValueErrorKind::DateStyle`].
impl FromColumn<'_> for LocalTimestamp {
    const EXPECTED: Expected = Expected::Timestamp;

    // timestamp.c: timestamp_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        if let Some((civil, [b' ', rest @ ..])) = usual(text)
            && let Some((time, [])) = Time::usual(rest)
        {
            return Ok(Self(civil.days() * DAY + time.0));
        }
        unusual(text, Self::EXPECTED, |_| Ok(0)).map(Self)
    }

    // timestamp.c: timestamp_send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        from_binary(bytes, Self::EXPECTED).map(Self)
    }
}

/// `timestamp with time zone`: as [`LocalTimestamp`] with the offset from UTC before ` BC`; 64 bits.
///
/// The text carries its offset, so every `TimeZone` of the session will do; it needs the `DateStyle` `ISO`, and another
/// is an error of kind [`ValueErrorKind::DateStyle`].
impl FromColumn<'_> for Timestamp {
    const EXPECTED: Expected = Expected::TimestampTz;

    // timestamp.c: timestamptz_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        if let Some((civil, [b' ', rest @ ..])) = usual(text)
            && let Some((time, rest)) = Time::usual(rest)
            && let Some(offset) = usual_offset(rest)
        {
            let micros = civil.days() * DAY + time.0 - i64::from(offset) * SECOND;
            return Ok(Self(micros));
        }
        unusual(text, Self::EXPECTED, read_offset).map(Self)
    }

    // timestamp.c: timestamptz_send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        from_binary(bytes, Self::EXPECTED).map(Self)
    }
}

/// Reads every other text that the server writes, and explains what is wrong.
#[cold]
fn unusual<'a>(
    text: &'a [u8],
    expected: Expected,
    offset: impl FnOnce(&mut Scan<'a>) -> Result<i32, ValueError>,
) -> Result<i64, ValueError> {
    let mut scan = Scan::new(text, expected);
    let start = scan.clone();
    if let Some(b'-' | b'i') = scan.peek() {
        return infinity(scan);
    }
    let date = Written::read(&mut scan)?;
    scan.expect(b' ')?;
    let time = Time::read(&mut scan)?;
    let offset = offset(&mut scan)?;
    let days = date.finish(&start, &mut scan)?;
    checked(days, time.0 - i64::from(offset) * SECOND)
        .ok_or_else(|| start.error(ValueErrorKind::OutOfRange))
}

#[cold]
fn infinity(mut scan: Scan<'_>) -> Result<i64, ValueError> {
    let micros = if scan.eat(b'-') { i64::MIN } else { i64::MAX };
    for byte in *b"infinity" {
        scan.expect(byte)?;
    }
    scan.end()?;
    Ok(micros)
}

#[inline]
fn from_binary(bytes: &[u8], expected: Expected) -> Result<i64, ValueError> {
    let micros = i64::from_be_bytes(exact(bytes, expected)?);
    if (FIRST..END).contains(&micros) || !Timestamp(micros).is_finite() {
        Ok(micros)
    } else {
        Err(ValueError::new(ValueErrorKind::OutOfRange, expected, 0))
    }
}

/// Prints as the server does in the `DateStyle` `ISO`.
impl fmt::Display for LocalTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.as_utc(), "")
    }
}

/// Prints as the server does in the `DateStyle` `ISO` and the `TimeZone` `UTC`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, *self, "+00")
    }
}

// datetime.c: EncodeDateTime
fn write(f: &mut fmt::Formatter<'_>, moment: Timestamp, offset: &str) -> fmt::Result {
    let Some(time) = moment.time() else {
        return fmt::Display::fmt(&moment.date(), f);
    };
    let civil = Civil::of(i64::from(moment.date().0));
    let mut line = Line::new();
    civil.write_date(&mut line);
    line.byte(b' ');
    time.write(&mut line);
    line.text(offset);
    civil.write_era(&mut line);
    line.show(f)
}
