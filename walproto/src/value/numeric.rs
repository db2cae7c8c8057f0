//! Exact decimal numbers.

mod convert;

use core::cmp::Ordering;
use core::fmt;
use core::iter::FusedIterator;
use core::ops::Range;

use super::scan::digit;
use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// As many digits as the server keeps before and after the point.
const LONGEST_INTEGER: usize = 131_072;
const LONGEST_FRACTION: usize = 16_383;

/// In the binary form a digit has ten thousand values.
const BASE: u16 = 10_000;
const POWERS: [u16; 4] = [1, 10, 100, 1_000];

/// A `numeric`, exactly: a decimal number of any length, `NaN` or infinity, in whichever form it came.
///
/// Compares as on the server, by value and whatever the scale and the form: `1.0` equals `1.00`, `NaN` equals itself
/// and is greater than everything else. Compare [`scale`](Self::scale) too where zeros at the end matter.
///
/// ```
/// use walproto::Column;
/// use walproto::value::Numeric;
///
/// let price: Numeric = Column::Text(b"-1234.50").value()?;
/// assert_eq!((price.unscaled(), price.scale()), (Some(-123_450), 2));
/// assert_eq!(price.to_f64(), -1234.5);
/// assert_eq!(price.to_string(), "-1234.50");
/// # Ok::<(), walproto::value::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Numeric<'a> {
    negative: bool,
    form: Form<'a>,
}

#[derive(Clone, Copy)]
enum Form<'a> {
    NaN,
    Infinity,
    /// ASCII digits; the integer part has no zeros in front, but is never empty.
    Text {
        integer: &'a [u8],
        fraction: &'a [u8],
    },
    /// Digits of base 10,000, of which the first counts for 10,000 to the power of `weight`; no zeros at either end.
    Binary {
        groups: &'a [[u8; 2]],
        weight: i16,
        scale: u16,
    },
}

impl<'a> Numeric<'a> {
    /// Whether this is `NaN`.
    pub const fn is_nan(self) -> bool {
        matches!(self.form, Form::NaN)
    }

    /// Whether this is `Infinity` or `-Infinity`.
    pub const fn is_infinite(self) -> bool {
        matches!(self.form, Form::Infinity)
    }

    /// Whether this is a number, neither `NaN` nor infinite.
    pub const fn is_finite(self) -> bool {
        !self.is_nan() && !self.is_infinite()
    }

    /// Whether this is less than zero.
    pub const fn is_negative(self) -> bool {
        self.negative
    }

    /// Whether this is zero, of any scale.
    pub fn is_zero(self) -> bool {
        match self.form {
            Form::NaN | Form::Infinity => false,
            Form::Text { integer, fraction } => is_zero(integer) && is_zero(fraction),
            Form::Binary { groups, .. } => groups.is_empty(),
        }
    }

    /// Number of digits after the point, as printed; 0 for `NaN` and infinity.
    pub fn scale(self) -> u16 {
        match self.form {
            Form::NaN | Form::Infinity => 0,
            Form::Text { fraction, .. } => u16::try_from(fraction.len()).unwrap_or(u16::MAX),
            Form::Binary { scale, .. } => scale,
        }
    }

    /// The decimal digits as printed, each from 0 to 9: at least one before the point, then as many as
    /// [`scale`](Self::scale) says. None for `NaN` and infinity.
    pub fn digits(self) -> Digits<'a> {
        Digits {
            places: match self.form {
                Form::NaN | Form::Infinity => 0..0,
                _ => 1 - self.integer_len()..i32::from(self.scale()) + 1,
            },
            numeric: self,
        }
    }

    /// Number of digits before the point, as printed.
    #[inline]
    fn integer_len(self) -> i32 {
        match self.form {
            Form::NaN | Form::Infinity => 0,
            Form::Text { integer, .. } => i32::try_from(integer.len()).unwrap_or(i32::MAX),
            Form::Binary { groups, weight, .. } => {
                let first = groups.first().map_or(0, |group| u16::from_be_bytes(*group));
                let len = POWERS.iter().filter(|&&power| first >= power).count();
                let len = i32::try_from(len).unwrap_or_default();
                (i32::from(weight) * 4 + len).max(1)
            }
        }
    }

    /// The digit at a place: 0 is that of the ones, 1 the first after the point.
    #[inline]
    fn digit(self, place: i32) -> u8 {
        let found = match self.form {
            Form::NaN | Form::Infinity => None,
            Form::Text { integer, fraction } => match usize::try_from(place - 1) {
                Ok(place) => fraction.get(place),
                Err(_) => usize::try_from(-place)
                    .ok()
                    .and_then(|place| integer.len().checked_sub(place + 1))
                    .and_then(|index| integer.get(index)),
            }
            .map(|byte| byte - b'0'),
            Form::Binary { groups, weight, .. } => {
                let place = place + 3 + i32::from(weight) * 4;
                let index = usize::try_from(place.div_euclid(4)).ok();
                index.and_then(|index| groups.get(index)).map(|group| {
                    let [_, low] = match place.rem_euclid(4) {
                        0 => u16::from_be_bytes(*group) / 1_000,
                        1 => u16::from_be_bytes(*group) / 100 % 10,
                        2 => u16::from_be_bytes(*group) / 10 % 10,
                        _ => u16::from_be_bytes(*group) % 10,
                    }
                    .to_be_bytes();
                    low
                })
            }
        };
        found.unwrap_or_default()
    }

    /// Compares two finite numbers without their signs.
    fn compare_magnitude(self, other: Self) -> Ordering {
        if let (
            Form::Binary { groups, weight, .. },
            Form::Binary {
                groups: other,
                weight: weight_of_other,
                ..
            },
        ) = (self.form, other.form)
            && !groups.is_empty()
            && !other.is_empty()
        {
            return weight.cmp(&weight_of_other).then_with(|| groups.cmp(other));
        }
        let integer_len = self.integer_len();
        integer_len.cmp(&other.integer_len()).then_with(|| {
            let last = i32::from(self.scale().max(other.scale()));
            let digits = |numeric: Self| (1 - integer_len..=last).map(move |at| numeric.digit(at));
            digits(self).cmp(digits(other))
        })
    }

    /// Where this stands among the values that are not compared by their digits.
    fn class(self) -> u8 {
        match self.form {
            Form::Infinity if self.negative => 0,
            Form::Text { .. } | Form::Binary { .. } => 1,
            Form::Infinity => 2,
            Form::NaN => 3,
        }
    }
}

fn is_zero(digits: &[u8]) -> bool {
    digits.iter().all(|&byte| byte == b'0')
}

/// Decimal digits with `-` before and a point between them, `NaN`, `Infinity` or `-Infinity`.
///
/// In the binary form four numbers of 16 bits (how many digits follow, the weight of the first, sign or kind, scale),
/// then digits of base 10,000 of 16 bits each.
impl<'a> FromColumn<'a> for Numeric<'a> {
    const EXPECTED: Expected = Expected::Numeric;

    // numeric.c: numeric_out
    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let first = digits.first().copied().and_then(digit);
        let form = match digits {
            _ if first.is_some() => decimal(digits, text.len())?,
            b"Infinity" => Form::Infinity,
            b"NaN" if !negative => Form::NaN,
            [] => return Err(error(ValueErrorKind::Truncated, text.len())),
            _ => {
                return Err(error(
                    ValueErrorKind::UnexpectedByte,
                    text.len() - digits.len(),
                ));
            }
        };
        Ok(Self::new(negative, form))
    }

    // numeric.c: numeric_send
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let Some((&[c0, c1, w0, w1, k0, k1, s0, s1], rest)) = bytes.split_first_chunk() else {
            return Err(error(ValueErrorKind::Truncated, bytes.len()));
        };
        let (groups, odd) = rest.as_chunks();
        let count = usize::from(u16::from_be_bytes([c0, c1]));
        if groups.len() < count {
            return Err(error(ValueErrorKind::Truncated, bytes.len()));
        }
        if groups.len() > count || !odd.is_empty() {
            return Err(error(ValueErrorKind::TrailingBytes, 8 + count * 2));
        }
        let weight = i16::from_be_bytes([w0, w1]);
        let scale = u16::from_be_bytes([s0, s1]);
        match u16::from_be_bytes([k0, k1]) {
            0x0000 => binary(groups, weight, scale).map(|form| Self::new(false, form)),
            0x4000 => binary(groups, weight, scale).map(|form| Self::new(true, form)),
            // What else stands there means nothing: infinity comes with a scale of 32.
            0xC000 => Ok(Self::new(false, Form::NaN)),
            0xD000 => Ok(Self::new(false, Form::Infinity)),
            0xF000 => Ok(Self::new(true, Form::Infinity)),
            _ => Err(error(ValueErrorKind::UnexpectedByte, 4)),
        }
    }
}

impl<'a> Numeric<'a> {
    #[inline]
    fn new(negative: bool, form: Form<'a>) -> Self {
        let unsigned = Self {
            negative: false,
            form,
        };
        Self {
            // Zero has no sign.
            negative: negative && !unsigned.is_zero(),
            form,
        }
    }
}

/// Digits that begin with one, at the end of a text of `len` bytes.
fn decimal(digits: &[u8], len: usize) -> Result<Form<'_>, ValueError> {
    let at = |rest: &[u8]| len - rest.len();
    let (integer, rest) = digits.split_at(leading(digits));
    let fraction = match rest {
        [] => rest,
        [b'.', fraction @ ..] => {
            let (_, after) = fraction.split_at(leading(fraction));
            match after {
                [] if fraction.is_empty() => return Err(error(ValueErrorKind::Truncated, len)),
                [] => fraction,
                _ => return Err(error(ValueErrorKind::UnexpectedByte, at(after))),
            }
        }
        _ => return Err(error(ValueErrorKind::UnexpectedByte, at(rest))),
    };
    let zeros = integer.iter().take_while(|&&byte| byte == b'0').count();
    let zeros = zeros.min(integer.len() - 1);
    let integer = integer.get(zeros..).unwrap_or_default();
    if integer.len() > LONGEST_INTEGER || fraction.len() > LONGEST_FRACTION {
        return Err(error(ValueErrorKind::OutOfRange, at(digits)));
    }
    Ok(Form::Text { integer, fraction })
}

/// Number of digits in front.
#[inline]
fn leading(text: &[u8]) -> usize {
    let end = text.iter().position(|&byte| digit(byte).is_none());
    end.unwrap_or(text.len())
}

/// Checks digits of base 10,000.
fn binary(groups: &[[u8; 2]], mut weight: i16, scale: u16) -> Result<Form<'_>, ValueError> {
    if usize::from(scale) > LONGEST_FRACTION {
        return Err(error(ValueErrorKind::OutOfRange, 6));
    }
    let wrong = |group: &[u8; 2]| u16::from_be_bytes(*group) >= BASE;
    if let Some(index) = groups.iter().position(wrong) {
        return Err(error(ValueErrorKind::OutOfRange, 8 + index * 2));
    }
    let mut kept = groups;
    while let [[0, 0], rest @ ..] = kept {
        kept = rest;
        // Zeros may hold a place beyond the range, where nothing is.
        weight = weight.saturating_sub(1);
    }
    while let [rest @ .., [0, 0]] = kept {
        kept = rest;
    }
    let Some(last) = kept.last() else {
        weight = 0;
        return Ok(Form::Binary {
            groups: kept,
            weight,
            scale,
        });
    };
    // The server never hides digits behind the last that it prints.
    let after_point = (kept.len() as i64 - 1 - i64::from(weight)) * 4;
    let hidden = match usize::try_from(after_point - i64::from(scale)) {
        Ok(hidden @ 1..4) => {
            let power = POWERS.get(hidden).copied().unwrap_or(BASE);
            u16::from_be_bytes(*last) % power != 0
        }
        Ok(4..) => true,
        Ok(0) | Err(_) => false,
    };
    if hidden {
        return Err(error(ValueErrorKind::OutOfRange, 6));
    }
    Ok(Form::Binary {
        groups: kept,
        weight,
        scale,
    })
}

#[cold]
fn error(kind: ValueErrorKind, at: usize) -> ValueError {
    ValueError::new(kind, Expected::Numeric, at)
}

impl PartialEq for Numeric<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric<'_> {}

impl PartialOrd for Numeric<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric<'_> {
    // numeric.c: cmp_numerics
    fn cmp(&self, other: &Self) -> Ordering {
        self.class().cmp(&other.class()).then_with(|| {
            if !self.is_finite() {
                return Ordering::Equal;
            }
            match (self.negative, other.negative) {
                (false, true) => Ordering::Greater,
                (true, false) => Ordering::Less,
                (false, false) => self.compare_magnitude(*other),
                (true, true) => other.compare_magnitude(*self),
            }
        })
    }
}

/// Prints as the server does.
impl fmt::Display for Numeric<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        match self.form {
            Form::NaN => return f.write_str("NaN"),
            Form::Infinity => return f.write_str("Infinity"),
            Form::Text { .. } | Form::Binary { .. } => {}
        }
        let mut digits = self.digits();
        let fraction = usize::from(self.scale());
        let integer = digits.len() - fraction;
        write_digits(f, digits.by_ref(), integer)?;
        if fraction > 0 {
            f.write_str(".")?;
            write_digits(f, digits, fraction)?;
        }
        Ok(())
    }
}

fn write_digits(
    f: &mut fmt::Formatter<'_>,
    mut digits: impl Iterator<Item = u8>,
    mut count: usize,
) -> fmt::Result {
    let mut buffer = [0; 64];
    while count > 0 {
        let mut len = 0;
        for (slot, digit) in buffer.iter_mut().zip(digits.by_ref().take(count)) {
            *slot = b'0' + digit;
            len += 1;
        }
        count -= len;
        let text = buffer.get(..len).map(core::str::from_utf8);
        f.write_str(text.and_then(Result::ok).ok_or(fmt::Error)?)?;
    }
    Ok(())
}

impl fmt::Debug for Numeric<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Numeric({self})")
    }
}

/// The decimal digits of a [`Numeric`], each from 0 to 9, the most significant first.
#[derive(Clone, Debug)]
pub struct Digits<'a> {
    numeric: Numeric<'a>,
    /// From that before the point, counted down from 0, to those after it, from 1 on.
    places: Range<i32>,
}

impl Iterator for Digits<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        self.places.next().map(|place| self.numeric.digit(place))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl DoubleEndedIterator for Digits<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<u8> {
        self.places
            .next_back()
            .map(|place| self.numeric.digit(place))
    }
}

impl ExactSizeIterator for Digits<'_> {}
impl FusedIterator for Digits<'_> {}
