//! How soon a server hears that something is durable, and how long a commit waits that depends on it.
//!
//! ```text
//! cargo run --release -p benches --bin feedback
//! ```
//!
//! A commit under `synchronous_standby_names` returns when the standby has confirmed it, so its time is the whole way:
//! decoding, sending, our consumer, the status update, and the server's waking up. The same without a standby is the
//! part that is not ours; `pg_recvlogical` is what PostgreSQL itself has for the purpose.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use testdata::{Client as Sql, Server, Version};
use walstream::walproto::Lsn;
use walstream::{Client, Config, Event, Limits, SlotOptions, Stream, StreamOptions};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 200;
/// Of those that take seconds each.
const FEW: usize = 5;

/// Times of one kind, shortest first.
struct Times(Vec<Duration>);

impl Times {
    fn take(
        rounds: usize,
        mut run: impl FnMut() -> Result<Duration, Failure>,
    ) -> Result<Self, Failure> {
        let mut times = (0..rounds).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
        times.sort_unstable();
        Ok(Self(times))
    }

    fn median(&self) -> f64 {
        self.at(self.0.len() / 2)
    }

    fn p99(&self) -> f64 {
        self.at(self.0.len() * 99 / 100)
    }

    fn at(&self, place: usize) -> f64 {
        self.0[place].as_secs_f64() * 1000.0
    }

    fn print(&self, title: &str, base: Option<&Self>) {
        let ratio = base.map_or_else(String::new, |base| {
            format!("{:.1}", self.median() / base.median())
        });
        println!(
            "{title:<52} {:>5} {:>11.2} {:>11.2} {ratio:>9}",
            self.0.len(),
            self.median(),
            self.p99()
        );
    }
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let server = Server::start(Version::V17);
    let mut sql = Sql::connect(&server, "postgres")?;
    sql.batch(
        "CREATE TABLE t (id bigserial PRIMARY KEY, v text); CREATE PUBLICATION p FOR TABLE t",
    )?;
    println!(
        "{:<52} {:>5} {:>11} {:>11} {:>9}",
        "", "times", "median ms", "p99 ms", "× without"
    );

    let mut stream = runtime.block_on(attach(&server, "ours"))?;
    let told = Times::take(ROUNDS, || runtime.block_on(tell(&mut sql, &mut stream)))?;
    told.print("from confirm to the slot's confirmed_flush_lsn", None);

    let without = Times::take(ROUNDS, || commit(&mut sql))?;
    without.print("commit, waits for nobody", None);

    let consumer = runtime.spawn(confirm_all(stream));
    wait_for(&server, &mut sql, "ours")?;
    let ours = Times::take(ROUNDS, || commit(&mut sql))?;
    ours.print("commit, waits for walstream", Some(&without));
    release(&server, &mut sql)?;
    consumer.abort();

    runtime.block_on(make_slot(&server, "theirs"))?;
    for (seconds, title) in [
        ("1", "commit, waits for pg_recvlogical (intervals of 1 s)"),
        ("10", "commit, waits for pg_recvlogical (as it comes, 10 s)"),
    ] {
        let _receiver = Receiver::attach(&server, seconds)?;
        wait_for(&server, &mut sql, "theirs")?;
        let theirs = Times::take(FEW, || commit(&mut sql))?;
        theirs.print(title, Some(&without));
        release(&server, &mut sql)?;
    }
    Ok(())
}

async fn make_slot(server: &Server, name: &str) -> Result<Client, Failure> {
    let config = Config::parse(&server.socket_url("postgres"))?.with_application_name(name);
    let mut client = Client::connect_replication(&config).await?;
    client.create_slot(name, &SlotOptions::default()).await?;
    Ok(client)
}

async fn attach(server: &Server, name: &str) -> Result<Stream, Failure> {
    let client = make_slot(server, name).await?;
    let options = StreamOptions::new(name, ["p"]);
    Ok(Stream::start(client, &options, Lsn::ZERO, Limits::default()).await?)
}

/// One row; how long the server then takes to show that it was confirmed.
async fn tell(sql: &mut Sql, stream: &mut Stream) -> Result<Duration, Failure> {
    commit(sql)?;
    let transaction = loop {
        match stream.next_event().await?.ok_or("the stream ended")? {
            Event::Transaction(transaction) => break transaction,
            Event::Idle(idle) => idle.confirm(),
            _ => {}
        }
    };
    let end = transaction.end_lsn();
    let query = format!(
        "SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE slot_name = 'ours'"
    );
    // Nothing is under way any more.
    thread::sleep(Duration::from_millis(5));
    let start = Instant::now();
    transaction.confirm();
    while sql.value(&query)? != "t" {}
    Ok(start.elapsed())
}

fn commit(sql: &mut Sql) -> Result<Duration, Failure> {
    let start = Instant::now();
    sql.batch("INSERT INTO t (v) VALUES ('a value of ordinary length')")?;
    Ok(start.elapsed())
}

/// What a destination that takes no time does.
async fn confirm_all(mut stream: Stream) {
    while let Ok(Some(event)) = stream.next_event().await {
        match event {
            Event::Transaction(transaction) => transaction.confirm(),
            Event::Idle(idle) => idle.confirm(),
            _ => {}
        }
    }
}

/// Lets commits wait for this standby, once it is one.
fn wait_for(server: &Server, sql: &mut Sql, name: &str) -> Result<(), Failure> {
    sql.batch(&format!(
        "ALTER SYSTEM SET synchronous_standby_names = '{name}'"
    ))?;
    server.reload();
    let query = format!(
        "SELECT count(*) FROM pg_stat_replication WHERE application_name = '{name}' AND sync_state = 'sync'"
    );
    while sql.value(&query)? != "1" {
        thread::sleep(Duration::from_millis(10));
    }
    // The session's own view of the setting comes with its next command after the signal.
    commit(sql)?;
    Ok(())
}

fn release(server: &Server, sql: &mut Sql) -> Result<(), Failure> {
    sql.batch("ALTER SYSTEM RESET synchronous_standby_names")?;
    server.reload();
    while sql.value("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")? != "0" {
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A running `pg_recvlogical`.
struct Receiver(Child);

impl Receiver {
    fn attach(server: &Server, seconds: &str) -> Result<Self, Failure> {
        let target = format!(
            "host={} port={} user=postgres dbname=postgres application_name=theirs",
            server.socket_folder().display(),
            server.port()
        );
        let child = Command::new(testdata::program("pg_recvlogical"))
            .args([
                "--dbname",
                &target,
                "--slot",
                "theirs",
                "--start",
                "--file",
                "/dev/null",
            ])
            .args(["-o", "proto_version=1", "-o", "publication_names=p"])
            .args(["--status-interval", seconds, "--fsync-interval", seconds])
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
