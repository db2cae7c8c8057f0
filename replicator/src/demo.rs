//! The whole thing on a throwaway PostgreSQL and a SQLite file, for somebody who sees it for the first time.

mod file;
mod find;
mod progress;
mod server;
mod shop;
pub(crate) mod show;
mod user;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior};
use walstream::Client;

use crate::apply::Summary;
use crate::cli::DemoArgs;
use crate::compare::{Report, compare};
use crate::config::{Config, Until};
use crate::error::{Error, Result};
use crate::show::people::{grouped, table};
use crate::shutdown::{Shutdown, ShutdownHandle};
use progress::Progress;
use server::Server;
use shop::Traffic;
use show::{Strong, say};

/// Slot of the demo's replicator, as the program has it when nothing is said.
const SLOT: &str = "replicator";

/// How often both sides are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Differences that are printed; there may be as many as rows.
const TOLD: usize = 10;

/// Starts a PostgreSQL, fills it, replicates it while it is being changed, and compares both sides at the end.
///
/// The server and everything of it is gone afterwards, also after Ctrl-C; the first one ends the workload early, the
/// second the demo.
///
/// # Errors
///
/// No PostgreSQL on this machine (exit code 2), anything that fails on the way, and differences (exit code 4).
///
/// # Cancel safety
///
/// When the future is dropped, everything is removed too.
pub async fn demo(args: DemoArgs) -> Result<()> {
    let cannot = |error: std::io::Error| Error::retry("cannot listen to signals").caused_by(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let (handle, mut early) = ShutdownHandle::new();
    let signals = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        say("  finishing early; once more ends at once");
        handle.shut_down();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        done = Demo::run(args, &mut early) => done,
        () = signals => Err(Error::retry("the demo was interrupted; its server is gone")),
    }
}

/// What a demo has, once its server runs. Dropped from the top: first the sessions, last the server.
struct Demo {
    sessions: JoinSet<Result<()>>,
    traffic: Arc<Traffic>,
    file: PathBuf,
    source: String,
    server: Server,
}

impl Demo {
    async fn run(args: DemoArgs, early: &mut Shutdown) -> Result<()> {
        refuse_existing(args.output.as_deref())?;
        let mut demo = Self::set_up(&args).await?;
        demo.replicate(args.seconds, early).await?;
        if args.tamper {
            file::tamper(&demo.file)?;
        }
        let report = compare(&demo.source, &demo.destination(), SLOT).await?;
        conclude(&report)?;
        if args.output.is_some() {
            let file = demo.file.display();
            say(format_args!("The file stays: {file}. Have a look:"));
            say(format_args!(
                "  sqlite3 '{file}' \"SELECT tier, count(*), max(spent + 0) FROM customers GROUP BY tier\""
            ));
        } else {
            say("Server and file are removed; --output FILE keeps the file.");
        }
        Ok(())
    }

    async fn set_up(args: &DemoArgs) -> Result<Self> {
        let given = args.postgres.clone();
        let server = spawn_blocking(move || {
            let user = user::User::of_servers()?;
            let installation = find::find(given.as_deref(), user)?;
            say(format_args!(
                "{} {} of {}, a throwaway cluster",
                Strong("PostgreSQL"),
                installation.version,
                installation.programs.display()
            ));
            Server::start(&installation, user)
        });
        let server = server.await.map_err(panicked)??;
        let mut client = connect(&server.url("postgres")).await?;
        client.execute("CREATE DATABASE shop").await?;
        client.close().await?;
        let source = server.url("shop");
        let mut client = connect(&source).await?;
        for sql in [shop::SETTINGS, shop::TABLES, &shop::rows()] {
            client.execute(sql).await?;
        }
        client.close().await?;
        let file = match &args.output {
            Some(file) => std::path::absolute(file).unwrap_or_else(|_| file.clone()),
            None => server.folder().join("shop.db"),
        };
        Ok(Self {
            sessions: JoinSet::new(),
            traffic: Arc::default(),
            file,
            source,
            server,
        })
    }

    fn destination(&self) -> String {
        format!("sqlite:{}", self.file.display())
    }

    fn config(&self) -> Config {
        Config::new(&self.source, self.destination())
            .slot(SLOT)
            .spool(self.server.folder(), 1 << 30)
    }

    async fn replicate(&mut self, seconds: u64, early: &mut Shutdown) -> Result<()> {
        let [source, into, workload] =
            ["source", "into", "workload"].map(|label| Strong(format!("{label:<11}")));
        say(format_args!(
            "{source}a shop with customers, products, orders and carts, and rows in all of them;"
        ));
        say("           visits has no key to tell its rows apart and is left out,");
        say("           events has none either and is followed by all of its columns");
        say(format_args!("{into}{}", self.destination()));
        say(format_args!(
            "{workload}{seconds} seconds of orders, payments, returns, regrets and paperwork\n"
        ));
        let mut progress = Progress::new(connect(&self.source).await?, SLOT, self.file.clone());
        for seed in [0x9E37_79B9, 0x85EB_CA6B] {
            let client = connect(&self.source).await?;
            self.sessions
                .spawn(shop::customers(client, seed, Arc::clone(&self.traffic)));
        }
        let client = connect(&self.source).await?;
        self.sessions
            .spawn(shop::office(client, seconds, Arc::clone(&self.traffic)));

        let mut replicator = Replicator::start(self.config());
        let start = Instant::now();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = 0;
        let mut cut = seconds < 4;
        say(Progress::head());
        while told < seconds {
            tokio::select! {
                () = early.asked() => break,
                ended = replicator.ended() => return Err(ended.err().unwrap_or_else(|| Error::retry("the replicator ended by itself"))),
                Some(ended) = self.sessions.join_next() => ended.map_err(panicked)??,
                _ = look.tick() => {}
            }
            progress.look().await?;
            if start.elapsed().as_secs() > told {
                told += 1;
                say(progress.line(self.traffic.committed()).await?);
                if !cut && told >= seconds / 2 && progress.is_streaming() {
                    cut = true;
                    replicator.crash().await;
                    replicator = Replicator::start(self.config());
                    say(
                        "          the replicator was cut off in the middle of its work, and started again",
                    );
                }
            }
        }
        self.traffic.end();
        while let Some(ended) = self.sessions.join_next().await {
            ended.map_err(panicked)??;
        }
        let end = Instant::now();
        replicator.stop().await?;
        Replicator::start(self.config().until(Until::Current))
            .ended()
            .await?;
        say(format_args!(
            "\nWhat {} transactions did is in the file, {:.1} s after the last. Comparing every row:\n",
            grouped(self.traffic.committed()),
            end.elapsed().as_secs_f64()
        ));
        Ok(())
    }
}

/// A run in a task of its own.
struct Replicator {
    task: JoinSet<Result<Summary>>,
    handle: ShutdownHandle,
}

impl Replicator {
    fn start(config: Config) -> Self {
        let (handle, shutdown) = ShutdownHandle::new();
        let mut task = JoinSet::new();
        task.spawn(crate::run(config, shutdown));
        Self { task, handle }
    }

    /// Waits for its end.
    async fn ended(&mut self) -> Result<Summary> {
        match self.task.join_next().await {
            Some(ended) => ended.map_err(panicked)?,
            None => std::future::pending().await,
        }
    }

    /// The proper end: what is begun is finished and confirmed.
    async fn stop(mut self) -> Result<Summary> {
        self.handle.shut_down();
        self.ended().await
    }

    /// The other end: it is gone wherever it was, in the middle of a batch perhaps.
    async fn crash(mut self) {
        self.task.shutdown().await;
    }
}

/// Says what was found; differences are an error.
fn conclude(report: &Report) -> Result<()> {
    let mut rows = vec![
        ["table", "rows there", "in the file", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    for table in &report.tables {
        let verdict = if table.is_equal() {
            "equal"
        } else {
            "DIFFERENT"
        };
        rows.push(vec![
            table.destination.clone(),
            grouped(table.rows_source),
            grouped(table.rows_destination),
            verdict.to_owned(),
        ]);
    }
    for line in table(&rows) {
        say(line);
    }
    let undescribed: u64 = report.tables.iter().map(|table| table.undescribed).sum();
    let more = report.differences().count().saturating_sub(TOLD) as u64 + undescribed;
    for difference in report.differences().take(TOLD) {
        say(format_args!("  {difference}"));
    }
    if more > 0 {
        say(format_args!("  and {} more", grouped(more)));
    }
    say("");
    if report.is_equal() {
        say(Strong(
            "Equal, row by row and value by value, in PostgreSQL's own text.",
        ));
        return Ok(());
    }
    Err(Error::differences("the file differs from the source"))
}

fn refuse_existing(output: Option<&Path>) -> Result<()> {
    match output {
        Some(file) if file.exists() => {
            Err(Error::usage(format!("{} exists already", file.display()))
                .with_hint("the demo writes a new file: choose another name, or remove it"))
        }
        _ => Ok(()),
    }
}

async fn connect(source: &str) -> Result<Client> {
    Ok(Client::connect(&walstream::Config::parse(source)?).await?)
}

fn panicked(error: tokio::task::JoinError) -> Error {
    Error::retry("a part of the demo ended unexpectedly").caused_by(error)
}
