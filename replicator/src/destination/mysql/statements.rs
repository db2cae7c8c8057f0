//! Operations on their way through statements, each with its row counts and its warnings checked.

mod copying;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use mysql_async::Value as Sent;

use super::failure::{is_duplicate, refusal, said};
use super::lookup;
use super::session::{Done, Session, failure};
use super::values::{parameter, size};
use crate::config::{OnConflict, OnMisfit};
use crate::destination::conflict::{Met, describe};
use crate::destination::gone;
use crate::destination::runs::Run;
use crate::destination::server::{self, Apply, Course, Freedom, Refusal};
use crate::dialect::Shape;
use crate::dialect::mysql::{Staged, Target};
use crate::error::codes::{self, Product};
use crate::error::{Error, Result};
use crate::fail_point;
use crate::misfit::{Misfit, Misfits};
use crate::plan::{Action, Operation};
use crate::table::Table;
use crate::value::Value;

/// Rows of a statement. From 1000 values on MariaDB makes a table of an `IN`.
const ROWS: usize = 500;

/// Parameters of a statement, which are counted in 16 bits.
const PARAMETERS: usize = 65_535;

/// Bytes of a statement, and a row that is larger goes alone.
const BYTES: usize = 4 << 20;

/// Fewer rows than these take as many statements by way of a temporary table as without.
const STAGED: usize = 4;

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

/// How a statement failed.
enum Failed {
    /// It did not touch as many rows as it was to.
    Met(Met),
    Refused(mysql_async::Error),
    /// It was carried out, and the server says that a value has changed on the way.
    Warned(String),
    /// It could not be made.
    Unmade(Error),
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
                    target: Arc::new(found.target(db, table)?),
                    freedom: Freedom {
                        passes: found.is_free(table),
                        folds: found.folds(table),
                    },
                    single: found.finds_one(table),
                    stages: Vec::new(),
                }))
            }
        }
    }

    /// A value as a column takes it that was added with it.
    pub(super) async fn fitting(
        &mut self,
        db: &mut Session,
        table: &Arc<Table>,
        at: usize,
        value: &Value,
    ) -> Result<mysql_async::Value> {
        let target = self.target(db, table).await?;
        let mut row = vec![Value::Null; table.columns.len()];
        row[at] = value.clone();
        self.misfits
            .fit_row(table, &mut row, |at, value| hold(&target, at, value))?;
        Ok(parameter(&row[at]))
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
            let fits = fits.and_then(|()| check_length(operation, db.server.packet));
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

    /// Carries out a run, each of whose rows must touch exactly one.
    async fn carry(&mut self, db: &mut Session, run: &Run<'_>) -> Result<(), Failed> {
        let known = self.known(db, run.table()).await.map_err(Failed::Unmade)?;
        let (target, single) = (Arc::clone(&known.target), known.single);
        let shape = &run.shape;
        if *shape == Shape::Truncate {
            let done = db.execute(&target.statement(shape, 1), vec![]).await;
            return done.map(drop).map_err(Failed::Refused);
        }
        let rows = run
            .operations
            .iter()
            .map(|operation| Parameters::of(operation));
        let rows: Vec<Parameters> = rows.collect();
        match shape {
            Shape::Insert => insert(db, rows, |rows| target.statement(shape, rows)).await,
            _ if rows.len() < STAGED || !single => {
                let sql = target.statement(shape, 1);
                for row in rows {
                    let done = db
                        .execute(&sql, row.values)
                        .await
                        .map_err(Failed::Refused)?;
                    check(db, done, 1).await?;
                }
                Ok(())
            }
            _ if target.is_staged(shape) => {
                let staged = self.staged(db, run, &target).await?;
                for rows in pieces(rows, target.width(shape)) {
                    let count = rows.len();
                    insert(db, rows, |rows| staged.filling(rows)).await?;
                    let done = db.run_text(&staged.apply).await.map_err(Failed::Refused)?;
                    check(db, done, count).await?;
                    let done = db.run_text(&staged.empty).await.map_err(Failed::Refused)?;
                    check(db, done, count).await?;
                }
                Ok(())
            }
            _ => {
                for rows in pieces(rows, target.width(shape)) {
                    let mut rows = rows.into_iter();
                    while let Some(count) = step(rows.len()) {
                        let values = rows.by_ref().take(count).flat_map(|row| row.values);
                        let sql = target.statement(shape, count);
                        let done = db.execute(&sql, values.collect()).await;
                        check(db, done.map_err(Failed::Refused)?, count).await?;
                    }
                }
                Ok(())
            }
        }
    }

    /// The temporary table for a shape, made when it is first needed.
    async fn staged(
        &mut self,
        db: &mut Session,
        run: &Run<'_>,
        target: &Target,
    ) -> Result<Arc<Staged>, Failed> {
        let number = self.stages + 1;
        let known = self.known(db, run.table()).await.map_err(Failed::Unmade)?;
        let mut stages = known.stages.iter();
        if let Some((_, staged)) = stages.find(|(shape, _)| *shape == run.shape) {
            return Ok(Arc::clone(staged));
        }
        let staged = Arc::new(target.staged(&run.shape, number));
        db.run_text(&staged.create).await.map_err(Failed::Refused)?;
        known.stages.push((run.shape.clone(), Arc::clone(&staged)));
        self.stages = number;
        Ok(staged)
    }
}

/// What the server says against a statement.
pub(in crate::destination) enum Refused {
    Server(mysql_async::Error),
    /// It was carried out, and a value has changed on the way.
    Warned(String),
}

impl Refusal for Refused {
    fn is_duplicate(&self) -> bool {
        matches!(self, Self::Server(error) if is_duplicate(error))
    }

    fn said(&self) -> String {
        match self {
            Self::Server(error) => said(error),
            Self::Warned(text) => text.clone(),
        }
    }

    fn failure(self, what: String) -> Error {
        match self {
            Self::Server(error) => failure(what, error),
            Self::Warned(text) => warned(&what, &text),
        }
    }

    fn of(self, operation: &Operation) -> Error {
        match self {
            Self::Server(error) => refusal(operation, error),
            Self::Warned(text) => {
                let what = format!("{}, row {}", describe(operation), operation.row());
                warned(&what, &text).refused_at(operation.lsn)
            }
        }
    }
}

impl From<Failed> for server::Failed<Refused> {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Met(met) => Self::Met(met),
            Failed::Refused(error) => Self::Refused(Refused::Server(error)),
            Failed::Warned(text) => Self::Refused(Refused::Warned(text)),
            Failed::Unmade(error) => Self::Unmade(error),
        }
    }
}

impl Apply<Session> for Statements {
    type Refusal = Refused;

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

    async fn run(
        &mut self,
        db: &mut Session,
        run: &Run<'_>,
    ) -> Result<(), server::Failed<Refused>> {
        self.carry(db, run).await.map_err(Into::into)
    }
}

/// The parameters of one row.
struct Parameters {
    bytes: usize,
    values: Vec<Sent>,
}

impl Parameters {
    /// Those set, then those matched; or those of a new row.
    fn of(operation: &Operation) -> Self {
        let none: &[Value] = &[];
        let (set, rest): (&[(usize, Value)], &[Value]) = match &operation.action {
            Action::Insert { values } => (&[], values),
            Action::Update { set, matched } => (set, matched),
            Action::Delete { matched } => (&[], matched),
            Action::Truncate => (&[], none),
        };
        let all = || set.iter().map(|(_, value)| value).chain(rest);
        Self {
            bytes: all().map(size).sum(),
            values: all().map(parameter).collect(),
        }
    }
}

/// Inserts rows, as many with a statement as it takes.
async fn insert(
    db: &mut Session,
    rows: Vec<Parameters>,
    statement: impl Fn(usize) -> String,
) -> Result<(), Failed> {
    let width = rows.first().map_or(1, |row| row.values.len());
    for rows in pieces(rows, width) {
        let mut rows = rows.into_iter();
        while let Some(count) = step(rows.len()) {
            let values = rows.by_ref().take(count).flat_map(|row| row.values);
            let done = db.execute(&statement(count), values.collect()).await;
            check(db, done.map_err(Failed::Refused)?, count).await?;
        }
    }
    Ok(())
}

/// Rows in pieces that a statement takes.
fn pieces(rows: Vec<Parameters>, width: usize) -> Vec<Vec<Parameters>> {
    let most = ROWS.min(PARAMETERS / width.max(1)).max(1);
    let mut pieces = Vec::new();
    let (mut piece, mut bytes) = (Vec::new(), 0);
    for row in rows {
        if piece.len() == most || bytes + row.bytes > BYTES && !piece.is_empty() {
            pieces.push(std::mem::take(&mut piece));
            bytes = 0;
        }
        bytes += row.bytes;
        piece.push(row);
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// How many of the rows that are left go into the next statement: few different numbers, so that most statements were
/// prepared before.
const fn step(left: usize) -> Option<usize> {
    match left {
        0 => None,
        ROWS => Some(ROWS),
        left => Some(1 << left.ilog2()),
    }
}

async fn check(db: &mut Session, done: Done, count: usize) -> Result<(), Failed> {
    if done.warnings > 0 {
        let text = db.warnings().await.map_err(Failed::Unmade)?;
        return Err(Failed::Warned(text));
    }
    match usize::try_from(done.rows) {
        Ok(rows) if rows == count => Ok(()),
        rows => Err(Failed::Met(Met::Rows(rows.unwrap_or(usize::MAX)))),
    }
}

/// The value as the column takes it, `None` where it is the same.
fn hold(target: &Target, at: usize, value: &Value) -> Result<Option<Value>, Misfit> {
    use std::borrow::Cow;
    match target.held().get(at).map(|held| held.value(value)) {
        None | Some(Ok(Cow::Borrowed(_))) => Ok(None),
        Some(Ok(Cow::Owned(other))) => Ok(Some(other)),
        Some(Err(misfit)) => Err(misfit),
    }
}

#[cold]
fn warned(what: &str, text: &str) -> Error {
    Error::person(format!(
        "{what}: the destination did not take it as it is: {text}"
    ))
    .with_hint("make the column at the destination wide enough, or leave it out of the publication")
}

#[cold]
fn too_large(what: &str, bytes: usize, packet: usize) -> Error {
    let text = format!(
        "{what}: a row has {bytes} bytes, and the destination server takes {packet} at once (max_allowed_packet)"
    );
    codes::Course::Packet.error(Product::Mysql, text)
}

fn check_length(operation: &Operation, packet: usize) -> Result<()> {
    // The number of bytes is at most what the values have in memory.
    if operation.size() <= packet {
        return Ok(());
    }
    let bytes = Parameters::of(operation).bytes;
    if bytes <= packet {
        return Ok(());
    }
    let what = format!("{}, row {}", describe(operation), operation.row());
    Err(too_large(&what, bytes, packet))
}
