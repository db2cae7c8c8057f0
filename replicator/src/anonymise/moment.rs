//! Dates, times and spans, replaced by others that print as long.

use walproto::value::{Date, Interval, LocalTimestamp, Time};

use super::cipher::{Cipher, Symbol};
use super::text::number;

const DAY: u64 = 11;
const SECOND: u64 = 12;
const FRACTION: u64 = 13;

const SECONDS: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// Another day; one of 1900 to 2099 stays there, one before our era too, and a year keeps its number of digits.
pub(super) fn date(cipher: &Cipher, date: Date) -> Date {
    let Some((year, ..)) = date.ymd() else {
        return date;
    };
    let (from, to) = match year {
        1900..=2099 => (1900, 2099),
        ..=0 => (-4713, 0),
        1..=9999 => (1, 9999),
        10_000..=99_999 => (10_000, 99_999),
        // To where timestamps end, and to where dates do.
        100_000..=294_276 => (100_000, 294_276),
        294_277..=999_999 => (294_277, 999_999),
        _ => (1_000_000, 5_874_897),
    };
    let first = match from {
        -4713 => Date::from_ymd(from, 11, 24),
        _ => Date::from_ymd(from, 1, 1),
    };
    let (Some(first), Some(last)) = (first, Date::from_ymd(to, 12, 31)) else {
        return date;
    };
    let span = u64::try_from(i64::from(last.0) - i64::from(first.0) + 1).unwrap_or(1);
    let tweak = DAY + (u64::try_from(from).unwrap_or(0) << 8);
    let Ok(mut place) = u64::try_from(i64::from(date.0) - i64::from(first.0)) else {
        return date;
    };
    if place >= span {
        return date;
    }
    loop {
        place = cipher.permute(tweak, place, span);
        let days = i64::from(first.0) + i64::try_from(place).unwrap_or_default();
        let other = Date(i32::try_from(days).unwrap_or_default());
        let in_our_time = other
            .ymd()
            .is_some_and(|(year, ..)| (1900..=2099).contains(&year));
        if from != 1 || !in_our_time {
            return other;
        }
    }
}

/// Another time of day, with as many digits behind the point; midnight at the end of a day stays.
pub(super) fn time(cipher: &Cipher, time: Time) -> Time {
    let (seconds, micros) = (time.0.div_euclid(MICROS), time.0.rem_euclid(MICROS));
    match u64::try_from(seconds) {
        Ok(seconds) if seconds < SECONDS.unsigned_abs() => {
            let other = cipher.permute(SECOND, seconds, SECONDS.unsigned_abs());
            let other = i64::try_from(other).unwrap_or_default();
            Time(other * MICROS + fraction(cipher, micros))
        }
        _ => time,
    }
}

/// Other micros with the same number of zeros at the end.
fn fraction(cipher: &Cipher, micros: i64) -> i64 {
    if micros == 0 {
        return 0;
    }
    let text = format!("{micros:06}");
    let kept = text.trim_end_matches('0');
    let last = kept.len().saturating_sub(1);
    let mut symbols: Vec<Symbol> = kept
        .chars()
        .filter_map(|digit| digit.to_digit(10))
        .enumerate()
        .map(|(at, value)| match at == last {
            true => Symbol {
                value: value - 1,
                radix: 9,
            },
            false => Symbol { value, radix: 10 },
        })
        .collect();
    cipher.mix(FRACTION, &mut symbols);
    let mut out = 0;
    for at in 0..6 {
        let digit = symbols.get(at).map_or(0, |symbol| i64::from(symbol.value));
        out = out * 10 + digit + i64::from(at == last);
    }
    out
}

/// Another moment, day and time of day each by itself.
pub(super) fn timestamp(cipher: &Cipher, moment: LocalTimestamp) -> LocalTimestamp {
    if !moment.is_finite() {
        return moment;
    }
    let Some(of_day) = moment.time() else {
        return moment;
    };
    let of_day = time(cipher, of_day);
    let day = moment.date();
    LocalTimestamp::new(date(cipher, day), of_day)
        .or_else(|| LocalTimestamp::new(day, of_day))
        .unwrap_or(moment)
}

/// Another span: months, days and time each by itself, what was zero stays so.
pub(super) fn interval(cipher: &Cipher, span: Interval) -> Interval {
    if !span.is_finite() {
        return span;
    }
    let part = |value: i32| number(cipher, &value.to_string()).parse().unwrap_or(value);
    let (sign, micros) = (span.micros.signum(), span.micros.unsigned_abs());
    let (seconds, micros) = (
        micros / MICROS.unsigned_abs(),
        micros % MICROS.unsigned_abs(),
    );
    let seconds: i64 = number(cipher, &seconds.to_string())
        .parse()
        .unwrap_or_default();
    let micros = fraction(cipher, i64::try_from(micros).unwrap_or_default());
    let mut other = span;
    other.months = part(span.months);
    other.days = part(span.days);
    let whole = seconds
        .checked_mul(MICROS)
        .and_then(|it| it.checked_add(micros));
    other.micros = whole.map_or(span.micros, |micros| sign * micros);
    other
}
