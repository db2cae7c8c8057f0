//! Where the server's numbers and moments end, and what is nearest to those behind it.

use crate::misfit::Misfit;
use crate::value::Value;

/// The last moment with so many digits of a second.
pub(super) fn last(digits: u8) -> String {
    const LAST: &str = "9999-12-31 23:59:59.999999";
    // A point stands before digits only.
    let length = if digits == 0 {
        19
    } else {
        20 + usize::from(digits)
    };
    LAST[..length.min(LAST.len())].to_owned()
}

/// A `NaN`, an infinity or a negative zero.
pub(super) fn special(text: &str) -> Result<Value, Misfit> {
    match text {
        "-0" => Ok(Value::Real(-0.0)),
        "Infinity" => Err(Misfit::new(
            "infinity, which no float is",
            Value::Real(f64::MAX),
        )),
        "-Infinity" => Err(Misfit::new(
            "infinity, which no float is",
            Value::Real(f64::MIN),
        )),
        _ => Err(Misfit::without_nearest("NaN, which no float is")),
    }
}

/// The server's range begins with the normal numbers.
pub(super) fn normal(number: f64) -> Result<(), Misfit> {
    if !number.is_subnormal() {
        return Ok(());
    }
    let nearest = if number.abs() < f64::MIN_POSITIVE / 2.0 {
        0.0
    } else {
        f64::MIN_POSITIVE.copysign(number)
    };
    Err(Misfit::new(
        "nearer to zero than any float",
        Value::Real(nearest),
    ))
}

/// Whether a date, or a date with a time, lies in the years 1 to 9999.
pub(super) fn moment(text: &str, last: &str, first: &str) -> Result<(), Misfit> {
    let bytes = text.as_bytes();
    let nearest = match (bytes.first(), bytes.last()) {
        _ if text == "-infinity" => first,
        // 0044-03-15 BC
        (_, Some(b'C')) => first,
        // Infinity, or a year of more than four digits.
        _ if bytes.get(4) != Some(&b'-') => last,
        _ => return Ok(()),
    };
    Err(Misfit::new(
        "outside of the years 1 to 9999",
        Value::Text(nearest.to_owned()),
    ))
}
