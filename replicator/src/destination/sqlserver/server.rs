//! What the destination server is, and what our sessions tell it.

use std::time::Duration;

use tiberius::Row;

use super::failure::{failure, is_lost};
use super::session::{Connection, column, query};
use super::url::Address;
use crate::error::{Error, Result};

/// What was found out about a server when the session was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) product: Product,
    /// Whether upper and lower case are one in names; as nearly everywhere, where it is not told.
    pub(super) folds: bool,
    /// The first line of what it says that it is.
    pub(super) version: String,
    /// None where it has no such catalog, or does not tell.
    pub(super) database: Option<Database>,
}

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    /// Installed by somebody, of this version.
    SqlServer(u32),
    /// Azure's, always of the newest; its version says nothing.
    Azure,
    /// Azure's too, for analyses.
    Synapse,
    /// One that speaks the language and the protocol.
    Compatible,
}

/// SQL Server 2016.
const LEAST: u32 = 13;

/// The level of the language that came with it.
const LEAST_LEVEL: i32 = 130;

/// What every one of them tells.
const VERSION: &str = "SELECT CAST(@@VERSION AS nvarchar(4000))";

/// What a database must be like.
const DATABASE: &str = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), CAST(SERVERPROPERTY('EngineEdition') AS int), \
    CAST(d.[compatibility_level] AS int), CAST(d.[delayed_durability] AS int), CAST(d.[collation_name] AS nvarchar(128)), \
    CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)) \
    FROM [sys].[databases] AS d WHERE d.[database_id] = DB_ID()";

/// What [`DATABASE`] gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Database {
    pub(super) version: String,
    pub(super) edition: i32,
    pub(super) level: i32,
    /// `DELAYED_DURABILITY`: 0 where it is disabled, 1 where a transaction may ask for it, 2 where none is asked.
    pub(super) durability: i32,
    pub(super) collation: String,
    updateability: String,
}

impl Server {
    /// Looks.
    ///
    /// # Errors
    ///
    /// A server or database that is too old, takes no changes, or would lose commits that it has reported.
    pub(super) async fn look(db: &mut Connection, address: &Address, again: bool) -> Result<Self> {
        let server = Self::ask(db).await?;
        match server.faults(address.takes_delayed, again).pop() {
            Some((_, error)) => Err(error),
            None => Ok(server),
        }
    }

    /// Looks, whatever there is.
    pub(super) async fn ask(db: &mut Connection) -> Result<Self> {
        let failed = |error| failure("could not ask the destination server what it is", error);
        let rows = query(db, VERSION, Vec::new()).await.map_err(failed)?;
        let version: String = match rows.first() {
            Some(row) => column(row, 0)?,
            None => String::new(),
        };
        let database = match query(db, DATABASE, Vec::new()).await {
            Ok(rows) => rows.first().map(Database::read).transpose()?,
            // What has no such catalog has nothing to tell of it either.
            Err(error) if !is_microsofts(&version) && !is_lost(&error) => None,
            Err(error) => return Err(failed(error)),
        };
        let version = version.lines().next().unwrap_or_default().trim();
        Ok(Self::read(version, database))
    }

    fn read(version: &str, database: Option<Database>) -> Self {
        let collation = database
            .as_ref()
            .map(|it| it.collation.to_ascii_uppercase());
        let tells_apart = |it: String| it.contains("_CS") || it.contains("_BIN");
        Self {
            product: product(version, database.as_ref()),
            folds: !collation.is_some_and(tells_apart),
            version: version.to_owned(),
            database,
        }
    }

    /// Whether it is none of Microsoft's: what it does otherwise stands in [`compatible`](super::compatible).
    pub(super) const fn is_compatible(&self) -> bool {
        matches!(self.product, Product::Compatible)
    }

    /// What keeps it from being a destination, each with the question that it answers; the last is the one to mend first.
    pub(super) fn faults(&self, takes_delayed: bool, again: bool) -> Vec<(&'static str, Error)> {
        let is_microsofts = !self.is_compatible();
        let Some(database) = &self.database else {
            let untold =
                Error::usage("the destination server does not tell what its database is like")
                    .with_hint("the user must be one of the database's users");
            return is_microsofts
                .then_some(("destination.version", untold))
                .into_iter()
                .collect();
        };
        let mut faults = Vec::new();
        // 2 is FORCED; where it is only allowed, a transaction has to ask for it.
        if database.durability == 2 && !takes_delayed {
            let error = Error::usage(
                "the destination database may lose transactions that it has committed: DELAYED_DURABILITY is FORCED",
            )
            .with_hint(
                "ALTER DATABASE CURRENT SET DELAYED_DURABILITY = DISABLED there, or take the risk with \
                 delayed_durability=accept in --destination",
            );
            faults.push(("destination.durability", error));
        }
        if database.updateability == "READ_ONLY" {
            let make = if again { Error::retry } else { Error::usage };
            let error =
                make("the destination database takes no changes: it is read-only, or a secondary replica")
                    .with_hint("name the primary as --destination");
            faults.push(("destination.writable", error));
        }
        if is_microsofts && database.level < LEAST_LEVEL {
            let error = Error::usage(format!(
                "the destination database has compatibility level {}; {LEAST_LEVEL} and later will do",
                database.level
            ))
            .with_hint(format!(
                "ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = {LEAST_LEVEL} there"
            ));
            faults.push(("destination.compatibility_level", error));
        }
        let error = match self.product {
            Product::Synapse => {
                Error::usage("the destination is an Azure Synapse pool, whose keys are not enforced")
                    .with_hint("use SQL Server 2016 or later, or an Azure SQL database")
            }
            Product::SqlServer(major) if major < LEAST => Error::usage(format!(
                "the destination server has version {} ({}); SQL Server 2016, which is 13, and later will do",
                database.version, self.version
            ))
            .with_hint("name a newer server as --destination"),
            _ => return faults,
        };
        faults.push(("destination.version", error));
        faults
    }
}

impl Database {
    fn read(row: &Row) -> Result<Self> {
        let text = |at| column::<Option<String>>(row, at).map(Option::unwrap_or_default);
        let number = |at| column::<Option<i32>>(row, at).map(Option::unwrap_or_default);
        Ok(Self {
            version: text(0)?,
            edition: number(1)?,
            level: number(2)?,
            durability: number(3)?,
            collation: text(4)?,
            updateability: text(5)?,
        })
    }
}

fn is_microsofts(version: &str) -> bool {
    version.starts_with("Microsoft SQL")
}

fn product(version: &str, database: Option<&Database>) -> Product {
    if !is_microsofts(version) {
        return Product::Compatible;
    }
    match database.map_or(0, |it| it.edition) {
        // A database, or an instance that is managed.
        5 | 8 => Product::Azure,
        6 | 11 => Product::Synapse,
        _ => {
            let version = database.map_or("", |it| &it.version);
            let number = version.split('.').next().unwrap_or_default();
            Product::SqlServer(number.parse().unwrap_or(0))
        }
    }
}

/// What shapes values, what bounds waiting, and what makes mistakes errors; whatever login and database say.
///
/// Of a server that is none of Microsoft's nothing is asked that is as we need it there anyway.
pub(super) fn settings(server: &Server, lock_wait: Duration) -> String {
    let locks = lock_wait.as_millis().clamp(1, 1_000_000_000);
    let more = if server.is_compatible() {
        ""
    } else {
        "SET NUMERIC_ROUNDABORT OFF; SET CURSOR_CLOSE_ON_COMMIT OFF; SET DEADLOCK_PRIORITY NORMAL; "
    };
    // The language first: it brings an order of dates with it.
    format!(
        "SET LANGUAGE us_english; SET DATEFORMAT ymd; SET DATEFIRST 7; \
         SET ANSI_NULLS ON; SET ANSI_NULL_DFLT_ON ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; SET ARITHABORT ON; \
         SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET IMPLICIT_TRANSACTIONS OFF; SET XACT_ABORT ON; \
         SET NOCOUNT OFF; SET ROWCOUNT 0; SET TEXTSIZE 2147483647; {more}SET LOCK_TIMEOUT {locks}; \
         SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64)";

    fn usual() -> Database {
        Database {
            version: "16.0.1000.6".to_owned(),
            edition: 3,
            level: 160,
            durability: 0,
            collation: "SQL_Latin1_General_CP1_CI_AS".to_owned(),
            updateability: "READ_WRITE".to_owned(),
        }
    }

    fn judge(
        version: &str,
        database: Option<Database>,
        takes_delayed: bool,
        again: bool,
    ) -> Result<Server> {
        let server = Server::read(version, database);
        match server.faults(takes_delayed, again).pop() {
            Some((_, error)) => Err(error),
            None => Ok(server),
        }
    }

    #[test]
    fn a_server_is_known_by_what_it_tells() {
        let server = judge(NAMED, Some(usual()), false, false).unwrap();
        assert_eq!(
            (server.product, server.folds),
            (Product::SqlServer(16), true)
        );

        // Azure has always been 12.
        let azure = Database {
            version: "12.0.2000.8".to_owned(),
            edition: 5,
            collation: "Latin1_General_100_BIN2".to_owned(),
            ..usual()
        };
        let version = "Microsoft SQL Azure (RTM) - 12.0.2000.8";
        let server = judge(version, Some(azure), false, false).unwrap();
        assert_eq!((server.product, server.folds), (Product::Azure, false));

        // Others name the version of some client's taste, or nothing at all.
        let other = "Babelfish for PostgreSQL with SQL Server Compatibility - 12.0.2000.8";
        let old = Database {
            version: "12.0.2000.8".to_owned(),
            level: 120,
            ..usual()
        };
        for database in [Some(old), None] {
            let server = judge(other, database, false, false).unwrap();
            assert_eq!((server.product, server.folds), (Product::Compatible, true));
        }
    }

    #[test]
    fn a_server_that_cannot_keep_promises_is_refused_in_one_sentence() {
        type Change = fn(&mut Database);
        let cases: [(Change, &str); 5] = [
            (
                |it| it.version = "12.0.6024.0".to_owned(),
                "has version 12.0.6024.0",
            ),
            (|it| it.edition = 6, "Synapse"),
            (|it| it.level = 120, "compatibility level 120"),
            (|it| it.durability = 2, "DELAYED_DURABILITY is FORCED"),
            (
                |it| it.updateability = "READ_ONLY".to_owned(),
                "takes no changes",
            ),
        ];
        for (change, words) in cases {
            let mut database = usual();
            change(&mut database);
            let error = judge(NAMED, Some(database), false, false).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.exit_code(), 2, "{words}");
        }
        let error = judge(NAMED, None, false, false).unwrap_err();
        assert_eq!(error.exit_code(), 2);

        // One that took changes may soon take them again; and a risk may be taken.
        let secondary = Database {
            updateability: "READ_ONLY".to_owned(),
            ..usual()
        };
        let error = judge(NAMED, Some(secondary), false, true).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let delayed = Database {
            durability: 2,
            ..usual()
        };
        assert!(judge(NAMED, Some(delayed), true, false).is_ok());
        let allowed = Database {
            durability: 1,
            ..usual()
        };
        assert!(judge(NAMED, Some(allowed), false, false).is_ok());
    }
}
