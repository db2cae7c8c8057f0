//! What a PostgreSQL server says of itself, and of our rights there.

use sqlx::AssertSqlSafe;

use super::session::{Session, column};
use crate::check::{Finding, Mend, with_causes};
use crate::dialect::postgres::{parts, qualified, quoted};
use crate::error::{ErrorKind, Result};
use crate::table::Table;

const SELF: &str = "
    SELECT current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes'),
           current_setting('server_encoding'), current_database()::text, current_user::text,
           coalesce((SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_isolation'), ''),
           has_function_privilege('pg_catalog.pg_replication_origin_session_setup(text)', 'EXECUTE')
             AND has_function_privilege('pg_catalog.pg_replication_origin_create(text)', 'EXECUTE')
             AND has_function_privilege('pg_catalog.pg_replication_origin_oid(text)', 'EXECUTE')";

/// As [`Session::survey`](crate::destination::server::Session::survey).
pub(super) async fn survey(
    db: &mut Session,
    made: &[Table],
    taken: &[Table],
    has_ledger: bool,
) -> Result<Vec<Finding>> {
    let rows = db.rows(sqlx::query(SELF)).await?;
    let Some(row) = rows.first() else {
        return Ok(Vec::new());
    };
    let text = |at| column::<String>(row, at);
    let (database, user) = (text(4)?, text(5)?);
    let mut found = Vec::new();
    if db.major >= 14 {
        let version = text(0)?;
        let what = format!("PostgreSQL {version}; 14 and later will do");
        found.push(Finding::ok("destination.version", what));
    }
    found.extend(durability(&text(1)?, &text(2)?));
    found.push(encoding(&text(3)?, &database));
    found.push(Finding::ok(
        "destination.time_zone",
        "our own sessions have UTC, whatever the server has, and every time keeps its moment",
    ));
    let isolation = text(6)?;
    found.push(Finding::ok(
        "destination.isolation",
        format!("{isolation} at the server; our own sessions have read committed"),
    ));
    found.push(origin(column(row, 7)?, &user));
    match rights(db, made, taken, has_ledger, &database, &user).await {
        Ok(rights) => found.extend(rights),
        Err(error) if error.kind() == ErrorKind::Retry => return Err(error),
        Err(error) => found.push(Finding::unknown("destination.rights", with_causes(&error))),
    }
    Ok(found)
}

fn durability(fsync: &str, full_pages: &str) -> Vec<Finding> {
    const ID: &str = "destination.durability";
    let off = [("fsync", fsync), ("full_page_writes", full_pages)];
    let off: Vec<Finding> = off
        .into_iter()
        .filter(|(_, value)| *value != "on")
        .map(|(name, value)| {
            let what = format!(
                "{name} is {value}: what the server reports as committed may be gone, or damaged, after its machine stops, and the \
                 source was told that it is safe"
            );
            Finding::warning(ID, what)
                .mend(Mend::destination(format!("ALTER SYSTEM SET {name} = on")))
                .mend(Mend::destination("SELECT pg_reload_conf()"))
        })
        .collect();
    if off.is_empty() {
        let what = "fsync is on, and our own sessions have synchronous_commit = on: what is reported as committed is on the disk";
        return vec![Finding::ok(ID, what)];
    }
    off
}

fn encoding(encoding: &str, database: &str) -> Finding {
    const ID: &str = "destination.encoding";
    if encoding == "UTF8" {
        return Finding::ok(ID, "UTF8, which holds every character");
    }
    let another = quoted(&format!("{database}_utf8"));
    let what = match encoding {
        "SQL_ASCII" => "SQL_ASCII: texts are stored as bytes that nobody checks, and others may read them otherwise".to_owned(),
        other => format!("{other}, which lacks characters that the source may have; a row with one is refused"),
    };
    Finding::warning(ID, what)
        .mend(Mend::destination(format!(
            "CREATE DATABASE {another} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
        )))
        .mend(Mend::hand(format!("name {another} in --destination")))
}

/// A run goes on without.
fn origin(may: bool, user: &str) -> Finding {
    const ID: &str = "destination.origin";
    if may {
        return Finding::ok(ID, "changes are marked as replicated");
    }
    let grant = format!(
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_create(text), \
         pg_catalog.pg_replication_origin_oid(text), pg_catalog.pg_replication_origin_session_setup(text), \
         pg_catalog.pg_replication_origin_session_is_setup(), pg_catalog.pg_replication_origin_session_reset(), \
         pg_catalog.pg_replication_origin_drop(text) TO {}",
        quoted(user)
    );
    Finding::warning(
        ID,
        "changes are not marked as replicated, so a replication from there back must not read these tables",
    )
    .mend(Mend::destination(grant))
}

/// To make what is to be made, to write what is there, and to our own tables.
async fn rights(
    db: &mut Session,
    made: &[Table],
    taken: &[Table],
    has_ledger: bool,
    database: &str,
    user: &str,
) -> Result<Vec<Finding>> {
    const ID: &str = "destination.rights";
    let (role, mut found) = (quoted(user), Vec::new());
    let schemas = made.iter().map(|table| parts(&table.destination).0);
    let mut schemas: Vec<String> = schemas.collect();
    if !has_ledger {
        schemas.push("public".to_owned());
    }
    schemas.sort_unstable();
    schemas.dedup();
    let mut creates = false;
    for schema in &schemas {
        let sql =
            "SELECT n.oid IS NOT NULL,
                          coalesce(has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE'), false),
                          has_database_privilege(current_database(), 'CREATE')
                   FROM (VALUES (1)) AS one(row) LEFT JOIN pg_namespace n ON n.nspname = $1";
        let rows = db.rows(sqlx::query(sql).bind(schema)).await?;
        let Some(row) = rows.first() else { continue };
        let (is_there, may): (bool, bool) = (column(row, 0)?, column(row, 1)?);
        if is_there && !may {
            let quoted = quoted(schema);
            let what = format!("role {role} must not make tables in schema {quoted}");
            found.push(Finding::wrong(ID, what).mend(Mend::destination(format!(
                "GRANT USAGE, CREATE ON SCHEMA {quoted} TO {role}"
            ))));
        }
        creates |= !is_there && !column::<bool>(row, 2)?;
    }
    if creates {
        let what =
            format!("role {role} must not make schemas in the database, and some are to be made");
        let grant = format!("GRANT CREATE ON DATABASE {} TO {role}", quoted(database));
        found.push(Finding::wrong(ID, what).mend(Mend::destination(grant)));
    }
    let mut there: Vec<String> = taken.iter().map(|it| it.destination.clone()).collect();
    if has_ledger {
        let ours = ["_replicator_position", "_replicator_tables"];
        there.extend(ours.map(|name| format!("public.{name}")));
    }
    for name in there {
        let (schema, table) = parts(&name);
        let sql = "SELECT has_schema_privilege(n.oid, 'USAGE'), r.name, has_table_privilege(c.oid, r.name)
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
                        unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r(name)
                   WHERE n.nspname = $1 AND c.relname = $2";
        let rows = db
            .rows(sqlx::query(AssertSqlSafe(sql)).bind(&schema).bind(table))
            .await?;
        let mut missing: Vec<String> = Vec::new();
        let mut reaches = true;
        for row in &rows {
            reaches &= column::<bool>(row, 0)?;
            if !column::<bool>(row, 2)? {
                missing.push(column(row, 1)?);
            }
        }
        let name = qualified(&name);
        if !reaches {
            let schema = quoted(&schema);
            let what = format!("role {role} must not use schema {schema}");
            let grant = format!("GRANT USAGE ON SCHEMA {schema} TO {role}");
            found.push(
                Finding::wrong(ID, what)
                    .about(&name)
                    .mend(Mend::destination(grant)),
            );
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let what = format!("role {role} lacks {missing} on table {name}");
            let grant = format!("GRANT {missing} ON {name} TO {role}");
            found.push(
                Finding::wrong(ID, what)
                    .about(&name)
                    .mend(Mend::destination(grant)),
            );
        }
    }
    if found.is_empty() {
        let what = format!("role {role} may make what is to be made, and write what is there");
        found.push(Finding::ok(ID, what));
    }
    Ok(found)
}
