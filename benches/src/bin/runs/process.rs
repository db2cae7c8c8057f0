//! A process and what it costs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Failure;

/// What a contestant took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    /// From its start to its end.
    pub(crate) wall: Duration,
    /// User and system time of its process, if it is one.
    pub(crate) cpu: Option<Duration>,
    /// The most memory it had resident, in bytes.
    pub(crate) resident: Option<u64>,
    pub(crate) syscalls: Option<u64>,
}

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, the same on every Linux that this runs on.
const TICKS: u64 = 100;

/// How often is looked how much memory a process has.
const LOOK: Duration = Duration::from_millis(5);

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command, syscalls: bool) -> Result<Run, Failure> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let counter = syscalls.then(|| Counter::attach(child.id())).transpose()?;
    let pid = Pid::from_child(&child);
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let mut resident = None;
    let wall = loop {
        // It stays in the table of processes until somebody has waited for it.
        if waitid(WaitId::Pid(pid), ended | WaitIdOptions::NOHANG)?.is_some() {
            break start.elapsed();
        }
        // A high-water mark: what is not seen is what was added in the last moment.
        resident = high_water(child.id()).max(resident);
        std::thread::sleep(LOOK);
    };
    let cpu = cpu_time(child.id())?;
    let status = child.wait()?;
    let syscalls = counter.map(Counter::finish).transpose()?;
    if !status.success() {
        return Err(format!("{:?}: {status}", command.get_program()).into());
    }
    Ok(Run {
        wall,
        cpu: Some(cpu),
        resident,
        syscalls,
    })
}

fn high_water(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

/// User and system time, of all its threads.
fn cpu_time(process: u32) -> Result<Duration, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // PID (NAME) STATE PARENT …, where the name may hold anything; utime and stime are the fields 14 and 15.
    let (_, rest) = text.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
    let times = rest.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(|time| time.parse().unwrap_or(0)).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// `perf`, which counts the system calls of another process without slowing it down as `strace` does.
struct Counter {
    perf: std::process::Child,
    file: tempfile::NamedTempFile,
}

impl Counter {
    fn attach(process: u32) -> Result<Self, Failure> {
        let file = tempfile::NamedTempFile::new()?;
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o"])
            .arg(file.path())
            .args(["-p", &process.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("perf, which counts system calls: {error}"))?;
        Ok(Self { perf, file })
    }

    fn finish(mut self) -> Result<u64, Failure> {
        self.perf.wait()?;
        let text = std::fs::read_to_string(self.file.path())?;
        let count = text
            .lines()
            .find(|line| line.contains("sys_enter"))
            .and_then(|line| line.split(',').next()?.parse().ok());
        Ok(count.ok_or_else(|| format!("perf said {text:?}"))?)
    }
}
