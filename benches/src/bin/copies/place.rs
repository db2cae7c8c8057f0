//! The servers and files, and what happens there.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;
use testdata::{Client, MariaDb, Server, Version};

use crate::loader::{self, Sender};
use crate::process::{self, Run};
use crate::rows::Rows;
use crate::spent::{self, Spent};
use crate::{Failure, Measured, Product};

/// A source with tables, and room for their copies.
#[derive(Debug)]
pub(crate) struct Place {
    rows: &'static Rows,
    /// Of all rows, as COPY writes them.
    pub(crate) bytes: u64,
    source: Server,
    target: Option<Server>,
    mariadb: Option<MariaDb>,
    folder: TempDir,
    copies: usize,
}

/// A publication that has the tables, and one of a table with a tenth of the first one's rows.
const ALL: &str = "p";
const TENTH: &str = "tenth";

/// How long InnoDB may take to come to rest.
const SETTLED: Duration = Duration::from_secs(60);

impl Place {
    pub(crate) fn new(rows: &'static Rows, count: usize) -> Result<Self, Failure> {
        let source = quiet().start();
        let mut sql = Client::connect(&source, "postgres")?;
        let each = count / rows.tables.len();
        for (table, count) in rows
            .tables
            .iter()
            .map(|it| (*it, each))
            .chain([(TENTH, count / 10)])
        {
            sql.batch(&rows.table(table, |of| of))?;
            sql.batch(&rows.fill(table, count))?;
            sql.batch(&format!("VACUUM ANALYZE {table}"))?;
        }
        sql.batch(&format!(
            "CREATE PUBLICATION {ALL} FOR TABLE {}",
            rows.tables.join(", ")
        ))?;
        sql.batch(&format!("CREATE PUBLICATION {TENTH} FOR TABLE {TENTH}"))?;
        sql.batch("CHECKPOINT")?;
        let mut bytes = 0;
        for table in rows.tables {
            let mut sender = Sender::start(&source.url("postgres"), &rows.select(table, true))?;
            bytes += io::copy(&mut sender.output()?, &mut io::sink())?;
            sender.finish()?;
        }
        Ok(Self {
            rows,
            bytes,
            source,
            target: None,
            mariadb: None,
            folder: tempfile::tempdir()?,
            copies: 0,
        })
    }

    /// By the replicator, from the start of its process to its end.
    pub(crate) fn copy(&mut self, product: Product, workers: usize) -> Result<Measured, Failure> {
        self.replicate(product, workers, ALL, self.rows.tables)
    }

    /// The same with few rows.
    pub(crate) fn copy_tenth(
        &mut self,
        product: Product,
        workers: usize,
    ) -> Result<Measured, Failure> {
        self.replicate(product, workers, TENTH, &[TENTH])
    }

    fn replicate(
        &mut self,
        product: Product,
        workers: usize,
        publication: &str,
        tables: &[&str],
    ) -> Result<Measured, Failure> {
        let name = self.another(product)?;
        let destination = match product {
            Product::Sqlite => format!("sqlite:{}", self.file(&name).display()),
            Product::Postgres => format!("{}?sslmode=disable", self.target().url(&name)),
            Product::MariaDb => format!("{}?ssl-mode=disabled", self.mariadb().url(&name)),
        };
        let source = format!("{}?sslmode=disable", self.source.url("postgres"));
        let mut command = Command::new(replicator()?);
        command
            .args(["run", "--source", &source, "--destination", &destination])
            .args(["--slot", &name, "--publication", publication])
            .args(["--copy", "only", "--copy-workers", &workers.to_string()])
            .env("REPLICATOR_LOG", "warn");
        let measured = self.measure(product, |_| process::run(&mut command, false))?;
        self.check(product, &name, tables)?;
        let mut sql = Client::connect(&self.source, "postgres")?;
        sql.batch(&format!("SELECT pg_drop_replication_slot('{name}')"))?;
        self.remove(product, &name)?;
        Ok(measured)
    }

    /// By the destination's own loader, one table after the other.
    pub(crate) fn load(&mut self, product: Product) -> Result<Measured, Failure> {
        self.pipe(product, false)
    }

    /// By prepared inserts, which is less than SQLite's own loader does.
    pub(crate) fn insert(&mut self) -> Result<Measured, Failure> {
        self.pipe(Product::Sqlite, true)
    }

    fn pipe(&mut self, product: Product, inserts: bool) -> Result<Measured, Failure> {
        let name = self.another(product)?;
        let rows = self.rows;
        let prepare: String = rows
            .tables
            .iter()
            .map(|table| rows.table(table, |of| spelled(product, of)) + ";")
            .collect();
        match product {
            Product::Sqlite => {
                let db = Connection::open(self.file(&name))?;
                let _: String =
                    db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
                db.execute_batch(&prepare)?;
            }
            Product::Postgres => Client::connect(self.target(), &name)?.batch(&prepare)?,
            Product::MariaDb => {
                let mut sql = self.mariadb().connect(&name)?;
                for table in prepare.split_terminator(';') {
                    sql.batch(table)?;
                }
            }
        }
        let measured = self.measure(product, |place| {
            let (start, own) = (Instant::now(), benches::cpu_time());
            let children = spent::by_children()?;
            for table in rows.tables {
                let select = rows.select(table, product != Product::MariaDb);
                let mut sender = Sender::start(&place.source.url("postgres"), &select)?;
                let pipe = sender.output()?;
                match product {
                    Product::Sqlite if inserts => {
                        loader::inserts(&place.file(&name), table, pipe)?;
                    }
                    Product::Sqlite => loader::sqlite(&place.file(&name), table, pipe)?,
                    Product::Postgres => loader::postgres(&place.target().url(&name), table, pipe)?,
                    Product::MariaDb => {
                        loader::mariadb(place.mariadb().port(), &name, table, pipe)?;
                    }
                }
                sender.finish()?;
            }
            let wall = start.elapsed();
            let own = Duration::from_nanos(benches::cpu_time() - own);
            Ok(Run {
                wall,
                cpu: Some(own + spent::by_children()? - children),
                ..Run::default()
            })
        })?;
        self.check(product, &name, rows.tables)?;
        self.remove(product, &name)?;
        Ok(measured)
    }

    /// What the servers take meanwhile as well.
    fn measure(
        &mut self,
        product: Product,
        run: impl FnOnce(&mut Self) -> Result<Run, Failure>,
    ) -> Result<Measured, Failure> {
        let before = self.spent(product)?;
        let run = run(self)?;
        let after = self.spent(product)?;
        let destination = after.destination.zip(before.destination);
        Ok(Measured {
            run,
            spent: Spent {
                source: after.source.saturating_sub(before.source),
                destination: destination.map(|(after, before)| after.saturating_sub(before)),
            },
        })
    }

    fn spent(&mut self, product: Product) -> Result<Spent, Failure> {
        if product == Product::MariaDb {
            self.settle()?;
        }
        let destination = match product {
            Product::Sqlite => None,
            Product::Postgres => Some(self.target().process_id()),
            Product::MariaDb => Some(self.mariadb().process_id()),
        };
        Ok(Spent {
            source: spent::of_server(self.source.process_id())?,
            destination: destination.map(spent::of_server).transpose()?,
        })
    }

    /// Waits until InnoDB has done for each row what comes after its commit: a load that is one transaction would leave
    /// all of that to the next one's time.
    fn settle(&mut self) -> Result<(), Failure> {
        let mut sql = self.mariadb().connect("")?;
        let start = Instant::now();
        while start.elapsed() < SETTLED {
            let left = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
                        WHERE VARIABLE_NAME = 'INNODB_HISTORY_LIST_LENGTH'";
            if sql.value(left)? == "0" {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err("the destination server does not come to rest".into())
    }

    /// A new database for a copy.
    fn another(&mut self, product: Product) -> Result<String, Failure> {
        self.copies += 1;
        let name = format!("copy_{}", self.copies);
        let create = format!("CREATE DATABASE {name}");
        match product {
            Product::Sqlite => {}
            Product::Postgres => Client::connect(self.target(), "postgres")?.batch(&create)?,
            Product::MariaDb => self.mariadb().connect("")?.batch(&create)?,
        }
        Ok(name)
    }

    /// Removes it, and lets nothing be written back in the middle of the next one's time.
    fn remove(&mut self, product: Product, name: &str) -> Result<(), Failure> {
        let drop = format!("DROP DATABASE {name}");
        match product {
            Product::Sqlite => {
                for end in ["", "-wal", "-shm"] {
                    let removed = fs::remove_file(self.file(&format!("{name}{end}")));
                    // The last who closed it has taken the other two away.
                    if end.is_empty() {
                        removed?;
                    }
                }
            }
            Product::Postgres => {
                let mut sql = Client::connect(self.target(), "postgres")?;
                sql.batch(&format!("{drop} WITH (FORCE)"))?;
                sql.batch("CHECKPOINT")?;
            }
            Product::MariaDb => self.mariadb().connect("")?.batch(&drop)?,
        }
        Ok(())
    }

    /// Sees that a destination has what the source has.
    fn check(&mut self, product: Product, name: &str, tables: &[&str]) -> Result<(), Failure> {
        let mut sql = Client::connect(&self.source, "postgres")?;
        let rows = self.rows;
        for query in tables.iter().flat_map(|table| rows.checks(table)) {
            let wanted = sql.value(&query)?;
            let found = match product {
                Product::Sqlite => {
                    let db = Connection::open(self.file(name))?;
                    let number: i64 = db.query_row(&query, [], |row| row.get(0))?;
                    number.to_string()
                }
                Product::Postgres => Client::connect(self.target(), name)?.value(&query)?,
                Product::MariaDb => self.mariadb().connect(name)?.value(&query)?,
            };
            if wanted != found {
                return Err(format!("{query}: {found} instead of {wanted}").into());
            }
        }
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its commits are as durable as anybody's.
    fn target(&mut self) -> &Server {
        self.target.get_or_insert_with(|| {
            quiet()
                .setting("fsync", "on")
                .setting("full_page_writes", "on")
                .on_disk()
                .start()
        })
    }

    fn mariadb(&mut self) -> &MariaDb {
        self.mariadb.get_or_insert_with(|| {
            MariaDb::builder()
                .setting("innodb_buffer_pool_size", "256M")
                .setting("local_infile", "ON")
                .on_disk()
                .start()
        })
    }
}

/// A type of the source's at a destination whose loader is used.
fn spelled(product: Product, of: &'static str) -> &'static str {
    match (product, of) {
        // Its types say nothing to SQLite but which numbers are to be numbers.
        (Product::Sqlite, "bigint" | "int8" | "int4") => "integer",
        (Product::Sqlite, "numeric(12, 2)" | "timestamptz") => "text",
        (Product::Sqlite, "float8") => "",
        (Product::MariaDb, "timestamptz") => "datetime(6)",
        (_, of) => of,
    }
}

/// A server that does nothing on its own account meanwhile.
fn quiet() -> testdata::Builder {
    Server::builder(Version::V18)
        .setting("autovacuum", "off")
        .setting("shared_buffers", "256MB")
        .setting("max_wal_size", "8GB")
        .setting("checkpoint_timeout", "1h")
}

/// The replicator that was built beside this program.
fn replicator() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe()?.with_file_name("replicator");
    if path.exists() {
        Ok(path)
    } else {
        Err("build the replicator first: cargo build --release -p replicator".into())
    }
}
