//! Universally unique identifiers.

use core::fmt;

use super::scan::{are_hex, exact, hex};
use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// The 16 bytes of a `uuid`, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// Thirty-two hexadecimal digits in groups of 8, 4, 4, 4 and 12 with `-` between them; 16 bytes.
impl FromColumn<'_> for Uuid {
    const EXPECTED: Expected = Expected::Uuid;

    // uuid.c: uuid_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        #[rustfmt::skip]
        let Ok(&[
            a, b, c, d, e, f, g, h, b'-',
            i, j, k, l, b'-',
            m, n, o, p, b'-',
            q, r, s, t, b'-',
            u, v, w, x, y, z, aa, ab, ac, ad, ae, af,
        ]) = <&[u8; 36]>::try_from(text) else {
            return Err(explain(text));
        };
        let digits = [
            a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, //
            q, r, s, t, u, v, w, x, y, z, aa, ab, ac, ad, ae, af,
        ];
        if !are_hex(&digits) {
            return Err(explain(text));
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks().0) {
            *byte = hex(*pair);
        }
        Ok(Self(bytes))
    }

    // uuid.c: uuid_send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(Self)
    }
}

/// Finds the first byte that cannot stand where it does.
#[cold]
fn explain(text: &[u8]) -> ValueError {
    let wrong = text
        .iter()
        .take(36)
        .enumerate()
        .position(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte != b'-',
            _ => !byte.is_ascii_hexdigit(),
        });
    let (kind, at) = match wrong {
        Some(at) => (ValueErrorKind::UnexpectedByte, at),
        None if text.len() < 36 => (ValueErrorKind::Truncated, text.len()),
        None => (ValueErrorKind::TrailingBytes, 36),
    };
    ValueError::new(kind, Expected::Uuid, at)
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            number >> 96,
            number >> 80 & 0xFFFF,
            number >> 64 & 0xFFFF,
            number >> 48 & 0xFFFF,
            number & 0xFFFF_FFFF_FFFF
        )
    }
}
