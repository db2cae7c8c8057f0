//! Typed changes for async handlers, by schema and table.

mod change;
mod handle;

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use walproto::{Lsn, Oid};

pub use change::RowChange;
pub use handle::{AtBegin, AtCommit, Handle, Otherwise, Outcome, Route};

use crate::changes::Change;
use crate::error::{Error, ErrorKind, Result};
use crate::relations::Relation;
use crate::stream::Stream;
use crate::transaction::Transaction;
use handle::{Place, Step};

/// Hands the changes of a stream to handlers, each row in the type that its handler asks for.
///
/// A handler is an async closure or function that gets the state, which all handlers share, and a [`RowChange`]. It
/// returns nothing, or a `Result`. This keeps a cache free of rows that changed:
///
/// ```no_run
/// use std::collections::HashMap;
/// use walstream::{Router, RowChange, Stream};
///
/// #[derive(serde::Deserialize)]
/// struct Key {
///     id: i64,
/// }
///
/// # async fn invalidate() -> Result<(), walstream::Error> {
/// let mut cache: HashMap<i64, String> = HashMap::new();
/// let mut stream = Stream::connect("postgres://app@localhost/shop")
///     .slot("cache")
///     .publication("cache")
///     .start()
///     .await?;
/// Router::new()
///     .on("public", "users", async |cache: &mut HashMap<_, _>, change: RowChange<Key>| {
///         for key in change.rows() {
///             cache.remove(&key.id);
///         }
///         if matches!(change, RowChange::Truncate) {
///             cache.clear();
///         }
///     })
///     .run(&mut stream, &mut cache)
///     .await
/// # }
/// ```
///
/// Handlers are called one at a time, in the order of the changes, and where several fit a change, in the order in
/// which they were added. Names are those of the catalog, exactly. What a table's rows are read into, and what happens
/// to columns that were not sent, stands at [`RowChange`].
///
/// A change of a table that has no handler is passed over; once for each table, that is logged. What else has to
/// be seen is for [`otherwise`](Self::otherwise). Logical messages, which only come when they are asked for, must have
/// somebody who takes them.
///
/// Nothing is boxed: a handler's future is polled where it is, and its type is part of the router's. For a router in
/// a task of its own write `async move |…|`, so that the handlers own what they use; the compiler does not believe of
/// a borrow inside of them that it may go to another thread.
pub struct Router<S, H = ()> {
    handlers: H,
    /// Tables of which was said that nobody takes them.
    passed_over: HashSet<Oid>,
    state: PhantomData<fn(&mut S)>,
}

impl<S> Router<S> {
    /// Without handlers.
    pub fn new() -> Self {
        Self::with((), HashSet::new())
    }
}

impl<S> Default for Router<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, H> Router<S, H> {
    fn with(handlers: H, passed_over: HashSet<Oid>) -> Self {
        Self {
            handlers,
            passed_over,
            state: PhantomData,
        }
    }

    /// Adds a handler for the changes of a table.
    ///
    /// `T` is what new rows are read into, and `K`, which is `T` where only one type is named, what is known of old
    /// ones.
    #[must_use = "it is the router with the handler"]
    pub fn on<T, K, F, R>(
        self,
        schema: impl Into<String>,
        table: impl Into<String>,
        handler: F,
    ) -> Router<S, Route<H, F, T, K>>
    where
        F: AsyncFnMut(&mut S, RowChange<T, K>) -> R,
        T: DeserializeOwned,
        K: DeserializeOwned,
        R: Outcome,
    {
        let route = Route::new(self.handlers, schema.into(), table.into(), handler);
        Router::with(route, self.passed_over)
    }

    /// Adds a handler for what no other takes: changes of other tables, untyped, and logical messages.
    ///
    /// Of a `TRUNCATE` of several tables it gets those that have no handler, one by one.
    #[must_use = "it is the router with the handler"]
    pub fn otherwise<F, R>(self, handler: F) -> Router<S, Otherwise<H, F>>
    where
        F: AsyncFnMut(&mut S, Lsn, &Change<'_>) -> R,
        R: Outcome,
    {
        Router::with(Otherwise::new(self.handlers, handler), self.passed_over)
    }

    /// Adds a handler that is called before the changes of each transaction, also of one without any.
    #[must_use = "it is the router with the handler"]
    pub fn at_begin<F, R>(self, handler: F) -> Router<S, AtBegin<H, F>>
    where
        F: AsyncFnMut(&mut S, &Transaction) -> R,
        R: Outcome,
    {
        Router::with(AtBegin::new(self.handlers, handler), self.passed_over)
    }

    /// Adds a handler that is called after the changes of each transaction, also of one without any, and before it is
    /// confirmed: the place to make durable what the others gathered.
    #[must_use = "it is the router with the handler"]
    pub fn at_commit<F, R>(self, handler: F) -> Router<S, AtCommit<H, F>>
    where
        F: AsyncFnMut(&mut S, &Transaction) -> R,
        R: Outcome,
    {
        Router::with(AtCommit::new(self.handlers, handler), self.passed_over)
    }

    /// Takes transactions until the stream ends, and confirms each after all its handlers have returned.
    ///
    /// Transactions are taken as by [`Stream::next`], which says what becomes of positions without changes. To end it
    /// between two transactions, give the stream a [`stop_when`](crate::StreamBuilder::stop_when).
    ///
    /// # Errors
    ///
    /// Those of [`Stream::next`]; [`ErrorKind::Row`] where a row does not fit its handler's type, and
    /// [`ErrorKind::Handler`] where a handler failed, whose own error is the [`source`](std::error::Error::source).
    /// Both name table and position. The transaction is then not confirmed, and holds the slot: drop the stream, and
    /// it comes again, from its first change, when another one is started.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped between transactions, nothing is lost; call it again. When it is dropped while
    /// a handler runs, that transaction is as after an error.
    pub async fn run(&mut self, stream: &mut Stream, state: &mut S) -> Result<()>
    where
        H: Handle<S>,
    {
        while let Some(mut transaction) = stream.next().await? {
            self.route(&mut transaction, state).await?;
            transaction.confirm();
        }
        Ok(())
    }

    /// Hands one transaction to the handlers and does not confirm it: for who takes the events of a stream, or
    /// confirms several transactions together.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and when the transaction's changes cannot be read.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some handlers were called and others not. Called again with the same transaction,
    /// it begins anew with the first.
    pub async fn route(&mut self, transaction: &mut Transaction, state: &mut S) -> Result<()>
    where
        H: Handle<S>,
    {
        self.handlers
            .handle(state, Step::Begin(transaction))
            .await?;
        let commit_lsn = transaction.commit_lsn();
        let mut changes = transaction.changes()?;
        while let Some((lsn, change)) = changes.next()? {
            let place = Place { lsn, commit_lsn };
            match change {
                // Savepoints are marked in pieces only.
                Change::Relation(_) | Change::Type(_) | Change::Savepoint(_) => {}
                Change::Truncate {
                    relations,
                    cascade,
                    restart_identity,
                } => {
                    for relation in relations {
                        let change = Change::Truncate {
                            relations: vec![relation],
                            cascade,
                            restart_identity,
                        };
                        self.change(state, place, Some(relation), &change).await?;
                    }
                }
                Change::Insert { relation, .. }
                | Change::Update { relation, .. }
                | Change::Delete { relation, .. } => {
                    self.change(state, place, Some(relation), &change).await?;
                }
                Change::Message(_) => self.change(state, place, None, &change).await?,
            }
        }
        self.handlers
            .handle(state, Step::Commit(transaction))
            .await?;
        Ok(())
    }

    async fn change(
        &mut self,
        state: &mut S,
        place: Place,
        relation: Option<&Arc<Relation>>,
        change: &Change<'_>,
    ) -> Result<()>
    where
        H: Handle<S>,
    {
        if let Some(relation) = relation {
            let step = Step::Change(place, relation, change);
            if self.handlers.handle(state, step).await? {
                return Ok(());
            }
        }
        let step = Step::Rest(place, change);
        if self.handlers.handle(state, step).await? {
            return Ok(());
        }
        match relation {
            Some(relation) => self.pass_over(relation),
            None => return Err(unwanted(place)),
        }
        Ok(())
    }

    fn pass_over(&mut self, relation: &Relation) {
        if self.passed_over.insert(relation.oid) {
            tracing::info!(
                schema = relation.namespace,
                table = relation.name,
                "changes of a table without a handler are passed over"
            );
        }
    }
}

fn unwanted(place: Place) -> Error {
    let what = format!("a logical message has no handler {place}");
    Error::new(ErrorKind::Config, what).with_hint(
        "Take it with `Router::otherwise`, or start the stream without the option `messages`.",
    )
}

impl<S, H> fmt::Debug for Router<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}
