//! Other processes of this machine: whose they are, whether they live, and signals to them.

use std::fs;
use std::process::{Command, Stdio};

/// The processes that this one has started.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes
        .filter(|&process| stat(process).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// Whether a process is there and not only waiting to be asked how it ended.
pub(crate) fn is_alive(process: u32) -> bool {
    stat(process).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// State and parent of a process: `PID (NAME) STATE PARENT …`, where the name may hold anything.
fn stat(process: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.into(), fields.next()?.parse().ok()?))
}

/// Sends a signal without `unsafe`, by the shell's own `kill`.
pub(crate) fn signal(name: &str, process: u32) {
    let _ = Command::new("/bin/sh")
        .args(["-c", r#"kill -"$0" "$1""#, name])
        .arg(process.to_string())
        .stderr(Stdio::null())
        .status();
}
