//! Rows into types of a user's, and what owns its bytes: see `fuzz::rows`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::rows(data));
