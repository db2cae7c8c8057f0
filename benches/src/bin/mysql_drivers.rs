//! Which MySQL driver: sqlx, or mysql_async; and which statement for many rows.
//!
//! ```text
//! cargo run --release -p benches --features mysql-drivers --bin mysql_drivers
//! ```
//!
//! Both send the same prepared statements to the same MariaDB, which flushes its log at each commit, over TCP with and
//! without TLS. The forms below them are what the one that was taken can do besides. The server is started by the test
//! kit.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, SslOpts, Value};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _};
use testdata::{Certificates, MariaDb, Wish};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 3;

const COLUMNS: &str =
    "(id bigint NOT NULL PRIMARY KEY, name longtext, note longtext, amount decimal(12,2))
    ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
const ONE: &str = "UPDATE t SET name = ?, note = ?, amount = ? WHERE id = ?";
const JOIN: &str = "UPDATE v STRAIGHT_JOIN t ON t.id = v.id SET t.name = v.name, t.note = v.note, t.amount = v.amount";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `INSERT … VALUES (?, …), …`
    Insert,
    /// `UPDATE … WHERE id = ?`
    Update,
    /// An insert into a temporary table, and a join with it.
    Staged,
    /// The single update as MariaDB's bulk command.
    Bulk,
    /// `DELETE … WHERE id IN (?, …)`
    Delete,
}

/// So many rows to a statement and so many statements to a transaction.
struct Load {
    title: &'static str,
    form: Form,
    rows: usize,
    per_statement: usize,
    statements: usize,
}

const fn load(
    title: &'static str,
    form: Form,
    rows: usize,
    per_statement: usize,
    statements: usize,
) -> Load {
    Load {
        title,
        form,
        rows,
        per_statement,
        statements,
    }
}

const LOADS: [Load; 8] = [
    load(
        "insert, 5 x 2000 rows a transaction",
        Form::Insert,
        100_000,
        2000,
        5,
    ),
    load(
        "insert, 20 x 500 rows a transaction",
        Form::Insert,
        100_000,
        500,
        20,
    ),
    load(
        "insert, 100 x 20 rows a transaction",
        Form::Insert,
        40_000,
        20,
        100,
    ),
    load(
        "update, 1000 x 1 row a transaction",
        Form::Update,
        20_000,
        1,
        1000,
    ),
    load("update, 1 row a transaction", Form::Update, 500, 1, 1),
    load(
        "update through a temporary table, 20 x 500",
        Form::Staged,
        100_000,
        500,
        20,
    ),
    load(
        "update by MariaDB's bulk command, 20 x 500",
        Form::Bulk,
        100_000,
        500,
        20,
    ),
    load("delete by IN, 20 x 500", Form::Delete, 100_000, 500, 20),
];

/// Key, two texts and a number as text.
struct Row(i64, [String; 3]);

impl Row {
    fn new(at: usize) -> Self {
        let note = format!("a note about {at}, as long as notes are");
        Self(
            at as i64,
            [format!("name {at}"), note, format!("{at}.{:02}", at % 100)],
        )
    }

    fn texts(&self) -> impl Iterator<Item = Value> {
        self.1.iter().map(|text| Value::from(text.as_str()))
    }

    fn key_first(&self) -> Vec<Value> {
        [Value::Int(self.0)]
            .into_iter()
            .chain(self.texts())
            .collect()
    }

    fn key_last(&self) -> Vec<Value> {
        self.texts().chain([Value::Int(self.0)]).collect()
    }
}

fn insert(table: &str, rows: usize) -> String {
    let values = vec!["(?, ?, ?, ?)"; rows].join(", ");
    format!("INSERT INTO {table} (id, name, note, amount) VALUES {values}")
}

async fn by_sqlx(url: &str, tls: bool, load: &Load) -> Result<Duration, Failure> {
    let mode = if tls {
        MySqlSslMode::Required
    } else {
        MySqlSslMode::Disabled
    };
    let options = url.parse::<MySqlConnectOptions>()?.ssl_mode(mode);
    let mut db: MySqlConnection = options.disable_statement_logging().connect().await?;
    let rows: Vec<Row> = (0..load.rows).map(Row::new).collect();
    let start = Instant::now();
    for transaction in rows.chunks(load.per_statement * load.statements) {
        sqlx::raw_sql("BEGIN").execute(&mut db).await?;
        for rows in transaction.chunks(load.per_statement) {
            let sql = if load.form == Form::Insert {
                insert("t", rows.len())
            } else {
                ONE.to_owned()
            };
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for Row(id, texts) in rows {
                if load.form == Form::Insert {
                    query = query.bind(id);
                }
                for text in texts {
                    query = query.bind(text);
                }
                if load.form == Form::Update {
                    query = query.bind(id);
                }
            }
            let done = query.execute(&mut db).await?;
            assert_eq!(done.rows_affected(), rows.len() as u64);
        }
        sqlx::raw_sql("COMMIT").execute(&mut db).await?;
    }
    let taken = start.elapsed();
    db.close().await?;
    Ok(taken)
}

async fn connect(url: &str, tls: bool) -> Result<Conn, Failure> {
    let ssl = tls.then(|| SslOpts::default().with_danger_accept_invalid_certs(true));
    let options = OptsBuilder::from_opts(Opts::from_url(url)?)
        .client_found_rows(true)
        .prefer_socket(false)
        .ssl_opts(ssl);
    Ok(Conn::new(options).await?)
}

async fn by_mysql_async(url: &str, tls: bool, load: &Load) -> Result<Duration, Failure> {
    let mut db = connect(url, tls).await?;
    db.query_drop(format!("CREATE TEMPORARY TABLE v {COLUMNS}"))
        .await?;
    let rows: Vec<Row> = (0..load.rows).map(Row::new).collect();
    let start = Instant::now();
    for transaction in rows.chunks(load.per_statement * load.statements) {
        db.query_drop("BEGIN").await?;
        for rows in transaction.chunks(load.per_statement) {
            let all = |row: fn(&Row) -> Vec<Value>| {
                Params::Positional(rows.iter().flat_map(row).collect())
            };
            let count = match load.form {
                Form::Insert => {
                    let done = db
                        .exec_iter(insert("t", rows.len()), all(Row::key_first))
                        .await?;
                    done.affected_rows()
                }
                Form::Update => db.exec_iter(ONE, all(Row::key_last)).await?.affected_rows(),
                Form::Staged => {
                    db.exec_drop(insert("v", rows.len()), all(Row::key_first))
                        .await?;
                    let count = db.query_iter(JOIN).await?.affected_rows();
                    db.query_drop("DELETE FROM v").await?;
                    count
                }
                Form::Bulk => {
                    let each: Vec<Params> = rows
                        .iter()
                        .map(|row| Params::Positional(row.key_last()))
                        .collect();
                    db.exec_batch(ONE, each).await?;
                    db.affected_rows()
                }
                Form::Delete => {
                    let places = vec!["?"; rows.len()].join(", ");
                    let sql = format!("DELETE FROM t WHERE id IN ({places})");
                    let keys = all(|row| vec![Value::Int(row.0)]);
                    db.exec_iter(sql, keys).await?.affected_rows()
                }
            };
            assert_eq!(count, rows.len() as u64, "{}", load.title);
        }
        db.query_drop("COMMIT").await?;
    }
    let taken = start.elapsed();
    db.disconnect().await?;
    Ok(taken)
}

async fn prepare(url: &str, load: &Load) -> Result<(), Failure> {
    let mut db = connect(url, false).await?;
    db.query_drop("DROP TABLE IF EXISTS t").await?;
    db.query_drop(format!("CREATE TABLE t {COLUMNS}")).await?;
    if load.form != Form::Insert {
        let last = load.rows - 1;
        db.query_drop(format!(
            "INSERT INTO t SELECT seq, '', '', 0 FROM seq_0_to_{last}"
        ))
        .await?;
    }
    db.disconnect().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = tokio::task::spawn_blocking(|| {
        let certificates = Certificates::new();
        let certificate = certificates.own("server", &Wish::default());
        let server = MariaDb::builder()
            .tls(&certificate)
            .setting("innodb_buffer_pool_size", "256M")
            .start();
        let session = server
            .connect("")
            .and_then(|mut session| session.batch("CREATE DATABASE d"));
        session.map(|()| server)
    });
    let server = server.await?.map_err(|error| error.to_string())?;
    let url = server.url("d");
    for tls in [false, true] {
        println!(
            "{} TLS, rows per second, best of {ROUNDS}",
            if tls { "with" } else { "without" }
        );
        for load in &LOADS {
            let (mut sqlx, mut ours) = (None::<Duration>, Duration::MAX);
            for _ in 0..ROUNDS {
                if matches!(load.form, Form::Insert | Form::Update) {
                    prepare(&url, load).await?;
                    let taken = by_sqlx(&url, tls, load).await?;
                    sqlx = Some(sqlx.map_or(taken, |least| least.min(taken)));
                }
                prepare(&url, load).await?;
                ours = ours.min(by_mysql_async(&url, tls, load).await?);
            }
            let rate = |taken: Duration| load.rows as f64 / taken.as_secs_f64();
            let beside = sqlx.map_or_else(String::new, |sqlx| {
                let ratio = sqlx.as_secs_f64() / ours.as_secs_f64();
                format!("  sqlx {:>8.0}  ratio {ratio:.2}", rate(sqlx))
            });
            println!(
                "  {:<44} mysql_async {:>8.0}{beside}",
                load.title,
                rate(ours)
            );
        }
    }
    // It waits for its processes, which is nothing for a task.
    tokio::task::spawn_blocking(move || drop(server)).await?;
    Ok(())
}
