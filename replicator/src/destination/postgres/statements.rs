//! Operations on their way through statements, each with its row counts checked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use sqlx::Arguments;
use sqlx::postgres::PgArguments;

use super::lookup::{self, Freedom};
use super::parking::{self, Parking};
use super::session::{Session, failure, is_duplicate, refusal, said};
use super::values::{self, Array};
use crate::config::OnConflict;
use crate::destination::conflict::{Met, describe};
use crate::destination::gone;
use crate::destination::runs::Run;
use crate::destination::server::{self, Apply, Course, Failed, Refusal};
use crate::dialect::Shape;
use crate::dialect::postgres::parking::Lot;
use crate::dialect::postgres::{Target, TargetColumn};
use crate::error::{Error, Result};
use crate::fail_point;
use crate::plan::{Action, Operation};
use crate::table::Table;
use crate::value::Value;

/// The server takes a message of less than a gibibyte, and a value is in one with its neighbours.
const LONGEST: usize = 1_000_000_000;

/// New rows from which on COPY takes less time than a statement with arrays.
const COPIED: usize = 50;

/// What is known of the destination tables, and the SQL over them.
#[derive(Debug, Default)]
pub(in crate::destination) struct Statements {
    /// By address; the `Arc` keeps it from being given to another table.
    pub(super) tables: HashMap<usize, Known>,
    course: Course,
    pub(super) parking: Parking,
    /// What it was before what may be taken back.
    before: Parking,
}

#[derive(Debug)]
pub(super) struct Known {
    _table: Arc<Table>,
    pub(super) target: Target,
    /// Where its rows can wait for their keys.
    pub(super) lot: Option<Lot>,
    freedom: Freedom,
    sql: Vec<(Shape, Arc<str>)>,
}

impl Statements {
    /// A batch begins, with this policy about a change that meets another destination than it expects.
    pub(super) fn begin(&mut self, policy: OnConflict) {
        self.course.begin(policy);
        self.parking.clear();
    }

    /// Forgets the tables: another session, or other tables.
    pub(super) fn clear(&mut self) {
        self.tables.clear();
    }

    /// The table as statements need it.
    pub(super) async fn target(&mut self, db: &mut Session, table: &Arc<Table>) -> Result<&Target> {
        Ok(&self.known(db, table).await?.target)
    }

    /// How rows of a copy are sent, and whether the source's own lines can be.
    pub(super) async fn copy_in(
        &mut self,
        db: &mut Session,
        table: &Arc<Table>,
    ) -> Result<(String, bool)> {
        let known = self.known(db, table).await?;
        Ok((known.target.copy_in(), known.freedom.reads))
    }

    /// From now on no line is sent as it came.
    #[cfg(test)]
    pub(super) fn look_at_values(&mut self) {
        for known in self.tables.values_mut() {
            known.freedom.reads = false;
        }
    }

    async fn known(&mut self, db: &mut Session, table: &Arc<Table>) -> Result<&mut Known> {
        let number = self.tables.len();
        match self.tables.entry(Arc::as_ptr(table).addr()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let found = lookup::find(db, &table.destination).await?;
                let found = found.ok_or_else(|| gone(table))?;
                let (target, freedom) = found.target(table)?;
                let lot = parking::look(db, number, table, &target, found.stored()).await?;
                Ok(unknown.insert(Known {
                    _table: Arc::clone(table),
                    target,
                    lot,
                    freedom,
                    sql: Vec::new(),
                }))
            }
        }
    }

    /// Carries out operations, in an order that means the same; each must touch exactly one row.
    ///
    /// Where they do not fit together, they are carried out again one by one, so that the one at fault is named; with
    /// `left_out` it is put there, by its place, and the others go on.
    pub(super) async fn execute(
        &mut self,
        db: &mut Session,
        operations: &[Operation],
        left_out: Option<&mut Vec<(usize, Error)>>,
    ) -> Result<()> {
        for operation in operations {
            fail_point!("batch-middle");
            self.known(db, &operation.table).await?;
        }
        let fit = operations
            .iter()
            .all(|operation| check_length(operation).is_ok());
        if let Some(first) = operations.first()
            && self.parking.is_over(first)
        {
            self.leave(db).await?;
        }
        let together = fit && !self.parking.waits();
        self.carry_out(db, operations, together, Vec::new(), left_out)
            .await
    }
}

impl Refusal for sqlx::Error {
    fn is_duplicate(&self) -> bool {
        is_duplicate(self)
    }

    fn said(&self) -> String {
        said(self)
    }

    fn failure(self, what: String) -> Error {
        failure(what, self)
    }

    fn of(self, operation: &Operation) -> Error {
        refusal(operation, self)
    }
}

impl Apply<Session> for Statements {
    type Refusal = sqlx::Error;

    fn course(&mut self) -> &mut Course {
        &mut self.course
    }

    fn freedom(&self, table: &Arc<Table>) -> server::Freedom {
        let known = self.tables.get(&Arc::as_ptr(table).addr());
        known.map_or_else(server::Freedom::default, |known| server::Freedom {
            passes: known.freedom.passes,
            folds: known.freedom.folds,
        })
    }

    fn statement(&self, operation: &Operation) -> Option<String> {
        let known = self.tables.get(&Arc::as_ptr(&operation.table).addr())?;
        Some(known.target.statement(&Shape::of(operation)))
    }

    async fn prepare(&mut self, db: &mut Session, operation: &Operation) -> Result<bool> {
        if self.parking.is_over(operation) {
            // That is about other rows.
            self.leave(db).await?;
        }
        check_length(operation)?;
        // Looked at, where it was forgotten.
        self.known(db, &operation.table).await?;
        self.run_waiting(db, operation).await
    }

    fn may_wait(&self, operation: &Operation) -> bool {
        let known = self.tables.get(&Arc::as_ptr(&operation.table).addr());
        match operation.action {
            Action::Insert { .. } | Action::Update { .. } => {
                known.is_some_and(|known| known.lot.is_some())
            }
            Action::Delete { .. } | Action::Truncate => false,
        }
    }

    async fn park(&mut self, db: &mut Session, operation: &Operation) -> Result<bool> {
        self.let_wait(db, operation).await
    }

    fn note(&mut self) {
        self.before = self.parking.clone();
    }

    fn take_back(&mut self) {
        self.parking = std::mem::take(&mut self.before);
    }

    async fn run(&mut self, db: &mut Session, run: &Run<'_>) -> Result<(), Failed<sqlx::Error>> {
        let known = self.known(db, run.table()).await.map_err(Failed::Unmade)?;
        let count = run.operations.len();
        if run.shape == Shape::Insert && known.freedom.copies && count >= COPIED {
            let lines = lines(run).map_err(Failed::Unmade)?;
            let sql = known.target.copy_in();
            let rows = db.copy_in(&sql, &lines).await.map_err(Failed::Refused)?;
            return exactly(count, rows);
        }
        let at = match known.sql.iter().position(|(shape, _)| *shape == run.shape) {
            Some(at) => at,
            None => {
                let sql = known.target.statement(&run.shape);
                known.sql.push((run.shape.clone(), sql.into()));
                known.sql.len() - 1
            }
        };
        let sql = &known.sql[at].1;
        let arguments = arguments(&known.target, run).map_err(Failed::Unmade)?;
        if known.target.counts(&run.shape) {
            let (rows, by) = db.counted(sql, arguments).await.map_err(Failed::Refused)?;
            // As many as there should be, and yet one of ours may have touched two rows and another none.
            let skewed = rows != by && rows == count as u64;
            return exactly(count, if skewed { 0 } else { rows });
        }
        let rows = db.changed(sql, arguments).await.map_err(Failed::Refused)?;
        if run.shape == Shape::Truncate {
            return Ok(());
        }
        exactly(count, rows)
    }
}

/// A run is to touch as many rows as it has.
fn exactly(count: usize, rows: u64) -> Result<(), Failed<sqlx::Error>> {
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    if rows == count {
        Ok(())
    } else {
        Err(Failed::Met(Met::Rows(rows)))
    }
}

/// New rows as COPY takes them.
fn lines(run: &Run<'_>) -> Result<Vec<u8>> {
    let table = run.table();
    let mut lines = Vec::new();
    for operation in &run.operations {
        let Action::Insert { values } = &operation.action else {
            return Err(misshapen(table));
        };
        if values.len() != table.columns.len() {
            return Err(misshapen(table));
        }
        let kinds = table.columns.iter().map(|column| column.kind);
        values::line(values.iter().zip(kinds), &mut lines)
            .map_err(|error| Error::person(format!("{}: {error}", describe(operation))))?;
    }
    Ok(lines)
}

/// The parameters of a run: an array for each column that is set or matched.
pub(super) fn arguments(target: &Target, run: &Run<'_>) -> Result<PgArguments> {
    let table = run.table();
    let mut arguments = PgArguments::default();
    let mut add = |at: usize, value: &dyn Fn(&Action) -> Option<&Value>| -> Result<()> {
        let (Some(TargetColumn { kind, .. }), Some(column)) =
            (target.columns.get(at), table.columns.get(at))
        else {
            return Err(misshapen(table));
        };
        let values = run
            .operations
            .iter()
            .map(|operation| value(&operation.action).ok_or_else(|| misshapen(table)));
        let array = Array {
            travels: *kind,
            kind: column.kind,
            values: values.collect::<Result<_>>()?,
        };
        arguments.add(array).map_err(|error| {
            Error::person(format!("table {table}, column {}: {error}", column.name))
        })
    };
    match &run.shape {
        Shape::Insert => {
            for at in 0..table.columns.len() {
                add(at, &|action| match action {
                    Action::Insert { values } => values.get(at),
                    _ => None,
                })?;
            }
        }
        Shape::Update(set) => {
            for (place, at) in set.iter().enumerate() {
                add(*at, &|action| match action {
                    Action::Update { set, .. } => set.get(place).map(|(_, value)| value),
                    _ => None,
                })?;
            }
            for (place, at) in table.matched().enumerate() {
                add(at, &|action| match action {
                    Action::Update { matched, .. } => matched.get(place),
                    _ => None,
                })?;
            }
        }
        Shape::Delete => {
            for (place, at) in table.matched().enumerate() {
                add(at, &|action| match action {
                    Action::Delete { matched } => matched.get(place),
                    _ => None,
                })?;
            }
        }
        Shape::Truncate => {}
    }
    Ok(arguments)
}

pub(super) async fn run_text(db: &mut Session, sql: &str) -> Result<()> {
    db.run_text(sql)
        .await
        .map_err(|error| failure("the destination server ended the transaction", error))
}

fn misshapen(table: &Table) -> Error {
    Error::person(format!(
        "table {table}: a change does not have the table's columns"
    ))
}

fn check_length(operation: &Operation) -> Result<()> {
    if operation.size() < LONGEST {
        return Ok(());
    }
    let message = format!(
        "{}, row {}: the row has {} bytes, and the destination server takes less than a gibibyte at once",
        describe(operation),
        operation.row(),
        operation.size()
    );
    Err(Error::refused(operation.lsn, message)
        .with_hint("leave the large column or the table out of the publication"))
}
