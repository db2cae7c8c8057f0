//! `replicator check`: every finding is seen wrong, mended by what it says itself, and seen right.

#[path = "../faults_common/mod.rs"]
#[allow(dead_code, reason = "each test binary uses a part of this")]
mod faults_common;

mod destinations;
mod looked;
mod pooler;
mod reach;
mod slot;
mod source;
mod tables;
mod untouched;

use faults_common::{Site, program};
use looked::{Looked, Mended, look, mended};
