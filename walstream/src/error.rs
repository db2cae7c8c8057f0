//! What went wrong between us and the server, what kind of thing that is, and what helps.

mod classify;
mod kind;

use std::borrow::Cow;
use std::{fmt, io};

use walproto::{Lsn, Xid};

use crate::holder::Holder;
use crate::server_error::ServerError;
use crate::slot::Slot;
use crate::spool::Fault;

pub(crate) use classify::Doing;
pub use kind::ErrorKind;

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
    offset: Option<u64>,
}

impl Error {
    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same thing may succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        self.0.kind.passes(self.sqlstate())
    }

    /// Whether a connection ended, or could not be made, in a way that another connection may mend.
    pub fn is_disconnect(&self) -> bool {
        !matches!(self.0.kind, ErrorKind::Spool) && self.is_transient()
    }

    /// It and what caused it, in one line.
    pub(crate) fn with_sources(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
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

    /// What to do about it: a sentence. There is one for every error; the server's own is in the [`report`](Self::report).
    pub fn hint(&self) -> Option<&str> {
        if let Some(hint) = &self.0.hint {
            return Some(hint);
        }
        // Where the kind says nothing, the server knows best.
        let theirs = match self.0.kind {
            ErrorKind::Server => self.report().and_then(|report| report.hint.as_deref()),
            _ => None,
        };
        theirs.or_else(|| Some(self.0.kind.remedy(self.sqlstate())))
    }

    /// Where the message lies that could not be taken: so many bytes of the server's came before it on this connection.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    pub(crate) fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            hint: None,
            server: None,
            source: None,
            offset: None,
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

    /// Says where the message lies that the error is about, if it is about one.
    pub(crate) fn at_byte(mut self, offset: u64) -> Self {
        if matches!(self.0.kind, ErrorKind::Protocol | ErrorKind::Limit) {
            self.0.offset.get_or_insert(offset);
        }
        self
    }

    /// What it says, without what is printed behind it.
    pub(crate) fn what(&self) -> &str {
        &self.0.what
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

    /// A message that is sound and does not belong where it came: "while streaming".
    pub(crate) fn out_of_place(tag: u8, place: &str, offset: u64) -> Self {
        Self::protocol(format!(
            "the server sent a message '{}' {place}",
            tag.escape_ascii()
        ))
        .at_byte(offset)
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

    /// As it does when it shuts down.
    pub(crate) fn ended() -> Self {
        Self::new(ErrorKind::ServerShutdown, "the server ended the stream")
    }

    /// Another cluster answers where the stream began.
    pub(crate) fn other_system(was: &str, is: &str) -> Self {
        Self::new(
            ErrorKind::OtherSystem,
            format!("the server is now system {is}, and the stream began on system {was}"),
        )
    }

    /// Two connections that had to be to one server were to two.
    pub(crate) fn elsewhere(slot: &str) -> Self {
        Self::new(
            ErrorKind::Connect,
            format!("the slot \"{slot}\" that was started is not the one that a second connection finds"),
        )
        .with_hint("The host's name leads to several servers, or somebody ended the stream just now. Name each server by itself, with target_session_attrs=primary.")
    }

    /// The server's history does not hold what was handed out.
    pub(crate) fn diverged(what: String) -> Self {
        Self::new(ErrorKind::Diverged, what)
    }

    /// A standby was promoted, and the policy is to stop then.
    pub(crate) fn promoted(was: u32, is: u32) -> Self {
        Self::new(
            ErrorKind::Promoted,
            format!("the server is on timeline {is}, and the stream began on timeline {was}"),
        )
    }

    /// What lies between where the consumer is and where the slot is will never be sent.
    pub(crate) fn slot_ahead(slot: &str, confirmed: Lsn, reached: Lsn) -> Self {
        Self::new(
            ErrorKind::SlotAhead,
            format!(
                "replication slot \"{slot}\" is confirmed up to {confirmed}, and the stream was handed out up to {reached}: what lies between is lost to it"
            ),
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

    pub(crate) fn spool(fault: Fault) -> Self {
        let kind = if fault.is_folder() {
            ErrorKind::Config
        } else {
            ErrorKind::Spool
        };
        Self::new(kind, fault.to_string())
            .with_hint(fault.hint())
            .with_source(fault.into_cause())
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

    pub(crate) fn other_event() -> Self {
        Self::config("an event waits that is no transaction, and only transactions were asked for")
            .with_hint(
                "Take events with `next_event`: logical messages, prepared transactions and pieces of streamed ones \
                 are among them where the options ask for them.",
            )
    }

    /// A prepared transaction committed, and what is in it is not to be had any more.
    pub(crate) fn two_phase(gid: &str, xid: Xid, commit_lsn: Lsn) -> Self {
        Self::new(
            ErrorKind::TwoPhase,
            format!(
                "prepared transaction {gid:?} ({xid}) committed at {commit_lsn}, and its changes did not come: the slot \
                 was confirmed behind its prepare before this stream began"
            ),
        )
    }

    /// The server asks again and again, as one does that shuts down, and a prepared transaction holds the position.
    pub(crate) fn held_at_shutdown(wal_end: Lsn) -> Self {
        Self::new(
            ErrorKind::ConnectionClosed,
            format!(
                "the server waits to shut down until {wal_end} is durable, which a prepared transaction holds that has \
                 not ended"
            ),
        )
        .with_hint("Connect again once the server is up: the prepared transaction comes again, with its end.")
    }

    pub(crate) fn slot_name(name: &str) -> Self {
        Self::config(format!(
            "\"{}\" cannot be the name of a replication slot",
            name.escape_debug()
        ))
        .with_hint("Slot names have 1 to 63 characters out of a-z, 0-9 and _.")
    }

    pub(crate) fn slot_missing(name: &str) -> Self {
        Self::new(
            ErrorKind::SlotMissing,
            format!("there is no replication slot named \"{name}\""),
        )
    }

    pub(crate) fn too_many_slots() -> Self {
        Self::new(
            ErrorKind::TooManySlots,
            "the server has no replication slot to spare",
        )
    }

    pub(crate) fn slot_in_use(name: &str, holder: Option<&Holder>) -> Self {
        let what = match holder {
            Some(holder) => format!("replication slot \"{name}\" is in use by {holder}"),
            None => format!("replication slot \"{name}\" is in use by another session"),
        };
        let pid = holder.map(|holder| holder.pid);
        let error = Self::new(ErrorKind::SlotInUse { pid }, what);
        match pid {
            Some(pid) => error.with_hint(format!(
                "Stop the other consumer, or end its session with SELECT pg_terminate_backend({pid})."
            )),
            None => error,
        }
    }

    /// `reason` is the server's word for it; what would have kept the slot depends on that.
    pub(crate) fn slot_lost(name: &str, reason: &str) -> Self {
        const AGAIN: &str = "Drop the slot, create it again and copy the tables again: the changes in between are gone.";
        let error = Self::new(
            ErrorKind::SlotLost,
            format!("replication slot \"{name}\" is lost: {reason}"),
        );
        let prevention = match reason {
            "wal_removed" => "a larger max_slot_wal_keep_size keeps the next one longer",
            "idle_timeout" => {
                "a longer idle_replication_slot_timeout keeps the next one while nobody reads it"
            }
            "wal_level_insufficient" => "wal_level must stay logical on the primary",
            "rows_removed" => {
                "on a standby, hot_standby_feedback = on and a physical slot on the primary keep the next one"
            }
            // 16 does not tell which of the two.
            "conflicting" => {
                "on a standby, hot_standby_feedback = on, a physical slot on the primary and its wal_level = logical keep the next one"
            }
            _ => return error.with_hint(AGAIN),
        };
        error.with_hint(format!("{AGAIN} To prevent it, {prevention}."))
    }

    pub(crate) fn slot_wrong_plugin(slot: &Slot) -> Self {
        let name = &slot.name;
        let what = match &slot.plugin {
            Some(plugin) => {
                format!("replication slot \"{name}\" is of plugin \"{plugin}\", not pgoutput")
            }
            None => format!("replication slot \"{name}\" is physical"),
        };
        Self::new(ErrorKind::SlotWrongPlugin, what)
    }

    pub(crate) fn slot_wrong_database(name: &str, of: &str, ours: &str) -> Self {
        Self::new(
            ErrorKind::SlotWrongDatabase,
            format!(
                "replication slot \"{name}\" belongs to database \"{of}\", and this is \"{ours}\""
            ),
        )
    }

    pub(crate) fn slot_synced(name: &str) -> Self {
        Self::new(
            ErrorKind::SlotSynced,
            format!("replication slot \"{name}\" is this standby's copy of a slot of its primary"),
        )
    }

    pub(crate) fn publications_missing(names: &[String]) -> Self {
        let list: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let what = match &*list {
            [one] => format!("there is no publication named {one}"),
            _ => format!("there are no publications named {}", list.join(", ")),
        };
        Self::new(ErrorKind::PublicationMissing, what)
    }

    pub(crate) fn wal_level(on_primary: bool) -> Self {
        if on_primary {
            return Self::new(
                ErrorKind::WalLevel,
                "the standby's primary does not write enough WAL for logical replication",
            )
            .with_hint("Set wal_level = logical on the primary and restart it.");
        }
        Self::new(
            ErrorKind::WalLevel,
            "the server does not write enough WAL for logical replication",
        )
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match self.0.offset {
            Some(offset) => write!(f, " (byte {offset} of the connection)"),
            None => Ok(()),
        }
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
            offset,
        } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", kind).field("what", what);
        if let Some(offset) = offset {
            debug.field("offset", offset);
        }
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

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
