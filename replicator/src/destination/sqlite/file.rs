//! Opening a SQLite file so that it keeps our promises, and saying in a sentence why it cannot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, OptionalExtension, ffi};

use super::SqliteOptions;
use crate::destination::conflict::describe;
use crate::error::codes::{self, Course, Product};
use crate::error::{Error, Result};
use crate::plan::Operation;

/// How long to wait at least for another program's transaction.
const BUSY: Duration = Duration::from_secs(1);

/// The file as an absolute path without symbolic links, so that all its names share one lock.
pub(super) fn resolve(options: &SqliteOptions) -> Result<PathBuf> {
    let path = &options.path;
    let shown = path.display();
    let Some(name) = path.file_name().filter(|_| path.as_os_str() != ":memory:") else {
        return Err(
            Error::usage(format!("{:?} is not the name of a file", path.as_os_str())).with_hint(
                "a SQLite destination is sqlite:PATH; one in memory would forget its position",
            ),
        );
    };
    match path.canonicalize() {
        Ok(path) if path.is_dir() => Err(Error::usage(format!(
            "{shown} is a directory, not a SQLite file"
        ))
        .with_hint("name a file in it")),
        Ok(path) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            let folder = folder.canonicalize().map_err(|error| {
                Error::usage(format!("the directory {} cannot be used", folder.display()))
                    .caused_by(error)
            })?;
            if options.create {
                return Ok(folder.join(name));
            }
            Err(Error::usage(format!("there is no file {shown}")))
        }
        Err(error) => Err(Error::usage(format!("{shown} cannot be used")).caused_by(error)),
    }
}

/// Pages kept in memory, in KiB as SQLite counts below zero. Keys in no order cost 4 µs a row with 16 MiB, 11 with the
/// 2 MiB that it would take, 3.7 with 32; in order they cost the same with each.
const CACHE: i64 = -(16 << 10);

/// Pages in the WAL, 16 MiB of them, after which they are written back: small transactions on keys in no order cost a
/// fifth less than with SQLite's thousand, and another twentieth less with four times as many.
const WRITE_BACK: i64 = 4000;

/// Opens the file and checks what cannot be taken on trust.
pub(super) fn open(path: &Path, create: bool, wait: Duration) -> Result<Connection> {
    let shown = path.display();
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let failed = |error| failure(format!("could not open {shown}"), error);
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(wait.max(BUSY)).map_err(failed)?;
    // SQLite opens a file that it may not write for reading instead.
    if db.is_readonly(MAIN_DB).map_err(failed)? {
        return Err(Error::usage(format!("{shown} may not be written"))
            .with_hint("check its permissions and its owner"));
    }
    for (setting, on) in [
        // Otherwise a name in double quotes that is no column becomes a text.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        // The source has checked its foreign keys; a cascade here would take away rows whose deletion is still to
        // come.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
    ] {
        db.set_db_config(setting, on).map_err(failed)?;
    }
    // The first statement that reads the file tells whether it is a database.
    let mode: String = db
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Error::usage(format!(
            "{shown} stays in journal mode {mode}, and we need WAL"
        ))
        .with_hint("WAL mode needs a local file system"));
    }
    db.pragma_update(None, "synchronous", "FULL")
        .map_err(failed)?;
    let synchronous: i64 = db
        .pragma_query_value(None, "synchronous", |row| row.get(0))
        .map_err(failed)?;
    if synchronous != 2 {
        return Err(Error::usage(format!(
            "{shown} cannot be written with synchronous=FULL"
        )));
    }
    for (setting, value) in [("cache_size", CACHE), ("wal_autocheckpoint", WRITE_BACK)] {
        // The latter answers with what it is now.
        db.pragma_update_and_check(None, setting, value, |_| Ok(()))
            .optional()
            .map_err(failed)?;
    }
    Ok(db)
}

/// Opens the file to read it, as it is. Where nobody has it open (`quiet`) nothing is made beside it either.
pub(super) fn look(path: &Path, quiet: bool) -> Result<Connection> {
    let failed = |error| failure(format!("could not open {}", path.display()), error);
    let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = if quiet && let Some(path) = path.to_str() {
        flags |= OpenFlags::SQLITE_OPEN_URI;
        let path = path
            .replace('%', "%25")
            .replace('?', "%3f")
            .replace('#', "%23");
        Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
    } else {
        Connection::open_with_flags(path, flags)
    };
    let db = db.map_err(failed)?;
    db.busy_timeout(BUSY).map_err(failed)?;
    Ok(db)
}

/// Whether somebody has the file open, or left it without closing it: then a part of it is in its WAL.
pub(super) fn has_wal(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    // What cannot be known is read the safe way.
    Path::new(&name).try_exists().unwrap_or(true)
}

/// What SQLite reports, in our words: whether another try may help, and what to do.
pub(super) fn failure(what: impl Into<String>, error: rusqlite::Error) -> Error {
    let what = what.into();
    let code = error.sqlite_error_code();
    let course = Course::of_sqlite(code);
    let text = match codes::sqlite_says(code) {
        Some(why) => format!("{what}: {why}"),
        None => what,
    };
    course.error(Product::Sqlite, text).caused_by(error)
}

/// What SQLite reports of one change: a refusal where it is about what the change holds.
pub(super) fn refusal(operation: &Operation, error: rusqlite::Error) -> Error {
    let what = describe(operation);
    let code = error.sqlite_error_code();
    let course = Course::of_sqlite(code);
    match (course, &error) {
        (Course::Row, rusqlite::Error::SqliteFailure(_, message)) => {
            let message = message.as_deref().unwrap_or("a constraint failed");
            let table = &operation.table;
            let named = table
                .columns
                .iter()
                .map(|column| &column.name)
                .find(|name| message.ends_with(&format!(" {}.{name}", table.destination)));
            let column = named
                .map(|name| format!(", column {name}"))
                .unwrap_or_default();
            let row = operation.row();
            let text =
                format!("{what}: the destination refuses the row with {row}{column}: {message}");
            Error::refused(operation.lsn, text)
        }
        (Course::TooBig, _) => failure(what, error).refused_at(operation.lsn),
        _ => failure(what, error),
    }
}

/// Whether a statement failed because a row with that key is there.
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    let duplicate = [
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
        ffi::SQLITE_CONSTRAINT_UNIQUE,
        ffi::SQLITE_CONSTRAINT_ROWID,
    ];
    error
        .sqlite_error()
        .is_some_and(|error| duplicate.contains(&error.extended_code))
}
