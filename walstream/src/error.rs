//! What went wrong between us and the server, what kind of thing that is, and what helps.

use std::borrow::Cow;
use std::{fmt, io};

use walproto::Lsn;

use crate::server_error::ServerError;

/// Result of talking to a server.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong.
///
/// Ask [`kind`](Self::kind), [`is_transient`](Self::is_transient) and [`needs_person`](Self::needs_person); print it
/// together with its [`source`](std::error::Error::source), which holds the server's or the system's own words.
/// The kind follows from SQLSTATE, command and catalog, never from the text of a message.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    what: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    server: Option<ServerError>,
    source: Option<Source>,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A connection string, an option or a name that cannot be used.
    Config,
    /// No connection could be made.
    Connect,
    /// The server refused who we are, or asks for a proof that is not given.
    Authentication,
    /// The connection cannot be encrypted as asked for, or the server's certificate is not one that we may believe.
    Tls,
    /// The database does not exist.
    DatabaseMissing,
    /// The connection ended, or fell silent, without an error from the server.
    ConnectionClosed,
    /// The server is starting, stopping or recovering, or somebody ended the session.
    ServerShutdown,
    /// The server has no connection, or no WAL sender, to spare.
    TooManyConnections,
    /// The server has no replication slot to spare.
    TooManySlots,
    /// The role may not do this.
    Rights,
    /// The server's `wal_level` is not `logical`.
    WalLevel,
    /// There is no slot of this name.
    SlotMissing,
    /// There is a slot of this name already.
    SlotExists,
    /// Another session uses the slot.
    SlotInUse {
        /// The server process that holds it, if it still did when we looked.
        pid: Option<i32>,
    },
    /// The server has given up the slot: WAL or rows that it needs are gone.
    SlotLost,
    /// The slot belongs to another database.
    SlotWrongDatabase,
    /// The slot is physical, or its plugin is not `pgoutput`.
    SlotWrongPlugin,
    /// A publication does not exist, or did not when the change was made.
    PublicationMissing,
    /// This server version does not have what was asked for.
    Unsupported,
    /// The server sent what the protocol does not allow.
    Protocol,
    /// A limit of the configuration was reached.
    Limit,
    /// The spool could not be written or read.
    Spool,
    /// The server sent a prepared transaction.
    TwoPhase,
    /// The server refused a statement for another reason; see [`Error::sqlstate`].
    Server,
}

/// What we were doing when the server answered with an error: the same SQLSTATE means different things.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing<'a> {
    Connecting,
    Querying,
    CreatingSlot(&'a str),
    DroppingSlot(&'a str),
    Starting(&'a str),
    Streaming,
}

impl Error {
    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same thing may succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect
            | ErrorKind::ConnectionClosed
            | ErrorKind::ServerShutdown
            | ErrorKind::TooManyConnections
            | ErrorKind::SlotInUse { .. } => true,
            ErrorKind::Server => self.sqlstate().is_some_and(is_transient),
            // A full disk may have room later.
            ErrorKind::Spool => true,
            _ => false,
        }
    }

    /// Whether somebody has to change something before it can succeed.
    pub fn needs_person(&self) -> bool {
        !self.is_transient()
    }

    /// The server's SQLSTATE, if the server reported the error.
    pub fn sqlstate(&self) -> Option<&str> {
        self.report().map(|server| server.code.as_str())
    }

    /// What the server reported, if it did.
    pub fn report(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }

    /// What to do about it: a sentence, ours or else the server's.
    pub fn hint(&self) -> Option<&str> {
        match &self.0.hint {
            Some(hint) => Some(hint),
            None => self.report()?.hint.as_deref(),
        }
    }

    pub(crate) fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            hint: None,
            server: None,
            source: None,
        }))
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says something else, and keeps its kind, hint and sources.
    pub(crate) fn with_text(mut self, what: String) -> Self {
        self.0.what = what.into();
        self
    }

    fn with_server(mut self, server: ServerError) -> Self {
        self.0.server = Some(server);
        self
    }

    pub(crate) fn config(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, what)
    }

    pub(crate) fn protocol(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Protocol, what)
    }

    pub(crate) fn unsupported(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported, what)
    }

    pub(crate) fn closed() -> Self {
        Self::new(
            ErrorKind::ConnectionClosed,
            "the server closed the connection",
        )
    }

    pub(crate) fn lost(error: io::Error) -> Self {
        Self::new(
            ErrorKind::ConnectionClosed,
            "the connection to the server broke",
        )
        .with_source(error)
    }

    pub(crate) fn timed_out(what: &'static str) -> Self {
        Self::new(ErrorKind::ConnectionClosed, what)
    }

    /// The body of an ErrorResponse, while streaming.
    pub(crate) fn server(body: &[u8]) -> Self {
        Self::reported(ServerError::read(body), Doing::Streaming)
    }

    /// A message of the stream that `walproto` cannot read.
    pub(crate) fn decode(error: walproto::Error, lsn: Lsn) -> Self {
        Self::protocol(format!(
            "the server sent a message that cannot be read, at {lsn}"
        ))
        .with_source(error)
    }

    /// Messages that are readable and contradict each other.
    pub(crate) fn contradiction(what: &str, lsn: Lsn) -> Self {
        Self::protocol(format!("{what}, at {lsn}"))
    }

    pub(crate) fn spool(error: io::Error) -> Self {
        Self::new(ErrorKind::Spool, "the spool cannot be written or read").with_source(error)
    }

    pub(crate) fn spool_full(limit: u64) -> Self {
        Self::new(
            ErrorKind::Limit,
            format!("transactions that have not ended fill the spool of {limit} bytes"),
        )
        .with_hint(
            "Raise the limit of the spool: a streamed transaction must fit until its commit comes.",
        )
    }

    pub(crate) fn two_phase(what: String) -> Self {
        Self::new(ErrorKind::TwoPhase, what)
            .with_hint("Use a slot that was created, and has always been used, without two_phase.")
    }

    pub(crate) fn slot_name(name: &str) -> Self {
        Self::config(format!(
            "\"{}\" cannot be the name of a replication slot",
            name.escape_debug()
        ))
        .with_hint("Slot names have 1 to 63 characters out of a-z, 0-9 and _.")
    }

    pub(crate) fn slot_missing(name: &str) -> Self {
        Self::new(ErrorKind::SlotMissing, format!("there is no replication slot named \"{name}\""))
            .with_hint("Create the slot and copy the tables again: changes since the old slot was dropped are not available.")
    }

    pub(crate) fn slot_in_use(name: &str, pid: Option<i32>) -> Self {
        let holder = pid.map_or_else(
            || "another session".to_owned(),
            |pid| format!("server process {pid}"),
        );
        Self::new(ErrorKind::SlotInUse { pid }, format!("replication slot \"{name}\" is in use by {holder}")).with_hint(
            match pid {
                Some(pid) => Cow::Owned(format!(
                    "Stop the other consumer, or end its session with SELECT pg_terminate_backend({pid})."
                )),
                None => Cow::Borrowed("Stop the other consumer; a session that was cut off ends within wal_sender_timeout."),
            },
        )
    }

    pub(crate) fn slot_lost(name: &str, reason: &str) -> Self {
        Self::new(ErrorKind::SlotLost, format!("replication slot \"{name}\" is lost: {reason}"))
            .with_hint("Drop the slot, create it again and copy the tables again: the changes in between are gone.")
    }

    pub(crate) fn publications_missing(names: &[String]) -> Self {
        let list: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let what = match &*list {
            [one] => format!("there is no publication named {one}"),
            _ => format!("there are no publications named {}", list.join(", ")),
        };
        Self::new(ErrorKind::PublicationMissing, what)
            .with_hint("Create the publication first, and the slot after it: a slot does not see publications younger than itself.")
    }

    pub(crate) fn wal_level() -> Self {
        Self::new(
            ErrorKind::WalLevel,
            "the server does not write enough WAL for logical replication",
        )
        .with_hint("Set wal_level = logical on the server and restart it.")
    }

    /// Classifies what the server reported.
    pub(crate) fn reported(server: ServerError, doing: Doing<'_>) -> Self {
        Self::classify(&server.code, doing).with_server(server)
    }

    fn classify(code: &str, doing: Doing<'_>) -> Self {
        use Doing::{Connecting, CreatingSlot, DroppingSlot, Querying, Starting, Streaming};
        match (code, doing) {
            ("28P01" | "28000", _) => Self::new(ErrorKind::Authentication, "the server refused the login")
                .with_hint("Check user, password, database and the server's pg_hba.conf."),
            ("3D000", Connecting) => Self::new(ErrorKind::DatabaseMissing, "the database does not exist"),
            ("57P04", _) => Self::new(ErrorKind::DatabaseMissing, "the database was dropped"),
            ("53300", _) => Self::new(ErrorKind::TooManyConnections, "the server has no connection to spare")
                .with_hint("Raise max_connections or, for replication, max_wal_senders."),
            ("53400", CreatingSlot(_)) => Self::new(ErrorKind::TooManySlots, "the server has no replication slot to spare")
                .with_hint("Drop slots that nobody uses, or raise max_replication_slots and restart the server."),
            ("57P01" | "57P02" | "57P03", _) => {
                Self::new(ErrorKind::ServerShutdown, "the server ended the session or takes none now")
            }
            ("57P05" | "08000" | "08003" | "08006", _) => {
                Self::new(ErrorKind::ConnectionClosed, "the server ended the connection")
            }
            // A startup parameter of the user's `options`.
            ("42704" | "22023" | "55P02" | "42601", Connecting) => {
                Self::config("the server refused a setting of the connection string")
            }
            ("42501", Connecting) => Self::new(ErrorKind::Rights, "the role may not connect like this")
                .with_hint("Replication needs the role attribute REPLICATION: ALTER ROLE … REPLICATION."),
            ("42501", CreatingSlot(_) | DroppingSlot(_) | Starting(_)) => {
                Self::new(ErrorKind::Rights, "the role may not use replication slots")
                    .with_hint("Grant it with ALTER ROLE … REPLICATION.")
            }
            ("42501", _) => Self::new(ErrorKind::Rights, "the role may not do this"),
            ("42710", CreatingSlot(name)) => {
                Self::new(ErrorKind::SlotExists, format!("there is a replication slot named \"{name}\" already"))
            }
            ("42602", CreatingSlot(name)) => Self::slot_name(name),
            ("42704", DroppingSlot(name) | Starting(name)) => Self::slot_missing(name),
            ("55006", DroppingSlot(name) | Starting(name)) => Self::slot_in_use(name, None),
            ("42704", Streaming) => Self::new(ErrorKind::PublicationMissing, "a publication did not exist when a change was made")
                .with_hint("Create the publication, then drop the slot and create it again: a slot does not see publications younger than itself."),
            (_, Connecting) => Self::new(ErrorKind::Server, "the server refused the connection"),
            (_, Querying) => Self::new(ErrorKind::Server, "the server refused a statement"),
            (_, CreatingSlot(name)) => {
                Self::new(ErrorKind::Server, format!("the server did not create replication slot \"{name}\""))
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

    /// Puts what the catalog showed in the place of what SQLSTATE alone could say; the report stays.
    pub(crate) fn explained_by(mut self, other: Self) -> Self {
        let Inner {
            kind, what, hint, ..
        } = *other.0;
        (self.0.kind, self.0.what, self.0.hint) = (kind, what, hint);
        self
    }
}

/// Errors of the class "not now": connection trouble, conflicts between transactions, exhausted resources, operator
/// intervention, system errors, and a lock that was not to be had.
fn is_transient(sqlstate: &str) -> bool {
    matches!(sqlstate.get(..2), Some("08" | "40" | "53" | "57" | "58"))
        && !matches!(sqlstate, "08P01" | "58P01")
        || matches!(sqlstate, "55P03" | "55006")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            what,
            hint,
            server,
            source,
        } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", kind).field("what", what);
        if let Some(server) = server {
            debug.field("server", server);
        }
        if let Some(source) = source {
            debug.field("source", source);
        }
        debug.field("hint", hint).finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (&self.0.server, &self.0.source) {
            (Some(server), _) => Some(server),
            (None, Some(source)) => Some(&**source),
            (None, None) => None,
        }
    }
}
