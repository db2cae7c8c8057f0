//! The program's log: a line for each event that matters, for people or for programs, without secrets and without the
//! same warning over and over.
//!
//! In JSON, `timestamp`, `level` and `message` are in every line, and so stays the name of every other member; positions
//! are texts as in psql. The last line of a run that failed has `cause`, `statement`, `hint` and `exit_code` where there
//! are such.

mod line;
mod lines;
pub(crate) mod redact;
mod repeats;
mod report;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use lines::Lines;
pub(crate) use redact::redact;
pub use report::report;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// An object in each line.
    Json,
}

static JSON: AtomicBool = AtomicBool::new(false);
static LINES: OnceLock<Arc<Lines>> = OnceLock::new();

/// Says how lines look, also those that come before [`begin`].
pub(crate) fn set_format(format: Format) {
    JSON.store(format == Format::Json, Ordering::Relaxed);
}

fn format() -> Format {
    if JSON.load(Ordering::Relaxed) {
        Format::Json
    } else {
        Format::Text
    }
}

/// Reads what is logged, as [`begin`] takes it.
pub(crate) fn level(text: &str) -> Result<String, String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Begins the log of the process. `filter` is a level, or directives of `tracing-subscriber`; what cannot be read is
/// `info`. Panics are logged too.
///
/// With `color` lines are for a terminal.
pub fn begin(
    format: Format,
    filter: &str,
    color: bool,
    out: impl Fn() -> Box<dyn Write> + Send + Sync + 'static,
) {
    set_format(format);
    let lines = Arc::new(Lines::new(format, color, Box::new(out)));
    if LINES.set(Arc::clone(&lines)).is_err() {
        return;
    }
    let filter = EnvFilter::builder().parse(filter);
    let mut filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    // SQL Server's driver reports as errors what is looked at and said in our words, and warns of a connection without
    // TLS, as it is not told of ours.
    if !filter.to_string().contains("tiberius")
        && let Ok(quiet) = "tiberius=off".parse()
    {
        filter = filter.add_directive(quiet);
    }
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines::Layer(Arc::clone(&lines)))
        .try_init();
    // Who repeats himself is summarised also if nothing else is ever said.
    let _ = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(repeats::WINDOW / 12);
                lines.summarise(false);
            }
        });
    report::panics();
}

/// Says what was left out so far.
pub fn end() {
    if let Some(lines) = LINES.get() {
        lines.summarise(true);
    }
}
