//! A database on a genuine MySQL server, which somebody has to name: no package that is everywhere brings one.

use std::env;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use testdata::{MariaDbClient, Row};

use super::mariadb::{EXACT, LIMITS, MISFITS, REPLACED, name, quoted, rows, tables};
use super::{Limits, Place};
use crate::common::{Rows, Table};

/// Names the server: `USER@127.0.0.1:PORT` as a URL, of a user without a password who may make databases.
const VARIABLE: &str = "REPLICATOR_TEST_MYSQL_URL";

/// A database of its own, dropped with it.
#[derive(Debug)]
pub(crate) struct MySql {
    user: String,
    port: u16,
    database: String,
}

impl Place for MySql {
    const LIMITS: Limits = LIMITS;
    const EXACT: &[&str] = EXACT;
    const REPLACED: &[(&str, &str)] = REPLACED;
    const MISFITS: &[(&str, &str)] = MISFITS;

    fn fresh() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let url = env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} names no MySQL server, so that this was not tried; testdata/mysql says how")
        });
        let server = url.strip_prefix("mysql://").and_then(|rest| {
            let (user, place) = rest.trim_end_matches('/').split_once('@')?;
            let port = place.strip_prefix("127.0.0.1:")?.parse().ok()?;
            Some((user.to_owned(), port))
        });
        let (user, port) = server.unwrap_or_else(|| {
            panic!("{VARIABLE} is {url:?} and has to look like mysql://root@127.0.0.1:3306")
        });
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let database = format!("place_{}_{count}", process::id());
        let mut session = MariaDbClient::connect(port, &user, "").unwrap();
        let version = session.version();
        assert!(
            !version.contains("MariaDB"),
            "{VARIABLE} names a MariaDB: {version}"
        );
        let create = format!("CREATE DATABASE {database} CHARACTER SET latin1");
        session.batch(&create).unwrap();
        Self {
            user,
            port,
            database,
        }
    }

    fn url(&self) -> String {
        let Self {
            user,
            port,
            database,
        } = self;
        format!("mysql://{user}@127.0.0.1:{port}/{database}")
    }

    fn name(&self, schema: &str, table: &str) -> String {
        name(schema, table)
    }

    fn sql(&self, sql: &str) {
        let done = self.connect().batch(sql);
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn rows(&self, table: &Table) -> Rows {
        rows(&mut self.connect(), table)
    }

    fn tables(&self) -> Vec<String> {
        let names = tables(&mut self.connect());
        names.iter().map(|name| quoted(name)).collect()
    }

    fn reader(&self) -> impl FnMut(&str) -> Vec<Row> + Send {
        let mut session = self.connect();
        move |sql| session.query(sql).unwrap()
    }
}

impl MySql {
    fn connect(&self) -> MariaDbClient {
        MariaDbClient::connect(self.port, &self.user, &self.database).unwrap()
    }
}

impl Drop for MySql {
    fn drop(&mut self) {
        let session = MariaDbClient::connect(self.port, &self.user, "");
        let drop = format!("DROP DATABASE {}", self.database);
        let _ = session.and_then(|mut session| session.batch(&drop));
    }
}
