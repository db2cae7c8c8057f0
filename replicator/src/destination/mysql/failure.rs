//! What the server or the driver reports, in our words: whether another try may help, and what to do.

use mysql_async::{DriverError, Error as Driver, IoError, ServerError};

use crate::destination::conflict::describe;
use crate::error::codes::{Course, Product};
use crate::error::{Error, ErrorKind};
use crate::plan::Operation;

/// `ER_DUP_ENTRY`, and the same with the index's name.
const DUPLICATE: [u16; 2] = [1062, 1586];

/// The server's own report.
fn report(error: &Driver) -> Option<&ServerError> {
    match error {
        Driver::Server(report) => Some(report),
        _ => None,
    }
}

/// Whether a row is there already.
pub(super) fn is_duplicate(error: &Driver) -> bool {
    report(error).is_some_and(|report| DUPLICATE.contains(&report.code))
}

/// What the server says of a row that it has already.
pub(super) fn said(error: &Driver) -> String {
    match report(error) {
        Some(report) => words(report),
        None => error.to_string(),
    }
}

fn words(report: &ServerError) -> String {
    let ServerError {
        code,
        message,
        state,
    } = report;
    format!("{message} [{code}, SQLSTATE {state}]")
}

/// Whether a table of that name is there already.
pub(super) fn is_there(error: &Driver) -> bool {
    report(error).is_some_and(|report| report.code == 1050)
}

/// Whether the connection is of no use any more.
pub(super) fn is_lost(error: &Driver) -> bool {
    match error {
        Driver::Server(report) => is_farewell(report.code),
        // Raised before anything was sent.
        Driver::Driver(
            DriverError::StmtParamsMismatch { .. }
            | DriverError::StmtParamsNumberExceedsLimit { .. },
        ) => false,
        _ => true,
    }
}

/// Shutdown, a killed session, one that was idle for too long, a broken packet.
const fn is_farewell(code: u16) -> bool {
    matches!(
        code,
        1053 | 1077 | 1079 | 1152 | 1156..=1161 | 1184 | 1927 | 3169 | 4031
    )
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
        Driver::Url(_) => Error::usage(what).caused_by(error),
        Driver::Io(IoError::Tls(_)) => encryption(what).caused_by(error),
        // As rustls says that a certificate is not the one that was asked for.
        Driver::Io(IoError::Io(io)) if io.kind() == std::io::ErrorKind::InvalidData => {
            encryption(what).caused_by(error)
        }
        Driver::Driver(
            DriverError::NoClientSslFlagFromServer
            | DriverError::NoKeyFound
            | DriverError::UnknownAuthPlugin { .. }
            | DriverError::CleartextPluginDisabled
            | DriverError::MysqlOldPasswordDisabled,
        ) => encryption(what).caused_by(error),
        Driver::Driver(
            DriverError::StmtParamsMismatch { .. }
            | DriverError::StmtParamsNumberExceedsLimit { .. },
        ) => Error::person(what).caused_by(error),
        _ => Error::retry(what).caused_by(error),
    }
}

fn server(what: &str, report: &ServerError) -> Error {
    let text = format!("{what}: {}", words(report));
    course(report).error(Product::Mysql, text)
}

fn course(report: &ServerError) -> Course {
    Course::of_mysql(report.code, &report.state)
}

/// A connection that is not encrypted as it is to be.
fn encryption(what: String) -> Error {
    Course::Encryption.error(Product::Mysql, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn kind(code: u16) -> ErrorKind {
        let error = Driver::Server(ServerError {
            code,
            message: "m".to_owned(),
            state: "HY000".to_owned(),
        });
        failure("what", error).kind()
    }

    #[test]
    fn what_passes_by_itself_is_worth_another_try() {
        // Lock wait, deadlock, shutdown, killed, too many connections, disk full, read-only by now.
        for code in [1205, 1213, 1053, 1927, 1040, 1021, 1290] {
            assert_eq!(kind(code), ErrorKind::Retry, "{code}");
        }
        // Password, database, rights.
        for code in [1045, 1049, 1142] {
            assert_eq!(kind(code), ErrorKind::Usage, "{code}");
        }
        // Too long, out of range, not NULL, a foreign key.
        for code in [1406, 1264, 1048, 1452] {
            assert_eq!(kind(code), ErrorKind::Person, "{code}");
        }
    }
}
