//! Primary result codes of SQLite.

use rusqlite::ErrorCode;

use super::Course;

/// With what is said of each, where it says more than SQLite does.
pub(super) const TABLE: &[(ErrorCode, &str, Course)] = &[
    (
        ErrorCode::NotADatabase,
        "the file is not a SQLite database",
        Course::NoDatabase,
    ),
    (
        ErrorCode::CannotOpen,
        "the file cannot be opened",
        Course::File,
    ),
    (
        ErrorCode::ReadOnly,
        "the file may not be written",
        Course::File,
    ),
    (
        ErrorCode::PermissionDenied,
        "the file may not be written",
        Course::File,
    ),
    (ErrorCode::DiskFull, "the disk is full", Course::Room),
    (
        ErrorCode::DatabaseBusy,
        "another program keeps the database locked",
        Course::Lock,
    ),
    (
        ErrorCode::DatabaseLocked,
        "another program keeps the database locked",
        Course::Lock,
    ),
    (
        ErrorCode::SystemIoFailure,
        "the file could not be read or written",
        Course::Again,
    ),
    (
        ErrorCode::OutOfMemory,
        "there is not enough memory",
        Course::Again,
    ),
    (
        ErrorCode::DatabaseCorrupt,
        "the database is damaged",
        Course::Damaged,
    ),
    (
        ErrorCode::TooBig,
        "a row is larger than the 1000000000 bytes that SQLite holds",
        Course::TooBig,
    ),
    (ErrorCode::ConstraintViolation, "", Course::Row),
    (ErrorCode::TypeMismatch, "", Course::Row),
];

pub(super) fn course(code: Option<ErrorCode>) -> Course {
    let found = entry(code);
    found.map_or(Course::Person, |(_, _, course)| *course)
}

/// What is said of it in our words.
pub(crate) fn says(code: Option<ErrorCode>) -> Option<&'static str> {
    let (_, says, _) = entry(code)?;
    Some(*says).filter(|says| !says.is_empty())
}

fn entry(code: Option<ErrorCode>) -> Option<&'static (ErrorCode, &'static str, Course)> {
    TABLE.iter().find(|(listed, ..)| Some(*listed) == code)
}
