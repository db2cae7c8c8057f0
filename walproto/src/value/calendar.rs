//! Days and dates: the Gregorian calendar, carried on into the past and the future, as the server does.

use super::line::Line;
use super::scan::{Scan, digit, digits};
use super::{ValueError, ValueErrorKind};

/// From 0000-03-01, where the arithmetic begins so that a leap day ends its year, to 2000-01-01.
const EPOCH: i64 = 730_425;
const DAYS_IN_400_YEARS: i64 = 146_097;

/// A date; year 0 is 1 BC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: u8,
    pub(super) day: u8,
}

impl Civil {
    /// The date so many days after 2000-01-01.
    // datetime.c: j2date
    pub(super) const fn of(days: i64) -> Self {
        let days = days + EPOCH;
        let (cycle, day) = (
            days.div_euclid(DAYS_IN_400_YEARS),
            days.rem_euclid(DAYS_IN_400_YEARS),
        );
        // Leap days up to here, but those that centuries leave out.
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // From March on, the lengths of five months repeat: 31, 30, 31, 30, 31.
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        Self {
            year: cycle * 400 + year + next,
            month: low_byte(month),
            day: low_byte(day),
        }
    }

    /// Days since 2000-01-01.
    // datetime.c: date2j
    pub(super) const fn days(self) -> i64 {
        let month = self.month as i64;
        let (year, month) = if month > 2 {
            (self.year, month - 3)
        } else {
            (self.year - 1, month + 9)
        };
        let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
        let day = (153 * month + 2) / 5 + self.day as i64 - 1;
        cycle * DAYS_IN_400_YEARS + year * 365 + year / 4 - year / 100 + day - EPOCH
    }

    // datetime.c: EncodeDateOnly
    pub(super) fn write_date(self, line: &mut Line) {
        let year = if self.year > 0 {
            self.year
        } else {
            1 - self.year
        };
        line.number(year.unsigned_abs(), 4);
        line.byte(b'-');
        line.number(self.month.into(), 2);
        line.byte(b'-');
        line.number(self.day.into(), 2);
    }

    pub(super) fn write_era(self, line: &mut Line) {
        if self.year <= 0 {
            line.text(" BC");
        }
    }

    /// Whether there is such a day.
    pub(super) const fn exists(self) -> bool {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let last = match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => 0,
        };
        self.day >= 1 && self.day <= last
    }
}

const fn low_byte(number: i64) -> u8 {
    let [.., low] = number.to_be_bytes();
    low
}

/// The date of four digits for the year in front of a text, and what follows: all that is met every day.
#[inline]
pub(super) fn usual(text: &[u8]) -> Option<(Civil, &[u8])> {
    let (&[a, b, c, d, b'-', e, f, b'-', g, h], rest) = text.split_first_chunk()? else {
        return None;
    };
    let [a, b, c, d, e, f, g, h] = digits([a, b, c, d, e, f, g, h])?;
    let year = u16::from(a * 10 + b) * 100 + u16::from(c * 10 + d);
    let civil = Civil {
        year: year.into(),
        month: e * 10 + f,
        day: g * 10 + h,
    };
    (year > 0 && civil.exists()).then_some((civil, rest))
}

/// `YYYY-MM-DD`, with a longer year where need be; whether it lies before Christ stands at the very end of the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written(Civil);

impl Written {
    pub(super) fn read(scan: &mut Scan<'_>) -> Result<Self, ValueError> {
        let start = scan.clone();
        let Some(four) = scan
            .rest()
            .first_chunk()
            .and_then(|four| digits::<4>(*four))
        else {
            return Err(not_iso(start));
        };
        scan.advance(4);
        let mut year = four
            .iter()
            .fold(0, |year, digit| year * 10 + i64::from(*digit));
        // The last is 5874897.
        while let Some(digit) = scan.peek().and_then(digit) {
            if year > 999_999 {
                return Err(scan.error(ValueErrorKind::OutOfRange));
            }
            year = year * 10 + i64::from(digit);
            scan.advance(1);
        }
        scan.expect(b'-')?;
        let month_at = scan.clone();
        let month = scan.two_digits()?;
        scan.expect(b'-')?;
        let day_at = scan.clone();
        let day = scan.two_digits()?;
        // The year before the first is 1 BC.
        if year == 0 {
            return Err(start.error(ValueErrorKind::OutOfRange));
        }
        if !matches!(month, 1..=12) {
            return Err(month_at.error(ValueErrorKind::OutOfRange));
        }
        if !matches!(day, 1..=31) {
            return Err(day_at.error(ValueErrorKind::OutOfRange));
        }
        Ok(Self(Civil { year, month, day }))
    }

    /// Reads ` BC`, if it is there, and the end; gives the days since 2000-01-01 of the date that began at `start`.
    pub(super) fn finish(self, start: &Scan<'_>, scan: &mut Scan<'_>) -> Result<i64, ValueError> {
        let Self(mut civil) = self;
        if !scan.rest().is_empty() {
            if scan.eat_all(b" BC") {
                civil.year = 1 - civil.year;
            }
            scan.end()?;
        }
        if civil.day > 28 && !civil.exists() {
            return Err(start.error(ValueErrorKind::OutOfRange));
        }
        Ok(civil.days())
    }
}

/// Tells another `DateStyle` from junk: they begin with a day or month of two digits, or with a day's name.
#[cold]
fn not_iso(mut scan: Scan<'_>) -> ValueError {
    let style = scan.clone();
    if scan.two_digits().is_ok() && matches!(scan.peek(), Some(b'-' | b'/' | b'.')) {
        return style.error(ValueErrorKind::DateStyle);
    }
    let mut scan = style.clone();
    if let Some((&[b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', b' '], _)) =
        scan.rest().split_first_chunk()
    {
        return style.error(ValueErrorKind::DateStyle);
    }
    while scan.peek().and_then(digit).is_some() {
        scan.advance(1);
    }
    scan.unexpected()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_for_a_thousand_years_around_every_turn() {
        for around in [-2_451_545, -730_425, -366, 0, 50_000_000, 2_145_000_000] {
            let mut last = Civil::of(around - 200_001);
            for days in around - 200_000..around + 200_000 {
                let civil = Civil::of(days);
                assert!(civil.exists(), "{civil:?}");
                assert_eq!(civil.days(), days, "{civil:?}");
                let next_day = civil.year == last.year
                    && civil.month == last.month
                    && civil.day == last.day + 1;
                let next_month = civil.day == 1
                    && (civil.year * 12 + i64::from(civil.month))
                        == last.year * 12 + i64::from(last.month) + 1;
                assert!(next_day || next_month, "{last:?} {civil:?}");
                last = civil;
            }
        }
    }
}
