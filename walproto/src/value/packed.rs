//! Takes the binary form of values made of others apart.

use super::element::Element;
use super::nested::explain;
use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// A cursor over the binary form of a value made of others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    rest: &'a [u8],
    len: usize,
    expected: Expected,
}

impl<'a> Packed<'a> {
    #[inline]
    pub(super) const fn new(bytes: &'a [u8], expected: Expected) -> Self {
        Self {
            rest: bytes,
            len: bytes.len(),
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

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(self.error(ValueErrorKind::Truncated));
        };
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, ValueError> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32, ValueError> {
        self.chunk().map(u32::from_be_bytes)
    }

    #[inline]
    pub(super) fn i32(&mut self) -> Result<i32, ValueError> {
        self.chunk().map(i32::from_be_bytes)
    }

    /// A count or length that must not be negative.
    #[inline]
    pub(super) fn count(&mut self) -> Result<u32, ValueError> {
        let at = *self;
        u32::try_from(self.i32()?).map_err(|_| at.error(ValueErrorKind::OutOfRange))
    }

    /// A length and that many bytes; a length of -1 stands for NULL.
    #[inline]
    pub(super) fn element(&mut self) -> Result<Element<'a>, ValueError> {
        match take(self.rest) {
            Some((element, rest)) => {
                self.rest = rest;
                Ok(element)
            }
            None => Err(self.no_element()),
        }
    }

    /// A value that cannot be NULL.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], ValueError> {
        let at = *self;
        match self.element()? {
            Element::Binary(bytes) => Ok(bytes),
            _ => Err(at.error(ValueErrorKind::OutOfRange)),
        }
    }

    /// The next element of bytes that were checked.
    #[inline]
    pub(super) fn checked(&mut self) -> Option<Element<'a>> {
        let (element, rest) = take(self.rest)?;
        self.rest = rest;
        Some(element)
    }

    #[cold]
    fn no_element(&self) -> ValueError {
        self.error(match self.rest.split_first_chunk() {
            Some((len, _)) if i32::from_be_bytes(*len) < 0 => ValueErrorKind::OutOfRange,
            _ => ValueErrorKind::Truncated,
        })
    }

    /// Reads an element that was taken from these bytes, and says in errors where in the whole they are.
    #[inline]
    pub(super) fn value<T: FromColumn<'a>>(&self, element: Element<'a>) -> Result<T, ValueError> {
        element
            .value()
            .map_err(|error| self.explain(error, element))
    }

    /// An error inside an element, as one inside the whole.
    #[cold]
    pub(super) fn explain(&self, error: ValueError, element: Element<'a>) -> ValueError {
        explain(error, element, self.rest, self.offset())
    }

    /// The value must end here.
    #[inline]
    pub(super) fn finish(&self) -> Result<(), ValueError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(self.error(ValueErrorKind::TrailingBytes)),
        }
    }
}

#[inline]
fn take(rest: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (len, rest) = rest.split_first_chunk()?;
    let len = u32::from_be_bytes(*len);
    if len == u32::MAX {
        return Some((Element::Null, rest));
    }
    // Other negative lengths become two gigabytes and more, which no message holds.
    let (value, rest) = rest.split_at_checked(len as usize)?;
    Some((Element::Binary(value), rest))
}

// Where this is not so, a length would lose its upper half above.
const _: () = assert!(size_of::<usize>() >= size_of::<u32>());
