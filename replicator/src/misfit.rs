//! Values that a destination column cannot hold exactly, and what becomes of them.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::OnMisfit;
use crate::error::{Error, Result, START_ANEW};
use crate::plan::Operation;
use crate::table::Table;
use crate::value::{Kind, Value};

/// A value that its column cannot hold, and the nearest that it can.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Misfit {
    why: String,
    /// As the destination takes it.
    nearest: Option<Value>,
    /// Whether a text column of ours would hold it.
    fits_text: bool,
}

impl Misfit {
    /// `why` goes on after "is".
    pub(crate) fn new(why: impl Into<String>, nearest: Value) -> Self {
        Self {
            why: why.into(),
            nearest: Some(nearest),
            fits_text: true,
        }
    }

    /// What nothing is near to.
    pub(crate) fn without_nearest(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            nearest: None,
            fits_text: true,
        }
    }

    /// Cutting it would make it another value, and two values one.
    pub(crate) fn too_long(length: usize, most: usize, unit: &str) -> Self {
        Self {
            why: format!("{length} {unit} long, and the column holds {most}"),
            nearest: None,
            fits_text: false,
        }
    }

    /// A value that its source column never has.
    pub(crate) fn foreign(kind: Kind) -> Self {
        Self {
            why: format!("not how a {} is stored here", kind.name()),
            nearest: None,
            fits_text: false,
        }
    }

    /// What the column holds instead.
    #[cfg(test)]
    pub(crate) const fn nearest(&self) -> Option<&Value> {
        self.nearest.as_ref()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Carries out what the user chose, and counts.
#[derive(Debug, Default)]
pub(crate) struct Misfits {
    policy: OnMisfit,
    /// By table and column.
    clamped: BTreeMap<(String, String), u64>,
}

impl Misfits {
    pub(crate) fn new(policy: OnMisfit) -> Self {
        Self {
            policy,
            clamped: BTreeMap::new(),
        }
    }

    /// Makes every value of an operation one that its column holds.
    ///
    /// `hold` gives a value as the destination takes it, `None` where it is the same.
    ///
    /// # Errors
    ///
    /// A value that is refused, with its place.
    pub(crate) fn fit(
        &mut self,
        operation: &mut Operation,
        mut hold: impl FnMut(usize, &Value) -> Result<Option<Value>, Misfit>,
    ) -> Result<()> {
        let table = std::sync::Arc::clone(&operation.table);
        let mut refused = None;
        for (at, value) in operation.values_mut() {
            match hold(at, value) {
                Ok(None) => {}
                Ok(Some(other)) => *value = other,
                Err(misfit) => match self.settle(&table, at, value, misfit) {
                    Ok(other) => *value = other,
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                },
            }
        }
        match refused {
            None => Ok(()),
            Some(refused) => {
                Err(refused.at(&format!("row {}, at {}", operation.row(), operation.lsn)))
            }
        }
    }

    /// The same for a row of the first copy.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub(crate) fn fit_row(
        &mut self,
        table: &Table,
        row: &mut [Value],
        mut hold: impl FnMut(usize, &Value) -> Result<Option<Value>, Misfit>,
    ) -> Result<()> {
        for at in 0..row.len() {
            match hold(at, &row[at]) {
                Ok(None) => {}
                Ok(Some(other)) => row[at] = other,
                Err(misfit) => match self.settle(table, at, &row[at], misfit) {
                    Ok(other) => row[at] = other,
                    Err(refused) => {
                        let key = table.matched().filter_map(|at| {
                            let name = &table.columns.get(at)?.name;
                            Some(format!("{name} = {}", row.get(at)?))
                        });
                        let key: Vec<String> = key.take(8).collect();
                        return Err(refused.at(&format!("row {}, first copy", key.join(", "))));
                    }
                },
            }
        }
        Ok(())
    }

    /// What takes the value's place.
    #[cold]
    fn settle(
        &mut self,
        table: &Table,
        at: usize,
        value: &Value,
        misfit: Misfit,
    ) -> Result<Value, Refused> {
        let column = table.columns.get(at).map_or("?", |column| &column.name);
        // A key that is another one finds another row.
        let in_key = table.key.contains(&at);
        let nearest = misfit.nearest.as_ref().filter(|_| !in_key);
        if let (OnMisfit::Clamp, Some(nearest)) = (self.policy, nearest) {
            let place = (table.to_string(), column.to_owned());
            let count = self.clamped.entry(place).or_default();
            if *count == 0 {
                tracing::warn!(
                    %table,
                    column,
                    "{value} is {misfit}, and {nearest} is stored instead; further values of the column are counted"
                );
            }
            *count += 1;
            return Ok(nearest.clone());
        }
        let mut next = if misfit.fits_text && self.policy != OnMisfit::Text {
            format!("use --on-misfit text, which makes such columns text; {START_ANEW}")
        } else {
            "change the value at the source, or leave the table out of the publication".to_owned()
        };
        if let Some(nearest) = nearest {
            next += &format!(". Or go on with --on-misfit clamp, which stores {nearest}");
        }
        Err(Refused {
            place: format!("table {table}, column {column}"),
            what: format!("{value} is {misfit}"),
            next,
        })
    }
}

impl Drop for Misfits {
    /// The end of a run says how many there were; a batch that came twice is counted twice.
    fn drop(&mut self) {
        for ((table, column), count) in &self.clamped {
            tracing::warn!(
                table,
                column,
                count,
                "values were replaced by the nearest that the column holds"
            );
        }
    }
}

/// A refusal that does not know its row yet.
struct Refused {
    place: String,
    what: String,
    next: String,
}

impl Refused {
    fn at(self, row: &str) -> Error {
        Error::person(format!("{}, {row}: {}", self.place, self.what)).with_hint(self.next)
    }
}
