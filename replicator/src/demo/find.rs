//! Finds a PostgreSQL server on this machine that a throwaway cluster can be made with.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::user::User;
use crate::error::{Error, Result};

/// The oldest server that the replicator is tested with.
const OLDEST: u32 = 14;

/// Where packages put servers; a `*` stands for any one name.
const USUAL: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/libexec/postgresql*",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql*/bin",
    "/opt/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Library/PostgreSQL/*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// A server that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Installation {
    /// The folder of its programs.
    pub(super) programs: PathBuf,
    /// As it says itself, such as `18.4`.
    pub(super) version: String,
    major: u32,
    minor: u32,
}

/// The server in the folder `given`, or the newest one in the usual places.
pub(super) fn find(given: Option<&Path>, user: User) -> Result<Installation> {
    match given {
        Some(folder) => from_folder(folder, user),
        None => newest(usual(), user),
    }
}

fn from_folder(folder: &Path, user: User) -> Result<Installation> {
    // Both are what people have at hand: the prefix and the folder of its programs.
    let folders = [folder.join("bin"), folder.to_path_buf()];
    let Some(programs) = folders.iter().find(|folder| is_complete(folder)) else {
        return Err(Error::usage(format!(
            "there is no PostgreSQL server in {}",
            folder.display()
        ))
        .with_hint("--postgres takes the folder that holds the programs initdb and postgres"));
    };
    let found = inspect(programs, user).map_err(|reason| {
        Error::usage(format!(
            "the PostgreSQL server in {} cannot be used: {reason}",
            programs.display()
        ))
    })?;
    Ok(found)
}

fn newest(folders: Vec<PathBuf>, user: User) -> Result<Installation> {
    let mut found = Vec::new();
    let mut refused = Vec::new();
    for folder in folders.iter().filter(|folder| is_complete(folder)) {
        match inspect(folder, user) {
            Ok(installation) => found.push(installation),
            Err(reason) => refused.push(format!("{} ({reason})", folder.display())),
        }
    }
    // Of equal ones the first found: PATH is asked before everything else.
    found.sort_by_key(|installation| Reverse((installation.major, installation.minor)));
    found.into_iter().next().ok_or_else(|| {
        let but = if refused.is_empty() {
            String::new()
        } else {
            format!(" but {}", refused.join(", "))
        };
        Error::usage(format!(
            "found no PostgreSQL server (14 or newer) on this machine{but}"
        ))
        .with_hint(
            "start the demo as replicator/demo, which fetches one; or: apt-get install postgresql; \
             or say where it is with --postgres FOLDER",
        )
    })
}

fn is_complete(programs: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|name| programs.join(name).is_file())
}

/// Asks the server itself, as the user that will run it: root may see folders which that user cannot.
fn inspect(programs: &Path, user: User) -> Result<Installation, String> {
    let output = user
        .command(programs.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| format!("it does not start as user {user}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some((version, major, minor)) = version(&text) else {
        let error = String::from_utf8_lossy(&output.stderr);
        let said = if text.trim().is_empty() { error } else { text };
        return Err(format!(
            "it does not tell its version: {}",
            said.lines().next().unwrap_or("nothing said")
        ));
    };
    if major < OLDEST {
        return Err(format!("it is version {version}"));
    }
    Ok(Installation {
        programs: programs.to_path_buf(),
        version: version.to_owned(),
        major,
        minor,
    })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `postgres (PostgreSQL) 19beta1`.
fn version(text: &str) -> Option<(&str, u32, u32)> {
    let version = text.split_whitespace().nth(2)?;
    let number = |text: &str| {
        let end = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        text[..end].parse().ok()
    };
    let minor = version
        .split_once('.')
        .and_then(|(_, minor)| number(minor))
        .unwrap_or(0);
    Some((version, number(version)?, minor))
}

/// Folders that may hold a server: PATH, then where packages put them, then where `testdata/install` and
/// `replicator/demo` put them.
fn usual() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect();
    for pattern in USUAL {
        folders.extend(matching(Path::new(pattern)));
    }
    for cache in caches() {
        folders.extend(matching(&cache.join("servers/*/bin")));
    }
    folders
}

/// The rule is at the top of `testdata/install`.
fn caches() -> Vec<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(cache) = set("TESTDATA_CACHE") {
        return vec![cache];
    }
    let own = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let own = own.map(|folder| folder.join("replicator-testdata"));
    own.into_iter()
        .chain([PathBuf::from("/var/cache/replicator-testdata")])
        .collect()
}

/// The folders that a pattern means, in order of their names.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::new()];
    for part in pattern {
        folders = match part.to_str().and_then(|part| part.split_once('*')) {
            None => folders
                .into_iter()
                .map(|folder| folder.join(part))
                .collect(),
            Some((begin, end)) => {
                let fits = |name: &OsStr| {
                    let name = name.as_encoded_bytes();
                    name.len() >= begin.len() + end.len()
                        && name.starts_with(begin.as_bytes())
                        && name.ends_with(end.as_bytes())
                };
                let mut found: Vec<PathBuf> = folders
                    .iter()
                    .filter_map(|folder| fs::read_dir(folder).ok())
                    .flat_map(|entries| entries.flatten())
                    .filter(|entry| fits(&entry.file_name()))
                    .map(|entry| entry.path())
                    .collect();
                found.sort();
                found
            }
        };
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// One test at a time writes programs and starts them: what another test starts has them open as it does, and no
    /// program starts that somebody may write.
    fn alone() -> MutexGuard<'static, ()> {
        static ONE: Mutex<()> = Mutex::new(());
        ONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder that looks like a server and says that it is `version`.
    fn server(folder: &Path, version: &str) {
        fs::create_dir_all(folder).unwrap();
        for name in ["initdb", "postgres"] {
            let program = folder.join(name);
            fs::write(
                &program,
                format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"),
            )
            .unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        // For the user that runs the programs when the tests run as root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn versions_are_read_as_servers_print_them() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 18.6", Some(("18.6", 18, 6))),
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(("15.18", 15, 18)),
            ),
            ("postgres (PostgreSQL) 19beta1", Some(("19beta1", 19, 0))),
            ("postgres (PostgreSQL) 20devel", Some(("20devel", 20, 0))),
            ("postgres (EnterpriseDB) x", None),
            ("", None),
        ] {
            assert_eq!(version(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_newest_server_is_taken_and_an_old_one_never() {
        let _alone = alone();
        let root = folder();
        let user = User::of_servers().unwrap();
        for version in ["9.6", "14.2", "17.10", "17.9"] {
            server(&root.path().join(version).join("bin"), version);
        }
        let folders = matching(&root.path().join("*/bin"));
        assert_eq!(folders.len(), 4);
        assert_eq!(newest(folders, user).unwrap().version, "17.10");

        let old = root.path().join("9.6");
        let error = newest(vec![old.join("bin")], user).unwrap_err();
        assert!(
            error.to_string().ends_with("(it is version 9.6)"),
            "{error}"
        );
        let error = from_folder(&old, user).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("cannot be used: it is version 9.6"),
            "{error}"
        );
    }

    #[test]
    fn a_machine_without_a_server_is_told_how_to_get_one() {
        let error = newest(
            vec![folder().path().to_path_buf()],
            User::of_servers().unwrap(),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "found no PostgreSQL server (14 or newer) on this machine"
        );
        assert_eq!(error.exit_code(), 2);
        assert!(error.hint().unwrap().contains("replicator/demo"));
    }

    #[test]
    fn a_folder_is_meant_with_or_without_bin() {
        let _alone = alone();
        let root = folder();
        server(&root.path().join("bin"), "16.1");
        let user = User::of_servers().unwrap();
        let found = from_folder(root.path(), user).unwrap();
        assert_eq!(found.programs, root.path().join("bin"));
        assert_eq!(from_folder(&found.programs, user).unwrap(), found);
    }
}
