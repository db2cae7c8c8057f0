//! The password file: `host:port:database:user:password`, one line for each, the first that fits counts.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::endpoint::{Endpoint, Host, SOCKET_FOLDERS};

/// The password for this server, database and user, if the file has one and may be used.
///
/// A file that is not there is nothing to speak of; for any other that is not used the reason is logged, as libpq
/// prints it.
// fe-connect.c: passwordFromFile
pub(super) fn password(
    file: &Path,
    endpoint: &Endpoint,
    database: &str,
    user: &str,
) -> Option<String> {
    let unused = |reason: &dyn std::fmt::Display| {
        tracing::warn!("password file {} is not used: {reason}", file.display());
    };
    let text = match permitted(file) {
        Ok(Ok(())) => fs::read(file),
        Ok(Err(reason)) => {
            unused(&reason);
            return None;
        }
        Err(error) => Err(error),
    };
    let text = match text {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            unused(&error);
            return None;
        }
    };
    let port = endpoint.port.to_string();
    let found = text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut end = line;
        while let Some(rest) = end.strip_suffix(b"\r") {
            end = rest;
        }
        if end.starts_with(b"#") {
            return None;
        }
        names(endpoint).find_map(|host| {
            let rest = behind(end, host.as_bytes())?;
            let rest = behind(rest, port.as_bytes())?;
            let rest = behind(rest, database.as_bytes())?;
            behind(rest, user.as_bytes())
        })
    })?;
    String::from_utf8(unescaped(found))
        .inspect_err(|_| unused(&"the password in the line that fits is not UTF-8"))
        .ok()
        .filter(|password| !password.is_empty())
}

fn permitted(file: &Path) -> io::Result<Result<(), &'static str>> {
    let about = fs::metadata(file)?;
    if !about.is_file() {
        return Ok(Err("it is not a plain file"));
    }
    if about.mode() & 0o077 != 0 {
        return Ok(Err(
            "its permissions let others than its owner in, and should be u=rw (0600) or less",
        ));
    }
    Ok(Ok(()))
}

/// The names under which the file may know the server.
///
/// `localhost` is also the socket in the usual folder. libpq has one built in, and a file that was written for another
/// libpq may spell it out.
fn names(endpoint: &Endpoint) -> impl Iterator<Item = String> {
    let (name, usual) = match &endpoint.host {
        Host::Tcp(name) => (Some(name.clone()), false),
        Host::Unix(folder) => {
            let folder = folder.to_string_lossy().into_owned();
            let usual = SOCKET_FOLDERS.contains(&&*folder);
            (Some(folder), usual)
        }
        Host::Abstract(name) => (Some(format!("@{name}")), false),
        Host::Default => (None, true),
    };
    usual
        .then(|| "localhost".to_owned())
        .into_iter()
        .chain(name)
}

/// What stands behind the next field, if that is this text, or `*` for any.
///
/// A `:` of the text need not have its backslash, as libpq has it: `::1:5432:…` is that address.
// fe-connect.c: pwdfMatchesString
fn behind<'a>(line: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut rest = line;
    for expected in text {
        if let [b'\\', tail @ ..] = rest {
            rest = tail;
        }
        rest = rest.strip_prefix(&[*expected])?;
    }
    rest.strip_prefix(b":")
}

/// The last field: to the next `:` or the end, without its backslashes.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut password = Vec::new();
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b':' => break,
            b'\\' => password.push(bytes.next().copied().unwrap_or(byte)),
            _ => password.push(byte),
        }
    }
    password
}
