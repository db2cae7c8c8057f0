//! Keys that pass each other within a source transaction: `id = id + 1`, swaps, a row that goes after its like came.
//!
//! A row that collides waits for its key with one that nobody has: a column here takes anything, and the row stays where
//! it is. Which tables have such rows, and why, stands in [`parking`](crate::destination::parking).

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};
use walproto::Lsn;

use super::file::{failure, is_duplicate, refusal};
use super::statements::Parameter;
use super::writer::read_value;
use crate::destination::conflict::{Met, conflict, describe, undo};
use crate::destination::parking::may_wait;
use crate::dialect::sqlite::parking::{ALIAS, Lot, UNIQUE};
use crate::error::{Error, Result};
use crate::plan::{Action, Operation};
use crate::table::Table;
use crate::value::Value;

const FIRST: i64 = i64::MIN + 1;

/// The rows that wait, all of one source transaction.
pub(super) struct Parking<'db> {
    db: &'db Connection,
    /// By the table's address; the `Arc` keeps it from being given to another.
    lots: HashMap<usize, (Arc<Table>, Lot)>,
    lsn: Lsn,
    /// Where to look for a row number that no row has: far from what anybody uses.
    next: i64,
}

/// A row that waits.
struct Waiting {
    place: i64,
    lsn: Lsn,
    /// `None` for a new one.
    why: Option<String>,
    /// Of the unique columns.
    values: Vec<Value>,
}

impl<'db> Parking<'db> {
    pub(super) fn new(db: &'db Connection) -> Self {
        Self {
            db,
            lots: HashMap::new(),
            lsn: Lsn(0),
            next: FIRST,
        }
    }

    /// Whether rows wait that are not of the operation's transaction.
    pub(super) fn is_over(&self, operation: &Operation) -> bool {
        !self.lots.is_empty() && self.lsn != operation.lsn
    }

    /// Whether rows wait, or did in this transaction.
    pub(super) fn is_used(&self) -> bool {
        !self.lots.is_empty()
    }

    /// What is known of the tables whose rows wait, to go [back to](Self::back_to).
    pub(super) fn lots(&self) -> HashMap<usize, (Arc<Table>, Lot)> {
        self.lots.clone()
    }

    /// The transaction went back to where it was then, and a temporary table made since is gone.
    pub(super) fn back_to(&mut self, lots: HashMap<usize, (Arc<Table>, Lot)>) {
        self.lots = lots;
    }

    /// Forgets everything; the transaction has been rolled back, and the temporary tables with it.
    pub(super) fn clear(&mut self) {
        self.lots.clear();
        self.next = FIRST;
    }

    /// Lets the row wait that an insert or update would give a key that is taken. `false` if that cannot be.
    pub(super) fn park(&mut self, operation: &Operation, why: &str) -> Result<bool> {
        let Some((table, lot)) = self.lot(operation)? else {
            return Ok(false);
        };
        let number = i64::try_from(operation.lsn.0).unwrap_or(i64::MAX);
        let step = Step {
            db: self.db,
            operation,
        };
        match &operation.action {
            Action::Insert { values } => {
                let free = (0..values.len()).filter(|at| !lot.is_unique(*at));
                let mut bound: Vec<Bound<'_>> = free.map(|at| Bound::of(&values[at])).collect();
                if lot.alias.is_some() {
                    bound.push(Bound::Number(self.place(&table, &lot)?));
                }
                if !step.tries(&lot.insert(&table), &bound)? {
                    return Ok(false);
                }
                let place = Bound::Number(self.db.last_insert_rowid());
                let kept = lot.unique.iter().map(|at| Bound::of(&values[*at]));
                let bound = [place, Bound::Number(number)].into_iter().chain(kept);
                step.run(&lot.note(), &bound.collect::<Vec<_>>())?;
            }
            Action::Update { set, matched } => {
                let Some(old) = step.find(&lot.find_standing(&table), matched.iter())? else {
                    return Ok(false);
                };
                let new = match lot.alias {
                    Some(_) => self.place(&table, &lot)?,
                    None => old,
                };
                let places: Vec<usize> = set.iter().map(|(at, _)| *at).collect();
                let kept = lot.unique.iter().filter_map(|at| value_of(set, *at));
                let mut bound = vec![Bound::Number(new), Bound::Number(number), Bound::Text(why)];
                bound.extend(kept.map(Bound::of));
                bound.push(Bound::Number(old));
                step.run(&lot.park(&table, &places), &bound)?;
                let free = set.iter().filter(|(at, _)| !lot.is_unique(*at));
                let mut bound: Vec<Bound<'_>> = free.map(|(_, value)| Bound::of(value)).collect();
                bound.extend(lot.alias.map(|_| Bound::Number(new)));
                bound.push(Bound::Number(old));
                if !step.tries(&lot.blank(&table, &places), &bound)? {
                    // An index on an expression does not take what nobody has.
                    step.run(&lot.forget(), &[Bound::Number(new)])?;
                    return Ok(false);
                }
            }
            Action::Delete { .. } | Action::Truncate => return Ok(false),
        }
        self.lsn = operation.lsn;
        Ok(true)
    }

    /// Carries an operation out whose row waits. `false` if its row does not.
    ///
    /// # Errors
    ///
    /// A row that is meant only by the values it waits with: it is not the one, and there is no other.
    pub(super) fn run(&mut self, operation: &Operation) -> Result<bool> {
        let key = Arc::as_ptr(&operation.table).addr();
        let Some((table, lot)) = self.lots.get(&key) else {
            return Ok(false);
        };
        let step = Step {
            db: self.db,
            operation,
        };
        let matched = match &operation.action {
            Action::Insert { .. } => return Ok(false),
            Action::Truncate => {
                step.run(&lot.forget_all(), &[])?;
                return Ok(false);
            }
            Action::Update { matched, .. } | Action::Delete { matched } => matched,
        };
        let places: Vec<usize> = table.matched().collect();
        let sought = lot.sought(table);
        let values = sought.iter().filter_map(|at| {
            let place = places.iter().position(|other| other == at)?;
            matched.get(place)
        });
        let Some(place) = step.find(&lot.find(table), values)? else {
            let number = places.iter().position(|at| Some(*at) == lot.alias);
            if let Some(Value::Integer(number)) = number.and_then(|at| matched.get(at))
                && step
                    .find(&lot.waits(), [&Value::Integer(*number)].into_iter())?
                    .is_some()
            {
                return Err(conflict(operation, Met::Rows(0)));
            }
            return Ok(false);
        };
        if let Action::Update { set, .. } = &operation.action {
            let (unique, free): (Vec<_>, Vec<_>) =
                set.iter().partition(|(at, _)| lot.is_unique(*at));
            for (set, sql) in [
                (
                    &unique,
                    &(|places: &[usize]| lot.renew(places)) as &dyn Fn(&[usize]) -> String,
                ),
                (&free, &|places| lot.set(table, places)),
            ] {
                if set.is_empty() {
                    continue;
                }
                let places: Vec<usize> = set.iter().map(|(at, _)| *at).collect();
                let values = set.iter().map(|(_, value)| Bound::of(value));
                let bound: Vec<_> = values.chain([Bound::Number(place)]).collect();
                step.run(&sql(&places), &bound)?;
            }
        } else {
            step.run(&lot.delete(table), &[Bound::Number(place)])?;
            step.run(&lot.forget(), &[Bound::Number(place)])?;
        }
        Ok(true)
    }

    /// Gives every row that waits its key. Inserts whose key is taken are handed back, their rows gone again.
    ///
    /// # Errors
    ///
    /// An update whose key is taken: by a row from elsewhere.
    pub(super) fn leave(&mut self) -> Result<Vec<Operation>> {
        let mut refused = Vec::new();
        self.next = FIRST;
        for (table, lot) in std::mem::take(&mut self.lots).into_values() {
            // One may wait for a key that another waits with.
            while self.pass(&table, &lot, None)? {}
            self.pass(&table, &lot, Some(&mut refused))?;
            self.execute(&lot.drop())
                .map_err(|error| failed(&table, error))?;
        }
        Ok(refused)
    }

    /// Tries each row once; says whether some got their key and others did not. With `refused` it is the last time.
    fn pass(
        &self,
        table: &Arc<Table>,
        lot: &Lot,
        mut refused: Option<&mut Vec<Operation>>,
    ) -> Result<bool> {
        let failed = |error| failed(table, error);
        let (mut done, mut left, mut last) = (false, false, i64::MIN);
        loop {
            let waiting = self.waiting(lot, last).map_err(failed)?;
            let Some(end) = waiting.last() else {
                return Ok(done && left);
            };
            last = end.place;
            for Waiting {
                place,
                lsn,
                why,
                values,
            } in waiting
            {
                let bound: Vec<_> = values.iter().map(Bound::of).collect();
                let moved = self.moved(table, lot, &bound, place).map_err(failed)?;
                match (moved, &mut refused) {
                    (true, _) => {
                        self.statement(&lot.forget(), &[Bound::Number(place)])
                            .map_err(failed)?;
                        done = true;
                    }
                    (false, None) => left = true,
                    (false, Some(refused)) => {
                        let values = self.row(table, lot, place, &values).map_err(failed)?;
                        let insert = Operation {
                            table: Arc::clone(table),
                            lsn,
                            action: Action::Insert { values },
                        };
                        if let Some(why) = why {
                            return Err(Error::person(why).with_hint(undo(&insert)));
                        }
                        self.statement(&lot.delete(table), &[Bound::Number(place)])
                            .map_err(failed)?;
                        refused.push(insert);
                    }
                }
            }
        }
    }

    fn moved(
        &self,
        table: &Table,
        lot: &Lot,
        values: &[Bound<'_>],
        place: i64,
    ) -> rusqlite::Result<bool> {
        let bound: Vec<_> = values
            .iter()
            .copied()
            .chain([Bound::Number(place)])
            .collect();
        match self.statement(&lot.set(table, &lot.unique), &bound) {
            Err(error) if is_duplicate(&error) => Ok(false),
            done => done.map(|_| true),
        }
    }

    /// A row as it would be if it had what it waits for.
    fn row(
        &self,
        table: &Table,
        lot: &Lot,
        place: i64,
        values: &[Value],
    ) -> rusqlite::Result<Vec<Value>> {
        let mut row = self.db.query_row(&lot.row(table), [place], |row| {
            (0..table.columns.len())
                .map(|at| read_value(at, row.get_ref(at)?))
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for (at, value) in lot.unique.iter().zip(values) {
            if let Some(column) = row.get_mut(*at) {
                *column = value.clone();
            }
        }
        Ok(row)
    }

    fn waiting(&self, lot: &Lot, after: i64) -> rusqlite::Result<Vec<Waiting>> {
        let mut query = self.db.prepare_cached(&lot.waiting())?;
        let rows = query.query_map([after], |row| {
            let values = (0..lot.unique.len()).map(|at| read_value(at, row.get_ref(3 + at)?));
            Ok(Waiting {
                place: row.get(0)?,
                lsn: Lsn(row.get::<_, i64>(1)?.unsigned_abs()),
                why: row.get(2)?,
                values: values.collect::<rusqlite::Result<_>>()?,
            })
        })?;
        rows.collect()
    }

    /// The table's lot, made when it is first needed; `None` where a collision can only be a conflict.
    fn lot(&mut self, operation: &Operation) -> Result<Option<(Arc<Table>, Lot)>> {
        let table = &operation.table;
        let key = Arc::as_ptr(table).addr();
        if let Some(known) = self.lots.get(&key) {
            return Ok(Some(known.clone()));
        }
        let looked = self.look(table).and_then(|lot| match lot {
            Some(lot) => self.execute(&lot.create()).map(|()| Some(lot)),
            None => Ok(None),
        });
        let Some(lot) = looked.map_err(|error| failure(describe(operation), error))? else {
            return Ok(None);
        };
        let known = (Arc::clone(table), lot);
        self.lots.insert(key, known.clone());
        Ok(Some(known))
    }

    /// What of a table is unique.
    fn look(&self, table: &Table) -> rusqlite::Result<Option<Lot>> {
        let place = |name: String| {
            let same = |ours: &str| ours.eq_ignore_ascii_case(&name);
            table.columns.iter().position(|column| same(&column.name))
        };
        let names = |sql| -> rusqlite::Result<Vec<usize>> {
            let mut query = self.db.prepare_cached(sql)?;
            let names = query.query_map([&table.destination], |row| row.get(0))?;
            let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
            Ok(names.into_iter().filter_map(place).collect())
        };
        let unique = names(UNIQUE)?;
        if !may_wait(table, &unique) {
            return Ok(None);
        }
        let alias = names(ALIAS)?.first().copied();
        let lot = Lot::new(self.lots.len(), table, unique, alias);
        // A table WITHOUT ROWID has no number to find a row by.
        Ok(lot.filter(|lot| self.db.prepare(&lot.taken(table)).is_ok()))
    }

    /// A row number that no row has.
    fn place(&mut self, table: &Table, lot: &Lot) -> Result<i64> {
        let error = |error| failed(table, error);
        let mut taken = self.db.prepare_cached(&lot.taken(table)).map_err(error)?;
        while taken.exists([self.next]).map_err(error)? {
            self.next += 1;
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    fn statement(&self, sql: &str, bound: &[Bound<'_>]) -> rusqlite::Result<usize> {
        self.db
            .prepare_cached(sql)?
            .execute(params_from_iter(bound))
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.db.execute_batch(sql)
    }
}

/// A statement on the way to carrying out an operation.
struct Step<'a> {
    db: &'a Connection,
    operation: &'a Operation,
}

impl Step<'_> {
    fn run(&self, sql: &str, bound: &[Bound<'_>]) -> Result<()> {
        let statement = self.db.prepare_cached(sql);
        let done = statement.and_then(|mut statement| statement.execute(params_from_iter(bound)));
        done.map(drop).map_err(|error| self.failure(error))
    }

    /// `false` where a row with that key is there.
    fn tries(&self, sql: &str, bound: &[Bound<'_>]) -> Result<bool> {
        let statement = self.db.prepare_cached(sql);
        match statement.and_then(|mut statement| statement.execute(params_from_iter(bound))) {
            Err(error) if is_duplicate(&error) => Ok(false),
            done => done.map(|_| true).map_err(|error| self.failure(error)),
        }
    }

    fn find<'v>(&self, sql: &str, values: impl Iterator<Item = &'v Value>) -> Result<Option<i64>> {
        let statement = self.db.prepare_cached(sql);
        let found = statement.and_then(|mut statement| {
            let values = params_from_iter(values.map(Parameter));
            statement.query_row(values, |row| row.get(0)).optional()
        });
        found.map_err(|error| self.failure(error))
    }

    fn failure(&self, error: rusqlite::Error) -> Error {
        refusal(self.operation, error)
    }
}

/// What a parameter holds.
#[derive(Clone, Copy)]
enum Bound<'a> {
    Value(Parameter<'a>),
    Number(i64),
    Text(&'a str),
}

impl<'a> Bound<'a> {
    const fn of(value: &'a Value) -> Self {
        Self::Value(Parameter(value))
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Value(value) => value.to_sql(),
            Self::Number(number) => Ok((*number).into()),
            Self::Text(text) => text.to_sql(),
        }
    }
}

fn value_of(set: &[(usize, Value)], at: usize) -> Option<&Value> {
    let found = set.iter().find(|(other, _)| *other == at)?;
    Some(&found.1)
}

fn failed(table: &Table, error: rusqlite::Error) -> Error {
    failure(
        format!("table {table}: could not let rows wait for their keys"),
        error,
    )
}
