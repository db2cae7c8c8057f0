//! The user that runs the throwaway server: ourselves, or somebody harmless when we are root.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// Who runs the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct User(Option<Account>);

#[derive(Clone, Copy, Debug)]
struct Account {
    name: &'static str,
    uid: u32,
    gid: u32,
}

impl User {
    /// PostgreSQL refuses to be run by root, so root hands it to `postgres` or `nobody`.
    pub(super) fn of_servers() -> Result<Self> {
        if !fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            return Ok(Self(None));
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"].iter().find_map(|name| account(&users, name)).map(|account| Self(Some(account))).ok_or_else(
            || {
                Error::usage("PostgreSQL does not run as root, and there is no user postgres or nobody to run it")
                    .with_hint("start the demo as another user")
            },
        )
    }

    /// A command that this user runs, with nothing of our environment.
    pub(super) fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        // Out of the terminal's reach: Ctrl-C is for us to hear, who end the server in good order.
        command.process_group(0);
        if let Some(Account { uid, gid, .. }) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives the user a file or folder of ours.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        match self.0 {
            Some(Account { uid, gid, .. }) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("yourself", |account| account.name))
    }
}

fn account(users: &str, name: &'static str) -> Option<Account> {
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Account {
        name,
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:a,,:/var:/bin/sh\n";
        let account = account(users, "postgres").unwrap();
        assert_eq!((account.uid, account.gid), (101, 104));
        assert!(super::account(users, "nobody").is_none());
    }
}
