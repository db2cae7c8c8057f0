//! Passwords from files and commands, on a server that asks for them.

use testdata::{Client, Server, Version};

use super::{Outcome, PATIENCE, Running, called, file, program};

const PASSWORD: &str = "it's 100% \\ \"p@ss/w:rd\" ü";

/// A server on which these two roles have that password.
fn server() -> Server {
    let server = Server::builder(Version::NEWEST)
        .allow("host all,replication asked 127.0.0.1/32 scram-sha-256")
        .start();
    let mut admin = Client::connect(&server, "postgres").expect("a connection");
    admin
        .batch(&format!(
            "SET password_encryption = 'scram-sha-256';
             CREATE ROLE asked SUPERUSER REPLICATION LOGIN PASSWORD '{}';
             CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)",
            PASSWORD.replace('\'', "''")
        ))
        .expect("a role");
    admin.batch("CREATE DATABASE there").expect("a database");
    server
}

#[test]
fn both_sides_get_theirs_from_a_file_or_a_command() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let secret = file(&folder, "password", &format!("{PASSWORD}\n"));
    let secret = secret.to_str().expect("a path");
    let wrong = file(&folder, "wrong", "other\n");
    let place = |database: &str| format!("postgres://asked@127.0.0.1:{}/{database}", server.port());
    let keywords = format!(
        "host=127.0.0.1 port={} user=asked dbname=postgres",
        server.port()
    );
    let print = format!("cat '{secret}'");
    let run = |slot: &str, source: &str, more: &[&str]| -> Outcome {
        let mut command = program();
        command.args(["run", "--until", "current", "--slot", slot]);
        command.args(["--source", source, "--destination", &place("there")]);
        command.env("HOME", folder.path()).env_remove("PGPASSWORD");
        let outcome = Running::start(command.args(more)).wait(PATIENCE);
        for text in [&outcome.stdout, &outcome.stderr] {
            assert!(!text.contains("p@ss"), "{text}");
        }
        outcome
    };
    let files = [
        "--source-password-file",
        secret,
        "--destination-password-file",
        secret,
    ];
    let outcome = run("one", &place("postgres"), &files);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("password"), "{}", outcome.stderr);
    let commands = [
        "--source-password-command",
        &print,
        "--destination-password-command",
        &print,
    ];
    let outcome = run("one", &keywords, &commands);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);

    // Without, and with another one, neither side lets us in.
    let outcome = run("one", &place("postgres"), &files[..2]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("28P01"), "{}", outcome.stderr);
    let mut other = files;
    other[1] = wrong.to_str().expect("a path");
    let outcome = run("one", &place("postgres"), &other);
    assert!(outcome.code != Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("28P01"), "{}", outcome.stderr);

    // A file is weaker than what the command line says in another way.
    let toml = format!("source-password-file = {:?}\n", wrong.display().to_string());
    let toml = file(&folder, "replicator.toml", &toml);
    let toml = toml.to_str().expect("a path");
    let more = [&commands[..], &["--config", toml]].concat();
    let outcome = run("one", &keywords, &more);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);

    // Who lets others read it is told.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o640)).expect("permissions");
    let outcome = run("one", &place("postgres"), &files);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("should be 0600 or less"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_password_that_is_not_there_is_an_error_that_says_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = file(&folder, "empty", "\n");
    let two = file(&folder, "two", "topsecret\nmore\n");
    let good = file(&folder, "good", "topsecret");
    let path = |path: &std::path::Path| path.display().to_string();
    let nowhere = "postgres://u@127.0.0.1:1/d".to_owned();
    let with = "postgres://u:topsecret@127.0.0.1:1/d".to_owned();
    for (source, option, value, says) in [
        (
            &nowhere,
            "file",
            "/no/such/file".to_owned(),
            "cannot be read",
        ),
        (&nowhere, "file", path(&empty), "is empty"),
        (&nowhere, "file", path(&two), "holds more than one line"),
        (
            &nowhere,
            "command",
            "echo topsecret; echo topsecret >&2; exit 3".to_owned(),
            "exit status: 3",
        ),
        (&nowhere, "command", "true".to_owned(), "is empty"),
        (&nowhere, "command", "kill -9 $$".to_owned(), "signal: 9"),
        (&with, "file", path(&good), "another one"),
    ] {
        let option = format!("--source-password-{option}");
        let outcome = called(&[], &["tail", "--source", source, &option, &value]);
        assert_eq!(outcome.code, Some(2), "{value}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{value}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(&option),
            "{value}: {}",
            outcome.stderr
        );
        assert!(
            !outcome.stderr.contains("topsecret"),
            "{value}: {}",
            outcome.stderr
        );
    }
    let outcome = called(
        &[],
        &[
            "run",
            "--source",
            &nowhere,
            "--destination",
            "sqlite:a.db",
            "--destination-password-file",
            &path(&good),
        ],
    );
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("names a file"),
        "{}",
        outcome.stderr
    );
}
