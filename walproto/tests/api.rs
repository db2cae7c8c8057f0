//! The public surface is the one written down in `api.txt`: nothing becomes public, or changes, by accident.

#[test]
fn the_public_surface_is_the_one_written_down() {
    testdata::check_surface(env!("CARGO_MANIFEST_DIR"), env!("CARGO_TARGET_TMPDIR"));
}
