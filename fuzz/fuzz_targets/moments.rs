//! Dates, times, moments and spans: see `fuzz::moments`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::moments(data));
