//! What a SQL Server says of itself and of its database, and of our rights there.

use super::server::{Product, Server};
use super::session::{Session, column};
use super::values::text;
use crate::check::{Finding, Mend, with_causes};
use crate::dialect::sqlserver::{SCHEMA, catalog, parts, qualified, quoted};
use crate::error::{ErrorKind, Result};
use crate::table::Table;

/// A database of Azure's, whose users see and end each other's sessions by rights of their own.
const AZURE_DATABASE: i32 = 5;

/// What a session found that was opened to look, with what keeps a run from such a server, each with what mends it.
pub(super) fn opened(db: &Session) -> Vec<Finding> {
    let address = db.address();
    let reached = format!(
        "the server {}, database {}, as login {:?}",
        address.place(),
        quoted(&address.database),
        address.user
    );
    let mut found = vec![Finding::ok("destination.reachable", reached)];
    let faults = db.server.faults(address.takes_delayed, false);
    found.extend(faults.into_iter().rev().map(|(id, error)| {
        let found = Finding::of(id, &error);
        let set = |what: &str| Mend::destination(format!("ALTER DATABASE CURRENT SET {what}"));
        match id {
            "destination.durability" => found.mended_by([set("DELAYED_DURABILITY = DISABLED")]),
            "destination.compatibility_level" => {
                found.mended_by([set("COMPATIBILITY_LEVEL = 130")])
            }
            "destination.writable" => {
                found.mended_by([Mend::option("--destination with the primary")])
            }
            _ => found,
        }
    }));
    found
}

/// As [`Session::survey`](crate::destination::server::Session::survey).
pub(super) async fn survey(
    db: &mut Session,
    made: &[Table],
    taken: &[Table],
    has_ledger: bool,
) -> Result<Vec<Finding>> {
    let mut found = itself(&db.server, db.address().takes_delayed);
    match rights(db, made, taken, has_ledger).await {
        Ok(rights) => found.extend(rights),
        Err(error) if error.kind() == ErrorKind::Retry => return Err(error),
        Err(error) => found.push(Finding::unknown("destination.rights", with_causes(&error))),
    }
    Ok(found)
}

/// What was told when the session was opened, and is no fault.
fn itself(server: &Server, takes_delayed: bool) -> Vec<Finding> {
    let faults = server.faults(takes_delayed, false);
    let sound = |id| !faults.iter().any(|(fault, _)| *fault == id);
    let mut found = Vec::new();
    if sound("destination.version") {
        let version = &server.version;
        found.push(match server.product {
            Product::Compatible => Finding::warning(
                "destination.version",
                format!("it is no SQL Server, and nobody has tried whether a run works there: {version:?}"),
            ),
            _ => Finding::ok(
                "destination.version",
                format!("{version}; SQL Server 2016 and later and Azure SQL will do"),
            ),
        });
    }
    if let Some(database) = &server.database {
        let level = database.level;
        if !server.is_compatible() && sound("destination.compatibility_level") {
            let what = format!("{level}; 130 and later will do");
            found.push(Finding::ok("destination.compatibility_level", what));
        }
        found.extend(durability(database.durability, takes_delayed));
        let collation = &database.collation;
        found.push(Finding::ok(
            "destination.encoding",
            format!(
                "texts are UTF-16, which holds every character; the database has the collation {collation}, and texts of the keys that \
                 we make are compared by their units"
            ),
        ));
    } else {
        for id in ["destination.durability", "destination.encoding"] {
            found.push(Finding::unknown(
                id,
                "the server does not tell what its database is like",
            ));
        }
    }
    found.push(Finding::ok(
        "destination.time_zone",
        "a time with a zone is written in UTC, and every time keeps its moment",
    ));
    found
}

/// What is forced, and not accepted, is a fault.
fn durability(delayed: i32, takes_delayed: bool) -> Option<Finding> {
    const ID: &str = "destination.durability";
    let what = match (delayed, takes_delayed) {
        (0, _) => "DELAYED_DURABILITY is DISABLED: what is reported as committed is on the disk",
        (1, _) => {
            "DELAYED_DURABILITY is ALLOWED, and none of our transactions asks for it: what is reported as committed is on the disk"
        }
        (_, true) => {
            let what = "DELAYED_DURABILITY is FORCED, and delayed_durability=accept in --destination takes the risk: what the server \
                        reports as committed may be gone after it stops, and the source was told that it is safe";
            let mend = "ALTER DATABASE CURRENT SET DELAYED_DURABILITY = DISABLED";
            return Some(Finding::warning(ID, what).mend(Mend::destination(mend)));
        }
        _ => return None,
    };
    Some(Finding::ok(ID, what))
}

/// Who asks.
struct Who {
    user: String,
    login: String,
}

/// To make what is to be made, to write what is there and our own tables, and to see and end sessions.
async fn rights(
    db: &mut Session,
    made: &[Table],
    taken: &[Table],
    has_ledger: bool,
) -> Result<Vec<Finding>> {
    let rows = db.rows(catalog::WHO, Vec::new()).await?;
    let Some(row) = rows.first() else {
        let what = "the server does not tell who we are";
        return Ok(vec![Finding::unknown("destination.rights", what)]);
    };
    let named = |at| column::<Option<String>>(row, at).map(Option::unwrap_or_default);
    let who = Who {
        user: quoted(&named(0)?),
        login: quoted(&named(1)?),
    };
    let mut found = vec![isolation(column::<i32>(row, 2)? != 0)];
    let database = told(db, catalog::DATABASE_RIGHTS, [].into()).await?;
    let database = believed(db, database);
    let mut schemas: Vec<String> = made.iter().map(|it| parts(&it.destination).0).collect();
    if !has_ledger {
        schemas.push(SCHEMA.to_owned());
    }
    schemas.sort_unstable();
    schemas.dedup();
    let mut needed = Needed::default();
    if !schemas.is_empty() {
        needed.see("the database", "", &["CREATE TABLE"], &database, &who);
    }
    let mut new_ones = false;
    for schema in &schemas {
        let rows = db.rows(catalog::SCHEMA, vec![text(schema.clone())]).await?;
        let number = rows.first().map(|row| column::<Option<i32>>(row, 0));
        if number.transpose()?.flatten().is_none() {
            new_ones = true;
            continue;
        }
        let name = quoted(schema);
        let rights = of(db, &name, "SCHEMA").await?;
        let at = format!("SCHEMA::{name}");
        let all = ["SELECT", "INSERT", "UPDATE", "DELETE", "ALTER"];
        needed.see(&format!("schema {name}"), &at, &all, &rights, &who);
    }
    if new_ones {
        needed.see("the database", "", &["CREATE SCHEMA"], &database, &who);
    }
    let mut there: Vec<String> = taken.iter().map(|it| qualified(&it.destination)).collect();
    if has_ledger {
        let ours = ["_replicator_position", "_replicator_tables"];
        there.extend(ours.map(|name| format!("{}.{}", quoted(SCHEMA), quoted(name))));
    }
    for name in &there {
        let rights = of(db, name, "OBJECT").await?;
        let all = ["SELECT", "INSERT", "UPDATE", "DELETE"];
        needed.see(&format!("table {name}"), name, &all, &rights, &who);
    }
    found.extend(needed.found(&who));
    if db.server.is_compatible() {
        let what = "the server does not tell who may see and end sessions of ours; a run that takes over needs both";
        found.push(Finding::unknown("destination.sessions", what));
        return Ok(found);
    }
    let server = told(db, catalog::SERVER_RIGHTS, [].into()).await?;
    let is_azures = db
        .server
        .database
        .as_ref()
        .is_some_and(|it| it.edition == AZURE_DATABASE);
    found.push(if is_azures {
        sessions(
            ["VIEW DATABASE STATE", "KILL DATABASE CONNECTION"],
            &database,
            "",
            &who.user,
        )
    } else {
        sessions(
            ["VIEW SERVER STATE", "ALTER ANY CONNECTION"],
            &server,
            "USE [master]; ",
            &who.login,
        )
    });
    Ok(found)
}

/// The same promises hold either way.
fn isolation(reads_versions: bool) -> Finding {
    let (on, what) = if reads_versions {
        (
            "ON",
            "the position is read and moved under locks that hold all the same",
        )
    } else {
        (
            "OFF",
            "a reader of our tables waits for a batch that writes the same rows, and a batch for such a reader",
        )
    };
    Finding::ok(
        "destination.isolation",
        format!(
            "READ_COMMITTED_SNAPSHOT is {on}; our own sessions have READ COMMITTED, and {what}"
        ),
    )
}

/// A right, and whether there is it, if that is known.
type Told = Vec<(String, Option<bool>)>;

async fn of(db: &mut Session, name: &str, class: &str) -> Result<Told> {
    let values = vec![text(name.to_owned()), text(class.to_owned())];
    let rights = told(db, catalog::RIGHTS, values).await?;
    Ok(if class == "OBJECT" {
        rights
    } else {
        believed(db, rights)
    })
}

/// What is told of rights at anything but a table: a server that is none of Microsoft's has the same answer for everybody.
fn believed(db: &Session, rights: Told) -> Told {
    let is_compatible = db.server.is_compatible();
    let believe = |(right, has): (String, Option<bool>)| (right, has.filter(|_| !is_compatible));
    rights.into_iter().map(believe).collect()
}

async fn told(db: &mut Session, sql: &str, values: Vec<super::values::Sent<'_>>) -> Result<Told> {
    let rows = db.rows(sql, values).await?;
    let told = rows.iter().map(|row| {
        let has = column::<Option<i32>>(row, 1)?;
        Ok((column(row, 0)?, has.map(|has| has != 0)))
    });
    told.collect()
}

/// Those of these rights that come out so.
fn those<'a>(all: &[&'a str], told: &Told, has: Option<bool>) -> Vec<&'a str> {
    let is = |right: &&&str| {
        let of = told.iter().find(|(name, _)| name == **right);
        of.and_then(|(_, has)| *has) == has
    };
    all.iter().filter(is).copied().collect()
}

/// Without them a run works, and waits for longer.
fn sessions(needed: [&str; 2], told: &Told, before: &str, who: &str) -> Finding {
    const ID: &str = "destination.sessions";
    let [sees, ends] = needed;
    let lacks = |right| those(&[right], told, Some(true)).is_empty();
    let mut why = Vec::new();
    if lacks(sees) {
        why.push("one of ours that the server leaves without an answer is waited for as long as its connection stands");
    }
    if lacks(sees) || lacks(ends) {
        why.push(
            "who takes over waits for the session that holds the position until it ends by itself",
        );
    }
    if why.is_empty() {
        return Finding::ok(
            ID,
            "sessions of ours can be seen and ended by others of ours",
        );
    }
    let missing: Vec<&str> = needed.into_iter().filter(|right| lacks(*right)).collect();
    let missing = missing.join(", ");
    Finding::warning(ID, format!("{who} lacks {missing}: {}", why.join("; and "))).mend(
        Mend::destination(format!("{before}GRANT {missing} TO {who}")),
    )
}

/// What is missing of what is needed, and what is not told.
#[derive(Debug, Default)]
struct Needed {
    missing: Vec<Finding>,
    untold: Vec<String>,
}

impl Needed {
    const ID: &str = "destination.rights";

    /// Looks for these rights among those told of a place, which a grant names so.
    fn see(&mut self, place: &str, at: &str, all: &[&str], told: &Told, who: &Who) {
        let missing = those(all, told, Some(false));
        if !missing.is_empty() {
            let (missing, user) = (missing.join(", "), &who.user);
            let on = if at.is_empty() {
                String::new()
            } else {
                format!(" ON {at}")
            };
            let what = format!("user {user} lacks {missing} on {place}");
            self.missing.push(
                Finding::wrong(Self::ID, what)
                    .about(place)
                    .mend(Mend::destination(format!("GRANT {missing}{on} TO {user}"))),
            );
        }
        let untold = those(all, told, None);
        if !untold.is_empty() {
            self.untold
                .push(format!("{} on {place}", untold.join(", ")));
        }
    }

    fn found(mut self, who: &Who) -> Vec<Finding> {
        let user = &who.user;
        if !self.untold.is_empty() {
            let untold = self.untold.join("; ");
            let what = format!("the server does not tell whether user {user} has {untold}");
            self.missing.push(Finding::unknown(Self::ID, what));
        }
        if self.missing.is_empty() {
            let what = format!("user {user} may make what is to be made, and write what is there");
            self.missing.push(Finding::ok(Self::ID, what));
        }
        self.missing
    }
}
