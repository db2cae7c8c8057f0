//! Who takes part.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::Value;
use testdata::Client;
use walstream::walproto::Lsn;

use crate::place::{Place, first, one};
use crate::process::{self, Run};
use crate::scenario::Scenario;
use crate::{Failure, ceiling};

/// Somebody who receives the backlog, or loads what it brings.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// For the command line, slots and files.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `pg_recvlogical` to /dev/null, with binary columns or not.
    Wire { binary: bool },
    /// PostgreSQL's own.
    Subscription,
    /// Ours, without or with TLS on every connection.
    Ours { into: Product, tls: bool },
    /// The destination's own loader, from a file.
    Bulk(Product),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Sqlite,
    Postgres,
    MariaDb,
    /// Wherever somebody has one.
    SqlServer,
}

const fn contestant(name: &'static str, title: &'static str, role: Role) -> Contestant {
    Contestant { name, title, role }
}

const fn ours(name: &'static str, title: &'static str, into: Product, tls: bool) -> Contestant {
    contestant(name, title, Role::Ours { into, tls })
}

/// In the order of the table.
pub(crate) const CONTESTANTS: &[Contestant] = &[
    contestant(
        "wire-binary",
        "pg_recvlogical, binary",
        Role::Wire { binary: true },
    ),
    contestant("wire", "pg_recvlogical, text", Role::Wire { binary: false }),
    contestant("subscription", "subscription", Role::Subscription),
    ours("sqlite", "ours into SQLite", Product::Sqlite, false),
    ours("sqlite-tls", "  with TLS", Product::Sqlite, true),
    contestant(
        "sqlite-bulk",
        "SQLite's bulk load",
        Role::Bulk(Product::Sqlite),
    ),
    ours("postgres", "ours into PostgreSQL", Product::Postgres, false),
    ours("postgres-tls", "  with TLS", Product::Postgres, true),
    contestant(
        "postgres-bulk",
        "PostgreSQL's bulk load",
        Role::Bulk(Product::Postgres),
    ),
    ours("mariadb", "ours into MariaDB", Product::MariaDb, false),
    ours("mariadb-tls", "  with TLS", Product::MariaDb, true),
    contestant(
        "mariadb-bulk",
        "MariaDB's bulk load",
        Role::Bulk(Product::MariaDb),
    ),
    ours(
        "sqlserver",
        "ours into SQL Server",
        Product::SqlServer,
        false,
    ),
];

const NO_LOADER: &str = "SQL Server has no loader of its own here";

/// After this a contestant is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(600);

impl Contestant {
    pub(crate) fn can(&self, scenario: &Scenario) -> bool {
        !matches!(self.role, Role::Bulk(_)) || scenario.is_load()
    }

    fn slot(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Where it writes to PostgreSQL.
    fn database(&self) -> String {
        format!("for-{}", self.name)
    }

    /// Makes its slot, and what it writes into.
    pub(crate) fn prepare(&self, place: &mut Place) -> Result<(), Failure> {
        match self.role {
            Role::Wire { .. } => {
                let slot = self.slot();
                place.sql()?.batch(&format!(
                    "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"
                ))?;
            }
            Role::Subscription => self.subscribe(place)?,
            // A first run copies what is there, and leaves the slot where its copy ends.
            Role::Ours { into, .. } => {
                match into {
                    Product::Sqlite => {}
                    Product::Postgres => drop(place.database(&self.database())?),
                    Product::MariaDb => drop(place.mariadb_database(&self.database())?),
                    Product::SqlServer => drop(place.sql_server()),
                }
                process::run(&mut self.command(place)?, false)?;
            }
            Role::Bulk(product) => {
                let tables = place.scenario.tables();
                match product {
                    Product::Sqlite => ceiling::prepare(&self.path(place), &tables)?,
                    Product::Postgres => place.database(&self.database())?.batch(&tables)?,
                    Product::MariaDb => place
                        .mariadb_database(&self.database())?
                        .batch(&tables.replace("timestamptz", "datetime(6)"))?,
                    Product::SqlServer => return Err(NO_LOADER.into()),
                }
            }
        }
        Ok(())
    }

    /// Runs until everything up to `end` is done.
    pub(crate) fn run(&self, place: &mut Place, end: Lsn, syscalls: bool) -> Result<Run, Failure> {
        let run = match self.role {
            Role::Wire { binary } => return self.receive(place, end, binary),
            Role::Subscription => self.enable(place, end)?,
            Role::Ours { .. } => process::run(&mut self.command(place)?, syscalls)?,
            Role::Bulk(product) => {
                let rows = place.sql()?.copy_out("COPY t TO STDOUT")?;
                let file = place.file("rows");
                std::fs::write(&file, &rows)?;
                drop(rows);
                match product {
                    Product::Sqlite => ceiling::sqlite(&self.path(place), &file)?,
                    Product::Postgres => {
                        let mut sql = Client::connect(place.target(), &self.database())?;
                        ceiling::postgres(&mut sql, &file)?
                    }
                    Product::MariaDb => {
                        let mut sql = place.mariadb().connect(&self.database())?;
                        ceiling::mariadb(&mut sql, &file)?
                    }
                    Product::SqlServer => return Err(NO_LOADER.into()),
                }
            }
        };
        self.check(place)?;
        Ok(run)
    }

    /// Where its rows are, if it keeps them.
    pub(crate) const fn product(&self) -> Product {
        match self.role {
            Role::Ours { into, .. } | Role::Bulk(into) => into,
            Role::Wire { .. } | Role::Subscription => Product::Postgres,
        }
    }

    fn check(&self, place: &mut Place) -> Result<(), Failure> {
        match self.product() {
            Product::Sqlite => {
                let db = Connection::open(self.path(place))?;
                place.check(|query| {
                    let value: Value = db.query_row(query, [], |row| row.get(0))?;
                    Ok(match value {
                        Value::Integer(number) => Some(number.to_string()),
                        Value::Null => None,
                        other => Some(format!("{other:?}")),
                    })
                })
            }
            Product::Postgres => {
                let mut sql = Client::connect(place.target(), &self.database())?;
                place.check(|query| one(&mut sql, query))
            }
            Product::MariaDb => {
                let mut sql = place.mariadb().connect(&self.database())?;
                place.check(|query| Ok(first(sql.query(query)?)))
            }
            Product::SqlServer => {
                let mut sql = place.sql_server().connect()?;
                place.check(|query| {
                    // A sum of its integers is an integer, and may be too large for one.
                    let query = query.replace("sum(", "sum(CONVERT(bigint, 1) * ");
                    Ok(first(sql.query(&query.replace("length(", "len("))?))
                })
            }
        }
    }

    fn path(&self, place: &Place) -> PathBuf {
        place.file(&format!("{}.db", self.name))
    }

    fn command(&self, place: &mut Place) -> Result<Command, Failure> {
        let Role::Ours { into, tls } = self.role else {
            return Err("not ours".into());
        };
        let program = replicator()?;
        let mode = if tls { "require" } else { "disable" };
        let source = format!("{}?sslmode={mode}", place.source.url("postgres"));
        let destination = match into {
            Product::Sqlite => format!("sqlite:{}", self.path(place).display()),
            Product::Postgres => format!("{}?sslmode={mode}", place.target().url(&self.database())),
            Product::MariaDb => {
                let mode = if tls { "required" } else { "disabled" };
                format!("{}?ssl-mode={mode}", place.mariadb().url(&self.database()))
            }
            Product::SqlServer => place.sql_server().url(),
        };
        let mut command = Command::new(program);
        command
            .args(["run", "--source", &source, "--destination", &destination])
            .args(["--slot", &self.slot(), "--publication", "p"])
            .args(["--until", "current"])
            .env("REPLICATOR_LOG", "warn");
        Ok(command)
    }

    fn receive(&self, place: &Place, end: Lsn, binary: bool) -> Result<Run, Failure> {
        let connection = format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable gssencmode=disable",
            place.source.port()
        );
        let binary = format!("binary={binary}");
        let mut command = Command::new(testdata::program("pg_recvlogical"));
        command
            .args(["--dbname", &connection, "--slot", &self.slot()])
            .args(["--start", "--no-loop", "--file", "/dev/null"])
            .args(["--endpos", &end.to_string()])
            .args(["-o", "proto_version=4", "-o", "streaming=parallel"])
            .args(["-o", &binary, "-o", "publication_names=p"]);
        process::run(&mut command, false)
    }

    /// A subscription that has copied what is there, and waits.
    fn subscribe(&self, place: &mut Place) -> Result<(), Failure> {
        let connection = format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable",
            place.source.port()
        );
        let tables = place.scenario.tables();
        let slot = self.slot();
        let mut sql = place.database(&self.database())?;
        sql.batch(&tables)?;
        sql.batch(&format!(
            "CREATE SUBSCRIPTION s CONNECTION '{connection}' PUBLICATION p
             WITH (slot_name = '{slot}', streaming = parallel, binary = true)"
        ))?;
        let copying = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'";
        wait(|| Ok(sql.value(copying)? == "0"))?;
        sql.batch("ALTER SUBSCRIPTION s DISABLE")?;
        let mut source = place.sql()?;
        let active = format!(
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}' AND active"
        );
        wait(|| Ok(source.value(&active)? == "0"))
    }

    /// Its time ends when it has told the source that all is safe, as ours does.
    fn enable(&self, place: &mut Place, end: Lsn) -> Result<Run, Failure> {
        let mut source = place.sql()?;
        let mut sql = Client::connect(place.target(), &self.database())?;
        let confirmed = format!(
            "SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = '{}'",
            self.slot()
        );
        let start = Instant::now();
        sql.batch("ALTER SUBSCRIPTION s ENABLE")?;
        wait(|| Ok(source.value(&confirmed)? == "t"))?;
        let wall = start.elapsed();
        sql.batch("ALTER SUBSCRIPTION s DISABLE")?;
        Ok(Run {
            wall,
            ..Run::default()
        })
    }
}

/// The replicator, beside this program.
fn replicator() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?.with_file_name("replicator");
    if program.exists() {
        return Ok(program);
    }
    let program = program.display();
    Err(format!("{program} is missing; run: cargo build --release -p replicator").into())
}

fn wait(mut done: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while !done()? {
        if Instant::now() > deadline {
            return Err("it does not come to an end".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
