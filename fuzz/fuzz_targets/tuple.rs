//! One row: see `fuzz::tuple`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tuple(data));
