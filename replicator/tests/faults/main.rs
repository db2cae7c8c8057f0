//! What can be wrong before, while and after: one clear error each, a remedy that works, and nothing left behind.

#[path = "../faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

mod conflict;
mod destination;
mod gap;
mod input;
mod joining;
mod publication;
mod schema;
mod slot;
mod source;
mod tables;

use common::Site;

/// A first start that is refused must leave the source and the destination as they were.
fn assert_nothing_left(site: &Site) {
    assert_eq!(site.slot_column("slot_name"), None, "a slot is left");
    assert_eq!(site.publications(), [""; 0], "a publication is left");
    assert_eq!(site.tables(), [""; 0], "a table is left");
}
