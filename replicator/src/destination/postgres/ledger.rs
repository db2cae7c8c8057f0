//! Our own tables at a PostgreSQL server, in schema `public`.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Postgres, Row as _, TypeInfo};

use super::session::{Session, column};
use crate::destination::server::{Cell, Holder, Ours, Row, migrated_by};
use crate::error::Result;

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS public._replicator_position (
    slot text COLLATE \"C\" PRIMARY KEY,
    version bigint NOT NULL,
    state text NOT NULL,
    system_id text NOT NULL,
    timeline bigint NOT NULL,
    \"database\" text NOT NULL,
    publications text NOT NULL,
    lsn text NOT NULL,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    fingerprint text NOT NULL,
    backend integer NOT NULL,
    backend_start text NOT NULL,
    source_time text
);
CREATE TABLE IF NOT EXISTS public._replicator_tables (
    slot text COLLATE \"C\" NOT NULL,
    oid bigint NOT NULL,
    version bigint NOT NULL,
    relfilenode bigint NOT NULL,
    \"schema\" text NOT NULL,
    name text NOT NULL,
    identity text NOT NULL,
    destination text COLLATE \"C\" NOT NULL,
    columns text NOT NULL,
    \"key\" text NOT NULL,
    made_by_us boolean NOT NULL,
    state text NOT NULL,
    reason text,
    sync_position text,
    PRIMARY KEY (slot, oid)
)";

const CREATE_CHUNKS: &str = "
CREATE TABLE IF NOT EXISTS public._replicator_chunks (
    slot text COLLATE \"C\" NOT NULL,
    oid bigint NOT NULL,
    part bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (slot, oid, part)
)";

const ADD_TIME: &str =
    "ALTER TABLE public._replicator_position ADD COLUMN IF NOT EXISTS source_time text";

/// Those that are there.
pub(super) const OURS: &str =
    "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public'
       AND c.relname IN ('_replicator_position', '_replicator_tables', '_replicator_chunks')
     UNION ALL
     SELECT a.attname::text FROM pg_attribute a
     WHERE a.attrelid = to_regclass('public._replicator_position') AND a.attname = 'source_time' AND NOT a.attisdropped";

/// Makes them.
pub(super) async fn create(db: &mut Session, ours: Ours) -> Result<()> {
    // Of two that make them at once the second waits.
    db.run("SELECT pg_advisory_xact_lock(hashtext('_replicator_position'))")
        .await?;
    match ours {
        Ours::Ledger => db.run(CREATE).await,
        Ours::Chunks => db.run(CREATE_CHUNKS).await,
        Ours::Time => db
            .run(ADD_TIME)
            .await
            .map_err(|error| migrated_by(error, ADD_TIME)),
    }
}

/// What sessions that share the row of slot `$1` hold besides, so that they can be found: of a row only those who wait
/// are known.
macro_rules! shared {
    () => {
        "hashtextextended('_replicator_position ' || $1, 0)"
    };
}

/// Reads the row for sharing it.
pub(super) const SHARE: &str = concat!(
    " AND pg_advisory_xact_lock_shared(",
    shared!(),
    ") IS NOT NULL FOR SHARE"
);

/// The sessions that share the row now, as far as they are the role's own.
pub(super) async fn sharers(db: &mut Session, slot: &str) -> Result<Vec<Holder>> {
    let sql = concat!(
        "SELECT a.pid, a.backend_start::text FROM pg_locks l JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.backend_start IS NOT NULL
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND (l.classid::bigint << 32 | l.objid::bigint) = ",
        shared!()
    );
    let rows = db.rows(sqlx::query(sql).bind(slot)).await?;
    rows.iter()
        .map(|row| {
            let (pid, since): (i32, String) = (column(row, 0)?, column(row, 1)?);
            Ok(Holder {
                number: pid.into(),
                since: since.into(),
            })
        })
        .collect()
}

/// A statement over the ledger in this product's words.
pub(super) fn query<'q>(sql: &str, values: &'q [Cell]) -> Query<'q, Postgres, PgArguments> {
    let sql = sql.replace("\"_replicator_", "public.\"_replicator_");
    let query = sqlx::query(AssertSqlSafe(sql));
    values.iter().fold(query, |query, value| match value {
        Cell::Null => query.bind(None::<&str>),
        Cell::Truth(truth) => query.bind(truth),
        Cell::Number(number) => query.bind(number),
        Cell::Text(text) => query.bind(text),
    })
}

/// A row of the ledger.
pub(super) fn read(row: &PgRow) -> Result<Row> {
    let cell = |found: &sqlx::postgres::PgColumn| {
        let at = found.ordinal();
        Ok(match found.type_info().name() {
            "BOOL" => column::<Option<bool>>(row, at)?.into(),
            "INT4" => column::<Option<i32>>(row, at)?.map(i64::from).into(),
            "INT8" => column::<Option<i64>>(row, at)?.into(),
            _ => column::<Option<String>>(row, at)?.into(),
        })
    };
    row.columns()
        .iter()
        .map(cell)
        .collect::<Result<_>>()
        .map(Row)
}
