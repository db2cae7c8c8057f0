//! Values on their way to the server: as parameters, and as cells of rows that are loaded in bulk.
//!
//! A cell has its column's own type and scale already ([`Typed`]): the driver stores a time of another scale as another
//! time, and a server converts nothing on this way.

use std::borrow::Cow;

use tiberius::error::Error as Driver;
use tiberius::numeric::Numeric;
use tiberius::time::{Date, DateTime2, DateTimeOffset, Time};
use tiberius::{ColumnData, IntoSql, Uuid};

use crate::destination::server::Cell;
use crate::dialect::sqlserver::typed::Typed;
use crate::dialect::sqlserver::types::Held;
use crate::value::Value;

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent<'a>(ColumnData<'a>);

impl Sent<'_> {
    /// Of no use but to keep its number; one that has no value, and a type in every protocol.
    pub(super) const UNUSED: Self = Self(ColumnData::Bit(None));

    /// Whether it is NULL, which the driver writes without a type.
    pub(super) const fn is_null(&self) -> bool {
        matches!(self.0, ColumnData::String(None))
    }
}

impl<'a> IntoSql<'a> for Sent<'a> {
    fn into_sql(self) -> ColumnData<'a> {
        self.0
    }
}

/// A value as a parameter: numbers and bytes as such, texts and NULL as `nvarchar`.
pub(super) fn parameter(value: &Value) -> Sent<'_> {
    Sent(match value {
        Value::Null => ColumnData::String(None),
        Value::Integer(number) => ColumnData::I64(Some(*number)),
        Value::Real(number) => ColumnData::F64(Some(*number)),
        Value::Text(text) => ColumnData::String(Some(Cow::Borrowed(text))),
        Value::Blob(bytes) => ColumnData::Binary(Some(Cow::Borrowed(bytes))),
    })
}

/// A cell of the ledger as a parameter; NULL as a text, as everywhere.
pub(super) fn ours(cell: &Cell) -> Sent<'_> {
    match cell {
        Cell::Null => Sent(ColumnData::String(None)),
        Cell::Truth(truth) => number(i64::from(*truth)),
        Cell::Number(at) => number(*at),
        Cell::Text(text) => Sent(ColumnData::String(Some(Cow::Borrowed(text)))),
    }
}

/// A number of ours as a parameter.
pub(super) const fn number(number: i64) -> Sent<'static> {
    Sent(ColumnData::I64(Some(number)))
}

/// A text of ours as a parameter.
pub(super) const fn text(text: String) -> Sent<'static> {
    Sent(ColumnData::String(Some(Cow::Owned(text))))
}

/// What the driver loads in bulk into a column without a bound, in bytes.
const MOST_BYTES: usize = 65_535;

/// Whether all values of a row can be loaded in bulk.
pub(super) fn fits_bulk(row: &[&Value]) -> bool {
    row.iter().all(|value| match value {
        // Two bytes a unit. A unit has at least a byte in UTF-8, so only long texts need to be counted.
        Value::Text(text) if text.len() > MOST_BYTES / 2 => {
            text.encode_utf16().count() <= MOST_BYTES / 2
        }
        Value::Blob(bytes) => bytes.len() <= MOST_BYTES,
        _ => true,
    })
}

/// A value as a cell of a column that holds this, as [`Held::value`] gave it.
///
/// # Errors
///
/// A value that the column does not hold; the value itself may be nobody's business.
pub(super) fn cell<'v>(held: &Held, value: &'v Value) -> Result<ColumnData<'v>, Driver> {
    let typed = held
        .typed(value)
        .map_err(|misfit| Driver::Conversion(misfit.to_string().into()))?;
    let date = |day| Date::new(day);
    let moment = |(day, time), scale| DateTime2::new(Date::new(day), Time::new(time, scale));
    Ok(match typed {
        Typed::Bool(truth) => ColumnData::Bit(truth),
        Typed::Int2(number) => ColumnData::I16(number),
        Typed::Int4(number) => ColumnData::I32(number),
        Typed::Int8(number) => ColumnData::I64(number),
        Typed::Double(number) => ColumnData::F64(number),
        Typed::Decimal(number, scale) => {
            ColumnData::Numeric(number.map(|number| Numeric::new_with_scale(number, scale)))
        }
        Typed::Date(day) => ColumnData::Date(day.map(date)),
        Typed::Time(time, scale) => ColumnData::Time(time.map(|time| Time::new(time, scale))),
        Typed::DateTime(at, scale) => ColumnData::DateTime2(at.map(|at| moment(at, scale))),
        Typed::Zoned(at, scale) => {
            ColumnData::DateTimeOffset(at.map(|at| DateTimeOffset::new(moment(at, scale), 0)))
        }
        Typed::Uuid(bytes) => ColumnData::Guid(bytes.map(Uuid::from_bytes)),
        Typed::Text(text) => ColumnData::String(text.map(Cow::Borrowed)),
        Typed::Bytes(bytes) => ColumnData::Binary(bytes.map(Cow::Borrowed)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_do_not_go_in_bulk() {
        let fits = |value: Value| fits_bulk(&[&Value::Integer(1), &value]);
        let text = |text: String| fits(Value::Text(text));
        assert!(text("x".repeat(32_767)));
        assert!(!text("x".repeat(32_768)));
        // More bytes in UTF-8, and no more units.
        assert!(text("é".repeat(32_767)));
        // A unit for each half of a pair.
        assert!(!text("😀".repeat(16_384)));
        assert!(fits(Value::Blob(vec![0; 65_535])));
        assert!(!fits(Value::Blob(vec![0; 65_536])));
    }
}
