//! Times of day, with and without a time zone.

use core::fmt;

use super::line::Line;
use super::scan::{Scan, digits, exact};
use super::{Expected, FromColumn, ValueError, ValueErrorKind};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A `time` without time zone: microseconds since midnight, up to and including 24:00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// Hour (up to 24), minute, second and microsecond.
    pub const fn hms(self) -> (u8, u8, u8, u32) {
        let (hours, rest) = (self.0.rem_euclid(25 * HOUR) / HOUR, self.0.rem_euclid(HOUR));
        let micros = rest % SECOND;
        let [.., hour] = hours.to_be_bytes();
        let [.., minute] = (rest / MINUTE).to_be_bytes();
        let [.., second] = (rest % MINUTE / SECOND).to_be_bytes();
        let [_, _, _, _, a, b, c, d] = micros.to_be_bytes();
        (hour, minute, second, u32::from_be_bytes([a, b, c, d]))
    }

    /// The time with these parts; `None` if there is none, as after 24:00:00.
    pub const fn from_hms(hour: u8, minute: u8, second: u8, micros: u32) -> Option<Self> {
        if minute > 59 || second > 59 || micros > 999_999 {
            return None;
        }
        let time = Self::of(hour, minute, second, micros);
        if time.0 > DAY { None } else { Some(time) }
    }

    #[inline]
    const fn of(hour: u8, minute: u8, second: u8, micros: u32) -> Self {
        let seconds = (hour as i64 * 60 + minute as i64) * 60 + second as i64;
        Self(seconds * SECOND + micros as i64)
    }

    pub(super) fn write(self, line: &mut Line) {
        let (hour, minute, second, micros) = self.hms();
        line.number(hour.into(), 2);
        line.byte(b':');
        line.number(minute.into(), 2);
        line.byte(b':');
        line.number(second.into(), 2);
        line.fraction(micros.into());
    }

    /// The time before 24:00:00 in front of a text, and what follows: all that is met every day.
    #[inline]
    pub(super) fn usual(text: &[u8]) -> Option<(Self, &[u8])> {
        let (&[a, b, b':', c, d, b':', e, f], rest) = text.split_first_chunk()? else {
            return None;
        };
        let [a, b, c, d, e, f] = digits([a, b, c, d, e, f])?;
        let (hour, minute, second) = (a * 10 + b, c * 10 + d, e * 10 + f);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (micros, rest) = match rest {
            [b'.', ..] => fraction(rest)?,
            _ => (0, rest),
        };
        Some((Self::of(hour, minute, second, micros), rest))
    }

    /// Reads `HH:MM:SS.ffffff`.
    // datetime.c: EncodeTimeOnly
    pub(super) fn read(scan: &mut Scan<'_>) -> Result<Self, ValueError> {
        let start = scan.clone();
        let hour = scan.two_digits()?;
        scan.expect(b':')?;
        let minute_at = scan.clone();
        let minute = scan.two_digits()?;
        scan.expect(b':')?;
        let second_at = scan.clone();
        let second = scan.two_digits()?;
        let micros = scan.millionths()?;
        let at = match () {
            () if minute > 59 => minute_at,
            () if second > 59 => second_at,
            () => start,
        };
        Self::from_hms(hour, minute, second, micros)
            .ok_or_else(|| at.error(ValueErrorKind::OutOfRange))
    }
}

/// Six digits behind a point, or less and then the end or something else, as millionths.
#[inline]
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    if let Some((&[_, a, b, c, d, e, f], rest)) = text.split_first_chunk()
        && let Some(six) = digits([a, b, c, d, e, f])
    {
        let micros = |micros, digit| micros * 10 + u32::from(digit);
        return Some((six.into_iter().fold(0, micros), rest));
    }
    let mut scan = Scan::new(text, Expected::Time);
    let micros = scan.millionths().ok()?;
    Some((micros, scan.rest()))
}

/// `HH:MM:SS` with up to six digits after a point; 64 bits.
impl FromColumn<'_> for Time {
    const EXPECTED: Expected = Expected::Time;

    // date.c: time_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        match Self::usual(text) {
            Some((time, [])) => Ok(time),
            _ => unusual(text),
        }
    }

    // date.c: time_send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        checked(
            i64::from_be_bytes(exact(bytes, Self::EXPECTED)?),
            Self::EXPECTED,
        )
    }
}

#[cold]
fn unusual(text: &[u8]) -> Result<Time, ValueError> {
    let mut scan = Scan::new(text, Time::EXPECTED);
    let time = Time::read(&mut scan)?;
    scan.end()?;
    Ok(time)
}

#[inline]
fn checked(micros: i64, expected: Expected) -> Result<Time, ValueError> {
    if (0..=DAY).contains(&micros) {
        Ok(Time(micros))
    } else {
        Err(ValueError::new(ValueErrorKind::OutOfRange, expected, 0))
    }
}

/// Prints as the server does.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new();
        self.write(&mut line);
        line.show(f)
    }
}

/// The offset from UTC has to be less than 16 hours.
const OFFSET_END: i32 = 16 * 3_600;

/// A `time with time zone`: a time of day and how far its clock is ahead of UTC.
///
/// Equal if both are: `12:00:00+00` is not `13:00:00+01`, for the server neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeTz {
    /// What the clock shows.
    pub time: Time,
    /// Seconds that the clock is ahead of UTC: positive east of Greenwich. The server stores it with the sign turned.
    pub offset: i32,
}

/// A time as of [`Time`], sign and hours of the offset, then minutes and seconds where not zero; 64 bits of
/// microseconds and 32 of seconds west of UTC.
impl FromColumn<'_> for TimeTz {
    const EXPECTED: Expected = Expected::TimeTz;

    // date.c: timetz_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(text, Self::EXPECTED);
        let time = Time::read(&mut scan)?;
        let at = scan.clone();
        let offset = read_offset(&mut scan)?;
        scan.end()?;
        if offset.abs() >= OFFSET_END {
            return Err(at.error(ValueErrorKind::OutOfRange));
        }
        Ok(Self { time, offset })
    }

    // date.c: timetz_send
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        let [t0, t1, t2, t3, t4, t5, t6, t7, west @ ..] = exact::<12>(bytes, Self::EXPECTED)?;
        let micros = i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let west = i32::from_be_bytes(west);
        let time = checked(micros, Self::EXPECTED)?;
        if !(1 - OFFSET_END..OFFSET_END).contains(&west) {
            return Err(ValueError::new(
                ValueErrorKind::OutOfRange,
                Self::EXPECTED,
                8,
            ));
        }
        Ok(Self {
            time,
            offset: -west,
        })
    }
}

/// Prints as the server does.
impl fmt::Display for TimeTz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new();
        self.time.write(&mut line);
        line.byte(if self.offset < 0 { b'-' } else { b'+' });
        let seconds = u64::from(self.offset.unsigned_abs());
        line.number(seconds / 3_600, 2);
        let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
        if minutes != 0 || seconds != 0 {
            line.byte(b':');
            line.number(minutes, 2);
        }
        if seconds != 0 {
            line.byte(b':');
            line.number(seconds, 2);
        }
        line.show(f)
    }
}

/// An offset of hours, or hours and minutes, as seconds east of UTC.
#[inline]
pub(super) fn usual_offset(text: &[u8]) -> Option<i32> {
    let (sign, hours, minutes) = match *text {
        [sign, a, b] => (sign, [a, b], [b'0'; 2]),
        [sign, a, b, b':', c, d] => (sign, [a, b], [c, d]),
        _ => return None,
    };
    let ([a, b], [c, d]) = (digits(hours)?, digits(minutes)?);
    let minutes = i32::from(a * 10 + b) * 60 + i32::from(c * 10 + d);
    match sign {
        b'+' if c < 6 => Some(minutes * 60),
        b'-' if c < 6 => Some(minutes * -60),
        _ => None,
    }
}

/// Seconds east of UTC: `+HH`, `+HH:MM` or `+HH:MM:SS`. A `TimeZone` in POSIX form may lie up to 167 hours away.
// datetime.c: EncodeTimezone
pub(super) fn read_offset(scan: &mut Scan<'_>) -> Result<i32, ValueError> {
    let west = match scan.peek() {
        Some(b'+') => false,
        Some(b'-') => true,
        _ => return Err(scan.unexpected()),
    };
    scan.advance(1);
    let start = scan.clone();
    let mut hours = i32::from(scan.two_digits()?);
    if let Some(digit) = scan.peek().and_then(super::scan::digit) {
        hours = hours * 10 + i32::from(digit);
        scan.advance(1);
    }
    let mut offset = hours * 3_600;
    for unit in [60, 1] {
        if !scan.eat(b':') {
            break;
        }
        let at = scan.clone();
        let number = scan.two_digits()?;
        if number > 59 {
            return Err(at.error(ValueErrorKind::OutOfRange));
        }
        offset += i32::from(number) * unit;
    }
    if hours > 167 {
        return Err(start.error(ValueErrorKind::OutOfRange));
    }
    Ok(if west { -offset } else { offset })
}
