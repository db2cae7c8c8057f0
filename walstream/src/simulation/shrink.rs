//! Makes a failing case smaller, for as long as it fails.

use super::case::Case;
use crate::delivery::{PreparedDelivery, StreamedDelivery};

/// A smaller case that fails too, and how it was made smaller.
pub(super) fn shrink(case: Case, error: &str) -> (Case, String) {
    let mut shrinking = Shrinking {
        case,
        error: error.to_owned(),
        runs: 0,
    };
    let before = shrinking.case.story.steps.len();
    // Until a whole round leaves nothing out.
    loop {
        let steps = shrinking.case.story.steps.len();
        let losses = shrinking.case.losses.len();
        shrinking.round();
        let case = &shrinking.case;
        if case.story.steps.len() == steps && case.losses.len() == losses {
            break;
        }
    }
    let after = shrinking.case.story.steps.len();
    let told = format!(
        "{after} steps of {before}, after {} runs: {}",
        shrinking.runs, shrinking.error
    );
    (shrinking.case, told)
}

struct Shrinking {
    case: Case,
    error: String,
    runs: u32,
}

impl Shrinking {
    /// Keeps a change of the case if it still fails.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        const ENOUGH: u32 = 5000;
        if self.runs == ENOUGH {
            return false;
        }
        self.runs += 1;
        let mut case = self.case.clone();
        change(&mut case);
        match case.run() {
            Ok(_) => false,
            Err(error) => {
                self.case = case;
                self.error = error;
                true
            }
        }
    }

    fn round(&mut self) {
        let mut transactions: Vec<_> = self
            .case
            .story
            .steps
            .iter()
            .map(|it| it.transaction)
            .collect();
        transactions.sort_unstable();
        transactions.dedup();
        for transaction in transactions {
            self.attempt(|case| {
                let steps = &mut case.story.steps;
                steps.retain(|step| step.transaction != transaction);
            });
        }
        for at in (0..self.case.losses.len()).rev() {
            self.attempt(|case| _ = case.losses.remove(at));
        }
        for at in (0..self.case.crashes.len()).rev() {
            self.attempt(|case| _ = case.crashes.remove(at));
        }
        for loss in 0..self.case.losses.len() {
            self.attempt(|case| case.losses[loss].failures = 0);
            self.attempt(|case| case.losses[loss].forgets = false);
        }
        self.calm();
        let mut length = self.case.story.steps.len() / 2;
        while length > 0 {
            let mut at = 0;
            while at < self.case.story.steps.len() {
                let end = (at + length).min(self.case.story.steps.len());
                if !self.attempt(|case| drop(case.story.steps.drain(at..end))) {
                    at = end;
                }
            }
            length /= 2;
        }
    }

    /// Leaves out what the server and the consumer do that is not plain.
    fn calm(&mut self) {
        self.attempt(|case| case.heavy = false);
        self.attempt(|case| case.begun = 0);
        self.attempt(|case| case.until = None);
        self.attempt(|case| case.two_phase = false);
        self.attempt(|case| case.prepared = PreparedDelivery::AtCommit);
        self.attempt(|case| case.streamed = StreamedDelivery::AtCommit);
        self.attempt(|case| case.memory = 1 << 20);
        self.attempt(|case| case.options.again = false);
        self.attempt(|case| case.options.empty = false);
        self.attempt(|case| case.options.parallel = false);
        self.attempt(|case| case.options.messages = false);
        self.attempt(|case| case.options.streaming = false);
        self.attempt(|case| case.habits.naps = 0);
        self.attempt(|case| case.habits.in_order = true);
        self.attempt(|case| (case.habits.storing, case.habits.confirming) = (100, 100));
    }
}
