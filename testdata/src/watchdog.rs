//! A process that outlives the test, to end its server and delete what it leaves.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::cluster;

// Run beside the server, as its user. Standard input is a pipe from the test process; each line is
// the process id of the server now running, 0 for none. Its end means that the test is gone.
const SCRIPT: &str = r#"
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

/// Stops a server and removes its folder when the test process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    pub(crate) fn over(folder: &Path) -> Self {
        let child = cluster::command("/bin/sh")
            .args(["-c", SCRIPT])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the test; the watchdog outlives it.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start a watchdog: {error}"));
        Self(child)
    }

    /// The server that is running now; 0 for none.
    pub(crate) fn guards(&mut self, process: u32) {
        if let Some(pipe) = &mut self.0.stdin {
            let _ = writeln!(pipe, "{process}");
        }
    }

    /// Lets it remove the folder, and waits for it.
    pub(crate) fn ends(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
