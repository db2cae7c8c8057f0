//! One thing that was looked at: what came of it, why, and what mends it.

use std::error::Error as _;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at, the same in every version: `source.wal_level`.
    pub id: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// The table, slot or publication that it is about, where there may be several.
    pub about: Option<String>,
    /// Why: a sentence for people.
    pub reason: String,
    /// What mends it, all of it in this order.
    pub mend: Vec<Mend>,
    /// Who can mend what is wrong.
    pub(crate) kind: ErrorKind,
}

/// What came of looking at one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A run works; somebody should know all the same.
    Warning,
    /// A run would be refused, or would fail.
    Wrong,
    /// It could not be found out.
    Unknown,
}

/// One step of what mends a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    /// Where it is to be done.
    pub at: Place,
    /// The statement, command or option; a sentence where it is done by hand.
    pub text: String,
}

/// Where something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A statement at the source, by who may do it.
    Source,
    /// A statement at the destination, by who may do it.
    Destination,
    /// A command of a shell, on this machine.
    Shell,
    /// Options of `replicator`, in the place of those that are given.
    Option,
    /// Something that is no command.
    Hand,
}

impl Verdict {
    /// As scripts know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
        }
    }
}

impl Place {
    /// As scripts know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Shell => "shell",
            Self::Option => "option",
            Self::Hand => "hand",
        }
    }
}

impl Mend {
    pub(crate) fn source(text: impl Into<String>) -> Self {
        Self::at(Place::Source, text)
    }

    pub(crate) fn destination(text: impl Into<String>) -> Self {
        Self::at(Place::Destination, text)
    }

    pub(crate) fn shell(text: impl Into<String>) -> Self {
        Self::at(Place::Shell, text)
    }

    pub(crate) fn option(text: impl Into<String>) -> Self {
        Self::at(Place::Option, text)
    }

    pub(crate) fn hand(text: impl Into<String>) -> Self {
        Self::at(Place::Hand, text)
    }

    fn at(at: Place, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { at, text }
    }
}

impl Finding {
    pub(crate) fn ok(id: &'static str, reason: impl Into<String>) -> Self {
        Self::new(id, Verdict::Ok, ErrorKind::Person, reason)
    }

    pub(crate) fn warning(id: &'static str, reason: impl Into<String>) -> Self {
        Self::new(id, Verdict::Warning, ErrorKind::Person, reason)
    }

    /// For a person to mend, at one of both sides.
    pub(crate) fn wrong(id: &'static str, reason: impl Into<String>) -> Self {
        Self::new(id, Verdict::Wrong, ErrorKind::Person, reason)
    }

    pub(crate) fn unknown(id: &'static str, reason: impl Into<String>) -> Self {
        Self::new(id, Verdict::Unknown, ErrorKind::Person, reason)
    }

    /// What a run would end with.
    pub(crate) fn of(id: &'static str, error: &Error) -> Self {
        let found = Self::new(id, Verdict::Wrong, error.kind(), with_causes(error));
        match error.hint() {
            Some(hint) => found.mend(Mend::hand(hint)),
            None => found,
        }
    }

    fn new(id: &'static str, verdict: Verdict, kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self {
            id,
            verdict,
            about: None,
            reason: reason.into(),
            mend: Vec::new(),
            kind,
        }
    }

    #[must_use]
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Self {
        self.about = Some(what.to_string());
        self
    }

    #[must_use]
    pub(crate) fn mend(mut self, step: Mend) -> Self {
        self.mend.push(step);
        self
    }

    #[must_use]
    pub(crate) fn mends(mut self, steps: impl IntoIterator<Item = Mend>) -> Self {
        self.mend.extend(steps);
        self
    }

    /// In the place of what the error's own hint says.
    #[must_use]
    pub(crate) fn mended_by(mut self, steps: impl IntoIterator<Item = Mend>) -> Self {
        self.mend = steps.into_iter().collect();
        self
    }

    /// The side or whatever else it is about: the first part of the id.
    pub fn side(&self) -> &'static str {
        self.id.split('.').next().unwrap_or(self.id)
    }
}

/// An error and what caused it, in one line.
pub(crate) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// All that was found, in the order in which it was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// All findings.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many came out so.
    pub fn count(&self, verdict: Verdict) -> usize {
        let findings = self.findings.iter();
        findings.filter(|it| it.verdict == verdict).count()
    }

    /// 0 where nothing is wrong; 1 where a side cannot be reached, or what is wrong may pass by itself; 2 where all that
    /// is wrong is how the command was called; 3 where somebody has to change something at one of both sides.
    pub fn exit_code(&self) -> u8 {
        let wrong = |kind| {
            let mut findings = self.findings.iter();
            findings.any(|it| it.verdict == Verdict::Wrong && it.kind == kind)
        };
        if wrong(ErrorKind::Retry) {
            1
        } else if wrong(ErrorKind::Person) {
            3
        } else if wrong(ErrorKind::Usage) {
            2
        } else {
            0
        }
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What was found, or why nothing could be.
    pub(crate) fn take(&mut self, id: &'static str, found: Result<Vec<Finding>>) {
        match found {
            Ok(found) => self.findings.extend(found),
            Err(error) => self.add(unanswered(id, &error)),
        }
    }

    /// What could not be asked, and why.
    pub(crate) fn unasked(&mut self, ids: &[&'static str], why: &str) {
        for id in ids {
            if !self.has(id) {
                self.add(Finding::unknown(id, why));
            }
        }
    }

    /// Whether something was found of this id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.findings.iter().any(|it| it.id == id)
    }
}

/// A question that failed: the side is gone, or it does not tell.
pub(crate) fn unanswered(id: &'static str, error: &Error) -> Finding {
    if error.kind() == ErrorKind::Retry && !error.is_locked_out() {
        return Finding::of(id, error);
    }
    let why = format!("it could not be found out: {}", with_causes(error));
    Finding::unknown(id, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_who_can_mend_it() {
        let report = |findings: &[Finding]| Report {
            findings: findings.to_vec(),
        };
        let unreachable = Finding::of("source.reachable", &Error::retry("no answer"));
        let usage = Finding::of("options.spool", &Error::usage("no folder"));
        let person = Finding::wrong("source.wal_level", "it is replica");
        let others = [
            Finding::ok("a", ""),
            Finding::warning("b", ""),
            Finding::unknown("c", ""),
        ];
        assert_eq!(report(&others).exit_code(), 0);
        assert_eq!(report(std::slice::from_ref(&usage)).exit_code(), 2);
        assert_eq!(report(&[usage.clone(), person.clone()]).exit_code(), 3);
        assert_eq!(report(&[usage, person, unreachable]).exit_code(), 1);
    }

    #[test]
    fn a_lock_in_the_way_of_a_question_is_no_lost_side() {
        let locked = Error::retry("locked").locked_out();
        assert_eq!(unanswered("a", &locked).verdict, Verdict::Unknown);
        assert_eq!(
            unanswered("a", &Error::retry("gone")).verdict,
            Verdict::Wrong
        );
    }
}
