//! Which SQLite driver: sqlx, or rusqlite behind a thread that takes chunks of operations.
//!
//! ```text
//! cargo run --release -p benches --features sqlite-drivers --bin sqlite_drivers [DIRECTORY]
//! ```
//!
//! Both write the same rows in the same transactions to a file in WAL mode with `synchronous=FULL`, one prepared
//! statement per row and the row count of each statement looked at, as the replicator does. What differs is the
//! way a row takes to the thread that owns the connection: sqlx sends one message per statement and waits for its
//! answer, the rusqlite thread is handed a chunk. DIRECTORY is where the files go, by default the temporary one.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const CREATE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, note TEXT, amount TEXT)";
const INSERT: &str = "INSERT INTO t (id, name, note, amount) VALUES (?1, ?2, ?3, ?4)";
const UPDATE: &str = "UPDATE t SET name = ?2, note = ?3, amount = ?4 WHERE id = ?1";
/// Operations in one message to the rusqlite thread.
const CHUNK: usize = 256;
const ROUNDS: usize = 3;

/// One row for either statement.
struct Row {
    id: i64,
    name: String,
    note: String,
    amount: String,
}

/// What is measured: a statement over some rows, so many to a transaction.
struct Load {
    title: &'static str,
    sql: &'static str,
    rows: usize,
    per_transaction: usize,
}

const LOADS: [Load; 4] = [
    Load {
        title: "insert, 1000 rows a transaction",
        sql: INSERT,
        rows: 100_000,
        per_transaction: 1000,
    },
    Load {
        title: "update, 1000 rows a transaction",
        sql: UPDATE,
        rows: 100_000,
        per_transaction: 1000,
    },
    Load {
        title: "insert, 1 row a transaction",
        sql: INSERT,
        rows: 2_000,
        per_transaction: 1,
    },
    Load {
        title: "update, 1 row a transaction",
        sql: UPDATE,
        rows: 2_000,
        per_transaction: 1,
    },
];

fn main() -> Result<(), Failure> {
    let directory = match std::env::args_os().nth(1) {
        Some(path) => tempfile::tempdir_in(path)?,
        None => tempfile::tempdir()?,
    };
    println!(
        "{:<34} {:>14} {:>14} {:>7}",
        "", "sqlx rows/s", "rusqlite rows/s", "ratio"
    );
    // The best of some rounds, the two in turn, because the machine is shared.
    let mut best = [[Duration::MAX; LOADS.len()]; 2];
    for round in 0..ROUNDS {
        for (driver, best) in best.iter_mut().enumerate() {
            let path = directory.path().join(format!("{driver}-{round}.db"));
            let times = if driver == 0 {
                with_sqlx(&path)?
            } else {
                with_rusqlite(&path)?
            };
            for (best, time) in best.iter_mut().zip(times) {
                *best = time.min(*best);
            }
        }
    }
    for (at, load) in LOADS.iter().enumerate() {
        let rate = |time: Duration| load.rows as f64 / time.as_secs_f64();
        let (sqlx, rusqlite) = (rate(best[0][at]), rate(best[1][at]));
        println!(
            "{:<34} {sqlx:>14.0} {rusqlite:>14.0} {:>6.2}x",
            load.title,
            rusqlite / sqlx
        );
    }
    Ok(())
}

/// The rows of a load; single-row inserts take ids that the bulk insert left free.
fn rows(load: &Load) -> impl Iterator<Item = Row> {
    let single = load.per_transaction == 1 && load.sql == INSERT;
    let first = if single { 1_000_000 } else { 0 };
    let step = if load.sql == UPDATE { 7919 } else { 1 };
    (0..load.rows).map(move |i| Row {
        // Updates hop over the file instead of walking along it.
        id: first + (i * step % 100_000) as i64,
        name: format!("customer {i}"),
        note: format!("a note of ordinary length about order number {i}"),
        amount: format!("{i}.50"),
    })
}

fn with_sqlx(path: &Path) -> Result<Vec<Duration>, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut db = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .connect()
            .await?;
        sqlx::query(CREATE).execute(&mut db).await?;
        let mut times = Vec::new();
        for load in &LOADS {
            let start = Instant::now();
            sqlx_load(&mut db, load).await?;
            times.push(start.elapsed());
        }
        db.close().await?;
        Ok(times)
    })
}

async fn sqlx_load(db: &mut SqliteConnection, load: &Load) -> Result<(), Failure> {
    let mut rows = rows(load);
    for _ in 0..load.rows / load.per_transaction {
        let mut transaction = db.begin().await?;
        for row in rows.by_ref().take(load.per_transaction) {
            let done = sqlx::query(load.sql)
                .bind(row.id)
                .bind(row.name)
                .bind(row.note)
                .bind(row.amount)
                .execute(&mut *transaction)
                .await?;
            one(done.rows_affected())?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// What the rusqlite thread is told.
enum Command {
    Begin,
    Rows(&'static str, Vec<Row>),
    Commit,
}

fn with_rusqlite(path: &Path) -> Result<Vec<Duration>, Failure> {
    let (commands, inbox) =
        mpsc::sync_channel::<(Command, tokio::sync::oneshot::Sender<Result<(), Failure>>)>(4);
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(CREATE)?;
    let thread = thread::spawn(move || {
        while let Ok((command, reply)) = inbox.recv() {
            // Nobody listens any more when the other side has failed.
            let _ = reply.send(obey(&db, command));
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let times = runtime.block_on(async {
        let mut times = Vec::new();
        for load in &LOADS {
            let start = Instant::now();
            let mut rows = rows(load);
            for _ in 0..load.rows / load.per_transaction {
                tell(&commands, Command::Begin).await?;
                let mut left = load.per_transaction;
                while left > 0 {
                    let chunk: Vec<Row> = rows.by_ref().take(left.min(CHUNK)).collect();
                    left -= chunk.len();
                    tell(&commands, Command::Rows(load.sql, chunk)).await?;
                }
                tell(&commands, Command::Commit).await?;
            }
            times.push(start.elapsed());
        }
        Ok::<_, Failure>(times)
    });
    drop(commands);
    thread.join().map_err(|_| "the SQLite thread panicked")?;
    times
}

async fn tell(
    commands: &mpsc::SyncSender<(Command, tokio::sync::oneshot::Sender<Result<(), Failure>>)>,
    command: Command,
) -> Result<(), Failure> {
    let (reply, answer) = tokio::sync::oneshot::channel();
    commands
        .send((command, reply))
        .map_err(|_| "the SQLite thread is gone")?;
    answer.await?
}

fn obey(db: &Connection, command: Command) -> Result<(), Failure> {
    match command {
        Command::Begin => db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?,
        Command::Commit => db.prepare_cached("COMMIT")?.execute([])?,
        Command::Rows(sql, rows) => {
            let mut statement = db.prepare_cached(sql)?;
            for row in rows {
                one(statement.execute((row.id, row.name, row.note, row.amount))? as u64)?;
            }
            0
        }
    };
    Ok(())
}

fn one(rows: u64) -> Result<(), Failure> {
    if rows == 1 {
        Ok(())
    } else {
        Err(format!("{rows} rows instead of one").into())
    }
}
