//! PostgreSQL changes into other databases, exactly once.

mod destination;
mod dialect;
mod error;
mod failpoint;
mod plan;
mod position;
mod table;
mod value;

pub use destination::{Destination, Existing, Outcome, Rows};
#[cfg(feature = "sqlite")]
pub use destination::sqlite::{SqliteDestination, SqliteOptions};
pub use dialect::{Dialect, Shape, sqlite::Sqlite};
pub use error::{Error, ErrorKind, Result};
pub(crate) use failpoint::fail_point;
pub use plan::{Action, Operation};
pub use position::{PositionRow, State, TableRow, TableState};
pub use table::{Column, Table};
pub use value::{Kind, Value, ValueError};
