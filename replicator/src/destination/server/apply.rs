//! Operations on their way through a product's statements: together where they can be, one by one where they cannot, and
//! at a conflict as the policy says.

use std::borrow::Cow;
use std::sync::Arc;

use super::session::Session;
use crate::config::OnConflict;
use crate::destination::conflict::{Instead, Met, Overridden, conflict, instead, undo};
use crate::destination::fold::fold;
use crate::destination::refusal::statement;
use crate::destination::runs::{Run, gather};
use crate::dialect::Shape;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Operation;
use crate::table::Table;

/// How a statement failed.
pub(crate) enum Failed<E> {
    /// It did not touch as many rows as it was to.
    Met(Met),
    Refused(E),
    /// It could not be made.
    Unmade(Error),
}

/// What a product says against a statement.
pub(crate) trait Refusal: Sized + Send {
    /// Whether a row is there already.
    fn is_duplicate(&self) -> bool;

    /// What is said of that row.
    fn said(&self) -> String;

    /// In our words; `what` could not be done.
    fn failure(self, what: String) -> Error;

    /// The same of one change: a refusal where it is about what the change holds or meets.
    fn of(self, operation: &Operation) -> Error;
}

/// What may be done with the changes of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freedom {
    /// Those of different keys may change their order.
    pub(crate) passes: bool,
    /// Those of one key may become one.
    pub(crate) folds: bool,
}

/// What a batch has come to.
#[derive(Debug, Default)]
pub(crate) struct Course {
    on_conflict: OnConflict,
    /// What the server said of a row that it has already.
    said: Option<String>,
    /// Whether operations are carried out one by one from the start.
    singly: bool,
    /// The next batch's.
    singly_then: bool,
}

impl Course {
    /// A batch begins, with this policy about a change that meets another destination than it expects.
    pub(crate) fn begin(&mut self, policy: OnConflict) {
        self.on_conflict = policy;
        self.singly = std::mem::take(&mut self.singly_then);
    }
}

/// What a product's statements do with operations. What is not asked for here is the same for all of them.
pub(crate) trait Apply<S: Session>: Send {
    type Refusal: Refusal;

    fn course(&mut self) -> &mut Course;

    /// What may be done with the changes of a table that was looked at.
    fn freedom(&self, table: &Arc<Table>) -> Freedom;

    /// The statement for a change of a table that was looked at.
    fn statement(&self, operation: &Operation) -> Option<String>;

    /// Carries out a run, each of whose operations must touch exactly one row.
    fn run(
        &mut self,
        db: &mut S,
        run: &Run<'_>,
    ) -> impl Future<Output = Result<(), Failed<Self::Refusal>>> + Send;

    /// Before an operation is carried out alone: `true` if it is done with that.
    fn prepare(
        &mut self,
        db: &mut S,
        operation: &Operation,
    ) -> impl Future<Output = Result<bool>> + Send {
        let _ = (db, operation);
        async { Ok(false) }
    }

    /// Whether a change may wait for its key where that is taken.
    fn may_wait(&self, operation: &Operation) -> bool {
        let _ = operation;
        false
    }

    /// Lets it wait; `false` if that cannot be. Nothing of it is done.
    fn park(
        &mut self,
        db: &mut S,
        operation: &Operation,
    ) -> impl Future<Output = Result<bool>> + Send {
        let _ = (db, operation);
        async { Ok(false) }
    }

    /// Notes what waits, before what may be taken back.
    fn note(&mut self) {}

    /// What waits is what it was when that was noted.
    fn take_back(&mut self) {}

    /// Carries out operations, in an order that means the same; each must touch exactly one row.
    ///
    /// Where they do not fit `together`, they are carried out again one by one, so that the one at fault is named; with
    /// `left_out` it is put there, by its place, and the others go on. `misfits` are left out from the start.
    fn carry_out(
        &mut self,
        db: &mut S,
        operations: &[Operation],
        together: bool,
        misfits: Vec<(usize, Error)>,
        left_out: Option<&mut Vec<(usize, Error)>>,
    ) -> impl Future<Output = Result<()>> + Send {
        async move {
            let singly = self.course().singly || !together || !misfits.is_empty();
            if operations.len() > 1 && !singly {
                db.save("together").await?;
                match self.together(db, operations).await? {
                    true => return db.release("together").await,
                    false => db.back_to("together").await?,
                }
            }
            let Some(left_out) = left_out else {
                for operation in operations {
                    self.alone(db, operation).await?;
                }
                return Ok(());
            };
            let mut misfits = misfits.into_iter().peekable();
            for (at, operation) in operations.iter().enumerate() {
                if let Some(misfit) = misfits.next_if(|(place, _)| *place == at) {
                    left_out.push(misfit);
                    continue;
                }
                db.save("attempt").await?;
                self.note();
                match self.alone(db, operation).await {
                    Ok(()) => db.release("attempt").await?,
                    Err(error) if error.refused_lsn().is_some() && !db.is_lost() => {
                        if !db.stands().await? {
                            return Err(error.caused_by(GONE));
                        }
                        db.back_to("attempt").await?;
                        db.release("attempt").await?;
                        self.take_back();
                        left_out.push((at, error));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }
    }

    /// Whether all could be carried out together.
    fn together(
        &mut self,
        db: &mut S,
        operations: &[Operation],
    ) -> impl Future<Output = Result<bool>> + Send {
        async move {
            let folded = fold(operations, |table| self.freedom(table).folds);
            let runs = gather(folded.iter().map(Cow::as_ref), |table| {
                self.freedom(table).passes
            });
            for run in runs {
                let error = match self.run(db, &run).await {
                    Ok(()) => continue,
                    Err(Failed::Met(_)) => return Ok(false),
                    Err(Failed::Unmade(error)) => return Err(error),
                    Err(Failed::Refused(error)) => error,
                };
                let what = format!("table {}, {} changes", run.table(), run.operations.len());
                let error = error.failure(what);
                if error.kind() != ErrorKind::Person || db.is_lost() {
                    return Err(error);
                }
                if !db.stands().await? {
                    self.course().singly_then = true;
                    return Err(Error::retry(
                        "the destination refused a change and undid the whole batch; once more, one by one",
                    )
                    .caused_by(error));
                }
                return Ok(false);
            }
            Ok(true)
        }
    }

    /// Carries out one operation, or does what is to be done otherwise.
    fn alone(
        &mut self,
        db: &mut S,
        operation: &Operation,
    ) -> impl Future<Output = Result<()>> + Send {
        async move {
            self.course().said = None;
            let Err(error) = self.decide(db, operation).await else {
                return Ok(());
            };
            let error = self.with_statement(error, operation);
            Err(match self.course().said.take() {
                Some(said) => error.caused_by(said),
                None => error,
            })
        }
    }

    /// Adds the operation's statement to what is said of it.
    fn with_statement(&self, error: Error, operation: &Operation) -> Error {
        if error.statement().is_some() {
            return error;
        }
        match self.statement(operation) {
            Some(sql) => error.with_statement(statement(&sql, operation)),
            None => error,
        }
    }

    fn decide(
        &mut self,
        db: &mut S,
        operation: &Operation,
    ) -> impl Future<Output = Result<()>> + Send {
        async move {
            if self.prepare(db, operation).await? {
                return Ok(());
            }
            let may_wait = self.may_wait(operation);
            let returns = may_wait || self.course().on_conflict == OnConflict::Apply;
            if returns {
                db.save("alone").await?;
            }
            if let Some(met) = self.attempt(db, operation).await? {
                if returns {
                    db.back_to("alone").await?;
                }
                let waits =
                    may_wait && matches!(met, Met::Another) && self.park(db, operation).await?;
                if !waits {
                    self.settle(db, operation, met).await?;
                }
            }
            if returns {
                db.release("alone").await?;
            }
            Ok(())
        }
    }

    /// Stops at a conflict, or does what the policy says; nothing of the operation is done.
    fn settle(
        &mut self,
        db: &mut S,
        operation: &Operation,
        met: Met,
    ) -> impl Future<Output = Result<()>> + Send {
        async move {
            match (self.course().on_conflict, instead(operation, met)) {
                (_, Instead::Nothing) => return Err(conflict(operation, met)),
                (OnConflict::Stop, _) => {
                    return Err(conflict(operation, met).with_hint(format!(
                        "{}, or start once with --on-conflict apply",
                        undo(operation)
                    )));
                }
                (OnConflict::Apply, Instead::Skip) => {}
                (OnConflict::Apply, Instead::Run(other)) => match self.attempt(db, &other).await {
                    Ok(None) => {}
                    Ok(Some(_)) => return Err(conflict(operation, met)),
                    Err(error) => return Err(self.with_statement(error, &other)),
                },
            }
            tracing::warn!("{}", Overridden(operation));
            Ok(())
        }
    }

    /// `Some` where the operation did not touch exactly one row.
    fn attempt(
        &mut self,
        db: &mut S,
        operation: &Operation,
    ) -> impl Future<Output = Result<Option<Met>>> + Send {
        async move {
            let run = Run {
                shape: Shape::of(operation),
                operations: vec![operation],
            };
            match self.run(db, &run).await {
                Ok(()) => Ok(None),
                Err(Failed::Met(met)) => Ok(Some(met)),
                Err(Failed::Refused(error)) if error.is_duplicate() => {
                    self.course().said = Some(error.said());
                    Ok(Some(Met::Another))
                }
                Err(Failed::Refused(error)) => Err(error.of(operation)),
                Err(Failed::Unmade(error)) => Err(error),
            }
        }
    }
}

/// Why a change that is refused cannot be left out.
const GONE: &str = "the destination undid the whole batch with it, so that it cannot be left out";
