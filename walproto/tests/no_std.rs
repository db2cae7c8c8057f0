//! walproto links where there is neither an allocator nor `std`: `no_alloc/` is a static library without both.

use std::process::{Command, Output};

/// Builds the library with these features of its own.
fn build(features: &str) -> Output {
    Command::new(env!("CARGO"))
        .args(["build", "--offline", "--color=never"])
        .arg("--manifest-path")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/no_alloc/Cargo.toml"
        ))
        .args(["--features", features])
        // Each test its own, so that they do not wait for each other.
        .arg("--target-dir")
        .arg(format!(
            "{}/no_alloc-{features}",
            env!("CARGO_TARGET_TMPDIR")
        ))
        .output()
        .expect("cargo can be run")
}

#[track_caller]
fn fails_with(features: &str, reason: &str) {
    let output = build(features);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains(reason),
        "expected {reason:?}, got {}:\n{text}",
        output.status
    );
}

#[track_caller]
fn links(features: &str) {
    let output = build(features);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn links_without_an_allocator_and_without_std() {
    links("");
}

#[test]
fn links_so_with_every_feature_that_needs_neither() {
    links("every");
}

#[test]
fn the_proof_would_notice_an_allocator() {
    fails_with("alloc", "no global memory allocator found");
}

#[test]
fn the_proof_would_notice_std() {
    fails_with("std", "panic_impl");
}
