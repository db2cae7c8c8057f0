//! What a column holds on its way: PostgreSQL's text on one side, a typed value for a destination on the other.
//!
//! What a text means is decided by the column's *base type* (a domain is read as what it is made of), and only
//! where the destination gains by it; everything else stays the text that the server sent, byte for byte.
//!
//! | PostgreSQL | [`Kind`] | [`Value`] | SQLite column |
//! |---|---|---|---|
//! | `boolean` | [`Kind::Bool`] | `Integer` 0 or 1 | `INTEGER` |
//! | `smallint`, `integer`, `bigint` | [`Kind::Int2`], [`Kind::Int4`], [`Kind::Int8`] | `Integer`, all 64 bits | `INTEGER` |
//! | `oid` | [`Kind::Oid`] | `Integer` 0 to 4294967295 | `INTEGER` |
//! | `real`, `double precision` | [`Kind::Float4`], [`Kind::Float8`] | `Real`; `NaN`, `Infinity`, `-Infinity` and `-0` are `Text`, spelled so | no declared type |
//! | `bytea` | [`Kind::Bytea`] | `Blob` | `BLOB` |
//! | `numeric` | [`Kind::Text`] | `Text`, every digit and trailing zero, `NaN` and `Infinity` too | `TEXT` |
//! | `text`, `varchar`, `char(n)`, `name`, `"char"` | [`Kind::Text`] | `Text`; the blanks that pad `char(n)` stay | `TEXT` |
//! | `date`, `time`, `timetz`, `timestamp`, `timestamptz`, `interval` | [`Kind::Text`] | `Text` in ISO form at UTC; `infinity`, `BC`, `24:00:00` and years past 9999 as they are | `TEXT` |
//! | `json`, `jsonb`, `xml` | [`Kind::Text`] | `Text`, `json` as it was written, double keys included | `TEXT` |
//! | arrays, enums, composites, ranges, multiranges | [`Kind::Text`] | `Text`, as PostgreSQL prints them: `{1,NULL}`, `[0:1]={7,8}`, `(a,"b c")`, `[1,5)` | `TEXT` |
//! | `uuid`, `inet`, `cidr`, `macaddr`, `bit`, `money`, geometry, `tsvector`, … | [`Kind::Text`] | `Text` | `TEXT` |
//! | a domain | that of its base type | | |
//! | NULL | any | `Null` | |
//!
//! A `real` is held as the double that its shortest text stands for (`0.1`, not `0.10000000149011612`), and is
//! printed as a `real` again by [`Value::to_text`].

mod float;

use std::fmt;

use walproto::value::{Bytea, FromColumn};
use walproto::{Column, Oid};

/// A value for a destination.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// Booleans, integers and object identifiers.
    Integer(i64),
    /// A finite floating point number other than negative zero.
    Real(f64),
    /// Text without a zero byte.
    Text(String),
    /// Any bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// The value that PostgreSQL's text stands for.
    ///
    /// # Errors
    ///
    /// Anything that the type's output function does not print is refused; nothing is guessed.
    pub fn from_text(kind: Kind, text: &[u8]) -> Result<Self, ValueError> {
        kind.value(text)
    }

    /// The value of a column of the stream, `None` when the stream does not hold it (unchanged TOAST).
    ///
    /// # Errors
    ///
    /// As [`from_text`](Self::from_text); binary columns are refused, because nothing here asks for them.
    pub fn from_column(kind: Kind, column: Column<'_>) -> Result<Option<Self>, ValueError> {
        match column {
            Column::Null => Ok(Some(Self::Null)),
            Column::Unchanged => Ok(None),
            Column::Text(text) => kind.value(text).map(Some),
            Column::Binary(bytes) => Err(kind.error(Problem::Binary, bytes)),
        }
    }

    /// PostgreSQL's text of a value that a destination gave back; `None` for NULL.
    ///
    /// # Errors
    ///
    /// A value that [`from_text`](Self::from_text) never makes for this kind: somebody else wrote it.
    pub fn to_text(&self, kind: Kind) -> Result<Option<String>, ValueError> {
        kind.text(self)
    }

    /// Whether this is SQL NULL.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Bytes that are taken apart from the value itself, for those who count memory. Allocators give no less than 32 and
    /// keep their books beside it, which for short texts is most of it.
    pub fn heap_size(&self) -> usize {
        const BOOKS: usize = size_of::<usize>();
        const STEP: usize = 16;
        match self {
            Self::Text(text) if text.capacity() > 0 => text.capacity() + BOOKS,
            Self::Blob(bytes) if bytes.capacity() > 0 => bytes.capacity() + BOOKS,
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Text(_) | Self::Blob(_) => {
                return 0;
            }
        }
        .max(2 * STEP)
        .next_multiple_of(STEP)
    }
}

impl fmt::Display for Value {
    /// For messages: SQL-like and cut where it is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(number) => number.fmt(f),
            Self::Real(number) => f.write_str(&float::float8(*number)),
            Self::Text(text) => write!(f, "{}", Excerpt(text.as_bytes())),
            Self::Blob(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// How the text of a base type becomes a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named as its type")]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Bytea,
    /// Everything that stays the text it is.
    Text,
}

impl Kind {
    /// The kind of a base type; for a domain hand in what it is made of.
    pub const fn of(base: Oid) -> Self {
        // pg_type.dat: these numbers are fixed for good.
        match base.0 {
            16 => Self::Bool,
            17 => Self::Bytea,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            26 => Self::Oid,
            700 => Self::Float4,
            701 => Self::Float8,
            _ => Self::Text,
        }
    }

    /// PostgreSQL's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Oid => "oid",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Bytea => "bytea",
            Self::Text => "text",
        }
    }

    fn value(self, text: &[u8]) -> Result<Value, ValueError> {
        match self {
            Self::Bool => match text {
                b"t" => Ok(Value::Integer(1)),
                b"f" => Ok(Value::Integer(0)),
                _ => Err(self.error(Problem::Malformed, text)),
            },
            Self::Int2 => self.integer(text, i16::MIN.into(), i16::MAX.into()),
            Self::Int4 => self.integer(text, i32::MIN.into(), i32::MAX.into()),
            Self::Int8 => self.integer(text, i64::MIN, i64::MAX),
            Self::Oid => self.integer(text, 0, u32::MAX.into()),
            Self::Float4 | Self::Float8 => self.float(text),
            Self::Bytea => self.bytes(text),
            Self::Text => self.str(text).map(|text| Value::Text(text.to_owned())),
        }
    }

    fn text(self, value: &Value) -> Result<Option<String>, ValueError> {
        let text = match (self, value) {
            (_, Value::Null) => return Ok(None),
            (Self::Bool, Value::Integer(0)) => "f".to_owned(),
            (Self::Bool, Value::Integer(1)) => "t".to_owned(),
            (Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid, Value::Integer(number)) => {
                number.to_string()
            }
            (Self::Float4, Value::Real(number)) => float::float4(*number as f32),
            (Self::Float8, Value::Real(number)) => float::float8(*number),
            (Self::Float4 | Self::Float8, Value::Text(text)) if is_special(text.as_bytes()) => {
                text.clone()
            }
            (Self::Bytea, Value::Blob(bytes)) => hex(bytes),
            (Self::Text, Value::Text(text)) => text.clone(),
            (_, other) => {
                return Err(ValueError {
                    kind: self,
                    problem: Problem::Foreign,
                    excerpt: other.to_string(),
                });
            }
        };
        Ok(Some(text))
    }

    fn integer(self, text: &[u8], min: i64, max: i64) -> Result<Value, ValueError> {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        // Only what an output function prints: no plus sign, no leading zero, no "-0".
        let canonical = match digits {
            [b'0'] => text.len() == 1,
            [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
            [] => false,
        };
        std::str::from_utf8(text)
            .ok()
            .filter(|_| canonical)
            .and_then(|text| text.parse().ok())
            .filter(|number| (min..=max).contains(number))
            .map(Value::Integer)
            .ok_or_else(|| self.error(Problem::Malformed, text))
    }

    fn float(self, text: &[u8]) -> Result<Value, ValueError> {
        if is_special(text) {
            return Ok(Value::Text(String::from_utf8_lossy(text).into_owned()));
        }
        let malformed = || self.error(Problem::Malformed, text);
        // The standard parser also knows "inf", "nan" and their relatives, which PostgreSQL never prints.
        let plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e');
        if !text.iter().all(plain) {
            return Err(malformed());
        }
        let digits = std::str::from_utf8(text).map_err(|_| malformed())?;
        let mut number: f64 = digits.parse().map_err(|_| malformed())?;
        if self == Self::Float4 {
            let single: f32 = digits.parse().map_err(|_| malformed())?;
            // Rounding twice could end at a neighbour; the exact value of the single never does.
            if (number as f32).to_bits() != single.to_bits() {
                number = single.into();
            }
            if !single.is_finite() {
                return Err(malformed());
            }
        }
        if !number.is_finite() || number.is_sign_negative() && number == 0.0 {
            return Err(malformed());
        }
        Ok(Value::Real(number))
    }

    fn bytes(self, text: &[u8]) -> Result<Value, ValueError> {
        if !text.starts_with(b"\\x") {
            return Err(self.error(Problem::NotHex, text));
        }
        let bytes = Bytea::from_text(text).map_err(|_| self.error(Problem::Malformed, text))?;
        let mut blob = vec![0; bytes.len()];
        bytes
            .decode_into(&mut blob)
            .expect("a buffer of its length");
        Ok(Value::Blob(blob))
    }

    /// A text that every destination can hold.
    pub(crate) fn str(self, text: &[u8]) -> Result<&str, ValueError> {
        if text.contains(&0) {
            return Err(self.error(Problem::ZeroByte, text));
        }
        std::str::from_utf8(text).map_err(|_| self.error(Problem::NotUtf8, text))
    }

    #[cold]
    fn error(self, problem: Problem, text: &[u8]) -> ValueError {
        ValueError {
            kind: self,
            problem,
            excerpt: Excerpt(text).to_string(),
        }
    }
}

/// What has no place among the numbers of every destination, and negative zero, which SQLite would turn into zero.
fn is_special(text: &[u8]) -> bool {
    matches!(text, b"NaN" | b"Infinity" | b"-Infinity" | b"-0")
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

/// A text that is no value of its type, or a value that is not what its column should hold.
///
/// Knows the type; who has the row adds table, column and position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    kind: Kind,
    problem: Problem,
    excerpt: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Malformed,
    NotHex,
    ZeroByte,
    NotUtf8,
    Binary,
    Foreign,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            problem,
            excerpt,
        } = self;
        let kind = kind.name();
        match problem {
            Problem::Malformed => {
                write!(f, "{excerpt} is not what PostgreSQL prints for type {kind}")
            }
            Problem::NotHex => write!(
                f,
                "{excerpt} is not {kind} in hex form; bytea_output must be hex"
            ),
            Problem::ZeroByte => write!(f, "{excerpt} has a zero byte, which no {kind} can"),
            Problem::NotUtf8 => write!(
                f,
                "{excerpt} is not UTF-8; a database with encoding SQL_ASCII holds bytes that no destination can read as text"
            ),
            Problem::Binary => write!(f, "the {kind} came in binary form, which was not asked for"),
            Problem::Foreign => write!(f, "{excerpt} is not how a {kind} is stored here"),
        }
    }
}

impl std::error::Error for ValueError {}

/// The beginning of some bytes, quoted and escaped, for a message.
struct Excerpt<'a>(&'a [u8]);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 40;
        let shown = &self.0[..self.0.len().min(LONGEST)];
        let more = if self.0.len() > LONGEST { "…" } else { "" };
        match std::str::from_utf8(shown) {
            Ok(text) => write!(f, "'{}{more}'", text.escape_debug()),
            Err(_) => write!(f, "'{}{more}'", shown.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests;
