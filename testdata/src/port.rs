//! A TCP port that no other test takes while we hold it.

use std::env;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;

use crate::install::own_user;

// Below the range from which Linux takes ports for outgoing connections, which would collide with a
// server that is stopped and started again on the same port.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// Held by an advisory lock on a file, which vanishes with the process however it ends.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _lock: File,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        // Folders per user: one user may not open another's lock files.
        let folder = env::temp_dir().join(format!("replicator-testdata-ports-{}", own_user()));
        fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let count = usize::from(PORTS.end - PORTS.start);
        let start = usize::try_from(random() % count as u64).unwrap_or_default();
        for number in PORTS.cycle().skip(start).take(count) {
            let path = folder.join(number.to_string());
            let file = File::create(&path)
                .unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
            if file.try_lock().is_err() {
                continue;
            }
            let port = Self {
                number,
                _lock: file,
            };
            if port.is_free() {
                return port;
            }
        }
        panic!(
            "no TCP port is free between {} and {}",
            PORTS.start, PORTS.end
        )
    }

    /// Whether nobody listens on it at this moment.
    pub(crate) fn is_free(&self) -> bool {
        TcpListener::bind(("127.0.0.1", self.number)).is_ok()
    }
}

/// A number that differs from call to call and from process to process.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
