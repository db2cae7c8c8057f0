//! A physical standby of a test's server: made by copying the data directory, which needs no client programs.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, Server};
use crate::folder::MEMORY;
use crate::{Client, cluster};

impl Server {
    /// Starts a physical standby of `primary`, which takes queries and streams from it through a slot of its own.
    ///
    /// The primary is stopped for it and started again, on the same port. The standby has its settings, with
    /// `hot_standby_feedback` on and all that `sync_replication_slots` asks for; logical slots are not copied. Both are
    /// independent of each other's lifetime. What the standby is to do differently, [`set`](Self::set) and
    /// [`restart`](Self::restart) make it do.
    ///
    /// # Panics
    ///
    /// If the primary is stopped, or one of the two does not start; the message holds its log.
    pub fn standby_of(primary: &mut Self) -> Self {
        let mut standby =
            Self::without_data(primary.installation.clone(), !in_memory(&primary.folder));
        let name = standby.slot_on_primary();
        primary.ask(&format!(
            "SELECT pg_create_physical_replication_slot('{name}', true)"
        ));
        primary.stop();
        let copied = cluster::duplicate(&primary.data(), &standby.data());
        primary.start_again();
        copied.unwrap_or_else(|error| panic!("cannot copy {}: {error}", primary.data().display()));
        // As pg_basebackup leaves them out: they are the primary's.
        for entry in entries(&standby.data().join("pg_replslot")) {
            fs::remove_dir_all(&entry)
                .unwrap_or_else(|error| panic!("cannot delete {}: {error}", entry.display()));
        }
        standby.set("hot_standby", "on");
        standby.set("hot_standby_feedback", "on");
        // A standby that waits for its slot asks every five seconds otherwise.
        standby.set("wal_retrieve_retry_interval", "100ms");
        standby.set("primary_slot_name", &name);
        standby.set(
            "primary_conninfo",
            format!(
                "host=127.0.0.1 port={} user=postgres dbname=postgres application_name={name}",
                primary.port()
            ),
        );
        let signal = standby.data().join("standby.signal");
        fs::write(&signal, "")
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", signal.display()));
        standby.start_first();
        standby
    }

    /// The name of the physical slot, and of the WAL receiver's session, that this server has on a primary.
    pub fn slot_on_primary(&self) -> String {
        format!("standby_{}", self.port())
    }

    /// Returns when this standby has replayed all that `primary` has written by now.
    ///
    /// # Panics
    ///
    /// If that takes minutes.
    pub fn catch_up_with(&self, primary: &Self) {
        let end = primary.ask("SELECT pg_current_wal_insert_lsn()");
        self.wait_for(&format!("SELECT pg_last_wal_replay_lsn() >= '{end}'"));
    }

    /// Makes this standby a primary, on a timeline of its own, and returns when it takes writes.
    ///
    /// # Panics
    ///
    /// If it is no standby, or does not become a primary in time.
    pub fn promote(&self) {
        assert_eq!(
            self.ask("SELECT pg_promote(true, 60)"),
            "t",
            "not promoted:\n{}",
            self.log()
        );
        self.wait_for("SELECT NOT pg_is_in_recovery()");
    }

    fn wait_for(&self, question: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask(question) != "t" {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {question}:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The one value that a query returns.
    fn ask(&self, sql: &str) -> String {
        Client::connect(self, "postgres")
            .and_then(|mut client| client.value(sql))
            .unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.log()))
    }
}

fn in_memory(folder: &Path) -> bool {
    folder.starts_with(MEMORY)
}

fn entries(folder: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}
