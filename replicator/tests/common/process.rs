//! The replicator as a process: started, watched, told to end, killed.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testdata::Server;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A source database, a destination file and the options between them.
#[derive(Debug)]
pub struct Job {
    folder: TempDir,
    source: String,
    /// Elsewhere than in the folder.
    destination: Option<String>,
    slot: String,
    options: Vec<String>,
}

/// A replicator at work. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

/// How a replicator ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code, if no signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote.
    pub log: String,
}

impl Job {
    /// From this database of the server into a file that is gone with the job.
    pub fn new(server: &Server, database: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            source: server.url(database),
            destination: None,
            slot: "replicator".into(),
            options: Vec::new(),
        }
    }

    /// Adds options of `run`.
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&it| it.to_owned()));
        self
    }

    /// Goes there instead.
    pub fn into(mut self, url: String) -> Self {
        self.destination = Some(url);
        self
    }

    /// Adds a parameter to the source's URL.
    pub fn source_parameter(mut self, parameter: &str) -> Self {
        self.source
            .push(if self.source.contains('?') { '&' } else { '?' });
        self.source.push_str(parameter);
        self
    }

    /// Uses a slot of another name.
    pub fn slot(mut self, name: &str) -> Self {
        self.slot = name.into();
        self
    }

    /// The source as a URL.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The slot's name.
    pub fn slot_name(&self) -> &str {
        &self.slot
    }

    /// The destination file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("destination.db")
    }

    /// A folder for what else a test needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The destination as a URL.
    pub fn destination(&self) -> String {
        let file = || format!("sqlite:{}", self.file().display());
        self.destination.clone().unwrap_or_else(file)
    }

    /// A connection to the destination file.
    pub fn sqlite(&self) -> rusqlite::Connection {
        let file = rusqlite::Connection::open(self.file()).unwrap();
        file.busy_timeout(Duration::from_secs(20)).unwrap();
        file
    }

    /// `replicator run` with our options and these.
    pub fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replicator"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REPLICATOR_") {
                command.env_remove(name);
            }
        }
        command
            .arg("run")
            .args(["--source", &self.source])
            .args(["--destination", &self.destination()])
            .args(["--slot", &self.slot])
            .args(&self.options)
            .args(more)
            .env("RUST_BACKTRACE", "1")
            .env("REPLICATOR_LOG", "info");
        command
    }

    /// Starts it.
    pub fn start(&self, more: &[&str]) -> Running {
        self.start_command(self.command(more))
    }

    /// Starts a command made by [`command`](Self::command).
    pub fn start_command(&self, mut command: Command) -> Running {
        let number = fs::read_dir(self.folder.path()).unwrap().count();
        let log = self.folder.path().join(format!("log-{number}"));
        let out = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Running { child, log }
    }

    /// Runs until everything that is committed now is at the destination.
    pub fn run_to_current(&self) -> String {
        let finished = self.run(&["--until", "current"]);
        assert_eq!(finished.code, Some(0), "{}", finished.log);
        finished.log
    }

    /// Runs to its end, whatever that is.
    pub fn run(&self, more: &[&str]) -> Finished {
        self.start(more).wait()
    }
}

impl Running {
    /// What it wrote so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether it has been stopped, as by `kill -STOP`, and not continued.
    pub fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        // Behind the program's name, which is in parentheses.
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it wrote `text`.
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended without {text:?}:\n{}", self.log());
            assert!(
                Instant::now() < deadline,
                "never said {text:?}:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end; `None` if it goes on.
    pub fn wait_until(&mut self, deadline: Instant) -> Option<Finished> {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(self.finished(status));
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Finished {
        match self.wait_until(Instant::now() + PATIENCE) {
            Some(finished) => finished,
            None => panic!("did not end in {PATIENCE:?}:\n{}", self.log()),
        }
    }

    /// Asks it to end, as a service manager does, and waits.
    pub fn terminate(self) -> Finished {
        self.signal("TERM");
        self.wait()
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Finished {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.finished(status)
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    fn finished(&self, status: ExitStatus) -> Finished {
        Finished {
            code: status.code(),
            signal: status.signal(),
            log: self.log(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
