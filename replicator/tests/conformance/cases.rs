//! What is played, by subject.

pub(crate) mod both_ways;
pub(crate) mod compare;
pub(crate) mod conflict;
pub(crate) mod crash;
pub(crate) mod everything;
pub(crate) mod joining;
pub(crate) mod keys;
#[cfg_attr(
    not(feature = "mysql"),
    allow(
        dead_code,
        reason = "only a place with types of less room than PostgreSQL's"
    )
)]
pub(crate) mod misfits;
pub(crate) mod names;
pub(crate) mod order;
pub(crate) mod partitions;
pub(crate) mod publication;
pub(crate) mod schema;
#[cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "only a place with a server is killed")
)]
pub(crate) mod server;
pub(crate) mod size;
pub(crate) mod stricter;
pub(crate) mod toast;
pub(crate) mod truncate;
pub(crate) mod whole;

use testdata::Version;

/// The oldest server and the newest.
const BOTH: [Version; 2] = [Version::V14, Version::V18];
