//! What the server or the connection reports, in our words: whether another try may help, and what to do.

use std::io;

use tiberius::error::{Error as Driver, TokenError};

use super::url::Address;
use crate::destination::conflict::describe;
use crate::error::{Error, ErrorKind};
use crate::plan::Operation;

/// A key or a unique index has the row already.
const DUPLICATE: [u32; 2] = [2627, 2601];

/// Severities from here on end the session.
const FATAL: u8 = 20;

/// The server's own report.
fn report(error: &Driver) -> Option<&TokenError> {
    match error {
        Driver::Server(report) => Some(report),
        _ => None,
    }
}

/// Whether a row is there already.
pub(super) fn is_duplicate(error: &Driver) -> bool {
    report(error).is_some_and(|report| DUPLICATE.contains(&report.code()))
}

/// Whether an object of that name is there already.
pub(super) fn is_there(error: &Driver) -> bool {
    report(error).is_some_and(|report| report.code() == 2714)
}

/// Whether the connection is of no use any more.
///
/// Whatever is no report of the server's leaves an exchange that was not brought to its end.
pub(super) fn is_lost(error: &Driver) -> bool {
    report(error).is_none_or(|report| report.class() >= FATAL || is_farewell(report.code()))
}

/// A killed session, a shutdown.
const fn is_farewell(code: u32) -> bool {
    matches!(code, 596 | 6005 | 6006)
}

/// What the server says of a row that it has already.
pub(super) fn said(error: &Driver) -> String {
    report(error).map_or_else(|| error.to_string(), words)
}

fn words(report: &TokenError) -> String {
    let (message, code) = (report.message(), report.code());
    format!("{message} [{code}]")
}

/// No answer.
pub(super) fn silent(why: &str) -> Driver {
    let text = format!("the server does not answer: {why}");
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

/// What a session says that was left in the middle of an exchange.
pub(super) fn interrupted() -> Driver {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "an exchange with the server was interrupted, and another session is to be opened",
    )
    .into()
}

/// What the server reports of one change: a refusal where it is about what the change holds or meets.
pub(super) fn refusal(operation: &Operation, error: Driver) -> Error {
    let what = format!(
        "{}: the destination refuses the row with {}",
        describe(operation),
        operation.row()
    );
    let of_the_row = report(&error).is_some_and(|report| is_of_the_row(report.code()));
    let error = failure(what, error);
    if of_the_row && error.kind() == ErrorKind::Person {
        error.refused_at(operation.lsn)
    } else {
        error
    }
}

/// Whether an error is about the values of a row rather than about the schema, the session or the server.
const fn is_of_the_row(code: u32) -> bool {
    matches!(
        code,
        // Keys, NOT NULL, foreign keys and checks, views with a check.
        2627 | 2601 | 515 | 547 | 550
        // Cut, out of range, of another form: numbers, dates, identifiers, XML.
        | 8152 | 2628 | 220 | 232 | 241 | 242 | 245 | 248 | 295 | 296 | 517 | 8114 | 8115 | 8134 | 8169
        | 9400..=9499
        // A row or a key too large for its page.
        | 511 | 1946
        // What somebody's trigger raises.
        | 3609 | 50000..
    )
}

/// An error of ours for one of the driver's.
pub(super) fn failure(what: impl Into<String>, error: Driver) -> Error {
    let what = what.into();
    match &error {
        Driver::Server(report) => server(&what, report),
        // What we handed over is wrong, not the way there.
        Driver::BulkInput(_) | Driver::Conversion(_) => Error::person(what).caused_by(error),
        _ => Error::retry(what).caused_by(error),
    }
}

fn server(what: &str, report: &TokenError) -> Error {
    let place = place(report);
    let text = format!("{what}{place}: {}", words(report));
    match report.code() {
        1222 => Error::retry(text)
            .with_hint("another session holds a lock; it is waited for as long as --takeover says")
            .locked_out(),
        // The log, a file group, all of Azure's quota.
        9002 | 1105 | 1101 | 40544 => Error::retry(text)
            .with_hint("make room at the destination (files, or log backups) and start again; nothing is lost"),
        // A server that took changes when it was opened, so it may be one that is to take them again.
        3906 | 3908 => {
            Error::retry(text).with_hint("name a primary as --destination that takes changes")
        }
        // A deadlock, or rows that changed under us.
        1205 | 3960 | 3961 | 41301 | 41302 | 41305 | 41325 | 41839
        // Locks, memory, threads, connections.
        | 701 | 802 | 1204 | 8628 | 8645 | 8651 | 10928 | 10929 | 17809 | 17810
        // A database that is being recovered, restored, moved or used by one; a replica that does not serve yet.
        | 921 | 922 | 924 | 927 | 952 | 976 | 983 | 18401 | 18451 | 18461
        // A server that is paused or not ready yet; Azure's own words for that and for too much load.
        | 17142 | 17187 | 40143 | 40197 | 40501 | 40540 | 40613 | 42108 | 42109 | 49918..=49920
        // A connection that breaks underneath.
        | 64 | 233 | 10053 | 10054 | 10060 => Error::retry(text),
        code if is_farewell(code) => Error::retry(text),
        18452 | 18456 | 18470 | 18486..=18488 => {
            Error::usage(text).with_hint("check user and password in --destination")
        }
        911 | 916 | 4060 | 4064 | 40532 => Error::usage(text).with_hint(
            "check the database in --destination: it must be there, and the user must be one of its users (CREATE USER … FOR LOGIN … there)",
        ),
        40615 | 40914 => Error::usage(text)
            .with_hint("let this machine's address through the server's firewall"),
        229 | 230 | 262 | 297 | 300 | 1088 | 2760 => Error::usage(text).with_hint(RIGHTS),
        // Severity 20 and more ends the session for whatever reason; another may do.
        _ if report.class() >= FATAL => Error::retry(text),
        _ => Error::person(text),
    }
}

/// The column or constraint that a report is about, in front of its own words.
///
/// Found by its place among the names in quotes: those are the same in every language.
fn place(report: &TokenError) -> String {
    let (kind, at) = match report.code() {
        515 => ("column", 0),
        2628 => ("column", 1),
        547 | 2627 => ("constraint", 0),
        2601 => ("index", 1),
        _ => return String::new(),
    };
    quoted(report.message())
        .nth(at)
        .map(|name| format!(", {kind} {name}"))
        .unwrap_or_default()
}

/// What stands in quotes, single or double.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let start = rest.find(['\'', '"'])?;
        let (mark, behind) = rest.get(start..)?.split_at_checked(1)?;
        let (name, behind) = behind.split_once(mark)?;
        rest = behind;
        Some(name)
    })
}

/// A connection that does not come about.
pub(super) fn unreachable(address: &Address, error: io::Error) -> Error {
    let what = not_connected(address);
    // As rustls says that a certificate is not the one that was asked for.
    if error.kind() == io::ErrorKind::InvalidData {
        Error::usage(what).with_hint(CERTIFICATES).caused_by(error)
    } else {
        Error::retry(what).caused_by(error)
    }
}

/// The server has no TLS, and some is asked for.
pub(super) fn no_tls(address: &Address) -> Error {
    Error::usage(format!("{}: it offers no TLS", not_connected(address))).with_hint(CERTIFICATES)
}

/// The server wants TLS, and none is to be had.
pub(super) fn wants_tls(address: &Address) -> Error {
    Error::usage(format!(
        "{}: it wants TLS, and sslmode=disable forbids it",
        not_connected(address)
    ))
    .with_hint(CERTIFICATES)
}

/// The beginning of what is said of a connection that does not come about.
pub(super) fn not_connected(address: &Address) -> String {
    let place = address.place();
    format!("could not connect to the destination server {place}")
}

const CERTIFICATES: &str = "check sslmode and sslrootcert in --destination";

/// What the user has to be allowed to.
const RIGHTS: &str = "the user needs SELECT, INSERT, UPDATE, DELETE and ALTER on the schemas of the tables, CREATE TABLE, and \
                      CREATE SCHEMA for schemas that are not there yet";
