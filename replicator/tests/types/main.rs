//! Types on their way through the program: tables of somebody else's that are wide enough or not, and moments in
//! servers of several time zones.

#[path = "../common/mod.rs"]
mod common;

mod misfits;
mod place;
mod takeover;
mod zones;
