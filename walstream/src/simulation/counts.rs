//! What was met, and in how many seeds: a simulation that never meets something says nothing about it.

use std::collections::BTreeMap;
use std::fmt;

/// What was met, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(BTreeMap<&'static str, Met>);

#[derive(Clone, Copy, Debug, Default)]
struct Met {
    times: u64,
    seeds: u64,
}

impl Counts {
    pub(super) fn met(&mut self, name: &'static str) {
        self.0.entry(name).or_default().times += 1;
    }

    /// Adds what was met in one more seed.
    pub(super) fn add_seed(&mut self, seed: &Self) {
        for (name, met) in &seed.0 {
            let sum = self.0.entry(name).or_default();
            sum.times += met.times;
            sum.seeds += 1;
        }
    }

    /// Panics unless everything that can be met was met in one of as many seeds as it says. A handful of seeds is for
    /// who looks at them.
    pub(super) fn check(&self, seeds: u64) {
        if seeds < 5000 {
            return;
        }
        for (name, one_in) in EXPECTED {
            let met = self.0.get(name).map_or(0, |met| met.seeds);
            let least = (seeds / one_in).max(1);
            assert!(
                met >= least,
                "{name:?} was met in {met} of {seeds} seeds, and should be in {least}"
            );
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, Met { times, seeds }) in &self.0 {
            writeln!(f, "{times:10} in {seeds:7} seeds: {name}")?;
        }
        Ok(())
    }
}

/// Every kind, and in one of how many seeds it is met at least.
const EXPECTED: &[(&str, u64)] = &[];
