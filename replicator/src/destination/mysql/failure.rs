//! What the server or the driver reports, in our words: whether another try may help, and what to do.

use mysql_async::{DriverError, Error as Driver, IoError, ServerError};

use crate::destination::conflict::describe;
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
    let of_the_row = report(&error).is_some_and(is_of_the_row);
    let error = failure(what, error);
    if of_the_row && error.kind() == ErrorKind::Person {
        error.refused_at(operation.lsn)
    } else {
        error
    }
}

/// Whether an error is about the values of a row rather than about the schema, the session or the server.
fn is_of_the_row(report: &ServerError) -> bool {
    let class = report.state.get(..2).unwrap_or_default();
    // Data, constraints, what somebody's trigger raises; and those that have no class of their own: a value that its type
    // does not know, one cut, a check, a row or packet too large.
    matches!(class, "22" | "23" | "44" | "45")
        || matches!(report.code, 1366 | 1265 | 3819 | 1118 | 1153 | 1644)
}

/// An error of ours for one of the driver's.
pub(super) fn failure(what: impl Into<String>, error: Driver) -> Error {
    let what = what.into();
    match &error {
        Driver::Server(report) => server(&what, report),
        Driver::Url(_) => Error::usage(what).caused_by(error),
        Driver::Io(IoError::Tls(_)) => Error::usage(what).with_hint(CERTIFICATES).caused_by(error),
        // As rustls says that a certificate is not the one that was asked for.
        Driver::Io(IoError::Io(io)) if io.kind() == std::io::ErrorKind::InvalidData => {
            Error::usage(what).with_hint(CERTIFICATES).caused_by(error)
        }
        Driver::Driver(
            DriverError::NoClientSslFlagFromServer
            | DriverError::NoKeyFound
            | DriverError::UnknownAuthPlugin { .. }
            | DriverError::CleartextPluginDisabled
            | DriverError::MysqlOldPasswordDisabled,
        ) => Error::usage(what).with_hint(CERTIFICATES).caused_by(error),
        Driver::Driver(
            DriverError::StmtParamsMismatch { .. }
            | DriverError::StmtParamsNumberExceedsLimit { .. },
        ) => Error::person(what).caused_by(error),
        _ => Error::retry(what).caused_by(error),
    }
}

fn server(what: &str, report: &ServerError) -> Error {
    let text = format!("{what}: {}", words(report));
    match report.code {
        1205 => Error::retry(text)
            .with_hint("another session holds a lock; it is waited for as long as --takeover says")
            .locked_out(),
        // 20 is the server's own number for a full disk; those below 1000 are of files and memory.
        20 | 1021 | 1114 => Error::retry(text)
            .with_hint("make room at the destination and start again; nothing is lost"),
        1..1000 => Error::retry(text),
        // A deadlock, or rows that changed under us; memory, connections, an operator's intervention, an error of the
        // system, a commit that failed.
        1213
        | 1020
        | 1037..=1041
        | 1203
        | 1226
        | 1317
        | 1969
        | 3024
        | 1026
        | 1030
        | 1180
        | 1181 => Error::retry(text),
        code if is_farewell(code) => Error::retry(text),
        1044 | 1045 | 1049 | 1130 | 1131 | 1251 | 1396 | 1698 => {
            Error::usage(text).with_hint("check user, password and database in --destination")
        }
        3159 | 4151 => Error::usage(text).with_hint(CERTIFICATES),
        1142 | 1143 | 1227 | 1370 | 1410 => Error::usage(text).with_hint(RIGHTS),
        // A server that took changes when it was opened, so it may be one that is to take them again.
        1290 | 1792 | 1836 | 3100 => {
            Error::retry(text).with_hint("name a primary as --destination that takes changes")
        }
        1153 => Error::person(text).with_hint(PACKET),
        _ => Error::person(text),
    }
}

const CERTIFICATES: &str = "check ssl-mode and the certificates in --destination";

/// What to do about a row that is too large.
pub(super) const PACKET: &str = "raise max_allowed_packet at the destination server (SET GLOBAL, and in its configuration; \
                                 1 GiB at most), or leave the large column or the table out of the publication";

/// What the user has to be allowed to.
const RIGHTS: &str = "the user needs CREATE, DROP, SELECT, INSERT, UPDATE and DELETE on the database, and TRIGGER to see the \
                      triggers of tables that are there already";

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
