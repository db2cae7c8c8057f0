//! The examples of a crate as programs for its tests.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set by who has had cargo build everything: `testdata/test`.
const BUILT: &str = "EXAMPLES_ARE_BUILT";

/// The program of an example of the crate in a folder.
///
/// Built now, because cargo does not build examples for a single test, unless `EXAMPLES_ARE_BUILT` says that they are:
/// other features are in force for a crate alone, with which all of it would be compiled once more.
///
/// # Panics
///
/// It cannot be built.
pub fn example(folder: &str, name: &str) -> PathBuf {
    if env::var_os(BUILT).is_some() {
        let test = env::current_exe().expect("a test is a program");
        let target = test.parent().and_then(Path::parent).expect("target/debug");
        let program = target.join("examples").join(name);
        assert!(
            program.exists(),
            "{BUILT}, but there is no {}",
            program.display()
        );
        return program;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--offline", "--message-format=json"])
        .args(["--example", name])
        .args(["--manifest-path", &format!("{folder}/Cargo.toml")])
        .current_dir(folder);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What cargo tells tests of their package is no news to it, but to build scripts, which would run again.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output().expect("cargo can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    let program = text
        .split("\"executable\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    program
        .unwrap_or_else(|| {
            let reason = String::from_utf8_lossy(&output.stderr);
            panic!("the example {name} was not built:\n{reason}")
        })
        .into()
}
