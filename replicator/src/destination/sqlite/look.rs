//! A SQLite file that is only looked at: read where it is there, and otherwise the place where it is to be.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access, access, statfs};

use super::file::{self, failure};
use super::writer::Writer;
use super::{SqliteOptions, ledger, lock};
use crate::check::{Finding, Mend};
use crate::destination::Existing;
use crate::destination::look::Fate;
use crate::error::{Error, Result};
use crate::position::{PositionRow, TableRow};
use crate::table::Table;

/// A file, or its place.
#[derive(Debug)]
pub(crate) struct SqliteLook {
    path: PathBuf,
    /// Empty where there is no file.
    db: Connection,
}

/// File systems of other machines, where the WAL's shared memory does not work: NFS, SMB, CIFS and SMB 2.
const REMOTE: [u64; 4] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42];

impl SqliteLook {
    /// Looks at the file at `path`, or at the folder that it would be made in.
    pub(in crate::destination) fn open(path: &str, wait: Duration) -> Result<(Self, Vec<Finding>)> {
        let path = file::resolve(&SqliteOptions::new(path, ""))?;
        let shown = path.display();
        let mut found = Vec::new();
        let is_there = path.exists();
        let db = if is_there {
            read_only(&path)?
        } else {
            Connection::open_in_memory()
                .map_err(|error| failure("could not start SQLite", error))?
        };
        let what = if is_there {
            format!("the file {shown}")
        } else {
            format!("there is no file {shown} yet; a run makes it")
        };
        found.push(Finding::ok("destination.reachable", what));
        found.push(writable(&path, is_there));
        found.extend(lock::look(&path).map(|holder| {
            let wait = wait.as_secs();
            let what = format!(
                "another replicator writes it: {holder}; a run waits {wait} s for it, and then ends"
            );
            Finding::warning("destination.in_use", what).mend(Mend::hand(
                "end that process, leave it to it, or give this one a destination of its own",
            ))
        }));
        Ok((Self { path, db }, found))
    }

    pub(in crate::destination) fn position(&mut self, slot: &str) -> Result<Option<PositionRow>> {
        Writer::new(&self.db).position(slot)
    }

    pub(in crate::destination) fn tables(&mut self, slot: &str) -> Result<Vec<TableRow>> {
        Writer::new(&self.db).tables(slot)
    }

    pub(in crate::destination) fn examine(
        &mut self,
        table: &Table,
        existing: Existing,
    ) -> Result<Fate> {
        let is_there = ledger::exists(&self.db)?;
        Writer::new(&self.db).examine(table, existing, is_there)
    }

    pub(in crate::destination) fn fits_still(&mut self, table: &Table) -> Result<()> {
        let writer = Writer::new(&self.db);
        if writer.object(&table.destination)?.as_deref() != Some("table") {
            let name = &table.destination;
            return Err(
                Error::person(format!("the destination's table {name:?} is gone"))
                    .with_hint("restore it, or drop the slot and copy everything again"),
            );
        }
        super::existing::check(&self.db, table)
    }

    pub(in crate::destination) fn survey(&mut self) -> Vec<Finding> {
        let encoding = self
            .db
            .pragma_query_value(None, "encoding", |row| row.get::<_, String>(0));
        let remote = statfs(self.folder())
            .is_ok_and(|it| REMOTE.contains(&u64::try_from(it.f_type).unwrap_or(0)));
        vec![
            Finding::ok(
                "destination.version",
                format!(
                    "SQLite {}, which is part of this program",
                    rusqlite::version()
                ),
            ),
            if remote {
                let what = "it lies on a file system of another machine, where SQLite's WAL mode does not work";
                Finding::wrong("destination.durability", what)
                    .mend(Mend::option("--destination with a path on a local disk"))
            } else {
                let what = "a run sets WAL mode and synchronous=FULL: what is reported as committed is on the disk";
                Finding::ok("destination.durability", what)
            },
            match encoding {
                Ok(encoding) => Finding::ok(
                    "destination.encoding",
                    format!("{encoding}, which holds every character"),
                ),
                Err(error) => Finding::unknown("destination.encoding", error.to_string()),
            },
            Finding::ok(
                "destination.time_zone",
                "there is none: times are the source's text, those with a time zone in UTC",
            ),
            Finding::ok(
                "destination.isolation",
                "serializable: there is one writer, and readers see whole batches",
            ),
        ]
    }

    /// Bytes that are free on its file system for whoever runs this.
    pub(in crate::destination) fn room(&self) -> Option<u64> {
        let it = rustix::fs::statvfs(self.folder()).ok()?;
        it.f_bavail.checked_mul(it.f_frsize)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }
}

/// Opens a file so that SQLite leaves it, and what is beside it, as it is.
fn read_only(path: &Path) -> Result<Connection> {
    let shown = path.display();
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    // Without a log nobody is writing, and nothing has to be made to read it; SQLite would make one, and leave it.
    let quiet = !Path::new(&beside).exists();
    let uri = format!(
        "file:{}{}",
        escaped(path),
        if quiet { "?immutable=1" } else { "" }
    );
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| failure(format!("could not open {shown}"), error);
    let db = Connection::open_with_flags(uri, flags).map_err(failed)?;
    db.busy_timeout(Duration::from_secs(1)).map_err(failed)?;
    // The first statement that reads the file tells whether it is a database.
    let count = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
        row.get::<_, i64>(0)
    });
    count.map_err(failed)?;
    Ok(db)
}

/// A path in a URI.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|&byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// The file, and the folder in which its log and its lock are made.
fn writable(path: &Path, is_there: bool) -> Finding {
    const ID: &str = "destination.writable";
    let folder = path.parent().unwrap_or(path);
    let may = |path: &Path, rights: Access| access(path, rights).is_ok();
    if !may(folder, Access::WRITE_OK | Access::EXEC_OK) {
        let what = format!(
            "no file can be made in {}, and SQLite makes some beside the database",
            folder.display()
        );
        return Finding::wrong(ID, what).mend(Mend::shell(format!("chmod u+rwx {}", word(folder))));
    }
    if is_there && !may(path, Access::WRITE_OK | Access::READ_OK) {
        let what = format!("{} must not be written", path.display());
        return Finding::wrong(ID, what).mend(Mend::shell(format!("chmod u+rw {}", word(path))));
    }
    // Rights do not tell of a file system that is mounted to be read.
    if is_there && let Err(error) = OpenOptions::new().append(true).open(path) {
        return Finding::wrong(ID, format!("{} cannot be written: {error}", path.display()));
    }
    Finding::ok(ID, "the file and what lies beside it can be written")
}

/// A path as a shell takes it.
fn word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
