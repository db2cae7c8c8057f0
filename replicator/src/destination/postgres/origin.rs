//! A replication origin for each slot: what we write is marked as replicated, so that a replication from the
//! destination elsewhere, told `origin = none`, leaves it out, and two servers that follow each other do not go in
//! circles.

use std::time::Duration;

use super::session::{Session, failure, report};
use crate::error::Result;

/// How often a session that was ended is given time to let go of the origin.
const ATTEMPTS: usize = 10;
const AGAIN: Duration = Duration::from_millis(100);

/// Marks what the session writes from now on.
///
/// Needs a superuser, or EXECUTE on the functions below, and room within `max_replication_slots` (from 18 on
/// `max_active_replication_origins`).
pub(super) async fn take(db: &mut Session, name: &str) -> Result<()> {
    let failed = |error| {
        failure(
            format!("could not use the replication origin {name}"),
            error,
        )
    };
    let create =
        "SELECT pg_replication_origin_create($1) WHERE pg_replication_origin_oid($1) IS NULL";
    db.call(create, name).await.map_err(failed)?;
    let mut attempts = 0;
    loop {
        let setup = "SELECT pg_replication_origin_session_setup($1)";
        match db.call(setup, name).await {
            Err(error) if is_in_use(&error) && attempts < ATTEMPTS => attempts += 1,
            done => return done.map_err(failed),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn is_in_use(error: &sqlx::Error) -> bool {
    report(error).is_some_and(|report| report.code() == "55006")
}

/// Removes an origin, and those of other sessions of its slot; one that cannot be removed does no harm.
pub(super) async fn forget(db: &mut Session, name: &str) {
    let reset = "SELECT pg_replication_origin_session_reset() WHERE pg_replication_origin_session_is_setup() AND $1 <> ''";
    let _ = db.call(reset, name).await;
    let drop = "SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin
                WHERE roname = $1 OR starts_with(roname, $1 || '_copy:')";
    if let Err(error) = db.call(drop, name).await {
        tracing::debug!(%error, "the replication origin stays");
    }
}

/// Other programs may have origins too.
pub(super) fn name(slot: &str) -> String {
    format!("replicator_{slot}")
}

/// An origin has one session at a time, so others of the same slot have one each. Slots have no colons in their names.
pub(super) fn another(name: &str, number: usize) -> String {
    format!("{name}_copy:{number}")
}
