//! Values of one machine word.

use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// `t` or `f`; 1 or 0.
impl FromColumn<'_> for bool {
    const EXPECTED: Expected = Expected::Boolean;

    // bool.c: boolout
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        match text {
            b"t" => Ok(true),
            b"f" => Ok(false),
            b"" => Err(ValueError::new(
                ValueErrorKind::Truncated,
                Self::EXPECTED,
                0,
            )),
            _ => Err(ValueError::new(
                ValueErrorKind::UnexpectedByte,
                Self::EXPECTED,
                0,
            )),
        }
    }

    // bool.c: boolsend
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            [] => Err(ValueError::new(
                ValueErrorKind::Truncated,
                Self::EXPECTED,
                0,
            )),
            [_, _, ..] => Err(ValueError::new(
                ValueErrorKind::TrailingBytes,
                Self::EXPECTED,
                1,
            )),
            [_] => Err(ValueError::new(
                ValueErrorKind::UnexpectedByte,
                Self::EXPECTED,
                0,
            )),
        }
    }
}
