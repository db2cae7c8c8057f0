//! Watching a run from outside: metrics, health, `status`, each on real servers that are made to be as they say.

#[path = "../faults_common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;

mod causes;
mod guard;
mod health;
mod http;
mod metrics;
mod scrape;
mod status;

use std::sync::{Arc, OnceLock};

use common::Site;
use testdata::{Server, Version};

/// The server that the tests here share: newest, keeping a bounded amount of WAL for slots, and taking prepared transactions.
fn site() -> Site {
    static SERVER: OnceLock<Arc<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let server = Server::builder(Version::NEWEST)
            .setting("max_replication_slots", 50)
            .setting("max_wal_senders", 50)
            .setting("max_connections", 100)
            .setting("max_prepared_transactions", 20)
            .setting("max_slot_wal_keep_size", "2GB")
            .start();
        Arc::new(server)
    });
    Site::at(Arc::clone(server))
}
