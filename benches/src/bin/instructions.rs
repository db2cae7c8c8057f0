//! Instructions per message, which do not depend on what else the machine does:
//! `cargo run --release -p benches --features peers --bin instructions`.
//!
//! Runs itself under valgrind, which counts; needs `valgrind` (Debian has it).

use std::hint::black_box;
use std::process::{Command, ExitCode};

use benches::Workload;
use benches::contestant::{self, Contestant, Role};

/// The difference between this many passes and twice as many is what passes cost, without start and end.
const PASSES: u64 = 4;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => table(),
        [workload, contestant, passes] => run(workload, contestant, passes),
        _ => Err("no arguments, or a workload, a contestant and a number of passes".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What runs under valgrind; also good for a profile by `valgrind --tool=callgrind`, with `--profile profiling`.
fn run(workload: &str, contestant: &str, passes: &str) -> Result<(), String> {
    let workload = Workload::all()
        .into_iter()
        .find(|other| other.name() == workload)
        .ok_or("no such workload")?;
    let contestant = contestant::all()
        .into_iter()
        .find(|other| other.key == contestant)
        .ok_or("no such contestant")?;
    for _ in 0..passes.parse().map_err(|_| "not a number of passes")? {
        black_box((contestant.run)(black_box(&workload)));
    }
    Ok(())
}

fn table() -> Result<(), String> {
    let workloads = Workload::all();
    let contestants = contestant::all();
    print!("{:<34}", "instructions per message");
    for workload in &workloads {
        print!("{:>10}", workload.name());
    }
    println!();
    // Without the copy, whose single instructions move as many bytes as the machine at hand likes.
    for contestant in contestants.iter().filter(|other| other.role != Role::Copy) {
        print!("{:<34}", contestant.name);
        for workload in &workloads {
            if (contestant.excuse)(workload).is_some() {
                print!("{:>10}", "–");
                continue;
            }
            let once = count(workload, contestant, PASSES)?;
            let twice = count(workload, contestant, 2 * PASSES)?;
            let messages = PASSES * workload.messages().len() as u64;
            let each = twice.saturating_sub(once) as f64 / messages as f64;
            print!("{each:>10.1}");
        }
        println!();
    }
    Ok(())
}

fn count(workload: &Workload, contestant: &Contestant, passes: u64) -> Result<u64, String> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(me)
        .args([workload.name(), contestant.key, &passes.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    report
        .lines()
        .find_map(|line| line.split_once("I   refs:"))
        .and_then(|(_, number)| number.trim().replace(',', "").parse().ok())
        .ok_or_else(|| format!("valgrind did not count: {report}"))
}
