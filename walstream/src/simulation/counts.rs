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
const EXPECTED: &[(&str, u64)] = &[
    ("a name of a prepared transaction that is used again", 100),
    ("a part that ends early, as it has aborted", 100),
    ("abort of a subtransaction", 100),
    ("abort of a transaction", 100),
    ("abort of an unknown subtransaction", 100),
    ("abort of an unknown transaction", 100),
    ("begin", 100),
    ("begin prepare", 100),
    ("commit", 100),
    ("commit prepared", 100),
    ("confirmed: out of order", 100),
    ("connect: refused", 100),
    ("consumer: crashes", 100),
    ("delete by key", 100),
    ("delete by the old row", 100),
    ("empty begin", 100),
    ("empty block", 100),
    ("event: abort of all", 100),
    ("event: abort to a savepoint", 100),
    ("event: across the end", 100),
    ("event: chunk", 100),
    ("event: commit prepared", 100),
    ("event: empty transaction", 100),
    ("event: idle", 100),
    ("event: message", 100),
    ("event: prepared", 100),
    ("event: reconnected", 100),
    ("event: rollback prepared", 100),
    ("event: stream commit", 100),
    ("event: stream commit of a prepared one", 300),
    ("event: stream prepare", 200),
    ("event: transaction", 100),
    ("event: transaction that was prepared", 100),
    ("finish: properly", 100),
    ("first stream start", 100),
    ("insert", 100),
    ("keepalive", 100),
    ("keepalive inside", 100),
    ("keepalive that asks", 100),
    ("late begin prepare", 300),
    ("late prepare", 300),
    ("later stream start", 100),
    ("loss: between frames", 100),
    ("loss: in the header of a frame", 100),
    ("loss: reported by the server", 100),
    ("loss: the server ends the stream", 100),
    ("loss: within a frame", 100),
    ("loss: within a transaction or block", 100),
    ("message inside", 100),
    ("message outside", 100),
    ("origin", 100),
    ("origin in a stream", 100),
    ("prepare", 100),
    ("relation", 100),
    ("relation once more", 100),
    ("relation that has changed", 100),
    ("rollback prepared", 100),
    ("slot: back at an older position", 100),
    ("stream commit", 100),
    ("stream prepare", 100),
    ("stream start again from the beginning", 100),
    ("stream stop", 100),
    ("the consumer hears nothing more", 2000),
    ("the stream ends where it is to end", 100),
    ("told: a position", 100),
    ("truncate", 100),
    ("truncate of several", 100),
    ("type", 100),
    ("update", 100),
    ("update with the old key", 100),
    ("update with the old row", 100),
];
