//! Whole numbers: smallint, integer, bigint, and the numbers that identify things.

use core::fmt;

use super::scan::{digit, exact};
use super::{Expected, FromColumn, ValueError, ValueErrorKind};
use crate::{Lsn, Oid, Xid};

/// As many decimal digits as always fit.
const SAFE: usize = 18;

/// Reads digits and nothing else; `at` is where they begin in the value.
#[inline]
fn unsigned(digits: &[u8], at: usize, expected: Expected) -> Result<u64, ValueError> {
    if digits.is_empty() || digits.len() > SAFE {
        return long(digits, at, expected);
    }
    let mut number = 0;
    for (index, &byte) in digits.iter().enumerate() {
        let Some(digit) = digit(byte) else {
            return Err(unexpected(at + index, expected));
        };
        number = number * 10 + u64::from(digit);
    }
    Ok(number)
}

#[cold]
fn long(digits: &[u8], at: usize, expected: Expected) -> Result<u64, ValueError> {
    if digits.is_empty() {
        return Err(ValueError::new(ValueErrorKind::Truncated, expected, at));
    }
    let mut number = 0_u64;
    for (index, &byte) in digits.iter().enumerate() {
        let Some(digit) = digit(byte) else {
            return Err(unexpected(at + index, expected));
        };
        number = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(u64::from(digit)))
            .ok_or_else(|| ValueError::new(ValueErrorKind::OutOfRange, expected, at))?;
    }
    Ok(number)
}

#[inline]
fn signed(text: &[u8], expected: Expected) -> Result<i64, ValueError> {
    let number = match text {
        [b'-', digits @ ..] => 0_i64.checked_sub_unsigned(unsigned(digits, 1, expected)?),
        digits => i64::try_from(unsigned(digits, 0, expected)?).ok(),
    };
    number.ok_or_else(|| out_of_range(expected))
}

#[cold]
fn unexpected(at: usize, expected: Expected) -> ValueError {
    ValueError::new(ValueErrorKind::UnexpectedByte, expected, at)
}

#[cold]
fn out_of_range(expected: Expected) -> ValueError {
    ValueError::new(ValueErrorKind::OutOfRange, expected, 0)
}

/// `smallint`: decimal digits with `-` before them; 16 bits.
impl FromColumn<'_> for i16 {
    const EXPECTED: Expected = Expected::SmallInt;

    // int.c: int2out
    #[inline]
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        Self::try_from(signed(text, Self::EXPECTED)?).map_err(|_| out_of_range(Self::EXPECTED))
    }

    // int.c: int2send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(Self::from_be_bytes)
    }
}

/// `integer`: decimal digits with `-` before them; 32 bits.
impl FromColumn<'_> for i32 {
    const EXPECTED: Expected = Expected::Integer;

    // int.c: int4out
    #[inline]
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        Self::try_from(signed(text, Self::EXPECTED)?).map_err(|_| out_of_range(Self::EXPECTED))
    }

    // int.c: int4send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(Self::from_be_bytes)
    }
}

/// `bigint`: decimal digits with `-` before them; 64 bits. The binary form of `money` too, in the currency's smallest
/// unit.
impl FromColumn<'_> for i64 {
    const EXPECTED: Expected = Expected::BigInt;

    // int8.c: int8out
    #[inline]
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        signed(text, Self::EXPECTED)
    }

    // int8.c: int8send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(Self::from_be_bytes)
    }
}

/// `oid`, and the binary form of its aliases such as `regclass`: decimal digits; 32 bits.
impl FromColumn<'_> for Oid {
    const EXPECTED: Expected = Expected::Oid;

    // oid.c: oidout
    #[inline]
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        u32::try_from(unsigned(text, 0, Self::EXPECTED)?)
            .map(Self)
            .map_err(|_| out_of_range(Self::EXPECTED))
    }

    // oid.c: oidsend
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(|bytes| Self(u32::from_be_bytes(bytes)))
    }
}

/// `xid`: decimal digits; 32 bits.
impl FromColumn<'_> for Xid {
    const EXPECTED: Expected = Expected::Xid;

    // xid.c: xidout
    #[inline]
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        u32::try_from(unsigned(text, 0, Self::EXPECTED)?)
            .map(Self)
            .map_err(|_| out_of_range(Self::EXPECTED))
    }

    // xid.c: xidsend
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(|bytes| Self(u32::from_be_bytes(bytes)))
    }
}

/// A transaction's number that never wraps around: `xid8`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid8(pub u64);

impl fmt::Display for Xid8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Decimal digits; 64 bits.
impl FromColumn<'_> for Xid8 {
    const EXPECTED: Expected = Expected::Xid8;

    // xid.c: xid8out
    #[inline]
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        unsigned(text, 0, Self::EXPECTED).map(Self)
    }

    // xid.c: xid8send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

/// `pg_lsn`: two hexadecimal numbers of up to eight digits with `/` between them; 64 bits.
impl FromColumn<'_> for Lsn {
    const EXPECTED: Expected = Expected::PgLsn;

    // pg_lsn.c: pg_lsn_out
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        let slash = text.iter().position(|&byte| byte == b'/');
        let Some((high, [_, low @ ..])) = slash.and_then(|at| text.split_at_checked(at)) else {
            half(text, 0)?;
            return Err(ValueError::new(
                ValueErrorKind::Truncated,
                Self::EXPECTED,
                text.len(),
            ));
        };
        let high = u64::from(half(high, 0)?);
        let low = u64::from(half(low, text.len() - low.len())?);
        Ok(Self(high << 32 | low))
    }

    // pg_lsn.c: pg_lsn_send
    #[inline]
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

/// One half of a position.
fn half(digits: &[u8], at: usize) -> Result<u32, ValueError> {
    let error = |kind, at| ValueError::new(kind, Lsn::EXPECTED, at);
    if digits.is_empty() {
        return Err(error(ValueErrorKind::UnexpectedByte, at));
    }
    if digits.len() > 8 {
        return Err(error(ValueErrorKind::OutOfRange, at));
    }
    let mut number = 0;
    for (index, &byte) in digits.iter().enumerate() {
        let digit = char::from(byte)
            .to_digit(16)
            .ok_or_else(|| error(ValueErrorKind::UnexpectedByte, at + index))?;
        number = number << 4 | digit;
    }
    Ok(number)
}
