//! Bit strings: bit and bit varying.

use core::fmt::{self, Write as _};
use core::hash::{Hash, Hasher};
use core::iter::FusedIterator;

use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// A string of bits, fixed in length (`bit`) or not (`bit varying`).
///
/// Text: a `0` or `1` per bit. Binary: 32-bit number of bits, then the bits, eight to a byte, the first one highest;
/// what is left of the last byte is zero.
///
/// ```
/// use walproto::Column;
/// use walproto::value::BitString;
///
/// let text: BitString = Column::Text(b"101").value()?;
/// let binary: BitString = Column::Binary(&[0, 0, 0, 3, 0b1010_0000]).value()?;
/// assert_eq!(text, binary);
/// assert!(binary.bits().eq([true, false, true]));
/// # Ok::<(), walproto::value::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct BitString<'a> {
    len: usize,
    form: Form<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    Text(&'a [u8]),
    Packed(&'a [u8]),
}

impl<'a> BitString<'a> {
    /// Number of bits.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One bit, counted from the first as `get_bit` does.
    #[inline]
    pub fn get(&self, index: usize) -> Option<bool> {
        match self.form {
            Form::Text(digits) => digits.get(index).map(|&digit| digit == b'1'),
            Form::Packed(bytes) if index < self.len => {
                let byte = bytes.get(index / 8)?;
                Some(byte << (index % 8) & 0x80 != 0)
            }
            Form::Packed(_) => None,
        }
    }

    /// The bits in order.
    #[inline]
    pub const fn bits(&self) -> Bits<'a> {
        Bits {
            next: 0,
            string: *self,
        }
    }
}

impl<'a> FromColumn<'a> for BitString<'a> {
    const EXPECTED: Expected = Expected::BitString;

    // varbit.c: varbit_out
    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        if let Some(at) = text.iter().position(|digit| !matches!(digit, b'0' | b'1')) {
            return Err(ValueError::new(
                ValueErrorKind::UnexpectedByte,
                Self::EXPECTED,
                at,
            ));
        }
        Ok(Self {
            len: text.len(),
            form: Form::Text(text),
        })
    }

    // varbit.c: varbit_send
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let error = |kind, offset| ValueError::new(kind, Self::EXPECTED, offset);
        let Some((len, packed)) = bytes.split_first_chunk() else {
            return Err(error(ValueErrorKind::Truncated, bytes.len()));
        };
        let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
            return Err(error(ValueErrorKind::OutOfRange, 0));
        };
        let needed = len.div_ceil(8);
        if packed.len() < needed {
            return Err(error(ValueErrorKind::Truncated, bytes.len()));
        }
        if packed.len() > needed {
            return Err(error(ValueErrorKind::TrailingBytes, 4 + needed));
        }
        let padding = needed * 8 - len;
        if packed
            .last()
            .is_some_and(|last| last.trailing_zeros() < u32::try_from(padding).unwrap_or(8))
        {
            return Err(error(ValueErrorKind::UnexpectedByte, bytes.len() - 1));
        }
        Ok(Self {
            len,
            form: Form::Packed(packed),
        })
    }
}

impl<'a> IntoIterator for BitString<'a> {
    type Item = bool;
    type IntoIter = Bits<'a>;

    fn into_iter(self) -> Bits<'a> {
        self.bits()
    }
}

impl PartialEq for BitString<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.form, other.form) {
            (Form::Text(a), Form::Text(b)) => a == b,
            (Form::Packed(a), Form::Packed(b)) => self.len == other.len && a == b,
            _ => self.bits().eq(other.bits()),
        }
    }
}

impl Eq for BitString<'_> {}

impl Hash for BitString<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len.hash(state);
        for bit in self.bits() {
            bit.hash(state);
        }
    }
}

/// As the server writes it.
impl fmt::Display for BitString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bit in self.bits() {
            f.write_char(if bit { '1' } else { '0' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for BitString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BitString({self})")
    }
}

/// The bits of a [`BitString`].
#[derive(Clone, Debug)]
pub struct Bits<'a> {
    next: usize,
    string: BitString<'a>,
}

impl Iterator for Bits<'_> {
    type Item = bool;

    #[inline]
    fn next(&mut self) -> Option<bool> {
        let bit = self.string.get(self.next)?;
        self.next += 1;
        Some(bit)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.string.len - self.next;
        (left, Some(left))
    }

    fn nth(&mut self, n: usize) -> Option<bool> {
        self.next = self.next.saturating_add(n).min(self.string.len);
        self.next()
    }
}

impl ExactSizeIterator for Bits<'_> {}
impl FusedIterator for Bits<'_> {}
