//! The environment variables of `pg2any`.

use super::faults_common::{PATIENCE, program, replicator};
use super::{Outcome, Running, Site};

fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = program();
    command.args(arguments).envs(variables.iter().copied());
    Running::start(&mut command).wait(PATIENCE)
}

const RUN: [&str; 3] = ["run", "--until", "current"];

#[test]
fn a_run_is_what_they_say_unless_somebody_else_says_something() {
    let site = Site::new();
    site.sql("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE PUBLICATION theirs FOR TABLE t, s.t");
    let source = format!("{}?replication=database", site.source());
    let path = site.path();
    let path = path.to_str().unwrap();
    let variables = [
        ("CDC_SOURCE_CONNECTION_STRING", &*source),
        ("CDC_DEST_TYPE", "SQLite"),
        ("CDC_DEST_URI", path),
        ("CDC_REPLICATION_SLOT", &*site.slot),
        ("CDC_PUBLICATION", "theirs"),
        ("CDC_SCHEMA_MAPPING", "s:mapped"),
        ("CDC_PROTOCOL_VERSION", "2"),
        ("CDC_STREAMING", "true"),
        ("CDC_BATCH_SIZE", "1000"),
        ("CDC_DEST_UIR", "secret"),
    ];
    // The variables alone start nothing.
    let nothing = run(&variables, &[]);
    assert_eq!(nothing.code, Some(2), "{}", nothing.stderr);
    assert!(!site.path().exists());

    let outcome = run(&variables, &RUN);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(site.tables(), ["mapped__t", "t"]);
    assert!(site.confirmed() > 0);
    for words in [
        "CDC_DEST_TYPE and CDC_DEST_URI as --destination",
        "CDC_REPLICATION_SLOT as --slot",
        "CDC_BATCH_SIZE",
        "CDC_DEST_UIR",
    ] {
        assert!(
            outcome.stderr.contains(words),
            "{words} in {}",
            outcome.stderr
        );
    }
    assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);

    // Ours count more, from the environment and from the command line.
    let more = [
        &variables[..],
        &[("REPLICATOR_SLOT", "other"), ("CDC_STREAMING", "maybe")],
    ]
    .concat();
    let outcome = run(
        &more,
        &[&RUN[..], &["--streaming", "on", "--publication", "missing"]].concat(),
    );
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("\"missing\""), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("as --slot"), "{}", outcome.stderr);
    let outcome = run(&more, &RUN);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .contains("CDC_STREAMING=maybe is not true or false"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn nothing_secret_is_shown_and_no_other_command_looks_at_them() {
    let variables = [
        ("CDC_SOURCE_HOST", "127.0.0.1"),
        ("CDC_SOURCE_PORT", "1"),
        ("CDC_SOURCE_DB", "d"),
        ("CDC_SOURCE_USER", "u"),
        ("CDC_SOURCE_PASSWORD", "secret"),
        ("CDC_DEST_URI", "bogus://u:secret@h/d"),
        ("CDC_KAFKA_SASL_PASSWORD", "secret"),
    ];
    for arguments in [&["run", "--help"][..], &RUN, &["drop"], &["tail"]] {
        let outcome = run(&variables, arguments);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!said.contains("secret"), "{arguments:?}: {said}");
        match arguments {
            ["run", "--help"] => assert_eq!(outcome.code, Some(0)),
            _ => assert_eq!(outcome.code, Some(2), "{arguments:?}: {said}"),
        }
        if arguments.len() == 1 {
            assert!(said.contains("--source"), "{said}");
        }
    }
}

#[test]
fn the_help_of_run_says_for_each_option_which_variable_it_has() {
    let help = replicator(&["run", "--help"]);
    assert_eq!(help.code, Some(0));
    let options = help.stdout.matches("\n      --").count() + help.stdout.matches("\n  -").count();
    let variables = help.stdout.matches("[env: REPLICATOR_").count();
    // But for `--help` and `--version`.
    assert!(options > 25, "{}", help.stdout);
    assert_eq!(variables + 2, options, "{}", help.stdout);
    let longest = help.stdout.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(110), "{longest:?}");
}
