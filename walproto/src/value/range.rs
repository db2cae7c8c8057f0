//! Ranges of any type.

use core::fmt::{self, Write as _};
use core::ops::Bound;

use super::element::Element;
use super::nested::{Quoting, Scan, Stops};
use super::packed::Packed;
use super::{Expected, FromColumn, Quoted, ValueError, ValueErrorKind};

/// A range between two values of a type, such as `Range<i32>` for int4range; `Range<Element>` for any.
///
/// Text: `empty`; or `[` or `(`, lower bound, comma, upper bound, `]` or `)`, where a missing bound is infinite. Bounds
/// stand in quotes where they are empty or hold one of these, a quote, a backslash or white space.
///
/// Binary: a byte of flags (1 empty, 2 and 4 lower and upper bound inclusive, 8 and 16 infinite), and per finite bound
/// 32-bit length and that many bytes.
///
/// ```
/// use core::ops::Bound;
/// use walproto::Column;
/// use walproto::value::Range;
///
/// let range: Range<bool> = Column::Text(b"[f,t)").value()?;
/// assert_eq!(range, Range::Between(Bound::Included(false), Bound::Excluded(true)));
/// assert!(range.contains(&false));
/// # Ok::<(), walproto::value::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range<T> {
    /// The range without any value.
    Empty,
    /// All values from the lower bound to the upper bound.
    Between(Bound<T>, Bound<T>),
}

impl<T> Range<T> {
    /// The lower bound; `None` if the range is empty.
    pub const fn lower(&self) -> Option<&Bound<T>> {
        match self {
            Self::Empty => None,
            Self::Between(lower, _) => Some(lower),
        }
    }

    /// The upper bound; `None` if the range is empty.
    pub const fn upper(&self) -> Option<&Bound<T>> {
        match self {
            Self::Empty => None,
            Self::Between(_, upper) => Some(upper),
        }
    }

    /// Whether the range has no value.
    pub const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether a value is in the range, by the order of `T`.
    pub fn contains(&self, value: &T) -> bool
    where
        T: PartialOrd,
    {
        use core::ops::RangeBounds as _;
        match self {
            Self::Empty => false,
            Self::Between(lower, upper) => (lower.as_ref(), upper.as_ref()).contains(value),
        }
    }

    /// The range between other bounds, of the same kind.
    ///
    /// # Errors
    ///
    /// Whatever `f` says of one of the bounds.
    pub fn try_map<U, E>(self, mut f: impl FnMut(T) -> Result<U, E>) -> Result<Range<U>, E> {
        let mut bound = |bound| {
            Ok(match bound {
                Bound::Included(value) => Bound::Included(f(value)?),
                Bound::Excluded(value) => Bound::Excluded(f(value)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        Ok(match self {
            Self::Empty => Range::Empty,
            Self::Between(lower, upper) => Range::Between(bound(lower)?, bound(upper)?),
        })
    }
}

impl<'a> Range<Element<'a>> {
    /// The range with its bounds read as `T`.
    ///
    /// # Errors
    ///
    /// As for [`Element::value`].
    pub fn bounds<T: FromColumn<'a>>(self) -> Result<Range<T>, ValueError> {
        self.try_map(Element::value)
    }
}

impl<'a, T: FromColumn<'a>> FromColumn<'a> for Range<T> {
    const EXPECTED: Expected = Expected::Range;

    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        Self::from_quoted(Quoted::plain(text))
    }

    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let mut packed = Packed::new(bytes, Self::EXPECTED);
        let range = unpack(&mut packed)?;
        packed.finish()?;
        range.try_map(|bound| packed.value(bound))
    }

    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        let mut scan = Scan::new(text, Self::EXPECTED);
        let range = scan_range(&mut scan)?;
        scan.finish()?;
        range.try_map(|bound| scan.value(bound))
    }
}

// rangetypes.c: range_out
pub(super) fn scan_range<'a>(scan: &mut Scan<'a>) -> Result<Range<Element<'a>>, ValueError> {
    if scan.peek() == Some(b'e') {
        for &byte in b"empty" {
            scan.expect(byte)?;
        }
        return Ok(Range::Empty);
    }
    let open = scan.take(|byte| matches!(byte, b'[' | b'('))?;
    let lower = scan.item(Quoting::Doubled, |byte| STOPS.has(byte))?;
    scan.expect(b',')?;
    let upper = scan.item(Quoting::Doubled, |byte| STOPS.has(byte))?;
    let close = scan.take(|byte| matches!(byte, b']' | b')'))?;
    Ok(Range::Between(
        bound(lower, open == b'['),
        bound(upper, close == b']'),
    ))
}

/// The bits of the flags that a server sends.
const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;
const KNOWN: u8 = LOWER_INCLUSIVE | UPPER_INCLUSIVE | LOWER_INFINITE | UPPER_INFINITE;

// rangetypes.c: range_send
pub(super) fn unpack<'a>(packed: &mut Packed<'a>) -> Result<Range<Element<'a>>, ValueError> {
    let at = *packed;
    let flags = packed.u8()?;
    if flags == EMPTY {
        return Ok(Range::Empty);
    }
    if flags & !KNOWN != 0 {
        return Err(at.error(ValueErrorKind::UnexpectedByte));
    }
    let mut finite = |infinite| match flags & infinite {
        0 => packed.bytes().map(|bytes| Some(Element::Binary(bytes))),
        _ => Ok(None),
    };
    let lower = finite(LOWER_INFINITE)?;
    let upper = finite(UPPER_INFINITE)?;
    Ok(Range::Between(
        bound(lower, flags & LOWER_INCLUSIVE != 0),
        bound(upper, flags & UPPER_INCLUSIVE != 0),
    ))
}

fn bound(value: Option<Element<'_>>, inclusive: bool) -> Bound<Element<'_>> {
    match value {
        None => Bound::Unbounded,
        Some(value) if inclusive => Bound::Included(value),
        Some(value) => Bound::Excluded(value),
    }
}

/// What stands in quotes in a range.
const STOPS: &Stops = &Stops::new(b"()[],");

/// As the server writes it, quotes included.
impl<T: fmt::Display> fmt::Display for Range<T> {
    // rangetypes.c: range_deparse
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Between(lower, upper) = self else {
            return f.write_str("empty");
        };
        f.write_char(match lower {
            Bound::Included(_) => '[',
            Bound::Excluded(_) | Bound::Unbounded => '(',
        })?;
        write_bound(f, lower)?;
        f.write_char(',')?;
        write_bound(f, upper)?;
        f.write_char(match upper {
            Bound::Included(_) => ']',
            Bound::Excluded(_) | Bound::Unbounded => ')',
        })
    }
}

fn write_bound<T: fmt::Display>(f: &mut fmt::Formatter<'_>, bound: &Bound<T>) -> fmt::Result {
    let (Bound::Included(value) | Bound::Excluded(value)) = bound else {
        return Ok(());
    };
    let mut look = Look {
        empty: true,
        plain: true,
    };
    write!(look, "{value}")?;
    if look.plain && !look.empty {
        return write!(f, "{value}");
    }
    f.write_char('"')?;
    write!(Doubling(f), "{value}")?;
    f.write_char('"')
}

/// Sees whether what is written to it has to be quoted.
struct Look {
    empty: bool,
    plain: bool,
}

impl fmt::Write for Look {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.empty &= text.is_empty();
        self.plain &= !text.bytes().any(|byte| STOPS.has(byte));
        Ok(())
    }
}

/// Doubles quotes and backslashes on the way.
struct Doubling<'f, 'g>(&'f mut fmt::Formatter<'g>);

impl fmt::Write for Doubling<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if matches!(char, '"' | '\\') {
                self.0.write_char(char)?;
            }
            self.0.write_char(char)?;
        }
        Ok(())
    }
}
