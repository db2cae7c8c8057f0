//! The SQLite file as any program sees it that opens it while it is being written.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};

/// How many orders are in the file; none while the table is not there yet.
pub(super) fn orders(path: &Path) -> u64 {
    let count = || {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.query_row("SELECT count(*) FROM orders", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    count()
        .ok()
        .and_then(|count| count.try_into().ok())
        .unwrap_or(0)
}

/// Changes one value behind the replicator's back, so that a test sees the comparison find it.
pub(super) fn tamper(path: &Path) -> Result<()> {
    let change = || {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.execute(
            "UPDATE orders SET note = 'x' WHERE number = (SELECT min(number) FROM orders)",
            [],
        )
    };
    match change() {
        Ok(1) => Ok(()),
        Ok(_) => Err(Error::retry("there is no order to tamper with")),
        Err(error) => Err(Error::retry("cannot tamper with the file").caused_by(error)),
    }
}
