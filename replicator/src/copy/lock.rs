//! A table's lock, and whether the table is still what the snapshot says.

use walstream::{Client, quote_identifier};

use super::queue::Job;
use super::version::versions;
use crate::error::Result;
use crate::table::Table;

/// What the lock of a table goes with.
const SAVEPOINT: &str = "copying";

/// Locks a table against rewriting until [`unlock`]; `false` if somebody holds or awaits a lock that conflicts, or it is
/// not there any more.
pub(super) async fn lock(client: &mut Client, table: &Table, wait: &str) -> Result<bool> {
    let name = format!(
        "{}.{}",
        quote_identifier(&table.schema),
        quote_identifier(&table.name)
    );
    // Waiting here blocks only ourselves.
    client
        .execute(&format!(
            "SAVEPOINT {SAVEPOINT}; SET LOCAL lock_timeout = '{wait}'"
        ))
        .await?;
    match client
        .execute(&format!("LOCK TABLE {name} IN ACCESS SHARE MODE"))
        .await
    {
        Ok(()) => Ok(true),
        // Held by somebody else; renamed or dropped since the snapshot.
        Err(error) if matches!(error.sqlstate(), Some("55P03" | "42P01" | "3F000")) => {
            unlock(client).await?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Gives the lock back; the snapshot stays.
pub(super) async fn unlock(client: &mut Client) -> Result<()> {
    let sql = format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}; RELEASE SAVEPOINT {SAVEPOINT}");
    Ok(client.execute(&sql).await?)
}

/// Whether a table that is locked is what the snapshot says of it.
///
/// One that was rewritten or truncated between the snapshot and the lock would be read as it is now, not as it was;
/// `false` asks for a new snapshot.
pub(super) async fn is_unchanged(
    now: &mut Client,
    job: &Job,
    publications: &[String],
) -> Result<bool> {
    let oid = job.table.oid;
    let versions = versions(now, &[oid], publications).await?;
    Ok(versions.get(&oid) == Some(&job.version))
}
