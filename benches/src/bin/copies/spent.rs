//! CPU time of processes that are not ours to wait for.

use std::fs;
use std::time::Duration;

use crate::Failure;

/// What the servers took meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) source: Duration,
    /// `None` where no server is.
    pub(crate) destination: Option<Duration>,
}

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, the same on every Linux that this runs on.
const TICKS: u64 = 100;

/// User and system time that a process, its threads and its children have had so far, those that are gone included.
pub(crate) fn of_server(process: u32) -> Result<Duration, Failure> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended since the directory was read; then its parent has its time.
        let Ok(text) = fs::read_to_string(format!("/proc/{number}/stat")) else {
            continue;
        };
        // PID (NAME) STATE PARENT …, where the name may hold anything; the times are the fields 14 to 17.
        let Some((_, rest)) = text.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<u64> = rest
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        let times = fields.get(11..15).ok_or("a short /proc/PID/stat")?;
        if number == process {
            ticks += times.iter().sum::<u64>();
        } else if fields.get(1) == Some(&process.into()) {
            ticks += times[0] + times[1];
        }
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// That of the processes which this one has waited for.
pub(crate) fn by_children() -> Result<Duration, Failure> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = text.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    let times = rest.split_whitespace().skip(13).take(2);
    let ticks: u64 = times.map(|time| time.parse().unwrap_or(0)).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}
