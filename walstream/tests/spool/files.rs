//! The files of the spool: where they are, that nobody else sees them, and that nothing of them is left.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use walstream::walproto::Lsn;
use walstream::{Client, Config, ErrorKind, Limits, Stream, StreamOptions};

use crate::walsender::Walsender;

const FOLDER: &str = "WALSTREAM_SPOOL_FOLDER";

/// A process that spools into this folder until it is killed.
fn spooling(folder: &Path) -> Child {
    let this = std::env::current_exe().unwrap();
    let name = "files::a_killed_process_leaves_an_empty_folder";
    let mut child = Command::new(this)
        .args([name, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).any(|line| line == "spooling");
    assert!(ready, "it ended too soon");
    child
}

/// One transaction without end.
async fn spool(folder: &Path) {
    let server = Walsender::run(100, |wire| {
        wire.send(&testdata::writer::begin(1000, 0, 700))?;
        wire.relation(None)?;
        wire.rows(None, 0..u32::MAX)
    });
    let limits = Limits {
        memory: 1 << 20,
        folder: folder.to_owned(),
        ..Limits::default()
    };
    let client = Client::connect_replication(&server.config).await.unwrap();
    let options = StreamOptions::new("s", ["p"]);
    let stream = Stream::start(client, &options, Lsn::ZERO, limits)
        .await
        .unwrap();
    while stream.held().disk < 4 << 20 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Not at the beginning of a line: the test says its name first.
    println!("\nspooling");
    std::future::pending().await
}

/// The sizes of the files without a name that a process has open in a folder.
fn hidden(child: &Child, folder: &Path) -> Vec<u64> {
    let descriptors = format!("/proc/{}/fd", child.id());
    let mut sizes = Vec::new();
    for entry in std::fs::read_dir(descriptors).unwrap() {
        let path = entry.unwrap().path();
        // It may have been closed meanwhile.
        let Ok(target) = path.read_link() else {
            continue;
        };
        if target.starts_with(folder) {
            assert!(
                target.to_str().unwrap().ends_with(" (deleted)"),
                "{target:?}"
            );
            sizes.push(path.metadata().unwrap().len());
        }
    }
    sizes
}

#[tokio::test]
async fn a_killed_process_leaves_an_empty_folder() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return spool(folder.as_ref()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    // As the kernel shows it.
    let path = folder.path().canonicalize().unwrap();
    let mut child = spooling(&path);
    let sizes = hidden(&child, &path);
    assert!(sizes.iter().sum::<u64>() >= 4 << 20, "{sizes:?}");
    assert_eq!(path.read_dir().unwrap().count(), 0, "nobody else sees it");
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(path.read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_before_anything_is_connected() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let missing = file.path().with_extension("missing");
    for folder in [missing.as_path(), file.path()] {
        // Nobody is there: a connection would be the error.
        let nobody = Config::new("/nonexistent", "me");
        let limits = Limits {
            folder: folder.to_owned(),
            ..Limits::default()
        };
        let error = Stream::connect(&nobody)
            .slot("s")
            .publication("p")
            .limits(limits)
            .start()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let text = error.to_string();
        assert!(text.contains(folder.to_str().unwrap()), "{text}");
        assert!(error.hint().unwrap().contains("Limits::folder"));
        assert!(error.needs_person());
    }
}
