//! Text, byte strings, uuids and json: see `fuzz::strings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::strings(data));
