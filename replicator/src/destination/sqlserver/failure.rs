//! What the server or the connection reports, in our words: whether another try may help, and what to do.

use std::io;

use tiberius::error::{Error as Driver, TokenError};

use super::url::Address;
use crate::destination::conflict::describe;
use crate::error::codes::{Course, Product, UNMAPPED, says_farewell};
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

/// Whether there is no transaction any more that could be committed, or gone back in: none, one that is only to be undone,
/// one without that place.
pub(super) fn is_over(error: &Driver) -> bool {
    report(error).is_some_and(|report| {
        matches!(report.code(), 628 | 3902 | 3903 | 3930 | 3931 | 3998 | 6401)
    })
}

/// Whether the connection is of no use any more.
///
/// Whatever is no report of the server's leaves an exchange that was not brought to its end.
pub(super) fn is_lost(error: &Driver) -> bool {
    report(error).is_none_or(|report| report.class() >= FATAL || is_farewell(report))
}

/// A killed session, a shutdown.
fn is_farewell(report: &TokenError) -> bool {
    match report.code() {
        596 | 6005 | 6006 => true,
        UNMAPPED => says_farewell(report.message()),
        _ => false,
    }
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
    let of_the_row = report(&error).is_some_and(|it| course(it).is_of_the_row());
    let error = failure(what, error);
    if of_the_row && error.kind() == ErrorKind::Person {
        error.refused_at(operation.lsn)
    } else {
        error
    }
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
    course(report).error(Product::SqlServer, text)
}

fn course(report: &TokenError) -> Course {
    match report.code() {
        UNMAPPED => Course::of_babelfish(report.message()),
        code => Course::of_sqlserver(code, report.class()),
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
        encryption(what).caused_by(error)
    } else {
        Error::retry(what).caused_by(error)
    }
}

/// The server has no TLS, and some is asked for.
pub(super) fn no_tls(address: &Address) -> Error {
    encryption(format!("{}: it offers no TLS", not_connected(address)))
}

/// The server wants TLS, and none is to be had.
pub(super) fn wants_tls(address: &Address) -> Error {
    encryption(format!(
        "{}: it wants TLS, and sslmode=disable forbids it",
        not_connected(address)
    ))
}

/// The beginning of what is said of a connection that does not come about.
pub(super) fn not_connected(address: &Address) -> String {
    let place = address.place();
    format!("could not connect to the destination server {place}")
}

/// A connection that is not encrypted as it is to be.
fn encryption(what: String) -> Error {
    Course::Encryption.error(Product::SqlServer, what)
}
