//! Whether a table of somebody else's can hold our rows: pure, from what the catalog says of it.

use super::Target;
use super::types::{BYTES, Form, Held, is_plainly_told_apart, units};
use crate::config::OnMisfit;
use crate::dialect::text::longest;
use crate::dialect::unfit;
use crate::error::{Error, Result};
use crate::table::{Column, Table};
use crate::value::Kind;

/// A table that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Existing {
    /// Whether its rows outlive the server, which those of a table in memory need not.
    pub(crate) durable: bool,
    pub(crate) columns: Vec<ExistingColumn>,
    /// Whether upper and lower case are one in names.
    pub(crate) folds: bool,
}

/// A column of it, as [`COLUMNS`](super::catalog::COLUMNS) gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExistingColumn {
    pub(crate) name: String,
    /// Such as `decimal`.
    pub(crate) data_type: String,
    /// In bytes; -1 without a bound.
    pub(crate) length: i32,
    pub(crate) precision: i32,
    /// Digits behind the point, or of a second.
    pub(crate) scale: i32,
    pub(crate) collation: Option<String>,
    /// Whether an insert that leaves it out is refused.
    pub(crate) required: bool,
    /// Whether the server fills it: an identity, a computed column, a row version, a period.
    pub(crate) generated: bool,
}

impl Existing {
    /// The table as statements need it, if it is enough for the table that we would make.
    ///
    /// # Errors
    ///
    /// Names what is missing or too narrow.
    pub(crate) fn target(&self, table: &Table, on_misfit: OnMisfit) -> Result<Target> {
        let name = &table.destination;
        if !self.durable {
            return Err(Error::person(format!(
                "the destination's table {name} is kept in memory only (DURABILITY = SCHEMA_ONLY), and its rows end with the server"
            ))
            .with_hint("make it a durable table"));
        }
        let made = Held::all(table, on_misfit)?;
        let mut held = Vec::with_capacity(table.columns.len());
        let mut collations = Vec::with_capacity(table.columns.len());
        for (at, (ours, made)) in table.columns.iter().zip(made).enumerate() {
            let found = self.column(table, ours)?;
            if found.generated {
                return Err(unfit::generated(table, ours, "filled by the server"));
            }
            let Some(there) = found.keeps(ours, made) else {
                let wanted = made.sql();
                return Err(unfit::too_narrow(table, ours, &found.declared(), &wanted));
            };
            // Without a key a row is compared in our own collation, whatever the columns'.
            if table.key.contains(&at) && !found.tells_apart(ours) {
                let collation = found.collation.as_deref().unwrap_or_default();
                return Err(unfit::merges(table, ours, collation)
                    .with_hint(format!("make it {} COLLATE {BYTES}", made.sql())));
            }
            held.push(there);
            collations.push(found.collation.clone());
        }
        let mut columns = self.columns.iter();
        let ours = |found: &ExistingColumn| {
            let mut columns = table.columns.iter();
            columns.any(|column| self.is_name(&found.name, &column.name))
        };
        if let Some(more) = columns.find(|found| found.required && !ours(found)) {
            return Err(unfit::needs_more(table, &more.name));
        }
        Ok(Target::new(table, held).collated(collations))
    }

    /// Whether it has a column of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|found| self.is_name(&found.name, name))
    }

    fn column(&self, table: &Table, ours: &Column) -> Result<&ExistingColumn> {
        let mut columns = self.columns.iter();
        let found = columns.find(|found| self.is_name(&found.name, &ours.name));
        found.ok_or_else(|| unfit::no_column(table, ours))
    }

    /// Whether a name there is one of ours.
    pub(crate) fn is_name(&self, there: &str, ours: &str) -> bool {
        there == ours || self.folds && there.to_lowercase() == ours.to_lowercase()
    }
}

impl ExistingColumn {
    /// What the column holds, if it gives back unchanged whatever `made`, the column that we would make, gives back.
    pub(crate) fn keeps(&self, ours: &Column, made: Held) -> Option<Held> {
        let form = self
            .keeps_natively(ours, made)
            .or_else(|| self.keeps_text(ours, made))?;
        Some(Held {
            kind: ours.kind,
            form,
        })
    }

    fn keeps_natively(&self, ours: &Column, made: Held) -> Option<Form> {
        let is = |data_type: &str| self.data_type == data_type;
        let form = match made.form {
            Form::Bool if is("bit") => made.form,
            Form::Int2 | Form::Int4 | Form::Int8 if self.is_decimal() => {
                let digits = match ours.kind {
                    Kind::Int2 => 5,
                    Kind::Int4 | Kind::Oid => 10,
                    _ => 19,
                };
                self.decimal(digits, 0)?
            }
            Form::Bool | Form::Int2 | Form::Int4 | Form::Int8 => {
                let (bits, form) = match self.data_type.as_str() {
                    // Without a sign.
                    "tinyint" => (8, Form::Int2),
                    "smallint" => (16, Form::Int2),
                    "int" => (32, Form::Int4),
                    "bigint" => (64, Form::Int8),
                    _ => return None,
                };
                let enough = match ours.kind {
                    Kind::Bool => true,
                    Kind::Int2 => bits >= 16,
                    Kind::Int4 => bits >= 32,
                    _ => bits == 64,
                };
                enough.then_some(form)?
            }
            Form::Decimal { precision, scale } if self.is_decimal() => {
                self.decimal(precision, scale)?
            }
            // The catalog says of a float with 24 bits that it is a real.
            Form::Double if is("float") => made.form,
            Form::Date if is("date") => made.form,
            Form::DateTime { digits } if is("datetime2") => Form::DateTime {
                digits: self.fraction(digits)?,
            },
            Form::Zoned { digits } if is("datetimeoffset") => Form::Zoned {
                digits: self.fraction(digits)?,
            },
            Form::Time { digits } if is("time") => Form::Time {
                digits: self.fraction(digits)?,
            },
            Form::Uuid if is("uniqueidentifier") => made.form,
            Form::Bytes(wanted) if is("varbinary") => match (wanted, self.bytes()) {
                (_, None) => Form::Bytes(None),
                (Some(most), Some(there)) if there >= most => Form::Bytes(Some(there)),
                _ => return None,
            },
            _ => return None,
        };
        Some(form)
    }

    fn is_decimal(&self) -> bool {
        matches!(&*self.data_type, "decimal" | "numeric")
    }

    /// A `decimal` with so many digits at least. Another scale would print other zeroes.
    fn decimal(&self, digits: u16, scale: u16) -> Option<Form> {
        let precision = u16::try_from(self.precision).ok()?;
        let enough = precision >= digits && self.scale == i32::from(scale);
        enough.then_some(Form::Decimal { precision, scale })
    }

    /// Digits of a second's fraction, where they are enough.
    fn fraction(&self, digits: u8) -> Option<u8> {
        let there = u8::try_from(self.scale).ok()?;
        (there >= digits).then_some(there)
    }

    /// Bytes of the longest value, `None` where there is no bound.
    fn bytes(&self) -> Option<usize> {
        usize::try_from(self.length).ok()
    }

    fn keeps_text(&self, ours: &Column, made: Held) -> Option<Form> {
        if matches!(made.form, Form::Bytes(_)) {
            return None;
        }
        let plain = is_plainly_told_apart(ours);
        let utf8 = self.collation_ends(&["_UTF8"]);
        let there = match self.data_type.as_str() {
            "nvarchar" => self.bytes().map(|bytes| bytes / 2),
            "varchar" if plain || utf8 => self.bytes(),
            // What pads, and what has another code page.
            _ => return None,
        };
        let form = if self.data_type == "nvarchar" {
            Form::Text(there)
        } else {
            Form::Narrow(there)
        };
        let Some(there) = there else {
            return Some(form);
        };
        // Where the column counts bytes: up to three for a unit, four for two of them.
        let wanted = match made.form {
            Form::Text(Some(length)) => length,
            _ => units(ours).or_else(|| longest(ours))?,
        };
        let wanted = if plain || self.data_type == "nvarchar" {
            wanted
        } else {
            wanted * 3
        };
        (there >= wanted).then_some(form)
    }

    /// Whether texts of a key that differ are different for comparisons too.
    fn tells_apart(&self, ours: &Column) -> bool {
        self.collation.is_none()
            || is_plainly_told_apart(ours)
            || self.data_type == "nvarchar" && self.collation_ends(&["_BIN2", "_BIN"])
    }

    /// Whether the collation has a name of one of these kinds. Babelfish has its own names for them, in lower case.
    fn collation_ends(&self, kinds: &[&str]) -> bool {
        let name = self.collation.as_deref().unwrap_or_default();
        let name = name.to_ascii_uppercase();
        kinds.iter().any(|kind| name.ends_with(kind))
    }

    /// As it is declared, for a refusal.
    fn declared(&self) -> String {
        let data_type = &self.data_type;
        match data_type.as_str() {
            "decimal" | "numeric" => format!("{data_type}({}, {})", self.precision, self.scale),
            "datetime2" | "datetimeoffset" | "time" => format!("{data_type}({})", self.scale),
            "nvarchar" | "nchar" if self.length > 0 => {
                format!("{data_type}({})", self.length / 2)
            }
            "nvarchar" | "varchar" | "varbinary" if self.length < 0 => format!("{data_type}(max)"),
            "varchar" | "char" | "varbinary" | "binary" => format!("{data_type}({})", self.length),
            _ => data_type.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
