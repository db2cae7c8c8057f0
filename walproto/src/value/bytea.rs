//! Byte strings.

use core::fmt;
use core::iter::FusedIterator;

use super::quoted::needs_unescaping;
use super::scan::{are_hex, hex, octal};
use super::{BufferTooSmall, Expected, FromColumn, Quoted, ValueError, ValueErrorKind};

/// A `bytea` value in whichever form it came; nothing is copied, text is decoded while it is walked.
///
/// It equals every other with the same bytes, whatever their forms.
#[derive(Clone, Copy)]
pub struct Bytea<'a> {
    form: Form,
    /// Without the prefix of the form.
    inner: &'a [u8],
    len: usize,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Raw,
    Hex,
    Escape,
}

impl<'a> Bytea<'a> {
    /// A value made of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            form: Form::Raw,
            inner: bytes,
            len: bytes.len(),
        }
    }

    /// Number of bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes in order.
    pub const fn bytes(&self) -> BytesOf<'a> {
        BytesOf {
            form: self.form,
            rest: self.inner,
            left: self.len,
        }
    }

    /// The bytes themselves, where the column holds them as they are: always in the binary form.
    pub const fn as_slice(&self) -> Option<&'a [u8]> {
        match self.form {
            Form::Raw => Some(self.inner),
            Form::Hex | Form::Escape => None,
        }
    }

    /// Checks the digits of the hexadecimal form, whose text has `len` bytes.
    fn hex(digits: &'a [u8], len: usize) -> Result<Self, ValueError> {
        let error = |kind, at| Err(ValueError::new(kind, Self::EXPECTED, at));
        if !are_hex(digits) {
            let at = digits.iter().position(|byte| !byte.is_ascii_hexdigit());
            let before = len - digits.len();
            return error(
                ValueErrorKind::UnexpectedByte,
                before + at.unwrap_or_default(),
            );
        }
        if !digits.len().is_multiple_of(2) {
            return error(ValueErrorKind::Truncated, len);
        }
        Ok(Self {
            form: Form::Hex,
            inner: digits,
            len: digits.len() / 2,
        })
    }

    /// Writes the bytes to the front of `out` and returns that part.
    ///
    /// # Errors
    ///
    /// `out` is shorter than [`Self::len`].
    pub fn decode_into<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], BufferTooSmall> {
        let Some((out, _)) = out.split_at_mut_checked(self.len) else {
            return Err(BufferTooSmall { needed: self.len });
        };
        match self.form {
            Form::Raw => out.copy_from_slice(self.inner),
            Form::Hex => {
                let (pairs, _) = self.inner.as_chunks();
                for (out, pair) in out.iter_mut().zip(pairs) {
                    *out = hex(*pair);
                }
            }
            Form::Escape => {
                for (out, byte) in out.iter_mut().zip(self.bytes()) {
                    *out = byte;
                }
            }
        }
        Ok(out)
    }
}

/// `\x` and two hexadecimal digits per byte, or the older form, which `bytea_output` chooses; the bytes themselves.
///
/// The older form writes `\\` for a backslash, `\` and three octal digits for what ASCII cannot print, and all else as
/// it is; it never begins with `\x`.
impl<'a> FromColumn<'a> for Bytea<'a> {
    const EXPECTED: Expected = Expected::Bytea;

    // varlena.c: byteaout
    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        if let Some(digits) = text.strip_prefix(b"\\x") {
            return Self::hex(digits, text.len());
        }
        let mut rest = text;
        let mut len = 0;
        while !rest.is_empty() {
            let Some((_, after)) = unescape(rest) else {
                return Err(explain(text, rest));
            };
            rest = after;
            len += 1;
        }
        Ok(Self {
            form: Form::Escape,
            inner: text,
            len,
        })
    }

    // varlena.c: byteasend
    #[inline]
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        Ok(Self::new(bytes))
    }

    /// In the hexadecimal form the only escape is in front.
    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        if let Some(text) = text.as_plain() {
            return Self::from_text(text);
        }
        let digits = text
            .split_first()
            .filter(|(first, _)| *first == b'\\')
            .and_then(|(_, rest)| rest.split_first())
            .filter(|(second, _)| *second == b'x')
            .and_then(|(_, rest)| rest.as_plain())
            .ok_or_else(|| needs_unescaping(Self::EXPECTED))?;
        Self::hex(digits, text.raw().len())
    }
}

/// The binary form of a `bytea` value; its text form cannot be lent as bytes, so there it is an error: read [`Bytea`],
/// which takes both.
impl<'a> FromColumn<'a> for &'a [u8] {
    const EXPECTED: Expected = Expected::Bytea;

    #[cold]
    fn from_text(_: &'a [u8]) -> Result<Self, ValueError> {
        Err(ValueError::new(
            ValueErrorKind::NotBinary,
            Self::EXPECTED,
            0,
        ))
    }

    // varlena.c: byteasend
    #[inline]
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        Ok(bytes)
    }
}

/// The first byte of the older form, and what follows.
#[inline]
fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', b'\\', rest @ ..] => Some((b'\\', rest)),
        &[b'\\', high, middle, low, ref rest @ ..] => {
            match (octal(high)?, octal(middle)?, octal(low)?) {
                (high @ 0..=3, middle, low) => Some((high << 6 | middle << 3 | low, rest)),
                _ => None,
            }
        }
        [b'\\', ..] => None,
        [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

/// Finds the byte for which a backslash at the front of `rest` is no escape.
#[cold]
fn explain(text: &[u8], rest: &[u8]) -> ValueError {
    let at = text.len() - rest.len();
    let wrong = rest
        .iter()
        .skip(1)
        .take(3)
        .enumerate()
        .position(|(place, &byte)| {
            !matches!(byte, b'0'..=b'3') && (place == 0 || octal(byte).is_none())
        });
    let (kind, at) = match wrong {
        Some(wrong) => (ValueErrorKind::UnexpectedByte, at + 1 + wrong),
        None => (ValueErrorKind::Truncated, text.len()),
    };
    ValueError::new(kind, Expected::Bytea, at)
}

impl PartialEq for Bytea<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.as_slice(), other.as_slice()) {
            (Some(one), Some(other)) => one == other,
            _ => self.len == other.len && self.bytes().eq(other.bytes()),
        }
    }
}

impl Eq for Bytea<'_> {}

impl PartialEq<[u8]> for Bytea<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        *self == Bytea::new(other)
    }
}

impl PartialEq<&[u8]> for Bytea<'_> {
    fn eq(&self, other: &&[u8]) -> bool {
        *self == Bytea::new(other)
    }
}

impl<'a> IntoIterator for Bytea<'a> {
    type Item = u8;
    type IntoIter = BytesOf<'a>;

    fn into_iter(self) -> BytesOf<'a> {
        self.bytes()
    }
}

/// Prints the hexadecimal form.
impl fmt::Display for Bytea<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\\x")?;
        self.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Bytea<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytea({self})")
    }
}

/// The bytes of a [`Bytea`].
#[derive(Clone, Debug)]
pub struct BytesOf<'a> {
    form: Form,
    rest: &'a [u8],
    left: usize,
}

impl Iterator for BytesOf<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = match self.form {
            Form::Raw => self.rest.split_first().map(|(byte, rest)| (*byte, rest))?,
            Form::Hex => {
                let (pair, rest) = self.rest.split_first_chunk()?;
                (hex(*pair), rest)
            }
            Form::Escape => unescape(self.rest)?,
        };
        self.rest = rest;
        self.left = self.left.saturating_sub(1);
        Some(byte)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for BytesOf<'_> {}
impl FusedIterator for BytesOf<'_> {}
