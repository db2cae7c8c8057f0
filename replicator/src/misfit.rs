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
                let row = format!("row {}, at {}", operation.row(), operation.lsn);
                Err(refused.at(&row).refused_at(operation.lsn))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use walproto::{Lsn, Oid};

    use super::*;
    use crate::plan::Action;
    use crate::table::Column;

    fn table(key: &[usize]) -> Arc<Table> {
        let column = |name: &str| Column::new(name, Oid(1082), -1, Oid(1082));
        Arc::new(Table {
            oid: Oid(1),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "t".to_owned(),
            columns: vec![column("day"), column("end")],
            key: key.to_vec(),
            identity: 'f',
            relfilenode: 1,
        })
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn update(table: &Arc<Table>, end: &str, matched: &[&str]) -> Operation {
        Operation {
            table: Arc::clone(table),
            lsn: Lsn(0x10),
            action: Action::Update {
                set: vec![(1, text(end))],
                matched: matched.iter().map(|value| text(value)).collect(),
            },
        }
    }

    /// A column without infinity, in which `x` is written `X`.
    fn hold(_: usize, value: &Value) -> Result<Option<Value>, Misfit> {
        match value {
            Value::Text(this) if this == "infinity" => Err(Misfit::new("too late", text("last"))),
            Value::Text(this) if this == "NaN" => Err(Misfit::without_nearest("no number")),
            Value::Text(this) if this == "long" => Err(Misfit::too_long(4, 3, "characters")),
            Value::Text(this) if this == "x" => Ok(Some(text("X"))),
            _ => Ok(None),
        }
    }

    #[test]
    fn a_misfit_is_refused_with_its_place_and_what_to_do() {
        let table = table(&[0]);
        let refused = |policy, end: &str| {
            let mut operation = update(&table, end, &["monday"]);
            let error = Misfits::new(policy).fit(&mut operation, hold).unwrap_err();
            assert_eq!(error.exit_code(), 3);
            assert_eq!(error.refused_lsn(), Some(Lsn(0x10)));
            (error.to_string(), error.hint().unwrap().to_owned())
        };
        let (what, next) = refused(OnMisfit::Fail, "infinity");
        assert_eq!(
            what,
            "table public.t, column end, row day = 'monday', at 0/10: 'infinity' is too late"
        );
        assert!(next.starts_with("use --on-misfit text"), "{next}");
        assert!(
            next.ends_with("--on-misfit clamp, which stores 'last'"),
            "{next}"
        );
        for (policy, value) in [(OnMisfit::Clamp, "NaN"), (OnMisfit::Fail, "NaN")] {
            let (_, next) = refused(policy, value);
            assert!(
                next.starts_with("use --on-misfit text") && !next.contains("clamp"),
                "{next}"
            );
        }
        for (policy, value) in [(OnMisfit::Text, "infinity"), (OnMisfit::Fail, "long")] {
            let (_, next) = refused(policy, value);
            assert!(next.starts_with("change the value at the source"), "{next}");
        }
    }

    #[test]
    fn clamped_values_are_counted_and_keys_are_never_clamped() {
        let mut misfits = Misfits::new(OnMisfit::Clamp);
        let keyed = table(&[0]);
        let mut operation = update(&keyed, "infinity", &["x"]);
        for _ in 0..2 {
            operation = update(&keyed, "infinity", &["x"]);
            misfits.fit(&mut operation, hold).unwrap();
        }
        assert_eq!(operation, update(&keyed, "last", &["X"]));
        let place = ("public.t".to_owned(), "end".to_owned());
        assert_eq!(misfits.clamped, BTreeMap::from([(place, 2)]));
        assert!(
            misfits
                .fit(&mut update(&keyed, "x", &["infinity"]), hold)
                .is_err()
        );

        // Without a key a row is found by what is stored of it.
        let keyless = table(&[]);
        let mut operation = update(&keyless, "x", &["infinity", "infinity"]);
        misfits.fit(&mut operation, hold).unwrap();
        assert_eq!(operation, update(&keyless, "X", &["last", "last"]));
    }

    #[test]
    fn a_row_of_the_first_copy_is_named_by_its_key() {
        let mut row = [text("x"), text("infinity")];
        let error = Misfits::default()
            .fit_row(&table(&[0]), &mut row, hold)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "table public.t, column end, row day = 'X', first copy: 'infinity' is too late"
        );
        Misfits::new(OnMisfit::Clamp)
            .fit_row(&table(&[0]), &mut row, hold)
            .unwrap();
        assert_eq!(row, [text("X"), text("last")]);
    }
}
