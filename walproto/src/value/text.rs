//! Text, and what the server sends as text in both forms: names, enums, json, xml.

use core::fmt;

use super::scan::{exact, octal};
use super::{Expected, FromColumn, Quoted, ValueError, ValueErrorKind};

/// `text`, `varchar`, `char(n)`, `name`, enums, `json`, `xml`, `citext`: their binary form is their text. Any type's
/// text form, such as `money`.
///
/// Read a column whose binary form is no text as its own type: nothing here can tell them apart.
impl<'a> FromColumn<'a> for &'a str {
    const EXPECTED: Expected = Expected::Text;

    // varlena.c: textout
    #[inline]
    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        str(text, Self::EXPECTED)
    }

    // varlena.c: textsend
    #[inline]
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        str(bytes, Self::EXPECTED)
    }
}

/// The text of a `json` or `jsonb` value, which is left for a JSON parser to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Json<'a>(pub &'a str);

/// JSON text; in the binary form of `jsonb` after a version byte of 1, with which no JSON text begins.
impl<'a> FromColumn<'a> for Json<'a> {
    const EXPECTED: Expected = Expected::Json;

    // json.c: json_out; jsonb.c: jsonb_out
    #[inline]
    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        str(text, Self::EXPECTED).map(Self)
    }

    // json.c: json_send; jsonb.c: jsonb_send
    #[inline]
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        match bytes {
            [1, text @ ..] => str(text, Self::EXPECTED)
                .map(Self)
                .map_err(|error| error.behind(1)),
            text => str(text, Self::EXPECTED).map(Self),
        }
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A single byte: the type `"char"`, with quotes, as system catalogs use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Char(pub u8);

/// Nothing for 0, the byte itself, or from version 16 on `\` and three octal digits where it is not ASCII; one byte.
impl FromColumn<'_> for Char {
    const EXPECTED: Expected = Expected::Char;

    // char.c: charout
    fn from_text(text: &[u8]) -> Result<Self, ValueError> {
        match *text {
            [] => return Ok(Self(0)),
            [byte] => return Ok(Self(byte)),
            [b'\\', high, middle, low] => {
                if let (Some(high @ 0..=3), Some(middle), Some(low)) =
                    (octal(high), octal(middle), octal(low))
                {
                    return Ok(Self(high << 6 | middle << 3 | low));
                }
            }
            _ => {}
        }
        let trailing = ValueErrorKind::TrailingBytes;
        Err(ValueError::new(trailing, Self::EXPECTED, 1))
    }

    // char.c: charsend
    fn from_binary(bytes: &[u8]) -> Result<Self, ValueError> {
        exact(bytes, Self::EXPECTED).map(|[byte]| Self(byte))
    }

    fn from_quoted(text: Quoted<'_>) -> Result<Self, ValueError> {
        // The longest text has four bytes.
        match text.unescape(&mut [0; 4]) {
            Ok(text) => Self::from_text(text),
            Err(_) => Err(ValueError::new(
                ValueErrorKind::TrailingBytes,
                Self::EXPECTED,
                1,
            )),
        }
    }
}

#[inline]
fn str(bytes: &[u8], expected: Expected) -> Result<&str, ValueError> {
    core::str::from_utf8(bytes)
        .map_err(|error| ValueError::new(ValueErrorKind::NotUtf8, expected, error.valid_up_to()))
}
