//! Whether a table of somebody else's can hold our rows: pure, from what `information_schema` says of it.

use super::types::{CHARACTER, Form, Held};
use super::{Mysql, quoted};
use crate::dialect::text::{is_plain, longest};
use crate::dialect::unfit;
use crate::error::{Error, Result};
use crate::table::{Column, Table};
use crate::value::Kind;

/// A table that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Existing {
    /// `tables.engine`.
    pub(crate) engine: String,
    pub(crate) columns: Vec<ExistingColumn>,
}

/// A column of it, in the words of `information_schema.columns`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExistingColumn {
    /// `column_name`
    pub(crate) name: String,
    /// `data_type`, such as `decimal`.
    pub(crate) data_type: String,
    /// `column_type`, such as `decimal(10,2) unsigned`.
    pub(crate) column_type: String,
    /// `character_maximum_length`: characters of `char` and `varchar`, bytes of the others.
    pub(crate) length: Option<u64>,
    /// `numeric_precision`
    pub(crate) precision: Option<u64>,
    /// `numeric_scale`
    pub(crate) scale: Option<u64>,
    /// `datetime_precision`
    pub(crate) digits: Option<u64>,
    /// `character_set_name`
    pub(crate) charset: Option<String>,
    /// `collation_name`
    pub(crate) collation: Option<String>,
    /// Whether an insert that leaves it out is refused: not `is_nullable`, no `column_default`, no `auto_increment`.
    pub(crate) required: bool,
    /// Whether `generation_expression` is there.
    pub(crate) generated: bool,
}

impl Existing {
    /// What each column of `table` holds here, if that is enough for the table that we would make.
    ///
    /// # Errors
    ///
    /// Names what is missing or too narrow.
    pub(crate) fn held(&self, table: &Table, dialect: &Mysql) -> Result<Vec<Held>> {
        let flavour = dialect.flavour();
        let name = &table.destination;
        if !self.engine.eq_ignore_ascii_case("innodb") {
            return Err(Error::person(format!(
                "the destination's table {name} is kept by {}, whose rows do not follow a transaction",
                self.engine
            ))
            .with_hint(format!("ALTER TABLE {name} ENGINE = InnoDB"))
            .mended_by(format!("ALTER TABLE {} ENGINE = InnoDB", quoted(name))));
        }
        let made = dialect.held(table)?;
        let mut held = Vec::with_capacity(table.columns.len());
        for (at, (ours, made)) in table.columns.iter().zip(made).enumerate() {
            let found = self.column(table, ours)?;
            let modify = |wanted: &str| {
                let (table, column) = (quoted(name), quoted(&ours.name));
                format!("ALTER TABLE {table} MODIFY {column} {wanted}")
            };
            if found.generated {
                return Err(unfit::generated(table, ours, "generated there"));
            }
            let Some(there) = found.keeps(ours, made) else {
                let wanted = made.sql(flavour);
                let error = unfit::too_narrow(table, ours, &found.declared(), &wanted);
                return Err(error.mended_by(modify(&wanted)));
            };
            let compared = table.key.is_empty() || table.key.contains(&at);
            if compared && !found.tells_apart(ours) {
                let collation = found.collation.as_deref().unwrap_or("binary");
                return Err(unfit::merges(table, ours, collation)
                    .with_hint(format!("give it the collation {}", flavour.collation()))
                    .mended_by(modify(&made.sql(flavour))));
            }
            held.push(there);
        }
        let ours = |name: &str| {
            let mut columns = table.columns.iter();
            columns.any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let more = self
            .columns
            .iter()
            .find(|found| found.required && !ours(&found.name));
        if let Some(more) = more {
            return Err(unfit::needs_more(table, &more.name));
        }
        Ok(held)
    }

    fn column(&self, table: &Table, ours: &Column) -> Result<&ExistingColumn> {
        // The server does not tell the case of a column's name.
        let mut columns = self.columns.iter();
        let found = columns.find(|found| found.name.eq_ignore_ascii_case(&ours.name));
        found.ok_or_else(|| unfit::no_column(table, ours))
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
        let unsigned = self.column_type.contains("unsigned");
        let is = |data_type: &str| self.data_type == data_type;
        let form = match made.form {
            Form::Bool | Form::Int2 | Form::Int4 | Form::Int8 if is("decimal") => {
                let digits = match ours.kind {
                    Kind::Int2 => 5,
                    Kind::Int4 | Kind::Oid => 10,
                    Kind::Int8 => 19,
                    _ => return None,
                };
                self.decimal(digits, 0)?
            }
            Form::Bool | Form::Int2 | Form::Int4 | Form::Int8 => {
                let bits = match self.data_type.as_str() {
                    "tinyint" => 8,
                    "smallint" => 16,
                    "mediumint" => 24,
                    "int" => 32,
                    "bigint" => 64,
                    _ => return None,
                };
                let enough = match ours.kind {
                    Kind::Bool => true,
                    Kind::Oid => bits == 64 || bits == 32 && unsigned,
                    Kind::Int2 => bits >= 16 && !unsigned,
                    Kind::Int4 => bits >= 32 && !unsigned,
                    _ => bits == 64 && !unsigned,
                };
                enough.then_some(made.form)?
            }
            Form::Decimal { precision, scale } if is("decimal") => {
                self.decimal(precision, scale)?
            }
            // With a scale, as in DOUBLE(10, 2), it rounds.
            Form::Double { .. } if is("double") && !unsigned && self.scale.is_none() => made.form,
            Form::Date if is("date") => made.form,
            Form::DateTime { digits, zoned } if is("datetime") => Form::DateTime {
                digits: self.fraction(digits)?,
                zoned,
            },
            Form::Time { digits } if is("time") => Form::Time {
                digits: self.fraction(digits)?,
            },
            Form::Bytes(None) if is("longblob") => made.form,
            Form::Bytes(Some(most)) if is("varbinary") => {
                let there = self.length.and_then(|length| usize::try_from(length).ok());
                Form::Bytes(Some(there.filter(|there| *there >= most)?))
            }
            _ => return None,
        };
        Some(form)
    }

    /// A `DECIMAL` with so many digits at least. Another scale would print other zeroes.
    fn decimal(&self, digits: u16, scale: u16) -> Option<Form> {
        let precision = self.precision.and_then(|there| u16::try_from(there).ok())?;
        let enough = precision >= digits && self.scale == Some(scale.into());
        // Its own way to be unsigned: no negative numbers.
        let signed = !self.column_type.contains("unsigned");
        (enough && signed).then_some(Form::Decimal { precision, scale })
    }

    /// Digits of a second's fraction, where they are enough.
    fn fraction(&self, digits: u8) -> Option<u8> {
        let there = self.digits.and_then(|there| u8::try_from(there).ok());
        there.filter(|there| *there >= digits)
    }

    fn keeps_text(&self, ours: &Column, made: Held) -> Option<Form> {
        let plain = is_plain(ours.base_oid);
        match self.charset.as_deref() {
            Some("utf8mb4") => {}
            Some("utf8mb3" | "utf8" | "latin1" | "ascii") if plain => {}
            _ => return None,
        }
        let length = self.length.and_then(|length| usize::try_from(length).ok());
        let there = match self.data_type.as_str() {
            "longtext" => return Some(Form::Text(None)),
            "mediumtext" | "text" | "tinytext" => length? / CHARACTER,
            "varchar" => length?,
            // It loses the blanks that end a text.
            "char" if plain => length?,
            _ => return None,
        };
        let wanted = match made.form {
            Form::Text(Some(length)) => length,
            Form::Bytes(_) => return None,
            _ => longest(ours)?,
        };
        (there >= wanted).then_some(Form::Text(Some(there)))
    }

    /// Whether texts that differ are different for comparisons too.
    fn tells_apart(&self, ours: &Column) -> bool {
        let Some(collation) = &self.collation else {
            return true;
        };
        // `utf8mb4_bin` does not see trailing blanks.
        is_plain(ours.base_oid)
            || collation.ends_with("_nopad_bin")
            || collation == "utf8mb4_0900_bin"
    }

    /// As it is declared, for a refusal.
    fn declared(&self) -> String {
        let charset = self
            .charset
            .as_deref()
            .filter(|charset| *charset != "utf8mb4");
        match charset {
            Some(charset) => format!("{} in {charset}", self.column_type),
            None => self.column_type.clone(),
        }
    }
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
