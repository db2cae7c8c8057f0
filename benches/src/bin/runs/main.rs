//! Whole runs: a backlog from PostgreSQL into each destination, ours beside others.
//!
//! ```text
//! cargo build --release -p replicator
//! cargo run --release -p benches --features runs --bin runs -- [OPTIONS] [SCENARIO…]
//! ```
//!
//! Each contestant has a slot of its own, made before the backlog is, and tables that are there already, so that all
//! read the same and nothing but streaming is measured. They run one after the other. `--help` lists the options.

mod ceiling;
mod contestant;
mod options;
mod place;
mod process;
mod scenario;
mod table;

use std::process::ExitCode;

use contestant::{CONTESTANTS, Contestant};
use options::Options;
use place::Place;
use scenario::Scenario;
use table::Table;

/// What may go wrong in a measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1);
    let options = match Options::parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("runs: {error}");
            return ExitCode::from(2);
        }
    };
    for scenario in &options.scenarios {
        match measure(&options, scenario) {
            Ok(table) if options.json => print!("{}", table.json()),
            Ok(table) => println!("{table}"),
            Err(error) => {
                eprintln!("runs: {}: {error}", scenario.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn measure(options: &Options, scenario: &'static Scenario) -> Result<Table, Failure> {
    let size = scenario.size(options.scale);
    let taking_part: Vec<&Contestant> = CONTESTANTS
        .iter()
        .filter(|contestant| options.takes_part(contestant) && contestant.can(scenario))
        .collect();
    let mut table = Table::new(scenario, size, &taking_part);
    for _ in 0..options.rounds {
        let mut place = Place::new(scenario, size)?;
        for contestant in &taking_part {
            contestant
                .prepare(&mut place)
                .map_err(|error| format!("{}, before: {error}", contestant.name))?;
        }
        let end = place.fill(size)?;
        for contestant in &taking_part {
            let run = contestant
                .run(&mut place, end, options.syscalls)
                .map_err(|error| format!("{}: {error}", contestant.name))?;
            table.add(contestant, run);
        }
    }
    Ok(table)
}
