//! The servers and files of one scenario.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;
use testdata::{
    Certificate, Certificates, Client, MariaDb, MariaDbClient, Row, Server, SqlServerDatabase,
    Version, Wish,
};
use walstream::walproto::Lsn;

use crate::Failure;
use crate::scenario::Scenario;

/// Where a scenario happens.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) scenario: &'static Scenario,
    pub(crate) source: Server,
    target: Option<Server>,
    mariadb: Option<MariaDb>,
    sql_server: Option<SqlServerDatabase>,
    folder: TempDir,
    certificate: Certificate,
    _certificates: Certificates,
}

impl Place {
    /// A source with the tables and their first rows, and a publication of all of them.
    pub(crate) fn new(scenario: &'static Scenario, size: usize) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        // The destination's server reads a file here, as a user of its own.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let certificates = Certificates::new();
        let certificate = certificates.own("server", &Wish::default());
        // Its part is to send; that it forgets all in a crash of the machine does not matter.
        let source = quiet(Version::V18).tls(&certificate).start();
        let mut sql = Client::connect(&source, "postgres")?;
        sql.batch(&scenario.tables())?;
        sql.batch(&scenario.base(size))?;
        sql.batch("VACUUM ANALYZE")?;
        sql.batch("CREATE PUBLICATION p FOR ALL TABLES")?;
        Ok(Self {
            scenario,
            source,
            target: None,
            mariadb: None,
            sql_server: None,
            folder,
            certificate,
            _certificates: certificates,
        })
    }

    /// Makes the backlog; says where it ends.
    pub(crate) fn fill(&self, size: usize) -> Result<Lsn, Failure> {
        self.scenario.fill(size, &self.source)?;
        let mut sql = self.sql()?;
        // What is written back later would be, in the middle of somebody's run.
        sql.batch("CHECKPOINT")?;
        let end = sql.value("SELECT pg_current_wal_insert_lsn()")?;
        // From here on nothing may be left that nobody flushes.
        sql.batch("SELECT pg_switch_wal()")?;
        Ok(end.parse()?)
    }

    /// A session at the source.
    pub(crate) fn sql(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.source, "postgres")?)
    }

    /// The server for destinations in PostgreSQL, whose commits are as durable as anybody's.
    pub(crate) fn target(&mut self) -> &Server {
        let certificate = &self.certificate;
        self.target.get_or_insert_with(|| {
            quiet(Version::V18)
                .tls(certificate)
                .setting("fsync", "on")
                .setting("full_page_writes", "on")
                .on_disk()
                .start()
        })
    }

    /// A new database in that server.
    pub(crate) fn database(&mut self, name: &str) -> Result<Client, Failure> {
        let target = self.target();
        let mut sql = Client::connect(target, "postgres")?;
        sql.batch(&format!("CREATE DATABASE \"{name}\""))?;
        Ok(Client::connect(target, name)?)
    }

    /// The server for destinations in MariaDB, which makes commits durable unless told otherwise.
    pub(crate) fn mariadb(&mut self) -> &MariaDb {
        let certificate = &self.certificate;
        self.mariadb.get_or_insert_with(|| {
            MariaDb::builder()
                .tls(certificate)
                .setting("innodb_buffer_pool_size", "256M")
                .on_disk()
                .start()
        })
    }

    /// A new database in that server.
    pub(crate) fn mariadb_database(&mut self, name: &str) -> Result<MariaDbClient, Failure> {
        let server = self.mariadb();
        server
            .connect("")?
            .batch(&format!("CREATE DATABASE `{name}`"))?;
        Ok(server.connect(name)?)
    }

    /// A database on the SQL Server that `REPLICATOR_TEST_SQLSERVER_URL` names, as durable as that is.
    pub(crate) fn sql_server(&mut self) -> &SqlServerDatabase {
        self.sql_server
            .get_or_insert_with(SqlServerDatabase::create)
    }

    /// A path in a folder on disk that is gone with the scenario.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sees that a destination has what the source has; `ask` answers a query of one value there.
    pub(crate) fn check(
        &self,
        mut ask: impl FnMut(&str) -> Result<Option<String>, Failure>,
    ) -> Result<(), Failure> {
        let mut sql = self.sql()?;
        for query in self.scenario.checks() {
            let wanted = one(&mut sql, query)?;
            let found = ask(query)?;
            if wanted != found {
                return Err(format!("{query}: {found:?} instead of {wanted:?}").into());
            }
        }
        Ok(())
    }
}

/// The one value that a query answers with.
pub(crate) fn one(sql: &mut Client, query: &str) -> Result<Option<String>, Failure> {
    Ok(first(sql.query(query)?))
}

/// The one value that there is.
pub(crate) fn first(rows: Vec<Row>) -> Option<String> {
    rows.into_iter().flatten().next().flatten()
}

/// A server that does nothing on its own account meanwhile.
fn quiet(version: Version) -> testdata::Builder {
    Server::builder(version)
        .setting("autovacuum", "off")
        .setting("shared_buffers", "256MB")
        .setting("max_wal_size", "8GB")
        .setting("checkpoint_timeout", "1h")
}
