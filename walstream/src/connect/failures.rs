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
            let (place, error) = self.0.remove(0);
            let what = error.what();
            if what.contains(&place) {
                return error;
            }
            let what = format!("{place}: {what}");
            return error.with_text(what);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Doing, ErrorKind};
    use crate::server_error::ServerError;

    fn of(errors: Vec<Error>) -> Error {
        let mut failures = Failures::default();
        for (at, error) in errors.into_iter().enumerate() {
            failures.add(format!("place {at}"), error);
        }
        failures.into_error()
    }

    fn refused() -> Error {
        let body = b"SFATAL\0C28P01\0Mwrong password\0\0";
        Error::reported(ServerError::read(body), Doing::Connecting)
    }

    #[test]
    fn the_whole_is_as_bad_as_its_worst_part() {
        let gone = || Error::new(ErrorKind::Connect, "gone");
        let tls = || Error::new(ErrorKind::Tls, "no TLS").with_hint("Have TLS.");
        let error = of(vec![tls(), gone()]);
        assert_eq!(
            (error.kind(), error.hint()),
            (ErrorKind::Tls, Some("Have TLS."))
        );
        assert_eq!(
            error.to_string(),
            "no session at any of the places tried: place 0: no TLS; place 1: gone"
        );
        let error = of(vec![gone(), Error::closed()]);
        assert!(error.kind() == ErrorKind::ConnectionClosed && error.is_transient());
        let error = of(vec![gone(), refused()]);
        assert_eq!(error.sqlstate(), Some("28P01"));
        assert!(
            error
                .to_string()
                .ends_with("place 1: the server refused the login: FATAL 28P01: wrong password"),
            "{error}"
        );
        assert_eq!(of(vec![gone()]).to_string(), "place 0: gone");
        let named = || Error::new(ErrorKind::Connect, "cannot connect to place 0");
        assert_eq!(of(vec![named()]).to_string(), "cannot connect to place 0");
    }

    #[test]
    fn what_is_refused_over_tls_and_again_without_is_said_once() {
        let mut failures = Failures::default();
        failures.add("a:1 over TLS".into(), refused());
        failures.add("a:1".into(), refused());
        assert_eq!(
            failures.into_error().to_string(),
            format!("a:1: {}", refused())
        );
    }
}
