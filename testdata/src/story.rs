//! What happens on a made-up source: tables, transactions, savepoints, prepares, in the order in which it happens.
//!
//! A [`Story`] is a list of steps, each of which stands alone: what makes no sense where it stands (a commit of what
//! is over, a change of a table that another transaction has locked) does nothing. So every part of a story is a
//! story, and a failing one can be made smaller by leaving out whatever one likes.

use std::fmt;

use crate::random::Random;

mod generate;
mod table;
mod wal;

pub use generate::Shape;
pub use table::{Cell, Column, Table};
pub use wal::{Change, Item, Kind, Record, Row, Transaction, Wal};

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Tells it from the others, whichever of them are left out.
    pub id: u32,
    /// In which transaction; begins it where it is new.
    pub transaction: u32,
    /// What.
    pub deed: Deed,
}

/// What can happen. Tables are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A new row.
    Insert(usize),
    /// A changed row; its key too, if it says so.
    Update(usize, bool),
    /// A row that is gone.
    Delete(usize),
    /// Emptied tables: this one and, if it says so, all others with it. Flags as on the wire.
    Truncate(usize, bool, u8),
    /// A logical message in the transaction.
    Message,
    /// A logical message outside any transaction.
    Loose,
    /// A change of a table's definition.
    Alter(usize),
    /// Something that makes the server describe a table again, though nothing about it changed.
    Analyze(usize),
    /// WAL that is not published.
    Noise,
    /// The transaction comes from another node.
    Origin,
    /// A savepoint.
    Savepoint,
    /// The innermost savepoint is let go, its changes stay.
    Release,
    /// Back to a savepoint, counted from the innermost, which stays; all within it is undone.
    RollbackTo(usize),
    /// `PREPARE TRANSACTION`, under one of a few names, and the name is taken.
    Prepare(u8),
    /// `COMMIT`, or `COMMIT PREPARED`.
    Commit,
    /// `ROLLBACK`, or `ROLLBACK PREPARED`.
    Abort,
}

impl Story {
    /// A random one.
    pub fn random(random: &mut Random, shape: &Shape) -> Self {
        generate::generate(random, shape)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.deed {
            Deed::Loose | Deed::Analyze(_) | Deed::Noise => {
                write!(f, "#{:<3}     {:?}", self.id, self.deed)
            }
            deed => write!(f, "#{:<3} tx{:<2} {deed:?}", self.id, self.transaction),
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps
            .iter()
            .try_for_each(|step| writeln!(f, "  {step}"))
    }
}
