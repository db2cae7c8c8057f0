//! What the tests on real servers share: the program as a process, and a comparison that does not use it.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses a part of this"
)]

mod compare;
mod process;

pub use compare::{
    Rows, Table, all_differences, assert_equal, destination_rows, differences, printed, published,
    quoted, server_differences, server_rows, source_rows,
};
pub use process::{Finished, Job, Running};

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use testdata::{Client, Server, Version};

/// A server of this version that does nothing by itself.
pub fn server(version: Version) -> Server {
    quiet(version).start()
}

/// The same, to be given settings.
pub fn quiet(version: Version) -> testdata::Builder {
    // Autovacuum takes locks and sends Relations again whenever it likes.
    Server::builder(version)
        .setting("autovacuum", "off")
        .setting("max_connections", 50)
}

/// Plays on a new server, and once more on another if that one failed by itself, as its log says.
///
/// Seen about once in a thousand starts beside transactions that change catalogs: 18.4 has a segmentation fault in
/// CREATE_REPLICATION_SLOT, and 17.10 and 18.4 lose sight of a table that an open transaction has altered or emptied.
/// Whatever else fails is a failure.
pub fn on_a_server_that_stays(builder: &testdata::Builder, play: impl Fn(&Server)) {
    const TRIES: usize = 3;
    for last in (0..TRIES).rev() {
        let server = builder.clone().start();
        let Err(failure) = catch_unwind(AssertUnwindSafe(|| play(&server))) else {
            return;
        };
        let log = server.log();
        let faults = ["was terminated by signal 11", "could not map filenumber"];
        let its_own = faults.into_iter().any(|fault| log.contains(fault));
        if last == 0 || !its_own {
            resume_unwind(failure);
        }
        println!("PostgreSQL failed by itself; once more");
    }
}

/// A session for statements of the test.
pub fn connect(server: &Server, database: &str) -> Client {
    let options = [(
        "options",
        "-c client_min_messages=error -c lock_timeout=20s -c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC \
         -c extra_float_digits=3 -c bytea_output=hex -c xmloption=content",
    )];
    Client::connect_with(server, database, "postgres", &options).unwrap()
}

/// Transactions that were sent before their commit, as the server counts them.
pub fn streamed(client: &mut Client, slot: &str) -> u64 {
    let sql =
        format!("SELECT stream_txns FROM pg_stat_replication_slots WHERE slot_name = '{slot}'");
    client.value(&sql).unwrap().parse().unwrap()
}

/// Does something at its end, also when an assertion fails before.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
