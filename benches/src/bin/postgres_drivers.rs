//! Which PostgreSQL driver: sqlx, or tokio-postgres.
//!
//! ```text
//! cargo run --release -p benches --features postgres-drivers --bin postgres_drivers
//! ```
//!
//! Both send the same statements to the same server with the same arrays as parameters, as the replicator does: a
//! run of rows is one statement over `unnest`, in a transaction that first moves a position row. What differs is how
//! a driver frames, sends and waits. The server is started by the test kit, and flushes to the disk at each commit.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection as _};
use testdata::{Server, Version};
use tokio_postgres::NoTls;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CREATE: &str = "
    DROP TABLE IF EXISTS t, position;
    CREATE TABLE t (id bigint PRIMARY KEY, name text, note text, amount numeric(12,2));
    CREATE TABLE position (slot text PRIMARY KEY, lsn bigint);
    INSERT INTO position VALUES ('s', 0);";
const MOVE: &str = "UPDATE position SET lsn = lsn + 1 WHERE slot = 's' AND lsn >= $1";
const INSERT: &str = "INSERT INTO t (id, name, note, amount)
    SELECT v.id, v.name, v.note, v.amount::numeric
    FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) AS v(id, name, note, amount)";
const UPDATE: &str = "UPDATE t SET name = v.name, note = v.note, amount = v.amount::numeric
    FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[]) AS v(id, name, note, amount) WHERE t.id = v.id";
const ROUNDS: usize = 3;

/// What is measured: a statement over some rows, so many to a statement and so many statements to a transaction.
struct Load {
    title: &'static str,
    sql: &'static str,
    rows: usize,
    per_statement: usize,
    statements: usize,
}

const LOADS: [Load; 5] = [
    Load {
        title: "insert, 10 x 1000 rows a transaction",
        sql: INSERT,
        rows: 200_000,
        per_statement: 1000,
        statements: 10,
    },
    Load {
        title: "update, 10 x 1000 rows a transaction",
        sql: UPDATE,
        rows: 200_000,
        per_statement: 1000,
        statements: 10,
    },
    Load {
        title: "update, 100 x 20 rows a transaction",
        sql: UPDATE,
        rows: 100_000,
        per_statement: 20,
        statements: 100,
    },
    Load {
        title: "update, 1000 x 1 row a transaction",
        sql: UPDATE,
        rows: 20_000,
        per_statement: 1,
        statements: 1000,
    },
    Load {
        title: "update, 1 row a transaction",
        sql: UPDATE,
        rows: 1000,
        per_statement: 1,
        statements: 1,
    },
];

/// The columns of some rows.
struct Rows {
    ids: Vec<i64>,
    names: Vec<String>,
    notes: Vec<String>,
    amounts: Vec<String>,
}

impl Rows {
    fn new(from: usize, count: usize) -> Self {
        let each = || from..from + count;
        Self {
            ids: each().map(|at| at as i64).collect(),
            names: each().map(|at| format!("name {at}")).collect(),
            notes: each()
                .map(|at| format!("a note about {at}, as long as notes are"))
                .collect(),
            amounts: each().map(|at| format!("{}.{:02}", at, at % 100)).collect(),
        }
    }
}

impl Load {
    /// The statements, by transaction.
    fn transactions(&self) -> Vec<Vec<Rows>> {
        let statements: Vec<Rows> = (0..self.rows / self.per_statement)
            .map(|at| Rows::new(at * self.per_statement, self.per_statement))
            .collect();
        let mut transactions = Vec::new();
        let mut rest = statements.into_iter().peekable();
        while rest.peek().is_some() {
            transactions.push(rest.by_ref().take(self.statements).collect());
        }
        transactions
    }
}

async fn by_sqlx(url: &str, load: &Load) -> Result<Duration, Failure> {
    let mut db: PgConnection = url.parse::<PgConnectOptions>()?.connect().await?;
    let transactions = load.transactions();
    let start = Instant::now();
    for statements in transactions {
        sqlx::raw_sql("BEGIN").execute(&mut db).await?;
        let moved = sqlx::query(MOVE).bind(0_i64).execute(&mut db).await?;
        assert_eq!(moved.rows_affected(), 1);
        for rows in statements {
            let count = rows.ids.len() as u64;
            let done = sqlx::query(load.sql)
                .bind(rows.ids)
                .bind(rows.names)
                .bind(rows.notes)
                .bind(rows.amounts)
                .execute(&mut db)
                .await?;
            assert_eq!(done.rows_affected(), count);
        }
        sqlx::raw_sql("COMMIT").execute(&mut db).await?;
    }
    let taken = start.elapsed();
    db.close().await?;
    Ok(taken)
}

async fn by_tokio_postgres(url: &str, load: &Load) -> Result<Duration, Failure> {
    let (db, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let (step, statement) = (db.prepare(MOVE).await?, db.prepare(load.sql).await?);
    let transactions = load.transactions();
    let start = Instant::now();
    for statements in transactions {
        db.batch_execute("BEGIN").await?;
        assert_eq!(db.execute(&step, &[&0_i64]).await?, 1);
        for rows in statements {
            let Rows {
                ids,
                names,
                notes,
                amounts,
            } = rows;
            let done = db
                .execute(&statement, &[&ids, &names, &notes, &amounts])
                .await?;
            assert_eq!(done, ids.len() as u64);
        }
        db.batch_execute("COMMIT").await?;
    }
    let taken = start.elapsed();
    drop((db, step, statement));
    connection.await??;
    Ok(taken)
}

async fn prepare(url: &str, filled: usize) -> Result<(), Failure> {
    let (db, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    db.batch_execute(CREATE).await?;
    let fill = format!(
        "INSERT INTO t SELECT g, '', '', 0 FROM generate_series(0, {filled} - 1) AS g; CHECKPOINT"
    );
    db.batch_execute(&fill).await?;
    drop(db);
    connection.await??;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = tokio::task::spawn_blocking(|| {
        Server::builder(Version::V18)
            .setting("fsync", "on")
            .setting("synchronous_commit", "on")
            .setting("autovacuum", "off")
            .start()
    })
    .await?;
    for (way, url) in [
        ("TCP", server.url("postgres")),
        ("a Unix socket", server.socket_url("postgres")),
    ] {
        println!("over {way}, rows per second, best of {ROUNDS}");
        for load in &LOADS {
            let filled = if load.sql == INSERT { 0 } else { load.rows };
            let (mut sqlx, mut tokio) = (Duration::MAX, Duration::MAX);
            for _ in 0..ROUNDS {
                prepare(&url, filled).await?;
                sqlx = sqlx.min(by_sqlx(&url, load).await?);
                prepare(&url, filled).await?;
                tokio = tokio.min(by_tokio_postgres(&url, load).await?);
            }
            let rate = |taken: Duration| load.rows as f64 / taken.as_secs_f64();
            println!(
                "  {:<40} sqlx {:>8.0}  tokio-postgres {:>8.0}  ratio {:.2}",
                load.title,
                rate(sqlx),
                rate(tokio),
                sqlx.as_secs_f64() / tokio.as_secs_f64()
            );
        }
    }
    // It waits for its processes, which is nothing for a task.
    tokio::task::spawn_blocking(move || drop(server)).await?;
    Ok(())
}
