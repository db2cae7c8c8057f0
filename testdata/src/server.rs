//! A throwaway PostgreSQL server: its own data, port and socket, gone with the test however that ends.

mod builder;
mod standby;

pub use builder::Builder;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::folder::fresh_folder;
use crate::install::Installation;
use crate::port::Port;
use crate::process::{children, is_alive, signal};
use crate::url::percent_encoded;
use crate::watchdog::Watchdog;
use crate::{Client, Version, cluster};

/// Long enough for crash recovery on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// What every server starts with; a test's own settings come after these and win.
const SETTINGS: &[(&str, &str)] = &[
    ("wal_level", "logical"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
    ("max_wal_senders", "20"),
    ("max_replication_slots", "20"),
    ("max_prepared_transactions", "10"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] %q%a "),
    ("cluster_name", "testdata"),
];

/// A running (or stopped) server of one test.
///
/// Dropping it stops the server and deletes its data. So does the end of the test process, even by SIGKILL
/// and also for servers in a `static`: a watchdog process sees to it.
#[derive(Debug)]
pub struct Server {
    version: Version,
    installation: Installation,
    folder: PathBuf,
    port: Port,
    /// Unix sockets beside the one in `folder`.
    sockets: Vec<String>,
    running: Option<Child>,
    watchdog: Watchdog,
}

impl Server {
    /// Starts a server of this version with the usual settings.
    ///
    /// # Panics
    ///
    /// If there is no such server on this machine, with the command that fetches it.
    pub fn start(version: Version) -> Self {
        Self::builder(version).start()
    }

    /// A server of this version, to be given settings.
    pub fn builder(version: Version) -> Builder {
        Self::of(Installation::of(version))
    }

    /// A server of the distribution's own package, the only one that speaks other languages: see [`Builder::locale`].
    pub fn distribution() -> Builder {
        Self::of(Installation::of_distribution())
    }

    fn of(installation: Installation) -> Builder {
        Builder::new(installation)
    }

    fn new(builder: Builder) -> Self {
        let mut server = Self::without_data(builder.installation, builder.on_disk);
        server.sockets = builder.sockets;
        cluster::create(&server.installation, &builder.locale, &server.data());
        for (name, value) in SETTINGS {
            server.set(name, value);
        }
        for line in builder.allowed.iter().rev() {
            server.allow(line);
        }
        for (name, value) in &builder.settings {
            server.set(name, value);
        }
        for (name, from) in &builder.files {
            server.file(name, from);
        }
        server.start_first();
        server
    }

    /// A folder, a port and a watchdog for a server whose data directory is still to be made.
    fn without_data(installation: Installation, on_disk: bool) -> Self {
        let folder = fresh_folder(on_disk);
        cluster::folder(&folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let watchdog = Watchdog::over(&folder);
        Self {
            version: installation.version,
            port: Port::reserve(),
            installation,
            folder,
            sockets: Vec::new(),
            running: None,
            watchdog,
        }
    }

    fn start_first(&mut self) {
        while let Err(reason) = self.launch() {
            // Another program may have taken the port between our look and the server's.
            assert!(!self.port.is_free(), "{reason}");
            self.port = Port::reserve();
        }
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The TCP port, on 127.0.0.1; it stays the same when the server is started again.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// The folder of the Unix socket, as `host` in a connection string.
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// The path of the Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port.number))
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A connection URL over TCP for the superuser `postgres`.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{}",
            self.port.number,
            percent_encoded(database)
        )
    }

    /// A connection URL over the Unix socket for the superuser `postgres`.
    pub fn socket_url(&self, database: &str) -> String {
        format!(
            "postgres:///{}?host={}&port={}&user=postgres",
            percent_encoded(database),
            percent_encoded(&self.folder.to_string_lossy()),
            self.port.number
        )
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Writes a configuration parameter; it counts from the next start or [`reload`](Self::reload).
    pub fn set(&self, name: &str, value: impl ToString) {
        let value = value.to_string().replace('\'', "''");
        let line = format!("{name} = '{value}'\n");
        self.append("postgresql.conf", &line);
    }

    /// Puts a line in front of pg_hba.conf; it counts from the next start or [`reload`](Self::reload).
    pub fn allow(&self, line: &str) {
        let path = self.data().join("pg_hba.conf");
        let rest = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, format!("{line}\n{rest}"))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// Copies a file into the data folder, where only the server's user can read it.
    pub fn file(&self, name: &str, from: &Path) {
        let path = self.data().join(name);
        fs::read(from)
            .and_then(|bytes| cluster::file(&path, &bytes))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// Makes the running server read its configuration again. It does so soon, not before this returns.
    pub fn reload(&self) {
        self.signal("HUP");
    }

    /// Stops the server as `pg_ctl stop` does: WAL senders first send what is left and wait for their receivers.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    /// Stops the server without a checkpoint: the next start recovers from WAL.
    pub fn stop_immediate(&mut self) {
        self.end("QUIT");
    }

    /// Kills the postmaster with SIGKILL. Its other processes notice and leave; one that does not is killed too.
    pub fn kill(&mut self) {
        let mut processes = children(self.process_id());
        self.end("KILL");
        // They hold the shared memory without which the server cannot start again. Seen on 14: one
        // that is just starting up never notices.
        let patience = Instant::now() + Duration::from_secs(1);
        while !processes.is_empty() {
            processes.retain(|&process| is_alive(process));
            if Instant::now() > patience {
                for &process in &processes {
                    signal("KILL", process);
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts a stopped or killed server on the same data, port and socket.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server is running");
        // Processes that a killed server was just starting hold its memory for a moment.
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(reason) = self.launch() {
            assert!(Instant::now() < deadline, "{reason}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the server as [`stop`](Self::stop) does and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Whether the server has been started and not stopped since.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The process id of the postmaster.
    ///
    /// # Panics
    ///
    /// If the server is stopped.
    pub fn process_id(&self) -> u32 {
        self.running
            .as_ref()
            .map(Child::id)
            .expect("the server is stopped")
    }

    /// Sends a signal by name, such as `HUP`, to the postmaster.
    pub fn signal(&self, name: &str) {
        signal(name, self.process_id());
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn append(&self, file: &str, text: &str) {
        let path = self.data().join(file);
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    fn end(&mut self, name: &str) {
        let mut child = self.running.take().expect("the server is stopped");
        signal(name, child.id());
        let deadline = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                signal("QUIT", child.id());
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
        let own = self.folder.to_string_lossy();
        let sockets: Vec<_> = [&*own]
            .into_iter()
            .chain(self.sockets.iter().map(|place| &**place))
            .collect();
        let child = cluster::command(self.installation.program("postgres"))
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(sockets.join(","))
            .args(["-h", "127.0.0.1", "-p"])
            .arg(self.port.number.to_string())
            .current_dir(&self.folder)
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run {}: {error}", self.installation.folder.display())
            });
        self.watchdog.guards(child.id());
        let child = self.running.insert(child);
        let deadline = Instant::now() + PATIENCE;
        let pid_file = self.folder.join("data/postmaster.pid");
        loop {
            // Line 1 is the process id, line 8 the state: what pg_ctl waits for.
            let text = fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = text.lines();
            let ours = lines.next() == Some(&child.id().to_string());
            if ours && lines.nth(6).map(str::trim) == Some("ready") {
                break;
            }
            if !matches!(child.try_wait(), Ok(None)) {
                self.running = None;
                self.watchdog.guards(0);
                let log = self.log();
                return Err(format!(
                    "PostgreSQL {} does not start:\n{}",
                    self.installation.name,
                    log.get(log_before..).unwrap_or(&log)
                ));
            }
            if Instant::now() > deadline {
                panic!(
                    "PostgreSQL {} is not ready:\n{}",
                    self.installation.name,
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.assert_version();
        Ok(())
    }

    fn assert_version(&self) {
        let number = self.version_number();
        assert_eq!(
            number / 10_000,
            self.version.major(),
            "the server in {} says server_version_num {number}",
            self.installation.folder.display()
        );
    }

    /// `server_version_num`, asked of the server itself.
    pub fn version_number(&self) -> u32 {
        let number = Client::connect(self, "postgres")
            .and_then(|mut client| client.value("SHOW server_version_num"));
        match number {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("server_version_num is '{text}'")),
            Err(error) => panic!("the new server does not answer: {error}\n{}", self.log()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            signal("QUIT", child.id());
            let _ = child.wait();
            self.watchdog.guards(0);
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!(
                "log of the PostgreSQL {} server of this test, last lines:",
                self.version
            );
            for line in &lines[lines.len().saturating_sub(30)..] {
                eprintln!("  {line}");
            }
        }
        self.watchdog.ends();
    }
}
