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
