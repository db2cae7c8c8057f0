//! Truth.

use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// `boolean`: `t` or `f`; 1 or 0.
impl FromColumn<'_> for bool {
    const EXPECTED: Expected = Expected::Boolean;

    // bool.c: boolout
    #[inline]
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        match text {
            b"t" => Ok(true),
            b"f" => Ok(false),
            _ => Err(wrong(text, *b"ft")),
        }
    }

    // bool.c: boolsend
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(wrong(bytes, [0, 1])),
        }
    }
}

#[cold]
fn wrong(bytes: &[u8], allowed: [u8; 2]) -> ValueError {
    let (kind, offset) = match bytes {
        [] => (ValueErrorKind::Truncated, 0),
        [first, ..] if !allowed.contains(first) => (ValueErrorKind::UnexpectedByte, 0),
        _ => (ValueErrorKind::TrailingBytes, 1),
    };
    ValueError::new(kind, Expected::Boolean, offset)
}
