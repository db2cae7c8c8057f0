//! Spans of time.

use core::fmt;

use super::line::Line;
use super::scan::{Scan, exact};
use super::time::{HOUR, MINUTE, SECOND};
use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// An `interval`: months, days and microseconds, which PostgreSQL keeps apart because months and days differ in length.
///
/// Two are equal if all three parts are. For the server a month also equals 30 days, and a day 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Months, years included.
    pub months: i32,
    /// Days, weeks included.
    pub days: i32,
    /// Microseconds, hours, minutes and seconds included.
    pub micros: i64,
}

impl Interval {
    /// `infinity`, which servers from 17 on know; for older ones it is the longest span.
    pub const INFINITY: Self = Self {
        months: i32::MAX,
        days: i32::MAX,
        micros: i64::MAX,
    };
    /// `-infinity`.
    pub const NEG_INFINITY: Self = Self {
        months: i32::MIN,
        days: i32::MIN,
        micros: i64::MIN,
    };

    /// Whether this is neither infinity.
    pub fn is_finite(self) -> bool {
        self != Self::INFINITY && self != Self::NEG_INFINITY
    }
}

/// The text of any `IntervalStyle`, which are all told apart; 64 bits of microseconds, 32 of days and 32 of months.
impl FromColumn<'_> for Interval {
    const EXPECTED: Expected = Expected::Interval;

    // timestamp.c: interval_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        match text {
            b"infinity" => return Ok(Self::INFINITY),
            b"-infinity" => return Ok(Self::NEG_INFINITY),
            _ => {}
        }
        let mut scan = Scan::new(text, Self::EXPECTED);
        let mut parts = Parts::default();
        match scan.peek() {
            Some(b'P') => iso_8601(&mut scan, &mut parts)?,
            Some(b'@') => verbose(&mut scan, &mut parts)?,
            _ => parts_and_time(&mut scan, &mut parts)?,
        }
        scan.end()?;
        parts.interval(&Scan::new(text, Self::EXPECTED))
    }

    // timestamp.c: interval_send
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        let [
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7, //
            d0,
            d1,
            d2,
            d3, //
            months @ ..,
        ] = exact::<16>(bytes, Self::EXPECTED)?;
        Ok(Self {
            months: i32::from_be_bytes(months),
            days: i32::from_be_bytes([d0, d1, d2, d3]),
            micros: i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
        })
    }
}

/// What the text has said so far, with room for every number that may stand in it.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    months: i128,
    days: i128,
    micros: i128,
}

impl Parts {
    fn interval(self, start: &Scan<'_>) -> Result<Interval, ValueError> {
        let Self {
            months,
            days,
            micros,
        } = self;
        match (months.try_into(), days.try_into(), micros.try_into()) {
            (Ok(months), Ok(days), Ok(micros)) => Ok(Interval {
                months,
                days,
                micros,
            }),
            _ => Err(start.error(ValueErrorKind::OutOfRange)),
        }
    }

    fn negated(self) -> Self {
        Self {
            months: -self.months,
            days: -self.days,
            micros: -self.micros,
        }
    }
}

/// The styles `postgres` (`1 year 2 mons -3 days +04:05:06.7`) and `sql_standard` (`1-2`, `3 4:05:06`,
/// `+1-2 -3 +4:05:06`, `0`), which have no text in common that would mean two things.
fn parts_and_time(scan: &mut Scan<'_>, parts: &mut Parts) -> Result<(), ValueError> {
    // In the style sql_standard a sign in front of the first and only sign is that of every part.
    let mut first_is_negative = false;
    let mut is_first = true;
    loop {
        let (signed, negative) = sign(scan);
        let number = i128::from(scan.number()?);
        let with = |negative: bool, number: i128| if negative { -number } else { number };
        // An unsigned part behind a negative first one in the style sql_standard.
        let inherited = negative || !signed && first_is_negative;
        match scan.peek() {
            Some(b':') => {
                parts.micros += with(inherited, clock(scan, number)?);
                return Ok(());
            }
            Some(b'-') => {
                scan.advance(1);
                let months = i128::from(scan.number()?);
                parts.months += with(negative, number * 12 + months);
            }
            Some(b' ') => {
                scan.advance(1);
                let number_of = |unit: i128| with(negative, number * unit);
                if scan.eat_all(b"year") {
                    parts.months += number_of(12);
                } else if scan.eat_all(b"mon") {
                    parts.months += number_of(1);
                } else if scan.eat_all(b"day") {
                    parts.days += number_of(1);
                } else {
                    // A number of days, and a time or another part behind the blank.
                    parts.days += number_of(1);
                    first_is_negative |= is_first && negative;
                    is_first = false;
                    continue;
                }
                scan.eat(b's');
            }
            None if is_first && number == 0 => return Ok(()),
            _ => return Err(scan.unexpected()),
        }
        is_first = false;
        if !scan.eat(b' ') {
            return Ok(());
        }
    }
}

/// `P1Y2M-3DT4H5M6.7S`: the style `iso_8601`.
fn iso_8601(scan: &mut Scan<'_>, parts: &mut Parts) -> Result<(), ValueError> {
    scan.expect(b'P')?;
    let mut time = scan.eat(b'T');
    loop {
        let (_, negative) = sign(scan);
        let number = i128::from(scan.number()?);
        let fraction = i128::from(scan.millionths()?);
        let (part, unit) = match (time, scan.peek()) {
            (false, Some(b'Y')) => (&mut parts.months, 12),
            (false, Some(b'M')) => (&mut parts.months, 1),
            (false, Some(b'D')) => (&mut parts.days, 1),
            (true, Some(b'H')) => (&mut parts.micros, i128::from(HOUR)),
            (true, Some(b'M')) => (&mut parts.micros, i128::from(MINUTE)),
            (true, Some(b'S')) => (&mut parts.micros, i128::from(SECOND)),
            _ => return Err(scan.unexpected()),
        };
        if fraction != 0 && unit != i128::from(SECOND) {
            return Err(scan.unexpected());
        }
        let number = number * unit + fraction;
        *part += if negative { -number } else { number };
        scan.advance(1);
        if scan.rest().is_empty() {
            return Ok(());
        }
        time |= scan.eat(b'T');
    }
}

/// `@ 1 year 2 mons -3 days 4 hours 5 mins 6.7 secs ago`: the style `postgres_verbose`.
fn verbose(scan: &mut Scan<'_>, parts: &mut Parts) -> Result<(), ValueError> {
    scan.expect(b'@')?;
    scan.expect(b' ')?;
    if scan.rest() == b"0" {
        scan.advance(1);
        return Ok(());
    }
    loop {
        let (_, negative) = sign(scan);
        let number = i128::from(scan.number()?);
        let fraction = i128::from(scan.millionths()?);
        scan.expect(b' ')?;
        let (part, unit) = match () {
            () if scan.eat_all(b"sec") => (&mut parts.micros, i128::from(SECOND)),
            () if fraction != 0 => return Err(scan.unexpected()),
            () if scan.eat_all(b"year") => (&mut parts.months, 12),
            () if scan.eat_all(b"mon") => (&mut parts.months, 1),
            () if scan.eat_all(b"day") => (&mut parts.days, 1),
            () if scan.eat_all(b"hour") => (&mut parts.micros, i128::from(HOUR)),
            () if scan.eat_all(b"min") => (&mut parts.micros, i128::from(MINUTE)),
            () => return Err(scan.unexpected()),
        };
        let number = number * unit + fraction;
        *part += if negative { -number } else { number };
        scan.eat(b's');
        if scan.eat_all(b" ago") {
            *parts = parts.negated();
            return Ok(());
        }
        if !scan.eat(b' ') {
            return Ok(());
        }
    }
}

/// Whether there is a sign, and whether it is `-`.
fn sign(scan: &mut Scan<'_>) -> (bool, bool) {
    if scan.eat(b'-') {
        (true, true)
    } else {
        (scan.eat(b'+'), false)
    }
}

/// `:MM:SS.ffffff` behind a number of hours, as microseconds.
fn clock(scan: &mut Scan<'_>, hours: i128) -> Result<i128, ValueError> {
    let mut micros = hours * i128::from(HOUR);
    for unit in [MINUTE, SECOND] {
        scan.expect(b':')?;
        let at = scan.clone();
        let number = scan.two_digits()?;
        if number > 59 {
            return Err(at.error(ValueErrorKind::OutOfRange));
        }
        micros += i128::from(number) * i128::from(unit);
    }
    Ok(micros + i128::from(scan.millionths()?))
}

/// Prints as the server does in the `IntervalStyle` `postgres`, which is the default.
impl fmt::Display for Interval {
    // datetime.c: EncodeInterval
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => return f.pad("infinity"),
            Self::NEG_INFINITY => return f.pad("-infinity"),
            _ => {}
        }
        let mut line = Line::new();
        let mut negative_before = false;
        let units = [
            (self.months / 12, " year"),
            (self.months % 12, " mon"),
            (self.days, " day"),
        ];
        for (number, unit) in units {
            if number == 0 {
                continue;
            }
            if !line.is_empty() {
                line.byte(b' ');
            }
            sign_of(&mut line, number < 0, negative_before);
            line.number(number.unsigned_abs().into(), 1);
            line.text(unit);
            if number != 1 {
                line.byte(b's');
            }
            negative_before = number < 0;
        }
        if self.micros == 0 && !line.is_empty() {
            return line.show(f);
        }
        if !line.is_empty() {
            line.byte(b' ');
        }
        sign_of(&mut line, self.micros < 0, negative_before);
        let micros = self.micros.unsigned_abs();
        let seconds = micros / 1_000_000;
        line.number(seconds / 3_600, 2);
        line.byte(b':');
        line.number(seconds / 60 % 60, 2);
        line.byte(b':');
        line.number(seconds % 60, 2);
        line.fraction(micros % 1_000_000);
        line.show(f)
    }
}

/// A `+` is written only where the part before was negative.
fn sign_of(line: &mut Line, negative: bool, negative_before: bool) {
    if negative {
        line.byte(b'-');
    } else if negative_before {
        line.byte(b'+');
    }
}
