//! Network addresses and bit strings: see `fuzz::network`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::network(data));
