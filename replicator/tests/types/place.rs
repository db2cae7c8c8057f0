//! Where the rows go, as another program sees it.

use std::path::PathBuf;

use testdata::{Row, Server};

use crate::common::connect;

/// A destination.
pub(crate) enum Place {
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Server, String),
    #[cfg(feature = "mysql")]
    MariaDb(testdata::MariaDb),
}

impl Place {
    /// As `--destination` wants it.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(server, database) => server.url(database),
            #[cfg(feature = "mysql")]
            Self::MariaDb(server) => server.url("place"),
        }
    }

    /// Runs statements.
    pub(crate) fn sql(&self, sql: &str) {
        match self {
            Self::Sqlite(path) => {
                let file = rusqlite::Connection::open(path).unwrap();
                file.execute_batch(sql)
                    .unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(server, database) => {
                let done = connect(server, database).batch(sql);
                done.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            #[cfg(feature = "mysql")]
            Self::MariaDb(server) => {
                let done = server.connect("place").unwrap().batch(sql);
                done.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
        }
    }

    /// The rows of a query, all columns of which are text.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Row> {
        match self {
            Self::Sqlite(path) => {
                let file = rusqlite::Connection::open(path).unwrap();
                let mut statement = file.prepare(sql).unwrap();
                let count = statement.column_count();
                let rows =
                    statement.query_map([], |row| (0..count).map(|at| row.get(at)).collect());
                rows.unwrap().collect::<Result<_, _>>().unwrap()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(server, database) => connect(server, database).query(sql).unwrap(),
            #[cfg(feature = "mysql")]
            Self::MariaDb(server) => server.connect("place").unwrap().query(sql).unwrap(),
        }
    }
}

/// A SQLite file in a folder.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite(folder: &std::path::Path) -> Place {
    Place::Sqlite(folder.join("place.db"))
}

/// A database on a server of its own.
#[cfg(feature = "postgres")]
pub(crate) fn postgres(builder: testdata::Builder) -> Place {
    let server = builder.start();
    connect(&server, "postgres")
        .batch("CREATE DATABASE place")
        .unwrap();
    Place::Postgres(server, "place".to_owned())
}

/// The same of MariaDB's.
#[cfg(feature = "mysql")]
pub(crate) fn mariadb(builder: testdata::MariaDbBuilder) -> Place {
    let server = builder.start();
    server
        .connect("")
        .unwrap()
        .batch("CREATE DATABASE place")
        .unwrap();
    Place::MariaDb(server)
}
