//! Takes the text of values made of others apart, at any depth of quoting.

use super::element::Element;
use super::quoted::{find_special, is_special};
use super::{Expected, FromColumn, Quoted, ValueError, ValueErrorKind};

/// A cursor over the text of an array, a composite or a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    rest: &'a [u8],
    /// Length of the whole text, so that `len - rest.len()` is the offset.
    len: usize,
    /// How many bytes a quote or a backslash takes, see [`Quoted`].
    width: usize,
    expected: Expected,
}

/// How a type marks a quote inside quotes. All of them double backslashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// `\"`, in arrays.
    Backslash,
    /// `""`, in composites and ranges.
    Doubled,
}

impl<'a> Scan<'a> {
    #[inline]
    pub(super) fn new(text: Quoted<'a>, expected: Expected) -> Self {
        Self {
            rest: text.raw(),
            len: text.raw().len(),
            width: text.width(),
            expected,
        }
    }

    #[inline]
    pub(super) const fn offset(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    #[cold]
    pub(super) fn error(&self, kind: ValueErrorKind) -> ValueError {
        ValueError::new(kind, self.expected, self.offset())
    }

    /// Complains about what comes next.
    #[cold]
    pub(super) fn unexpected(&self) -> ValueError {
        self.error(match self.rest {
            [] => ValueErrorKind::Truncated,
            _ => ValueErrorKind::UnexpectedByte,
        })
    }

    /// The next byte, which a quote or backslash is only where it is not escaped.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        match *self.rest.first()? {
            byte if is_special(byte) => self.rest.get(self.width.checked_sub(1)?).copied(),
            byte => Some(byte),
        }
    }

    /// Takes the next byte, which is neither a quote nor a backslash, if it is this one.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), ValueError> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// Takes one of the bytes that `accept` accepts, none of which is a quote or a backslash.
    #[inline]
    pub(super) fn take(&mut self, accept: impl Fn(u8) -> bool) -> Result<u8, ValueError> {
        match self.rest.split_first() {
            Some((&first, rest)) if accept(first) => {
                self.rest = rest;
                Ok(first)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Leaves out the bytes in front that `skip` accepts.
    #[inline]
    pub(super) fn skip(&mut self, skip: impl Fn(u8) -> bool) {
        while let Some((&first, rest)) = self.rest.split_first()
            && skip(first)
        {
            self.rest = rest;
        }
    }

    /// The text must end here.
    #[inline]
    pub(super) fn finish(&self) -> Result<(), ValueError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(self.error(ValueErrorKind::TrailingBytes)),
        }
    }

    /// Takes the bytes in front of the first that `ends` accepts; it must accept quotes and backslashes.
    #[inline]
    pub(super) fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| ends(byte));
        let (word, rest) = self
            .rest
            .split_at_checked(end.unwrap_or(self.rest.len()))
            .unwrap_or((self.rest, &[]));
        self.rest = rest;
        word
    }

    /// Takes a whole number as the server writes it.
    pub(super) fn number(&mut self) -> Result<i32, ValueError> {
        let start = *self;
        let negative = self.eat(b'-');
        let mut number = 0_i64;
        loop {
            let digit = self.take(|byte| byte.is_ascii_digit())?;
            number = number * 10 + i64::from(digit - b'0');
            // Eleven digits at most, so nothing overflows.
            let signed = if negative { -number } else { number };
            let Ok(signed) = i32::try_from(signed) else {
                return Err(start.error(ValueErrorKind::OutOfRange));
            };
            if !matches!(self.rest.first(), Some(b'0'..=b'9')) {
                return Ok(signed);
            }
        }
    }

    /// Takes a value, quoted or not; `None` if there is nothing in front of the byte that `ends` accepts.
    #[inline]
    pub(super) fn item(
        &mut self,
        quoting: Quoting,
        ends: impl Fn(u8) -> bool,
    ) -> Result<Option<Element<'a>>, ValueError> {
        if self.is_special() {
            return self.quoted(quoting).map(Some);
        }
        let word = self.until(ends);
        Ok((!word.is_empty()).then_some(Element::Text(word)))
    }

    /// Whether a quote or a backslash comes next.
    #[inline]
    pub(super) fn is_special(&self) -> bool {
        self.rest.first().copied().is_some_and(is_special)
    }

    /// Takes a value in quotes.
    pub(super) fn quoted(&mut self, quoting: Quoting) -> Result<Element<'a>, ValueError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        self.special()?;
        let start = self.rest;
        let mut escaped = false;
        loop {
            let run = find_special(self.rest).unwrap_or(self.rest.len());
            self.rest = self.rest.get(run..).unwrap_or_default();
            let content = start.len().saturating_sub(self.rest.len());
            let at = *self;
            let first = self.special()?;
            match (first, self.peek(), quoting) {
                (b'\\', Some(b'\\'), _)
                | (b'\\', Some(b'"'), Quoting::Backslash)
                | (b'"', Some(b'"'), Quoting::Doubled) => {
                    self.special()?;
                    escaped = true;
                }
                (b'"', ..) => {
                    let (raw, _) = start.split_at_checked(content).unwrap_or_default();
                    return Ok(if escaped {
                        Element::Quoted(Quoted::escaped(raw, self.twice()?))
                    } else {
                        Element::Text(raw)
                    });
                }
                (_, None, _) => return Err(self.unexpected()),
                _ => return Err(at.unexpected()),
            }
        }
    }

    /// Reads an element that was taken from this text, and says in errors where in the whole they are.
    #[inline]
    pub(super) fn value<T: FromColumn<'a>>(&self, element: Element<'a>) -> Result<T, ValueError> {
        element
            .value()
            .map_err(|error| explain(error, element, self.rest, self.offset()))
    }

    /// Takes the quote or backslash that stands in front.
    #[inline]
    fn special(&mut self) -> Result<u8, ValueError> {
        let taken = self.rest.split_at_checked(self.width);
        let Some(([.., last], rest)) = taken else {
            return Err(self.error(ValueErrorKind::Truncated));
        };
        self.rest = rest;
        Ok(*last)
    }

    /// The width one level further in.
    fn twice(&self) -> Result<usize, ValueError> {
        let twice = self.width.checked_mul(2);
        twice.ok_or_else(|| self.error(ValueErrorKind::OutOfRange))
    }
}

/// An error inside an element, as one inside the whole; `rest`, at `offset`, is what follows the element.
#[cold]
pub(super) fn explain(
    error: ValueError,
    element: Element<'_>,
    rest: &[u8],
    offset: usize,
) -> ValueError {
    let begin = match element {
        Element::Null => offset,
        // Both are parts of the same bytes, so that their addresses tell how far they are apart.
        element => {
            let from = element.raw().as_ptr().addr();
            offset.saturating_sub(rest.as_ptr().addr().saturating_sub(from))
        }
    };
    error.behind(u32::try_from(begin).unwrap_or(u32::MAX))
}

/// Bytes that make the server quote a value.
#[derive(Clone, Copy)]
pub(super) struct Stops([bool; 256]);

impl Stops {
    /// Quotes, backslashes, white space, and these.
    #[expect(clippy::indexing_slicing, reason = "runs when this is compiled")]
    pub(super) const fn new(others: &[u8]) -> Self {
        let mut stops = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            let mut other = 0;
            while other < others.len() {
                stops[byte as usize] |= others[other] == byte;
                other += 1;
            }
            stops[byte as usize] |= is_special(byte) || is_space(byte);
            byte += 1;
        }
        Self(stops)
    }

    #[inline]
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).copied().unwrap_or(true)
    }
}

/// What is white space to the server.
#[inline]
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
