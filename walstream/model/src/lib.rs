//! walstream's ledger of positions, tried in the orders in which threads can run, up to two interruptions: `cargo test -p model`.

#[cfg(test)]
#[path = "../../src/progress.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    rustdoc::broken_intra_doc_links,
    reason = "it is a module of another crate, of which only a part is tried here"
)]
mod progress;
