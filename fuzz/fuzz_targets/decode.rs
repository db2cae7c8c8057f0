//! Many messages, one decoder: see `fuzz::decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::decode(data));
