//! Times as ISO 8601 has them.

use std::fmt;

use walproto::Timestamp;

/// Prints `2026-11-21T08:59:01.123456Z`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Iso(pub(crate) Timestamp);

const DAY: i64 = 86_400_000_000;

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = match self.0.0 {
            i64::MAX => return f.write_str("infinity"),
            i64::MIN => return f.write_str("-infinity"),
            micros => micros,
        };
        let (year, month, day) = civil(micros.div_euclid(DAY));
        let of_day = micros.rem_euclid(DAY);
        let seconds = of_day / 1_000_000;
        // Beyond four digits the standard asks for a sign.
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+07}")?,
        }
        write!(
            f,
            "-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            of_day % 1_000_000
        )
    }
}

/// Year (0 is 1 BC), month and day, from the number of days since 2000-01-01, in the Gregorian calendar.
///
/// Years are counted from March on here, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    /// Days in 400 years.
    const ERA: i64 = 146_097;
    // 2000-03-01 begins an era.
    let days = days - 60;
    let era = days.div_euclid(ERA);
    let of_era = days.rem_euclid(ERA);
    // A leap day in every fourth year, not in every hundredth; the last one of the era is the era's last day.
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (year * 365 + year / 4 - year / 100);
    // March to July and August to December have 153 days each.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = 2000 + era * 400 + year;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(micros: i64) -> String {
        Iso(Timestamp(micros)).to_string()
    }

    #[test]
    fn prints_as_the_standard_asks() {
        for (micros, text) in [
            (0, "2000-01-01T00:00:00.000000Z"),
            (-1, "1999-12-31T23:59:59.999999Z"),
            (DAY * 59 + 1, "2000-02-29T00:00:00.000001Z"),
            (DAY * 60, "2000-03-01T00:00:00.000000Z"),
            // date -u -d 2026-11-21T08:59:01Z +%s, less 946684800
            (848_566_741_123_456, "2026-11-21T08:59:01.123456Z"),
            (-946_684_800_000_000, "1970-01-01T00:00:00.000000Z"),
            // SELECT extract(epoch FROM '10000-01-01'::timestamp - '2000-01-01') is 252455616000
            (252_455_616_000_000_000, "+010000-01-01T00:00:00.000000Z"),
            (i64::MAX, "infinity"),
            (i64::MIN, "-infinity"),
        ] {
            assert_eq!(iso(micros), text);
        }
    }

    #[test]
    fn every_day_of_an_era_follows_the_one_before() {
        let length = |year: i64, month| match month {
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        };
        let (mut year, mut month, mut day) = (2000, 1, 1);
        for days in 0..=146_097 {
            assert_eq!(civil(days), (year, month, day));
            assert_eq!(civil(days - 146_097), (year - 400, month, day));
            day += 1;
            if day > length(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }
}
