//! Values of which the message holds a binary form, written as the server writes their text, on the stack.

use core::fmt::{self, Display, LowerExp, Write};

use super::error::{Fault, RowErrorKind};
use crate::value::Quoted;

/// Longest text that is written without an allocation; only long numerics, bit strings and bytea have more.
const LEN: usize = 256;

struct Buffer {
    bytes: [u8; LEN],
    len: usize,
}

impl Buffer {
    fn of(value: impl Display) -> Result<Self, fmt::Error> {
        let mut buffer = Self {
            bytes: [0; LEN],
            len: 0,
        };
        write!(buffer, "{value}").map(|()| buffer)
    }

    fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.checked_add(text.len()).ok_or(fmt::Error)?;
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Does something with the text of a value.
pub(super) fn written<T, E: Fault>(
    value: impl Display,
    then: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, E> {
    if let Ok(buffer) = Buffer::of(&value) {
        return then(buffer.as_str());
    }
    #[cfg(feature = "alloc")]
    return then(&alloc::format!("{value}"));
    #[cfg(not(feature = "alloc"))]
    Err(E::new(RowErrorKind::TooLong, "text"))
}

/// Does something with text that stood in an array or a composite, without its escapes.
pub(super) fn unescaped<T, E: Fault>(
    text: Quoted<'_>,
    asked: &'static str,
    then: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, E> {
    let mut buffer = [0; LEN];
    let checked = |bytes| match core::str::from_utf8(bytes) {
        Ok(text) => then(text),
        Err(_) => Err(E::new(RowErrorKind::NotUtf8, asked)),
    };
    match text.unescape(&mut buffer) {
        Ok(bytes) => checked(bytes),
        #[cfg(feature = "alloc")]
        Err(_) => checked(&text.bytes().collect::<alloc::vec::Vec<_>>()),
        #[cfg(not(feature = "alloc"))]
        Err(_) => Err(E::new(RowErrorKind::TooLong, asked)),
    }
}

/// A floating-point number as the server writes it: the shortest digits that read back as the same number.
pub(super) struct Float<T> {
    pub(super) number: T,
    /// Numbers of this many digits before the point, and more, have an exponent: as many as the type is sure to keep.
    pub(super) exponent_from: i32,
}

impl<T: LowerExp> Display for Float<T> {
    // ryu: double_to_shortest_decimal_bufn, float_to_shortest_decimal_bufn
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Buffer::of(format_args!("{:e}", self.number))?;
        let text = text.as_str();
        let (sign, text) = match text.strip_prefix('-') {
            Some(text) => ("-", text),
            None => ("", text),
        };
        f.write_str(sign)?;
        let Some((digits, exponent)) = text.split_once('e') else {
            return f.write_str(if text == "inf" { "Infinity" } else { text });
        };
        let exponent: i32 = exponent.parse().map_err(|_| fmt::Error)?;
        let (first, rest) = digits.split_once('.').unwrap_or((digits, ""));
        if !(-4..self.exponent_from).contains(&exponent) {
            f.write_str(digits)?;
            return write!(
                f,
                "e{}{:02}",
                if exponent < 0 { '-' } else { '+' },
                exponent.abs()
            );
        }
        let Ok(before) = usize::try_from(exponent) else {
            f.write_str("0.")?;
            for _ in 1..exponent.unsigned_abs() {
                f.write_char('0')?;
            }
            f.write_str(first)?;
            return f.write_str(rest);
        };
        f.write_str(first)?;
        match rest.split_at_checked(before) {
            Some((whole, "")) => f.write_str(whole),
            Some((whole, fraction)) => write!(f, "{whole}.{fraction}"),
            None => write!(f, "{rest:0<before$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn floats_are_written_as_the_server_writes_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (10.0, "10"),
            (1.5, "1.5"),
            (123_456.75, "123456.75"),
            (0.0001, "0.0001"),
            (0.000_012, "1.2e-05"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (-5e-324, "-5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            let exponent_from = 15;
            let float = Float {
                number,
                exponent_from,
            };
            assert_eq!(float.to_string(), text);
        }
    }
}
