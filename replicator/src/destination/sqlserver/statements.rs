//! Operations on their way through statements, each with its row counts checked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tiberius::error::Error as Driver;

use super::failure::{failure, is_duplicate, refusal, said};
use super::lookup;
use super::session::{Session, Stage};
use super::values::parameter;
use crate::config::{OnConflict, OnMisfit};
use crate::destination::conflict::Met;
use crate::destination::gone;
use crate::destination::runs::Run;
use crate::destination::server::{Apply, Course, Failed, Freedom, Refusal};
use crate::dialect::Shape;
use crate::dialect::sqlserver::{Staged, Target};
use crate::error::{Error, Result};
use crate::fail_point;
use crate::misfit::{Misfit, Misfits};
use crate::plan::{Action, Operation};
use crate::table::Table;
use crate::value::Value;

/// Fewer rows than these take as many statements by way of a temporary table as without.
const STAGED: usize = 4;

/// From so many rows on they are loaded in bulk, which takes three exchanges: a statement with thousands of parameters
/// takes longer to be read than to be carried out.
const BULK: usize = 50;

/// What is known of the destination tables, and the SQL over them.
#[derive(Debug, Default)]
pub(in crate::destination) struct Statements {
    /// By address; the `Arc` keeps it from being given to another table.
    tables: HashMap<usize, Known>,
    course: Course,
    misfits: Misfits,
    /// How many temporary tables there were.
    stages: usize,
}

#[derive(Debug)]
struct Known {
    _table: Arc<Table>,
    target: Arc<Target>,
    freedom: Freedom,
    /// Whether its key finds one row at most, so that a count of many rows counts each of them.
    single: bool,
    stages: Vec<(Shape, Arc<Staged>)>,
}

impl Statements {
    pub(super) fn new(on_misfit: OnMisfit) -> Self {
        Self {
            misfits: Misfits::new(on_misfit),
            ..Self::default()
        }
    }

    /// A batch begins, with this policy about a change that meets another destination than it expects.
    pub(super) fn begin(&mut self, policy: OnConflict) {
        self.course.begin(policy);
    }

    /// Forgets the tables: another session, or other tables.
    pub(super) fn clear(&mut self) {
        self.tables.clear();
    }

    /// The table as statements need it.
    pub(super) async fn target(
        &mut self,
        db: &mut Session,
        table: &Arc<Table>,
    ) -> Result<Arc<Target>> {
        Ok(Arc::clone(&self.known(db, table).await?.target))
    }

    async fn known(&mut self, db: &mut Session, table: &Arc<Table>) -> Result<&mut Known> {
        match self.tables.entry(Arc::as_ptr(table).addr()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let found = lookup::find(db, &table.destination).await?;
                let found = found.ok_or_else(|| gone(table))?;
                Ok(unknown.insert(Known {
                    _table: Arc::clone(table),
                    target: Arc::new(found.target(table)?),
                    freedom: found.freedom(table),
                    single: found.finds_one(table),
                    stages: Vec::new(),
                }))
            }
        }
    }

    /// Adds rows of a copy.
    pub(super) async fn copy(
        &mut self,
        db: &mut Session,
        table: &Arc<Table>,
        mut rows: Vec<Vec<Value>>,
    ) -> Result<()> {
        let target = self.target(db, table).await?;
        for row in &mut rows {
            self.misfits
                .fit_row(table, row, |at, value| hold(&target, at, value))?;
        }
        let rows: Vec<Vec<&Value>> = rows.iter().map(|row| row.iter().collect()).collect();
        let what = || format!("table {table}, copy");
        match self.insert(db, table, &target, &rows).await {
            Ok(()) => Ok(()),
            Err(Failed::Refused(error)) => Err(failure(what(), error)),
            Err(Failed::Unmade(error)) => Err(error),
            Err(Failed::Met(_)) => Err(Error::person(format!(
                "{}: the destination did not take every row",
                what()
            ))
            .with_hint("a trigger on the table may leave rows out")),
        }
    }

    /// A value as a column takes it that was added with it.
    pub(super) fn fitting(
        &mut self,
        table: &Table,
        target: &Target,
        at: usize,
        value: &Value,
    ) -> Result<Value> {
        let mut row = vec![Value::Null; table.columns.len()];
        row[at] = value.clone();
        self.misfits
            .fit_row(table, &mut row, |at, value| hold(target, at, value))?;
        Ok(row.swap_remove(at))
    }

    /// Carries out operations, in an order that means the same; each must touch exactly one row.
    ///
    /// Where they do not fit together, they are carried out again one by one, so that the one at fault is named; with
    /// `left_out` it is put there, by its place, and the others go on.
    pub(super) async fn execute(
        &mut self,
        db: &mut Session,
        operations: &mut [Operation],
        left_out: Option<&mut Vec<(usize, Error)>>,
    ) -> Result<()> {
        let mut misfits = Vec::new();
        for (at, operation) in operations.iter_mut().enumerate() {
            fail_point!("batch-middle");
            let target = self.target(db, &operation.table).await?;
            let fits = self
                .misfits
                .fit(operation, |at, value| hold(&target, at, value));
            match fits {
                Ok(()) => {}
                Err(error) if left_out.is_some() => {
                    misfits.push((at, error.refused_at(operation.lsn)));
                }
                Err(error) => return Err(error.refused_at(operation.lsn)),
            }
        }
        self.carry_out(db, operations, true, misfits, left_out)
            .await
    }

    /// Adds rows.
    async fn insert(
        &mut self,
        db: &mut Session,
        table: &Arc<Table>,
        target: &Target,
        rows: &[Vec<&Value>],
    ) -> Result<(), Failed<Driver>> {
        let shape = Shape::Insert;
        if rows.len() >= BULK && target.is_staged(&shape) && db.loads(target.held()) {
            return self.through_stage(db, table, &shape, rows).await;
        }
        fill(db, rows, target.most_rows(&shape), |rows| {
            target.statement(&shape, rows)
        })
        .await
    }

    /// Carries out many rows of a shape by way of its temporary table.
    async fn through_stage(
        &mut self,
        db: &mut Session,
        table: &Arc<Table>,
        shape: &Shape,
        rows: &[Vec<&Value>],
    ) -> Result<(), Failed<Driver>> {
        let staged = self.staged(db, table, shape).await?;
        db.run_text(&staged.ready).await.map_err(Failed::Refused)?;
        if rows.len() >= BULK && db.loads(&staged.held) {
            let stage = Stage {
                name: &staged.name,
                held: &staged.held,
                filling: &staged.filling(1),
            };
            db.fill(stage, rows).await.map_err(Failed::Refused)?;
        } else {
            fill(db, rows, staged.most_rows(), |rows| staged.filling(rows)).await?;
        }
        let done = db.execute(&staged.apply, Vec::new()).await;
        exactly(rows.len(), done)
    }

    /// The temporary table for a shape.
    async fn staged(
        &mut self,
        db: &mut Session,
        table: &Arc<Table>,
        shape: &Shape,
    ) -> Result<Arc<Staged>, Failed<Driver>> {
        let number = self.stages + 1;
        let known = self.known(db, table).await.map_err(Failed::Unmade)?;
        let mut stages = known.stages.iter();
        if let Some((_, staged)) = stages.find(|(known, _)| known == shape) {
            return Ok(Arc::clone(staged));
        }
        let staged = Arc::new(known.target.staged(shape, number));
        known.stages.push((shape.clone(), Arc::clone(&staged)));
        self.stages = number;
        Ok(staged)
    }
}

impl Refusal for Driver {
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
    type Refusal = Driver;

    fn course(&mut self) -> &mut Course {
        &mut self.course
    }

    fn freedom(&self, table: &Arc<Table>) -> Freedom {
        let known = self.tables.get(&Arc::as_ptr(table).addr());
        known.map_or_else(Freedom::default, |known| known.freedom)
    }

    fn statement(&self, operation: &Operation) -> Option<String> {
        let known = self.tables.get(&Arc::as_ptr(&operation.table).addr())?;
        Some(known.target.statement(&Shape::of(operation), 1))
    }

    async fn run(&mut self, db: &mut Session, run: &Run<'_>) -> Result<(), Failed<Driver>> {
        let (table, shape) = (run.table(), &run.shape);
        let known = self.known(db, table).await.map_err(Failed::Unmade)?;
        let (target, single) = (Arc::clone(&known.target), known.single);
        if *shape == Shape::Truncate {
            let done = db.execute(&target.statement(shape, 1), Vec::new()).await;
            return done.map(drop).map_err(Failed::Refused);
        }
        let rows: Vec<Vec<&Value>> = run.operations.iter().map(|it| values(it)).collect();
        if *shape == Shape::Insert {
            return self.insert(db, table, &target, &rows).await;
        }
        if rows.len() >= STAGED && single && target.is_staged(shape) {
            return self.through_stage(db, table, shape, &rows).await;
        }
        fill(db, &rows, 1, |_| target.statement(shape, 1)).await
    }
}

/// The parameters of an operation: those set, then those matched; or those of a new row.
fn values(operation: &Operation) -> Vec<&Value> {
    let (set, rest): (&[(usize, Value)], &[Value]) = match &operation.action {
        Action::Insert { values } => (&[], values),
        Action::Update { set, matched } => (set, matched),
        Action::Delete { matched } => (&[], matched),
        Action::Truncate => (&[], &[]),
    };
    set.iter().map(|(_, value)| value).chain(rest).collect()
}

/// Carries out a statement for all rows, as many at once as it takes, each of which must touch one row.
async fn fill(
    db: &mut Session,
    rows: &[Vec<&Value>],
    most: usize,
    statement: impl Fn(usize) -> String,
) -> Result<(), Failed<Driver>> {
    let mut rest = rows;
    while !rest.is_empty() {
        let (now, then) = rest.split_at(step(rest.len(), most));
        let values = now.iter().flatten().map(|value| parameter(value));
        let done = db.execute(&statement(now.len()), values.collect()).await;
        exactly(now.len(), done)?;
        rest = then;
    }
    Ok(())
}

/// How many of the rows that are left go into the next statement: few different numbers, so that the server knows most
/// statements from before.
const fn step(left: usize, most: usize) -> usize {
    let least = if left < most { left } else { most };
    1 << least.ilog2()
}

/// A statement is to touch as many rows as it was handed.
fn exactly(count: usize, done: Result<u64, Driver>) -> Result<(), Failed<Driver>> {
    let rows = done.map_err(Failed::Refused)?;
    match usize::try_from(rows) {
        Ok(rows) if rows == count => Ok(()),
        rows => Err(Failed::Met(Met::Rows(rows.unwrap_or(usize::MAX)))),
    }
}

/// The value as the column takes it, `None` where it is the same.
fn hold(target: &Target, at: usize, value: &Value) -> Result<Option<Value>, Misfit> {
    match target.held().get(at).map(|held| held.value(value)) {
        None | Some(Ok(Cow::Borrowed(_))) => Ok(None),
        Some(Ok(Cow::Owned(other))) => Ok(Some(other)),
        Some(Err(misfit)) => Err(misfit),
    }
}
