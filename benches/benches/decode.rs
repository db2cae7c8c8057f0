//! How fast messages are read: `cargo bench -p benches`, or with the name of a workload after `--`.
//!
//! Not criterion: it measures one contestant after the other, in wall-clock time. What matters here are ratios on a
//! machine that others use too, so the contestants take turns within every round, CPU time is counted, and the least
//! of many rounds stands for each; and the result is one table.

use std::hint::black_box;
use std::process::ExitCode;

use benches::contestant::{self, Contestant, Role};
use benches::{Workload, cpu_time};

/// How often everyone gets a turn.
const ROUNDS: usize = 300;
/// How long one turn takes, in nanoseconds: far more than reading the clock, less than a scheduler's slice.
const TURN: u64 = 400_000;

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    // Cargo says so to benches; `cargo test --all-targets` runs this too, and wants nothing measured.
    let Some(bench) = arguments.iter().position(|argument| argument == "--bench") else {
        return ExitCode::SUCCESS;
    };
    arguments.remove(bench);
    if cfg!(not(feature = "peers")) {
        match again_with_peers(&arguments) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(why) => eprintln!("The other crates are left out: {why}"),
        }
    }
    let mut targets = Vec::new();
    for workload in Workload::all() {
        if arguments.is_empty() || arguments.iter().any(|name| name == workload.name()) {
            let results = measure(&workload);
            print(&workload, &results);
            targets.push((workload, results));
        }
    }
    summary(&targets);
    ExitCode::SUCCESS
}

/// Builds this bench with the other crates and runs it; they are no part of an ordinary build.
fn again_with_peers(arguments: &[String]) -> Result<(), String> {
    eprintln!("Building the other crates, a minute or two the first time.");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["bench", "-q", "-p", "benches", "--features", "peers"])
        .args(["--bench", "decode", "--"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo ended with {status}")),
        Err(error) => Err(format!("cargo: {error}")),
    }
}

/// What one contestant needs for a message of one workload.
struct Outcome {
    contestant: Contestant,
    nanoseconds: f64,
    allocations: f64,
}

/// Everyone, in the order of the table; who cannot read the workload says why.
type Results = Vec<(Contestant, Result<Outcome, &'static str>)>;

fn measure(workload: &Workload) -> Results {
    let messages = workload.messages().len() as f64;
    let able: Vec<_> = contestant::all()
        .into_iter()
        .filter(|contestant| (contestant.excuse)(workload).is_none())
        .collect();
    agree(workload, &able);
    let passes: Vec<_> = able.iter().map(|c| passes(c, workload)).collect();
    let mut least = vec![f64::INFINITY; able.len()];
    for round in 0..ROUNDS {
        // Nobody always comes after the same neighbour's leftovers in the cache.
        for turn in 0..able.len() {
            let at = (round + turn) % able.len();
            let start = cpu_time();
            for _ in 0..passes[at] {
                black_box((able[at].run)(black_box(workload)));
            }
            let each = (cpu_time() - start) as f64 / passes[at] as f64;
            least[at] = least[at].min(each);
        }
    }
    contestant::all()
        .into_iter()
        .map(|contestant| {
            if let Some(excuse) = (contestant.excuse)(workload) {
                return (contestant, Err(excuse));
            }
            let at = able.iter().position(|other| other.key == contestant.key);
            let allocations = allocation_counter::measure(|| {
                black_box((contestant.run)(workload));
            });
            let outcome = Outcome {
                contestant,
                nanoseconds: least[at.expect("able")] / messages,
                allocations: allocations.count_total as f64 / messages,
            };
            (contestant, Ok(outcome))
        })
        .collect()
}

/// Ends the program unless everyone sees the same.
fn agree(workload: &Workload, able: &[Contestant]) {
    let sums: Vec<_> = able
        .iter()
        .map(|contestant| (contestant.name, (contestant.run)(workload), contestant.role))
        .filter(|(_, _, role)| *role != Role::Copy)
        .collect();
    assert!(
        sums.iter().all(|(_, sum, _)| *sum == sums[0].1),
        "{workload:?}: {sums:?}"
    );
}

/// How many passes fill a turn.
fn passes(contestant: &Contestant, workload: &Workload) -> u32 {
    let mut passes = 1;
    loop {
        let start = cpu_time();
        for _ in 0..passes {
            black_box((contestant.run)(workload));
        }
        if cpu_time() - start >= TURN / 2 {
            return passes;
        }
        passes *= 2;
    }
}

fn of(results: &Results, role: Role) -> Option<&Outcome> {
    results
        .iter()
        .filter_map(|(_, outcome)| outcome.as_ref().ok())
        .find(|outcome| outcome.contestant.role == role)
}

fn print(workload: &Workload, results: &Results) {
    let messages = workload.messages().len();
    let each = workload.bytes() as f64 / messages as f64;
    println!(
        "\n{:<34}{:>11}{:>10}{:>10}{:>16}{:>14}",
        workload.title(),
        "ns/message",
        "MB/s",
        "× floor",
        "times as fast",
        "allocations"
    );
    println!(
        "{:<65}{:>16}{:>14}",
        format!(
            "{} · {messages} messages of {each:.0} bytes",
            workload.name()
        ),
        "as pg_walstream",
        "per message"
    );
    let floor = of(results, Role::Floor).map(|outcome| outcome.nanoseconds);
    for (contestant, outcome) in results {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(excuse) => {
                println!("  {:<32}{:>11}  {excuse}", contestant.name, "–");
                continue;
            }
        };
        // Text is compared with text.
        let peer = match contestant.role {
            Role::OursText | Role::PeerText => Role::PeerText,
            _ => Role::Peer,
        };
        let peer = of(results, peer).map(|outcome| outcome.nanoseconds);
        let ns = outcome.nanoseconds;
        let ratio =
            |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        println!(
            "  {:<32}{ns:>11.2}{:>10.0}{:>10}{:>16}{:>14.2}",
            contestant.name,
            each / ns * 1000.0,
            ratio(floor.map(|floor| ns / floor)),
            ratio(peer.map(|peer| peer / ns)),
            outcome.allocations,
        );
    }
}

/// The ratios that walproto is held to.
fn summary(all: &[(Workload, Results)]) {
    let line = |cells: [&str; 6]| {
        let [name, floor, peer, other, text, allocations] = cells;
        println!("{name:<34}{floor:>9}{peer:>17}{other:>15}{text:>17}{allocations:>13}");
    };
    println!();
    line([
        "",
        "",
        "times as fast",
        "times as fast",
        "as &str: times",
        "allocations",
    ]);
    line([
        "walproto",
        "× floor",
        "as pg_walstream",
        "as the next",
        "pg_walstream",
        "per message",
    ]);
    line(["target", "≤ 1.5", "≥ 15 (wide 6)", "≥ 4", "≥ 8", "0"]);
    for (workload, results) in all {
        let Some(ours) = of(results, Role::Ours) else {
            continue;
        };
        let ratio = |a: Option<&Outcome>, b: Option<&Outcome>| match (a, b) {
            (Some(a), Some(b)) => format!("{:.2}", a.nanoseconds / b.nanoseconds),
            _ => "–".into(),
        };
        let other = results
            .iter()
            .filter_map(|(_, outcome)| outcome.as_ref().ok())
            .filter(|outcome| outcome.contestant.role == Role::Other)
            .min_by(|a, b| a.nanoseconds.total_cmp(&b.nanoseconds));
        line([
            &format!("  {}", workload.title()),
            &ratio(Some(ours), of(results, Role::Floor)),
            &ratio(of(results, Role::Peer), Some(ours)),
            &ratio(other, Some(ours)),
            &ratio(of(results, Role::PeerText), of(results, Role::OursText)),
            &format!("{:.2}", ours.allocations),
        ]);
    }
}
