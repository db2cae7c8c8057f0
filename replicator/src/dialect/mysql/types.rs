//! Which type a MySQL or MariaDB column gets, and which of PostgreSQL's values it holds exactly.
//!
//! A type is used only where it gives back what was stored: no `FLOAT`, whose text is rounded, no `JSON`, which writes
//! anew what it is given, no `CHAR`, which loses blanks, no `TIMESTAMP`, which ends in 2038. Everything else is text as
//! PostgreSQL prints it, in a collation that compares bytes and does not pad.
//!
//! Some types hold less than PostgreSQL's of the same name: no infinity, no `NaN`, no years before 1 or past 9999. Such
//! a value is a [`Misfit`]; with [`OnMisfit::Text`] the column is text from the start, and there is none.

use std::borrow::Cow;

use crate::config::OnMisfit;
use crate::dialect::narrow::{
    self, DATE, NUMERIC, TIME, TIMESTAMP, TIMESTAMPTZ, moment, special, without_zeroes,
};
use crate::dialect::text::longest;
use crate::error::{Error, Result};
use crate::misfit::Misfit;
use crate::table::{Column, Table};
use crate::value::{Kind, Value, ValueError};

/// Whose server it is: they call the same collation by different names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// MySQL 8 and later.
    MySql,
    /// MariaDB 10.2 and later.
    MariaDb,
}

impl Flavour {
    /// The collation in which a text equals itself alone, trailing blanks included.
    pub(crate) const fn collation(self) -> &'static str {
        match self {
            Self::MySql => "utf8mb4_0900_bin",
            Self::MariaDb => "utf8mb4_nopad_bin",
        }
    }
}

/// Asks a server whether its `DOUBLE` tells negative zero from zero: 1, or 0.
///
/// MariaDB 10.11.14 does, 10.11.18 stores and prints zero, so the version of a release series would have to be known; what
/// goes through a temporary table of the server's own is stored as in a table of ours.
pub(crate) const SIGNED_ZERO: &str = "SELECT CONCAT(z) = '-0' FROM (SELECT -1e-300 * 1e-300 AS z UNION ALL SELECT 1e0) x ORDER BY z LIMIT 1";

/// What InnoDB takes as a key, in bytes over all of its columns, with pages of 16 KiB.
const LONGEST_KEY: usize = 3072;

/// What a row may take inside its page, rounded down from 8126; a long text leaves a pointer there.
const ROW: usize = 8000;

/// What InnoDB gives a row of a page of 16 KiB.
pub(super) const PAGE: usize = 8126;

/// What a row may take altogether, texts without a declared length left out; rounded down from 65,535.
const DECLARED: usize = 60_000;

/// Bytes of a character in utf8mb4.
pub(super) const CHARACTER: usize = 4;

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
    Double {
        /// Whether negative zero is another value than zero.
        signed_zero: bool,
    },
    Decimal {
        precision: u16,
        scale: u16,
    },
    Date,
    DateTime {
        digits: u8,
        /// Of a `timestamptz`, whose text says where: at UTC.
        zoned: bool,
    },
    Time {
        digits: u8,
    },
    /// With so many characters at most; without a length `LONGTEXT`.
    Text(Option<usize>),
    /// With so many bytes at most; without a length `LONGBLOB`.
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
        let in_key = |at: usize| table.key.contains(&at);
        // What has no length, or one that no key could have, shares what the rest of the key leaves.
        let is_long = |held: &Self| held.key_bytes().is_none_or(|bytes| bytes > LONGEST_KEY / 2);
        let key = || table.key.iter().filter_map(|at| all.get(*at));
        let taken: usize = key()
            .filter(|held| !is_long(held))
            .filter_map(Self::key_bytes)
            .sum();
        let sharing = key().filter(|held| is_long(held)).count();
        let share = LONGEST_KEY.saturating_sub(taken) / sharing.max(1);
        if taken > LONGEST_KEY || sharing > 0 && share < CHARACTER {
            return Err(Error::usage(format!(
                "table {table}: its key can be longer than the {LONGEST_KEY} bytes that the destination takes"
            ))
            .with_hint("leave the table out of the publication"));
        }
        for (at, held) in all.iter_mut().enumerate() {
            if in_key(at) && is_long(held) {
                held.form = held.form.shortened(share);
            }
        }
        // Short texts have a place in the row's page. Where that is too small for all, none of them has.
        let total = |each: fn(&Self) -> usize| all.iter().map(each).sum::<usize>();
        if total(Self::inside) > ROW || total(Self::declared) > DECLARED {
            for (at, held) in all.iter_mut().enumerate() {
                if let (Form::Text(length), false) = (&mut held.form, in_key(at)) {
                    *length = None;
                }
            }
        }
        Ok(all)
    }

    /// What a column outside of any key holds.
    pub(crate) fn of(column: &Column, on_misfit: OnMisfit) -> Self {
        let native = Form::native(column);
        let form = match on_misfit {
            OnMisfit::Text if !native.holds_all() => Form::Text(length(column)),
            _ => native,
        };
        Self {
            kind: column.kind,
            form,
        }
    }

    /// On a server whose `DOUBLE` does not tell negative zero from zero.
    pub(crate) const fn without_signed_zero(mut self) -> Self {
        if let Form::Double { signed_zero } = &mut self.form {
            *signed_zero = false;
        }
        self
    }

    /// The type as a column is declared.
    pub(crate) fn sql(&self, flavour: Flavour) -> String {
        let collation = flavour.collation();
        match self.form {
            Form::Bool => "BOOLEAN".to_owned(),
            Form::Int2 => "SMALLINT".to_owned(),
            Form::Int4 => "INT".to_owned(),
            Form::Int8 => "BIGINT".to_owned(),
            Form::Double { .. } => "DOUBLE".to_owned(),
            Form::Decimal { precision, scale } => format!("DECIMAL({precision}, {scale})"),
            Form::Date => "DATE".to_owned(),
            Form::DateTime { digits, .. } => format!("DATETIME({digits})"),
            Form::Time { digits } => format!("TIME({digits})"),
            Form::Text(None) => format!("LONGTEXT CHARACTER SET utf8mb4 COLLATE {collation}"),
            Form::Text(Some(length)) => {
                format!("VARCHAR({length}) CHARACTER SET utf8mb4 COLLATE {collation}")
            }
            Form::Bytes(None) => "LONGBLOB".to_owned(),
            Form::Bytes(Some(length)) => format!("VARBINARY({length})"),
        }
    }

    /// A parameter as it is compared with the column: a text would make a number of both, and numbers of 53 bits.
    pub(crate) fn compared(&self, parameter: &str) -> String {
        match self.form {
            Form::Decimal { precision, scale } => {
                format!("CAST({parameter} AS DECIMAL({precision}, {scale}))")
            }
            Form::Date => format!("CAST({parameter} AS DATE)"),
            Form::DateTime { digits, .. } => format!("CAST({parameter} AS DATETIME({digits}))"),
            // MySQL reads a parameter as the hour of a day where it knows that a time is meant: 24:00:00 becomes 00:00:00.
            Form::Time { digits } => format!("CAST(CAST({parameter} AS CHAR) AS TIME({digits}))"),
            _ => parameter.to_owned(),
        }
    }

    /// The condition under which a column holds the value of a parameter, NULL being equal to itself.
    pub(crate) fn same(&self, name: &str, parameter: &str) -> String {
        match self.form {
            // Negative zero equals zero, and is another value; each double has a text of its own.
            Form::Double { .. } => format!("CAST({name} AS CHAR) <=> CAST({parameter} AS CHAR)"),
            _ => format!("{name} <=> {}", self.compared(parameter)),
        }
    }

    /// The value as the server takes it: numbers and bytes as such, all else as text.
    ///
    /// # Errors
    ///
    /// A value that the column cannot hold exactly.
    #[inline]
    pub(crate) fn value<'v>(&self, value: &'v Value) -> Result<Cow<'v, Value>, Misfit> {
        match (self.form, value) {
            (_, Value::Null) => Ok(Cow::Borrowed(value)),
            (Form::Text(length), Value::Text(text)) => {
                short_enough(text, length).map(|()| Cow::Borrowed(value))
            }
            (Form::Text(length), other) => {
                let text = other.to_text(self.kind).ok().flatten();
                let text = text.ok_or_else(|| Misfit::foreign(self.kind))?;
                short_enough(&text, length)?;
                Ok(Cow::Owned(Value::Text(text)))
            }
            (Form::Bytes(length), Value::Blob(bytes)) => match length {
                Some(most) if bytes.len() > most => {
                    Err(Misfit::too_long(bytes.len(), most, "bytes"))
                }
                _ => Ok(Cow::Borrowed(value)),
            },
            (Form::Double { signed_zero: false }, Value::Text(text)) if text == "-0" => {
                let why = "negative zero, which no DOUBLE of this server is";
                Err(Misfit::new(why, Value::Real(0.0)))
            }
            (Form::Double { .. }, Value::Text(text)) => special(text, "DOUBLE").map(Cow::Owned),
            (Form::Decimal { .. }, Value::Text(text)) if text == "NaN" => {
                Err(Misfit::without_nearest("NaN, which no DECIMAL is"))
            }
            (Form::Date, Value::Text(text)) => {
                moment(text, "9999-12-31", "0001-01-01").map(|()| Cow::Borrowed(value))
            }
            (Form::DateTime { digits, zoned }, Value::Text(text)) => {
                const LAST: &str = "9999-12-31 23:59:59.999999";
                // A point stands before digits only.
                let length = if digits == 0 {
                    19
                } else {
                    20 + usize::from(digits)
                };
                moment(text, &LAST[..length.min(LAST.len())], "0001-01-01 00:00:00")?;
                match text.strip_suffix("+00") {
                    Some(plain) if zoned => Ok(Cow::Owned(Value::Text(plain.to_owned()))),
                    None if !zoned => Ok(Cow::Borrowed(value)),
                    _ => Err(Misfit::foreign(self.kind)),
                }
            }
            (Form::Time { .. } | Form::Decimal { .. }, Value::Text(_))
            | (
                Form::Bool | Form::Int2 | Form::Int4 | Form::Int8 | Form::Decimal { .. },
                Value::Integer(_),
            )
            | (Form::Double { .. }, Value::Real(_)) => Ok(Cow::Borrowed(value)),
            _ => Err(Misfit::foreign(self.kind)),
        }
    }

    /// What the source's values are.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// What of PostgreSQL's text the server takes for it, of a column whose values are texts; `None` where it is for
    /// [`value`](Self::value) to say.
    pub(crate) fn plain<'t>(&self, text: &'t str) -> Option<&'t str> {
        if self.kind != Kind::Text {
            return None;
        }
        match self.form {
            Form::Text(length) => short_enough(text, length).ok().map(|()| text),
            Form::Date => moment(text, "", "").ok().map(|()| text),
            Form::DateTime { zoned, .. } => {
                moment(text, "", "").ok()?;
                match text.strip_suffix("+00") {
                    None if !zoned => Some(text),
                    plain => plain.filter(|_| zoned),
                }
            }
            Form::Time { .. } => Some(text),
            Form::Decimal { .. } => (text != "NaN").then_some(text),
            _ => None,
        }
    }

    /// Whether bytes are held, and not a text or a number.
    pub(crate) const fn is_bytes(&self) -> bool {
        matches!(self.form, Form::Bytes(_))
    }

    /// The value that the server's own text stands for, `None` being NULL; bytes as they are.
    ///
    /// # Errors
    ///
    /// What [`value`](Self::value) never makes: somebody else wrote it.
    pub(crate) fn back(&self, text: Option<&[u8]>) -> Result<Value, ValueError> {
        let Some(text) = text else {
            return Ok(Value::Null);
        };
        match self.form {
            Form::Bool => match text {
                b"0" => Ok(Value::Integer(0)),
                b"1" => Ok(Value::Integer(1)),
                other => Value::from_text(self.kind, other),
            },
            Form::Bytes(_) => Ok(Value::Blob(text.to_owned())),
            Form::Double { .. } => Value::from_text(self.kind, text),
            Form::DateTime { zoned, .. } => {
                let mut text = without_zeroes(text).to_vec();
                if zoned {
                    text.extend_from_slice(b"+00");
                }
                Value::from_text(self.kind, &text)
            }
            Form::Time { .. } => Value::from_text(self.kind, without_zeroes(text)),
            _ => Value::from_text(self.kind, text),
        }
    }

    /// What it takes of a key, `None` where that has no bound.
    fn key_bytes(&self) -> Option<usize> {
        match self.form {
            Form::Text(length) => length.map(|length| length * CHARACTER),
            Form::Bytes(length) => length,
            form => Some(form.bytes()),
        }
    }

    /// Whether there is no bound to what it holds.
    pub(super) const fn is_unbounded(&self) -> bool {
        matches!(self.form, Form::Text(None) | Form::Bytes(None))
    }

    /// What it takes inside the row's page.
    pub(super) fn inside(&self) -> usize {
        /// What is longer may lie outside.
        const SHORT: usize = 255;
        /// A pointer, and what InnoDB keeps beside it in any case.
        const OUTSIDE: usize = 40;
        match self.key_bytes() {
            Some(bytes) if bytes <= SHORT => bytes + 1,
            _ => OUTSIDE,
        }
    }

    /// What it takes of a row's declared length.
    fn declared(&self) -> usize {
        /// A pointer.
        const UNBOUNDED: usize = 12;
        self.key_bytes().map_or(UNBOUNDED, |bytes| bytes + 2)
    }
}

impl Form {
    /// The type that is nearest to the source's.
    fn native(column: &Column) -> Self {
        // The modifier belongs to the column's own type, which a domain is not.
        let own = column.type_oid == column.base_oid;
        let modifier = u16::try_from(column.typmod).ok().filter(|_| own);
        let digits = modifier
            .and_then(|digits| u8::try_from(digits).ok())
            .map_or(6, |digits| digits.min(6));
        match column.kind {
            Kind::Bool => Self::Bool,
            Kind::Int2 => Self::Int2,
            Kind::Int4 => Self::Int4,
            // MariaDB's INT UNSIGNED would hold an oid too, and nobody's client would know it for one.
            Kind::Int8 | Kind::Oid => Self::Int8,
            Kind::Float4 | Kind::Float8 => Self::Double { signed_zero: true },
            Kind::Bytea => Self::Bytes(None),
            Kind::Text => match column.base_oid {
                DATE => Self::Date,
                TIME => Self::Time { digits },
                TIMESTAMP | TIMESTAMPTZ => Self::DateTime {
                    digits,
                    zoned: column.base_oid == TIMESTAMPTZ,
                },
                NUMERIC if own => {
                    decimal(column.typmod).unwrap_or_else(|| Self::Text(length(column)))
                }
                _ => Self::Text(length(column)),
            },
        }
    }

    /// Whether there is no value of the source's type that it does not hold.
    const fn holds_all(self) -> bool {
        match self {
            Self::Bool | Self::Int2 | Self::Int4 | Self::Int8 | Self::Time { .. } => true,
            Self::Text(_) | Self::Bytes(_) => true,
            Self::Double { .. } | Self::Decimal { .. } | Self::Date | Self::DateTime { .. } => {
                false
            }
        }
    }

    /// Of so many bytes at most.
    fn shortened(self, bytes: usize) -> Self {
        match self {
            Self::Text(length) => {
                let share = bytes / CHARACTER;
                Self::Text(Some(length.map_or(share, |length| length.min(share))))
            }
            Self::Bytes(_) => Self::Bytes(Some(bytes)),
            other => other,
        }
    }

    /// What a value takes; of texts and bytes only a pointer.
    const fn bytes(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int2 => 2,
            Self::Date => 3,
            Self::Int4 => 4,
            Self::Time { .. } => 6,
            Self::Int8 | Self::Double { .. } | Self::DateTime { .. } => 8,
            // Nine digits take four bytes, on each side of the point.
            Self::Decimal { precision, .. } => 8 + precision as usize * 4 / 9,
            Self::Text(_) | Self::Bytes(_) => 12,
        }
    }
}

/// The type for a numeric with a modifier, where there is one.
fn decimal(typmod: i32) -> Option<Form> {
    let (precision, scale) = narrow::digits(typmod)?;
    (precision <= 65 && scale <= 30).then_some(Form::Decimal { precision, scale })
}

/// The characters of the longest text of a type, where a `VARCHAR` can be declared with so many.
fn length(column: &Column) -> Option<usize> {
    /// So that four bytes each stay below what a row may take.
    const MOST: usize = 16_000;
    longest(column).filter(|length| (1..=MOST).contains(length))
}

fn short_enough(text: &str, length: Option<usize>) -> Result<(), Misfit> {
    match length {
        // Counting only what could be too long.
        Some(most) if text.len() > most => {
            let characters = text.chars().count();
            if characters <= most {
                return Ok(());
            }
            Err(Misfit::too_long(characters, most, "characters"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod round_trip;
#[cfg(test)]
mod tests;
