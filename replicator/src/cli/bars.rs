//! Progress bars of a copy on a terminal, and the log above them.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::config::Config;
use crate::copy::{CopyEvent, CopyProgress, CopyTable, Lines, OnCopy, rate};
use crate::show::people::{grouped, size, span};

/// A bar for each table that is being copied and one for all, if standard error is a terminal.
#[derive(Clone, Debug)]
pub struct Bars {
    bars: MultiProgress,
    shown: Arc<Mutex<Shown>>,
    terminal: bool,
}

#[derive(Debug, Default)]
struct Shown {
    tables: BTreeMap<(String, String), ProgressBar>,
    total: Option<ProgressBar>,
}

/// Steps of a bar.
const LENGTH: u64 = 1000;

impl Bars {
    /// None are shown before a copy begins.
    pub fn new() -> Self {
        Self {
            // Draws nothing where there is no terminal.
            bars: MultiProgress::new(),
            shown: Arc::default(),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Standard error for others, whose lines go above the bars.
    pub fn log(&self) -> Log {
        Log(self.bars.clone())
    }

    /// Shows the copies of a run: as bars, or as lines in the log, and with `json` as objects on standard output.
    #[must_use]
    pub fn show(&self, mut config: Config, json: bool) -> Config {
        let bars = self.clone();
        let lines = Lines::new(!self.terminal, Instant::now());
        config.on_copy = Some(OnCopy::logging(lines, move |event| {
            if json {
                bars.bars.suspend(|| print(event));
            }
            if bars.terminal {
                bars.draw(event);
            }
        }));
        config
    }

    /// Removes what is shown.
    pub fn clear(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let Shown { tables, total } = std::mem::take(&mut *shown);
        for bar in tables.into_values().chain(total) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn draw(&self, event: &CopyEvent) {
        match event {
            CopyEvent::TableBegun(table) => self.table(table),
            CopyEvent::Progress(progress) => {
                progress.running.iter().for_each(|table| self.table(table));
                self.total(progress);
            }
            CopyEvent::TableDone(table) => self.table_done(table),
            CopyEvent::Done(_) => self.clear(),
            CopyEvent::Begun(_) => {}
        }
    }

    fn table(&self, it: &CopyTable) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let Shown { tables, total } = &mut *shown;
        let key = (it.schema.clone(), it.table.clone());
        let bar = tables.entry(key).or_insert_with(|| {
            let bar = bar(&format!("{}.{}", it.schema, it.table));
            match total {
                Some(total) => self.bars.insert_before(total, bar),
                None => self.bars.add(bar),
            }
        });
        let speed = rate(it.bytes, it.elapsed);
        bar.set_position(position(it.fraction));
        bar.set_message(figures(speed, it.rows, it.bytes));
    }

    fn table_done(&self, it: &CopyTable) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (it.schema.clone(), it.table.clone());
        if let Some(bar) = shown.tables.remove(&key) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    fn total(&self, it: &CopyProgress) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let total = shown.total.get_or_insert_with(|| self.bars.add(bar("")));
        total.set_position(position(it.fraction));
        total.set_prefix(format!("{} of {} tables", it.tables_done, it.tables));
        let figures = figures(it.bytes_per_second, it.rows, it.bytes);
        total.set_message(match it.remaining {
            _ if it.paused => "paused; SIGUSR2 lets it go on".to_owned(),
            Some(remaining) => format!("{} left, {figures}", span(remaining)),
            None => figures,
        });
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

fn bar(prefix: &str) -> ProgressBar {
    // What matters fits into 80 columns, and the rest is cut.
    let style = ProgressStyle::with_template("{prefix:>20!} [{bar:12}] {percent:>3}% {wide_msg}")
        .expect("a template")
        .progress_chars("=> ");
    ProgressBar::new(LENGTH)
        .with_style(style)
        .with_prefix(prefix.to_owned())
}

fn figures(bytes_per_second: u64, rows: u64, bytes: u64) -> String {
    format!(
        "{}/s, {} rows, {}",
        size(bytes_per_second),
        grouped(rows),
        size(bytes)
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "between 0 and LENGTH"
)]
fn position(fraction: f64) -> u64 {
    (fraction.clamp(0.0, 1.0) * LENGTH as f64) as u64
}

fn print(event: &CopyEvent) {
    // Who does not listen any more does not end a copy.
    let mut out = io::stdout().lock();
    let _ = out
        .write_all(event.json().as_bytes())
        .and_then(|()| out.flush());
}

/// Standard error above the bars.
#[derive(Clone, Debug)]
pub struct Log(MultiProgress);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.suspend(|| io::stderr().write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
