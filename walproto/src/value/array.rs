//! Arrays of up to six dimensions, checked once, then walked without errors.

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

use super::element::Element;
use super::nested::{Quoting, Scan, Stops};
use super::packed::Packed;
use super::{Expected, FromColumn, Quoted, ValueError, ValueErrorKind};
use crate::Oid;

/// An array of any type; its elements stand in storage order, the last subscript moving fastest.
///
/// Text: for lower bounds other than 1 the bounds of all dimensions and an equals sign, as in `[0:1]={7,8}`; then the
/// elements, in as many levels of braces as there are dimensions. `NULL` is NULL and `"NULL"` a text. Elements stand
/// in quotes where they are empty, read like NULL, or hold a brace, the delimiter, a quote, a backslash or white space.
///
/// Binary: 32-bit number of dimensions, 32-bit flags (1 if there may be NULLs), the elements' type; per dimension
/// 32-bit length and lower bound; per element 32-bit length, -1 for NULL, and that many bytes.
///
/// ```
/// use walproto::Column;
/// use walproto::value::Array;
///
/// let array: Array = Column::Text(b"{{t,f},{NULL,t}}").value()?;
/// assert_eq!(array.dims().iter().map(|dim| dim.len).collect::<Vec<_>>(), [2, 2]);
/// let values: Result<Vec<Option<bool>>, _> = array.values().collect();
/// assert_eq!(values?, [Some(true), Some(false), None, Some(true)]);
/// # Ok::<(), walproto::value::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Array<'a> {
    len: u32,
    ndim: u8,
    dims: [Dimension; MAX_DIMENSIONS],
    elements: Form<'a>,
}

/// One dimension of an [`Array`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dimension {
    /// Number of subscripts, as by `array_length`.
    pub len: u32,
    /// The first subscript, as by `array_lower`.
    pub lower: i32,
}

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    /// From the first brace on.
    Text { scan: Scan<'a>, delimiter: u8 },
    /// From the first element on.
    Binary { packed: Packed<'a>, oid: Oid },
}

/// As many as the server allows.
const MAX_DIMENSIONS: usize = 6;

impl<'a> Array<'a> {
    /// Reads the text form of an array whose elements are not set apart by commas.
    ///
    /// Of the server's own types that is only `box`, with `;`; see also [`BoxArray`]. Extensions may have others, which
    /// `pg_type.typdelim` names.
    ///
    /// # Errors
    ///
    /// The bytes are not what the server writes for an array, or the delimiter is one that the server could not use.
    pub fn from_text_delimited(text: &'a [u8], delimiter: u8) -> Result<Self, ValueError> {
        Self::scan(Quoted::plain(text), delimiter)
    }

    // arrayfuncs.c: array_out
    fn scan(text: Quoted<'a>, delimiter: u8) -> Result<Self, ValueError> {
        let mut scan = Scan::new(text, Expected::Array);
        if STOPS.has(delimiter) {
            return Err(scan.error(ValueErrorKind::UnexpectedByte));
        }
        let (bounds, bounded) = bounds(&mut scan)?;
        let start = scan;
        let Shape { len, lens, ndim } = shape(scan, delimiter)?;
        let mut dims = [Dimension::default(); MAX_DIMENSIONS];
        for ((dim, len), bound) in dims.iter_mut().zip(lens).zip(bounds).take(ndim) {
            *dim = match bounded {
                0 => Dimension { len, lower: 1 },
                _ => bound,
            };
            if dim.len != len {
                return Err(start.error(ValueErrorKind::Ragged));
            }
        }
        if bounded != 0 && bounded != ndim {
            return Err(start.error(ValueErrorKind::Ragged));
        }
        let ndim = u8::try_from(ndim).unwrap_or_default();
        let elements = Form::Text {
            scan: start,
            delimiter,
        };
        Ok(Self {
            len,
            ndim,
            dims,
            elements,
        })
    }

    /// The dimensions, outermost first; none if the array is empty.
    #[inline]
    pub fn dims(&self) -> &[Dimension] {
        self.dims.get(..usize::from(self.ndim)).unwrap_or_default()
    }

    /// Number of elements over all dimensions.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the array has no elements.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The type of the elements, which only the binary form names.
    pub const fn element_type(&self) -> Option<Oid> {
        match self.elements {
            Form::Text { .. } => None,
            Form::Binary { oid, .. } => Some(oid),
        }
    }

    /// The elements of all dimensions in order.
    #[inline]
    pub const fn elements(&self) -> Elements<'a> {
        Elements {
            left: self.len(),
            form: self.elements,
        }
    }

    /// The elements read as `T`; `Option<T>` where there may be NULLs.
    #[inline]
    pub fn values<T: FromColumn<'a>>(&self) -> Values<'a, T> {
        Values {
            elements: self.elements(),
            values: PhantomData,
        }
    }
}

impl<'a> FromColumn<'a> for Array<'a> {
    const EXPECTED: Expected = Expected::Array;

    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        Self::scan(Quoted::plain(text), b',')
    }

    // arrayfuncs.c: array_send
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let mut packed = Packed::new(bytes, Self::EXPECTED);
        let at = packed;
        let ndim = packed.count()?;
        let Some(ndim) = u8::try_from(ndim)
            .ok()
            .filter(|&ndim| usize::from(ndim) <= MAX_DIMENSIONS)
        else {
            return Err(at.error(ValueErrorKind::OutOfRange));
        };
        let at = packed;
        if packed.u32()? > 1 {
            return Err(at.error(ValueErrorKind::OutOfRange));
        }
        let oid = Oid(packed.u32()?);
        let mut dims = [Dimension::default(); MAX_DIMENSIONS];
        let mut len = u64::from(ndim > 0);
        let at = packed;
        for dim in dims.iter_mut().take(usize::from(ndim)) {
            let at = packed;
            *dim = Dimension {
                len: packed.count()?,
                lower: packed.i32()?,
            };
            if dim.lower.checked_add_unsigned(dim.len).is_none() {
                return Err(at.error(ValueErrorKind::OutOfRange));
            }
            len = len.saturating_mul(u64::from(dim.len));
        }
        let Ok(len) = u32::try_from(len) else {
            return Err(at.error(ValueErrorKind::OutOfRange));
        };
        // A number of elements that the bytes do not hold ends the loop at their end.
        let elements = Form::Binary { packed, oid };
        for _ in 0..len {
            packed.element()?;
        }
        packed.finish()?;
        Ok(Self {
            len,
            ndim,
            dims,
            elements,
        })
    }

    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        Self::scan(text, b',')
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Element<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.elements()
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for dim in self.dims() {
            write!(f, "[{}:{}]", dim.lower, dim.upper())?;
        }
        f.debug_list().entries(self.elements()).finish()
    }
}

impl Dimension {
    /// The last subscript, as by `array_upper`.
    pub const fn upper(self) -> i32 {
        // Checked when the array was read, but for a dimension of length 0, as an empty oidvector has.
        self.lower
            .saturating_add_unsigned(self.len)
            .saturating_sub(1)
    }
}

/// Reads the bounds in front of the elements, if there are any, and says of how many dimensions.
fn bounds(scan: &mut Scan<'_>) -> Result<([Dimension; MAX_DIMENSIONS], usize), ValueError> {
    let mut bounds = [Dimension::default(); MAX_DIMENSIONS];
    let mut count = 0;
    loop {
        let at = *scan;
        if !scan.eat(b'[') {
            break;
        }
        let Some(bound) = bounds.get_mut(count) else {
            return Err(at.error(ValueErrorKind::OutOfRange));
        };
        let lower = scan.number()?;
        scan.expect(b':')?;
        let upper = scan.number()?;
        scan.expect(b']')?;
        // Like the server, have the subscript behind the last one be a number too.
        let len = upper
            .checked_add(1)
            .and_then(|end| u32::try_from(i64::from(end) - i64::from(lower)).ok());
        match len {
            Some(len @ 1..) => *bound = Dimension { len, lower },
            _ => return Err(at.error(ValueErrorKind::OutOfRange)),
        }
        count += 1;
    }
    if count != 0 {
        scan.expect(b'=')?;
    }
    Ok((bounds, count))
}

/// What the elements of a text form look like from afar.
struct Shape {
    len: u32,
    lens: [u32; MAX_DIMENSIONS],
    ndim: usize,
}

/// Checks the elements of a text form, and counts them by dimension.
fn shape(mut scan: Scan<'_>, delimiter: u8) -> Result<Shape, ValueError> {
    let mut len = 0_u32;
    let mut lens = [0; MAX_DIMENSIONS];
    let mut counts = [0_u32; MAX_DIMENSIONS];
    // How many braces are open, and how many stand around each element, once that is known.
    let mut depth = 0;
    let mut ndim = 0;
    scan.expect(b'{')?;
    if scan.eat(b'}') {
        scan.finish()?;
        return Ok(Shape { len, lens, ndim });
    }
    depth += 1;
    loop {
        let at = scan;
        if scan.eat(b'{') {
            let Some(count) = counts.get_mut(depth) else {
                return Err(at.error(ValueErrorKind::OutOfRange));
            };
            if depth == ndim {
                return Err(at.error(ValueErrorKind::Ragged));
            }
            *count = 0;
            depth += 1;
            continue;
        }
        element(&mut scan, delimiter)?;
        let Some(next) = len.checked_add(1) else {
            return Err(at.error(ValueErrorKind::OutOfRange));
        };
        len = next;
        if ndim == 0 {
            ndim = depth;
        }
        if depth != ndim {
            return Err(at.error(ValueErrorKind::Ragged));
        }
        // One more at this depth; and at each depth above that a brace closes.
        loop {
            let at = scan;
            let innermost = depth - 1;
            let (Some(count), Some(expected)) =
                (counts.get_mut(innermost), lens.get_mut(innermost))
            else {
                return Err(at.error(ValueErrorKind::OutOfRange));
            };
            *count += 1;
            if scan.take(|byte| byte == delimiter || byte == b'}')? == delimiter {
                break;
            }
            if *expected == 0 {
                *expected = *count;
            }
            if *expected != *count {
                return Err(at.error(ValueErrorKind::Ragged));
            }
            depth = innermost;
            if depth == 0 {
                scan.finish()?;
                return Ok(Shape { len, lens, ndim });
            }
        }
    }
}

/// What stands in quotes in an array, besides the delimiter.
const STOPS: &Stops = &Stops::new(b"{}");

#[inline]
fn element<'a>(scan: &mut Scan<'a>, delimiter: u8) -> Result<Element<'a>, ValueError> {
    if scan.is_special() {
        return scan.quoted(Quoting::Backslash);
    }
    let at = *scan;
    let word = scan.until(|byte| byte == delimiter || STOPS.has(byte));
    match word {
        [] => Err(scan.unexpected()),
        b"NULL" => Ok(Element::Null),
        // What reads like NULL in other letters would have been quoted.
        word if word.eq_ignore_ascii_case(b"NULL") => Err(at.unexpected()),
        word => Ok(Element::Text(word)),
    }
}

/// The same, where the text was checked before.
#[inline]
fn checked<'a>(scan: &mut Scan<'a>, delimiter: u8) -> Option<Element<'a>> {
    scan.skip(|byte| byte == delimiter || matches!(byte, b'{' | b'}'));
    if scan.is_special() {
        return scan.quoted(Quoting::Backslash).ok();
    }
    match scan.until(|byte| byte == delimiter || byte == b'}') {
        b"NULL" => Some(Element::Null),
        word => Some(Element::Text(word)),
    }
}

/// The elements of an [`Array`]; never fails, because the array was checked when it was read.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    left: usize,
    form: Form<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.form {
            Form::Text { scan, delimiter } => checked(scan, *delimiter),
            Form::Binary { packed, .. } => packed.checked(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}
impl FusedIterator for Elements<'_> {}

/// The elements of an [`Array`] read as `T`.
#[derive(Debug)]
pub struct Values<'a, T> {
    elements: Elements<'a>,
    values: PhantomData<fn() -> T>,
}

impl<T> Clone for Values<'_, T> {
    fn clone(&self) -> Self {
        Self {
            elements: self.elements.clone(),
            values: PhantomData,
        }
    }
}

impl<'a, T: FromColumn<'a>> Iterator for Values<'a, T> {
    type Item = Result<T, ValueError>;

    #[inline]
    fn next(&mut self) -> Option<Result<T, ValueError>> {
        let element = self.elements.next()?;
        Some(match &self.elements.form {
            Form::Text { scan, .. } => scan.value(element),
            Form::Binary { packed, .. } => packed.value(element),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.elements.size_hint()
    }
}

impl<'a, T: FromColumn<'a>> ExactSizeIterator for Values<'a, T> {}
impl<'a, T: FromColumn<'a>> FusedIterator for Values<'a, T> {}

/// An array of `box`, the only type of the server's own whose elements are set apart by semicolons.
#[derive(Clone, Copy, Debug)]
pub struct BoxArray<'a>(pub Array<'a>);

impl<'a> FromColumn<'a> for BoxArray<'a> {
    const EXPECTED: Expected = Expected::Array;

    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        Array::scan(Quoted::plain(text), b';').map(Self)
    }

    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        Array::from_binary(bytes).map(Self)
    }

    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        Array::scan(text, b';').map(Self)
    }
}
