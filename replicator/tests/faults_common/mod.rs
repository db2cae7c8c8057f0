//! A database on a real server, a destination of its own, and the replicator as a program between them.

mod process;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use testdata::{Client, Server, Version};

pub(crate) use process::{Outcome, Running};

/// Long enough for a machine that runs other tests too; what takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The server of this version that the tests of one program share, each in a database of its own.
pub(crate) fn shared(version: Version) -> Arc<Server> {
    static SERVERS: Mutex<Vec<Arc<Server>>> = Mutex::new(Vec::new());
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = servers.iter().find(|server| server.version() == version) {
        return Arc::clone(server);
    }
    let server = Server::builder(version)
        .setting("max_replication_slots", 200)
        .setting("max_wal_senders", 60)
        .setting("max_connections", 200)
        .start();
    let server = Arc::new(server);
    servers.push(Arc::clone(&server));
    server
}

/// A source database and a destination that nobody else uses.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) server: Arc<Server>,
    pub(crate) database: String,
    pub(crate) slot: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Site {
    /// On the shared server of the newest version.
    pub(crate) fn new() -> Self {
        Self::on(Version::NEWEST)
    }

    /// On the shared server of this version.
    pub(crate) fn on(version: Version) -> Self {
        Self::at(shared(version))
    }

    /// On a server of the test's own.
    pub(crate) fn own(server: Server) -> Self {
        Self::at(Arc::new(server))
    }

    /// On this server, in a new database with the table `t (id, v)` of two rows.
    pub(crate) fn at(server: Arc<Server>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let site = Self {
            server,
            database: format!("source_{number}"),
            slot: format!("slot_{number}"),
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        let mut admin = Client::connect(&site.server, "postgres").expect("a connection");
        admin
            .batch(&format!("CREATE DATABASE {}", site.database))
            .expect("a new database");
        site.sql("CREATE TABLE t (id int PRIMARY KEY, v text)");
        site.sql("INSERT INTO t VALUES (1, 'one'), (2, 'two')");
        site
    }

    /// The server, to be stopped; only where the test has one of its own.
    pub(crate) fn server_mut(&mut self) -> &mut Server {
        Arc::get_mut(&mut self.server).expect("the server is shared")
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.server, &self.database).expect("a connection")
    }

    /// Runs SQL at the source.
    pub(crate) fn sql(&self, sql: &str) {
        if let Err(error) = self.client().batch(sql) {
            panic!("{sql}: {error}");
        }
    }

    /// One value from the source.
    pub(crate) fn ask(&self, sql: &str) -> String {
        self.client()
            .value(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A column of the slot in the catalog, NULL as an empty text; `None` when there is no such slot.
    pub(crate) fn slot_column(&self, column: &str) -> Option<String> {
        let sql = format!(
            "SELECT coalesce({column}::text, '') FROM pg_replication_slots WHERE slot_name = '{}'",
            self.slot
        );
        let rows = self.client().query(&sql).expect("the slots");
        rows.into_iter().flatten().next().flatten()
    }

    /// Whether the server sends through the slot. Between the answer to START_REPLICATION and its first look at the log a
    /// walsender that is to end does so at once, without what there is.
    pub(crate) fn is_sending(&self) -> bool {
        let state = "(SELECT state FROM pg_stat_replication WHERE pid = active_pid)";
        self.slot_column(state).as_deref() == Some("streaming")
    }

    /// Where the server believes the destination to be.
    pub(crate) fn confirmed(&self) -> u64 {
        lsn(&self
            .slot_column("confirmed_flush_lsn")
            .expect("the slot exists"))
    }

    /// The end of the source's WAL.
    pub(crate) fn wal_end(&self) -> u64 {
        lsn(&self.ask("SELECT pg_current_wal_insert_lsn()"))
    }

    /// Names of the publications in the database.
    pub(crate) fn publications(&self) -> Vec<String> {
        let rows = self
            .client()
            .query("SELECT pubname FROM pg_publication ORDER BY 1");
        rows.expect("the publications")
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    }

    pub(crate) fn source(&self) -> String {
        self.server.url(&self.database)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("destination.db")
    }

    pub(crate) fn destination(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    /// The destination, as any other program sees it.
    pub(crate) fn sqlite(&self) -> rusqlite::Connection {
        open(&self.path())
    }

    /// Rows of the destination as texts, NULL as `∅`, columns separated by `|`.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        rows(&self.sqlite(), sql)
    }

    /// `id` and `v` of the table `t`.
    pub(crate) fn t(&self) -> Vec<String> {
        self.rows("SELECT id, v FROM t ORDER BY id")
    }

    /// Whether the first copy is there; asks before the file or the table is.
    pub(crate) fn is_copied(&self) -> bool {
        let table = "SELECT name FROM sqlite_schema WHERE name = 't'";
        self.path().exists() && !self.rows(table).is_empty() && self.t().len() == 2
    }

    /// Runs SQL at the destination.
    pub(crate) fn edit(&self, sql: &str) {
        self.sqlite()
            .execute_batch(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The position that the destination holds.
    pub(crate) fn stored(&self) -> u64 {
        let rows = self.rows(&format!(
            "SELECT lsn FROM _replicator_position WHERE slot = '{}'",
            self.slot
        ));
        lsn(rows.first().expect("a position row"))
    }

    /// Names of the destination's tables, without our own.
    pub(crate) fn tables(&self) -> Vec<String> {
        if !self.path().exists() {
            return Vec::new();
        }
        self.rows(
            r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\_replicator%' ESCAPE '\' ORDER BY 1",
        )
    }

    /// `replicator COMMAND` with this site's source, slot and destination.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut program = program();
        program
            .arg(command)
            .args(["--slot", &self.slot, "--source", &self.source()]);
        program.args(["--destination", &self.destination()]);
        program
    }

    /// Replicates what is there and ends.
    pub(crate) fn catch_up(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command("run");
        Running::start(command.args(["--until", "current"]).args(arguments)).wait(PATIENCE)
    }

    /// [`catch_up`](Self::catch_up) that must succeed.
    pub(crate) fn caught_up(&self, arguments: &[&str]) {
        self.catch_up(arguments).done();
    }

    /// Replicates until told to stop.
    pub(crate) fn run(&self, arguments: &[&str]) -> Running {
        Running::start(self.command("run").args(arguments))
    }

    /// Replicates until told to stop; returns when the start is over, with all that it compares.
    pub(crate) fn streaming(&self, arguments: &[&str]) -> Running {
        let mut running = self.run(arguments);
        running.until_it_says(" streaming ");
        running
    }

    /// `replicator drop`.
    pub(crate) fn forget(&self, arguments: &[&str]) -> Outcome {
        Running::start(self.command("drop").args(arguments)).wait(PATIENCE)
    }

    /// Does what the hint says where the destination has to be filled anew.
    pub(crate) fn start_anew(&self, arguments: &[&str]) {
        self.forget(&[]).done();
        assert_eq!(self.slot_column("active"), None, "drop left the slot");
        for table in self.tables() {
            self.edit(&format!("DROP TABLE \"{table}\""));
        }
        self.caught_up(arguments);
    }
}

/// The program under test, with nothing of the caller's environment that would configure it.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_replicator"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REPLICATOR_")) {
        program.env_remove(name);
    }
    program
}

/// Runs the program with these arguments alone.
pub(crate) fn replicator(arguments: &[&str]) -> Outcome {
    Running::start(program().args(arguments)).wait(PATIENCE)
}

pub(crate) fn open(path: &Path) -> rusqlite::Connection {
    let sqlite = rusqlite::Connection::open(path).expect("the destination opens");
    sqlite
        .busy_timeout(Duration::from_secs(20))
        .expect("a timeout");
    sqlite
}

fn rows(sqlite: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = sqlite
        .prepare(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let columns = (0..width).map(|at| row.get(at).map(text));
        Ok(columns.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    });
    rows.and_then(Iterator::collect)
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn text(value: Value) -> String {
    match value {
        Value::Null => "∅".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => text,
        Value::Blob(bytes) => bytes
            .iter()
            .fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
    }
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// `16/B374D848` as a number.
pub(crate) fn lsn(text: &str) -> u64 {
    let (high, low) = text
        .split_once('/')
        .unwrap_or_else(|| panic!("{text:?} is no LSN"));
    let part =
        |digits| u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{text:?} is no LSN"));
    part(high) << 32 | part(low)
}
