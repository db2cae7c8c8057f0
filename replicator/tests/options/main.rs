//! What a user may choose of a run: names, tables, columns.

#[path = "../faults_common/mod.rs"]
#[allow(dead_code, reason = "each test binary uses a part of this")]
mod faults_common;

mod aliases;
mod auto_create;
mod existing;
mod names;
mod selection;
mod tls;
mod unfit;

use faults_common::{Outcome, Running, Site, program};

/// A run that must be refused with this exit code and these words.
fn refused(site: &Site, arguments: &[&str], code: i32, words: &[&str]) -> Outcome {
    must_say(site.catch_up(arguments), code, words)
}

/// The same of a run that is over.
fn must_say(outcome: Outcome, code: i32, words: &[&str]) -> Outcome {
    assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
    for word in words {
        let said = &outcome.stderr;
        assert!(said.contains(word), "{word:?} in {said}");
    }
    outcome
}

/// A run into another destination than the site's own file.
fn into(site: &Site, destination: &str, arguments: &[&str]) -> Running {
    let mut command = program();
    command.args(["run", "--source", &site.source(), "--slot", &site.slot]);
    Running::start(command.args(["--destination", destination]).args(arguments))
}

/// Nothing is left of a first start that was refused.
fn nothing_is_left(site: &Site) {
    assert_eq!(site.tables(), [""; 0], "a table is left");
    assert_eq!(site.slot_column("active"), None, "the slot is left");
    assert_eq!(site.publications(), [""; 0], "a publication is left");
}
