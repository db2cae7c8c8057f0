//! What the fuzzer runs: plain functions from bytes to nothing, which panic where a promise is broken.
//!
//! `tests/replay.rs` runs them on captures and on inputs saved in `crashes/`, with any toolchain. `fuzz/run` fuzzes
//! them, from a corpus that [`seeds()`] makes out of the captures.

mod capture;
mod decode;
mod frames;
mod moments;
mod nested;
mod network;
mod numbers;
mod printed;
mod rows;
mod seeds;
mod strings;
mod tuple;

pub use capture::capture;
pub use decode::{decode, session};
pub use frames::frames;
pub use moments::moments;
pub use nested::nested;
pub use network::network;
pub use numbers::numbers;
pub use rows::rows;
pub use seeds::seeds;
pub use strings::strings;
pub use tuple::tuple;

/// The body of a target.
pub type Body = fn(&[u8]);

/// Every target, by name.
pub const BODIES: [(&str, Body); 10] = [
    ("capture", capture),
    ("decode", decode),
    ("frames", frames),
    ("moments", moments),
    ("nested", nested),
    ("network", network),
    ("numbers", numbers),
    ("rows", rows),
    ("strings", strings),
    ("tuple", tuple),
];
