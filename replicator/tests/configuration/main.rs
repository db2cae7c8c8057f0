//! What a run is told by file, environment and command line, what it says in its log, and what it never says.

#[path = "../faults_common/mod.rs"]
#[allow(dead_code, reason = "each test binary uses a part of this")]
mod faults_common;

mod logs;
mod options;
mod passwords;
mod secrets;

use std::path::PathBuf;

use faults_common::{Outcome, PATIENCE, Running, Site, program};

/// A run of the program with these variables and arguments.
fn called(variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = program();
    command.args(arguments).envs(variables.iter().copied());
    Running::start(&mut command).wait(PATIENCE)
}

/// A file with this content, in a folder of its own.
fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a file");
    let only_we = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, only_we).expect("permissions");
    path
}
