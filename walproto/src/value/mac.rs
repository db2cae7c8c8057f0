//! Hardware addresses: macaddr and macaddr8.

use core::fmt;

use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// A hardware address of six bytes; in text as pairs of hexadecimal digits set apart by colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

/// A hardware address of eight bytes; in text as pairs of hexadecimal digits set apart by colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr8(pub [u8; 8]);

impl FromColumn<'_> for MacAddr {
    const EXPECTED: Expected = Expected::Macaddr;

    // mac.c: macaddr_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        parse(text, Self::EXPECTED).map(Self)
    }

    // mac.c: macaddr_send
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exactly(bytes, Self::EXPECTED).map(Self)
    }
}

impl FromColumn<'_> for MacAddr8 {
    const EXPECTED: Expected = Expected::Macaddr8;

    // mac8.c: macaddr8_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        parse(text, Self::EXPECTED).map(Self)
    }

    // mac8.c: macaddr8_send
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exactly(bytes, Self::EXPECTED).map(Self)
    }
}

fn parse<const N: usize>(text: &[u8], expected: Expected) -> Result<[u8; N], ValueError> {
    let mut address = [0; N];
    let mut rest = text;
    for (index, byte) in address.iter_mut().enumerate() {
        let at = text.len() - rest.len();
        let (high, low, tail) = match *rest {
            [high, low, ref tail @ ..] if index == 0 => (high, low, tail),
            [b':', high, low, ref tail @ ..] => (high, low, tail),
            [] | [_] | [b':', _] => {
                return Err(ValueError::new(ValueErrorKind::Truncated, expected, at));
            }
            _ => {
                return Err(ValueError::new(
                    ValueErrorKind::UnexpectedByte,
                    expected,
                    at,
                ));
            }
        };
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return Err(ValueError::new(
                ValueErrorKind::UnexpectedByte,
                expected,
                at,
            ));
        };
        *byte = high << 4 | low;
        rest = tail;
    }
    if !rest.is_empty() {
        let at = text.len() - rest.len();
        return Err(ValueError::new(ValueErrorKind::TrailingBytes, expected, at));
    }
    Ok(address)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn exactly<const N: usize>(bytes: &[u8], expected: Expected) -> Result<[u8; N], ValueError> {
    match bytes.split_first_chunk() {
        Some((address, [])) => Ok(*address),
        Some(_) => Err(ValueError::new(ValueErrorKind::TrailingBytes, expected, N)),
        None => Err(ValueError::new(
            ValueErrorKind::Truncated,
            expected,
            bytes.len(),
        )),
    }
}

/// As the server writes it.
impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}

/// As the server writes it.
impl fmt::Display for MacAddr8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}

fn write(address: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in address.iter().enumerate() {
        let colon = if index == 0 { "" } else { ":" };
        write!(f, "{colon}{byte:02x}")?;
    }
    Ok(())
}
