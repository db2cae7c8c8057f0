//! Who writes a copy at the destination: a session of a worker's own, or the one that all share.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use walstream::walproto::{Lsn, Oid};

use crate::apply::Retry;
use crate::chunk::Chunk;
use crate::config::Config;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::position::PositionRow;
use crate::shutdown::Shutdown;
use crate::table::Table;

/// What is to be done at the destination.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Begin { table: Arc<Table>, at: Lsn },
    Add(Chunk),
    Finish { oid: Oid, at: Lsn },
    Stop { oid: Oid, why: String },
}

impl Order {
    /// Has it done, again and again as long as the destination's errors may pass.
    ///
    /// # Errors
    ///
    /// One that does not pass, that of somebody who took over among them; or `stop` is asked for while it does not.
    async fn carry_out(
        &self,
        destination: &mut impl Destination,
        held: &PositionRow,
        retry: &mut Retry,
        stop: &mut Shutdown,
    ) -> Result<()> {
        loop {
            let Err(error) = self.once(destination, held).await else {
                retry.over();
                return Ok(());
            };
            // Nobody needs to wait for one who took over.
            if let Ok(now) = destination.position(&held.slot).await {
                held.still_holds(now)?;
            }
            retry.pause(error, stop).await?;
        }
    }

    async fn once(&self, destination: &mut impl Destination, held: &PositionRow) -> Result<()> {
        match self {
            Self::Begin { table, at } => destination.begin_copy(held, table, *at).await,
            Self::Add(chunk) => destination.copy(held, chunk.clone()).await,
            Self::Finish { oid, at } => destination.finish_copy(held, *oid, *at).await,
            Self::Stop { oid, why } => destination.stop_table(&held.slot, *oid, why).await,
        }
    }
}

/// An order for whoever has the destination.
#[derive(Debug)]
pub(crate) struct Request {
    order: Order,
    done: oneshot::Sender<Result<()>>,
}

impl Request {
    /// Carries it out and says so.
    pub(crate) async fn answer(
        self,
        destination: &mut impl Destination,
        held: &PositionRow,
        retry: &mut Retry,
        stop: &mut Shutdown,
    ) {
        let Self { order, done } = self;
        let carried_out = order.carry_out(destination, held, retry, stop).await;
        // Who does not wait for it any more is at its end for another reason.
        let _ = done.send(carried_out);
    }
}

/// Writes what one worker reads.
pub(crate) enum Hand<D> {
    /// Over this session.
    Own(Box<(D, Retry)>),
    /// By asking whoever is at the other end.
    Shared(mpsc::Sender<Request>),
}

impl<D: Destination> Hand<D> {
    /// Over a session of its own.
    pub(crate) fn own(session: D, config: &Config) -> Self {
        let retry = Retry::new(config.destination_policy()).told(&config.watching.metrics);
        Self::Own(Box::new((session, retry)))
    }

    /// Has it done, as [`Order::carry_out`].
    pub(super) async fn carry_out(
        &mut self,
        order: Order,
        held: &PositionRow,
        stop: &mut Shutdown,
    ) -> Result<()> {
        match self {
            Self::Own(own) => {
                let (destination, retry) = &mut **own;
                order.carry_out(destination, held, retry, stop).await
            }
            Self::Shared(requests) => {
                let gone = || Error::retry("the destination's task has ended");
                let (done, answer) = oneshot::channel();
                let request = Request { order, done };
                requests.send(request).await.map_err(|_| gone())?;
                answer.await.map_err(|_| gone())?
            }
        }
    }

    /// Ends the session.
    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Self::Own(own) => own.0.close().await,
            Self::Shared(_) => Ok(()),
        }
    }
}
