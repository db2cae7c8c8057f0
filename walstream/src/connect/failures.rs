//! What was tried and why it failed, as one error.

use crate::error::Error;

/// How far an attempt came, which says what is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nobody answered there: the next address.
    Unreachable,
    /// A server that takes nobody now, or is not the one that is wanted: the next server.
    Elsewhere,
    /// TLS failed: perhaps again without.
    Tls,
    /// The server refused the login: perhaps again with or without TLS.
    Refused,
    /// Nothing else would help.
    Last,
}

#[derive(Debug)]
pub(super) struct Failed {
    pub(super) step: Step,
    pub(super) error: Error,
}

impl Step {
    pub(super) const fn failed(self, error: Error) -> Failed {
        Failed { step: self, error }
    }
}

/// What was tried so far.
#[derive(Debug, Default)]
pub(super) struct Failures(Vec<(String, Error)>);

impl Failures {
    pub(super) fn add(&mut self, place: String, error: Error) {
        // A refusal over TLS and the same one without are one.
        if let Some((before, same)) = self.0.last()
            && before.starts_with(&place)
            && same.sqlstate().is_some()
            && same.sqlstate() == error.sqlstate()
            && same.report().map(|report| &report.message)
                == error.report().map(|report| &report.message)
        {
            self.0.pop();
        }
        self.0.push((place, error));
    }

    /// All of it. Its kind is that of the last failure that somebody has to do something about, or else of the last:
    /// so it is transient if all of them are.
    pub(super) fn into_error(mut self) -> Error {
        let telling = self
            .0
            .iter()
            .rposition(|(_, error)| error.needs_person())
            .unwrap_or_else(|| self.0.len().saturating_sub(1));
        if self.0.len() == 1 {
            return self.0.remove(0).1;
        }
        let all: Vec<_> = self
            .0
            .iter()
            .map(|(place, error)| format!("{place}: {}", complete(error)))
            .collect();
        let what = format!("no session at any of the places tried: {}", all.join("; "));
        self.0.swap_remove(telling).1.with_text(what)
    }
}

/// An error and its sources in one line.
fn complete(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(reason) = source {
        text = format!("{text}: {reason}");
        source = reason.source();
    }
    text
}
