//! Measurements, as ratios in one run: workloads taken from a real server, and who reads them.

pub mod contestant;
pub mod peer;
pub mod shape;
mod sum;
mod workload;

pub use sum::Sum;
pub use workload::Workload;

/// CPU time of this process in nanoseconds: what others take from the machine does not count.
pub fn cpu_time() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// The examples in the README of the repository, which no published package holds.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
