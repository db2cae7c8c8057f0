//! From an SQLSTATE, and what was asked of the server, to the kind of an error.
//!
//! The whole table stands at [`ErrorKind`]; what only the catalog can tell is added where it is asked.

use super::{Error, ErrorKind};
use crate::server_error::ServerError;

/// What we were doing when the server answered with an error: the same SQLSTATE means different things.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing<'a> {
    Connecting,
    Querying,
    CreatingSlot(&'a str),
    AlteringSlot(&'a str),
    DroppingSlot(&'a str),
    Starting(&'a str),
    Streaming,
}

impl Error {
    /// Classifies what the server reported.
    pub(crate) fn reported(server: ServerError, doing: Doing<'_>) -> Self {
        Self::classify(&server.code, doing).with_server(server)
    }

    fn classify(code: &str, doing: Doing<'_>) -> Self {
        use Doing::{
            AlteringSlot, Connecting, CreatingSlot, DroppingSlot, Querying, Starting, Streaming,
        };
        match (code, doing) {
            ("28P01", _) => Self::new(ErrorKind::Authentication, "the server refused the login")
                .with_hint("Check user and password; ALTER ROLE … PASSWORD sets another."),
            ("28000", _) => Self::new(ErrorKind::Authentication, "the server does not admit this user from here")
                .with_hint(
                    "See that the role exists with LOGIN, and that pg_hba.conf has a line for user, database (replication \
                     connections too) and address; a line hostssl wants sslmode=require.",
                ),
            ("3D000", Connecting) => Self::new(ErrorKind::DatabaseMissing, "the database does not exist"),
            ("57P04", _) => Self::new(ErrorKind::DatabaseMissing, "the database was dropped"),
            ("53300", _) => Self::new(ErrorKind::TooManyConnections, "the server has no connection to spare").with_hint(
                "End sessions that nobody needs, or raise max_connections, or the CONNECTION LIMIT of role or database; \
                 superuser_reserved_connections and reserved_connections are kept for others.",
            ),
            ("53400", CreatingSlot(_)) => Self::too_many_slots(),
            ("57P01" | "57P02" | "57P03", _) => {
                Self::new(ErrorKind::ServerShutdown, "the server ended the session or takes none now")
            }
            ("57P05" | "08000" | "08003" | "08006", _) => {
                Self::new(ErrorKind::ConnectionClosed, "the server ended the connection")
            }
            // A startup parameter of the user's `options`.
            ("42704" | "22023" | "55P02" | "42601", Connecting) => {
                Self::config("the server refused a setting of the connection string")
                    .with_hint("Correct the settings in options; the server's own words name the one.")
            }
            ("55000", Connecting) => Self::new(ErrorKind::Server, "the database takes no connections")
                .with_hint("Choose another database, or ALTER DATABASE … ALLOW_CONNECTIONS true."),
            ("42501", Connecting) => Self::new(ErrorKind::Rights, "the role may not connect to this database")
                .with_hint("Allow it with GRANT CONNECT ON DATABASE … TO …."),
            ("42501", CreatingSlot(_) | AlteringSlot(_) | DroppingSlot(_) | Starting(_)) => {
                Self::new(ErrorKind::Rights, "the role may not use replication slots")
                    .with_hint("Grant it with ALTER ROLE … REPLICATION.")
            }
            ("42501", _) => Self::new(ErrorKind::Rights, "the role may not do this").with_hint(
                "Grant the role what the server's own words name: to read a table GRANT SELECT on it and USAGE on its \
                 schema, and BYPASSRLS or no row security.",
            ),
            ("0A000", CreatingSlot(_) | AlteringSlot(_) | Starting(_)) => {
                Self::new(ErrorKind::Unsupported, "the server cannot do this with a replication slot")
                    .with_hint("Logical decoding on a standby needs PostgreSQL 16, and changes of a slot its primary: connect there.")
            }
            ("42710", CreatingSlot(name)) => {
                Self::new(ErrorKind::SlotExists, format!("there is a replication slot named \"{name}\" already"))
            }
            ("42602", CreatingSlot(name)) => Self::slot_name(name),
            ("42704", AlteringSlot(name) | DroppingSlot(name) | Starting(name)) => Self::slot_missing(name),
            ("55006", AlteringSlot(name) | DroppingSlot(name) | Starting(name)) => Self::slot_in_use(name, None),
            ("42704", Streaming) => Self::new(ErrorKind::PublicationMissing, "a publication did not exist when a change was made")
                .with_hint("Create the publication, then drop the slot and create it again: a slot does not see publications younger than itself."),
            // PostgreSQL understands what a session of ours begins with.
            ("08P01", Connecting) => {
                Self::new(ErrorKind::Unsupported, "what answers is not PostgreSQL itself but something in between, which does not take what a session begins with")
                    .with_hint("Connect to the server itself and not to a pooler.")
            }
            (_, Connecting) => Self::new(ErrorKind::Server, "the server refused the connection"),
            (_, Querying) => Self::new(ErrorKind::Server, "the server refused a statement"),
            (_, CreatingSlot(name)) => {
                Self::new(ErrorKind::Server, format!("the server did not create replication slot \"{name}\""))
            }
            (_, AlteringSlot(name)) => {
                Self::new(ErrorKind::Server, format!("the server did not alter replication slot \"{name}\""))
            }
            (_, DroppingSlot(name)) => {
                Self::new(ErrorKind::Server, format!("the server did not drop replication slot \"{name}\""))
            }
            (_, Starting(name)) => {
                Self::new(ErrorKind::Server, format!("the server does not stream from replication slot \"{name}\""))
            }
            (_, Streaming) => Self::new(ErrorKind::Server, "the server ended the stream with an error"),
        }
    }

    /// The same refusal has other reasons where a WAL sender was asked for.
    pub(crate) fn of_replication(self) -> Self {
        match (self.kind(), self.sqlstate()) {
            (ErrorKind::TooManyConnections, Some(_)) => self.with_hint(
                "Raise max_wal_senders and restart the server, or end WAL senders that nobody needs: pg_stat_replication \
                 lists them; a role's CONNECTION LIMIT counts too.",
            ),
            (ErrorKind::Rights, Some(_)) => {
                let what = format!("{} for replication", self.what());
                self.with_text(what).with_hint(
                    "Replication needs the role attribute REPLICATION: ALTER ROLE … REPLICATION; and GRANT CONNECT ON DATABASE.",
                )
            }
            _ => self,
        }
    }
}
