//! Values made of values: see `fuzz::nested`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::nested(data));
