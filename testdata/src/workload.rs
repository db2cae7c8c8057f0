//! A seeded workload: several sessions with open transactions at once, and a model of what the tables must hold.
//!
//! Everything follows from the seed and the number of steps. Sessions take turns in one thread, and each has rows
//! of its own, so that none waits for another. The model undoes what is rolled back, so it is independent of the
//! server that it is compared with.

mod changes;
mod random;
mod tables;

use std::collections::BTreeMap;

use crate::{Client, ClientError, Row, Server};

pub use random::Random;
use tables::{Cells, SCHEMA, TABLES};

const LOG: usize = 6;
const HEAP: usize = 3;

/// Everything that a workload of some length does; one that never did some of it has tested less than it says.
pub const KINDS: &[&str] = &[
    "insert",
    "update",
    "delete",
    "update of many rows",
    "delete of many rows",
    "key change",
    "swap of keys",
    "key used again",
    "equal row",
    "one of equal rows removed",
    "null",
    "value out of line",
    "unchanged value out of line",
    "unchanged value out of line beside a key change",
    "key out of line",
    "commit",
    "rollback",
    "savepoint",
    "partial rollback",
    "release",
    "exception caught",
    "prepared and committed",
    "prepared and rolled back",
    "truncate",
    "truncate of two tables",
    "truncate rolled back",
    "large transaction",
    "large transactions at once",
    "large transaction rolled back",
    "large partial rollback",
    "analyze",
];

/// Sessions at work on one database, and what it must hold.
#[derive(Debug)]
pub struct Workload {
    seed: u64,
    database: String,
    random: Random,
    unique: u64,
    sessions: Vec<Session>,
    met: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Session {
    client: Client,
    state: State,
    /// Committed or not: what this session sees of its own rows, per table.
    rows: Vec<Vec<Cells>>,
    /// How to get back to the state before the open transaction.
    undo: Vec<Effect>,
    /// Length of `undo` at each open savepoint.
    savepoints: Vec<usize>,
    large: bool,
    steps: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Open,
    Prepared(String),
}

#[derive(Debug)]
struct Effect {
    added: bool,
    session: usize,
    table: usize,
    row: Cells,
}

impl Workload {
    /// Makes the tables and connects.
    ///
    /// # Errors
    ///
    /// What the server answered.
    pub fn new(
        server: &Server,
        database: &str,
        seed: u64,
        sessions: usize,
    ) -> Result<Self, ClientError> {
        Client::connect(server, database)?.batch(SCHEMA)?;
        let session = |_| {
            Ok(Session {
                client: connect(server, database)?,
                state: State::Idle,
                rows: vec![Vec::new(); TABLES.len()],
                undo: Vec::new(),
                savepoints: Vec::new(),
                large: false,
                steps: 0,
            })
        };
        Ok(Self {
            seed,
            database: database.into(),
            random: Random::new(seed),
            unique: 0,
            sessions: (0..sessions)
                .map(session)
                .collect::<Result<_, ClientError>>()?,
            met: BTreeMap::new(),
        })
    }

    /// The seed that everything follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How often each of [`KINDS`] was done.
    pub fn met(&self) -> &BTreeMap<&'static str, u64> {
        &self.met
    }

    /// Those of [`KINDS`] that were never done.
    pub fn never_met(&self) -> Vec<&'static str> {
        let never = |kind: &&&str| !self.met.contains_key(**kind);
        KINDS.iter().filter(never).copied().collect()
    }

    /// The names of the tables, and in each the rows that it must hold, sorted.
    ///
    /// # Panics
    ///
    /// While a transaction is open: call [`finish`](Self::finish) first.
    pub fn model(&self) -> BTreeMap<&'static str, Vec<Row>> {
        let idle = self.sessions.iter().all(|it| it.state == State::Idle);
        assert!(idle, "a transaction is open");
        let rows = |table: usize| {
            let mut rows: Vec<Row> = self
                .sessions
                .iter()
                .flat_map(|session| &session.rows[table])
                .map(|row| {
                    row.iter()
                        .map(|cell| cell.as_deref().map(str::to_owned))
                        .collect()
                })
                .collect();
            rows.sort();
            rows
        };
        TABLES
            .iter()
            .enumerate()
            .map(|(at, table)| (table.name, rows(at)))
            .collect()
    }

    /// The columns of a table, in the order in which [`model`](Self::model) has them.
    pub fn columns(table: &str) -> Vec<&'static str> {
        TABLES
            .iter()
            .filter(|shape| shape.name == table)
            .flat_map(|shape| shape.columns.iter().map(|(name, _)| *name))
            .collect()
    }

    /// One session does one thing.
    ///
    /// # Errors
    ///
    /// What the server answered; the model is of no use after that.
    pub fn step(&mut self) -> Result<(), ClientError> {
        if self.random.once_in(120) {
            return self.truncate();
        }
        let at = self.random.below(self.sessions.len());
        match self.sessions[at].state.clone() {
            State::Prepared(gid) => self.resolve(at, &gid),
            State::Idle => match self.random.below(12) {
                0..4 => self.change(at),
                4 => {
                    self.count("analyze");
                    let table = self.random.one_of(TABLES).name;
                    self.run(at, &format!("ANALYZE {table}"))
                }
                _ => self.begin(at),
            },
            State::Open if self.sessions[at].steps == 0 => self.end(at),
            State::Open => {
                self.sessions[at].steps -= 1;
                match self.random.below(16) {
                    0 | 1 => self.savepoint(at),
                    2 => self.rollback_to(at),
                    3 => self.release(at),
                    4 => self.caught_exception(at),
                    _ => self.change(at),
                }
            }
        }
    }

    /// Ends every open transaction.
    ///
    /// # Errors
    ///
    /// What the server answered.
    pub fn finish(&mut self) -> Result<(), ClientError> {
        for at in 0..self.sessions.len() {
            self.finish_one(at)?;
        }
        Ok(())
    }

    /// Connects again after the server was killed: open transactions are gone, prepared ones are not.
    ///
    /// # Errors
    ///
    /// What the server answered.
    pub fn reconnect(&mut self, server: &Server) -> Result<(), ClientError> {
        for at in 0..self.sessions.len() {
            self.sessions[at].client = connect(server, &self.database)?;
            if self.sessions[at].state == State::Open {
                self.forget(at);
            }
        }
        Ok(())
    }

    /// Connects again after the server ended by itself, perhaps in the middle of a statement: what it holds counts
    /// from here on, and the model begins anew with it.
    ///
    /// # Errors
    ///
    /// What the server answered.
    pub fn recover(&mut self, server: &Server) -> Result<(), ClientError> {
        let mut control = connect(server, &self.database)?;
        let prepared =
            "SELECT quote_literal(gid) FROM pg_prepared_xacts WHERE database = current_database()";
        for gid in control.query(prepared)?.into_iter().flatten().flatten() {
            control.batch(&format!("ROLLBACK PREPARED {gid}"))?;
        }
        for at in 0..self.sessions.len() {
            self.sessions[at].client = connect(server, &self.database)?;
            self.keep(at);
            for (table, shape) in TABLES.iter().enumerate() {
                let columns: Vec<&str> = shape.columns.iter().map(|(name, _)| *name).collect();
                let (columns, name) = (columns.join(", "), shape.name);
                let rows =
                    control.query(&format!("SELECT {columns} FROM {name} WHERE s = {at}"))?;
                let cells = |row: Row| row.into_iter().map(|cell| cell.map(Into::into)).collect();
                self.sessions[at].rows[table] = rows.into_iter().map(cells).collect();
            }
        }
        Ok(())
    }

    fn finish_one(&mut self, at: usize) -> Result<(), ClientError> {
        match self.sessions[at].state.clone() {
            State::Idle => Ok(()),
            State::Open => {
                self.end(at)?;
                self.finish_one(at)
            }
            State::Prepared(gid) => self.resolve(at, &gid),
        }
    }

    fn begin(&mut self, at: usize) -> Result<(), ClientError> {
        self.run(at, "BEGIN")?;
        let large = self.random.once_in(4);
        let steps = 2 + self.random.below(if large { 14 } else { 8 });
        let session = &mut self.sessions[at];
        session.state = State::Open;
        session.large = large;
        session.steps = steps;
        if large {
            self.count("large transaction");
            if self.sessions.iter().filter(|it| it.large).count() > 1 {
                self.count("large transactions at once");
            }
        }
        Ok(())
    }

    fn end(&mut self, at: usize) -> Result<(), ClientError> {
        match self.random.below(10) {
            0 | 1 => {
                self.run(at, "ROLLBACK")?;
                self.count("rollback");
                if self.sessions[at].large {
                    self.count("large transaction rolled back");
                }
                self.forget(at);
            }
            2 => {
                self.unique += 1;
                let gid = format!("{} {}", self.database, self.unique);
                self.run(at, &format!("PREPARE TRANSACTION '{gid}'"))?;
                self.sessions[at].state = State::Prepared(gid);
            }
            _ => {
                self.run(at, "COMMIT")?;
                self.count("commit");
                self.keep(at);
            }
        }
        Ok(())
    }

    fn resolve(&mut self, at: usize, gid: &str) -> Result<(), ClientError> {
        if self.random.once_in(3) {
            self.run(at, &format!("ROLLBACK PREPARED '{gid}'"))?;
            self.count("prepared and rolled back");
            self.forget(at);
        } else {
            self.run(at, &format!("COMMIT PREPARED '{gid}'"))?;
            self.count("prepared and committed");
            self.keep(at);
        }
        Ok(())
    }

    fn savepoint(&mut self, at: usize) -> Result<(), ClientError> {
        let session = &mut self.sessions[at];
        session.savepoints.push(session.undo.len());
        let name = session.savepoints.len();
        self.count("savepoint");
        self.run(at, &format!("SAVEPOINT s{name}"))
    }

    fn rollback_to(&mut self, at: usize) -> Result<(), ClientError> {
        let open = self.sessions[at].savepoints.len();
        if open == 0 {
            return self.savepoint(at);
        }
        let chosen = self.random.below(open);
        self.run(at, &format!("ROLLBACK TO s{}", chosen + 1))?;
        self.count("partial rollback");
        let session = &mut self.sessions[at];
        let length = session.savepoints[chosen];
        if session.undo.len() - length > 60 {
            self.count("large partial rollback");
        }
        self.sessions[at].savepoints.truncate(chosen + 1);
        self.undo(at, length);
        Ok(())
    }

    fn release(&mut self, at: usize) -> Result<(), ClientError> {
        let open = self.sessions[at].savepoints.len();
        if open == 0 {
            return self.savepoint(at);
        }
        let chosen = self.random.below(open);
        self.sessions[at].savepoints.truncate(chosen);
        self.count("release");
        self.run(at, &format!("RELEASE s{}", chosen + 1))
    }

    fn caught_exception(&mut self, at: usize) -> Result<(), ClientError> {
        self.count("exception caught");
        let rows = if self.sessions[at].large { 300 } else { 2 };
        self.unique += 1;
        let sql = format!(
            "DO $$ BEGIN
               INSERT INTO log SELECT -i, {at}, repeat('lost', 100) FROM generate_series(1, {rows}) i;
               UPDATE accounts SET n = 7 WHERE s = {at};
               RAISE 'on purpose';
             EXCEPTION WHEN OTHERS THEN NULL; END $$"
        );
        self.run(at, &sql)
    }

    /// Alone, because it waits for everybody who has touched the table.
    fn truncate(&mut self) -> Result<(), ClientError> {
        self.finish()?;
        let at = self.random.below(self.sessions.len());
        self.begin(at)?;
        for _ in 0..self.random.below(3) {
            self.change(at)?;
        }
        let within = self.random.once_in(3);
        if within {
            self.savepoint(at)?;
        }
        let two = self.random.once_in(2);
        // In the order of their names, as who locks several tables does, so that nobody waits in a circle.
        let tables = if two { &[HEAP, LOG][..] } else { &[LOG] };
        self.count("truncate");
        if two {
            self.count("truncate of two tables");
        }
        let names: Vec<&str> = tables.iter().map(|&table| TABLES[table].name).collect();
        self.run(at, &format!("TRUNCATE {}", names.join(", ")))?;
        for &table in tables {
            for owner in 0..self.sessions.len() {
                for row in std::mem::take(&mut self.sessions[owner].rows[table]) {
                    self.sessions[at].undo.push(Effect {
                        added: false,
                        session: owner,
                        table,
                        row,
                    });
                }
            }
        }
        for _ in 0..self.random.below(3) {
            self.change(at)?;
        }
        if within {
            self.count("truncate rolled back");
            self.rollback_to(at)?;
        }
        self.change(at)?;
        self.finish_one(at)
    }

    fn choose(&mut self, at: usize, table: usize) -> (usize, Cells) {
        let rows = &self.sessions[at].rows[table];
        let chosen = self.random.below(rows.len());
        (chosen, rows[chosen].clone())
    }

    fn add(&mut self, at: usize, table: usize, row: Cells) {
        self.sessions[at].rows[table].push(row.clone());
        self.record(at, true, table, row);
    }

    fn remove(&mut self, at: usize, table: usize, chosen: usize) {
        let row = self.sessions[at].rows[table].swap_remove(chosen);
        self.record(at, false, table, row);
    }

    fn record(&mut self, session: usize, added: bool, table: usize, row: Cells) {
        let effect = Effect {
            added,
            session,
            table,
            row,
        };
        self.sessions[session].undo.push(effect);
    }

    /// Takes back what session `at` did after its first `length` effects.
    fn undo(&mut self, at: usize, length: usize) {
        for effect in self.sessions[at].undo.split_off(length).into_iter().rev() {
            let rows = &mut self.sessions[effect.session].rows[effect.table];
            if effect.added {
                let place = rows.iter().rposition(|row| *row == effect.row);
                rows.swap_remove(place.expect("what was added is there"));
            } else {
                rows.push(effect.row);
            }
        }
    }

    fn forget(&mut self, at: usize) {
        self.undo(at, 0);
        self.keep(at);
    }

    fn keep(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.undo.clear();
        session.savepoints.clear();
        session.state = State::Idle;
        session.large = false;
    }

    fn run(&mut self, at: usize, sql: &str) -> Result<(), ClientError> {
        let session = &mut self.sessions[at];
        session.client.batch(sql)?;
        if session.state == State::Idle {
            // It committed by itself.
            session.undo.clear();
        }
        Ok(())
    }

    fn count(&mut self, kind: &'static str) {
        debug_assert!(KINDS.contains(&kind), "{kind}");
        *self.met.entry(kind).or_default() += 1;
    }
}

fn connect(server: &Server, database: &str) -> Result<Client, ClientError> {
    // A statement that waits for another session would wait for ever: they take turns.
    let options = "-c lock_timeout=20s -c client_min_messages=error";
    Client::connect_with(
        server,
        database,
        "postgres",
        &[("client_encoding", "UTF8"), ("options", options)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    #[test]
    fn the_model_is_what_the_server_holds_and_everything_is_met() {
        let server = Server::builder(Version::NEWEST)
            .setting("autovacuum", "off")
            .start();
        let mut workload = Workload::new(&server, "postgres", 1, 3).unwrap();
        for _ in 0..2500 {
            workload.step().unwrap();
        }
        workload.finish().unwrap();
        assert_eq!(workload.never_met(), [""; 0]);
        let mut client = connect(&server, "postgres").unwrap();
        for (table, rows) in workload.model() {
            let columns = Workload::columns(table).join(", ");
            let mut found = client
                .query(&format!("SELECT {columns} FROM {table}"))
                .unwrap();
            found.sort();
            assert_eq!(found, rows, "{table}");
        }
    }
}
