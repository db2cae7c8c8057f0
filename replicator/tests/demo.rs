//! The demo as a newcomer starts it: it succeeds, it can fail, and nothing of it is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder for everything that a demo makes, open to the server's user as `/tmp` itself is.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("d")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    folder
}

fn demo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replicator"));
    command
        .arg("demo")
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Exit code, standard output and standard error.
fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn the_demo_ends_with_both_sides_equal_and_leaves_nothing() {
    let folder = folder();
    let (code, out, err) = run(demo(folder.path()).args(["--seconds", "5"]));
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(err, "");
    assert!(out.contains("Equal, row by row"), "{out}");
    assert!(
        out.contains("cut off in the middle of its work, and started again"),
        "{out}"
    );
    for table in [
        "customers",
        "products",
        "orders",
        "order_lines",
        "carts",
        "events",
    ] {
        let line = out
            .lines()
            .rfind(|line| line.trim_start().starts_with(&format!("{table} ")));
        let words: Vec<&str> = line
            .unwrap_or_else(|| panic!("no {table} in {out}"))
            .split_whitespace()
            .collect();
        let [_, there, here, "equal"] = words[..] else {
            panic!("{words:?}")
        };
        assert_eq!(there, here);
        assert_ne!(there, "0", "nothing was compared in {table}");
    }
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[test]
fn a_tampered_value_fails_the_demo_and_is_named() {
    let folder = folder();
    let file = folder.path().join("kept.db");
    let programs = testdata::program("initdb");
    let (code, out, err) = run(demo(folder.path())
        .args(["--seconds", "1", "--tamper", "--postgres"])
        .arg(programs.parent().unwrap())
        .arg("--output")
        .arg(&file));
    assert_eq!(code, Some(4), "{out}{err}");
    assert_eq!(err, "error: the file differs from the source\n");
    let told = "table public.orders, row number='1', column note: NULL at the source, 'x' at the destination";
    assert!(out.contains(told), "{out}");
    assert!(
        out.lines()
            .any(|line| line.trim_start().starts_with("orders ") && line.ends_with("DIFFERENT")),
        "{out}"
    );
    assert!(!out.contains("Equal, row by row"), "{out}");
    assert!(file.exists());
    assert!(
        !entries(folder.path())
            .iter()
            .any(|name| name.starts_with("replicator-demo-"))
    );

    // A second demo does not touch what the first one wrote.
    let (code, _, err) = run(demo(folder.path()).arg("--output").arg(&file));
    assert_eq!(code, Some(2));
    assert!(err.contains("kept.db exists already"), "{err}");
}

#[test]
fn without_a_postgresql_the_demo_says_how_to_get_one() {
    let folder = folder();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let (code, out, err) = run(demo(folder.path())
        .env("PATH", "")
        .arg("--postgres")
        .arg(&empty));
    assert_eq!((code, &*out), (Some(2), ""));
    let sentence = format!(
        "error: there is no PostgreSQL server in {}\n",
        empty.display()
    );
    assert!(err.starts_with(&sentence), "{err}");
    assert!(
        err.contains(
            "hint: --postgres takes the folder that holds the programs initdb and postgres"
        ),
        "{err}"
    );
    assert_eq!(entries(folder.path()), ["empty"]);
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let folder = folder();
    let mut child = started(folder.path());
    for _ in 0..2 {
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );
        // Two at once are one.
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[test]
fn a_killed_demo_leaves_nothing() {
    let folder = folder();
    let mut child = started(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !entries(folder.path()).is_empty() {
        assert!(
            Instant::now() < deadline,
            "{:?} is left",
            entries(folder.path())
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A demo whose replicator is at work.
fn started(folder: &Path) -> Child {
    let child = demo(folder)
        .args(["--seconds", "60"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let at_work = || {
        let name = entries(folder)
            .into_iter()
            .find(|name| name.starts_with("replicator-demo-"))?;
        folder.join(name).join("shop.db").exists().then_some(())
    };
    while at_work().is_none() {
        assert!(Instant::now() < deadline, "the demo did not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}
