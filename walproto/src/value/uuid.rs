//! Universally unique identifiers.

use core::fmt;

use super::scan::{exact, nibble};
use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// The 16 bytes of a `uuid`, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// Where the text has its hyphens, and where each byte's two digits begin.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// Thirty-two hexadecimal digits in groups of 8, 4, 4, 4 and 12 with `-` between them; 16 bytes.
impl FromColumn<'_> for Uuid {
    const EXPECTED: Expected = Expected::Uuid;

    // uuid.c: uuid_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        let Ok(text) = <&[u8; 36]>::try_from(text) else {
            let (kind, at) = if text.len() < 36 {
                (ValueErrorKind::Truncated, text.len())
            } else {
                (ValueErrorKind::TrailingBytes, 36)
            };
            return Err(ValueError::new(kind, Self::EXPECTED, at));
        };
        let error = |at| ValueError::new(ValueErrorKind::UnexpectedByte, Self::EXPECTED, at);
        let byte_at = |at: usize| text.get(at).copied().unwrap_or_default();
        for at in HYPHENS {
            if byte_at(at) != b'-' {
                return Err(error(at));
            }
        }
        let mut bytes = [0; 16];
        for (byte, at) in bytes.iter_mut().zip(PAIRS) {
            let high = nibble(byte_at(at)).ok_or_else(|| error(at))?;
            let low = nibble(byte_at(at + 1)).ok_or_else(|| error(at + 1))?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }

    // uuid.c: uuid_send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(Self)
    }
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
