//! Composite values: rows inside a column.

use core::fmt;
use core::iter::FusedIterator;

use super::element::Element;
use super::nested::{Quoting, Scan, Stops};
use super::packed::Packed;
use super::{Expected, FromColumn, Quoted, ValueError, ValueErrorKind};
use crate::Oid;

/// A value of a composite type, whose fields stand in the order of the type, dropped ones left out.
///
/// Text: the fields in parentheses, set apart by commas, nothing for NULL; in quotes where they are empty or hold one
/// of these, a quote, a backslash or white space. `()` is one field that is NULL; the server writes the same for a type
/// without fields.
///
/// Binary: 32-bit number of fields; per field its type, 32-bit length, -1 for NULL, and that many bytes.
///
/// Composites of one to twelve fields can also be read as tuples:
///
/// ```
/// use walproto::Column;
/// use walproto::value::{Composite, Quoted};
///
/// let column = Column::Text(br#"(t,"say ""a""",)"#);
/// let (flag, text, missing): (bool, Quoted, Option<bool>) = column.value()?;
/// assert!(flag && text == r#"say "a""# && missing.is_none());
///
/// let mut fields = column.value::<Composite>()?.fields();
/// assert_eq!(fields.len(), 3);
/// assert_eq!(fields.value(), Ok(true));
/// # Ok::<(), walproto::value::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Composite<'a> {
    len: usize,
    form: Form<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    /// From the parenthesis, or the comma, in front of the next field.
    Text(Scan<'a>),
    /// From the next field's type on.
    Binary(Packed<'a>),
}

impl<'a> Composite<'a> {
    /// Number of fields.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the type has no fields, which only the binary form tells.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The fields in order.
    #[inline]
    pub const fn fields(&self) -> Fields<'a> {
        Fields {
            left: self.len,
            form: self.form,
        }
    }

    /// The types of the fields, which only the binary form names.
    pub const fn types(&self) -> Option<FieldTypes<'a>> {
        match self.form {
            Form::Text(_) => None,
            Form::Binary(packed) => Some(FieldTypes {
                left: self.len,
                packed,
            }),
        }
    }
}

impl<'a> FromColumn<'a> for Composite<'a> {
    const EXPECTED: Expected = Expected::Composite;

    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        Self::from_quoted(Quoted::plain(text))
    }

    // rowtypes.c: record_send
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let mut packed = Packed::new(bytes, Self::EXPECTED);
        let at = packed;
        // A count that the bytes do not hold ends the loop at their end.
        let count = packed.count()?;
        let len = usize::try_from(count).map_err(|_| at.error(ValueErrorKind::OutOfRange))?;
        let form = Form::Binary(packed);
        for _ in 0..count {
            packed_field(&mut packed)?;
        }
        packed.finish()?;
        Ok(Self { len, form })
    }

    // rowtypes.c: record_out
    fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
        let mut scan = Scan::new(text, Self::EXPECTED);
        let form = Form::Text(scan);
        let mut len = 0;
        scan.expect(b'(')?;
        loop {
            field(&mut scan)?;
            len += 1;
            if scan.take(|byte| matches!(byte, b',' | b')'))? == b')' {
                break;
            }
        }
        scan.finish()?;
        Ok(Self { len, form })
    }
}

/// What stands in quotes in a composite.
const STOPS: &Stops = &Stops::new(b"(),");

#[inline]
fn field<'a>(scan: &mut Scan<'a>) -> Result<Element<'a>, ValueError> {
    Ok(scan
        .item(Quoting::Doubled, |byte| STOPS.has(byte))?
        .unwrap_or(Element::Null))
}

#[inline]
fn packed_field<'a>(packed: &mut Packed<'a>) -> Result<(Oid, Element<'a>), ValueError> {
    Ok((Oid(packed.u32()?), packed.element()?))
}

impl<'a> IntoIterator for Composite<'a> {
    type Item = Element<'a>;
    type IntoIter = Fields<'a>;

    fn into_iter(self) -> Fields<'a> {
        self.fields()
    }
}

impl fmt::Debug for Composite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields()).finish()
    }
}

/// The fields of a [`Composite`]; never fails, because the composite was checked when it was read.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    left: usize,
    form: Form<'a>,
}

impl<'a> Fields<'a> {
    /// The next field, read as `T`.
    ///
    /// # Errors
    ///
    /// As for [`Element::value`], or there is no field left.
    #[inline]
    pub fn value<T: FromColumn<'a>>(&mut self) -> Result<T, ValueError> {
        let Some(field) = self.next() else {
            return Err(self.field_count());
        };
        match &self.form {
            Form::Text(scan) => scan.value(field),
            Form::Binary(packed) => packed.value(field),
        }
    }

    #[cold]
    fn field_count(&self) -> ValueError {
        let offset = match &self.form {
            Form::Text(scan) => scan.offset(),
            Form::Binary(packed) => packed.offset(),
        };
        ValueError::new(ValueErrorKind::FieldCount, Expected::Composite, offset)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.form {
            Form::Text(scan) => {
                scan.take(|byte| matches!(byte, b'(' | b',')).ok()?;
                field(scan).ok()
            }
            Form::Binary(packed) => packed_field(packed).ok().map(|(_, field)| field),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}
impl FusedIterator for Fields<'_> {}

/// The types of the fields of a [`Composite`] in binary form.
#[derive(Clone, Debug)]
pub struct FieldTypes<'a> {
    left: usize,
    packed: Packed<'a>,
}

impl Iterator for FieldTypes<'_> {
    type Item = Oid;

    fn next(&mut self) -> Option<Oid> {
        self.left = self.left.checked_sub(1)?;
        packed_field(&mut self.packed).ok().map(|(oid, _)| oid)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for FieldTypes<'_> {}
impl FusedIterator for FieldTypes<'_> {}

macro_rules! tuples {
    ($($count:literal: $($field:ident)+;)+) => {$(
        impl<'a, $($field: FromColumn<'a>),+> FromColumn<'a> for ($($field,)+) {
            const EXPECTED: Expected = Expected::Composite;

            fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
                Composite::from_text(text).and_then(Self::try_from)
            }

            fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
                Composite::from_binary(bytes).and_then(Self::try_from)
            }

            fn from_quoted(text: Quoted<'a>) -> Result<Self, ValueError> {
                Composite::from_quoted(text).and_then(Self::try_from)
            }
        }

        impl<'a, $($field: FromColumn<'a>),+> TryFrom<Composite<'a>> for ($($field,)+) {
            type Error = ValueError;

            fn try_from(composite: Composite<'a>) -> Result<Self, ValueError> {
                let mut fields = composite.fields();
                if composite.len != $count {
                    return Err(fields.field_count());
                }
                Ok(($(fields.value::<$field>()?,)+))
            }
        }
    )+};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
    9: A B C D E F G H I;
    10: A B C D E F G H I J;
    11: A B C D E F G H I J K;
    12: A B C D E F G H I J K L;
}
