//! Connection strings into names and values; what they mean is `config`'s business.

#[cfg(test)]
mod tests;
mod url;

pub(crate) use url::{ENCODE, Encoded};

use crate::config::known;
use crate::error::{Error, Result};

/// Settings of a session that are ours: they shape the text of values, or end sessions that are merely patient.
///
/// A role or database may set them (`ALTER ROLE … SET`), so each connection says them itself; as parameters of the
/// startup packet they win over both, and over `options`.
pub(crate) const PINNED: [(&str, &str); 14] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "3"),
    ("TimeZone", "UTC"),
    ("xmlbinary", "base64"),
    // The text of money.
    ("lc_monetary", "C"),
    // regclass, regtype and the like print a schema unless it is in the path: as PostgreSQL's own subscriber.
    ("search_path", "pg_catalog"),
    // A copy that row security would cut short fails instead.
    ("row_security", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
];

/// Names and values: of a name that is repeated the last value.
// Without Debug, for passwords are among them.
#[derive(Default)]
pub(crate) struct Pairs(Vec<(&'static str, String)>);

impl IntoIterator for Pairs {
    type Item = (&'static str, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Pairs {
    // fe-connect.c: conninfo_storeval
    fn add(&mut self, name: &str, value: String) -> Result<()> {
        let Some((name, value)) = translated(name, value) else {
            return Err(Error::config(format!(
                "unknown connection parameter \"{}\"",
                name.escape_debug()
            ))
            .with_hint(KNOWN));
        };
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, before)) => *before = value,
            None => self.0.push((name, value)),
        }
        Ok(())
    }

    /// As `add`, where the name may be a part of a password.
    fn add_untold(&mut self, name: &str, value: String) -> Result<()> {
        if known(name).is_none() && name != REQUIRE {
            return Err(
                Error::config("the connection string has an unknown connection parameter")
                    .with_hint(KNOWN),
            );
        }
        self.add(name, value)
    }
}

const KNOWN: &str =
    "Known are the parameters of libpq 18, wal_sender_timeout and max_message_size.";

/// What `sslmode` was before there were several.
const REQUIRE: &str = "requiressl";

fn translated(name: &str, value: String) -> Option<(&'static str, String)> {
    if name == REQUIRE {
        let mode = if value.starts_with('1') {
            "require"
        } else {
            "prefer"
        };
        return Some(("sslmode", mode.into()));
    }
    Some((known(name)?, value))
}

/// Reads a connection string, in either form.
pub(crate) fn parse(text: &str) -> Result<Pairs> {
    if text.contains('\0') {
        return Err(Error::config("the connection string contains a zero byte"));
    }
    for scheme in ["postgres://", "postgresql://"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return url::read(rest);
        }
    }
    // Anything else with a scheme is meant as a URL.
    if let Some((scheme, _)) = text.split_once("://")
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
    {
        return Err(Error::config(format!(
            "a connection URL begins with postgres://, not {scheme}://"
        )));
    }
    pairs(text)
}

/// `name=value name = 'value with blanks, \' and \\'`.
// fe-connect.c: conninfo_parse
fn pairs(text: &str) -> Result<Pairs> {
    let mut found = Pairs::default();
    let mut before: Option<&str> = None;
    let mut rest = text.trim_start_matches(is_blank);
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').ok_or_else(|| {
            Error::config("the connection string is neither postgres://… nor name=value").with_hint(
                "For example postgres://user@host:5432/database or host=localhost user=postgres dbname=shop.",
            )
        })?;
        let name = name.trim_end_matches(is_blank);
        if name.is_empty() || name.contains(is_blank) {
            // Untold what: it may be the rest of a password with a blank.
            let place = match before {
                Some(before) => format!("behind the value of {}", before.escape_debug()),
                None => "at its beginning".to_owned(),
            };
            return Err(Error::config(format!(
                "the connection string has something other than name=value {place}"
            ))
            .with_hint("Values with blanks stand in single quotes."));
        }
        let (value, tail) = value(name, tail.trim_start_matches(is_blank))?;
        if matches!(before, Some("password" | "sslpassword")) {
            found.add_untold(name, value)?;
        } else {
            found.add(name, value)?;
        }
        before = Some(name);
        rest = tail.trim_start_matches(is_blank);
    }
    Ok(found)
}

fn value<'a>(name: &str, text: &'a str) -> Result<(String, &'a str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if quoted => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            c if !quoted && is_blank(c) => {
                return Ok((value, text.get(at..).unwrap_or_default()));
            }
            c => value.push(c),
        }
    }
    if quoted {
        // Untold whose: a quote in a password that is not quoted itself may have begun it.
        let whose = known(name).map_or_else(String::new, |name| format!(" of {name}"));
        return Err(Error::config(format!(
            "the quoted value{whose} in the connection string has no end"
        )));
    }
    Ok((value, ""))
}

/// What C's `isspace` says.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// The first of our settings that these command line options would change.
///
/// As the server reads them: words apart by blanks, `\` before a blank that belongs to the word, `-c name=value` in one
/// word or two, `--name=value`.
pub(crate) fn pinned_option(options: &str) -> Option<&'static str> {
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None => match word.strip_prefix("-c") {
                Some("") => words.next()?,
                Some(setting) => setting.to_owned(),
                None => continue,
            },
        };
        let name = setting
            .split('=')
            .next()
            .unwrap_or_default()
            .trim()
            .replace('-', "_");
        let ours = PINNED
            .iter()
            .map(|(name, _)| *name)
            .chain(["wal_sender_timeout", "transaction_timeout"]);
        if let Some(pinned) = ours
            .into_iter()
            .find(|pinned| pinned.eq_ignore_ascii_case(&name))
        {
            return Some(pinned);
        }
    }
    None
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_ascii_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
