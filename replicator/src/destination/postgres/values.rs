//! Values on their way to the server: as arrays of a statement's parameters, and as lines of COPY.

use std::borrow::Cow;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid as PgOid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

use crate::value::{Kind, Value, ValueError};

/// The values of one column in several rows, as one parameter.
pub(super) struct Array<'a> {
    /// What travels: the binary form of a type, or text.
    pub(super) travels: Kind,
    /// What the source's column is.
    pub(super) kind: Kind,
    pub(super) values: Vec<&'a Value>,
}

impl Type<Postgres> for Array<'_> {
    fn type_info() -> PgTypeInfo {
        array_of(Kind::Text)
    }
}

impl Encode<'_, Postgres> for Array<'_> {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // arrayfuncs.c: array_recv
        let has_null = self.values.iter().any(|value| value.is_null());
        for number in [
            1, // dimension
            i32::from(has_null),
            element(self.travels).cast_signed(),
            i32::try_from(self.values.len())?,
            1, // lower bound
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for value in &self.values {
            if value.is_null() {
                out.extend_from_slice(&(-1_i32).to_be_bytes());
                continue;
            }
            let at = out.len();
            out.extend_from_slice(&[0; 4]);
            self.put(value, out)?;
            let length = i32::try_from(out.len() - at - 4)?;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(array_of(self.travels))
    }
}

impl Array<'_> {
    fn put(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), BoxDynError> {
        match (self.travels, value) {
            (Kind::Bool, Value::Integer(number)) => out.push(u8::from(*number != 0)),
            (Kind::Int2, Value::Integer(number)) => {
                out.extend_from_slice(&i16::try_from(*number)?.to_be_bytes());
            }
            (Kind::Int4, Value::Integer(number)) => {
                out.extend_from_slice(&i32::try_from(*number)?.to_be_bytes());
            }
            (Kind::Int8, Value::Integer(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (Kind::Oid, Value::Integer(number)) => {
                out.extend_from_slice(&u32::try_from(*number)?.to_be_bytes());
            }
            // A `real` is held as the double that its text stands for.
            (Kind::Float4, Value::Real(number)) => {
                out.extend_from_slice(&(*number as f32).to_be_bytes());
            }
            (Kind::Float8, Value::Real(number)) => out.extend_from_slice(&number.to_be_bytes()),
            // NaN, Infinity, -Infinity and -0.
            (Kind::Float4, Value::Text(text)) => {
                out.extend_from_slice(&text.parse::<f32>()?.to_be_bytes());
            }
            (Kind::Float8, Value::Text(text)) => {
                out.extend_from_slice(&text.parse::<f64>()?.to_be_bytes());
            }
            (Kind::Bytea, Value::Blob(bytes)) => out.extend_from_slice(bytes),
            (Kind::Text, value) => {
                out.extend_from_slice(text(value, self.kind)?.unwrap_or_default().as_bytes());
            }
            (travels, value) => {
                return Err(format!("{value} cannot travel as {}", travels.name()).into());
            }
        }
        Ok(())
    }
}

/// PostgreSQL's text of a value, `None` for NULL.
pub(super) fn text(value: &Value, kind: Kind) -> Result<Option<Cow<'_, str>>, ValueError> {
    match value {
        Value::Text(text) => Ok(Some(Cow::Borrowed(text))),
        other => Ok(other.to_text(kind)?.map(Cow::Owned)),
    }
}

/// Appends a row as a line of COPY's text format.
pub(super) fn line<'a>(
    values: impl Iterator<Item = (&'a Value, Kind)>,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    for (count, (value, kind)) in values.enumerate() {
        if count > 0 {
            out.push(b'\t');
        }
        match text(value, kind)? {
            None => out.extend_from_slice(b"\\N"),
            Some(text) => escape(text.as_bytes(), out),
        }
    }
    out.push(b'\n');
    Ok(())
}

/// What COPY reads as something else than itself: its separators, the backslash, and a carriage return.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.push(byte),
        }
    }
}

/// `pg_type.oid` of what an array of this kind holds.
const fn element(kind: Kind) -> u32 {
    match kind {
        Kind::Bool => 16,
        Kind::Bytea => 17,
        Kind::Int8 => 20,
        Kind::Int2 => 21,
        Kind::Int4 => 23,
        Kind::Text => 25,
        Kind::Oid => 26,
        Kind::Float4 => 700,
        Kind::Float8 => 701,
    }
}

const fn array_of(kind: Kind) -> PgTypeInfo {
    PgTypeInfo::with_oid(PgOid(match kind {
        Kind::Bool => 1000,
        Kind::Bytea => 1001,
        Kind::Int2 => 1005,
        Kind::Int4 => 1007,
        Kind::Text => 1009,
        Kind::Int8 => 1016,
        Kind::Float4 => 1021,
        Kind::Float8 => 1022,
        Kind::Oid => 1028,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(travels: Kind, kind: Kind, values: &[Value]) -> Vec<u8> {
        let mut out = PgArgumentBuffer::default();
        let array = Array {
            travels,
            kind,
            values: values.iter().collect(),
        };
        assert!(matches!(array.encode_by_ref(&mut out), Ok(IsNull::No)));
        out.to_vec()
    }

    #[test]
    fn an_array_is_laid_out_as_the_server_reads_it() {
        let layout = [
            0, 0, 0, 1, // dimensions
            0, 0, 0, 1, // has a NULL
            0, 0, 0, 23, // of integer
            0, 0, 0, 2, // values
            0, 0, 0, 1, // lower bound
            0, 0, 0, 4, 0xFF, 0xFF, 0xFF, 0xFE, // -2
            0xFF, 0xFF, 0xFF, 0xFF, // NULL
        ];
        let values = [Value::Integer(-2), Value::Null];
        assert_eq!(bytes(Kind::Int4, Kind::Int4, &values), layout);
    }

    #[test]
    fn what_does_not_travel_in_its_own_form_is_postgres_text() {
        for (kind, value, text) in [
            (Kind::Bool, Value::Integer(1), "t"),
            (Kind::Int8, Value::Integer(-7), "-7"),
            (Kind::Float4, Value::Real(0.1), "0.1"),
            (Kind::Float8, Value::Text("-0".to_owned()), "-0"),
            (Kind::Bytea, Value::Blob(vec![0, 255]), "\\x00ff"),
        ] {
            let bytes = bytes(Kind::Text, kind, &[value]);
            assert_eq!(&bytes[24..], text.as_bytes());
        }
    }

    #[test]
    fn a_line_escapes_what_copy_would_read_as_something_else() {
        let row = [
            Value::Text("a\tb\nc\\N\r".to_owned()),
            Value::Null,
            Value::Text(String::new()),
            Value::Text("\\.".to_owned()),
        ];
        let mut out = Vec::new();
        line(row.iter().map(|value| (value, Kind::Text)), &mut out).unwrap();
        assert_eq!(out, b"a\\tb\\nc\\\\N\\r\t\\N\t\t\\\\.\n");
    }
}
