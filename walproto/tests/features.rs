//! walproto compiles without warnings with no feature, with each, and with those together that touch the same code.

use std::process::Command;

/// The other sets of the thirty-two are unions of these that share no code; all were tried once.
const SETS: [&str; 9] = [
    "",
    "capture",
    "encode",
    "alloc",
    "bytes",
    "serde",
    "alloc,serde",
    "alloc,encode",
    "capture,encode,bytes,serde",
];

#[test]
fn every_set_of_features_compiles() {
    for set in SETS {
        let output = Command::new(env!("CARGO"))
            .args(["check", "--lib", "--offline", "--color=never"])
            .args(["--features", set])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("RUSTFLAGS", "-D warnings")
            // Its own, so that it waits for nobody and leaves the others' builds as they are.
            .arg("--target-dir")
            .arg(concat!(env!("CARGO_TARGET_TMPDIR"), "/features"))
            .output()
            .expect("cargo can be run");
        assert!(
            output.status.success(),
            "features {set:?}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
