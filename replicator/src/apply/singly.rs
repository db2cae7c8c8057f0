//! A batch that could not be applied as a whole, transaction by transaction.

use walstream::Transaction;

use super::Apply;
use crate::destination::Destination;
use crate::error::Result;

impl<D: Destination> Apply<'_, D> {
    /// One of them cannot be applied. Those before it can, so that the stop is exactly there.
    pub(super) async fn one_by_one(&mut self, batch: Vec<Transaction>) -> Result<()> {
        for transaction in batch {
            let mut one = vec![transaction];
            if let Err(error) = self.write(&mut one).await {
                self.undo().await;
                return Err(error);
            }
            self.confirm(one)?;
        }
        Ok(())
    }
}
