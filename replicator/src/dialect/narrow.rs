//! What a database does not hold whose types are narrower than PostgreSQL's of the same name.

use walproto::Oid;

use super::text::numeric_modifier;
use crate::misfit::Misfit;
use crate::value::Value;

// pg_type.dat: these numbers are fixed for good.
pub(crate) const DATE: Oid = Oid(1082);
pub(crate) const TIME: Oid = Oid(1083);
pub(crate) const TIMESTAMP: Oid = Oid(1114);
pub(crate) const TIMESTAMPTZ: Oid = Oid(1184);
pub(crate) const NUMERIC: Oid = Oid(1700);

/// All digits, and those behind the point, of the decimal that a numeric with a modifier is.
///
/// A scale may be negative, and larger than the precision: digits that are always zero.
pub(crate) fn digits(typmod: i32) -> Option<(u16, u16)> {
    let (precision, scale) = numeric_modifier(typmod)?;
    let whole = i32::from(precision) - i32::from(scale);
    let scale = u16::try_from(scale).unwrap_or(0);
    Some((scale + u16::try_from(whole).unwrap_or(0), scale))
}

/// A `NaN`, an infinity or a negative zero in a type of the server's that knows only the last.
pub(crate) fn special(text: &str, name: &str) -> Result<Value, Misfit> {
    let infinity = |nearest| {
        Misfit::new(
            format!("infinity, which no {name} is"),
            Value::Real(nearest),
        )
    };
    match text {
        "-0" => Ok(Value::Real(-0.0)),
        "Infinity" => Err(infinity(f64::MAX)),
        "-Infinity" => Err(infinity(f64::MIN)),
        _ => Err(Misfit::without_nearest(format!("NaN, which no {name} is"))),
    }
}

/// Whether a date, or a date with a time, lies in the years 1 to 9999.
pub(crate) fn moment(text: &str, last: &str, first: &str) -> Result<(), Misfit> {
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

/// A time as PostgreSQL prints it: without the zeroes that end a fraction.
pub(crate) fn without_zeroes(text: &[u8]) -> &[u8] {
    if !text.contains(&b'.') {
        return text;
    }
    let end = text
        .iter()
        .rposition(|byte| *byte != b'0')
        .map_or(0, |at| at + 1);
    let text = &text[..end];
    text.strip_suffix(b".").unwrap_or(text)
}
