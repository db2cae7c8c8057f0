//! The replicator as a process: what it says, how it ends, and what every end has to look like.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A process that is killed when the test is done with it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    said: File,
    failed: File,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        // Files, not pipes: nobody has to read for the process to go on.
        let file = || tempfile::tempfile().expect("a temporary file");
        let (said, failed) = (file(), file());
        let writer = |file: &File| Stdio::from(file.try_clone().expect("a second handle"));
        let child = command
            .stdin(Stdio::null())
            .stdout(writer(&said))
            .stderr(writer(&failed))
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self {
            child,
            said,
            failed,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        contents(&self.failed)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until `condition` holds; the process must go on meanwhile.
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(
                self.is_running(),
                "it ended before this happened: {what}\n{}",
                self.stderr()
            );
            assert!(
                Instant::now() < deadline,
                "waited in vain: {what}\n{}",
                self.stderr()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until it has written this to standard error; it must go on meanwhile.
    pub(crate) fn until_it_says(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.stderr().contains(text) {
            assert!(
                self.is_running() && Instant::now() < deadline,
                "it did not say {text:?}:\n{}",
                self.stderr()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end properly, and waits.
    pub(crate) fn terminate(self) -> Outcome {
        self.signal("TERM");
        self.wait(PATIENCE)
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = ["-c", r#"kill -"$0" "$1""#, name];
        let sent = Command::new("/bin/sh")
            .args(kill)
            .arg(self.id().to_string())
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "no signal {name} for the replicator"
        );
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> Outcome {
        self.child.kill().expect("a process to kill");
        self.wait(PATIENCE)
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self, patience: Duration) -> Outcome {
        let deadline = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.stderr()
            );
            thread::sleep(Duration::from_millis(10));
        };
        let outcome = Outcome {
            code: status.code(),
            stdout: contents(&self.said),
            stderr: contents(&self.failed),
        };
        assert!(
            !outcome.stderr.contains("panicked"),
            "it panicked:\n{}",
            outcome.stderr
        );
        outcome
    }

    /// A line of `/proc/PID/status` that counts kilobytes, such as `VmHWM`, the largest resident size so far.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("its status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in\n{status}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            if thread::panicking() {
                eprintln!("the replicator said:\n{}", self.stderr());
            }
        }
    }
}

impl Outcome {
    /// It ended as it should, without an error.
    pub(crate) fn done(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        assert_eq!(self.lines("error:").len(), 0, "{}", self.stderr);
        self
    }

    /// Asserts that one line of the log has all of these.
    #[track_caller]
    pub(crate) fn logged(&self, words: &[&str]) -> &Self {
        let mut lines = self.stderr.lines();
        let said = lines.any(|line| words.iter().all(|word| line.contains(word)));
        assert!(said, "{words:?} is not said: {}", self.stderr);
        self
    }

    /// It ended with this exit code and exactly one error, which has all these words in it.
    pub(crate) fn failed(&self, code: i32, words: &[&str]) -> &Self {
        let errors = self.lines("error:");
        assert_eq!(
            errors.len(),
            1,
            "not one error but {}:\n{}",
            errors.len(),
            self.stderr
        );
        for word in words {
            assert!(
                errors[0].contains(word),
                "no {word:?} in the error:\n{}",
                self.stderr
            );
        }
        assert!(errors[0].len() > "error: x".len(), "an error without words");
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// It said what helps, with all these words.
    pub(crate) fn hinted(&self, words: &[&str]) -> &Self {
        let hints = self.lines("hint:");
        assert_eq!(
            hints.len(),
            1,
            "not one hint but {}:\n{}",
            hints.len(),
            self.stderr
        );
        for word in words {
            assert!(
                hints[0].contains(word),
                "no {word:?} in the hint:\n{}",
                self.stderr
            );
        }
        self
    }

    fn lines(&self, prefix: &str) -> Vec<&str> {
        self.stderr
            .lines()
            .map(str::trim_start)
            .filter(|line| line.starts_with(prefix))
            .collect()
    }
}

fn contents(file: &File) -> String {
    // At a place of our own: the process writes where the shared handle stands.
    let mut text = vec![
        0;
        file.metadata()
            .map_or(0, |data| usize::try_from(data.len()).unwrap_or(0))
    ];
    file.read_exact_at(&mut text, 0).expect("what it wrote");
    String::from_utf8_lossy(&text).into_owned()
}
