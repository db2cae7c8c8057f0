//! What is printed.

use std::fmt;
use std::fmt::Write;

use crate::contestant::{Contestant, Role};
use crate::process::Run;
use crate::scenario::Scenario;

/// The results of one scenario.
#[derive(Debug)]
pub(crate) struct Table {
    scenario: &'static Scenario,
    /// How many of the scenario's unit were done.
    size: usize,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    name: &'static str,
    title: &'static str,
    role: Role,
    /// The quickest round.
    best: Option<Run>,
    /// The most memory of all rounds.
    resident: Option<u64>,
}

impl Table {
    pub(crate) fn new(
        scenario: &'static Scenario,
        size: usize,
        contestants: &[&'static Contestant],
    ) -> Self {
        let lines = contestants.iter().map(|contestant| Line {
            name: contestant.name,
            title: contestant.title,
            role: contestant.role,
            best: None,
            resident: None,
        });
        Self {
            scenario,
            size,
            lines: lines.collect(),
        }
    }

    pub(crate) fn add(&mut self, contestant: &Contestant, run: Run) {
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.name == contestant.name);
        let Some(line) = line else { return };
        line.resident = line.resident.max(run.resident);
        if line.best.is_none_or(|best| run.wall < best.wall) {
            line.best = Some(run);
        }
    }

    fn rate(&self, line: &Line) -> Option<f64> {
        line.best
            .map(|run| self.size as f64 / run.wall.as_secs_f64())
    }

    /// The quickest of those.
    fn reference(&self, is: fn(Role) -> bool) -> Option<f64> {
        let those = self.lines.iter().filter(|line| is(line.role));
        those.filter_map(|line| self.rate(line)).reduce(f64::max)
    }

    fn figures(&self) -> impl Iterator<Item = (&Line, Figures)> {
        let wire = self.reference(|role| matches!(role, Role::Wire { .. }));
        let subscription = self.reference(|role| role == Role::Subscription);
        let rows = (self.size * self.scenario.changes) as f64;
        self.lines.iter().filter_map(move |line| {
            let run = line.best?;
            let rate = self.rate(line)?;
            let figures = Figures {
                seconds: run.wall.as_secs_f64(),
                rate,
                of_wire: wire.map(|wire| rate / wire),
                of_subscription: subscription.map(|subscription| rate / subscription),
                cpu: run.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / rows),
                syscalls: run.syscalls.map(|count| count as f64 / rows),
                megabytes: line.resident.map(|bytes| bytes as f64 / 1e6),
            };
            Some((line, figures))
        })
    }

    /// An object a line.
    pub(crate) fn json(&self) -> String {
        let mut text = String::new();
        for (line, figures) in self.figures() {
            let _ = write!(
                text,
                r#"{{"scenario":"{}","contestant":"{}","unit":"{}","count":{},"changes":{}"#,
                self.scenario.name,
                line.name,
                self.scenario.unit,
                self.size,
                self.size * self.scenario.changes
            );
            let _ = write!(
                text,
                r#","seconds":{:.4},"per_second":{:.0}"#,
                figures.seconds, figures.rate
            );
            for (name, value) in [
                ("of_wire", figures.of_wire),
                ("of_subscription", figures.of_subscription),
                ("cpu_us_per_row", figures.cpu),
                ("syscalls_per_row", figures.syscalls),
                ("resident_mb", figures.megabytes),
            ] {
                if let Some(value) = value {
                    let _ = write!(text, r#","{name}":{value:.4}"#);
                }
            }
            text.push_str("}\n");
        }
        text
    }
}

struct Figures {
    seconds: f64,
    /// Of the scenario's unit in a second.
    rate: f64,
    of_wire: Option<f64>,
    of_subscription: Option<f64>,
    /// Microseconds for a row.
    cpu: Option<f64>,
    /// For a row.
    syscalls: Option<f64>,
    megabytes: Option<f64>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario {
            name, title, unit, ..
        } = self.scenario;
        writeln!(f, "{name}: {} {unit}, {title}", self.size)?;
        writeln!(
            f,
            "{:<24} {:>8} {:>10} {:>7} {:>7} {:>8} {:>9} {:>6}",
            "", "seconds", "per second", "× wire", "× subs.", "CPU µs", "syscalls", "MB"
        )?;
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
        };
        for (line, figures) in self.figures() {
            writeln!(
                f,
                "{:<24} {:>8.2} {:>10.0} {:>7} {:>7} {:>8} {:>9} {:>6}",
                line.title,
                figures.seconds,
                figures.rate,
                number(figures.of_wire, 2),
                number(figures.of_subscription, 2),
                number(figures.cpu, 2),
                number(figures.syscalls, 3),
                number(figures.megabytes, 0),
            )?;
        }
        Ok(())
    }
}
