//! Multiranges of any type, from version 14 on.

use core::iter::FusedIterator;
use core::marker::PhantomData;

use super::element::Element;
use super::nested::Scan;
use super::packed::Packed;
use super::range::{Range, scan_range, unpack};
use super::{Expected, FromColumn, Quoted, ValueError, ValueErrorKind};

/// Ranges in order, none of them empty.
///
/// Text: the ranges in braces, set apart by commas. Binary: 32-bit number of ranges, then per range 32-bit length and
/// its binary form.
///
/// ```
/// use walproto::Column;
/// use walproto::value::Multirange;
///
/// let free: Multirange = Column::Text(b"{[f,f],[t,t]}").value()?;
/// assert_eq!(free.len(), 2);
/// for range in free.values::<bool>() {
///     println!("{}", range?);
/// }
/// # Ok::<(), walproto::value::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Multirange<'a> {
    ranges: Walk<'a>,
}

impl<'a> Multirange<'a> {
    /// Number of ranges.
    #[inline]
    pub const fn len(&self) -> usize {
        self.ranges.left
    }

    /// Whether the multirange holds no value.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.ranges.left == 0
    }

    /// The ranges in order.
    #[inline]
    pub const fn ranges(&self) -> Ranges<'a> {
        Ranges { walk: self.ranges }
    }

    /// The ranges with their bounds read as `T`.
    #[inline]
    pub const fn values<T: FromColumn<'a>>(&self) -> RangeValues<'a, T> {
        RangeValues {
            walk: self.ranges,
            values: PhantomData,
        }
    }
}

impl<'a> FromColumn<'a> for Multirange<'a> {
    const EXPECTED: Expected = Expected::Multirange;

    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        Self::from_quoted(Quoted::plain(text))
    }

    // multirangetypes.c: multirange_send
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let mut packed = Packed::new(bytes, Self::EXPECTED);
        let at = packed;
        // A count that the bytes do not hold ends the loop at their end.
        let count = packed.count()?;
        let ranges = Walk {
            left: usize::try_from(count).map_err(|_| at.error(ValueErrorKind::OutOfRange))?,
            form: Form::Binary(packed),
        };
        for _ in 0..count {
            let at = packed;
            if packed_range(&mut packed)?.is_empty() {
                return Err(at.error(ValueErrorKind::OutOfRange));
            }
        }
        packed.finish()?;
        Ok(Self { ranges })
    }

    // multirangetypes.c: multirange_out
    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        let mut scan = Scan::new(text, Self::EXPECTED);
        let start = scan;
        let mut left = 0;
        scan.expect(b'{')?;
        if !scan.eat(b'}') {
            loop {
                let at = scan;
                if scan_range(&mut scan)?.is_empty() {
                    return Err(at.unexpected());
                }
                left += 1;
                if scan.take(|byte| matches!(byte, b',' | b'}'))? == b'}' {
                    break;
                }
            }
        }
        scan.finish()?;
        Ok(Self {
            ranges: Walk {
                left,
                form: Form::Text(start),
            },
        })
    }
}

fn packed_range<'a>(packed: &mut Packed<'a>) -> Result<Range<Element<'a>>, ValueError> {
    let bytes = packed.bytes()?;
    let mut inner = Packed::new(bytes, Expected::Range);
    let bounds = unpack(&mut inner).and_then(|bounds| inner.finish().map(|()| bounds));
    bounds.map_err(|error| packed.explain(error, Element::Binary(bytes)))
}

/// Where a walk over the ranges stands.
#[derive(Clone, Copy, Debug)]
struct Walk<'a> {
    left: usize,
    form: Form<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    /// From the opening brace, or the comma, in front of the next range.
    Text(Scan<'a>),
    /// From the next range's length on.
    Binary(Packed<'a>),
}

impl<'a> Walk<'a> {
    #[inline]
    fn next(&mut self) -> Option<Range<Element<'a>>> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.form {
            Form::Text(scan) => {
                scan.skip(|byte| matches!(byte, b'{' | b','));
                scan_range(scan).ok()
            }
            Form::Binary(packed) => packed_range(packed).ok(),
        }
    }
}

/// The ranges of a [`Multirange`]; never fails, because the multirange was checked when it was read.
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    walk: Walk<'a>,
}

impl<'a> Iterator for Ranges<'a> {
    type Item = Range<Element<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.walk.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.walk.left, Some(self.walk.left))
    }
}

impl ExactSizeIterator for Ranges<'_> {}
impl FusedIterator for Ranges<'_> {}

/// The ranges of a [`Multirange`] with their bounds read as `T`.
#[derive(Debug)]
pub struct RangeValues<'a, T> {
    walk: Walk<'a>,
    values: PhantomData<fn() -> T>,
}

impl<T> Clone for RangeValues<'_, T> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, T: FromColumn<'a>> Iterator for RangeValues<'a, T> {
    type Item = Result<Range<T>, ValueError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let range = self.walk.next()?;
        Some(match self.walk.form {
            Form::Text(scan) => range.try_map(|bound| scan.value(bound)),
            Form::Binary(packed) => range.try_map(|bound| packed.value(bound)),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.walk.left, Some(self.walk.left))
    }
}

impl<'a, T: FromColumn<'a>> ExactSizeIterator for RangeValues<'a, T> {}
impl<'a, T: FromColumn<'a>> FusedIterator for RangeValues<'a, T> {}
