//! A throwaway MariaDB server: its own data and port, gone with the test however that ends.

mod builder;
mod client;

pub use builder::MariaDbBuilder;
pub use client::MariaDbClient;

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::folder::fresh_folder;
use crate::install;
use crate::port::Port;
use crate::process::signal;
use crate::url::percent_encoded;
use crate::watchdog::Watchdog;
use crate::{ClientError, cluster};

/// Long enough for crash recovery on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// As large as a value of 100 MB needs: at 96 MB such a value runs over the log's own beginning, and the server says
/// that a crash now would be its end. Mostly a hole in the file until it is written.
const LOG_SIZE: &str = "512M";

/// What every server starts with; a test's own settings come after these and win.
///
/// Character sets are left to the server, whose choice is latin1: who writes to it must say what is meant.
const SETTINGS: &[(&str, &str)] = &[
    ("innodb_flush_log_at_trx_commit", "1"),
    ("innodb_log_file_size", LOG_SIZE),
    ("innodb_buffer_pool_size", "64M"),
    ("innodb_buffer_pool_dump_at_shutdown", "0"),
    ("innodb_buffer_pool_load_at_startup", "0"),
    ("key_buffer_size", "64K"),
    ("aria_pagecache_buffer_size", "1M"),
    ("performance_schema", "0"),
    ("open_files_limit", "4000"),
    ("table_open_cache", "400"),
    ("max_connections", "200"),
    ("max_allowed_packet", "1G"),
    ("local_infile", "1"),
    // Who comes from 127.0.0.1 is root@127.0.0.1.
    ("skip_name_resolve", "1"),
    ("default_time_zone", "+00:00"),
];

/// A running (or stopped) server of one test.
///
/// Dropping it stops the server and deletes its data. So does the end of the test process, even by SIGKILL
/// and also for servers in a `static`: a watchdog process sees to it.
#[derive(Debug)]
pub struct MariaDb {
    folder: PathBuf,
    port: Port,
    settings: Vec<(String, String)>,
    running: Option<Child>,
    watchdog: Watchdog,
}

impl MariaDb {
    /// Starts a server with the usual settings.
    ///
    /// # Panics
    ///
    /// If there is no such server on this machine, with the command that fetches it.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A server to be given settings.
    pub fn builder() -> MariaDbBuilder {
        MariaDbBuilder::default()
    }

    fn new(builder: MariaDbBuilder) -> Self {
        let folder = fresh_folder(builder.on_disk);
        cluster::folder(&folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let mut server = Self {
            watchdog: Watchdog::over(&folder),
            port: Port::reserve(),
            settings: Vec::new(),
            running: None,
            folder,
        };
        create(&server.data());
        cluster::folder(&server.temporary())
            .unwrap_or_else(|error| panic!("cannot make a folder for temporary tables: {error}"));
        for (name, value) in SETTINGS {
            server.set(name, value);
        }
        for (name, from) in &builder.files {
            let path = server.folder.join(name);
            fs::read(from)
                .and_then(|bytes| cluster::file(&path, &bytes))
                .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        }
        server.settings.extend(builder.settings);
        while let Err(reason) = server.launch() {
            // Another program may have taken the port between our look and the server's.
            assert!(!server.port.is_free(), "{reason}");
            server.port = Port::reserve();
        }
        server
    }

    /// The TCP port, on 127.0.0.1; it stays the same when the server is started again.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// The path of the Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Its own, because a server that starts deletes the temporary tables of all others that share it.
    fn temporary(&self) -> PathBuf {
        self.folder.join("temporary")
    }

    /// A connection URL over TCP for the user `root`, who has no password.
    pub fn url(&self, database: &str) -> String {
        self.url_of("root", None, database)
    }

    /// A connection URL over TCP for another user.
    pub fn url_of(&self, user: &str, password: Option<&str>, database: &str) -> String {
        let password = password.map_or_else(String::new, |password| {
            format!(":{}", percent_encoded(password))
        });
        format!(
            "mysql://{}{password}@127.0.0.1:{}/{}",
            percent_encoded(user),
            self.port.number,
            percent_encoded(database)
        )
    }

    /// A session of the user `root`.
    pub fn connect(&self, database: &str) -> Result<MariaDbClient, ClientError> {
        MariaDbClient::connect(self.port(), "root", database)
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Sets an option of the server; it counts from the next start.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.settings.push((name.into(), value.to_string()));
    }

    /// Stops the server in good order.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    /// Starts a stopped or killed server on the same data and port.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server is running");
        self.launch().unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Stops the server in good order and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Whether the server has been started and not stopped since.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The process id of the server.
    ///
    /// # Panics
    ///
    /// If the server is stopped.
    pub fn process_id(&self) -> u32 {
        let running = self.running.as_ref();
        running.map(Child::id).expect("the server is stopped")
    }

    /// Sends a signal by name, such as `STOP`, to the server.
    pub fn signal(&self, name: &str) {
        signal(name, self.process_id());
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn end(&mut self, name: &str) {
        let mut child = self.running.take().expect("the server is stopped");
        signal(name, child.id());
        let deadline = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                signal("KILL", child.id());
                let _ = child.wait();
                panic!("the server did not stop:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.watchdog.guards(0);
    }

    /// One attempt to start; the error is what the server said before it gave up.
    fn launch(&mut self) -> Result<(), String> {
        let log_before = self.log().len();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err): (File, File) =
            log.unwrap_or_else(|error| panic!("cannot write the server's log: {error}"));
        let mut command = cluster::command(install::mariadb("mariadbd"));
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", self.temporary().display()))
            .arg(format!("--socket={}", self.socket().display()))
            // Where testdata/install looks for servers that were left behind.
            .arg(format!("--pid-file={}/mariadb.pid", self.data().display()))
            .arg(format!("--port={}", self.port.number))
            .arg("--bind-address=127.0.0.1");
        for (name, value) in &self.settings {
            command.arg(format!("--{name}={value}"));
        }
        let child = command
            .current_dir(&self.folder)
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run mariadbd: {error}"));
        self.watchdog.guards(child.id());
        let child = self.running.insert(child);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if !matches!(child.try_wait(), Ok(None)) {
                self.running = None;
                self.watchdog.guards(0);
                let log = self.log();
                return Err(format!(
                    "MariaDB does not start:\n{}",
                    log.get(log_before..).unwrap_or(&log)
                ));
            }
            if MariaDbClient::connect(self.port.number, "root", "").is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                panic!("MariaDB is not ready:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // Its data are deleted next, so nothing need be put in order.
            signal("KILL", child.id());
            let _ = child.wait();
            self.watchdog.guards(0);
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("log of the MariaDB server of this test, last lines:");
            for line in &lines[lines.len().saturating_sub(30)..] {
                eprintln!("  {line}");
            }
        }
        self.watchdog.ends();
    }
}

/// Makes a data directory, whose parent exists and belongs to the servers' user.
fn create(data: &Path) {
    // A cache that cannot be written or read costs time, nothing else.
    let copied = template().and_then(|template| cluster::duplicate(&template, data));
    if copied.is_err() {
        let _ = fs::remove_dir_all(data);
        install_db(data);
    }
}

/// A data directory to copy, made now if this is the first test that wants one.
fn template() -> std::io::Result<PathBuf> {
    let program = install::mariadb("mariadbd");
    // Another server is another file; its log's size is that of the settings above.
    let made = fs::metadata(&program)?.modified()?;
    let made = made.duration_since(std::time::UNIX_EPOCH);
    let made = made.map_or(0, |since| since.as_secs());
    cluster::cached(&format!("mariadb-{made}-{LOG_SIZE}"), install_db)
}

fn install_db(data: &Path) {
    let output = cluster::command(install::mariadb("mariadb-install-db"))
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()))
        .arg("--auth-root-authentication-method=normal")
        .arg("--skip-test-db")
        .arg(format!("--innodb-log-file-size={LOG_SIZE}"))
        .current_dir(data.parent().unwrap_or_else(|| Path::new("/")))
        .output()
        .unwrap_or_else(|error| panic!("cannot run mariadb-install-db: {error}"));
    assert!(
        output.status.success(),
        "mariadb-install-db failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
