//! The bytes of a whole connection: see `fuzz::stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::stream(data));
