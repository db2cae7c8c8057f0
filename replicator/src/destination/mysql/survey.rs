//! What a MySQL or MariaDB server says of itself, and of our rights there.

use super::server::{FLUSH, Server};
use super::session::{Session, column};
use crate::check::{Finding, Mend, with_causes};
use crate::dialect::mysql::quoted;
use crate::dialect::mysql::types::Flavour;
use crate::error::{ErrorKind, Result};
use crate::table::Table;

/// What a user needs on the database.
const NEEDED: [&str; 8] = [
    "CREATE",
    "DROP",
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRIGGER",
    // Many updates or deletes of one shape go through one.
    "CREATE TEMPORARY TABLES",
];

/// What he needs where a column is added at the source, and for nothing else.
const ALTER: &str = "ALTER";

/// Those of the user himself, for everything, for this database and for single tables of it. A database stands there as a
/// pattern.
const GRANTED: &str = "
    SELECT `privilege_type`, NULL FROM information_schema.`user_privileges` WHERE `grantee` = ?
    UNION SELECT `privilege_type`, NULL FROM information_schema.`schema_privileges`
          WHERE `grantee` = ? AND DATABASE() LIKE `table_schema`
    UNION SELECT `privilege_type`, `table_name` FROM information_schema.`table_privileges`
          WHERE `grantee` = ? AND `table_schema` = DATABASE()";

/// What keeps a run from a server, each with the statement that mends it.
pub(super) fn faults(server: &Server) -> Vec<Finding> {
    let faults = server.faults(false).into_iter().rev();
    let found = faults.map(|(id, error)| {
        let found = Finding::of(id, &error);
        match id {
            "destination.durability" if !server.value(FLUSH).is_empty() => {
                found.mended_by(set(FLUSH, "1"))
            }
            "destination.binary_log" => found.mended_by(set("binlog_format", "'ROW'")),
            "destination.writable" => {
                found.mended_by([Mend::option("--destination with the primary")])
            }
            _ => found,
        }
    });
    found.collect()
}

fn set(name: &str, value: &str) -> Vec<Mend> {
    vec![
        Mend::destination(format!("SET GLOBAL {name} = {value}")),
        Mend::hand(format!(
            "write {name} = {} into the server's configuration too, for its next start",
            value.trim_matches('\'')
        )),
    ]
}

/// As [`Session::survey`](crate::destination::server::Session::survey).
pub(super) async fn survey(
    db: &mut Session,
    made: &[Table],
    taken: &[Table],
    has_ledger: bool,
) -> Result<Vec<Finding>> {
    let server = &db.server;
    let product = match server.flavour {
        Flavour::MySql => "MySQL",
        Flavour::MariaDb => "MariaDB",
    };
    let faults = server.faults(false);
    let sound = |id| !faults.iter().any(|(fault, _)| *fault == id);
    let mut found = Vec::new();
    if sound("destination.version") {
        let version = server.value("version");
        let what = format!("{product} {version}; MySQL 8.0 and MariaDB 10.6 or later will do");
        found.push(Finding::ok("destination.version", what));
    }
    if sound("destination.durability") {
        let what = format!("{FLUSH} is 1: what is reported as committed is on the disk");
        found.push(Finding::ok("destination.durability", what));
    }
    for remark in server.remarks() {
        let is = server.value(remark.setting);
        let what = format!("{} ({} is {is})", remark.what, remark.setting);
        found.push(Finding::warning(remark.id, what).mends(set(remark.setting, remark.wanted)));
    }
    let charset = server.value("character_set_server");
    found.push(Finding::ok(
        "destination.encoding",
        format!("{charset} at the server; our own sessions and the tables that we make have utf8mb4, which holds every character"),
    ));
    let zone = server.value("time_zone");
    found.push(Finding::ok(
        "destination.time_zone",
        format!(
            "{zone} at the server; our own sessions have +00:00, and every time keeps its moment"
        ),
    ));
    let isolation = match server.value("transaction_isolation") {
        "" => server.value("tx_isolation"),
        isolation => isolation,
    };
    found.push(Finding::ok(
        "destination.isolation",
        format!("{isolation} at the server; our own sessions have READ COMMITTED"),
    ));
    found.push(Finding::ok(
        "destination.max_allowed_packet",
        format!("{} bytes, the most that a row may take", server.packet),
    ));
    found.push(Finding::ok(
        "destination.local_infile",
        if server.loads {
            "first copies are loaded as files"
        } else {
            "first copies are inserted, which is slower: local_infile is off at the server"
        },
    ));
    match rights(db, made, taken, has_ledger).await {
        Ok(rights) => found.push(rights),
        Err(error) if error.kind() == ErrorKind::Retry => return Err(error),
        Err(error) => found.push(Finding::unknown("destination.rights", with_causes(&error))),
    }
    Ok(found)
}

async fn rights(
    db: &mut Session,
    made: &[Table],
    taken: &[Table],
    has_ledger: bool,
) -> Result<Finding> {
    const ID: &str = "destination.rights";
    let rows = db.rows("SELECT CURRENT_USER(), DATABASE()", vec![]).await?;
    let (user, database): (String, String) = match rows.first() {
        Some(row) => (column(row, 0)?, column(row, 1)?),
        None => return Ok(Finding::unknown(ID, "the server does not tell who we are")),
    };
    let (name, host) = user.rsplit_once('@').unwrap_or((&user, "%"));
    let grantee = format!("'{name}'@'{host}'");
    let rows = db.rows(GRANTED, vec![grantee.as_str().into(); 3]).await?;
    let mut everywhere: Vec<String> = Vec::new();
    let mut at_tables: Vec<(String, String)> = Vec::new();
    for row in &rows {
        let (right, table): (String, Option<String>) = (column(row, 0)?, column(row, 1)?);
        match table {
            None => everywhere.push(right),
            Some(table) => at_tables.push((table, right)),
        }
    }
    let has = |right: &str| everywhere.iter().any(|it| it.eq_ignore_ascii_case(right));
    // Where every table is there, rights to them will do.
    let only_there = made.is_empty() && has_ledger;
    let there = |right: &str| {
        let mut tables = taken.iter().map(|table| table.destination.as_str());
        let granted = |table: &str| {
            let mut all = at_tables.iter();
            all.any(|(at, it)| at == table && it.eq_ignore_ascii_case(right))
        };
        only_there
            && matches!(right, "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "TRIGGER")
            && tables.all(granted)
            && !taken.is_empty()
            || only_there && matches!(right, "CREATE" | "DROP")
    };
    let missing = NEEDED.iter().filter(|right| !has(right) && !there(right));
    let mut missing: Vec<&str> = missing.copied().collect();
    if !has(ALTER) {
        missing.push(ALTER);
    }
    if missing.is_empty() {
        let what = format!("user {grantee} may make what is to be made, and write what is there");
        return Ok(Finding::ok(ID, what));
    }
    // Rights that come by a role are not among those of the user.
    let roles = db.rows("SELECT CURRENT_ROLE()", vec![]).await;
    let role = roles.ok().and_then(|rows| {
        let role: Option<String> = column(rows.first()?, 0).ok()?;
        role.filter(|role| role != "NONE")
    });
    if let Some(role) = role {
        let Some(granted) = by_role(db, &role, &database).await else {
            let missing = missing.join(", ");
            return Ok(Finding::unknown(
                ID,
                format!(
                    "user {grantee} has no {missing} of his own on {database}, and may have them by role {role}"
                ),
            ));
        };
        let all = ["ALL PRIVILEGES", "ALL"];
        let has = |right: &str| granted.iter().any(|it| it == right || all.contains(&&**it));
        missing.retain(|right| !has(right));
        if missing.is_empty() {
            let what = format!(
                "user {grantee} may make what is to be made, and write what is there, by role {role}"
            );
            return Ok(Finding::ok(ID, what));
        }
    }
    let missing = missing.join(", ");
    let what = format!("user {grantee} lacks {missing} on database {database}");
    let found = if missing == ALTER {
        let what = format!("{what}: a column that is added at the source cannot be added there");
        Finding::warning(ID, what)
    } else {
        Finding::wrong(ID, what)
    };
    Ok(found.mend(Mend::destination(format!(
        "GRANT {missing} ON {}.* TO {grantee}",
        quoted(&database)
    ))))
}

/// What the roles that are on grant on the whole database, those that they have themselves included. MariaDB has one that is
/// on, and a word for it; MySQL takes their names as it gives them.
async fn by_role(db: &mut Session, role: &str, database: &str) -> Option<Vec<String>> {
    let mut rows = db.rows("SHOW GRANTS FOR CURRENT_ROLE", vec![]).await;
    if rows.is_err() {
        let sql = format!("SHOW GRANTS FOR CURRENT_USER() USING {role}");
        rows = db.rows(&sql, vec![]).await;
    }
    let rows = rows.ok()?;
    let lines = rows.iter().map(|row| column::<String>(row, 0).ok());
    let lines: Vec<String> = lines.collect::<Option<_>>()?;
    Some(lines.iter().flat_map(|line| on(line, database)).collect())
}

/// What a line of `SHOW GRANTS` grants on everything or on this database; of one that names a pattern or a single table,
/// and of one that grants a role, nothing.
fn on(line: &str, database: &str) -> Vec<String> {
    let Some((rights, place)) = line
        .strip_prefix("GRANT ")
        .and_then(|line| line.split_once(" ON "))
    else {
        return Vec::new();
    };
    // A pattern's `_` and `%` stand for themselves behind a backslash.
    let written = quoted(database);
    let escaped = written.replace('_', r"\_").replace('%', r"\%");
    let whole = [
        "*.*".to_owned(),
        format!("{written}.*"),
        format!("{escaped}.*"),
    ];
    if !whole.iter().any(|it| {
        place
            .strip_prefix(&**it)
            .is_some_and(|rest| rest.starts_with(' '))
    }) {
        return Vec::new();
    }
    rights.split(", ").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_counts_where_it_is_for_all_of_the_database() {
        for (line, rights) in [
            (
                "GRANT SELECT, INSERT ON `my_shop`.* TO `r`",
                &["SELECT", "INSERT"][..],
            ),
            (r"GRANT SELECT ON `my\_shop`.* TO `r`", &["SELECT"]),
            (
                "GRANT ALL PRIVILEGES ON *.* TO `r` WITH GRANT OPTION",
                &["ALL PRIVILEGES"],
            ),
            ("GRANT SELECT ON `my_shop`.`t` TO `r`", &[]),
            ("GRANT SELECT ON `other`.* TO `r`", &[]),
            ("GRANT `other` TO `r`", &[]),
            ("GRANT USAGE ON *.* TO `r`", &["USAGE"]),
        ] {
            assert_eq!(on(line, "my_shop"), rights, "{line}");
        }
    }
}
