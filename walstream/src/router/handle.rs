//! What a router calls: handlers, each behind those that were added before it.

use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use walproto::Lsn;

pub(super) use sealed::{Place, Step};

use super::change::RowChange;
use crate::changes::Change;
use crate::error::{Error, ErrorKind, Result};
use crate::relations::Relation;
use crate::transaction::Transaction;

/// What a handler may return: nothing, or a `Result` with an error of any kind.
pub trait Outcome: sealed::IntoResult {}

impl<R: sealed::IntoResult> Outcome for R {}

impl sealed::IntoResult for () {
    fn into_result(self) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(())
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> sealed::IntoResult for Result<(), E> {
    fn into_result(self) -> Result<(), Box<dyn StdError + Send + Sync>> {
        self.map_err(Into::into)
    }
}

/// The handlers of a [`Router`](crate::Router): what its methods make out of closures and functions.
pub trait Handle<S>: sealed::Walk<S> {}

impl<S, H: sealed::Walk<S>> Handle<S> for H {}

/// No handler.
impl<S> sealed::Walk<S> for () {
    async fn handle(&mut self, _: &mut S, _: Step<'_>) -> Result<bool> {
        Ok(false)
    }
}

/// What [`Router::on`](crate::Router::on) adds.
pub struct Route<H, F, T, K> {
    before: H,
    schema: String,
    table: String,
    handler: F,
    rows: PhantomData<fn() -> (T, K)>,
}

impl<H, F, T, K> Route<H, F, T, K> {
    pub(super) const fn new(before: H, schema: String, table: String, handler: F) -> Self {
        Self {
            before,
            schema,
            table,
            handler,
            rows: PhantomData,
        }
    }
}

impl<S, H, F, T, K, R> sealed::Walk<S> for Route<H, F, T, K>
where
    H: sealed::Walk<S>,
    F: AsyncFnMut(&mut S, RowChange<T, K>) -> R,
    T: DeserializeOwned,
    K: DeserializeOwned,
    R: Outcome,
{
    async fn handle(&mut self, state: &mut S, step: Step<'_>) -> Result<bool> {
        let taken = self.before.handle(state, step).await?;
        let Step::Change(place, relation, change) = step else {
            return Ok(taken);
        };
        if relation.name != self.table || relation.namespace != self.schema {
            return Ok(taken);
        }
        let Some(change) = RowChange::read(change, relation, place)? else {
            return Ok(taken);
        };
        let outcome = (self.handler)(state, change).await;
        let Err(error) = outcome.into_result() else {
            return Ok(true);
        };
        let Self { schema, table, .. } = self;
        Err(failed(format!("of {schema}.{table}"), error, place))
    }
}

/// What [`Router::otherwise`](crate::Router::otherwise) adds.
pub struct Otherwise<H, F> {
    before: H,
    handler: F,
}

impl<H, F> Otherwise<H, F> {
    pub(super) const fn new(before: H, handler: F) -> Self {
        Self { before, handler }
    }
}

impl<S, H, F, R> sealed::Walk<S> for Otherwise<H, F>
where
    H: sealed::Walk<S>,
    F: AsyncFnMut(&mut S, Lsn, &Change<'_>) -> R,
    R: Outcome,
{
    async fn handle(&mut self, state: &mut S, step: Step<'_>) -> Result<bool> {
        let taken = self.before.handle(state, step).await?;
        let Step::Rest(place, change) = step else {
            return Ok(taken);
        };
        let outcome = (self.handler)(state, place.lsn, change).await;
        let Err(error) = outcome.into_result() else {
            return Ok(true);
        };
        let what = match change {
            Change::Insert { relation, .. }
            | Change::Update { relation, .. }
            | Change::Delete { relation, .. } => Some(relation),
            Change::Truncate { relations, .. } => relations.first(),
            _ => None,
        };
        let what = match what {
            Some(relation) => format!(
                "of other tables, for {}.{},",
                relation.namespace, relation.name
            ),
            None => "of logical messages".to_owned(),
        };
        Err(failed(what, error, place))
    }
}

/// What [`Router::at_begin`](crate::Router::at_begin) adds.
pub struct AtBegin<H, F> {
    before: H,
    handler: F,
}

impl<H, F> AtBegin<H, F> {
    pub(super) const fn new(before: H, handler: F) -> Self {
        Self { before, handler }
    }
}

impl<S, H, F, R> sealed::Walk<S> for AtBegin<H, F>
where
    H: sealed::Walk<S>,
    F: AsyncFnMut(&mut S, &Transaction) -> R,
    R: Outcome,
{
    async fn handle(&mut self, state: &mut S, step: Step<'_>) -> Result<bool> {
        let taken = self.before.handle(state, step).await?;
        if let Step::Begin(transaction) = step {
            let outcome = (self.handler)(state, transaction).await;
            let place = Place::commit(transaction);
            outcome
                .into_result()
                .map_err(|error| failed("of the begin".to_owned(), error, place))?;
        }
        Ok(taken)
    }
}

/// What [`Router::at_commit`](crate::Router::at_commit) adds.
pub struct AtCommit<H, F> {
    before: H,
    handler: F,
}

impl<H, F> AtCommit<H, F> {
    pub(super) const fn new(before: H, handler: F) -> Self {
        Self { before, handler }
    }
}

impl<S, H, F, R> sealed::Walk<S> for AtCommit<H, F>
where
    H: sealed::Walk<S>,
    F: AsyncFnMut(&mut S, &Transaction) -> R,
    R: Outcome,
{
    async fn handle(&mut self, state: &mut S, step: Step<'_>) -> Result<bool> {
        let taken = self.before.handle(state, step).await?;
        if let Step::Commit(transaction) = step {
            let outcome = (self.handler)(state, transaction).await;
            let place = Place::commit(transaction);
            outcome
                .into_result()
                .map_err(|error| failed("of the commit".to_owned(), error, place))?;
        }
        Ok(taken)
    }
}

/// A type with closures in it has nothing more to show.
macro_rules! shown_by_name {
    ($($name:ident<$($parameter:ident),*>)*) => {$(
        impl<$($parameter),*> fmt::Debug for $name<$($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

shown_by_name!(Route<H, F, T, K> Otherwise<H, F> AtBegin<H, F> AtCommit<H, F>);

impl Place {
    const fn commit(transaction: &Transaction) -> Self {
        let lsn = transaction.commit_lsn();
        Self {
            lsn,
            commit_lsn: lsn,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lsn, commit_lsn } = self;
        write!(
            f,
            "at {lsn} in the transaction that commits at {commit_lsn}"
        )
    }
}

#[cold]
fn failed(what: String, error: Box<dyn StdError + Send + Sync>, place: Place) -> Error {
    Error::new(
        ErrorKind::Handler,
        format!("the handler {what} failed {place}"),
    )
    .with_source(error)
}

/// Nobody else implements these traits, so they can be given more to do.
#[expect(unnameable_types, reason = "that is what keeps others out")]
mod sealed {
    use super::{Change, Lsn, Relation, Result, StdError, Transaction};

    pub trait IntoResult {
        fn into_result(self) -> Result<(), Box<dyn StdError + Send + Sync>>;
    }

    pub trait Walk<S> {
        /// Whether somebody took it.
        fn handle(&mut self, state: &mut S, step: Step<'_>) -> impl Future<Output = Result<bool>>;
    }

    /// What a router comes to.
    #[derive(Clone, Copy, Debug)]
    pub enum Step<'a> {
        Begin(&'a Transaction),
        Change(Place, &'a Relation, &'a Change<'a>),
        /// What no route took.
        Rest(Place, &'a Change<'a>),
        Commit(&'a Transaction),
    }

    /// Where in the stream something is.
    #[derive(Clone, Copy, Debug)]
    pub struct Place {
        pub lsn: Lsn,
        pub commit_lsn: Lsn,
    }
}
