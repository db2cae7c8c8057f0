//! One writing process per file: a lock on `PATH-replicator.lock`, which says who holds it.
//!
//! The kernel gives the lock back however its holder ends. The file stays, because removing it would let two
//! processes lock two files of one name.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

/// Takes the lock of the database at `path`, waiting for another holder.
pub(super) async fn take(path: &Path, slot: &str, wait: Duration) -> Result<Lock> {
    const PAUSE: Duration = Duration::from_millis(100);

    let lock = beside(path);
    let failed = |error| {
        Error::usage(format!("could not use the lock file {}", lock.display())).caused_by(error)
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock)
        .map_err(failed)?;
    let start = Instant::now();
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let holder = holder(&mut file);
        if start.elapsed() >= wait {
            let path = path.display();
            return Err(Error::retry(format!(
                "{path} is being written by another replicator: {holder}"
            ))
            .with_hint("end that process, or give this one a destination of its own")
            .displaced());
        }
        if !std::mem::replace(&mut told, true) {
            let path = path.display();
            tracing::warn!(%path, holder, "waiting for another replicator to leave the destination");
        }
        tokio::time::sleep(PAUSE.min(wait)).await;
    }
    write_holder(&mut file, slot).map_err(failed)?;
    Ok(Lock(file))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-replicator.lock");
    name.into()
}

fn write_holder(file: &mut File, slot: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}, slot {slot}", crate::start::holder())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.take(200).read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), text) if !text.is_empty() => text.to_owned(),
        _ => "an unknown process".to_owned(),
    }
}

/// Who writes the database at `path`, if somebody does; the lock is not touched otherwise, and no file is made.
pub(super) fn look(path: &Path) -> Option<String> {
    let mut file = File::open(beside(path)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(&mut file)),
        _ => None,
    }
}
