//! What went wrong, where, what to do next, and the exit code that tells a script.

pub(crate) mod codes;

use std::error::Error as StdError;
use std::fmt;

use walstream::walproto::Lsn;

use crate::table::Table;

/// Result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure in words for a person and as an exit code for a script.
///
/// Prints what went wrong and where (table, column, position), without its [source](StdError::source) and without
/// the [hint](Self::hint); a caller that shows it to people prints all three.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    statement: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    refused: Option<Lsn>,
    at_end: bool,
    locked_out: bool,
    about_rows: bool,
    source_lost: bool,
    displaced: Option<Displaced>,
    missing_table: Option<String>,
    command: Option<String>,
}

/// Who is in our place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Displaced {
    /// It has the slot, the destination, or the position.
    Running,
    /// It is on the way to its first position, or died there.
    Starting,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nobody needs to: starting again may do (a lost connection, a full disk, a file in use).
    Retry,
    /// Whoever wrote the command line or the configuration.
    Usage,
    /// A person has to decide: a lost slot, a gap, a conflict, a refused value, a schema change.
    Person,
    /// Nothing failed, but both sides are not the same.
    Differences,
}

impl Error {
    /// A failure of this kind; `message` is lower case and has no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            statement: None,
            source: None,
            refused: None,
            at_end: false,
            locked_out: false,
            about_rows: false,
            source_lost: false,
            displaced: None,
            missing_table: None,
            command: None,
        }))
    }

    /// Several that have one thing to be mended first each, as one: of the first kind, each with its hint.
    pub(crate) fn all(errors: Vec<Self>) -> Self {
        let mut errors = errors;
        if errors.len() < 2 {
            return errors
                .pop()
                .unwrap_or_else(|| Self::person("nothing is wrong"));
        }
        let kind = errors.first().map_or(ErrorKind::Person, Self::kind);
        let messages: Vec<String> = errors.iter().map(Self::to_string).collect();
        let mut hints: Vec<&str> = Vec::new();
        for hint in errors.iter().filter_map(Self::hint) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        Self::new(kind, messages.join("; ")).with_hint(hints.join("; "))
    }

    /// Worth another try.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Retry, message)
    }

    /// A mistake in how we were called.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Needs a person.
    pub fn person(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Person, message)
    }

    /// The destination refuses one change of the transaction that commits at `lsn`, for what that change holds or meets
    /// there: a person has to decide, and may have it left out ([`Config::quarantine`](crate::Config::quarantine)).
    pub fn refused(lsn: Lsn, message: impl Into<String>) -> Self {
        Self::person(message).refused_at(lsn)
    }

    /// A comparison found differences.
    pub fn differences(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Differences, message)
    }

    /// Adds what to do next: a command, or a sentence. Replaces an earlier hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the statement as the destination got it, unless one is there.
    #[must_use]
    pub fn with_statement(mut self, statement: impl Into<String>) -> Self {
        self.0.statement.get_or_insert_with(|| statement.into());
        self
    }

    /// Says that it is about one change, of the transaction that commits there.
    #[must_use]
    pub(crate) fn refused_at(mut self, lsn: Lsn) -> Self {
        self.0.refused = Some(lsn);
        self
    }

    /// Says that the destination refuses something that it looks at only when a transaction ends, so that leaving out one
    /// change is no way on.
    #[must_use]
    pub(crate) fn found_at_end(mut self) -> Self {
        if self.0.kind == ErrorKind::Person {
            self.0.refused = None;
            self.0.at_end = true;
        }
        self
    }

    /// Whether the destination refused a transaction at its end.
    pub(crate) fn is_found_at_end(&self) -> bool {
        self.0.at_end
    }

    /// Where the transaction commits of which the destination refuses a change, if that is what it is about.
    pub fn refused_lsn(&self) -> Option<Lsn> {
        self.0.refused
    }

    /// Says that it was a lock that somebody else holds.
    #[must_use]
    pub(crate) fn locked_out(mut self) -> Self {
        self.0.locked_out = true;
        self
    }

    /// Whether source or destination gave up waiting for a lock that somebody else holds.
    pub(crate) fn is_locked_out(&self) -> bool {
        self.0.locked_out
    }

    /// Says that another replicator is in our place.
    #[must_use]
    pub(crate) fn displaced(mut self) -> Self {
        self.0.displaced = Some(Displaced::Running);
        self
    }

    /// Says that another replicator is about to be, or was.
    #[must_use]
    pub(crate) fn unfinished(mut self) -> Self {
        self.0.displaced = Some(Displaced::Starting);
        self
    }

    /// Whether another replicator is in our place, or may be about to.
    pub(crate) fn is_displaced(&self) -> bool {
        self.0.displaced.is_some()
    }

    /// Whether another replicator has begun a first start, and not come to its end.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.0.displaced == Some(Displaced::Starting)
    }

    /// Says that it is about rows that a table holds, and not about what it is.
    #[must_use]
    pub(crate) fn about_rows(mut self) -> Self {
        self.0.about_rows = true;
        self
    }

    /// Whether a table is refused for the rows that it holds.
    pub(crate) fn is_about_rows(&self) -> bool {
        self.0.about_rows
    }

    /// A destination table that is not there, and that somebody else makes; `sql` would.
    pub fn needs_table(table: &Table, sql: impl Into<String>) -> Self {
        let sql = sql.into();
        let mut error = Self::usage(format!(
            "the destination has no table {} for table {table}, and --auto-create no leaves it to you to make it",
            table.destination
        ))
        .with_hint(format!("this would do: {sql}"));
        error.0.missing_table = Some(sql);
        error
    }

    /// Adds the statement that mends it at the destination, where there is one.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    #[must_use]
    pub(crate) fn mended_by(mut self, sql: impl Into<String>) -> Self {
        self.0.command = Some(sql.into());
        self
    }

    /// The statement that mends it at the destination.
    pub(crate) fn command(&self) -> Option<&str> {
        self.0.command.as_deref()
    }

    /// What would make the table that is not there.
    pub(crate) fn missing_table(&self) -> Option<&str> {
        self.0.missing_table.as_deref()
    }

    /// The source ended the stream, as it does when it shuts down.
    pub(crate) fn source_ended() -> Self {
        let mut error = Self::retry("the source ended the stream, as it does when it shuts down");
        error.0.source_lost = true;
        error
    }

    /// Whether it is the connection to the source that was lost, and another may do.
    pub(crate) fn is_source_lost(&self) -> bool {
        self.0.source_lost
    }

    /// Who can mend it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What to do next: the hint, and without one what helps against all errors of its kind.
    pub fn next_step(&self) -> Option<&str> {
        self.hint().or(match self.0.kind {
            ErrorKind::Retry => Some(
                "start again; if the same error comes again, look into the log of the side that it names",
            ),
            ErrorKind::Usage => Some("correct what it names in the options; --help lists them"),
            ErrorKind::Person => Some(
                "mend what it names, and start again: nothing behind it was done; replicator check looks at both sides",
            ),
            ErrorKind::Differences => None,
        })
    }

    /// The statement that failed at the destination, with the beginnings of its parameters.
    pub fn statement(&self) -> Option<&str> {
        self.0.statement.as_deref()
    }

    /// The exit code of a process that ends with this error; they are part of the command line's interface.
    pub fn exit_code(&self) -> u8 {
        self.0.kind.exit_code()
    }
}

impl ErrorKind {
    /// The exit code of a process that ends with an error of this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Retry => 1,
            Self::Usage => 2,
            Self::Person => 3,
            Self::Differences => 4,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            message,
            hint,
            source,
            ..
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("hint", hint)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        match source.downcast_ref::<Same>() {
            Some(same) => same.source(),
            None => Some(source),
        }
    }
}

/// Remedy where the destination has to be filled again; names only what exists.
pub(crate) const START_ANEW: &str = "to fill the destination anew: replicator drop with the same options and \
                                     --destination, remove the tables there, then replicator run";

/// Where the limits that can be met are set.
const LIMIT: &str =
    "raise --spool-limit for transactions, or max_message_size in --source for a single row";

/// What a role has to be allowed to.
const RIGHTS: &str = "the role needs REPLICATION, USAGE on the schemas and SELECT on the tables; to make a \
                      publication it needs CREATE on the database and must own the tables, or somebody else makes it \
                      and it is named with --publication";

/// Remedy for an internal error of the server.
const INTERNAL: &str = "nothing is lost: start again; if the same error comes again, the server cannot decode its log \
                        from there: look into its own log, and for a newer minor release";

impl From<walstream::Error> for Error {
    /// Kind and remedy as `walstream` says; its own words stay the message, and what caused it the cause.
    fn from(error: walstream::Error) -> Self {
        let kind = match error.kind() {
            walstream::ErrorKind::Config | walstream::ErrorKind::Unsupported => ErrorKind::Usage,
            _ if error.needs_person() => ErrorKind::Person,
            _ => ErrorKind::Retry,
        };
        let mut ours = Self::new(kind, error.to_string());
        ours.0.locked_out = error.sqlstate() == Some("55P03");
        ours.0.source_lost = error.is_disconnect();
        ours.0.hint = match error.kind() {
            // There they are two steps; here they are commands of ours.
            walstream::ErrorKind::SlotLost
            | walstream::ErrorKind::SlotMissing
            | walstream::ErrorKind::SlotAhead
            | walstream::ErrorKind::PublicationMissing => Some(START_ANEW.to_owned()),
            walstream::ErrorKind::Limit => Some(LIMIT.to_owned()),
            // Class XX. Some pass: 17.10 and 18.4 now and then cannot map a filenumber after a rolled-back ALTER, and
            // can at the next start. Who starts us again by himself must not do it for ever.
            walstream::ErrorKind::Server
                if error.report().is_some_and(|report| {
                    report.hint.is_none() && report.code.starts_with("XX")
                }) =>
            {
                Some(INTERNAL.to_owned())
            }
            walstream::ErrorKind::Rights => Some(RIGHTS.to_owned()),
            _ => error.hint().map(str::to_owned),
        };
        ours.0.source = Some(Box::new(Same(error)));
        ours
    }
}

/// An error whose words are those of the one that wraps it; its source is the wrapper's.
#[derive(Debug)]
struct Same(walstream::Error);

impl fmt::Display for Same {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Same {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_that_scripts_know() {
        assert_eq!(Error::retry("").exit_code(), 1);
        assert_eq!(Error::usage("").exit_code(), 2);
        assert_eq!(Error::person("").exit_code(), 3);
        assert_eq!(Error::differences("").exit_code(), 4);
    }

    #[test]
    fn nobody_is_left_without_a_next_step() {
        for error in [Error::retry(""), Error::usage(""), Error::person("")] {
            assert!(
                error.hint().is_none() && error.next_step().is_some(),
                "{error:?}"
            );
            assert_eq!(error.with_hint("do it").next_step(), Some("do it"));
        }
        assert_eq!(Error::differences("").next_step(), None);
    }

    #[test]
    fn the_message_does_not_repeat_its_source_nor_the_hint() {
        let error = Error::retry("could not commit")
            .with_hint("free some space")
            .caused_by(std::io::Error::other("disk full"));
        assert_eq!(error.to_string(), "could not commit");
        assert_eq!(error.hint(), Some("free some space"));
        assert_eq!(error.source().unwrap().to_string(), "disk full");
    }
}
