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
#[cfg(all(feature = "alloc", feature = "bytes", feature = "serde"))]
mod rows;
mod seeds;
mod stream;
mod strings;
mod tuple;

pub use capture::capture;
pub use decode::{decode, session};
pub use frames::frames;
pub use moments::moments;
pub use nested::nested;
pub use network::network;
pub use numbers::numbers;
#[cfg(all(feature = "alloc", feature = "bytes", feature = "serde"))]
pub use rows::rows;
pub use seeds::seeds;
pub use stream::{connection, stream};
pub use strings::strings;
pub use tuple::tuple;

/// The body of a target.
pub type Body = fn(&[u8]);

/// Every target, by name.
pub const BODIES: &[(&str, Body)] = &[
    ("capture", capture),
    ("decode", decode),
    ("frames", frames),
    ("moments", moments),
    ("nested", nested),
    ("network", network),
    ("numbers", numbers),
    #[cfg(all(feature = "alloc", feature = "bytes", feature = "serde"))]
    ("rows", rows),
    ("stream", stream),
    ("strings", strings),
    ("tuple", tuple),
];
