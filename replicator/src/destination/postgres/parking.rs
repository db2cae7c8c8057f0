//! Keys that pass each other within a source transaction: the rows wait outside of their table.
//!
//! Which tables have such rows, and why, stands in [`parking`](crate::destination::parking). Once a row waits, changes of
//! the same transaction are carried out one by one: each may mean a row that waits or one that stands.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Arguments;
use sqlx::postgres::PgArguments;
use walproto::Lsn;

use super::session::{Session, column, failure, is_duplicate, refusal};
use super::statements::{Known, Statements, arguments, run_text};
use crate::copy;
use crate::destination::conflict::{Met, conflict, describe, undo};
use crate::destination::parking::may_wait;
use crate::destination::runs::Run;
use crate::destination::server::Apply;
use crate::dialect::Shape;
use crate::dialect::postgres::parking::{Lot, UNIQUE};
use crate::dialect::postgres::{Target, parts};
use crate::error::{Error, Result};
use crate::plan::{Action, Operation};
use crate::table::Table;

/// The tables that have rows waiting, all of one source transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Parking {
    /// By address, each with its temporary table.
    lots: HashMap<usize, Arc<Table>>,
    lsn: Lsn,
}

impl Parking {
    /// Whether rows wait.
    pub(super) fn waits(&self) -> bool {
        !self.lots.is_empty()
    }

    /// Whether rows wait that are not of the operation's transaction.
    pub(super) fn is_over(&self, operation: &Operation) -> bool {
        self.waits() && self.lsn != operation.lsn
    }

    /// Forgets everything; the transaction is at its end, and the temporary tables with it.
    pub(super) fn clear(&mut self) {
        self.lots.clear();
    }
}

/// Where rows of a table can wait, if any of it may and nothing happens besides when one goes and comes back.
pub(super) async fn look(
    db: &mut Session,
    number: usize,
    table: &Table,
    target: &Target,
    stored: Vec<String>,
) -> Result<Option<Lot>> {
    /// As many columns as a table has, less two of ours.
    const MOST: usize = 1598;
    let (schema, name) = parts(&table.destination);
    let rows = db.rows(sqlx::query(UNIQUE).bind(schema).bind(name)).await?;
    let (mut unique, mut required) = (Vec::new(), Vec::new());
    for row in rows {
        let name: String = column(&row, 0)?;
        let place = table.columns.iter().position(|column| column.name == name);
        let Some(place) = place else { continue };
        unique.push(place);
        if column(&row, 1)? {
            required.push(place);
        }
    }
    let waits = may_wait(table, &unique) && stored.len() <= MOST;
    Ok(waits.then(|| Lot::new(number, target, stored, unique, required)))
}

impl Statements {
    /// Lets the row wait that an insert or update would give a key that is taken. `false` if that cannot be.
    pub(super) async fn let_wait(
        &mut self,
        db: &mut Session,
        operation: &Operation,
    ) -> Result<bool> {
        let key = Arc::as_ptr(&operation.table).addr();
        let Some(Known {
            lot: Some(lot),
            target,
            ..
        }) = self.tables.get(&key)
        else {
            return Ok(false);
        };
        if !self.parking.lots.contains_key(&key) {
            run_text(db, &lot.create(target)).await?;
        }
        let (sql, mut values) = match &operation.action {
            Action::Insert { .. } => (lot.insert(target), given(target, operation)?),
            Action::Update { set, .. } => {
                let places: Vec<usize> = set.iter().map(|(at, _)| *at).collect();
                (lot.park(target, &places), given(target, operation)?)
            }
            Action::Delete { .. } | Action::Truncate => return Ok(false),
        };
        if let Action::Update { .. } = operation.action {
            let why = conflict(operation, Met::Another).to_string();
            let added = values.add(why);
            added.map_err(|error| Error::person(error.to_string()))?;
        }
        let parked = carry_out(db, operation, &sql, values).await?;
        self.parking
            .lots
            .entry(key)
            .or_insert_with(|| Arc::clone(&operation.table));
        self.parking.lsn = operation.lsn;
        match parked {
            1 => Ok(true),
            0 => Ok(false),
            rows => Err(conflict(operation, Met::Rows(rows))),
        }
    }

    /// Carries an operation out whose row waits, or is to. `false` if it is for the table itself.
    pub(super) async fn run_waiting(
        &mut self,
        db: &mut Session,
        operation: &Operation,
    ) -> Result<bool> {
        let key = Arc::as_ptr(&operation.table).addr();
        let (
            true,
            Some(Known {
                lot: Some(lot),
                target,
                ..
            }),
        ) = (self.parking.lots.contains_key(&key), self.tables.get(&key))
        else {
            return Ok(false);
        };
        let (sql, values, collides) = match &operation.action {
            Action::Insert { .. } => return Ok(false),
            Action::Truncate => {
                run_text(db, &lot.forget()).await?;
                return Ok(false);
            }
            Action::Update { set, .. } => {
                let places: Vec<usize> = set.iter().map(|(at, _)| *at).collect();
                let collides = places.iter().any(|at| lot.is_unique(*at));
                (
                    lot.update(target, &places),
                    given(target, operation)?,
                    collides,
                )
            }
            Action::Delete { .. } => (lot.delete(target), given(target, operation)?, false),
        };
        match carry_out(db, operation, &sql, values).await? {
            // Where one collided others will, and a statement that fails costs more than a row that waits.
            0 if collides => self.let_wait(db, operation).await,
            found => Ok(found == 1),
        }
    }

    /// Gives every row that waits its key; when their source transaction is over.
    ///
    /// # Errors
    ///
    /// A key that is taken: by a row from elsewhere.
    pub(super) async fn leave(&mut self, db: &mut Session) -> Result<()> {
        let parking = std::mem::take(&mut self.parking);
        for (key, table) in parking.lots {
            let done = self.leave_lot(db, key, &table, parking.lsn).await;
            done.map_err(Error::found_at_end)?;
        }
        Ok(())
    }

    async fn leave_lot(
        &mut self,
        db: &mut Session,
        key: usize,
        table: &Arc<Table>,
        lsn: Lsn,
    ) -> Result<()> {
        let Some(Known {
            lot: Some(lot),
            target,
            ..
        }) = self.tables.get(&key)
        else {
            return Ok(());
        };
        let (lot, target) = (lot.clone(), target.clone());
        run_text(db, "SAVEPOINT leave").await?;
        let mut left = Ok(());
        for sql in lot.leave(&target) {
            if left.is_ok() {
                left = db.run_text(&sql).await;
            }
        }
        match left {
            Ok(()) => run_text(db, "RELEASE SAVEPOINT leave").await?,
            Err(error) if !is_duplicate(&error) => {
                return Err(failure(
                    format!(
                        "table {table}: could not give rows their keys at the end of the transaction at {lsn}"
                    ),
                    error,
                ));
            }
            Err(_) => {
                run_text(db, "ROLLBACK TO SAVEPOINT leave").await?;
                self.leave_one_by_one(db, &lot, &target, table, lsn).await?;
                run_text(db, "RELEASE SAVEPOINT leave").await?;
            }
        }
        run_text(db, &lot.drop()).await
    }

    /// The same, to find out which cannot; what is to be done about new rows is decided when all others are back.
    async fn leave_one_by_one(
        &mut self,
        db: &mut Session,
        lot: &Lot,
        target: &Target,
        table: &Arc<Table>,
        lsn: Lsn,
    ) -> Result<()> {
        let (mut last, mut refused) = (0_i64, Vec::new());
        loop {
            let query = sqlx::query(sqlx::AssertSqlSafe(lot.those_behind())).bind(last);
            let rows = db.rows(query).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let why: Option<String> = column(&row, 1)?;
                last = column(&row, 0)?;
                run_text(db, "SAVEPOINT one").await?;
                let sql: Arc<str> = lot.leave_one(target, why.is_some()).into();
                let mut place = PgArguments::default();
                let added = place.add(last);
                added.map_err(|error| Error::person(error.to_string()))?;
                match db.changed(&sql, place).await {
                    Ok(_) => run_text(db, "RELEASE SAVEPOINT one").await?,
                    Err(error) if is_duplicate(&error) => {
                        run_text(db, "ROLLBACK TO SAVEPOINT one").await?;
                        let insert = waiting(db, lot, target, table, lsn, last).await?;
                        if let Some(why) = why {
                            return Err(Error::person(why).with_hint(undo(&insert)));
                        }
                        refused.push(insert);
                    }
                    Err(error) => {
                        let text = format!("table {table}: a row that waited for its key at {lsn}");
                        return Err(failure(text, error));
                    }
                }
            }
        }
        for insert in refused {
            self.settle(db, &insert, Met::Another).await?;
        }
        Ok(())
    }
}

/// A row as it would be if it had what it waits for.
async fn waiting(
    db: &mut Session,
    lot: &Lot,
    target: &Target,
    table: &Arc<Table>,
    lsn: Lsn,
    place: i64,
) -> Result<Operation> {
    let what = || format!("table {table}: could not read a row that waits for its key");
    let lines = db.copy_out(&lot.copy_out(target, place)).await;
    let lines = lines.map_err(|error| failure(what(), error))?;
    Ok(Operation {
        table: Arc::clone(table),
        lsn,
        action: Action::Insert {
            values: copy::row(&lines, table, lsn)?,
        },
    })
}

/// The parameters of one operation.
fn given(target: &Target, operation: &Operation) -> Result<PgArguments> {
    let run = Run {
        shape: Shape::of(operation),
        operations: vec![operation],
    };
    arguments(target, &run)
}

/// How many rows a statement touched.
async fn carry_out(
    db: &mut Session,
    operation: &Operation,
    sql: &str,
    values: PgArguments,
) -> Result<usize> {
    let done = db.changed(&sql.into(), values).await;
    match done {
        Ok(rows) => Ok(usize::try_from(rows).unwrap_or(usize::MAX)),
        Err(error) if is_duplicate(&error) => Err(failure(describe(operation), error)),
        Err(error) => Err(refusal(operation, error)),
    }
}
