//! PgBouncer in front of a test's server, gone with the test however that ends.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::folder::fresh_folder;
use crate::port::Port;
use crate::watchdog::Watchdog;
use crate::{Server, cluster};

/// Where Debian puts it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A PgBouncer that hands sessions of a server from client to client, transaction by transaction.
#[derive(Debug)]
pub struct Pooler {
    port: Port,
    child: Child,
    folder: PathBuf,
    watchdog: Watchdog,
}

impl Pooler {
    /// Starts one; `ignored` are the startup parameters that it takes without a word, which by itself it refuses.
    ///
    /// # Panics
    ///
    /// If there is none on this machine, or it does not start.
    pub fn of(server: &Server, ignored: &[&str]) -> Self {
        let folder = fresh_folder(false);
        cluster::folder(&folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let mut watchdog = Watchdog::over(&folder);
        let port = Port::reserve();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nauth_type = any\npool_mode = transaction\nunix_socket_dir =\nignore_startup_parameters = {}\n",
            server.port(),
            port.number,
            ignored.join(",")
        );
        let file = folder.join("pgbouncer.ini");
        cluster::file(&file, configuration.as_bytes())
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
        let child = cluster::command(PROGRAM)
            .arg("-q")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{PROGRAM} does not start: {error}; testdata/install installs it")
            });
        watchdog.guards(child.id());
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port.number)).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        Self {
            port,
            child,
            folder,
            watchdog,
        }
    }

    /// A connection URL over it.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}",
            self.port.number
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.watchdog.guards(0);
        self.watchdog.ends();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
