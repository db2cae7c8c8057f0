//! Walks through a value's bytes and says where they are wrong.

use super::{Expected, ValueError, ValueErrorKind};

/// What is left of a value's text.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a> {
    rest: &'a [u8],
    len: usize,
    expected: Expected,
}

impl<'a> Scan<'a> {
    #[inline]
    pub(super) const fn new(text: &'a [u8], expected: Expected) -> Self {
        Self {
            rest: text,
            len: text.len(),
            expected,
        }
    }

    #[inline]
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the byte if it is next.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&next, rest)) if next == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes the bytes if they are next.
    #[inline]
    pub(super) fn eat_all(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes the byte, which must be next.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), ValueError> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Takes exactly two digits.
    #[inline]
    pub(super) fn two_digits(&mut self) -> Result<u8, ValueError> {
        if let Some((&[tens, ones], rest)) = self.rest.split_first_chunk()
            && let (Some(tens), Some(ones)) = (digit(tens), digit(ones))
        {
            self.rest = rest;
            return Ok(tens * 10 + ones);
        }
        // At the first byte that is no digit.
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.advance(1);
        }
        Err(self.unexpected())
    }

    /// Takes one or more digits.
    #[inline]
    pub(super) fn number(&mut self) -> Result<u64, ValueError> {
        let start = self.clone();
        let mut number = 0_u64;
        while let Some(digit) = self.peek().and_then(digit) {
            number = number
                .checked_mul(10)
                .and_then(|number| number.checked_add(u64::from(digit)))
                .ok_or_else(|| start.error(ValueErrorKind::OutOfRange))?;
            self.advance(1);
        }
        if self.rest.len() == start.rest.len() {
            return Err(self.unexpected());
        }
        Ok(number)
    }

    /// Takes up to six digits after a decimal point, if one is next, as millionths.
    #[inline]
    pub(super) fn millionths(&mut self) -> Result<u32, ValueError> {
        if !self.eat(b'.') {
            return Ok(0);
        }
        let mut micros = 0;
        let mut unit = 100_000;
        while unit > 0 {
            let Some(digit) = self.peek().and_then(digit) else {
                break;
            };
            micros += u32::from(digit) * unit;
            unit /= 10;
            self.advance(1);
        }
        if unit == 100_000 {
            return Err(self.unexpected());
        }
        Ok(micros)
    }

    /// Nothing may be left.
    #[inline]
    pub(super) fn end(&self) -> Result<(), ValueError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(ValueErrorKind::TrailingBytes))
        }
    }

    /// Goes past so many bytes, or to the end.
    #[inline]
    pub(super) fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// The next byte cannot stand here, or there is none.
    #[cold]
    pub(super) fn unexpected(&self) -> ValueError {
        self.error(if self.rest.is_empty() {
            ValueErrorKind::Truncated
        } else {
            ValueErrorKind::UnexpectedByte
        })
    }

    /// An error at the next byte.
    #[cold]
    pub(super) fn error(&self, kind: ValueErrorKind) -> ValueError {
        ValueError::new(kind, self.expected, self.len - self.rest.len())
    }
}

/// The value of a decimal digit.
#[inline]
pub(super) const fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    if value < 10 { Some(value) } else { None }
}

/// The values of decimal digits, without a branch for each.
#[inline]
pub(super) fn digits<const N: usize>(bytes: [u8; N]) -> Option<[u8; N]> {
    let values = bytes.map(|byte| byte.wrapping_sub(b'0'));
    let sound = values
        .iter()
        .fold(true, |sound, &value| sound & (value < 10));
    sound.then_some(values)
}

/// Whether all are hexadecimal digits, without a branch for each.
#[inline]
pub(super) fn are_hex(digits: &[u8]) -> bool {
    digits.iter().fold(true, |sound, &byte| {
        let decimal = byte.wrapping_sub(b'0') < 10;
        let letter = (byte | 0x20).wrapping_sub(b'a') < 6;
        sound & (decimal | letter)
    })
}

/// The byte that two hexadecimal digits stand for; something else if they are none.
#[inline]
pub(super) const fn hex(pair: [u8; 2]) -> u8 {
    let pair = u16::from_be_bytes(pair);
    // The letters of either case have bit 6, and a low half that begins with 1.
    let halves = (pair & 0x0F0F) + (pair >> 6 & 0x0101) * 9;
    let [_, byte] = (halves >> 4 | halves).to_be_bytes();
    byte
}

/// The value of an octal digit.
#[inline]
pub(super) const fn octal(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'7' => Some(byte - b'0'),
        _ => None,
    }
}

/// The whole of a binary form that has one length.
#[inline]
pub(super) fn exact<const N: usize>(
    bytes: &[u8],
    expected: Expected,
) -> Result<[u8; N], ValueError> {
    match bytes.try_into() {
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(wrong_length::<N>(bytes, expected)),
    }
}

#[cold]
fn wrong_length<const N: usize>(bytes: &[u8], expected: Expected) -> ValueError {
    if bytes.len() < N {
        ValueError::new(ValueErrorKind::Truncated, expected, bytes.len())
    } else {
        ValueError::new(ValueErrorKind::TrailingBytes, expected, N)
    }
}
