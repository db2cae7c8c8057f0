//! A throwaway PostgreSQL: its own folder, reached by a Unix socket only, gone when the demo is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::find::Installation;
use super::user::User;
use crate::error::{Error, Result};

/// Longer than a start takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server runs with.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("wal_level", "logical"),
    ("max_wal_senders", "4"),
    ("max_replication_slots", "4"),
    ("shared_buffers", "64MB"),
    // A throwaway cluster outlives nothing, so it need not wait for the disk. A real source keeps these on.
    ("fsync", "off"),
    ("full_page_writes", "off"),
    // The smallest there is: a transaction of more than a few hundred rows is sent before it commits.
    ("logical_decoding_work_mem", "64kB"),
    ("cluster_name", "replicator-demo"),
];

/// Runs beside the server, as its user. Standard input is a pipe from us that ends when we do, however that happens;
/// its last line is the number of the server's process. Then the server ends, and its folder goes.
const KEEPER: &str = r#"
server=0
while read -r line; do server=$line; done
if [ "$server" != 0 ]; then
    kill -QUIT "$server"
    tries=0
    while kill -0 "$server" && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -KILL "$server"
fi
rm -rf "$0"
"#;

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    folder: TempDir,
    keeper: Child,
    // `None` once the keeper is to do its work.
    leash: Option<ChildStdin>,
    process: Option<Child>,
}

impl Server {
    /// Makes a cluster, starts it, and returns when it takes connections.
    pub(super) fn start(installation: &Installation, user: User) -> Result<Self> {
        let mut server = Self::folder_and_keeper(user).map_err(|error| {
            Error::retry("cannot make a folder for the PostgreSQL server; TMPDIR chooses where")
                .caused_by(error)
        })?;
        let data = server.folder().join("data");
        initdb(installation, user, &data)?;
        let log = server.folder().join("server.log");
        server
            .launch(installation, user, &data, &log)
            .map_err(|error| {
                let program = installation.programs.join("postgres");
                Error::retry(format!("cannot start {}", program.display())).caused_by(error)
            })?;
        server.wait_until_ready(&data, &log)?;
        Ok(server)
    }

    fn folder_and_keeper(user: User) -> io::Result<Self> {
        // A socket's path may have about a hundred bytes, so a long TMPDIR is passed over.
        const LONGEST: usize = 60;
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().len() > LONGEST {
            parent = PathBuf::from("/tmp");
        }
        let folder = tempfile::Builder::new()
            .prefix("replicator-demo-")
            .tempdir_in(parent)?;
        user.own(folder.path())?;
        let mut command = user.command("/bin/sh");
        command
            .args(["-c", KEEPER])
            .arg(folder.path())
            .current_dir("/");
        let mut keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            folder,
            leash: keeper.stdin.take(),
            keeper,
            process: None,
        })
    }

    fn launch(
        &mut self,
        installation: &Installation,
        user: User,
        data: &Path,
        log: &Path,
    ) -> io::Result<()> {
        let mut command = user.command(installation.programs.join("postgres"));
        command
            .arg("-D")
            .arg(data)
            .arg("-k")
            .arg(self.folder())
            .current_dir(self.folder());
        for (name, value) in SETTINGS {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = File::create(log)?;
        let process = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let number = process.id();
        self.process = Some(process);
        self.tell(number)
    }

    fn tell(&mut self, process: u32) -> io::Result<()> {
        self.leash
            .as_mut()
            .map_or(Ok(()), |leash| writeln!(leash, "{process}"))
    }

    fn wait_until_ready(&mut self, data: &Path, log: &Path) -> Result<()> {
        let start = Instant::now();
        loop {
            // The last line of this file is the server's state.
            let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            if state
                .lines()
                .last()
                .is_some_and(|line| line.trim() == "ready")
            {
                return Ok(());
            }
            let ended = self
                .process
                .as_mut()
                .is_none_or(|process| !matches!(process.try_wait(), Ok(None)));
            if ended {
                // The number may be somebody else's soon.
                let _ = self.tell(0);
            }
            if ended || start.elapsed() > PATIENCE {
                let why = if ended {
                    "ended at once"
                } else {
                    "is not ready after a minute"
                };
                return Err(
                    Error::retry(format!("the throwaway PostgreSQL server {why}"))
                        .caused_by(end_of(log)),
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How to connect to one of its databases.
    pub(super) fn url(&self, database: &str) -> String {
        let folder = self
            .folder()
            .to_string_lossy()
            .replace('\\', "\\\\")
            .replace('\'', "\\'");
        format!("host='{folder}' port=5432 user=postgres dbname={database}")
    }

    /// What is put here is removed with the server.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.leash.take());
        // The keeper looks whether the process is still there, and it is until we have taken note of its end.
        if let Some(process) = &mut self.process {
            let _ = process.wait();
        }
        let _ = self.keeper.wait();
    }
}

fn initdb(installation: &Installation, user: User, data: &Path) -> Result<()> {
    let program = installation.programs.join("initdb");
    let output = user
        .command(&program)
        .arg("-D")
        .arg(data)
        .args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--no-locale",
        ])
        .current_dir("/")
        .output();
    let error = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', "; "),
        Err(error) => error.to_string(),
    };
    Err(
        Error::retry(format!("{} could not make a cluster", program.display()))
            .with_hint("--postgres FOLDER uses another server")
            .caused_by(error),
    )
}

fn end_of(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}
