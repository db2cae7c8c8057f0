//! Data directories: made once by initdb and then copied, which takes a quarter of the time.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::install::{self, Installation};
use crate::port::random;

/// Makes a cluster in `data`, whose parent exists and belongs to the servers' user.
pub(crate) fn create(installation: &Installation, locale: &str, data: &Path) {
    match template(installation, locale).and_then(|template| copy(&template, data)) {
        Ok(()) => {}
        // A cache that cannot be written or read costs time, nothing else.
        Err(_) => {
            let _ = fs::remove_dir_all(data);
            initdb(installation, locale, data);
        }
    }
}

/// A command that runs as the servers' user, with nothing of our environment.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null());
    if let Some((user, group)) = install::server_user() {
        command.uid(user).gid(group);
    }
    command
}

/// A folder that the servers' user owns and everybody can look into.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    if let Some((user, group)) = install::server_user() {
        chown(path, Some(user), Some(group))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A file that the servers' user owns and nobody else can read.
pub(crate) fn file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    if let Some((user, group)) = install::server_user() {
        chown(path, Some(user), Some(group))?;
    }
    Ok(())
}

fn initdb(installation: &Installation, locale: &str, data: &Path) {
    let output = command(installation.program("initdb"))
        .arg("--pgdata")
        .arg(data)
        .args(["--no-sync", "--auth=trust", "--username=postgres"])
        .arg("--encoding=UTF8")
        .arg(format!("--locale={locale}"))
        .current_dir(data.parent().unwrap_or_else(|| Path::new("/")))
        .output()
        .unwrap_or_else(|error| panic!("cannot run initdb of {}: {error}", installation.name));
    assert!(
        output.status.success(),
        "initdb of {} failed:\n{}{}",
        installation.name,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// A cluster to copy, made now if this is the first test that wants one like it.
fn template(installation: &Installation, locale: &str) -> io::Result<PathBuf> {
    // The folder that the server was found in changes with its version.
    let source = installation.folder.to_string_lossy().replace('/', "_");
    cached(&format!("{source}-{locale}"), |data| {
        initdb(installation, locale, data);
    })
}

/// A data directory of this name in the cache, made now if this is the first test that wants it.
pub(crate) fn cached(name: &str, make: impl FnOnce(&Path)) -> io::Result<PathBuf> {
    let caches = install::caches();
    let cache = caches.first().ok_or(io::ErrorKind::NotFound)?;
    // Its owner changes with the user.
    let name = format!("{name}-{}", install::own_user());
    let template = cache.join("templates").join(&name);
    if template.exists() {
        return Ok(template);
    }
    let work = cache.join("templates").join(format!(".{:x}", random()));
    folder(&work)?;
    make(&work.join("data"));
    let renamed = fs::rename(work.join("data"), &template);
    fs::remove_dir_all(&work)?;
    // Losing the race to another test is fine.
    if template.exists() {
        Ok(template)
    } else {
        renamed.map(|()| template)
    }
}

fn copy(template: &Path, data: &Path) -> io::Result<()> {
    duplicate(template, data)?;
    identify(data)
}

/// Copies a data directory as it is, system identifier included; no server may be running on it.
pub(crate) fn duplicate(from: &Path, data: &Path) -> io::Result<()> {
    let status = command("/bin/cp")
        // Most of the WAL is zeros.
        .args(["-a", "--sparse=always"])
        .arg(from)
        .arg(data)
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(io::ErrorKind::Other.into());
    }
    Ok(())
}

/// Gives a copied cluster a system identifier of its own, as separate calls of initdb would.
fn identify(data: &Path) -> io::Result<()> {
    let mut identifier = random().to_be_bytes();
    let path = data.join("global/pg_control");
    let mut control = fs::read(&path)?;
    let unknown = || io::Error::other("unknown layout of pg_control");
    // pg_control begins with the identifier; keep its upper half, the time of initdb.
    identifier[4..].copy_from_slice(control.get(4..8).ok_or_else(unknown)?);
    // Its checksum covers everything before itself, and stands at a different place in each version.
    let end = (200..400)
        .find(|&end| control.get(end..end + 4) == Some(&crc32c(&control[..end])))
        .ok_or_else(unknown)?;
    control[..8].copy_from_slice(&identifier);
    let checksum = crc32c(&control[..end]);
    control[end..end + 4].copy_from_slice(&checksum);
    for entry in fs::read_dir(data.join("pg_wal"))? {
        let path = entry?.path();
        if path.is_file() {
            // The long header of a segment's first page: 24 bytes of page header, then the identifier.
            let segment = OpenOptions::new().write(true).open(&path)?;
            segment.write_all_at(&identifier, 24)?;
        }
    }
    fs::write(&path, control)
}

#[expect(clippy::host_endian_bytes, reason = "pg_control is in host order")]
fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).to_ne_bytes()
}
