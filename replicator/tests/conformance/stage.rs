//! A case's surroundings: a source database on a server that all share, a place, and the replicator between them.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use testdata::{Client, Server, Version};

use crate::common::{
    Finished, Job, Rows, Running, connect, differences, published, quiet, source_rows,
};
use crate::place::{Place, Room};

/// What one case plays on.
pub(crate) struct Stage<P> {
    pub(crate) place: P,
    pub(crate) source: Client,
    server: Arc<Server>,
    /// Also the slot's name.
    pub(crate) database: String,
    publication: &'static str,
    job: Job,
}

impl<P: Place> Stage<P> {
    /// A new database on a server of this version, and a fresh place.
    pub(crate) fn new(version: Version) -> Self {
        Self::with(version, P::fresh(), &[])
    }

    /// The same with options of `run`.
    pub(crate) fn told(version: Version, options: &[&str]) -> Self {
        Self::with(version, P::fresh(), options)
    }

    /// The same into this place.
    pub(crate) fn with(version: Version, place: P, options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("source_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let server = shared(version);
        let create = format!("CREATE DATABASE {database}");
        connect(&server, "postgres").batch(&create).unwrap();
        let job = Job::new(&server, &database)
            .into(place.url())
            .slot(&database)
            .options(options);
        Self {
            place,
            source: connect(&server, &database),
            server,
            database,
            publication: "replicator",
            job,
        }
    }

    /// Follows a publication of the user's own.
    pub(crate) fn following(mut self, publication: &'static str) -> Self {
        self.job = self.job.options(&["--publication", publication]);
        self.publication = publication;
        self
    }

    /// Runs a script at the source: what a blank line separates commits apart.
    pub(crate) fn play(&mut self, script: &str) {
        for paragraph in script.split("\n\n") {
            let statements = paragraph.trim();
            if statements.lines().all(|line| line.starts_with("--")) {
                continue;
            }
            if let Err(error) = self.source.batch(statements) {
                panic!("{error} in:\n{statements}");
            }
        }
    }

    /// Replicates what is there, and ends.
    pub(crate) fn catch_up(&self) {
        self.job.run_to_current();
    }

    /// Replicates what is there, and compares.
    pub(crate) fn follow(&mut self) {
        self.catch_up();
        self.assert_equal();
    }

    /// A script at the source, replicated and compared.
    pub(crate) fn follow_through(&mut self, script: &str) {
        self.play(script);
        self.follow();
    }

    /// Replicates until told to stop; returns when it streams.
    pub(crate) fn stream(&self) -> Running {
        let mut running = self.start();
        running.wait_for(" streaming ");
        running
    }

    /// Replicates until told to stop.
    pub(crate) fn start(&self) -> Running {
        self.job.start(&[])
    }

    /// Another session at the source.
    pub(crate) fn session(&self) -> Client {
        connect(&self.server, &self.database)
    }

    /// What differs between source and place, as sentences.
    pub(crate) fn differences(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for table in published(&mut self.source, self.publication) {
            let there = self.place.rows(&table);
            let here = source_rows(&mut self.source, &table);
            let found = differences(&here, &there, "source", "destination");
            let name = table.source();
            all.extend(found.into_iter().map(|what| format!("{name}: {what}")));
        }
        all
    }

    /// Every published table is the same on both sides.
    pub(crate) fn assert_equal(&mut self) {
        let all = self.differences();
        let shown: Vec<&String> = all.iter().take(20).collect();
        assert!(all.is_empty(), "{} rows differ: {shown:#?}", all.len());
    }

    /// Names of the published tables, as they must lie at the place.
    pub(crate) fn names(&mut self) -> Vec<String> {
        let tables = published(&mut self.source, self.publication);
        let name = |table: &crate::common::Table| self.place.name(&table.schema, &table.name);
        tables.iter().map(name).collect()
    }

    /// Name and rows of each published table, as they lie at the place.
    pub(crate) fn held(&mut self) -> Vec<(String, Rows)> {
        let tables = published(&mut self.source, self.publication);
        let held = tables.iter();
        held.map(|table| (table.name.clone(), self.place.rows(table)))
            .collect()
    }

    /// How many columns the only published table has.
    pub(crate) fn columns(&mut self) -> usize {
        let [table] = published(&mut self.source, self.publication)
            .try_into()
            .unwrap();
        table.columns.len()
    }

    /// Replicates until it dies at a place that `REPLICATOR_FAILPOINT` names.
    pub(crate) fn dies_at(&self, place: &str) {
        let mut command = self.job.command(&[]);
        command.env("REPLICATOR_FAILPOINT", place);
        let finished = self.job.start_command(command).wait();
        assert_eq!(finished.signal, Some(6), "{place}: {}", finished.log);
    }

    /// Replicates until it dies there, when it comes by; with a table at fault stopped alone.
    #[cfg(feature = "failpoints")]
    pub(crate) fn start_at(&self, place: &str) -> Running {
        let mut command = self.job.command(&["--on-table-error", "isolate"]);
        command.env("REPLICATOR_FAILPOINT", place);
        self.job.start_command(command)
    }

    /// Asks for another copy of a table.
    pub(crate) fn resync(&self, table: &str) {
        let mut resync = Command::new(env!("CARGO_BIN_EXE_replicator"));
        resync.args(["resync", "--table", table, "--slot", &self.database]);
        let destination = self.url_of_destination();
        resync.args(["--source", &self.url(), "--destination", &destination]);
        assert!(resync.status().unwrap().success());
    }

    pub(crate) fn url_of_destination(&self) -> String {
        self.place.url()
    }

    /// The source as a URL.
    pub(crate) fn url(&self) -> String {
        self.job.source().to_owned()
    }

    /// Replicates, and must stop for a person with these words.
    pub(crate) fn stops(&self, words: &[&str]) -> Finished {
        let finished = self.job.run(&["--until", "current"]);
        assert_eq!(finished.code, Some(3), "{}", finished.log);
        for word in words {
            assert!(finished.log.contains(word), "{word:?} in {}", finished.log);
        }
        finished
    }

    /// Whether there is room: if not, the first start must say so, and leave nothing behind if the tables alone tell.
    pub(crate) fn has(&mut self, room: Room) -> bool {
        let words = match room {
            Room::Enough => return true,
            Room::Refused(words) => words,
            Room::RefusedWithItsRow(words) => {
                self.stops(words);
                return false;
            }
        };
        let finished = self.job.run(&["--until", "current"]);
        assert!(
            matches!(finished.code, Some(2 | 3)),
            "{:?} {}",
            finished.code,
            finished.log
        );
        for word in words {
            assert!(finished.log.contains(word), "{word:?} in {}", finished.log);
        }
        assert_eq!(self.place.tables(), [""; 0], "a table is left");
        let left = format!(
            "SELECT slot_name FROM pg_replication_slots WHERE slot_name = '{}'
             UNION ALL SELECT pubname FROM pg_publication",
            self.database
        );
        assert_eq!(
            self.source.query(&left).unwrap(),
            [[]; 0],
            "left at the source"
        );
        false
    }
}

/// The server of this version. Large transactions of the newest are sent before they commit.
fn shared(version: Version) -> Arc<Server> {
    static SERVERS: Mutex<Vec<Arc<Server>>> = Mutex::new(Vec::new());
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = servers.iter().find(|server| server.version() == version) {
        return Arc::clone(server);
    }
    let mut builder = quiet(version)
        .setting("max_replication_slots", 600)
        .setting("max_wal_senders", 200)
        .setting("max_connections", 300);
    if version == Version::NEWEST {
        builder = builder.setting("logical_decoding_work_mem", "64kB");
    }
    let server = Arc::new(builder.start());
    servers.push(Arc::clone(&server));
    server
}
