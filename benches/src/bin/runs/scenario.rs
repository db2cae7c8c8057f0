//! What happens at the source.

use std::process::Command;

use benches::shape::Shape;
use testdata::{Client, Server};

use crate::Failure;

/// A backlog.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// For the command line.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    /// How many of `unit` at scale 1.
    full: usize,
    /// What is counted.
    pub(crate) unit: &'static str,
    /// How many of it are not worth a measurement any more.
    least: usize,
    /// How many changes of rows each of it holds.
    pub(crate) changes: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Singles,
    One,
    Hundred,
    TpcB,
    Wide,
    Updates,
    Deletes,
    Hot,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario(
        "singles",
        "transactions of one inserted row",
        200_000,
        "transactions",
        Kind::Singles,
    ),
    scenario(
        "one",
        "one transaction of inserted rows",
        1_000_000,
        "rows",
        Kind::One,
    ),
    scenario(
        "hundred",
        "100 transactions of inserted rows",
        1_000_000,
        "rows",
        Kind::Hundred,
    ),
    scenario(
        "tpcb",
        "TPC-B by pgbench",
        50_000,
        "transactions",
        Kind::TpcB,
    ),
    scenario(
        "wide",
        "inserted rows of 20 columns, 100 to a transaction",
        100_000,
        "rows",
        Kind::Wide,
    ),
    scenario(
        "updates",
        "one transaction of updates by key",
        100_000,
        "rows",
        Kind::Updates,
    ),
    scenario(
        "deletes",
        "one transaction of deletes by key",
        100_000,
        "rows",
        Kind::Deletes,
    ),
    scenario(
        "hot",
        "nine updates of 100 hot rows and an insert a transaction",
        20_000,
        "transactions",
        Kind::Hot,
    ),
];

const fn scenario(
    name: &'static str,
    title: &'static str,
    full: usize,
    unit: &'static str,
    kind: Kind,
) -> Scenario {
    Scenario {
        name,
        title,
        full,
        unit,
        least: 1000,
        changes: match kind {
            Kind::TpcB => 4,
            Kind::Hot => 10,
            _ => 1,
        },
        kind,
    }
}

const NARROW: &str = "CREATE TABLE t (
    id bigint PRIMARY KEY, n integer NOT NULL, name text, amount numeric(12, 2), at timestamptz)";

/// Rows `i` of the narrow table.
const ROWS: &str = "i, i % 1000, 'customer ' || i, i % 100000 / 100.0, timestamptz '2026-01-01 00:00Z' + i * interval '1s'";

const TPCB: &str = "
    CREATE TABLE pgbench_accounts (aid integer PRIMARY KEY, bid integer, abalance integer, filler char(84));
    CREATE TABLE pgbench_branches (bid integer PRIMARY KEY, bbalance integer, filler char(88));
    CREATE TABLE pgbench_tellers (tid integer PRIMARY KEY, bid integer, tbalance integer, filler char(84));
    CREATE TABLE pgbench_history (tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler char(22))";

const CLIENTS: usize = 4;

impl Scenario {
    pub(crate) fn named(name: &str) -> Result<&'static Self, Failure> {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        Ok(found.ok_or_else(|| format!("no scenario is called {name}; --help lists them"))?)
    }

    /// How many of [`unit`](Self::unit) are done at a scale.
    pub(crate) fn size(&self, scale: f64) -> usize {
        ((self.full as f64 * scale) as usize)
            .next_multiple_of(100)
            .max(self.least)
    }

    /// The tables, without rows; also for a destination that is PostgreSQL.
    pub(crate) fn tables(&self) -> String {
        match self.kind {
            Kind::TpcB => TPCB.to_owned(),
            Kind::Wide => {
                let shape = wide();
                let columns: Vec<_> = shape
                    .types()
                    .enumerate()
                    .map(|(at, (name, _))| format!("column_{at} {name}"))
                    .collect();
                format!(
                    "CREATE TABLE t ({}, PRIMARY KEY (column_0))",
                    columns.join(", ")
                )
            }
            _ => NARROW.to_owned(),
        }
    }

    /// Makes the rows that are there before.
    pub(crate) fn base(&self, size: usize) -> String {
        match self.kind {
            Kind::Updates | Kind::Deletes => {
                format!("INSERT INTO t SELECT {ROWS} FROM generate_series(1, {size}) i")
            }
            Kind::Hot => format!("INSERT INTO t SELECT {ROWS} FROM generate_series(1, 100) i"),
            Kind::TpcB => "
                INSERT INTO pgbench_branches SELECT 1, 0, '';
                INSERT INTO pgbench_tellers SELECT i, 1, 0, '' FROM generate_series(1, 10) i;
                INSERT INTO pgbench_accounts SELECT i, 1, 0, '' FROM generate_series(1, 100000) i"
                .to_owned(),
            _ => String::new(),
        }
    }

    /// Makes the backlog.
    pub(crate) fn fill(&self, size: usize, source: &Server) -> Result<(), Failure> {
        let mut sql = Client::connect(source, "postgres")?;
        let each = size / 100;
        let done = match self.kind {
            Kind::Singles => sql.batch(&format!(
                "DO $$ BEGIN FOR i IN 1..{size} LOOP INSERT INTO t SELECT {ROWS}; COMMIT; END LOOP; END $$"
            )),
            Kind::One => sql.batch(&format!(
                "INSERT INTO t SELECT {ROWS} FROM generate_series(1, {size}) i"
            )),
            Kind::Hundred => sql.batch(&format!(
                "DO $$ BEGIN FOR c IN 0..99 LOOP
                    INSERT INTO t SELECT {ROWS} FROM generate_series(c * {each} + 1, (c + 1) * {each}) i; COMMIT;
                 END LOOP; END $$"
            )),
            Kind::Wide => {
                for first in (1..=size).step_by(100) {
                    let rows = wide().select(first, 100);
                    sql.batch(&format!("INSERT INTO t {rows}"))?;
                }
                Ok(())
            }
            Kind::Updates => sql.batch("UPDATE t SET n = n + 1, name = name || '!'"),
            Kind::Deletes => sql.batch("DELETE FROM t"),
            // Hot keys in an order that repeats only after a hundred transactions.
            Kind::Hot => sql.batch(&format!(
                "DO $$ BEGIN FOR j IN 1..{size} LOOP
                    FOR k IN 1..9 LOOP UPDATE t SET n = n + 1, name = 'after ' || j WHERE id = 1 + (j * 7 + k * 11) % 100; END LOOP;
                    INSERT INTO t SELECT {ROWS} FROM (SELECT 100 + j AS i) x; COMMIT;
                 END LOOP; END $$"
            )),
            Kind::TpcB => return pgbench(size, source),
        };
        Ok(done?)
    }

    /// Queries of one value whose answer tells whether everything arrived.
    pub(crate) fn checks(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::TpcB => &[
                "SELECT count(*) FROM pgbench_history",
                "SELECT sum(aid * delta) FROM pgbench_history",
                "SELECT sum(aid * abalance) FROM pgbench_accounts",
                "SELECT sum(bbalance) FROM pgbench_branches",
                "SELECT sum(tid * tbalance) FROM pgbench_tellers",
            ],
            Kind::Wide => &[
                "SELECT count(*) FROM t",
                "SELECT sum(column_2) FROM t",
                "SELECT sum(length(column_1)) FROM t",
            ],
            _ => &[
                "SELECT count(*) FROM t",
                "SELECT sum(id * n) FROM t",
                "SELECT sum(length(name)) FROM t",
            ],
        }
    }

    /// Whether all that is done is to add rows to one table, so that a bulk loader can do it too.
    pub(crate) const fn is_load(&self) -> bool {
        matches!(
            self.kind,
            Kind::Singles | Kind::One | Kind::Hundred | Kind::Wide
        )
    }
}

fn wide() -> Shape {
    Shape::named("text-20").expect("one of the shapes")
}

fn pgbench(size: usize, source: &Server) -> Result<(), Failure> {
    let output = Command::new(testdata::program("pgbench"))
        .args(["--no-vacuum", "--client", &CLIENTS.to_string()])
        .args(["--transactions", &(size / CLIENTS).to_string()])
        .args(["--host", "127.0.0.1", "--port", &source.port().to_string()])
        .args(["--username", "postgres", "postgres"])
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into())
}
