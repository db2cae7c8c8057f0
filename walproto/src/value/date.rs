//! Days.

use core::fmt;

use super::calendar::{Civil, Written, usual};
use super::line::Line;
use super::scan::{Scan, exact};
use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// 4714-11-24 BC, the first day that the server knows, and the day after 5874897-12-31, the last.
const FIRST: i32 = -2_451_545;
const END: i32 = 2_145_031_949;

/// From 1970-01-01 to 2000-01-01.
const UNIX_OFFSET: i64 = 10_957;

/// A `date`: days since 2000-01-01, negative before; [`Date::INFINITY`] is after and [`Date::NEG_INFINITY`] before all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

impl Date {
    /// `infinity`, later than every other date.
    pub const INFINITY: Self = Self(i32::MAX);
    /// `-infinity`, earlier than every other date.
    pub const NEG_INFINITY: Self = Self(i32::MIN);

    /// Whether this is a day, and not infinity.
    pub const fn is_finite(self) -> bool {
        self.0 != i32::MAX && self.0 != i32::MIN
    }

    /// The day with this year (0 is 1 BC, -1 is 2 BC), month (from 1) and day of the month; `None` if there is no such
    /// day, or it is outside PostgreSQL's range of 4714-11-24 BC to 5874897-12-31.
    pub fn from_ymd(year: i32, month: u8, day: u8) -> Option<Self> {
        let civil = Civil {
            year: i64::from(year),
            month,
            day,
        };
        if civil.exists() {
            checked(civil.days())
        } else {
            None
        }
    }

    /// Year (0 is 1 BC, -1 is 2 BC), month (from 1) and day of the month in the Gregorian calendar; `None` for infinity.
    pub fn ymd(self) -> Option<(i32, u8, u8)> {
        if !self.is_finite() {
            return None;
        }
        let Civil { year, month, day } = Civil::of(i64::from(self.0));
        Some((i32::try_from(year).ok()?, month, day))
    }

    /// Days since 1970-01-01; `None` for infinity.
    pub const fn unix_days(self) -> Option<i64> {
        if self.is_finite() {
            Some(self.0 as i64 + UNIX_OFFSET)
        } else {
            None
        }
    }

    /// From days since 1970-01-01; `None` outside PostgreSQL's range.
    pub fn from_unix_days(days: i64) -> Option<Self> {
        checked(days.checked_sub(UNIX_OFFSET)?)
    }
}

#[inline]
fn checked(days: i64) -> Option<Date> {
    let days = i32::try_from(days).ok()?;
    (FIRST..END).contains(&days).then_some(Date(days))
}

/// `YYYY-MM-DD` with ` BC` behind it, `infinity` or `-infinity`; 32 bits.
///
/// The text needs the `DateStyle` `ISO`; another is an error of kind [`ValueErrorKind::DateStyle`].
impl FromColumn<'_> for Date {
    const EXPECTED: Expected = Expected::Date;

    // date.c: date_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        match usual(text) {
            Some((civil, [])) => Ok(Self(i32::try_from(civil.days()).unwrap_or_default())),
            _ => unusual(text),
        }
    }

    // date.c: date_send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        let date = Self(i32::from_be_bytes(exact(bytes, Self::EXPECTED)?));
        if (FIRST..END).contains(&date.0) || !date.is_finite() {
            Ok(date)
        } else {
            Err(ValueError::new(
                ValueErrorKind::OutOfRange,
                Self::EXPECTED,
                0,
            ))
        }
    }
}

#[cold]
fn unusual(text: &[u8]) -> Result<Date, ValueError> {
    match text {
        b"infinity" => return Ok(Date::INFINITY),
        b"-infinity" => return Ok(Date::NEG_INFINITY),
        _ => {}
    }
    let mut scan = Scan::new(text, Date::EXPECTED);
    let start = scan.clone();
    let days = Written::read(&mut scan)?.finish(&start, &mut scan)?;
    checked(days).ok_or_else(|| start.error(ValueErrorKind::OutOfRange))
}

/// Prints as the server does in the `DateStyle` `ISO`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => f.pad("infinity"),
            Self::NEG_INFINITY => f.pad("-infinity"),
            Self(days) => {
                let civil = Civil::of(i64::from(days));
                let mut line = Line::new();
                civil.write_date(&mut line);
                civil.write_era(&mut line);
                line.show(f)
            }
        }
    }
}
