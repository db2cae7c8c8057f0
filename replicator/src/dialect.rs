//! Operations as SQL text, one file per product. Pure: nothing here opens a connection.
//!
//! Values are always parameters. What a statement's parameters are follows from its [`Shape`]: the values of an
//! insert; those set by an update and then those matched; those matched by a delete.

#[cfg(test)]
pub(crate) mod corpus;
#[cfg(test)]
mod matrix;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
mod narrow;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(feature = "sqlserver")]
pub(crate) mod sqlserver;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlserver"))]
pub(crate) mod text;
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
mod unfit;

use crate::error::Result;
use crate::names::Names;
use crate::plan::{Action, Operation};
use crate::table::Table;

/// The SQL of one product.
pub trait Dialect {
    /// Gives tables their names at the destination, from what [`Names::of`] says of them, and refuses those that cannot
    /// be there.
    ///
    /// # Errors
    ///
    /// Names the table: two that land on one name, a reserved name, something that the product cannot hold.
    fn name_tables<'a>(
        &self,
        names: &Names,
        tables: impl IntoIterator<Item = &'a mut Table>,
    ) -> Result<()>;

    /// Appends a quoted name.
    fn identifier(&self, out: &mut String, name: &str);

    /// The statement that makes the table: its columns and its key, nothing else.
    fn create_table(&self, table: &Table) -> String;

    /// The statement for all operations of one shape.
    fn statement(&self, table: &Table, shape: &Shape) -> String;
}

/// What to do about a name that a table cannot have at the destination.
pub(crate) const ANOTHER_NAME: &str = "give it another name there with --map-table or --map-schema, or leave it out of the publication";

/// What operations of one table have in common when they can share a prepared statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Every column.
    Insert,
    /// These columns are set.
    Update(Box<[usize]>),
    /// By key, or by all columns.
    Delete,
    /// All rows.
    Truncate,
}

impl Shape {
    /// The shape of an operation.
    pub fn of(operation: &Operation) -> Self {
        match &operation.action {
            Action::Insert { .. } => Self::Insert,
            Action::Update { set, .. } => Self::Update(set.iter().map(|(at, _)| *at).collect()),
            Action::Delete { .. } => Self::Delete,
            Action::Truncate => Self::Truncate,
        }
    }

    /// Whether an operation has this shape; as comparing with [`of`](Self::of), without allocating.
    pub fn fits(&self, operation: &Operation) -> bool {
        match (self, &operation.action) {
            (Self::Update(ours), Action::Update { set, .. }) => {
                ours.iter().eq(set.iter().map(|(at, _)| at))
            }
            (Self::Insert, Action::Insert { .. })
            | (Self::Delete, Action::Delete { .. })
            | (Self::Truncate, Action::Truncate) => true,
            _ => false,
        }
    }
}
