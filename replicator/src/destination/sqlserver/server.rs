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
}

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    /// Installed by somebody, of this version.
    SqlServer(u32),
    /// Azure's, always of the newest; its version says nothing.
    Azure,
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
#[derive(Clone, Debug, Default)]
struct Database {
    version: String,
    edition: i32,
    level: i32,
    durability: i32,
    collation: String,
    updateability: String,
}

impl Server {
    /// Looks.
    ///
    /// # Errors
    ///
    /// A server or database that is too old, takes no changes, or would lose commits that it has reported.
    pub(super) async fn look(db: &mut Connection, address: &Address, again: bool) -> Result<Self> {
        let failed = |error| failure("could not ask the destination server what it is", error);
        let rows = query(db, VERSION, Vec::new()).await.map_err(failed)?;
        let version: String = match rows.first() {
            Some(row) => column(row, 0)?,
            None => String::new(),
        };
        let is_microsofts = version.starts_with("Microsoft SQL");
        let database = match query(db, DATABASE, Vec::new()).await {
            Ok(rows) => rows.first().map(Database::read).transpose()?,
            // What has no such catalog has nothing to tell of it either.
            Err(error) if !is_microsofts && !is_lost(&error) => None,
            Err(error) => return Err(failed(error)),
        };
        let version = version.lines().next().unwrap_or_default().trim();
        Self::judge(version, database, address.takes_delayed, again)
    }

    fn judge(
        version: &str,
        database: Option<Database>,
        takes_delayed: bool,
        again: bool,
    ) -> Result<Self> {
        let is_microsofts = version.starts_with("Microsoft SQL");
        let told = database.is_some();
        let database = database.unwrap_or_default();
        if is_microsofts && !told {
            return Err(Error::usage(
                "the destination server does not tell what its database is like",
            )
            .with_hint("the user must be one of the database's users"));
        }
        let product = product(version, &database)?;
        if is_microsofts && database.level < LEAST_LEVEL {
            return Err(Error::usage(format!(
                "the destination database has compatibility level {}; {LEAST_LEVEL} and later will do",
                database.level
            ))
            .with_hint(format!(
                "ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = {LEAST_LEVEL} there"
            )));
        }
        if database.updateability == "READ_ONLY" {
            let make = if again { Error::retry } else { Error::usage };
            return Err(
                make("the destination database takes no changes: it is read-only, or a secondary replica")
                    .with_hint("name the primary as --destination"),
            );
        }
        // 2 is FORCED; where it is only allowed, a transaction has to ask for it.
        if database.durability == 2 && !takes_delayed {
            return Err(Error::usage(
                "the destination database may lose transactions that it has committed: DELAYED_DURABILITY is FORCED",
            )
            .with_hint(
                "ALTER DATABASE CURRENT SET DELAYED_DURABILITY = DISABLED there, or take the risk with \
                 delayed_durability=accept in --destination",
            ));
        }
        let collation = database.collation.to_ascii_uppercase();
        let tells_apart = collation.contains("_CS") || collation.contains("_BIN");
        Ok(Self {
            product,
            folds: !tells_apart,
        })
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

fn product(version: &str, database: &Database) -> Result<Product> {
    if !version.starts_with("Microsoft SQL") {
        return Ok(Product::Compatible);
    }
    match database.edition {
        // A database, or an instance that is managed.
        5 | 8 => return Ok(Product::Azure),
        6 | 11 => {
            return Err(Error::usage(
                "the destination is an Azure Synapse pool, whose keys are not enforced",
            )
            .with_hint("use SQL Server 2016 or later, or an Azure SQL database"));
        }
        _ => {}
    }
    let number = database.version.split('.').next().unwrap_or_default();
    match number.parse::<u32>() {
        Ok(major) if major >= LEAST => Ok(Product::SqlServer(major)),
        _ => Err(Error::usage(format!(
            "the destination server has version {} ({version}); SQL Server 2016, which is 13, and later will do",
            database.version
        ))),
    }
}

/// What shapes values, what bounds waiting, and what makes mistakes errors; whatever login and database say.
pub(super) fn settings(lock_wait: Duration) -> String {
    let locks = lock_wait.as_millis().clamp(1, 1_000_000_000);
    // The language first: it brings an order of dates with it.
    format!(
        "SET LANGUAGE us_english; SET DATEFORMAT ymd; SET DATEFIRST 7; \
         SET ANSI_NULLS ON; SET ANSI_NULL_DFLT_ON ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; SET ARITHABORT ON; \
         SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET NUMERIC_ROUNDABORT OFF; \
         SET CURSOR_CLOSE_ON_COMMIT OFF; SET IMPLICIT_TRANSACTIONS OFF; SET XACT_ABORT ON; SET NOCOUNT OFF; \
         SET ROWCOUNT 0; SET TEXTSIZE 2147483647; SET DEADLOCK_PRIORITY NORMAL; SET LOCK_TIMEOUT {locks}; \
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

    #[test]
    fn a_server_is_known_by_what_it_tells() {
        let judge = |version: &str, database| Server::judge(version, database, false, false);
        let server = judge(NAMED, Some(usual())).unwrap();
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
        let server = judge("Microsoft SQL Azure (RTM) - 12.0.2000.8", Some(azure)).unwrap();
        assert_eq!((server.product, server.folds), (Product::Azure, false));

        // Others name the version of some client's taste, or nothing at all.
        let other = "Babelfish for PostgreSQL with SQL Server Compatibility - 12.0.2000.8";
        let old = Database {
            version: "12.0.2000.8".to_owned(),
            level: 120,
            ..usual()
        };
        for database in [Some(old), None] {
            let server = judge(other, database).unwrap();
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
            let error = Server::judge(NAMED, Some(database), false, false).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.exit_code(), 2, "{words}");
        }
        let error = Server::judge(NAMED, None, false, false).unwrap_err();
        assert_eq!(error.exit_code(), 2);

        // One that took changes may soon take them again; and a risk may be taken.
        let secondary = Database {
            updateability: "READ_ONLY".to_owned(),
            ..usual()
        };
        let error = Server::judge(NAMED, Some(secondary), false, true).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let delayed = Database {
            durability: 2,
            ..usual()
        };
        assert!(Server::judge(NAMED, Some(delayed), true, false).is_ok());
        let allowed = Database {
            durability: 1,
            ..usual()
        };
        assert!(Server::judge(NAMED, Some(allowed), false, false).is_ok());
    }
}
