//! How a process says why it ends.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::time::SystemTime;

use tracing::Level;

use super::line::Line;
use super::redact::redact;
use super::{Format, LINES, format};
use crate::error::Error;

/// Writes to standard error what happened, why, in which statement, and what to do: each on its line, or as an object.
pub fn report(error: &Error) {
    super::end();
    eprint!("{}", text(error, format()));
}

fn text(error: &Error, format: Format) -> String {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(redact(&cause.to_string()));
        source = cause.source();
    }
    if format == Format::Json {
        let mut line = Line::new(Level::ERROR, error.to_string());
        if !causes.is_empty() {
            line.text("cause", &causes.join(": "));
        }
        for (name, text) in [
            ("statement", error.statement()),
            ("hint", error.next_step()),
        ] {
            if let Some(text) = text {
                line.text(name, text);
            }
        }
        line.number("exit_code", error.exit_code().into());
        return line.print(format, false, SystemTime::now());
    }
    let mut out = format!("error: {}\n", redact(&error.to_string()));
    for cause in causes {
        out += &format!("cause: {cause}\n");
    }
    if let Some(statement) = error.statement() {
        out += &format!("  sql: {}\n", redact(statement));
    }
    if let Some(hint) = error.next_step() {
        out += &format!(" hint: {}\n", redact(hint));
    }
    out
}

/// Lets panics go the way of all lines. One is a defect here, and its words may quote anything.
pub(super) fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let line = panicked(&panic.to_string(), &Backtrace::capture());
        match LINES.get() {
            Some(lines) => lines.write(&line),
            None => eprint!("{}", line.print(format(), false, SystemTime::now())),
        }
    }));
}

fn panicked(what: &str, trace: &Backtrace) -> Line {
    let mut line = Line::new(
        Level::ERROR,
        format!("a defect of this program, please report it: {what}"),
    );
    if trace.status() == BacktraceStatus::Captured {
        line.text("backtrace", &trace.to_string());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_all_there_is_to_say_and_no_secrets() {
        let error = Error::person("no rows at postgres://u:secret@h")
            .caused_by(std::io::Error::other("password=secret is wrong"))
            .with_statement("SELECT 'mysql://u:secret@h'")
            .with_hint("ask mysql://u:secret@h");
        assert_eq!(
            text(&error, Format::Text),
            "error: no rows at postgres://u:***@h\ncause: password=*** is wrong\n  sql: SELECT 'mysql://u:***@h'\n \
             hint: ask mysql://u:***@h\n"
        );
        let mut json: serde_json::Value =
            serde_json::from_str(&text(&error, Format::Json)).unwrap();
        json["timestamp"].take();
        assert_eq!(
            json,
            serde_json::json!({
                "timestamp": null, "level": "ERROR", "message": "no rows at postgres://u:***@h",
                "cause": "password=*** is wrong", "statement": "SELECT 'mysql://u:***@h'",
                "hint": "ask mysql://u:***@h", "exit_code": 3
            })
        );
    }

    #[test]
    fn a_panic_says_no_secret() {
        let line = panicked(
            "panicked at x.rs: bad postgres://u:secret@h",
            &Backtrace::disabled(),
        );
        assert!(line.message.ends_with("postgres://u:***@h"), "{line:?}");
    }
}
