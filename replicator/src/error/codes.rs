//! What is done about the error codes of destinations: one table for each product, from code to [`Course`].
//!
//! The codes of a source's server are `walstream`'s, whose table stands at [`walstream::ErrorKind`]. `docs/errors.md` shows
//! these tables to people; a test keeps them the same.

#[cfg(any(feature = "mysql", test))]
mod mysql;
#[cfg(any(feature = "postgres", test))]
mod postgres;
#[cfg(any(feature = "sqlite", test))]
mod sqlite;
#[cfg(any(feature = "sqlserver", test))]
mod sqlserver;

use super::{Error, ErrorKind};

/// What is done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "a build may leave out the products that know it")
)]
pub(crate) enum Course {
    /// Again: somebody else holds a lock.
    Lock,
    /// Again: there is no room.
    Room,
    /// Again, by itself: it may pass.
    Again,
    /// Again: a server that only reads now may be one that takes changes again.
    Primary,
    /// Who we are, or which database.
    Login,
    /// Which database.
    Database,
    /// A wall in between.
    Firewall,
    /// What we may do.
    Rights,
    /// How the connection is encrypted.
    Encryption,
    /// A file, or its folder, that cannot be used.
    File,
    /// A file of something else.
    NoDatabase,
    /// A file that is damaged.
    Damaged,
    /// A table, column or function that is not there, or is another.
    Definition,
    /// A row that is refused for what it holds or meets.
    Row,
    /// The same: it is too large for a packet.
    Packet,
    /// The same: an infinite interval.
    Infinite,
    /// The same: it is larger than anything that is stored.
    TooBig,
    /// Whatever else, for a person.
    Person,
}

/// Whose codes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "a build may leave out products"))]
pub(crate) enum Product {
    Postgres,
    Mysql,
    SqlServer,
    Sqlite,
}

#[cfg(any(feature = "sqlite", test))]
pub(crate) use sqlite::says as sqlite_says;
#[cfg(any(feature = "sqlserver", test))]
pub(crate) use sqlserver::{UNMAPPED, says_farewell};

impl Course {
    /// What to do about an SQLSTATE of a PostgreSQL server.
    #[cfg(any(feature = "postgres", test))]
    pub(crate) fn of_postgres(sqlstate: &str) -> Self {
        postgres::course(sqlstate)
    }

    /// What to do about an error number of MySQL or MariaDB; the SQLSTATE counts where the number says nothing.
    #[cfg(any(feature = "mysql", test))]
    pub(crate) fn of_mysql(number: u16, sqlstate: &str) -> Self {
        mysql::course(number, sqlstate)
    }

    /// What to do about an error number of SQL Server, which came with a severity.
    #[cfg(any(feature = "sqlserver", test))]
    pub(crate) fn of_sqlserver(number: u32, severity: u8) -> Self {
        sqlserver::course(number, severity)
    }

    /// What to do about an error of Babelfish's that has no number of SQL Server's, by PostgreSQL's words for it.
    #[cfg(any(feature = "sqlserver", test))]
    pub(crate) fn of_babelfish(message: &str) -> Self {
        sqlserver::course_of_words(message)
    }

    /// What to do about a primary result code of SQLite.
    #[cfg(any(feature = "sqlite", test))]
    pub(crate) fn of_sqlite(code: Option<rusqlite::ErrorCode>) -> Self {
        sqlite::course(code)
    }

    /// Who can mend it.
    pub(crate) const fn kind(self) -> ErrorKind {
        match self {
            Self::Lock | Self::Room | Self::Again | Self::Primary => ErrorKind::Retry,
            Self::Login
            | Self::Database
            | Self::Firewall
            | Self::Rights
            | Self::Encryption
            | Self::File
            | Self::NoDatabase => ErrorKind::Usage,
            Self::Damaged
            | Self::Definition
            | Self::Row
            | Self::Packet
            | Self::Infinite
            | Self::TooBig
            | Self::Person => ErrorKind::Person,
        }
    }

    /// Whether it is about one row, so that the row may be left out and all else goes on.
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver", test))]
    pub(crate) const fn is_of_the_row(self) -> bool {
        matches!(
            self,
            Self::Row | Self::Packet | Self::Infinite | Self::TooBig
        )
    }

    /// What to do next; none where the error's own words are all that is known.
    pub(crate) const fn hint(self, product: Product) -> Option<&'static str> {
        Some(match (self, product) {
            (Self::Lock, Product::Sqlite) => "end its transaction and start again",
            (Self::Lock, _) => {
                "another session holds a lock; it is waited for as long as --takeover says"
            }
            (Self::Room, Product::SqlServer) => {
                "make room at the destination (files, or log backups) and start again; nothing is lost"
            }
            (Self::Room, Product::Sqlite) => "make room and start again; nothing is lost",
            (Self::Room, _) => "make room at the destination and start again; nothing is lost",
            (Self::Again, Product::Sqlite) => {
                "start again; if it comes again, look into the system's log"
            }
            (Self::Again, _) => {
                "nothing is lost: start again; if it comes again, look into the destination server's own log"
            }
            (Self::Primary, Product::Sqlite) | (Self::File, _) => {
                "check the permissions and the owner of the file and of its directory"
            }
            (Self::Primary, _) => "name a primary as --destination that takes changes",
            (Self::Login, Product::SqlServer) => "check user and password in --destination",
            (Self::Login, _) => "check user, password and database in --destination",
            (Self::Database, _) => {
                "check the database in --destination: it must be there, and the user must be one of its users (CREATE USER … FOR LOGIN … there)"
            }
            (Self::Firewall, _) => "let this machine's address through the server's firewall",
            (Self::Rights, Product::Postgres) => {
                "the role needs CREATE on the database for new schemas and on the schemas that tables are made in (public for our own two), or must own the tables that are there; replicator check says which right is missing"
            }
            (Self::Rights, Product::Mysql) => {
                "the user needs CREATE, DROP, SELECT, INSERT, UPDATE and DELETE on the database, and TRIGGER to see the triggers of tables that are there already; replicator check says which right is missing"
            }
            (Self::Rights, _) => {
                "the user needs SELECT, INSERT, UPDATE, DELETE and ALTER on the schemas of the tables, CREATE TABLE, and CREATE SCHEMA for schemas that are not there yet; replicator check says which right is missing"
            }
            (Self::Encryption, Product::Mysql) => {
                "check ssl-mode and the certificates in --destination"
            }
            (Self::Encryption, Product::SqlServer) => {
                "check sslmode and sslrootcert in --destination"
            }
            (Self::Encryption, _) => "check sslmode and the certificates in --destination",
            (Self::NoDatabase, _) => "name another file, or move this one away",
            (Self::Damaged, _) => {
                "restore it from a backup, or move it away and copy everything again"
            }
            (Self::Definition, _) => {
                "a table there is not as it was made or taken over; replicator check with the same options says which, and what mends it"
            }
            (Self::Packet, _) => {
                "raise max_allowed_packet at the destination server (SET GLOBAL, and in its configuration; 1 GiB at most), or leave the large column or the table out of the publication"
            }
            (Self::Infinite, _) => {
                "no server before 17 reads an infinite interval: with --on-misfit text such columns are made as text; to fill the destination anew: replicator drop with the same options and --destination, remove the tables there, then replicator run"
            }
            (Self::TooBig, _) => "leave the column or the table out of the publication",
            (Self::Row | Self::Person, _) => return None,
        })
    }

    /// An error in these words.
    pub(crate) fn error(self, product: Product, text: impl Into<String>) -> Error {
        let error = Error::new(self.kind(), text);
        let error = match self {
            Self::Lock => error.locked_out(),
            _ => error,
        };
        match self.hint(product) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests;
