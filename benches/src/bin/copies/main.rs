//! First copies: tables that are there, by the replicator and by `COPY … TO STDOUT` into the destination's own loader.
//!
//! ```text
//! cargo build --release -p replicator
//! cargo run --release -p benches --features runs --bin copies -- [OPTIONS] [TABLES…]
//! ```
//!
//! Both are timed from the start of their processes to their end, the contestants in turn within each round. Afterwards
//! counts and sums at the destination must be those of the source. `--help` lists the options.

mod loader;
mod options;
mod place;
#[path = "../runs/process.rs"]
#[allow(dead_code, reason = "system calls are not counted here")]
mod process;
mod rows;
mod spent;

use std::process::ExitCode;
use std::time::Duration;

use options::Options;
use place::Place;
use process::Run;
use rows::Rows;
use spent::Spent;

/// What may go wrong in a measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Product {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MariaDb];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
        }
    }
}

/// What a copy took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Of who carries the rows: the replicator, or both ends of the pipe.
    pub(crate) run: Run,
    /// CPU time of the servers.
    pub(crate) spent: Spent,
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("copies: {error}");
            return ExitCode::from(2);
        }
    };
    for rows in &options.rows {
        if let Err(error) = measure(&options, rows) {
            eprintln!("copies: {}: {error}", rows.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure(options: &Options, rows: &'static Rows) -> Result<(), Failure> {
    let count = rows.count(options.scale);
    let mut place = Place::new(rows, count)?;
    println!(
        "{}: {count} rows of {}, {:.0} MB as COPY writes them",
        rows.name,
        rows.title,
        place.bytes as f64 / 1e6
    );
    println!(
        "{:<23} {:>7} {:>9} {:>6} {:>6}   {:>8} {:>6} {:>6}   {:>4}",
        "", "seconds", "rows/s", "MB/s", "× pipe", "CPU µs", "source", "dest.", "MB"
    );
    for product in &options.products {
        let (mut pipe, mut inserts) = (None, None);
        let mut ours = vec![None; options.workers.len()];
        for _ in 0..options.rounds {
            best(&mut pipe, place.load(*product)?);
            if *product == Product::Sqlite {
                best(&mut inserts, place.insert()?);
            }
            for (workers, best_run) in options.workers.iter().zip(&mut ours) {
                best(best_run, place.copy(*product, *workers)?);
            }
        }
        let Some(pipe) = pipe else { continue };
        let name = product.name();
        let line = |title: &str, measured| print(title, count, place.bytes, measured, &pipe);
        line(&format!("{name}: pipe"), &pipe);
        if let Some(inserts) = &inserts {
            line(&format!("{name}: inserts"), inserts);
        }
        for (workers, best) in options.workers.iter().zip(&ours) {
            if let Some(best) = best {
                line(&format!("{name}: {workers} at work"), best);
            }
        }
        if let Some(workers) = options.workers.last() {
            let run = place.copy_tenth(*product, *workers)?.run;
            let (title, seconds) = ("  a tenth of the rows", run.wall.as_secs_f64());
            println!("{title:<23} {seconds:>7.2} {:>54.0}", megabytes(&run));
        }
    }
    println!();
    Ok(())
}

/// The quickest of some rounds, with the most memory of all.
fn best(best: &mut Option<Measured>, next: Measured) {
    let before = best.get_or_insert(next);
    let resident = before.run.resident.max(next.run.resident);
    if next.run.wall < before.run.wall {
        *before = next;
    }
    before.run.resident = resident;
}

fn print(title: &str, count: usize, bytes: u64, measured: &Measured, pipe: &Measured) {
    let Measured { run, spent } = measured;
    let seconds = run.wall.as_secs_f64();
    let each = |cpu: Option<Duration>| match cpu {
        Some(cpu) => format!("{:.2}", cpu.as_secs_f64() * 1e6 / count as f64),
        None => "–".to_owned(),
    };
    let memory = match run.resident {
        Some(_) => format!("{:.0}", megabytes(run)),
        None => "–".to_owned(),
    };
    println!(
        "{title:<23} {seconds:>7.2} {:>9.0} {:>6.1} {:>6.2}   {:>8} {:>6} {:>6}   {memory:>4}",
        count as f64 / seconds,
        bytes as f64 / 1e6 / seconds,
        pipe.run.wall.as_secs_f64() / seconds,
        each(run.cpu),
        each(Some(spent.source)),
        each(spent.destination),
    );
}

fn megabytes(run: &Run) -> f64 {
    run.resident.unwrap_or_default() as f64 / 1e6
}
