//! Where a server's data lies while its test runs: in memory if there is enough of it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// `testdata-PID-N`: `testdata/install` sweeps those whose process is gone.
pub(crate) fn fresh_folder(on_disk: bool) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!(
        "testdata-{}-{count}-{:x}",
        process::id(),
        crate::port::random() >> 40
    );
    let temporary = env::temp_dir();
    if env::var_os("TMPDIR").is_none() && !on_disk && memory_is_roomy() {
        Path::new(MEMORY).join(name)
    } else if temporary.as_os_str().len() > 60 {
        // A socket's path has at most 107 bytes.
        Path::new("/tmp").join(name)
    } else {
        temporary.join(name)
    }
}

/// A file system in memory: a cluster is copied there with a tenth of the work that ext4 makes of it.
pub(crate) const MEMORY: &str = "/dev/shm";

/// Whether there is so much memory that the servers of a few tests at once do not matter.
fn memory_is_roomy() -> bool {
    const ENOUGH_KB: u64 = 8 << 20;
    static ROOMY: OnceLock<bool> = OnceLock::new();
    *ROOMY.get_or_init(|| {
        let output = Command::new("df").args(["-Pk", MEMORY]).output();
        let df = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let df = df.unwrap_or_default();
        // Filesystem, 1024-blocks, Used, Available, …
        let shared = df
            .lines()
            .nth(1)
            .and_then(|line| line.split_whitespace().nth(3));
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let free = meminfo.lines().find_map(|line| {
            line.strip_prefix("MemAvailable:")?
                .split_whitespace()
                .next()
        });
        [shared, free].iter().all(|kb| {
            kb.and_then(|kb| kb.parse().ok())
                .is_some_and(|kb: u64| kb > ENOUGH_KB)
        })
    })
}
