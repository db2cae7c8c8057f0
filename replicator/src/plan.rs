//! What a change means for the destination: a change and its table in, an operation out. Pure.

use std::sync::Arc;

use walproto::{Column as Sent, Lsn, OldRow, Tuple};

use crate::error::{Error, Result};
use crate::table::Table;
use crate::value::Value;

/// One change of one row, or of a whole table, as the destination is to carry it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Where.
    pub table: Arc<Table>,
    /// Where the transaction it belongs to commits; no two have that in common.
    pub lsn: Lsn,
    /// What.
    pub action: Action,
}

/// What an [`Operation`] does. All but [`Truncate`](Self::Truncate) must touch exactly one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A new row, that must not be there yet.
    Insert {
        /// Every column, in the table's order.
        values: Vec<Value>,
    },
    /// New values for some columns of a row that must be there.
    Update {
        /// Place of the column and its new value. Columns that are not here keep what they have; nothing here means
        /// only that the row must be there.
        set: Vec<(usize, Value)>,
        /// What [`Table::matched`] columns held before.
        matched: Vec<Value>,
    },
    /// The end of a row that must be there.
    Delete {
        /// What [`Table::matched`] columns held.
        matched: Vec<Value>,
    },
    /// The end of all rows.
    Truncate,
}

impl Operation {
    /// A row of the stream that is new.
    ///
    /// # Errors
    ///
    /// A value that cannot be read, and an unchanged-TOAST mark: a row filter makes an insert out of an update, and
    /// the stream then leaves out a value that the destination never had.
    pub fn insert(table: &Arc<Table>, new: Tuple<'_>, lsn: Lsn) -> Result<Self> {
        let change = Change {
            table,
            lsn,
            verb: "insert",
        };
        change.check_width(new)?;
        let values = table.columns.iter().zip(new.columns()).enumerate().map(|(at, (column, sent))| {
            match Value::from_column(column.kind, sent) {
                Ok(Some(value)) if value.is_null() && table.key.contains(&at) => Err(change.null_key(at)),
                Ok(Some(value)) => Ok(value),
                Ok(None) => Err(change
                    .refuse(at, "the new row does not hold the value (unchanged TOAST in an insert, made by a row filter out of an update)")
                    .with_hint("set REPLICA IDENTITY FULL on the source table or take the row filter off the publication, then copy the table again")),
                Err(error) => Err(error.at(table, column, lsn)),
            }
        });
        let values = values.collect::<Result<_>>()?;
        Ok(change.into_operation(Action::Insert { values }))
    }

    /// A row of the stream that changed; `old` is what the replica identity told.
    ///
    /// Values that the stream does not hold (unchanged TOAST) stay as they are at the destination, whatever the
    /// identity, and whether or not the key changes in the same statement.
    ///
    /// # Errors
    ///
    /// A value that cannot be read, and a row that nothing identifies.
    pub fn update(
        table: &Arc<Table>,
        old: Option<OldRow<'_>>,
        new: Tuple<'_>,
        lsn: Lsn,
    ) -> Result<Self> {
        let change = Change {
            table,
            lsn,
            verb: "update",
        };
        change.check_width(new)?;
        let matched = match old {
            Some(old) => change.matched_old(old)?,
            None if table.key.is_empty() => {
                return Err(change.unidentified());
            }
            // The key did not change, so the new row has it.
            None => change.matched(new)?,
        };
        let mut set = Vec::with_capacity(table.columns.len());
        for (at, (column, sent)) in table.columns.iter().zip(new.columns()).enumerate() {
            let value = Value::from_column(column.kind, sent)
                .map_err(|error| error.at(table, column, lsn))?;
            let Some(value) = value else { continue };
            if let Some(place) = table.key.iter().position(|key| *key == at) {
                if value.is_null() {
                    return Err(change.null_key(at));
                }
                if matched.get(place) == Some(&value) {
                    continue;
                }
            }
            set.push((at, value));
        }
        Ok(change.into_operation(Action::Update { set, matched }))
    }

    /// A row of the stream that is gone.
    ///
    /// # Errors
    ///
    /// A value that cannot be read, and a row that nothing identifies.
    pub fn delete(table: &Arc<Table>, old: OldRow<'_>, lsn: Lsn) -> Result<Self> {
        let change = Change {
            table,
            lsn,
            verb: "delete",
        };
        let matched = change.matched_old(old)?;
        Ok(change.into_operation(Action::Delete { matched }))
    }

    /// A table of the stream that was emptied.
    pub fn truncate(table: &Arc<Table>, lsn: Lsn) -> Self {
        let change = Change {
            table,
            lsn,
            verb: "truncate",
        };
        change.into_operation(Action::Truncate)
    }

    /// Every value it carries, with the place of its column.
    #[cfg(any(feature = "mysql", feature = "sqlserver"))]
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = (usize, &mut Value)> {
        let (row, set, matched): (&mut [Value], &mut [(usize, Value)], &mut [Value]) =
            match &mut self.action {
                Action::Insert { values } => (values, &mut [], &mut []),
                Action::Update { set, matched } => (&mut [], set, matched),
                Action::Delete { matched } => (&mut [], &mut [], matched),
                Action::Truncate => (&mut [], &mut [], &mut []),
            };
        let set = set.iter_mut().map(|(at, value)| (*at, value));
        row.iter_mut()
            .enumerate()
            .chain(set)
            .chain(self.table.matched().zip(matched))
    }

    /// About how many bytes it occupies, for those who bound a batch.
    pub fn size(&self) -> usize {
        let values = |values: &[Value]| {
            values.iter().map(Value::heap_size).sum::<usize>() + size_of_val(values)
        };
        let action = match &self.action {
            Action::Insert { values: all } | Action::Delete { matched: all } => values(all),
            Action::Update { set, matched } => {
                set.iter()
                    .map(|(_, value)| value.heap_size())
                    .sum::<usize>()
                    + size_of_val(&**set)
                    + values(matched)
            }
            Action::Truncate => 0,
        };
        size_of::<Self>() + action
    }

    /// The row it looks for, for messages: `id = 7, part = 'b'`.
    pub fn row(&self) -> String {
        let mut text = String::new();
        let mut add = |at: usize, value: &Value| {
            let name = self
                .table
                .columns
                .get(at)
                .map_or("?", |column| &column.name);
            let comma = if text.is_empty() { "" } else { ", " };
            // A row without a key can have 1600 columns; its beginning has to do.
            if text.len() < 200 {
                text += &format!("{comma}{name} = {value}");
            } else if !text.ends_with('…') {
                text.push('…');
            }
        };
        match &self.action {
            Action::Insert { values } => {
                for at in self.table.matched() {
                    if let Some(value) = values.get(at) {
                        add(at, value);
                    }
                }
            }
            Action::Update { matched, .. } | Action::Delete { matched } => {
                for (at, value) in self.table.matched().zip(matched) {
                    add(at, value);
                }
            }
            Action::Truncate => {}
        }
        text
    }
}

/// A change under way to an operation.
struct Change<'a> {
    table: &'a Arc<Table>,
    lsn: Lsn,
    verb: &'static str,
}

impl Change<'_> {
    fn into_operation(self, action: Action) -> Operation {
        Operation {
            table: Arc::clone(self.table),
            lsn: self.lsn,
            action,
        }
    }

    fn check_width(&self, row: Tuple<'_>) -> Result<()> {
        let (sent, known) = (row.len(), self.table.columns.len());
        if sent == known {
            return Ok(());
        }
        let Self { table, lsn, verb } = self;
        Err(Error::person(format!(
            "table {table}, {verb} at {lsn}: the row has {sent} columns and the table {known}"
        )))
    }

    fn matched_old(&self, old: OldRow<'_>) -> Result<Vec<Value>> {
        match old {
            // Columns outside the key read as NULL there although they are only not sent.
            OldRow::Key(_) if self.table.key.is_empty() => Err(self.unidentified()),
            OldRow::Key(row) | OldRow::Full(row) => {
                self.check_width(row)?;
                self.matched(row)
            }
        }
    }

    /// The values that find the row.
    fn matched(&self, row: Tuple<'_>) -> Result<Vec<Value>> {
        if self.table.key.is_empty() {
            return row
                .columns()
                .enumerate()
                .map(|(at, sent)| self.value(at, Some(sent)))
                .collect();
        }
        // Keys are short and mostly come first, so walking there again for each of their columns costs little.
        self.table
            .key
            .iter()
            .map(|at| self.value(*at, row.columns().nth(*at)))
            .collect()
    }

    fn value(&self, at: usize, sent: Option<Sent<'_>>) -> Result<Value> {
        let (Some(column), Some(sent)) = (self.table.columns.get(at), sent) else {
            return Err(self.refuse(at, "the key has a column that the row has not"));
        };
        match Value::from_column(column.kind, sent) {
            Ok(Some(value)) if value.is_null() && !self.table.key.is_empty() => {
                Err(self.null_key(at))
            }
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.refuse(
                at,
                "the stream does not hold the value that identifies the row (unchanged TOAST)",
            )),
            Err(error) => Err(error.at(self.table, column, self.lsn)),
        }
    }

    #[cold]
    fn refuse(&self, at: usize, why: &str) -> Error {
        let Self { table, lsn, verb } = self;
        let column = table.columns.get(at).map_or("?", |column| &column.name);
        Error::person(format!(
            "table {table}, column {column}, {verb} at {lsn}: {why}"
        ))
    }

    #[cold]
    fn null_key(&self, at: usize) -> Error {
        self.refuse(at, "the key is NULL, which identifies no row")
    }

    #[cold]
    fn unidentified(&self) -> Error {
        let Self { table, lsn, verb } = self;
        Error::person(format!(
            "table {table}, {verb} at {lsn}: nothing in the stream identifies the row"
        ))
        .with_hint(format!(
            "set REPLICA IDENTITY FULL on {table}, or give it a primary key and copy it again"
        ))
    }
}

#[cfg(test)]
mod tests;
