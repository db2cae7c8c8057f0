//! Lines to where they go.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use tracing::{Level, Subscriber};
use tracing_subscriber::layer::Context;

use super::Format;
use super::line::Line;
use super::repeats::Repeats;

pub(super) type Out = Box<dyn Fn() -> Box<dyn Write> + Send + Sync>;

/// The log.
pub(super) struct Lines {
    format: Format,
    color: bool,
    out: Out,
    repeats: Mutex<Repeats>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Lines {
    pub(super) fn new(format: Format, color: bool, out: Out) -> Self {
        Self {
            format,
            color,
            out,
            repeats: Mutex::default(),
        }
    }

    /// Writes one, whatever was said before.
    pub(super) fn write(&self, line: &Line) {
        let text = line.print(self.format, self.color, SystemTime::now());
        // Who does not read the log does not end the run.
        let _ = (self.out)().write_all(text.as_bytes());
    }

    /// Writes what was kept back for long enough, or `all` of it.
    pub(super) fn summarise(&self, all: bool) {
        let lines = {
            let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            repeats.summaries(Instant::now(), all)
        };
        lines.iter().for_each(|line| self.write(line));
    }
}

/// Hears what happens.
pub(super) struct Layer(pub(super) Arc<Lines>);

impl<S: Subscriber> tracing_subscriber::Layer<S> for Layer {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event);
        // What is no warning is said when something happens, and not again and again.
        let target = event.metadata().target();
        if line.level > Level::WARN {
            let before = if line.level == Level::INFO {
                let repeats = self.0.repeats.lock();
                let mut repeats = repeats.unwrap_or_else(PoisonError::into_inner);
                repeats.over(target, Instant::now())
            } else {
                Vec::new()
            };
            before.iter().for_each(|line| self.0.write(line));
            return self.0.write(&line);
        }
        let line = {
            let repeats = self.0.repeats.lock();
            let mut repeats = repeats.unwrap_or_else(PoisonError::into_inner);
            let place = (event.metadata().callsite(), target);
            repeats.pass(place, line, Instant::now())
        };
        if let Some(line) = line {
            self.0.write(&line);
        }
    }
}
