//! What happened, before it becomes a line.

use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::Level;
use tracing::field::{Field, Visit};
use walstream::walproto::Timestamp;

use super::Format;
use super::redact::redact;
use crate::show::time::Iso;

/// An event's words and figures, without secrets.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// What JSON has a form for, in it.
    Plain(String),
    Text(String),
    /// What is a text for programs and needs no quotes for people.
    Shown(String),
}

impl Line {
    pub(super) fn new(level: Level, message: impl Into<String>) -> Self {
        Self {
            level,
            message: redact(&message.into()),
            fields: Vec::new(),
        }
    }

    pub(super) fn of(event: &tracing::Event<'_>) -> Self {
        let mut line = Self::new(*event.metadata().level(), "");
        event.record(&mut line);
        line
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.fields.push((name, Value::Shown(redact(text))));
    }

    pub(super) fn time(&mut self, name: &'static str, at: SystemTime) {
        self.text(name, &Iso(timestamp(at)).to_string());
    }

    pub(super) fn number(&mut self, name: &'static str, number: u64) {
        self.fields.push((name, Value::Plain(number.to_string())));
    }

    /// What it is about, without what differs from one time to the next: numbers, and words with a digit in them.
    pub(super) fn about(&self) -> String {
        let mut about = String::new();
        steady(&self.message, &mut about);
        for (name, value) in &self.fields {
            if let Value::Text(text) | Value::Shown(text) = value {
                about += name;
                steady(text, &mut about);
            }
        }
        about
    }

    /// With its end.
    pub(super) fn print(&self, format: Format, color: bool, now: SystemTime) -> String {
        let now = Iso(timestamp(now));
        match format {
            Format::Json => self.json(&now),
            Format::Text => self.people(&now, color),
        }
    }

    fn json(&self, now: &Iso) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut out = format!(
            "{{\"timestamp\":\"{now}\",\"level\":\"{}\",\"message\":{}",
            self.level,
            text(&self.message)
        );
        for (name, value) in &self.fields {
            let value = match value {
                Value::Plain(value) => value.clone(),
                Value::Text(value) | Value::Shown(value) => text(value),
            };
            let _ = write!(out, ",{}:{value}", text(name));
        }
        out + "}\n"
    }

    fn people(&self, now: &Iso, color: bool) -> String {
        let (dim, bold, end) = if color {
            ("\x1b[2m", "\x1b[1m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        let level = match self.level {
            _ if !color => "",
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            Level::INFO => "\x1b[32m",
            _ => "\x1b[34m",
        };
        let mut out = format!("{dim}{now}{end} {level}{:>5}{end} ", self.level);
        one_line(&self.message, &mut out);
        for (name, value) in &self.fields {
            let _ = write!(out, " {bold}{name}{end}=");
            match value {
                Value::Plain(value) => out += value,
                Value::Text(value) => {
                    let _ = write!(out, "{value:?}");
                }
                Value::Shown(value) => one_line(value, &mut out),
            }
        }
        out.push('\n');
        out
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text) | Value::Shown(text)) => self.message = text,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Shown(redact(&format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(redact(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(
            field,
            Value::Plain(serde_json::Value::from(value).to_string()),
        );
    }
}

/// An event is a line, whatever a server's words look like; nobody writes lines of his own into the log.
fn one_line(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            letter if letter.is_control() => {
                let _ = write!(out, "{}", letter.escape_default());
            }
            letter => out.push(letter),
        }
    }
}

fn steady(text: &str, out: &mut String) {
    for word in text.split(|it: char| !it.is_alphanumeric()) {
        if !word.contains(|it: char| it.is_ascii_digit()) {
            out.push_str(word);
            out.push(' ');
        }
    }
}

/// As PostgreSQL counts.
fn timestamp(now: SystemTime) -> Timestamp {
    /// From 1970 to 2000.
    const SECONDS: u64 = 946_684_800;
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    Timestamp(micros.saturating_sub((SECONDS * 1_000_000).cast_signed()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line() -> Line {
        let mut line = Line::new(Level::WARN, "the source\nwas lost at postgres://u:secret@h");
        line.text("position", "16/B374D848");
        line.fields
            .push(("slot", Value::Text("a \"b\"".to_owned())));
        line.number("attempts", 3);
        line
    }

    #[test]
    fn a_line_is_one_line_for_people_and_an_object_for_programs() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        assert_eq!(
            line().print(Format::Text, false, now),
            "2023-11-14T22:13:20.123456Z  WARN the source\\nwas lost at postgres://u:***@h \
             position=16/B374D848 slot=\"a \\\"b\\\"\" attempts=3\n"
        );
        let json: serde_json::Value =
            serde_json::from_str(&line().print(Format::Json, true, now)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "timestamp": "2023-11-14T22:13:20.123456Z",
                "level": "WARN",
                "message": "the source\nwas lost at postgres://u:***@h",
                "position": "16/B374D848",
                "slot": "a \"b\"",
                "attempts": 3
            })
        );
    }

    #[test]
    fn figures_make_no_other_line_of_it() {
        let mut other = line();
        other.fields[0].1 = Value::Shown("17/1".to_owned());
        other.fields[2].1 = Value::Plain("4".to_owned());
        assert_eq!(other.about(), line().about());
        other.message += " again";
        assert_ne!(other.about(), line().about());
    }
}
