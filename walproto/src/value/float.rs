//! Binary floating point: real and double precision.

use super::scan::{Scan, exact};
use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// `real`: the shortest decimal number that reads back as the same, `NaN`, `Infinity` or `-Infinity`; 32 bits.
impl FromColumn<'_> for f32 {
    const EXPECTED: Expected = Expected::Real;

    // float.c: float4out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        // Not by way of f64, which would round twice.
        match number(text).and_then(|text| text.parse::<Self>().ok()) {
            Some(value) if value.is_finite() => Ok(value),
            found => match text {
                b"NaN" => Ok(Self::NAN),
                b"Infinity" => Ok(Self::INFINITY),
                b"-Infinity" => Ok(Self::NEG_INFINITY),
                _ => Err(explain(text, found.is_some(), Self::EXPECTED)),
            },
        }
    }

    // float.c: float4send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(Self::from_be_bytes)
    }
}

/// `double precision`: the shortest decimal number that reads back as the same, `NaN`, `Infinity` or `-Infinity`;
/// 64 bits.
///
/// Under an `extra_float_digits` of 0 or less the server rounds, and the text is another number than the binary form.
impl FromColumn<'_> for f64 {
    const EXPECTED: Expected = Expected::DoublePrecision;

    // float.c: float8out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        match number(text).and_then(|text| text.parse::<Self>().ok()) {
            Some(value) if value.is_finite() => Ok(value),
            found => match text {
                b"NaN" => Ok(Self::NAN),
                b"Infinity" => Ok(Self::INFINITY),
                b"-Infinity" => Ok(Self::NEG_INFINITY),
                _ => Err(explain(text, found.is_some(), Self::EXPECTED)),
            },
        }
    }

    // float.c: float8send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(Self::from_be_bytes)
    }
}

/// The text, if it begins as the server begins a number: `core` would also take `+1`, `.5` and `inf`.
#[inline]
fn number(text: &[u8]) -> Option<&str> {
    let ([b'-', first, ..] | [first, ..]) = text else {
        return None;
    };
    if !first.is_ascii_digit() {
        return None;
    }
    core::str::from_utf8(text).ok()
}

/// Finds the byte at which text stopped being a number.
#[cold]
fn explain(text: &[u8], is_number: bool, expected: Expected) -> ValueError {
    if is_number {
        return ValueError::new(ValueErrorKind::OutOfRange, expected, 0);
    }
    let mut scan = Scan::new(text, expected);
    let digits = |scan: &mut Scan<'_>| {
        let some = scan.peek().is_some_and(|byte| byte.is_ascii_digit());
        while scan.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            scan.advance(1);
        }
        some
    };
    scan.eat(b'-');
    if !digits(&mut scan) || scan.eat(b'.') && !digits(&mut scan) {
        return scan.unexpected();
    }
    if scan.eat(b'e') {
        let _ = scan.eat(b'-') || scan.eat(b'+');
        if !digits(&mut scan) {
            return scan.unexpected();
        }
    }
    scan.error(ValueErrorKind::TrailingBytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_that_is_no_number_is_named() {
        for (text, kind, offset) in [
            (&b""[..], ValueErrorKind::Truncated, 0),
            (b"-", ValueErrorKind::Truncated, 1),
            (b"+1", ValueErrorKind::UnexpectedByte, 0),
            (b"inf", ValueErrorKind::UnexpectedByte, 0),
            (b"-.5", ValueErrorKind::UnexpectedByte, 1),
            (b"1.x", ValueErrorKind::UnexpectedByte, 2),
            (b"1e+", ValueErrorKind::Truncated, 3),
            (b"1e5 ", ValueErrorKind::TrailingBytes, 3),
            (b"1e999", ValueErrorKind::OutOfRange, 0),
        ] {
            let error = f64::from_text(text).unwrap_err();
            assert_eq!((error.kind, error.offset), (kind, offset), "{text:?}");
            let error = f32::from_text(text).unwrap_err();
            assert_eq!((error.kind, error.offset), (kind, offset), "{text:?}");
        }
    }
}
