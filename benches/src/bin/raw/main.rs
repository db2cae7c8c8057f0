//! What it costs to receive: CPU time from the socket to the visitor of every column, ours beside others'.
//!
//! ```text
//! cargo run --release -p benches --features peer-streams --bin raw [flood|server] [SHAPE]
//! ```
//!
//! Every contestant is a process of its own, whose CPU time is counted from when it streams until it has seen the last
//! row; who sends is another process and is not counted. `flood` is a scripted server that sends from memory as fast as
//! it is read from; `server` is PostgreSQL with the same backlog in a slot for each contestant. Contestants take turns,
//! and the least of the rounds stands for each, because others use the machine too.

mod contestant;
mod flood;
#[cfg(feature = "peer-streams")]
mod peers;
mod server;
mod table;

use std::process::ExitCode;

/// What may go wrong in a measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        // The processes that this program starts.
        ["flood-from", shape] => flood::serve(shape),
        ["receive", name, shape, user, port, slot, rows] => {
            contestant::receive(name, shape, user, port, slot, rows)
        }
        ["flood", ref shapes @ ..] => flood::measure(shapes),
        ["server", ref shapes @ ..] => server::measure(shapes),
        ref shapes => flood::measure(shapes).and_then(|()| server::measure(shapes)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raw: {error}");
            ExitCode::FAILURE
        }
    }
}
