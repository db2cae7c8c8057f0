//! Which type a SQL Server column gets, and which of PostgreSQL's values it holds exactly.
//!
//! A type is used only where it gives back what was stored: no `char`, which pads, no `datetime`, which rounds to 3 ms,
//! no `money`, no `json`. Everything else is text as PostgreSQL prints it, in `nvarchar`, whose lengths count UTF-16
//! units: a character outside of the Basic Multilingual Plane takes two, so a `varchar(n)` becomes an `nvarchar(2n)`.
//!
//! Texts in a key get a collation that compares units. Comparing pads all the same: `a` equals `a` with a blank behind
//! it, and bytes equal those with zeroes behind them. So whatever finds a row compares lengths too, and of two keys that
//! differ only there the second is refused by the index as a conflict: never one row for two.
//!
//! Some types hold less than PostgreSQL's of the same name: no infinity, no `NaN`, no years before 1 or past 9999, no
//! `24:00:00`. Such a value is a [`Misfit`]; with [`OnMisfit::Text`] the column is text from the start, and there is none.

mod range;

use std::borrow::Cow;

use walproto::Oid;

use crate::config::OnMisfit;
use crate::dialect::narrow::{
    self, DATE, NUMERIC, TIME, TIMESTAMP, TIMESTAMPTZ, moment, special, without_zeroes,
};
use crate::dialect::text::{is_plain, longest};
use crate::error::{Error, Result};
use crate::misfit::Misfit;
use crate::table::{Column, Table};
use crate::value::{Kind, Value, ValueError};
use range::{last, normal};

/// In which a text equals those alone that differ from it by blanks at the end. Every version since 2008 has it; the
/// `_UTF8` ones came in 2019.
pub(crate) const BYTES: &str = "Latin1_General_100_BIN2";

/// What the index of a table kept in its key's order takes, in bytes over all columns.
pub(super) const CLUSTERED_KEY: usize = 900;

/// The same of an index beside the table, since 2016.
pub(super) const LONGEST_KEY: usize = 1700;

/// Of a key, since 2016.
pub(super) const MOST_KEY_COLUMNS: usize = 32;

/// What a row has in its page.
pub(super) const ROW: usize = 8060;

/// What is left in the row of a value that lies elsewhere.
pub(super) const OUTSIDE: usize = 24;

/// Bytes of a UTF-16 unit.
const UNIT: usize = 2;

/// Units of an `nvarchar` that is not `nvarchar(max)`.
const MOST_UNITS: usize = 4000;

/// What a column holds, and how PostgreSQL's values get in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(super) kind: Kind,
    pub(super) form: Form,
}

/// A type of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Double,
    Decimal {
        precision: u16,
        scale: u16,
    },
    Date,
    DateTime {
        digits: u8,
    },
    /// Always at UTC.
    Zoned {
        digits: u8,
    },
    Time {
        digits: u8,
    },
    Uuid,
    /// With so many UTF-16 units at most; without a length `nvarchar(max)`.
    Text(Option<usize>),
    /// A `varchar` of somebody else's, with so many bytes at most.
    Narrow(Option<usize>),
    /// With so many bytes at most; without a length `varbinary(max)`.
    Bytes(Option<usize>),
}

impl Held {
    /// What each column of a table holds.
    ///
    /// # Errors
    ///
    /// A key that cannot be one here.
    pub(crate) fn all(table: &Table, on_misfit: OnMisfit) -> Result<Vec<Self>> {
        let mut all: Vec<Self> = table
            .columns
            .iter()
            .map(|column| Self::of(column, on_misfit))
            .collect();
        // What has no length, or one that no key could have, shares what the rest of the key leaves.
        let is_long = |held: &Self| held.bytes().is_none_or(|bytes| bytes > LONGEST_KEY / 2);
        let key = || table.key.iter().filter_map(|at| all.get(*at));
        let taken: usize = key()
            .filter(|held| !is_long(held))
            .filter_map(Self::bytes)
            .sum();
        let sharing = key().filter(|held| is_long(held)).count();
        let share = LONGEST_KEY.saturating_sub(taken) / sharing.max(1);
        let refuse = |why: String| {
            Err(Error::usage(format!("table {table}: {why}"))
                .with_hint("leave the table out of the publication"))
        };
        if table.key.len() > MOST_KEY_COLUMNS {
            return refuse(format!(
                "its key has {} columns; SQL Server takes {MOST_KEY_COLUMNS}",
                table.key.len()
            ));
        }
        if taken > LONGEST_KEY || sharing > 0 && share < UNIT {
            return refuse(format!(
                "its key can be longer than the {LONGEST_KEY} bytes that the destination takes"
            ));
        }
        for (at, held) in all.iter_mut().enumerate() {
            if table.key.contains(&at) && is_long(held) {
                held.form = held.form.shortened(share);
            }
        }
        Ok(all)
    }

    /// What a column outside of any key holds.
    pub(crate) fn of(column: &Column, on_misfit: OnMisfit) -> Self {
        let native = Form::native(column);
        let form = match on_misfit {
            OnMisfit::Text if !native.holds_all() => Form::Text(units(column)),
            _ => native,
        };
        Self {
            kind: column.kind,
            form,
        }
    }

    /// The type, without a collation.
    pub(crate) fn sql(&self) -> String {
        match self.form {
            Form::Bool => "bit".to_owned(),
            Form::Int2 => "smallint".to_owned(),
            Form::Int4 => "int".to_owned(),
            Form::Int8 => "bigint".to_owned(),
            Form::Double => "float".to_owned(),
            Form::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
            Form::Date => "date".to_owned(),
            Form::DateTime { digits } => format!("datetime2({digits})"),
            Form::Zoned { digits } => format!("datetimeoffset({digits})"),
            Form::Time { digits } => format!("time({digits})"),
            Form::Uuid => "uniqueidentifier".to_owned(),
            Form::Text(length) => sized("nvarchar", length),
            Form::Narrow(length) => sized("varchar", length),
            Form::Bytes(length) => sized("varbinary", length),
        }
    }

    pub(crate) const fn is_text(&self) -> bool {
        matches!(self.form, Form::Text(_) | Form::Narrow(_))
    }

    pub(super) const fn is_bit(&self) -> bool {
        matches!(self.form, Form::Bool)
    }

    /// Whether values are padded where they are compared. A `varchar` is taken only where no value ends in a blank.
    pub(super) const fn is_padded(&self) -> bool {
        matches!(self.form, Form::Text(_) | Form::Bytes(_))
    }

    const fn varies(&self) -> bool {
        matches!(self.form, Form::Text(_) | Form::Narrow(_) | Form::Bytes(_))
    }

    /// A parameter as it is stored: nothing is left to what the server converts by itself, and a NULL of whatever type
    /// becomes one of the column's. A text is not cut here: one that is too long is refused by the column.
    pub(crate) fn stored(&self, parameter: &str) -> String {
        match self.form {
            // A varchar gets its own code page from the column, and any other from the database.
            Form::Text(_) | Form::Narrow(_) => format!("CONVERT(nvarchar(max), {parameter})"),
            Form::Bytes(_) => format!("CONVERT(varbinary(max), {parameter})"),
            _ => self.converted(parameter),
        }
    }

    /// A parameter as it is compared: with the column's own type, so that an index finds it.
    pub(super) fn converted(&self, parameter: &str) -> String {
        let sql = self.sql();
        match self.form {
            // ISO 8601, and ODBC's canonical form: the settings of a session do not matter to them.
            Form::Date => format!("CONVERT({sql}, {parameter}, 23)"),
            Form::DateTime { .. } | Form::Zoned { .. } | Form::Time { .. } => {
                format!("CONVERT({sql}, {parameter}, 121)")
            }
            _ => format!("CONVERT({sql}, {parameter})"),
        }
    }

    /// The condition under which a column holds the value of a parameter, none of them being NULL.
    pub(super) fn equals(&self, name: &str, parameter: &str) -> String {
        let value = self.converted(parameter);
        if self.is_padded() {
            // The parameter's own length: what is converted may have been cut.
            format!("{name} = {value} AND DATALENGTH({name}) = DATALENGTH({parameter})")
        } else {
            format!("{name} = {value}")
        }
    }

    /// What two values must have in common to be the same value.
    pub(super) fn identity(&self, name: &str) -> String {
        match self.form {
            Form::Text(_) => format!("{name} COLLATE {BYTES}, DATALENGTH({name})"),
            Form::Narrow(_) => {
                let wide = format!("CONVERT(nvarchar(max), {name})");
                format!("{wide} COLLATE {BYTES}, DATALENGTH({wide})")
            }
            Form::Bytes(_) => format!("{name}, DATALENGTH({name})"),
            // Negative zero equals zero, and is another value.
            Form::Double => format!("CONVERT(binary(8), {name})"),
            _ => name.to_owned(),
        }
    }

    /// The same of a parameter.
    pub(super) fn identity_of(&self, parameter: &str) -> String {
        let value = self.stored(parameter);
        match self.form {
            Form::Narrow(_) => format!("{value} COLLATE {BYTES}, DATALENGTH({value})"),
            _ => self.identity(&value),
        }
    }

    /// The column as text for [`back`](Self::back); bytes as they are.
    pub(super) fn printed(&self, name: &str) -> String {
        match self.form {
            Form::Text(_) | Form::Narrow(_) | Form::Bytes(_) => name.to_owned(),
            Form::Bool | Form::Int2 | Form::Int4 | Form::Int8 | Form::Decimal { .. } => {
                format!("CONVERT(nvarchar(41), {name})")
            }
            // 17 digits, which tell any two numbers apart. Babelfish fills them up with blanks.
            Form::Double => format!("RTRIM(CONVERT(nvarchar(41), {name}, 3))"),
            Form::Date => format!("CONVERT(nvarchar(41), {name}, 23)"),
            Form::DateTime { .. } | Form::Zoned { .. } | Form::Time { .. } => {
                format!("CONVERT(nvarchar(41), {name}, 121)")
            }
            Form::Uuid => format!("LOWER(CONVERT(nvarchar(41), {name}))"),
        }
    }

    /// Whether it has a fraction with so many digits, which is scaled where rows are loaded in bulk.
    pub(crate) const fn is_scaled(&self) -> bool {
        matches!(
            self.form,
            Form::Decimal { .. } | Form::DateTime { .. } | Form::Zoned { .. } | Form::Time { .. }
        )
    }

    /// The value as the statements take it: numbers and bytes as such, all else as text.
    ///
    /// # Errors
    ///
    /// A value that the column cannot hold exactly.
    #[inline]
    pub(crate) fn value<'v>(&self, value: &'v Value) -> Result<Cow<'v, Value>, Misfit> {
        match (self.form, value) {
            (_, Value::Null) => Ok(Cow::Borrowed(value)),
            (Form::Text(_) | Form::Narrow(_), Value::Text(text)) => {
                self.short_enough(text).map(|()| Cow::Borrowed(value))
            }
            (Form::Text(_) | Form::Narrow(_), other) => {
                let text = other.to_text(self.kind).ok().flatten();
                let text = text.ok_or_else(|| Misfit::foreign(self.kind))?;
                self.short_enough(&text)?;
                Ok(Cow::Owned(Value::Text(text)))
            }
            (Form::Bytes(length), Value::Blob(bytes)) => match length {
                Some(most) if bytes.len() > most => {
                    Err(Misfit::too_long(bytes.len(), most, "bytes"))
                }
                _ => Ok(Cow::Borrowed(value)),
            },
            (Form::Double, Value::Text(text)) => special(text, "float").map(Cow::Owned),
            (Form::Double, Value::Real(number)) => normal(*number).map(|()| Cow::Borrowed(value)),
            (Form::Decimal { .. }, Value::Text(text)) if text == "NaN" => {
                Err(Misfit::without_nearest("NaN, which no decimal is"))
            }
            (Form::Date, Value::Text(text)) => {
                moment(text, "9999-12-31", "0001-01-01").map(|()| Cow::Borrowed(value))
            }
            (Form::DateTime { digits }, Value::Text(text)) => {
                moment(text, &last(digits), "0001-01-01 00:00:00").map(|()| Cow::Borrowed(value))
            }
            (Form::Zoned { digits }, Value::Text(text)) => {
                let last = format!("{} +00:00", last(digits));
                moment(text, &last, "0001-01-01 00:00:00 +00:00")?;
                let plain = text.strip_suffix("+00");
                let plain = plain.ok_or_else(|| Misfit::foreign(self.kind))?;
                Ok(Cow::Owned(Value::Text(format!("{plain} +00:00"))))
            }
            (Form::Time { digits }, Value::Text(text)) if text.starts_with("24") => {
                // The last moment of a day has a date's form before it.
                let nearest = last(digits)[11..].to_owned();
                Err(Misfit::new(
                    "the end of a day, which no time is",
                    Value::Text(nearest),
                ))
            }
            (Form::Time { .. } | Form::Decimal { .. } | Form::Uuid, Value::Text(_))
            | (Form::Bool | Form::Int2 | Form::Int4 | Form::Int8, Value::Integer(_))
            | (Form::Decimal { .. }, Value::Integer(_)) => Ok(Cow::Borrowed(value)),
            _ => Err(Misfit::foreign(self.kind)),
        }
    }

    /// The value that the text of a [`select`](super::Target::select) stands for, `None` being NULL; bytes as they are.
    ///
    /// # Errors
    ///
    /// What [`value`](Self::value) never makes: somebody else wrote it.
    pub(crate) fn back(&self, text: Option<&[u8]>) -> Result<Value, ValueError> {
        let Some(text) = text else {
            return Ok(Value::Null);
        };
        match self.form {
            // Also in an integer of somebody else's.
            Form::Bool | Form::Int2 | Form::Int4 | Form::Int8 if self.kind == Kind::Bool => {
                match text {
                    b"0" => Ok(Value::Integer(0)),
                    b"1" => Ok(Value::Integer(1)),
                    other => Value::from_text(self.kind, other),
                }
            }
            Form::Bytes(_) => Ok(Value::Blob(text.to_owned())),
            Form::Double if is_negative_zero(text) => Ok(Value::Text("-0".to_owned())),
            Form::Double => Value::from_text(self.kind, text),
            Form::DateTime { .. } | Form::Time { .. } => {
                Value::from_text(self.kind, without_zeroes(text))
            }
            Form::Zoned { .. } => match text.strip_suffix(b" +00:00") {
                Some(plain) => {
                    let mut text = without_zeroes(plain).to_vec();
                    text.extend_from_slice(b"+00");
                    Value::from_text(self.kind, &text)
                }
                // Another zone: not what we wrote, and still the text to be shown.
                None => Value::from_text(self.kind, text),
            },
            _ => Value::from_text(self.kind, text),
        }
    }

    fn short_enough(&self, text: &str) -> Result<(), Misfit> {
        match self.form {
            // Counting only what could be too long: a unit has a byte in UTF-8 at least.
            Form::Text(Some(most)) if text.len() > most => {
                let units = text.encode_utf16().count();
                if units <= most {
                    return Ok(());
                }
                Err(Misfit::too_long(units, most, "UTF-16 units"))
            }
            Form::Narrow(Some(most)) if text.len() > most => {
                Err(Misfit::too_long(text.len(), most, "bytes"))
            }
            _ => Ok(()),
        }
    }

    /// What a value takes at most, `None` where that has no bound.
    pub(super) fn bytes(&self) -> Option<usize> {
        match self.form {
            Form::Text(length) => length.map(|length| length * UNIT),
            Form::Narrow(length) | Form::Bytes(length) => length,
            form => Some(form.fixed()),
        }
    }

    /// What it takes of a row's page at most: what varies in length may lie elsewhere, unless it is in the key.
    pub(super) fn inside(&self, in_key: bool) -> usize {
        /// Where in the row it ends.
        const END: usize = 2;
        match self.bytes() {
            Some(bytes) if !self.varies() => bytes,
            Some(bytes) if in_key => END + bytes,
            Some(bytes) => END + bytes.min(OUTSIDE),
            None => END + OUTSIDE,
        }
    }
}

impl Form {
    /// The type that is nearest to the source's.
    fn native(column: &Column) -> Self {
        // The modifier belongs to the column's own type, which a domain is not.
        let own = column.type_oid == column.base_oid;
        let modifier = u8::try_from(column.typmod).ok().filter(|_| own);
        let digits = modifier.map_or(6, |digits| digits.min(6));
        match column.kind {
            Kind::Bool => Self::Bool,
            Kind::Int2 => Self::Int2,
            Kind::Int4 => Self::Int4,
            Kind::Int8 | Kind::Oid => Self::Int8,
            // The server's real would print other digits than a double that holds the shortest text.
            Kind::Float4 | Kind::Float8 => Self::Double,
            Kind::Bytea => Self::Bytes(None),
            Kind::Text => match column.base_oid {
                DATE => Self::Date,
                TIME => Self::Time { digits },
                TIMESTAMP => Self::DateTime { digits },
                TIMESTAMPTZ => Self::Zoned { digits },
                UUID => Self::Uuid,
                NUMERIC if own => {
                    decimal(column.typmod).unwrap_or_else(|| Self::Text(units(column)))
                }
                _ => Self::Text(units(column)),
            },
        }
    }

    /// Whether there is no value of the source's type that it does not hold.
    const fn holds_all(self) -> bool {
        match self {
            Self::Bool | Self::Int2 | Self::Int4 | Self::Int8 | Self::Uuid => true,
            Self::Text(_) | Self::Narrow(_) | Self::Bytes(_) => true,
            Self::Double | Self::Decimal { .. } | Self::Date | Self::Time { .. } => false,
            Self::DateTime { .. } | Self::Zoned { .. } => false,
        }
    }

    /// Of so many bytes at most.
    fn shortened(self, bytes: usize) -> Self {
        match self {
            Self::Text(length) => {
                let share = bytes / UNIT;
                Self::Text(Some(length.map_or(share, |length| length.min(share))))
            }
            Self::Bytes(_) => Self::Bytes(Some(bytes)),
            other => other,
        }
    }

    /// What a value of one length takes.
    const fn fixed(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int2 => 2,
            Self::Date => 3,
            Self::Int4 => 4,
            Self::Int8 | Self::Double => 8,
            Self::Uuid => 16,
            Self::Time { digits } => time(digits),
            Self::DateTime { digits } => 3 + time(digits),
            Self::Zoned { digits } => 5 + time(digits),
            Self::Decimal { precision, .. } => match precision {
                0..=9 => 5,
                10..=19 => 9,
                20..=28 => 13,
                _ => 17,
            },
            Self::Text(_) | Self::Narrow(_) | Self::Bytes(_) => 0,
        }
    }
}

/// Bytes of a time with so many digits of a second.
const fn time(digits: u8) -> usize {
    match digits {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

fn sized(name: &str, length: Option<usize>) -> String {
    match length {
        Some(length) => format!("{name}({length})"),
        None => format!("{name}(max)"),
    }
}

// pg_type.dat: these numbers are fixed for good.
const UUID: Oid = Oid(2950);
const BPCHAR: Oid = Oid(1042);
const VARCHAR: Oid = Oid(1043);

/// The type for a numeric with a modifier, where there is one.
fn decimal(typmod: i32) -> Option<Form> {
    const MOST: u16 = 38;
    let (precision, scale) = narrow::digits(typmod)?;
    (precision <= MOST).then_some(Form::Decimal { precision, scale })
}

/// The UTF-16 units of the longest text of a type, where an `nvarchar` can be declared with so many.
pub(super) fn units(column: &Column) -> Option<usize> {
    let characters = longest(column)?;
    let units = match column.base_oid {
        BPCHAR | VARCHAR => characters * 2,
        _ => characters,
    };
    (1..=MOST_UNITS).contains(&units).then_some(units)
}

/// Whether texts of this type are told apart by every collation and without their ends.
pub(super) const fn is_plainly_told_apart(column: &Column) -> bool {
    is_plain(column.base_oid)
}

/// As the server prints it.
fn is_negative_zero(text: &[u8]) -> bool {
    let digits = text.split(|byte| *byte == b'e').next().unwrap_or_default();
    text.first() == Some(&b'-') && digits[1..].iter().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
