//! Text that may still hold the escapes of what it was quoted in.

use core::char::REPLACEMENT_CHARACTER;
use core::fmt::{self, Write as _};

use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// A text value as it stands inside an array, a composite or a range, with its escapes.
///
/// Nested text is escaped level by level: `a"b` is `"a\"b"` in an array and `"a""b"` in a composite, and such an array
/// in a composite has `a\\""b`. Every level puts one byte before each quote and backslash, so that at depth `n` they
/// stand at the end of 2ⁿ bytes, and all levels are undone in one pass, without a buffer.
///
/// Read it from a column or an element to take any text, escaped or not:
///
/// ```
/// use walproto::Column;
/// use walproto::value::{Array, Quoted};
///
/// let array: Array = Column::Text(br#"{plain,"two words","a \"b\""}"#).value()?;
/// let mut texts = array.values::<Quoted>();
/// assert_eq!(texts.next().unwrap()?.as_plain(), Some(&b"plain"[..]));
/// assert_eq!(texts.next().unwrap()?.as_plain(), Some(&b"two words"[..]));
/// let last = texts.next().unwrap()?;
/// assert_eq!(last.as_plain(), None);
/// assert_eq!(last, *"a \"b\"");
/// assert_eq!(last.to_string(), "a \"b\"");
/// # Ok::<(), walproto::value::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Quoted<'a> {
    raw: &'a [u8],
    width: usize,
}

impl<'a> Quoted<'a> {
    /// Text without escapes.
    #[inline]
    pub(super) const fn plain(raw: &'a [u8]) -> Self {
        Self { raw, width: 1 }
    }

    /// Text in which each quote and backslash takes `width` bytes, all of them quotes and backslashes.
    #[inline]
    pub(super) const fn escaped(raw: &'a [u8], width: usize) -> Self {
        Self { raw, width }
    }

    /// The bytes as they stand in the message.
    #[inline]
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// How many bytes of [`raw`](Self::raw) a quote or a backslash takes.
    #[inline]
    pub(super) const fn width(self) -> usize {
        self.width
    }

    /// The text itself, where no escape stands in it.
    #[inline]
    pub fn as_plain(self) -> Option<&'a [u8]> {
        (self.width == 1 || find_special(self.raw).is_none()).then_some(self.raw)
    }

    /// The first byte, and the text behind it.
    pub fn split_first(self) -> Option<(u8, Self)> {
        let len = match *self.raw.first()? {
            byte if is_special(byte) => self.width,
            _ => 1,
        };
        let (first, raw) = self.raw.split_at_checked(len)?;
        Some((*first.last()?, Self { raw, ..self }))
    }

    /// The text in pieces that are lent as they stand; joined, they are the text without its escapes.
    #[inline]
    pub fn pieces(self) -> impl Iterator<Item = &'a [u8]> + Clone + fmt::Debug {
        Pieces {
            rest: self.raw,
            width: self.width,
        }
    }

    /// The bytes of the text, escapes undone.
    pub fn bytes(self) -> impl Iterator<Item = u8> + Clone + fmt::Debug {
        self.pieces().flatten().copied()
    }

    /// The characters of the text, escapes undone; what is not UTF-8 becomes U+FFFD.
    ///
    /// Only a database in the encoding `SQL_ASCII` sends text that is not UTF-8.
    pub fn chars(self) -> impl Iterator<Item = char> + Clone + fmt::Debug {
        // Escapes stand between characters, never inside one.
        self.pieces()
            .flat_map(<[u8]>::utf8_chunks)
            .flat_map(|chunk| {
                let broken = (!chunk.invalid().is_empty()).then_some(REPLACEMENT_CHARACTER);
                chunk.valid().chars().chain(broken)
            })
    }

    /// Number of bytes of the text, escapes undone.
    pub fn unescaped_len(self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// Writes the text without its escapes to the start of `buffer`, and lends it from there.
    ///
    /// The raw length is always room enough.
    ///
    /// # Errors
    ///
    /// The buffer is shorter than the text, and holds a part of it.
    pub fn unescape(self, buffer: &mut [u8]) -> Result<&[u8], BufferTooSmall> {
        let too_small = || BufferTooSmall {
            needed: self.unescaped_len(),
        };
        let mut len = 0;
        for piece in self.pieces() {
            let room = buffer
                .get_mut(len..)
                .and_then(|rest| rest.get_mut(..piece.len()));
            room.ok_or_else(too_small)?.copy_from_slice(piece);
            len += piece.len();
        }
        buffer.get(..len).ok_or_else(too_small)
    }
}

impl<'a> FromColumn<'a> for Quoted<'a> {
    const EXPECTED: Expected = Expected::Text;

    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        Ok(Self::plain(text))
    }

    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        Ok(Self::plain(bytes))
    }

    fn from_quoted(text: Self) -> Result<Self, ValueError> {
        Ok(text)
    }
}

impl PartialEq for Quoted<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl Eq for Quoted<'_> {}

impl PartialEq<[u8]> for Quoted<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        let rest = self
            .pieces()
            .try_fold(other, |rest, piece| rest.strip_prefix(piece));
        rest == Some(&[])
    }
}

impl PartialEq<str> for Quoted<'_> {
    fn eq(&self, other: &str) -> bool {
        self == other.as_bytes()
    }
}

impl PartialEq<&str> for Quoted<'_> {
    fn eq(&self, other: &&str) -> bool {
        self == other.as_bytes()
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.pieces().flat_map(<[u8]>::utf8_chunks) {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quoted(\"")?;
        for piece in self.pieces() {
            write!(f, "{}", piece.escape_ascii())?;
        }
        f.write_str("\")")
    }
}

#[derive(Clone, Debug)]
struct Pieces<'a> {
    rest: &'a [u8],
    width: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let first = *self.rest.first()?;
        // The last byte of a quote's or backslash's bytes is the character itself, and begins a piece.
        let skipped = if is_special(first) { self.width - 1 } else { 0 };
        let run = self.rest.get(skipped..)?;
        let end = match self.width {
            1 => run.len(),
            _ => 1 + find_special(run.get(1..)?).unwrap_or(run.len() - 1),
        };
        let (piece, rest) = run.split_at_checked(end)?;
        self.rest = rest;
        Some(piece)
    }
}

/// Whether a byte is escaped where text is quoted.
#[inline]
pub(super) const fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

/// Where the first quote or backslash stands.
#[inline]
pub(super) fn find_special(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let found = specials(u64::from_be_bytes(*word));
        if found != 0 {
            return Some(8 * index + found.leading_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&byte| is_special(byte))?;
    Some(8 * words.len() + at)
}

/// Sets the highest bit of each byte that is a quote or a backslash, and no other.
#[inline]
const fn specials(word: u64) -> u64 {
    const LOW: u64 = u64::from_be_bytes([0x7F; 8]);
    const QUOTES: u64 = u64::from_be_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_be_bytes([b'\\'; 8]);
    // The highest bit stays unset where all of a byte is zero; adding carries nothing into the next byte.
    const fn not_zero(word: u64) -> u64 {
        ((word & LOW) + LOW) | word
    }
    !(not_zero(word ^ QUOTES) & not_zero(word ^ BACKSLASHES)) & !LOW
}

/// A buffer that cannot hold what was to be written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferTooSmall {
    /// The length that would do.
    pub needed: usize,
}

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffer too small: {} bytes are needed", self.needed)
    }
}

impl core::error::Error for BufferTooSmall {}

/// The error of types that are never read from escaped text.
#[cold]
pub(super) fn needs_unescaping(expected: Expected) -> ValueError {
    ValueError::new(ValueErrorKind::NeedsUnescaping, expected, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_byte_is_found_wherever_it_stands() {
        for other in 0..=u8::MAX {
            for len in 0..24 {
                let mut bytes = [other; 24];
                let bytes = &mut bytes[..len];
                let alone = is_special(other) && len > 0;
                assert_eq!(find_special(bytes), alone.then_some(0));
                for at in 0..len {
                    for special in *b"\"\\" {
                        bytes[at] = special;
                        let first = if is_special(other) { 0 } else { at };
                        assert_eq!(find_special(bytes), Some(first), "{bytes:?}");
                        bytes[at] = other;
                    }
                }
            }
        }
    }
}
