//! The file: one writing process, and a sentence for each file that cannot be a destination.

use super::*;

#[tokio::test]
async fn one_process_writes_and_the_next_is_told_who() {
    let folder = folder();
    let path = file(&folder);
    let first = open(&path).await;
    let taken = async |path: &Path| {
        let options = options(path).wait(Duration::ZERO);
        SqliteDestination::open(options).await.unwrap_err()
    };
    let error = taken(&path).await;
    assert_eq!(error.exit_code(), 1);
    let me = format!("process {} on ", std::process::id());
    assert!(error.to_string().contains(&me), "{error}");

    // By another name it is the same file.
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(taken(&link).await.to_string().contains(&me));

    // A newcomer that waits gets it when the first one leaves.
    let waiting = tokio::spawn(SqliteDestination::open(
        options(&path).wait(Duration::from_secs(60)),
    ));
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.close().await.unwrap();
    waiting.await.unwrap().unwrap();
    open(&path).await;
}

#[tokio::test]
async fn what_cannot_be_a_destination_is_said_in_a_sentence() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("text"),
        "this is no database, however long it may be. ".repeat(100),
    )
    .unwrap();
    for (path, code, says) in [
        (at("text"), 2, "the file is not a SQLite database"),
        (folder.path().to_owned(), 2, "is a directory"),
        (at("missing/d.db"), 2, "missing cannot be used"),
        (at("text/d.db"), 2, "text"),
        (PathBuf::from(":memory:"), 2, "is not the name of a file"),
        (PathBuf::new(), 2, "is not the name of a file"),
        (PathBuf::from("/"), 2, "a file"),
    ] {
        let error = refused(&path).await;
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(says), "{path:?}: {error}");
    }
    let error = SqliteDestination::open(options(&at("new")).create(false))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("there is no file"), "{error}");
    assert!(!at("new").exists());
    // A name that SQLite would read as a URL is a name.
    open(&at("file:x?mode=memory")).await;
    assert!(at("file:x?mode=memory").exists());
}

#[test]
fn a_file_that_may_not_be_written_is_said_to_be_so() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let child = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let path = PathBuf::from(std::env::var_os("READ_ONLY").unwrap());
        let error = runtime.block_on(refused(&path));
        assert!(error.to_string().contains("may not be written"), "{error}");
        assert_eq!(error.exit_code(), 2);
    };
    let folder = folder();
    let path = file(&folder);
    let test = "opening::a_file_that_may_not_be_written_is_said_to_be_so";
    let output = in_another_process(test, |command| {
        // In WAL mode already, so that nothing needs to be written for opening it.
        meddle(&path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
        };
        mode(&path, 0o444);
        mode(folder.path(), 0o777);
        command.env("READ_ONLY", &path);
        // Root may write everything: be somebody else, with a program that he may run.
        if std::fs::metadata("/proc/self")
            .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
        {
            let program = folder.path().join("program");
            std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
            mode(&program, 0o755);
            let mut other = std::process::Command::new(program);
            other
                .args(command.get_args())
                .uid(65534)
                .gid(65534)
                .current_dir(folder.path());
            for (name, value) in command.get_envs() {
                other.env(name, value.unwrap());
            }
            *command = other;
        }
    });
    match output {
        None => child(),
        Some(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && text.contains("1 passed"),
                "{output:?}"
            );
        }
    }
}
