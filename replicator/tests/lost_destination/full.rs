//! A disk without room: changes wait until there is some.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use crate::common::{Running, Site};
use crate::sender;

/// The program on a disk of its own, of a few megabytes. Needs unshare(1), and a kernel that lets us.
fn on_a_small_disk(site: &Site) -> Running {
    let folder = site.folder.path().join("disk");
    fs::create_dir(&folder).unwrap();
    let disk = folder.display();
    // Seen by nobody but the program, and gone with it.
    let script = format!("mount -t tmpfs -o size=4m tmpfs {disk} && exec \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(env!("CARGO_BIN_EXE_replicator"))
        .args(["run", "--slot", &site.slot, "--source", &site.source()])
        .arg("--destination")
        .arg(format!("sqlite:{disk}/small.db"));
    Running::start(&mut command)
}

#[test]
fn a_full_disk_is_waited_for() {
    let site = Site::new();
    let mut running = on_a_small_disk(&site);
    running.until_it_says(" streaming ");
    // As the program sees it.
    let disk = format!(
        "/proc/{}/root{}/disk",
        running.id(),
        site.folder.path().display()
    );
    // SQLite would follow the link to a disk that is not the program's.
    let copy = tempfile::tempdir().unwrap();
    let rows = || {
        for name in ["small.db", "small.db-wal"] {
            let _ = fs::copy(format!("{disk}/{name}"), copy.path().join(name));
        }
        let file = rusqlite::Connection::open(copy.path().join("small.db")).unwrap();
        let count = file.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        // Copied in the middle of a change.
        let _ = fs::remove_file(copy.path().join("small.db-shm"));
        count.unwrap_or(0)
    };
    // All that there is, but for what SQLite needs to begin.
    let ballast = format!("{disk}/ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let process = sender(&site);
    site.sql("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(3, 1000) g");
    running.until_it_says("the disk is full");
    assert_eq!(rows(), 2);
    fs::remove_file(&ballast).unwrap();
    running.until("the rows arrive", || rows() == 1000);
    running.until_it_says("takes changes again");
    assert_eq!(sender(&site), process, "the source lost its connection");
    running.terminate().done();
}
