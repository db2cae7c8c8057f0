//! A replication origin for each slot: what we write is marked as replicated, so that a replication from the
//! destination elsewhere, told `origin = none`, leaves it out, and two servers that follow each other do not go in
//! circles.

use std::time::Duration;

use super::session::Session;
use crate::error::{ErrorKind, Result};

/// Marks what the session writes from now on.
///
/// Needs a superuser, or EXECUTE on `pg_replication_origin_create`, `…_oid` and `…_session_setup`.
pub(super) async fn take(db: &mut Session, slot: &str) -> Result<()> {
    let name = name(slot);
    let sql = "SELECT pg_replication_origin_create($1) WHERE pg_replication_origin_oid($1) IS NULL";
    db.rows(sqlx::query(sql).bind(&name)).await?;
    let sql = "SELECT pg_replication_origin_session_setup($1)";
    for _ in 0..ATTEMPTS {
        match db.rows(sqlx::query(sql).bind(&name)).await {
            // 55006: a session that was ended has not let go of it yet.
            Err(error) if error.kind() == ErrorKind::Retry && !db.is_lost() => {
                tokio::time::sleep(AGAIN).await;
            }
            done => return done.map(drop),
        }
    }
    db.rows(sqlx::query(sql).bind(&name)).await.map(drop)
}

const ATTEMPTS: usize = 10;
const AGAIN: Duration = Duration::from_millis(100);

/// Removes the origin of a slot that is forgotten; one that cannot be removed does no harm.
pub(super) async fn forget(db: &mut Session, slot: &str) {
    let sql = "SELECT pg_replication_origin_session_reset() WHERE pg_replication_origin_session_is_setup()";
    let _ = db.rows(sqlx::query(sql)).await;
    let sql =
        "SELECT pg_replication_origin_drop($1) WHERE pg_replication_origin_oid($1) IS NOT NULL";
    let _ = db.rows(sqlx::query(sql).bind(name(slot))).await;
}

/// Other programs may have origins too.
fn name(slot: &str) -> String {
    format!("replicator_{slot}")
}
